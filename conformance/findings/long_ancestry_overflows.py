"""greenlet 3.5.6: an exception that goes through many unstarted ancestors overflows the stack.

Each of them dies of the exception, and is started and passes it on on top of the stack of the one
before, which is never given back. In 1 MiB of stack, as this thread has, 5,000 of them end the
process with SIGSEGV; so do 20,000 in the usual 8 MiB. Clause: throw.unstarted-long.
"""

import threading

from greenlet import greenlet


def main() -> None:
    first = last = greenlet(lambda: None)
    for _ in range(5_000):
        last.parent = greenlet(lambda: None)
        last = last.parent
    try:
        first.throw(KeyError)
    except KeyError:
        print("expected to get here")


threading.stack_size(1 << 20)
thread = threading.Thread(target=main)
print("throwing")
thread.start()
thread.join()
