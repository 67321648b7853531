"""Two runs beside each other: what has changed, row by row.

The runs were not made in turns, so their processes are no pairs: each run is resampled by itself.
Whatever made the machine slower between the runs is in the ratio, too. Where both runs measured
the same baseline implementation, `relative` takes each pair's ratio to it instead of its value, and
the machine's mood cancels, as it does within a run.

Results of different machines, interpreters or amounts of work tell nothing about a change of the
implementation. They are refused, unless they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from greenlet_bench import instructions, table
from greenlet_bench.errors import NotComparableError
from greenlet_bench.formats import Section, Table
from greenlet_bench.results import OK, Results
from greenlet_bench.stats import Ratio, compare
from greenlet_bench.summary import Group, Row, summarise

MUST_AGREE: dict[str, tuple[str, ...]] = {
    "machine": ("cpu", "cpus", "machine", "system", "kernel", "governor"),
    "python": (
        *("implementation", "version", "build", "compiler", "cflags", "cflags_core"),
        *("config_args", "debug", "free_threaded", "jit"),
    ),
    "settings": ("population", "quick"),
}
"""The parts of the header that two results have to have in common."""


def differences(old: Results, new: Results) -> list[str]:
    """What makes the results not comparable, such as `python version: 3.12.1, then 3.13.0`."""
    found = []
    for part, names in MUST_AGREE.items():
        for name in names:
            before, after = (one.header[part].get(name) for one in (old, new))
            if before != after:
                found.append(f"{part} {name}: {before}, then {after}")
    return found


@dataclass(frozen=True)
class Change:
    """One benchmark of one implementation in both runs."""

    row: Row
    label: str
    old: float
    new: float
    """The least values."""
    ratio: Ratio
    """Old / new: above 1 the new run is better."""


def _values(results: Results, row: Row, label: str, *, relative: bool) -> list[float]:
    """A value a process; with `relative` its share of the baseline's in the same pair."""
    own = row.cells[label].minima
    if not relative:
        return list(own.values())
    base = row.cells[results.baseline].minima
    return [own[pair] / base[pair] for pair in sorted(own.keys() & base.keys())]


def _rows(results: Results) -> dict[str, tuple[Group, Row]]:
    return {row.id: (group, row) for group in summarise(results) for row in group.rows}


def _check(old: Results, new: Results, *, relative: bool, force: bool) -> list[str]:
    """Warnings. Raises NotComparableError if the results are not to be compared."""
    found = differences(old, new)
    if relative:
        names = [
            next(i for i in one.header["implementations"] if i["label"] == one.baseline)
            for one in (old, new)
        ]
        before, after = (f"{name['module']} {name['version']}" for name in names)
        if before != after:
            found.append(f"baseline: {before}, then {after}")
    if found and not force:
        raise NotComparableError(
            f"these results are not comparable ({'; '.join(found)}); --force compares them anyway"
        )
    return [f"NOT COMPARABLE, compared by force: {difference}" for difference in found]


def build(old: Results, new: Results, *, relative: bool = False, force: bool = False) -> Table:
    """The table of changes. Raises NotComparableError, saying what differs, unless `force`."""
    warnings = _check(old, new, relative=relative, force=force)
    before, after = _rows(old), _rows(new)
    labels = [label for label in new.labels if label in old.labels]
    if not labels or not before.keys() & after.keys():
        raise NotComparableError("these results have no implementation or no benchmark in common")
    if relative:
        labels = [label for label in labels if label != new.baseline]
    notes, records = list(warnings), []
    sections: dict[str, Section] = {}
    for id_, (group, row) in after.items():
        for label in labels:
            if id_ not in before:
                notes.append(f"only in the new result: {id_}")
                break
            mate = before[id_][1]
            cells = mate.cells[label], row.cells[label]
            if any(cell.outcome != OK for cell in cells):
                notes.append(f"{id_}, {label}: {cells[0].outcome}, then {cells[1].outcome}")
                continue
            values = (
                _values(old, mate, label, relative=relative),
                _values(new, row, label, relative=relative),
            )
            if not all(values):
                continue
            change = Change(row, label, cells[0].minimum, cells[1].minimum, compare(*values))
            section = sections.setdefault(group.suite, Section(group.title, []))
            section.rows.append(_shown(change))
            records.append(_record(change, "time"))
    notes += [f"only in the old result: {id_}" for id_ in before if id_ not in after]
    counted, numbers = _counted(old, new, labels)
    if counted.rows:
        sections["instructions"] = counted
        records += numbers
    heads = ["least value", "implementation", "old", "new", "old / new"]
    return Table(heads, list(sections.values()), notes, records)


def _shown(change: Change) -> list[str]:
    word = table.verdict(change.ratio) if change.ratio.significant else ""
    told = f"{table.comparison(change.ratio)} {word}".strip()
    name = f"{change.row.title} ({change.row.unit})"
    return [name, change.label, table.number(change.old), table.number(change.new), told]


def _record(change: Change, measure: str) -> dict[str, object]:
    return {
        "benchmark": change.row.id,
        "title": change.row.title,
        "measure": measure,
        "implementation": change.label,
        "old": change.old,
        "new": change.new,
        "ratio": change.ratio.value,
        "low": change.ratio.low,
        "high": change.ratio.high,
        "significant": change.ratio.significant,
    }


def _counted(
    old: Results, new: Results, labels: list[str]
) -> tuple[Section, list[dict[str, object]]]:
    """The instructions that both runs counted; differences below their resolution are none."""
    before = {(c.benchmark, c.implementation): c.per_operation for c in old.counts}
    rows = {id_: row for id_, (_, row) in _rows(new).items()}
    section = Section("Instructions per operation", [])
    records = []
    for count in new.counts:
        first = before.get((count.benchmark, count.implementation))
        if not first or not count.per_operation or count.implementation not in labels:
            continue
        value = first / count.per_operation
        reach = 1 + instructions.RESOLUTION
        ratio = Ratio(value, value / reach, value * reach, 1)
        change = Change(
            rows[count.benchmark], count.implementation, first, count.per_operation, ratio
        )
        told = f"{value:.4f}x" if ratio.significant else "the same"
        numbers = [f"{first:,.1f}", f"{count.per_operation:,.1f}"]
        section.rows.append([change.row.title, count.implementation, *numbers, told])
        records.append(_record(change, "instructions"))
    return section, records
