"""Which benchmarks there are.

A benchmark is a function in a module of `greenlet_bench.suites`, marked with `@benchmark`. Its id
is made of the module and the function: `bench_round_trip` in `bench_switch.py` is
`switch.round_trip`. Ids are what results are joined by: never rename one, never use one again.

A function may be measured at several sizes. Each is a benchmark of its own, with the size in its
id: `suite.name[1000]`. Benchmarks that differ in size alone are the points of a *series*, whose
*axis* says what the size counts. One that is no family of sizes may be a point of a series too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import FunctionType
from typing import Any, TypeVar

from greenlet_bench.errors import BenchError

PROGRAMS = ("gevent", "sqlalchemy", "eventlet")
"""The suites that measure libraries which use greenlets, if they are installed."""

SUITES = (
    "floor",
    "switch",
    "depth",
    "args",
    "throw",
    "create",
    "life",
    "kill",
    "churn",
    "getcurrent",
    "context",
    "trace",
    "threads",
    "collection",
    "startup",
    "cold",
    "memory",
    *PROGRAMS,
)
"""The suites in the order in which they run and are shown."""

LARGE = 10_000
"""Above this size, a benchmark gets a process of its own: what it leaves would disturb others."""

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
    series: str | None = None
    """The series that it is a point of, such as `ring.cyclic`."""
    size: int | None = None
    """Where on the series' axis it is."""
    axis: str | None = None
    """What the size counts, such as `greenlets`."""
    quick: bool = True
    """Whether a quick run measures it unless it is asked for by name."""
    alone: bool = False
    """Whether it needs a process of its own, because it must start from a fresh one or leaves much
    behind."""

    @property
    def family(self) -> str:
        """The id without the size."""
        return self.id.partition("[")[0]

    def record(self) -> dict[str, Any]:
        """What the result file says about it."""
        facts = asdict(self)
        del facts["quick"], facts["alone"]  # how it is run, not what it is
        return facts

    @property
    def node(self) -> str:
        """The name that pytest knows it by, within the folder of the suites."""
        return f"{PREFIX}{self.suite}.py::{PREFIX}{self.id.partition('.')[2]}"


def benchmark(
    title: str,
    *,
    unit: str,
    headline: bool = False,
    series: str | None = None,
    axis: str | None = None,
    size: int | None = None,
    sizes: Sequence[int] = (),
    quick_sizes: Sequence[int] | None = None,
    quick: bool = True,
    alone: bool = False,
) -> Callable[[Function], Function]:
    """Mark a function of a suite as a benchmark, or as one for each of `sizes`.

    A function with `sizes` has a parameter `size`, and its title may name it: `ring of {size:,}`.
    A quick run leaves out the sizes that are not in `quick_sizes`. One with a single `size` has
    no such parameter: it is a point of the series under an id of its own. `quick=False` leaves it
    out of a quick run. With `alone` it gets a process of its own, as does every size above `LARGE`.
    """
    if (series is None) != (axis is None) or (series is None) != (size is None and not sizes):
        raise ValueError(f"{title!r}: a series, its axis and a size belong together")
    if size is not None and sizes:
        raise ValueError(f"{title!r} has one size or several, not both")
    if quick_sizes is None:
        quick_sizes = sizes if quick else ()
    if not set(quick_sizes) <= set(sizes):
        raise ValueError(f"{title!r}: quick_sizes are some of sizes")

    def mark(function: Function) -> Function:
        suite = function.__module__.rpartition(".")[2].removeprefix(PREFIX)
        id_ = f"{suite}.{function.__name__.removeprefix(PREFIX)}"
        plain = Benchmark(
            id_, suite, title, unit, headline, series, size, axis, quick=quick, alone=alone
        )
        family = {
            one: replace(
                plain,
                id=f"{id_}[{one}]",
                title=title.format(size=one),
                size=one,
                quick=one in quick_sizes,
                alone=alone or one > LARGE,
            )
            for one in sizes
        }
        function.benchmarks = family or {None: plain}  # type: ignore[attr-defined]
        return function

    return mark


def described(function: Callable[..., Any]) -> dict[int | None, Benchmark]:
    """The benchmarks that a function is, by size; a single one has the key None.

    Empty for a function that is not marked.
    """
    found: dict[int | None, Benchmark] = getattr(function, "benchmarks", {})
    return found


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
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                found.extend(described(value).values())
    return found


def _matches(one: Benchmark, pattern: str) -> bool:
    # Brackets hold a size; they are not the shell's sets of characters.
    literal = pattern.replace("[", "[[]")
    return any(fnmatchcase(name, literal) for name in (one.suite, one.family, one.id))


def select(patterns: Sequence[str], *, quick: bool = False) -> list[Benchmark]:
    """The benchmarks that match one of the shell patterns; all without patterns.

    A pattern is matched with the suite, the id, and the id without its size. With `quick`, sizes
    that are not for a quick run are left out, unless a pattern matches nothing else.
    Raises BenchError, naming near matches, for a pattern that matches nothing.
    """
    everything = catalogue()
    chosen: set[str] = set()
    for pattern in patterns or ["*"]:
        found = [b for b in everything if _matches(b, pattern)]
        matched = [b.id for b in found if b.quick or not quick] or [b.id for b in found]
        if not matched:
            names = [*SUITES, *dict.fromkeys(b.family for b in everything)]
            near = get_close_matches(pattern, names, n=3) or SUITES
            raise BenchError(
                f"no suite or benchmark matches {pattern!r}; try one of: {', '.join(near)}"
            )
        chosen.update(matched)
    return [b for b in everything if b.id in chosen]
