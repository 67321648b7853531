"""What the plugin refuses, with which words and exit codes, and where it keeps out."""

from __future__ import annotations

import json
import platform
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from broken.model import BEYOND, MODELLED
from running import UPSTREAM, Ran, module, selecting

from greenlet_conformance import SUITE, expectations, results

ONE = "--clause=order.example"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nosuch", "No module named 'nosuch'"),
        ("greenlet.nosuch", "No module named 'greenlet.nosuch'"),
        ("not-a-name", "not a module name"),
        ("failing_import", "RuntimeError: first line second line"),
        ("aborting_import", "ended the process with -6"),
        ("exiting_import", "SystemExit: 0"),
        ("vanishing_import", "ended the process with 0"),
        ("json", "module json is not a greenlet implementation: it has no greenlet, getcurrent, "),
    ],
)
def test_unknown_implementation(plain_pytest: Callable[..., Ran], name: str, says: str) -> None:
    """One line on stderr, nothing else, and exit code 4."""
    ran = plain_pytest(str(SUITE), "--greenlet-impl", name)
    assert ran.code == 4
    assert ran.out == ""
    lines = ran.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ERROR: ")
    assert name in lines[0]
    assert says in lines[0]


def test_implementation_with_its_own_output(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A module that takes standard output for itself can be asked what it is, all the same."""
    takes = "import io, os, sys\nsys.stdout = io.StringIO()\nos.close(1)\n__version__ = '7'\n"
    ran = run("--impl=made_up", ONE, **module(tmp_path / "made", takes + UPSTREAM))
    assert ran.records, ran.err
    assert ran.records[0]["implementation"] == {"module": "made_up", "version": "7"}


def test_unknown_implementation_by_the_command(run: Callable[..., Ran]) -> None:
    """The command says the same, with the same code."""
    ran = run("--impl", "nosuch")
    assert ran.code == 4
    assert ran.out == ""
    assert ran.err.startswith("greenlet-conformance: error: greenlet implementation 'nosuch'")
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [[str(SUITE)], ["--pyargs", "greenlet_conformance.suite"]])
def test_plain_pytest(plain_pytest: Callable[..., Ran], arguments: list[str]) -> None:
    """The suite runs by plain pytest, by path and by package."""
    ran = plain_pytest(*arguments, "--greenlet-impl", "greenlet", "--clause", "dead.skip.*")
    assert ran.code == 0, ran.out + ran.err
    assert "PASS" in ran.out


@pytest.mark.parametrize("name", ["greenlet._greenlet", "broken.chosen"])
def test_submodules(run: Callable[..., Ran], name: str) -> None:
    """A dotted name works, and a dotted name that fails says so."""
    ran = run("--impl", name, ONE)
    if name == "broken.chosen":
        assert ran.code == 4
        assert "No module named 'broken.chosen'" in ran.err
    else:
        assert ran.code == 0, ran.out + ran.err


def test_missing_name_fails_its_clauses_only(run: Callable[..., Ran]) -> None:
    """An implementation without settrace fails on use, not at collection; the rest passes."""
    ran = run("--impl", "broken", *selecting(MODELLED), BROKEN_GREENLET="NoTracing")
    assert ran.failed_clauses == {
        "tree.trace-names",
        "order.trace",
        "order.trace-target",
        "order.trace-error",
        "throw.trace",
        "dead.throw.trace",
        "thread.trace-own",
        *BEYOND,
    }
    messages = [str(r["message"]) for r in ran.records if r.get("outcome") == "FAIL"]
    assert all("MissingNameError: broken has no '" in message for message in messages)


@pytest.mark.parametrize(
    ("pattern", "near"),
    [("dead.skip.parnet", "dead.skip.parent"), ("thrwo.*", "throw."), ("ancestor", "ancestor")],
)
def test_unknown_clause(run: Callable[..., Ran], pattern: str, near: str) -> None:
    """An unknown clause in a filter lists near matches and exits with 4."""
    ran = run("--clause", pattern)
    assert ran.code == 4
    assert f"no clause matches {pattern!r}; near matches: " in ran.err
    assert near in ran.err.partition("near matches: ")[2]


def test_unknown_clause_by_pytest(plain_pytest: Callable[..., Ran]) -> None:
    """So does the plugin."""
    ran = plain_pytest(str(SUITE), "--clause", "dead.skip.parnet")
    assert ran.code == 4
    assert "near matches: dead.skip.parent" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_filters_add_up(run: Callable[..., Ran]) -> None:
    """Several patterns select the clauses of each, and the file holds those alone."""
    ran = run("--clause", "order.example", "--clause", "dead.throw.*")
    clauses = [str(r["id"]) for r in ran.records if r["kind"] == "clause"]
    assert clauses[0] == "order.example"
    assert len(clauses) == 6
    assert all(c.startswith("dead.throw.") for c in clauses[1:])
    tied = {c for r in ran.records if r["kind"] == "result" for c in r["clauses"]}  # type: ignore[attr-defined]
    assert tied == set(clauses)


def test_results_file(run: Callable[..., Ran]) -> None:
    """Header, clauses, results, footer, with the fields of schema 1 and no others."""
    ran = run(ONE)
    header, clause, result, footer = ran.records
    assert (header["kind"], header["schema"]) == ("header", 1)
    assert header["implementation"] == {"module": "greenlet", "version": "3.5.6"}
    assert set(header["python"]) == {  # type: ignore[call-overload]
        *("implementation", "version", "build", "debug", "free_threaded"),
    }
    assert set(clause) == {
        *("kind", "id", "chapter", "chapter_title", "level", "title", "text", "since", "source"),
    }
    assert clause["chapter_title"] == "Switch ordering"
    assert result["clauses"] == ["order.example"]
    assert result["test"] == "suite/test_switch_ordering.py::test_example"
    assert (result["outcome"], result["message"], result["reason"]) == ("PASS", "", "")
    assert set(result) == {
        *("kind", "clauses", "test", "outcome", "actual", "seconds", "message", "reason", "link"),
    }
    assert footer["counts"] == {"PASS": 1}


def test_stopped_run_is_truncated(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A run that stops early leaves no footer, and is no pass."""
    ran = run("--impl", "broken", "-x", "--clause=args.*", BROKEN_GREENLET="TupleForOne")
    assert ran.code == 3
    assert "TRUNCATED" in ran.out
    assert "no footer" in ran.err
    assert "results.jsonl.partial" in ran.err
    assert ran.records == []
    partial = (tmp_path / "results.jsonl.partial").read_text().splitlines()
    assert json.loads(partial[-1])["kind"] == "result"


def test_truncated_file_is_no_result(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A file without its footer, with a wrong one or of another schema cannot be read."""
    run(ONE)
    path = tmp_path / "results.jsonl"
    whole = path.read_text()
    assert results.read(path).counts == {"PASS": 1}
    lines = whole.splitlines()
    for text, error in (
        ("\n".join(lines[:-1]), results.TruncatedError),
        (whole[: len(whole) * 2 // 3], results.TruncatedError),
        ("\n".join([*lines[:-2], lines[-1]]), results.ResultsError),
        (
            "\n".join([json.dumps({"kind": "header", "schema": 2}), *lines[1:]]),
            results.ResultsError,
        ),
        ("", results.ResultsError),
    ):
        path.write_text(text)
        with pytest.raises(error) as caught:
            results.read(path)
        assert caught.type is error
        assert str(path) in str(caught.value)
    with pytest.raises(results.ResultsError, match=r"missing\.jsonl: No such file"):
        results.read(tmp_path / "missing.jsonl")


def test_failure_shows_the_clause(run: Callable[..., Ran]) -> None:
    """A failing test shows the text of its clause."""
    ran = run("--impl", "broken", "--clause=args.none", BROKEN_GREENLET="NoneForNothing")
    assert "clause args.none: nothing sent is the empty tuple" in ran.out
    assert "so `()` binds" in ran.out


def test_no_isolation(run: Callable[..., Ran]) -> None:
    """--no-isolate runs in one process, with the same outcomes."""
    ran = run("--no-isolate", "--clause=args.*")
    assert ran.code == 0, ran.out
    assert "all in this process" in ran.out
    assert set(ran.outcomes.values()) == {"PASS"}


# --- where it keeps out ------------------------------------------------------------------


def test_inert_elsewhere(plain_pytest: Callable[..., Ran], tmp_path: Path) -> None:
    """A run of other tests is as if the plugin were not there."""
    (tmp_path / "test_other.py").write_text(
        "import os\n\n\ndef test_pid():\n    print(os.getpid())\n"
    )
    ran = plain_pytest("-s", "--conformance-jsonl=results.jsonl", "--greenlet-impl=nosuch")
    assert ran.code == 0, ran.out + ran.err
    assert "1 passed" in ran.out
    assert "conformance of" not in ran.out
    assert ran.records == []


@pytest.mark.parametrize("how", ["conftest", "plugin"])
def test_shared_option(plain_pytest: Callable[..., Ran], tmp_path: Path, how: str) -> None:
    """Another conftest or plugin may add --greenlet-impl; both then see the same value."""
    adding = textwrap.dedent(
        """
        def pytest_addoption(parser):
            parser.addoption("--greenlet-impl", default="other", help="theirs")
        """
    )
    (tmp_path / ("conftest.py" if how == "conftest" else "theirs.py")).write_text(adding)
    (tmp_path / "test_other.py").write_text(
        "def test_it(pytestconfig):\n"
        "    assert pytestconfig.getoption('--greenlet-impl') == 'chosen'\n"
    )
    extra = ["-p", "theirs"] if how == "plugin" else []
    path = {"PYTHONPATH": str(tmp_path)}
    ran = plain_pytest(*extra, "--greenlet-impl=chosen", **path)
    assert ran.code == 0, ran.out + ran.err
    assert "1 passed" in ran.out


# --- expectations ------------------------------------------------------------------------


def expect(tmp_path: Path, text: str) -> str:
    """A file of expectations with this text."""
    path = tmp_path / "expectations.toml"
    path.write_text(textwrap.dedent(text))
    return str(path)


GOOD = """
    [[expect]]
    clause = "args.none"
    outcome = "FAIL"
    reason = "the docstring says so"
    link = "findings/switch_docstring_says_none.py"
"""


#: What follows the first line of an entry, when the same entry stands there twice.
SHADOWED = f"{GOOD.partition('args.none')[2][1:]}    [[expect]]\n    clause = 'args.non*'"


def test_expected_failure(run: Callable[..., Ran], tmp_path: Path) -> None:
    """An expected failure is XFAIL, with reason and link, and the run is as expected."""
    ran = run(
        *("--impl", "broken", "--clause=args.none", "--expectations", expect(tmp_path, GOOD)),
        BROKEN_GREENLET="NoneForNothing",
    )
    assert ran.code == 0, ran.out
    (result,) = [r for r in ran.records if r["kind"] == "result"]
    assert (result["outcome"], result["reason"]) == ("XFAIL", "the docstring says so")
    assert result["link"] == "findings/switch_docstring_says_none.py"
    assert "assert" in str(result["message"])
    assert "1 xfailed" in ran.out


def test_stale_expectation(run: Callable[..., Ran], tmp_path: Path) -> None:
    """An entry whose test passes is stale: XPASS, and the run fails."""
    ran = run("--clause=args.none", "--expectations", expect(tmp_path, GOOD))
    assert ran.outcomes == {"test_none": "XPASS"}
    assert ran.code == 1
    assert "stale expectation" in ran.out


@pytest.mark.parametrize(
    ("named", "stale"),
    [
        ('clause = "args.se*"', {"root", "child", "grandchild", "test_several"}),
        ('clause = ["args.self"]', {"root", "child", "grandchild"}),
        ('clause = ["args.self", "args.sev*"]', {"root", "child", "grandchild", "test_several"}),
        ('test = "test_arguments_and_results.py::test_self"', {"root", "child", "grandchild"}),
        ('test = "test_arguments_and_results.py::test_self[child]"', {"child"}),
    ],
)
def test_several_at_once(
    run: Callable[..., Ran], tmp_path: Path, named: str, stale: set[str]
) -> None:
    """A glob stands for all clauses that match, a test's name for all of its parameters."""
    path = expect(tmp_path, GOOD.replace('clause = "args.none"', named))
    ran = run("--clause=args.se*", "--clause=args.none", "--expectations", path)
    found = {test for test, outcome in ran.outcomes.items() if outcome == "XPASS"}
    short = {test.partition("[")[2].rstrip("]") or test for test in found}
    assert short == stale


def test_first_entry_counts(run: Callable[..., Ran], tmp_path: Path) -> None:
    """Of two entries that concern a test, the first one counts."""
    general = GOOD.replace("args.none", "args.n*").replace("the docstring", "the general")
    path = expect(tmp_path, GOOD + general)
    arguments = ("--impl", "broken", "--clause=args.none", "--expectations", path)
    (result,) = (
        r
        for r in run(*arguments, BROKEN_GREENLET="NoneForNothing").records
        if r["kind"] == "result"
    )
    assert (result["outcome"], result["reason"]) == ("XFAIL", "the docstring says so")


@pytest.mark.parametrize(("outcome", "result"), [("CRASH", "XFAIL"), ("FAIL", "CRASH")])
def test_expected_crash(run: Callable[..., Ran], tmp_path: Path, outcome: str, result: str) -> None:
    """A crash can be expected; one that is expected to fail but crashes is a CRASH."""
    text = GOOD.replace("args.none", "throw.class").replace("FAIL", outcome)
    ran = run(
        "--impl", "crashing", "--clause=throw.class", "--expectations", expect(tmp_path, text)
    )
    assert ran.outcomes == {"test_class": result}
    assert [r["actual"] for r in ran.records if r["kind"] == "result"] == ["CRASH"]
    assert ran.code == (0 if result == "XFAIL" else 1)


def test_unsupported(run: Callable[..., Ran], tmp_path: Path) -> None:
    """What is unsupported is not run."""
    text = GOOD.replace("FAIL", "UNSUPPORTED").replace("args.none", "throw.class")
    ran = run("--impl", "hanging", "--clause=throw.class", "--expectations", expect(tmp_path, text))
    assert ran.outcomes == {"test_class": "UNSUPPORTED"}
    assert ran.code == 0


@pytest.mark.parametrize("raises", ["unittest.SkipTest", "pytest.skip", "pytest.xfail"])
@pytest.mark.parametrize("isolation", [[], ["--no-isolate"]])
def test_only_the_suite_skips(
    run: Callable[..., Ran], tmp_path: Path, raises: str, isolation: list[str]
) -> None:
    """An implementation that raises what pytest takes for a skip has failed."""
    says = f"def raising(*a, **k): raise {raises}('not today')\n"
    environment = module(
        tmp_path / "made",
        f"import pytest, unittest\n{UPSTREAM}{says}class greenlet(greenlet): throw = raising\n",
    )
    ran = run("--impl=made_up", "--clause=throw.class", *isolation, **environment)
    assert (ran.code, ran.outcomes) == (1, {"test_class": "FAIL"})
    assert "not today" in str(ran.records[-2]["message"])


def test_the_suite_may_skip(run: Callable[..., Ran], tmp_path: Path) -> None:
    """What the suite itself skips, for want of a module, is unsupported."""
    missing = f"import sys\n{UPSTREAM}sys.modules['tracemalloc'] = None\n"
    environment = module(tmp_path / "made", missing)
    ran = run("--impl=made_up", "--clause=life.released.memory", **environment)
    assert ran.code == 0
    assert set(ran.outcomes.values()) == {"PASS", "UNSUPPORTED"}


FREE_THREADED = str(bool(sysconfig.get_config_var("Py_GIL_DISABLED"))).lower()
DEBUG, NOT_DEBUG = (str(hasattr(sys, "gettotalrefcount") is kind).lower() for kind in (True, False))


@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ('{ python = ">=3", system = "Nowhere" }', "FAIL"),
        ('{ python = "<3" }', "FAIL"),
        (f'{{ python = ">=3", interpreter = "{platform.python_implementation()}" }}', "XFAIL"),
        ('{ interpreter = "Nothon" }', "FAIL"),
        ('{ implementation = "<1" }', "XFAIL"),
        ('{ implementation = ">=1" }', "FAIL"),
        (f'{{ machine = "{platform.machine()}", system = "{platform.system()}" }}', "XFAIL"),
        ('{ machine = "pdp11" }', "FAIL"),
        (f"{{ free_threaded = {FREE_THREADED}, debug = {DEBUG} }}", "XFAIL"),
        (f"{{ free_threaded = {FREE_THREADED}, debug = {NOT_DEBUG} }}", "FAIL"),
    ],
)
def test_condition(run: Callable[..., Ran], tmp_path: Path, when: str, outcome: str) -> None:
    """An entry counts only where its condition holds."""
    path = expect(tmp_path, GOOD + f"    when = {when}\n")
    arguments = ("--impl", "broken", "--clause=args.none", "--expectations", path)
    ran = run(*arguments, BROKEN_GREENLET="NoneForNothing")
    assert ran.outcomes == {"test_none": outcome}


