"""Uses the extension relay, which is in C."""

import relay
from greenlet import getcurrent


def double(item):
    """Answer each item with twice of it, until one is negative."""
    while item >= 0:
        item = getcurrent().parent.switch(2 * item)
    raise ValueError(item)


print(relay.send_all(double, [1, 2, 3]))
try:
    relay.send_all(double, [1, -2, 3])
except ValueError as error:
    print(repr(error))
