"""greenlet 3.5.6, CPython 3.15: a collected greenlet is freed without running its `finally` blocks.

The collector sees into suspended greenlets there, clears one that is garbage as if it were any
other object, and GreenletExit is never raised in it. On CPython 3.10-3.14 "cleaned up" is printed.
Clauses: life.gc.kill, life.gc.cycle.
"""

import gc

from greenlet import getcurrent, greenlet


def run() -> None:
    try:
        getcurrent().parent.switch()
    finally:
        print("cleaned up")


def main() -> None:
    garbage: list[object] = [greenlet(run)]
    garbage.append(garbage)
    garbage[0].switch()  # type: ignore[attr-defined]


main()
gc.collect()
