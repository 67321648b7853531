/* The type `greenlet`: construction, attributes, collection, deallocation.
 *
 * Suspended greenlets and the garbage collector. A suspended greenlet owns a C stack and frames of
 * Python. What the frames own is visited (gl_pystate_visit), and so are parent, run, arguments,
 * context, the outermost exception and __dict__. What C functions on the stack own can't be seen:
 * it shows up as references from outside, and what they lead to is never taken for garbage. The
 * collector calls the finalizer before it clears anything, and the finalizer raises GreenletExit in
 * the greenlet, whose frames then unwind in good order. A greenlet that survives that is not asked
 * twice: its frames are in use, and the collector is not shown them any more.
 *
 * If the thread of a suspended greenlet has exited nothing can run it. It is *abandoned*: what its
 * frames own is dropped, without running it.
 */
#include "greenlet.h"

#include <stddef.h>

/* ---- Construction ---------------------------------------------------------------------------- */

/* An object of the exact type and its core, in one piece of memory. Objects of subclasses, whose
 * size is theirs to choose, have their core elsewhere. */
typedef struct {
    PyGreenlet object;
    gl_core core;
} gl_compact;

static bool
is_compact(const PyGreenlet *self)
{
    return self->pimpl == &((gl_compact *)self)->core;
}

/* A new object of the exact type with a blank core: a spare one of `thread`, if there is any. */
static PyGreenlet *
allocate_exact(gl_thread *thread)
{
    PyGreenlet *self;
    if (GL_LIKELY(thread->spare_count > 0)) {
        self = thread->spare[--thread->spare_count];
        _Py_NewReference((PyObject *)self);
    }
    else {
        self = (PyGreenlet *)gl_object_new(&PyGreenlet_Type, sizeof(gl_compact));
        if (self == NULL) {
            return NULL;
        }
        self->pimpl = &((gl_compact *)self)->core;
    }
    PyObject_GC_Track(self);
    return self;
}

static PyGreenlet *
allocate(PyTypeObject *type, gl_thread *thread)
{
    if (type == &PyGreenlet_Type) {
        return allocate_exact(thread);
    }
    /* The core first: an object without one must not reach its class's __del__. */
    gl_core *core = PyMem_Calloc(1, sizeof *core);
    if (core == NULL) {
        return (PyGreenlet *)PyErr_NoMemory();
    }
    /* By way of object.__new__, which refuses abstract classes. */
    PyGreenlet *self = (PyGreenlet *)PyBaseObject_Type.tp_new(type, gl_module.empty_tuple, NULL);
    if (self == NULL) {
        PyMem_Free(core);
        return NULL;
    }
    self->pimpl = core;
    return self;
}

PyGreenlet *
gl_new_main(gl_thread *thread)
{
    PyGreenlet *self = allocate_exact(thread);
    if (self == NULL) {
        return NULL;
    }
    self->pimpl->status = GL_RUNNING;
    self->pimpl->is_main = true;
    self->pimpl->thread = thread;
    gl_thread_retain(thread);
    return self;
}

static PyObject *
green_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    gl_thread_drain_deferred(thread);
    PyGreenlet *self = allocate(type, thread);
    if (self != NULL) {
        self->pimpl->parent = (PyGreenlet *)gl_new_ref((PyObject *)thread->current);
        if (GL_UNLIKELY(thread->tracer != NULL)) {
            gl_record_birth(self, thread->current);
        }
    }
    return (PyObject *)self;
}

static int
set_run(PyGreenlet *self, PyObject *run)
{
    gl_core *core = self->pimpl;
    if (core->is_main) {
        PyErr_SetString(PyExc_AttributeError, "Main greenlets do not have a run attribute.");
        return -1;
    }
    if (core->status != GL_NEW) {
        PyErr_SetString(PyExc_AttributeError, "run cannot be set after the start of the greenlet");
        return -1;
    }
    Py_XSETREF(core->run, run != NULL ? gl_new_ref(run) : NULL);
    return 0;
}

