"""``python -m greenlane``: the command line; all of it is in ``command.py``."""

import sys

from greenlane.command import main

if __name__ == "__main__":
    sys.exit(main())
