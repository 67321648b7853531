/* Transfer of control: switch, throw, start and death of greenlets.
 *
 * The life of one switch, from A to a suspended B of the same thread:
 *
 *   1. resolve   A looks for the greenlet that will really run: dead ones are skipped for their
 *                parents. Errors are raised here, in A, before anything has changed.
 *   2. depart    A stores what the interpreter knows of it (gl_pystate) in a C frame of its own,
 *                and leaves a parcel in the thread's record: who comes (origin), with what (value;
 *                NULL means that the pending exception is to be raised).
 *   3. swap      gl_context_switch() saves A's registers on A's stack and loads B's.
 *   4. arrive    B, in the very function where it once departed, loads its gl_pystate, takes the
 *                parcel, reports to the tracer, drops the reference to A and returns the value.
 *
 * Between depart and the end of loading in arrive, the thread state describes neither greenlet:
 * nothing there may run Python code, which means no allocation of Python objects, no dropping of
 * references, no tracer. All of that comes before 2 or after the loading in 4.
 *
 * Whatever may run Python code (looking up `run`, packing arguments, where a collection may start)
 * may also switch. So it is done first, and 1 is repeated after it until nothing has changed.
 *
 * A greenlet that starts has no suspension to arrive in: start() acquires a lane, and
 * run_greenlet() is the first function on it. A greenlet that ends does not depart: finish() finds
 * who continues, and returns to the assembly code, which loads that greenlet's registers.
 *
 * References: a thread owns one to its current greenlet. Departing turns it into the parcel's
 * `origin`; the arriving greenlet drops it when its own state is loaded, and that may well be the
 * last reference to the origin, which is then killed like any other.
 */
#include "greenlet.h"

#include "context/switch.h"

/* Cache lines of a target's stack and of its data stack that are worth asking for early: those that
 * a plain switch touches, and no others, which would only push something out of the cache. */
#define GL_PREFETCH_STACK 5
#define GL_PREFETCH_CHUNK 2

/* ---- Who will run ---------------------------------------------------------------------------- */

gl_thread *
gl_lineage(PyGreenlet *greenlet)
{
    for (; greenlet != NULL; greenlet = greenlet->pimpl->parent) {
        if (greenlet->pimpl->thread != NULL) {
            return greenlet->pimpl->thread;
        }
    }
    return NULL;
}

/* Raises greenlet.error unless `greenlet` belongs to `thread`, the calling one. */
static bool
check_thread(gl_thread *thread, PyGreenlet *greenlet)
{
    gl_thread *owner = gl_lineage(greenlet);
    if (GL_LIKELY(owner == thread)) {
        return true;
    }
    if (owner != NULL) {
        gl_thread_refresh(owner);
    }
    if (owner == NULL) {
        PyErr_SetString(gl_module.error, "cannot switch to a garbage collected greenlet");
    }
    else if (owner->tstate == NULL) {
        PyErr_SetString(gl_module.error,
                        "cannot switch to a different thread (which happens to have exited)");
    }
    else {
        PyErr_Format(gl_module.error,
                     "Cannot switch to a different thread\n\tCurrent:  %R\n\tExpected: %R",
                     thread->main, owner->main);
    }
    return false;
}

/* The greenlet that runs when somebody switches to `greenlet`: itself, or the nearest ancestor
 * that is not dead. Borrowed; NULL with greenlet.error. Runs Python code only on error. */
static PyGreenlet *
resolve(gl_thread *thread, PyGreenlet *greenlet)
{
    if (!check_thread(thread, greenlet)) {
        return NULL;
    }
    PyGreenlet *target = greenlet;
    while (target != NULL && gl_is_over(target->pimpl)) {
        target = target->pimpl->parent;
    }
    if (target == NULL) {
        PyErr_SetString(gl_module.error, "cannot switch to a garbage collected greenlet");
        return NULL;
    }
    /* An ancestor that had not started may have been moved to another thread, and be dead by now.
     */
    if (target != greenlet && !check_thread(thread, target)) {
        return NULL;
    }
    return target;
}

