"""Creating greenlets that are not started."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload

MARK = object()


def _run() -> object:
    return MARK


def _check_unstarted(greenlet: Any) -> None:
    """It can be told apart from a running or dead one, and runs when it is started."""
    assert not greenlet and not greenlet.dead
    assert greenlet.switch() is MARK
    assert greenlet.dead


@benchmark("create and drop", unit="ns per greenlet", headline=True)
def bench_drop(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        new = impl.greenlet

        def body() -> Any:
            for _ in repeat(None, LOOPS):
                greenlet = new(_run)
            return greenlet

        return Workload(body, _check_unstarted)

    measure(prepare)


@benchmark("create and keep a thousand", unit="ns per greenlet")
def bench_keep(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        new = impl.greenlet

        def body() -> list[Any]:
            return [new(_run) for _ in repeat(None, LOOPS)]

        def check(greenlets: list[Any]) -> None:
            assert len({id(greenlet) for greenlet in greenlets}) == LOOPS
            _check_unstarted(greenlets[0])
            _check_unstarted(greenlets[-1])

        return Workload(body, check)

    measure(prepare)
