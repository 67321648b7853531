"""The null experiment: an implementation measured against itself must come out at 1.00."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from greenlet_bench import results
from greenlet_bench.catalogue import select
from greenlet_bench.driver import GATE, Driver, Target, choose_cpu
from greenlet_bench.stats import Ratio
from greenlet_bench.summary import summarise

ATTEMPTS = 5
"""A 95% interval is wrong one time in twenty, and on a busy machine a ratio may be far off within
a wide one: one miss proves nothing. A method with a bias misses every time."""


def attempt(output: Path) -> Ratio:
    targets = [Target("again", "greenlet"), Target("greenlet", "greenlet")]
    driver = Driver(select(["switch.round_trip"]), targets, replace(GATE, cpu=choose_cpu()))
    assert driver.run(output, "greenlet", lambda step, number, total: None)
    (group,) = summarise(results.read(output))
    return group.rows[0].ratios["again"]


def test_upstream_against_itself_is_one(tmp_path: Path) -> None:
    ratios = []
    for number in range(ATTEMPTS):
        ratio = attempt(tmp_path / f"{number}.jsonl")
        assert ratio.low is not None and ratio.high is not None
        if ratio.low <= 1 <= ratio.high and 0.8 < ratio.value < 1.25:
            return
        ratios.append(ratio)
    raise AssertionError(f"1 is in none of the intervals, or they are wide: {ratios}")
