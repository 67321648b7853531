/* The recorder behind `python -m greenlane trace`: what happened to greenlets, in a ring.
 *
 * settrace() would not do: it belongs to the program, has to be set in each thread, tells neither
 * births nor parents, and costs a call of Python code for each event. So events are appended here,
 * 24 bytes each, to memory that was allocated at the start; when it is full the oldest go.
 * Appending runs no Python code and cannot fail. There is one recorder in a process, for all
 * threads, and the GIL keeps records whole and in order: no two have the same time.
 *
 * How the ways of a switch come to be watched without a check of their own: they look whether the
 * thread has a tracer, and while there is a recorder every thread has one. Where the program has
 * set none it is None, which is also what gettrace() has to answer then. gl_trace() does the rest.
 *
 * Greenlets are told apart by a serial number, which lies in the greenlet: nothing is kept alive,
 * and nothing is mistaken for what lay at its address before. Those that have one are in a list,
 * which is how Python code gets at them: the collector does not tell of what gc.freeze() has put
 * aside. Their names are for Python code to
 * find out: it is called once for each greenlet, after the first transfer from it or to it, when
 * `run` is still known. It runs nothing of the program's, but a signal handler may come in between
 * and raise, or another thread: that is handed on to the program, and the name asked for again
 * later. What is known of a greenlet is forgotten with the record of its death.
 *
 * Where a greenlet is suspended is a code object and the offset of an instruction in it, kept once
 * for each different one. Programs have few: they are where the program calls switch(). One that
 * makes code without end is cut off at GL_MOST_PLACES.
 */
#include "greenlet.h"

#include <time.h>

#define GL_MOST_PLACES 65536

typedef enum {
    GL_BIRTH,    /* of `target`, whose parent is `origin`, or 0 for a main greenlet */
    GL_ADOPTION, /* `target` got another parent, `origin` */
    GL_END,      /* of `target`, which was not running: dropped before its start, or abandoned */
    GL_SWITCH,
    GL_THROW,
    GL_DEADLY_SWITCH, /* the origin is dead by now */
    GL_DEADLY_THROW,
} gl_event;

/* greenlane/recording.py unpacks it. */
typedef struct {
    int64_t time; /* ns of the monotonic clock */
    uint32_t origin;
    uint32_t target;
    uint32_t place; /* where the origin is suspended; 0: not known, or it isn't */
    uint32_t event;
} gl_record;

typedef struct {
    PyObject *code; /* owned */
    int offset;
} gl_place;

typedef struct {
    bool is_on;
    bool was_on; /* ever: threads may still have None as their tracer */
    gl_record *ring;
    size_t capacity;
    size_t next;
    size_t dropped;
    int64_t last_time;
    uint32_t last_serial;
    PyGreenlet *survivors; /* borrowed: the first in the list, the latest */
    PyObject *introduce;   /* owned; called for each greenlet once */
    PyObject *lives;       /* owned; a dictionary by serial, or NULL */
    /* A hash table of indices into places, 0 where there is none; places[0] is not used. */
    uint32_t *buckets;
    size_t bucket_count; /* a power of two, more than twice place_count */
    gl_place *places;
    size_t place_count;
} gl_recorder;

static gl_recorder recorder;

/* ---- Records --------------------------------------------------------------------------------- */

static int64_t
read_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Has Python forget what it knows of a greenlet whose death makes room for a new record: nothing
 * but what is known of its children refers to it any more. */
static void
forget(const gl_record *dropped)
{
    uint32_t serial = dropped->origin;
    if (dropped->event == GL_END) {
        serial = dropped->target;
    }
    else if (dropped->event != GL_DEADLY_SWITCH && dropped->event != GL_DEADLY_THROW) {
        return;
    }
    if (recorder.lives == NULL) {
        return;
    }
    gl_error pending;
    gl_error_fetch(&pending);
    PyObject *key = PyLong_FromUnsignedLong(serial);
    if (key == NULL || PyDict_DelItem(recorder.lives, key) < 0) {
        PyErr_Clear(); /* it had not been introduced */
    }
    Py_XDECREF(key);
    gl_error_restore(&pending);
}

