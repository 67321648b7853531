"""Reads the specification: Markdown chapters that hold clauses.

A chapter is a file ``spec/<slug>.md``. ``spec/index.md`` links every chapter and so
gives their order. Inside a chapter, a clause is a third-level heading with the id and
the title, a definition line, and prose up to the next heading::

    # Dead-target skipping

    Prose for the reader.

    ### dead.skip.parent: a dead target passes the switch to its parent

    MUST · since 0.1 · source: documentation, "Switching To Dead Greenlets"

    The text of the clause, as many paragraphs as it needs.

``index.md`` also names features: what an implementation may lack as a whole. A section
``## Features`` has a table whose rows give a name and, between backticks, globs of clauses.

Ids are words, never positions, and are never reused. The parser is strict: whatever it
does not understand is an error that names the file and the line, because a clause that
is silently dropped is a rule that nobody keeps.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from greenlet_conformance import spec_folder

LEVELS = ("MUST", "SHOULD", "MAY")

#: How the message about a clause ends that no test holds an implementation to.
HAS_NO_TEST = "has no test"

_HEADING = re.compile(r"(?P<marks>#{1,6})\s+(?P<text>.+?)\s*$")
_CLAUSE = re.compile(r"(?P<id>[a-z][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+): (?P<title>\S.*)$")
_DEFINITION = re.compile(r"(?P<level>\w+) · since (?P<since>\d[\w.]*) · source: (?P<source>\S.*)$")
_CHAPTER_LINK = re.compile(r"\]\((?P<slug>[a-z0-9-]+)\.md\)")
_FEATURE = re.compile(r"\|\s*(?P<name>[a-z][a-z-]*)\s*\|(?P<globs>[^|]*`[^|]*)\|")
_FENCE = re.compile(r"\s*(```|~~~)")


class SpecError(Exception):
    """The specification cannot be read; the message has one line for each mistake."""


class UnknownClauseError(LookupError):
    """No clause has this id, or matches this pattern; the message names near ones."""


@dataclasses.dataclass(frozen=True)
class Clause:
    """One rule. ``source`` says where it comes from, ``since`` the first release that had it."""

    id: str
    title: str
    level: str
    since: str
    source: str
    text: str
    chapter: str
    chapter_title: str


@dataclasses.dataclass(frozen=True)
class Chapter:
    """One file of the specification; ``slug`` is its name without ``.md``."""

    slug: str
    title: str
    clauses: tuple[Clause, ...]

    @property
    def test_file(self) -> str:
        """The name of the file of the suite that mirrors this chapter."""
        return f"test_{self.slug.replace('-', '_')}.py"


@dataclasses.dataclass(frozen=True)
class Spec:
    """All chapters, in reading order, and the features, each with its globs of clauses."""

    chapters: tuple[Chapter, ...]
    features: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def clauses(self) -> dict[str, Clause]:
        """Every clause by its id, in reading order."""
        return {c.id: c for chapter in self.chapters for c in chapter.clauses}

    def select(self, patterns: Sequence[str]) -> list[Clause]:
        """The clauses that match any of the globs, in reading order; all, if there are none.

        Raises UnknownClauseError for a glob that matches nothing.
        """
        clauses = self.clauses
        if not patterns:
            return list(clauses.values())
        for pattern in patterns:
            if not fnmatch.filter(clauses, pattern):
                raise UnknownClauseError(self._unknown(pattern))
        return [c for c in clauses.values() if any(fnmatch.fnmatchcase(c.id, p) for p in patterns)]

    def of_feature(self, name: str) -> list[Clause]:
        """The clauses of a feature, in reading order. Raises UnknownClauseError."""
        if name not in self.features:
            known = ", ".join(self.features)
            raise UnknownClauseError(f"no feature is called {name!r}; there are {known}")
        return self.select(self.features[name])

    def find(self, clause_id: str) -> Clause:
        """The clause of this id. Raises UnknownClauseError."""
        try:
            return self.clauses[clause_id]
        except KeyError:
            raise UnknownClauseError(self._unknown(clause_id)) from None

    def _unknown(self, pattern: str) -> str:
        ids = list(self.clauses)
        words = [w for w in re.split(r"[^a-z0-9]+", pattern.lower()) if len(w) > 2]
        groups = {f"{i.rpartition('.')[0]}.*": None for i in ids}
        near = difflib.get_close_matches(pattern, [*groups, *ids], n=4, cutoff=0.6)
        near += [i for i in ids if i not in near and any(w in i for w in words)]
        hint = f"near matches: {', '.join(near[:6])}" if near else "`list` shows all clauses"
        return f"no clause matches {pattern!r}; {hint}"


def load(folder: Path | None = None) -> Spec:
    """Reads the chapters that ``folder/index.md`` links.

    Raises SpecError, which lists every mistake with its file and line.
    """
    folder = folder or spec_folder()
    index = folder / "index.md"
    if not index.is_file():
        raise SpecError(f"{index}: missing; it must link the chapters in reading order")
    text = index.read_text(encoding="utf-8")
    slugs = _CHAPTER_LINK.findall(text)
    missing = [s for s in slugs if not (folder / f"{s}.md").is_file()]
    unlinked = sorted({p.stem for p in folder.glob("*.md")} - {"index", *slugs})
    errors = [f"{index}: links {s}.md twice" for s in dict.fromkeys(slugs) if slugs.count(s) > 1]
    errors += [f"{index}: links {s}.md, which does not exist" for s in missing]
    errors += [f"{folder / s}.md: not linked from index.md" for s in unlinked]
    chapters = [
        _parse_chapter(folder / f"{s}.md", errors) for s in dict.fromkeys(slugs) if s not in missing
    ]
    errors += _duplicates(chapters)
    book = Spec(tuple(chapters), _features(text))
    errors += [
        f"{index}: feature {name!r}: no clause matches {glob!r}"
        for name, globs in book.features.items()
        for glob in globs
        if not fnmatch.filter(book.clauses, glob)
    ]
    if errors:
        raise SpecError("\n".join(errors))
    return book


def chapter_file(slug: str) -> Path:
    """Where a chapter of the specification is."""
    return spec_folder() / f"{slug}.md"


def _features(index: str) -> dict[str, tuple[str, ...]]:
    body = next((s.body for s in _sections(index) if s.heading == "Features"), [])
    rows = filter(None, map(_FEATURE.match, body))
    return {row["name"]: tuple(re.findall(r"`([^`]+)`", row["globs"])) for row in rows}


def _duplicates(chapters: Iterable[Chapter]) -> list[str]:
    first: dict[str, str] = {}
    errors = []
    for chapter in chapters:
        for clause in chapter.clauses:
            if clause.id in first:
                errors.append(
                    f"{chapter.slug}.md: clause id {clause.id!r} is used twice"
                    f" (first in {first[clause.id]}.md)"
                )
            first.setdefault(clause.id, chapter.slug)
    return errors


@dataclasses.dataclass
class _Section:
    """A heading with the lines under it; code fences are not searched for headings."""

    line: int
    depth: int
    heading: str
    body: list[str]


def _sections(text: str) -> list[_Section]:
    sections: list[_Section] = []
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading:
            sections.append(_Section(number, len(heading["marks"]), heading["text"], []))
        elif sections:
            sections[-1].body.append(line)
    return sections


def _parse_chapter(path: Path, errors: list[str]) -> Chapter:
    """Reads one chapter; appends what is wrong with it to ``errors``."""
    sections = _sections(path.read_text(encoding="utf-8"))
    if not sections or sections[0].depth != 1:
        errors.append(f"{path}:1: a chapter begins with `# Its title`")
        return Chapter(path.stem, path.stem, ())
    title = sections[0].heading
    errors += [f"{path}:{s.line}: a second chapter title" for s in sections[1:] if s.depth == 1]
    clauses = []
    for section in sections:
        if section.depth >= 3:
            clause = _parse_clause(path, title, section, errors)
            if clause:
                clauses.append(clause)
    if not clauses and not errors:
        errors.append(f"{path}:1: a chapter without clauses")
    return Chapter(path.stem, title, tuple(clauses))


def _parse_clause(path: Path, title: str, section: _Section, errors: list[str]) -> Clause | None:
    heading = _CLAUSE.match(section.heading)
    if section.depth != 3 or not heading:
        errors.append(
            f"{path}:{section.line}: expected `### clause.id: title`, found {section.heading!r}"
        )
        return None
    where = f"{path}:{section.line}: clause {heading['id']!r}"
    lines = "\n".join(section.body).strip().splitlines()
    definition = _DEFINITION.match(lines[0]) if lines else None
    if not definition:
        errors.append(
            f"{where}: the line after the heading must read"
            " `MUST · since 0.1 · source: where it comes from`"
        )
        return None
    if definition["level"] not in LEVELS:
        errors.append(f"{where}: level {definition['level']!r} is not one of {', '.join(LEVELS)}")
    text = "\n".join(lines[1:]).strip()
    if not text:
        errors.append(f"{where}: has no text")
    return Clause(
        id=heading["id"],
        title=heading["title"],
        level=definition["level"],
        since=definition["since"],
        source=definition["source"],
        text=text,
        chapter=path.stem,
        chapter_title=title,
    )
