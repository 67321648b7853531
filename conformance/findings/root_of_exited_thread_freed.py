"""greenlet 3.5.6: the root of an exited thread is freed while a local variable holds it.

When a thread exits, the extension looks for references to the root that its own switches left on
the stack. It takes a reference that the collector cannot see, such as that of a local variable,
for one of these, and drops it. The variable then points to freed memory.
Clause: thread.exited.root-held.
"""

import time
import weakref
from concurrent.futures import ThreadPoolExecutor

from greenlet import getcurrent


def main() -> None:
    pool = ThreadPoolExecutor(1)
    root = pool.submit(getcurrent).result()
    alive = weakref.ref(root)
    pool.shutdown()
    time.sleep(0.1)
    print("expected the root, got", alive())  # None, though `root` still refers to it
    del root  # may crash


main()
