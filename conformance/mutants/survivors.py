"""The kept list of mutants that no test kills, each with its reason.

    [[survivor]]
    target = "reference"
    where = "greenlet._start"               # the function, or the name in the list of mutations
    old = "the changed lines as they are"   # without indentation, on one line
    new = "and as they become"
    kind = "equivalent"
    reason = "..."

``old`` and ``new`` may be left out where ``where`` is enough, as it is for the list of mutations.
Kinds: ``equivalent``, no program behaves differently; ``unspecified``, a program may see it, and
the specification leaves it open; ``missed``, a program would be wrong, and no test shows it, which
counts against the suite. With ``sometimes = true`` a mutant may be killed as well, where chance
decides.

An entry that fits no mutation, or one that is killed, is stale: an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutants import toml
from mutants.mutation import Mutation

KINDS = ("equivalent", "unspecified", "missed")
_TEXTS = ("target", "where", "kind", "reason")
_OPTIONAL = ("old", "new", "sometimes")


class SurvivorsError(Exception):
    """The list is wrong; a line for each entry that is."""


@dataclasses.dataclass(frozen=True)
class Survivor:
    """An entry of the list: all mutations that look like this."""

    target: str
    where: str
    kind: str
    reason: str
    old: str | None = None
    new: str | None = None
    sometimes: bool = False

    def fits(self, mutation: Mutation) -> bool:
        """Whether this entry is about that mutation."""
        return (
            (self.target, self.where) == (mutation.target, mutation.where)
            and self.old in (None, mutation.before)
            and self.new in (None, mutation.after)
        )


def read(path: Path, mutations: Sequence[Mutation], targets: Sequence[str]) -> list[Survivor]:
    """The entries about these targets, of which these are all mutations. Raises SurvivorsError."""
    survivors: list[Survivor] = []
    errors: list[str] = []
    for number, entry in enumerate(toml.read(path).get("survivor", []), 1):
        mistake = _mistake(entry)
        if mistake is None and entry["target"] in targets:
            survivor = Survivor(**entry)
            like_this = {(m.before, m.after) for m in mutations if survivor.fits(m)}
            if not like_this:
                mistake = f"stale, no mutation of {survivor.where} is like this: {survivor.new}"
            elif len(like_this) > 1:
                mistake = f"{len(like_this)} mutations of {survivor.where} fit; say old and new"
            elif survivor in survivors:
                mistake = "is there twice"
            survivors.append(survivor)
        if mistake is not None:
            errors.append(f"{path.name}: entry {number}: {mistake}")
    if errors:
        raise SurvivorsError("\n".join(errors))
    return survivors


def _mistake(entry: dict[str, Any]) -> str | None:
    odd = (set(entry) - set(_OPTIONAL)) ^ set(_TEXTS)
    if odd:
        return f"has to have {', '.join(_TEXTS)}; see {', '.join(sorted(odd))}"
    if not all(isinstance(entry.get(key, ""), str) for key in (*_TEXTS, "old", "new")):
        return "all but sometimes are texts"
    if not entry["reason"].strip():
        return "gives no reason"
    if entry["kind"] not in KINDS:
        return f"kind {entry['kind']!r} is none of {', '.join(KINDS)}"
    return None


def entry_for(survivors: Sequence[Survivor], mutation: Mutation) -> Survivor | None:
    """The entry about a mutation, or None."""
    return next((s for s in survivors if s.fits(mutation)), None)
