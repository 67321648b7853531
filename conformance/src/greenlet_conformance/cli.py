"""``greenlet-conformance``: run the suite, and read the specification. Thin over pytest."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

from greenlet_conformance import SUITE, __version__, implementation, results, spec

# pytest's own exit codes; pytest itself is only needed to run the suite.
PYTEST_OK, PYTEST_FAILED, PYTEST_USAGE_ERROR = 0, 1, 4

AS_EXPECTED = 0
FAILURES = 1
BAD_COMMAND = 2
TRUNCATED = 3
UNKNOWN_NAME = 4

_EXIT_CODES = """
exit codes:
  0  every selected test had its expected outcome
  1  some test had not: FAIL, CRASH, TIMEOUT or XPASS
  2  the command line was not understood
  3  the run was cut short; whatever passed, this is no pass
  4  a name is wrong: implementation, clause, interpreter, expectations file
"""

_EXAMPLES = """
examples:
  greenlet-conformance run --impl greenlet
  greenlet-conformance run --impl greenlane --clause 'dead.*' --clause order.example
  greenlet-conformance run --impl greenlet --python python3.12 --output greenlet.jsonl
  greenlet-conformance list --level must --clause 'throw.*'
  greenlet-conformance show dead.skip.parent
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; answers its exit code (see ``--help``)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(arguments)
    try:
        book = spec.load()
        if options.command == "run":
            return _run(options, book, arguments)
        if options.command == "list":
            return _list(options, book)
        return _show(options, book)
    except (spec.SpecError, spec.UnknownClauseError, FileNotFoundError) as error:
        message = error.args[0] if isinstance(error, LookupError) else error
        print(f"greenlet-conformance: error: {message}", file=sys.stderr)
        return UNKNOWN_NAME


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="greenlet-conformance",
        description="What a greenlet is: read the specification, and hold an implementation to it.",
        epilog=_EXAMPLES + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=_EXAMPLES + _EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    run = add("run", "run the suite on an implementation")
    run.add_argument("--impl", default=implementation.DEFAULT, metavar="MODULE", help="its module")
    run.add_argument("--python", metavar="EXE", help="the interpreter to run it in")
    run.add_argument("--output", metavar="FILE", help="write the results there as JSON lines")
    run.add_argument("--expectations", metavar="FILE", help="the expected failures, as TOML")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="limit of one test")
    run.add_argument("--no-isolate", action="store_true", help="one process for all tests")
    run.add_argument("-x", "--exitfirst", action="store_true", help="stop at the first failure")
    run.add_argument("-v", "--verbose", action="store_true", help="one line a test")
    listing = add("list", "list the clauses")
    listing.add_argument("--level", choices=["must", "should", "may"], help="only this level")
    for command in (run, listing):
        command.add_argument(
            "--clause", action="append", default=[], metavar="PATTERN", help="only these (a glob)"
        )
    show = add("show", "show one clause in full")
    show.add_argument("clause", metavar="CLAUSE")
    return parser


def _run(options: argparse.Namespace, book: spec.Spec, arguments: list[str]) -> int:
    book.select(options.clause)
    if options.python:
        return _run_elsewhere(options.python, arguments)
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(options.output) if options.output else Path(scratch, "results.jsonl")
        output.unlink(missing_ok=True)
        command = [str(SUITE), f"--rootdir={SUITE}", f"--config-file={SUITE / 'pytest.ini'}"]
        command += ["-p", "greenlet_conformance.plugin"]
        command += [f"--greenlet-impl={options.impl}", f"--conformance-jsonl={output.resolve()}"]
        command += [f"--clause={pattern}" for pattern in options.clause]
        if options.expectations:
            command.append(f"--expectations={Path(options.expectations).resolve()}")
        if options.timeout:
            command.append(f"--conformance-timeout={options.timeout}")
        command += ["--no-isolate"] if options.no_isolate else []
        command += ["--exitfirst"] if options.exitfirst else []
        command += ["--verbose"] if options.verbose else []
        code = subprocess.run([sys.executable, "-m", "pytest", *command], check=False).returncode
        if code == PYTEST_USAGE_ERROR:
            return UNKNOWN_NAME
        try:
            counts = results.counts(output)
        except results.ResultsError as error:
            print(f"greenlet-conformance: error: {error}", file=sys.stderr)
            return TRUNCATED
    if code not in (PYTEST_OK, PYTEST_FAILED):
        return TRUNCATED
    unexpected = set(counts) - set(results.EXPECTED)
    return FAILURES if unexpected or code != PYTEST_OK else AS_EXPECTED


def _run_elsewhere(python: str, arguments: list[str]) -> int:
    """Runs the same command by another interpreter, which must have this package."""
    at = next(i for i, a in enumerate(arguments) if a == "--python" or a.startswith("--python="))
    rest = arguments[:at] + arguments[at + (1 if "=" in arguments[at] else 2) :]
    check = [python, "-c", "import greenlet_conformance.plugin"]
    found = subprocess.run(check, capture_output=True, text=True, check=False)
    if found.returncode:
        last = found.stderr.strip().splitlines()[-1:] or ["it does not run"]
        raise FileNotFoundError(
            f"{python} cannot import greenlet_conformance ({last[0]});"
            f" install it there: {python} -m pip install greenlet-conformance"
        )
    return subprocess.run([python, "-m", "greenlet_conformance", *rest], check=False).returncode


def _list(options: argparse.Namespace, book: spec.Spec) -> int:
    chapter = ""
    for clause in book.select(options.clause):
        if options.level and clause.level.lower() != options.level:
            continue
        if clause.chapter != chapter:
            print(f"{chr(10) if chapter else ''}{clause.chapter_title}")
            chapter = clause.chapter
        print(f"  {clause.id:36} {clause.level:6} {clause.title}")
    return AS_EXPECTED


def _show(options: argparse.Namespace, book: spec.Spec) -> int:
    clause = book.find(options.clause)
    print(f"{clause.id}: {clause.title}")
    print(f"{clause.level} · since {clause.since} · source: {clause.source}")
    print(f"chapter: {clause.chapter_title}\n")
    print(textwrap.indent(clause.text, "  "))
    return AS_EXPECTED
