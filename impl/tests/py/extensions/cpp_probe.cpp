/* C++ code that throws inside greenlets, in each of the ways that work and in the one that must
 * not. */
#include <greenlet.h>

#include <stdexcept>
#include <string>

namespace {

/* Says so in its destructor, so that Python can see that a stack was unwound. */
class Watch {
  public:
    explicit Watch(PyObject *log) : log_(log) {}
    ~Watch()
    {
        PyObject *word = PyUnicode_FromString("unwound");
        PyList_Append(log_, word);
        Py_XDECREF(word);
    }
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;

  private:
    PyObject *log_;
};

void
fail(const char *message)
{
    throw std::runtime_error(message);
}

/* Switches to the parent of the running greenlet. False with a Python exception. */
bool
switch_to_parent()
{
    PyGreenlet *current = PyGreenlet_GetCurrent();
    if (current == nullptr) {
        return false;
    }
    PyGreenlet *parent = PyGreenlet_GetParent(current);
    Py_DECREF(current);
    PyObject *result = PyGreenlet_Switch(parent, nullptr, nullptr);
    Py_DECREF(parent);
    Py_XDECREF(result);
    return result != nullptr;
}

PyObject *
throw_and_catch(PyObject *, PyObject *log)
{
    try {
        Watch watch(log);
        fail("thrown here");
    }
    catch (const std::runtime_error &error) {
        return PyUnicode_FromString(error.what());
    }
    Py_RETURN_NONE;
}

/* The try block is entered before a switch away and left by an exception after it. */
PyObject *
throw_after_switch(PyObject *, PyObject *log)
{
    try {
        Watch watch(log);
        if (!switch_to_parent()) {
            return nullptr;
        }
        fail("thrown after a switch");
    }
    catch (const std::runtime_error &error) {
        return PyUnicode_FromString(error.what());
    }
    Py_RETURN_NONE;
}

/* The exception is being handled while others run. */
PyObject *
switch_while_handling(PyObject *, PyObject *)
{
    try {
        fail("handled across a switch");
    }
    catch (const std::runtime_error &error) {
        if (!switch_to_parent()) {
            return nullptr;
        }
        return PyUnicode_FromString(error.what());
    }
    Py_RETURN_NONE;
}

/* Calls Python, which calls C++ again: exceptions of both kinds cross the frames of one stack. */
PyObject *
call(PyObject *, PyObject *callable)
{
    try {
        PyObject *result = PyObject_CallNoArgs(callable);
        if (result == nullptr) {
            fail("Python raised");
        }
        return result;
    }
    catch (const std::runtime_error &error) {
        PyErr_Clear();
        return PyUnicode_FromString((std::string("caught: ") + error.what()).c_str());
    }
}

PyObject *
escape(PyObject *, PyObject *)
{
    fail("nobody catches this");
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"throw_and_catch", throw_and_catch, METH_O, nullptr},
    {"throw_after_switch", throw_after_switch, METH_O, nullptr},
    {"switch_while_handling", switch_while_handling, METH_NOARGS, nullptr},
    {"call", call, METH_O, nullptr},
    {"escape", escape, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "cpp_probe", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr,
};

} // namespace

PyMODINIT_FUNC
PyInit_cpp_probe(void)
{
    PyGreenlet_Import();
    return _PyGreenlet_API != nullptr ? PyModule_Create(&definition) : nullptr;
}
