"""Fixtures: the extension modules that tests compile, once a run.

Each fixture is the directory that the compiled module lies in, as a string, so that a test can
hand it to its subprocess.
"""

from __future__ import annotations

import signal
from importlib.metadata import distribution
from pathlib import Path

import pytest
from support import IMPL, TESTS, compile_extension

# Where ``greenlet.h`` is: ours, and that of greenlet as its wheel installs it.
HEADERS = {
    "greenlane": IMPL / "include" / "greenlane",
    "greenlet": Path(str(distribution("greenlet").locate_file("greenlet"))),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="all cases of test_nomemory.py")


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Let programs start with SIGINT as at a terminal: what a shell runs behind it ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def build(source: str, header: str, factory: pytest.TempPathFactory) -> str:
    """Compile extensions/``source`` and return the directory of the result."""
    directory = factory.mktemp(f"{Path(source).stem}_{header}")
    compile_extension(TESTS / "extensions" / source, directory, HEADERS[header])
    return str(directory)


@pytest.fixture(scope="session", params=HEADERS)
def capi_probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build extensions/capi_probe.c."""
    return build("capi_probe.c", request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=HEADERS)
def cpp_probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build extensions/cpp_probe.cpp."""
    return build("cpp_probe.cpp", request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def stack_probe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build extensions/stack_probe.c, which does not use greenlets."""
    return build("stack_probe.c", "greenlane", tmp_path_factory)


@pytest.fixture(scope="session")
def thread_probe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build extensions/thread_probe.c, which does not use greenlets."""
    return build("thread_probe.c", "greenlane", tmp_path_factory)