static void
append(int64_t time, gl_event event, uint32_t origin, uint32_t target, uint32_t place)
{
    size_t index = recorder.next % recorder.capacity;
    if (recorder.next >= recorder.capacity) {
        recorder.dropped++;
        forget(&recorder.ring[index]);
    }
    recorder.next++;
    recorder.last_time = time > recorder.last_time ? time : recorder.last_time + 1;
    recorder.ring[index] = (gl_record){.time = recorder.last_time,
                                       .origin = origin,
                                       .target = target,
                                       .place = place,
                                       .event = (uint32_t)event};
}

/* The number of a greenlet, from now on, if it was born before the recorder was. */
static uint32_t
serial_of(PyGreenlet *greenlet)
{
    if (greenlet == NULL) {
        return 0;
    }
    gl_core *core = greenlet->pimpl;
    if (core->serial == 0) {
        core->serial = ++recorder.last_serial;
        core->next_recorded = recorder.survivors;
        if (core->next_recorded != NULL) {
            core->next_recorded->pimpl->last_recorded = greenlet;
        }
        recorder.survivors = greenlet;
    }
    return core->serial;
}

void
gl_record_release(PyGreenlet *greenlet)
{
    gl_core *core = greenlet->pimpl;
    if (core->next_recorded != NULL) {
        core->next_recorded->pimpl->last_recorded = core->last_recorded;
    }
    if (core->last_recorded != NULL) {
        core->last_recorded->pimpl->next_recorded = core->next_recorded;
    }
    else {
        recorder.survivors = core->next_recorded;
    }
    core->next_recorded = core->last_recorded = NULL;
    core->serial = 0;
    core->was_introduced = false;
}

