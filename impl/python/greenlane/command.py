"""``python -m greenlane``: runs a program on greenlane, says what is installed, examines it.

A program is run by starting Python afresh, in this same process, with the same command line but
for ``-m greenlane``, and with PYTHONPATH naming the stand-in for greenlet. So the program's
``__main__``, ``sys.argv`` and ``sys.path`` are what they are without greenlane, and whatever else
is on the command line (``-X dev``, ``-m pdb``, ``-m coverage run``) goes on to work.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

import greenlane
from greenlane import _greenlet, installation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from greenlane import tracing

EPILOG = """\
examples:
  python -m greenlane app.py --port 80   run a program, with greenlane for its greenlet
  python -m greenlane -m pytest          run a module
  python -m greenlane -c "import gevent" run code
  python -m greenlane doctor             how greenlets work here, and what fell back
  python -m greenlane trace app.py       record the greenlets of a program; trace --help says more
  python -m greenlane                    what is installed, and a switch to prove that it works
  python -m greenlane --include          the compiler flag to build extensions against its C API

Options of Python itself go before: python -X dev -m greenlane app.py.
Child processes of the program use greenlane, too, unless they ignore PYTHONPATH. Exit codes: those
of the program; otherwise 0, 1 for what does not work, or 2 for arguments that cannot be used.
"""


HELP_ON_DOCTOR = """\
usage: python -m greenlane doctor

Say how greenlets work here: version, CPU, kinds of stacks, limits, and what fell back to something
slower, with the reason.

It tells of its own process. Which greenlet a program has got, and who has imported it, the program
itself can tell:
  python -m greenlane -c "import app, greenlane; print(greenlane.doctor())"
"""


def self_test() -> str:
    """Switch back and forth once and return what came back."""
    child = greenlane.greenlet(lambda word: greenlane.getcurrent().parent.switch(word + "!"))  # type: ignore[union-attr]
    answer: str = child.switch("works")
    child.switch()
    return answer


def include_directory() -> Path:
    """Return the directory that holds ``greenlane/greenlet.h``."""
    return Path(__file__).parent / "include"


def names_program(arguments: list[str]) -> bool:
    """Return whether the arguments are those of a program, as Python takes them."""
    first = arguments[0] if arguments else "--"
    if first == "--":
        return len(arguments) > 1
    return first == "-" or not first.startswith("-") or first[:2] in ("-m", "-c")


def without_greenlane(before: list[str]) -> list[str] | None:
    """Remove ``-m greenlane`` from the end of what stood before a program's arguments.

    None if it is not there: then this is no command line, and cannot be given again.
    """
    joined = [*before[:-2], "".join(before[-2:])] if before[-1:] == ["greenlane"] else before
    if not joined or not joined[-1].startswith("-") or not joined[-1].endswith("mgreenlane"):
        return None
    # Options of one letter may stand before the m: `python -um greenlane`.
    flags = joined[-1].removesuffix("mgreenlane")
    return joined[:-1] if flags == "-" else [*joined[:-1], flags]


def run_program(
    arguments: list[str], directory: str | None, traced: tracing.Request | None = None
) -> int:
    """Become the Python that runs a program on greenlane; return 2, and say why, if not.

    ``arguments`` are all of the command line; if the program is to be traced, it is said there what
    of them is the program. ``directory`` is what Python had put in front of the search path.
    """
    before = without_greenlane(sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)])
    if before is None or sys.argv[1:] != arguments:
        return refuse("only the command line `python -m greenlane` runs programs")
    if sys.flags.ignore_environment:
        return refuse(
            "with -E or -I a program ignores PYTHONPATH, which is how it is run on greenlane; "
            "let it call greenlane.install() instead"
        )
    home = str(Path(greenlane.__file__).parent.parent)
    if home == directory and home not in sys.path:
        return refuse(f"greenlane is not installed, only found in {home}; put that on PYTHONPATH")
    environment = dict(os.environ)
    installation.add_to_environment(environment)
    program = arguments[1:] if arguments[:1] == ["--"] else arguments
    if traced is not None:
        program = traced.program
        try:
            environment |= traced.prepare()
        except OSError as error:
            return refuse(f"trace: cannot write {error.filename}: {error.strerror}")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it is None if it was closed before Python started
            stream.flush()
    return os.execve(sys.executable, [sys.executable, *before, *program], environment)


def show(text: str) -> int:
    """Print something and return 0; or 1, if that cannot be written, and say so."""
    try:
        print(text, flush=True)
    except OSError as error:
        # Or Python would try again at the end, and complain in its own way.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return fail(f"cannot write the output: {error.strerror}")
    return 0


def fail(reason: str) -> int:
    """Print why something did not work and return the exit code for that."""
    refuse(reason)
    return 1


def refuse(reason: str) -> int:
    """Print why the arguments cannot be used and return the exit code for that."""
    if sys.stderr is not None:  # print() would take standard output instead
        print(f"python -m greenlane: {reason}", file=sys.stderr)
    return 2


def main(arguments: list[str] | None = None, *, directory: str | None = None) -> int:
    """Run the command line and return its exit code, or become the program that it names.

    ``directory`` is what has been taken away from the front of ``sys.path``.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="python -m greenlane",
        usage="python -m greenlane [-h | --version | --include | doctor]\n"
        "       python -m greenlane (program.py | -m module | -c code) [argument ...]\n"
        "       python -m greenlane trace [option ...] (program.py | -m module | -c code) "
        "[argument ...]",
        description="Greenlets for CPython, each on a C stack of its own; programs that use "
        "greenlet, run on them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=greenlane.__version__)
    parser.add_argument("--include", action="store_true", help="print the C compiler flag and stop")
    if arguments[:1] == ["doctor"]:
        if arguments[1:] in (["-h"], ["--help"]):
            print(HELP_ON_DOCTOR, end="")
            return 0
        if arguments[1:]:
            return refuse(f"doctor takes no arguments, such as {arguments[1]!r}; see doctor --help")
        return show(str(greenlane.doctor()))
    if arguments[:1] == ["trace"]:
        from greenlane import tracing  # what it needs is slow to import

        return run_program(arguments, directory, tracing.parse(arguments[1:]))
    if names_program(arguments):
        return run_program(arguments, directory)
    options = parser.parse_args(arguments)
    if options.include:
        return show(f"-I{include_directory()}")
    try:
        answer = self_test()
    except MemoryError as error:
        return fail(f"{error}; `python -m greenlane doctor` says more")
    return show(
        f"greenlane {greenlane.__version__}: {answer}\n"
        f"  {platform.python_implementation()} {platform.python_version()}, {sys.platform}\n"
        f"  extension: {_greenlet.__file__}"
    )
