"""How a cost grows with size: the points of a series, and the power law that they follow.

A series is one benchmark at several sizes. If its cost is a power of the size, cost = c * size**k,
then its logarithm is a straight line over the logarithm of the size, and the slope is the exponent
k: 0 is flat, 1 is linear. The line is fitted by least squares through the least value of all
processes at each size, with each size counting the same. The 95% interval is that of the slope,
from how far the points are from the line (Student's t, two degrees of freedom less than there are
sizes): it is wide where a cost is no power law, such as one with a step where a cache is full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import linregress, t

from greenlet_bench.results import OK
from greenlet_bench.stats import CONFIDENCE
from greenlet_bench.summary import Cell, Group, Row

WORDS = (
    (-0.1, "falling"),
    (0.1, "flat"),
    (0.9, "sublinear"),
    (1.1, "linear"),
    (1.9, "superlinear"),
    (2.1, "quadratic"),
    (math.inf, "steeper than quadratic"),
)
"""What an exponent below each bound, and not below the one before, is called."""


def word(exponent: float) -> str:
    """Such as `flat` or `linear`."""
    return next(name for bound, name in WORDS if exponent < bound)


@dataclass(frozen=True)
class Fit:
    """The exponent of a power law, with its 95% interval unless there are only two sizes."""

    exponent: float
    low: float | None
    high: float | None

    @property
    def words(self) -> str:
        """Such as `linear`; `flat to linear` or `undecided` where the interval leaves it open."""
        if self.low is None or self.high is None:
            return word(self.exponent)
        names = [name for _, name in WORDS]
        low, high = word(self.low), word(self.high)
        if names.index(high) - names.index(low) > 2:
            return "undecided"
        return low if low == high else f"{low} to {high}"

    def __str__(self) -> str:
        """Such as `0.98 [0.95, 1.01]`."""
        # An exponent that rounds to zero has no sign.
        number, low, high = (
            None if value is None else f"{round(value, 2) + 0.0:.2f}"
            for value in (self.exponent, self.low, self.high)
        )
        return f"{number}" if low is None else f"{number} [{low}, {high}]"


def fit(sizes: Sequence[float], costs: Sequence[float]) -> Fit | None:
    """Fit cost = c * size**k, to where both have a logarithm; None with fewer than two sizes.

    A size of 0, such as no frame at all, has none, nor has memory that did not grow.
    Raises ValueError if `sizes` and `costs` differ in length.
    """
    points = [
        (math.log(size), math.log(cost))
        for size, cost in zip(sizes, costs, strict=True)
        if size > 0 and cost > 0
    ]
    if len({x for x, _ in points}) < 2:
        return None
    line = linregress([x for x, _ in points], [y for _, y in points])
    slope, freedom = float(line.slope), len(points) - 2
    if not freedom:
        return Fit(slope, None, None)
    # Where all costs are the same, scipy has no correlation, and so no error: there is none.
    error = 0.0 if math.isnan(line.stderr) else float(line.stderr)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Fit(slope, slope - reach, slope + reach)


@dataclass(frozen=True)
class Curve:
    """One implementation's points of a series: those sizes at which it was measured."""

    label: str
    cells: dict[float, Cell]
    """By size, in rising order."""

    @property
    def fit(self) -> Fit | None:
        return fit(list(self.cells), [cell.minimum for cell in self.cells.values()])

    @property
    def last(self) -> Fit | None:
        """The exponent between the two greatest sizes; None unless there are three."""
        if len(self.cells) < 3:
            return None
        return fit(list(self.cells)[-2:], [c.minimum for c in list(self.cells.values())[-2:]])

    @property
    def growth(self) -> float | None:
        """The cost at the greatest size divided by that at the least; None without two sizes."""
        costs = [cell.minimum for cell in self.cells.values()]
        return costs[-1] / costs[0] if len(costs) > 1 and costs[0] > 0 else None


@dataclass(frozen=True)
class Series:
    """A benchmark at several sizes."""

    id: str
    suite_title: str
    axis: str
    """What the size counts."""
    unit: str
    rows: list[Row]
    """By rising size."""
    labels: list[str]

    @property
    def curves(self) -> list[Curve]:
        """One for each implementation, also for one that was measured nowhere."""
        return [
            Curve(
                label,
                {
                    row.size: row.cells[label]
                    for row in self.rows
                    if row.size is not None and row.cells[label].outcome == OK
                },
            )
            for label in self.labels
        ]

    @property
    def title(self) -> str:
        """The id as words: `ring.cyclic` is `ring: cyclic`."""
        return self.id.replace(".", ": ").replace("_", " ")


def series_of(groups: Sequence[Group]) -> list[Series]:
    """The series of a result with at least two sizes, in the order of their first rows."""
    found: dict[str, tuple[Group, list[Row]]] = {}
    for group in groups:
        for row in group.rows:
            if row.series is not None and row.size is not None:
                found.setdefault(row.series, (group, []))[1].append(row)
    return [
        Series(
            id_,
            group.title,
            rows[0].axis or "size",
            rows[0].unit,
            sorted(rows, key=lambda row: row.size or 0),
            list(rows[0].cells),
        )
        for id_, (group, rows) in found.items()
        if len({row.size for row in rows}) > 1
    ]
