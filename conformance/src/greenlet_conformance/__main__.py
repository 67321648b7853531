"""``python -m greenlet_conformance`` is the command ``greenlet-conformance``."""

from __future__ import annotations

import sys

from greenlet_conformance.cli import main

if __name__ == "__main__":
    sys.exit(main())
