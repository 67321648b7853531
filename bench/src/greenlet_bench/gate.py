"""The gate: whether an implementation is as fast as thresholds.toml says.

A threshold is a bound on a ratio, a value or a count. Noise must not close the gate, and must not
open it for good either, so a row fails only if its whole 95% interval is on the wrong side of the
bound. A row without an interval, because it is missing, failed or was measured in too few pairs, is
no pass: it has a verdict of its own. thresholds.toml explains the file.

An interval knows the noise within its run, not that a neighbour had the cache, or the processor a
low clock, for as long as a row was measured. So what looks like a regression is measured again,
with as much time as in a full run, and is one if it looks like one each time (`doubtful`,
`revise`). Counts of instructions have no such noise and are not counted again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greenlet_bench import table
from greenlet_bench.errors import (
    EXIT_MISSING,
    EXIT_OK,
    EXIT_REGRESSION,
    InputError,
    NotComparableError,
)
from greenlet_bench.formats import Section, Table
from greenlet_bench.results import OK, Results
from greenlet_bench.stats import Ratio, bootstrap
from greenlet_bench.summary import Row, summarise

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT = Path(__file__).parent / "thresholds.toml"

COUNTS = ("instructions", "share")
"""The kinds that need instructions to be counted."""
KINDS = ("speedup", "value", "multiple", *COUNTS)

REPEATS = 2
"""How many more times a row is measured that looks like a regression."""

PASS = "pass"
REGRESSION = "REGRESSION"
MISSING = "MISSING"


@dataclass(frozen=True)
class Threshold:
    """One bound, as thresholds.toml describes it, for one version of Python."""

    benchmark: str
    kind: str
    """One of KINDS."""
    bound: float
    reason: str
    of: str | None = None
    """The other row of a `multiple`."""
    population: int | None = None

    @property
    def benchmarks(self) -> list[str]:
        """The rows that it needs."""
        return [self.benchmark, *([self.of] if self.of else [])]

    @property
    def words(self) -> str:
        """Such as `at least 8x`."""
        if self.kind == "speedup":
            return f"at least {self.bound:g}x"
        return (
            f"at most {self.bound:g}"
            + {
                "multiple": f"x {self.of}",
                "share": " of the baseline's instructions",
                "instructions": " instructions",
                "value": "",
            }[self.kind]
        )


def _version(text: str) -> tuple[int, int]:
    """Major and minor of a version. Raises ValueError."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a version of Python, such as '3.12'")
    return int(found[1]), int(found[2])


def _bound(kind: str, value: object, python: str) -> float | None:
    """The bound for a version; None if there is none for it. Raises ValueError."""
    by_version = value if isinstance(value, dict) else {"0.0": value}
    bounds = {}
    for version, bound in by_version.items():
        # NaN is neither above nor below anything, and no row could fail it.
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 < bound < 1e300:
            raise ValueError(f"{kind} is a number above 0, or a table of them by version")
        bounds[_version(version)] = float(bound)
    since = [version for version in bounds if version <= _version(python)]
    return bounds[max(since)] if since else None


def _threshold(entry: Any, python: str) -> Threshold | None:
    """None if it is not for that version. Raises ValueError, saying what is wrong."""
    known = {"benchmark", "reason", "of", "population", *KINDS}
    if not isinstance(entry, dict):
        raise ValueError("it is no table")
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not known")
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise ValueError(f"it needs one of {', '.join(KINDS)}")
    for name in ("benchmark", "reason"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"it needs a {name}")
    (kind,) = kinds
    if (kind == "multiple") != ("of" in entry):
        raise ValueError("multiple and of belong together")
    if not isinstance(entry.get("of", ""), str):
        raise ValueError("of is the id of a benchmark")
    if not isinstance(entry.get("population", 1), int):
        raise ValueError("population is a number of greenlets")
    bound = _bound(kind, entry[kind], python)
    rest = (" ".join(entry["reason"].split()), entry.get("of"), entry.get("population"))
    return None if bound is None else Threshold(entry["benchmark"], kind, bound, *rest)


