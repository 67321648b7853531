"""What an implementation is known not to keep: one TOML file each.

``expectations/<module>.toml`` in this package (dots in the module's name become dashes), or
the file that another package registers (see ``providers``), holds entries like::

    [[expect]]
    clause = "parent.exit-starts-unstarted"   # an id, a glob like "context.*", or a list of them
    outcome = "FAIL"                          # or a list of FAIL, CRASH, TIMEOUT; or UNSUPPORTED
    when = { python = ">=3.12", implementation = "<3.0", free_threaded = false }
    reason = "why, in a sentence"
    link = "findings/some_reproducer.py"

In the place of ``clause``, ``test = "test_throw.py::test_class"`` names one test, with all its
parameters unless it names one: ``"test_throw.py::test_class[0]"``. It may be a list, too.

A test with an expected FAIL, CRASH or TIMEOUT is reported as XFAIL. UNSUPPORTED means that
the implementation does not offer the feature; such a test is not run. Of several entries that
concern a test the first one counts, so the particular stands before the general.

An entry counts where all of its conditions (``when``) hold:

- ``python`` and ``implementation``: version specifiers, of Python and of the implementation;
- ``interpreter`` ("CPython", "PyPy"), ``system`` ("Linux"), ``machine`` ("x86_64"): names, as
  ``platform`` tells them;
- ``free_threaded``, ``debug``: true or false, of the build of Python.

What random programs are not to do with it (see ``fuzz``), since it is known to fail then, is said
in the same file, under the same conditions::

    [[fuzz]]
    leave-out = "exits-to-unstarted"          # what `fuzz --help` lists, or a list of them
    when = { python = ">=3.12" }
    reason = "why, in a sentence"
    link = "findings/some_reproducer.py"

The file cannot rot: an entry that names no clause or, where it holds, no test, that gives no
reason, or that earlier entries leave nothing to, is an error; so is, when it runs, one whose test
passes (XPASS).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import platform
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from greenlet_conformance import EXPECTATIONS, providers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OUTCOMES = ("FAIL", "CRASH", "TIMEOUT", "UNSUPPORTED")
_KEYS = {"clause", "test", "outcome", "when", "reason", "link"}

_FUZZ_KEYS = {"leave-out", "when", "reason", "link"}

_LIST = ", or a list of texts"

#: The conditions and what each is in TOML.
_SPECIFIERS = ("python", "implementation")
_CONDITIONS: dict[str, type] = {
    **dict.fromkeys(_SPECIFIERS, str),
    **dict.fromkeys(("interpreter", "system", "machine"), str),
    **dict.fromkeys(("free_threaded", "debug"), bool),
}


class ExpectationsError(Exception):
    """The file of expectations is wrong; the message has one line for each mistake."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What is expected of some clauses or of one test, and why."""

    number: int
    clauses: tuple[str, ...]
    tests: tuple[str, ...]
    outcomes: tuple[str, ...]
    when: Mapping[str, str | bool]
    reason: str
    link: str

    def concerns(self, test: str, clauses: Collection[str]) -> bool:
        """Whether this entry is about that test."""
        return any(self.names(test, clauses))

    def names(self, test: str, clauses: Collection[str]) -> Iterator[str]:
        """Which of the entry's names are that test's, or match one of its clauses."""
        yield from (name for name in self.tests if name in (test, test.partition("[")[0]))
        yield from (glob for glob in self.clauses if fnmatch.filter(clauses, glob))


def path_for(module: str) -> Path | None:
    """The file of an implementation: this package's own, else a registered one, or None.

    Raises providers.ProviderError if the one that is registered is of no use.
    """
    own = own_path(module)
    return own if own.is_file() else providers.expectations_file(module)


def own_path(module: str) -> Path:
    """Where this package keeps, or would keep, the file of an implementation."""
    return EXPECTATIONS / f"{module.replace('.', '-')}.toml"


