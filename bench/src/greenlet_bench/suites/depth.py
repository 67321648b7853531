"""Round trips to a partner that is deep in calls, for the suites `switch` and `depth`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import reduce
from itertools import repeat
from typing import Any

from greenlet_bench.harness import LOOPS, Implementation, Workload, advances, endless

ROUND_TRIP = "ns per round trip (two switches)"
PYTHON = "depth.python"
C = "depth.c"


def _frames() -> int:
    """How many Python frames the caller's greenlet has, the caller's own included."""
    depth = 0
    frame = sys._getframe(1)
    while frame is not None:
        depth += 1
        frame = frame.f_back  # type: ignore[assignment]
    return depth


def round_trips(
    measure: Any,
    impl: Implementation,
    descend: Callable[[Callable[[], None]], object] | None,
    depth: int,
) -> None:
    """Round trips to a partner that `descend`, if given, has put `depth` Python frames deep."""

    def prepare() -> Workload:
        visits = endless()
        back = impl.getcurrent().switch
        found_depth = 0

        def exchange() -> None:
            nonlocal found_depth
            found_depth = _frames()
            for _ in visits:
                back()

        if descend is None:
            partner = impl.greenlet(exchange)
            partner.switch()
        else:
            partner = impl.greenlet(descend)
            partner.switch(exchange)
        assert found_depth == depth, f"the partner is {found_depth} frames deep, not {depth}"
        switch = partner.switch

        def body() -> None:
            for _ in repeat(None, LOOPS):
                switch()

        return Workload(body, advances(visits, LOOPS), [partner])

    measure(prepare)


def python_depth(measure: Any, impl: Implementation, depth: int) -> None:
    """Round trips to a partner of `depth` Python frames, one or more."""

    def descend(exchange: Callable[[], None], left: int = depth - 1) -> None:
        if left > 1:
            descend(exchange, left - 1)
        else:
            exchange()

    round_trips(measure, impl, descend if depth > 1 else None, depth)


def c_depth(measure: Any, impl: Implementation, depth: int) -> None:
    """Round trips to a partner in `depth` nested C calls."""

    # reduce() is C and calls back into Python, so that every level is a real C stack frame: a
    # call from Python to Python would not be one, from CPython 3.11 on.
    def descend(exchange: Callable[[], None], left: int = depth) -> Callable[[], None]:
        if left:
            reduce(descend, (left - 1,), exchange)
        else:
            exchange()
        return exchange

    round_trips(measure, impl, descend, depth + 2)
