"""How processes, interpreters and threads begin and end, where greenlets are suspended."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import greenlane
import pytest
from greenlane import GreenletExit, error, getcurrent, greenlet
from support import TESTS, isolated, mapping_count, parent, resident_kib, run_script, suspended

count_mains: Callable[[], int] = greenlane._greenlet.get_total_main_greenlets


# ---- An interpreter in a program -----------------------------------------------------------------


def find_library() -> Path:
    """Return the shared library of this Python; skip the test if there is none."""
    name = sysconfig.get_config_var("LDLIBRARY")
    base = Path(sys.base_prefix)
    places = [
        sysconfig.get_config_var("LIBDIR"),
        base / "lib",
        base / "lib" / (sysconfig.get_config_var("MULTIARCH") or ""),
    ]
    for place in places:
        library = Path(place or "") / (name or "")
        if library.is_file() and library.suffix == ".so":
            return library
    pytest.skip(f"this Python has no shared library {name}")


@pytest.fixture(scope="session")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build extensions/embedding.c, a program."""
    library = find_library()
    # An interpreter may come with a C library of its own.
    loaded = [Path(each) for each in Path("/proc/self/maps").read_text().split() if "/" in each]
    linker = next(each for each in loaded if each.name.startswith("ld"))
    libc = next(each for each in loaded if each.name.startswith("libc"))
    program = tmp_path_factory.mktemp("embedding") / "embedding"
    subprocess.run(
        [
            *shlex.split(sysconfig.get_config_var("CC")),
            *("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
            *("-isystem", sysconfig.get_path("include")),
            str(TESTS / "extensions" / "embedding.c"),
            *(str(library), "-Wl,--allow-shlib-undefined", "-Wl,--disable-new-dtags"),
            *(f"-Wl,-rpath,{library.parent}:{libc.parent}", f"-Wl,--dynamic-linker={linker}"),
            *("-o", str(program)),
        ],
        check=True,
    )
    return program


USE = """
import gc, sys, threading
from greenlane import GreenletExit, error, getcurrent, greenlet

def wait():
    try:
        getcurrent().parent.switch("waits")
    finally:
        ended.append(1)

ended = []
kept = [greenlet(wait) for _ in range(20)]
assert [each.switch() for each in kept] == ["waits"] * 20
dropped = greenlet(wait)
dropped.switch()
del dropped
knot = greenlet(wait)
knot.me = knot
knot.switch()
del knot
gc.collect()
assert ended == [1, 1], ended
thread = threading.Thread(target=lambda: kept.append(greenlet(wait)) or kept[-1].switch())
thread.start()
thread.join()
try:
    kept[-1].switch()
except error:
    pass
else:
    raise AssertionError("another thread's greenlet was run")
try:
    greenlet(lambda: 1 // 0).switch()
except ZeroDivisionError:
    pass
try:
    greenlet(wait).throw(GreenletExit)
finally:
    sys.kept = kept
print("used", flush=True)
"""


def embed(embedding: Path, times: int, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [embedding, sys.executable, str(times), code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )


def test_embedded(embedding: Path) -> None:
    done = embed(embedding, 1, USE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "used\n", "")


def test_started_again_after_its_end(embedding: Path) -> None:
    done = embed(embedding, 5, USE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "used\n" * 5, "")
