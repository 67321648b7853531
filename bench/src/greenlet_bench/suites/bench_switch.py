"""Switching between greenlets.

A round trip is two switches: into a partner and back. The partner was started by the greenlet it
talks to, as in an event loop and its workers. A ring hands control on through N siblings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import reduce
from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless

ROUND_TRIP = "ns per round trip (two switches)"
RING = "ring.cyclic"


def _python_depth() -> int:
    """How many Python frames the caller's greenlet has, the caller's own included."""
    depth = 0
    frame = sys._getframe(1)
    while frame is not None:
        depth += 1
        frame = frame.f_back  # type: ignore[assignment]
    return depth


def _round_trips(
    measure: Any,
    impl: Implementation,
    descend: Callable[[Callable[[], None]], object] | None,
    depth: int,
) -> None:
    """Round trips to a partner that `descend`, if given, has put `depth` Python frames deep."""

    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch
        found_depth = 0

        def exchange() -> None:
            nonlocal found_depth
            found_depth = _python_depth()
            for _ in visits:
                back()

        if descend is None:
            partner = impl.greenlet(exchange)
            partner.switch()
        else:
            partner = impl.greenlet(descend)
            partner.switch(exchange)
        assert found_depth == depth, f"the partner is {found_depth} frames deep, not {depth}"
        switch = partner.switch

        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch()

        return Workload(body, advances(visits, LOOPS), [partner])

    measure(prepare)


@benchmark("round trip", unit=ROUND_TRIP, headline=True)
def bench_round_trip(measure: Any, impl: Implementation) -> None:
    _round_trips(measure, impl, None, depth=1)


@benchmark("round trip, 200 Python frames deep", unit=ROUND_TRIP, headline=True)
def bench_python_200(measure: Any, impl: Implementation) -> None:
    def descend(exchange: Callable[[], None], depth: int = 199) -> None:
        if depth > 1:
            descend(exchange, depth - 1)
        else:
            exchange()

    _round_trips(measure, impl, descend, depth=200)


@benchmark("round trip, 50 nested C calls deep", unit=ROUND_TRIP, headline=True)
def bench_c_50(measure: Any, impl: Implementation) -> None:
    # reduce() is C and calls back into Python, so that every level is a real C stack frame: a
    # call from Python to Python would not be one, from CPython 3.11 on.
    def descend(exchange: Callable[[], None], depth: int = 50) -> Callable[[], None]:
        if depth:
            reduce(descend, (depth - 1,), exchange)
        else:
            exchange()
        return exchange

    _round_trips(measure, impl, descend, depth=52)


@benchmark("round trip, 50 nested sort() calls deep", unit=ROUND_TRIP)
def bench_sort_50(measure: Any, impl: Implementation) -> None:
    # As above, with a C function whose own frame is large: some 2 KiB of C stack a level.
    def descend(exchange: Callable[[], None], depth: int = 50) -> None:
        if depth:
            [exchange].sort(key=lambda inner: descend(inner, depth - 1))  # type: ignore[arg-type, return-value]
        else:
            exchange()

    _round_trips(measure, impl, descend, depth=102)


def _ring(measure: Any, impl: Implementation, size: int) -> None:
    laps = max(1, LOOPS // size)

    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch

        def member(onward: Callable[[], object]) -> None:
            back()
            for _ in visits:
                onward()

        members = [impl.greenlet(member) for _ in range(size)]
        successors = [*(m.switch for m in members[1:]), back]
        # Each starts from here, not from its neighbour: a chain of starts would nest on the C
        # stack of an implementation that has only one.
        for one, onward in zip(members, successors, strict=True):
            one.switch(onward)
        enter = members[0].switch

        def body() -> None:
            for _ in repeat(None, laps):
                enter()

        return Workload(body, advances(visits, laps * size), members)

    measure(prepare, operations=laps * (size + 1))


@benchmark("ring of 10", unit="ns per switch", series=RING, axis="greenlets", size=10)
def bench_ring_10(measure: Any, impl: Implementation) -> None:
    _ring(measure, impl, 10)


@benchmark(
    "ring of 1,000",
    unit="ns per switch",
    headline=True,
    series=RING,
    axis="greenlets",
    size=1_000,
)
def bench_ring_1000(measure: Any, impl: Implementation) -> None:
    _ring(measure, impl, 1_000)


@benchmark(
    "ring of 10,000",
    unit="ns per switch",
    headline=True,
    series=RING,
    axis="greenlets",
    size=10_000,
)
def bench_ring_10000(measure: Any, impl: Implementation) -> None:
    _ring(measure, impl, 10_000)


@benchmark(
    "ring of {size:,}",
    unit="ns per switch",
    series=RING,
    axis="greenlets",
    sizes=(2, 100, 100_000),
    quick_sizes=(2, 100),
)
def bench_ring(measure: Any, impl: Implementation, size: int) -> None:
    _ring(measure, impl, size)
