"""The statistics: ratios of paired measurements and how sure one can be of them.

Everything works on ratios `baseline / implementation`, one for each pair of processes that ran one
after the other, so that whatever slows the machine for a while slows both and cancels. Ratios are
averaged as logarithms (a geometric mean), since 2x and 0.5x must come out at 1x.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, quantiles

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


def student_t(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution, good to 1% from 4 degrees of freedom on.

    The expansion in powers of 1/freedom of Abramowitz & Stegun, 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """Quantile of sorted values by linear interpolation."""
    position = fraction * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def bootstrap(ratios: Sequence[float], *, seed: int = 0) -> Ratio:
    """Geometric mean of paired ratios with its 95% bootstrap interval.

    The interval is the *expanded percentile* one (Hesterberg, "What Teachers Should Know About
    the Bootstrap", 2015): the plain percentile interval is too narrow for few pairs, so the
    percentiles are moved out to where Student's t would have them. Below `MIN_PAIRS` pairs there is
    no interval. The same ratios always give the same interval. Raises ValueError on bad ratios.
    """
    value = geometric_mean(ratios)
    count = len(ratios)
    if count < MIN_PAIRS:
        return Ratio(value, None, None, count)
    logs = [math.log(ratio) for ratio in ratios]
    choices = random.Random(seed).choices
    means = sorted(fmean(choices(logs, k=count)) for _ in range(RESAMPLES))
    reach = math.sqrt(count / (count - 1)) * student_t((1 + CONFIDENCE) / 2, count - 1)
    tail = NormalDist().cdf(-reach)
    low, high = _quantile(means, tail), _quantile(means, 1 - tail)
    return Ratio(value, math.exp(low), math.exp(high), count)


def outliers(values: Sequence[float]) -> list[int]:
    """Indexes of the values beyond Tukey's fences (1.5 quartile ranges). They stay in use."""
    if len(values) < 4:
        return []
    first, _, third = quantiles(values, n=4, method="inclusive")
    reach = 1.5 * (third - first)
    return [i for i, value in enumerate(values) if not first - reach <= value <= third + reach]