/* Looks up `run`. New reference; NULL with an exception, in place of the pending one if there is
 * one. Runs Python code for subclasses. */
static PyObject *
lookup_run(PyGreenlet *target)
{
    if (GL_LIKELY(Py_IS_TYPE(target, &PyGreenlet_Type) && target->pimpl->run != NULL)) {
        return Py_NewRef(target->pimpl->run);
    }
    gl_error pending;
    gl_error_fetch(&pending);
    PyObject *run = PyObject_GetAttr((PyObject *)target, gl_module.str_run);
    if (run == NULL) {
        gl_error_drop(&pending);
        return NULL;
    }
    gl_error_restore(&pending);
    return run;
}

/* What can be done with the greenlet that a switch leads to. */
typedef enum { GL_NOTHING, GL_RESUME, GL_START } gl_choice;

static gl_choice
choose_any(gl_thread *thread, PyGreenlet *greenlet, PyGreenlet **target, PyObject **run)
{
    for (;;) {
        *target = resolve(thread, greenlet);
        if (*target == NULL) {
            return GL_NOTHING;
        }
        Py_INCREF(*target);
        if ((*target)->pimpl->status != GL_NEW) {
            return GL_RESUME;
        }
        *run = lookup_run(*target);
        /* The lookup may have started the greenlet, or moved it to another thread. */
        if (*run != NULL && (*target)->pimpl->status == GL_NEW && check_thread(thread, *target)) {
            return GL_START;
        }
        bool failed = *run == NULL || (*target)->pimpl->status == GL_NEW;
        Py_XDECREF(*run);
        Py_DECREF(*target);
        if (failed) {
            return GL_NOTHING;
        }
    }
}

/* Finds out who runs when somebody switches to `greenlet`: *target, a new reference; and if it must
 * be started, what it calls: *run, a new reference. When this returns, nothing has changed since
 * the decision; it stays true until Python code runs. GL_NOTHING comes with an exception. */
static inline gl_choice
choose(gl_thread *thread, PyGreenlet *greenlet, PyGreenlet **target, PyObject **run)
{
    const gl_core *core = greenlet->pimpl;
    if (gl_can_continue(core) && core->thread == thread) {
        *target = (PyGreenlet *)gl_new_ref((PyObject *)greenlet);
        return GL_RESUME;
    }
    if (core->status == GL_NEW && core->run != NULL && Py_IS_TYPE(greenlet, &PyGreenlet_Type) &&
        core->parent != NULL && core->parent->pimpl->thread == thread) {
        *target = (PyGreenlet *)gl_new_ref((PyObject *)greenlet);
        *run = gl_new_ref(core->run);
        return GL_START;
    }
    return choose_any(thread, greenlet, target, run);
}

/* ---- Between two greenlets --------------------------------------------------------------------*/

/* Moves the running greenlet's context from the thread state to the greenlet. */
static inline void
store_context(gl_core *core, const PyThreadState *tstate)
{
    core->context = tstate->context;
}

static inline void
load_context(gl_core *core, PyThreadState *tstate)
{
    /* The thread state still shows the context of the greenlet that departed. The version tells
     * caches of context variables that it is another one. */
    if (tstate->context != core->context) {
        tstate->context = core->context;
        tstate->context_ver++;
    }
    core->context = NULL;
}

/* Writes the parcel and makes `target` the current greenlet. Takes both references. */
static inline void
hand_over(gl_thread *thread, PyGreenlet *target, PyObject *value)
{
    thread->origin = thread->current;
    thread->value = value;
    thread->current = target;
}

static inline void
depart(gl_thread *thread, PyThreadState *tstate, gl_suspension *here, const gl_arguments *operands)
{
    gl_core *core = thread->current->pimpl;
    gl_pystate_save(&here->pystate, tstate);
    store_context(core, tstate);
    here->operands = operands;
    core->suspension = here;
    core->status = core->is_ending ? GL_STUCK : GL_SUSPENDED;
}

