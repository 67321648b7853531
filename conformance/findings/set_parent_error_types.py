"""greenlet 3.5.6: PyGreenlet_SetParent raises other errors than its documentation says.

"When an error is returned, *g* is not a pointer to a greenlet, and an AttributeError has been
raised", says the C API reference. What is no greenlet gives TypeError, and a cycle, which it does
not speak of, ValueError. Clause: capi.set-parent, which follows the assignment in Python.
"""

import ctypes

import greenlet

pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
table = pointer(greenlet._C_API, b"greenlet._C_API")
address = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))[7]
assert address
set_parent = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.py_object)(address)
for g, parent in ((1, greenlet.getcurrent()), (child := greenlet.greenlet(), child)):
    try:
        set_parent(g, parent)
    except Exception as error:
        print("expected AttributeError, got", type(error).__name__)  # TypeError, ValueError
