"""Threads that each switch between greenlets of their own.

The round trips of a round are shared out among the threads, so that more threads do not do more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import Implementation, Workload, advances, endless, kill

ROUND_TRIPS = 20_000
"""In one round, of all threads: so many that waking the threads is little beside them."""


class Worker:
    """A thread that makes `share` round trips to a partner of its own for each `go`."""

    def __init__(self, impl: Implementation, share: int) -> None:
        self._impl = impl
        self._share = share
        self._visits = endless()
        self._stop = False
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.done.acquire()
        self.check: Callable[[object], None] = advances(self._visits, share)

    def _run(self) -> None:
        try:
            back = self._impl.getcurrent().switch

            def exchange() -> None:
                for _ in self._visits:
                    back()

            partner = self._impl.greenlet(exchange)
            partner.switch()
            switch = partner.switch
            self.done.release()
            while True:
                self.go.acquire()
                if self._stop:
                    break
                for _ in repeat(None, self._share):
                    switch()
                self.done.release()
            kill(self._impl, [partner])
        finally:
            self._stop = True
            self.done.release()  # whoever waits goes on and finds that the work was not done

    def end(self) -> None:
        self._stop = True
        self.go.release()
        self._thread.join()


@benchmark(
    "round trips, threads that share them: {size}",
    unit="ns per round trip (two switches)",
    series="threads.round_trip",
    axis="threads",
    sizes=(1, 2, 4, 8),
    quick_sizes=(1, 4),
)
def bench_round_trip(measure: Any, impl: Implementation, size: int) -> None:
    def prepare() -> Workload:
        workers = [Worker(impl, ROUND_TRIPS // size) for _ in range(size)]

        def body() -> None:
            for worker in workers:
                worker.go.release()
            for worker in workers:
                worker.done.acquire()

        def check(result: object) -> None:
            for worker in workers:
                worker.check(result)

        def close() -> None:
            for worker in workers:
                worker.end()

        return Workload(body, check, close=close)

    measure(prepare, operations=ROUND_TRIPS)
