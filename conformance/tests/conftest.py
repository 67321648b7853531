"""Tests of the suite itself: what it refuses, what it survives, what it sees."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Ran, start


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """SIGINT as at a terminal: what a shell runs in the background ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ran]:
    """Runs ``greenlet-conformance run`` with these arguments."""

    def run_it(*arguments: str, **environment: str) -> Ran:
        output = tmp_path / "results.jsonl"
        command = [sys.executable, "-m", "greenlet_conformance", "run", "--output", str(output)]
        return start([*command, *arguments], tmp_path, output, **environment)

    return run_it


@pytest.fixture
def plain_pytest(tmp_path: Path) -> Callable[..., Ran]:
    """Runs plain ``pytest`` with these arguments, in an empty folder."""

    def run_it(*arguments: str, **environment: str) -> Ran:
        output = tmp_path / "results.jsonl"
        return start([sys.executable, "-m", "pytest", *arguments], tmp_path, output, **environment)

    return run_it
