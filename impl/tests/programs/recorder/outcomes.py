"""Writes what became of each test to a file, at once: a crash or a hang loses nothing.

Put on PYTHONPATH by programs.py, together with ``sitecustomize.py`` (for unittest) and
``pytest_outcomes.py`` (for pytest). One line a test: its outcome, which greenlet the process had
then, and the test's name, between tabs. A process may be a child of a child, and patched by
gevent or eventlet: the functions used here were taken before that.
"""

import os
import sys

_open, _write, _close = os.open, os.write, os.close
_FILE = os.environ["GREENLANE_OUTCOMES"]


def which_greenlet() -> str:
    """Return whose greenlet this process has imported: "greenlane", "greenlet", or "none"."""
    module = sys.modules.get("greenlet")
    extension = getattr(module, "_greenlet", None)
    return extension.__name__.partition(".")[0] if extension is not None else "none"


def write(outcome: str, name: str) -> None:
    """Append one line. Each is one system call, so that those of several processes do not mix."""
    line = f"{outcome}\t{which_greenlet()}\t{' '.join(name.split())}\n"
    descriptor = _open(_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        _write(descriptor, line.encode("utf-8", "backslashreplace"))
    finally:
        _close(descriptor)
