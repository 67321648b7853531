"""greenlet 3.5.6: what a greenlet switches to itself is lost if a kill was waiting for its thread.

A greenlet that another thread drops is killed by its own thread at the next use of greenlets. If
that is a switch to oneself, the kill takes the place of what was sent, and greenlet.error is raised
("Greenlet.switch() returned NULL without an exception set"). Expected: what was sent.
Clauses: life.thread.deferred, order.self.
"""

from concurrent.futures import ThreadPoolExecutor

from greenlet import error, getcurrent, greenlet


def suspended() -> list[greenlet]:
    g = greenlet(lambda: getcurrent().parent.switch())
    g.switch()
    return [g]


other_thread = ThreadPoolExecutor(1)
held = other_thread.submit(suspended).result()
root = other_thread.submit(getcurrent).result()
held.clear()  # its own thread has to kill it
try:
    print("got", other_thread.submit(root.switch, "what was sent").result())
except error as failure:
    print("expected what was sent, got", repr(failure))