def parse(path: Path, table: str = "expect") -> list[dict[str, Any]]:
    """The entries of a file as they stand there, unchecked. Raises ExpectationsError.

    ``table`` is "expect" or "fuzz".
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ExpectationsError(f"{path}: is nested too deeply") from None
    except (OSError, ValueError) as error:  # such as TOMLDecodeError, or too long a number
        raise ExpectationsError(f"{path}: {error}") from None
    errors = [f"{path}: unknown key {key!r}" for key in data if key not in ("expect", "fuzz")]
    if errors:
        raise ExpectationsError("\n".join(errors))
    raws = data.get(table, [])
    if not isinstance(raws, list) or not all(isinstance(raw, dict) for raw in raws):
        raise ExpectationsError(f"{path}: entries are written as [[{table}]], with two brackets")
    return raws


def load(
    path: Path,
    version: str,
    clauses: Collection[str],
    tests: Mapping[str, Collection[str]],
) -> list[Expectation]:
    """The entries that hold for this version of the implementation on this interpreter.

    ``clauses`` are the ids of the specification; ``tests`` are the tests that are known, each
    with its clauses, or empty if not all are. Raises ExpectationsError.
    """
    errors = []
    entries = []
    facts = _facts(version)
    for number, raw in enumerate(parse(path), 1):
        mistakes = _mistakes(raw, clauses, tests, facts)
        errors += [f"{path}: entry {number}: {mistake}" for mistake in mistakes]
        if not mistakes:
            entries.append(_entry(number, raw))
    holding = [entry for entry in entries if _holds(entry.when, facts)]
    if tests and not errors:
        errors += [
            f"{path}: entry {number}: earlier entries leave no test to {name!r}; delete or move it"
            for number, name in _idle(holding, tests)
        ]
    if errors:
        raise ExpectationsError("\n".join(errors))
    return holding


def left_out(path: Path, version: str, features: Collection[str]) -> dict[str, str]:
    """What random programs leave out for this version on this interpreter, each with its reason.

    ``features`` is all that can be left out. Raises ExpectationsError.
    """
    errors = []
    found: dict[str, str] = {}
    facts = _facts(version)
    for number, raw in enumerate(parse(path, "fuzz"), 1):
        named = _listed(raw.get("leave-out", []))
        mistakes = [f"unknown key {key!r}" for key in sorted(raw.keys() - _FUZZ_KEYS)]
        if not named or not set(named) <= set(features):
            mistakes.append(f"`leave-out` must be one of {', '.join(features)}, or a list of them")
        mistakes += _mistakes_of_grounds(raw)
        errors += [f"{path}: fuzz entry {number}: {mistake}" for mistake in mistakes]
        if not mistakes and _holds(raw.get("when", {}), facts):
            found.update(dict.fromkeys(named, f"{raw['reason']}; {raw['link']}"))
    if errors:
        raise ExpectationsError("\n".join(errors))
    return found


def first(
    entries: Sequence[Expectation], test: str, clauses: Collection[str]
) -> Expectation | None:
    """The entry that counts for a test."""
    return next((entry for entry in entries if entry.concerns(test, clauses)), None)


def _idle(
    entries: Sequence[Expectation], tests: Mapping[str, Collection[str]]
) -> list[tuple[int, str]]:
    """The names, with their entry's number, that no test is found by."""
    names = {(entry.number, name) for entry in entries for name in entry.clauses + entry.tests}
    for test, clauses in tests.items():
        entry = first(entries, test, clauses)
        if entry:
            names -= {(entry.number, name) for name in entry.names(test, clauses)}
    return sorted(names)


def _listed(value: Any) -> tuple[Any, ...]:
    """A value of TOML that may stand alone or in a list."""
    return tuple(value) if isinstance(value, list) else (value,)


def _entry(number: int, raw: dict[str, Any]) -> Expectation:
    return Expectation(
        number=number,
        clauses=_listed(raw.get("clause", [])),
        tests=_listed(raw.get("test", [])),
        outcomes=_listed(raw["outcome"]),
        when=raw.get("when", {}),
        reason=raw["reason"],
        link=raw["link"],
    )


