"""Which benchmarks there are.

A benchmark is a function in a module of `greenlet_bench.suites`, marked with `@benchmark`. Its id
is made of the module and the function: `bench_round_trip` in `bench_switch.py` is
`switch.round_trip`. Ids are what results are joined by: never rename one, never use one again.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from greenlet_bench.errors import BenchError

SUITES = ("floor", "switch", "args", "throw", "create", "life", "getcurrent", "cold", "memory")
"""The suites in the order in which they run and are shown."""

PREFIX = "bench_"
FLOOR = "floor"
"""The suite that does not use the implementation: what the machine and the interpreter cost."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, as it is described in results and reports."""

    id: str
    suite: str
    title: str
    unit: str
    """What one value is, such as `ns per switch`. Less is better in every unit."""
    headline: bool = False
    """Whether the report names it at the top."""

    @property
    def node(self) -> str:
        """The name that pytest knows it by, within the folder of the suites."""
        return f"{PREFIX}{self.suite}.py::{PREFIX}{self.id.partition('.')[2]}"


def benchmark(title: str, *, unit: str, headline: bool = False) -> Callable[[Function], Function]:
    """Mark a function of a suite as a benchmark."""

    def mark(function: Function) -> Function:
        suite = function.__module__.rpartition(".")[2].removeprefix(PREFIX)
        name = function.__name__.removeprefix(PREFIX)
        described = Benchmark(f"{suite}.{name}", suite, title, unit, headline)
        function.benchmark = described  # type: ignore[attr-defined]
        return function

    return mark


def suite_title(suite: str) -> str:
    """The first line of the suite's docstring."""
    module = importlib.import_module(f"greenlet_bench.suites.{PREFIX}{suite}")
    return (module.__doc__ or suite).strip().splitlines()[0].rstrip(".")


def catalogue() -> list[Benchmark]:
    """All benchmarks, in the order of their suites and of their source."""
    found: list[Benchmark] = []
    for suite in SUITES:
        module = importlib.import_module(f"greenlet_bench.suites.{PREFIX}{suite}")
        for value in vars(module).values():
            described = getattr(value, "benchmark", None)
            if isinstance(described, Benchmark) and described.suite == suite:
                found.append(described)
    return found


def select(patterns: Sequence[str]) -> list[Benchmark]:
    """The benchmarks whose suite or id matches one of the shell patterns; all without patterns.

    Raises BenchError, naming near matches, for a pattern that matches nothing.
    """
    everything = catalogue()
    if not patterns:
        return everything
    chosen: set[str] = set()
    for pattern in patterns:
        matched = [
            b.id for b in everything if fnmatchcase(b.suite, pattern) or fnmatchcase(b.id, pattern)
        ]
        if not matched:
            names = [*SUITES, *(b.id for b in everything)]
            near = get_close_matches(pattern, names, n=3) or SUITES
            raise BenchError(
                f"no suite or benchmark matches {pattern!r}; try one of: {', '.join(near)}"
            )
        chosen.update(matched)
    return [b for b in everything if b.id in chosen]
