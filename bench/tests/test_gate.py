"""The gate: what passes, what fails by how much, and what is neither."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import SPEEDUP, bench_lines, write_lines
from test_cli import error_of
from test_compare import header

from greenlet_bench import cli, gate, results
from greenlet_bench.catalogue import catalogue
from greenlet_bench.cli import main
from greenlet_bench.driver import QUICK
from greenlet_bench.errors import (
    EXIT_INPUT,
    EXIT_MISSING,
    EXIT_NOT_COMPARABLE,
    EXIT_OK,
    EXIT_REGRESSION,
    EXIT_TOOL,
    EXIT_USAGE,
    InputError,
)
from greenlet_bench.instructions import countable


def thresholds(path: Path, *entries: str) -> Path:
    """A file of thresholds; each entry lacks its reason."""
    text = "".join(f'[[threshold]]\nreason = "because"\n{entry}\n' for entry in entries)
    path.write_text(text, encoding="utf-8")
    return path


PYTHON = "3.13.0"
ROUND_TRIP = 'benchmark = "switch.round_trip"\n'
"""8 times as fast as greenlet in a synthetic result, give or take 2%; 50 ns."""


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        (ROUND_TRIP + "speedup = 7", gate.PASS),
        (ROUND_TRIP + "speedup = 8.05", gate.PASS),  # within the interval
        (ROUND_TRIP + "speedup = 9", gate.REGRESSION),
        (ROUND_TRIP + "value = 50", gate.PASS),
        (ROUND_TRIP + "value = 49.9", gate.PASS),  # within the interval
        (ROUND_TRIP + "value = 45", gate.REGRESSION),
        (ROUND_TRIP + 'multiple = 0.26\nof = "switch.ring_10"', gate.PASS),
        (ROUND_TRIP + 'multiple = 0.2\nof = "switch.ring_10"', gate.REGRESSION),
        (ROUND_TRIP + "share = 0.99", gate.PASS),
        (ROUND_TRIP + "share = 0.0001", gate.REGRESSION),
        (ROUND_TRIP + "instructions = 110", gate.PASS),
        (ROUND_TRIP + "instructions = 100", gate.REGRESSION),
        ('benchmark = "memory.suspended"\nspeedup = 1', gate.REGRESSION),
        ('benchmark = "memory.suspended"\nspeedup = 0.4\npopulation = 1000', gate.PASS),
        ('benchmark = "memory.suspended"\nspeedup = 0.4\npopulation = 7', gate.MISSING),
        ('benchmark = "no.such"\nspeedup = 1', gate.MISSING),
        (ROUND_TRIP + 'multiple = 2\nof = "no.such"', gate.MISSING),
        ('benchmark = "switch.ring_10"\nspeedup = 1', gate.PASS),
    ],
)
def test_only_a_whole_interval_on_the_wrong_side_fails(
    entry: str, verdict: str, tmp_path: Path
) -> None:
    bounds = gate.read(thresholds(tmp_path / "t.toml", entry), PYTHON)
    found = results.read(write_lines(tmp_path / "b.jsonl", bench_lines(instructions=True)))
    (judgement,) = gate.judge(found, bounds, "fast")
    assert judgement.verdict == verdict
    if verdict == gate.REGRESSION:
        (note,) = gate.build([judgement], "fast").notes
        assert "because" in note and f"{judgement.off:.1%} off" in note and judgement.off > 0


def test_how_far_off_is_measured_from_the_nearest_end(tmp_path: Path) -> None:
    bounds = gate.read(thresholds(tmp_path / "t.toml", ROUND_TRIP + "speedup = 16"), PYTHON)
    found = results.read(write_lines(tmp_path / "b.jsonl", bench_lines()))
    (judgement,) = gate.judge(found, bounds, "fast")
    assert judgement.off == pytest.approx(0.5, abs=0.02)


def test_a_regression_is_one_if_it_is_one_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [ROUND_TRIP + "speedup = 9", ROUND_TRIP + "value = 60", ROUND_TRIP + "share = 0.0001"]
    bounds = gate.read(thresholds(tmp_path / "t.toml", *entries), PYTHON)
    slow = results.read(write_lines(tmp_path / "slow.jsonl", bench_lines(instructions=True)))
    first = gate.judge(slow, bounds, "fast")
    assert gate.doubtful(first) == bounds[:1]  # what passed, and what was counted, is not
    monkeypatch.setitem(SPEEDUP, "switch.round_trip", 24.0)
    found = results.read(write_lines(tmp_path / "quick.jsonl", bench_lines()))
    (passed,) = gate.judge(found, bounds[:1], "fast")
    assert passed.verdict == gate.PASS

    once = gate.revise(first, gate.judge(slow, bounds[:1], "fast"))
    assert [one.verdict for one in once] == [gate.REGRESSION, gate.PASS, gate.REGRESSION]
    twice = gate.revise(once, [passed])
    assert [one.verdict for one in twice] == [gate.PASS, gate.PASS, gate.REGRESSION]
    assert twice[0].measured == passed.measured
    assert twice[0].earlier == (first[0].measured, first[0].measured)
    told, _ = gate.build(twice, "fast").notes
    assert told.startswith("pass switch.round_trip") and told.count(first[0].measured) == 2


def test_what_looks_like_a_regression_is_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "FULL", replace(QUICK, rounds=4, quick=False))
    entries = [ROUND_TRIP + "speedup = 1000", 'benchmark = "create.drop"\nspeedup = 0.01']
    bounds = thresholds(tmp_path / "t.toml", *entries)
    arguments = ["gate", "--impl", "again=greenlet", "--thresholds", str(bounds)]
    assert main([*arguments, "--output", "g.jsonl"]) == EXIT_REGRESSION
    printed = capsys.readouterr()
    assert printed.out.count(", measured again after ") == 1 and "create.drop" not in printed.out
    assert printed.err.count("measuring again, with more time: switch.round_trip\n") == 2
    first, *later = (
        results.read(tmp_path / name) for name in ("g.jsonl", "g-again-1.jsonl", "g-again-2.jsonl")
    )
    assert {one.benchmark for one in first.samples} == {"switch.round_trip", "create.drop"}
    for found in later:
        assert {one.benchmark for one in found.samples} == {"switch.round_trip"}
        assert found.header["settings"]["rounds"] == 4
    thresholds(bounds, 'benchmark = "create.drop"\nspeedup = 0.01')
    assert main([*arguments, "--output", "g.jsonl"]) == EXIT_OK
    assert not list(tmp_path.glob("g-again-*")), "what belongs to an earlier result"
    notes = tmp_path / "g-again-1.jsonl"
    notes.write_text("what else may be called so", encoding="utf-8")
    (tmp_path / "g-again-2.jsonl").mkdir()
    assert main([*arguments, "--output", "g.jsonl"]) == EXIT_USAGE
    assert "cannot write g-again-2.jsonl" in capsys.readouterr().err
    (tmp_path / "g-again-2.jsonl").rmdir()
    assert main([*arguments, "--output", "g.jsonl"]) == EXIT_OK
    assert notes.read_text(encoding="utf-8") == "what else may be called so"


@pytest.mark.parametrize(
    ("lines", "entry", "code"),
    [
        (bench_lines(), ROUND_TRIP + "speedup = 7", EXIT_OK),
        (bench_lines(), ROUND_TRIP + "speedup = 9", EXIT_REGRESSION),
        (bench_lines("switch.round_trip"), ROUND_TRIP + "speedup = 7", EXIT_MISSING),
        (bench_lines(pairs=2), ROUND_TRIP + "speedup = 7", EXIT_MISSING),
        (bench_lines(), ROUND_TRIP + "share = 0.5", EXIT_MISSING),
    ],
)
def test_the_exit_code_tells_a_regression_from_a_row_that_is_missing(
    lines: list[str],
    entry: str,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = write_lines(tmp_path / "b.jsonl", lines)
    bounds = thresholds(tmp_path / "t.toml", entry)
    arguments = ["gate", "--impl", "fast", "--bench", str(bench), "--thresholds", str(bounds)]
    assert main(arguments) == code
    assert ("switch.round_trip" in capsys.readouterr().out) == (code != EXIT_OK)


def test_a_bound_may_depend_on_the_version_of_python(tmp_path: Path) -> None:
    path = thresholds(
        tmp_path / "t.toml",
        ROUND_TRIP + 'speedup = { "3.12" = 8, "3.9" = 6, "3.14" = 7 }',
        'benchmark = "switch.ring_10"\nspeedup = { "3.12" = 2 }',
    )
    for version, bounds in (("3.11.7", [6]), ("3.13.0", [8, 2]), ("3.15.0rc2", [7, 2])):
        assert [one.bound for one in gate.read(path, version)] == bounds
    with pytest.raises(InputError, match=r"is for Python 3\.8\.1"):
        gate.read(path, "3.8.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "list of"),
        ("x = 1", "list of"),
        ("[[threshold", "not TOML"),
        ("threshold = " + 5_000 * "[", "not TOML"),
        ('[[threshold]]\nreason = "r"\nspeedup = 1', "threshold 1: it needs a benchmark"),
        ('[[threshold]]\nbenchmark = "a.b"\nspeedup = 1', "it needs a reason"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"', "one of speedup"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nspeedup = 1\nvalue = 2', "one of"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nspeedup = 0', "above 0"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nspeedup = "8x"', "above 0"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nmultiple = 2', "belong together"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nspeed = 2', "speed is not known"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nspeedup = nan', "above 0"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nvalue = inf', "above 0"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nmultiple = 1\nof = 3', "of is the id"),
        (
            '[[threshold]]\nreason = "r"\nbenchmark = "a.b"\nvalue = 1\npopulation = "all"',
            "a number of greenlets",
        ),
        ("threshold = [1]", "threshold 1: it is no table"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a"\nvalue = { new = 1 }', "a version of"),
        ('[[threshold]]\nreason = "r"\nbenchmark = "a"\nvalue = { "3.9" = 0 }', "above 0"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"t\.toml") as caught:
        gate.read(path, PYTHON)
    assert message in str(caught.value)


def test_bad_input_is_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "b.jsonl", bench_lines())
    write_lines(tmp_path / "quick.jsonl", header("settings", "quick", True))
    monkeypatch.setenv("PATH", str(tmp_path))
    for arguments, code, message in [
        (["gate", "--bench", "missing.jsonl"], EXIT_INPUT, "missing.jsonl"),
        (["gate", "--bench", "b.jsonl"], EXIT_INPUT, "no implementation greenlane"),
        (["gate", "--bench", "b.jsonl", "--impl", "greenlet"], EXIT_INPUT, "is the result's basel"),
        (["gate", "--bench", "quick.jsonl", "--impl", "fast"], EXIT_NOT_COMPARABLE, "--quick"),
        (["gate", "--thresholds", "missing.toml"], EXIT_INPUT, "missing.toml"),
        (["gate", "--rounds", "0"], EXIT_USAGE, "--rounds 0"),
        (["gate"], EXIT_TOOL, "fetch-valgrind"),
        (["run", "--instructions"], EXIT_TOOL, "apt-get install valgrind"),
    ]:
        assert main(arguments) == code
        assert message in error_of(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.jsonl", "quick.jsonl"]


def test_the_thresholds_that_come_with_it_name_benchmarks_that_there_are() -> None:
    known = {benchmark.id for benchmark in catalogue()}
    counted = {benchmark.id for benchmark in countable(catalogue())}
    for version in ("3.10.13", "3.11.7", "3.12.1", "3.13.0", "3.14.0", "3.15.0"):
        bounds = gate.read(gate.DEFAULT, version)
        for one in bounds:
            assert set(one.benchmarks) <= known
            assert one.kind not in gate.COUNTS or one.benchmark in counted
        rows = {(one.benchmark, one.kind) for one in bounds}
        assert ("switch.round_trip", "speedup") in rows and ("memory.suspended", "value") in rows
