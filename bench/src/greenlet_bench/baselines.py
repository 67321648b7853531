"""Saved results: a folder of result files, each under a name that commands take in place of a path.

    greenlet-bench save-baseline before bench.jsonl     ->  .greenlet-bench/before.jsonl
    greenlet-bench compare before bench.jsonl

A saved result is a copy, unchanged, of a result file that could be read.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from greenlet_bench import results
from greenlet_bench.errors import BenchError, InputError, OutputError
from greenlet_bench.results import Results

FOLDER = Path(".greenlet-bench")
"""Where they are, unless another folder is named."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _path(name: str, folder: Path) -> Path:
    return folder / f"{name}.jsonl"


def names(folder: Path) -> list[str]:
    """The names in a folder; none if there is no such folder."""
    return sorted(path.stem for path in folder.glob("*.jsonl"))


def save(name: str, source: Path, folder: Path, *, replace: bool = False) -> Path:
    """Copy a result file into the folder under a name; returns the copy's path.

    Raises InputError if it is no complete result, and BenchError if the name is not one, or is
    taken and `replace` is not set. Nothing is written then.
    """
    if not _NAME.fullmatch(name):
        raise BenchError(
            f"{name!r} is not a name for a baseline: use letters, digits, '-', '_' and '.'"
        )
    results.read(source)
    target = _path(name, folder)
    partial = target.with_name(f"{target.name}.partial")
    try:
        if target.exists() and not replace:
            raise BenchError(
                f"there is a baseline {name} ({target}): give --replace, or another name"
            )
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from None
    finally:
        with suppress(OSError):  # such as that there is none
            partial.unlink()
    return target


def load(text: str, folder: Path) -> Results:
    """The result that a command line names: a file, or a saved one.

    Raises InputError, naming what there is, if it is neither, or cannot be read.
    """
    with suppress(OSError, ValueError):  # of what can be no path, such as one that is too long
        path = Path(text)
        if path.is_file():
            return results.read(path)
        if _NAME.fullmatch(text) and _path(text, folder).is_file():
            return results.read(_path(text, folder))
    known = names(folder)
    near = get_close_matches(text, known, n=3) or known
    hint = f"; saved in {folder}: {', '.join(near)}" if near else f"; none are saved in {folder}"
    raise InputError(f"{text} is neither a result file nor a saved baseline{hint}")
