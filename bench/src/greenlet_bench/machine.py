"""Facts about the machine, the interpreter and the commit, for the header of a result."""

from __future__ import annotations

import os
import platform
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
    """The interpreter's version, build and compiler flags."""
    config = sysconfig.get_config_var
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "cflags": config("CFLAGS") or "",
        "lto_pgo": [
            option
            for option in ("--with-lto", "--enable-optimizations", "--enable-shared")
            if option in (config("CONFIG_ARGS") or "")
        ],
        "debug": hasattr(sys, "gettotalrefcount"),
        "free_threaded": bool(config("Py_GIL_DISABLED")),
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
