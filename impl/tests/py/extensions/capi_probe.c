/* A client of the C API: each function is one call of it, so that the tests can be in Python. */
#include <greenlet.h>

#include <stddef.h>
#include <structmember.h>

/* None stands for NULL in the arguments below. */
static PyObject *
or_null(PyObject *object)
{
    return object == Py_None ? NULL : object;
}

static PyObject *
probe_layout(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return Py_BuildValue("nnniis", (Py_ssize_t)sizeof(PyGreenlet),
                         (Py_ssize_t)offsetof(PyGreenlet, weakreflist),
                         (Py_ssize_t)offsetof(PyGreenlet, dict), PyGreenlet_API_pointers,
                         PyGreenlet_Type.tp_basicsize == sizeof(PyGreenlet), GREENLET_VERSION);
}

static PyObject *
probe_slots(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return Py_BuildValue("OOO", &PyGreenlet_Type, PyExc_GreenletError, PyExc_GreenletExit);
}

static PyObject *
probe_empty_slots(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    long empty = 0;
    for (int i = 0; i < PyGreenlet_API_pointers; i++) {
        empty += _PyGreenlet_API[i] == NULL;
    }
    return PyLong_FromLong(empty);
}

static PyObject *
probe_check(PyObject *module, PyObject *object)
{
    (void)module;
    return PyBool_FromLong(PyGreenlet_Check(object));
}

static PyObject *
probe_new(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *run;
    PyObject *parent;
    if (!PyArg_ParseTuple(args, "OO", &run, &parent)) {
        return NULL;
    }
    return (PyObject *)PyGreenlet_New(or_null(run), (PyGreenlet *)or_null(parent));
}

static PyObject *
probe_getcurrent(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return (PyObject *)PyGreenlet_GetCurrent();
}

static PyObject *
probe_throw(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *greenlet;
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    if (!PyArg_ParseTuple(args, "OOOO", &greenlet, &type, &value, &traceback)) {
        return NULL;
    }
    return PyGreenlet_Throw((PyGreenlet *)greenlet, or_null(type), or_null(value),
                            or_null(traceback));
}

static PyObject *
probe_switch(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *greenlet;
    PyObject *positional;
    PyObject *named;
    if (!PyArg_ParseTuple(args, "OOO", &greenlet, &positional, &named)) {
        return NULL;
    }
    return PyGreenlet_Switch((PyGreenlet *)greenlet, or_null(positional), or_null(named));
}

static PyObject *
probe_setparent(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *greenlet;
    PyObject *parent;
    if (!PyArg_ParseTuple(args, "OO", &greenlet, &parent)) {
        return NULL;
    }
    int result = PyGreenlet_SetParent((PyGreenlet *)greenlet, (PyGreenlet *)or_null(parent));
    return result < 0 ? NULL : PyLong_FromLong(result);
}

/* NULL without an exception comes out as the string "NULL". */
static PyObject *
probe_getparent(PyObject *module, PyObject *greenlet)
{
    (void)module;
    PyObject *parent = (PyObject *)PyGreenlet_GetParent((PyGreenlet *)greenlet);
    return parent == NULL && !PyErr_Occurred() ? PyUnicode_FromString("NULL") : parent;
}

/* (MAIN, STARTED, ACTIVE) */
static PyObject *
probe_state(PyObject *module, PyObject *greenlet)
{
    (void)module;
    int is_main = PyGreenlet_MAIN((PyGreenlet *)greenlet);
    if (is_main < 0) {
        return NULL;
    }
    return Py_BuildValue("iii", is_main, PyGreenlet_STARTED((PyGreenlet *)greenlet),
                         PyGreenlet_ACTIVE((PyGreenlet *)greenlet));
}

static PyObject *
probe_started(PyObject *module, PyObject *object)
{
    (void)module;
    int result = PyGreenlet_STARTED((PyGreenlet *)object);
    return result < 0 ? NULL : PyLong_FromLong(result);
}

