"""The statistics: ratios of paired measurements and how sure one can be of them.

Everything works on ratios `baseline / implementation`, one for each pair of processes that ran one
after the other, so that whatever slows the machine for a while slows both and cancels. Ratios are
averaged as logarithms (a geometric mean), since 2x and 0.5x must come out at 1x. The values of two
runs are not paired: there, each run is resampled by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles
from typing import Any

CONFIDENCE = 0.95
RESAMPLES = 4000
MIN_PAIRS = 6
"""Fewer pairs have no interval: five can all fall on the same side of the truth with a chance of
1/16, which is more than the 5% that a 95% interval may be wrong."""


RESOLUTION = 4
"""Digits after the point to which a ratio is told from 1: a difference of less than 0.00005 is
far below what any machine's noise lets one measure."""


def is_one(value: float) -> bool:
    """Whether a ratio is 1, as far as ratios are told apart."""
    return round(value, RESOLUTION) == 1


@dataclass(frozen=True)
class Ratio:
    """A ratio with its bootstrap interval; above 1 the implementation beats the baseline."""

    value: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def significant(self) -> bool:
        """Whether the interval is known and leaves out 1. An end that `is_one` includes it."""
        if self.low is None or self.high is None or is_one(self.low) or is_one(self.high):
            return False
        return not self.low <= 1 <= self.high


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive numbers. Raises ValueError if empty or not positive."""
    if not values or any(value <= 0 for value in values):
        raise ValueError("a geometric mean needs positive numbers, and at least one")
    return math.exp(fmean(math.log(value) for value in values))


def _interval(
    samples: Sequence[Sequence[float]], statistic: Callable[..., object], seed: int
) -> tuple[float, float] | None:
    """The 95% interval of a statistic of logarithms; None if a sample is below `MIN_PAIRS`.

    It is the *expanded percentile* one (Hesterberg, "What Teachers Should Know About the
    Bootstrap", 2015): for few values a percentile interval is too narrow, and so is a BCa one,
    which moreover has no answer where all values agree. So the percentiles are moved out to where
    Student's t would have them. The same values always give the same interval.
    """
    count = min(len(sample) for sample in samples)
    if count < MIN_PAIRS:
        return None
    import numpy  # these two take a second to import, which most commands need not wait for
    from scipy.stats import bootstrap as resample
    from scipy.stats import norm, t

    reach = math.sqrt(count / (count - 1)) * t.ppf((1 + CONFIDENCE) / 2, count - 1)
    found = resample(
        [numpy.log(sample) for sample in samples],
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=1 - 2 * norm.sf(reach),
        method="percentile",
        vectorized=True,
        rng=numpy.random.default_rng(seed),
    ).confidence_interval
    return math.exp(found.low), math.exp(found.high)


def _mean(logs: Any, axis: int = -1) -> object:
    return logs.mean(axis=axis)


def _difference(first: Any, second: Any, axis: int = -1) -> object:
    return first.mean(axis=axis) - second.mean(axis=axis)


def bootstrap(ratios: Sequence[float], *, seed: int = 0) -> Ratio:
    """Geometric mean of paired ratios with its 95% bootstrap interval.

    Below `MIN_PAIRS` pairs there is no interval. Raises ValueError on bad ratios.
    """
    value = geometric_mean(ratios)
    low, high = _interval([ratios], _mean, seed) or (None, None)
    return Ratio(value, low, high, len(ratios))


def compare(old: Sequence[float], new: Sequence[float], *, seed: int = 0) -> Ratio:
    """Geometric mean of `old` / that of `new`, of values that are not paired; above 1 new is less.

    Each side is resampled by itself. Raises ValueError on bad values.
    """
    value = geometric_mean(old) / geometric_mean(new)
    low, high = _interval([old, new], _difference, seed) or (None, None)
    return Ratio(value, low, high, min(len(old), len(new)))


def outliers(values: Sequence[float]) -> list[int]:
    """Indexes of the values beyond Tukey's fences (1.5 quartile ranges). They stay in use."""
    if len(values) < 4:
        return []
    first, _, third = quantiles(values, n=4, method="inclusive")
    reach = 1.5 * (third - first)
    return [i for i, value in enumerate(values) if not first - reach <= value <= third + reach]
