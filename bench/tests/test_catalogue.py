"""The list of benchmarks and how they are selected."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

import greenlet_bench.suites
from greenlet_bench.catalogue import PREFIX, SUITES, catalogue, select, suite_title
from greenlet_bench.errors import BenchError


def test_every_suite_file_is_listed_and_has_benchmarks() -> None:
    folder = Path(greenlet_bench.suites.__file__).parent
    files = {path.stem.removeprefix(PREFIX) for path in folder.glob(f"{PREFIX}*.py")}
    assert files == set(SUITES)
    assert {benchmark.suite for benchmark in catalogue()} == files


def test_ids_are_unique_and_units_say_what_one_value_is() -> None:
    benchmarks = catalogue()
    assert len({benchmark.id for benchmark in benchmarks}) == len(benchmarks)
    assert all(benchmark.unit.startswith(("ns per ", "bytes per ")) for benchmark in benchmarks)


def test_the_example_of_the_readme_is_a_real_benchmark() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    folder = Path(greenlet_bench.suites.__file__).parent
    source = (folder / "bench_getcurrent.py").read_text(encoding="utf-8")
    function = source[source.index("@benchmark") :]
    assert indent(function, "    ") in readme


def test_selecting_by_suite_id_and_pattern() -> None:
    assert {b.suite for b in select(["switch"])} == {"switch"}
    assert [b.id for b in select(["args.one"])] == ["args.one"]
    assert {b.id for b in select(["*.round_trip"])} == {"switch.round_trip", "throw.round_trip"}
    assert select([]) == catalogue()


def test_an_unknown_suite_names_near_matches() -> None:
    with pytest.raises(BenchError, match=r"'swich'.*switch"):
        select(["swich"])


def test_suite_titles_are_one_line() -> None:
    for suite in SUITES:
        assert suite_title(suite) and "\n" not in suite_title(suite)
