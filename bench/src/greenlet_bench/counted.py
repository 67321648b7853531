"""One benchmark, a given number of rounds, without pytest and without a clock.

    python -m greenlet_bench.counted MODULE BENCHMARK-ID ROUNDS FOLDER

This is what instructions.py runs under callgrind. It does the same as the fixture `measure`, but
always the same number of rounds, so that two runs execute the same instructions. It prints an
`Answer` on a line that starts with `MARK`; any other output is the module's.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from greenlet_bench.catalogue import PREFIX, described
from greenlet_bench.harness import LOOPS, Floor, Stage, Workload

MARK = "greenlet-bench counted: "


@dataclass(frozen=True)
class Answer:
    """What a process tells."""

    operations: int
    """Of one round."""
    folder: str
    """Where the module was, if it is not installed; else empty."""


def answer(output: str) -> Answer | None:
    """The answer in what a process printed; None if there is none."""
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    return Answer(**json.loads(lines[-1].removeprefix(MARK))) if lines else None


def run(module: str, benchmark: str, rounds: int, folder: str) -> Answer:
    """Run the rounds. Raises what the benchmark raises.

    The module is looked for in `folder` if it is not installed.
    """
    needed = ""
    try:
        implementation = importlib.import_module(module)
    except ModuleNotFoundError:
        needed = folder
        sys.path.append(folder)
        implementation = importlib.import_module(module)
    suite, _, name = benchmark.partition("[")[0].partition(".")
    function = getattr(
        importlib.import_module(f"greenlet_bench.suites.{PREFIX}{suite}"), PREFIX + name
    )
    sizes = [size for size, one in described(function).items() if one.id == benchmark]
    made = 0

    def measure(
        prepare: Callable[[], Workload], operations: int = LOOPS, *, floor: bool = False
    ) -> None:
        nonlocal made
        made = operations
        stage = Floor(prepare) if floor else Stage(implementation, prepare)
        gc.collect()
        gc.disable()
        for _ in range(rounds):
            stage.resume()
            stage.check()
        gc.enable()
        stage.close()

    offered = {"measure": measure, "impl": implementation, "size": sizes[0]}
    code = function.__code__
    function(**{name: offered[name] for name in code.co_varnames[: code.co_argcount]})
    return Answer(made, needed)


if __name__ == "__main__":
    module, benchmark, rounds, folder = sys.argv[1:]
    found = run(module, benchmark, int(rounds), folder)
    print(f"\n{MARK}{json.dumps(asdict(found))}", flush=True)
