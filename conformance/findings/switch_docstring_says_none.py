"""greenlet 3.5.6: the docstring of `switch` says None where the documentation says ().

"the return value to its switch call will be None if no arguments are given", says the docstring;
the documentation's example for dead greenlets shows (), and () is what is returned.
Clause: args.none, which follows the documentation.
"""

from greenlet import getcurrent, greenlet

g = greenlet(lambda: getcurrent().parent.switch())
print("None" in greenlet.switch.__doc__, g.switch())  # True ()
