"""memory/watch.py refuses to run what it would not watch: it would pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from greenlane import _greenlet
from support import TESTS

WATCH = TESTS.parent / "memory" / "watch.py"


def watch(*arguments: str, path: str | None = None) -> str:
    """Return what it complains of."""
    environment = dict(os.environ) if path is None else {**os.environ, "PATH": path}
    done = subprocess.run(
        [sys.executable, WATCH, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_says_what_it_wants() -> None:
    assert "say asan or valgrind" in watch()
    assert "say asan or valgrind" in watch("asan")
    assert "say asan or valgrind" in watch("memcheck", "true")


def test_greenlane_without_address_sanitizer() -> None:
    assert _greenlet.__file__ is not None
    if b"__asan_report_load" in Path(_greenlet.__file__).read_bytes():
        pytest.skip("it is built with AddressSanitizer")
    assert "AddressSanitizer" in watch("asan", "echo", "watched")


def test_no_valgrind(tmp_path: Path) -> None:
    assert "no valgrind on PATH" in watch("valgrind", "echo", "watched", path=str(tmp_path))


def test_greenlane_that_valgrind_knows_nothing_of(tmp_path: Path) -> None:
    valgrind = tmp_path / "valgrind"
    valgrind.write_text("#!/bin/sh\necho watched\n")
    valgrind.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert "-DGL_VALGRIND" in watch("valgrind", "echo", "watched", path=path)