/* Not inline: it is rare. */
__attribute__((noinline)) static void
catch_up(PyThreadState *tstate)
{
    gl_pystate_catch_up(tstate);
}

static inline PyObject *
arrive(gl_thread *thread, PyThreadState *tstate, const gl_suspension *here)
{
    gl_core *core = thread->current->pimpl;
    gl_pystate_load(&here->pystate, tstate);
    load_context(core, tstate);
    core->status = GL_RUNNING;

    /* The state is whole: from here on Python code may run. */
    if (GL_UNLIKELY(gl_pystate_is_behind(&here->pystate, tstate))) {
        catch_up(tstate);
    }
    PyGreenlet *origin = thread->origin;
    PyObject *value = thread->value;
    if (GL_UNLIKELY(thread->tracer != NULL)) {
        value = gl_trace(thread, origin, thread->current, value);
    }
    Py_DECREF(origin);
    return value;
}

/* Asks for the memory that `core` will need once it runs: the lines of its stack around the frames
 * of a switch and of the interpreter loop, and the start of its data stack. With many greenlets
 * they have long left the cache; the addresses are known before anything has to be read from there.
 */
static inline void
prefetch(const gl_core *core)
{
    const char *stack = core->sp;
    for (size_t line = 0; line < GL_PREFETCH_STACK; line++) {
        __builtin_prefetch(stack + 64 * line);
    }
    const char *chunk = core->chunk;
    for (size_t line = 0; line < GL_PREFETCH_CHUNK; line++) {
        __builtin_prefetch(chunk + 64 * line);
    }
}

/* Continues a suspended greenlet whose stack is on its lane. Takes the references to `target` and
 * `value`. */
static inline PyObject *
resume(gl_thread *thread, PyThreadState *tstate, PyGreenlet *target, PyObject *value,
       const gl_arguments *operands)
{
    gl_suspension here;
    gl_core *to = target->pimpl;
    gl_core *from = thread->current->pimpl;
    depart(thread, tstate, &here, operands);
    hand_over(thread, target, value);
    gl_context_switch(&from->sp, to->sp);
    return arrive(thread, tstate, &here);
}

/* Brings in the current greenlet's stack, and continues it. A gl_context_entry that runs on the
 * scratch stack: somebody stood on the very lane and had to leave it first. */
static void *
move_in_on_scratch(void *argument)
{
    gl_thread *thread = argument;
    gl_move_in(thread);
    return thread->current->pimpl->sp;
}

/* resume() for one whose stack belongs where the running one stands. Not inline: resume_any() would
 * keep room for it on each stack. */
__attribute__((noinline)) static PyObject *
resume_by_scratch(gl_thread *thread, PyThreadState *tstate, PyGreenlet *target, PyObject *value,
                  const gl_arguments *operands)
{
    gl_suspension here;
    gl_core *from = thread->current->pimpl;
    depart(thread, tstate, &here, operands);
    hand_over(thread, target, value);
    gl_context_start(&from->sp, gl_scratch_top(thread), move_in_on_scratch, thread);
    return arrive(thread, tstate, &here);
}

/* The same as resume() for any suspended greenlet. */
static inline PyObject *
resume_any(gl_thread *thread, PyThreadState *tstate, PyGreenlet *target, PyObject *value,
           const gl_arguments *operands)
{
    gl_core *core = target->pimpl;
    if (GL_LIKELY(core->status == GL_SUSPENDED)) {
        prefetch(core);
        return resume(thread, tstate, target, value, operands);
    }
    gl_entrance entrance = gl_bring_in(thread, core);
    if (GL_LIKELY(entrance == GL_ENTRANCE_FREE)) {
        return resume(thread, tstate, target, value, operands);
    }
    if (entrance == GL_ENTRANCE_BY_SCRATCH) {
        return resume_by_scratch(thread, tstate, target, value, operands);
    }
    /* Quietly: the error is to be the last word. */
    gl_error refusal;
    gl_error_fetch(&refusal);
    Py_DECREF(target);
    Py_XDECREF(value);
    gl_error_restore(&refusal);
    return NULL;
}

