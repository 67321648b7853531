"""Run the test suites of programs that use greenlets, on greenlet and on greenlane, and compare.

    python impl/tests/programs/programs.py run eventlet             all of eventlet's tests
    python impl/tests/programs/programs.py run eventlet --quick     those that take seconds
    python impl/tests/programs/programs.py report                   writes docs/compatibility.md

Needs the program, greenlet and greenlane installed, and pip for the program's source distribution,
where the tests are not in its wheel. Nothing of the program is changed. On greenlane it runs under
``python -m greenlane``; all other things are the same on both sides.

The tests run in *units*, one file each, several at a time. Units in which a test fails on either
side run three times more on both, with nothing beside them, and these runs decide: a test passes,
fails, or is unsteady. What then fails on greenlane alone is run ten times. A unit that crashes or
takes too long counts as a failed test of its own. Each process notes which greenlet it has
(recorder/outcomes.py): a comparison of greenlet with itself is refused.

Exit codes: 0 no test that passes on greenlet fails on greenlane; 1 one does; 2 what was asked for
cannot be run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RESULTS = ROOT / "reports" / "programs"
SIDES = ("greenlet", "greenlane")
#: How often what fails is run again, and how often if it then fails on greenlane alone: it may be
#: unsteady on greenlet, too, which more runs show.
RUNS, MOST_RUNS = 3, 10
#: Units at a time: they mostly wait.
JOBS = 4


class CannotRunError(Exception):
    """What was asked for cannot be run; the message says what to do."""


@dataclass(frozen=True)
class Unit:
    """Tests that run in one go."""

    name: str
    #: What stands behind `python`, or behind `python -m greenlane`.
    arguments: tuple[str, ...]
    #: Where it runs.
    directory: Path
    #: Seconds until it is stopped.
    limit: float = 400


@dataclass(frozen=True)
class Program:
    """A program with tests."""

    #: Of the distribution.
    name: str
    #: Names all units; or with True, those of the quick subset.
    units: Callable[[Path, bool], list[Unit]]
    #: What is run, in one line.
    what: str
    #: Does it need its source distribution, unpacked?
    needs_sdist: bool = True
    #: Variables of the environment, for both sides.
    environment: dict[str, str] = field(default_factory=dict)


PYTEST = ("-m", "pytest", "-q", "-p", "pytest_outcomes", "-p", "no:cacheprovider")


def pytest_units(
    directory: Path, files: Iterable[str], *options: str, configuration: str = "pyproject.toml"
) -> list[Unit]:
    """Return a unit for each file of tests, with this configuration and none that lies above it."""
    pytest = (*PYTEST, "-c", configuration, "--rootdir", str(directory), *options)
    return [Unit(file, (*pytest, file), directory) for file in sorted(files)]


def files(directory: Path, *patterns: str) -> list[str]:
    """Return the files that match, relative to the directory."""
    return [str(path.relative_to(directory)) for each in patterns for path in directory.glob(each)]


# ---- The programs --------------------------------------------------------------------------------

GEVENT_QUICK = (
    *("event", "greenlet", "greenletset", "queue", "semaphore", "timeout", "hub", "local"),
    *("contextvars", "iwait", "joinall", "GreenletExit", "exc_info", "lock", "real_greenlet"),
)


def gevent_units(directory: Path, quick: bool) -> list[Unit]:
    """Use gevent's own runner, which starts a process for each file: all of them, or one a unit."""
    installed = Path(str(distribution("gevent").locate_file("gevent/tests")))
    names = sorted(path.name for path in installed.glob("test_*.py"))
    # Runs CPython's own tests, from gevent's source tree.
    names.remove("test___monkey_patching.py")
    if quick:
        names = [name for name in names if name[len("test__") : -len(".py")] in GEVENT_QUICK]
    # Without tests of other hosts, and without those that ask for memory by the gigabyte.
    options = ("-m", "gevent.tests", "--processes", "1", "--use", "all,-network")
    return [Unit(name, (*options, name), directory) for name in names]


