"""A list of mutations in TOML: for sources in a language that is not taken apart here.

    [[mutation]]
    name = "dead-not-skipped"
    file = "transfer.c"
    old = "the exact text, which must be in the file once"
    new = "what stands there instead"
    why = "what somebody would have got wrong"
    after = "text"          # optional: the old text is the first one behind this
    python = ">=3.13"       # optional: versions that compile it

A text that is not there any more, or is there twice, makes the list wrong: ListError.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from mutants import toml
from mutants.mutation import Mutation

_KEYS = {"name", "file", "old", "new", "why"}


class ListError(Exception):
    """The list does not fit the sources; a line for each entry that is wrong."""


def read(path: Path, target: str, source: Path) -> list[Mutation]:
    """The mutations; those that do not concern this Python are marked so. Raises ListError."""
    mutations: list[Mutation] = []
    errors: list[str] = []
    for entry in toml.read(path).get("mutation", []):
        name = entry.get("name", "?")
        try:
            mutation = _mutation(entry, target, source)
        except (KeyError, ValueError, OSError) as error:
            errors.append(f"{path.name}: {name}: {error}")
            continue
        if any(m.where == name for m in mutations):
            errors.append(f"{path.name}: {name}: there are two of this name")
        mutations.append(mutation)
    if errors:
        raise ListError("\n".join(errors))
    return sorted(mutations, key=lambda m: (m.file, m.start))


def _mutation(entry: dict[str, Any], target: str, source: Path) -> Mutation:
    odd = (set(entry) - {"python", "after"}) ^ _KEYS
    if odd:
        raise ValueError(f"has to have {', '.join(sorted(_KEYS))}; see {', '.join(sorted(odd))}")
    old, new = entry["old"].strip("\n"), entry["new"].strip("\n")
    text = (source / entry["file"]).read_text(encoding="utf-8")
    behind = entry.get("after", "")
    for part in (behind, old):
        # Behind another text, the first one is meant.
        times = text.count(part) if part else 1
        if times == 0 or (times > 1 and not (part is old and behind)):
            raise ValueError(f"its text is in {entry['file']} {times} times, not once: {part!r}")
    start = text.find(old, text.index(behind))
    if start < 0:
        raise ValueError(f"its old text is not behind {behind!r}")
    if old == new:
        raise ValueError("changes nothing")
    versions = SpecifierSet(entry.get("python", ""), prereleases=True)
    return Mutation(
        target,
        entry["file"],
        text,
        start,
        start + len(old),
        new,
        entry["name"],
        entry["why"],
        platform.python_version() in versions,
    )
