"""Ending greenlets that are suspended.

A thousand are there before each round and dead after it; they are made anew outside the timed part.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless

UNIT = "ns per greenlet"


def _population(
    measure: Any,
    impl: Implementation,
    end: Callable[[list[Any]], object],
    *,
    killed: bool = True,
    collected: bool = False,
) -> None:
    """Time `end`, which ends all greenlets of a list.

    `killed` tells whether GreenletExit is raised in each; otherwise each returns. With `collected`
    each refers to itself, so that the collector alone can end it.
    """

    def prepare() -> Workload:
        ended = endless()
        count = ended.__next__
        back = impl.getcurrent().switch
        GreenletExit = impl.GreenletExit
        living: list[Any] = []

        def wait() -> None:
            try:
                back()
            except GreenletExit:
                if killed:
                    count()
                raise
            if not killed:
                count()

        class Cyclic(impl.greenlet):  # type: ignore[misc, name-defined]
            own: Any

        def fill() -> None:
            for _ in range(LOOPS):
                greenlet = Cyclic(wait) if collected else impl.greenlet(wait)
                if collected:
                    greenlet.own = greenlet
                greenlet.switch()
                living.append(greenlet)

        if collected:
            gc.freeze()  # so that what else is in the process is not collected with them
        fill()
        advanced = advances(ended, LOOPS)

        def check(result: object) -> None:
            advanced(result)
            assert all(greenlet.dead for greenlet in living)
            living.clear()
            fill()

        return Workload(lambda: end(living), check, living, gc.unfreeze if collected else None)

    measure(prepare)


def _collects(impl: Implementation) -> bool:
    """Whether the collector kills a suspended greenlet that only it itself refers to.

    There are implementations that leave it alone, and some that free it without GreenletExit.
    """
    back = impl.getcurrent().switch
    killed = False

    def wait() -> None:
        nonlocal killed
        try:
            back()
        except impl.GreenletExit:
            killed = True
            raise

    greenlet = impl.greenlet(wait)
    greenlet.own = greenlet
    greenlet.switch()
    alive = ref(greenlet)
    del greenlet
    gc.collect()
    collected = killed
    left = alive()
    if left is not None:
        del left.own
        left.throw()
    return collected


@benchmark("let it return", unit=UNIT, quick=False)
def bench_finish(measure: Any, impl: Implementation) -> None:
    def end(living: list[Any]) -> None:
        for greenlet in living:
            greenlet.switch()

    _population(measure, impl, end, killed=False)


@benchmark("throw GreenletExit", unit=UNIT, quick=False)
def bench_throw(measure: Any, impl: Implementation) -> None:
    def end(living: list[Any]) -> None:
        for greenlet in living:
            greenlet.throw()

    _population(measure, impl, end)


@benchmark("drop the last reference", unit=UNIT)
def bench_drop(measure: Any, impl: Implementation) -> None:
    def end(living: list[Any]) -> None:
        while living:
            living.pop()

    _population(measure, impl, end)


@benchmark("leave a cycle to the collector", unit=UNIT, quick=False)
def bench_collect(measure: Any, impl: Implementation) -> None:
    if not _collects(impl):
        pytest.skip("its collector does not kill suspended greenlets; a program must do so")

    def end(living: list[Any]) -> None:
        living.clear()
        gc.collect()

    _population(measure, impl, end, collected=True)