EVENTLET_QUICK = ("dagpool", "event", "pools", "queue", "semaphore", "timer")


def eventlet_units(directory: Path, quick: bool) -> list[Unit]:
    """Every file in tests; those of `isolated` are started by these."""
    found = files(directory, "tests/*_test.py", "tests/test_*.py")
    if quick:
        found = [f"tests/{name}_test.py" for name in EVENTLET_QUICK]
    return pytest_units(directory, found, "-p", "no:asyncio")


def sqlalchemy_units(directory: Path, quick: bool) -> list[Unit]:
    """The tests of asyncio, on SQLite through aiosqlite, as SQLAlchemy's own tox runs them."""
    found = files(directory, "test/ext/asyncio/test_*.py", "test/base/test_concurrency*.py")
    if quick:
        found = [name for name in found if "engine" in name or "concurrency" in name]
    options = ("-p", "no:asyncio", "--db", "aiosqlite")
    return pytest_units(directory, found, *options)


def greenletio_units(directory: Path, quick: bool) -> list[Unit]:
    """Every file in tests."""
    found = files(directory, "tests/test_*.py")
    if quick:
        found = [name for name in found if "core" in name or "threading" in name]
    return pytest_units(directory, found, "-p", "no:logging", "-p", "no:asyncio")


def playwright_units(_directory: Path, quick: bool) -> list[Unit]:
    """Tests that are written here, with the browser that CHROMIUM names; all are quick."""
    if not os.environ.get("CHROMIUM"):
        raise CannotRunError(
            "no browser: .ci/fetch-chromium .chromium, then CHROMIUM=$PWD/.chromium/bin/chromium"
        )
    del quick
    directory = HERE / "playwright"
    return pytest_units(directory, files(directory, "test_*.py"), configuration=os.devnull)


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "gevent",
            gevent_units,
            "its whole suite, by `python -m gevent.tests`, without tests of other hosts",
            needs_sdist=False,
        ),
        Program("eventlet", eventlet_units, "the tests of its source distribution"),
        Program(
            "sqlalchemy",
            sqlalchemy_units,
            "the tests of `sqlalchemy.ext.asyncio`, on SQLite through aiosqlite",
            # Its conftest.py then leaves its source distribution out of sys.path.
            environment={"PYTHONNOUSERSITE": "1"},
        ),
        Program("greenletio", greenletio_units, "the tests of its source distribution"),
        Program(
            "playwright",
            playwright_units,
            "its sync API in Chromium, by tests written here: PyPI has none of its own",
            needs_sdist=False,
        ),
    )
}


