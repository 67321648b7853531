"""The parser of the specification, and the specification itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlet_conformance import SUITE, spec

CHAPTER = """# A chapter

Prose.

## A section

### one.two: a title

MUST · since 0.1 · source: somewhere

The text.

```python
### no.heading: in code
```

### one.three: another title

MAY · since 2.0a1 · source: elsewhere, "In quotes"

More text.
"""


def write(folder: Path, chapter: str = CHAPTER, index: str = "[A](a-b.md)") -> Path:
    """A specification of one chapter."""
    (folder / "index.md").write_text(index, encoding="utf-8")
    (folder / "a-b.md").write_text(chapter, encoding="utf-8")
    return folder


def test_good_chapter(tmp_path: Path) -> None:
    """Everything that a clause says is read."""
    book = spec.load(write(tmp_path))
    (chapter,) = book.chapters
    assert (chapter.slug, chapter.title, chapter.test_file) == ("a-b", "A chapter", "test_a_b.py")
    first, second = chapter.clauses
    assert (first.id, first.title, first.level) == ("one.two", "a title", "MUST")
    assert (first.since, first.source) == ("0.1", "somewhere")
    assert first.text == "The text.\n\n```python\n### no.heading: in code\n```"
    assert (second.id, second.since, second.level) == ("one.three", "2.0a1", "MAY")
    assert second.chapter_title == "A chapter"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("one.three", "one.two", "clause id 'one.two' is used twice"),
        ("MUST · ", "", "clause 'one.two': the line after the heading must read"),
        ("MUST · ", "WILL · ", "level 'WILL' is not one of MUST, SHOULD, MAY"),
        ("since 0.1", "sometime", "the line after the heading must read"),
        ("source: somewhere", "", "the line after the heading must read"),
        ("### one.two: a title", "### one.two", "expected `### clause.id: title`"),
        ("### one.two: a title", "### One.Two: a title", "a-b.md:7: expected"),
        ("### one.two: a title", "### two: a title", "expected `### clause.id: title`"),
        ("### one.two: a title", "#### one.two: a title", "expected `### clause.id: title`"),
        ("More text.", "", "clause 'one.three': has no text"),
        ("# A chapter\n", "", "a chapter begins with `# Its title`"),
        ("## A section", "# A section", "a-b.md:5: a second chapter title"),
    ],
)
def test_wrong_chapter(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Each mistake is an error that says where and what."""
    assert old in CHAPTER
    with pytest.raises(spec.SpecError) as caught:
        spec.load(write(tmp_path, CHAPTER.replace(old, new, 1)))
    assert says in str(caught.value)
    assert "a-b.md" in str(caught.value)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("nothing", "a-b.md: not linked from index.md"),
        ("[A](a-b.md) [B](b.md)", "links b.md, which does not exist"),
        ("[A](a-b.md) [again](a-b.md)", "links a-b.md twice"),
    ],
)
def test_wrong_index(tmp_path: Path, index: str, says: str) -> None:
    """The index links every chapter once."""
    with pytest.raises(spec.SpecError) as caught:
        spec.load(write(tmp_path, index=index))
    assert says in str(caught.value)


def test_features(tmp_path: Path) -> None:
    """A table of the index gives each feature its globs, of which each must match a clause."""
    table = "[A](a-b.md)\n\n## Features\n\n| feature | clauses |\n|---|---|\n| one | GLOBS |\n"
    book = spec.load(write(tmp_path, index=table.replace("GLOBS", "`one.*` `*.two`")))
    assert book.features == {"one": ("one.*", "*.two")}
    assert [c.id for c in book.of_feature("one")] == ["one.two", "one.three"]
    with pytest.raises(spec.UnknownClauseError, match=r"there are one$"):
        book.of_feature("two")
    with pytest.raises(spec.SpecError, match=r"feature 'one': no clause matches 'c\.\*'"):
        spec.load(write(tmp_path, index=table.replace("GLOBS", "`c.*`")))


def test_no_index(tmp_path: Path) -> None:
    """A folder without an index is no specification."""
    with pytest.raises(spec.SpecError, match=r"index\.md: missing"):
        spec.load(tmp_path)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """The error lists every mistake, not the first one."""
    text = CHAPTER.replace("MUST", "WILL").replace("More text.", "")
    with pytest.raises(spec.SpecError) as caught:
        spec.load(write(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 2


def test_the_specification() -> None:
    """The specification parses; each chapter has its file in the suite, and no file is left."""
    book = spec.load()
    titles = {chapter.title for chapter in book.chapters}
    assert titles >= {
        "Switch ordering",
        "Dead-target skipping",
        "Parent resumption",
        "Cross-thread switch errors",
        "Arguments and results",
        "Throw",
    }
    files = {chapter.test_file for chapter in book.chapters}
    assert files == {path.name for path in SUITE.glob("test_*.py")}
    prefixes = [{c.id.partition(".")[0] for c in chapter.clauses} for chapter in book.chapters]
    assert all(len(prefix) == 1 for prefix in prefixes), "one first word a chapter"
    assert len(book.clauses) >= 80


def test_selection() -> None:
    """Patterns select in reading order; an unknown one is an error with near matches."""
    book = spec.load()
    ids = [c.id for c in book.select(["throw.self", "order.example"])]
    assert ids == ["order.example", "throw.self"]
    assert len(book.select([])) == len(book.clauses)
    with pytest.raises(spec.UnknownClauseError, match=r"near matches: throw\.self"):
        book.find("throw.slef")
    with pytest.raises(spec.UnknownClauseError, match="`list` shows all"):
        book.select(["zzz.*"])
