"""greenlet 3.5.6, CPython 3.10-3.13: freeing a long line of ancestors overflows the stack.

A greenlet that is freed frees its parent, if nobody else refers to it, and so on, each inside of
the one before. 200,000 of them, which never ran and hold nothing but their parent, are SIGSEGV.
CPython puts off what is nested too deep, but before 3.14 only of types that ask for it.
Clause: life.released.line.
"""

from greenlet import greenlet

child = last = greenlet(lambda: None)
for _ in range(200_000):
    last.parent = greenlet(lambda: None)
    last = last.parent
del last
print("dropping")
del child
print("expected to get here")
