"""A module that ends Python with code 0 when it is imported, as a script without a guard might."""

from __future__ import annotations

import sys

print("some output")
sys.exit(0)
