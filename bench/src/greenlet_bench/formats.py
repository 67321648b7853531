"""A table as text for the terminal, Markdown, HTML or CSV.

The first three show a `Table`, which is strings. CSV has the numbers themselves, unrounded: one
record a benchmark and implementation.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Section:
    """Rows under a title; each has as many cells as the table has heads."""

    title: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Table:
    """What is shown, in words; and the same in numbers."""

    heads: list[str]
    sections: list[Section]
    notes: list[str] = field(default_factory=list)
    """Lines below the table."""
    records: list[dict[str, object]] = field(default_factory=list)
    """For CSV; all have the same names."""


def printable(text: str) -> str:
    """The text without what commands a terminal, as something that a crashed process wrote may."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _text(table: Table) -> str:
    lines = [table.heads]
    for section in table.sections:
        lines.append([section.title])
        lines.extend([f"  {row[0]}", *row[1:]] for row in section.rows)
    widths = [
        max(len(line[i]) for line in lines if len(line) > i > 0) for i in range(1, len(table.heads))
    ]
    first = max(len(line[0]) for line in lines)
    shown = [
        "  ".join(
            [line[0].ljust(first), *(text.rjust(w) for text, w in zip(line[1:], widths))]  # noqa: B905
        ).rstrip()
        for line in lines
    ]
    return "\n".join(map(printable, [*shown, *table.notes]))


def _markdown(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = []
    for section in table.sections:
        heads = [section.title, *table.heads[1:]]
        lines += [line(heads), "|---|" + "--:|" * (len(heads) - 1), *map(line, section.rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in table.notes)]).rstrip()


def _html(table: Table) -> str:
    environment = Environment(
        loader=PackageLoader("greenlet_bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("table.html.j2").render(table=table)


def _csv(table: Table) -> str:
    if not table.records:
        return ""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, table.records[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.records)
    return stream.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[Table], str]] = {
    "table": _text,
    "markdown": _markdown,
    "csv": _csv,
    "html": _html,
}


def render(table: Table, form: str = "table") -> str:
    """The table in one of `FORMATS`, without a newline at the end."""
    return FORMATS[form](table)
