"""The result as a table, and how numbers are written everywhere."""

from __future__ import annotations

from greenlet_bench import formats
from greenlet_bench.formats import Section, Table
from greenlet_bench.results import FAIL, OK, Results
from greenlet_bench.stats import RESOLUTION, Ratio
from greenlet_bench.summary import Cell, Group, summarise


def number(value: float) -> str:
    """Three significant digits, thousands separated: `8.31`, `462`, `71,000`."""
    if value >= 999.5:
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


def _section(group: Group, labels: list[str], others: list[str]) -> Section:
    rows = [
        [
            f"{row.title} ({row.unit})",
            *(cell_text(row.cells[label]) for label in labels),
            *(_comparison(row.ratios.get(label)) for label in others),
        ]
        for row in group.rows
    ]
    if len(group.rows) > 1 and group.ratios:
        means = (_comparison(group.ratios.get(label)) for label in others)
        rows.append(["geometric mean", *("" for _ in labels), *means])
    return Section(group.title, rows)


def _counts(results: Results, labels: list[str], others: list[str]) -> list[Section]:
    """Instructions per operation, if they were counted. Their ratio is exact: no interval."""
    numbers = {(c.benchmark, c.implementation): c.per_operation for c in results.counts}
    rows = []
    for benchmark in results.benchmarks:
        found = {label: numbers.get((benchmark["id"], label)) for label in labels}
        if not any(found.values()):
            continue
        base = found[results.baseline]
        shown = {label: f"{value:,.1f}" if value else "-" for label, value in found.items()}
        ratios = []
        for label in others:
            own = found[label]
            ratios.append(times(base / own) if base and own else "-")
        rows.append([benchmark["title"], *shown.values(), *ratios])
    return [Section("Instructions per operation", rows)] if rows else []


def _records(results: Results, groups: list[Group]) -> list[dict[str, object]]:
    """One a benchmark and implementation; what is not known is None."""
    numbers = {(c.benchmark, c.implementation): c.per_operation for c in results.counts}
    records: list[dict[str, object]] = []
    for group in groups:
        for row in group.rows:
            for label, cell in row.cells.items():
                ratio, sound = row.ratios.get(label), cell.outcome == OK
                records.append(
                    {
                        "suite": group.suite,
                        "benchmark": row.id,
                        "title": row.title,
                        "unit": row.unit,
                        "implementation": label,
                        "outcome": cell.outcome,
                        "minimum": cell.minimum if sound else None,
                        "typical": cell.typical if sound else None,
                        "processes": cell.processes,
                        "ratio": ratio and ratio.value,
                        "low": ratio and ratio.low,
                        "high": ratio and ratio.high,
                        "pairs": ratio and ratio.pairs,
                        "instructions": numbers.get((row.id, label)),
                    }
                )
    return records


def build(results: Results) -> Table:
    """The whole table; the baseline's ratio to each implementation is in the last columns."""
    labels = results.labels
    others = [label for label in labels if label != results.baseline]
    groups = summarise(results)
    return Table(
        heads=[
            "minimum / typical",
            *labels,
            *(f"{label} against {results.baseline}" for label in others),
        ],
        sections=[
            *(_section(group, labels, others) for group in groups),
            *_counts(results, labels, others),
        ],
        notes=_failures(groups) + _uncounted(results),
        records=_records(results, groups),
    )


def render(results: Results, form: str = "table") -> str:
    """The table in one of `formats.FORMATS`."""
    return formats.render(build(results), form)


def _uncounted(results: Results) -> list[str]:
    return [
        f"{FAIL} instructions of {count.benchmark}, {count.implementation}: {count.message}"
        for count in results.counts
        if count.per_operation is None
    ]


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