/* ---- The first switch ------------------------------------------------------------------------ */

/* Copies the arguments: they lie on the stack of the starter, which may go on before the callee
 * has read them. False with MemoryError. */
static bool
take_arguments(gl_call *call, const gl_arguments *arguments)
{
    Py_ssize_t total = arguments->nargs;
    if (arguments->kwnames != NULL) {
        total += PyTuple_GET_SIZE(arguments->kwnames);
    }
    PyObject **room = call->few;
    if (GL_UNLIKELY(total > GL_FEW_ARGUMENTS)) {
        room = PyMem_New(PyObject *, (size_t)total + 1);
        if (room == NULL) {
            PyErr_NoMemory();
            return false;
        }
    }
    call->args = room + 1;
    for (Py_ssize_t i = 0; i < total; i++) {
        call->args[i] = gl_new_ref(arguments->args[i]);
    }
    call->nargs = arguments->nargs;
    call->kwnames = Py_XNewRef(arguments->kwnames);
    call->total = total;
    return true;
}

void
gl_drop_arguments(gl_call *call)
{
    PyObject **args = call->args;
    if (args == NULL) {
        return;
    }
    call->args = NULL;
    while (call->total > 0) {
        call->total--;
        Py_DECREF(args[call->total]);
    }
    Py_CLEAR(call->kwnames);
    if (args != call->few + 1) {
        PyMem_Free(args - 1);
    }
}

/* Are these names that a function can be called with? PyGreenlet_Switch() takes any dictionary: it
 * may be sent to a greenlet that has started. False with TypeError. Not inline: as finish(). */
__attribute__((noinline)) static bool
check_names(PyObject *kwnames)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        if (!PyUnicode_Check(PyTuple_GET_ITEM(kwnames, i))) {
            PyErr_SetString(PyExc_TypeError, "keywords must be strings");
            return false;
        }
    }
    return true;
}

/* Not inline: run_greenlet() would keep room for it on each stack. */
__attribute__((noinline)) static void *finish(gl_thread *thread, PyObject *result);

/* The first function on a lane. Its frame stays on the stack for the greenlet's life: small. */
static void *
run_greenlet(void *argument)
{
    gl_thread *thread = argument;
    PyGreenlet *self = thread->current; /* the thread's reference lasts until finish() */
    gl_core *core = self->pimpl;
    gl_call *call = &core->call;

    /* Take the parcel before anybody else is started. */
    PyGreenlet *origin = thread->origin;
    PyObject *unused = thread->unused;
    bool is_called = call->args != NULL;
    if (GL_UNLIKELY(thread->tracer != NULL)) {
        /* gl_trace() wants a value only to tell a switch from a throw. */
        PyObject *value = gl_trace(thread, origin, self, is_called ? Py_NewRef(Py_None) : NULL);
        is_called = value != NULL;
        Py_XDECREF(value);
    }
    Py_DECREF(origin);
    Py_XDECREF(unused);

    PyObject *result = NULL;
    if (is_called && (call->kwnames == NULL || check_names(call->kwnames))) {
        vectorcallfunc function = PyVectorcall_Function(core->run);
        if (function == NULL) {
            function = PyObject_Vectorcall;
        }
        result = function(core->run, call->args,
                          (size_t)call->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, call->kwnames);
    }
    gl_drop_arguments(call);
    Py_CLEAR(core->run);
    return finish(thread, result);
}

/* Gets ready what `target` needs to start. Takes the reference to `run`. `arguments` is NULL if the
 * pending exception is to be raised instead of calling it. Runs no Python code. If refused, there
 * is an exception, and nothing has changed. */
