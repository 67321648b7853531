"""What an implementation is known not to keep: one TOML file each.

``expectations/<module>.toml`` in this package (dots in the module's name become dashes)
holds entries like::

    [[expect]]
    clause = "parent.exit-starts-unstarted"   # or: test = "test_parent_resumption.py::test_x"
    outcome = "FAIL"                          # or a list of FAIL, CRASH, TIMEOUT; or UNSUPPORTED
    when = { python = ">=3.12", version = "<4" }
    reason = "why, in a sentence"
    link = "findings/some_reproducer.py"

A test with an expected FAIL, CRASH or TIMEOUT is reported as XFAIL. UNSUPPORTED means that
the implementation does not offer the feature; such a test is not run. ``when`` may hold
``python`` and ``version`` (of the implementation) as version specifiers, and
``implementation`` ("CPython", "PyPy"), ``build`` ("release", "debug": of CPython with its
assertions), ``system`` ("Linux") and ``machine`` as names.

The file cannot rot: an entry that names no clause, or, where it holds, no test, or that gives
no reason, is an error; so is, when it runs, one whose test passes (XPASS).
"""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from greenlet_conformance import EXPECTATIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OUTCOMES = ("FAIL", "CRASH", "TIMEOUT", "UNSUPPORTED")
_KEYS = {"clause", "test", "outcome", "when", "reason", "link"}
_CONDITIONS = {"python", "version", "implementation", "build", "system", "machine"}


class ExpectationsError(Exception):
    """The file of expectations is wrong; the message has one line for each mistake."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What is expected of one clause or one test, and why."""

    clause: str
    test: str
    outcomes: tuple[str, ...]
    when: Mapping[str, str]
    reason: str
    link: str

    def concerns(self, test: str, clauses: Collection[str]) -> bool:
        """Whether this entry is about that test."""
        return test == self.test if self.test else self.clause in clauses


def path_for(module: str) -> Path:
    """Where the expectations of an implementation are kept; the file may not exist."""
    return EXPECTATIONS / f"{module.replace('.', '-')}.toml"


def load(
    path: Path, version: str, clauses: Collection[str], tests: Collection[str]
) -> list[Expectation]:
    """The entries that hold for this version of the implementation on this interpreter.

    ``clauses`` are the ids of the specification; ``tests`` are the tests that are known,
    or empty if not all are. Raises ExpectationsError.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ExpectationsError(f"{path}: {error}") from None
    errors = [f"{path}: unknown key {key!r}" for key in data if key != "expect"]
    entries = []
    for number, raw in enumerate(data.get("expect", []), 1):
        mistakes = _mistakes(raw, version, clauses, tests)
        errors += [f"{path}: entry {number}: {mistake}" for mistake in mistakes]
        if not mistakes:
            entries.append(_entry(raw))
    if errors:
        raise ExpectationsError("\n".join(errors))
    return [e for e in entries if _holds(e.when, version)]


def _entry(raw: dict[str, Any]) -> Expectation:
    outcome = raw["outcome"]
    return Expectation(
        clause=raw.get("clause", ""),
        test=raw.get("test", ""),
        outcomes=(outcome,) if isinstance(outcome, str) else tuple(outcome),
        when=raw.get("when", {}),
        reason=raw["reason"],
        link=raw["link"],
    )


def _mistakes(
    raw: dict[str, Any], version: str, clauses: Collection[str], tests: Collection[str]
) -> Sequence[str]:
    mistakes = [f"unknown key {key!r}" for key in sorted(raw.keys() - _KEYS)]
    if ("clause" in raw) == ("test" in raw):
        mistakes.append("needs either `clause` or `test`")
    if "clause" in raw and raw["clause"] not in clauses:
        mistakes.append(f"matches nothing: the specification has no clause {raw['clause']!r}")
    outcome = raw.get("outcome")
    outcomes = [outcome] if isinstance(outcome, str) else outcome
    if not outcomes or any(o not in OUTCOMES for o in outcomes):
        mistakes.append(f"`outcome` must be one of {', '.join(OUTCOMES)}, or a list of them")
    for key in ("reason", "link"):
        if not str(raw.get(key, "")).strip():
            mistakes.append(f"needs a `{key}`")
    when = raw.get("when", {})
    wrong = [f"unknown condition {key!r}" for key in sorted(when.keys() - _CONDITIONS)]
    for key in ("python", "version"):
        try:
            SpecifierSet(when.get(key, ""))
        except InvalidSpecifier as error:
            wrong.append(f"condition {key!r}: {error}")
    # Some tests exist on some interpreters only: what does not hold here need not exist here.
    holds = not wrong and _holds(when, version)
    if "test" in raw and tests and holds and raw["test"] not in tests:
        mistakes.append(f"matches nothing: the suite has no test {raw['test']!r}")
    return mistakes + wrong


def _holds(when: Mapping[str, str], version: str) -> bool:
    facts = {
        "implementation": platform.python_implementation(),
        "build": "debug" if hasattr(sys, "gettotalrefcount") else "release",
        "system": platform.system(),
        "machine": platform.machine(),
    }
    numbers = {"python": _number(platform.python_version()), "version": _number(version)}
    return all(
        SpecifierSet(wanted).contains(numbers[key], prereleases=True)
        if key in numbers
        else facts[key] == wanted
        for key, wanted in when.items()
    )


def _number(version: str) -> Version:
    """A version, or 0 for one that cannot be read ("unknown"); CPython's builds may end in "+"."""
    try:
        return Version(version.rstrip("+"))
    except InvalidVersion:
        return Version("0")
