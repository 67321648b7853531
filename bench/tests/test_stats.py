"""The statistics, on inputs whose answers are known."""

from __future__ import annotations

import math
import random

import pytest

from greenlet_bench.stats import MIN_PAIRS, bootstrap, compare, geometric_mean, outliers


def test_geometric_mean_of_known_numbers() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert geometric_mean([0.5, 2]) == pytest.approx(1)
    assert geometric_mean([3]) == pytest.approx(3)


@pytest.mark.parametrize("values", [[], [1, 0], [1, -2]])
def test_geometric_mean_refuses(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        geometric_mean(values)


def test_a_clear_ratio_is_significant() -> None:
    ratio = bootstrap([2.0, 2.1, 1.9, 2.0, 2.05, 1.95])
    assert ratio.value == pytest.approx(2, rel=0.01)
    assert ratio.low is not None and ratio.high is not None
    assert 1.9 <= ratio.low < ratio.value < ratio.high <= 2.1
    assert ratio.significant


def test_a_ratio_around_one_is_not_significant() -> None:
    ratio = bootstrap([0.98, 1.03, 1.01, 0.97, 1.02, 0.99])
    assert ratio.low is not None and ratio.high is not None
    assert ratio.low < 1 < ratio.high
    assert not ratio.significant


def test_inverting_the_ratios_inverts_the_result() -> None:
    ratios = [2.0, 2.2, 1.8, 2.4, 2.1, 1.9]
    there, back = bootstrap(ratios), bootstrap([1 / ratio for ratio in ratios])
    assert there.low is not None and back.high is not None
    assert there.value == pytest.approx(1 / back.value)
    assert there.low == pytest.approx(1 / back.high, rel=0.02)


def test_equal_ratios_have_an_empty_interval() -> None:
    ratio = bootstrap([4.0] * MIN_PAIRS)
    assert ratio.low == pytest.approx(4)
    assert ratio.high == pytest.approx(4)


def test_too_few_pairs_have_no_interval() -> None:
    ratio = bootstrap([9.0] * (MIN_PAIRS - 1))
    assert ratio.value == pytest.approx(9)
    assert (ratio.low, ratio.high) == (None, None)
    assert not ratio.significant


def test_the_same_ratios_give_the_same_interval() -> None:
    ratios = [1.1, 1.3, 1.2, 1.25, 1.15, 1.18]
    assert bootstrap(ratios) == bootstrap(ratios)


def test_runs_are_compared_without_pairs() -> None:
    old = [100.0, 101, 99, 100, 102, 98]
    faster = compare(old, [50.0, 51, 49.5, 50, 50.5, 49])
    assert faster.value == pytest.approx(2, rel=0.01) and faster.significant
    assert faster.low is not None and faster.high is not None
    assert 1.9 < faster.low < 2 < faster.high < 2.1
    assert not compare(old, sorted(old)).significant, "their order means nothing"
    assert compare(old, [50.0]).low is None, "the smaller run decides whether there is an interval"


@pytest.mark.parametrize("sizes", [(6, 6), (6, 16)])
def test_the_interval_between_runs_holds_the_truth_too(sizes: tuple[int, int]) -> None:
    source = random.Random(1)
    trials, held = 150, 0
    for trial in range(trials):
        old, new = ([math.exp(source.gauss(0, 0.1)) for _ in range(size)] for size in sizes)
        ratio = compare(old, new, seed=trial)
        assert ratio.low is not None and ratio.high is not None
        held += ratio.low <= 1 <= ratio.high
    assert 0.89 <= held / trials <= 1


@pytest.mark.parametrize("pairs", [6, 10])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(pairs: int) -> None:
    source = random.Random(pairs)
    trials, held = 150, 0
    for trial in range(trials):
        ratios = [math.exp(source.gauss(math.log(3), 0.1)) for _ in range(pairs)]
        ratio = bootstrap(ratios, seed=trial)
        assert ratio.low is not None and ratio.high is not None
        held += ratio.low <= 3 <= ratio.high
    assert 0.87 <= held / trials <= 0.995


def test_outliers_are_found_by_index() -> None:
    assert outliers([10, 10.1, 10.2, 9.9, 10.05, 30]) == [5]
    assert outliers([10, 10.1, 10.2, 9.9]) == []
    assert outliers([1, 100, 1]) == []  # too few to tell