int
gl_set_parent(PyGreenlet *self, PyObject *parent)
{
    if (parent == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete attribute");
        return -1;
    }
    gl_core *core = self->pimpl;
    if (core->is_main) {
        PyErr_SetString(PyExc_AttributeError, "cannot set the parent of a main greenlet");
        return -1;
    }
    if (!PyGreenlet_Check(parent)) {
        PyErr_Format(PyExc_TypeError, "GreenletChecker: Expected any type of greenlet, not %s",
                     Py_TYPE(parent)->tp_name);
        return -1;
    }
    PyGreenlet *root = NULL;
    for (PyGreenlet *p = (PyGreenlet *)parent; p != NULL; p = p->pimpl->parent) {
        if (p == self) {
            PyErr_SetString(PyExc_ValueError, "cyclic parent chain");
            return -1;
        }
        root = p;
    }
    if (root->pimpl->thread == NULL) {
        PyErr_SetString(PyExc_ValueError, "parent must not be garbage collected");
        return -1;
    }
    if (core->thread != NULL && core->thread != root->pimpl->thread) {
        PyErr_SetString(PyExc_ValueError, "parent cannot be on a different thread");
        return -1;
    }
    PyGreenlet *previous = core->parent;
    core->parent = (PyGreenlet *)Py_NewRef(parent);
    if (GL_UNLIKELY(core->serial != 0)) {
        gl_record_adoption(self);
    }
    Py_XDECREF(previous);
    return 0;
}

static int
initialise(PyGreenlet *self, PyObject *run, PyObject *parent)
{
    if (run != NULL && set_run(self, run) < 0) {
        return -1;
    }
    if (parent != NULL && parent != Py_None) {
        return gl_set_parent(self, parent);
    }
    return 0;
}

static int
green_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"run", "parent", NULL};
    PyObject *run = NULL;
    PyObject *parent = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:greenlet", names, &run, &parent)) {
        return -1;
    }
    return initialise((PyGreenlet *)self, run, parent);
}

PyGreenlet *
gl_new(PyObject *run, PyObject *parent)
{
    PyGreenlet *self = (PyGreenlet *)green_new(&PyGreenlet_Type, NULL, NULL);
    if (self != NULL && initialise(self, run, parent) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

/* greenlet(...) without building a tuple; subclasses do not come here. */
static PyObject *
green_vectorcall(PyObject *type, PyObject *const *args, size_t flags, PyObject *kwnames)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(flags);
    if (GL_LIKELY(kwnames == NULL && nargs <= 2)) {
        PyObject *run = nargs > 0 ? args[0] : NULL;
        PyObject *parent = nargs > 1 ? args[1] : NULL;
        return (PyObject *)gl_new(run, parent);
    }
    PyObject *result = NULL;
    PyObject *named = PyDict_New();
    PyObject *positional = PyTuple_New(nargs);
    if (named == NULL || positional == NULL) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    }
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (PyDict_SetItem(named, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0) {
            goto done;
        }
    }
    result = PyType_Type.tp_call(type, positional, named);
done:
    Py_XDECREF(positional);
    Py_XDECREF(named);
    return result;
}

/* ---- Garbage collection and deallocation ----------------------------------------------------- */

/* Can GreenletExit be raised in this greenlet: is it suspended, and can Python code still run? */
static bool
is_killable(const gl_core *core)
{
    return core != NULL && gl_is_suspended(core) && !core->is_main &&
           core->thread->tstate != NULL && !gl_is_finalizing();
}

/* May the collector know what the frames of this suspended greenlet refer to? Only while it does no
 * more than finalize the greenlet, which then unwinds its frames: it does so once. Later it would
 * clear what the frames still use. */
static bool
may_visit_frames(PyObject *self)
{
    const gl_core *core = ((PyGreenlet *)self)->pimpl;
    return (gl_is_abandoned(core) || !PyObject_GC_IsFinalized(self)) && !gl_is_finalizing();
}