static gl_entrance
prepare(gl_thread *thread, PyGreenlet *target, PyObject *run, const gl_arguments *arguments)
{
    gl_core *core = target->pimpl;
    if (arguments == NULL || take_arguments(&core->call, arguments)) {
        gl_entrance entrance = gl_settle(thread, core);
        if (GL_LIKELY(entrance != GL_ENTRANCE_REFUSED)) {
            thread->unused = core->run;
            core->run = run; /* visible to the garbage collector while it runs */
            return entrance;
        }
        /* No Python code here: the caller still has what the arguments were. */
        gl_drop_arguments(&core->call);
        gl_stay(thread->current->pimpl);
        PyErr_SetString(PyExc_MemoryError, "no memory for the C stack of another greenlet");
    }
    Py_DECREF(run);
    return GL_ENTRANCE_REFUSED;
}

/* Makes the thread state that of `target`, which is about to run for the first time. */
static inline void
begin(gl_thread *thread, PyThreadState *tstate, PyGreenlet *target)
{
    gl_core *core = target->pimpl;
    core->status = GL_RUNNING;
    core->thread = thread;
    gl_thread_retain(thread);
    gl_pystate_begin(tstate, &core->base, core->lane, core->chunk, gl_chunk_size(core));
    load_context(core, tstate);
}

/* Starts the current greenlet on its lane. A gl_context_entry that runs on the scratch stack: the
 * origin stood on the very lane and has to leave it first. */
static void *
start_on_scratch(void *argument)
{
    gl_thread *thread = argument;
    gl_move_in(thread);
    gl_core *core = thread->current->pimpl;
    core->lane->occupant = core;
    gl_context_start_for_good(gl_lane_top(core->lane), run_greenlet, thread);
}

/* Starts a greenlet that has been prepared. Takes the reference to `target`. */
static PyObject *
start(gl_thread *thread, PyThreadState *tstate, PyGreenlet *target, gl_entrance entrance,
      const gl_arguments *operands)
{
    gl_suspension here;
    gl_core *from = thread->current->pimpl;
    gl_lane *lane = target->pimpl->lane;
    depart(thread, tstate, &here, operands);
    hand_over(thread, target, NULL);
    begin(thread, tstate, target);
    if (entrance == GL_ENTRANCE_BY_SCRATCH) {
        gl_context_start(&from->sp, gl_scratch_top(thread), start_on_scratch, thread);
    }
    else {
        lane->occupant = target->pimpl;
        gl_context_start(&from->sp, gl_lane_top(lane), run_greenlet, thread);
    }
    return arrive(thread, tstate, &here);
}

/* ---- Death ----------------------------------------------------------------------------------- */

/* The last that a greenlet does before another one continues on another stack. It has given up its
 * lane while it still runs on it: nobody can be bound to it before it has been left. */
static void
depart_for_good(gl_thread *thread, PyThreadState *tstate)
{
    gl_core *core = thread->current->pimpl;
    store_context(core, tstate);
    core->status = GL_DEAD;
    gl_leave(core);
}

/* Drops a reference without running Python code now. */
static void
drop_quietly(gl_thread *thread, PyGreenlet *greenlet)
{
    if (Py_REFCNT(greenlet) == 1) {
        gl_thread_defer(thread, greenlet);
    }
    Py_DECREF(greenlet);
}

/* choose() for who has killed the current greenlet: gets back even if it is dead by now, and looks
 * for its own heir. */
static gl_choice
choose_killer(gl_thread *thread, PyGreenlet *killer, PyGreenlet **target, PyObject **run)
{
    if (killer->pimpl->is_ending && gl_is_suspended(killer->pimpl) &&
        killer->pimpl->thread == thread) {
        *target = (PyGreenlet *)gl_new_ref((PyObject *)killer);
        return GL_RESUME;
    }
    return choose(thread, killer, target, run);
}

