"""Memory of suspended greenlets.

Resident pages and page tables, as the kernel counts them, in a process of its own.
"""

from __future__ import annotations

from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import Implementation, Workload


@benchmark(
    "a suspended greenlet, page tables included",
    unit="bytes per greenlet",
    headline=True,
    alone=True,
)
def bench_suspended(measure_memory: Any, impl: Implementation) -> None:
    def prepare(population: int) -> Workload:
        back = impl.getcurrent().switch
        greenlets: list[Any] = [None] * population  # in place before the first reading
        waiting = 0

        def wait() -> None:
            nonlocal waiting
            waiting += 1
            back()

        def body() -> None:
            for index in range(population):
                greenlet = impl.greenlet(wait)
                greenlet.switch()
                greenlets[index] = greenlet

        def check(_result: object) -> None:
            assert waiting == population
            assert all(greenlet and not greenlet.dead for greenlet in greenlets)

        return Workload(body, check, greenlets)

    measure_memory(prepare)
