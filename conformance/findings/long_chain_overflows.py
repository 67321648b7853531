"""greenlet 3.5.6, CPython 3.13: a long chain of greenlets that goes at once overflows the stack.

Each greenlet is held only by a local variable of the next one. Dropping the last one kills it,
which drops the one before it in the middle of that kill, and so on: SIGSEGV on CPython 3.13, and
with 20,000 of them on 3.14 and 3.15 too. CPython 3.10-3.12 survive both.
Clause: life.kill.chain.
"""

from greenlet import getcurrent, greenlet

root = getcurrent()
last = None
for _ in range(5_000):
    g = greenlet(lambda held: root.switch())
    g.switch(last)
    last = g
del g
print("dropping")
del last
print("expected to get here")
