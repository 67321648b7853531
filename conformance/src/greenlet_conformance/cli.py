"""``greenlet-conformance``: run the suite, and read the specification. Thin over pytest."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from greenlet_conformance import (
    INTERRUPTED,
    SUITE,
    __version__,
    diff,
    expectations,
    implementation,
    isolation,
    proposals,
    providers,
    report,
    results,
    signals,
    spec,
)
from greenlet_conformance.exits import (
    AS_EXPECTED,
    BAD_COMMAND,
    FAILURES,
    TRUNCATED,
    UNKNOWN_NAME,
    BadOutputError,
)
from greenlet_conformance.exits import TEXT as EXIT_CODES
from greenlet_conformance.fuzz import command as fuzz

# pytest's own exit codes; pytest itself is only needed to run the suite.
PYTEST_OK, PYTEST_FAILED, PYTEST_USAGE_ERROR = 0, 1, 4


class _Command(Protocol):
    """What the module of a command has."""

    SUMMARY: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the command's options."""

    def run(self, options: argparse.Namespace) -> int:
        """Runs the command; answers its exit code."""


#: The commands that have a module of their own.
_MODULES: dict[str, _Command] = {
    "report": report,
    "diff": diff,
    "update-expectations": proposals,
    "fuzz": fuzz,
}

#: How long a command may take to end that was interrupted too, and one that was asked to end.
_TOLD_SECONDS, _GRACE_SECONDS = 1.0, 5.0


#: A day; what an operating system can wait for is limited, too.
_MOST_SECONDS = 86_400.0


class _BadInterpreterError(Exception):
    """The suite cannot run in this interpreter; the message is one line."""


_EXAMPLES = """
examples:
  greenlet-conformance run --impl greenlet
  greenlet-conformance run --impl greenlane --clause 'dead.*' --clause order.example
  greenlet-conformance run --impl greenlet --python python3.12 --output greenlet.jsonl
  greenlet-conformance list --level must --clause 'throw.*'
  greenlet-conformance list --feature tracing
  greenlet-conformance show dead.skip.parent
  greenlet-conformance report greenlet.jsonl greenlane.jsonl --output-dir report
  greenlet-conformance diff before.jsonl after.jsonl
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; answers its exit code (see ``--help``)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # as `>&-` makes it
        _complain("standard output is closed; `>/dev/null` throws it away")
        return BAD_COMMAND
    options = _parser().parse_args(arguments)
    try:
        with signals.raised():
            code = _dispatch(options, arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # Whoever reads has had enough, as `| head` has; the rest goes nowhere.
        _throw_away_the_rest()
        return AS_EXPECTED if options.command in ("list", "show") else TRUNCATED
    except BadOutputError as error:
        _complain(str(error))
        return BAD_COMMAND
    except results.TruncatedError as error:
        _complain(str(error))
        return TRUNCATED
    except (
        spec.SpecError,
        spec.UnknownClauseError,
        results.ResultsError,
        expectations.ExpectationsError,
        proposals.MixedUpError,
        providers.ProviderError,
        _BadInterpreterError,
        implementation.ImplementationError,
        fuzz.FuzzError,
    ) as error:
        _complain(str(error))
        return UNKNOWN_NAME
    except OSError as error:
        _throw_away_the_rest()
        _complain(f"cannot write: {error}" if error.filename is None else str(error))
        return BAD_COMMAND
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be gone
            if sys.stdout.isatty():
                print(flush=True)  # pytest's line of dots is not ended
            print("interrupted; nothing was written", file=sys.stderr)
        return TRUNCATED


def _dispatch(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.command in _MODULES:
        return _MODULES[options.command].run(options)
    book = spec.load()
    if options.command == "run":
        return _run(options, book, arguments)
    if options.command == "list":
        return _list(options, book)
    return _show(options, book)


def _throw_away_the_rest() -> None:
    """What is still to be written to standard output goes nowhere, when the process ends too."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    if sys.stderr is None:
        return  # and what is printed to None appears on standard output
    for line in message.splitlines():
        print(f"greenlet-conformance: error: {line}", file=sys.stderr)


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a positive number of seconds, up to {_MOST_SECONDS:g}"
        )
    return seconds


