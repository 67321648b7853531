"""What a greenlet is: a specification, and a suite that holds any implementation to it.

Where things live:

- ``spec/``            the chapters, in Markdown; each clause has a stable id;
- ``suite/``           one test file a chapter, the clause before its test;
- ``expectations/``    what each implementation is known not to keep, with reasons;
- ``spec.py``          reads the chapters;  ``expectations.py`` reads those files;
- ``providers.py``     what other packages register;
- ``implementation.py`` imports the greenlet under test;
- ``plugin.py``        the pytest plugin: options, selection, outcomes;
- ``isolation.py``     one child process a test;
- ``interrupt.py``     Ctrl-C under the command;  ``signals.py`` the signals like it;
- ``reference.py``     greenlets in pure Python: the specification in executable form;
- ``examples.py``      the programs in the chapters, each with its output;
- ``fuzz/``            random programs, played by two implementations and compared;
- ``results.py``       the JSON lines that a run leaves; ``results.schema.json`` is their schema;
- ``schema.py``        whether a line keeps it;
- ``report.py``        one page, with ``templates/``, ``junit.py`` and ``badge.py``;
- ``diff.py``          what changed between two runs;
- ``proposals.py``     entries for a file of expectations;
- ``cli.py``           ``greenlet-conformance``; ``exits.py`` has its exit codes.
"""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

PACKAGE = Path(__file__).resolve().parent
SUITE = PACKAGE / "suite"
EXPECTATIONS = PACKAGE / "expectations"

#: How pytest exits when Ctrl-C has ended it under the command; shells use the same number.
INTERRUPTED = 130


def spec_folder() -> Path:
    """The folder of the chapters: inside an installed package, beside ``src`` in a checkout."""
    installed = PACKAGE / "spec"
    return installed if installed.is_dir() else PACKAGE.parent.parent / "spec"
