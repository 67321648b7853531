"""Reading conformance runs: JSON lines, schema 1, as greenlet-conformance writes them.

A header (implementation, Python, platform), the clauses that were selected, a result for each test
with the clauses that it tests, a footer with counts. Several files, one for each implementation
and Python, make the columns of one matrix. A file without its footer is a run cut short. Failures
in it are failures, but no clause of it is a pass, since tests of that clause may be missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlet_bench.errors import InputError
from greenlet_bench.results import CONFORMANCE, read_json_lines

WORST_FIRST = ("CRASH", "TIMEOUT", "FAIL", "XPASS", "XFAIL", "UNSUPPORTED", "PASS")
NOT_RUN = "NOT RUN"
"""The clause was selected but no test of it has a result."""
TRUNCATED = "TRUNCATED"
"""The run was cut short before anything bad was known of the clause."""
NOT_SELECTED = "-"
"""The run did not select the clause."""


@dataclass(frozen=True)
class Clause:
    """One rule of the specification."""

    id: str
    chapter: str
    chapter_title: str
    level: str
    title: str
    text: str
    since: str
    source: str


@dataclass(frozen=True)
class TestResult:
    """What came out of one test."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    clauses: tuple[str, ...]
    test: str
    outcome: str
    message: str
    reason: str
    link: str


@dataclass(frozen=True)
class Run:
    """One file."""

    path: Path
    header: dict[str, Any]
    clauses: dict[str, Clause]
    results: list[TestResult]
    truncated: bool

    @property
    def implementation(self) -> str:
        """Such as `greenlet 3.5.6`."""
        found = self.header["implementation"]
        return f"{found['module']} {found['version'] or ''}".strip()

    def python(self, parts: int) -> str:
        """Such as `CPython 3.13t`: `parts` numbers of the version, and the kind of build."""
        found = self.header["python"]
        version = ".".join(str(found["version"]).split(".")[:parts])
        suffix = ("t" if found.get("free_threaded") else "") + ("d" if found.get("debug") else "")
        return f"{found['implementation']} {version}{suffix}"

    def of(self, clause: str) -> list[TestResult]:
        """The results of the tests of a clause."""
        return [result for result in self.results if clause in result.clauses]

    def outcome(self, clause: str) -> str:
        """The worst outcome of the clause's tests."""
        if clause not in self.clauses:
            return NOT_SELECTED
        outcomes = {result.outcome for result in self.of(clause)}
        worst = next((o for o in WORST_FIRST if o in outcomes), NOT_RUN)
        return TRUNCATED if self.truncated and worst in ("PASS", NOT_RUN) else worst

    def counts(self) -> Counter[str]:
        """How many clauses came out how."""
        return Counter(self.outcome(clause) for clause in self.clauses)


def read(path: Path) -> Run:
    """Read a run, also one that is cut short. Raises InputError if missing or garbled."""
    what = CONFORMANCE
    objects, cut = read_json_lines(path, what)
    try:
        clauses = {
            record["id"]: Clause(
                **{name: str(record.get(name, "")) for name in Clause.__dataclass_fields__}
            )
            for record in objects
            if record["kind"] == "clause"
        }
        results = [
            TestResult(
                clauses=tuple(record["clauses"]),
                test=record["test"],
                outcome=record["outcome"],
                message=record.get("message") or "",
                reason=record.get("reason") or "",
                link=record.get("link") or "",
            )
            for record in objects
            if record["kind"] == "result"
        ]
        footer = objects[-1] if objects[-1]["kind"] == "footer" else None
        run = Run(path, objects[0], clauses, results, truncated=cut or footer is None)
        _ = run.implementation, run.python(3)
        counts = Counter(footer["counts"]) if footer else None
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a {what}: missing or wrong {error}") from None
    unknown = {result.outcome for result in results} - set(WORST_FIRST)
    if unknown:
        raise InputError(f"{path} is not a {what}: unknown outcome {sorted(unknown)[0]!r}")
    if counts is not None and +counts != Counter(result.outcome for result in results):
        raise InputError(f"{path} does not add up: its footer counts other results than it has")
    return run


def labels(runs: Sequence[Run]) -> list[str]:
    """A name for each column: as short as tells the runs apart."""
    names = [f"{run.implementation} · {run.python(2)}" for run in runs]
    if len(set(names)) < len(names):
        names = [f"{run.implementation} · {run.python(3)}" for run in runs]
    counts = Counter(names)
    return [
        f"{name} ({run.path.name})" if counts[name] > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]
