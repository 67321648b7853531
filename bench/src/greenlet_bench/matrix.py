"""The matrix of conformance: clauses by chapter, one column for each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenlet_bench import conformance
from greenlet_bench.conformance import Clause, Run, TestResult


@dataclass(frozen=True)
class MatrixCell:
    """One clause of one run."""

    outcome: str
    results: list[TestResult]


@dataclass(frozen=True)
class MatrixRow:
    """One clause."""

    clause: Clause
    cells: list[MatrixCell]

    @property
    def plain(self) -> bool:
        """Whether every run keeps it."""
        return all(cell.outcome == "PASS" for cell in self.cells)


@dataclass(frozen=True)
class Chapter:
    """A chapter of the specification."""

    id: str
    title: str
    rows: list[MatrixRow]

    def kept(self, column: int) -> str:
        """Such as `7/8`: the clauses kept of those selected."""
        outcomes = [row.cells[column].outcome for row in self.rows]
        selected = [outcome for outcome in outcomes if outcome != conformance.NOT_SELECTED]
        return f"{selected.count('PASS')}/{len(selected)}"


@dataclass(frozen=True)
class Column:
    """One conformance run."""

    label: str
    run: Run

    @property
    def selected(self) -> int:
        return len(self.run.clauses)

    @property
    def kept(self) -> int:
        return self.run.counts()["PASS"]

    @property
    def others(self) -> str:
        """The clauses that are not a pass, such as `1 XFAIL, 2 CRASH`."""
        counts = self.run.counts()
        order = (*conformance.WORST_FIRST, conformance.NOT_RUN, conformance.TRUNCATED)
        return ", ".join(f"{counts[o]} {o}" for o in order if o != "PASS" and counts[o])


def matrix(runs: Sequence[Run]) -> list[Chapter]:
    """All clauses of all runs, by chapter, in the order in which they first appear."""
    clauses: dict[str, Clause] = {}
    for run in runs:
        for clause in run.clauses.values():
            clauses.setdefault(clause.id, clause)
    chapters: dict[str, Chapter] = {}
    for clause in clauses.values():
        chapter = chapters.setdefault(
            clause.chapter, Chapter(clause.chapter, clause.chapter_title or clause.chapter, [])
        )
        cells = [MatrixCell(run.outcome(clause.id), run.of(clause.id)) for run in runs]
        chapter.rows.append(MatrixRow(clause, cells))
    return list(chapters.values())
