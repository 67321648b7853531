"""Trials: a mutant is built, and the suite is held to it until a test kills it.

The order of the tests is what makes this quick. Those that killed a neighbour, a mutant of the same
function, come first; then the few that have killed most; then those whose name has words in common
with the mutant's; then the others, the quick ones first. So most mutants live for a few tests, and
only a survivor sees the whole suite.

A test kills by failing, crashing or hanging, twice in a row. It hangs if it takes much longer than
it took on the sound implementation, in the first attempt less than in the second. A process that
takes more memory than any test needs is killed from outside, which its test shows as a crash.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import psutil

from greenlet_conformance import SUITE
from mutants.mutation import Mutation
from mutants.served import GOOD
from mutants.targets import CONFORMANCE, Target

#: The limit of a test on a mutant: this, and so many times what it took on the sound one.
HANG_SECONDS, HANG_FACTOR = 5.0, 5.0
#: The limit of a test on the sound implementation.
SOUND_SECONDS = 60.0
#: More than any test needs.
MEMORY_BYTES = 2 << 30
_WATCH_SECONDS = 1.0
#: So many of the tests that have killed most come before those that look right.
_DEADLIEST = 5


class TrialError(Exception):
    """The suite cannot be held to anything here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A test in an environment."""

    test: str
    environment: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return " ".join([*(f"{k}={v}" for k, v in self.environment), self.test])


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a mutant: who killed it and how, or None for a survivor."""

    mutation: Mutation
    killer: Case | None
    outcome: str
    message: str = dataclasses.field(repr=False)


