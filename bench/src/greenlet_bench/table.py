"""The result as a table for the terminal, and how numbers are written everywhere."""

from __future__ import annotations

from greenlet_bench.results import OK, Results
from greenlet_bench.stats import RESOLUTION, Ratio
from greenlet_bench.summary import Cell, Group, summarise


def number(value: float) -> str:
    """Three significant digits, thousands separated: `8.31`, `462`, `71,000`."""
    if value >= 1000:
        digits = len(str(int(value)))
        return f"{round(value, 3 - digits if digits > 4 else 0):,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(value: float) -> str:
    """A ratio: `7.8x`, `1.02x`, `123x`."""
    return f"{value:.0f}x" if value >= 100 else f"{value:.1f}x" if value >= 10 else f"{value:.2f}x"


def _beside_one(value: float) -> str:
    """A ratio with the digits that tell it from 1, such as `0.998x`: `1.00x` only if it is 1."""
    for digits in range(3, RESOLUTION + 1):
        if round(value, digits - 1) != 1:
            break
        if round(value, digits) != 1:
            return f"{value:.{digits}f}x"
    return times(value)


def figure(ratio: Ratio) -> str:
    """The ratio itself. A significant one never reads `1.00x`."""
    return _beside_one(ratio.value) if ratio.significant else times(ratio.value)


def interval(ratio: Ratio) -> str:
    """The 95% interval in brackets; empty if there are too few pairs for one.

    An end reads `1.00x` only if it counts as 1, so that the interval never contradicts the caveat.
    """
    if ratio.low is None or ratio.high is None:
        return ""
    return f"[{_beside_one(ratio.low)}, {_beside_one(ratio.high)}]"


def caveat(ratio: Ratio) -> str:
    """Why the ratio must not be relied on; empty if it is significant."""
    if ratio.low is None:
        return "too few pairs for an interval"
    return "" if ratio.significant else "not significant"


def comparison(ratio: Ratio) -> str:
    """The ratio, its interval and its caveat: `1.01x [0.99x, 1.02x] not significant`."""
    return " ".join(filter(None, [figure(ratio), interval(ratio), caveat(ratio)]))


def verdict(ratio: Ratio) -> str:
    """What a significant ratio means: `faster`-neutral words, since it may be of bytes."""
    return "better" if ratio.value > 1 else "worse"


def cell_text(cell: Cell) -> str:
    """The minimum and the typical value, or the outcome."""
    if cell.outcome != OK:
        return cell.outcome
    flag = f" ({cell.outliers} outlying)" if cell.outliers else ""
    return f"{number(cell.minimum)} / {number(cell.typical)}{flag}"


def _comparison(ratio: Ratio | None) -> str:
    return "-" if ratio is None else comparison(ratio)


def _lines(group: Group, labels: list[str], others: list[str]) -> list[list[str]]:
    lines = [[group.title]]
    for row in group.rows:
        lines.append(
            [
                f"  {row.title} ({row.unit})",
                *(cell_text(row.cells[label]) for label in labels),
                *(_comparison(row.ratios.get(label)) for label in others),
            ]
        )
    if len(group.rows) > 1 and group.ratios:
        lines.append(
            [
                "  geometric mean",
                *("" for _ in labels),
                *(_comparison(group.ratios.get(label)) for label in others),
            ]
        )
    return lines


def render(results: Results) -> str:
    """The whole table; the baseline's ratio to each implementation is in the last columns."""
    labels = results.labels
    others = [label for label in labels if label != results.baseline]
    heads = [
        "minimum / typical",
        *labels,
        *(f"{label} against {results.baseline}" for label in others),
    ]
    lines = [heads]
    groups = summarise(results)
    for group in groups:
        lines.extend(_lines(group, labels, others))
    widths = [
        max(len(line[i]) for line in lines if len(line) > i > 0) for i in range(1, len(heads))
    ]
    first = max(len(line[0]) for line in lines)
    text = "\n".join(
        "  ".join(
            [
                line[0].ljust(first),
                *(text.rjust(w) for text, w in zip(line[1:], widths, strict=False)),
            ]
        ).rstrip()
        for line in lines
    )
    return "\n".join([text, *_failures(groups)])


def _failures(groups: list[Group]) -> list[str]:
    """A line for each benchmark that was not measured, with the line of its log that tells most."""
    lines = []
    for group in groups:
        for row in group.rows:
            for label, cell in row.cells.items():
                log = cell.message.strip().splitlines()
                if log:
                    # pytest marks the lines of the exception with an E.
                    told = [line[1:].strip() for line in log if line.startswith("E ")] or log
                    lines.append(f"{cell.outcome} {row.id}, {label}: {told[0]}")
    return lines
