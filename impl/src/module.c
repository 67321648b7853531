/* The module greenlane._greenlet: functions, exceptions, constants, the capsule.
 *
 * Initialisation runs no Python code and imports nothing: profilers that hook imports would see a
 * half-made module. */
#include "greenlet.h"

#include "context/abi.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

gl_module_constants gl_module;
#ifdef GL_HAVE_STACK_BOUNDS
size_t gl_stack_bounds_offset;
uintptr_t gl_stack_margin;
#endif
#ifdef GL_HAVE_BASE_FRAME
struct _PyInterpreterFrame gl_base_frame;
#endif

typedef struct {
    bool optional_cleanup;
} gl_module_state;

PyDoc_STRVAR(getcurrent_doc, "getcurrent()\n--\n\n"
                             "The greenlet that is running: the one that calls this.\n\n"
                             "Raises RuntimeError once the interpreter is finalizing.");

PyGreenlet *
gl_getcurrent(void)
{
    if (GL_UNLIKELY(gl_is_finalizing())) {
        PyErr_SetString(PyExc_RuntimeError, "greenlet is being finalized");
        return NULL;
    }
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    gl_thread_drain_deferred(thread);
    return (PyGreenlet *)Py_NewRef((PyObject *)thread->current);
}

static PyObject *
module_getcurrent(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return (PyObject *)gl_getcurrent();
}

PyDoc_STRVAR(settrace_doc,
             "settrace(callback, /)\n--\n\n"
             "Have callback(event, (origin, target)) called at each switch of this thread.\n\n"
             "event is \"switch\" or \"throw\". The call is made in the target; if it raises, the\n"
             "callback is removed and the exception raised there. None removes it. Returns the\n"
             "previous callback or None.");

static PyObject *
module_settrace(PyObject *module, PyObject *tracer)
{
    (void)module;
    gl_thread *thread = gl_thread_current();
    return thread != NULL ? gl_settrace(thread, tracer) : NULL;
}

PyDoc_STRVAR(gettrace_doc, "gettrace()\n--\n\n"
                           "The callback set with settrace() in this thread, or None.");

static PyObject *
module_gettrace(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    return Py_NewRef(thread->tracer != NULL ? thread->tracer : Py_None);
}

/* ---- Lanes; the Python side is greenlane/lanes.py -------------------------------------------- */

PyDoc_STRVAR(lane_counts_doc,
             "_lane_counts()\n--\n\n"
             "Of the calling thread: (limit, own, idle, shared, tenants of shared lanes, bytes of\n"
             "stacks on the heap).");

static PyObject *
module_lane_counts(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    const gl_lane_pool *lanes = &thread->lanes;
    Py_ssize_t shared = 0;
    Py_ssize_t tenants = 0;
    for (size_t i = 0; i < GL_SHARED_LANES; i++) {
        if (lanes->shared[i] != NULL) {
            shared++;
            tenants += lanes->shared[i]->bound;
        }
    }
    return Py_BuildValue("nnnnnn", (Py_ssize_t)lanes->limit, (Py_ssize_t)lanes->own_count,
                         (Py_ssize_t)lanes->idle_count, shared, tenants,
                         (Py_ssize_t)thread->heap_size);
}

PyDoc_STRVAR(
    lane_facts_doc,
    "_lane_facts()\n--\n\n"
    "Of the calling thread: (ABI, guards of its lanes, what lowered their limit, the limit\n"
    "asked for). The two in the middle are enumerations of lane.h; None: no such thing.");

static PyObject *
module_lane_facts(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    static const char *const guards[] = {NULL, "MADV_GUARD_INSTALL", "PROT_NONE"};
    static const char *const limits[] = {NULL, "address space", "mappings", "refusal"};
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    return Py_BuildValue("szzn", GL_ABI_NAME, guards[thread->lanes.guard],
                         limits[thread->lanes.limited_by], (Py_ssize_t)gl_module.lane_limit);
}

PyDoc_STRVAR(set_lane_limit_doc,
             "_set_lane_limit(limit, /)\n--\n\n"
             "Set how many greenlets may have a lane of their own, in this thread and in threads\n"
             "that use greenlets for the first time from now on.");

