"""From samples to rows: what is paired with what, and what a failure leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from greenlet_bench.results import CRASH, OK, Results, Sample
from greenlet_bench.summary import summarise

PAIRS = 8


def results(samples: list[Sample]) -> Results:
    """A result file's content, without the facts that a summary does not look at."""
    header: dict[str, Any] = {
        "baseline": "base",
        "implementations": [{"label": label} for label in ("base", "fast")],
    }
    described = [
        {
            "id": id_,
            "suite": id_.partition(".")[0],
            "suite_title": "",
            "title": "",
            "unit": "ns",
            "headline": False,
            "series": None,
            "size": None,
            "axis": None,
        }
        for id_ in dict.fromkeys(sample.benchmark for sample in samples)
    ]
    return Results(header, described, samples, {})


def sample(benchmark: str, label: str, pair: int, value: float) -> Sample:
    """A process whose least value is `value` and whose median is twice that."""
    return Sample(benchmark, label, pair, pair, OK, 1000, [2 * value, value, 3 * value])


def series(benchmark: str, base: list[float], fast: list[float]) -> list[Sample]:
    return [
        *(sample(benchmark, "base", pair, value) for pair, value in enumerate(base)),
        *(sample(benchmark, "fast", pair, value) for pair, value in enumerate(fast)),
    ]


def test_ratios_are_formed_within_pairs_so_that_drift_cancels() -> None:
    drift = [1.0, 1.5, 4.0, 2.0, 1.0, 3.0, 1.2, 1.1]
    base, fast = [800 * d for d in drift], [100 * d for d in drift]
    (group,) = summarise(results(series("switch.a", base, fast)))
    ratio = group.rows[0].ratios["fast"]
    assert ratio.value == pytest.approx(8)
    assert ratio.low == pytest.approx(8)
    assert ratio.high == pytest.approx(8)
    assert ratio.pairs == PAIRS and ratio.significant
    assert "base" not in group.rows[0].ratios


def test_minimum_and_typical() -> None:
    base = [100.0, 90.0, 110.0, 105.0, 95.0]
    (group,) = summarise(results(series("switch.a", base, base)))
    cell = group.rows[0].cells["base"]
    assert (cell.minimum, cell.typical, cell.processes) == (90, 200, 5)


def test_an_outlying_process_is_flagged_and_kept() -> None:
    base = [100.0, 101, 99, 100, 102, 98, 100, 500]
    (group,) = summarise(results(series("switch.a", base, [100.0] * PAIRS)))
    row = group.rows[0]
    assert row.cells["base"].outliers == 1
    assert row.cells["base"].processes == PAIRS
    assert row.ratios["fast"].value > 1.1, "it counts in the ratio"


def test_the_mean_of_a_group_is_geometric() -> None:
    samples = [
        *series("switch.a", [200.0] * PAIRS, [100.0] * PAIRS),
        *series("switch.b", [800.0] * PAIRS, [100.0] * PAIRS),
    ]
    (group,) = summarise(results(samples))
    assert group.ratios["fast"].value == pytest.approx(4)
    assert not group.incomplete


def test_a_crash_leaves_its_row_out_of_the_mean_and_says_so() -> None:
    samples = [
        *series("switch.a", [200.0] * PAIRS, [100.0] * PAIRS),
        *series("switch.b", [800.0] * PAIRS, [100.0] * 3),
        Sample("switch.b", "fast", 3, 3, CRASH, message="SIGSEGV"),
    ]
    (group,) = summarise(results(samples))
    assert group.rows[1].cells["fast"].outcome == CRASH
    assert group.rows[1].ratios == {}
    assert group.ratios["fast"].value == pytest.approx(2)
    assert group.incomplete == {"fast"}


def test_the_floor_has_no_mean() -> None:
    (group,) = summarise(results(series("floor.a", [1.0] * PAIRS, [1.0] * PAIRS)))
    assert group.is_floor and group.ratios == {}
    assert group.rows[0].ratios["fast"].value == pytest.approx(1)


def test_what_was_not_measured_is_not_run() -> None:
    samples = [sample("switch.a", "base", 0, 1.0)]
    (group,) = summarise(results(samples))
    assert group.rows[0].cells["fast"].outcome == "NOT RUN"


def test_a_row_with_few_pairs_does_not_take_the_interval_from_the_mean() -> None:
    many = series("memory.a", [800.0] * PAIRS, [100.0] * PAIRS)
    few = series("memory.b", [200.0, 200.0], [100.0, 100.0])
    (group,) = summarise(results([*many, *few]))
    mean = group.ratios["fast"]
    assert mean.value == pytest.approx(8) and mean.low is not None
    (group,) = summarise(results(few))
    assert group.ratios["fast"].value == pytest.approx(2)