def test_condition_on_a_test_that_exists_elsewhere(tmp_path: Path) -> None:
    """An entry may name a test that only other interpreters have."""
    text = GOOD.replace('clause = "args.none"', 'test = "test_throw.py::test_nosuch"')
    tests = {"test_throw.py::test_class": ["throw.class"]}
    path = Path(expect(tmp_path, text + '    when = { python = ">=99" }\n'))
    assert expectations.load(path, "1", ["throw.class"], tests) == []
    path = Path(expect(tmp_path, text + '    when = { python = ">=3" }\n'))
    with pytest.raises(expectations.ExpectationsError, match="no test 'test_throw"):
        expectations.load(path, "1", ["throw.class"], tests)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('clause = "args.none"', 'clause = "args.nnoe"', "matches nothing"),
        ('clause = "args.none"', 'test = "test_throw.py::test_nosuch"', "matches nothing"),
        ('clause = "args.none"', "", "either `clause` or `test`"),
        ('reason = "the docstring says so"', "", "needs a `reason`"),
        ('reason = "the docstring says so"', 'reason = " "', "needs a `reason`"),
        ('link = "findings/switch_docstring_says_none.py"', "", "needs a `link`"),
        ('outcome = "FAIL"', 'outcome = "PASS"', "`outcome` must be one of"),
        ('outcome = "FAIL"', "outcome = []", "`outcome` must be a text, or a list of texts"),
        ('outcome = "FAIL"', "", "`outcome` must be one of"),
        ('clause = "args.none"', 'clause = ["args.none", "args.x*"]', "no clause 'args.x*'"),
        ('clause = "args.none"', "clause = [3]", "a list of texts"),
        ('outcome = "FAIL"', 'outcome = "FAIL"\n    wehn = 1', "unknown key 'wehn'"),
        ('outcome = "FAIL"', 'outcome = "FAIL"\n    when = {cpu = "x"}', "unknown condition"),
        ('outcome = "FAIL"', 'outcome = "FAIL"\n    when = {python = "x"}', "Invalid specifier"),
        ('outcome = "FAIL"', 'outcome = "FAIL"\n    when = {python = 3}', "must be a text"),
        ('outcome = "FAIL"', 'outcome = "FAIL"\n    when = {debug = "yes"}', "true or false"),
        ('outcome = "FAIL"', 'outcome = "FAIL"\n    when = "always"', "when = {"),
        ('clause = "args.none"', 'clause = "agrs.*"', "matches nothing"),
        ('clause = "args.none"', 'test = "test_throw.py::test_class[no]"', "matches nothing"),
        ('reason = "the docstring says so"', "reason = 3", "must be a text"),
        ("[[expect]]", "[expect]", "two brackets"),
        ('clause = "args.none"', 'clause = "args.none"\n' + SHADOWED, "earlier entries leave"),
        ("[[expect]]", "[[expect", "line"),
    ],
)
def test_wrong_expectations(
    run: Callable[..., Ran], tmp_path: Path, old: str, new: str, says: str
) -> None:
    """A wrong entry is an error that names the file, the entry and the mistake."""
    assert old in GOOD
    ran = run("--expectations", expect(tmp_path, GOOD.replace(old, new)))
    assert ran.code == 4
    assert ran.out == ""
    assert all(
        line.startswith("greenlet-conformance: error: ") for line in ran.err.strip().splitlines()
    )
    assert "expectations.toml: " in ran.err
    assert says in ran.err
    assert ran.records == []


@pytest.mark.parametrize("text", [f"a = {'9' * 5000}", f"a = {'[' * 100_000}"])
def test_extreme_expectations(run: Callable[..., Ran], tmp_path: Path, text: str) -> None:
    """So is a file that Python's reader of TOML cannot cope with."""
    ran = run(ONE, "--expectations", expect(tmp_path, text))
    assert (ran.code, ran.out) == (4, "")
    assert len(ran.err.strip().splitlines()) == 1


def test_missing_expectations_file(run: Callable[..., Ran]) -> None:
    """A file of expectations that does not exist is an error."""
    ran = run("--expectations", "nosuch.toml", ONE)
    assert ran.code == 4
    assert "nosuch.toml" in ran.err
