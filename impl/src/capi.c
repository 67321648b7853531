/* The functions behind the capsule `_C_API`; greenlane/greenlet.h documents them. They are the
 * methods and attributes of the type, for callers in C: arguments are checked for being greenlets,
 * since C callers cannot be trusted to have done it. */
#include "greenlet.h"

static bool
check(PyGreenlet *object)
{
    if (PyGreenlet_Check(object)) {
        return true;
    }
    PyErr_BadArgument();
    return false;
}

static PyGreenlet *
capi_new(PyObject *run, PyGreenlet *parent)
{
    return gl_new(run, (PyObject *)parent);
}

static PyGreenlet *
capi_get_current(void)
{
    return gl_getcurrent();
}

static PyObject *
capi_throw(PyGreenlet *self, PyObject *type, PyObject *value, PyObject *traceback)
{
    if (!check(self)) {
        return NULL;
    }
    if (type == NULL) {
        PyErr_BadArgument();
        return NULL;
    }
    return gl_throw(self, type, value, traceback, NULL);
}

static PyObject *
capi_switch(PyGreenlet *self, PyObject *args, PyObject *kwargs)
{
    if (!check(self)) {
        return NULL;
    }
    if (args == NULL) {
        args = gl_module.empty_tuple;
    }
    /* What is no tuple is sent as it is, as by greenlet: a caller may rely on it. */
    bool is_tuple = PyTuple_Check(args);
    PyObject *const *items = is_tuple ? ((PyTupleObject *)args)->ob_item : &args;
    Py_ssize_t nargs = is_tuple ? PyTuple_GET_SIZE(args) : 1;
    if (kwargs == NULL || !PyDict_Check(kwargs) || PyDict_GET_SIZE(kwargs) == 0) {
        return gl_switch(self, &(gl_arguments){.args = items, .nargs = nargs});
    }
    /* In vectorcall form: the values of the keywords follow the positional arguments. */
    Py_ssize_t named = PyDict_GET_SIZE(kwargs);
    PyObject *kwnames = PyTuple_New(named);
    PyObject *values = PyTuple_New(nargs + named);
    PyObject *result = NULL;
    if (kwnames != NULL && values != NULL) {
        for (Py_ssize_t i = 0; i < nargs; i++) {
            PyTuple_SET_ITEM(values, i, Py_NewRef(items[i]));
        }
        PyObject *key;
        PyObject *value;
        Py_ssize_t position = 0;
        for (Py_ssize_t i = 0; i < named && PyDict_Next(kwargs, &position, &key, &value); i++) {
            PyTuple_SET_ITEM(kwnames, i, Py_NewRef(key));
            PyTuple_SET_ITEM(values, nargs + i, Py_NewRef(value));
        }
        items = ((PyTupleObject *)values)->ob_item;
        result =
            gl_switch(self, &(gl_arguments){.args = items, .nargs = nargs, .kwnames = kwnames});
    }
    Py_XDECREF(kwnames);
    Py_XDECREF(values);
    return result;
}

static int
capi_set_parent(PyGreenlet *self, PyGreenlet *parent)
{
    return check(self) ? gl_set_parent(self, (PyObject *)parent) : -1;
}

static int
capi_main(PyGreenlet *self)
{
    return check(self) ? self->pimpl->is_main : -1;
}

static int
capi_started(PyGreenlet *self)
{
    return check(self) ? self->pimpl->status != GL_NEW : -1;
}

static int
capi_active(PyGreenlet *self)
{
    return check(self) ? gl_is_active(self->pimpl) : -1;
}

static PyGreenlet *
capi_get_parent(PyGreenlet *self)
{
    return check(self) ? (PyGreenlet *)Py_XNewRef((PyObject *)self->pimpl->parent) : NULL;
}

void **
gl_capi_table(void)
{
    static void *table[PyGreenlet_API_pointers];
    table[PyGreenlet_Type_NUM] = &PyGreenlet_Type;
    table[PyExc_GreenletError_NUM] = gl_module.error;
    table[PyExc_GreenletExit_NUM] = gl_module.greenlet_exit;
    table[PyGreenlet_New_NUM] = (void *)capi_new;
    table[PyGreenlet_GetCurrent_NUM] = (void *)capi_get_current;
    table[PyGreenlet_Throw_NUM] = (void *)capi_throw;
    table[PyGreenlet_Switch_NUM] = (void *)capi_switch;
    table[PyGreenlet_SetParent_NUM] = (void *)capi_set_parent;
    table[PyGreenlet_MAIN_NUM] = (void *)capi_main;
    table[PyGreenlet_STARTED_NUM] = (void *)capi_started;
    table[PyGreenlet_ACTIVE_NUM] = (void *)capi_active;
    table[PyGreenlet_GET_PARENT_NUM] = (void *)capi_get_parent;
    return table;
}
