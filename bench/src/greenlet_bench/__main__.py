"""`python -m greenlet_bench` is the same as the command `greenlet-bench`."""

import sys

from greenlet_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
