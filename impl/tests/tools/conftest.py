"""Keeps what became of the tests for docs/compatibility.md, where each of them is a line.

A test says in its mark which tool it tries and whose distribution that is, and in its
docstring what it tries.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[3] / "reports" / "programs" / "tools.json"

found: list[dict[str, str]] = []


def version_of(tool: str, distribution: str | None) -> str:
    """Return the version: of a distribution, of gdb, or of Python, whose library the tool is in."""
    if distribution is not None:
        return version(distribution)
    if tool == "gdb":
        shown = subprocess.run(["gdb", "--version"], capture_output=True, text=True, check=False)
        return shown.stdout.splitlines()[0].split()[-1]
    return f"of CPython {platform.python_version()}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "tool(name, distribution=None): the tool that a test tries")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark = item.get_closest_marker("tool")
    if mark is None or not (report.when == "call" or report.skipped):
        return report
    (name, distribution) = (*mark.args, None)[:2]
    outcome = "works"
    if report.failed:
        outcome = "**does not work**"
    elif report.skipped and isinstance(report.longrepr, tuple):
        outcome = f"not tried: {report.longrepr[2].removeprefix('Skipped: ')}"
    found.append(
        {
            "tool": name,
            "version": "" if report.skipped else version_of(name, distribution),
            "what": " ".join((item.function.__doc__ or "").split()).rstrip("."),
            "outcome": outcome,
        }
    )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the file if all tests have run: a selection says nothing of the others."""
    if found and not (session.config.option.keyword or session.config.option.markexpr):
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
