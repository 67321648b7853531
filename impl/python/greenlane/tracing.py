"""``python -m greenlane trace``: its options, and what is done before the program runs.

The program is started like any other (``command.py``), with a variable in its environment that
makes it record itself (``recording.py``).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

from greenlane import recording, timeline

__all__ = ["Request", "parse"]

DEFAULT_OUTPUT = "trace.json"
DEFAULT_LIMIT = 200_000

#: Each event takes 24 bytes.
LARGEST_LIMIT = 100_000_000

DESCRIPTION = """\
Run a program and record what its greenlets do: switches, throws, births, deaths, who is whose
parent, what they run, and where each is suspended, in all threads. The recording is written when
the program ends, by itself, by an exception, or by SIGINT, SIGTERM or SIGHUP.
"""

EPILOG = """\
examples:
  python -m greenlane trace -o out.json app.py          to open in Perfetto, https://ui.perfetto.dev
  python -m greenlane trace --html app.py               a page to open in any browser: trace.html
  python -m greenlane trace -o out.json --html page.html app.py --port 80
  python -m greenlane trace --limit 1000000 -m gunicorn -k gevent app:application
  python -m greenlane trace -c "import gevent; gevent.sleep(1)"

Options stand before the program, or right behind its name if none does; from the first argument on
that is no option of these, all are the program's, and so is all behind "--":
  python -m greenlane trace compiler.py -- -o out

The limit is on events kept in memory, at 24 bytes each: a full one loses the oldest. In files an
event takes some 400 bytes of JSON, some 20 of a page. Processes that the program forks after it
has imported greenlet, and that switch greenlets, write files of their own: out.PID.json. Recordings
are replaced, other files are not: then the program is not run.
While SIGTERM and SIGHUP are handled in order to write, they end no program that stays in C code.
They are not where greenlet is first imported in another thread than the main one.
Exit code: that of the program; or 2 for arguments that cannot be used and for files that cannot be
written, which is found out before the program runs.
"""


LONG = ("--output", "--html", "--limit")


class Request(NamedTuple):
    """A program to be recorded."""

    options: argparse.Namespace
    #: The program and its arguments, as Python takes them.
    program: list[str]

    def prepare(self) -> dict[str, str]:
        """Make sure that the files can be written; those that are there stay until then.

        Returns what to add to the environment. Raises OSError if a file cannot be written.
        """
        found = self.options
        options = recording.Options(
            json=found.output,
            html=found.html,
            limit=found.limit,
            stderr=recording.stderr_identity(),
        )
        for path in options.files():
            timeline.check(path)
        return {recording.VARIABLE: options.encode()}


def take_options(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split arguments behind the options that they begin with."""
    taken: list[str] = []
    rest = list(arguments)
    while rest:
        first = rest[0]
        if first in ("-o", "--output", "--limit"):
            count = 2
        elif first == "--html":
            # What follows is its file if it looks like one; else that is named after the other.
            count = 2 if rest[1:2] and rest[1].endswith((".html", ".htm")) else 1
        elif first in ("-h", "--help") or first.startswith(("-o", *(f"{o}=" for o in LONG))):
            count = 1
        else:
            break
        taken += rest[:count]
        rest = rest[count:]
    return taken, rest


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split the arguments into our options and the program with its arguments."""
    options, program = take_options(arguments)
    is_ended = program[:1] == ["--"]
    if is_ended:
        program = program[1:]
    name_length = 2 if program[:1] in (["-m"], ["-c"]) else 1
    name, rest = program[:name_length], program[name_length:]
    if not options and not is_ended:
        options, rest = take_options(rest)
        if rest[:1] == ["--"]:
            rest = rest[1:]
    return options, name + rest


def limit(text: str) -> int:
    """Convert the argument of --limit."""
    number = int(text.replace(",", "").replace("_", ""))
    if not 1 <= number <= LARGEST_LIMIT:
        raise argparse.ArgumentTypeError(f"must be from 1 to {LARGEST_LIMIT}, not {number}")
    return number


def parse(arguments: list[str]) -> Request:
    """Understand the arguments behind ``trace``. Exits, with a message, if that is not possible."""
    parser = argparse.ArgumentParser(
        prog="python -m greenlane trace",
        usage="%(prog)s [-h] [-o FILE] [--html [FILE]] [--limit EVENTS] "
        "(program.py | -m module | -c code) [argument ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=f"write Trace Event JSON there (without this and --html: {DEFAULT_OUTPUT})",
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        nargs="?",
        const="",
        help="write a page there; without FILE (which ends in .html), named after that of -o, "
        "or trace.html",
    )
    parser.add_argument(
        "--limit",
        metavar="EVENTS",
        type=limit,
        default=DEFAULT_LIMIT,
        help="keep the last so many events (default: %(default)s)",
    )
    own, program = split(arguments)
    options = parser.parse_args(own)
    if not program:
        parser.error("name a program: app.py, -m module or -c code")
    script = program[0]
    if script != "-" and not script.startswith("-") and not os.path.exists(script):  # noqa: PTH110
        if own and own[-1] == "--html":
            parser.error(
                f"there is no file {script!r} to run; if it is the page: the name of that must end "
                f"in .html, or be given as --html={script}"
            )
        parser.error(f"there is no file {script!r} to run")
    if os.path.isfile(script) and timeline.is_recording(script):  # noqa: PTH113
        parser.error(
            f"{script!r} is a recording, no program; a page of that name is --html={script}"
        )
    if script.startswith("-") and script[:2] not in ("-m", "-c") and script != "-":
        parser.error(f"neither an option nor a program: {script}")
    if script in ("-m", "-c") and len(program) == 1:
        parser.error(f"an argument must follow {script}")
    if options.output is None and options.html is None:
        options.output = DEFAULT_OUTPUT
    if options.html == "":
        options.html = str(Path(options.output or DEFAULT_OUTPUT).with_suffix(".html"))
    paths = [path for path in (options.output, options.html) if path is not None]
    if "-" in paths:
        parser.error("standard output is written to as /dev/stdout; a file '-' is ./-")
    try:
        if len({os.path.realpath(path) for path in paths}) < len(paths):
            parser.error(f"the JSON and the page cannot both be {paths[0]!r}")
        if options.output is not None:  # the program may change the directory
            options.output = os.path.abspath(options.output)  # noqa: PTH100
        if options.html is not None:
            options.html = os.path.abspath(options.html)  # noqa: PTH100
    except FileNotFoundError:
        parser.error(f"cannot write {paths[0]!r}: the current directory is gone")
    return Request(options, program)
