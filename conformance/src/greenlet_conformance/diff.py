"""``greenlet-conformance diff``: what changed between two runs.

A test is compared by what it did, whatever was expected of it: an entry in a file of expectations
makes nothing better. Worse is a test that passed and now fails or is not offered any more, one
that fails harder (a CRASH is worse than a TIMEOUT, which is worse than a FAIL), and a clause that
is not there any more: ids of clauses never change, so nobody can tell what became of it. A test
that is gone while its clause is still there is no matter; tests may be renamed.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from greenlet_conformance import results
from greenlet_conformance.exits import AS_EXPECTED, FAILURES
from greenlet_conformance.results import FAILED, Result, Run

SUMMARY = "tell what changed between two result files"

EXAMPLES = """
examples:
  greenlet-conformance diff before.jsonl after.jsonl
  greenlet-conformance diff greenlet-3.0.3.jsonl greenlet-3.5.6.jsonl && echo nothing became worse
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("old", type=Path, metavar="OLD", help="what `run --output` wrote")
    parser.add_argument("new", type=Path, metavar="NEW", help="the same, to compare with it")


def run(options: argparse.Namespace) -> int:
    """Prints what changed; answers whether something became worse. Raises results.ResultsError."""
    old, new = results.read(options.old), results.read(options.new)
    print(" -> ".join(results.labels([old, new])))
    found = changes(old, new)
    for group in found.groups():
        print(f"\n{group.title} ({len(group.lines)})")
        for line in group.lines:
            print(f"  {line}")
    print(f"\n{found.verdict()}")
    return FAILURES if found.worse else AS_EXPECTED


@dataclasses.dataclass(frozen=True)
class Group:
    """What changed in one way."""

    title: str
    lines: list[str]
    worse: bool = False


@dataclasses.dataclass(frozen=True)
class Changes:
    """All that changed, in groups of which some are empty."""

    all: tuple[Group, ...]

    def groups(self) -> list[Group]:
        """The groups that are not empty."""
        return [group for group in self.all if group.lines]

    @property
    def worse(self) -> bool:
        """Whether something became worse."""
        return any(group.worse for group in self.groups())

    def verdict(self) -> str:
        """The last line."""
        if not self.groups():
            return "nothing changed"
        bad = [f"{len(g.lines)} {g.title}" for g in self.groups() if g.worse]
        return f"worse: {', '.join(bad)}" if bad else "nothing became worse"


def changes(old: Run, new: Run) -> Changes:
    """Compares two runs, test by test and clause by clause."""
    before = {result.test: result for result in old.results}
    after = {result.test: result for result in new.results}
    pairs = [(before[test], after[test]) for test in after if test in before]

    def those(kind: Callable[[str, str], bool]) -> list[str]:
        return [_line(o, n) for o, n in pairs if kind(o.actual, n.actual)]

    return Changes(
        (
            Group("newly failing", those(lambda o, n: o == "PASS" and n in FAILED), worse=True),
            Group(
                "no longer offered", those(lambda o, n: o == "PASS" and n == "UNSUPPORTED"), True
            ),
            Group("failing harder", those(lambda o, n: o in FAILED and _harder(n, o)), worse=True),
            Group("clauses removed", _clauses(old, new), worse=True),
            Group("newly passing", those(lambda o, n: o != "PASS" and n == "PASS")),
            Group("failing less hard", those(lambda o, n: n in FAILED and _harder(o, n))),
            Group("no longer failing, as not offered", those(_given_up)),
            Group("newly offered, but failing", those(lambda o, n: _given_up(n, o))),
            Group(
                "expected otherwise",
                [_line(o, n) for o, n in pairs if o.actual == n.actual and o.outcome != n.outcome],
            ),
            Group("clauses added", _clauses(new, old)),
            Group("tests added", [_line(None, after[t]) for t in after if t not in before]),
            Group("tests removed", [_line(before[t], None) for t in before if t not in after]),
        )
    )


def _harder(one: str, other: str) -> bool:
    return one in FAILED and FAILED.index(one) > FAILED.index(other)


def _given_up(old: str, new: str) -> bool:
    return old in FAILED and new == "UNSUPPORTED"


def _clauses(here: Run, there: Run) -> list[str]:
    return [f"{c.id}: {c.title}" for c in here.clauses.values() if c.id not in there.clauses]


def _line(old: Result | None, new: Result | None) -> str:
    """Such as ``throw.class  suite/test_throw.py::test_class: PASS -> FAIL``."""
    one = new or old
    assert one is not None
    outcomes = " -> ".join(_outcome(result) for result in (old, new) if result)
    return f"{', '.join(one.clauses)}  {one.test}: {outcomes}"


def _outcome(result: Result) -> str:
    return f"XFAIL ({result.actual})" if result.outcome == "XFAIL" else result.outcome
