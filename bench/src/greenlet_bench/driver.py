"""The driver: many short processes, the implementations interleaved.

One process measures one *batch* of one implementation: a suite, or one benchmark that must have a
process of its own. A quick run saves processes and puts most suites into one batch. A *round* runs
a batch as A B B A, which gives two pairs, (A, B) and (B, A): a machine that slowly warms up or
slows down favours each implementation once. Both of a pair get the same hash seed; each pair gets
another one. The address space is laid out anew in each process by the kernel.

A process writes down what it starts and what it has measured. If it dies, the benchmark that it
had started is a CRASH (or a TIMEOUT, if it had to be killed), and another process measures those
after it. A process also ends with the first benchmark that fails, since what that leaves behind
could disturb or crash the next. What failed once for an implementation is not tried again in the
same run.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from greenlet_bench import __version__, instructions, machine
from greenlet_bench.catalogue import PROGRAMS, Benchmark, suite_title
from greenlet_bench.errors import BenchError, ImplementationError, OutputError
from greenlet_bench.results import (
    CRASH,
    FAIL,
    OK,
    SCHEMA,
    TIMEOUT,
    UNSUPPORTED,
    Count,
    Sample,
    positive,
)

SUITES_FOLDER = Path(__file__).parent / "suites"

ALONE_ROUNDS = 3
"""The most rounds for a benchmark that has processes of its own: they are slow and hardly vary."""

HUGE = 100_000
"""Above this size, one round is all that a benchmark gets: a process takes up to a minute."""

_ANSWER = "greenlet-bench probe: "
"""Marks the probe's answer among whatever else a module prints."""

_PROBE = f"""
import importlib, json, sys
from importlib.machinery import EXTENSION_SUFFIXES
module = importlib.import_module(sys.argv[1])
missing = [n for n in ("greenlet", "getcurrent", "GreenletExit") if not hasattr(module, n)]
version = getattr(module, "__version__", None)
names = sorted(n for n in sys.modules if n == sys.argv[1] or n.startswith(sys.argv[1] + "."))
files = (getattr(sys.modules[n], "__file__", None) or "" for n in names)
extensions = [file for file in files if file.endswith(tuple(EXTENSION_SUFFIXES))]
answer = json.dumps(
    {{"version": version and str(version), "missing": missing, "extensions": extensions}}
)
print("\\n{_ANSWER}" + answer, flush=True)
"""


