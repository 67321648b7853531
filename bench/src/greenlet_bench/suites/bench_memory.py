"""Memory of suspended greenlets.

Resident pages and page tables, as the kernel counts them, in a process of its own.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import reduce
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import Implementation, Workload

UNIT = "bytes per greenlet"

DEEP = 10_000
"""How many greenlets have been deep. One that has been may keep tens of kilobytes."""

FRAMES = 50
"""How deep they have been: Python frames, each with a call of C between it and the next."""


def _suspended(
    impl: Implementation,
    population: int,
    before: Callable[[], object] | None = None,
    after: Callable[[list[Any]], object] | None = None,
) -> Workload:
    """Create greenlets and start them; each calls `before` and is then suspended, one frame deep.

    `after` gets all of them at last, within what is measured.
    """
    back = impl.getcurrent().switch
    greenlets: list[Any] = [None] * population  # in place before the first reading
    waiting = 0

    def wait() -> None:
        nonlocal waiting
        if before is not None:
            before()
        waiting += 1
        back()

    def body() -> None:
        for index in range(population):
            greenlet = impl.greenlet(wait)
            greenlet.switch()
            greenlets[index] = greenlet
        if after is not None:
            after(greenlets)

    def check(_result: object) -> None:
        assert waiting == population
        assert all(greenlet and not greenlet.dead for greenlet in greenlets)

    return Workload(body, check, greenlets)


def _go_deep() -> None:
    def descend(left: int, _item: int = 0) -> int:
        return reduce(descend, (0,), left - 1) if left else 0

    descend(FRAMES)


@benchmark("a suspended greenlet, page tables included", unit=UNIT, headline=True, alone=True)
def bench_suspended(measure_memory: Any, impl: Implementation) -> None:
    measure_memory(lambda population: _suspended(impl, population))


@benchmark(
    "a suspended greenlet among {size:,}",
    unit=UNIT,
    series="memory.suspended",
    axis="greenlets",
    sizes=(10, 100, 1_000, 10_000, 100_000, 1_000_000),
    quick_sizes=(),
    alone=True,
)
def bench_among(measure_memory: Any, impl: Implementation, size: int) -> None:
    measure_memory(lambda population: _suspended(impl, population), size)


@benchmark("a suspended greenlet that has been deep", unit=UNIT, alone=True, quick=False)
def bench_deep(measure_memory: Any, impl: Implementation) -> None:
    measure_memory(lambda population: _suspended(impl, population, _go_deep), DEEP)


@benchmark("the same, after a full collection", unit=UNIT, alone=True, quick=False)
def bench_deep_collected(measure_memory: Any, impl: Implementation) -> None:
    def collect(_greenlets: list[Any]) -> None:
        gc.collect()

    measure_memory(lambda population: _suspended(impl, population, _go_deep, collect), DEEP)


@benchmark(
    "what a dead greenlet leaves, after a full collection", unit=UNIT, alone=True, quick=False
)
def bench_left(measure_memory: Any, impl: Implementation) -> None:
    def prepare(population: int) -> Workload:
        def end(greenlets: list[Any]) -> None:
            for greenlet in greenlets:
                greenlet.switch()
            dead.extend([all(greenlet.dead for greenlet in greenlets)])
            greenlets[:] = [None] * population
            gc.collect()

        dead: list[bool] = []
        inner = _suspended(impl, population, after=end)

        def check(_result: object) -> None:
            assert dead == [True]

        return Workload(inner.body, check)

    measure_memory(prepare)
