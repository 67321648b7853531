/* Uses up C stack: as much as it is told to. */
#include <Python.h>

#include <string.h>

#define FRAME 4096

/* Returns a checksum of what lies on the stack, so that every frame must be kept. */
static unsigned
use_stack(long frames)
{
    volatile char frame[FRAME];
    memset((char *)frame, (int)(frames & 0x7f), sizeof frame);
    unsigned sum = frames > 1 ? use_stack(frames - 1) : 0;
    return sum + (unsigned)frame[frames % FRAME] + (unsigned)frame[0];
}

/* use(bytes) -> checksum */
static PyObject *
probe_use(PyObject *module, PyObject *size)
{
    (void)module;
    long bytes = PyLong_AsLong(size);
    if (bytes == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(use_stack(bytes / FRAME));
}

static PyMethodDef methods[] = {
    {"use", probe_use, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "stack_probe",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_stack_probe(void)
{
    return PyModule_Create(&definition);
}
