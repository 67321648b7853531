"""greenlet 3.5.6: the GreenletExit of a kill is chained to an exception of another greenlet.

It is raised in the greenlet that is killed, but made where the last reference went away: what is
handled there becomes its context, and is kept, with all the frames of its traceback, as long as
the killed greenlet cleans up. An exception that is thrown by `throw()` has none.
Clause: state.context.killed.
"""

from greenlet import GreenletExit, getcurrent, greenlet


def run() -> None:
    try:
        root.switch()
    except GreenletExit as error:
        print("expected the context None, got", repr(error.__context__))


root = getcurrent()
child = greenlet(run)
child.switch()
try:
    raise LookupError("of the killer")
except LookupError:
    del child
