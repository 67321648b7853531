"""The stacks that greenlets run on: how many there are, and how many there may be.

A greenlet that has started has a *lane*, a C stack of its own, while its thread has fewer of them
in use than a limit. Greenlets past the limit share a few lanes; the stacks of those whose turn it
is not lie on the heap, which takes much less memory and makes a switch to them somewhat slower.

Everything here is about the calling thread. The environment variable ``GREENLANE_LANES`` sets the
limit from the start; it is 4096 otherwise, or 64 on a CPU of 32 bits.

>>> from greenlane import lanes
>>> lanes.status().own
0
"""

from __future__ import annotations

from typing import NamedTuple

from greenlane import _greenlet

__all__ = ["LARGEST_LIMIT", "Status", "set_limit", "status"]

#: The largest limit that can be set. Each lane takes 8 MiB of address space (4 MiB on a CPU of 32
#: bits, where a limit above 256 has no effect).
LARGEST_LIMIT = 1_000_000


class Status(NamedTuple):
    """Counts of lanes, of the greenlets on them, and bytes, in the calling thread."""

    #: How many greenlets may have a lane of their own at a time.
    limit: int
    #: How many have one.
    own: int
    #: Lanes of finished greenlets, kept to be used again.
    idle: int
    #: Lanes that several greenlets share.
    shared: int
    #: Greenlets that share those.
    sharing: int
    #: Bytes on the heap for the greenlets that share: stacks that wait for their turn, and the
    #: first pieces of Python stacks.
    heap: int

    @property
    def address_space(self) -> int:
        """Bytes of address space of all lanes. Memory is committed as it is used, mostly 4 KiB."""
        return (self.own + self.idle + self.shared) * _greenlet._LANE_SIZE


def status() -> Status:
    """Return the counts as they are now."""
    return Status(*_greenlet._lane_counts())


def set_limit(limit: int) -> int:
    """Set the limit, for this thread and for threads that have not used greenlets yet.

    Greenlets that have a lane keep it. Returns the previous limit of this thread. Raises ValueError
    if the limit is not between 0 and LARGEST_LIMIT, TypeError if it is not an integer.
    """
    if not isinstance(limit, int):
        raise TypeError(f"limit must be an int, not {type(limit).__name__}")
    if not 0 <= limit <= LARGEST_LIMIT:
        raise ValueError(f"limit must be between 0 and {LARGEST_LIMIT}, not {limit}")
    previous = status().limit
    _greenlet._set_lane_limit(limit)
    return previous
