"""The soak's judge (impl/tests/stress/soak.py) tells what grows from what only moves."""

from __future__ import annotations

from typing import Any

import pytest
from support import load_tool

soak = load_tool("tests/stress/soak.py")

pytestmark = pytest.mark.around_core

SAMPLES = 30
HELD = soak.Sample(resident_kib=17_000, mappings=90, blocks=41_000, objects=9_000, mains=1, lanes=0)


def samples(name: str, values: list[int]) -> list[Any]:
    return [HELD._replace(**{name: getattr(HELD, name) + each}) for each in values]


@pytest.mark.parametrize("name", soak.Sample._fields)
def test_what_grows_is_named(name: str) -> None:
    """By little more than the slack in the last third of the time: of a soak of hours, too."""
    step = (getattr(soak.SLACK, name) + 1) / (SAMPLES / 3)
    values = [int(step * number) for number in range(SAMPLES + 1)][1:]
    assert soak.judge(samples(name, values)) == [name]


@pytest.mark.parametrize("name", soak.Sample._fields)
def test_what_grew_before_and_what_moves_is_flat(name: str) -> None:
    slack: int = getattr(soak.SLACK, name)
    values = [100_000 - 10_000 * number for number in range(SAMPLES // 3)]  # while it warms up
    values += [slack * (number % 2) for number in range(SAMPLES - len(values))]
    assert soak.judge(samples(name, values)) == []