def _mistakes(
    raw: dict[str, Any],
    clauses: Collection[str],
    tests: Collection[str],
    facts: Mapping[str, Version | str | bool],
) -> Sequence[str]:
    mistakes = [f"unknown key {key!r}" for key in sorted(raw.keys() - _KEYS)]
    for key in _KEYS & raw.keys() - {"when"}:
        values = _listed(raw[key]) if key in ("clause", "test", "outcome") else (raw[key],)
        if not values or not all(isinstance(value, str) for value in values):
            mistakes.append(f"`{key}` must be a text{'' if key in ('reason', 'link') else _LIST}")
    if mistakes:
        return sorted(mistakes)
    if ("clause" in raw) == ("test" in raw):
        mistakes.append("needs either `clause` or `test`")
    for glob in _listed(raw.get("clause", [])):
        if not fnmatch.filter(clauses, glob):
            mistakes.append(f"matches nothing: the specification has no clause {glob!r}")
    wrong = _mistakes_of_conditions(raw.get("when", {}))
    # Some tests exist on some interpreters only: what does not hold here need not exist here.
    if tests and not wrong and _holds(raw.get("when", {}), facts):
        known = {*tests, *(test.partition("[")[0] for test in tests)}
        strangers = [test for test in _listed(raw.get("test", [])) if test not in known]
        mistakes += [f"matches nothing: the suite has no test {test!r}" for test in strangers]
    outcomes = _listed(raw.get("outcome", "none"))
    if not set(outcomes) <= set(OUTCOMES):
        mistakes.append(f"`outcome` must be one of {', '.join(OUTCOMES)}, or a list of them")
    return mistakes + _mistakes_of_grounds(raw)


def _mistakes_of_grounds(raw: Mapping[str, Any]) -> list[str]:
    """What is wrong with the conditions, the reason and the link of an entry of either table."""
    grounds = [(key, raw.get(key, "")) for key in ("reason", "link")]
    return [
        f"needs a `{key}`" for key, text in grounds if not (isinstance(text, str) and text.strip())
    ] + _mistakes_of_conditions(raw.get("when", {}))


def _mistakes_of_conditions(when: Any) -> list[str]:
    if not isinstance(when, dict):
        return ["`when` is written as when = { python = '>=3.12' }"]
    mistakes = []
    for key, wanted in sorted(when.items()):
        kind = _CONDITIONS.get(key)
        if kind is None:
            mistakes.append(f"unknown condition {key!r}; there are {', '.join(_CONDITIONS)}")
        elif not isinstance(wanted, kind):
            what = "true or false" if kind is bool else "a text"
            mistakes.append(f"condition {key!r} must be {what}")
        elif key in _SPECIFIERS:
            try:
                SpecifierSet(str(wanted))
            except InvalidSpecifier as error:
                mistakes.append(f"condition {key!r}: {error}")
    return mistakes


def _facts(version: str) -> dict[str, Version | str | bool]:
    """What the conditions are compared with; ``version`` is the implementation's."""
    return {
        "python": _number(platform.python_version()),
        "implementation": _number(version),
        "interpreter": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "debug": hasattr(sys, "gettotalrefcount"),
    }


def _holds(when: Mapping[str, str | bool], facts: Mapping[str, Version | str | bool]) -> bool:
    for key, wanted in when.items():
        fact = facts[key]
        if isinstance(fact, Version):
            if not SpecifierSet(str(wanted)).contains(fact, prereleases=True):
                return False
        elif fact != wanted:
            return False
    return True


def _number(version: str) -> Version:
    """A version, or 0 for one that cannot be read ("unknown"); CPython's builds may end in "+"."""
    try:
        return Version(version.rstrip("+"))
    except InvalidVersion:
        return Version("0")
