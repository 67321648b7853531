"""The garbage collector while many greenlets are suspended.

It may have to look into each of them, and everything else waits for it.
"""

from __future__ import annotations

import gc
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import Implementation, Workload


@benchmark(
    "a full collection, for each suspended greenlet",
    unit="ns per greenlet",
    alone=True,
    quick=False,
)
def bench_pause(measure: Any, impl: Implementation, population: int) -> None:
    def prepare() -> Workload:
        gc.freeze()  # so that what else is in the process is not collected with them
        back = impl.getcurrent().switch
        waiting = 0

        def wait() -> None:
            nonlocal waiting
            waiting += 1
            back()

        greenlets = [impl.greenlet(wait) for _ in range(population)]
        for greenlet in greenlets:
            greenlet.switch()

        def check(_result: object) -> None:
            assert waiting == population
            assert all(greenlet and not greenlet.dead for greenlet in greenlets)

        return Workload(gc.collect, check, greenlets, gc.unfreeze)

    measure(prepare, operations=population)
