"""Reads TOML on every Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOMLDecodeError = tomllib.TOMLDecodeError


def read(path: Path) -> dict[str, Any]:
    """The file's content. Raises OSError or TOMLDecodeError."""
    with path.open("rb") as file:
        content: dict[str, Any] = tomllib.load(file)
        return content