def unpack_sdist(name: str) -> Path:
    """Load the source distribution of the installed version and unpack its tests, no code of it.

    Kept beside the interpreter's packages, so that it is loaded once. Raises CannotRunError.
    """
    target = Path(sys.prefix) / "programs" / f"{name}-{version(name)}"
    if target.exists():
        return target
    print(f"loading the source distribution of {name} {version(name)}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        wanted = ["--no-binary", name, "--dest", temporary, f"{name}=={version(name)}"]
        if subprocess.run([*pip, *wanted], check=False).returncode != 0:
            raise CannotRunError(f"pip could not load the source distribution of {name}")
        (archive,) = Path(temporary).iterdir()
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        (top,) = (each for each in Path(temporary).iterdir() if each.is_dir())
        # The program itself is to be that of the wheel.
        for code in (top / name, top / "src"):
            shutil.rmtree(code, ignore_errors=True)
        shutil.move(top, target)
    return target


# ---- Running -------------------------------------------------------------------------------------


def environment_for(program: Program, record: Path) -> dict[str, str]:
    """Return the environment of both sides."""
    path = os.pathsep.join(filter(None, (str(HERE / "recorder"), os.environ.get("PYTHONPATH"))))
    own = {"PYTHONPATH": path, "GREENLANE_OUTCOMES": str(record), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **program.environment, **own}


def run_unit(program: Program, unit: Unit, side: str) -> tuple[dict[str, str], set[str]]:
    """Run a unit on one side; return the outcomes, and whose greenlet its processes had.

    An outcome is "passed", "failed" or "skipped".
    """
    log = RESULTS / "logs" / program.name / f"{unit.name.replace(os.sep, '.')}.{side}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, log.open("wb") as output:
        record = Path(temporary) / "outcomes"
        record.touch()
        runner = ("-m", "greenlane") if side == "greenlane" else ()
        process = subprocess.Popen(
            [sys.executable, *runner, *unit.arguments],
            cwd=unit.directory,
            env=environment_for(program, record),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | str = process.wait(unit.limit)
        except subprocess.TimeoutExpired:
            code = f"took longer than {unit.limit:.0f} s"
        finally:
            # With what it has started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        outcomes, greenlets = read_record(record, unit)
    # pytest: 0 passed, 1 tests failed, 5 there are none.
    fine = code in (0, 5) or (code == 1 and "failed" in outcomes.values())
    outcomes[f"{unit.name} (process)"] = "passed" if fine else "failed"
    return outcomes, greenlets


def read_record(record: Path, unit: Unit) -> tuple[dict[str, str], set[str]]:
    """Read what recorder/outcomes.py wrote: the worst outcome of each test, and the greenlets."""
    order = ("skipped", "passed", "started", "failed")
    outcomes: dict[str, str] = {}
    last: dict[str, str] = {}
    greenlets = set()
    for line in record.read_text().splitlines():
        outcome, greenlet, name = line.split("\t", 2)
        # Files that are run as programs are all called the same.
        name = name.replace("__main__", unit.name.removesuffix(".py"), 1)
        greenlets.add(greenlet)
        if outcome != "started":
            outcomes[name] = max(outcomes.get(name, "skipped"), outcome, key=order.index)
        last[name] = outcome
    for name, outcome in last.items():
        # It began, and that was the last that was heard of it.
        if outcome == "started" and name not in outcomes:
            outcomes[name] = "failed"
    return outcomes, greenlets


def failures(found: dict[str, dict[str, str]]) -> list[str]:
    """Return what failed in one run of a unit."""
    return [
        f"{side}: {name}"
        for side, outcomes in found.items()
        for name, outcome in outcomes.items()
        if outcome == "failed"
    ]


Runs = dict[str, dict[str, list[str]]]  # of a side, of a test: the outcomes


def run_program(program: Program, quick: bool, words: list[str]) -> dict[str, Any]:
    """Run all units on both sides and return what is written to the file of results."""
    try:
        release = version(program.name)
    except PackageNotFoundError:
        raise CannotRunError(
            f"{program.name} is not installed: tox -e programs-{program.name}"
        ) from None
    directory = unpack_sdist(program.name) if program.needs_sdist else Path(sys.prefix)
    units = [
        unit
        for unit in program.units(directory, quick)
        if not words or any(word in unit.name for word in words)
    ]
    if not units:
        raise CannotRunError(f"{program.name} has no such tests")
    runs: Runs = {side: {} for side in SIDES}
    greenlets: dict[str, set[str]] = {side: set() for side in SIDES}

    seconds: dict[str, float] = {}

    def run_once(unit: Unit) -> dict[str, dict[str, str]]:
        found = {}
        started = time.monotonic()
        for side in SIDES:
            found[side], had = run_unit(program, unit, side)
            greenlets[side] |= had
        seconds[unit.name] = time.monotonic() - started
        return found

    def keep(into: Runs, found: dict[str, dict[str, str]]) -> None:
        for side in SIDES:
            for name, outcome in found[side].items():
                into[side].setdefault(name, []).append(outcome)

    again = []
    with ThreadPoolExecutor(JOBS) as pool:
        for number, (unit, found) in enumerate(zip(units, pool.map(run_once, units), strict=True)):
            fails = failures(found)
            if fails:
                again.append(unit)
            else:
                keep(runs, found)
            took = f"{seconds[unit.name]:.1f} s"
            print(
                f"[{number + 1}/{len(units)}] {unit.name}, {took}", *fails, sep="\n    ", flush=True
            )
    for number, unit in enumerate(again):
        own: Runs = {side: {} for side in SIDES}
        for attempt in range(1, MOST_RUNS + 1):
            if attempt > RUNS and not regressions(own):
                break
            found = run_once(unit)
            keep(own, found)
            where = f"[again {number + 1}/{len(again)}, run {attempt}]"
            print(f"{where} {unit.name}", *failures(found), sep="\n    ", flush=True)
        for side in SIDES:
            runs[side].update(own[side])
    for side in SIDES:
        if greenlets[side] - {"none"} != {side}:
            had = greenlets[side]
            raise CannotRunError(f"on {side} the processes had {', '.join(sorted(had))}")
    return {
        "program": program.name,
        "version": release,
        "quick": quick or bool(words),
        "what": program.what,
        "python": platform.python_version(),
        "sides": {side: version(side) for side in SIDES},
        "runs": runs,
    }


# ---- Judging -------------------------------------------------------------------------------------


def verdict(outcomes: list[str]) -> str:
    """Return what several runs of a test come to: one outcome, or "unsteady"."""
    seen = set(outcomes)
    return seen.pop() if len(seen) == 1 else "unsteady"


def compare(runs: Runs) -> dict[tuple[str, str], list[str]]:
    """Return the tests by their verdicts: on greenlet, on greenlane. "absent": it did not run."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in sorted(runs["greenlet"].keys() | runs["greenlane"].keys()):
        theirs, ours = (
            verdict(runs[side][name]) if name in runs[side] else "absent" for side in SIDES
        )
        found.setdefault((theirs, ours), []).append(name)
    return found


def regressions(runs: Runs) -> list[str]:
    """Return the tests that pass on greenlet, and do not, or not always, on greenlane."""
    return [
        name
        for (theirs, ours), names in compare(runs).items()
        if theirs == "passed" and ours != "passed"
        for name in names
    ]


# ---- The report ----------------------------------------------------------------------------------

#: What pairs of verdicts are called, in the order of the columns.
COLUMNS = (
    "pass on both",
    "skipped on both",
    "fail on both",
    "unsteady",
    "better here",
    "worse here",
)

HEAD = """\
# Programs and tools that run on greenlane

This page is generated: `tox -e programs-report` writes it from what the environments
`programs-gevent`, `programs-eventlet`, `programs-sqlalchemy`, `programs-greenletio`,
`programs-playwright` and `tools` have found. Do not edit it.

## Programs

The programs are PyPI's wheels, their tests are their own unless the table says something else, and
neither is changed. Each file of
tests runs on greenlet, and then under `python -m greenlane`. Where a test fails on either side,
three more runs of its file on both decide, with nothing beside them; ten, if it then looks worse
on greenlane. *Unsteady* tests pass in some of these runs and fail in others, on both or on greenlet
alone. *Better here* and *worse here* are tests whose outcomes differ: what always passes on
greenlet and fails once on greenlane is worse here. A process that crashes, hangs or exits wrongly
counts as a failed test.
"""


def column(theirs: str, ours: str) -> str:
    """Return the column of the table that a pair of verdicts belongs to."""
    if theirs == ours:
        return {
            "passed": "pass on both",
            "skipped": "skipped on both",
            "failed": "fail on both",
            "unsteady": "unsteady",
        }[theirs]
    if theirs == "passed":
        return "worse here"
    if theirs == "unsteady":
        return "unsteady"
    return "better here" if ours == "passed" else "worse here" if ours == "failed" else "unsteady"


def program_lines(result: dict[str, Any]) -> tuple[str, list[str]]:
    """Return a program's row of the table, and the lists of tests that are not the same."""
    counts = dict.fromkeys(COLUMNS, 0)
    lists: list[str] = []
    for (theirs, ours), names in compare(result["runs"]).items():
        where = column(theirs, ours)
        counts[where] += len(names)
        if where not in ("pass on both", "skipped on both"):
            lists.append(f"- {where} ({theirs} on greenlet, {ours} on greenlane):")
            lists += [f"  - `{name}`" for name in names]
    cells = " | ".join(str(counts[each]) for each in COLUMNS)
    name = f"{result['program']} {result['version']}"
    row = f"| {name} | {result['python']} | {result['what']} | {cells} |"
    return row, lists


def tool_lines(results: Path) -> list[str]:
    """Return the section on tools."""
    found: list[dict[str, str]] = json.loads((results / "tools.json").read_text())
    lines = ["## Tools", "", "Each line is a test in `impl/tests/tools`, run with the tool itself."]
    lines += ["", "| tool | version | what was tried | outcome |", "|---|---|---|---|"]
    for each in found:
        lines.append("| {tool} | {version} | {what} | {outcome} |".format(**each))
    return lines


def report(results: Path, output: Path) -> int:
    """Write the page, from all results. Raises CannotRunError where one is missing."""
    whole = {name: sorted(results.glob(f"{name}-py3[0-9]*.json")) for name in PROGRAMS}
    missing = [f"programs-{name}" for name, paths in whole.items() if not paths]
    if not (results / "tools.json").exists():
        missing.append("tools")
    if missing:
        raise CannotRunError(f"no results in {results}: run `tox -e {','.join(missing)}` first")
    found = [json.loads(path.read_text()) for paths in whole.values() for path in paths]
    lines = [HEAD]
    lines += [f"| program | CPython | tests | {' | '.join(COLUMNS)} |"]
    lines += ["|---|---|---|" + "---:|" * len(COLUMNS)]
    details: list[str] = []
    for result in found:
        row, lists = program_lines(result)
        lines.append(row)
        if lists:
            name = f"{result['program']} on {result['python']}"
            details += ["", f"### {name}: what does not pass on both", "", *lists]
    sides = {f"{side} {each['sides'][side]}" for each in found for side in SIDES}
    lines += ["", f"With {', '.join(sorted(sides, reverse=True))}."]
    lines += [*details, "", *tool_lines(results)]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n")
    print(output)
    return 0


# ---- The command line ----------------------------------------------------------------------------


def results_file(name: str) -> Path:
    """Return the file of results of this CPython."""
    return RESULTS / f"{name}-py{sys.version_info.major}{sys.version_info.minor}.json"


def run(program: Program, quick: bool, words: list[str]) -> int:
    """Run a program's tests, keep the results, and return the exit code."""
    result = run_program(program, quick, words)
    runs: Runs = result["runs"]
    part = "-quick" if quick else "-part" if words else ""
    results_file(program.name + part).write_text(json.dumps(result, indent=1) + "\n")
    for (theirs, ours), names in sorted(compare(runs).items()):
        print(f"{len(names):6} {theirs} on greenlet, {ours} on greenlane")
    worse = regressions(runs)
    for name in worse:
        print(f"  passes on greenlet, but not always on greenlane: {name}")
    if not any("passed" in outcomes for outcomes in runs["greenlet"].values()):
        raise CannotRunError(f"no test passes on greenlet: see {RESULTS / 'logs' / program.name}")
    return 1 if worse else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run the tests of a program on both")
    runner.add_argument("program", choices=PROGRAMS)
    runner.add_argument("words", nargs="*", help="only files whose name contains one of these")
    runner.add_argument("--quick", action="store_true", help="a subset that takes seconds")
    reporter = commands.add_parser("report", help="write docs/compatibility.md of all results")
    reporter.add_argument("--results", type=Path, default=RESULTS)
    reporter.add_argument("--output", type=Path, default=ROOT / "docs" / "compatibility.md")
    options = parser.parse_args(arguments)
    try:
        if options.command == "report":
            return report(options.results, options.output)
        return run(PROGRAMS[options.program], options.quick, options.words)
    except CannotRunError as reason:
        print(f"programs.py: {reason}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
