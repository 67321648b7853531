"""Starting a program that uses greenlets."""

from __future__ import annotations

from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import Implementation

IMPORT = """
import importlib, sys, time
start = time.perf_counter_ns()
module = importlib.import_module(sys.argv[1])
end = time.perf_counter_ns()
assert module.greenlet(lambda: "done").switch() == "done"
print(end - start)
"""


@benchmark("import it, in a fresh process", unit="ns per import")
def bench_import(measure_processes: Any, impl: Implementation) -> None:
    measure_processes(IMPORT, impl.__name__)
