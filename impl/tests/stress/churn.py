"""Threads that come, go and meddle with each other's greenlets, at random, for as long as asked.

    python churn.py [--rounds N | --minutes M] [--seed S]

In each round a few threads take random steps: they make greenlets, switch to them, throw into them,
move them below other parents, hand them to other threads, drop what other threads have handed over,
try to run what is not theirs, collect garbage, start threads, and end while greenlets are
suspended. After each round

- nothing ran in another thread than its own: each greenlet's `finally` looks,
- no thread ended in an exception, and none was reported as unraisable,
- no other thread's record is left,
- no greenlet is left but the main one, if the round was a *tidy* one (every other round is), in
  which threads keep to their own greenlets and end them before they end themselves; else none but
  dead ones, which the C stacks of others refer to that were suspended when their threads ended,
- nothing took longer than a minute: else the stacks of all threads are printed, and the process
  ends with a failure.

What threads do depends on when the interpreter switches between them, so a seed makes a round
likely, not certain, to be the same.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import greenlane
from greenlane import GreenletExit, error, getcurrent, greenlet, lanes

HANG_SECONDS = 60
PATIENCE_SECONDS = 10
THREADS = 4
STEPS = 150
# How many greenlets deep one may start another.
DEPTH = 12

# Dead greenlets that a round has left behind for ever.
_abandoned: set[int] = set()

_count_mains: Callable[[], int] = greenlane._greenlet.get_total_main_greenlets


class WantedError(Exception):
    """Is thrown into greenlets."""


@dataclass
class Round:
    """What the threads of a round share."""

    seed: int
    is_tidy: bool
    handed: list[greenlet] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    steps: int = 0

    def note_unraisable(self, args: sys.UnraisableHookArgs) -> None:
        """Complain of an error without a caller, unless it ended a greenlet that was below it."""
        if not isinstance(args.exc_value, WantedError):
            self.complaints.append(f"unraisable: {args.exc_value!r}")


class Worker:
    """One thread's part in a round."""

    def __init__(self, shared: Round, number: int) -> None:
        self.shared = shared
        self.number = number
        self.random = random.Random(f"{shared.seed}/{number}")
        self.own: list[greenlet] = []
        self.steps = STEPS
        self.root = greenlet()
        self.is_working = True
        self.alive = 0
        self.survivors: list[weakref.ref[greenlet]] = []

    def work(self) -> None:
        self.root = getcurrent()
        lanes.set_limit(self.random.choice((0, 1, 2, 8, 4096)))
        ident = threading.get_ident()

        def run(depth: int) -> object:
            self.alive += 1
            try:
                while self.steps > 0 and self.random.random() < 0.9:
                    self.step(depth, run)
                return depth
            except GreenletExit:
                if self.is_working and self.random.random() < 0.2:
                    # Survives for now. Nobody else may know it; its parent is who kills it.
                    self.own.append(getcurrent())
                    self.survivors.append(weakref.ref(getcurrent()))
                    parent = getcurrent().parent
                    assert parent is not None
                    parent.switch("survives")
                raise
            finally:
                self.alive -= 1
                if threading.get_ident() != ident:
                    self.shared.complaints.append("a greenlet ran in a thread that is not its own")

        while self.steps > 0:
            with contextlib.suppress(WantedError):
                self.step(0, run)
        # Most are still suspended, some of them in the hands of others.
        if self.shared.is_tidy:
            self.is_working = False
            while self.own:
                with contextlib.suppress(WantedError, error):
                    self.own.pop().throw()
            # A greenlet that has survived the collector is not shown to it again (ARCHITECTURE.md):
            # one that its own frames refer to would stay.
            for survivor in self.survivors:
                with contextlib.suppress(WantedError, error, AttributeError):
                    survivor().throw()  # type: ignore[union-attr]
            # Those in cycles. While another thread collects, collect() does nothing.
            while self.alive > 0:
                gc.collect()
                getcurrent()
                time.sleep(0)
        elif self.random.random() < 0.5:
            self.own.clear()

    def step(self, depth: int, run: Callable[[int], object]) -> None:
        self.steps -= 1
        self.shared.steps += 1
        choose = self.random.random
        kind = self.random.randrange(100)
        own = self.random.choice(self.own) if self.own else None
        with contextlib.suppress(error, ValueError):
            if kind < 25 and depth < DEPTH:
                child = greenlet(run)
                if choose() < 0.7:
                    self.own.append(child)
                child.switch(depth + 1)
            elif kind < 45 and own is not None:
                own.switch(depth)
            elif kind < 52 and own is not None:
                own.throw(WantedError)
            elif kind < 56 and own is not None:
                own.throw()
            elif kind < 60 and own is not None:
                own.parent = self.random.choice(self.own)
            elif kind < 70 and self.own and not self.shared.is_tidy:
                self.shared.handed.append(self.own.pop(self.random.randrange(len(self.own))))
            elif kind < 80:
                self.drop(self.shared.handed)
            elif kind < 84:
                self.drop(self.own)
            elif kind < 88:
                self.meddle()
            elif kind < 90:
                getcurrent().knot = [getcurrent()]  # type: ignore[attr-defined]
            elif kind < 91:
                gc.collect(self.random.randrange(3))
            elif kind < 93 and len(self.shared.threads) < 3 * THREADS:
                start(self.shared)
            elif kind < 95:
                time.sleep(0)
            else:
                getcurrent()
        if getcurrent() is not self.root and choose() < 0.3:
            self.root.switch(depth)

    def drop(self, greenlets: list[greenlet]) -> None:
        with contextlib.suppress(IndexError):
            del greenlets[self.random.randrange(len(greenlets) or 1)]

    def meddle(self) -> None:
        """Try to run what may be another thread's: `run` would notice if that were not refused."""
        with contextlib.suppress(IndexError):
            other = self.random.choice(self.shared.handed)
            if self.random.random() < 0.5:
                other.switch(0)
            else:
                other.throw(WantedError)


