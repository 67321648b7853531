"""The figures of the report: a picture, its legend, and the table of the numbers behind it.

One for each series (cost over size), one for each benchmark (how its processes are spread) and, if
there are several results, one for each headline over the versions of Python. plots.py draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from markupsafe import Markup

from greenlet_bench import plots, table
from greenlet_bench.catalogue import FLOOR
from greenlet_bench.plots import Lane, Line, Point, quantity
from greenlet_bench.results import OK
from greenlet_bench.scaling import Curve, Series
from greenlet_bench.summary import Cell, Row
from greenlet_bench.views import Bench


@dataclass(frozen=True)
class Numbers:
    """A table; the first cell of each row is its head."""

    caption: str
    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Mark:
    """An entry of a legend; without a slot it is the floor."""

    label: str
    slot: int | None
    text: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture, what its marks mean, and the numbers behind it."""

    title: str
    picture: Markup
    legend: list[Mark]
    numbers: Numbers


class Names:
    """Names that are unique in the page, and a slot of colour and shape for each implementation."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._slots = {label: slot for slot, label in enumerate(dict.fromkeys(labels))}
        self._plots = 0

    def slot(self, label: str) -> int:
        """The same in every figure."""
        return self._slots[label]

    def colour(self, label: str) -> int:
        """Which of the colours it has."""
        return self._slots[label] % plots.SLOTS

    def plot(self) -> str:
        """A new id."""
        self._plots += 1
        return f"plot-{self._plots}"


def _spread(cell: Cell) -> str:
    """The least values of the processes, such as `40.1 to 43.2`, or the outcome."""
    if cell.outcome != OK:
        return cell.outcome
    most = max(cell.minima.values())
    return f"{table.number(cell.minimum)} to {table.number(most)}"


def _third_quartile(values: Sequence[float]) -> float:
    """What three in four values do not exceed; one that ran amok does not count."""
    return quantiles(values, n=4, method="inclusive")[2] if len(values) > 1 else values[0]


def _point(x: float, cell: Cell, where: str, unit: str) -> Point:
    told = f"{quantity(cell.minimum, unit)} at {where}"
    return Point(x, cell.minimum, _third_quartile(list(cell.minima.values())), told)


def curve_text(curve: Curve, series: Series) -> str:
    """Such as `linear, exponent 0.98 [0.95, 1.01]; at the end 1.02`, and where it failed."""
    told = []
    found = curve.fit
    if found:
        # The interval stays on one line.
        number = str(found).replace(" ", "\N{NO-BREAK SPACE}")
        told.append(f"{found.words}, exponent {number}")
        if found.low is None:
            told.append("two sizes, no interval")
        if curve.last:
            told.append(f"at the end {curve.last}")
    elif curve.cells:
        told.append("too few sizes for an exponent")
    failed = [(row, row.cells[curve.label].outcome) for row in series.rows]
    told += [f"{why} at {row.size:,}" for row, why in failed if why != OK]
    return "; ".join(told)


def scaling_figure(series: Series, names: Names, floor: float | None) -> Figure:
    """A series: cost over size, both logarithmic, with the exponent of each curve."""
    drawn = []
    for curve in series.curves:
        points = [
            _point(size, cell, f"{size:,} {series.axis}", series.unit)
            for size, cell in curve.cells.items()
            if cell.minimum > 0
        ]
        failed = [
            (float(row.size or 0), f"{row.cells[curve.label].outcome} at {row.size:,}")
            for row in series.rows
            if row.cells[curve.label].outcome != OK
        ]
        drawn.append(Line(curve.label, names.slot(curve.label), points, failed))
    timed = floor is not None and series.unit.startswith("ns per ")
    texts = {curve.label: curve_text(curve, series) for curve in series.curves}
    said = ". ".join(f"{label}: {text or 'not measured'}" for label, text in texts.items())
    picture = plots.lines(
        names.plot(),
        f"{series.title}: {series.unit} over {series.axis}",
        f"Both axes are logarithmic. {said}.",
        drawn,
        unit=series.unit,
        x_label=series.axis,
        floor=floor if timed else None,
    )
    legend = [Mark(label, names.slot(label), text) for label, text in texts.items()]
    if timed and floor is not None:
        legend.append(
            Mark("floor", None, f"a call of C that does nothing, {table.number(floor)} ns")
        )
    compared = [label for label in series.labels if any(label in r.ratios for r in series.rows)]
    heads = [series.axis, *series.labels, *(f"{label}, ratio" for label in compared)]
    rows = [
        [
            f"{row.size:,}",
            *(_spread(row.cells[label]) for label in series.labels),
            *(
                table.comparison(row.ratios[label]) if label in row.ratios else "-"
                for label in compared
            ),
        ]
        for row in series.rows
    ]
    caption = f"{series.unit}: the least and the greatest of the processes' least values"
    return Figure(series.title, picture, legend, Numbers(caption, heads, rows))


def strip_figure(row: Row, names: Names) -> Figure:
    """How the processes' least values of a benchmark are spread."""
    lanes = []
    for label, cell in row.cells.items():
        values = [value for _, value in sorted(cell.minima.items())]
        note = f"from {quantity(cell.minimum, row.unit)}" if values else cell.outcome
        # The spread of what may be zero, as a growth of memory may, has no per cent.
        sound = values if values and min(values) > 0 else []
        lanes.append(Lane(label, names.slot(label), sound, note))
    told = [
        f"{label}: {cell.processes} processes, {quantity(cell.minimum, row.unit)} to"
        f" {quantity(max(cell.minima.values()), row.unit)}"
        if cell.minima
        else f"{label}: {cell.outcome}"
        for label, cell in row.cells.items()
    ]
    picture = plots.strips(
        names.plot(), f"{row.title}: spread of the processes", ". ".join(told) + ".", lanes
    )
    pairs = sorted({pair for cell in row.cells.values() for pair in cell.minima})
    rows = [
        [
            str(pair + 1),
            *(
                table.number(cell.minima[pair]) if pair in cell.minima else "-"
                for cell in row.cells.values()
            ),
        ]
        for pair in pairs
    ]
    caption = f"{row.unit}: each process's least value"
    return Figure(row.title, picture, [], Numbers(caption, ["pair", *row.cells], rows))


