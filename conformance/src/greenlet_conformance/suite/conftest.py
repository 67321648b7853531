"""What every test may ask for: the implementation, and a second thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import pytest

from greenlet_conformance.implementation import Implementation
from greenlet_conformance.plugin import FACTS
from greenlet_conformance.suite.support import Finished, Worker, run_program


@pytest.fixture
def impl(pytestconfig: pytest.Config) -> Implementation:
    """The module of the greenlet under test, imported in this test's own process."""
    return Implementation(pytestconfig.stash[FACTS].module)


@pytest.fixture
def program(pytestconfig: pytest.Config) -> Callable[[str], Finished]:
    """Runs a program that knows the implementation as ``impl`` in an interpreter of its own."""
    name = pytestconfig.stash[FACTS].module

    def run(text: str) -> Finished:
        return run_program(f"import importlib\nimpl = importlib.import_module({name!r})\n{text}")

    return run


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A second thread that runs what it is given, one call after the other."""
    with Worker() as thread:
        yield thread
