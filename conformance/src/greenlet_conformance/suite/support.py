"""Small helpers of the suite. Tests should read like the clauses, so there are few."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, NamedTuple, TypeVar

import pytest

T = TypeVar("T")

#: Longer than any step of a test takes, shorter than the time limit of a test. Under an emulator of
#: a CPU the environment must ask for more.
STEP_SECONDS = float(os.environ.get("GREENLET_CONFORMANCE_STEP_SECONDS", "5"))

#: The five forms of arguments and what each is received as.
FORMS: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = [
    ((), {}, ()),
    (("x",), {}, "x"),
    (("x", "y"), {}, ("x", "y")),
    ((), {"k": "v"}, {"k": "v"}),
    (("x",), {"k": "v"}, (("x",), {"k": "v"})),
    (("x", "y"), {"k": "v", "l": "w"}, (("x", "y"), {"k": "v", "l": "w"})),
]


def clause(*ids: str) -> pytest.MarkDecorator:
    """Ties a test to the clauses of the specification that it holds an implementation to."""
    return pytest.mark.clause(*ids)


class Worker:
    """One other thread. What it runs, runs in that thread's root greenlet."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.shutdown(wait=False)

    def __call__(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs the call in the other thread; answers its result or raises its exception."""
        return self._pool.submit(function, *args, **kwargs).result(timeout=STEP_SECONDS)

    def exit(self) -> None:
        """Ends the thread and waits for that. Nothing can run in it afterwards."""
        self._pool.shutdown(wait=True)


class Finished(NamedTuple):
    """How a program ended: its exit code, negative for a signal, and what it printed."""

    code: int
    out: list[str]
    err: str


def run_program(program: str, seconds: float = STEP_SECONDS) -> Finished:
    """Runs a program in a new interpreter that finds the same modules."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    return Finished(done.returncode, done.stdout.splitlines(), done.stderr)


def root_of_current(impl: Any) -> Any:
    """The root of the tree that the caller runs in, which tells one thread from another."""
    g = impl.getcurrent()
    while g.parent is not None:
        g = g.parent
    return g


def raised_by(function: Callable[..., Any], *args: Any, **kwargs: Any) -> BaseException | None:
    """The exception that a call raises, or None: for tests that go on after it."""
    try:
        function(*args, **kwargs)
    except BaseException as error:
        return error
    return None


def eventually(condition: Callable[[], object], *, seconds: float = STEP_SECONDS) -> bool:
    """Whether the condition holds within a step's time, or within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def shape(value: Any) -> Any:
    """A value with the exact types of its containers, so that a list is no tuple."""
    if isinstance(value, (tuple, list)):
        return type(value).__name__, [shape(v) for v in value]
    if isinstance(value, dict):
        return type(value).__name__, {k: shape(v) for k, v in value.items()}
    return value


def states(*greenlets: Any) -> list[str]:
    """What ``bool()`` and ``dead`` say of each greenlet, in one word each."""
    words = {(False, False): "unstarted", (True, False): "active", (False, True): "dead"}
    return [words.get((bool(g), g.dead), f"bool={bool(g)} dead={g.dead}") for g in greenlets]


def functions(error: BaseException) -> list[str]:
    """The suite's functions in the traceback, outermost first; not the implementation's own."""
    here = Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if Path(frame.filename).parent == here]
