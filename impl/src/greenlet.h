/* What the files of the extension share: the objects, and who calls whom.
 *
 *   module.c    the module: names, exceptions, the capsule
 *   object.c    the type: attributes, construction, collection, deallocation
 *   transfer.c  switch, throw, start, death: all changes of control
 *   residence.c whose stack is on which lane
 *   trace.c     the tracer that settrace() installs
 *   record.c    what happened to greenlets, for `python -m greenlane trace`
 *   thread.c    what is kept per thread
 *   capi.c      the functions behind the capsule
 *
 * Everything here is protected by the GIL. State that changes lies in a greenlet (gl_core) or
 * belongs to one thread (gl_thread); `gl_module` is written at import only, and there is one
 * recorder. A build without the GIL would have to guard gl_thread.deferred, which other threads
 * append to, the fields of gl_core that attributes read from other threads, and the recorder.
 */
#ifndef GREENLANE_GREENLET_H
#define GREENLANE_GREENLET_H

#include <Python.h>

#include <stdbool.h>

#include "context/lane.h"
#include "context/signal_stack.h"
#include "pystate.h"

typedef struct gl_core gl_core;

#define GREENLET_MODULE
#define implementation_ptr_t gl_core *
#include "greenlane/greenlet.h"

#if defined(__GLIBC__)
/* One instruction instead of a call; glibc keeps room for this in modules loaded late. */
#define GL_TLS_MODEL __attribute__((tls_model("initial-exec")))
#else
#define GL_TLS_MODEL
#endif

/* Under this name a record hangs in its thread state's dictionary. */
#define GL_GUARD_NAME "greenlane.thread"

typedef struct gl_thread gl_thread;

typedef enum {
    GL_NEW,       /* not started */
    GL_SUSPENDED, /* started, and waiting to be switched to */
    GL_STUCK,     /* dead, and waiting for its stack to be unwound: see `is_ending` */
    GL_EVICTED,   /* one of these two, but its stack is not on its lane */
    GL_RUNNING,   /* the current greenlet of its thread */
    GL_DEAD,      /* finished, or abandoned because its thread exited */
} gl_status;

/* The arguments of a call in vectorcall form; borrowed. */
typedef struct {
    PyObject *const *args;
    Py_ssize_t nargs;
    PyObject *kwnames; /* or NULL */
} gl_arguments;

/* What is left of a flow of control while it is suspended. Lies in the C frame that suspended it,
 * on its own stack: no allocation, and the memory is touched anyway. */
typedef struct {
    gl_pystate pystate;
    const gl_arguments *operands; /* of the call that suspended it, or NULL */
} gl_suspension;

/* Up to this many arguments of a first switch are kept without an allocation. */
#define GL_FEW_ARGUMENTS 2

/* The arguments that a greenlet was started with, in vectorcall form. Owned by the greenlet until
 * its `run` returns, which may change args[-1] meanwhile. */
typedef struct {
    PyObject **args;  /* in `few` or on the heap; NULL: raise the pending exception instead */
    Py_ssize_t nargs; /* positional ones */
    Py_ssize_t total; /* with those named by kwnames */
    PyObject *kwnames;
    PyObject *few[1 + GL_FEW_ARGUMENTS];
} gl_call;

/* The private part of a greenlet. What a switch reads comes first: for the exact type that is the
 * cache line of the object itself, or the next one (object.c). */
struct gl_core {
    gl_status status;
    bool is_main;              /* the root of a thread's tree, which runs on the thread's stack */
    bool is_ending;            /* `run` is over; the greenlet is looking for who continues */
    bool was_finalized;        /* by the garbage collector, which does so once */
    bool is_deferred;          /* is it in its thread's list? */
    gl_thread *thread;         /* counted; NULL until started */
    void *sp;                  /* valid while suspended */
    void *chunk;               /* its first data stack chunk: the lane's tail, or on the heap */
    PyObject *context;         /* owned; NULL while running: the thread state has it then */
    gl_suspension *suspension; /* valid while suspended */
    gl_slice *slice;           /* its stack while evicted */
    gl_lane *lane;             /* NULL for main greenlets, and before and after the run */
    PyGreenlet *parent;        /* owned; NULL for main greenlets */
    PyObject *run;             /* owned; what to call, or what is being called */
    gl_pybase base;            /* what the interpreter points to during the run */
    PyGreenlet *next_deferred; /* in that list */
    gl_call call;              /* during the run */
    uint32_t serial;           /* for the recorder; 0: none yet */
    bool was_introduced;       /* to the recorder */
    bool is_killed;            /* the parent waits for its end, in gl_kill() */
    PyGreenlet *next_recorded; /* in the recorder's list of those that have a serial */
    PyGreenlet *last_recorded; /* the one before it there */
};

