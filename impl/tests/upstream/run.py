"""Run the tests in greenlet's own wheel on greenlane.

    python impl/tests/upstream/run.py              all tests but the excluded ones
    python impl/tests/upstream/run.py test_gc      those whose name contains a word
    python impl/tests/upstream/run.py -memory      those whose name does not

Needs greenlane, greenlet, psutil and objgraph installed. Exits with 0 if all tests pass, 1 if one
fails, 2 if a name that is listed here names no test. The tests are run from where the wheel was
installed; none of them is part of this repository.

Each of greenlet's tests is repeated to see whether objects leak. Some of them leak with greenlet,
and are marked so: there the check demands a leak. Where greenlane does not leak the mark is taken
back, and the check demands that there is none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ALIAS = Path(__file__).resolve().parent / "alias"

#: Tests that are not run, each with the reason.
EXCLUDED = {
    "test_greenlet.TestBrokenGreenlets.test_failed_to_initialstub": (
        "makes greenlet's own stack switch fail, through a class made for that"
    ),
    "test_greenlet.TestBrokenGreenlets.test_failed_to_switch_into_running": (
        "makes greenlet's own stack switch fail, through a class made for that"
    ),
    "test_greenlet.TestBrokenGreenlets.test_failed_to_slp_switch_into_running": (
        "makes greenlet's own stack switch fail, through a class made for that"
    ),
}

#: Tests that leak with greenlet, and do not here, each with the reason.
LEAK_NO_MORE = {
    "test_greenlet.TestGreenlet.test_recursive_startup": (
        "a suspended greenlet that only its own frames refer to is collected"
    ),
    "test_greenlet.TestGreenlet.test_throw_to_dead_thread_doesnt_crash": (
        "what the frames of a greenlet refer to is released when it is freed without running"
    ),
    "test_generator_nested.NestedGeneratorTests.test_permutations": (
        "suspended greenlets that only their own frames refer to are collected"
    ),
    "test_gc.TestGC.test_finalizer_crash": (
        "a suspended greenlet in a reference cycle is collected"
    ),
    "test_leaks.TestLeaks.test_issue251_issue252_need_to_collect_in_background": (
        "a suspended greenlet is killed when its thread exits"
    ),
    "test_leaks.TestLeaks.test_issue251_issue252_need_to_collect_in_background_cleanup_disabled": (
        "a suspended greenlet is killed when its thread exits"
    ),
    "test_leaks.TestLeaks.test_issue251_issue252_explicit_reference_not_collectable": (
        "a suspended greenlet is killed when its thread exits"
    ),
}
if sys.version_info < (3, 11):
    # There, what an outer frame has on its stack is not seen by the collector (ARCHITECTURE.md).
    del LEAK_NO_MORE["test_generator_nested.NestedGeneratorTests.test_permutations"]


def tests_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Walk a tree of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_in(test)
        else:
            yield test


def forbid_leak(test: unittest.TestCase) -> None:
    """Take back greenlet's mark on a test that it leaks."""
    checked = getattr(type(test), test.id().rpartition(".")[2])
    # The check wraps the test, and the mark is on what it wraps.
    checked.__wrapped__.fails_leakcheck = False


def run(words: list[str]) -> int:
    """Run the tests in this process, which has the alias on its path."""
    greenlet = import_module("greenlet")
    directory = import_module("greenlet.tests").__path__[0]
    top = str(Path(directory).parent.parent)
    found = {
        test.id().removeprefix("greenlet.tests."): test
        for test in tests_in(unittest.TestLoader().discover(directory, top_level_dir=top))
    }
    left_out = [word[1:] for word in words if word.startswith("-")]
    words = [word for word in words if not word.startswith("-")]
    unknown = (EXCLUDED.keys() | LEAK_NO_MORE.keys()) - found.keys()
    if unknown:
        print("listed here, but there is no such test:", *sorted(unknown), file=sys.stderr)
        return 2
    chosen = unittest.TestSuite(
        test
        for name, test in found.items()
        if name not in EXCLUDED
        and (not words or any(word in name for word in words))
        and not any(word in name for word in left_out)
    )
    print(f"{chosen.countTestCases()} of {len(found)} tests of greenlet {greenlet.__version__}")
    for name, reason in EXCLUDED.items():
        print(f"  not run: {name}: {reason}")
    for name, reason in LEAK_NO_MORE.items():
        print(f"  must not leak: {name}: {reason}")
        forbid_leak(found[name])
    outcome = unittest.TextTestRunner(verbosity=1).run(chosen)
    for test, reason in outcome.skipped:
        print(f"  skipped by itself: {test.id().removeprefix('greenlet.tests.')}: {reason}")
    if outcome.testsRun == 0:
        print("no test has such a name", file=sys.stderr)
        return 2
    return 0 if outcome.wasSuccessful() else 1


def main() -> int:
    """Run the command line: again with the alias on the path, if it is not there yet."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ALIAS) not in path:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ALIAS), *filter(None, path)]),
        }
        return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
