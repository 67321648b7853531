"""The list of benchmarks and how they are selected."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

import greenlet_bench.suites
from greenlet_bench.catalogue import PREFIX, SUITES, benchmark, catalogue, select, suite_title
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
    assert {b.id for b in select(["t*.round_trip"])} >= {"throw.round_trip", "trace.round_trip"}
    assert select([]) == catalogue()


def test_sizes_are_benchmarks_of_their_own() -> None:
    ring = select(["switch.ring"])
    assert [b.id for b in ring] == ["switch.ring[2]", "switch.ring[100]", "switch.ring[100000]"]
    assert [b.title for b in ring] == ["ring of 2", "ring of 100", "ring of 100,000"]
    assert [b.id for b in select(["switch.ring[2]"])] == ["switch.ring[2]"]
    assert [b.size for b in select(["switch.ring[1*]"])] == [100, 100_000]
    record = ring[0].record()
    assert (record["series"], record["size"], record["axis"]) == ("ring.cyclic", 2, "greenlets")
    assert "quick" not in record


def test_a_benchmark_with_an_id_of_its_own_may_be_a_point_of_a_series() -> None:
    sizes = {b.size: b.id for b in catalogue() if b.series == "ring.cyclic"}
    assert sizes[10] == "switch.ring_10" and sizes[100] == "switch.ring[100]"


def test_a_series_has_each_size_once_one_axis_and_one_unit() -> None:
    points = [b for b in catalogue() if b.series]
    assert len({(b.series, b.size) for b in points}) == len(points)
    assert len({(b.series, b.axis, b.unit) for b in points}) == len({b.series for b in points})


def test_a_quick_run_leaves_out_sizes_unless_they_are_asked_for() -> None:
    assert {b.size for b in select(["switch.ring"], quick=True)} == {2, 100}
    assert "switch.ring[100000]" not in {b.id for b in select([], quick=True)}
    assert [b.size for b in select(["switch.ring[100000]"], quick=True)] == [100_000]


@pytest.mark.parametrize(
    "options",
    [
        {"sizes": [1, 2]},
        {"series": "s", "axis": "a"},
        {"series": "s", "axis": "a", "size": 1, "sizes": [1]},
        {"series": "s", "axis": "a", "sizes": [1], "quick_sizes": [2]},
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        benchmark("title", unit="ns per turn", **options)


def test_an_unknown_suite_names_near_matches() -> None:
    with pytest.raises(BenchError, match=r"'swich'.*switch"):
        select(["swich"])


def test_suite_titles_are_one_line() -> None:
    for suite in SUITES:
        assert suite_title(suite) and "\n" not in suite_title(suite)
