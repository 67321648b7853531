"""Fixtures: the extension modules that tests compile once a run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from support import IMPL, TESTS, compile_extension

#: Gives the directory of an extension (file name in extensions/), compiled against a header
#: ("greenlane" or "greenlet").
Builder = Callable[[str, str], Path]


def header_directory(package: str) -> Path | None:
    """Return where the ``greenlet.h`` of a package is, or None if it is not installed."""
    if package == "greenlane":
        return IMPL / "include" / "greenlane"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    directory = Path(spec.origin).parent
    return directory if (directory / "greenlet.h").exists() else None


def available_headers() -> list[str]:
    """Name the packages whose header extensions can be compiled against."""
    return [name for name in ("greenlane", "greenlet") if header_directory(name) is not None]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Compile extensions, each at most once a run."""
    built: dict[tuple[str, str], Path] = {}

    def builder(source: str, package: str = "greenlane") -> Path:
        if (source, package) not in built:
            include = header_directory(package)
            assert include is not None
            directory = tmp_path_factory.mktemp(f"{source.replace('.', '_')}_{package}")
            compile_extension(TESTS / "extensions" / source, directory, include)
            built[source, package] = directory
        return built[source, package]

    return builder
