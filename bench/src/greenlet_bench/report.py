"""The report: one HTML page that opens offline, the same in Markdown, and the inputs beside them.

Every figure comes from the inputs. This module reads them and shapes what the templates show;
`templates/` decides how it looks. Everything is read and rendered before anything is written.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from greenlet_bench import conformance, results, table
from greenlet_bench.conformance import Clause, Run, TestResult
from greenlet_bench.errors import BenchError, InputError
from greenlet_bench.results import Results
from greenlet_bench.stats import Ratio
from greenlet_bench.summary import Group, Row, summarise


@dataclass(frozen=True)
class Written:
    """What `write` left."""

    page: Path
    markdown: Path
    warnings: list[str]


# --- the matrix of clauses -----------------------------------------------------------------------


@dataclass(frozen=True)
class MatrixCell:
    """One clause of one run."""

    outcome: str
    results: list[TestResult]


@dataclass(frozen=True)
class MatrixRow:
    """One clause."""

    clause: Clause
    cells: list[MatrixCell]

    @property
    def plain(self) -> bool:
        """Whether every run keeps it."""
        return all(cell.outcome == "PASS" for cell in self.cells)


@dataclass(frozen=True)
class Chapter:
    """A chapter of the specification."""

    id: str
    title: str
    rows: list[MatrixRow]

    def kept(self, column: int) -> str:
        """Such as `7/8`: the clauses kept of those selected."""
        outcomes = [row.cells[column].outcome for row in self.rows]
        selected = [outcome for outcome in outcomes if outcome != conformance.NOT_SELECTED]
        return f"{selected.count('PASS')}/{len(selected)}"


@dataclass(frozen=True)
class Column:
    """One conformance run."""

    label: str
    run: Run

    @property
    def selected(self) -> int:
        return len(self.run.clauses)

    @property
    def kept(self) -> int:
        return self.run.counts()["PASS"]

    @property
    def others(self) -> str:
        """The clauses that are not a pass, such as `1 XFAIL, 2 CRASH`."""
        counts = self.run.counts()
        order = (*conformance.WORST_FIRST, conformance.NOT_RUN, conformance.TRUNCATED)
        return ", ".join(f"{counts[o]} {o}" for o in order if o != "PASS" and counts[o])


def matrix(runs: Sequence[Run]) -> list[Chapter]:
    """All clauses of all runs, by chapter, in the order in which they first appear."""
    clauses: dict[str, Clause] = {}
    for run in runs:
        for clause in run.clauses.values():
            clauses.setdefault(clause.id, clause)
    chapters: dict[str, Chapter] = {}
    for clause in clauses.values():
        chapter = chapters.setdefault(
            clause.chapter, Chapter(clause.chapter, clause.chapter_title or clause.chapter, [])
        )
        cells = [MatrixCell(run.outcome(clause.id), run.of(clause.id)) for run in runs]
        chapter.rows.append(MatrixRow(clause, cells))
    return list(chapters.values())


# --- the benchmarks ------------------------------------------------------------------------------


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
class Axis:
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
        elif span <= 1000:
            steps = (1, 3)
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        marks = [step * 10.0**power for power in powers for step in steps]
        return [
            (f"{mark:g}x", self.position(mark)) for mark in marks if self.least <= mark <= self.most
        ]

    def bar(self, ratio: Ratio) -> Bar:
        ends = sorted((self.position(1), self.position(ratio.value)))
        low = reach = None
        if ratio.low is not None and ratio.high is not None:
            low = self.position(ratio.low)
            reach = self.position(ratio.high) - low
        kind = table.verdict(ratio) if ratio.significant else "unclear"
        return Bar(ends[0], ends[1] - ends[0], low, reach, kind)


def axis_for(groups: Sequence[Group]) -> Axis:
    """An axis that holds every ratio and interval, and 0.8 to 1.25 at least."""
    values = [0.8, 1.25]
    for group in groups:
        for ratios in (group.ratios, *(row.ratios for row in group.rows)):
            for ratio in ratios.values():
                values += [v for v in (ratio.value, ratio.low, ratio.high) if v is not None]
    return Axis(min(values) / 1.05, max(values) * 1.05)


@dataclass(frozen=True)
class Bench:
    """One benchmark result file."""

    path: Path
    results: Results
    groups: list[Group]
    axis: Axis

    @property
    def others(self) -> list[str]:
        """Labels of what is compared to the baseline."""
        return [label for label in self.results.labels if label != self.results.baseline]

    @property
    def headlines(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows if row.headline]

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
        return f"{python['implementation']} {python['version']}"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is known about where and how it was measured."""
        header = self.results.header
        machine, python, settings = header["machine"], header["python"], header["settings"]
        memory = machine["memory_bytes"]
        cpu = settings["cpu"]
        facts = [
            ("Measured", f"{header['started']}, in {self.results.footer['seconds']:.0f} s"),
            ("CPU", f"{machine['cpu']} ({machine['cpus']} CPUs, {machine['machine']})"),
            ("Pinned to", "no CPU" if cpu is None else f"CPU {cpu}"),
            ("Frequency governor", machine["governor"]),
            ("Memory", memory and f"{memory / 2**30:.1f} GiB"),
            ("Transparent huge pages", machine["transparent_hugepage"]),
            ("Kernel", f"{machine['system']} {machine['kernel']}"),
            ("Python", f"{self.python} ({python['build']})"),
            ("Compiler", python["compiler"]),
            ("Compiler flags", python["cflags"]),
            ("Python built with", " ".join(python["lto_pgo"]) or "neither LTO nor PGO options"),
            ("Implementations", ", ".join(self.name(label) for label in self.results.labels)),
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


# --- rendering and writing -----------------------------------------------------------------------

_markdown = MarkdownIt("commonmark", {"html": False}).disable("image")


def _rendered(text: str) -> Markup:
    """Markdown as HTML. Raw HTML is escaped and images stay text: the page loads nothing."""
    return Markup(_markdown.render(text))


def _table_cell(text: object) -> str:
    """Text that fits into a cell of a Markdown table."""
    return " ".join(str(text).replace("|", "\\|").split())


def _environment(*, html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("greenlet_bench"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "markdown": _rendered,
        "cell": _table_cell,
        "number": table.number,
        "figure": table.figure,
        "interval": table.interval,
        "caveat": table.caveat,
        "comparison": table.comparison,
        "measured": table.cell_text,
        "slug": lambda text: "".join(c if c.isalnum() else "-" for c in str(text).lower()),
    }
    environment.tests["weblink"] = lambda text: str(text).startswith(("https://", "http://"))
    return environment


def _copies(paths: Sequence[Path]) -> dict[Path, str]:
    """A name of its own for each input, in the report's folder."""
    names: dict[Path, str] = {}
    for path in paths:
        name, number = path.name, 1
        while name in names.values():
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        names[path] = name
    return names


def write(bench: Sequence[Path], conformance_runs: Sequence[Path], output_dir: Path) -> Written:
    """Write `index.html`, `report.md` and copies of the inputs into `output_dir`.

    Raises InputError, with nothing written, if an input is missing or garbled, or if a benchmark
    result is cut short. A conformance run that is cut short is shown as such, with a warning.
    """
    benches = []
    for path in dict.fromkeys(bench):
        found = results.read(path)
        try:
            groups = summarise(found)
            made = Bench(path, found, groups, axis_for(groups))
            _ = made.facts
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a benchmark result: {error}") from None
        benches.append(made)
    runs = [conformance.read(path) for path in dict.fromkeys(conformance_runs)]
    columns = [
        Column(label, run) for label, run in zip(conformance.labels(runs), runs, strict=True)
    ]
    warnings = [
        f"{column.run.path} is cut short ({column.label}): it has no footer, so it is not a pass"
        for column in columns
        if column.run.truncated
    ]
    copies = _copies([*(b.path for b in benches), *(run.path for run in runs)])
    context: dict[str, Any] = {
        "benches": benches,
        "columns": columns,
        "chapters": matrix(runs),
        "copies": copies,
        "warnings": warnings,
    }
    page = _environment(html=True).get_template("index.html.j2").render(context)
    markdown = _environment(html=False).get_template("report.md.j2").render(context)
    try:
        return Written(*_store(output_dir, page, markdown, copies), warnings)
    except OSError as error:
        raise BenchError(f"cannot write to {output_dir}: {error.strerror}") from None


def _store(folder: Path, page: str, markdown: str, copies: dict[Path, str]) -> tuple[Path, Path]:
    """Put the files in place, each at once, so that a reader never sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as name:
        fresh = Path(name)
        (fresh / "index.html").write_text(page, encoding="utf-8")
        (fresh / "report.md").write_text(markdown, encoding="utf-8")
        for source, copy in copies.items():
            shutil.copyfile(source, fresh / copy)
        for file in fresh.iterdir():
            file.replace(folder / file.name)
    return folder / "index.html", folder / "report.md"
