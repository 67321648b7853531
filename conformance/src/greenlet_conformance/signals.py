"""What ends a run as Ctrl-C does: SIGTERM, and SIGHUP, by which a closed terminal says so.

By default either would end the process at once, and leave pytest and its tests to themselves and
the folder of unfinished results to whoever finds it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def as_ctrl_c() -> None:
    """From now on these signals raise KeyboardInterrupt, but for one that is ignored (nohup)."""
    if threading.current_thread() is threading.main_thread():  # no other may ask for signals
        for number in _SIGNALS:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)


def by_default() -> None:
    """Undoes as_ctrl_c, for a process that shall not know of it."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.default_int_handler:
                signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Both, for a block."""
    as_ctrl_c()
    try:
        yield
    finally:
        by_default()
