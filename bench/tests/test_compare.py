"""Saved results and comparisons of two runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic import bench_lines, write_lines
from test_cli import error_of

from greenlet_bench import baselines, comparison, formats, results
from greenlet_bench.cli import main
from greenlet_bench.errors import (
    EXIT_INPUT,
    EXIT_NOT_COMPARABLE,
    EXIT_OK,
    EXIT_USAGE,
    NotComparableError,
)


def edited(lines: list[str], change: Callable[[dict[str, Any]], None]) -> list[str]:
    """The lines after a change to each record."""
    records = [json.loads(line) for line in lines]
    for record in records:
        change(record)
    return [json.dumps(record) for record in records]


def slower(factor: float, *labels: str) -> list[str]:
    """A result in which some implementations take `factor` times as long."""

    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "sample" and record["implementation"] in labels:
            record["values"] = [value * factor for value in record["values"]]

    return edited(bench_lines(), change)


def header(part: str, name: str, value: object) -> list[str]:
    """A result with another fact in its header."""

    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "header":
            record[part][name] = value

    return edited(bench_lines(), change)


def changes(
    tmp_path: Path, old: list[str], new: list[str], **options: bool
) -> list[dict[str, Any]]:
    """The records of a comparison of two results."""
    first = results.read(write_lines(tmp_path / "old.jsonl", old))
    second = results.read(write_lines(tmp_path / "new.jsonl", new))
    return comparison.build(first, second, **options).records


def test_a_run_beside_itself_has_not_changed(tmp_path: Path) -> None:
    records = changes(tmp_path, bench_lines(instructions=True), bench_lines(instructions=True))
    assert {record["measure"] for record in records} == {"time", "instructions"}
    for record in records:
        assert record["ratio"] == pytest.approx(1)
        assert record["low"] <= 1 <= record["high"] and not record["significant"]


def test_what_became_slower_is_worse_and_nothing_else(tmp_path: Path) -> None:
    for record in changes(tmp_path, bench_lines(), slower(1.5, "fast")):
        changed = record["implementation"] == "fast"
        assert record["significant"] == changed
        assert record["ratio"] == pytest.approx(1 / 1.5 if changed else 1, rel=0.01)


def test_a_slower_machine_cancels_in_relative_comparisons(tmp_path: Path) -> None:
    machine = slower(1.5, "fast", "greenlet")
    assert all(record["significant"] for record in changes(tmp_path, bench_lines(), machine))
    relative = changes(tmp_path, bench_lines(), machine, relative=True)
    assert {record["implementation"] for record in relative} == {"fast"}
    for record in relative:
        assert record["ratio"] == pytest.approx(1, rel=1e-6) and not record["significant"]


def test_one_instruction_in_a_hundred_is_significant(tmp_path: Path) -> None:
    def more(record: dict[str, Any]) -> None:
        if record["kind"] == "instructions" and record["implementation"] == "fast":
            record["per_operation"] *= 1.01

    old = bench_lines(instructions=True)
    records = changes(tmp_path, old, edited(old, more))
    counted = [r for r in records if r["measure"] == "instructions" and r["significant"]]
    assert counted and {r["implementation"] for r in counted} == {"fast"}
    assert all(r["ratio"] == pytest.approx(1 / 1.01) for r in counted)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("machine", "cpu", "Another CPU"),
        ("machine", "kernel", "6.1"),
        ("python", "version", "3.13.1"),
        ("python", "config_args", "--with-lto"),
        ("python", "jit", True),
        ("settings", "population", 7),
        ("settings", "quick", True),
    ],
)
def test_other_machines_and_pythons_are_refused_unless_forced(
    part: str, name: str, value: object, tmp_path: Path
) -> None:
    other = header(part, name, value)
    with pytest.raises(NotComparableError, match=f"{part} {name}: .*then {value}"):
        changes(tmp_path, bench_lines(), other)
    assert changes(tmp_path, bench_lines(), other, force=True)


def test_another_baseline_is_refused_only_where_it_is_used(tmp_path: Path) -> None:
    def newer(record: dict[str, Any]) -> None:
        if record["kind"] == "header":
            record["implementations"][1]["version"] = "3.6.0"

    other = edited(bench_lines(), newer)
    assert changes(tmp_path, bench_lines(), other)
    with pytest.raises(NotComparableError, match=r"greenlet 3\.5\.6, then greenlet 3\.6\.0"):
        changes(tmp_path, bench_lines(), other, relative=True)


def test_rows_that_only_one_run_has_are_named(tmp_path: Path) -> None:
    crashed = results.read(write_lines(tmp_path / "new.jsonl", bench_lines("switch.ring_10")))
    whole = results.read(write_lines(tmp_path / "old.jsonl", bench_lines()))
    assert "switch.ring_10, fast: OK, then CRASH" in comparison.build(whole, crashed).notes


def test_every_format_has_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_lines(tmp_path / "bench.jsonl", bench_lines(instructions=True)))
    for command in (["show", path], ["compare", path, path]):
        for form in formats.FORMATS:
            assert main([*command, "--format", form]) == EXIT_OK
            shown = capsys.readouterr().out
            assert "ring of 10" in shown and "a suspended greenlet" in shown
            if form == "csv":
                rows = list(csv.DictReader(io.StringIO(shown)))
                assert {row["benchmark"] for row in rows} >= {"switch.ring_10"}
                assert all(float(row["ratio"]) > 0 for row in rows if row["ratio"])
            elif form == "html":
                assert shown.count("<tr>") == shown.count("</tr>") > 4 and "&lt;" not in shown
            elif form == "markdown":
                widths = {line.count("|") for line in shown.splitlines() if line.startswith("|")}
                assert len(widths) == 1


def test_a_saved_result_goes_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bench = write_lines(tmp_path / "bench.jsonl", bench_lines())
    assert main(["save-baseline", "before", "bench.jsonl"]) == EXIT_OK
    saved = tmp_path / baselines.FOLDER / "before.jsonl"
    assert saved.read_bytes() == bench.read_bytes()
    assert main(["compare", "before", "bench.jsonl"]) == EXIT_OK
    assert "not significant" in capsys.readouterr().out


def test_bad_input_of_saved_results_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "bench.jsonl", bench_lines())
    write_lines(tmp_path / "other.jsonl", header("python", "version", "3.12.0"))
    write_lines(tmp_path / "cut.jsonl", bench_lines()[:-3])
    main(["save-baseline", "before", "bench.jsonl"])
    capsys.readouterr()
    saved = tmp_path / baselines.FOLDER / "before.jsonl"
    content = saved.read_bytes()
    for arguments, code, message in [
        (["save-baseline", "before", "other.jsonl"], EXIT_USAGE, "--replace"),
        (["save-baseline", "../x", "bench.jsonl"], EXIT_USAGE, "not a name"),
        (["save-baseline", "after", "cut.jsonl"], EXIT_INPUT, "cut short"),
        (["save-baseline", "after", "missing.jsonl"], EXIT_INPUT, "missing.jsonl"),
        (["compare", "befor", "bench.jsonl"], EXIT_INPUT, "before"),
        (["compare", "before", "cut.jsonl"], EXIT_INPUT, "cut short"),
        (["compare", "before", "other.jsonl"], EXIT_NOT_COMPARABLE, "3.13.0, then 3.12.0"),
    ]:
        assert main(arguments) == code
        assert message in error_of(capsys)
    assert [path.name for path in saved.parent.iterdir()] == ["before.jsonl"]
    assert saved.read_bytes() == content
    assert main(["save-baseline", "before", "other.jsonl", "--replace"]) == EXIT_OK
    assert saved.read_bytes() != content
