"""Two greenlets that switch to each other by hand."""

from greenlet import greenlet


def func1():
    """Begin, and go on once the other has begun."""
    print("g1 begin")
    g2.switch()
    print("return to g1")
    g2.switch()


def func2():
    """Begin, and end: what is after that is in the greenlet that made both."""
    print("g2 begin")
    g1.switch()
    print("reenter g2")


g1, g2 = greenlet(func1), greenlet(func2)
g1.switch()
