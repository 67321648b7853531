"""A mutation: one place of a source file with another text in it."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Mutation:
    """``text[start:end]`` of ``file``, a path below the target's sources, becomes ``new``."""

    target: str
    file: str
    text: str = dataclasses.field(repr=False)
    start: int
    end: int
    new: str
    where: str  # the function, or the name in the list, that it is known by
    what: str  # the operator, or why somebody could make this mistake
    here: bool = True  # can it be tried on this Python?

    @property
    def mutated(self) -> str:
        """The whole file with the other text in it."""
        return self.text[: self.start] + self.new + self.text[self.end :]

    @property
    def line(self) -> int:
        """The number of the line that it begins in."""
        return self.text.count("\n", 0, self.start) + 1

    @property
    def before(self) -> str:
        """The lines that it changes, as they are, without indentation."""
        return _squeezed(self._lines()[0])

    @property
    def after(self) -> str:
        """The same lines as they become."""
        return _squeezed(self._lines()[1])

    def _lines(self) -> tuple[str, str]:
        first = self.text.rfind("\n", 0, self.start) + 1
        last = self.text.find("\n", self.end)
        last = len(self.text) if last < 0 else last
        head, tail = self.text[first : self.start], self.text[self.end : last]
        return self.text[first:last], head + self.new + tail

    def diff(self) -> str:
        """A unified diff, with a line of context around the change."""
        lines = difflib.unified_diff(
            self.text.splitlines(),
            self.mutated.splitlines(),
            self.file,
            f"{self.file} ({self.where}: {self.what})",
            lineterm="",
            n=1,
        )
        return "\n".join(lines)

    def written_below(self, folder: Path) -> None:
        """Replaces the file below a copy of the sources."""
        (folder / self.file).write_text(self.mutated, encoding="utf-8")


def _squeezed(lines: str) -> str:
    """One line, so that a list of mutations survives a change of indentation."""
    return " ".join(lines.split())
