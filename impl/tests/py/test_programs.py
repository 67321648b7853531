"""The comparison of programs' test suites (impl/tests/programs) sees what differs, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import load_tool

pytestmark = pytest.mark.around_core


programs = load_tool("tests/programs/programs.py")

TESTS = """
import os, signal, sys, unittest
import greenlet

OURS = greenlet._greenlet.__name__.startswith("greenlane")

class Test(unittest.TestCase):
    def test_alike(self):
        pass

    def test_skipped(self):
        self.skipTest("on both")

    def test_better(self):
        self.assertTrue(OURS)

    def test_worse(self):
        with self.subTest("part"):
            self.assertFalse(OURS and "worse" in sys.argv[0] + os.environ.get("BAD", ""))

    def test_z_crash(self):
        if OURS and os.environ.get("BAD") == "crash":
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    unittest.main()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a program with one file of tests, installed under the name of pytest."""
    (tmp_path / "file.py").write_text(TESTS)
    monkeypatch.setattr(programs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(programs, "MOST_RUNS", 4)
    unit = programs.Unit("file.py", ("file.py",), tmp_path)
    return programs.Program("pytest", lambda *_: [unit], "its tests", needs_sdist=False)


def test_what_is_alike_and_better(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert programs.run(program, False, []) == 0
    shown = capsys.readouterr().out
    assert "failed on greenlet, passed on greenlane" in shown
    result = json.loads(programs.results_file("pytest").read_text())
    assert programs.compare(result["runs"]) == {
        ("passed", "passed"): [
            *("file.Test.test_alike", "file.Test.test_worse", "file.Test.test_z_crash"),
            "file.py (process)",
        ],
        ("skipped", "skipped"): ["file.Test.test_skipped"],
        ("failed", "passed"): ["file.Test.test_better"],
    }
    assert set(map(len, result["runs"]["greenlet"].values())) == {programs.RUNS}


@pytest.mark.parametrize("bad", ["worse", "crash"])
def test_what_is_worse(program: Any, capsys: pytest.CaptureFixture[str], bad: str) -> None:
    program.environment["BAD"] = bad
    assert programs.run(program, False, []) == 1
    shown = capsys.readouterr().out
    which = "test_worse" if bad == "worse" else "test_z_crash"
    assert f"passes on greenlet, but not always on greenlane: file.Test.{which}" in shown
    result = json.loads(programs.results_file("pytest").read_text())
    # It was tried more often, in case greenlet were unsteady.
    assert len(result["runs"]["greenlet"][f"file.Test.{which}"]) == programs.MOST_RUNS


def test_greenlet_must_be_what_it_should(program: Any, tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(
        "import unittest\n"
        "class Test(unittest.TestCase):\n"
        "    def test(self): pass\n"
        "unittest.main()\n"
    )
    with pytest.raises(programs.CannotRunError, match="on greenlet the processes had none"):
        programs.run(program, False, [])


def test_a_unit_may_take_only_so_long(program: Any, tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(
        "import time, unittest, greenlet\n"
        "class Test(unittest.TestCase):\n"
        "    def test(self): time.sleep(60)\n"
        "unittest.main()\n"
    )
    unit = programs.Unit("file.py", ("file.py",), tmp_path, 1)
    outcomes, had = programs.run_unit(program, unit, "greenlane")
    assert outcomes == {"file.Test.test": "failed", "file.py (process)": "failed"}
    assert had == {"greenlane"}


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("passed", "passed", "pass on both"),
        ("passed", "unsteady", "worse here"),
        ("passed", "absent", "worse here"),
        ("passed", "skipped", "worse here"),
        ("unsteady", "failed", "unsteady"),
        ("failed", "passed", "better here"),
        ("skipped", "failed", "worse here"),
        ("absent", "failed", "worse here"),
    ],
)
def test_columns(theirs: str, ours: str, expected: str) -> None:
    assert programs.column(theirs, ours) == expected


def test_verdict() -> None:
    assert programs.verdict(["passed"] * 3) == "passed"
    assert programs.verdict(["passed", "failed", "passed"]) == "unsteady"


def test_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "RESULTS", tmp_path)
    output = tmp_path / "page.md"
    arguments = ["report", "--results", str(tmp_path), "--output", str(output)]
    assert programs.main(arguments) == 2
    assert "run `tox -e programs-gevent,programs-eventlet" in capsys.readouterr().err
    assert not output.exists()
    runs = {"greenlet": {"a": ["passed"], "b": ["failed"]}, "greenlane": {"a": ["passed"]}}
    for name in programs.PROGRAMS:
        result = {"program": name, "version": "1", "what": "all", "python": "3", "runs": runs}
        result["sides"] = {"greenlet": "3.5", "greenlane": "0.1"}
        programs.results_file(name).write_text(json.dumps(result))
    # Of another CPython; and what is not the whole, which does not count.
    later = programs.results_file("gevent").with_name("gevent-py399.json")
    later.write_text(json.dumps(result | {"program": "gevent", "python": "3.99"}))
    later.with_name("gevent-quick-py399.json").write_text("{}")
    tool = {"tool": "gdb", "version": "1", "what": "a trace", "outcome": "works"}
    (tmp_path / "tools.json").write_text(json.dumps([tool]))
    assert programs.main(arguments) == 0
    page = output.read_text()
    assert "| gevent 1 | 3 | all | 1 | 0 | 0 | 1 | 0 | 0 |" in page
    assert "| gevent 1 | 3.99 | all | 1 | 0 | 0 | 1 | 0 | 0 |" in page
    assert "With greenlet 3.5, greenlane 0.1." in page
    assert "### gevent on 3.99: what does not pass on both" in page
    assert "- unsteady (failed on greenlet, absent on greenlane):\n  - `b`" in page
    assert "| gdb | 1 | a trace | works |" in page
