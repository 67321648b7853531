"""Raising an exception in a greenlet."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless


class Ping(Exception):
    """What the partner catches."""


@benchmark("throw into a partner that catches and switches back", unit="ns per round trip")
def bench_round_trip(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        caught = endless()
        back = impl.getcurrent().switch

        def catch() -> None:
            for _ in caught:
                try:
                    back()
                except Ping:
                    continue
                raise AssertionError("the partner was resumed without an exception")

        partner = impl.greenlet(catch)
        partner.switch()
        throw = partner.throw

        def body() -> None:
            for _ in repeat(None, LOOPS):
                throw(Ping)

        return Workload(body, advances(caught, LOOPS), [partner])

    measure(prepare)


@benchmark("create, then throw GreenletExit before the start", unit="ns per greenlet")
def bench_unstarted(measure: Any, impl: Implementation) -> None:
    def run() -> None:
        raise AssertionError("an unstarted greenlet that is thrown into must not run")

    def prepare() -> Workload:
        new = impl.greenlet

        def body() -> list[object]:
            return [new(run).throw() for _ in repeat(None, LOOPS)]

        def check(results: list[object]) -> None:
            assert len(results) == LOOPS
            assert all(isinstance(result, impl.GreenletExit) for result in results)

        return Workload(body, check)

    measure(prepare)


@benchmark("create, start, then kill with GreenletExit", unit="ns per greenlet")
def bench_kill(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        started = endless()
        back = impl.getcurrent().switch
        new = impl.greenlet

        def wait() -> None:
            for _ in started:
                back()

        def body() -> Any:
            for _ in repeat(None, LOOPS):
                greenlet = new(wait)
                greenlet.switch()
                greenlet.throw()
            return greenlet

        advanced = advances(started, LOOPS)

        def check(last: Any) -> None:
            advanced(last)
            assert last.dead

        return Workload(body, check)

    measure(prepare)