static int
green_traverse(PyObject *object, visitproc visit, void *arg)
{
    PyGreenlet *self = (PyGreenlet *)object;
    gl_core *core = self->pimpl;
    Py_VISIT(self->dict);
    if (core == NULL) {
        return 0;
    }
    Py_VISIT(core->parent);
    if (gl_is_suspended(core) && !core->is_main) {
        /* What it runs with is in use as what its frames refer to: the collector would clear its
         * very context. */
        if (!may_visit_frames(object)) {
            return 0;
        }
        int stop = gl_visit_frames(core, visit, arg);
        if (stop != 0) {
            return stop;
        }
    }
    Py_VISIT(core->run);
    Py_VISIT(core->context);
    Py_VISIT(core->call.kwnames);
    for (Py_ssize_t i = 0; core->call.args != NULL && i < core->call.total; i++) {
        Py_VISIT(core->call.args[i]);
    }
    return gl_pybase_visit(&core->base, visit, arg);
}

static void
drop_references(PyGreenlet *self)
{
    gl_core *core = self->pimpl;
    Py_CLEAR(self->dict);
    if (core != NULL) {
        Py_CLEAR(core->parent);
        Py_CLEAR(core->run);
        Py_CLEAR(core->context);
        if (core->call.args != NULL) {
            gl_drop_arguments(&core->call);
        }
        gl_pybase_clear(&core->base);
    }
}

static int
green_clear(PyObject *object)
{
    PyGreenlet *self = (PyGreenlet *)object;
    gl_core *core = self->pimpl;
    if (core != NULL && gl_is_suspended(core) && gl_is_abandoned(core)) {
        gl_abandon(self);
    }
    if (core != NULL && !core->is_main && (gl_is_suspended(core) || core->status == GL_RUNNING)) {
        /* It survived its finalizer: what it refers to is in use, or will be when it is
         * deallocated for want of references. */
        return 0;
    }
    drop_references(self);
    return 0;
}

/* Says that a greenlet could not be killed. `self` is kept alive for ever: its stack is in use. */
static void
complain(PyObject *self)
{
    Py_INCREF(self);
    PyObject *file = PySys_GetObject("stderr"); /* borrowed */
    if (file == NULL || file == Py_None) {
        return;
    }
    Py_INCREF(file);
    if (PyFile_WriteString("GreenletExit did not kill ", file) < 0 ||
        PyFile_WriteObject(self, file, 0) < 0 || PyFile_WriteString("\n", file) < 0) {
        PyErr_Clear();
    }
    Py_DECREF(file);
}

/* Would what runs now be moved if somebody else needed its lane? The collector must not be: it has
 * the heads of its lists on the stack, and objects that are deallocated meanwhile write there. So
 * what it would kill waits for it to end. (It may be another thread's collection: to wait does no
 * harm.) */
static bool
is_movable(const gl_thread *thread)
{
    const gl_lane *lane = thread->current->pimpl->lane;
    return lane != NULL && lane->is_shared;
}

/* What is to be done when a greenlet is garbage, or its last reference has gone. */
static void
finalize(PyObject *object)
{
    PyGreenlet *self = (PyGreenlet *)object;
    gl_core *core = self->pimpl;
    if (!is_killable(core)) {
        return;
    }
    gl_error pending;
    gl_error_fetch(&pending);
    const PyThreadState *tstate = gl_tstate_get();
    if (!gl_is_thread_of(core->thread, tstate) ||
        (is_movable(core->thread) && gl_is_collecting(tstate)) || !gl_kill(self)) {
        gl_thread_defer(core->thread, self);
    }
    else if (gl_is_suspended(core) && Py_REFCNT(self) == 1) {
        complain(object);
    }
    gl_error_restore(&pending);
}

/* Does the current greenlet descend from this one? */
static bool
is_awaited(const PyGreenlet *self)
{
    const gl_thread *thread = self->pimpl->thread;
    const PyGreenlet *each = thread != NULL ? thread->current : NULL;
    while (each != NULL && each != self) {
        each = each->pimpl->parent;
    }
    return each != NULL;
}

