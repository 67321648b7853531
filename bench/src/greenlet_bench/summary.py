"""From raw samples to the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from greenlet_bench.catalogue import FLOOR
from greenlet_bench.results import OK, Results, Sample
from greenlet_bench.stats import Ratio, bootstrap, geometric_mean, outliers


@dataclass(frozen=True)
class Cell:
    """One benchmark of one implementation."""

    outcome: str
    message: str = ""
    minimum: float = 0.0
    """The least value of all processes."""
    typical: float = 0.0
    """The median of the processes' medians."""
    processes: int = 0
    outliers: int = 0
    """How many processes have a minimum that is an outlier among the others. They count."""
    minima: dict[int, float] = field(default_factory=dict)
    """The least value of each process, by the number of its pair."""


@dataclass(frozen=True)
class Row:
    """One benchmark."""

    id: str
    title: str
    unit: str
    headline: bool
    cells: dict[str, Cell]
    """By label, in the order of the header."""
    ratios: dict[str, Ratio]
    """By label, of those that were measured beside the baseline; the baseline has none."""
    series: str | None = None
    size: int | None = None
    axis: str | None = None
    """The series that it is a point of, where on it, and what the size counts."""


@dataclass(frozen=True)
class Group:
    """One suite."""

    suite: str
    title: str
    rows: list[Row]
    ratios: dict[str, Ratio]
    """By label, the geometric mean over the group's rows; none for the floor."""
    incomplete: frozenset[str]
    """Labels whose mean leaves out a row, because that failed."""

    @property
    def is_floor(self) -> bool:
        return self.suite == FLOOR


def _cell(samples: list[Sample]) -> Cell:
    bad = [sample for sample in samples if sample.outcome != OK]
    if bad:
        return Cell(bad[0].outcome, bad[0].message)
    if not samples:
        return Cell("NOT RUN")
    by_pair = {sample.pair: min(sample.values) for sample in samples}
    minima = list(by_pair.values())
    return Cell(
        OK,
        minimum=min(minima),
        typical=median(median(sample.values) for sample in samples),
        processes=len(samples),
        outliers=len(outliers(minima)),
        minima=by_pair,
    )


def summarise(results: Results) -> list[Group]:
    """The table of a result file, suite by suite."""
    by_key: dict[tuple[str, str], list[Sample]] = {}
    for sample in results.samples:
        by_key.setdefault((sample.benchmark, sample.implementation), []).append(sample)

    groups: dict[str, Group] = {}
    for benchmark in results.benchmarks:
        cells = {label: _cell(by_key.get((benchmark["id"], label), [])) for label in results.labels}
        minima = {
            label: {s.pair: min(s.values) for s in by_key[benchmark["id"], label]}
            for label, cell in cells.items()
            if cell.outcome == OK
        }
        base = minima.get(results.baseline, {})
        ratios = {}
        for label, own in minima.items():
            pairs = sorted(own.keys() & base.keys())
            if label != results.baseline and pairs:
                ratios[label] = bootstrap([base[pair] / own[pair] for pair in pairs])
        row = Row(
            benchmark["id"],
            benchmark["title"],
            benchmark["unit"],
            benchmark["headline"],
            cells,
            ratios,
            benchmark["series"],
            benchmark["size"],
            benchmark["axis"],
        )
        suite = benchmark["suite"]
        if suite not in groups:
            groups[suite] = Group(suite, benchmark["suite_title"], [], {}, frozenset())
        groups[suite].rows.append(row)
    return [_with_means(group, results, by_key) for group in groups.values()]


def _with_means(
    group: Group, results: Results, by_key: dict[tuple[str, str], list[Sample]]
) -> Group:
    """Add the geometric means: one for each pair over the group's rows, then over the pairs."""
    if group.is_floor:
        return group
    means = {}
    incomplete = set()
    for label in results.labels:
        rows = [row for row in group.rows if label in row.ratios]
        if label != results.baseline and len(rows) < len(group.rows):
            incomplete.add(label)
        # The mean is of pairs that all its rows have: one with few would leave it no interval.
        rows = [row for row in rows if row.ratios[label].low is not None] or rows
        by_pair: dict[int, list[float]] = {}
        for row in rows:
            own = {s.pair: min(s.values) for s in by_key[row.id, label]}
            for sample in by_key[row.id, results.baseline]:
                if sample.pair in own:
                    ratio = min(sample.values) / own[sample.pair]
                    by_pair.setdefault(sample.pair, []).append(ratio)
        complete = [ratios for ratios in by_pair.values() if len(ratios) == len(rows)]
        if complete:
            means[label] = bootstrap([geometric_mean(ratios) for ratios in complete])
    return Group(group.suite, group.title, group.rows, means, frozenset(incomplete))
