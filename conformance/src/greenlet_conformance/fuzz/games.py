"""Has two implementations play long games (``game.py``) and looks for the first difference."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from greenlet_conformance.fuzz.players import Play

#: What a game is.
SCRIPT = Path(__file__).with_name("game.py")

#: How many steps a game has; more of them are more games.
STEPS = 1_000_000

#: How many steps there are between two checksums.
EVERY = 100_000


@dataclasses.dataclass(frozen=True)
class Game:
    """What makes it the same each time."""

    seed: int
    steps: int

    def command(self, module: str, shown_from: int | None = None) -> list[str]:
        """What plays it."""
        words = [sys.executable, "-m", "greenlet_conformance.fuzz.game", module]
        words += [str(self.seed), str(self.steps)]
        return words if shown_from is None else [*words, str(shown_from)]


@dataclasses.dataclass(frozen=True)
class Different:
    """A game that was played differently, from some event on."""

    game: Game
    ours: Play
    theirs: Play
    shown_from: int
    always: bool


def games(seed: int, steps: int) -> Iterator[Game]:
    """As many as have so many steps together."""
    for number, first in enumerate(range(0, steps, STEPS)):
        yield Game(seed * 1_000_003 + number, min(STEPS, steps - first))


def search(
    modules: tuple[str, str], seed: int, steps: int, seconds: float, progress: Callable[[int], None]
) -> Different | None:
    """Plays so many steps; ``progress`` is told how many there have been.

    A game may take ``seconds``.
    """
    played = 0
    for game in games(seed, steps):
        ours, theirs = _both(game, modules, seconds, None)
        if ours != theirs:
            return _closely(game, modules, seconds, ours, theirs)
        played += game.steps
        progress(played)
    return None


def _closely(
    game: Game, modules: tuple[str, str], seconds: float, ours: Play, theirs: Play
) -> Different:
    """Plays it again, with the events after the last checksum that was the same."""
    same = sum(1 for pair in itertools.takewhile(_alike, zip(ours.events, theirs.events)))
    shown_from = same * EVERY
    game = dataclasses.replace(game, steps=min(game.steps, shown_from + EVERY + 1))
    again = _both(game, modules, seconds, shown_from)
    if again[0] == again[1]:
        return Different(game, ours, theirs, shown_from, always=False)
    return Different(game, *again, shown_from, always=True)


def _alike(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _both(
    game: Game, modules: tuple[str, str], seconds: float, shown_from: int | None
) -> tuple[Play, Play]:
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(
            lambda module: _play(game.command(module, shown_from), seconds), modules
        )
    return ours, theirs


def _play(command: list[str], seconds: float) -> Play:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        events = output.decode(errors="replace") if isinstance(output, bytes) else output
        return Play(_lines(events), "TIMEOUT", f"no end after {seconds:g} seconds")
    return Play(_lines(done.stdout), _end(done.returncode), done.stderr)


def _lines(output: str) -> tuple[str, ...]:
    return tuple(output.splitlines())


def _end(code: int) -> str:
    if code < 0:
        try:
            return f"CRASH, {signal.Signals(-code).name}"
        except ValueError:
            return f"CRASH, signal {-code}"
    return f"exit code {code}" if code else "end"
