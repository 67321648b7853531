"""Progress on the terminal: where a run is and how long it still takes."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from greenlet_bench.driver import Step

LOG_EVERY_SECONDS = 10
"""How often a line is printed where the output is a file and not a terminal."""


def duration(seconds: float) -> str:
    """`85` as `1 min 25 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """Called before each process. The time left assumes that a suite takes as long as before."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._started = time.monotonic()
        self._shown = float("-inf")

    def __call__(self, step: Step, number: int, total: int) -> None:
        now = time.monotonic()
        left = ""
        if number:
            seconds = (now - self._started) / number * (total - number)
            left = f", about {duration(seconds)} left"
        line = f"[{number + 1}/{total}] {step.suite}: {step.target.label}{left}"
        if self._live:
            self._stream.write(f"\r\x1b[K{line}")
        elif now - self._shown >= LOG_EVERY_SECONDS:
            self._shown = now
            self._stream.write(line + "\n")
        self._stream.flush()

    def done(self) -> None:
        """Clear the line."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
