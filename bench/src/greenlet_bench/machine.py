"""Facts about the machine, the interpreter, the implementations and the commit.

They are for the header of a result: two results can be compared only where these facts agree.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path


def cpu_model() -> str:
    """The CPU's name, from /proc/cpuinfo where there is one."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() in ("model name", "cpu model", "hardware") and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _kernel_setting(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None


def allowed_cpus() -> list[int]:
    """The CPUs that this process may run on; empty where the system does not say."""
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:
        return []


def describe_machine() -> dict[str, object]:
    """CPU, kernel and the settings of it that matter to timings."""
    return {
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "kernel": platform.release(),
        "memory_bytes": _memory_bytes(),
        "governor": _kernel_setting("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "transparent_hugepage": _kernel_setting("/sys/kernel/mm/transparent_hugepage/enabled"),
        "randomize_va_space": _kernel_setting("/proc/sys/kernel/randomize_va_space"),
    }


def describe_python() -> dict[str, object]:
    """The interpreter's version, and how it was built.

    `config_args` is what its `configure` was called with, `cflags` what extensions
    are compiled with, and `cflags_core` what its own files are compiled with besides;
    `lto_pgo` picks out the options that make it faster. `jit` tells whether its JIT is on: None
    where it has none.
    """
    config = sysconfig.get_config_var
    jit = getattr(sys, "_jit", None)  # from 3.14 on
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "cflags": config("CFLAGS") or "",
        "cflags_core": config("CFLAGS_NODIST") or "",
        "config_args": config("CONFIG_ARGS") or "",
        "lto_pgo": [
            option
            for option in ("--with-lto", "--enable-optimizations", "--enable-shared")
            if option in (config("CONFIG_ARGS") or "")
        ],
        "debug": hasattr(sys, "gettotalrefcount"),
        "free_threaded": bool(config("Py_GIL_DISABLED")),
        "jit": bool(jit.is_enabled()) if jit is not None and jit.is_available() else None,
    }


_COMPILER = re.compile(rb"(?:GCC: \(|clang version |(?:[A-Z][a-z]+ )+clang version )[^\0\n]{1,100}")
"""What compilers leave of themselves in the section `.comment` of an ELF file."""


def describe_extension(path: Path) -> dict[str, object]:
    """Name, SHA-256 and compilers of an extension module's file. Raises OSError."""
    content = path.read_bytes()
    compilers = {found.group().decode("ascii", "replace") for found in _COMPILER.finditer(content)}
    return {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "compilers": sorted(compilers),
    }


def commit() -> str | None:
    """The git commit of the current folder, with `+changes` if files differ; None if not known."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.strip()

    try:
        name = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return name + ("+changes" if changed else "")
