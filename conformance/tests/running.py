"""Starts the suite in a process of its own, and reads what came out."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).resolve().parent


@dataclasses.dataclass
class Ran:
    """A finished run of the command."""

    code: int
    out: str
    err: str
    records: list[dict[str, object]]

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each test by its short name."""
        results = [r for r in self.records if r["kind"] == "result"]
        return {str(r["test"]).rpartition("::")[2]: str(r["outcome"]) for r in results}

    @property
    def failed_clauses(self) -> set[str]:
        """The clauses that have a test which did not pass."""
        outcomes = defaultdict(set)
        for record in self.records:
            if record["kind"] == "result":
                for clause in record["clauses"]:  # type: ignore[attr-defined]
                    outcomes[clause].add(record["outcome"])
        return {c for c, found in outcomes.items() if found - {"PASS"}}


def selecting(clauses: Iterable[str]) -> list[str]:
    """The options that select these clauses."""
    return [f"--clause={clause}" for clause in sorted(clauses)]


#: The names of upstream, for an implementation that a test makes up.
UPSTREAM = "from greenlet import GreenletExit, error, getcurrent, gettrace, greenlet, settrace\n"


def module(folder: Path, text: str) -> dict[str, str]:
    """Writes the module ``made_up``; answers the environment in which it can be imported."""
    folder.mkdir(exist_ok=True)
    (folder / "made_up.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(TESTS)])}


def start(command: list[str], cwd: Path, jsonl: Path | None = None, **environment: str) -> Ran:
    """Runs a command with the modules of this folder importable."""
    env = {**os.environ, "PYTHONPATH": str(TESTS), "NO_COLOR": "1", **environment}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=300,
    )
    lines = jsonl.read_text(encoding="utf-8").splitlines() if jsonl and jsonl.exists() else []
    return Ran(done.returncode, done.stdout, done.stderr, [json.loads(line) for line in lines])
