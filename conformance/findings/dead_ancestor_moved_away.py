"""greenlet 3.5.6: a switch to a dead greenlet enters one of another thread.

A parent that had not started may be moved to another thread, and die there. For its dead child in
the first thread, the first living ancestor is then the other thread's root. A switch to the child
takes it for a greenlet of this thread: what was sent comes back at once where that root is the
one that runs in its thread; SIGSEGV if it is suspended. Expected: greenlet.error.
Clause: thread.error.dead-ancestors.
"""

from concurrent.futures import ThreadPoolExecutor

from greenlet import error, getcurrent, greenlet

other_thread = ThreadPoolExecutor(1)
parent, child = greenlet(lambda: None), greenlet(lambda: None)
child.switch()  # is dead
child.parent = parent
parent.parent = other_thread.submit(getcurrent).result()
other_thread.submit(parent.switch).result()  # is dead, too
try:
    print("expected error, got", child.switch("what was sent"))
except error:
    print("error")
