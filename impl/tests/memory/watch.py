"""Run a command under a tool that watches memory.

    python impl/tests/memory/watch.py asan COMMAND...
    python impl/tests/memory/watch.py valgrind COMMAND...

``asan``: greenlane must have been built with ``-Db_sanitize=address,undefined``. Not watched:
CPython itself, and what its allocator pools, which is why it gets none; frames of greenlets whose
stack has been moved (GREENLANE_LANES), until they return; leaks, which test_leaks.py and
test_nomemory.py look for. What ``ASAN_OPTIONS`` has is added.

``valgrind``: greenlane must have been built with ``-DGL_VALGRIND``. The command and the processes
that it starts are watched; what it finds makes them exit with 99.

Exits with what the command exits with, 2 if the tool is missing or greenlane is built without it.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

#: The compiler's name for a part of AddressSanitizer that must be loaded first.
RUNTIMES = ("libasan.so", "libubsan.so")

ASAN = {
    # Objects of their own, with something forbidden behind them.
    "PYTHONMALLOC": "malloc",
    # A report is a crash, which no test takes for an exit code.
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "abort_on_error=1:halt_on_error=1:print_stacktrace=1",
}

VALGRIND = [
    *("valgrind", "--quiet", "--trace-children=yes", "--error-exitcode=99"),
    f"--suppressions={Path(__file__).with_name('valgrind.supp')}",
]


#: How requests of valgrind begin on x86-64: `rol` of `rdi` by 3, 13, 61 and 51.
VALGRIND_REQUEST = bytes.fromhex("48c1c703 48c1c70d 48c1c73d 48c1c733")


def fail(message: str) -> int:
    print(f"watch.py: {message}", file=sys.stderr)
    return 2


def runtime(name: str) -> str:
    """Return the path of a shared library of the compiler, or its mere name if it has none."""
    compiler = os.environ.get("CC", "gcc").split()
    return subprocess.run(
        [*compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
    ).stdout.strip()


def has(part: bytes) -> bool:
    """Look into the greenlane of this Python, without importing it."""
    package = importlib.util.find_spec("greenlane")
    places = (package and package.submodule_search_locations) or []
    modules = [each for place in places for each in Path(place).glob("_greenlet.*.so")]
    return bool(modules) and all(part in each.read_bytes() for each in modules)


def is_sanitized() -> bool:
    """Does it call AddressSanitizer?"""
    return has(b"__asan_report_load")


def makes_stacks_known() -> bool:
    """Does it make requests of valgrind? To be seen by what does nothing elsewhere."""
    return platform.machine() != "x86_64" or has(VALGRIND_REQUEST)


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if len(arguments) < 2 or arguments[0] not in ("asan", "valgrind"):
        return fail("say asan or valgrind, and a command")
    tool, command = arguments[0], arguments[1:]
    environment = {**os.environ, "PYTHONMALLOC": "malloc"}
    if tool == "asan":
        libraries = [runtime(name) for name in RUNTIMES]
        if not all(Path(each).is_absolute() for each in libraries):
            return fail("the compiler has no AddressSanitizer")
        if not is_sanitized():
            return fail("greenlane is not built with AddressSanitizer: nothing would be watched")
        environment.update(ASAN, LD_PRELOAD=" ".join(libraries))
        if "ASAN_OPTIONS" in os.environ:
            environment["ASAN_OPTIONS"] += ":" + os.environ["ASAN_OPTIONS"]
    elif shutil.which("valgrind") is None:
        return fail("no valgrind on PATH: `.ci/fetch-valgrind DIR` gets it")
    elif not makes_stacks_known():
        return fail("greenlane is not built with -DGL_VALGRIND: valgrind would not know its stacks")
    else:
        command = [*VALGRIND, *command]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
