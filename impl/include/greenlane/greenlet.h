/* The C API of greenlets, compatible in source and binary with greenlet 3.5's
 * <greenlet/greenlet.h>.
 *
 * Call PyGreenlet_Import() once, usually in the module's init function, and check that
 * `_PyGreenlet_API != NULL`; then everything below works. All functions need the GIL.
 */
#ifndef Py_GREENLETOBJECT_H
#define Py_GREENLETOBJECT_H

#include <Python.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Has not changed since 1.0 and will not: it is not the version of the package. */
#define GREENLET_VERSION "1.0.0"

#ifndef GREENLET_MODULE
#define implementation_ptr_t void *
#endif

/* Compiled extensions embed this struct in their own: its size and layout are part of the ABI. */
typedef struct _greenlet {
    PyObject_HEAD
    PyObject *weakreflist;
    PyObject *dict;
    implementation_ptr_t pimpl; /* private */
} PyGreenlet;

#define PyGreenlet_Check(op) ((op) && PyObject_TypeCheck((PyObject *)(op), &PyGreenlet_Type))

/* The slots of the capsule `greenlet._C_API`, a void *[PyGreenlet_API_pointers]. */
#define PyGreenlet_Type_NUM 0
#define PyExc_GreenletError_NUM 1
#define PyExc_GreenletExit_NUM 2
#define PyGreenlet_New_NUM 3
#define PyGreenlet_GetCurrent_NUM 4
#define PyGreenlet_Throw_NUM 5
#define PyGreenlet_Switch_NUM 6
#define PyGreenlet_SetParent_NUM 7
#define PyGreenlet_MAIN_NUM 8
#define PyGreenlet_STARTED_NUM 9
#define PyGreenlet_ACTIVE_NUM 10
#define PyGreenlet_GET_PARENT_NUM 11
#define PyGreenlet_API_pointers 12

#ifndef GREENLET_MODULE

static void **_PyGreenlet_API = NULL;

/* Which package answers is the importing program's choice; this is the name that it answers to. */
#define PyGreenlet_Import()                                                                        \
    {                                                                                              \
        _PyGreenlet_API = (void **)PyCapsule_Import("greenlet._C_API", 0);                         \
    }

#define GREENLET_API_SLOT(type, number) ((type)_PyGreenlet_API[number])

#define PyGreenlet_Type (*GREENLET_API_SLOT(PyTypeObject *, PyGreenlet_Type_NUM))
#define PyExc_GreenletError GREENLET_API_SLOT(PyObject *, PyExc_GreenletError_NUM)
#define PyExc_GreenletExit GREENLET_API_SLOT(PyObject *, PyExc_GreenletExit_NUM)

/* PyGreenlet *PyGreenlet_New(PyObject *run, PyGreenlet *parent)
 * greenlet(run, parent). Both may be NULL. New reference, or NULL with an exception. */
#define PyGreenlet_New                                                                             \
    (*GREENLET_API_SLOT(PyGreenlet * (*)(PyObject *, PyGreenlet *), PyGreenlet_New_NUM))

/* PyGreenlet *PyGreenlet_GetCurrent(void)
 * getcurrent(). New reference, or NULL with RuntimeError while the interpreter finalizes. */
#define PyGreenlet_GetCurrent                                                                      \
    (*GREENLET_API_SLOT(PyGreenlet * (*)(void), PyGreenlet_GetCurrent_NUM))

/* PyObject *PyGreenlet_Throw(PyGreenlet *g, PyObject *type, PyObject *value, PyObject *traceback)
 * g.throw(type, value, traceback); value and traceback may be NULL. New reference, or NULL with an
 * exception. */
#define PyGreenlet_Throw                                                                           \
    (*GREENLET_API_SLOT(PyObject * (*)(PyGreenlet *, PyObject *, PyObject *, PyObject *),          \
                        PyGreenlet_Throw_NUM))

/* PyObject *PyGreenlet_Switch(PyGreenlet *g, PyObject *args, PyObject *kwargs)
 * g.switch(*args, **kwargs). `args` is a tuple or NULL, `kwargs` a dict or NULL; `args` that are
 * something else count as the only argument.
 * New reference, or NULL with an exception. */
#define PyGreenlet_Switch                                                                          \
    (*GREENLET_API_SLOT(PyObject * (*)(PyGreenlet *, PyObject *, PyObject *),                      \
                        PyGreenlet_Switch_NUM))

/* int PyGreenlet_SetParent(PyGreenlet *g, PyGreenlet *parent)
 * g.parent = parent. 0, or -1 with an exception. */
#define PyGreenlet_SetParent                                                                       \
    (*GREENLET_API_SLOT(int (*)(PyGreenlet *, PyGreenlet *), PyGreenlet_SetParent_NUM))

/* PyGreenlet *PyGreenlet_GetParent(PyGreenlet *g)
 * New reference; NULL without an exception if there is no parent. */
#define PyGreenlet_GetParent                                                                       \
    (*GREENLET_API_SLOT(PyGreenlet * (*)(PyGreenlet *), PyGreenlet_GET_PARENT_NUM))
#define PyGreenlet_GET_PARENT PyGreenlet_GetParent

/* int PyGreenlet_MAIN(PyGreenlet *g), and so on: 1 or 0, or -1 with an exception. */
#define PyGreenlet_MAIN (*GREENLET_API_SLOT(int (*)(PyGreenlet *), PyGreenlet_MAIN_NUM))
#define PyGreenlet_STARTED (*GREENLET_API_SLOT(int (*)(PyGreenlet *), PyGreenlet_STARTED_NUM))
#define PyGreenlet_ACTIVE (*GREENLET_API_SLOT(int (*)(PyGreenlet *), PyGreenlet_ACTIVE_NUM))

#endif /* GREENLET_MODULE */

#ifdef __cplusplus
}
#endif
#endif
