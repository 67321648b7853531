"""A whole life: create, run, die.

The result of each is collected and compared, so that none can be left out.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless

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


@benchmark("create, run a subclass's method, die", unit=UNIT, quick=False)
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


@benchmark("create, run, die into a parent that switches back", unit=UNIT)
def bench_into_parent(measure: Any, impl: Implementation) -> None:
    # Three switches: into the child, by its death into its parent, and from there back.
    def run() -> object:
        return MARK

    def prepare() -> Workload:
        deaths = endless()
        back = impl.getcurrent().switch
        new = impl.greenlet
        received: object = None

        def inherit() -> None:
            nonlocal received
            received = back()
            for _ in deaths:
                received = back()

        parent = new(inherit)
        parent.switch()

        def body() -> None:
            for _ in repeat(None, LOOPS):
                new(run, parent).switch()

        advanced = advances(deaths, LOOPS)

        def check(result: object) -> None:
            advanced(result)
            assert received is MARK

        return Workload(body, check, [parent])

    measure(prepare)


class Boom(Exception):
    """What a greenlet dies of."""


@benchmark("create, run, die of an exception that the parent catches", unit=UNIT)
def bench_exception(measure: Any, impl: Implementation) -> None:
    boom = Boom()

    def run() -> None:
        raise boom

    def prepare() -> Workload:
        new = impl.greenlet

        def body() -> list[object]:
            caught: list[object] = []
            for _ in repeat(None, LOOPS):
                try:
                    new(run).switch()
                except Boom as error:
                    error.__traceback__ = None
                    caught.append(error)
            return caught

        def check(caught: list[object]) -> None:
            assert len(caught) == LOOPS
            assert all(error is boom for error in caught)

        return Workload(body, check)

    measure(prepare)