/* What is kept per thread: to be exact, per Python thread state. Counted, not a Python object,
 * since greenlets refer to it long after the thread has exited. */
struct gl_thread {
    PyThreadState *tstate; /* NULL once the thread has exited */
    uint64_t id;           /* of the thread state, never used twice; 0 once it has exited */
    PyGreenlet *current;   /* owned */
    PyGreenlet *main;      /* owned; NULL once the thread has exited */
    PyObject *tracer;      /* owned; NULL: none; None: none, but the recorder (record.c) */

    /* The parcel of the switch in progress: written by the greenlet that leaves, taken by the one
     * that arrives before it does anything else. */
    PyGreenlet *origin; /* owned */
    PyObject *value;    /* owned; NULL: the pending exception is to be raised */
    PyObject *unused; /* owned; if the target is new: the `run` that it had, if another was found */

    /* Greenlets of this thread that another one dropped the last reference to. Owned. */
    PyGreenlet *deferred; /* the first one; NULL: none */
    PyGreenlet *last_deferred;

    gl_lane_pool lanes;
    gl_signal_stack signal_stack;
    char *scratch; /* a small stack, made when lanes are first shared */
#if defined(GL_VALGRIND)
    unsigned valgrind; /* its number there */
#endif
    gl_slice *spare_slice; /* for the next stack that is evicted, or NULL */
    size_t chunk_size;     /* of data stacks that are not in a lane's tail */
    size_t heap_size;      /* bytes of all such data stacks and slices */

    /* Greenlet objects, with their core, to be used again. */
    PyGreenlet *spare[64];
    size_t spare_count;

    size_t references;
    gl_thread *next_late; /* see thread.c */
    gl_thread *next_free; /* when the record is nobody's */
    PyObject *late_dict;  /* borrowed */
    long process;         /* where it became late */
    bool is_late;
};

/* Written when the module is initialised, and read-only from then on but for lane_limit; anew when
 * an interpreter starts after the end of another. These are process-wide because the C API passes
 * no module: PyGreenlet_New() must find the type on its own. For the same reason, and because
 * compiled subclasses need a static base, the type is static. */
typedef struct {
    PyObject *error;
    PyObject *greenlet_exit;
    PyObject *empty_tuple;
    PyObject *str_run;
    PyObject *str_switch;
    PyObject *str_throw;
    PyObject *str_guard; /* GL_GUARD_NAME */
    size_t lane_limit;   /* of a thread's pool, at first */
} gl_module_constants;

extern gl_module_constants gl_module;
extern PyTypeObject PyGreenlet_Type;

/* transfer.c. Both return what the switch returns in the caller once it is resumed: a new
 * reference, or NULL with an exception. */
PyObject *gl_switch(PyGreenlet *target, const gl_arguments *arguments);
PyObject *gl_throw(PyGreenlet *target, PyObject *type, PyObject *value, PyObject *traceback,
                   const gl_arguments *operands);
/* Drops what a greenlet was started with. May run Python code. */
void gl_drop_arguments(gl_call *call);
/* Throws GreenletExit into a suspended greenlet of this thread, with the current one as its parent
 * for that while. Errors are reported as unraisable. False if there was no memory to do it: nothing
 * has changed. */
bool gl_kill(PyGreenlet *greenlet);
/* The thread that `greenlet` or else its nearest started ancestor belongs to; NULL if the chain
 * ends before one (it was cleared by the garbage collector). Borrowed. */
gl_thread *gl_lineage(PyGreenlet *greenlet);

