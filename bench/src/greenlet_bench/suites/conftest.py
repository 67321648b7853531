"""The pytest side of the suites: options, fixtures, and the record that the driver reads.

The record is JSON lines, flushed line by line, so that it tells what was running when a process
died: `{"kind": "start", "benchmark": ID}`, then either `{"kind": "timing", ...}` or
`{"kind": "failure", "message": ...}`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import _pytest
import pytest

from greenlet_bench.alias import CannotStandInError, stand_in
from greenlet_bench.catalogue import Benchmark, described
from greenlet_bench.harness import (
    LOOPS,
    PAGE,
    Floor,
    Implementation,
    Stage,
    Timing,
    Workload,
    available_bytes,
    resident_bytes,
    time_rounds,
)

DEFAULT_IMPLEMENTATION = "greenlane"

FRESH_PROCESSES = 4
MOST_BYTES = 12 * 1024
"""The most memory that a suspended greenlet is expected to take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("greenlet-bench")
    # The conformance suite's plugin has the same option with the same meaning.
    with suppress(ValueError):
        group.addoption(
            "--greenlet-impl",
            metavar="MODULE",
            default=DEFAULT_IMPLEMENTATION,
            help=f"module to measure (default: {DEFAULT_IMPLEMENTATION})",
        )
    group.addoption("--bench-record", type=Path, metavar="FILE", help="write JSON lines to FILE")
    group.addoption(
        "--bench-seconds", type=float, default=0.05, help="seconds to time each benchmark"
    )
    group.addoption(
        "--bench-population",
        type=int,
        default=100_000,
        help="greenlets where there are to be many, as for cold starts",
    )
    group.addoption("--bench-cpu", type=int, help="CPU to stay on (default: any)")


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--greenlet-impl") or DEFAULT_IMPLEMENTATION
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise pytest.UsageError(f"--greenlet-impl {name}: {error}") from None
    except SystemExit as error:
        raise pytest.UsageError(
            f"--greenlet-impl {name}: importing it exits Python with {error.code!r}"
        ) from None
    config.stash[IMPLEMENTATION] = module
    cpu = config.getoption("--bench-cpu")
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


IMPLEMENTATION = pytest.StashKey[Any]()


@pytest.fixture
def impl(pytestconfig: pytest.Config) -> Implementation:
    """The module under test."""
    module: Implementation = pytestconfig.stash[IMPLEMENTATION]
    return module


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    sizes = [size for size in described(metafunc.function) if size is not None]
    if sizes:
        metafunc.parametrize("size", sizes, ids=map(str, sizes))


def _described(item: pytest.Item) -> Benchmark:
    assert isinstance(item, pytest.Function)
    callspec = getattr(item, "callspec", None)
    size: int | None = callspec.params["size"] if callspec else None
    return described(item.function)[size]


def _record(config: pytest.Config, **fields: object) -> None:
    path: Path | None = config.getoption("--bench-record")
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _record(item.config, kind="start", benchmark=_described(item).id)
    if not gc.get_freeze_count():
        # The collections of a benchmark are to be of what it makes: pytest and the modules have
        # some hundred thousand objects, and going through them takes as long as many a row.
        gc.collect()
        gc.freeze()
    return (yield)


SUITES_FOLDER = Path(__file__).parent
PYTEST_FOLDER = Path(_pytest.__file__).parent


