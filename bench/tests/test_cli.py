"""The command line: exit codes and one-line errors."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import bench_lines, conformance_lines, write_lines

from greenlet_bench import cli
from greenlet_bench.cli import main
from greenlet_bench.driver import SUITES_FOLDER
from greenlet_bench.errors import (
    EXIT_FAILED,
    EXIT_IMPLEMENTATION,
    EXIT_INPUT,
    EXIT_OK,
    EXIT_USAGE,
)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was printed to standard error."""
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--impl", "nosuch"], EXIT_IMPLEMENTATION, "nosuch cannot be imported"),
        (["run", "--impl", "greenlet", "--baseline", "nosuch"], EXIT_IMPLEMENTATION, "nosuch"),
        (["run", "--impl", "greenlet", "--suite", "swtch"], EXIT_USAGE, "switch"),
        (["run", "--impl", "greenlet", "--rounds", "0"], EXIT_USAGE, "at least one round"),
        (["run", "--impl", "greenlet", "--timeout", "0"], EXIT_USAGE, "above 0"),
        (["run", "--impl", "greenlet", "--impl", "greenlet"], EXIT_USAGE, "same label"),
        (["run", "--impl", "greenlet", "--baseline", "greenlet=x"], EXIT_USAGE, "same label"),
        (["run", "--impl", "greenlet", "--output", "no/such/x"], EXIT_USAGE, "does not exist"),
        (["run", "--impl", "greenlet", "--output", "."], EXIT_USAGE, "not a file"),
        (["report"], EXIT_USAGE, "nothing to report"),
        (["report", "--bench", "missing.jsonl"], EXIT_INPUT, "missing.jsonl"),
        (["report", "--conformance", "missing.jsonl"], EXIT_INPUT, "missing.jsonl"),
        (["show", "missing.jsonl"], EXIT_INPUT, "missing.jsonl"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    assert message in error_of(capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_older_result_survives_a_refused_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "bench.jsonl"
    old.write_text("old", encoding="utf-8")
    assert main(["run", "--impl", "nosuch", "--output", str(old)]) == EXIT_IMPLEMENTATION
    assert "nosuch" in error_of(capsys)
    assert old.read_text(encoding="utf-8") == "old"


@pytest.mark.usefixtures("fakes")
def test_a_module_that_exits_when_imported_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "bench.jsonl"
    assert main(["run", "--impl", "exiting", "--output", str(output)]) == EXIT_IMPLEMENTATION
    line = error_of(capsys)
    assert "exiting cannot be imported" in line and "ended with exit code 0" in line
    assert not output.exists()


@pytest.mark.usefixtures("fakes")
def test_a_run_with_a_crash_shows_it_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "bench.jsonl"
    code = main(
        [
            *("run", "--quick", "--rounds", "1", "--impl", "crashing", "--output", str(output)),
            *("--suite", "throw.unstarted", "--suite", "getcurrent"),
        ]
    )
    assert code == EXIT_FAILED
    shown = capsys.readouterr().out
    assert "too few pairs" in shown
    assert "CRASH throw.unstarted, crashing: killed by SIGKILL" in shown.splitlines()
    assert main(["show", str(output)]) == EXIT_OK
    assert capsys.readouterr().out.strip() in shown


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize(
    ("module", "message"), [("skipping", "rather not"), ("timeless", "no times: [0.0")]
)
def test_who_measures_nothing_fails(
    module: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "bench.jsonl"
    options = ["--quick", "--rounds", "1", "--suite", "switch.round_trip", "--suite", "getcurrent"]
    assert main(["run", *options, "--impl", module, "--output", str(output)]) == EXIT_FAILED
    shown = capsys.readouterr().out
    assert f"FAIL switch.round_trip, {module}: " in shown and message in shown
    assert main(["show", str(output)]) == EXIT_OK


def test_a_name_that_is_too_long_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ("run", "gate"):
        assert main([command, "--output", 300 * "a"]) == EXIT_USAGE
        assert "cannot write aaa" in error_of(capsys)


def test_report_exits_1_when_a_run_is_cut_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = write_lines(tmp_path / "cut.jsonl", conformance_lines()[:-1])
    bench = write_lines(tmp_path / "bench.jsonl", bench_lines())
    arguments = ["report", "--bench", str(bench), "--output-dir", str(tmp_path / "reports")]
    assert main([*arguments, "--conformance", str(cut)]) == EXIT_FAILED
    assert "cut short" in error_of(capsys)
    assert main(arguments) == EXIT_OK


def test_an_input_given_to_the_wrong_option_is_told_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_lines(tmp_path / "run.jsonl", conformance_lines())
    bench = write_lines(tmp_path / "bench.jsonl", bench_lines())
    for command in (["report", "--bench", str(run)], ["show", str(run)]):
        assert main(command) == EXIT_INPUT
        line = error_of(capsys)
        assert "looks like a conformance run" in line and f"--conformance {run}" in line
    assert main(["report", "--conformance", str(bench)]) == EXIT_INPUT
    line = error_of(capsys)
    assert "looks like a benchmark result" in line and f"--bench {bench}" in line


def test_a_result_of_an_older_schema_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.replace('"schema": 2', '"schema": 1', 1) for line in bench_lines()]
    bench = write_lines(tmp_path / "bench.jsonl", lines)
    assert main(["show", str(bench)]) == EXIT_INPUT
    line = error_of(capsys)
    assert "of schema 1" in line and "reads schema 2: make it again" in line


def test_list_names_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == EXIT_OK
    shown = capsys.readouterr().out
    assert "switch.round_trip" in shown and "memory.suspended" in shown


def test_every_command_that_the_documents_show_is_one() -> None:
    folder = Path(__file__).parents[1]
    shown = []
    for path in (folder / "README.md", folder / "METHOD.md", *folder.glob("examples/*.yml")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for found in re.findall(r"(?:^    |run: |^ +)greenlet-bench (\S[^\n>|]*)", text, re.M):
            shown.append(shlex.split(found, comments=True))
    assert len(shown) > 10
    for arguments in shown:
        assert cli._parser().parse_args(arguments).command == arguments[0]


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "greenlet_bench", "--help"], capture_output=True, text=True
    )
    assert done.returncode == EXIT_OK
    assert "examples:" in done.stdout and "exit codes:" in done.stdout


@pytest.mark.usefixtures("fakes")
def test_the_suites_run_under_plain_pytest_and_refuse_an_unknown_module() -> None:
    command = [sys.executable, "-m", "pytest", "-q", str(SUITES_FOLDER / "bench_getcurrent.py")]
    good = subprocess.run([*command, "--greenlet-impl=greenlet"], capture_output=True, text=True)
    assert good.returncode == EXIT_OK, good.stdout + good.stderr
    assert "1 passed" in good.stdout
    exits = subprocess.run([*command, "--greenlet-impl=exiting"], capture_output=True, text=True)
    assert exits.returncode == EXIT_IMPLEMENTATION
    assert exits.stderr.strip().splitlines() == [
        "ERROR: --greenlet-impl exiting: importing it exits Python with 0"
    ]
    bad = subprocess.run([*command, "--greenlet-impl=nosuch"], capture_output=True, text=True)
    assert bad.returncode == EXIT_IMPLEMENTATION
    assert bad.stderr.strip().splitlines() == [
        "ERROR: --greenlet-impl nosuch: No module named 'nosuch'"
    ]
