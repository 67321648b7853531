"""greenlet 3.5.6: the docstring of `switch` says that a switch to a dead greenlet just returns.

"If the greenlet is dead, or is the current greenlet then this function will simply return the
arguments", says the docstring. The documentation ("Switching To Dead Greenlets") sends it to the
dead greenlet's parent, and that is what happens. Clause: dead.skip.parent, which follows the
documentation.
"""

from greenlet import getcurrent, greenlet

root = getcurrent()
parent = greenlet(lambda: print("the parent was entered with", root.switch()))
dead = greenlet(lambda: None)
dead.switch()
dead.parent = parent
parent.switch()
print("simply return" in greenlet.switch.__doc__, dead.switch("x"))  # enters parent; True None
