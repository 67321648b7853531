"""greenlet 3.5.6: a started greenlet whose unstarted parent is moved to another thread aborts.

An unstarted greenlet may be given a parent in another thread, and moves there. Its child, which
has started here, then has no ancestor in its own thread that it could end in, and the process dies
of "Fatal Python error: inner_bootstrap: greenlet: ran out of parent greenlets". Assigning such a
parent to the child itself is refused with ValueError; assigning it to the child's parent is not.
Clauses that meet here: thread.error.end, thread.unstarted-chain, thread.reparent-started.
"""

from concurrent.futures import ThreadPoolExecutor

from greenlet import getcurrent, greenlet

foreign_root = ThreadPoolExecutor(1).submit(getcurrent).result()
parent = greenlet(lambda: None)
child = greenlet(lambda: setattr(parent, "parent", foreign_root), parent)
child.switch()  # SIGABRT
