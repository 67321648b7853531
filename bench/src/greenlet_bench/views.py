"""What the report shows of benchmark results: ratios as bars, facts, and what joins several files.

Everything here is worked out from result files; nothing is measured or written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from greenlet_bench import plots, table
from greenlet_bench.results import OK, Results
from greenlet_bench.scaling import Series, series_of
from greenlet_bench.stats import Ratio
from greenlet_bench.summary import Group, Row, summarise

FLOOR_LINE = "floor.c_call"
"""The benchmark that is drawn as the floor of times: no call of C can cost less."""


# --- ratios as bars ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A ratio as percentages of a logarithmic axis."""

    start: float
    width: float
    low: float | None
    reach: float | None
    """The interval's start and width."""
    kind: str
    """`better`, `worse` or `unclear`."""


@dataclass(frozen=True)
class RatioAxis:
    """The logarithmic axis that all ratio bars of a table share."""

    least: float
    most: float

    def position(self, ratio: float) -> float:
        """0 at the left end, 100 at the right end."""
        span = math.log(self.most / self.least)
        return 100 * min(max(math.log(ratio / self.least) / span, 0), 1)

    @property
    def ticks(self) -> list[tuple[str, float]]:
        """Round ratios, as many as there is room for."""
        span = self.most / self.least
        steps: tuple[float, ...] = (1,)
        if span <= 2:
            steps = (1, 1.1, 1.25, 1.5, 8, 9)
        elif span <= 40:
            steps = (1, 2, 5)
        every = math.ceil(math.log10(span) / 5)
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        marks = [step * 10.0**power for power in powers if power % every == 0 for step in steps]
        return [
            (f"{mark:g}x" if mark < 1e4 else f"{plots.short(mark)}x", self.position(mark))
            for mark in marks
            if self.least <= mark <= self.most
        ]

    def bar(self, ratio: Ratio) -> Bar:
        ends = sorted((self.position(1), self.position(ratio.value)))
        low = reach = None
        if ratio.low is not None and ratio.high is not None:
            low = self.position(ratio.low)
            reach = self.position(ratio.high) - low
        kind = table.verdict(ratio) if ratio.significant else "unclear"
        return Bar(ends[0], ends[1] - ends[0], low, reach, kind)


def ratio_axis(ratios: Sequence[Ratio]) -> RatioAxis:
    """An axis that holds every ratio and interval, and 0.8 to 1.25 at least."""
    values = [0.8, 1.25]
    for ratio in ratios:
        values += [v for v in (ratio.value, ratio.low, ratio.high) if v is not None]
    return RatioAxis(min(values) / 1.05, max(values) * 1.05)


# --- one result file -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """Instructions of one benchmark, per operation and implementation."""

    id: str
    title: str
    counts: dict[str, float]
    """By label."""
    ratios: dict[str, float]
    """The baseline's count divided by the other's, by label."""

    def share(self, label: str) -> float:
        """Per cent of the greatest count."""
        return 100 * self.counts[label] / (max(self.counts.values()) or 1)


