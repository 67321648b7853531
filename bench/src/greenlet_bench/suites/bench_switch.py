"""Switching between greenlets.

A round trip is two switches: into a partner and back. The partner was started by the greenlet it
talks to, as in an event loop and its workers. A ring hands control on through N siblings.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from random import Random
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless
from greenlet_bench.suites.depth import PYTHON, ROUND_TRIP, C, c_depth, python_depth, round_trips

SWITCH = "ns per switch"
RING = "ring.cyclic"


@benchmark("round trip", unit=ROUND_TRIP, headline=True)
def bench_round_trip(measure: Any, impl: Implementation) -> None:
    round_trips(measure, impl, None, depth=1)


@benchmark("round trip, the method looked up each time", unit=ROUND_TRIP)
def bench_attribute(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        visits = endless()
        stage = impl.getcurrent()

        def exchange() -> None:
            for _ in visits:
                stage.switch()

        partner = impl.greenlet(exchange)
        partner.switch()

        def body() -> None:
            for _ in repeat(None, LOOPS):
                partner.switch()

        return Workload(body, advances(visits, LOOPS), [partner])

    measure(prepare)


@benchmark(
    "round trip, 200 Python frames deep",
    unit=ROUND_TRIP,
    headline=True,
    series=PYTHON,
    axis="Python frames",
    size=200,
)
def bench_python_200(measure: Any, impl: Implementation) -> None:
    python_depth(measure, impl, 200)


@benchmark(
    "round trip, 50 nested C calls deep",
    unit=ROUND_TRIP,
    headline=True,
    series=C,
    axis="nested C calls",
    size=50,
)
def bench_c_50(measure: Any, impl: Implementation) -> None:
    c_depth(measure, impl, 50)


@benchmark("round trip, 50 nested sort() calls deep", unit=ROUND_TRIP)
def bench_sort_50(measure: Any, impl: Implementation) -> None:
    # A C function whose own frame is large: some 2 KiB of C stack a level.
    def descend(exchange: Callable[[], None], depth: int = 50) -> None:
        if depth:
            [exchange].sort(key=lambda inner: descend(inner, depth - 1))  # type: ignore[arg-type, return-value]
        else:
            exchange()

    round_trips(measure, impl, descend, depth=102)


def _ring(
    measure: Any, impl: Implementation, size: int, order: Callable[[list[Any]], None] | None = None
) -> None:
    """Laps of a ring of `size` and the stage; `order` may put its members in another order."""
    laps = max(1, LOOPS // size)

    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch

        def member(onward: Callable[[], object]) -> None:
            back()
            for _ in visits:
                onward()

        members = [impl.greenlet(member) for _ in range(size)]
        path = list(members)
        if order is not None:
            order(path)
        onward = dict(zip(path, [*(m.switch for m in path[1:]), back], strict=True))
        # Each starts from here, not from its neighbour: a chain of starts would nest on the C
        # stack of an implementation that has only one.
        for one in members:
            one.switch(onward[one])
        enter = path[0].switch

        def body() -> None:
            for _ in repeat(None, laps):
                enter()

        return Workload(body, advances(visits, laps * size), members)

    measure(prepare, operations=laps * (size + 1))


@benchmark("ring of 10", unit=SWITCH, series=RING, axis="greenlets", size=10)
def bench_ring_10(measure: Any, impl: Implementation) -> None:
    _ring(measure, impl, 10)


@benchmark("ring of 1,000", unit=SWITCH, headline=True, series=RING, axis="greenlets", size=1_000)
def bench_ring_1000(measure: Any, impl: Implementation) -> None:
    _ring(measure, impl, 1_000)


@benchmark("ring of 10,000", unit=SWITCH, headline=True, series=RING, axis="greenlets", size=10_000)
def bench_ring_10000(measure: Any, impl: Implementation) -> None:
    _ring(measure, impl, 10_000)


@benchmark(
    "ring of {size:,}",
    unit=SWITCH,
    series=RING,
    axis="greenlets",
    sizes=(2, 100, 100_000),
    quick_sizes=(2, 100),
)
def bench_ring(measure: Any, impl: Implementation, size: int) -> None:
    _ring(measure, impl, size)


@benchmark(
    "ring of {size:,} in random order",
    unit=SWITCH,
    series="ring.random",
    axis="greenlets",
    sizes=(2, 10, 100, 1_000, 10_000, 100_000),
    quick_sizes=(10, 1_000),
)
def bench_ring_random(measure: Any, impl: Implementation, size: int) -> None:
    # The same order for every implementation and process, but not that of their creation: what
    # was laid out in memory in a row is not visited in a row.
    _ring(measure, impl, size, Random(size).shuffle)
