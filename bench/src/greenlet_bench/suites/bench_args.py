"""Arguments carried by a switch.

A round trip each: the arguments go into the partner, which switches back with none.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless

UNIT = "ns per round trip (two switches)"

A, B, C = object(), object(), object()


def _carry(
    measure: Any,
    impl: Implementation,
    body_for: Callable[[Callable[..., object]], Callable[[], None]],
    expected: object,
) -> None:
    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch
        received: object = None

        def exchange() -> None:
            nonlocal received
            for _ in visits:
                received = back()

        partner = impl.greenlet(exchange)
        partner.switch()
        advanced = advances(visits, LOOPS)

        def check(result: object) -> None:
            advanced(result)
            assert received == expected

        return Workload(body_for(partner.switch), check, [partner])

    measure(prepare)


@benchmark("no argument", unit=UNIT)
def bench_none(measure: Any, impl: Implementation) -> None:
    def body_for(switch: Callable[..., object]) -> Callable[[], None]:
        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch()

        return body

    _carry(measure, impl, body_for, ())


@benchmark("one argument", unit=UNIT)
def bench_one(measure: Any, impl: Implementation) -> None:
    def body_for(switch: Callable[..., object]) -> Callable[[], None]:
        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch(A)

        return body

    _carry(measure, impl, body_for, A)


@benchmark("three arguments", unit=UNIT)
def bench_three(measure: Any, impl: Implementation) -> None:
    def body_for(switch: Callable[..., object]) -> Callable[[], None]:
        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch(A, B, C)

        return body

    _carry(measure, impl, body_for, (A, B, C))


@benchmark("two keyword arguments", unit=UNIT)
def bench_keywords(measure: Any, impl: Implementation) -> None:
    def body_for(switch: Callable[..., object]) -> Callable[[], None]:
        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch(x=A, y=B)

        return body

    _carry(measure, impl, body_for, {"x": A, "y": B})


@benchmark("one argument and one keyword", unit=UNIT)
def bench_both(measure: Any, impl: Implementation) -> None:
    def body_for(switch: Callable[..., object]) -> Callable[[], None]:
        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch(A, x=B)

        return body

    _carry(measure, impl, body_for, ((A,), {"x": B}))