static PyObject *
probe_active(PyObject *module, PyObject *object)
{
    (void)module;
    int result = PyGreenlet_ACTIVE((PyGreenlet *)object);
    return result < 0 ? NULL : PyLong_FromLong(result);
}

/* ---- A subclass in C that embeds PyGreenlet, made the way Cython makes gevent's classes ------ */

typedef struct {
    PyGreenlet greenlet;
    PyObject *link;  /* owned; takes part in garbage collection */
    PyObject *token; /* owned; does not */
} Linked;

static PyTypeObject Linked_Type;
static long linked_freed;

static PyObject *
linked_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Linked *self = (Linked *)PyGreenlet_Type.tp_new(type, args, kwargs);
    if (self != NULL) {
        self->link = Py_NewRef(Py_None);
        self->token = Py_NewRef(Py_None);
    }
    return (PyObject *)self;
}

static int
linked_traverse(PyObject *object, visitproc visit, void *arg)
{
    int result = PyGreenlet_Type.tp_traverse(object, visit, arg);
    if (result != 0) {
        return result;
    }
    Py_VISIT(((Linked *)object)->link);
    return 0;
}

static int
linked_clear(PyObject *object)
{
    PyGreenlet_Type.tp_clear(object);
    Py_XSETREF(((Linked *)object)->link, Py_NewRef(Py_None));
    return 0;
}

static void
linked_dealloc(PyObject *object)
{
    Linked *self = (Linked *)object;
    if (Py_TYPE(object)->tp_finalize != NULL && !PyObject_GC_IsFinalized(object)) {
        if (PyObject_CallFinalizerFromDealloc(object) < 0) {
            return; /* it lives on */
        }
    }
    PyObject_GC_UnTrack(object);
    Py_CLEAR(self->link);
    Py_CLEAR(self->token);
    linked_freed++;
    PyObject_GC_Track(object); /* as the base expects it */
    PyGreenlet_Type.tp_dealloc(object);
}

static PyMemberDef linked_members[] = {
    {"link", T_OBJECT, offsetof(Linked, link), 0, NULL},
    {"token", T_OBJECT, offsetof(Linked, token), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject Linked_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "capi_probe.Linked",
    .tp_basicsize = sizeof(Linked),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = linked_new,
    .tp_traverse = linked_traverse,
    .tp_clear = linked_clear,
    .tp_dealloc = linked_dealloc,
    .tp_members = linked_members,
};

static PyObject *
probe_linked_freed(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(linked_freed);
}

static PyMethodDef methods[] = {
    {"layout", probe_layout, METH_NOARGS, NULL},
    {"slots", probe_slots, METH_NOARGS, NULL},
    {"empty_slots", probe_empty_slots, METH_NOARGS, NULL},
    {"check", probe_check, METH_O, NULL},
    {"new", probe_new, METH_VARARGS, NULL},
    {"getcurrent", probe_getcurrent, METH_NOARGS, NULL},
    {"throw", probe_throw, METH_VARARGS, NULL},
    {"switch", probe_switch, METH_VARARGS, NULL},
    {"setparent", probe_setparent, METH_VARARGS, NULL},
    {"getparent", probe_getparent, METH_O, NULL},
    {"state", probe_state, METH_O, NULL},
    {"started", probe_started, METH_O, NULL},
    {"active", probe_active, METH_O, NULL},
    {"linked_freed", probe_linked_freed, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "capi_probe",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_capi_probe(void)
{
    PyGreenlet_Import();
    if (_PyGreenlet_API == NULL) {
        return NULL;
    }
    Linked_Type.tp_base = &PyGreenlet_Type;
    if (PyType_Ready(&Linked_Type) < 0) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddObjectRef(module, "Linked", (PyObject *)&Linked_Type) < 0) {
        Py_CLEAR(module);
    }
    return module;
}