/* residence.c */
typedef enum {
    GL_ENTRANCE_REFUSED,    /* no memory, or no room; nothing has changed */
    GL_ENTRANCE_FREE,       /* the greenlet can run */
    GL_ENTRANCE_BY_SCRATCH, /* it can, once the running greenlet has departed to the scratch stack
                             */
} gl_entrance;
/* Binds a greenlet that is about to start to a lane. */
gl_entrance gl_settle(gl_thread *thread, gl_core *core);
/* Brings an evicted greenlet's stack to its lane. If refused, there is an exception. */
gl_entrance gl_bring_in(gl_thread *thread, gl_core *core);
/* After GL_ENTRANCE_BY_SCRATCH, on the scratch stack: clears the lane of the greenlet that is about
 * to run, and brings its stack in if it has started. */
void gl_move_in(gl_thread *thread);
void *gl_scratch_top(gl_thread *thread);
/* Ends the residence of a greenlet that ends. It may still be running on the lane. */
void gl_leave(gl_core *core);
/* Turns a suspended greenlet that can never run again into a dead one, without running it. May run
 * other Python code. */
void gl_abandon(PyGreenlet *greenlet);
/* The references that the frames of a suspended greenlet own. */
int gl_visit_frames(const gl_core *core, visitproc visit, void *arg);
/* The innermost frame of a suspended greenlet: a new reference, or NULL without an exception. */
PyFrameObject *gl_suspended_frame(const gl_core *core);
/* Bytes of C stack of a suspended greenlet that has a lane. */
size_t gl_suspended_size(const gl_core *core);

/* trace.c. Reports an arrival to the tracer. Takes the value that was sent, or NULL for a pending
 * exception, and returns it; or returns NULL with the tracer's exception. */
PyObject *gl_trace(gl_thread *thread, PyGreenlet *origin, PyGreenlet *target, PyObject *value);
PyObject *gl_settrace(gl_thread *thread, PyObject *tracer);

/* record.c. Most of these do nothing unless something is recorded, and run no Python code. */
/* Makes the transfers of a thread known to the recorder: after anything that took away its tracer.
 */
void gl_record_watch(gl_thread *thread);
/* A thread has been enrolled, which is the birth of its main greenlet. */
void gl_record_thread(gl_thread *thread);
void gl_record_birth(PyGreenlet *greenlet, PyGreenlet *parent);
/* It has got the parent that it has now. */
void gl_record_adoption(PyGreenlet *greenlet);
/* It ended without running: it had not started, or can't be run any more. */
void gl_record_end(const gl_core *core);
/* gl_trace() calls it in the target, with no exception pending. 1 if there is a tracer of the
 * program's to call, 0 if not, -1 with an exception. May run Python code. */
int gl_record_transfer(gl_thread *thread, PyGreenlet *origin, PyGreenlet *target, bool is_throw);
/* The number by which a greenlet is known to the recorder; 0 if it is not. */
uint32_t gl_record_serial(PyGreenlet *greenlet);
/* A greenlet that has such a number is about to be freed. */
void gl_record_release(PyGreenlet *greenlet);
/* A list of all that have one, or NULL with MemoryError. */
PyObject *gl_record_survivors(void);
/* Begins, or begins anew, to keep the last `capacity` records. `callback` is called as
 * callback(serial, greenlet, run, argument, parent's serial) for each greenlet once. `lives` is a
 * dictionary by serial, or NULL: what is dead and in no record any more is deleted from it. -1 with
 * MemoryError. */
int gl_record_start(size_t capacity, PyObject *callback, PyObject *lives);
/* (records, places, how many records were dropped); or NULL with an exception. */
PyObject *gl_record_stop(void);

/* thread.c */
/* The record that this operating-system thread used last, or NULL: a hint, see thread.c. */
extern _Thread_local gl_thread *gl_thread_hint GL_TLS_MODEL;
/* The record of the calling thread, which has this thread state, made if there is none. NULL with
 * MemoryError. Borrowed. Called by gl_thread_current(). */
gl_thread *gl_thread_find(PyThreadState *tstate);
void gl_thread_free(gl_thread *thread);
/* Finds out whether a thread other than the calling one has exited unnoticed. May run Python code.
 */
void gl_thread_refresh(gl_thread *thread);
/* Keeps `greenlet` (which gains a reference) until its thread gets round to dropping it. Never
 * fails. */
