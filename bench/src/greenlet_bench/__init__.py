"""Benchmarks for any implementation of greenlet, and the report that shows them.

`greenlet-bench run` measures, `greenlet-bench report` renders; METHOD.md says how and why.
"""

__version__ = "0.1.0"