class _Parser(argparse.ArgumentParser):
    """Complains in one line, like everything else here."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message} (see {self.prog} --help)")
        self.exit(BAD_COMMAND)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="greenlet-conformance",
        description="What a greenlet is: read the specification, and hold an implementation to it.",
        epilog=_EXAMPLES + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, examples: str = _EXAMPLES) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=examples + EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    run = add("run", "run the suite on an implementation")
    run.add_argument(
        "--impl",
        type=_name,
        default=implementation.DEFAULT,
        metavar="MODULE",
        help="its module (default: %(default)s)",
    )
    run.add_argument(
        "--python",
        type=_name,
        metavar="EXE",
        help="the interpreter to run it in, which has this package too (default: this one)",
    )
    run.add_argument(
        "--output",
        type=_name,
        metavar="FILE",
        help="write the results there as JSON lines, when all tests have run (default: nowhere)",
    )
    run.add_argument(
        "--expectations",
        type=_name,
        metavar="FILE",
        help="the expected failures, as TOML (default: the package's own for MODULE)",
    )
    run.add_argument(
        "--timeout",
        type=_seconds,
        default=isolation.TEST_SECONDS,
        metavar="SECONDS",
        help="limit of one test (default: %(default)g)",
    )
    run.add_argument("--no-isolate", action="store_true", help="one process for all tests")
    run.add_argument("-x", "--exitfirst", action="store_true", help="stop at the first failure")
    run.add_argument("-v", "--verbose", action="store_true", help="one line a test")
    listing = add("list", "list the clauses")
    listing.add_argument(
        "--level", type=str.lower, choices=["must", "should", "may"], help="only this level"
    )
    listing.add_argument(
        "--feature",
        type=_name,
        metavar="NAME",
        help="only what concerns it, such as tracing; spec/index.md names the features",
    )
    for command in (run, listing):
        command.add_argument(
            "--clause",
            action="append",
            default=[],
            metavar="PATTERN",
            help="only these, a glob; repeatable (default: all)",
        )
    show = add("show", "show one clause in full, or list those that match a glob")
    show.add_argument("clause", metavar="CLAUSE", help="its id, or a glob like 'dead.*'")
    for name, module in _MODULES.items():
        module.add_arguments(add(name, module.SUMMARY, module.EXAMPLES))
    return parser


def _run(options: argparse.Namespace, book: spec.Spec, arguments: list[str]) -> int:
    book.select(options.clause)
    try:
        os.getcwd()
    except OSError:
        raise BadOutputError("the working folder is not there any more") from None
    # pytest would say so by a traceback: the suite reads it before the plugin can refuse it.
    mistake = isolation.mistake_in_step_seconds()
    if mistake:
        _complain(mistake)
        return UNKNOWN_NAME
    output = _checked_output(options.output)
    if options.python:
        return _run_elsewhere(options.python, arguments, output)
    # Beside the output, so that the finished file is moved over the old one in one step.
    with _scratch_folder(output) as scratch:
        found = Path(scratch, "results.jsonl")
        command = [str(SUITE), f"--rootdir={SUITE}", f"--config-file={SUITE / 'pytest.ini'}"]
        command += ["-p", "greenlet_conformance.plugin", "-p", "greenlet_conformance.interrupt"]
        command += [f"--greenlet-impl={options.impl}"]
        command += [f"--clause={pattern}" for pattern in options.clause]
        if options.expectations:
            command.append(f"--expectations={Path(options.expectations).resolve()}")
        refused = _refused(command)
        if refused is not None:
            return refused
        command += [f"--conformance-jsonl={found}", f"--conformance-timeout={options.timeout}"]
        command += ["--no-isolate"] if options.no_isolate else []
        command += ["--exitfirst"] if options.exitfirst else []
        command += ["--verbose"] if options.verbose else []
        code = _call([sys.executable, "-m", "pytest", *command]).returncode
        if code == PYTEST_USAGE_ERROR:
            # It did not complain when it collected, so what it cannot use is the file it writes.
            return BAD_COMMAND
        try:
            as_expected = results.read(found).as_expected
        except results.ResultsError as error:
            if not found.exists():
                _complain(f"pytest ended with {code} before any test; there are no results")
                return TRUNCATED
            _complain(str(error).replace(str(found), "the results"))
            if output:
                partial = _keep(found, output.with_name(f"{output.name}.partial"))
                _complain(f"what there is of them is in {partial}; {output} was not touched")
            return TRUNCATED
        if output:
            kept = _keep(found, output)
            if kept != output:
                raise BadOutputError(f"{output} cannot be replaced; the results are in {kept}")
    if code not in (PYTEST_OK, PYTEST_FAILED):
        return TRUNCATED
    return AS_EXPECTED if as_expected and code == PYTEST_OK else FAILURES


def _checked_output(name: str | None) -> Path | None:
    """Where the results shall go; refuses what could not be replaced at the end."""
    if name is None:
        return None
    path = Path(name).resolve()
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise BadOutputError(f"--output {name}: {error.strerror}") from None
    if path.is_dir():
        raise BadOutputError(f"--output {name}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise BadOutputError(f"--output {name}: create the folder {path.parent} first")
    if path.exists() and not path.is_file():
        raise BadOutputError(f"--output {name}: is not a regular file")
    return path


def _keep(found: Path, wanted: Path) -> Path:
    """Moves a file of results out of the scratch folder beside it; answers where to.

    That is another name if the wanted one cannot be had any more: nothing that has run is lost.
    """
    try:
        return found.replace(wanted)
    except OSError:
        handle, name = tempfile.mkstemp(".jsonl", "conformance-", wanted.parent)
        os.close(handle)
        return found.replace(name)


def _scratch_folder(output: Path | None) -> tempfile.TemporaryDirectory[str]:
    if output is None:
        return tempfile.TemporaryDirectory()
    try:
        return tempfile.TemporaryDirectory(prefix=".conformance-", dir=output.parent)
    except OSError as error:
        raise BadOutputError(f"--output {output}: {error.strerror}: {output.parent}") from None


def _refused(command: list[str]) -> int | None:
    """Lets pytest collect, unseen, and answers the exit code if it refuses what it was given.

    The mistakes that only pytest sees (in the implementation, the file of expectations, the
    ties of tests and clauses) so come out without pytest's banner.
    """
    collect = [sys.executable, "-m", "pytest", *command, "--collect-only", "-q"]
    done = _call(collect, capture=True)
    if done.returncode != PYTEST_USAGE_ERROR:
        return None
    lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
    for line in lines:
        _complain(line)
    untested = all(line.endswith(spec.HAS_NO_TEST) for line in lines)
    return FAILURES if untested else UNKNOWN_NAME


def _call(command: list[str], capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs a command. Raises KeyboardInterrupt, after the command's own end, on Ctrl-C.

    So it does on what counts as Ctrl-C, see ``signals``.
    """
    pipe = subprocess.PIPE if capture else None
    # Plugins that are installed by chance cost time, and some make folders for themselves.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # What the environment adds for the pytests of another project could leave tests out.
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        environment.pop(name, None)
    with subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, errors="replace"
    ) as process:
        try:
            out, err = process.communicate()
        except KeyboardInterrupt:
            _end(process)
            raise
    if process.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> None:
    """The terminal has interrupted the process too; if only we were, it is asked, then killed.

    Not by SIGINT: what a shell runs in the background ignores that.
    """
    for ask in (None, signal.SIGTERM, signal.SIGKILL):
        if ask is not None:
            process.send_signal(ask)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS if ask else _TOLD_SECONDS)
            return


