/* What is kept per thread, and how it comes and goes.
 *
 * A gl_thread belongs to one Python thread state. The thread state's dictionary holds a capsule,
 * the *guard*; when the thread exits, CPython clears the dictionary, with the GIL held and mostly
 * from the thread itself, and the guard's destructor retires the record. No lock, no pending call
 * and no thread-exit hook of the C library is needed.
 *
 * There is a window in which this fails: destructors that run while the dictionary is being cleared
 * may use greenlets, and what they hang into the new dictionary that CPython makes for them is
 * never cleared. Such records are *late*: they were made when there was no dictionary. They are
 * kept in a list, and retired when a record is made for another thread and theirs is found to be
 * gone. Until then nothing can go wrong but the count of main greenlets: records are told apart by
 * the id of their thread state, which is never used twice.
 *
 * A thread-local pointer finds the record quickly. It is a hint: a program may change thread states
 * under us (PyThreadState_Swap), so the pointer is believed only when the record it leads to names
 * the current thread state. A stale hint leads to a record all the same: their memory is kept for
 * other threads, never freed. (The pointer does not hold a count: that of a thread which ended
 * while its record was late would never be dropped.)
 */
#include "greenlet.h"

#include "context/valgrind.h"

#include <stdlib.h>
#if defined(HAVE_FORK)
#include <unistd.h>
#endif

_Thread_local gl_thread *gl_thread_hint GL_TLS_MODEL;

static size_t main_greenlet_count;

static gl_thread *late_records;
static size_t late_count;
static size_t late_threshold = 1;

static gl_thread *free_records;

/* Signal stacks of threads that outlive their record. They are few: most records are retired by
 * their own thread, which gives its stack back. */
typedef struct gl_left_stack {
    gl_signal_stack stack;
    struct gl_left_stack *next;
} gl_left_stack;

static gl_left_stack *left_stacks;

static const char guard_name[] = GL_GUARD_NAME;

/* A record that is all zero, or NULL. */
static gl_thread *
allocate(void)
{
    gl_thread *thread = free_records;
    if (thread == NULL) {
        return PyMem_RawCalloc(1, sizeof *thread);
    }
    free_records = thread->next_free;
    *thread = (gl_thread){.id = 0};
    return thread;
}

void
gl_thread_free(gl_thread *thread)
{
    thread->next_free = free_records;
    free_records = thread;
}

static void
end_left_stacks(void)
{
    gl_left_stack **place = &left_stacks;
    while (*place != NULL) {
        gl_left_stack *left = *place;
        if (gl_signal_stack_end(&left->stack)) {
            *place = left->next;
            PyMem_RawFree(left);
        }
        else {
            place = &left->next;
        }
    }
}

static void
end_signal_stack(gl_signal_stack *stack)
{
    if (gl_signal_stack_end(stack)) {
        return;
    }
    gl_left_stack *left = PyMem_RawMalloc(sizeof *left);
    if (left != NULL) { /* else it stays mapped */
        *left = (gl_left_stack){.stack = *stack, .next = left_stacks};
        left_stacks = left;
    }
}

/* The thread is gone, or is about to be: nothing of it will run again. Called with the GIL held, by
 * the thread itself or by whoever survives it. Drops one count. */
static void
retire(gl_thread *thread)
{
    gl_error pending;
    gl_error_fetch(&pending);

    if (gl_is_thread_of(thread, gl_tstate_get())) {
        /* The last chance to kill, in their own thread, what other threads have dropped. */
        gl_thread_hint = thread;
        gl_thread_drain_deferred(thread);
    }
    thread->tstate = NULL;
    thread->id = 0;
    PyGreenlet *main = thread->main;
    PyGreenlet *current = thread->current;
    thread->main = thread->current = NULL;
    if (current != main) {
        /* That thread has not come along into this child process, or is a daemon and the
         * interpreter ends. What it was running never goes on; its stack stays where it is, as the
         * thread's own does. */
        gl_core *core = current->pimpl;
        core->status = GL_DEAD;
        core->lane = NULL;
        core->chunk = NULL;
        gl_record_end(core);
    }
    main->pimpl->status = GL_DEAD;
    gl_record_end(main->pimpl);
    main_greenlet_count--;
    /* What is abandoned from now on gives its lane back to the system, not to the pool. */
    gl_lane_pool_close(&thread->lanes);
    end_signal_stack(&thread->signal_stack);

    /* From here on Python code can run; the record already says that the thread is gone, so what
     * is deferred still, or by now, is freed without running. */
    gl_thread_drain_deferred(thread);
    Py_CLEAR(thread->tracer);
    Py_DECREF(main);
    Py_DECREF(current);
    gl_free_spare(thread);
    if (thread->scratch != NULL) {
        gl_valgrind_remove(thread->valgrind);
        PyMem_RawFree(thread->scratch);
        thread->scratch = NULL;
    }
    free(thread->spare_slice);
    thread->spare_slice = NULL; /* heap_size is not asked for any more */
    if (gl_thread_hint == thread) {
        gl_thread_hint = NULL;
    }
    gl_thread_release(thread);

    gl_error_restore(&pending);
}

