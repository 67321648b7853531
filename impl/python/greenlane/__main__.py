"""``python -m greenlane``: says what is installed and shows that it works."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import greenlane
from greenlane import _greenlet

EPILOG = """\
examples:
  python -m greenlane            what is installed, and a switch to prove that it works
  python -m greenlane --include  the compiler flag to build extensions against its C API
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for unusable arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m greenlane",
        description="Greenlets for CPython, each on a C stack of its own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=greenlane.__version__)
    parser.add_argument("--include", action="store_true", help="print the C compiler flag and stop")
    options = parser.parse_args(arguments)
    if options.include:
        print(f"-I{include_directory()}")
        return 0
    print(f"greenlane {greenlane.__version__}: {self_test()}")
    print(f"  {platform.python_implementation()} {platform.python_version()}, {sys.platform}")
    print(f"  extension: {_greenlet.__file__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
