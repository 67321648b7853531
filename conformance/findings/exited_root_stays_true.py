"""greenlet 3.5.6: the root of an exited thread is true until somebody reads its `dead`.

`bool(g)` is false once `g.dead` is true. What a root is after its thread has exited is worked out
when `dead` is read, and at no other time: before, `bool` says that it is active. Since 2.0.
Clause: thread.exited.root-dead.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from greenlet import getcurrent

pool = ThreadPoolExecutor(1)
root = pool.submit(getcurrent).result()
pool.shutdown()
time.sleep(0.1)
before, _, after = bool(root), root.dead, bool(root)
print("expected False, got", before, "and then", after)
