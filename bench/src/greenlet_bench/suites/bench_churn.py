"""Greenlets that come and go while others live.

The oldest of a population ends and a new one takes its place, as in a server whose connections
come and go.
"""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless


@benchmark(
    "the oldest of {size:,} ends, a new one starts",
    unit="ns per greenlet",
    series="churn.oldest",
    axis="greenlets",
    sizes=(10, 1_000, 10_000, 100_000),
    quick_sizes=(10, 1_000),
)
def bench_oldest(measure: Any, impl: Implementation, size: int) -> None:
    def prepare() -> Workload:
        started, ended = endless(), endless()
        start, end = started.__next__, ended.__next__
        back = impl.getcurrent().switch
        new = impl.greenlet
        living: deque[Any] = deque()

        def live() -> None:
            start()
            back()
            end()

        for _ in range(size):
            greenlet = new(live)
            greenlet.switch()
            living.append(greenlet)

        def body() -> object:
            append, popleft = living.append, living.popleft
            for _ in repeat(None, LOOPS):
                oldest = popleft()
                oldest.switch()
                greenlet = new(live)
                greenlet.switch()
                append(greenlet)
            return oldest

        all_started, all_ended = advances(started, LOOPS), advances(ended, LOOPS)

        def check(last: Any) -> None:
            all_started(last)
            all_ended(last)
            assert last.dead and len(living) == size

        return Workload(body, check, living)

    measure(prepare)
