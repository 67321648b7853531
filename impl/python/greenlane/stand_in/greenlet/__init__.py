"""greenlane under the name of greenlet.

Found by ``import greenlet`` while the directory above this package is on the module search path;
``greenlane/installation.py`` says who puts it there. What is imported from here are greenlane's own
objects. No distribution ``greenlet`` comes with it: ``importlib.metadata`` tells of upstream's, if
it is installed.

PYTHONPATH passes the directory to all child processes, which may be other Pythons: those of another
version or of another virtual environment, without greenlane. They go on with the greenlet that
they have.
"""

import importlib as _importlib
import os as _os
import sys as _sys

# There is no greenlane for older ones, down to 2.7.
_is_found = _sys.version_info >= (3, 10)
if _is_found:
    try:
        from greenlane import _greenlet
    except ModuleNotFoundError as _missing:
        if _missing.name not in ("greenlane", "greenlane._greenlet"):
            raise
        _is_found = False

if not _is_found:
    _ours = _os.path.dirname(_os.path.dirname(__file__))  # noqa: PTH120 - pathlib would be slow here
    _sys.path[:] = [entry for entry in _sys.path if _os.path.abspath(entry) != _ours]  # noqa: PTH100
    _self = _sys.modules.pop(__name__)  # kept: 2.7 would clear its variables
    # The import system hands out what is in sys.modules when this module has been executed.
    _importlib.import_module(__name__)
else:
    from greenlane import *  # noqa: F403
    from greenlane import CLOCKS_PER_SEC as CLOCKS_PER_SEC
    from greenlane import GREENLET_USE_CONTEXT_VARS as GREENLET_USE_CONTEXT_VARS
    from greenlane import GREENLET_USE_GC as GREENLET_USE_GC
    from greenlane import GREENLET_USE_TRACING as GREENLET_USE_TRACING
    from greenlane import __all__ as __all__
    from greenlane import enable_optional_cleanup as enable_optional_cleanup
    from greenlane import (
        get_clocks_used_doing_optional_cleanup as get_clocks_used_doing_optional_cleanup,
    )

    #: The release of greenlet whose behaviour this is; programs ask whether it is new enough.
    __version__ = "3.5.6"

    _sys.modules["greenlet._greenlet"] = _greenlet
