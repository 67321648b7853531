"""The command line. `greenlet-bench --help` and `greenlet-bench COMMAND --help` explain it."""

from __future__ import annotations

import argparse
import io
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from greenlet_bench import (
    __version__,
    baselines,
    comparison,
    formats,
    gate,
    instructions,
    results,
    table,
)
from greenlet_bench.catalogue import SUITES, Benchmark, catalogue, select, suite_title
from greenlet_bench.driver import FULL, GATE, QUICK, Driver, Target, choose_cpu
from greenlet_bench.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_OUTPUT,
    EXIT_PIPE,
    EXIT_TERMINATED,
    BenchError,
    InputError,
    ToolError,
)
from greenlet_bench.progress import Progress, duration

DEFAULT_BASELINE = "greenlet"
DEFAULT_IMPLEMENTATIONS = ("greenlane", DEFAULT_BASELINE)

EXIT_CODES = """exit codes:
  0  done
  1  a benchmark crashed or failed, or a conformance run was cut short; the output is written
  2  wrong options
  3  an input file is missing, cut short or garbled; nothing is written
  4  an implementation cannot be imported
  5  gate: a row is worse than its threshold allows
  6  two results are not comparable: other machine, other Python, other amounts
  7  gate: a row is missing, failed, or was measured too seldom to tell
  8  a program or package that is needed, such as valgrind, is not installed
  9  the output cannot be written, as on a full disk
  130, 143  interrupted, terminated; a run leaves what it has measured in FILE.interrupted
  141  who read the output went away
"""

MOST_ROUNDS = 1000
MOST_SECONDS = 24 * 3600.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="greenlet-bench",
        description="Measure implementations of greenlet beside each other and report on them.",
        epilog=f"""examples:
  greenlet-bench list
  greenlet-bench run --impl greenlane --impl greenlet --output bench.jsonl
  greenlet-bench report --bench bench.jsonl --conformance run.jsonl --output-dir reports

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"greenlet-bench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="measure implementations",
        description="Run the benchmarks in many short processes, A B B A, and compare.",
        epilog=f"""examples:
  greenlet-bench run --quick
  greenlet-bench run --impl greenlane --suite switch --suite 'args.*'
  greenlet-bench run --impl greenlet --impl again=greenlet     (the null experiment)

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument(
        "--impl",
        action="append",
        metavar="[LABEL=]MODULE",
        help=f"a module to measure; repeat it (default: {' and '.join(DEFAULT_IMPLEMENTATIONS)})",
    )
    run.add_argument(
        "--baseline",
        metavar="LABEL",
        help=f"what the others are compared to; measured too (default: {DEFAULT_BASELINE})",
    )
    run.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only suites or benchmarks that match, such as switch or '*.round_trip'; repeat it",
    )
    run.add_argument(
        "--quick", action="store_true", help="fewer rounds and sizes: less than two minutes"
    )
    run.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help=f"rounds of A B B A (default: {FULL.rounds}, quick: {QUICK.rounds});"
        " an interval needs three",
    )
    run.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help=f"when a process is killed (default: {FULL.timeout:g})",
    )
    run.add_argument(
        "--instructions",
        action="store_true",
        help="also count instructions per operation with valgrind, which no noise reaches",
    )
    run.add_argument(
        "--output",
        type=Path,
        default=Path("bench.jsonl"),
        metavar="FILE",
        help="where the JSON lines go, in place of what is there (default: bench.jsonl)",
    )
    _add_format(run)
    run.set_defaults(function=_run)

    report = commands.add_parser(
        "report",
        help="write the HTML and Markdown report",
        description="Join benchmark results and conformance runs in one page that opens offline.",
        epilog=f"""examples:
  greenlet-bench report --bench bench.jsonl --conformance greenlane.jsonl \\
      --conformance greenlet.jsonl --output-dir reports
  greenlet-bench report --bench bench-py310.jsonl --bench bench-py313.jsonl
  greenlet-bench report --bench reports/       (its bench.jsonl and bench-py*.jsonl)

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument(
        "--bench",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="one for each version of Python: repeat it; a folder stands for its"
        " bench.jsonl and bench-py*.jsonl",
    )
    report.add_argument(
        "--conformance", type=Path, action="append", default=[], metavar="FILE", help="repeat it"
    )
    report.add_argument(
        "--output-dir",
        type=Path,
        default=Path("reports"),
        metavar="DIR",
        help="where index.html, report.md and the inputs go (default: reports)",
    )
    report.set_defaults(function=_report)

    show = commands.add_parser(
        "show",
        help="print the table of a result file",
        description="Print the table of a result file, also of one that was interrupted.",
        epilog=f"""examples:
  greenlet-bench show bench.jsonl
  greenlet-bench show bench.jsonl.interrupted

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("file", type=Path, help="what run has written")
    _add_format(show)
    show.set_defaults(function=_show)

    _add_save_baseline(commands)
    _add_compare(commands)
    _add_gate(commands)

    listing = commands.add_parser("list", help="list suites and benchmarks")
    listing.set_defaults(function=_list)
    return parser


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=tuple(formats.FORMATS),
        default="table",
        help="how the table is printed (default: table); CSV has the numbers unrounded",
    )


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--folder",
        type=Path,
        default=baselines.FOLDER,
        metavar="DIR",
        help=f"where saved results are (default: {baselines.FOLDER})",
    )


