"""The environment variable GREENLANE=1 puts greenlane in the place of greenlet, in every Python.

Installed, this runs at the start of each Python of the environment (``*.pth``), and does nothing
unless the variable says 1. So a service is switched over, and back, by its environment alone.
"""

import os
import sys

_complaints: list[str] = []


def switch() -> None:
    """Put greenlane's stand-in for greenlet on the module search path, if GREENLANE says so.

    A value that is neither 0 nor 1, or greenlane missing, is said on stderr; greenlet then stays
    what it is. With ``-E`` or ``-I`` Python asks no variables, nor does this.
    """
    value = "" if sys.flags.ignore_environment else os.environ.get("GREENLANE", "")
    if value in ("", "0"):
        return
    if value != "1":
        complain(f"the environment variable GREENLANE must be 0 or 1, not {value!r}")
        return
    from importlib.util import find_spec

    found = find_spec("greenlane")
    if found is None or not found.submodule_search_locations:
        complain("GREENLANE=1, but greenlane is not installed here")
        return
    stand_in = os.path.join(next(iter(found.submodule_search_locations)), "stand_in")  # noqa: PTH118
    if stand_in not in sys.path:
        sys.path.insert(0, stand_in)
    __import__("greenlane_finder").install()  # which lies there


def complain(reason: str) -> None:
    """Say that nothing was switched, and why; once, though Python may read ``*.pth`` twice."""
    if reason in _complaints or sys.stderr is None:  # print() would take standard output instead
        return
    _complaints.append(reason)
    print(f"greenlane-everywhere: {reason}; greenlet stays what it is", file=sys.stderr)
