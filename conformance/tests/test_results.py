"""The file of results keeps its published schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import made
import pytest
from running import UPSTREAM, Ran, module

from greenlet_conformance import cli, results, schema

SCHEMA = json.loads(results.SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


@pytest.fixture
def records(run: Callable[..., Ran], tmp_path: Path) -> list[dict[str, Any]]:
    """The lines of a run with a PASS, a FAIL, a CRASH, an XFAIL and an UNSUPPORTED test."""
    expectations = tmp_path / "expectations.toml"
    expectations.write_text(
        "".join(
            f"[[expect]]\nclause = '{clause}'\noutcome = '{outcome}'\nreason = 'r'\nlink = 'l'\n"
            for clause, outcome in [("throw.instance", "CRASH"), ("throw.returns", "UNSUPPORTED")]
        )
    )
    names = ("args.none", "throw.class", "throw.instance", "throw.returns", "order.example")
    arguments = [f"--clause={name}" for name in names]
    ran = run("--impl=crashing", "--expectations", str(expectations), *arguments)
    return ran.records


def test_schema_itself() -> None:
    """The schema is a schema, of the number that the code writes."""
    VALIDATOR.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["header"]["properties"]["schema"] == {"const": results.SCHEMA}
    result = SCHEMA["$defs"]["result"]["properties"]
    assert sorted(result["outcome"]["enum"]) == sorted(results.OUTCOMES)
    assert sorted(result["actual"]["enum"]) == sorted(results.ACTUAL)


def test_real_output(records: list[dict[str, Any]]) -> None:
    """Every line of a real run is valid, and has no property that the schema does not tell of."""
    assert {r["outcome"] for r in records if r["kind"] == "result"} == {
        *("PASS", "CRASH", "XFAIL", "UNSUPPORTED")
    }
    for record in records:
        VALIDATOR.validate(record)
        assert set(record) == set(SCHEMA["$defs"][record["kind"]]["properties"])


@pytest.mark.parametrize("kind", ["header", "clause", "result", "footer"])
def test_schema_refuses(records: list[dict[str, Any]], kind: str) -> None:
    """A line that lacks any of its properties, or has a wrong one, is refused."""
    good = next(record for record in records if record["kind"] == kind)
    for key in good:
        bad = {name: value for name, value in good.items() if name != key}
        assert not VALIDATOR.is_valid(bad), key
        assert not VALIDATOR.is_valid({**good, key: None}), key


def spoilt(lines: list[dict[str, Any]], how: str) -> list[dict[str, Any]]:
    """The lines of a file that is wrong in this way."""
    lines = copy.deepcopy(lines)
    first_result = next(line for line in lines if line["kind"] == "result")
    if how == "unknown outcome":
        first_result["outcome"] = "GOOD"
    elif how == "lacks a field":
        del first_result["actual"]
    elif how == "unknown clause":
        first_result["clauses"] = ["no.such"]
    elif how == "header lacks a field":
        del lines[0]["python"]["debug"]
    elif how == "second header":
        lines.insert(1, lines[0])
    elif how == "second footer":
        lines.insert(-1, lines[-1])
    elif how == "unknown kind":
        lines.insert(-1, {"kind": "remark"})
    elif how == "schema is true":
        lines[0]["schema"] = True
    elif how == "contradiction":
        first_result.update(outcome="PASS", actual="CRASH")
    elif how == "endless":
        lines[-1]["seconds"] = float("inf")
    elif how == "no header":
        del lines[0]
    elif how == "not an object":
        lines.insert(1, [])  # type: ignore[arg-type]
    elif how == "no results":
        lines = [line for line in lines if line["kind"] != "result"]
        lines[-1]["counts"] = {}
    return lines


@pytest.mark.parametrize(
    "how",
    [
        *("unknown outcome", "lacks a field", "unknown clause", "header lacks a field"),
        *("no header", "not an object", "no results", "second header", "second footer"),
        *("unknown kind", "schema is true", "contradiction", "endless"),
    ],
)
def test_reader_refuses(records: list[dict[str, Any]], tmp_path: Path, how: str) -> None:
    """The reader refuses it too, in one line that names the file."""
    path = tmp_path / "file.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    assert results.read(path).counts["PASS"]
    path.write_text("\n".join(map(json.dumps, spoilt(records, how))))
    with pytest.raises(results.ResultsError) as caught:
        results.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_reader_refuses_depth(tmp_path: Path) -> None:
    """A line that is nested deeper than Python goes is refused in one line."""
    path = tmp_path / "deep.jsonl"
    path.write_text("[" * 200_000 + "\n{}\n")
    with pytest.raises(results.ResultsError, match="nested too deeply"):
        results.read(path)


def test_lone_surrogates(run: Callable[..., Ran], tmp_path: Path) -> None:
    """What no file can hold is spelled out, in a message as in a version."""
    odd = (
        "__version__ = '7\\udcff\\n8'\n"
        "def raising(*a, **k): raise ValueError('bad \\udcfe')\n"
        "class greenlet(greenlet): throw = raising\n"
    )
    ran = run("--impl=made_up", "--clause=throw.class", **module(tmp_path / "made", UPSTREAM + odd))
    assert (ran.code, ran.outcomes) == (1, {"test_class": "FAIL"})
    assert ran.records[0]["implementation"] == {"module": "made_up", "version": r"7\udcff 8"}
    assert r"conformance of made_up 7\udcff 8: 1 FAIL" in ran.out
    assert r"ValueError: bad \udcfe" in str(ran.records[-2]["message"])


@pytest.mark.parametrize("key", ["test", "message", "link"])
def test_lone_surrogates_from_elsewhere(tmp_path: Path, key: str) -> None:
    """A file may have them escaped; a report can be made of it all the same."""
    lines = made.lines()
    lines[-2][key] += "\udcfe"
    path = made.write(tmp_path / "odd.jsonl", lines)
    assert cli.main(["report", str(path), "--output-dir", str(tmp_path / "report")]) == 0
    assert getattr(results.read(path).results[-1], key).endswith(r"\udcfe")


VALUES: list[Any] = [None, True, 0, 1, -1, 0.5, "", "XX", "PASS", "a.b", [], ["a.b"], {}]


@pytest.mark.parametrize("kind", schema.KINDS)
def test_reader_keeps_the_schema(kind: str) -> None:
    """What the command takes for a mistake is what a library for such schemas does."""
    good = next(record for record in made.lines() if record["kind"] == kind)
    places: list[tuple[str, ...]] = [(key,) for key in good]
    places += [(key, name) for key in good if isinstance(good[key], dict) for name in good[key]]
    found = set()
    for *above, key in places:
        for value in [*VALUES, ...]:
            bad = copy.deepcopy(good)
            inner = bad[above[0]] if above else bad
            if value is ...:
                del inner[key]
            else:
                inner[key] = value
            valid = VALIDATOR.is_valid(bad)
            assert (schema.mistake(bad) is None) == valid, bad
            found.add(valid)
    assert found == {True, False}


def test_labels(records: list[dict[str, Any]], tmp_path: Path) -> None:
    """Runs are told apart by as little as is needed."""

    def run(name: str, **python: Any) -> results.Run:
        lines = copy.deepcopy(records)
        lines[0]["python"].update(version="3.13.0", debug=False, free_threaded=False)
        lines[0]["python"].update(python)
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, lines)))
        return results.read(path)

    one, other = run("a.jsonl"), run("b.jsonl", version="3.13.1")
    free, python = run("c.jsonl", free_threaded=True, debug=True), one.header["python"]
    name = f"crashing 0 · {python['implementation']}"
    assert results.labels([one, free]) == [f"{name} 3.13", f"{name} 3.13td"]
    assert results.labels([one, other]) == [f"{name} 3.13.0", f"{name} 3.13.1"]
    assert results.labels([one, one]) == [f"{name} 3.13.0 (a.jsonl)"] * 2
