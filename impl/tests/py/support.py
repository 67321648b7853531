"""What the tests share: running code in a process of its own, extensions, tools, figures.

A test that may crash or hang the interpreter is marked ``@isolated``: it then runs in a subprocess,
where a crash costs that test alone and is reported with the Python stack.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import shlex
import subprocess
import sys
import sysconfig
import textwrap
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import ParamSpec

from greenlane import getcurrent, greenlet

TESTS = Path(__file__).resolve().parent
IMPL = TESTS.parent.parent

P = ParamSpec("P")


def load_tool(path: str) -> ModuleType:
    """Import a program that is no part of a package, by its path below impl/."""
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, IMPL / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def run_script(
    code: str,
    *,
    returncode: int = 0,
    timeout: float = 60,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a subprocess and check how it exits.

    ``returncode`` is the expected one, negative for a signal; ``timeout`` is in seconds;
    ``environment`` is what to add to the environment. Raises
    AssertionError, with the output, if the process exits otherwise or is too slow.
    """
    command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", textwrap.dedent(code)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), **(environment or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout, env=environment
        )
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"still running after {timeout} s\n{late.stderr!r}") from None
    assert done.returncode == returncode, (
        f"exit code {done.returncode}, expected {returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done


def fork_among_threads() -> int:
    """os.fork(), without the warning that it goes badly with threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def isolated(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test function in a subprocess, which must exit with 0 and print no error.

    Arguments are handed over by their repr(): strings and numbers only.
    """
    module = Path(inspect.getfile(test)).stem

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        done = run_script(
            f"import light_pytest, {module}\n"
            f"{module}.{test.__name__}.__wrapped__(*{args!r}, **{kwargs!r})\n"
        )
        assert done.stderr == "", done.stderr

    return run


def compile_extension(source: Path, directory: Path, include: Path) -> Path:
    """Compile a one-file extension in C or C++ into ``directory``.

    ``include`` is the directory that holds ``greenlet.h``. Warnings are errors.
    """
    compiler = "CXX" if source.suffix == ".cpp" else "CC"
    standard = "-std=c++17" if source.suffix == ".cpp" else "-std=gnu11"
    suffix: str = sysconfig.get_config_var("EXT_SUFFIX")
    target = directory / (source.stem + suffix)
    subprocess.run(
        [
            *shlex.split(sysconfig.get_config_var(compiler)),
            *(standard, "-O1", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"),
            f"-I{include}",
            *("-isystem", sysconfig.get_path("include")),
            *(str(source), "-o", str(target)),
        ],
        check=True,
    )
    return target


def parent() -> greenlet:
    """Return the parent of the running greenlet, which must not be a main greenlet."""
    found = getcurrent().parent
    assert found is not None
    return found


def suspended(*, run: Callable[[], object] | None = None) -> greenlet:
    """Return a greenlet that has switched back to its parent from ``run``."""
    child = greenlet(run or (lambda: parent().switch()))
    child.switch()
    assert child
    return child


def resident_kib() -> int:
    """Return the resident memory of this process in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024


def mapping_count() -> int:
    """Return the number of kernel memory mappings of this process."""
    return len(Path("/proc/self/maps").read_text().splitlines())
