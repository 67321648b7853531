"""greenlane: greenlets for CPython, each on a C stack of its own.

A drop-in for the package ``greenlet``: the same names, the same behaviour. Programs that import
``greenlet`` use greenlane under ``python -m greenlane app.py``, or after `install()`.
"""

from greenlane import installation
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
from greenlane.installation import install as install

TYPE_CHECKING = False  # that of typing, whose import takes longer than all of this
if TYPE_CHECKING:
    from greenlane import lanes as lanes
    from greenlane.diagnosis import Diagnosis
else:  # type checkers would take any name for one that this knows

    def __getattr__(name: str) -> object:
        """Import `greenlane.lanes` when somebody asks for it: it needs typing."""
        if name != "lanes":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        import greenlane.lanes  # `from greenlane import lanes` would ask here again

        return greenlane.lanes


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

installation.begin_recording()


def doctor() -> "Diagnosis":
    """Examine how greenlets work in this process; print the result, or look at its fields.

    It is about the calling thread, in which one greenlet is started and ends. `python -m greenlane
    doctor` prints the same.
    """
    from greenlane.diagnosis import examine  # what it needs is slow to import

    return examine()
