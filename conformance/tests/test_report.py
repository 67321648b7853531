"""The report: what it shows, what it refuses, what its files are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import made
import pytest
from test_results import VALIDATOR

from greenlet_conformance import badge, cli, report, results

MIXED = {
    "test_self[a]": "XFAIL/CRASH",
    "test_self[b]": "UNSUPPORTED",
    "test_class": "FAIL",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report of two runs: all well on 1.0, and MIXED on 2.0, which has a clause less."""
    good = made.write(tmp_path / "good.jsonl", made.lines())
    mixed = made.write(
        tmp_path / "mixed.jsonl", made.lines(MIXED, "2.0", clauses=("order.self", "throw.class"))
    )
    assert cli.main(["report", str(good), str(mixed), "--output-dir", str(tmp_path / "out")]) == 1
    return tmp_path / "out"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: dict[str, list[str]] = {}
        self.text: list[str] = []
        self.urls: list[str] = []
        self._row = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)
        if tag == "details":
            self._row = str(found["id"])
            self.rows[self._row] = []
        if found.get("role") == "img" and "summary" in self.open:
            self.rows[self._row].append(str(found["aria-label"]))
        self.urls += [str(found[name]) for name in ("src", "href") if name in found]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_made_files_keep_the_schema() -> None:
    """What these tests are made of is what a run would write."""
    for record in made.lines(MIXED):
        VALIDATOR.validate(record)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({})