void gl_thread_defer(gl_thread *thread, PyGreenlet *greenlet);
/* Drops what was deferred. Runs Python code; keeps the pending exception. Called by
 * gl_thread_drain_deferred(). */
void gl_thread_drop_deferred(gl_thread *thread);
/* Leaves all records to the interpreter that they belonged to, which has ended. Ids of thread
 * states start afresh in the next one. */
void gl_forget_threads(void);
/* How many main greenlets exist in the process. */
size_t gl_count_main_greenlets(void);

/* object.c */
/* greenlet(run, parent); both may be NULL. */
PyGreenlet *gl_new(PyObject *run, PyObject *parent);
/* A main greenlet for `thread`. */
PyGreenlet *gl_new_main(gl_thread *thread);
void gl_free_spare(gl_thread *thread);
/* See gl_operands. */
Py_ssize_t gl_unbound_operands(PyObject *callee);
int gl_set_parent(PyGreenlet *greenlet, PyObject *parent);

/* module.c */
/* The running greenlet: a new reference; NULL with RuntimeError while the interpreter finalizes. */
PyGreenlet *gl_getcurrent(void);

/* capi.c */
void **gl_capi_table(void);

/* Is this the record of that thread state? By id, since the address of a thread state is used again
 * when it has been freed. */
static inline bool
gl_is_thread_of(const gl_thread *thread, const PyThreadState *tstate)
{
    return thread->id == tstate->id;
}

/* The calling thread's record, made at first use. NULL with MemoryError. Borrowed. */
static inline gl_thread *
gl_thread_current(void)
{
    gl_thread *thread = gl_thread_hint;
    PyThreadState *tstate = gl_tstate_get();
    if (GL_LIKELY(thread != NULL && gl_is_thread_of(thread, tstate))) {
        return thread;
    }
    return gl_thread_find(tstate);
}

static inline void
gl_thread_retain(gl_thread *thread)
{
    thread->references++;
}

static inline void
gl_thread_release(gl_thread *thread)
{
    if (--thread->references == 0) {
        gl_thread_free(thread);
    }
}

static inline void
gl_thread_drain_deferred(gl_thread *thread)
{
    if (GL_UNLIKELY(thread->deferred != NULL)) {
        gl_thread_drop_deferred(thread);
    }
}

/* Has the thread of a started greenlet exited? */
static inline bool
gl_is_abandoned(const gl_core *core)
{
    return core->thread != NULL && core->thread->tstate == NULL;
}

static inline bool
gl_is_suspended(const gl_core *core)
{
    return core->status == GL_SUSPENDED || core->status == GL_STUCK || core->status == GL_EVICTED;
}

/* Is it dead to whoever switches to it? Also while it looks for who continues after it, in the
 * lookup of that one's `run`, which may switch away. Only gl_kill() comes back there then. */
static inline bool
gl_is_over(const gl_core *core)
{
    return core->status == GL_DEAD || core->is_ending;
}

/* Does a switch to it continue it? In its own thread, that is. */
static inline bool
gl_can_continue(const gl_core *core)
{
    return core->status == GL_SUSPENDED || (core->status == GL_EVICTED && !core->is_ending);
}

/* The greenlet that runs could not leave for another one. If it was about to end it had said that
 * its stack is not needed any more: it is. To be said before the refusal is raised, which drops the
 * exception that it ended with and so may run Python code. */
static inline void
gl_stay(gl_core *running)
{
    running->status = GL_RUNNING;
}

/* Is a greenlet's first data stack chunk the tail of its lane? */
static inline bool
gl_has_tail(const gl_core *core)
{
    return core->chunk == gl_lane_tail(core->lane);
}

/* How many bytes that chunk has. One on the heap says so itself, in its second word, where CPython
 * puts the size as well. */
static inline size_t
gl_chunk_size(const gl_core *core)
{
    return gl_has_tail(core) ? gl_lane_tail_size(core->lane) : ((const size_t *)core->chunk)[1];
}

/* Started and not dead. */
static inline bool
gl_is_active(const gl_core *core)
{
    return (gl_is_suspended(core) || core->status == GL_RUNNING) && !core->is_ending &&
           !gl_is_abandoned(core);
}

#endif