/* tp_finalize: called by the collector, when a subclass is deallocated, and by who calls __del__().
 * Only the last can mean an ancestor of the current greenlet, which must not become its child. */
static void
green_finalize(PyObject *object)
{
    PyGreenlet *self = (PyGreenlet *)object;
    gl_core *core = self->pimpl;
    if (core == NULL ||
        (Py_REFCNT(self) > 1 && !gl_is_collecting(gl_tstate_get()) && is_awaited(self))) {
        return;
    }
    core->was_finalized = true;
    finalize(object);
}

/* Finalizes an object whose reference count has reached zero. True if it lives on. */
static bool
finalize_from_dealloc(PyObject *self)
{
    Py_SET_REFCNT(self, 1);
    finalize(self);
    Py_ssize_t references = Py_REFCNT(self) - 1;
    if (references == 0) {
        Py_SET_REFCNT(self, 0);
        return false;
    }
    gl_resurrect(self, references);
    if (PyType_HasFeature(Py_TYPE(self), Py_TPFLAGS_HEAPTYPE)) {
        /* The deallocator of heap types, which called us, drops its object's reference to the
         * type when we return. */
        Py_INCREF(Py_TYPE(self));
    }
    return true;
}

/* Keeps a blank object for the next greenlet() of a thread: mostly this one, but any will do. */
static bool
save_spare(PyGreenlet *self)
{
    gl_thread *thread = gl_thread_hint;
    if (!is_compact(self) || self->pimpl->was_finalized || thread == NULL || thread->id == 0 ||
        thread->spare_count == Py_ARRAY_LENGTH(thread->spare)) {
        return false;
    }
    thread->spare[thread->spare_count++] = self;
    return true;
}

static void
free_greenlet(PyGreenlet *self)
{
    if (!is_compact(self)) {
        PyMem_Free(self->pimpl);
    }
    self->pimpl = NULL;
    Py_TYPE(self)->tp_free((PyObject *)self);
}

void
gl_free_spare(gl_thread *thread)
{
    while (thread->spare_count > 0) {
        free_greenlet(thread->spare[--thread->spare_count]);
    }
}

static bool
is_last_reference(PyObject *object)
{
    return object != NULL && Py_REFCNT(object) == 1;
}

/* Will dropping what this greenlet refers to deallocate something else, or run Python code? */
static bool
drops_others(const PyGreenlet *self)
{
    const gl_core *core = self->pimpl;
    return self->dict != NULL || self->weakreflist != NULL || core == NULL ||
           core->context != NULL || is_last_reference(core->run) ||
           is_last_reference((PyObject *)core->parent);
}

static void
dispose_of(PyGreenlet *self)
{
    gl_core *core = self->pimpl;
    if (self->weakreflist != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    if (GL_UNLIKELY(core != NULL && core->serial != 0)) {
        if (core->status == GL_NEW) {
            gl_record_end(core);
        }
        gl_record_release(self);
    }
    drop_references(self);
    if (core != NULL && core->thread != NULL) {
        /* It has been started, and has ended. */
        gl_thread_release(core->thread);
        core->thread = NULL;
        core->status = GL_NEW;
        core->is_ending = false;
        core->is_killed = false;
        core->is_main = false;
    }
    if (core == NULL || !save_spare(self)) {
        free_greenlet(self);
    }
}

static void
green_dealloc(PyObject *object)
{
    PyGreenlet *self = (PyGreenlet *)object;
    gl_core *core = self->pimpl;
    if (core != NULL && gl_is_suspended(core) && !core->is_main) {
        if (finalize_from_dealloc(object)) {
            return;
        }
    }
    PyObject_GC_UnTrack(self);
    if (core != NULL && gl_is_suspended(core) && !core->is_main) {
        gl_abandon(self);
    }
    if (GL_LIKELY(!drops_others(self))) {
        dispose_of(self);
        return;
    }
    Py_TRASHCAN_BEGIN(self, green_dealloc);
    dispose_of(self);
    Py_TRASHCAN_END;
}

/* ---- Methods --------------------------------------------------------------------------------- */

PyDoc_STRVAR(switch_doc,
             "switch(*args, **kwargs)\n--\n\n"
             "Switch to this greenlet and return what the caller is later switched back with.\n\n"
             "If the greenlet was not started, it starts as run(*args, **kwargs). If it is\n"
             "suspended, its own switch() returns the arguments: one positional argument as it\n"
             "is, none as (), several as a tuple, keywords as a dict, both as (tuple, dict). If\n"
             "it is dead, its parent is switched to instead.\n\n"
             "Raises greenlet.error if the greenlet belongs to another thread.");

static PyObject *
green_switch(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    /* Mostly the core lies behind the object: ask for it before the pointer to it has been read. */
    __builtin_prefetch(&((gl_compact *)self)->core.suspension);
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) == 0) {
        kwnames = NULL;
    }
    return gl_switch((PyGreenlet *)self,
                     &(gl_arguments){.args = args, .nargs = nargs, .kwnames = kwnames});
}