static PyObject *
module_set_lane_limit(PyObject *module, PyObject *number)
{
    (void)module;
    size_t limit = PyLong_AsSize_t(number);
    if (limit == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    gl_thread *thread = gl_thread_current();
    if (thread == NULL) {
        return NULL;
    }
    gl_module.lane_limit = limit;
    thread->lanes.limit = limit;
    thread->lanes.limited_by = GL_LIMITED_BY_NOTHING;
    Py_RETURN_NONE;
}

/* ---- The recorder; the Python side is greenlane/recording.py --------------------------------- */

PyDoc_STRVAR(
    start_recording_doc,
    "_start_recording(capacity, introduce, lives={}, /)\n--\n\n"
    "Keep the last records of all threads, anew if that is being done already.\n\n"
    "introduce(serial, greenlet, run, first argument, serial of the parent) is called for\n"
    "each greenlet once, after the first transfer from or to it. What it raises is raised\n"
    "in the program: a signal handler may have run. Serials of greenlets that are dead and\n"
    "in no record any more are deleted from lives. Threads that exist by now, other than\n"
    "the calling one, are left out.");

static PyObject *
module_start_recording(PyObject *module, PyObject *args)
{
    (void)module;
    Py_ssize_t capacity;
    PyObject *introduce;
    PyObject *lives = NULL;
    if (!PyArg_ParseTuple(args, "nO|O!:_start_recording", &capacity, &introduce, &PyDict_Type,
                          &lives)) {
        return NULL;
    }
    if (capacity <= 0) {
        PyErr_SetString(PyExc_ValueError, "capacity must be positive");
        return NULL;
    }
    if (gl_record_start((size_t)capacity, introduce, lives) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_recording_doc, "_stop_recording()\n--\n\n"
                                 "Stop, and return (records, [(code, offset of an instruction)],\n"
                                 "how many records had to make room). record.c has the format.");

static PyObject *
module_stop_recording(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return gl_record_stop();
}

PyDoc_STRVAR(serial_doc, "_serial(greenlet, /)\n--\n\n"
                         "The number of a greenlet in what is recorded.");

static PyObject *
module_serial(PyObject *module, PyObject *greenlet)
{
    (void)module;
    if (!PyGreenlet_Check(greenlet)) {
        PyErr_SetString(PyExc_TypeError, "a greenlet is needed");
        return NULL;
    }
    return PyLong_FromUnsignedLong(gl_record_serial((PyGreenlet *)greenlet));
}

PyDoc_STRVAR(survivors_doc, "_survivors()\n--\n\n"
                            "A list of all greenlets that have a number in what is recorded.");

static PyObject *
module_survivors(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return gl_record_survivors();
}

/* ---- Names that programs written for greenlet ask for ---------------------------------------- */

PyDoc_STRVAR(get_total_main_greenlets_doc,
             "get_total_main_greenlets()\n--\n\n"
             "How many main greenlets there are: one for each thread that has used greenlets.");

static PyObject *
module_get_total_main_greenlets(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromSize_t(gl_count_main_greenlets());
}

PyDoc_STRVAR(get_pending_cleanup_count_doc,
             "get_pending_cleanup_count()\n--\n\n"
             "Always 0: what belongs to a thread is cleaned up while the thread exits.");

static PyObject *
module_get_pending_cleanup_count(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(0);
}

PyDoc_STRVAR(enable_optional_cleanup_doc,
             "enable_optional_cleanup(enabled, /)\n--\n\n"
             "Does nothing but what get_clocks_used_doing_optional_cleanup() says: there is no\n"
             "optional cleanup here, so it costs no time whether enabled or not.");

static PyObject *
module_enable_optional_cleanup(PyObject *module, PyObject *enabled)
{
    int is_true = PyObject_IsTrue(enabled);
    if (is_true < 0) {
        return NULL;
    }
    ((gl_module_state *)PyModule_GetState(module))->optional_cleanup = is_true != 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_clocks_doc,
             "get_clocks_used_doing_optional_cleanup()\n--\n\n"
             "0, or None while optional cleanup is disabled; see enable_optional_cleanup().");

static PyObject *
module_get_clocks(PyObject *module, PyObject *ignored)
{
    (void)ignored;
    if (!((gl_module_state *)PyModule_GetState(module))->optional_cleanup) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLong(0);
}

PyDoc_STRVAR(set_thread_local_doc,
             "set_thread_local(key, value, /)\n--\n\n"
             "Store a value in the thread state's dictionary, for debugging.");

static PyObject *
module_set_thread_local(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *key;
    PyObject *value;
    if (!PyArg_UnpackTuple(args, "set_thread_local", 2, 2, &key, &value)) {
        return NULL;
    }
    PyObject *thread_dict = PyThreadState_GetDict(); /* borrowed */
    if (thread_dict == NULL) {
        return PyErr_NoMemory();
    }
    if (PyDict_SetItem(thread_dict, key, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

#ifdef GL_HAVE_TRASH_NESTING
PyDoc_STRVAR(get_trash_nesting_doc,
             "get_tstate_trash_delete_nesting()\n--\n\n"
             "How deep deallocations are nested in this greenlet, for debugging.");

static PyObject *
module_get_trash_nesting(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(gl_trash_nesting(gl_tstate_get()));
}
#endif

static PyMethodDef module_methods[] = {
    {"getcurrent", module_getcurrent, METH_NOARGS, getcurrent_doc},
    {"settrace", module_settrace, METH_O, settrace_doc},
    {"gettrace", module_gettrace, METH_NOARGS, gettrace_doc},
    {"get_total_main_greenlets", module_get_total_main_greenlets, METH_NOARGS,
     get_total_main_greenlets_doc},
    {"get_pending_cleanup_count", module_get_pending_cleanup_count, METH_NOARGS,
     get_pending_cleanup_count_doc},
    {"enable_optional_cleanup", module_enable_optional_cleanup, METH_O,
     enable_optional_cleanup_doc},
    {"get_clocks_used_doing_optional_cleanup", module_get_clocks, METH_NOARGS, get_clocks_doc},
    {"set_thread_local", module_set_thread_local, METH_VARARGS, set_thread_local_doc},
    {"_lane_counts", module_lane_counts, METH_NOARGS, lane_counts_doc},
    {"_lane_facts", module_lane_facts, METH_NOARGS, lane_facts_doc},
    {"_set_lane_limit", module_set_lane_limit, METH_O, set_lane_limit_doc},
    {"_start_recording", module_start_recording, METH_VARARGS, start_recording_doc},
    {"_stop_recording", module_stop_recording, METH_NOARGS, stop_recording_doc},
    {"_serial", module_serial, METH_O, serial_doc},
    {"_survivors", module_survivors, METH_NOARGS, survivors_doc},
#ifdef GL_HAVE_TRASH_NESTING
    {"get_tstate_trash_delete_nesting", module_get_trash_nesting, METH_NOARGS,
     get_trash_nesting_doc},
#endif
    {NULL, NULL, 0, NULL},
};

/* Names of the module that are attributes of the type, too. */
static const char *const names_on_type[] = {"getcurrent", "error", "GreenletExit", "settrace",
                                            "gettrace"};

/* GREENLANE_LANES: how many greenlets of a thread have a stack of their own, before they share. */
static bool
read_lane_limit(void)
{
    gl_module.lane_limit = GL_LANES;
    const char *text = getenv("GREENLANE_LANES");
    if (text == NULL || *text == '\0') {
        return true;
    }
    char *end;
    errno = 0;
    unsigned long limit = strtoul(text, &end, 10);
    /* strtoul() takes a sign, too, and makes of -1 the largest number. */
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || limit > 1000000) {
        PyErr_Format(PyExc_ImportError,
                     "the environment variable GREENLANE_LANES must be a number from 0 to 1000000, "
                     "not '%.100s'",
                     text);
        return false;
    }
    gl_module.lane_limit = limit;
    return true;
}

/* In turn: while an exception is pending the interpreter must not be asked for anything. */
static bool
make_constants(void)
{
    gl_module_constants *made = &gl_module;
    return (made->error = PyErr_NewException("greenlet.error", NULL, NULL)) != NULL &&
           (made->greenlet_exit =
                PyErr_NewException("greenlet.GreenletExit", PyExc_BaseException, NULL)) != NULL &&
           (made->empty_tuple = PyTuple_New(0)) != NULL &&
           (made->str_run = PyUnicode_InternFromString("run")) != NULL &&
           (made->str_switch = PyUnicode_InternFromString("switch")) != NULL &&
           (made->str_throw = PyUnicode_InternFromString("throw")) != NULL &&
           (made->str_guard = PyUnicode_InternFromString(GL_GUARD_NAME)) != NULL;
}

static bool
add_names(PyObject *module)
{
    if (PyModule_AddObjectRef(module, "greenlet", (PyObject *)&PyGreenlet_Type) < 0 ||
        PyModule_AddObjectRef(module, "error", gl_module.error) < 0 ||
        PyModule_AddObjectRef(module, "GreenletExit", gl_module.greenlet_exit) < 0 ||
        PyModule_AddIntConstant(module, "GREENLET_USE_GC", 1) < 0 ||
        PyModule_AddIntConstant(module, "GREENLET_USE_TRACING", 1) < 0 ||
        PyModule_AddIntConstant(module, "GREENLET_USE_CONTEXT_VARS", 1) < 0 ||
        PyModule_AddIntConstant(module, "GREENLET_USE_STANDARD_THREADING", 1) < 0 ||
        PyModule_AddIntConstant(module, "CLOCKS_PER_SEC", CLOCKS_PER_SEC) < 0 ||
        PyModule_AddIntConstant(module, "_LANE_SIZE", (long)GL_LANE_SIZE) < 0) {
        return false;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names_on_type); i++) {
        PyObject *value = PyObject_GetAttrString(module, names_on_type[i]);
        if (value == NULL) {
            return false;
        }
        int error = PyDict_SetItemString(PyGreenlet_Type.tp_dict, names_on_type[i], value);
        Py_DECREF(value);
        if (error < 0) {
            return false;
        }
    }
    PyType_Modified(&PyGreenlet_Type);
    /* The name that compiled extensions ask for, whatever this package is installed as. */
    PyObject *capsule = PyCapsule_New(gl_capi_table(), "greenlet._C_API", NULL);
    if (capsule == NULL) {
        return false;
    }
    int error = PyModule_AddObjectRef(module, "_C_API", capsule);
    Py_DECREF(capsule);
    return error == 0;
}

/* In a process in which another interpreter has ended, all that the static type and the constants
 * refer to has gone with that one: they are made afresh. */
static int
forget_ended_interpreter(void)
{
    static PyTypeObject pristine;
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    if (dict == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyObject *mark = PyUnicode_FromString("greenlane._greenlet");
    const int is_known = mark != NULL ? PyDict_Contains(dict, mark) : -1;
    if (is_known != 0) { /* the module is executed again in the same interpreter; or an error */
        Py_XDECREF(mark);
        return is_known < 0 ? -1 : 0;
    }
    if (gl_module.error == NULL) {
        pristine = PyGreenlet_Type;
    }
    else {
        PyGreenlet_Type = pristine;
        gl_module = (gl_module_constants){.error = NULL};
        gl_forget_threads();
    }
    const int error = PyDict_SetItem(dict, mark, Py_None);
    Py_DECREF(mark);
    return error;
}

static int
module_exec(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "greenlane does not support subinterpreters: import it in the main "
                        "interpreter only");
        return -1;
    }
    ((gl_module_state *)PyModule_GetState(module))->optional_cleanup = true;
    if (gl_pystate_check() < 0 || forget_ended_interpreter() < 0) {
        return -1;
    }
    if (!read_lane_limit() || PyType_Ready(&PyGreenlet_Type) < 0 || !make_constants() ||
        !add_names(module)) {
        return -1;
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "greenlane._greenlet",
    .m_doc = PyDoc_STR("Greenlets, each on a C stack of its own."),
    .m_size = sizeof(gl_module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__greenlet(void);

PyMODINIT_FUNC
PyInit__greenlet(void)
{
    return PyModuleDef_Init(&module_definition);
}
