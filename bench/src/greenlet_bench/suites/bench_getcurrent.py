"""Asking which greenlet runs."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload


@benchmark("getcurrent()", unit="ns per call")
def bench_getcurrent(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        getcurrent = impl.getcurrent
        stage = getcurrent()

        def body() -> object:
            for _ in repeat(None, LOOPS):
                current = getcurrent()
            return current

        def check(current: object) -> None:
            assert current is stage
            # It is looked up, not remembered.
            assert impl.greenlet(getcurrent).switch() is not stage

        return Workload(body, check)

    measure(prepare)