class Server:
    """A process that has collected the suite (see ``served``)."""

    def __init__(
        self, module: str, expectations: Path, sound: Path, clauses: Sequence[str]
    ) -> None:
        # Closed with the process.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "pytest", str(SUITE), f"--rootdir={SUITE}", "-q"]
        command += [f"--config-file={SUITE / 'pytest.ini'}", "-p", "greenlet_conformance.plugin"]
        command += ["-p", "mutants.served"]
        command += [f"--greenlet-impl={module}", f"--expectations={expectations}"]
        command += [f"--clause={pattern}" for pattern in clauses]
        path = [str(sound), str(CONFORMANCE), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in path if p),
            # Plugins that are installed by chance double what a test costs.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "MUTANTS_SOCKET": str(theirs.fileno()),
        }
        with theirs:
            self.process = subprocess.Popen(
                command,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
            )
        self._socket = ours
        self._stream = ours.makefile("rw", encoding="utf-8")

    def tests(self) -> dict[str, list[str]]:
        """The tests that can tell something, and their clauses; asked once, before all else."""
        tests: dict[str, list[str]] = self._answer()
        return tests

    def play(self, folder: Path, cases: Sequence[tuple[Case, float]]) -> list[list[Any]]:
        """The outcome, the seconds and the message of each case, up to the first that fails."""
        rows = [[case.test, dict(case.environment), seconds] for case, seconds in cases]
        self._stream.write(json.dumps({"folder": str(folder), "cases": rows}) + "\n")
        self._stream.flush()
        answer: list[list[Any]] = self._answer()
        return answer

    def _answer(self) -> Any:
        line = self._stream.readline()
        if not line:
            self.process.wait()
            self._log.seek(0)
            raise TrialError(f"the suite does not run:\n{self._log.read().strip()}")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process, which waits for orders."""
        self._stream.close()
        self._socket.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


class Order:
    """Which cases are the likely killers of a mutant."""

    def __init__(self, seconds: dict[Case, float]) -> None:
        self._seconds = seconds
        self._words = {case: _words(str(case)) for case in seconds}
        self._kills: Counter[Case] = Counter()
        self._near: defaultdict[str, Counter[Case]] = defaultdict(Counter)

    def cases(self, mutation: Mutation) -> list[tuple[Case, float]]:
        """All of them, the likeliest first, with their limits."""
        near, words = self._near[mutation.where], _words(mutation.where)

        deadliest = {case for case, _ in self._kills.most_common(_DEADLIEST)}

        def rank(case: Case) -> tuple[float, ...]:
            shared = len(words & self._words[case])
            return -near[case], case not in deadliest, -shared, self._seconds[case]

        ordered = sorted(self._seconds, key=rank)
        return [(c, HANG_SECONDS + HANG_FACTOR * self._seconds[c]) for c in ordered]

    def killed(self, mutation: Mutation, case: Case) -> None:
        """Remembers a kill."""
        self._kills[case] += 1
        self._near[mutation.where][case] += 1


def _words(name: str) -> set[str]:
    """By their beginnings, so that lane and lanes are one."""
    return {word[:4] for word in re.findall("[a-z]+", name.lower())}


def run(
    target: Target,
    mutations: Sequence[Mutation],
    jobs: int,
    scratch: Path,
    clauses: Sequence[str] = (),
) -> Iterator[Verdict]:
    """The verdicts as they come, by all tests or those of some clauses.

    Raises BuildError and TrialError.
    """
    sound = scratch / "sound"
    sound.mkdir()
    target.make(sound, None)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(jobs) as pool:
        servers = []
        for _ in range(jobs):
            servers.append(Server(target.module, target.expectations, sound, clauses))
            stack.callback(servers[-1].close)
        tests = [server.tests() for server in servers]
        stack.enter_context(_memory_watched([s.process.pid for s in servers]))
        idle: queue.SimpleQueue[Server] = queue.SimpleQueue()
        for server in servers:
            idle.put(server)
        order = Order(_sound_seconds(target, tests[0], servers, sound, pool))

        def judged(mutation: Mutation) -> Verdict:
            server = idle.get()
            try:
                return _judged(target, mutation, server, order, scratch)
            finally:
                idle.put(server)

        try:
            for trial in as_completed([pool.submit(judged, m) for m in mutations]):
                yield trial.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _sound_seconds(
    target: Target,
    tests: Iterable[str],
    servers: Sequence[Server],
    sound: Path,
    pool: ThreadPoolExecutor,
) -> dict[Case, float]:
    """How long each case takes on the sound implementation. Raises TrialError if one fails."""
    environments = [tuple(e.items()) for e in target.environments]
    cases = [Case(test, e) for test in tests for e in environments]
    shares = [cases[i :: len(servers)] for i in range(len(servers))]

    def played(server: Server, share: Sequence[Case]) -> list[list[Any]]:
        return server.play(sound, [(case, SOUND_SECONDS) for case in share])

    seconds: dict[Case, float] = {}
    for share, rows in zip(shares, pool.map(played, servers, shares)):
        for case, (outcome, took, message) in zip(share, rows):
            if outcome == "PASS":
                seconds[case] = took
            elif outcome != "UNSUPPORTED":
                raise TrialError(
                    f"{target.name}: {case} does not pass though nothing is broken:\n{message}"
                )
    return seconds


def _judged(
    target: Target, mutation: Mutation, server: Server, order: Order, scratch: Path
) -> Verdict:
    cases = order.cases(mutation)
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        target.make(folder, mutation)
        rows = server.play(folder, cases)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    outcome, _, message = rows[-1]
    if outcome in GOOD:
        return Verdict(mutation, None, outcome, "")
    killer = cases[len(rows) - 1][0]
    order.killed(mutation, killer)
    return Verdict(mutation, killer, outcome, message)


@contextlib.contextmanager
def _memory_watched(servers: Sequence[int]) -> Iterator[None]:
    """Kills what these processes have started and what takes too much memory."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            for server in servers:
                with contextlib.suppress(psutil.Error):
                    for child in psutil.Process(server).children(recursive=True):
                        with contextlib.suppress(psutil.Error):
                            if child.memory_info().rss > MEMORY_BYTES:
                                child.kill()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
