"""greenlane: greenlets for CPython, each on a C stack of its own.

A drop-in for the package ``greenlet``: the same names, the same behaviour.
"""

from greenlane._greenlet import (
    _C_API,
    GreenletExit,
    error,
    getcurrent,
    gettrace,
    greenlet,
    settrace,
)

# Not part of what `import *` gives.
from greenlane._greenlet import CLOCKS_PER_SEC as CLOCKS_PER_SEC
from greenlane._greenlet import GREENLET_USE_CONTEXT_VARS as GREENLET_USE_CONTEXT_VARS
from greenlane._greenlet import GREENLET_USE_GC as GREENLET_USE_GC
from greenlane._greenlet import GREENLET_USE_TRACING as GREENLET_USE_TRACING
from greenlane._greenlet import enable_optional_cleanup as enable_optional_cleanup
from greenlane._greenlet import (
    get_clocks_used_doing_optional_cleanup as get_clocks_used_doing_optional_cleanup,
)

__all__ = [
    "_C_API",
    "GreenletExit",
    "__version__",
    "error",
    "getcurrent",
    "gettrace",
    "greenlet",
    "settrace",
]

__version__ = "0.1.0"
