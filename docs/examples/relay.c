/* relay: sends each item of a list to a greenlet, and makes a list of the answers, all in C. */
#include <greenlane/greenlet.h>

static PyObject *
relay_send_all(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *function;
    PyObject *items;
    if (!PyArg_ParseTuple(args, "OO!", &function, &PyList_Type, &items)) {
        return NULL;
    }
    PyGreenlet *g = PyGreenlet_New(function, NULL); /* greenlet(function): a new reference */
    if (g == NULL) {
        return NULL;
    }
    PyObject *answers = PyList_New(0);
    for (Py_ssize_t i = 0; answers != NULL && i < PyList_GET_SIZE(items); i++) {
        PyObject *packed = PyTuple_Pack(1, PyList_GET_ITEM(items, i));
        /* Control leaves here, and comes back when somebody switches to this greenlet. */
        PyObject *answer = packed != NULL ? PyGreenlet_Switch(g, packed, NULL) : NULL;
        Py_XDECREF(packed);
        if (answer == NULL || PyList_Append(answers, answer) < 0) {
            Py_CLEAR(answers); /* what the greenlet raised goes on to our caller */
        }
        Py_XDECREF(answer);
    }
    Py_DECREF(g);
    return answers;
}

static PyMethodDef methods[] = {
    {"send_all", relay_send_all, METH_VARARGS, "send_all(function, items): the answers"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "relay", .m_size = -1,
                                        .m_methods = methods};

PyMODINIT_FUNC
PyInit_relay(void)
{
    PyGreenlet_Import();
    return _PyGreenlet_API != NULL ? PyModule_Create(&definition) : NULL;
}
