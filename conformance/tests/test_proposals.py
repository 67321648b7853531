"""``update-expectations``: entries that only a person can complete."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import made
import pytest
from running import Ran

from greenlet_conformance import cli, expectations

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def update(
    tmp_path: Path, outcomes: dict[str, str], *options: str, file: str = "expectations.toml"
) -> int:
    """Runs the command on a made run."""
    path = made.write(tmp_path / "run.jsonl", made.lines(outcomes))
    arguments = [str(path), "--impl=made", "--expectations", str(tmp_path / file), *options]
    return cli.main(["update-expectations", *arguments])


def test_proposes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clause that fails altogether is one entry, a test beside one that passes another."""
    outcomes = {"test_class": "CRASH", "test_self[b]": "FAIL"}
    assert update(tmp_path, outcomes) == 1
    out = capsys.readouterr().out
    assert tomllib.loads(out)["expect"] == [
        {
            "test": "test_switch_ordering.py::test_self[b]",
            "outcome": "FAIL",
            "reason": "",
            "link": "",
        },
        {"clause": "throw.class", "outcome": "CRASH", "reason": "", "link": ""},
    ]
    assert "# made 1.0 · CPython 3.13: assert <b>1</b> & 2 == 3?[0m\n" in out
    assert not (tmp_path / "expectations.toml").exists()


def test_whole_clause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several tests of a clause that fail differently are one entry with each outcome."""
    assert update(tmp_path, {"test_self[a]": "CRASH", "test_self[b]": "TIMEOUT"}) == 1
    (entry,) = tomllib.loads(capsys.readouterr().out)["expect"]
    assert (entry["clause"], entry["outcome"]) == ("order.self", ["TIMEOUT", "CRASH"])


def test_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What fails in several runs is proposed once, and says where it was seen."""
    paths = [
        made.write(tmp_path / f"{version}.jsonl", made.lines({"test_class": "FAIL"}, version))
        for version in ("1.0", "2.0")
    ]
    assert cli.main(["update-expectations", "--impl=made", *map(str, paths)]) == 1
    out = capsys.readouterr().out
    assert len(tomllib.loads(out)["expect"]) == 1
    assert "# made 1.0" in out
    assert "# made 2.0" in out


def test_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--write appends, keeps what is there, and does it once."""
    path = tmp_path / "expectations.toml"
    path.write_text("# mine\n")
    assert update(tmp_path, {"test_class": "FAIL"}, "--write") == 1
    written = path.read_text()
    assert written.startswith("# mine\n\n# made 1.0 ")
    assert len(tomllib.loads(written)["expect"]) == 1
    assert update(tmp_path, {"test_class": "FAIL"}, "--write") == 1
    assert path.read_text() == written
    assert "1 entries of" in capsys.readouterr().err


def test_unfinished_entry_is_an_error(
    run: Callable[..., Ran], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run refuses a proposed entry until it has a reason and a link."""
    assert update(tmp_path, {"test_class": "FAIL"}, "--write") == 1
    path = tmp_path / "expectations.toml"
    ran = run("--expectations", str(path), "--clause=throw.class")
    assert ran.code == 4
    assert "entry 1: needs a `reason`" in ran.err
    assert "entry 1: needs a `link`" in ran.err
    path.write_text(path.read_text().replace('""', '"because"'))
    assert run("--expectations", str(path), "--clause=throw.class").outcomes == {
        "test_class": "XPASS"
    }


def test_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What passes against expectation is named, not deleted."""
    assert update(tmp_path, {"test_class": "XPASS"}) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "suite/test_throw.py::test_class passes" in captured.err
    assert "delete its entry" in captured.err


def test_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that went as expected needs nothing."""
    assert update(tmp_path, {"test_class": "XFAIL", "test_example": "UNSUPPORTED"}) == 0
    assert capsys.readouterr().out.endswith("expectations.toml needs no change\n")


def test_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another implementation's results, a broken file and an impossible one are one line each."""
    path = str(made.write(tmp_path / "run.jsonl", made.lines({"test_class": "FAIL"})))
    assert cli.main(["update-expectations", "--impl=other", path]) == 4
    assert "is of made, not of other" in capsys.readouterr().err
    (tmp_path / "broken.toml").write_text("[[expect")
    assert update(tmp_path, {"test_class": "FAIL"}, "--write", file="broken.toml") == 4
    assert (tmp_path / "broken.toml").read_text() == "[[expect"
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert update(tmp_path, {"test_class": "FAIL"}, "--write", file="no/such.toml") == 2
    assert "--write" in capsys.readouterr().err


def test_default_file() -> None:
    """Without --expectations it is the package's own file."""
    assert expectations.path_for("greenlet") == expectations.own_path("greenlet")
    assert expectations.path_for("made") is None