def _is_of_the_suite(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether it was raised here, and not by the implementation: who skips is not to be excused."""
    files = [Path(entry.path) for entry in raised.traceback]
    others = [file.parent for file in files if PYTEST_FOLDER not in file.parents]
    return others[-1:] == [SUITES_FOLDER]  # pytest leaves none of unittest.SkipTest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.outcome != "passed":
        outcome, message = "FAIL", report.longreprtext
        if report.outcome == "skipped" and call.excinfo and _is_of_the_suite(call.excinfo):
            assert isinstance(report.longrepr, tuple)  # file, line, reason
            outcome, message = "UNSUPPORTED", report.longrepr[2].removeprefix("Skipped: ")
        _record(
            item.config,
            kind="failure",
            benchmark=_described(item).id,
            outcome=outcome,
            message=message,
        )
    return report


@pytest.fixture
def population(pytestconfig: pytest.Config) -> int:
    """How many greenlets are many."""
    number: int = pytestconfig.getoption("--bench-population")
    return number


@pytest.fixture
def library(impl: Implementation) -> Callable[..., Any]:
    """Import a library that uses greenlets; those will be of the module under test.

    The benchmark is skipped if the library is not installed, or if the module cannot stand in for
    greenlet; see alias.py.
    """

    def load(name: str, *, c_api: bool = False) -> Any:
        try:
            stand_in(impl, c_api=c_api)
            return importlib.import_module(name)
        except CannotStandInError as error:
            pytest.skip(str(error))
        except ModuleNotFoundError as error:
            package = name.partition(".")[0]
            if error.name != package:
                raise
            pytest.skip(f"{package} is not installed; pip install 'greenlet-bench[programs]'")

    return load


class Measure(Protocol):
    """The fixture `measure`."""

    def __call__(
        self, prepare: Callable[[], Workload], operations: int = LOOPS, *, floor: bool = False
    ) -> None: ...


@pytest.fixture
def measure(request: pytest.FixtureRequest, benchmark: Any, impl: Implementation) -> Measure:
    """Time a workload; with `floor=True` outside any greenlet."""
    config = request.config

    def pedantic(target: Callable[[], object], **options: Any) -> list[float]:
        benchmark.pedantic(target, **options)
        durations: list[float] = benchmark.stats.stats.data
        return durations

    def run(
        prepare: Callable[[], Workload], operations: int = LOOPS, *, floor: bool = False
    ) -> None:
        benchmark.group = _described(request.node).suite
        benchmark.extra_info["operations"] = operations
        stage = Floor(prepare) if floor else Stage(impl, prepare)
        timing = time_rounds(pedantic, stage, operations, config.getoption("--bench-seconds"))
        stage.close()
        _record_timing(request.node, timing, operations)

    return run


@pytest.fixture
def measure_memory(
    request: pytest.FixtureRequest, impl: Implementation, population: int
) -> Callable[..., None]:
    """Measure what a workload's body adds to the process's memory, divided by the population.

    Less than a page is no more than the reading can tell: it counts as a page.
    """

    def run(prepare: Callable[[int], Workload], population: int = population) -> None:
        try:
            resident_bytes()
            available = available_bytes()
        except NotImplementedError as error:
            pytest.skip(str(error))
        needed = population * MOST_BYTES
        if needed > available:
            pytest.skip(
                f"{population:,} greenlets may take {needed / 2**30:.0f} GiB and"
                f" {available / 2**30:.0f} are free; end other programs or leave it out"
            )
        _measure_once(request.node, impl, prepare, population, resident_bytes, least=PAGE)

    return run


@pytest.fixture
def measure_cold(
    request: pytest.FixtureRequest, impl: Implementation, population: int
) -> Callable[..., None]:
    """Time a workload's body once, in a fresh process, divided by the population."""

    def run(prepare: Callable[[int], Workload]) -> None:
        _measure_once(request.node, impl, prepare, population, time.perf_counter_ns)

    return run


@pytest.fixture
def measure_processes(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Run a program in some fresh processes; each prints the nanoseconds that it has measured.

    The first is dropped: it finds the files in no cache.
    """

    def run(program: str, *arguments: str) -> None:
        values = []
        for _ in range(FRESH_PROCESSES):
            done = subprocess.run(
                [sys.executable, "-c", program, *arguments], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            values.append(float(done.stdout.splitlines()[-1]))
        _record_timing(request.node, Timing(values[1:], values[:1]), 1)

    return run


def _measure_once(
    item: pytest.Item,
    impl: Implementation,
    prepare: Callable[[int], Workload],
    population: int,
    read: Callable[[], int],
    least: int = 0,
) -> None:
    """Record how much a reading grows while a workload's body runs, divided by the population."""
    stage = Stage(impl, lambda: prepare(population))
    gc.collect()
    gc.disable()
    try:
        before = read()
        stage.resume()
        grown = max(read() - before, least)
    finally:
        gc.enable()
    stage.check()
    stage.close()
    _record_timing(item, Timing([grown / population], []), population)


def _record_timing(item: pytest.Item, timing: Timing, operations: int) -> None:
    _record(
        item.config,
        kind="timing",
        benchmark=_described(item).id,
        operations=operations,
        # Six digits, and not so many decimals: what is small must not become 0, which has no ratio.
        values=[float(f"{value:.6g}") for value in timing.values],
        dropped=[float(f"{value:.6g}") for value in timing.dropped],
    )