def version_figure(id_: str, benches: Sequence[Bench], names: Names) -> Figure:
    """One benchmark over the versions of Python."""
    rows = [next((row for row in bench.rows if row.id == id_), None) for bench in benches]
    first = next(row for row in rows if row is not None)
    labels = list(dict.fromkeys(label for row in rows if row for label in row.cells))
    versions = [bench.version for bench in benches]
    drawn = []
    for label in labels:
        points: list[Point] = []
        failed: list[tuple[float, str]] = []
        for index, row in enumerate(rows):
            cell = row.cells.get(label) if row else None
            if cell and cell.outcome == OK and cell.minimum > 0:
                points.append(_point(index, cell, versions[index], first.unit))
            elif cell:
                failed.append((float(index), f"{cell.outcome} at {versions[index]}"))
        drawn.append(Line(label, names.slot(label), points, failed))
    numbers = [
        [
            version,
            *(_spread(row.cells[label]) if row and label in row.cells else "-" for label in labels),
        ]
        for version, row in zip(versions, rows, strict=True)
    ]
    told = [
        f"{version}: " + ", ".join(map(" ".join, zip(labels, texts, strict=True)))
        for version, *texts in numbers
    ]
    picture = plots.lines(
        names.plot(),
        f"{first.title}: {first.unit} by version of Python",
        "; ".join(told) + ".",
        drawn,
        unit=first.unit,
        x_label="version of Python",
        x_names=[bench.minor for bench in benches],  # short: the numbers have the whole names
    )
    legend = [Mark(label, names.slot(label)) for label in labels]
    caption = f"{first.unit}: the least and the greatest of the processes' least values"
    return Figure(first.title, picture, legend, Numbers(caption, ["Python", *labels], numbers))


def version_figures(benches: Sequence[Bench], names: Names) -> list[Figure]:
    """The headlines over the versions; none for a single result."""
    if len(benches) < 2:
        return []
    ids = dict.fromkeys(row.id for bench in benches for row in bench.headlines)
    return [version_figure(id_, benches, names) for id_ in ids]


def version_tables(benches: Sequence[Bench]) -> list[tuple[str, Numbers]]:
    """For each implementation the ratios of all benchmarks in all versions; none for one result."""
    if len(benches) < 2:
        return []
    titles = {
        row.id: row.title
        for bench in benches
        for group in bench.groups
        if group.suite != FLOOR
        for row in group.rows
    }
    ratios = [{row.id: row.ratios for row in bench.rows} for bench in benches]
    made = []
    for label in dict.fromkeys(label for bench in benches for label in bench.others):
        rows = [
            [
                title,
                *(
                    table.figure(found[id_][label])
                    + ("" if found[id_][label].significant else " ~")
                    if label in found.get(id_, {})
                    else "-"
                    for found in ratios
                ),
            ]
            for id_, title in titles.items()
        ]
        caption = "Ratios; those with ~ are not significant, or of too few pairs to tell"
        heads = ["benchmark", *(bench.version for bench in benches)]
        made.append((label, Numbers(caption, heads, rows)))
    return made
