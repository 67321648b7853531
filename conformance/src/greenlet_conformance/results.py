"""The JSON lines that a run leaves: schema 1.

A header, then the clauses that were selected, then one line a test as it ends, then a
footer. The footer is written only when every selected test has a result, so that a file
without it is a truncated run, and a truncated run is never a pass.
"""

from __future__ import annotations

import datetime
import json
import platform
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from greenlet_conformance.implementation import Facts
from greenlet_conformance.spec import Clause

SCHEMA = 1

#: Best to worst; a clause has the worst outcome of its tests.
OUTCOMES = ("PASS", "UNSUPPORTED", "XFAIL", "XPASS", "FAIL", "TIMEOUT", "CRASH")

#: The outcomes of a run in which all is as expected.
EXPECTED = ("PASS", "UNSUPPORTED", "XFAIL")


class ResultsError(Exception):
    """The file is not the result of a whole run; the message is one line."""


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
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
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
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def counts(path: Path) -> dict[str, int]:
    """How many tests had each outcome in a whole run.

    Raises ResultsError if the file is missing, is not of this schema, lacks its footer,
    or has a footer that does not agree with its lines.
    """
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: {error}") from None
    if not records or records[0].get("kind") != "header" or records[0].get("schema") != SCHEMA:
        raise ResultsError(f"{path}: does not begin with a header of schema {SCHEMA}")
    if records[-1].get("kind") != "footer":
        raise ResultsError(f"{path}: has no footer: the run was cut short, and is no pass")
    counted = Counter(r["outcome"] for r in records if r["kind"] == "result")
    if dict(counted) != records[-1]["counts"] or not counted:
        raise ResultsError(f"{path}: the footer does not agree with the results")
    return dict(counted)
