"""greenlane under the name of greenlet, beside the tests that greenlet's own wheel brings.

For the directory of this package on PYTHONPATH, so that programs started by the tests find it too.
"""

import sys
from importlib.metadata import distribution

import greenlane._greenlet
from greenlane import *  # noqa: F403
from greenlane import CLOCKS_PER_SEC as CLOCKS_PER_SEC
from greenlane import GREENLET_USE_CONTEXT_VARS as GREENLET_USE_CONTEXT_VARS
from greenlane import GREENLET_USE_GC as GREENLET_USE_GC
from greenlane import GREENLET_USE_TRACING as GREENLET_USE_TRACING
from greenlane import enable_optional_cleanup as enable_optional_cleanup
from greenlane import (
    get_clocks_used_doing_optional_cleanup as get_clocks_used_doing_optional_cleanup,
)

_upstream = distribution("greenlet")
__version__ = _upstream.version
__path__.append(str(_upstream.locate_file("greenlet")))  # noqa: F405
sys.modules["greenlet._greenlet"] = _greenlet = greenlane._greenlet