@dataclass(frozen=True)
class Bench:
    """One benchmark result file."""

    path: Path
    results: Results
    groups: list[Group]
    version: str
    """What tells it from other results of the report, such as `3.13`, or `3.13 bench`."""

    @property
    def others(self) -> list[str]:
        """Labels of what is compared to the baseline."""
        return [label for label in self.results.labels if label != self.results.baseline]

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    @cached_property
    def axis(self) -> RatioAxis:
        groups = [ratio for group in self.groups for ratio in group.ratios.values()]
        return ratio_axis(groups + [ratio for row in self.rows for ratio in row.ratios.values()])

    @property
    def headlines(self) -> list[Row]:
        """Of what an implementation does; the floor is no achievement of anyone's."""
        return [r for g in self.groups if not g.is_floor for r in g.rows if r.headline]

    @property
    def yardsticks(self) -> list[Row]:
        """Headlines of the floor: what to compare with."""
        return [r for g in self.groups if g.is_floor for r in g.rows if r.headline]

    @property
    def floor(self) -> float | None:
        """What FLOOR_LINE costs, if it was measured."""
        costs = [
            cell.minimum
            for row in self.rows
            if row.id == FLOOR_LINE
            for cell in row.cells.values()
            if cell.outcome == OK and cell.minimum > 0
        ]
        return min(costs, default=None)

    @cached_property
    def series(self) -> list[Series]:
        return series_of(self.groups)

    @property
    def times(self) -> list[Series]:
        return [series for series in self.series if not series.unit.startswith("bytes")]

    @property
    def memory(self) -> list[Series]:
        return [series for series in self.series if series.unit.startswith("bytes")]

    @cached_property
    def counted(self) -> list[Counted]:
        """Counts of instructions, in the order of the benchmarks."""
        found: dict[str, dict[str, float]] = {}
        for one in self.results.counts:
            if one.per_operation is not None:
                found.setdefault(one.benchmark, {})[one.implementation] = one.per_operation
        rows = {row.id: row.title for row in self.rows}
        made = []
        for id_, title in rows.items():
            counts = {
                label: found[id_][label]
                for label in self.results.labels
                if label in found.get(id_, {})
            }
            base = counts.get(self.results.baseline)
            ratios = {
                label: base / count
                for label, count in counts.items()
                if base is not None and count > 0 and label != self.results.baseline
            }
            if counts:
                made.append(Counted(id_, title, counts, ratios))
        return made

    def name(self, label: str) -> str:
        """Label and version."""
        for found in self.results.header["implementations"]:
            if found["label"] == label:
                version = found["version"] or ""
                module = found["module"]
                shown = label if label == module else f"{label} ({module})"
                return f"{shown} {version}".strip()
        raise KeyError(label)

    @property
    def python(self) -> str:
        python = self.results.header["python"]
        suffix = ("t" if python["free_threaded"] else "") + ("d" if python["debug"] else "")
        return f"{python['implementation']} {python['version']}{suffix}"

    @property
    def minor(self) -> str:
        """The version of Python without what changes from month to month, such as `3.13t`."""
        return re.sub(r"^(\d+\.\d+)[^td]*", r"\1", self.python.rpartition(" ")[2])

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is known about where and how it was measured."""
        header = self.results.header
        machine, python, settings = header["machine"], header["python"], header["settings"]
        memory = machine["memory_bytes"]
        cpu = settings["cpu"]
        jit = python.get("jit")
        facts = [
            ("Measured", f"{header['started']}, in {self.results.footer['seconds']:.0f} s"),
            ("CPU", f"{machine['cpu']} ({machine['cpus']} CPUs, {machine['machine']})"),
            ("Pinned to", "no CPU" if cpu is None else f"CPU {cpu}"),
            ("Frequency governor", machine["governor"]),
            ("Memory", memory and f"{memory / 2**30:.1f} GiB"),
            ("Transparent huge pages", machine["transparent_hugepage"]),
            ("Kernel", f"{machine['system']} {machine['kernel']}"),
            ("Python", f"{self.python} ({python['build']})"),
            ("JIT", None if jit is None else "on" if jit else "off"),
            ("Compiler", python["compiler"]),
            ("Compiler flags", python["cflags"]),
            ("Python built with", " ".join(python["lto_pgo"]) or "neither LTO nor PGO options"),
            ("Implementations", ", ".join(self.name(label) for label in self.results.labels)),
            (
                "Extension modules",
                "; ".join(
                    f"{one['file']} (SHA-256 {one['sha256'][:12]}…,"
                    f" {', '.join(one['compilers']) or 'compiler unknown'})"
                    for found in header["implementations"]
                    for one in found.get("extensions", ())
                ),
            ),
            ("Commit", header["commit"]),
            (
                "Amount",
                f"{settings['rounds']} rounds of A B B A, {settings['seconds']:g} s for each"
                f" benchmark in each process, {settings['population']:,} greenlets for cold"
                " starts and memory",
            ),
            ("Tool", header["tool"]),
        ]
        return [(name, str(value)) for name, value in facts if value]


def bench_of(path: Path, found: Results) -> Bench:
    """What the report needs of a result file.

    Raises KeyError, TypeError or ValueError if the file lacks it.
    """
    bench = Bench(path, found, summarise(found), "")
    # Everything that may be missing is looked at now, before anything is written.
    _ = bench.facts, bench.series, bench.counted
    return bench


def _order(version: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(part) for part in re.findall(r"\d+", version)), version


def told_apart(benches: Sequence[Bench]) -> list[Bench]:
    """The results by version of Python, each with a name as short as tells it from the others."""
    columns = [
        [bench.minor for bench in benches],
        [bench.python.rpartition(" ")[2] for bench in benches],
        [f"{bench.minor} {bench.path.stem}" for bench in benches],
    ]
    named = []
    for index, bench in enumerate(benches):
        alone = (names[index] for names in columns if names.count(names[index]) == 1)
        named.append(replace(bench, version=next(alone, str(bench.path))))
    return sorted(named, key=lambda bench: (_order(bench.python), bench.version))


# --- several result files ------------------------------------------------------------------------


@dataclass(frozen=True)
class Headline:
    """One headline of one implementation, in each result that has it."""

    title: str
    label: str
    parts: list[tuple[Bench, Row]]

    @property
    def figure(self) -> str:
        """The ratio, or the range of the ratios."""
        ratios = [row.ratios[self.label] for _, row in self.parts]
        if len(ratios) == 1:
            return table.figure(ratios[0])
        ends = [table.figure(f(ratios, key=lambda ratio: ratio.value)) for f in (min, max)]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def yardsticks(benches: Sequence[Bench]) -> dict[str, list[str]]:
    """What each headline of the floor costs, by version: `{"a call, ns": ["30 with 3.13"]}`."""
    found: dict[str, list[str]] = {}
    for bench in benches:
        for row in bench.yardsticks:
            cell = row.cells[bench.results.baseline]
            if cell.outcome == OK:
                told = f"{table.number(cell.minimum)} with {bench.version}"
                found.setdefault(f"{row.title}, {row.unit}", []).append(told)
    return found


def headlines(benches: Sequence[Bench]) -> list[Headline]:
    """By benchmark, then by implementation."""
    found: dict[tuple[str, str], Headline] = {}
    for bench in benches:
        for row in bench.headlines:
            for label in row.ratios:
                new = Headline(row.title, label, [])
                found.setdefault((row.id, label), new).parts.append((bench, row))
    order = list(dict.fromkeys(id_ for id_, _ in found))
    return [found[key] for key in sorted(found, key=lambda key: order.index(key[0]))]