/* The destructor of the capsule in the thread state's dictionary. */
static void
guard_destructor(PyObject *guard)
{
    gl_thread *thread = PyCapsule_GetPointer(guard, guard_name);
    if (thread->id != 0) {
        retire(thread);
    }
}

void
gl_forget_threads(void)
{
    gl_thread_hint = NULL;
    main_greenlet_count = 0;
    late_records = NULL;
    late_count = 0;
    late_threshold = 1;
}

/* The record that hangs in a thread state's dictionary, or NULL, without an exception if there is
 * none. */
static gl_thread *
record_in(PyObject *thread_dict)
{
    PyObject *guard = PyDict_GetItemWithError(thread_dict, gl_module.str_guard); /* borrowed */
    return guard != NULL ? PyCapsule_GetPointer(guard, guard_name) : NULL;
}

/* Does the thread state of this record still exist? Whether the record hangs in its dictionary
 * tells less: while the dictionary is being cleared the thread still runs, and may use greenlets.
 */
static bool
has_thread_state(const gl_thread *thread)
{
    const PyThreadState *tstate = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    while (tstate != NULL && !gl_is_thread_of(thread, tstate)) {
        tstate = PyThreadState_Next((PyThreadState *)tstate);
    }
    return tstate != NULL;
}

/* Tells a process from the one that it was forked from. */
static long
process_id(void)
{
#if defined(HAVE_FORK)
    return (long)getpid();
#else
    return 0;
#endif
}

/* A late record has been retired, but not by its guard: the thread state is gone, the dictionary is
 * not. Mostly the dictionary is lost, with the reference that the thread state had. But in a
 * forked child and at the interpreter's end CPython forgets all other thread states first, and then
 * clears one after the other: those that it has not come to own theirs, and will drop it. */
static void
release_late_dict(const gl_thread *thread)
{
    PyObject *dict = thread->late_dict;
    /* The record may be used again before the dictionary goes. */
    if (PyDict_DelItem(dict, gl_module.str_guard) < 0) {
        PyErr_Clear();
    }
    if (thread->process == process_id() && !gl_is_finalizing()) {
        Py_DECREF(dict);
    }
}

static void
retire_late_records(void)
{
    /* Take the list: retiring runs Python code, which may come here again. */
    gl_thread *list = late_records;
    late_records = NULL;
    late_count = 0;
    while (list != NULL) {
        gl_thread *thread = list;
        list = thread->next_late;
        if (thread->id != 0 && has_thread_state(thread)) {
            thread->next_late = late_records;
            late_records = thread;
            late_count++;
            continue;
        }
        if (thread->id != 0) {
            retire(thread);
            release_late_dict(thread);
        }
        gl_thread_release(thread); /* the list's count */
    }
    late_threshold = 2 * late_count + 1;
}

void
gl_thread_refresh(gl_thread *thread)
{
    if (thread->is_late && thread->id != 0 && !has_thread_state(thread)) {
        retire_late_records();
    }
}

/* Makes the record of the calling thread and hangs the guard into its thread state. There must be
 * no pending exception. */
