"""``diff``: what changed, and whether it is worse."""

from __future__ import annotations

from pathlib import Path

import made
import pytest

from greenlet_conformance import cli


def diff(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: dict[str, str], new: dict[str, str]
) -> tuple[int, dict[str, int], str]:
    """The exit code, the groups with their sizes, and the last line."""
    one = made.write(tmp_path / "old.jsonl", made.lines(old))
    two = made.write(tmp_path / "new.jsonl", made.lines(new, "2.0"))
    code = cli.main(["diff", str(one), str(two)])
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "made 1.0 · CPython 3.13 -> made 2.0 · CPython 3.13"
    groups = [line.rpartition(" (") for line in out[1:-1] if line and not line.startswith(" ")]
    return code, {title: int(count.rstrip(")")) for title, _, count in groups}, out[-1]


@pytest.mark.parametrize(
    ("old", "new", "group", "code"),
    [
        ("PASS", "FAIL", "newly failing", 1),
        ("PASS", "XFAIL", "newly failing", 1),
        ("XPASS", "CRASH", "newly failing", 1),
        ("PASS", "UNSUPPORTED", "no longer offered", 1),
        ("FAIL", "CRASH", "failing harder", 1),
        ("FAIL", "TIMEOUT", "failing harder", 1),
        ("XFAIL", "XFAIL/CRASH", "failing harder", 1),
        ("FAIL", "PASS", "newly passing", 0),
        ("XFAIL", "XPASS", "newly passing", 0),
        ("UNSUPPORTED", "PASS", "newly passing", 0),
        ("CRASH", "FAIL", "failing less hard", 0),
        ("FAIL", "UNSUPPORTED", "no longer failing, as not offered", 0),
        ("UNSUPPORTED", "TIMEOUT", "newly offered, but failing", 0),
        ("FAIL", "XFAIL", "expected otherwise", 0),
        ("XPASS", "PASS", "expected otherwise", 0),
    ],
)
def test_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, group: str, code: int
) -> None:
    """Every change of one test is told in one group; only what is worse exits with 1."""
    found = diff(tmp_path, capsys, {"test_class": old}, {"test_class": new})
    verdict = f"worse: 1 {group}" if code else "nothing became worse"
    assert found == (code, {group: 1}, verdict)


def test_no_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same results are no change, whatever they are."""
    same = {"test_class": "CRASH", "test_self[a]": "XFAIL"}
    assert diff(tmp_path, capsys, same, same) == (0, {}, "nothing changed")


def test_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line names the clauses, the test and both outcomes."""
    one = made.write(tmp_path / "old.jsonl", made.lines())
    two = made.write(tmp_path / "new.jsonl", made.lines({"test_class": "XFAIL/CRASH"}))
    assert cli.main(["diff", str(one), str(two)]) == 1
    line = "  throw.class  suite/test_throw.py::test_class: PASS -> XFAIL (CRASH)\n"
    assert line in capsys.readouterr().out


def test_added_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clause that is gone is worse; a test that is gone while its clause stays is not."""
    many = made.write(tmp_path / "many.jsonl", made.lines())
    few = made.write(tmp_path / "few.jsonl", made.lines(clauses=("order.self", "throw.class")))
    assert cli.main(["diff", str(many), str(few)]) == 1
    out = capsys.readouterr().out
    assert "clauses removed (1)\n  order.example: " in out
    assert "tests removed (1)\n  order.example  suite/test_switch_ordering.py::test_ex" in out
    assert out.endswith("\nworse: 1 clauses removed\n")
    assert cli.main(["diff", str(few), str(many)]) == 0
    out = capsys.readouterr().out
    assert "clauses added (1)" in out
    assert "tests added (1)" in out

    records = made.lines()
    gone = next(r for r in records if r.get("test", "").endswith("[b]"))
    records.remove(gone)
    records[-1]["counts"]["PASS"] -= 1
    fewer = made.write(tmp_path / "fewer.jsonl", records)
    assert cli.main(["diff", str(many), str(fewer)]) == 0
    assert "tests removed (1)" in capsys.readouterr().out
