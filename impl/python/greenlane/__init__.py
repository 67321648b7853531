"""greenlane: greenlets for CPython, each on a C stack of its own.

A drop-in for the package ``greenlet``: the same names, the same behaviour.
"""

from greenlane._greenlet import (
    _C_API,
    CLOCKS_PER_SEC,
    GREENLET_USE_CONTEXT_VARS,
    GREENLET_USE_GC,
    GREENLET_USE_TRACING,
    GreenletExit,
    error,
    getcurrent,
    gettrace,
    greenlet,
    settrace,
)

# Not part of what `import *` gives.
from greenlane._greenlet import (
    enable_optional_cleanup as enable_optional_cleanup,
)
from greenlane._greenlet import (
    get_clocks_used_doing_optional_cleanup as get_clocks_used_doing_optional_cleanup,
)

__all__ = [
    "CLOCKS_PER_SEC",
    "GREENLET_USE_CONTEXT_VARS",
    "GREENLET_USE_GC",
    "GREENLET_USE_TRACING",
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
