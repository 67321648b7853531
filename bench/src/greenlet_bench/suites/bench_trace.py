"""A trace function that is told of each switch.

What debuggers and profilers of greenlets pay.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pytest

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless


@benchmark("round trip while tracing", unit="ns per round trip (two switches)")
def bench_round_trip(measure: Any, impl: Implementation) -> None:
    settrace = getattr(impl, "settrace", None)
    if settrace is None:
        pytest.skip("it has no settrace; install a version or build that has it")

    def prepare() -> Workload:
        visits, events = endless(), endless()
        count = events.__next__
        back = impl.getcurrent().switch

        def trace(event: str, arguments: object) -> None:
            count()

        def exchange() -> None:
            for _ in visits:
                back()

        partner = impl.greenlet(exchange)
        partner.switch()
        switch = partner.switch

        def body() -> None:
            settrace(trace)
            for _ in repeat(None, LOOPS):
                switch()
            settrace(None)

        advanced, told = advances(visits, LOOPS), advances(events, 2 * LOOPS)

        def check(result: object) -> None:
            advanced(result)
            told(result)

        return Workload(body, check, [partner])

    measure(prepare)
