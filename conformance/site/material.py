"""What the pages are made of: the specification, the tests of each clause, the findings."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from greenlet_conformance import SUITE, spec

FINDINGS = Path(__file__).resolve().parent.parent / "findings"


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a file of the suite: a test function with its clauses, or what is between two."""

    code: str
    test: str = ""
    clauses: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Finding:
    """A program that shows where an implementation differs: its docstring, and the rest of it."""

    name: str
    title: str
    text: str
    code: str
    clauses: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """What leads to it on the page of findings."""
        return f"finding-{self.name.replace('_', '-')}"

    @property
    def plain_title(self) -> str:
        """The title without the backticks of Markdown."""
        return self.title.replace("`", "")


@dataclasses.dataclass(frozen=True)
class Material:
    """All of it. ``suite`` has the parts of each file, by its name without ``.py``."""

    book: spec.Spec
    suite: dict[str, list[Part]]
    findings: list[Finding]

    def tests_of(self, clause: str) -> list[tuple[str, str]]:
        """The tests that hold an implementation to a clause: file and function."""
        return [
            (file, part.test)
            for file, parts in self.suite.items()
            for part in parts
            if clause in part.clauses
        ]

    def features_of(self, clause: spec.Clause) -> list[str]:
        """The features that a clause belongs to."""
        return [name for name in self.book.features if clause in self.book.of_feature(name)]

    def findings_of(self, clause: str) -> list[Finding]:
        """The programs that show how an implementation differs from a clause."""
        return [finding for finding in self.findings if clause in finding.clauses]

    def needed_by_all(self) -> list[spec.Clause]:
        """The clauses that belong to no feature."""
        return [c for c in self.book.clauses.values() if not self.features_of(c)]


def load() -> Material:
    """Reads everything. Raises spec.SpecError."""
    book = spec.load()
    suite = {path.stem: parts(path) for path in sorted(SUITE.glob("test_*.py"))}
    return Material(book, suite, findings(FINDINGS, set(book.clauses)))


def parts(path: Path) -> list[Part]:
    """The parts of a file of the suite, in order. It is not imported."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    answer, done = [], 0
    for item in ast.parse(source).body:
        if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
            first = min([item.lineno, *(d.lineno for d in item.decorator_list)]) - 1
            answer.append(Part("\n".join(lines[done:first]).strip("\n")))
            done = item.end_lineno or first
            code = "\n".join(lines[first:done])
            answer.append(Part(code, item.name, tuple(_clauses_of(item))))
    answer.append(Part("\n".join(lines[done:]).strip("\n")))
    return [part for part in answer if part.code]


def _clauses_of(function: ast.FunctionDef) -> Iterator[str]:
    """The arguments of its decorators ``@clause(...)``."""
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "clause":
            yield from (ast.literal_eval(argument) for argument in call.args)


def findings(folder: Path, known: set[str]) -> list[Finding]:
    """The findings, in the order of the table in their README, which names their clauses."""
    readme = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\.py\]\(.*\) \| .* \| (.*) \|$", readme, re.M)
    answer = []
    for name, ids in rows:
        source = (folder / f"{name}.py").read_text(encoding="utf-8")
        _, docstring, code = source.split('"""', 2)
        title, _, text = docstring.strip().partition("\n\n")
        # Ids of clauses become code, and the extension makes links of that.
        text = re.sub(
            r"(?<![`\w.])[a-z-]+(\.[a-z-]+)+(?![\w`])",
            lambda m: f"`{m[0]}`" if m[0] in known else m[0],
            text,
        )
        clauses = tuple(re.findall(r"`([^`]+)`", ids))
        answer.append(Finding(name, title.rstrip("."), text, code.strip(), clauses))
    return answer