PyDoc_STRVAR(throw_doc,
             "throw(type=GreenletExit, value=None, traceback=None, /)\n--\n\n"
             "Switch to this greenlet and raise an exception there.\n\n"
             "The arguments are those of the raise statement: an exception class with an\n"
             "optional value, or an exception. A greenlet that was not started dies of it\n"
             "without running. If the greenlet is dead, the exception is raised in its parent;\n"
             "GreenletExit is returned there instead.\n\n"
             "Raises greenlet.error if the greenlet belongs to another thread.");

static PyObject *
green_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs > 3) {
        PyErr_Format(PyExc_TypeError, "throw expected at most 3 arguments, got %zd", nargs);
        return NULL;
    }
    return gl_throw((PyGreenlet *)self, nargs > 0 ? args[0] : gl_module.greenlet_exit,
                    nargs > 1 ? args[1] : NULL, nargs > 2 ? args[2] : NULL,
                    &(gl_arguments){.args = args, .nargs = nargs});
}

static bool
is_method(PyCFunction function)
{
    return function == (PyCFunction)(void (*)(void))green_switch ||
           function == (PyCFunction)(void (*)(void))green_throw;
}

Py_ssize_t
gl_unbound_operands(PyObject *callee)
{
    if (PyCFunction_Check(callee)) {
        return is_method(PyCFunction_GET_FUNCTION(callee)) ? 0 : -1;
    }
    if (Py_IS_TYPE(callee, &PyMethodDescr_Type)) {
        return is_method(((PyMethodDescrObject *)callee)->d_method->ml_meth) ? 1 : -1;
    }
    return -1;
}

static PyObject *
green_getstate(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return PyErr_Format(PyExc_TypeError, "cannot serialize '%s' object", Py_TYPE(self)->tp_name);
}

static PyMethodDef green_methods[] = {
    {"switch", (PyCFunction)(void (*)(void))green_switch, METH_FASTCALL | METH_KEYWORDS,
     switch_doc},
    {"throw", (PyCFunction)(void (*)(void))green_throw, METH_FASTCALL, throw_doc},
    {"__getstate__", green_getstate, METH_NOARGS, PyDoc_STR("Greenlets cannot be pickled.")},
    {NULL, NULL, 0, NULL},
};

/* ---- Attributes ------------------------------------------------------------------------------ */

/* Asking for the state of a greenlet whose thread has exited settles it: there is nothing that
 * could run it, so its stack is given back and its frame is gone. */
static bool
is_dead(PyGreenlet *self)
{
    const gl_core *core = self->pimpl;
    if (core->thread != NULL) {
        gl_thread_refresh(core->thread);
    }
    if (gl_is_suspended(core) && core->lane != NULL && gl_is_abandoned(core)) {
        gl_abandon(self);
    }
    return core->status != GL_NEW && !gl_is_active(core);
}