def _run_elsewhere(python: str, arguments: list[str], output: Path | None) -> int:
    """Runs the same command by another interpreter, which must have this package."""
    at = next(i for i, a in enumerate(arguments) if a == "--python" or a.startswith("--python="))
    rest = arguments[:at] + arguments[at + (1 if "=" in arguments[at] else 2) :]
    # What it answers must be found out, so that no program passes that says the same to anything.
    token = secrets.token_hex(8)
    program = f"import greenlet_conformance.plugin; print('{token}'[::-1])"
    check = [python, "-c", program]
    try:
        found = subprocess.run(
            check,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=implementation.IMPORT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _BadInterpreterError(f"{python} does not run: {error}") from None
    if found.returncode or found.stdout.split()[-1:] != [token[::-1]]:
        raise _BadInterpreterError(
            f"{python} cannot import greenlet_conformance ({_why(found.stderr)}); it must be a"
            f" Python 3.9 or newer with this package: {python} -m pip install ./conformance"
        )
    before = _identity(output)
    try:
        code = _call([python, "-m", "greenlet_conformance", *rest]).returncode
    except KeyboardInterrupt:
        return TRUNCATED  # the command over there has said so
    if output and code == AS_EXPECTED and _identity(output) == before:
        _complain(f"{python} wrote no results to {output}, though it exited with 0")
        return TRUNCATED
    return code if code >= 0 else TRUNCATED


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Tells a file from one that takes its place later; None if there is none."""
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _why(stderr: str) -> str:
    """The line of an error output that says most: of a traceback the last, else the first."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if not lines:
        return "it printed no error; is it a Python?"
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def _list(options: argparse.Namespace, book: spec.Spec) -> int:
    clauses = book.select(options.clause)
    if options.feature is not None:
        feature = book.of_feature(options.feature)
        clauses = [c for c in clauses if c in feature]
    _print_clauses([c for c in clauses if options.level in (None, c.level.lower())])
    return AS_EXPECTED


def _print_clauses(clauses: Sequence[spec.Clause]) -> None:
    chapter = ""
    for clause in clauses:
        if clause.chapter != chapter:
            print(f"{chr(10) if chapter else ''}{clause.chapter_title}")
            chapter = clause.chapter
        print(f"  {clause.id:36} {clause.level:6} {clause.title}")
    print(f"{chr(10) if clauses else ''}{len(clauses)} clause{'' if len(clauses) == 1 else 's'}")


def _show(options: argparse.Namespace, book: spec.Spec) -> int:
    if set(options.clause) & set("*?["):
        _print_clauses(book.select([options.clause]))
        return AS_EXPECTED
    clause = book.find(options.clause)
    print(f"{clause.id}: {clause.title}")
    print(f"{clause.level} · since {clause.since} · source: {clause.source}")
    print(f"chapter: {clause.chapter_title}")
    print(f"file: {spec.chapter_file(clause.chapter)}\n")
    print(textwrap.indent(clause.text, "  "))
    return AS_EXPECTED
