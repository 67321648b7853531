"""The specification in executable form keeps what it says."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

from running import Ran, selecting

from greenlet_conformance import reference, spec

#: Ten and five thousand greenlets: as many threads, half of the time. The matrix has them.
LARGE = {"life.many", "life.kill.chain"}


def test_reference_keeps_the_specification(run: Callable[..., Ran]) -> None:
    """It passes every clause but the large, and those for which its expectations give a reason."""
    selected = selecting(spec.load().clauses.keys() - LARGE)
    ran = run("--impl", "greenlet_conformance.reference", "--timeout", "60", *selected)
    assert ran.code == 0, ran.out
    assert set(ran.outcomes.values()) == {"PASS", "XFAIL", "UNSUPPORTED"}
    outcomes = list(ran.outcomes.values())
    assert outcomes.count("PASS") > 5 * (len(outcomes) - outcomes.count("PASS"))


def test_reference_needs_nothing() -> None:
    """It works where no other greenlet can be imported, and ends the process with the root."""
    program = """
import sys
sys.modules["greenlet"] = None
from greenlet_conformance.reference import getcurrent, greenlet

def run():
    try:
        getcurrent().parent.switch("suspended")
    finally:
        print("the finally block runs")

g = greenlet(run)
print(g.switch())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "suspended\n", "")


def test_reference_ends_its_threads() -> None:
    """The OS thread of a greenlet ends with it, however that ends."""

    def threads() -> int:
        return len(sys._current_frames())

    root = reference.getcurrent()
    before = threads()
    g = [reference.greenlet(root.switch) for _ in range(4)]
    for each in g:
        each.switch()
    assert threads() == before + 4
    g[0].switch("to its end")
    g[1].throw()
    del each
    g.clear()
    until = time.monotonic() + 5
    while threads() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threads() == before
    assert threading.active_count() <= before
