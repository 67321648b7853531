"""Plays programs by one implementation, one after the other: a process of its own.

``python -m greenlet_conformance.fuzz.player MODULE SECONDS`` reads one program a line from standard
input, as JSON, and answers each by one line of JSON. For each it forks, as the suite does for each
test, so that nothing is left for the next one.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from typing import IO

from greenlet_conformance import isolation


def main(module: str, seconds: float) -> None:
    """Answers until standard input ends."""
    importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(_play(json.loads(line), module, seconds)) + "\n")
        answers.flush()


def _play(text: str, module: str, seconds: float) -> dict[str, object]:
    with tempfile.TemporaryFile() as events:
        ended = isolation.run(lambda: _run(text, module, events), seconds)
        events.seek(0)
        found = events.read().decode(errors="replace").splitlines()
    if isinstance(ended, isolation.Died):
        return {"end": ended.kind, "message": ended.message, "events": found}
    return {"end": ended, "message": "", "events": found}


def _run(text: str, module: str, events: IO[bytes]) -> str:
    """In the child: what the script prints goes to the file; answers how it ended."""
    os.dup2(events.fileno(), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.argv = ["repro.py", module]
    try:
        exec(compile(text, "repro.py", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        return type(error).__name__
    return "end"


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
