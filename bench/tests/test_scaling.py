"""The fit of a power law, on costs whose exponent is known."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from synthetic import bench_lines, write_lines

from greenlet_bench import results
from greenlet_bench.scaling import Fit, fit, series_of, word
from greenlet_bench.summary import summarise

SIZES = [10, 100, 1_000, 10_000, 100_000, 1_000_000]


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
def test_an_exact_power_law_is_found(exponent: float, factor: float) -> None:
    found = fit(SIZES, [factor * size**exponent for size in SIZES])
    assert found and found.low is not None and found.high is not None
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.low == pytest.approx(found.high, abs=1e-6)


def test_the_interval_holds_the_exponent_as_often_as_it_says() -> None:
    draw = random.Random(1)
    held = 0
    for _ in range(1000):
        costs = [size**0.7 * math.exp(draw.gauss(0, 0.1)) for size in SIZES]
        found = fit(SIZES, costs)
        assert found and found.low is not None and found.high is not None
        held += found.low <= 0.7 <= found.high
    assert 930 <= held <= 970


def test_what_is_no_power_law_has_a_wide_interval() -> None:
    step = fit(SIZES, [10, 10, 10, 100, 100, 100])
    assert step and step.low is not None and step.high is not None
    assert step.high - step.low > 0.2 and step.words == "flat to sublinear"


def test_two_sizes_have_no_interval_and_one_has_no_fit() -> None:
    two = fit([10, 1000], [5, 500])
    assert two and two.exponent == pytest.approx(1.0) and two.low is None and two.high is None
    assert fit([10], [5]) is None and fit([], []) is None
    assert fit([10, 10], [5, 6]) is None


def test_what_has_no_logarithm_is_left_out() -> None:
    found = fit([0, *SIZES], [3, *SIZES])
    assert found and found.exponent == pytest.approx(1.0) and found.words == "linear"
    assert fit([10, 100], [0, 2]) is None and fit([0, 10], [1, 2]) is None


def test_words_and_numbers() -> None:
    assert [word(k) for k in (-1, 0, 0.5, 1, 1.5, 2, 3)] == [
        "falling",
        "flat",
        "sublinear",
        "linear",
        "superlinear",
        "quadratic",
        "steeper than quadratic",
    ]
    assert Fit(0.98, 0.95, 1.01).words == "linear"
    assert Fit(0.5, 0.05, 0.95).words == "flat to linear"
    assert Fit(0.5, -0.5, 1.5).words == "undecided"
    assert str(Fit(0.98, 0.95, 1.01)) == "0.98 [0.95, 1.01]"
    assert str(Fit(-0.001, -0.02, 0.01)) == "0.00 [-0.02, 0.01]"
    assert str(Fit(1.0, None, None)) == "1.00"


def test_the_series_of_a_result_are_sorted_and_leave_out_what_failed(tmp_path: Path) -> None:
    lines = bench_lines(crashed="switch.ring[1000]")
    (ring, frames) = series_of(summarise(results.read(write_lines(tmp_path / "r.jsonl", lines))))
    assert (ring.id, ring.axis, ring.unit) == ("ring.cyclic", "greenlets", "ns per switch")
    fast, greenlet = ring.curves
    assert list(greenlet.cells) == [10, 1000, 1_000_000] and list(fast.cells) == [10, 1_000_000]
    assert greenlet.fit and greenlet.fit.words == "linear"
    assert fast.fit and fast.fit.words == "flat" and fast.fit.low is None
    assert greenlet.last and greenlet.last.exponent == pytest.approx(1.0) and fast.last is None
    assert greenlet.growth == pytest.approx(1e5) and fast.growth == pytest.approx(1.0, rel=0.05)
    assert frames.title == "memory: frames"
