/* The tracer: a callable per thread that is told of every arrival of control.
 *
 * The recorder, if there is one, is told first; what a signal handler raises meanwhile is handed on
 * as if the tracer had raised it, which stays. The tracer runs in the greenlet that control
 * arrived in, as callback(event, (origin, target)), with event "switch" or "throw". If it raises,
 * it is removed, and its exception takes the place of what was to be delivered. */
#include "greenlet.h"

static PyObject *
call_tracer(PyObject *tracer, PyObject *event, PyGreenlet *origin, PyGreenlet *target)
{
    PyObject *pair = PyTuple_Pack(2, origin, target);
    if (pair == NULL) {
        return NULL;
    }
    /* sys.settrace() and sys.setprofile() do not see the tracer at work. */
    PyThreadState *tstate = gl_tstate_get();
    gl_enter_tracing(tstate);
    PyObject *result = PyObject_CallFunctionObjArgs(tracer, event, pair, NULL);
    gl_leave_tracing(tstate);
    Py_DECREF(pair);
    return result;
}

PyObject *
gl_trace(gl_thread *thread, PyGreenlet *origin, PyGreenlet *target, PyObject *value)
{
    gl_error pending = {0};
    if (value == NULL) {
        gl_error_fetch(&pending);
    }
    const int told = gl_record_transfer(thread, origin, target, value == NULL);
    if (told == 0) {
        if (value == NULL) {
            gl_error_restore(&pending);
        }
        return value;
    }
    PyObject *result = NULL;
    if (told > 0) {
        PyObject *tracer = Py_NewRef(thread->tracer);
        PyObject *event = value != NULL ? gl_module.str_switch : gl_module.str_throw;
        result = call_tracer(tracer, event, origin, target);
        Py_DECREF(tracer);
        if (result == NULL) {
            Py_CLEAR(thread->tracer);
            gl_record_watch(thread);
        }
    }
    if (result == NULL) {
        if (value == NULL) {
            gl_error_drop(&pending);
        }
        Py_XDECREF(value);
        return NULL;
    }
    Py_DECREF(result);
    if (value == NULL) {
        gl_error_restore(&pending);
    }
    return value;
}

PyObject *
gl_settrace(gl_thread *thread, PyObject *tracer)
{
    PyObject *previous = thread->tracer;
    thread->tracer = tracer == Py_None ? NULL : Py_NewRef(tracer);
    gl_record_watch(thread);
    return previous != NULL ? previous : Py_NewRef(Py_None);
}