@dataclass(frozen=True)
class Target:
    """An implementation to measure: a module under a label."""

    label: str
    module: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `MODULE` or `LABEL=MODULE`. Raises BenchError."""
        label, found, module = text.partition("=")
        if not label.strip() or not label.isprintable() or (found and not module):
            raise BenchError(f"{text!r} is not an implementation: give MODULE or LABEL=MODULE")
        return cls(label, module or label)


@dataclass(frozen=True)
class Settings:
    """How much to measure."""

    rounds: int
    """Rounds of A B B A; two pairs each."""
    seconds: float
    """Seconds to time each benchmark in each process."""
    population: int
    """Greenlets where there are to be many: cold starts, memory, collections."""
    timeout: float
    """Seconds until a process is killed."""
    cpu: int | None
    """The CPU that all processes stay on, if they can be told to."""
    quick: bool = False
    """Whether most suites share one process."""


FULL = Settings(rounds=8, seconds=0.05, population=100_000, timeout=240, cpu=None)
GATE = Settings(rounds=3, seconds=0.01, population=100_000, timeout=60, cpu=None)
QUICK = Settings(rounds=3, seconds=0.005, population=20_000, timeout=60, cpu=None, quick=True)


@dataclass(frozen=True)
class Batch:
    """Benchmarks that share a process."""

    name: str
    benchmarks: tuple[Benchmark, ...]
    most_rounds: int | None = None
    """The most rounds of it in one run."""


@dataclass(frozen=True)
class Step:
    """One process to run."""

    batch: Batch
    target: Target
    pair: int


def batches(benchmarks: Sequence[Benchmark], *, quick: bool) -> list[Batch]:
    """What is measured in a process together: suites, and each benchmark that is to be alone.

    With `quick`, all suites but PROGRAMS are one: the libraries of programs keep to themselves.
    """
    found: dict[str, list[Benchmark]] = {}
    for benchmark in benchmarks:
        shared = quick and benchmark.suite not in PROGRAMS
        name = benchmark.id if benchmark.alone else "all suites" if shared else benchmark.suite
        found.setdefault(name, []).append(benchmark)
    return [Batch(name, tuple(some), _most_rounds(some[0])) for name, some in found.items()]


def _most_rounds(first: Benchmark) -> int | None:
    if not first.alone:
        return None
    return 1 if (first.size or 0) > HUGE else ALONE_ROUNDS


def schedule(some: Sequence[Batch], targets: Sequence[Target], rounds: int) -> Iterator[Step]:
    """The order of the processes: in each round, each batch as A B B A."""
    for number in range(rounds):
        for batch in some:
            if number < (batch.most_rounds or rounds):
                for target in targets:
                    yield Step(batch, target, 2 * number)
                for target in reversed(targets):
                    yield Step(batch, target, 2 * number + 1)


def probe(target: Target) -> dict[str, Any]:
    """What a header tells of an implementation: label, module, version, extension modules.

    Raises ImplementationError if the module cannot be used.
    """
    name = target.module
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        raise ImplementationError(f"importing {name} takes more than a minute") from None
    answers = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if done.returncode or not answers:  # a module that exits may well do so with code 0
        last = (done.stderr.strip().splitlines() or [_ending(done.returncode)])[-1]
        raise ImplementationError(
            f"implementation {name} cannot be imported by this Python: {last}"
        )
    found = json.loads(answers[-1].removeprefix(_ANSWER))
    if found["missing"]:
        missing = ", ".join(found["missing"])
        raise ImplementationError(f"module {name} is not a greenlet: it has no {missing}")
    return {
        "label": target.label,
        "module": name,
        "version": found["version"],
        "extensions": [machine.describe_extension(Path(file)) for file in found["extensions"]],
    }


def choose_cpu() -> int | None:
    """The CPU to pin to: the last one allowed, since the first serves most interrupts."""
    cpus = machine.allowed_cpus()
    if not cpus:
        return None
    allowed = cpus[-1]
    try:
        os.sched_setaffinity(0, {allowed})
        os.sched_setaffinity(0, cpus)
    except OSError:
        return None
    return allowed


def _ending(returncode: int) -> str:
    if returncode < 0:
        try:
            return f"killed by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"killed by signal {-returncode}"
    return f"the process ended with exit code {returncode}"


def _read_record(path: Path) -> list[dict[str, Any]]:
    """The lines that a process managed to write; the last may be cut short."""
    records = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
    return records


def interrupted(output: Path) -> Path:
    """Where a run that ends before its time leaves what it has measured."""
    return output.with_name(output.name + ".interrupted")


def _claim(path: Path) -> TextIO:
    """An empty file for this process alone, until it is closed; what was in it is gone.

    Raises BenchError while another process has it, and OSError.
    """
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
            raise BlockingIOError  # the other process has just given it its final name
    except BlockingIOError:
        file.close()
        raise BenchError(f"another run is writing {path}: wait, or give another --output") from None
    file.truncate(0)
    return file


class Driver:
    """Runs the processes and writes the result file."""

    def __init__(
        self,
        benchmarks: Sequence[Benchmark],
        targets: Sequence[Target],
        settings: Settings,
        counted: Sequence[Benchmark] = (),
    ) -> None:
        """`counted` are the benchmarks whose instructions are counted besides."""
        self._benchmarks = benchmarks
        self._targets = targets
        self._settings = settings
        self._timed = list(
            schedule(batches(benchmarks, quick=settings.quick), targets, settings.rounds)
        )
        self._counted = [
            Step(Batch(f"instructions of {benchmark.id}", (benchmark,)), target, 0)
            for benchmark in counted
            for target in targets
        ]
        self.steps = [*self._timed, *self._counted]
        self._broken: set[tuple[str, str]] = set()
        self._sound = True
        self._measured = False

    def run(
        self,
        output: Path,
        baseline: str,
        progress: Callable[[Step, int, int], None],
        *,
        keep: bool = True,
    ) -> bool:
        """Measure everything into `output`; True if nothing crashed or failed.

        The file appears when the run is complete: until then an older one stays in place. If the
        run ends before its time, whatever the reason, what was measured so far is left in
        `interrupted(output)`, which `results.read` reads with `cut_short`; without `keep` it is
        not. A KeyboardInterrupt gets a text that says so.
        """
        implementations = [probe(target) for target in self._targets]
        started = time.monotonic()
        partial = output.with_name(output.name + ".partial")
        claimed = False
        try:
            with _claim(partial) as file:
                claimed = True
                self._write_head(file, implementations, baseline)
                count = self._measure(file, progress)
                self._count_instructions(file, progress)
                seconds = round(time.monotonic() - started, 1)
                footer = {"kind": "footer", "samples": count, "seconds": seconds}
                file.write(json.dumps(footer) + "\n")
                partial.replace(output)  # while it is claimed, so that no other run takes it
        except (OSError, KeyboardInterrupt) as error:
            left = "nothing was written"
            if self._measured and keep:
                left = f"what was measured is in {interrupted(output)}, for greenlet-bench show"
            if isinstance(error, OSError):
                raise OutputError(f"cannot write {output}: {error.strerror}; {left}") from None
            error.args = (left,)
            raise
        finally:
            if claimed:
                with suppress(OSError):  # such as that there is none any more
                    if self._measured and keep:
                        partial.replace(interrupted(output))
                    partial.unlink()
        return self._sound

    def _write_head(
        self, file: TextIO, implementations: list[dict[str, Any]], baseline: str
    ) -> None:
        header = {
            "kind": "header",
            "schema": SCHEMA,
            "tool": f"greenlet-bench {__version__}",
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": machine.describe_machine(),
            "python": machine.describe_python(),
            "commit": machine.commit(),
            "settings": asdict(self._settings),
            "baseline": baseline,
            "implementations": implementations,
        }
        file.write(json.dumps(header) + "\n")
        for benchmark in self._benchmarks:
            described = {**benchmark.record(), "suite_title": suite_title(benchmark.suite)}
            file.write(json.dumps({"kind": "benchmark", **described}) + "\n")

    def _measure(self, file: TextIO, progress: Callable[[Step, int, int], None]) -> int:
        seeds = random.Random().sample(range(1, 2**32), 2 * self._settings.rounds)
        count = 0
        for number, step in enumerate(self._timed):
            progress(step, number, len(self.steps))
            for sample in self._run_step(step, seeds[step.pair]):
                if sample.outcome != OK:
                    self._broken.add((step.target.label, sample.benchmark))
                    self._sound &= sample.outcome == UNSUPPORTED
                file.write(sample.line() + "\n")
                self._measured = True
                count += 1
            file.flush()
        return count

    def _count_instructions(self, file: TextIO, progress: Callable[[Step, int, int], None]) -> None:
        tasks = [(step.target, step.batch.benchmarks[0].id) for step in self._counted]
        counts = instructions.count([(target.module, id_) for target, id_ in tasks])
        for number, (target, id_) in enumerate(tasks):
            progress(self._counted[number], len(self._timed) + number, len(self.steps))
            per_operation, message = next(counts)
            self._sound &= per_operation is not None
            file.write(Count(id_, target.label, per_operation, message).line() + "\n")
            file.flush()

    def _run_step(self, step: Step, seed: int) -> Iterator[Sample]:
        """The samples of one step; more than one process if one dies."""
        label = step.target.label
        pending = [b for b in step.batch.benchmarks if (label, b.id) not in self._broken]
        while pending:
            records, death = self._run_process(step.target, pending, seed)
            left = {benchmark.id for benchmark in pending}
            for record in records:
                name = record["benchmark"]
                if record["kind"] == "start" or name not in left:
                    continue
                left.discard(name)
                timing = {k: v for k, v in record.items() if k != "kind"}
                timing.setdefault("outcome", OK)
                if not all(map(positive, timing.get("values", ()))):
                    # No ratio can be made of it. The file would be refused for that as a whole.
                    values = timing.pop("values")
                    timing |= {"outcome": FAIL, "message": f"no times: {values[:3]} ns"}
                yield Sample(implementation=label, pair=step.pair, hash_seed=seed, **timing)
            failed = any(r["kind"] == "failure" and r["outcome"] == FAIL for r in records)
            if left and not failed:
                # Whatever it had started last without finishing is to blame; if it died before
                # it started anything, so would the next process.
                begun = [r["benchmark"] for r in records if r["benchmark"] in left][-1:]
                outcome, message = death
                for name in begun or sorted(left):
                    left.discard(name)
                    yield Sample(name, label, step.pair, seed, outcome, message=message)
            pending = [benchmark for benchmark in pending if benchmark.id in left]

    def _run_process(
        self, target: Target, benchmarks: Sequence[Benchmark], seed: int
    ) -> tuple[list[dict[str, Any]], tuple[str, str]]:
        """What a process recorded, and the outcome and message of what it did not finish."""
        settings = self._settings
        with tempfile.TemporaryDirectory(prefix="greenlet-bench-") as folder:
            record = Path(folder) / "record.jsonl"
            command = [
                *(sys.executable, "-m", "pytest", "-q", "--exitfirst"),
                *("-c", str(SUITES_FOLDER / "pytest.ini"), "--rootdir", str(SUITES_FOLDER)),
                *("-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin"),
                f"--greenlet-impl={target.module}",
                f"--bench-record={record}",
                f"--benchmark-storage=file://{folder}",  # or it leaves a folder where it runs
                f"--bench-seconds={settings.seconds}",
                f"--bench-population={settings.population}",
                *([] if settings.cpu is None else [f"--bench-cpu={settings.cpu}"]),
                *(str(SUITES_FOLDER / benchmark.node) for benchmark in benchmarks),
            ]
            environment = {
                **os.environ,
                "PYTHONHASHSEED": str(seed),
                "PYTEST_ADDOPTS": "",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            }
            try:
                done = subprocess.run(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    timeout=settings.timeout,
                )
            except subprocess.TimeoutExpired:
                death = (TIMEOUT, f"killed after {settings.timeout:g} s")
            else:
                tail = "\n".join(done.stdout.strip().splitlines()[-30:])
                death = (CRASH, f"{_ending(done.returncode)}\n{tail}")
            return _read_record(record), death
