"""Importing the standard library where the program has modules of the same names.

A script called ``json.py`` or ``signal.py`` hides that of Python from whatever is imported after
it, which ends programs that import them themselves. Recording must not be what does.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

#: Where it lies.
_HOME = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is one of those to be imported
_DIRECTORIES = (_HOME, os.path.join(_HOME, "lib-dynload"))  # noqa: PTH118


class Library:
    """In a with statement: imports see the standard library, the program does not see them."""

    def __enter__(self) -> None:
        """Take away the program's search path, and those of its modules that are in the way."""
        self.path = sys.path
        self.theirs = {name: module for name, module in list(sys.modules.items()) if hides(module)}
        for name in self.theirs:
            del sys.modules[name]
        self.before = set(sys.modules)
        sys.path = [each for each in sys.path if each in _DIRECTORIES]

    def __exit__(self, *_: object) -> None:
        """Give that back; what the program would have found elsewhere is not imported for it."""
        sys.path = self.path
        for name in set(sys.modules) - self.before:
            if is_hidden(name.partition(".")[0]):
                del sys.modules[name]
        sys.modules.update(self.theirs)


def hides(module: ModuleType) -> bool:
    """Return whether a module has a name of the standard library without being from there."""
    variables = vars(module) if type(module) is type(sys) else {}
    name, file = variables.get("__name__"), variables.get("__file__")
    return (
        type(name) is str
        and type(file) is str
        and name.partition(".")[0] in sys.stdlib_module_names
        and (not file.startswith(_HOME) or "site-packages" in file)
    )


def is_hidden(name: str) -> bool:
    """Return whether the program's search path leads to another module of that name."""
    for entry in sys.path:
        if entry in _DIRECTORIES:
            break
        path = os.path.join(entry, name)  # noqa: PTH118
        if os.path.exists(f"{path}.py") or os.path.exists(f"{path}/__init__.py"):  # noqa: PTH110
            return True
    return False
