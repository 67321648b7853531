"""greenlet 3.5.6, CPython 3.15: what is being assigned while a collection runs counts as garbage.

The collector sees into suspended greenlets there, also into one that is in the middle of an
instruction: of an assignment to a variable that functions share, say, while what was in the
variable is freed. What is assigned is in the variable already, and on the stack of the frame
still, with one reference for both. So its weak references are cleared, although it is in use;
debug builds assert. On CPython 3.10-3.14 "alive: True" is printed.
Clause: life.gc.suspended.
"""

import gc
import sys
import weakref
from collections.abc import Callable

from greenlet import getcurrent, greenlet


class Thing:
    pass


class Former:
    def __del__(self) -> None:
        root.switch()


def run(take: Callable[[], Thing]) -> Callable[[], object]:
    this = getcurrent()
    variable: object = Former()
    variable = take()
    return lambda: (this, variable)


def main() -> None:
    thing = Thing()
    alive = weakref.ref(thing)
    greenlet(run).switch([thing].pop)
    gc.collect()
    print("alive:", alive() is thing)


root = getcurrent()
sys.unraisablehook = lambda _: None
main()
