"""CPython 3.13 and later, debug builds: a hook set or removed while a greenlet is suspended aborts.

CPython changes the code of the frames that are executing when a hook comes or goes, so that their
events are reported or no longer are. It finds the frames by way of each thread, not those of
suspended greenlets. When such a greenlet goes on, a debug build asserts that its code is up to date
(debug_check_sanity in instrumentation.c). Release builds do not look, and go on;
but on 3.15 an exception crashes them that leaves a frame whose code no hook has ever seen.
Clauses: trace.python.thread, trace.python.inside.
"""

import sys
from typing import Any

from greenlet import getcurrent, greenlet


def hook(frame: Any, event: str, arg: Any) -> Any:
    return hook


def leaf() -> None:
    pass


def run() -> None:
    leaf()
    getcurrent().parent.switch()
    leaf()


def main() -> None:
    suspended = greenlet(run)
    sys.settrace(hook)
    suspended.switch()
    sys.settrace(None)
    suspended.switch()
    print("went on")


main()