def _add_save_baseline(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    save = commands.add_parser(
        "save-baseline",
        help="keep a result under a name",
        description="Copy a result file into a folder, under a name that compare takes.",
        epilog=f"""example:
  greenlet-bench save-baseline before bench.jsonl

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    save.add_argument("name", help="letters, digits, '-', '_' and '.'")
    save.add_argument("file", type=Path, help="what run has written")
    save.add_argument("--replace", action="store_true", help="even if the name is taken")
    _add_folder(save)
    save.set_defaults(function=_save_baseline)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="tell what changed between two results",
        description="Ratios old / new with 95% intervals: above 1x the new result is better.",
        epilog=f"""examples:
  greenlet-bench compare before bench.jsonl
  greenlet-bench compare old.jsonl new.jsonl --relative --format markdown

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("old", "new"):
        compare.add_argument(name, help="a result file, or the name of a saved one")
    compare.add_argument(
        "--relative",
        action="store_true",
        help="compare ratios to the baseline implementation of each run, not times",
    )
    compare.add_argument(
        "--force", action="store_true", help="even if machine, Python or amounts differ"
    )
    _add_format(compare)
    _add_folder(compare)
    compare.set_defaults(function=_compare)


def _add_gate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "gate",
        help="fail if an implementation is slower than the thresholds allow",
        description="Hold an implementation to thresholds. Without --bench it measures the rows\n"
        "that have one, beside the baseline, which takes two minutes. A row fails only if its\n"
        "whole 95% interval is on the wrong side, and then it is measured again, with more time,\n"
        f"up to {gate.REPEATS} times.",
        epilog=f"""examples:
  greenlet-bench gate
  greenlet-bench gate --bench bench.jsonl --thresholds my-thresholds.toml

{EXIT_CODES}""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--bench", type=Path, metavar="FILE", help="judge this result instead of measuring"
    )
    command.add_argument(
        "--thresholds",
        type=Path,
        default=gate.DEFAULT,
        metavar="FILE",
        help="a TOML file (default: the one that comes with greenlet-bench)",
    )
    command.add_argument(
        "--impl",
        default=DEFAULT_IMPLEMENTATIONS[0],
        metavar="[LABEL=]MODULE",
        help=f"what is held to them (default: {DEFAULT_IMPLEMENTATIONS[0]})",
    )
    command.add_argument(
        "--no-instructions",
        action="store_true",
        help="leave out the thresholds of instructions, which need valgrind",
    )
    command.add_argument(
        "--rounds",
        type=int,
        default=GATE.rounds,
        metavar="N",
        help=f"rounds of A B B A (default: {GATE.rounds})",
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="keep what was measured, as JSON lines"
    )
    _add_format(command)
    command.set_defaults(function=_gate)


def _gate(options: argparse.Namespace) -> int:
    target = Target.parse(options.impl)
    found = results.read(options.bench) if options.bench is not None else None
    python = found.header["python"]["version"] if found else platform.python_version()
    thresholds = gate.read(options.thresholds, python)
    if options.no_instructions:
        thresholds = [one for one in thresholds if one.kind not in gate.COUNTS]
    if found is None:
        judgements = _measure_gated(options, thresholds, target)
    else:
        judgements = gate.judge(found, thresholds, target.label)
    print(formats.render(gate.build(judgements, target.label), options.format))
    return gate.exit_code(judgements)


def _measure_gated(
    options: argparse.Namespace, thresholds: Sequence[gate.Threshold], target: Target
) -> list[gate.Judgement]:
    """Measure the rows that the thresholds need, and again those that look like regressions."""
    _check_rounds(options.rounds, GATE.rounds, f"an interval needs {GATE.rounds}")
    if target.label == DEFAULT_BASELINE:
        raise BenchError(f"--impl {options.impl}: it is what others are compared to")
    known = {one.id for one in catalogue()}
    countable = {one.id for one in instructions.countable(catalogue())}
    for one in thresholds:
        for id_ in one.benchmarks:
            if id_ not in (countable if one.kind in gate.COUNTS else known):
                raise InputError(f"{options.thresholds}: {one.kind} of {id_} cannot be measured")
    ids = [id_ for one in thresholds for id_ in one.benchmarks]
    counted = [one.benchmark for one in thresholds if one.kind in gate.COUNTS]
    if counted:
        instructions.find_valgrind()
    settings = replace(GATE, rounds=options.rounds, cpu=choose_cpu())
    careful = replace(FULL, rounds=max(FULL.rounds, options.rounds), cpu=settings.cpu)
    targets = [target, Target.parse(DEFAULT_BASELINE)]
    with tempfile.TemporaryDirectory(prefix="greenlet-bench-") as folder:
        output = options.output or Path(folder) / "gate.jsonl"
        _check_output(output)

        def judge(
            driver: Driver, file: Path, some: Sequence[gate.Threshold]
        ) -> list[gate.Judgement]:
            progress = Progress(driver.steps)
            try:
                driver.run(file, DEFAULT_BASELINE, progress, keep=options.output is not None)
            finally:
                progress.done()
            return gate.judge(results.read(file), some, target.label)

        repeats = [
            output.with_name(f"{output.stem}-again-{number}{output.suffix}")
            for number in range(1, gate.REPEATS + 1)
        ]
        for file in repeats:
            _check_output(file)
        driver = Driver(select(ids), targets, settings, select(counted) if counted else [])
        judgements = judge(driver, output, thresholds)
        for file in repeats:
            with suppress(InputError, OSError):
                results.read(file)
                file.unlink()  # of an earlier gate, whose first result has just been replaced
        for file in repeats:
            doubtful = gate.doubtful(judgements)
            if not doubtful:
                break
            ids = sorted({id_ for one in doubtful for id_ in one.benchmarks})
            print(f"measuring again, with more time: {', '.join(ids)}", file=sys.stderr)
            again = judge(Driver(select(ids), targets, careful), file, doubtful)
            judgements = gate.revise(judgements, again)
        return judgements


def _save_baseline(options: argparse.Namespace) -> int:
    path = baselines.save(options.name, options.file, options.folder, replace=options.replace)
    print(f"saved: {path}")
    return EXIT_OK


def _compare(options: argparse.Namespace) -> int:
    old, new = (baselines.load(name, options.folder) for name in (options.old, options.new))
    found = comparison.build(old, new, relative=options.relative, force=options.force)
    print(formats.render(found, options.format))
    return EXIT_OK


def _run(options: argparse.Namespace) -> int:
    settings = QUICK if options.quick else FULL
    if options.rounds is not None:
        settings = replace(settings, rounds=options.rounds)
    if options.timeout is not None:
        settings = replace(settings, timeout=options.timeout)
    _check_rounds(settings.rounds, 1, "at least one round is needed")
    if not 0 < settings.timeout <= MOST_SECONDS:  # nor NaN
        raise BenchError(
            f"--timeout {settings.timeout:g}: give a number of seconds above 0, up to a day"
        )
    settings = replace(settings, cpu=choose_cpu())

    targets = [Target.parse(text) for text in options.impl or DEFAULT_IMPLEMENTATIONS]
    wanted = options.baseline or DEFAULT_BASELINE
    baseline = Target.parse(wanted)
    if wanted not in {target.label for target in targets}:
        targets.append(baseline)
    if len({target.label for target in targets}) < len(targets):
        raise BenchError("two implementations have the same label; give one as LABEL=MODULE")
    _check_output(options.output)
    benchmarks = select(options.suite, quick=options.quick)
    driver = Driver(benchmarks, targets, settings, _counted(options, benchmarks))
    progress = Progress(driver.steps)
    try:
        sound = driver.run(options.output, baseline.label, progress)
    finally:
        progress.done()
    found = results.read(options.output)
    print(table.render(found, options.format))
    print(
        f"\n{duration(found.footer['seconds'])}; written to {options.output}",
        file=sys.stdout if options.format == "table" else sys.stderr,
    )
    return EXIT_OK if sound else EXIT_FAILED


def _check_rounds(rounds: int, least: int, why: str) -> None:
    """Raises BenchError if so many rounds cannot be made."""
    if rounds < least:
        raise BenchError(f"--rounds {rounds}: {why}")
    if rounds > MOST_ROUNDS:
        raise BenchError(f"--rounds {rounds}: {MOST_ROUNDS} are the most")


def _check_output(path: Path) -> None:
    """Raises BenchError if no file can be written there."""
    try:
        path.exists()
    except OSError as error:  # such as that the name is too long
        raise BenchError(f"cannot write {path}: {error.strerror}") from None
    if not path.parent.is_dir():
        raise BenchError(f"cannot write {path}: its folder does not exist")
    if path.exists() and not path.is_file():
        raise BenchError(f"cannot write {path}: it is not a file; name one in a folder")


def _counted(options: argparse.Namespace, benchmarks: list[Benchmark]) -> list[Benchmark]:
    """Those whose instructions are to be counted. Raises BenchError if none can be."""
    if not options.instructions:
        return []
    instructions.find_valgrind()  # missed now, not after minutes
    counted = instructions.countable(benchmarks)
    if not counted:
        names = ", ".join(instructions.COUNTED)
        raise BenchError(f"--instructions: of none of these; they can be counted of {names}")
    return counted


def _show(options: argparse.Namespace) -> int:
    found = results.read(options.file, cut_short=True)
    print(table.render(found, options.format))
    if found.cut_short:
        told = f"{options.file} is cut short: {len(found.samples)} samples are what there is of it"
        print(f"greenlet-bench: {told}", file=sys.stderr)
    return EXIT_FAILED if found.cut_short else EXIT_OK


def _list(_options: argparse.Namespace) -> int:
    benchmarks = catalogue()
    width = max(len(benchmark.id) for benchmark in benchmarks)
    for suite in SUITES:
        print(f"{suite}: {suite_title(suite)}")
        for benchmark in benchmarks:
            if benchmark.suite == suite:
                print(f"  {benchmark.id:{width}} {benchmark.title} ({benchmark.unit})")
    return EXIT_OK


def _report(options: argparse.Namespace) -> int:
    from greenlet_bench import report  # templates and Markdown are needed for this alone

    if not options.bench and not options.conformance:
        raise BenchError("nothing to report: give --bench FILE or --conformance FILE")
    written = report.write(report.files(options.bench), options.conformance, options.output_dir)
    for warning in written.warnings:
        print(f"greenlet-bench: warning: {warning}", file=sys.stderr)
    print(f"written: {written.page} and {written.markdown}")
    return EXIT_FAILED if written.warnings else EXIT_OK


def _check_packages() -> None:
    """Raises ToolError if a package is missing without which nothing can be measured or told."""
    missing = [name for name in ("scipy", "pytest_benchmark") if find_spec(name) is None]
    if missing:
        raise ToolError(f"{' and '.join(missing)} cannot be imported: pip install greenlet-bench")


class _Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: whatever cleans up after Ctrl-C does so after these."""


@contextmanager
def _signals() -> Iterator[None]:
    """Raise _Terminated for the signals that would end the process, and leave its work as it is."""

    def terminate(*_: object) -> NoReturn:
        raise _Terminated

    # What is ignored stays so: nohup asks for that.
    taken = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) == signal.SIG_DFL]
    for one in taken:
        signal.signal(one, terminate)
    try:
        yield
    finally:
        for one in taken:
            signal.signal(one, signal.SIG_DFL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for locales without Unicode
    options = _parser().parse_args(arguments)
    try:
        with _signals():
            if options.function is not _list:
                _check_packages()
            code: int = options.function(options)
            print(end="", flush=True)  # what fails, fails here and not when Python has ended
    except BenchError as error:
        print(f"greenlet-bench: {formats.printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        terminated = isinstance(error, _Terminated)
        word = "terminated" if terminated else "interrupted"
        told = "; ".join([word, *map(str, error.args)])
        print(f"greenlet-bench: {told}", file=sys.stderr)
        return EXIT_TERMINATED if terminated else EXIT_INTERRUPTED
    except OSError as error:  # every other file has its own message
        # Python flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_PIPE
        print(f"greenlet-bench: cannot print the output: {error.strerror}", file=sys.stderr)
        return EXIT_OUTPUT
    return code
