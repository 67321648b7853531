"""Counting instructions. Where there is no valgrind, a stand-in takes its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from greenlet_bench import counted, instructions, results
from greenlet_bench.catalogue import catalogue
from greenlet_bench.cli import main
from greenlet_bench.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE

STAND_IN = """\
#!{python}
import subprocess, sys
output = sys.argv[2].removeprefix("--callgrind-out-file=")
code = subprocess.run(sys.argv[3:]).returncode
rounds = int(sys.argv[-2])
open(output, "w").write(f"events: Ir\\nsummary: {{1_000_000 + rounds * 42_000}}\\n")
sys.exit(code)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A valgrind that counts a million instructions for the start and 42,000 a round."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "valgrind"
    program.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_what_can_be_counted_runs_without_pytest() -> None:
    for benchmark in instructions.countable(catalogue()):
        answer = counted.run("greenlet", benchmark.id, 1, "")
        assert answer.operations > 0 and answer.folder == ""


@pytest.mark.usefixtures("stand_in")
def test_the_start_cancels_in_the_difference() -> None:
    ((number, message),) = instructions.count([("greenlet", "switch.round_trip")])
    assert (number, message) == (42.0, "")


@pytest.mark.usefixtures("stand_in", "fakes")
def test_counts_are_shown_and_a_benchmark_that_fails_costs_its_own_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "bench.jsonl"
    quick = ["run", "--quick", "--rounds", "1", "--instructions", "--output", str(output)]
    rows = ["--suite", "throw.unstarted", "--suite", "getcurrent"]
    assert main([*quick, *rows, "--impl", "greenlet"]) == EXIT_OK
    assert "Instructions per operation" in capsys.readouterr().out
    assert len(results.read(output).counts) == 2
    assert main([*quick, *rows, "--impl", "crashing"]) == EXIT_FAILED
    shown = capsys.readouterr().out
    assert "FAIL instructions of throw.unstarted, crashing" in shown
    good = {(c.benchmark, c.implementation) for c in results.read(output).counts if c.per_operation}
    assert ("getcurrent.getcurrent", "crashing") in good


@pytest.mark.usefixtures("stand_in")
def test_rows_that_cannot_be_counted_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--instructions", "--suite", "memory"]) == EXIT_USAGE
    assert "they can be counted of" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_valgrind_counts_the_same_twice() -> None:
    task = ("greenlet", "getcurrent.getcurrent")
    (first, message), (second, _) = instructions.count([task, task])
    assert message == "" and first is not None and second is not None
    assert 20 < first < 5000
    assert first == pytest.approx(second, rel=instructions.RESOLUTION)


def test_the_process_that_is_counted_answers_on_a_line_of_its_own() -> None:
    command = [sys.executable, "-m", counted.__name__, "greenlet", "getcurrent.getcurrent", "1", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert counted.answer(done.stdout) == counted.Answer(1000, "")
    assert counted.answer("nothing") is None
