"""The plugin refuses a test without a clause and a clause without a test; each test asserts."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Ran, start

import greenlet_conformance

CHECKS = ("pytest.raises", "pytest.fail")
SUPPORT = (greenlet_conformance.SUITE / "support.py").read_text(encoding="utf-8")


def functions(text: str) -> dict[str, ast.FunctionDef]:
    """The functions of a module by name."""
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def asserts(name: str, known: dict[str, ast.FunctionDef]) -> bool:
    """Whether a function of these, or one of these that it calls, can fail a test."""
    rest = {other: function for other, function in known.items() if other != name}
    for node in ast.walk(known[name]):
        if isinstance(node, ast.Assert):
            return not isinstance(node.test, ast.Constant)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "pytest.raises",
            "pytest.fail",
        ):
            return True
        called = isinstance(node, ast.Call) and ast.unparse(node.func)
        if isinstance(called, str) and called in rest and asserts(called, rest):
            return True
    return False


@pytest.mark.parametrize(
    "path", sorted(greenlet_conformance.SUITE.glob("test_*.py")), ids=lambda path: path.stem
)
def test_every_test_asserts(path: Path) -> None:
    """No test of the suite passes whatever happens."""
    own = functions(path.read_text(encoding="utf-8"))
    tests = [name for name in own if name.startswith("test_")]
    assert tests
    assert [name for name in tests if not asserts(name, functions(SUPPORT) | own)] == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("impl.greenlet(len).switch('x')", False),
        ("assert True", False),
        ("helper()", True),
        ("shape(impl)", False),
        ("assert impl.getcurrent()", True),
        ("with pytest.raises(KeyError): impl.f()", True),
    ],
)
def test_what_asserts(body: str, found: bool) -> None:
    """The check above can fail."""
    own = functions(f"def helper():\n    assert x\n\n\ndef test_it(impl):\n    {body}\n")
    assert asserts("test_it", functions(SUPPORT) | own) == found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its specification, to be spoilt."""
    package = tmp_path / "copy" / "greenlet_conformance"
    # With what has been compiled, but for what is being written just now.
    shutil.copytree(greenlet_conformance.PACKAGE, package, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copytree(greenlet_conformance.spec_folder(), package / "spec", dirs_exist_ok=True)
    return package


def collect(plain_pytest: Callable[..., Ran], copy: Path, *arguments: str) -> Ran:
    """Collects the suite of the copy."""
    path = {"PYTHONPATH": str(copy.parent)}
    # The copy's own plugin, and no others that are installed.
    path |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugin = ("-p", "greenlet_conformance.plugin")
    return plain_pytest(*plugin, str(copy / "suite"), "--collect-only", "-q", *arguments, **path)


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
    untested = collect(plain_pytest, copy, "--clause=order.example")
    assert untested.code == 4
    assert untested.err.strip() == "ERROR: clause 'order.example' has no test"
    for arguments in (["--clause=throw.*"], ["-k", "test_ring"], ["-m", "clause"]):
        assert collect(plain_pytest, copy, *arguments).code == 0
    spoilt = copy / "suite" / "test_throw.py"
    only = plain_pytest(str(spoilt), "--collect-only", "-q", PYTHONPATH=str(copy.parent))
    assert only.code == 0


def test_untested_clause_by_the_command(copy: Path, tmp_path: Path) -> None:
    """A selected clause that has no test is one line and exit code 1."""
    path = copy / "suite" / "test_switch_ordering.py"
    path.write_text(path.read_text().replace('@clause("order.example")', '@clause("order.root")'))
    command = [sys.executable, "-m", "greenlet_conformance", "run", "--clause=order.example"]
    ran = start(command, tmp_path, PYTHONPATH=str(copy.parent))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "greenlet-conformance: error: clause 'order.example' has no test\n"
