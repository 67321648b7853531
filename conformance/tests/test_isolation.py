"""A crash, a hang and an early exit cost one test; the rest runs."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import UPSTREAM, Ran, module

from greenlet_conformance import isolation, plugin, signals

CLAUSES = ["--clause=throw.instance", "--clause=throw.class", "--clause=order.example"]


@pytest.mark.parametrize(
    ("module", "outcome", "says"),
    [
        ("crashing", "CRASH", "SIGSEGV"),
        ("leaving", "CRASH", "exited with 0"),
        ("hanging", "TIMEOUT", "no result after 1 seconds"),
    ],
)
def test_one_test_dies(run: Callable[..., Ran], module: str, outcome: str, says: str) -> None:
    """The tests that die have that outcome, with a message; the others pass."""
    ran = run("--impl", module, "--timeout", "1", *CLAUSES)
    assert ran.outcomes == {
        "test_example": "PASS",
        "test_instance": outcome,
        "test_class": outcome,
    }
    messages = [str(r["message"]) for r in ran.records if r.get("outcome") == outcome]
    assert all(says in message for message in messages)
    assert all("last words" in message for message in messages)
    if module != "leaving":
        assert all(f"{module}.py" in message for message in messages), "no traceback"
    assert ran.records[-1]["counts"] == {"PASS": 1, outcome: 2}
    assert ran.code == 1
    assert f"1 PASS, 2 {outcome}" in ran.out
    assert "2 failed, 1 passed" in ran.out


def test_result_comes_back() -> None:
    """What the work answers is what ``run`` answers, also when it is long."""
    assert isolation.run(lambda: ["x" * 500_000, {"a": None}], 10) == ["x" * 500_000, {"a": None}]


def test_exception_is_a_crash() -> None:
    """Work that raises has no result; the traceback is in the message."""
    died = isolation.run(lambda: 1 // 0, 10)
    assert isinstance(died, isolation.Died)
    assert died.kind == "CRASH"
    assert "ZeroDivisionError" in died.message


def test_a_full_system_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, refused = os.fork, [BlockingIOError(), BlockingIOError()]

    def now_and_then() -> int:
        if refused:
            raise refused.pop()
        return fork()

    monkeypatch.setattr(os, "fork", now_and_then)
    assert isolation.run(lambda: "done", 10) == "done"
    assert not refused


def test_threads_do_not_hold_it_up() -> None:
    """A thread that never ends does not keep the child alive."""
    import threading

    def work() -> str:
        threading.Thread(target=threading.Event().wait).start()
        return "done"

    began = time.monotonic()
    assert isolation.run(work, 30) == "done"
    assert time.monotonic() - began < 10


def test_garbage_is_exercised() -> None:
    """What the work leaves to the collector is collected before the result counts."""

    class Lethal:
        def __del__(self) -> None:
            import os

            os.abort()

    def work() -> str:
        first: Any = Lethal()
        first.me = first
        return "done"

    died = isolation.run(work, 10)
    assert isinstance(died, isolation.Died)
    assert "SIGABRT" in died.message


def test_signals_are_as_usual() -> None:
    """What ends the command like Ctrl-C ends a test as it ends any process."""

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    with signals.raised():
        died = isolation.run(work, 30)
    assert isinstance(died, isolation.Died)
    assert "SIGTERM" in died.message


def test_hang_that_dies_otherwise() -> None:
    """A hang is a TIMEOUT, also if the process does not survive being asked where it is."""

    def work() -> None:
        signal.signal(signal.SIGABRT, lambda *_: ctypes.string_at(0))
        time.sleep(60)

    died = isolation.run(work, 0.5)
    assert isinstance(died, isolation.Died)
    assert died.kind == "TIMEOUT"


@pytest.mark.parametrize("escape", ["returns", "raises"])
def test_forked_process_does_not_answer(escape: str) -> None:
    """A process that a test forked and that leaves it, first or last, has no say in its result."""

    def work() -> int:
        me = os.getpid()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            if os.fork():
                return me
            time.sleep(0.1)
        elif escape == "raises":
            raise RuntimeError("of no concern")
        return -1

    answer = isolation.run(work, 30)
    assert isinstance(answer, int)
    assert answer > 0


def test_fork_at_import(run: Callable[..., Ran], tmp_path: Path) -> None:
    """An implementation that forks when it is imported has one result for each test."""
    environment = module(tmp_path / "made", f"import os\n{UPSTREAM}os.fork()\n")
    ran = run("--impl=made_up", "--clause=order.example", **environment)
    assert (ran.code, ran.outcomes) == (0, {"test_example": "PASS"})


def test_slow_suite_is_told() -> None:
    """A suite that takes too long says so, and what took the time; else it says nothing."""
    share = isolation.SUITE_SECONDS / 4
    quick = {"a": share, "b": 2 * share, "c": share / 2, "d": share / 4}
    assert plugin.slowness(quick) == ""
    said = plugin.slowness({**quick, "e": 1.5 * share})
    assert f"took {5.25 * share:.0f} seconds" in said
    assert said.index("b (") < said.index("e (") < said.index("a (")
    assert "c (" not in said
