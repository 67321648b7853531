"""Small inputs for the report, made by the same contracts as real ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

CLAUSES = [
    ("order.exact", "switch-ordering", "Switch ordering", "Control moves only at a switch"),
    ("order.self", "switch-ordering", "Switch ordering", "A switch to oneself returns at once"),
    (
        "dead.skip.parent",
        "dead-target-skipping",
        "Dead-target skipping",
        "A dead target is skipped",
    ),
    ("dead.skip.root", "dead-target-skipping", "Dead-target skipping", "Up to the root"),
]


def conformance_lines(
    module: str = "greenlet",
    version: str = "3.5.6",
    python: str = "3.13.0",
    outcomes: dict[str, str] | None = None,
) -> list[str]:
    """A conformance run in which every clause passes except those in `outcomes`."""
    outcomes = outcomes or {}
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
            "started": "2026-01-01T00:00:00+00:00",
        }
    ]
    for id_, chapter, chapter_title, title in CLAUSES:
        records.append(
            {
                "kind": "clause",
                "id": id_,
                "chapter": chapter,
                "chapter_title": chapter_title,
                "level": "MUST",
                "title": title,
                "text": f"The text of `{id_}`, with *emphasis*, <b>no markup</b> & a | bar.",
                "since": "0.1",
                "source": "documentation",
            }
        )
    counts: Counter[str] = Counter()
    for id_, chapter, _, _ in CLAUSES:
        outcome = outcomes.get(id_, "PASS")
        counts[outcome] += 1
        records.append(
            {
                "kind": "result",
                "clauses": [id_],
                "test": f"suite/test_{chapter.replace('-', '_')}.py::test_{id_.replace('.', '_')}",
                "outcome": outcome,
                "seconds": 0.003,
                "message": "" if outcome == "PASS" else f"assert log of <{id_}>",
                "reason": "a known reason" if outcome == "XFAIL" else "",
                "link": "",
            }
        )
    records.append({"kind": "footer", "counts": dict(counts), "seconds": 1.5})
    return [json.dumps(record) for record in records]


BENCHMARKS = [
    ("floor.empty_loop", "floor", "Floor", "an empty loop", "ns per turn", False),
    ("switch.round_trip", "switch", "Switching", "round trip", "ns per round trip", True),
    ("switch.ring_10", "switch", "Switching", "ring of 10", "ns per switch", False),
    ("memory.suspended", "memory", "Memory", "a suspended greenlet", "bytes per greenlet", True),
]

SPEEDUP = {
    "floor.empty_loop": 1.0,
    "switch.round_trip": 8.0,
    "switch.ring_10": 2.0,
    "memory.suspended": 0.5,
}


def bench_lines(crashed: str | None = None, pairs: int = 8) -> list[str]:
    """A result in which `fast` is `SPEEDUP` times as fast as `greenlet`, give or take 2%.

    `crashed` is a benchmark that crashes in `fast`.
    """
    records: list[dict[str, Any]] = [
        {
            "kind": "header",
            "schema": 2,
            "tool": "greenlet-bench 0",
            "started": "2026-01-01T00:00:00+00:00",
            "machine": {
                "cpu": "Imaginary CPU",
                "cpus": 2,
                "machine": "x86_64",
                "system": "Linux",
                "kernel": "6.0",
                "memory_bytes": 2**34,
                "governor": None,
                "transparent_hugepage": "always [madvise] never",
                "randomize_va_space": "2",
            },
            "python": {
                "implementation": "CPython",
                "version": "3.13.0",
                "build": "main",
                "compiler": "GCC 12",
                "cflags": "-DNDEBUG -O3",
                "lto_pgo": [],
                "debug": False,
                "free_threaded": False,
            },
            "commit": "abc",
            "settings": {
                "rounds": pairs // 2,
                "seconds": 0.01,
                "population": 1000,
                "timeout": 60,
                "cpu": 1,
            },
            "baseline": "greenlet",
            "implementations": [
                {"label": "fast", "module": "fast", "version": "0.1"},
                {"label": "greenlet", "module": "greenlet", "version": "3.5.6"},
            ],
        }
    ]
    for id_, suite, suite_title, title, unit, headline in BENCHMARKS:
        records.append(
            {
                "kind": "benchmark",
                "id": id_,
                "suite": suite,
                "suite_title": suite_title,
                "title": title,
                "unit": unit,
                "headline": headline,
                "series": None,
                "size": None,
                "axis": None,
            }
        )
    samples = []
    for id_, *_ in BENCHMARKS:
        for label in ("fast", "greenlet"):
            for pair in range(pairs):
                base = 400.0 * (1 + 0.02 * (pair % 3 - 1) * (label == "fast"))
                value = base / SPEEDUP[id_] if label == "fast" else base
                dead = id_ == crashed and label == "fast"
                if dead and pair:
                    continue
                samples.append(
                    {
                        "kind": "sample",
                        "benchmark": id_,
                        "implementation": label,
                        "pair": pair,
                        "hash_seed": pair + 1,
                        "outcome": "CRASH" if dead else "OK",
                        "operations": 1000,
                        "values": [] if dead else [value * 1.1, value],
                        "dropped": [] if dead else [value * 3],
                        "message": "killed by SIGSEGV" if dead else "",
                    }
                )
    records += samples
    records.append({"kind": "footer", "samples": len(samples), "seconds": 12.5})
    return [json.dumps(record) for record in records]


def write_lines(path: Path, lines: list[str]) -> Path:
    """Write a file of lines and return its path."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
