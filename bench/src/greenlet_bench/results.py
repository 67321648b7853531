"""The result file: JSON lines, schema 2.

    {"kind": "header", "schema": 2, "tool": ..., "started": ..., "machine": ..., "python": ...,
     "commit": ..., "settings": ..., "baseline": LABEL,
     "implementations": [{"label": ..., "module": ..., "version": ...}]}
    {"kind": "benchmark", "id": ..., "suite": ..., "suite_title": ..., "title": ..., "unit": ...,
     "headline": ..., "series": ..., "size": ..., "axis": ...}                 one a benchmark
    {"kind": "sample", "benchmark": ID, "implementation": LABEL, "pair": 0, "hash_seed": ...,
     "outcome": "OK", "operations": ..., "values": [...], "dropped": [...], "message": ""}
                                                  one a benchmark, implementation and process
    {"kind": "instructions", "benchmark": ID, "implementation": LABEL, "per_operation": N,
     "message": ""}          one a benchmark and implementation whose instructions were counted
    {"kind": "footer", "samples": N, "seconds": ...}

Values are per operation, in the benchmark's unit. Raw values only: means, ratios and intervals are
worked out by whoever reads them (summary.py). Without its footer a file is a run cut short.

A benchmark that is a point of a series names it, with its `size` on the series' `axis`, such as
`"series": "ring.cyclic", "size": 1000, "axis": "greenlets"`; all three are null otherwise. Schema 1
had no series.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from greenlet_bench.errors import InputError

SCHEMA = 2

BENCH = "benchmark result"
CONFORMANCE = "conformance run"
SCHEMAS = {BENCH: SCHEMA, CONFORMANCE: 1}
"""The schema of each kind of input."""
OPTIONS = {BENCH: "--bench", CONFORMANCE: "--conformance"}
"""The kinds of input, and the option of `report` that each belongs to."""

OK = "OK"
FAIL = "FAIL"
"""The implementation raised, or did not do the work."""
CRASH = "CRASH"
TIMEOUT = "TIMEOUT"
UNSUPPORTED = "UNSUPPORTED"
"""It cannot be measured here; the message says what it takes. No fault of the implementation."""


@dataclass(frozen=True)
class Sample:
    """What one process measured of one benchmark."""

    benchmark: str
    implementation: str
    pair: int
    hash_seed: int
    outcome: str
    operations: int = 0
    values: list[float] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    message: str = ""

    def line(self) -> str:
        return json.dumps({"kind": "sample", **asdict(self)})


@dataclass(frozen=True)
class Count:
    """How many instructions an operation of a benchmark takes."""

    benchmark: str
    implementation: str
    per_operation: float | None
    """None if it could not be counted; then `message` says why."""
    message: str = ""

    def line(self) -> str:
        return json.dumps({"kind": "instructions", **asdict(self)})


@dataclass
class Results:
    """A whole result file."""

    header: dict[str, Any]
    benchmarks: list[dict[str, Any]]
    samples: list[Sample]
    footer: dict[str, Any]
    counts: list[Count] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        return [implementation["label"] for implementation in self.header["implementations"]]

    @property
    def baseline(self) -> str:
        return str(self.header["baseline"])


def read_json_lines(path: Path, what: str) -> tuple[list[dict[str, Any]], bool]:
    """The objects of a JSON lines file, and whether its last line is cut short.

    `what` is BENCH or CONFORMANCE. Raises InputError if the file is missing, empty, garbled, or of
    the other kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the {what} {path}: {reason}") from None
    lines = text.splitlines()
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except ValueError:
            if number == len(lines) and objects and not text.endswith("\n"):
                return objects, True
            raise InputError(f"{path}, line {number}: not JSON, so not a {what}") from None
        if not isinstance(value, dict) or "kind" not in value:
            raise InputError(f"{path}, line {number}: not an object with a kind, as a {what} has")
        objects.append(value)
    if not objects:
        raise InputError(f"the {what} {path} is empty")
    head = objects[0]
    looks = (
        BENCH if "implementations" in head else CONFORMANCE if "implementation" in head else what
    )
    schema = SCHEMAS[looks]
    if head["kind"] != "header" or "schema" not in head:
        raise InputError(f"{path} does not start with the header of a {what}, schema {schema}")
    if head["schema"] != schema:
        raise InputError(
            f"{path} is a {looks} of schema {head['schema']}, and this version reads schema"
            f" {schema}: make it again"
        )
    if looks != what:
        raise InputError(
            f"{path} looks like a {looks}, not a {what}: give it to greenlet-bench report as"
            f" {OPTIONS[looks]} {path}"
        )
    return objects, False


def read(path: Path) -> Results:
    """Read a result file. Raises InputError if it is missing, garbled or cut short."""
    what = BENCH
    objects, cut = read_json_lines(path, what)
    if cut or objects[-1]["kind"] != "footer":
        raise InputError(f"{path} is cut short: it has no footer; run greenlet-bench run again")

    def of_kind(kind: str) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in record.items() if name != "kind"}
            for record in objects
            if record["kind"] == kind
        ]

    try:
        samples = [Sample(**record) for record in of_kind("sample")]
        results = Results(
            header=objects[0],
            benchmarks=of_kind("benchmark"),
            samples=samples,
            footer=objects[-1],
            counts=[Count(**record) for record in of_kind("instructions")],
        )
        known = {record["id"] for record in results.benchmarks}
        for record in results.benchmarks:
            _ = record["series"], record["size"], record["axis"]
        sound = (
            results.baseline in results.labels
            and results.footer["samples"] == len(samples)
            and all(s.benchmark in known and s.implementation in results.labels for s in samples)
            and all(
                count.benchmark in known and count.implementation in results.labels
                for count in results.counts
            )
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not a {what}: {error}") from None
    if not sound:
        raise InputError(f"{path} is not a {what}: its lines do not belong together")
    return results
