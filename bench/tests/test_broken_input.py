"""Results that are garbled, outputs that cannot be written, and runs that are ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import bench_lines, conformance_lines, write_lines
from test_cli import error_of

from greenlet_bench import cli, report, results
from greenlet_bench.catalogue import select
from greenlet_bench.cli import main
from greenlet_bench.driver import QUICK, Driver, Step, Target
from greenlet_bench.errors import (
    EXIT_FAILED,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_OUTPUT,
    EXIT_PIPE,
    EXIT_TERMINATED,
    EXIT_TOOL,
    EXIT_USAGE,
    OutputError,
)

COMMAND = [sys.executable, "-m", "greenlet_bench"]
Change = Callable[[dict[str, Any]], object]


def of(kind: str, change: Change) -> list[str]:
    """A result after a change to the last record of a kind."""
    records = [json.loads(line) for line in bench_lines(instructions=True)]
    change([record for record in records if record["kind"] == kind][-1])
    return [json.dumps(record) for record in records]


BROKEN = {
    "nan": of("sample", lambda r: r["values"].append(float("nan"))),
    "infinite": of("sample", lambda r: r["values"].append(float("inf"))),
    "zero": of("sample", lambda r: r["values"].append(0)),
    "negative": of("sample", lambda r: r["values"].append(-1.5)),
    "huge": of("sample", lambda r: r["values"].append(10**400)),
    "no number": of("sample", lambda r: r["values"].append("1")),
    "no values": of("sample", lambda r: r.update(values=[])),
    "no list": of("sample", lambda r: r.update(values=3)),
    "pair": of("sample", lambda r: r.update(pair="1")),
    "same pair twice": of("sample", lambda r: r.update(pair=0)),
    "outcome": of("sample", lambda r: r.update(outcome="GREAT")),
    "another field": of("sample", lambda r: r.update(more=1)),
    "unknown benchmark": of("sample", lambda r: r.update(benchmark="no.such")),
    "count": of("instructions", lambda r: r.update(per_operation="many")),
    "unit": of("benchmark", lambda r: r.update(unit=None)),
    "no title": of("benchmark", lambda r: r.pop("title")),
    "same id twice": of("benchmark", lambda r: r.update(id="floor.c_call")),
    "machine": of("header", lambda r: r.update(machine=None)),
    "no settings": of("header", lambda r: r.pop("settings")),
    "python": of("header", lambda r: r["python"].update(version="banana")),
    "population": of("header", lambda r: r["settings"].update(population="all")),
    "same label twice": of("header", lambda r: r["implementations"][0].update(label="greenlet")),
    "seconds": of("footer", lambda r: r.update(seconds="long")),
    "deep": [*bench_lines()[:-1], '{"kind": ' + "[" * 100_000],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_garbled_result_is_refused_by_all_that_read_one(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "good.jsonl", bench_lines(instructions=True))
    write_lines(tmp_path / "bad.jsonl", BROKEN[name])
    for arguments in (
        ["show", "bad.jsonl"],
        ["report", "--bench", "bad.jsonl"],
        ["compare", "good.jsonl", "bad.jsonl", "--force"],
        ["gate", "--impl", "fast", "--bench", "bad.jsonl"],
        ["save-baseline", "bad", "bad.jsonl"],
    ):
        assert main(arguments) == EXIT_INPUT, arguments
        assert "bad.jsonl" in error_of(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "good.jsonl"]


def test_other_ends_of_lines_within_a_name_are_part_of_it(tmp_path: Path) -> None:
    lines = [line.replace("ring of 10", "ring\u2028of 10") for line in bench_lines()]
    found = results.read(write_lines(tmp_path / "bench.jsonl", lines))
    assert "ring\u2028of 10" in {benchmark["title"] for benchmark in found.benchmarks}


def test_a_result_that_is_cut_short_is_shown_and_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = bench_lines()
    path = write_lines(tmp_path / "bench.jsonl.interrupted", lines[:-9])
    assert main(["show", str(path)]) == EXIT_FAILED
    shown = capsys.readouterr()
    assert "ring of 10" in shown.out and "400 / 420" in shown.out
    assert "cut short: 136 samples" in shown.err
    path.write_text("\n".join(lines)[:-400], encoding="utf-8")  # in the middle of a line
    assert main(["show", str(path)]) == EXIT_FAILED
    path.write_text(lines[0], encoding="utf-8")
    assert main(["show", str(path)]) == EXIT_FAILED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--timeout", "nan"], "above 0"),
        (["run", "--timeout", "inf"], "up to a day"),
        (["run", "--rounds", "1000000000"], "1000 are the most"),
        (["run", "--impl", "two\nlines=greenlet"], "LABEL=MODULE"),
        (["run", "--impl", " =greenlet"], "LABEL=MODULE"),
        (["gate", "--rounds", "1000000000"], "1000 are the most"),
        (["gate", "--impl", "greenlet"], "compared to"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_runs(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == EXIT_USAGE
    assert message in error_of(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("entry", ['"switch.*"\nspeedup = 1', '"kill.drop"\ninstructions = 1'])
def test_a_threshold_of_what_cannot_be_measured_is_refused_before_measuring(
    entry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f'[[threshold]]\nreason = "r"\nbenchmark = {entry}\n', encoding="utf-8")
    assert main(["gate", "--thresholds", str(path)]) == EXIT_INPUT
    assert "cannot be measured" in error_of(capsys)


def test_a_package_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert main(["run"]) == EXIT_TOOL
    assert "scipy and pytest_benchmark cannot be imported" in error_of(capsys)
    assert main(["list"]) == EXIT_OK


def test_a_reader_that_goes_away_and_a_full_disk_have_exit_codes(tmp_path: Path) -> None:
    path = str(write_lines(tmp_path / "bench.jsonl", bench_lines()))
    for command in (["list"], ["show", path]):
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run([*COMMAND, *command], stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        assert (done.returncode, done.stderr) == (EXIT_PIPE, b"")
        closed = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *command], stderr=subprocess.PIPE
        )
        assert (closed.returncode, closed.stderr) == (EXIT_OK, b"")
        if os.path.exists("/dev/full"):  # noqa: PTH110
            with open("/dev/full", "wb") as full:  # noqa: PTH123
                done = subprocess.run([*COMMAND, *command], stdout=full, stderr=subprocess.PIPE)
            assert done.returncode == EXIT_OUTPUT
            (line,) = done.stderr.splitlines()
            assert b"No space left on device" in line


def test_names_that_a_terminal_cannot_show_are_no_error(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", bench_lines(label="schnell\u00fc"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "show", str(path)], capture_output=True, env=environment)
    assert done.returncode == EXIT_OK and rb"schnell\xfc" in done.stdout


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, EXIT_INTERRUPTED), (signal.SIGTERM, EXIT_TERMINATED)],
)
@pytest.mark.usefixtures("fakes")
def test_a_run_that_is_ended_keeps_what_it_has_and_what_was_there(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    output = tmp_path / "bench.jsonl"
    output.write_text("old", encoding="utf-8")
    run = [*COMMAND, "run", "--suite", "floor.c_call", "--suite", "create.drop"]
    run += ["--impl", "hanging", "--baseline", "hanging", "--output", str(output)]
    partial = tmp_path / "bench.jsonl.partial"
    # The first suite is measured, the second hangs.
    with subprocess.Popen(run, stderr=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 60
            while '"sample"' not in (partial.read_text("utf-8") if partial.exists() else ""):
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.05)
            second = subprocess.run(run, capture_output=True, text=True)
            assert second.returncode == EXIT_USAGE
            assert "another run is writing" in second.stderr
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code
    assert f"what was measured is in {output}.interrupted" in told.splitlines()[-1]
    assert output.read_text(encoding="utf-8") == "old"
    left = tmp_path / "bench.jsonl.interrupted"
    assert sorted(tmp_path.iterdir()) == [output, left]
    found = results.read(left, cut_short=True)
    assert found.cut_short and found.samples


def test_a_disk_that_fills_up_costs_nothing_that_was_measured(tmp_path: Path) -> None:
    def progress(_step: Step, number: int, _total: int) -> None:
        if number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    settings = replace(QUICK, rounds=1, seconds=0.001)
    targets = [Target("greenlet", "greenlet")]
    driver = Driver(select(["getcurrent"]), targets, settings)
    output = tmp_path / "bench.jsonl"
    with pytest.raises(OutputError, match=r"No space left .*measured is in .*interrupted"):
        driver.run(output, "greenlet", progress)
    (left,) = tmp_path.iterdir()
    assert len(results.read(left, cut_short=True).samples) == 1
    with pytest.raises(OutputError, match="nothing was written"):
        Driver(select(["getcurrent"]), targets, settings).run(
            output, "greenlet", progress, keep=False
        )
    assert list(tmp_path.iterdir()) == [left]


def test_nothing_but_the_result_is_left_where_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = ["run", "--rounds", "1", "--suite", "getcurrent", "--impl", "greenlet"]
    assert main(run) == EXIT_OK, capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bench.jsonl"]


def test_what_is_printed_does_not_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_lines(tmp_path / "bench.jsonl", bench_lines(label="\x1b[2J"))
    assert main(["show", str(path)]) == EXIT_OK
    assert "\x1b" not in capsys.readouterr().out
    assert main(["run", "--impl", "\x1b[2J"]) == EXIT_USAGE
    assert "\x1b" not in error_of(capsys)
    assert main(["show", "\x1b[2J"]) == EXIT_INPUT
    assert "?[2J" in error_of(capsys)


@pytest.mark.parametrize("command", ["run", "report", "show", "save-baseline", "compare", "gate"])
def test_every_command_tells_its_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    told = capsys.readouterr().out
    assert "exit codes:" in told and "%%" not in told


def test_saving_where_nothing_can_be_saved_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "bench.jsonl", bench_lines())
    save = ["save-baseline", "before", "bench.jsonl", "--folder"]
    assert main([*save, "bench.jsonl"]) == EXIT_OUTPUT
    assert "bench.jsonl/before.jsonl" in error_of(capsys)
    assert main(["save-baseline", "x" * 300, "bench.jsonl"]) == EXIT_OUTPUT
    assert "too long" in error_of(capsys)
    assert main(["compare", "x" * 5000, "bench.jsonl"]) == EXIT_INPUT
    assert "neither a result file nor" in error_of(capsys)
    assert main(["report", "--bench", "bench.jsonl", "--output-dir", "bench.jsonl"]) == EXIT_OUTPUT
    assert "cannot write to bench.jsonl" in error_of(capsys)


def test_an_input_never_takes_the_place_of_the_page(tmp_path: Path) -> None:
    page = write_lines(tmp_path / "index.html", bench_lines())
    link = write_lines(tmp_path / "javascript:a#b.jsonl", conformance_lines())
    written = report.write([page], [link], tmp_path / "reports")
    source = written.page.read_text(encoding="utf-8")
    assert source.startswith("<!doctype html>")
    assert (tmp_path / "reports" / "index-2.html").read_bytes() == page.read_bytes()
    assert 'href="javascript%3Aa%23b.jsonl"' in source and 'href="javascript:' not in source
