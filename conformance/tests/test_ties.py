"""The plugin refuses a test without a clause and a clause without a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Ran

import greenlet_conformance


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its specification, to be spoilt."""
    package = tmp_path / "copy" / "greenlet_conformance"
    shutil.copytree(
        greenlet_conformance.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(greenlet_conformance.spec_folder(), package / "spec", dirs_exist_ok=True)
    return package


def collect(plain_pytest: Callable[..., Ran], copy: Path, *arguments: str) -> Ran:
    """Collects the suite of the copy."""
    path = {"PYTHONPATH": str(copy.parent)}
    return plain_pytest(str(copy / "suite"), "--collect-only", "-q", *arguments, **path)


def test_intact_copy(plain_pytest: Callable[..., Ran], copy: Path) -> None:
    """The copy itself collects without complaint."""
    ran = collect(plain_pytest, copy)
    assert ran.code == 0, ran.out + ran.err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('@clause("order.example")', "", "test_example: is tied to no clause"),
        ('@clause("order.example")', '@clause("order.exmaple")', "near matches: order.example"),
        ('@clause("order.example")', '@clause("throw.self")', "belongs in test_throw.py"),
        ('@clause("order.example")', '@clause("order.root")', "'order.example' has no test"),
        ('    """Two greenlets take turns', '    x = """Two', "test_example: has no docstring"),
    ],
)
def test_loose_ends(
    plain_pytest: Callable[..., Ran], copy: Path, old: str, new: str, says: str
) -> None:
    """Each loose end is an error that names the test or the clause."""
    path = copy / "suite" / "test_switch_ordering.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    ran = collect(plain_pytest, copy)
    assert ran.code == 4
    assert says in ran.err


def test_filtered_run_does_not_complain(plain_pytest: Callable[..., Ran], copy: Path) -> None:
    """A clause without a test is no matter where only others are selected."""
    path = copy / "suite" / "test_switch_ordering.py"
    path.write_text(path.read_text().replace('@clause("order.example")', '@clause("order.root")'))
    assert collect(plain_pytest, copy).code == 4
    for arguments in (["--clause=throw.*"], ["-k", "test_ring"], ["-m", "clause"]):
        assert collect(plain_pytest, copy, *arguments).code == 0
    spoilt = copy / "suite" / "test_throw.py"
    only = plain_pytest(str(spoilt), "--collect-only", "-q", PYTHONPATH=str(copy.parent))
    assert only.code == 0
