"""One implementation that plays programs, in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from types import TracebackType


class PlayerError(Exception):
    """The process that plays programs has ended; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Play:
    """What a program did: its events, and "end", an exception, CRASH or TIMEOUT."""

    events: tuple[str, ...]
    end: str
    message: str = dataclasses.field(default="", compare=False)

    @property
    def lines(self) -> tuple[str, ...]:
        """The events, and how it ended if not as it should."""
        return self.events if self.end == "end" else (*self.events, f"({self.end})")


class Player:
    """Plays programs by the implementation ``module``; each may take so many seconds."""

    def __init__(self, module: str, seconds: float) -> None:
        command = [sys.executable, "-m", "greenlet_conformance.fuzz.player", module, str(seconds)]
        self.module = module
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def start(self, program: str) -> None:
        """Hands over a program."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(program) + "\n")
            self._process.stdin.flush()
        except OSError:
            self._fail()

    def finish(self) -> Play:
        """Waits for what the program did. Raises PlayerError if the process is gone."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail()
        answer = json.loads(line)
        return Play(tuple(answer["events"]), answer["end"], answer["message"])

    def _fail(self) -> None:
        code = self._process.wait()
        raise PlayerError(f"the process that plays {self.module} ended with {code}")
