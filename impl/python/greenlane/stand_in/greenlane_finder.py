"""Has ``import greenlet`` find the stand-in although a greenlet lies further in front.

The directory of the program comes before that of the stand-in on the module search path, and
greenlet may lie there: ``pip install -t .`` puts it there, and so do programs that bring their
libraries along. A module of the program's own that is called greenlet, too, stays what it is.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ExtensionFileLoader, PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

#: The directory that holds the stand-in, as the search path has it.
HERE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is slow to import


class Finder:
    """Finds the stand-in where the search path would lead to another greenlet package."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, _: object = None, /) -> ModuleSpec | None:
        """Return where to find a module, or None to leave that to others."""
        # The stand-in takes itself off the search path where greenlane is not installed.
        if name != "greenlet" or path is not None or HERE not in sys.path:
            return None
        found = PathFinder.find_spec(name)
        return PathFinder.find_spec(name, [HERE]) if is_greenlet(found) else None


def is_greenlet(found: ModuleSpec | None) -> bool:
    """Return whether this is the package greenlet, or the one module that it was before 1.0."""
    if found is None:
        return False
    inside = found.submodule_search_locations
    if inside is None:
        return isinstance(found.loader, ExtensionFileLoader)
    return PathFinder.find_spec("greenlet._greenlet", list(inside)) is not None


def install() -> None:
    """Ask it before all others, once."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
