"""greenlet 3.5.6: the slots of a subclass are empty when a greenlet is killed.

A greenlet that loses its last reference runs on to clean up, with GreenletExit. Upstream does that
when the object is freed, in the type's `tp_dealloc`; CPython empties the slots of a subclass before
that is called. Attributes that are not in slots are still there. Clause: life.kill.attributes.
"""

from greenlet import getcurrent, greenlet


class Connection(greenlet):
    __slots__ = ("socket",)


def run() -> None:
    try:
        getcurrent().parent.switch()
    finally:
        print("expected a socket, got", getattr(getcurrent(), "socket", "nothing"))


connection = Connection(run)
connection.socket = "a socket"
connection.switch()
del connection
