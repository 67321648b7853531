"""Switching by the depth of the partner's stack.

A round trip each. An implementation that copies stacks pays for their depth; one that does not
must come out the same at any.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat, starmap
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances
from greenlet_bench.suites.depth import PYTHON, ROUND_TRIP, C, c_depth, python_depth


@contextmanager
def _room_for(frames: int) -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@benchmark(
    "round trip, depth in Python {size:,}",
    unit=ROUND_TRIP,
    series=PYTHON,
    axis="Python frames",
    sizes=(1, 10, 50, 1_000),
    quick_sizes=(1, 50, 1_000),
)
def bench_python(measure: Any, impl: Implementation, size: int) -> None:
    with _room_for(size):
        python_depth(measure, impl, size)


@benchmark(
    "round trip, no Python frame at all",
    unit=ROUND_TRIP,
    series=PYTHON,
    axis="Python frames",
    size=0,
)
def bench_python_none(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        visits = repeat((), sys.maxsize)
        # A deque that keeps nothing takes all that an iterator gives; here, starmap() calls
        # back() for each empty tuple of visits. All of it is C.
        partner = impl.greenlet(deque)
        partner.switch(starmap(impl.getcurrent().switch, visits), 0)
        assert partner.gr_frame is None, "the partner has a Python frame"
        switch = partner.switch

        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch()

        return Workload(body, advances(visits, LOOPS), [partner])

    measure(prepare)


@benchmark(
    "round trip, depth in C {size:,}",
    unit=ROUND_TRIP,
    series=C,
    axis="nested C calls",
    sizes=(0, 1, 10, 200, 1_000),
    quick_sizes=(0, 10, 200),
)
def bench_c(measure: Any, impl: Implementation, size: int) -> None:
    with _room_for(2 * size):
        c_depth(measure, impl, size)
