"""The commands that read the specification, and running in another interpreter."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from running import Ran

from greenlet_conformance import cli, spec


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """``list`` shows every clause under its chapter; filters reduce it."""
    assert cli.main(["list"]) == 0
    everything = capsys.readouterr().out
    assert len(re.findall(r"^  \S+", everything, re.M)) == len(spec.load().clauses)
    assert "Dead-target skipping" in everything
    assert cli.main(["list", "--level", "may", "--clause", "thread.*"]) == 0
    assert re.findall(r"^  (\S+)", capsys.readouterr().out, re.M) == ["thread.exited.root-dead"]


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """``show`` prints the clause in full."""
    assert cli.main(["show", "dead.skip.parent"]) == 0
    out = capsys.readouterr().out
    assert "dead.skip.parent: a dead target passes the switch to its parent" in out
    assert "MUST · since 0.1 · source: " in out
    assert "suspended" in out


@pytest.mark.parametrize("arguments", [["show", "dead.skip.prent"], ["list", "--clause", "deed.*"]])
def test_unknown_clause(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown clause is one line on stderr and exit code 4."""
    assert cli.main(arguments) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert "near matches: dead." in captured.err


@pytest.mark.parametrize("arguments", [[], ["nosuch"], ["show"], ["list", "--level", "high"]])
def test_wrong_command_line(arguments: list[str]) -> None:
    """A command line that is not understood exits with 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Every help text has examples and the exit codes."""
    for arguments in (["--help"], ["run", "--help"], ["list", "--help"], ["show", "--help"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 0
        out = capsys.readouterr().out
        assert "examples:" in out
        assert "exit codes:" in out


def test_other_interpreter(run: Callable[..., Ran]) -> None:
    """--python runs the same command there."""
    ran = run("--python", sys.executable, "--clause=order.example")
    assert ran.code == 0, ran.err
    assert ran.outcomes == {"test_example": "PASS"}
    ran = run(
        f"--python={sys.executable}",
        "--impl=broken",
        "--clause=args.none",
        BROKEN_GREENLET="NoneForNothing",
    )
    assert ran.code == 1


@pytest.mark.parametrize("python", ["nosuch-python", "/bin/false"])
def test_unusable_interpreter(run: Callable[..., Ran], python: str) -> None:
    """An interpreter that does not exist, or lacks the package, is an error that says so."""
    ran = run("--python", python, "--clause=order.example")
    assert ran.code == 4
    assert python in ran.err
    assert ran.records == []
