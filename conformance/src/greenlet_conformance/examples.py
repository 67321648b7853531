"""The examples of the specification: whole programs, each followed by what it prints.

In a chapter an example is two blocks, with nothing between them::

    ```python
    from greenlet import greenlet

    print(greenlet(len).switch("four"))
    ```

    ```output
    4
    ```

Each example is a program of its own. Its exit code, unless that is 0, is the last line of the
output: ``(exit code 3)``. The parser is strict, as that of the clauses is: a block of Python
without its output, and an output without its program, is an error, because an example that nobody
runs becomes wrong one day.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

from greenlet_conformance import spec_folder

#: The limit of one example.
SECONDS = 60.0

_FENCE = re.compile(r"^```(?P<language>[^`\n]*)\n(?P<text>.*?)^```$", re.M | re.S)

#: Runs the program as the main one, where `greenlet` is the implementation.
_MAIN = """
import importlib, sys
module, name, code = sys.argv[1:]
sys.modules["greenlet"] = importlib.import_module(module)
del sys.argv[1:], importlib, module
exec(compile(code, name, "exec"))
"""


class ExampleError(Exception):
    """An example is incomplete; the message names the file and the line."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A program, where it stands, and what it shall print."""

    chapter: str
    line: int
    code: str
    output: str

    @property
    def name(self) -> str:
        """Where it stands, such as ``throw.md:12``."""
        return f"{self.chapter}.md:{self.line}"


def read(folder: Path | None = None) -> list[Example]:
    """The examples of all chapters. Raises ExampleError."""
    chapters = sorted((folder or spec_folder()).glob("*.md"))
    return [example for path in chapters for example in _read_chapter(path)]


def _read_chapter(path: Path) -> list[Example]:
    text = path.read_text(encoding="utf-8")
    examples = []
    program, end = None, 0
    for fence in [*_FENCE.finditer(text), None]:
        follows = fence and fence["language"] == "output" and not text[end : fence.start()].strip()
        if program and not follows:
            raise ExampleError(f"{path}:{_line(program)}: a program without its ```output")
        if fence and fence["language"] == "output":
            if not program:
                raise ExampleError(f"{path}:{_line(fence)}: an output without its program")
            line = _line(program)
            examples.append(Example(path.stem, line, program["text"], fence["text"]))
        program = fence if fence and fence["language"] == "python" else None
        end = fence.end() if fence else end
    return examples


def _line(fence: re.Match[str]) -> int:
    """The number of the line after the opening of a fence."""
    return fence.string.count("\n", 0, fence.start()) + 2


def run(example: Example, module: str) -> str:
    """Runs it on an implementation; answers what came out, errors included.

    Raises subprocess.TimeoutExpired.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, module, example.name, example.code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return done.stdout + (f"(exit code {done.returncode})\n" if done.returncode else "")
