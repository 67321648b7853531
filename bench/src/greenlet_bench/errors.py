"""The errors that the command line turns into one line and an exit code."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1  # a benchmark crashed or failed, or a conformance run was cut short
EXIT_USAGE = 2  # wrong options (argparse uses the same number)
EXIT_INPUT = 3  # an input file is missing, truncated or not what it should be
EXIT_IMPLEMENTATION = 4  # the implementation cannot be imported (pytest uses the same number)
EXIT_REGRESSION = 5  # a gated row is worse than its threshold
EXIT_NOT_COMPARABLE = 6  # two results are of different machines or builds of Python
EXIT_MISSING = 7  # a gated row was not measured, or too seldom to tell
EXIT_TOOL = 8  # a program that is needed is not installed
EXIT_OUTPUT = 9  # the output cannot be written, as on a full disk
EXIT_INTERRUPTED = 130  # Ctrl-C; shells use the same numbers
EXIT_PIPE = 141  # who read the output went away
EXIT_TERMINATED = 143  # SIGTERM


class BenchError(Exception):
    """Something that the user can put right; `exit_code` is what the process exits with."""

    exit_code = EXIT_USAGE


class InputError(BenchError):
    """An input file is missing, truncated or garbled."""

    exit_code = EXIT_INPUT


class ImplementationError(BenchError):
    """The implementation under test cannot be used at all."""

    exit_code = EXIT_IMPLEMENTATION


class NotComparableError(BenchError):
    """Two results come from different machines, interpreters or amounts of work."""

    exit_code = EXIT_NOT_COMPARABLE


class ToolError(BenchError):
    """A program that is needed is not installed."""

    exit_code = EXIT_TOOL


class OutputError(BenchError):
    """What was to be written cannot be."""

    exit_code = EXIT_OUTPUT
