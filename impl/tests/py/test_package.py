"""The package around the extension: names, stubs, the command line."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

import greenlane
from greenlane import _greenlet, command

# What programs written for greenlet import from it: by name, and by "*".
CONTRACT = {
    "CLOCKS_PER_SEC",
    "GREENLET_USE_CONTEXT_VARS",
    "GREENLET_USE_GC",
    "GREENLET_USE_TRACING",
    "enable_optional_cleanup",
    "get_clocks_used_doing_optional_cleanup",
}
STARRED = {
    "GreenletExit",
    "_C_API",
    "__version__",
    "error",
    "getcurrent",
    "gettrace",
    "greenlet",
    "settrace",
}

# What upstream's own tests and tools ask the extension module for.
DEBUGGING = {
    "GREENLET_USE_STANDARD_THREADING",
    "get_pending_cleanup_count",
    "get_total_main_greenlets",
    "set_thread_local",
}


def run_command(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "greenlane", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == expect, done.stderr
    return done


def test_exports() -> None:
    assert set(greenlane.__all__) == STARRED
    assert len(greenlane.__all__) == len(STARRED)
    assert set(dir(greenlane)) >= STARRED | CONTRACT


def test_extension_names() -> None:
    assert set(dir(_greenlet)) >= (STARRED - {"__version__"}) | CONTRACT | DEBUGGING


def test_constants() -> None:
    assert greenlane.GREENLET_USE_GC == 1
    assert greenlane.GREENLET_USE_TRACING == 1
    assert greenlane.GREENLET_USE_CONTEXT_VARS == 1
    assert greenlane.CLOCKS_PER_SEC == 1_000_000  # as POSIX demands


def test_names_on_the_type() -> None:
    assert greenlane.greenlet.getcurrent is greenlane.getcurrent
    assert greenlane.greenlet.settrace is greenlane.settrace
    assert greenlane.greenlet.gettrace is greenlane.gettrace
    assert greenlane.greenlet.error is greenlane.error
    assert greenlane.greenlet.GreenletExit is greenlane.GreenletExit


def test_names_of_types_are_upstreams() -> None:
    """Logs, pickled tracebacks and `except` by name look the same."""
    assert f"{greenlane.greenlet.__module__}.{greenlane.greenlet.__qualname__}" == (
        "greenlet.greenlet"
    )
    assert greenlane.error.__module__ == greenlane.GreenletExit.__module__ == "greenlet"
    assert issubclass(greenlane.error, Exception)
    assert greenlane.GreenletExit.__bases__ == (BaseException,)


def stub_names() -> tuple[set[str], set[str]]:
    """Return the names in the stub: of the module, and of the class greenlet."""
    stub = Path(greenlane.__file__).with_name("_greenlet.pyi")
    module: set[str] = set()
    members: set[str] = set()

    def names(body: list[ast.stmt], found: set[str]) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                found.add(statement.name)
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                found.add(statement.target.id)
            if isinstance(statement, ast.ClassDef) and statement.name == "greenlet":
                names(statement.body, members)

    names(ast.parse(stub.read_text()).body, module)
    return module, members


def test_stub_names_exist() -> None:
    module, members = stub_names()
    aliases = {"_Tracer"}
    assert "greenlet" in module
    assert "switch" in members
    assert module - aliases - set(dir(_greenlet)) == set()
    assert members - set(dir(greenlane.greenlet)) == set()


def test_stub_is_complete() -> None:
    module, members = stub_names()
    public = {name for name in dir(_greenlet) if not name.startswith("__")}
    assert public - module - DEBUGGING - {"get_tstate_trash_delete_nesting"} == set()
    own = {name for name in vars(greenlane.greenlet) if not name.startswith("__")}
    assert own - members == set()


def test_is_typed() -> None:
    assert Path(greenlane.__file__).with_name("py.typed").exists()


def test_docstrings() -> None:
    undocumented = [
        name
        for name, value in [*vars(_greenlet).items(), *vars(greenlane.greenlet).items()]
        if isinstance(
            value,
            types.BuiltinFunctionType | types.MethodDescriptorType | types.GetSetDescriptorType,
        )
        and not name.startswith("__")
        and not value.__doc__
    ]
    assert undocumented == []


def test_command() -> None:
    shown = run_command().stdout
    assert f"greenlane {greenlane.__version__}: works!" in shown
    assert str(_greenlet.__file__) in shown


def test_command_version() -> None:
    assert run_command("--version").stdout == f"{greenlane.__version__}\n"


def test_version_is_that_of_the_distribution() -> None:
    assert version("greenlane") == greenlane.__version__


def test_command_include() -> None:
    shown = run_command("--include").stdout
    found = re.fullmatch(r"-I(.+)\n", shown)
    assert found is not None
    assert found.group(1) == str(command.include_directory())
    header = Path(found.group(1)) / "greenlane" / "greenlet.h"
    assert "PyGreenlet_Import" in header.read_text()


def test_command_help_has_examples() -> None:
    assert "examples:" in run_command("--help").stdout


def test_command_refuses_what_it_does_not_know() -> None:
    assert "--nosuch" in run_command("--nosuch", expect=2).stderr