static gl_thread *
enrol(PyObject *thread_dict, PyThreadState *tstate)
{
    gl_thread *thread = allocate();
    if (thread == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    thread->references = 1; /* dropped by retire() */
    gl_lane_pool_open(&thread->lanes, gl_module.lane_limit);
    PyGreenlet *main = gl_new_main(thread);
    if (main == NULL) {
        gl_thread_release(thread);
        return NULL;
    }
    PyObject *guard = PyCapsule_New(thread, guard_name, guard_destructor);
    /* Garbage may have been collected meanwhile that used greenlets: one record is enough. */
    gl_thread *other = guard != NULL ? record_in(thread_dict) : NULL;
    if (guard == NULL || other != NULL || PyErr_Occurred() != NULL) {
        Py_XDECREF(guard); /* the record has no thread state to be retired from */
        main->pimpl->status = GL_DEAD;
        Py_DECREF(main);
        gl_thread_release(thread);
        return other;
    }
    thread->main = main;
    thread->current = (PyGreenlet *)Py_NewRef((PyObject *)main);
    thread->tstate = tstate;
    thread->id = tstate->id;
    main_greenlet_count++;
    int error = PyDict_SetItem(thread_dict, gl_module.str_guard, guard);
    Py_DECREF(guard); /* on error this retires the record */
    if (error < 0) {
        return NULL;
    }
    end_left_stacks();
    gl_signal_stack_begin(&thread->signal_stack);
    gl_record_thread(thread);
    return thread;
}

/* The record in a thread state's dictionary, made if there is none. NULL with an exception; there
 * must be none pending. */
static gl_thread *
find_or_enrol(PyObject *thread_dict, PyThreadState *tstate)
{
    gl_thread *thread = record_in(thread_dict);
    if (thread == NULL && PyErr_Occurred() == NULL && late_count >= late_threshold) {
        /* What that runs may use greenlets, and make the record. */
        retire_late_records();
        thread = record_in(thread_dict);
    }
    if (thread == NULL && PyErr_Occurred() == NULL) {
        thread = enrol(thread_dict, tstate);
    }
    return thread;
}

gl_thread *
gl_thread_find(PyThreadState *tstate)
{
    bool late = tstate->dict == NULL;
    PyObject *thread_dict = PyThreadState_GetDict(); /* borrowed */
    if (thread_dict == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    /* A throw comes here with the exception that it throws. */
    gl_error pending;
    gl_error_fetch(&pending);
    gl_thread *thread = find_or_enrol(thread_dict, tstate);
    if (thread == NULL) {
        gl_error_drop(&pending);
        return NULL;
    }
    if (late && !thread->is_late) {
        gl_thread_retain(thread);
        thread->is_late = true;
        thread->late_dict = thread_dict;
        thread->process = process_id();
        thread->next_late = late_records;
        late_records = thread;
        late_count++;
    }
    gl_thread_hint = thread;
    gl_error_restore(&pending);
    return thread;
}

void
gl_thread_defer(gl_thread *thread, PyGreenlet *greenlet)
{
    gl_core *core = greenlet->pimpl;
    if (core->is_deferred) {
        return;
    }
    Py_INCREF(greenlet);
    core->is_deferred = true;
    core->next_deferred = NULL;
    if (thread->deferred == NULL) {
        thread->deferred = greenlet;
    }
    else {
        thread->last_deferred->pimpl->next_deferred = greenlet;
    }
    thread->last_deferred = greenlet;
}

void
gl_thread_drop_deferred(gl_thread *thread)
{
    /* Take the list: what is killed runs Python code that comes here again, and what is left is not
     * for it to kill. */
    PyGreenlet *next = thread->deferred;
    thread->deferred = NULL;

    gl_error pending;
    gl_error_fetch(&pending);
    while (next != NULL) {
        PyGreenlet *greenlet = next;
        gl_core *core = greenlet->pimpl;
        next = core->next_deferred;
        core->is_deferred = false;
        /* If the collector of another thread found it to be garbage, only garbage refers to it. */
        bool is_garbage = core->was_finalized && gl_is_suspended(core) && !gl_is_abandoned(core);
        if (is_garbage && !gl_kill(greenlet)) {
            gl_thread_defer(thread, greenlet);
        }
        Py_DECREF(greenlet);
    }
    gl_error_restore(&pending);
}

size_t
gl_count_main_greenlets(void)
{
    retire_late_records();
    return main_greenlet_count;
}
