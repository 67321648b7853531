"""Looks for a program that two implementations play differently, and makes it small."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import math
import re
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from greenlet_conformance.fuzz.grammar import programs
from greenlet_conformance.fuzz.players import Play, Player

#: How many programs Hypothesis makes of one seed; more of them are made of further seeds.
ROUND = 100


class DifferenceError(Exception):
    """A program that was played differently."""

    def __init__(self, program: str, ours: Play, theirs: Play) -> None:
        super().__init__("played differently")
        self.program, self.ours, self.theirs = program, ours, theirs


class EnoughError(BaseException):
    """The program has been made smaller for long enough; Hypothesis lets it pass."""


@dataclasses.dataclass
class Found:
    """The smallest program that was found, and whether it differs each time.

    It is ``smallest`` if there was time to try all that would make it smaller.
    """

    program: str
    ours: Play
    theirs: Play
    always: bool
    smallest: bool


@dataclasses.dataclass
class Search:
    """A search for a difference; ``played`` counts the programs that were made for it.

    What is found is made smaller for ``shrink`` seconds at most.
    """

    ours: Player
    theirs: Player
    without: frozenset[str]
    shrink: float
    played: int = 0

    def run(
        self, number: int, most: int | None, until: float, progress: Callable[[], None]
    ) -> Found | None:
        """Plays programs of the seed ``number``: ``most`` of them, until a time of ``monotonic()``.

        Both are looked at after each round.
        """
        rounds = 0
        while time.monotonic() < until and (most is None or rounds * ROUND < most):
            found = self._round(number * 1_000_003 + rounds)
            if found:
                return found
            rounds += 1
            progress()
        return None

    def _round(self, number: int) -> Found | None:
        smallest: DifferenceError | None = None
        until = math.inf

        @seed(number)
        @settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @given(programs(self.without))
        def play(program: str) -> None:
            nonlocal smallest, until
            if smallest is None:
                self.played += 1
            try:
                self.compare(program)
            except DifferenceError as error:
                if smallest is None:
                    until = time.monotonic() + self.shrink
                if smallest is None or len(program) < len(smallest.program):
                    smallest = error
                raise
            finally:
                if time.monotonic() >= until:
                    raise EnoughError

        try:
            with contextlib.redirect_stdout(sys.stderr):  # Hypothesis says when it takes long
                play()
        except (DifferenceError, Flaky, EnoughError) as error:
            if smallest is None:
                raise
            always = not isinstance(error, Flaky)
            return self._found(smallest, always, not isinstance(error, EnoughError))
        return None

    def compare(self, program: str) -> None:
        """Plays a program by both. Raises DifferenceError."""
        for player in (self.ours, self.theirs):
            player.start(program)
        ours, theirs = self.ours.finish(), self.theirs.finish()
        if ours != theirs:
            raise DifferenceError(program, ours, theirs)

    def _found(self, error: DifferenceError, always: bool, smallest: bool) -> Found:
        """Leaves out of the program what it does not use, if it differs still."""
        found = Found(error.program, error.ours, error.theirs, always, smallest)
        try:
            self.compare(without_unused(error.program))
        except DifferenceError as shorter:
            found = Found(shorter.program, shorter.ours, shorter.theirs, always, smallest)
        return found


def without_unused(program: str) -> str:
    """The script without the functions, classes and imports of its head that nothing names."""
    while True:
        tree = ast.parse(program)
        used = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        lines = program.splitlines()
        for node in reversed(tree.body):
            names = _defined(node)
            if names and not names & used and not any(map(_BY_NUMBER.match, names)):
                del lines[node.lineno - 1 : node.end_lineno]
        shorter = re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines) + "\n")
        if shorter == program:
            return program
        program = shorter


#: What the head calls by number.
_BY_NUMBER = re.compile(r"(body|thread)\d")


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return set()
