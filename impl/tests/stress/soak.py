"""Switches, births, threads and collections in one process, for long; does its memory stay flat?

    python soak.py [--switches N | --minutes M] [--samples N]

A round is a ring of greenlets that switches many times, births and deaths, greenlets that die by
exceptions, in cycles that are collected, in threads that end with others suspended, and a wave of
more greenlets than may have a stack of their own. What the process holds is measured as often as
`--samples` says; the first third of the samples is for warming up. It is flat if the largest sample
of the last third is not above the largest of the second by more than `SLACK`. Prints the samples and
a verdict; exits with 1 if something grows.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import greenlane
from greenlane import getcurrent, greenlet, lanes

RING = 100
TURNS = 1_000
BIRTHS = 20_000

_count_mains: Callable[[], int] = greenlane._greenlet.get_total_main_greenlets


class Sample(NamedTuple):
    """What the process holds."""

    resident_kib: int
    mappings: int
    blocks: int
    objects: int
    mains: int
    lanes: int


# How much each may grow from the second third of the samples to the last.
SLACK = Sample(resident_kib=512, mappings=8, blocks=200, objects=50, mains=0, lanes=0)


class WantedError(Exception):
    """Ends greenlets."""


def sample() -> Sample:
    for _ in range(2):
        gc.collect()
        getcurrent()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    status = lanes.status()
    return Sample(
        resident_kib=pages * os.sysconf("SC_PAGESIZE") // 1024,
        mappings=len(Path("/proc/self/maps").read_text().splitlines()),
        blocks=sys.getallocatedblocks(),
        objects=len(gc.get_objects()),
        mains=_count_mains(),
        lanes=status.own + status.sharing,
    )


def wait() -> object:
    parent = getcurrent().parent
    assert parent is not None
    return parent.switch()


def suspended() -> greenlet:
    one = greenlet(wait)
    one.switch()
    return one


def ring() -> int:
    """Let control go round; return how many switches that took."""
    root = getcurrent()

    def run(following: list[greenlet]) -> None:
        root.switch()
        switch = following[0].switch
        for _ in range(TURNS):
            switch()
        root.switch()

    following: list[list[greenlet]] = [[] for _ in range(RING)]
    made = [greenlet(run) for _ in range(RING)]
    for number, each in enumerate(made):
        following[number].append(made[(number + 1) % RING])
        each.switch(following[number])
    made[0].switch()
    for each in following:
        each.clear()
    return RING * TURNS


def births() -> int:
    for _ in range(BIRTHS):
        greenlet(int).switch()
    return 2 * BIRTHS


def failures() -> int:
    def fail() -> None:
        suspended()
        raise WantedError

    for _ in range(500):
        for action in (greenlet(fail).switch, suspended().throw):
            try:
                action(WantedError) if action.__name__ == "throw" else action()
            except WantedError:
                continue
            raise AssertionError("nothing was raised")
    return 4 * 1_000


def cycles() -> int:
    for _ in range(500):
        one = suspended()
        one.knot = one  # type: ignore[attr-defined]
    gc.collect()
    return 2 * 500


def in_threads() -> int:
    kept: list[greenlet] = []

    def work() -> None:
        kept.extend(suspended() for _ in range(20))
        kept[-1].switch()
        local = [suspended() for _ in range(20)]
        assert local

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        del kept[::2]
    kept.clear()
    return 10 * 42


def wave() -> int:
    previous = lanes.set_limit(50)
    many = [suspended() for _ in range(500)]
    for each in many:
        each.switch()
    lanes.set_limit(previous)
    return 4 * 500


PARTS = (ring, births, failures, cycles, in_threads, wave)


def judge(samples: list[Sample]) -> list[str]:
    """Say what grows."""
    third = len(samples) // 3
    growing = []
    for name, slack, *values in zip(Sample._fields, SLACK, *samples, strict=True):
        middle, last = max(values[third : 2 * third]), max(values[2 * third :])
        verdict = "flat" if last <= middle + slack else "GROWS"
        print(f"{name}: at most {middle}, then {last}: {verdict}")
        if verdict != "flat":
            growing.append(name)
    return growing


def main() -> int:
    parser = argparse.ArgumentParser(description="Does memory stay flat?")
    parser.add_argument("--switches", type=float, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--samples", type=int, default=30)
    options = parser.parse_args()
    if options.samples < 6:
        parser.error("at least six samples")
    begin = time.monotonic()
    switches = 0
    samples: list[Sample] = []
    print("switches", *Sample._fields, sep="\t")
    while len(samples) < options.samples:
        for part in PARTS:
            switches += part()
        done = (
            switches / options.switches
            if options.switches
            else (time.monotonic() - begin) / (60 * options.minutes)
        )
        if done >= (len(samples) + 1) / options.samples:
            samples.append(sample())
            print(switches, *samples[-1], sep="\t", flush=True)
    growing = judge(samples)
    print(f"soak: {switches} switches, {', '.join(growing) or 'nothing'} grows")
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
