"""What the command adds to pytest: Ctrl-C ends it at once, and the command says so in one line.

So do SIGTERM and SIGHUP.

Plain pytest does not load this plugin, and reports an interruption in its own way.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from greenlet_conformance import INTERRUPTED, signals


def pytest_configure() -> None:
    """Lets the signals that end the command end its pytest in the same way."""
    signals.as_ctrl_c()


@pytest.hookimpl(wrapper=True)  # the only way to come before pytest shows captured output
def pytest_keyboard_interrupt() -> Generator[None, None, None]:
    """Leaves without pytest's summary: the results of an interrupted run are thrown away."""
    os._exit(INTERRUPTED)
    yield
