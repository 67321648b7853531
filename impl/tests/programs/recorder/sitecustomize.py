"""Has unittest tell ``outcomes`` what becomes of tests, in each Python that has this on its path.

Nothing is imported before the program imports it itself: gevent's tests look at what is loaded.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

import outcomes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

#: Methods of unittest.TestResult, and the outcome that each of them stands for.
METHODS = {
    "startTest": "started",
    "addSuccess": "passed",
    "addFailure": "failed",
    "addError": "failed",
    "addUnexpectedSuccess": "failed",
    "addSkip": "skipped",
    "addExpectedFailure": "skipped",
}


class Loader(SourceFileLoader):
    """Loads unittest.result, and extends its class."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for method, outcome in METHODS.items():
            extend(module.TestResult, method, outcome)
        extend_subtests(module.TestResult)


def extend(result: type, method: str, outcome: str) -> None:
    """Have one method write the outcome before it does what it always does."""
    original = getattr(result, method)

    def extended(self: object, test: Any, *details: object) -> object:
        outcomes.write(outcome, str(test.id()))
        return original(self, test, *details)

    setattr(result, method, extended)


def extend_subtests(result: Any) -> None:
    """A subtest that fails makes its test fail."""
    original = result.addSubTest

    def extended(self: object, test: Any, subtest: object, error: object) -> object:
        if error is not None:
            outcomes.write("failed", str(test.id()))
        return original(self, test, subtest, error)

    result.addSubTest = extended


class Finder:
    """Finds unittest.result, once."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name != "unittest.result":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)  # type: ignore[arg-type]
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(name, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())
