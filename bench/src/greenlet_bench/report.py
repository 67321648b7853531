"""The report: one HTML page that opens offline, the same in Markdown, and the inputs beside them.

Every figure comes from the inputs. This module reads them, renders the templates and writes the
files; `views.py` shapes what the templates show of benchmarks, `matrix.py` what of conformance, and
`templates/` decides how it looks. Everything is read and rendered before anything is written.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from greenlet_bench import conformance, figures, matrix, plots, results, table, views
from greenlet_bench.errors import InputError, OutputError

PAGE, MARKDOWN = "index.html", "report.md"


@dataclass(frozen=True)
class Written:
    """What `write` left."""

    page: Path
    markdown: Path
    warnings: list[str]


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
        "times": table.times,
        "swatch": plots.swatch,
        "slug": lambda text: "".join(c if c.isalnum() else "-" for c in str(text).lower()),
    }
    environment.tests["weblink"] = lambda text: str(text).startswith(("https://", "http://"))
    return environment


def _copies(paths: Sequence[Path]) -> dict[Path, str]:
    """A name of its own for each input, in the report's folder."""
    names: dict[Path, str] = {}
    for path in paths:
        name, number = path.name, 1
        while name in (PAGE, MARKDOWN, *names.values()):
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        names[path] = name
    return names


def files(paths: Sequence[Path]) -> list[Path]:
    """The benchmark results that `paths` name: files, and folders with results in them.

    Of a folder those are `bench.jsonl` and `bench-py*.jsonl`, one for each version of Python.

    Raises InputError for a folder that holds none.
    """
    found: list[Path] = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = [*path.glob("bench.jsonl"), *sorted(path.glob("bench-py*.jsonl"))]
        if not inside:
            raise InputError(f"{path} holds no bench.jsonl nor bench-py*.jsonl: name the files")
        found += inside
    return found


def write(bench: Sequence[Path], conformance_runs: Sequence[Path], output_dir: Path) -> Written:
    """Write `index.html`, `report.md` and copies of the inputs into `output_dir`.

    Raises InputError, with nothing written, if an input is missing or garbled, or if a benchmark
    result is cut short. A conformance run that is cut short is shown as such, with a warning.
    """
    benches = []
    for path in dict.fromkeys(bench):
        found = results.read(path)
        try:
            benches.append(views.bench_of(path, found))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path} is not a benchmark result: {error}") from None
    benches = views.told_apart(benches)
    runs = [conformance.read(path) for path in dict.fromkeys(conformance_runs)]
    columns = [
        matrix.Column(label, run) for label, run in zip(conformance.labels(runs), runs, strict=True)
    ]
    warnings = [
        f"{column.run.path} is cut short ({column.label}): it has no footer, so it is not a pass"
        for column in columns
        if column.run.truncated
    ]
    copies = _copies([*(b.path for b in benches), *(run.path for run in runs)])
    headlines = views.headlines(benches)
    shown = [row.ratios[line.label] for line in headlines for _, row in line.parts]
    context: dict[str, Any] = {
        "benches": benches,
        "names": figures.Names([label for bench in benches for label in bench.results.labels]),
        "figures": figures,
        "headlines": headlines,
        "yardsticks": views.yardsticks(benches),
        "headline_axis": views.ratio_axis(shown),
        "columns": columns,
        "chapters": matrix.matrix(runs),
        "copies": copies,
        "warnings": warnings,
    }
    page = _environment(html=True).get_template("index.html.j2").render(context)
    markdown = _environment(html=False).get_template("report.md.j2").render(context)
    try:
        return Written(*_store(output_dir, page, markdown, copies), warnings)
    except OSError as error:
        raise OutputError(f"cannot write to {output_dir}: {error.strerror}") from None


def _store(folder: Path, page: str, markdown: str, copies: dict[Path, str]) -> tuple[Path, Path]:
    """Put the files in place, each at once, so that a reader never sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as name:
        fresh = Path(name)
        (fresh / PAGE).write_text(page, encoding="utf-8")
        (fresh / MARKDOWN).write_text(markdown, encoding="utf-8")
        for source, copy in copies.items():
            shutil.copyfile(source, fresh / copy)
        for file in fresh.iterdir():
            file.replace(folder / file.name)
    return folder / PAGE, folder / MARKDOWN
