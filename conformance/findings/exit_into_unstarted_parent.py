"""greenlet 3.5.6: GreenletExit that reaches an unstarted parent crashes, or loses the value.

The exception object is put where the tuple of arguments belongs, and `run` is called with it.
Without attributes it looks like an empty tuple; with attributes the process dies of SIGSEGV.
Clauses: parent.exit-starts-unstarted, dead.throw.exit-unstarted-ancestor.
"""

from greenlet import GreenletExit, greenlet

parent = greenlet(lambda *args: print("expected a GreenletExit, the parent got", args))
child = greenlet(lambda: None, parent)
child.throw(GreenletExit("the value"))  # prints (): the value is lost

error = GreenletExit("the value")
error.note = "an attribute"
parent = greenlet(lambda *args: print("expected a GreenletExit, the parent got", args))
greenlet(lambda: None, parent).throw(error)  # SIGSEGV or MemoryError
