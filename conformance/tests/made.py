"""Small result files by the published schema, with outcomes that a test asks for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

#: Clause, chapter and tests of the made runs.
TESTS = {
    "order.example": ["test_switch_ordering.py::test_example"],
    "order.self": [
        "test_switch_ordering.py::test_self[a]",
        "test_switch_ordering.py::test_self[b]",
    ],
    "throw.class": ["test_throw.py::test_class"],
}
MESSAGE = "E  assert <b>1</b> & 2 == 3\x1b[0m\n```\n| end"


def lines(
    outcomes: dict[str, str] | None = None,
    version: str = "1.0",
    module: str = "made",
    python: str = "3.13.0",
    clauses: tuple[str, ...] = tuple(TESTS),
) -> list[dict[str, Any]]:
    """The lines of a whole run; a test that ``outcomes`` does not name by its last part passes.

    An outcome like "XFAIL/CRASH" says what was actual, too.
    """
    records: list[dict[str, Any]] = [
        {
            "kind": "header",
            "schema": 1,
            "implementation": {"module": module, "version": version},
            "python": {
                "implementation": "CPython",
                "version": python,
                "build": "main",
                "debug": False,
                "free_threaded": False,
            },
            "platform": {"system": "Linux", "machine": "x86_64", "release": "6.0"},
            "suite": "0",
            "started": "2026-01-01T00:00:00+00:00",
        }
    ]
    for clause in clauses:
        chapter = TESTS[clause][0].partition(".")[0].removeprefix("test_").replace("_", "-")
        records.append(
            {
                "kind": "clause",
                "id": clause,
                "chapter": chapter,
                "chapter_title": chapter.replace("-", " ").capitalize(),
                "level": "MUST",
                "title": f"the title of {clause} | <i>",
                "text": f"The text of `{clause}`, with *emphasis* and <script>no markup</script>.",
                "since": "0.1",
                "source": "documentation & more",
            }
        )
    results = []
    for clause in clauses:
        for test in TESTS[clause]:
            said = (outcomes or {}).get(test.partition("::")[2], "PASS")
            outcome, _, actual = said.partition("/")
            actual = actual or {"XFAIL": "FAIL", "XPASS": "PASS"}.get(outcome, outcome)
            expected = outcome in ("XFAIL", "XPASS", "UNSUPPORTED")
            results.append(
                {
                    "kind": "result",
                    "clauses": [clause],
                    "test": f"suite/{test}",
                    "outcome": outcome,
                    "actual": actual,
                    "seconds": 0.5,
                    "message": "" if outcome == "PASS" else MESSAGE,
                    "reason": "a known <reason>" if expected else "",
                    "link": "https://example.org/?a=1&b=2" if expected else "",
                }
            )
    counts = Counter(r["outcome"] for r in results)
    return [*records, *results, {"kind": "footer", "counts": dict(counts), "seconds": 1.5}]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """Writes the lines; answers the path."""
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path