def start(shared: Round) -> None:
    worker = Worker(shared, len(shared.threads))
    thread = threading.Thread(target=worker.work)
    shared.threads.append(thread)
    thread.start()


def play(seed: int) -> int:
    """Play one round and return how many steps were taken. Raises AssertionError."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    chooser = random.Random(seed)
    sys.setswitchinterval(chooser.choice((5e-3, 1e-4, 1e-5, 1e-6)))
    shared = Round(seed, is_tidy=seed % 2 == 0)
    threading.excepthook = lambda args: shared.complaints.append(f"in a thread: {args.exc_value!r}")
    sys.unraisablehook = shared.note_unraisable
    for _ in range(THREADS):
        start(shared)
    while shared.threads:
        if chooser.random() < 0.3:
            shared.handed[:1] = []
        if not shared.threads[0].is_alive():
            shared.threads.pop(0).join()
        else:
            shared.threads[0].join(0.001)
    shared.handed.clear()
    # A thread that has been joined may still be clearing its thread state.
    end = time.monotonic() + PATIENCE_SECONDS
    while (left := leftovers(shared)) and time.monotonic() < end:
        time.sleep(0.001)
    assert shared.complaints == [], shared.complaints
    assert left == [], f"left: {left}"
    faulthandler.cancel_dump_traceback_later()
    return shared.steps


def leftovers(shared: Round) -> list[str]:
    """Collect garbage and say what should not be there."""
    for _ in range(2):
        gc.collect()
    others = [each for each in gc.get_objects() if isinstance(each, greenlet)]
    others.remove(getcurrent())
    left = []
    for each in others:
        if each.dead and not shared.is_tidy:
            _abandoned.add(id(each))
        elif id(each) not in _abandoned:
            left.append(repr(each))
    mains = _count_mains()
    return left if mains == 1 else [*left, f"{mains - 1} main greenlets"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Threads that meddle with greenlets.")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    rounds = steps = 0
    while rounds < options.rounds if options.rounds else time.monotonic() < end:
        seed = options.seed + rounds
        try:
            steps += play(seed)
        except AssertionError as failure:
            print(f"churn: seed {seed}: {failure}", flush=True)
            return 1
        rounds += 1
    print(f"churn: {rounds} rounds, {steps} steps, from seed {options.seed}: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
