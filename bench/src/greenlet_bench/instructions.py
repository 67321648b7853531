"""Instructions per operation: a second measure, which the machine's noise does not reach.

Valgrind's callgrind executes a program on a simulated processor and counts its instructions. The
count of one and the same program is the same each time, whatever else the machine does. It is not
time: it knows nothing of caches, of branches predicted wrongly, or of the kernel. But a change that
adds one instruction to a switch shows.

A benchmark is run twice, for `SHORT` and for `LONG` rounds. What both do, starting Python,
importing and warming up, cancels in the difference:

    per operation = (count of LONG - count of SHORT) / ((LONG - SHORT) * operations of a round)

Callgrind also draws a graph of calls, which greenlets that move between stacks confuse. Its total
does not depend on the graph, and nothing but the total is used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from greenlet_bench import counted, machine
from greenlet_bench.catalogue import Benchmark, select
from greenlet_bench.errors import BenchError, ToolError

COUNTED = ("switch.round_trip", "args", "throw", "create", "life", "getcurrent")
"""Suites and benchmarks whose instructions are counted: short, and the same work in each round."""

SHORT, LONG = 4, 14
"""Rounds. From the fourth round on, the interpreter specialises no more code."""

RESOLUTION = 0.001
"""Counts repeat to within this fraction: what differs by less does not differ."""

TIMEOUT = 300.0
"""Seconds for one run under callgrind, which is some fifty times as slow as the processor."""

_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def countable(benchmarks: Iterable[Benchmark]) -> list[Benchmark]:
    """Those of the benchmarks whose instructions can be counted."""
    known = {benchmark.id for benchmark in select(COUNTED)}
    return [benchmark for benchmark in benchmarks if benchmark.id in known]


def find_valgrind() -> str:
    """The program's path. Raises ToolError, naming the fix, where there is none."""
    found = shutil.which("valgrind")
    if found is None:
        raise ToolError(
            "counting instructions needs valgrind on PATH: apt-get install valgrind, or unpack it"
            " without installing: .ci/fetch-valgrind DIR, and put DIR/bin on PATH"
        )
    return found


def _environment() -> dict[str, str]:
    """Only what a Python needs: what the rest holds would move the stack, and so the count."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME") or name.startswith(("PYTHON", "LD_"))
    }
    if "PYTHONPATH" in kept:
        folders = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(folder).absolute()) for folder in folders)
    return {**kept, "PYTHONHASHSEED": "0"}


def _run(command: Sequence[str], folder: Path) -> str:
    """What the command prints. Raises BenchError with its last line if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"killed after {TIMEOUT:g} s") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line and not line.startswith("==")]
        raise BenchError((told or [f"exit code {done.returncode}"])[-1])  # == is valgrind's own
    return done.stdout


def _executed(valgrind: str, command: Sequence[str], folder: Path) -> int:
    """How many instructions the command executes under callgrind. Raises BenchError."""
    output = folder / "callgrind.out"
    _run([valgrind, "--tool=callgrind", f"--callgrind-out-file={output}", *command], folder)
    total = _TOTAL.search(output.read_text(encoding="utf-8", errors="replace"))
    output.unlink()
    if total is None:
        raise BenchError("callgrind wrote no total")
    return int(total.group(1))


def per_operation(valgrind: str, module: str, benchmark: str) -> float:
    """Instructions per operation of a benchmark of a module. Raises BenchError if it fails."""
    # In an empty folder: the current one is on the path, and if its files change while Python
    # starts, as they do in /tmp, each import that looks there costs another number of instructions.
    with tempfile.TemporaryDirectory(prefix="greenlet-bench-") as name:
        folder = Path(name)

        def command(rounds: int, elsewhere: str) -> list[str]:
            code = [sys.executable, "-m", counted.__name__]
            return [*code, module, benchmark, str(rounds), elsewhere]

        # At full speed first: whether it works at all, and every module's bytecode gets cached.
        answer = counted.answer(_run(command(1, str(Path.cwd())), folder))
        if answer is None:
            raise BenchError("the process ended without an answer")
        short, long = (
            _executed(valgrind, command(rounds, answer.folder), folder) for rounds in (SHORT, LONG)
        )
    return (long - short) / ((LONG - SHORT) * answer.operations)


def count(tasks: Sequence[tuple[str, str]]) -> Iterator[tuple[float | None, str]]:
    """Instructions per operation of modules' benchmarks, in order; None and a message on failure.

    As many run at a time as there are CPUs: they do not disturb each other's counts. Raises
    ToolError if there is no valgrind.
    """
    if not tasks:
        return
    valgrind = find_valgrind()

    def one(task: tuple[str, str]) -> tuple[float | None, str]:
        try:
            return round(per_operation(valgrind, *task), 2), ""
        except BenchError as error:
            return None, str(error)

    with ThreadPoolExecutor(len(machine.allowed_cpus()) or os.cpu_count()) as pool:
        yield from pool.map(one, tasks)