def read(path: Path, python: str) -> list[Threshold]:
    """The thresholds of a file that are for a version of Python.

    Raises InputError, naming the entry, if one makes no sense, or if none is for that version.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the thresholds {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the thresholds {path} are not TOML: {error}") from None
    entries = content.get("threshold")
    if not isinstance(entries, list) or not entries or content.keys() != {"threshold"}:
        raise InputError(f"the thresholds {path} are a list of [[threshold]], and nothing else")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_threshold(entry, python))
        except ValueError as error:
            raise InputError(f"{path}, threshold {number}: {error}") from None
    kept = [threshold for threshold in found if threshold is not None]
    if not kept:
        raise InputError(f"no threshold of {path} is for Python {python}")
    return kept


@dataclass(frozen=True)
class Judgement:
    """What became of one threshold."""

    threshold: Threshold
    title: str
    verdict: str
    measured: str
    """The value with its interval, or why there is none."""
    off: float = 0.0
    """How far the nearest end of the interval is beyond the bound, as a fraction of it."""
    earlier: tuple[str, ...] = ()
    """What it was in measurements that were repeated since."""


def _judge(threshold: Threshold, results: Results, label: str, rows: dict[str, Row]) -> Judgement:
    missing = [id_ for id_ in threshold.benchmarks if id_ not in rows]
    if missing:
        return Judgement(threshold, threshold.benchmark, MISSING, f"{missing[0]} was not measured")
    row = rows[threshold.benchmark]

    def verdict(ratio: Ratio, show: Callable[[float], str]) -> Judgement:
        value = show(ratio.value)
        if ratio.low is None or ratio.high is None:
            few = f"{value}, but {ratio.pairs} pairs are too few for an interval"
            return Judgement(threshold, row.title, MISSING, few)
        nearest, bound = ratio.low, threshold.bound
        if threshold.kind == "speedup":
            nearest = ratio.high
        off = (bound - nearest if threshold.kind == "speedup" else nearest - bound) / bound
        told = f"{value} [{show(ratio.low)}, {show(ratio.high)}]"
        return Judgement(threshold, row.title, REGRESSION if off > 0 else PASS, told, off)

    def exact(value: float, told: str) -> Judgement:
        off = (value - threshold.bound) / threshold.bound
        return Judgement(threshold, row.title, REGRESSION if off > 0 else PASS, told, off)

    if threshold.kind in COUNTS:
        counts = {(c.benchmark, c.implementation): c.per_operation for c in results.counts}
        own, base = (counts.get((row.id, name)) for name in (label, results.baseline))
        if not own or (threshold.kind == "share" and not base):
            return Judgement(threshold, row.title, MISSING, "its instructions were not counted")
        if threshold.kind == "share" and base:
            return exact(own / base, f"{own / base:.4f}")
        return exact(own, f"{own:,.1f}")

    needed = [(id_, label) for id_ in threshold.benchmarks]
    if threshold.kind == "speedup":
        needed.append((row.id, results.baseline))
    for id_, name in needed:
        cell = rows[id_].cells[name]
        if cell.outcome != OK:
            return Judgement(threshold, row.title, MISSING, f"{cell.outcome} of {id_}, {name}")
    population = results.header["settings"]["population"]
    if threshold.population not in (None, population):
        told = f"measured with {population:,} greenlets, not {threshold.population:,}"
        return Judgement(threshold, row.title, MISSING, told)
    own_minima = row.cells[label].minima
    if threshold.kind == "speedup":
        return verdict(row.ratios[label], table.times)
    if threshold.kind == "multiple":
        others = rows[str(threshold.of)].cells[label].minima
        pairs = sorted(own_minima.keys() & others.keys())
        return verdict(bootstrap([own_minima[p] / others[p] for p in pairs]), table.times)
    return verdict(bootstrap(list(own_minima.values())), table.number)


def judge(results: Results, thresholds: Sequence[Threshold], label: str) -> list[Judgement]:
    """Hold an implementation of a result to thresholds.

    Raises InputError if the result does not have that implementation beside a baseline, and
    NotComparableError if suites shared a process, where some rows make others many times slower.
    """
    if label not in results.labels:
        raise InputError(
            f"the result has no implementation {label}; it has {', '.join(results.labels)}"
        )
    if label == results.baseline:
        raise InputError(f"{label} is the result's baseline: gate what is compared to it")
    if results.header["settings"].get("quick"):
        raise NotComparableError(
            "thresholds are for suites in processes of their own, and this is a result of"
            " run --quick: run without it, or gate without --bench"
        )
    rows = {row.id: row for group in summarise(results) for row in group.rows}
    return [_judge(threshold, results, label, rows) for threshold in thresholds]


def doubtful(judgements: Sequence[Judgement]) -> list[Threshold]:
    """The thresholds to measure again: regressions that noise can have made."""
    return [
        one.threshold
        for one in judgements
        if one.verdict == REGRESSION and one.threshold.kind not in COUNTS
    ]


def revise(judgements: Sequence[Judgement], again: Sequence[Judgement]) -> list[Judgement]:
    """The judgements, where the later ones take the places of those of the same thresholds."""
    later = {one.threshold: one for one in again}
    return [
        replace(later[one.threshold], earlier=(*one.earlier, one.measured))
        if one.threshold in later
        else one
        for one in judgements
    ]


def build(judgements: Sequence[Judgement], label: str) -> Table:
    """The judgements as a table, with a line for each that is no pass, or was not at first."""
    rows = [[j.title, j.threshold.words, j.measured, j.verdict] for j in judgements]
    notes = []
    for one in judgements:
        what = f"{one.verdict} {one.threshold.benchmark}: {one.measured}"
        if one.earlier:
            what += f", measured again after {' and '.join(one.earlier)}"
        bound = f"{one.threshold.words} is asked for. {one.threshold.reason}"
        if one.verdict == REGRESSION:
            notes.append(f"{what}, {one.off:.1%} off: {bound}")
        elif one.verdict == MISSING:
            notes.append(f"{what}; {bound}")
        elif one.earlier:
            notes.append(what)
    records: list[dict[str, object]] = [
        {
            "benchmark": j.threshold.benchmark,
            "kind": j.threshold.kind,
            "bound": j.threshold.bound,
            "measured": j.measured,
            "verdict": j.verdict,
            "off": j.off,
            "earlier": list(j.earlier),
        }
        for j in judgements
    ]
    heads = ["threshold", "asked for", "measured", "verdict"]
    return Table(heads, [Section(f"The gate of {label}", rows)], notes, records)


def exit_code(judgements: Sequence[Judgement]) -> int:
    """A regression counts more than a row that is missing."""
    verdicts = {judgement.verdict for judgement in judgements}
    if REGRESSION in verdicts:
        return EXIT_REGRESSION
    return EXIT_MISSING if MISSING in verdicts else EXIT_OK
