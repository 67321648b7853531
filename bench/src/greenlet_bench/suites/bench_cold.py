"""Many greenlets for the first time.

In a process of its own, once: nothing is warm, and every page is touched for the first time.
"""

from __future__ import annotations

from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import Implementation, Workload


@benchmark(
    "first start of one of many greenlets", unit="ns per greenlet", headline=True, alone=True
)
def bench_first_start(measure_cold: Any, impl: Implementation) -> None:
    def prepare(population: int) -> Workload:
        back = impl.getcurrent().switch
        waiting = 0

        def wait() -> None:
            nonlocal waiting
            waiting += 1
            back()

        greenlets = [impl.greenlet(wait) for _ in range(population)]

        def body() -> None:
            for greenlet in greenlets:
                greenlet.switch()

        def check(_result: object) -> None:
            assert waiting == population
            assert all(greenlet and not greenlet.dead for greenlet in greenlets)

        return Workload(body, check, greenlets)

    measure_cold(prepare)
