"""The greenlet under test: a module, chosen by name.

The process that runs pytest never imports it. ``probe`` asks a child process whether it
can be imported and what version it is; each test's own child then imports it afresh.
So an implementation that crashes on import costs a clear message and nothing else, and
no test inherits another's root greenlet.

Tests see the module through ``Implementation``, which turns a name that the module lacks
into a failure of the test that uses it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import json
import subprocess
import sys
from typing import Any

DEFAULT = "greenlet"
IMPORT_SECONDS = 60

_PROBE = """
import json, os, sys
out = os.dup(1)  # sys.stdout, and 1, are the module's to replace
sys.path[:] = json.loads(sys.argv[2])
from greenlet_conformance.implementation import describe
facts = json.dumps(describe(sys.argv[1]))
if sys.stdout:
    sys.stdout.flush()
os.write(out, ("\\nfacts:" + facts + "\\n").encode())
"""

#: A module that has none of these is something else.
ESSENTIAL = ("greenlet", "getcurrent", "GreenletExit", "error")


class ImplementationError(Exception):
    """The implementation cannot be used; the message is one line."""


class MissingNameError(AssertionError):
    """The implementation lacks a name that the clause needs."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a run says about the implementation; ``version`` is "unknown" if it says none."""

    module: str
    version: str


class Implementation:
    """The module under test. A missing name fails on use, never at collection."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module = importlib.import_module(name)

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._module, name)
        except AttributeError:
            raise MissingNameError(f"{self._name} has no {name!r}") from None


def describe(name: str) -> dict[str, str]:
    """Imports the module and answers its version, or why it is of no use here."""
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    if not any(hasattr(module, essential) for essential in ESSENTIAL):
        return {"not_greenlet": f"it has no {', '.join(ESSENTIAL)}"}
    version = getattr(module, "__version__", None)
    if not isinstance(version, str):
        try:
            version = importlib.metadata.version(name.partition(".")[0])
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
    return {"version": " ".join(version.encode(errors="backslashreplace").decode().split())}


def probe(name: str) -> Facts:
    """Imports ``name`` in a child process and answers what it is.

    Raises ImplementationError, with one line, if that fails or kills the child.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise ImplementationError(f"greenlet implementation {name!r}: not a module name")
    command = [sys.executable, "-c", _PROBE, name, json.dumps(sys.path)]
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=IMPORT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ImplementationError(
            f"greenlet implementation {name!r}: importing it takes over {IMPORT_SECONDS} seconds"
        ) from None
    answer = {}
    lines = [line for line in child.stdout.splitlines() if line.startswith("facts:")]
    if child.returncode == 0 and lines:
        answer = json.loads(lines[-1].partition(":")[2])
    if "version" in answer:
        return Facts(name, answer["version"])
    if "not_greenlet" in answer:
        raise ImplementationError(
            f"module {name} is not a greenlet implementation: {answer['not_greenlet']}"
        )
    reason = answer.get("error") or f"importing it ended the process with {child.returncode}"
    raise ImplementationError(
        f"greenlet implementation {name!r} cannot be imported by {sys.executable}: {reason}"
    )