static int
green_bool(PyObject *self)
{
    PyGreenlet *greenlet = (PyGreenlet *)self;
    return !is_dead(greenlet) && greenlet->pimpl->status != GL_NEW;
}

static PyObject *
get_dead(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(is_dead((PyGreenlet *)self));
}

static PyObject *
get_run(PyObject *self, void *closure)
{
    (void)closure;
    const gl_core *core = ((PyGreenlet *)self)->pimpl;
    if (core->is_main) {
        PyErr_SetString(PyExc_AttributeError, "Main greenlets do not have a run attribute.");
        return NULL;
    }
    if (core->status != GL_NEW || core->run == NULL) {
        PyErr_SetString(PyExc_AttributeError, "run");
        return NULL;
    }
    return Py_NewRef(core->run);
}

static int
set_run_attribute(PyObject *self, PyObject *run, void *closure)
{
    (void)closure;
    return set_run((PyGreenlet *)self, run);
}

static PyObject *
get_parent(PyObject *self, void *closure)
{
    (void)closure;
    PyGreenlet *parent = ((PyGreenlet *)self)->pimpl->parent;
    return Py_NewRef(parent != NULL ? (PyObject *)parent : Py_None);
}

static int
set_parent_attribute(PyObject *self, PyObject *parent, void *closure)
{
    (void)closure;
    return gl_set_parent((PyGreenlet *)self, parent);
}

/* Where the context of a greenlet is: in the thread state if it is running in this thread, else in
 * the greenlet. NULL with ValueError if it is running in another thread. */
static PyObject **
locate_context(gl_core *core, PyThreadState *tstate, const char *verb)
{
    if (core->status != GL_RUNNING || core->thread->tstate == NULL) {
        return &core->context;
    }
    if (gl_is_thread_of(core->thread, tstate)) {
        return &tstate->context;
    }
    PyErr_Format(PyExc_ValueError,
                 "cannot %s context of a greenlet that is running in a different thread", verb);
    return NULL;
}

static PyObject *
get_context(PyObject *self, void *closure)
{
    (void)closure;
    PyObject **place = locate_context(((PyGreenlet *)self)->pimpl, gl_tstate_get(), "get");
    if (place == NULL) {
        return NULL;
    }
    return Py_NewRef(*place != NULL ? *place : Py_None);
}

static int
set_context(PyObject *self, PyObject *context, void *closure)
{
    (void)closure;
    if (context == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete context attribute");
        return -1;
    }
    if (context == Py_None) {
        context = NULL; /* no context yet is the same as an empty one */
    }
    else if (!PyContext_CheckExact(context)) {
        PyErr_SetString(PyExc_TypeError, "greenlet context must be a contextvars.Context or None");
        return -1;
    }
    PyThreadState *tstate = gl_tstate_get();
    PyObject **place = locate_context(((PyGreenlet *)self)->pimpl, tstate, "set");
    if (place == NULL) {
        return -1;
    }
    PyObject *previous = *place;
    *place = Py_XNewRef(context);
    if (place == &tstate->context) {
        tstate->context_ver++;
    }
    Py_XDECREF(previous);
    return 0;
}

static PyObject *
get_frame(PyObject *self, void *closure)
{
    (void)closure;
    const gl_core *core = ((PyGreenlet *)self)->pimpl;
    PyObject *frame = NULL;
    if (gl_is_suspended(core)) {
        frame = (PyObject *)gl_suspended_frame(core);
    }
    return frame != NULL ? frame : Py_NewRef(Py_None);
}

static PyObject *
get_stack_saved(PyObject *self, void *closure)
{
    (void)closure;
    const gl_core *core = ((PyGreenlet *)self)->pimpl;
    size_t bytes = 0;
    if (gl_is_suspended(core) && !gl_is_abandoned(core)) {
        /* How deep a thread's own stack is, is not known: at least the suspension itself. */
        bytes = core->is_main ? sizeof *core->suspension : gl_suspended_size(core);
    }
    return PyLong_FromSize_t(bytes);
}

