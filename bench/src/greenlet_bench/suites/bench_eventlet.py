"""eventlet.

What a program pays whose greenlets are eventlet's, its hub included.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Workload, advances, endless


def _end_hub(eventlet: Any) -> None:
    eventlet.hubs.get_hub().abort(wait=True)
    eventlet.hubs.use_hub()  # a new one for the next, whose parent is not this greenlet


@benchmark("eventlet.sleep(0) in two greenlets by turns", unit="ns per sleep", quick=False)
def bench_sleep(measure: Any, library: Any) -> None:
    eventlet = library("eventlet")
    visits = endless()

    def hand_over() -> None:
        sleep = eventlet.sleep
        for _ in zip(repeat(None, LOOPS // 2), visits, strict=False):
            sleep(0)

    def prepare() -> Workload:
        def body() -> None:
            for thread in [eventlet.spawn(hand_over), eventlet.spawn(hand_over)]:
                thread.wait()

        return Workload(body, advances(visits, LOOPS), close=lambda: _end_hub(eventlet))

    measure(prepare)


@benchmark("eventlet.spawn and wait", unit="ns per greenlet", quick=False)
def bench_spawn(measure: Any, library: Any) -> None:
    eventlet = library("eventlet")

    def prepare() -> Workload:
        def body() -> list[int]:
            threads = [eventlet.spawn(int, number) for number in range(LOOPS)]
            return [thread.wait() for thread in threads]

        def check(results: list[int]) -> None:
            assert results == list(range(LOOPS))

        return Workload(body, check, close=lambda: _end_hub(eventlet))

    measure(prepare)


@benchmark("an item through an eventlet queue of one place", unit="ns per item", quick=False)
def bench_queue(measure: Any, library: Any) -> None:
    eventlet = library("eventlet")

    def prepare() -> Workload:
        queue = eventlet.Queue(1)

        def produce() -> None:
            for number in range(LOOPS):
                queue.put(number)

        def consume() -> list[int]:
            return [queue.get() for _ in repeat(None, LOOPS)]

        def body() -> list[int]:
            consumer, producer = eventlet.spawn(consume), eventlet.spawn(produce)
            producer.wait()
            items: list[int] = consumer.wait()
            return items

        def check(items: list[int]) -> None:
            assert items == list(range(LOOPS))

        return Workload(body, check, close=lambda: _end_hub(eventlet))

    measure(prepare)
