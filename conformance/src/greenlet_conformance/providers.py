"""What other packages register: the entry points of the group ``greenlet_conformance``.

A package that offers greenlets may say in its ``pyproject.toml``::

    [project.entry-points."greenlet_conformance"]
    quick = "quicklets.core"                           # a module
    "quicklets.core" = "quicklets:expectations.toml"   # a file in the package quicklets

The first line makes ``--impl quick`` mean the module ``quicklets.core``. The second one is the
file of expectations of that module, unless this package has one of its own for it. Both are
optional, and nothing of the other package is imported to read them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

GROUP = "greenlet_conformance"


class ProviderError(Exception):
    """What a package registers is of no use; the message is one line."""


def module_of(name: str) -> str:
    """The module that is registered by this name, or else the name itself."""
    modules = [value for value in _registered(name) if ":" not in value]
    return _only(name, modules) if modules else name


def expectations_file(module: str) -> Path | None:
    """The registered file of expectations of a module, or None. Raises ProviderError."""
    files = [value for value in _registered(module) if ":" in value]
    if not files:
        return None
    package, _, file = _only(module, files).partition(":")
    path = _folder(package.strip(), module) / file.strip()
    if not path.is_file():
        raise ProviderError(f"entry point {module!r} of {GROUP}: {path} does not exist")
    return path


def _registered(name: str) -> list[str]:
    """The values of all entry points of this name, in order, the same one once."""
    if sys.version_info >= (3, 10):
        points = importlib.metadata.entry_points(group=GROUP)
    else:
        points = importlib.metadata.entry_points().get(GROUP, [])
    return sorted({point.value for point in points if point.name == name})


def _only(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise ProviderError(
            f"entry point {name!r} of {GROUP} is registered twice, as {' and '.join(values)};"
            " uninstall one of the packages"
        )
    return values[0]


def _folder(package: str, name: str) -> Path:
    """Where a package lies; found without importing it, since it may be what is tested."""
    top, *rest = package.split(".")
    spec = importlib.util.find_spec(top)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise ProviderError(f"entry point {name!r} of {GROUP}: there is no package {package!r}")
    return Path(places[0], *rest)
