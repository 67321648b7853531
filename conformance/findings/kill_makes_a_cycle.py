"""greenlet 3.5.6: a kill makes a cycle of parents, in which a switch goes round for ever.

A killed greenlet is put under its killer, and back under its parent afterwards. If it has put that
parent under itself in between, each is now an ancestor of the other.
Clause: life.kill.cycle.
"""

from greenlet import getcurrent, greenlet


def run() -> None:
    try:
        root.switch()
    finally:
        former.parent = getcurrent()


root = getcurrent()
former = greenlet(root.switch)
former.switch()
killed = greenlet(run, former)
killed.switch()
del killed
killed = former.parent
print("expected another parent, got", "a cycle" if killed.parent is former else killed.parent)
# former.switch() would not return.
