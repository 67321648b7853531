"""How one benchmark is timed, inside one process.

The measured code does not run in the process's main greenlet. That one carries pytest's own deep
stack, and leaving a deep stack is exactly what some implementations pay for. Instead, each
workload runs on a *stage*: a greenlet with nothing on its stack but the workload.

    main greenlet (pytest)                stage
    ----------------------                -----
    Stage(...)                     ->     workload = prepare()
                                   <-     park
    timed: resume                  ->     body()            about a thousand operations
    timed: ends                    <-     park
    resume                         ->     check(result)     outside the timed part
                                   <-     park
    close                          ->     kill the workload's greenlets, return

So the timed part has two switches more than the thousand operations, and the workload is built
once, not once a round. `check` asserts that the work was really done: an implementation cannot
win by doing nothing. Loops count themselves at no cost: `repeat(None, n)` is the cheapest loop
that Python has, and `operator.length_hint` tells how many turns are left in it.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import length_hint
from typing import Any, Protocol

LOOPS = 1000
"""Operations in one timed round. A timer call is then 1/1000 of what is measured."""

DROPPED_ROUNDS = 2
"""The first rounds of each benchmark in each process: warm-up, recorded but not used."""

MIN_ROUNDS = 5
MAX_ROUNDS = 100


class Implementation(Protocol):
    """What the benchmarks use of a module that implements greenlets."""

    greenlet: Any
    getcurrent: Callable[[], Any]
    GreenletExit: type[BaseException]
    __name__: str


class WorkloadError(AssertionError):
    """The implementation did not do the work that was timed."""


@dataclass
class Workload:
    """What a benchmark's `prepare` returns: the timed body and what belongs to it."""

    body: Callable[[], object]
    """The timed part."""
    check: Callable[[Any], None]
    """Gets the body's result after each round; raises AssertionError if the work was not done."""
    greenlets: Sequence[Any] = ()
    """Suspended greenlets, killed and verified dead when the benchmark ends."""
    close: Callable[[], None] | None = None
    """Anything else to end, such as a thread."""


def endless() -> repeat[Any]:
    """A loop that never ends and that knows how many turns it has made; see `turns`."""
    return repeat(None, sys.maxsize)


def turns(loop: repeat[Any]) -> int:
    """How many turns an `endless` loop has made."""
    return sys.maxsize - length_hint(loop)


def advances(loop: repeat[Any], by: int) -> Callable[[object], None]:
    """A check that an `endless` loop makes exactly `by` turns a round."""
    last = turns(loop)

    def check(_result: object) -> None:
        nonlocal last
        now = turns(loop)
        if now - last != by:
            raise WorkloadError(f"{now - last} operations were done in a round, not {by}")
        last = now

    return check


class Stage:
    """A workload in a greenlet of its own, parked between rounds."""

    def __init__(self, implementation: Implementation, prepare: Callable[[], Workload]) -> None:
        self._implementation = implementation
        self._main = implementation.getcurrent()
        self._steps = 0
        self._closing = False
        self._result: object = None
        greenlet = implementation.greenlet(self._run)
        self.resume: Callable[..., object] = greenlet.switch
        self._greenlet = greenlet
        greenlet.switch(prepare)
        self._expect(1, "was not started")

    def _run(self, prepare: Callable[[], Workload]) -> None:
        park = self._main.switch
        workload = prepare()
        body = workload.body
        while True:
            self._steps += 1
            park()
            if self._closing:
                break
            self._result = body()
            self._steps += 1
            park()
            workload.check(self._result)
            self._result = None  # what a round made is freed outside the timed part
        kill(self._implementation, workload.greenlets)
        if workload.close is not None:
            workload.close()

    def _expect(self, steps: int, what: str) -> None:
        if self._steps != steps:
            raise WorkloadError(f"the greenlet that carries the workload {what}")

    def check(self) -> None:
        """Let the stage check the round that was just timed. Raises AssertionError."""
        steps = self._steps
        if steps % 2:
            raise WorkloadError("the greenlet that carries the workload was not resumed")
        self.resume()
        self._expect(steps + 1, "was not resumed")

    def close(self) -> None:
        """Kill the workload's greenlets and end the stage. Raises WorkloadError if one lives."""
        self._closing = True
        self.resume()
        if not self._greenlet.dead:
            raise WorkloadError("the greenlet that carries the workload did not end")


class Floor:
    """The same steps for a workload that uses no greenlet."""

    def __init__(self, prepare: Callable[[], Workload]) -> None:
        self._workload = prepare()
        self._result: object = None

    def resume(self) -> None:
        self._result = self._workload.body()

    def check(self) -> None:
        self._workload.check(self._result)

    def close(self) -> None:
        if self._workload.close is not None:
            self._workload.close()


def kill(implementation: Implementation, greenlets: Sequence[Any]) -> None:
    """End suspended greenlets whose parent is the current one. Raises WorkloadError if one lives.

    They refer to one another from their stacks, where the collector does not look: dropping them
    would leave them to disturb the next benchmark.
    """
    for greenlet in greenlets:
        greenlet.throw(implementation.GreenletExit)
        if not greenlet.dead:
            raise WorkloadError("a greenlet survived GreenletExit")


@dataclass
class Timing:
    """The rounds of one benchmark in one process, in nanoseconds per operation."""

    values: list[float]
    dropped: list[float]


def time_rounds(
    pedantic: Callable[..., Any],
    stage: Stage | Floor,
    operations: int,
    seconds: float,
) -> Timing:
    """Time rounds of `operations` each for about `seconds`, with the collector off.

    `pedantic` is that of pytest-benchmark's fixture; it must return the durations in seconds.
    """
    gc.collect()
    gc.disable()
    try:
        dropped = []
        for _ in range(DROPPED_ROUNDS):
            start = time.perf_counter()
            stage.resume()
            dropped.append(time.perf_counter() - start)
            stage.check()
        wanted = int(seconds / max(dropped[-1], 1e-9))
        rounds = min(max(wanted, MIN_ROUNDS), MAX_ROUNDS)
        durations = pedantic(stage.resume, rounds=rounds, iterations=1, teardown=stage.check)
    finally:
        gc.enable()
    scale = 1e9 / operations
    return Timing([d * scale for d in durations], [d * scale for d in dropped])


PAGE = 4096
"""What memory is counted in."""


def _kibibytes(path: str, name: str) -> int:
    """A field of a file of /proc, in bytes. Raises NotImplementedError if there is none."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    raise NotImplementedError(f"memory is read from {path}; run it on Linux")


def resident_bytes() -> int:
    """Bytes of memory that the process occupies: resident pages and the page tables for them.

    Linux only, see proc(5). The pages are counted one by one (`Rss` of smaps_rollup): `VmRSS` lags
    by some dozen pages a CPU, as much as a hundred greenlets take. Raises NotImplementedError.
    """
    return _kibibytes("/proc/self/smaps_rollup", "Rss") + _kibibytes("/proc/self/status", "VmPTE")


def available_bytes() -> int:
    """Bytes that the machine can give without swapping. Raises NotImplementedError."""
    return _kibibytes("/proc/meminfo", "MemAvailable")