/* What a greenlet that was killed while it looked for its heir leaves to its killer. Takes what was
 * chosen. New reference; NULL with an exception. */
static PyObject *
unwound(gl_choice choice, PyGreenlet *target, PyObject *run)
{
    if (choice == GL_NOTHING) {
        return PyErr_ExceptionMatches(gl_module.greenlet_exit) ? gl_error_take_value() : NULL;
    }
    if (choice == GL_START) {
        Py_DECREF(run);
    }
    Py_DECREF(target);
    return Py_NewRef(Py_None);
}

/* The end of the current greenlet: sends `result` (taken), or the pending exception if it is NULL,
 * to the parent. Returns the stack pointer of the greenlet that continues. If an ancestor cannot be
 * switched to, the error goes on to the next one. */
static void *
finish(gl_thread *thread, PyObject *result)
{
    /* What a collection in this greenlet could not kill at once is killed before it ends. */
    gl_thread_drain_deferred(thread);
    PyThreadState *tstate = thread->tstate;
    gl_core *core = thread->current->pimpl;

    if (result == NULL && PyErr_ExceptionMatches(gl_module.greenlet_exit)) {
        result = gl_error_take_value();
    }
    PyGreenlet *parent = core->parent;
    if (GL_LIKELY(result != NULL && parent != NULL && parent->pimpl->status == GL_SUSPENDED &&
                  parent->pimpl->thread == thread)) {
        gl_new_ref((PyObject *)parent);
        depart_for_good(thread, tstate);
        hand_over(thread, parent, result);
        return parent->pimpl->sp;
    }
    core->is_ending = true;
    bool is_killed = core->is_killed;
    PyGreenlet *heir = (PyGreenlet *)Py_NewRef(parent != NULL ? parent : thread->main);
    for (;;) {
        PyGreenlet *target;
        PyObject *run;
        core->is_killed = false;
        gl_choice choice = is_killed ? choose_killer(thread, heir, &target, &run)
                                     : choose(thread, heir, &target, &run);
        is_killed = core->is_killed;
        if (GL_UNLIKELY(is_killed)) {
            /* Looking up `run` had switched away, and was unwound. */
            Py_XSETREF(result, unwound(choice, target, run));
            Py_SETREF(heir, (PyGreenlet *)Py_NewRef(core->parent));
            continue;
        }
        core->status = GL_DEAD; /* does not need its stack any more */
        if (choice == GL_RESUME) {
            gl_entrance entrance = target->pimpl->status == GL_EVICTED
                                       ? gl_bring_in(thread, target->pimpl)
                                       : GL_ENTRANCE_FREE;
            if (entrance != GL_ENTRANCE_REFUSED) {
                drop_quietly(thread, heir);
                depart_for_good(thread, tstate);
                hand_over(thread, target, result);
                if (entrance == GL_ENTRANCE_FREE) {
                    return target->pimpl->sp;
                }
                /* Its stack belongs where we still stand. */
                gl_context_start_for_good(gl_scratch_top(thread), move_in_on_scratch, thread);
            }
            gl_error refusal;
            gl_error_fetch(&refusal);
            Py_DECREF(target);
            gl_error_restore(&refusal);
        }
        const gl_arguments arguments = {.args = &result, .nargs = 1};
        if (choice == GL_START) {
            /* That the target may be bound to the lane we stand on does no harm: nothing of ours
             * is read any more once it starts. */
            if (prepare(thread, target, run, result != NULL ? &arguments : NULL) !=
                GL_ENTRANCE_REFUSED) {
                Py_XDECREF(result); /* the arguments have a reference of their own */
                drop_quietly(thread, heir);
                depart_for_good(thread, tstate);
                hand_over(thread, target, NULL);
                begin(thread, tstate, target);
                gl_lane *lane = target->pimpl->lane;
                lane->occupant = target->pimpl;
                gl_context_start_for_good(gl_lane_top(lane), run_greenlet, thread);
            }
            Py_DECREF(target);
        }
        Py_CLEAR(result); /* refused: the status says again that it runs */
        /* The end of the chain may be the root of another thread, if an ancestor that had not
         * started was moved there. Our own root is suspended, and can always continue. */
        PyGreenlet *next = heir->pimpl->parent != NULL ? heir->pimpl->parent : thread->main;
        Py_INCREF(next);
        Py_DECREF(heir);
        heir = next;
    }
}

