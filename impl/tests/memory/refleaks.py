"""Does anything stay behind? Repeats each test of the conformance suite, counts, and compares.

    python impl/tests/memory/refleaks.py
    python impl/tests/memory/refleaks.py --clause 'dead.*'       options are those of pytest

A debug build of CPython counts references, others count blocks of memory. What a test leaves each
time that it is repeated is no leak by itself: some tests make greenlets that refuse to be killed,
or cycles that no collector can see. So it fails if it leaves more on greenlane than on greenlet:
each time more than it ever does there, unless it is known why. Caches fill up in the first runs,
which do not count. Only tests that come to their end on both are compared: the suite itself is for
the others.

Exit codes: 0 nothing leaks, 1 something does or greenlane has crashed, 2 there was nothing to
compare.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from greenlet_conformance import SUITE, plugin

#: Runs of a test that fill caches, and runs that count.
WARM_UPS, RUNS = 4, 10

#: In the environment of the process that runs the suite: the file to which it adds what is left.
VARIABLE = "REFLEAKS_RESULTS"

#: Tests that leave more on greenlane, each with the reason.
KNOWN: dict[str, str] = {}
if sys.version_info >= (3, 15):
    KNOWN = {
        "test_life_and_death.py::test_gc_cycle": (
            "a greenlet in which a generator runs, in a cycle: greenlet shows the collector more, "
            "and frees it without its `finally` blocks (findings/collected_without_cleanup.py)"
        ),
        "test_c_api.py::test_throw": (
            "one that catches GreenletExit for ever, in a cycle: greenlet frees it all the same"
        ),
        "test_life_and_death.py::test_resurrect_keeps_attributes": (
            "one that has survived GreenletExit, in a cycle: greenlane does not ask it again"
        ),
    }

count: Callable[[], int] = getattr(sys, "gettotalrefcount", sys.getallocatedblocks)


def settled_count() -> int:
    """Count once what threads and collections leave has gone."""
    time.sleep(0.001)
    gc.collect()
    gc.collect()
    return count()


def repeat(
    item: pytest.Item,
    log: bool = True,  # noqa: ARG001 - pytest's
    nextitem: pytest.Item | None = None,
) -> list[pytest.TestReport]:
    """Run a test so often, in place of pytest's function, and write down what it leaves."""
    reports: list[pytest.TestReport] = []
    counts = array("q", [0] * (RUNS + 1))  # holds no objects
    for number in range(WARM_UPS + RUNS + 1):
        item._initrequest()  # type: ignore[attr-defined]
        del reports
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if number >= WARM_UPS:
            counts[number - WARM_UPS] = settled_count()
    growth = [after - before for before, after in pairwise(counts)]
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as results:
        test = f"{item.path.name}::{item.name}"
        results.write(json.dumps({"test": test, "growth": growth}) + "\n")
    return reports


def run(module: str, options: list[str]) -> int:
    """Run the suite on an implementation, in this process."""
    plugin.runtestprotocol = repeat  # type: ignore[attr-defined]
    # Memory of greenlets that is kept for new ones: as much as ever will be.
    greenlet = importlib.import_module(module).greenlet
    del [greenlet() for _ in range(1000)][:]
    arguments = [str(SUITE), f"--rootdir={SUITE}", f"--config-file={SUITE / 'pytest.ini'}"]
    arguments += ["-p", "greenlet_conformance.plugin", "-q", "-p", "no:cacheprovider"]
    arguments += [f"--greenlet-impl={module}", "--conformance-timeout=300", "--tb=no"]
    return int(pytest.main([*arguments, *options]))


def measure(module: str, options: list[str]) -> dict[str, list[int]]:
    """Return what each test leaves on an implementation, by its name."""
    with tempfile.NamedTemporaryFile(mode="r", encoding="utf-8") as results:
        environment = {**os.environ, VARIABLE: results.name, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, __file__, "--run", module, *options]
        done = subprocess.run(command, env=environment, check=False)
        lines = [json.loads(line) for line in results]
    if done.returncode not in (0, 1, 5) and module == "greenlane":
        # What comes after a crash would not be compared, and nobody would see it.
        raise SystemExit(f"refleaks: the suite ended with {done.returncode} on {module}")
    return {line["test"]: line["growth"] for line in lines}


def main(options: list[str]) -> int:
    """Compare greenlane with greenlet; options are handed on to pytest."""
    if options[:1] == ["--run"]:
        return run(options[1], options[2:])
    theirs, ours = (measure(module, options) for module in ("greenlet", "greenlane"))
    compared = theirs.keys() & ours.keys()
    more = [name for name in sorted(compared) if min(ours[name]) > max(0, *theirs[name])]
    worse = [name for name in more if name not in KNOWN]
    for name in more:
        print(f"{name}: leaves {ours[name]}, on greenlet {theirs[name]}")
        if name in KNOWN:
            print(f"  known: {KNOWN[name]}")
    print(
        f"refleaks: {len(compared)} tests compared, {len(worse)} leave more than on greenlet, and "
        f"{len(more) - len(worse)} of which it is known why"
    )
    return 2 if not compared else int(bool(worse))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
