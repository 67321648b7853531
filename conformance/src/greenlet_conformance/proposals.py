"""``greenlet-conformance update-expectations``: entries for what a run did not keep.

It proposes one entry for each clause of which all tests failed, and one for each other test that
failed. What it cannot know is why: ``reason`` and ``link`` are left empty, and an entry without
them is an error until a person has filled them in. Nor does it delete: for each test that passed
against expectation it names the entry, for a person to delete, or to put a condition on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from greenlet_conformance import expectations, implementation, providers, results
from greenlet_conformance.exits import AS_EXPECTED, FAILURES, BadOutputError
from greenlet_conformance.results import FAILED, Result, Run

SUMMARY = "propose entries for an implementation's file of expectations"

EXAMPLES = """
examples:
  greenlet-conformance run --impl greenlane --output greenlane.jsonl
  greenlet-conformance update-expectations --impl greenlane greenlane.jsonl
  greenlet-conformance update-expectations --impl greenlane greenlane.jsonl --write
"""


class MixedUpError(Exception):
    """The results are of another implementation; the message is one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help="what `run --output` wrote"
    )
    parser.add_argument(
        "--impl", default=implementation.DEFAULT, metavar="MODULE", help="default: %(default)s"
    )
    parser.add_argument(
        "--expectations",
        type=Path,
        metavar="FILE",
        help="the file (default: that of MODULE)",
    )
    parser.add_argument(
        "--write", action="store_true", help="append them to the file (default: print them)"
    )


def run(options: argparse.Namespace) -> int:
    """Proposes; answers 1 if there is something for a person to do.

    Raises results.ResultsError, MixedUpError, expectations.ExpectationsError,
    providers.ProviderError, and BadOutputError.
    """
    module = providers.module_of(options.impl)
    runs = [results.read(path) for path in dict.fromkeys(options.results)]
    for found in runs:
        tested = found.header["implementation"]["module"]
        if tested != module:
            raise MixedUpError(
                f"{found.path}: is of {tested}, not of {module}; say --impl {tested}"
            )
    file = options.expectations or expectations.path_for(module) or expectations.own_path(module)
    waiting = {
        (key, str(entry[key]))  # a proposed entry names one
        for entry in (expectations.parse(file) if file.exists() else [])
        for key in ("clause", "test")
        if key in entry and not entry.get("reason")
    }
    entries = [entry for entry in propose(runs) if (entry.key, entry.name) not in waiting]
    if waiting:
        print(f"{len(waiting)} entries of {file} still wait for a reason", file=sys.stderr)
    if entries and options.write:
        _append(file, entries)
        print(f"appended {len(entries)} entries to {file}; give each a reason and a link")
    elif entries:
        print("\n".join(entry.toml() for entry in entries), end="")
        print(f"{len(entries)} entries for {file}; --write appends them", file=sys.stderr)
    stale = [(r, found) for found in runs for r in found.results if r.outcome == "XPASS"]
    for result, found in stale:
        print(
            f"{result.test} passes in {found.path}: delete its entry in {file}, or give it a"
            f" condition ({result.reason})",
            file=sys.stderr,
        )
    if entries or stale or waiting:
        return FAILURES
    print(f"{file} needs no change")
    return AS_EXPECTED


@dataclasses.dataclass(frozen=True)
class Proposal:
    """An entry without a reason; ``key`` is "clause" or "test", ``notes`` say what was seen."""

    key: str
    name: str
    outcomes: tuple[str, ...]
    notes: tuple[str, ...]

    def toml(self) -> str:
        """The entry, which is an error as long as ``reason`` and ``link`` are empty."""
        # JSON's strings and lists of strings are TOML's, too.
        outcome = self.outcomes[0] if len(self.outcomes) == 1 else list(self.outcomes)
        return "".join(
            [
                *(f"# {note}\n" for note in self.notes),
                "[[expect]]\n",
                f"{self.key} = {json.dumps(self.name)}\n",
                f"outcome = {json.dumps(outcome)}\n",
                'reason = ""\n',
                'link = ""\n',
            ]
        )


def propose(runs: Sequence[Run]) -> list[Proposal]:
    """The entries that are missing, in the order in which the tests ran."""
    seen: dict[tuple[str, str], list[tuple[str, Result]]] = {}
    for run, label in zip(runs, results.labels(runs)):
        whole = [c for c in run.clauses if all(r.outcome in FAILED for r in run.of(c))]
        for result in run.results:
            if result.outcome in FAILED:
                clause = next((c for c in result.clauses if c in whole), None)
                key = ("clause", clause) if clause else ("test", result.test.partition("/")[2])
                seen.setdefault(key, []).append((label, result))
    return [
        Proposal(
            key,
            name,
            outcomes=tuple(o for o in FAILED if any(r.outcome == o for _, r in found)),
            notes=tuple(dict.fromkeys(f"{label}: {_says(r)}" for label, r in found)),
        )
        for (key, name), found in seen.items()
    ]


def _says(result: Result) -> str:
    """The line of a log that says most, in so many characters as a comment has room for."""
    lines = [line.strip() for line in result.message.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    text = (errors or lines or [""])[0]
    return "".join(c if c.isprintable() else "?" for c in text)[:90]


def _append(file: Path, entries: Sequence[Proposal]) -> None:
    """Adds the entries to the end of the file, which is made if it is missing."""
    try:
        before = file.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if file.exists() else ""
        file.write_text(before + "\n".join(e.toml() for e in entries), encoding="utf-8")
    except OSError as error:
        raise BadOutputError(f"--write: {file}: {error.strerror}") from None
