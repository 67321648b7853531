/* Threads that are not made by Python, and thread states that are changed under a program. */
#include <Python.h>

#include <pthread.h>

typedef struct {
    PyObject *function;
    long calls;
    long failures;
} job;

/* Calls the function, each time as a thread that the interpreter has never seen. */
static void *
work(void *argument)
{
    job *todo = argument;
    for (long i = 0; i < todo->calls; i++) {
        PyGILState_STATE state = PyGILState_Ensure();
        PyObject *result = PyObject_CallNoArgs(todo->function);
        if (result == NULL) {
            PyErr_WriteUnraisable(todo->function);
            todo->failures++;
        }
        Py_XDECREF(result);
        PyGILState_Release(state);
    }
    return NULL;
}

/* call_from_threads(function, threads, calls) -> how many of the calls raised. Each thread makes so
 * many calls and takes and releases the GIL, and with it its thread state, for each. */
static PyObject *
probe_call(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *function;
    int count;
    long calls;
    if (!PyArg_ParseTuple(args, "Oil", &function, &count, &calls)) {
        return NULL;
    }
    if (count < 1 || count > 64) {
        PyErr_SetString(PyExc_ValueError, "1 to 64 threads");
        return NULL;
    }
    pthread_t threads[64];
    job jobs[64];
    int started = 0;
    Py_BEGIN_ALLOW_THREADS
    for (; started < count; started++) {
        jobs[started] = (job){.function = function, .calls = calls};
        if (pthread_create(&threads[started], NULL, work, &jobs[started]) != 0) {
            break;
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    Py_END_ALLOW_THREADS
    long failures = (count - started) * calls;
    for (int i = 0; i < started; i++) {
        failures += jobs[i].failures;
    }
    return PyLong_FromLong(failures);
}

static void
end_thread_state(PyObject *capsule)
{
    PyThreadState *other = PyCapsule_GetPointer(capsule, "thread_probe.state");
    PyThreadState *own = PyThreadState_Swap(other);
    PyThreadState_Clear(other);
    PyThreadState_Swap(own);
    PyThreadState_Delete(other);
}

/* new_state() -> another thread state for the calling thread, which ends with the object */
static PyObject *
probe_new_state(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    PyThreadState *state = PyThreadState_New(PyInterpreterState_Get());
    return state != NULL ? PyCapsule_New(state, "thread_probe.state", end_thread_state)
                         : PyErr_NoMemory();
}

/* call_in_state(state, function) -> what it returns, called while that is the thread state. An
 * exception ends in it: None is returned. */
static PyObject *
probe_call_in_state(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *capsule;
    PyObject *function;
    if (!PyArg_ParseTuple(args, "OO", &capsule, &function)) {
        return NULL;
    }
    PyThreadState *other = PyCapsule_GetPointer(capsule, "thread_probe.state");
    if (other == NULL) {
        return NULL;
    }
    PyThreadState *own = PyThreadState_Swap(other);
    PyObject *result = PyObject_CallNoArgs(function);
    if (result == NULL) {
        PyErr_WriteUnraisable(function);
        result = Py_NewRef(Py_None);
    }
    PyThreadState_Swap(own);
    return result;
}

static PyMethodDef methods[] = {
    {"call_from_threads", probe_call, METH_VARARGS, NULL},
    {"new_state", probe_new_state, METH_NOARGS, NULL},
    {"call_in_state", probe_call_in_state, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "thread_probe",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_thread_probe(void)
{
    return PyModule_Create(&definition);
}
