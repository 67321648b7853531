"""A whole life: create, run, die.

The result of each is collected and compared, so that none can be left out.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload

UNIT = "ns per greenlet"
MARK = object()


def _check(results: list[object]) -> None:
    assert results == [MARK] * LOOPS


@benchmark("create, run a function, die", unit=UNIT, headline=True)
def bench_function(measure: Any, impl: Implementation) -> None:
    def run() -> object:
        return MARK

    def prepare() -> Workload:
        new = impl.greenlet

        def body() -> list[object]:
            return [new(run).switch() for _ in repeat(None, LOOPS)]

        return Workload(body, _check)

    measure(prepare)


@benchmark("create, run a subclass's method, die", unit=UNIT)
def bench_subclass(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        class Worker(impl.greenlet):  # type: ignore[misc, name-defined]
            def run(self) -> object:
                return MARK

        def body() -> list[object]:
            return [Worker().switch() for _ in repeat(None, LOOPS)]

        return Workload(body, _check)

    measure(prepare)


@benchmark("create, start, switch out, resume, die", unit=UNIT)
def bench_suspended_once(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        back = impl.getcurrent().switch
        new = impl.greenlet

        def run() -> object:
            back()
            return MARK

        def body() -> list[object]:
            results = []
            for _ in repeat(None, LOOPS):
                greenlet = new(run)
                greenlet.switch()
                results.append(greenlet.switch())
            return results

        return Workload(body, _check)

    measure(prepare)
