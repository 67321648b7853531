"""``python -m greenlane``: the command line; all of it is in ``command.py``.

Python has put the current directory in front of the search path. Files there are the program's,
also those that are called like modules of the standard library: nothing is imported from there.
"""

import sys


def run() -> int:
    """Run the command line without the current directory, and return its exit code."""
    is_safe = getattr(sys.flags, "safe_path", sys.flags.isolated)
    directory = None if is_safe else sys.path.pop(0)
    from greenlane.command import main

    return main(directory=directory)


if __name__ == "__main__":
    sys.exit(run())
