"""Context variables.

Each greenlet has a context of its own, which a switch must put in place.
"""

from __future__ import annotations

from contextvars import Context, ContextVar
from itertools import repeat
from typing import Any

import pytest

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless

UNIT = "ns per round trip (two switches)"
NAME: ContextVar[str] = ContextVar("NAME")


def _context(name: str) -> Context:
    context = Context()
    context.run(NAME.set, name)
    return context


def _two_contexts(measure: Any, impl: Implementation, *, reading: bool) -> None:
    """Round trips between two greenlets with a context each; `reading` a variable at each end."""
    if not hasattr(impl.getcurrent(), "gr_context"):
        pytest.skip("its greenlets have no gr_context; install a version or build that has it")

    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch
        get = NAME.get
        seen = ""

        def exchange() -> None:
            for _ in visits:
                back()

        def read_and_exchange() -> None:
            nonlocal seen
            for _ in visits:
                seen = get()
                back()

        partner = impl.greenlet(read_and_exchange if reading else exchange)
        impl.getcurrent().gr_context = _context("stage")
        partner.gr_context = its_own = _context("partner")
        partner.switch()
        switch = partner.switch

        def body() -> str:
            for _ in repeat(None, LOOPS):
                switch()
            return get()

        def reading_body() -> str:
            for _ in repeat(None, LOOPS):
                switch()
                name = get()
            return name

        advanced = advances(visits, LOOPS)

        def check(name: str) -> None:
            advanced(name)
            assert name == "stage" and seen == ("partner" if reading else "")
            assert partner.gr_context is its_own and its_own[NAME] == "partner"

        return Workload(reading_body if reading else body, check, [partner])

    measure(prepare)


@benchmark("round trip between two contexts", unit=UNIT)
def bench_own(measure: Any, impl: Implementation) -> None:
    _two_contexts(measure, impl, reading=False)


@benchmark("round trip between two contexts, a variable read in each", unit=UNIT)
def bench_read(measure: Any, impl: Implementation) -> None:
    _two_contexts(measure, impl, reading=True)


@benchmark("round trip into a Context.run", unit=UNIT)
def bench_run(measure: Any, impl: Implementation) -> None:
    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch
        names: list[str] = []

        def exchange() -> None:
            for _ in visits:
                back()
                names[:] = [NAME.get()]

        partner = impl.greenlet(_context("partner").run)
        partner.switch(exchange)
        switch = partner.switch

        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch()

        advanced = advances(visits, LOOPS)

        def check(result: object) -> None:
            advanced(result)
            assert names == ["partner"] and NAME.get("none") == "none"

        return Workload(body, check, [partner])

    measure(prepare)
