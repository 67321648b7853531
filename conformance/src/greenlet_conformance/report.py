"""``greenlet-conformance report``: the results of several runs, side by side.

It leaves in the output folder:

- ``index.html``, one page that needs nothing else, and ``report.md``, the same in text;
- for each run ``NAME.junit.xml``, which CI systems read, and ``NAME.svg``, a badge.

Everything is read and rendered before anything is written. ``templates/`` decides how the page
looks; this module shapes what it shows.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from greenlet_conformance import badge, junit, results
from greenlet_conformance.exits import AS_EXPECTED, FAILURES, BadOutputError
from greenlet_conformance.results import Result, Run
from greenlet_conformance.spec import Clause

SUMMARY = "merge the results of several runs into HTML, Markdown, JUnit XML and badges"

EXAMPLES = """
examples:
  greenlet-conformance run --impl greenlet --output greenlet.jsonl
  greenlet-conformance run --impl greenlane --output greenlane.jsonl
  greenlet-conformance report greenlet.jsonl greenlane.jsonl --output-dir report
  greenlet-conformance report results/ --output-dir report
"""

#: What a cell shows where the run did not select the clause.
NOT_SELECTED = "-"

#: One letter or sign for each outcome, where there is no room for the word.
SIGNS = {
    "PASS": "✓",
    "UNSUPPORTED": "∅",
    "XFAIL": "~",
    "XPASS": "!",
    "FAIL": "✗",
    "TIMEOUT": "T",
    "CRASH": "C",
    NOT_SELECTED: "·",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULTS",
        help="what `run --output` wrote, or"
        " a folder, which stands for the files in it that end in .jsonl",
    )
    parser.add_argument(
        "--output-dir", required=True, type=Path, metavar="DIR", help="made if it is missing"
    )


def run(options: argparse.Namespace) -> int:
    """Writes the report; answers whether all runs went as expected.

    Raises results.ResultsError for a file that is not a whole run, and BadOutputError.
    """
    runs = [results.read(path) for path in dict.fromkeys(_files(options.results))]
    written = write(runs, options.output_dir)
    for column in columns(runs):
        print(f"{column.label}: {column.kept} of {column.selected} clauses kept; {column.tests}")
    print(f"wrote {written[0]} and {len(written) - 1} other files beside it")
    return AS_EXPECTED if all(r.as_expected for r in runs) else FAILURES


def _files(paths: Sequence[Path]) -> list[Path]:
    answer: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not found:
            raise results.ResultsError(f"{path}: no file in this folder ends in .jsonl")
        answer += found
    return answer


def write(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Writes all files, ``index.html`` first. Raises BadOutputError."""
    shown = columns(runs)
    contents = {"index.html": _render("index.html.j2", shown)}
    contents["report.md"] = re.sub(r"\n{3,}", "\n\n", _render("report.md.j2", shown))
    for column in shown:
        contents[f"{column.file}.junit.xml"] = junit.render(column.run, column.label)
        contents[f"{column.file}.svg"] = badge.render(column)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadOutputError(f"--output-dir {folder}: {error.strerror}") from None
    return [folder / name for name in contents]


# --- what is shown -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cell:
    """One clause of one run."""

    outcome: str
    results: tuple[Result, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """One clause of all runs."""

    clause: Clause
    cells: tuple[Cell, ...]

    @property
    def kept_by_all(self) -> bool:
        """Whether no run has anything to say of it."""
        return {cell.outcome for cell in self.cells} <= {"PASS", NOT_SELECTED}


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A chapter of the specification."""

    slug: str
    title: str
    rows: list[Row]

    def kept(self, column: int) -> str:
        """Such as ``7/8``: the clauses that a run keeps, of those that it selected."""
        outcomes = [row.cells[column].outcome for row in self.rows]
        return f"{outcomes.count('PASS')}/{len(outcomes) - outcomes.count(NOT_SELECTED)}"


@dataclasses.dataclass(frozen=True)
class Column:
    """One run; ``number`` stands for it where there is no room for the label."""

    number: int
    label: str
    file: str
    run: Run

    @property
    def outcomes(self) -> list[str]:
        """The outcome of each selected clause."""
        return [cell(self.run, clause).outcome for clause in self.run.clauses]

    @property
    def kept(self) -> int:
        """How many clauses the run keeps."""
        return self.outcomes.count("PASS")

    @property
    def selected(self) -> int:
        """How many clauses were put to it."""
        return len(self.run.clauses)

    @property
    def broken(self) -> bool:
        """Whether some outcome is not what was expected."""
        return not self.run.as_expected

    @property
    def tests(self) -> str:
        """The outcomes of the tests, such as ``465 PASS, 4 XFAIL``."""
        return ", ".join(f"{count} {name}" for name, count in self.run.counts.items())


def cell(run: Run, clause: str) -> Cell:
    """What a run has to say of a clause; its outcome is the worst of its tests'."""
    found = run.of(clause)
    return Cell(results.worst(r.outcome for r in found) if found else NOT_SELECTED, found)


def columns(runs: Sequence[Run]) -> list[Column]:
    """The runs with a label and a file name that tell them apart."""
    answer: list[Column] = []
    for number, (run, label) in enumerate(zip(runs, results.labels(runs)), 1):
        file = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.")
        if any(column.file == file for column in answer):
            file = f"{file}-{number}"
        answer.append(Column(number, label, file, run))
    return answer


def chapters(runs: Sequence[Run]) -> list[Chapter]:
    """All clauses of all runs, by chapter, in the order in which they first appear."""
    clauses: dict[str, Clause] = {}
    for run in runs:
        for clause in run.clauses.values():
            clauses.setdefault(clause.id, clause)
    answer: dict[str, Chapter] = {}
    for clause in clauses.values():
        chapter = answer.setdefault(
            clause.chapter, Chapter(clause.chapter, clause.chapter_title, [])
        )
        chapter.rows.append(Row(clause, tuple(cell(run, clause.id) for run in runs)))
    return list(answer.values())


# --- templates ---------------------------------------------------------------------------


def _render(template: str, shown: Sequence[Column]) -> str:
    markdown = MarkdownIt("commonmark", {"html": False})
    environment = Environment(
        loader=PackageLoader("greenlet_conformance", "templates"),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        markdown=lambda text: Markup(markdown.render(text)),
        cell=lambda text: " ".join(str(text).split()).replace("|", "\\|"),
        fence=_fence,
    )
    environment.tests.update(weblink=lambda link: link.startswith(("https://", "http://")))
    return environment.get_template(template).render(
        columns=shown,
        chapters=chapters([column.run for column in shown]),
        signs=SIGNS,
    )


def _fence(text: str) -> str:
    """A fenced block of Markdown that no text can end."""
    ticks = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"
