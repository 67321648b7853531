"""Progress on the terminal: where a run is and how long it still takes."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from greenlet_bench.driver import Step

LOG_EVERY_SECONDS = 10
"""How often a line is printed where the output is a file and not a terminal."""


def duration(seconds: float) -> str:
    """`85` as `1 min 25 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """Called before each of the steps, to show which it is and the time left.

    A batch is assumed to take as long as it did before; one that has not run yet, as long as the
    average of the others.
    """

    def __init__(self, steps: Sequence[Step], stream: TextIO = sys.stderr) -> None:
        self._steps = steps
        self._stream = stream
        self._live = stream.isatty()
        self._shown = float("-inf")
        self._started = 0.0
        self._seconds: dict[tuple[str, str], float] = {}

    def _left(self, number: int) -> float:
        """Seconds that the steps from `number` on will take."""
        average = sum(self._seconds.values()) / len(self._seconds)
        return sum(self._seconds.get(_kind(step), average) for step in self._steps[number:])

    def __call__(self, step: Step, number: int, total: int) -> None:
        now = time.monotonic()
        left = ""
        if number:
            self._seconds[_kind(self._steps[number - 1])] = now - self._started
            left = f", about {duration(self._left(number))} left"
        self._started = now
        line = f"[{number + 1}/{total}] {step.batch.name}: {step.target.label}{left}"
        if self._live:
            # What is longer than a line would stay behind when the next is written.
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{line[:width]}")
        elif now - self._shown >= LOG_EVERY_SECONDS:
            self._shown = now
            self._stream.write(line + "\n")
        self._stream.flush()

    def done(self) -> None:
        """Clear the line."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _kind(step: Step) -> tuple[str, str]:
    """Steps of one kind take about the same time."""
    return step.batch.name, step.target.label
