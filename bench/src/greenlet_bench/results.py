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
import re
from collections.abc import Callable
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
OUTCOMES = (OK, FAIL, CRASH, TIMEOUT, UNSUPPORTED)


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
    cut_short: bool = False
    """Whether the run ended before its time: samples are missing, and the footer is empty."""

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
    # Not splitlines(): strings in JSON may hold other characters that it takes for ends of lines.
    lines = text.removesuffix("\n").split("\n") if text else []
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
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


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def positive(value: object) -> bool:
    """Whether ratios can be made of it: it is not 0, no NaN and not infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e300


def _or_none(good: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or good(value)


def _version(value: object) -> bool:
    return isinstance(value, str) and re.match(r"\d+\.\d+", value) is not None


def _record(**fields: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and not _wrong(value, fields)


def _wrong(record: dict[str, Any], fields: dict[str, Callable[[object], bool]]) -> list[str]:
    """The fields that are missing, or not what they have to be."""
    return [name for name, good in fields.items() if name not in record or not good(record[name])]


def _implementations(value: object) -> bool:
    one = _record(label=_text, module=_text, version=_or_none(_text))
    return isinstance(value, list) and all(map(one, value))


_FIELDS: dict[str, dict[str, Callable[[object], bool]]] = {
    "header": {
        "machine": _record(),
        "python": _record(version=_version),
        "settings": _record(population=_whole),
        "baseline": _text,
        "implementations": _implementations,
    },
    "benchmark": {
        **dict.fromkeys(("id", "suite", "suite_title", "title", "unit"), _text),
        **dict.fromkeys(("series", "axis"), _or_none(_text)),
        "headline": lambda value: isinstance(value, bool),
        "size": _or_none(_whole),
    },
    "sample": {
        **dict.fromkeys(("benchmark", "implementation", "message"), _text),
        "pair": _whole,
        "outcome": lambda value: value in OUTCOMES,
        "values": lambda value: isinstance(value, list) and all(map(positive, value)),
    },
    "instructions": {
        **dict.fromkeys(("benchmark", "implementation", "message"), _text),
        "per_operation": _or_none(positive),
    },
    "footer": {"samples": _whole, "seconds": lambda value: value == 0 or positive(value)},
}
"""What summaries, comparisons and the gate rely on, by the kind of the line."""


def read(path: Path, *, cut_short: bool = False) -> Results:
    """Read a result file. Raises InputError if it is missing, garbled or cut short.

    With `cut_short`, a file that is cut short is read as far as it goes.
    """
    what = BENCH
    objects, cut = read_json_lines(path, what)
    cut |= objects[-1]["kind"] != "footer"
    if cut and not cut_short:
        raise InputError(
            f"{path} is cut short: it has no footer; greenlet-bench show tells what is in it"
        )
    for number, record in enumerate(objects, 1):
        kind = str(record["kind"])
        wrong = _wrong(record, _FIELDS.get(kind, {}))
        if wrong:
            raise InputError(
                f"{path}, line {number}: {wrong[0]!r} of this {kind} is missing or wrong"
            )

    def of_kind(kind: str) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in record.items() if name != "kind"}
            for record in objects
            if record["kind"] == kind
        ]

    try:
        results = Results(
            header=objects[0],
            benchmarks=of_kind("benchmark"),
            samples=[Sample(**record) for record in of_kind("sample")],
            footer={} if cut else objects[-1],
            counts=[Count(**record) for record in of_kind("instructions")],
            cut_short=cut,
        )
    except TypeError as error:
        raise InputError(f"{path} is not a {what}: {error}") from None
    if not _belongs_together(results):
        raise InputError(f"{path} is not a {what}: its lines do not belong together")
    return results


def _belongs_together(results: Results) -> bool:
    """Whether every line is of what others name, and none says again what another says."""
    known = [record["id"] for record in results.benchmarks]
    processes = [(s.benchmark, s.implementation, s.pair) for s in results.samples]
    lines: list[Sample | Count] = [*results.samples, *results.counts]
    return (
        results.baseline in results.labels
        and (results.cut_short or results.footer["samples"] == len(results.samples))
        and all(line.benchmark in known and line.implementation in results.labels for line in lines)
        and all(sample.values or sample.outcome != OK for sample in results.samples)
        and all(len(set(keys)) == len(keys) for keys in (results.labels, known, processes))
    )
