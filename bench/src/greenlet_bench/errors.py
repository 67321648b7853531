"""The errors that the command line turns into one line and an exit code."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1  # a benchmark crashed or failed, or a conformance run was cut short
EXIT_USAGE = 2  # wrong options (argparse uses the same number)
EXIT_INPUT = 3  # an input file is missing, truncated or not what it should be
EXIT_IMPLEMENTATION = 4  # the implementation cannot be imported (pytest uses the same number)
EXIT_INTERRUPTED = 130


class BenchError(Exception):
    """Something that the user can put right; `exit_code` is what the process exits with."""

    exit_code = EXIT_USAGE


class InputError(BenchError):
    """An input file is missing, truncated or garbled."""

    exit_code = EXIT_INPUT


class ImplementationError(BenchError):
    """The implementation under test cannot be used at all."""

    exit_code = EXIT_IMPLEMENTATION