/* ---- The ways in ----------------------------------------------------------------------------- */

/* The value that a suspended switch() returns for these arguments. */
static PyObject *
pack(const gl_arguments *arguments)
{
    Py_ssize_t nargs = arguments->nargs;
    PyObject *kwnames = arguments->kwnames;
    PyObject *const *args = arguments->args;
    if (kwnames == NULL && nargs == 1) {
        return Py_NewRef(args[0]);
    }
    PyObject *positional = Py_NewRef(gl_module.empty_tuple);
    if (nargs > 0) {
        Py_SETREF(positional, PyTuple_New(nargs));
        if (positional == NULL) {
            return NULL;
        }
        for (Py_ssize_t i = 0; i < nargs; i++) {
            PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
        }
    }
    if (kwnames == NULL) {
        return positional;
    }
    PyObject *named = PyDict_New();
    for (Py_ssize_t i = 0; named != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (PyDict_SetItem(named, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0) {
            Py_CLEAR(named);
        }
    }
    PyObject *value = named;
    if (named != NULL && nargs > 0) {
        value = PyTuple_Pack(2, positional, named);
        Py_DECREF(named);
    }
    Py_DECREF(positional);
    return value;
}

/* Switches to `greenlet`, or to whoever runs in its place, with these arguments, or with the
 * pending exception if they are NULL. `operands` are those of the call that led here, or NULL. */
static PyObject *
deliver(PyGreenlet *greenlet, const gl_arguments *arguments, const gl_arguments *operands)
{
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    gl_thread_drain_deferred(thread);
    PyThreadState *tstate = thread->tstate;
    PyObject *value = NULL;
    for (;;) {
        PyGreenlet *target;
        PyObject *run;
        gl_choice choice = choose(thread, greenlet, &target, &run);
        if (choice == GL_NOTHING) {
            Py_XDECREF(value);
            return NULL;
        }
        if (choice == GL_START) {
            Py_XDECREF(value);
            gl_entrance entrance = prepare(thread, target, run, arguments);
            if (entrance == GL_ENTRANCE_REFUSED) {
                Py_DECREF(target);
                return NULL;
            }
            return start(thread, tstate, target, entrance, operands);
        }
        if (arguments != NULL && value == NULL) {
            /* Packing may run Python code: decide again after it. */
            Py_DECREF(target);
            value = pack(arguments);
            if (value == NULL) {
                return NULL;
            }
            continue;
        }
        if (target == thread->current) {
            Py_DECREF(target);
            return thread->tracer == NULL ? value
                                          : gl_trace(thread, thread->current, target, value);
        }
        return resume_any(thread, tstate, target, value, operands);
    }
}

PyObject *
gl_switch(PyGreenlet *greenlet, const gl_arguments *arguments)
{
    /* The common case, in as few steps as possible: no argument or one, sent to a suspended
     * greenlet of this thread. */
    gl_core *core = greenlet->pimpl;
    if (GL_LIKELY(gl_can_continue(core) && arguments->nargs <= 1 && arguments->kwnames == NULL)) {
        gl_thread *thread = core->thread;
        PyThreadState *tstate = gl_tstate_get();
        if (GL_LIKELY(gl_is_thread_of(thread, tstate) && thread->deferred == NULL)) {
            PyObject *value = arguments->nargs ? arguments->args[0] : gl_module.empty_tuple;
            gl_new_ref((PyObject *)greenlet);
            gl_new_ref(value);
            return resume_any(thread, tstate, greenlet, value, arguments);
        }
    }
    return deliver(greenlet, arguments, arguments);
}

/* Raises what throw() was given, by the rules of the `raise` statement. Always returns with an
 * exception; true if it is the one asked for. */
static bool
raise_thrown(PyObject *type, PyObject *value, PyObject *traceback)
{
    if (traceback == Py_None) {
        traceback = NULL;
    }
    if (traceback != NULL && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
        return false;
    }
    if (PyExceptionClass_Check(type)) {
        Py_INCREF(type);
        Py_XINCREF(value);
        Py_XINCREF(traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        PyErr_Restore(type, value, traceback);
        return true;
    }
    if (!PyExceptionInstance_Check(type)) {
        PyErr_Format(PyExc_TypeError, "exceptions must be classes, or instances, not %s",
                     Py_TYPE(type)->tp_name);
        return false;
    }
    if (value != NULL && value != Py_None) {
        PyErr_SetString(PyExc_TypeError, "instance exception may not have a separate value");
        return false;
    }
    PyErr_Restore(Py_NewRef(PyExceptionInstance_Class(type)), Py_NewRef(type),
                  Py_XNewRef(traceback));
    return true;
}

PyObject *
gl_throw(PyGreenlet *greenlet, PyObject *type, PyObject *value, PyObject *traceback,
         const gl_arguments *operands)
{
    if (!raise_thrown(type, value, traceback)) {
        return NULL;
    }
    if (!gl_is_over(greenlet->pimpl) || !PyErr_ExceptionMatches(gl_module.greenlet_exit)) {
        return deliver(greenlet, NULL, operands);
    }
    /* GreenletExit thrown into a dead greenlet is what that greenlet returns to its parent. */
    PyObject *exit = gl_error_take_value();
    PyObject *result = deliver(greenlet, &(gl_arguments){.args = &exit, .nargs = 1}, operands);
    Py_DECREF(exit);
    return result;
}

bool
gl_kill(PyGreenlet *greenlet)
{
    gl_core *core = greenlet->pimpl;
    gl_thread *thread = core->thread;
    PyObject *exit = PyObject_CallFunction(
        gl_module.greenlet_exit, "s", "Killing the greenlet because all references have vanished.");
    if (exit == NULL) {
        if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
            PyErr_Clear();
            return false;
        }
        PyErr_WriteUnraisable((PyObject *)greenlet);
        return true;
    }
    if (!gl_is_suspended(core)) {
        Py_DECREF(exit); /* making the exception ran Python code, which ended the greenlet */
        return true;
    }
    gl_entrance entrance =
        core->status == GL_EVICTED ? gl_bring_in(thread, core) : GL_ENTRANCE_FREE;
    if (entrance == GL_ENTRANCE_REFUSED) {
        PyErr_Clear(); /* the next one to be killed is not to meet it */
        Py_DECREF(exit);
        return false;
    }
    PyGreenlet *parent = core->parent;
    core->parent = (PyGreenlet *)Py_NewRef((PyObject *)thread->current);
    core->is_killed = true;
    gl_error_raise(exit);
    Py_INCREF(greenlet);
    PyObject *result = entrance == GL_ENTRANCE_FREE
                           ? resume(thread, thread->tstate, greenlet, NULL, NULL)
                           : resume_by_scratch(thread, thread->tstate, greenlet, NULL, NULL);

    /* Restore the parent, unless it has become a descendant meanwhile. That comes first: dropping
     * the result may switch away for good, and a reference to the current greenlet, from its own
     * stack, would keep it alive. */
    PyGreenlet *unused = core->parent;
    core->parent = parent;
    core->is_killed = false;
    for (const PyGreenlet *p = parent; p != NULL; p = p->pimpl->parent) {
        if (p == greenlet) {
            core->parent = unused;
            unused = parent;
            break;
        }
    }
    Py_XDECREF(unused);
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)greenlet);
    }
    Py_XDECREF(result);
    return true;
}