static PyObject *
get_dict(PyObject *object, void *closure)
{
    (void)closure;
    PyGreenlet *self = (PyGreenlet *)object;
    if (self->dict == NULL) {
        self->dict = PyDict_New();
    }
    return Py_XNewRef(self->dict);
}

static int
set_dict(PyObject *object, PyObject *value, void *closure)
{
    (void)closure;
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, value == NULL ? "__dict__ may not be deleted"
                                                       : "__dict__ must be a dictionary");
        return -1;
    }
    PyGreenlet *self = (PyGreenlet *)object;
    Py_XSETREF(self->dict, Py_NewRef(value));
    return 0;
}

static PyGetSetDef green_getset[] = {
    {"__dict__", get_dict, set_dict, NULL, NULL},
    {"run", get_run, set_run_attribute,
     PyDoc_STR("What the first switch will call; gone (AttributeError) once it has."), NULL},
    {"parent", get_parent, set_parent_attribute,
     PyDoc_STR("Where control goes when this greenlet ends; None for a thread's main greenlet."),
     NULL},
    {"gr_frame", get_frame, NULL,
     PyDoc_STR("The innermost frame while the greenlet is suspended, else None."), NULL},
    {"gr_context", get_context, set_context,
     PyDoc_STR("The contextvars.Context that the greenlet runs in, or None for an empty one."),
     NULL},
    {"dead", get_dead, NULL,
     PyDoc_STR("True once the greenlet has finished, or its thread has exited."), NULL},
    {"_stack_saved", get_stack_saved, NULL,
     PyDoc_STR("Bytes of C stack that the greenlet keeps while it is suspended, else 0. For a "
               "thread's main greenlet, a lower bound."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyObject *
green_repr(PyObject *self)
{
    const gl_core *core = ((PyGreenlet *)self)->pimpl;
    const char *type_name = Py_TYPE(self)->tp_name;
    /* Tells greenlets of one thread from those of another; the address means nothing else. */
    const void *thread = core->thread;
    if (is_dead((PyGreenlet *)self)) {
        return PyUnicode_FromFormat("<%s object at %p (otid=%p) %sdead>", type_name, self, thread,
                                    gl_is_abandoned(core) ? "(thread exited) " : "");
    }
    if (core->status == GL_NEW) {
        return PyUnicode_FromFormat("<%s object at %p (otid=%p) pending>", type_name, self, thread);
    }
    bool is_current = core->status == GL_RUNNING && gl_is_thread_of(core->thread, gl_tstate_get());
    return PyUnicode_FromFormat("<%s object at %p (otid=%p) %s active started%s>", type_name, self,
                                thread, is_current ? "current" : "suspended",
                                core->is_main ? " main" : "");
}

/* ---- The type -------------------------------------------------------------------------------- */

static PyNumberMethods green_as_number = {.nb_bool = green_bool};

PyDoc_STRVAR(type_doc, "greenlet(run=None, parent=None)\n--\n\n"
                       "A flow of control of its own that runs only when it is switched to.\n\n"
                       "run is what the first switch() calls; parent is where control goes when\n"
                       "that ends, the current greenlet unless one is given.");

PyTypeObject PyGreenlet_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "greenlet.greenlet",
    .tp_basicsize = sizeof(PyGreenlet),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = type_doc,
    .tp_new = green_new,
    .tp_init = green_init,
    .tp_vectorcall = green_vectorcall,
    .tp_alloc = PyType_GenericAlloc,
    .tp_free = PyObject_GC_Del,
    .tp_traverse = green_traverse,
    .tp_clear = green_clear,
    .tp_finalize = green_finalize,
    .tp_dealloc = green_dealloc,
    .tp_repr = green_repr,
    .tp_as_number = &green_as_number,
    .tp_methods = green_methods,
    .tp_getset = green_getset,
    .tp_weaklistoffset = offsetof(PyGreenlet, weakreflist),
    .tp_dictoffset = offsetof(PyGreenlet, dict),
};