PyObject *
gl_record_survivors(void)
{
    PyObject *list = PyList_New(0);
    PyGreenlet *each = recorder.survivors;
    for (; list != NULL && each != NULL; each = each->pimpl->next_recorded) {
        /* Code may run while one is being freed, whose references are all gone. */
        if (Py_REFCNT(each) > 0 && PyList_Append(list, (PyObject *)each) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* ---- Places ---------------------------------------------------------------------------------- */

static size_t
find_bucket(const PyObject *code, int offset)
{
    const size_t mask = recorder.bucket_count - 1;
    size_t bucket = (((uintptr_t)code >> 4) * 31 + (size_t)offset) & mask;
    for (;; bucket = (bucket + 1) & mask) {
        const gl_place *place = &recorder.places[recorder.buckets[bucket]];
        if (recorder.buckets[bucket] == 0 || (place->code == code && place->offset == offset)) {
            return bucket;
        }
    }
}

/* Makes room for twice as many places, 32 at first. False if there is no memory; nothing has
 * changed then. */
static bool
grow_places(void)
{
    const size_t count = recorder.bucket_count > 0 ? 2 * recorder.bucket_count : 64;
    uint32_t *buckets = PyMem_RawCalloc(count, sizeof *buckets);
    gl_place *places = PyMem_RawRealloc(recorder.places, count / 2 * sizeof *places);
    if (places != NULL) {
        recorder.places = places;
    }
    if (buckets == NULL || places == NULL) {
        PyMem_RawFree(buckets);
        return false;
    }
    PyMem_RawFree(recorder.buckets);
    recorder.buckets = buckets;
    recorder.bucket_count = count;
    if (recorder.place_count == 0) {
        places[recorder.place_count++] = (gl_place){0};
    }
    for (size_t i = 1; i < recorder.place_count; i++) {
        recorder.buckets[find_bucket(places[i].code, places[i].offset)] = (uint32_t)i;
    }
    return true;
}

/* Where a greenlet is suspended; 0 if it isn't, or that is not known. Keeps the pending exception
 * out of it: there must be none. */
static uint32_t
place_of(const gl_core *core)
{
    if (!gl_is_suspended(core)) {
        return 0;
    }
    PyFrameObject *frame = gl_suspended_frame(core);
    if (frame == NULL) {
        return 0; /* there is no Python code on its stack */
    }
    PyObject *code = (PyObject *)PyFrame_GetCode(frame);
    const int offset = gl_frame_offset(frame);
    Py_DECREF(frame);
    uint32_t place = 0;
    if (recorder.bucket_count > 0) {
        place = recorder.buckets[find_bucket(code, offset)];
    }
    if (place == 0 && recorder.place_count < GL_MOST_PLACES &&
        (2 * recorder.place_count < recorder.bucket_count || grow_places())) {
        place = (uint32_t)recorder.place_count++;
        recorder.places[place] = (gl_place){.code = Py_NewRef(code), .offset = offset};
        recorder.buckets[find_bucket(code, offset)] = place;
    }
    Py_DECREF(code); /* not the last: its frame has one */
    return place;
}

/* ---- What happens ---------------------------------------------------------------------------- */

void
gl_record_watch(gl_thread *thread)
{
    if (recorder.is_on && thread->tracer == NULL) {
        thread->tracer = Py_NewRef(Py_None);
    }
}

void
gl_record_thread(gl_thread *thread)
{
    gl_record_watch(thread);
    gl_record_birth(thread->main, NULL);
}

void
gl_record_birth(PyGreenlet *greenlet, PyGreenlet *parent)
{
    if (recorder.is_on) {
        const uint32_t origin = serial_of(parent);
        append(read_clock(), GL_BIRTH, origin, serial_of(greenlet), 0);
    }
}

void
gl_record_adoption(PyGreenlet *greenlet)
{
    if (recorder.is_on) {
        const uint32_t origin = serial_of(greenlet->pimpl->parent);
        append(read_clock(), GL_ADOPTION, origin, serial_of(greenlet), 0);
    }
}

void
gl_record_end(const gl_core *core)
{
    if (recorder.is_on && core->serial != 0) {
        append(read_clock(), GL_END, 0, core->serial, 0);
    }
}

/* So many frames of Python are enough for that, and are not to be missed by a program that has
 * used up its own. */
#define GL_INTRODUCTION_DEPTH 100

/* Has Python code find out the name of a greenlet, once. False, with an exception, if something of
 * the program's has raised one meanwhile. */
static bool
introduce(PyGreenlet *greenlet)
{
    gl_core *core = greenlet->pimpl;
    if (core->was_introduced || recorder.introduce == NULL) {
        return true;
    }
    core->was_introduced = true;
    const gl_call *call = &core->call;
    PyObject *argument = call->args != NULL && call->nargs > 0 ? call->args[0] : Py_None;
    PyObject *callback = Py_NewRef(recorder.introduce);
    PyThreadState *tstate = gl_tstate_get();
    gl_enter_tracing(tstate);
    gl_lend_depth(tstate, GL_INTRODUCTION_DEPTH);
    PyObject *result = PyObject_CallFunction(callback, "IOOOI", core->serial, greenlet,
                                             core->run != NULL ? core->run : Py_None, argument,
                                             serial_of(core->parent));
    gl_lend_depth(tstate, -GL_INTRODUCTION_DEPTH);
    gl_leave_tracing(tstate);
    if (result == NULL) {
        core->was_introduced = false;
    }
    Py_DECREF(callback);
    Py_XDECREF(result);
    return result != NULL;
}

int
gl_record_transfer(gl_thread *thread, PyGreenlet *origin, PyGreenlet *target, bool is_throw)
{
    if (recorder.is_on) {
        const int64_t time = read_clock();
        gl_event event = is_throw ? GL_THROW : GL_SWITCH;
        if (origin->pimpl->status == GL_DEAD) {
            event = is_throw ? GL_DEADLY_THROW : GL_DEADLY_SWITCH;
        }
        const uint32_t from = serial_of(origin);
        append(time, event, from, serial_of(target), place_of(origin->pimpl));
        if (!introduce(origin) || !introduce(target)) {
            return -1;
        }
    }
    else if (recorder.was_on && thread->tracer == Py_None) {
        Py_CLEAR(thread->tracer);
    }
    return thread->tracer != NULL && (thread->tracer != Py_None || !recorder.was_on);
}

/* ---- From Python: greenlane/recording.py ----------------------------------------------------- */

int
gl_record_start(size_t capacity, PyObject *callback, PyObject *lives)
{
    gl_record *ring = NULL;
    if (capacity > 0 && capacity <= PY_SSIZE_T_MAX / sizeof *ring) {
        ring = PyMem_RawMalloc(capacity * sizeof *ring);
    }
    if (ring == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        PyMem_RawFree(ring);
        return -1;
    }
    PyMem_RawFree(recorder.ring);
    recorder.ring = ring;
    recorder.capacity = capacity;
    recorder.next = 0;
    recorder.dropped = 0;
    recorder.is_on = recorder.was_on = true;
    gl_record_watch(thread);
    if (thread->main->pimpl->serial == 0) {
        gl_record_birth(thread->main, NULL);
    }
    PyObject *old_callback = recorder.introduce;
    PyObject *old_lives = recorder.lives;
    recorder.introduce = Py_NewRef(callback);
    recorder.lives = Py_XNewRef(lives);
    Py_XDECREF(old_callback);
    Py_XDECREF(old_lives);
    return 0;
}

uint32_t
gl_record_serial(PyGreenlet *greenlet)
{
    return recorder.is_on ? serial_of(greenlet) : greenlet->pimpl->serial;
}

/* The records in the order of time. */
static PyObject *
get_records(void)
{
    const size_t count = recorder.next < recorder.capacity ? recorder.next : recorder.capacity;
    const size_t first = recorder.next > recorder.capacity ? recorder.next % recorder.capacity : 0;
    const Py_ssize_t size = (Py_ssize_t)sizeof(gl_record);
    PyObject *records = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count * size);
    if (records != NULL) {
        char *bytes = PyBytes_AS_STRING(records);
        memcpy(bytes, recorder.ring + first, (count - first) * sizeof(gl_record));
        memcpy(bytes + (count - first) * sizeof(gl_record), recorder.ring,
               first * sizeof(gl_record));
    }
    return records;
}

static PyObject *
get_places(void)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 1; list != NULL && i < recorder.place_count; i++) {
        PyObject *pair = Py_BuildValue("(Oi)", recorder.places[i].code, recorder.places[i].offset);
        if (pair == NULL || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    return list;
}

PyObject *
gl_record_stop(void)
{
    if (!recorder.is_on) {
        PyErr_SetString(PyExc_RuntimeError, "nothing is being recorded");
        return NULL;
    }
    recorder.is_on = false;
    PyObject *records = get_records();
    PyObject *places = records != NULL ? get_places() : NULL;
    PyObject *result = NULL;
    if (places != NULL) {
        result = Py_BuildValue("(OOn)", records, places, (Py_ssize_t)recorder.dropped);
    }
    Py_XDECREF(records);
    Py_XDECREF(places);
    PyMem_RawFree(recorder.ring);
    PyMem_RawFree(recorder.buckets);
    /* Before anything can run that starts recording again. */
    gl_place *const owned = recorder.places;
    const size_t owned_count = recorder.place_count;
    recorder.ring = NULL;
    recorder.buckets = NULL;
    recorder.places = NULL;
    recorder.place_count = recorder.bucket_count = 0;
    Py_CLEAR(recorder.introduce);
    Py_CLEAR(recorder.lives);
    for (size_t i = 1; i < owned_count; i++) {
        Py_DECREF(owned[i].code);
    }
    PyMem_RawFree(owned);
    return result;
}
