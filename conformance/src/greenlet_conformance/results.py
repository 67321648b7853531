"""The JSON lines that a run leaves, written and read: schema 1.

A header, then the clauses that were selected, then one line a test as it ends, then a
footer. The footer is written only when every selected test has a result, so that a file
without it is a truncated run, and a truncated run is never a pass.

``results.schema.json`` beside this module is the JSON Schema of one line.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import platform
import sys
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from greenlet_conformance import __version__, schema
from greenlet_conformance.implementation import Facts
from greenlet_conformance.spec import Clause

SCHEMA = 1
SCHEMA_FILE = schema.FILE

#: Best to worst; a clause has the worst outcome of its tests.
OUTCOMES = ("PASS", "UNSUPPORTED", "XFAIL", "XPASS", "FAIL", "TIMEOUT", "CRASH")

#: The outcomes of a run in which all is as expected.
EXPECTED = ("PASS", "UNSUPPORTED", "XFAIL")

#: What a test did, whatever was expected of it.
FAILED = ("FAIL", "TIMEOUT", "CRASH")
ACTUAL = ("PASS", "UNSUPPORTED", *FAILED)

#: What a test can have done that has this outcome.
_POSSIBLE = {**{name: (name,) for name in ACTUAL}, "XFAIL": FAILED, "XPASS": ("PASS",)}


class ResultsError(Exception):
    """The file is not the result of a whole run; the message is one line."""


class TruncatedError(ResultsError):
    """The file has no footer: the run was cut short."""


def writable(value: Any) -> Any:
    """A value of JSON in which lone surrogates, which no file can hold, are spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [writable(item) for item in value]
    if isinstance(value, dict):
        return {writable(key): writable(item) for key, item in value.items()}
    return value


# --- writing -----------------------------------------------------------------------------


class Writer:
    """Writes one run to a file, line by line, flushing each."""

    def __init__(self, path: Path, facts: Facts, clauses: Iterable[Clause]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._began = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._write({"kind": "header", "schema": SCHEMA, **_header(facts)})
        for c in clauses:
            fields = ("id", "chapter", "chapter_title", "level", "title", "text", "since", "source")
            self._write({"kind": "clause", **{name: getattr(c, name) for name in fields}})

    def result(self, **fields: Any) -> None:
        """Adds the line of one test; the fields are those of the schema."""
        self._counts[fields["outcome"]] += 1
        self._write({"kind": "result", **fields})

    def close(self, *, complete: bool) -> None:
        """Ends the file; with a footer only if the run is complete."""
        if complete:
            seconds = round(time.monotonic() - self._began, 3)
            counts = {name: self._counts[name] for name in OUTCOMES if self._counts[name]}
            self._write({"kind": "footer", "counts": counts, "seconds": seconds})
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(writable(record), ensure_ascii=False) + "\n")
        self._file.flush()


