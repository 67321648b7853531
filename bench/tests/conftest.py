"""Fixtures of the tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """SIGINT as at a terminal: what a shell runs in the background ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that a test starts import the broken implementations in `fakes/`."""
    paths = [str(FAKES), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test starts is no worker of xdist, in which pytest-benchmark would not measure."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