def test_page(folder: Path) -> None:
    """A row a clause, a sign a run; clause text, logs and reasons are there; nothing is loaded."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.rows == {
        "order.example": ["PASS", "not selected"],
        "order.self": ["PASS", "XFAIL"],
        "throw.class": ["PASS", "FAIL"],
    }
    said = "".join(page.text)
    for words in (
        *("made 1.0 · CPython 3.13", "made 2.0 · CPython 3.13", "3 of 3", "0 of 2"),
        *("the title of throw.class | <i>", "with emphasis and <script>no markup</script>."),
        *("assert <b>1</b> & 2 == 3", "XFAIL (CRASH)", "a known <reason>", "Switch ordering"),
    ):
        assert words in said, words
    assert set(page.urls) == {"https://example.org/?a=1&b=2"}
    assert "@import" not in text
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text


def test_markdown(folder: Path) -> None:
    """The same in Markdown: a table a chapter, and what did not pass, with its log."""
    text = (folder / "report.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .*\(`([a-z.]+)`\) \| MUST \| (.*) \|$", text, re.M)
    assert rows == [
        ("order.example", "PASS | -"),
        ("order.self", "PASS | XFAIL"),
        ("throw.class", "PASS | FAIL"),
    ]
    assert "the title of throw.class \\| <i>" in text
    assert "What made 1.0" not in text
    failed = text.partition("## What made 2.0 · CPython 3.13 did not pass")[2]
    assert "- **FAIL** `suite/test_throw.py::test_class` (throw.class)\n\n  ````text\n" in failed
    assert "(order.self): a known <reason> (https://example.org/?a=1&b=2)" in failed


def test_junit(folder: Path) -> None:
    """A file a run; each test has its clauses as properties."""
    root = ET.parse(folder / "made-2.0-cpython-3.13.junit.xml").getroot()
    (suite,) = root
    assert suite.attrib == {
        "name": "made 2.0 · CPython 3.13",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
        "time": "1.500",
        "timestamp": "2026-01-01T00:00:00+00:00",
    }
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert set(cases) == {"test_self[a]", "test_self[b]", "test_class"}
    case = cases["test_class"]
    assert case.attrib == {"classname": "suite.test_throw", "name": "test_class", "time": "0.500"}
    properties = [(p.attrib["name"], p.attrib["value"]) for p in case.iter("property")]
    assert properties == [("clause", "throw.class"), ("outcome", "FAIL")]
    failure = case.find("failure")
    assert failure is not None
    assert failure.text == made.MESSAGE.replace("\x1b", "#x1B")
    skipped = cases["test_self[a]"].find("skipped")
    assert skipped is not None
    assert skipped.attrib == {"type": "XFAIL", "message": "a known <reason>"}
    good = ET.parse(folder / "made-1.0-cpython-3.13.junit.xml").getroot()
    assert (good.attrib["tests"], good.attrib["failures"]) == ("4", "0")


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [("CRASH", "error"), ("TIMEOUT", "error"), ("XPASS", "failure"), ("UNSUPPORTED", "skipped")],
)
def test_junit_tags(tmp_path: Path, outcome: str, tag: str) -> None:
    """Every outcome has its tag."""
    run = results.read(made.write(tmp_path / "r.jsonl", made.lines({"test_class": outcome})))
    report.write([run], tmp_path)
    (xml,) = tmp_path.glob("*.xml")
    found = [e.tag for e in ET.parse(xml).iter() if "type" in e.attrib]
    assert found == [tag]


@pytest.mark.parametrize(
    ("outcomes", "message", "kind"),
    [
        ({}, "3/3 clauses", "all"),
        ({"test_class": "XFAIL"}, "2/3 clauses", "known"),
        ({"test_class": "XFAIL", "test_self[a]": "CRASH"}, "1/3 clauses", "broken"),
    ],
)
def test_badge(tmp_path: Path, outcomes: dict[str, str], message: str, kind: str) -> None:
    """The badge counts clauses, and its colour says whether something is unexpected."""
    run = results.read(made.write(tmp_path / "r.jsonl", made.lines(outcomes)))
    report.write([run], tmp_path)
    (svg,) = tmp_path.glob("*.svg")
    root = ET.parse(svg).getroot()
    texts = [e.text for e in root.iter() if e.tag.endswith("}text")]
    assert texts == ["greenlet conformance", message]
    fills = [e.attrib.get("fill") for e in root.iter() if e.tag.endswith("}rect")]
    assert badge._COLOURS[kind] in fills


def test_as_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Known failures are as expected: exit code 0, and one line a run on the terminal."""
    path = made.write(tmp_path / "r.jsonl", made.lines({"test_class": "XFAIL"}))
    assert cli.main(["report", str(path), "--output-dir", str(tmp_path / "new" / "out")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "made 1.0 · CPython 3.13: 2 of 3 clauses kept; 3 PASS, 1 XFAIL"
    assert len(out) == 2


def test_same_file_names(tmp_path: Path) -> None:
    """Runs whose names differ only by what a file name cannot hold do not overwrite each other."""
    one = results.read(made.write(tmp_path / "a.jsonl", made.lines(version="1+x")))
    two = results.read(made.write(tmp_path / "b.jsonl", made.lines(version="1~x")))
    files = [column.file for column in report.columns([one, two])]
    assert files == ["made-1-x-cpython-3.13", "made-1-x-cpython-3.13-2"]


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda p: p.write_text("\n".join(p.read_text().splitlines()[:-1])), 3, "cut short"),
        (lambda p: p.write_text(p.read_text()[:-200]), 3, "cut short"),
        (lambda p: p.write_text("{}\n"), 4, "does not begin with a header of schema 1"),
        (lambda p: p.write_bytes(b"\x89PNG\xff"), 4, "not text"),
        (lambda p: p.write_text("hello"), 4, "not a line of JSON"),
        (lambda p: p.unlink(), 4, "No such file"),
    ],
)
@pytest.mark.parametrize("command", ["report", "diff", "update-expectations"])
def test_refuses(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    spoil: object,
    code: int,
    says: str,
) -> None:
    """What is no whole run is refused in one line, by every command, and nothing is written."""
    good, bad = (made.write(tmp_path / name, made.lines()) for name in ("good.jsonl", "bad.jsonl"))
    spoil(bad)  # type: ignore[operator]
    arguments = {
        "report": [str(good), str(bad), "--output-dir", str(tmp_path / "out")],
        "diff": [str(good), str(bad)],
        "update-expectations": [str(good), str(bad), "--impl=made"],
    }
    assert cli.main([command, *arguments[command]]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "bad.jsonl" in captured.err
    assert says in captured.err
    assert not (tmp_path / "out").exists()


def test_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder stands for its result files, in the order of their names."""
    folder = tmp_path / "results"
    folder.mkdir()
    arguments = ["report", str(folder), "--output-dir", str(folder)]
    assert cli.main(arguments) == 4
    assert "no file in this folder ends in .jsonl" in capsys.readouterr().err
    for name, version in (("b", "2"), ("a", "1")):
        made.write(folder / f"{name}.jsonl", made.lines(version=version))
    for _ in range(2):  # what the report leaves in the same folder is no result
        assert cli.main(arguments) == 0
        out = capsys.readouterr().out.splitlines()
        assert [line.partition(" ·")[0] for line in out[:-1]] == ["made 1", "made 2"]


def test_impossible_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An output folder that is a file is refused."""
    path = made.write(tmp_path / "r.jsonl", made.lines())
    assert cli.main(["report", str(path), "--output-dir", str(path)]) == 2
    assert "--output-dir" in capsys.readouterr().err
    assert results.read(path).counts == {"PASS": 4}
