"""No memory for the stack that would have to leave its lane: MemoryError, and nothing changes."""

from __future__ import annotations

import pytest
from support import run_script

SETTING = """
import resource
import sys
from pathlib import Path

from greenlane import getcurrent, greenlet, lanes

DEPTH = 150  # calls of sort(), each with some 2 KiB of C stack or more
lanes.set_limit(0)
sys.setrecursionlimit(10_000)


def wait():
    return getcurrent().parent.switch()


def descend(depth, bottom):
    if depth == 0:
        return bottom()
    answer = []
    [None].sort(key=lambda _: answer.append(descend(depth - 1, bottom)))
    return answer[0] + 1


def dig(bottom):
    wait()
    return descend(DEPTH, bottom)


def scarce():
    # As much address space as is in use, less a little: malloc() gets no new memory for a stack.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    hog.clear()
    hog.extend(bytes(1 << exponent) for exponent in [*range(12, 19)] * 40)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))


def plenty():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    hog.clear()


hog = []
# Eight lanes are shared in turn: the first and the last of nine greenlets share one.
deep = greenlet(dig)
deep.switch(lambda: bottom())
others = [greenlet(wait) for _ in range(7)]
for other in others:
    other.switch()
small = greenlet(wait)
small.switch()
"""


@pytest.mark.parametrize("standing", ["elsewhere", "on the lane"])
def test_no_memory_for_the_stack_that_must_leave(standing: str) -> None:
    bottom = "wait" if standing == "elsewhere" else "probe"
    code = (
        SETTING
        + f"""

def probe():
    refused = attempt()
    assert refused, "the small one came in: there was memory"
    wait()
    return 0


def attempt():
    scarce()
    try:
        small.switch("too early")
    except MemoryError:
        return True
    finally:
        plenty()
    return False


bottom = {bottom}
deep.switch()
if bottom is wait:
    assert attempt(), "the small one came in: there was memory"
# Nobody has changed: who is where, what their frames are, what they return.
assert small and not small.dead and small.gr_frame.f_code is wait.__code__
assert deep and deep.gr_frame.f_code is wait.__code__
for other in others:
    assert other.switch("other") == "other" and other.dead
assert small.switch("now") == "now" and small.dead
assert deep.switch(7 if bottom is wait else None) == DEPTH + (7 if bottom is wait else 0)
assert deep.dead
print("as it was")
"""
    )
    assert run_script(code).stdout == "as it was\n"