def _header(facts: Facts) -> dict[str, Any]:
    return {
        "implementation": {"module": facts.module, "version": facts.version},
        "python": {
            "implementation": platform.python_implementation(),
            "version": platform.python_version(),
            "build": sys.version.replace("\n", " "),
            "debug": hasattr(sys, "gettotalrefcount"),
            "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        },
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "release": platform.release(),
        },
        "suite": __version__,
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


# --- reading -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Result:
    """What came out of one test; ``actual`` is its outcome before expectations."""

    clauses: tuple[str, ...]
    test: str
    outcome: str
    actual: str
    seconds: float
    message: str
    reason: str
    link: str


@dataclasses.dataclass(frozen=True)
class Run:
    """A whole run, as its file tells it; ``clauses`` are those that were selected."""

    path: Path
    header: dict[str, Any]
    clauses: dict[str, Clause]
    results: tuple[Result, ...]
    seconds: float

    @property
    def implementation(self) -> str:
        """Such as ``greenlet 3.5.6``."""
        return " ".join(self.header["implementation"][key] for key in ("module", "version"))

    def python(self, parts: int = 3) -> str:
        """Such as ``CPython 3.13t``: so many numbers of the version, and the kind of build."""
        found = self.header["python"]
        number = ".".join(found["version"].split(".")[:parts])
        kind = "t" * found["free_threaded"] + "d" * found["debug"]
        return f"{found['implementation']} {number}{kind}"

    @property
    def counts(self) -> dict[str, int]:
        """How many tests had each outcome, the best first."""
        counted = Counter(result.outcome for result in self.results)
        return {name: counted[name] for name in OUTCOMES if counted[name]}

    @property
    def as_expected(self) -> bool:
        """Whether every test had its expected outcome."""
        return set(self.counts) <= set(EXPECTED)

    def of(self, clause: str) -> tuple[Result, ...]:
        """The results of the tests of a clause."""
        return tuple(self._by_clause.get(clause, ()))

    @functools.cached_property
    def _by_clause(self) -> dict[str, list[Result]]:
        answer: defaultdict[str, list[Result]] = defaultdict(list)
        for result in self.results:
            for clause in result.clauses:
                answer[clause].append(result)
        return answer


def worst(outcomes: Iterable[str]) -> str:
    """The worst of several outcomes, which is that of their clause."""
    return max(outcomes, key=OUTCOMES.index)


def read(path: Path) -> Run:
    """Reads a whole run.

    Raises TruncatedError if the footer is missing, and ResultsError if the file is missing, is
    not of this schema, or has a footer that does not agree with its lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}; `run --output` writes such a file") from None
    except UnicodeDecodeError:
        raise ResultsError(f"{path}: is not a file of results: it is not text") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                records.append(writable(json.loads(line)))
        except RecursionError:
            raise ResultsError(f"{path}:{number}: is nested too deeply") from None
        except ValueError as error:
            if number == len(lines) and records:
                break  # the line that was being written when the run ended
            raise ResultsError(f"{path}:{number}: is not a line of JSON: {error}") from None
    if not records or _kind(records[0]) != "header" or not _is_known(records[0]):
        raise ResultsError(f"{path}: does not begin with a header of schema {SCHEMA}")
    if _kind(records[-1]) != "footer":
        raise TruncatedError(f"{path}: has no footer: the run was cut short, and is no pass")
    for number, record in enumerate(records, 1):
        mistake = schema.mistake(record)
        if mistake:
            raise ResultsError(f"{path}: line {number} is not of schema {SCHEMA}: {mistake}")
    kinds = Counter(map(_kind, records))
    for kind in ("header", "footer"):
        if kinds[kind] > 1:
            raise ResultsError(f"{path}: has more than one {kind}")
    return _run(path, records)


def _kind(record: Any) -> Any:
    return record.get("kind") if isinstance(record, dict) else None


def _is_known(header: dict[str, Any]) -> bool:
    return type(header.get("schema")) is int and header["schema"] == SCHEMA


def _run(path: Path, records: Sequence[dict[str, Any]]) -> Run:
    def fields(kind: type, record: dict[str, Any]) -> dict[str, Any]:
        return {field.name: record[field.name] for field in dataclasses.fields(kind)}

    found = [Result(**fields(Result, r)) for r in records if r["kind"] == "result"]
    run = Run(
        path=path,
        header=records[0],
        clauses={r["id"]: Clause(**fields(Clause, r)) for r in records if r["kind"] == "clause"},
        results=tuple(dataclasses.replace(r, clauses=tuple(r.clauses)) for r in found),
        seconds=records[-1]["seconds"],
    )
    for result in run.results:
        if result.actual not in _POSSIBLE[result.outcome]:
            raise ResultsError(
                f"{path}: {result.test} cannot be {result.outcome} if it was {result.actual}"
            )
        strangers = set(result.clauses) - set(run.clauses)
        if strangers:
            raise ResultsError(f"{path}: {result.test} is of an unknown clause {min(strangers)!r}")
    if not run.results or run.counts != records[-1]["counts"]:
        raise ResultsError(f"{path}: the footer does not agree with the results")
    return run


def labels(runs: Sequence[Run]) -> list[str]:
    """A name for each run, as short as tells them apart."""
    shortest = [f"{run.implementation} · {run.python(2)}" for run in runs]
    longer = [f"{run.implementation} · {run.python()}" for run in runs]
    names = longer if len(set(shortest)) < len(runs) else shortest
    counts = Counter(names)
    return [
        f"{name} ({run.path.name})" if counts[name] > 1 else name for name, run in zip(names, runs)
    ]
