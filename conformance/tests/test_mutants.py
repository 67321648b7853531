"""The suite is tested by mutants (``python -m mutants``); this tests how that is done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mutants import listed, survivors, trials
from mutants.mutation import Mutation
from mutants.operators import mutations
from mutants.survivors import Survivor
from mutants.tally import Tally
from mutants.targets import Reference
from mutants.trials import Case, Verdict

CONFORMANCE = Path(__file__).resolve().parent.parent

# --- what is mutated ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a == b\n", ["pass", "a != b"]),
        ("x = a < b\n", ["pass", "x = a <= b", "x = a >= b"]),
        ("x = a and b\n", ["pass", "x = b", "x = a or b", "x = a"]),
        ("x = not a\n", ["pass", "x = a"]),
        ("x = a if b else c\n", ["pass", "x = a", "x = c", "x = a if not (b) else c"]),
        ("x = True\n", ["pass", "x = False"]),
        ("x = 1\n", ["pass", "x = 2"]),
        ("x = 'y'\n", ["pass", "x = 'yx'"]),
        ("x = y - z\n", ["pass", "x = y + z"]),
        ("x += y\n", ["pass", "x -= y"]),
        ("f(a, b)\n", ["pass", "f(b, a)"]),
        ("f(a)\n", ["pass", "a"]),
        ("f(a, *b)\n", ["pass", "f(a, *())"]),
        ("x = a, b\n", ["pass", "x = b, a"]),
        ("raise KeyError('y')\n", ["pass", "raise AttributeError('y')"]),
        ("del x\n", ["pass"]),
        ("A, B = 1, 2\n", ["pass", "A, B = 2, 2", "A, B = 2, 1", "A, B = 1, 3"]),
        ("import x\n", []),
        ("x: int\n", []),
        ("'a docstring'\n", []),
        ("x: 'text' = y\n", ["pass"]),
        ("é = 'ü' == x\n", ["pass", "é = 'üx' == x", "é = 'ü' != x"]),
    ],
)
def test_line(text: str, expected: list[str]) -> None:
    """What is made of a line."""
    assert sorted(m.after for m in mutations("t", "f.py", text)) == sorted(expected)


def test_blocks() -> None:
    """What is made of statements with a body, each with the name of its function."""
    text = """
class C(Base):
    @decorated
    def f(self, x=y):
        while x:
            try:
                break
            except KeyError:
                continue
        if x:
            return x
        return y
"""
    found = {(m.where, m.what, m.after) for m in mutations("t", "f.py", text)}
    assert found >= {
        ("C", "other base", "class C(object):"),
        ("C.f", "removed decorator", ""),
        ("C.f", "other default", "def f(self, x=None):"),
        ("C.f", "loops once", "if x:"),
        ("C.f", "break and continue", "continue"),
        ("C.f", "break and continue", "break"),
        ("C.f", "catches something else", "except BaseException:"),
        ("C.f", "catches something else", "except ZeroDivisionError:"),
        ("C.f", "answers None", "return None"),
        ("C.f", "removed statement", "pass"),
        ("C.f", "negated condition", "if not (x):"),
    }


def test_names_of_properties() -> None:
    """Three functions of one name are told apart."""
    text = "class C:\n" + "".join(
        f"    @{role}\n    def p(self): f()\n" for role in ("property", "p.setter", "p.deleter")
    )
    found = [m.where for m in mutations("t", "f.py", text) if m.after == "def p(self): pass"]
    assert found == ["C.p", "C.p.setter", "C.p.deleter"]


def test_every_mutant_of_the_reference_is_another_program() -> None:
    """None is the same twice, and most can be compiled: they would all be killed otherwise."""
    file = CONFORMANCE / "src" / "greenlet_conformance" / "reference.py"
    found = mutations("reference", file.name, file.read_text(encoding="utf-8"))
    texts = [m.mutated for m in found]
    assert len(texts) == len(set(texts)) > 500
    for mutation in found[::20]:
        compile(mutation.mutated, mutation.where, "exec")


def _mutation(
    old: str = "b", new: str = "c", target: str = "t", where: str = "f", text: str = "a\n b\nd\n"
) -> Mutation:
    start = text.index(old)
    return Mutation(target, "f.c", text, start, start + len(old), new, where, "why")


def test_diff() -> None:
    """A survivor is shown as a diff that says who it is."""
    diff = ["--- f.c", "+++ f.c (f: why)", "@@ -1,3 +1,3 @@", " a", "- b", "+ c", " d"]
    assert _mutation().diff().splitlines() == diff
    assert (_mutation().line, _mutation().before, _mutation().after) == (2, "b", "c")


# --- the list of mutations ---------------------------------------------------------------

ENTRY = """
[[mutation]]
name = "n"
file = "f.c"
old = "{old}"
new = "y"
why = "w"
{more}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with one file to be mutated."""
    (tmp_path / "f.c").write_text("one two two\nthree one\n", encoding="utf-8")
    return tmp_path


def _listed(source: Path, old: str, more: str = "") -> list[Mutation]:
    path = source / "list.toml"
    path.write_text(ENTRY.format(old=old, more=more), encoding="utf-8")
    return listed.read(path, "core", source)


def test_listed(source: Path) -> None:
    """An entry is the place of its text."""
    assert [m.mutated for m in _listed(source, "three")] == ["one two two\ny one\n"]


def test_listed_after(source: Path) -> None:
    """Behind another text the first one is meant."""
    after = 'after = "three"'
    assert [m.mutated for m in _listed(source, "one", after)] == ["one two two\nthree y\n"]


def test_listed_other_python(source: Path) -> None:
    """An entry may be about other versions of Python than this one."""
    assert [m.here for m in _listed(source, "three", 'python = "<3"')] == [False]
    assert [m.here for m in _listed(source, "three", 'python = ">=3"')] == [True]


@pytest.mark.parametrize(
    ("old", "more", "message"),
    [
        ("four", "", "list.toml: n: its text is in f.c 0 times, not once: 'four'"),
        ("two", "", "list.toml: n: its text is in f.c 2 times, not once: 'two'"),
        ("three", 'after = "one"', "list.toml: n: its text is in f.c 2 times, not once: 'one'"),
        ("two", 'after = "three"', "list.toml: n: its old text is not behind 'three'"),
        ("three", "odd = 1", "list.toml: n: has to have file, name, new, old, why; see odd"),
        ("three", ENTRY.format(old="three", more=""), "list.toml: n: there are two of this name"),
    ],
)
def test_listed_wrong(source: Path, old: str, more: str, message: str) -> None:
    """A text that is not there any more is an error, and so is one that is there twice."""
    with pytest.raises(listed.ListError) as raised:
        _listed(source, old, more)
    assert str(raised.value) == message


# --- the list of survivors ---------------------------------------------------------------

SURVIVOR = Survivor("t", "f", "equivalent", "because", "b", "c")


def _survivors(tmp_path: Path, **changes: str) -> list[Survivor]:
    entry = {"target": "t", "where": "f", "old": "b", "new": "c", "kind": "equivalent"}
    entry |= {"reason": "because", **changes}
    path = tmp_path / "survivors.toml"
    lines = [f'{key} = "{value}"' for key, value in entry.items()]
    path.write_text("\n".join(["[[survivor]]", *lines]), encoding="utf-8")
    return survivors.read(path, [_mutation()], ["t"])


def test_survivors(tmp_path: Path) -> None:
    """An entry fits the mutation that looks like it."""
    assert _survivors(tmp_path) == [SURVIVOR]
    assert survivors.entry_for([SURVIVOR], _mutation()) == SURVIVOR
    for other in (
        _mutation(new="e"),
        _mutation(where="g"),
        _mutation(target="u"),
        _mutation(old="d"),
    ):
        assert survivors.entry_for([SURVIVOR], other) is None


def test_survivors_of_other_targets(tmp_path: Path) -> None:
    """What is not tried cannot be stale."""
    assert _survivors(tmp_path, target="other") == []


def test_survivors_by_name(tmp_path: Path) -> None:
    """A name is enough if it means one mutation."""
    path = tmp_path / "survivors.toml"
    entry = '[[survivor]]\ntarget = "t"\nwhere = "f"\nkind = "missed"\nreason = "because"'
    path.write_text(entry, encoding="utf-8")
    (found,) = survivors.read(path, [_mutation()], ["t"])
    assert found.fits(_mutation())
    with pytest.raises(survivors.SurvivorsError, match="2 mutations of f fit; say old and new"):
        survivors.read(path, [_mutation(), _mutation(new="e")], ["t"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"old": "z"}, "entry 1: stale, no mutation of f is like this: c"),
        ({"reason": " "}, "entry 1: gives no reason"),
        ({"kind": "odd"}, "entry 1: kind 'odd' is none of equivalent, unspecified, missed"),
        ({"why": "x"}, "entry 1: has to have target, where, kind, reason; see why"),
    ],
)
def test_survivors_wrong(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    """A stale entry is an error, and so is one without a reason."""
    with pytest.raises(survivors.SurvivorsError) as raised:
        _survivors(tmp_path, **changes)
    assert str(raised.value) == f"survivors.toml: {message}"


# --- counting ----------------------------------------------------------------------------


def _verdict(mutation: Mutation, killed: bool) -> Verdict:
    return Verdict(mutation, Case("test", ()) if killed else None, "FAIL" if killed else "PASS", "")


def _tally(killed: int, known: Sequence[Survivor], survived: Sequence[Mutation]) -> Tally:
    tally = Tally(known)
    for _ in range(killed):
        tally.add(_verdict(_mutation(new="killed"), killed=True))
    for mutation in survived:
        tally.add(_verdict(mutation, killed=False))
    return tally


def test_rate() -> None:
    """Equivalent and unspecified ones do not count; missed and unexplained ones do."""
    known = [
        SURVIVOR,
        Survivor("t", "f", "unspecified", "because", "b", "u"),
        Survivor("t", "f", "missed", "because", "b", "m"),
    ]
    tally = _tally(49, known, [_mutation(new="c"), _mutation(new="u"), _mutation(new="m")])
    assert tally.rate == 98.0
    assert tally.as_expected
    assert str(tally) == "49 killed, 1 missed, 1 equivalent, 1 unspecified; kill rate 98.0 %"
    tally = _tally(48, known, [_mutation(new="m")])
    assert tally.rate < 98.0
    assert not tally.as_expected


def test_rate_of_nothing() -> None:
    """Where all are equivalent, nothing is missed."""
    assert _tally(0, [SURVIVOR], [_mutation()]).rate == 100.0


def test_unexplained_survivor() -> None:
    """One survivor without a reason is one too many, however many were killed."""
    tally = _tally(999, [SURVIVOR], [_mutation(new="x")])
    assert tally.rate == 99.9
    assert [v.mutation.new for v in tally.unexplained] == ["x"]
    assert not tally.as_expected


def test_stale_reason() -> None:
    """A reason to survive is wrong for a mutant that was killed, unless chance decides."""
    killed = _verdict(_mutation(), killed=True)
    tally = Tally([SURVIVOR])
    assert tally.add(killed) == "killed"
    assert tally.stale == [killed]
    assert not tally.as_expected
    tally = Tally([Survivor("t", "f", "missed", "because", sometimes=True)])
    assert tally.add(killed) == "killed"
    assert tally.as_expected


# --- trials ------------------------------------------------------------------------------

FAKE = """
import greenlet as upstream
from greenlet import GreenletExit, error, getcurrent, greenlet, settrace

def gettrace():
    done, unused = False, 0
    while not done:
        done = True
    return upstream.gettrace()
"""
SOUND = "    return upstream.gettrace()"


@pytest.fixture
def fake(tmp_path: Path) -> Reference:
    """A small implementation that can be mutated."""
    file = tmp_path / "fake.py"
    file.write_text(FAKE, encoding="utf-8")
    expectations = tmp_path / "expectations.toml"
    expectations.write_text("", encoding="utf-8")
    return Reference(file, expectations)


def _tried(fake: Reference, tmp_path: Path, changes: Sequence[tuple[str, str]]) -> list[Verdict]:
    tried = [_mutation(old, new, text=FAKE) for old, new in changes]
    verdicts = trials.run(fake, tried, 2, tmp_path, ["trace.settrace"])
    return sorted(verdicts, key=lambda verdict: tried.index(verdict.mutation))


def test_trial(fake: Reference, tmp_path: Path) -> None:
    """A failure kills, and so do a crash, a hang and a module that cannot be imported."""
    changes = {
        "    return None": "FAIL",
        "    __import__('os').abort()": "CRASH",
        "    while True: pass": "TIMEOUT",
        "    return (": "FAIL",
    }
    verdicts = _tried(fake, tmp_path, [(SOUND, new) for new in changes])
    assert [v.outcome for v in verdicts] == list(changes.values())
    assert all(v.killer and v.killer.test.startswith("test_tracing.py::") for v in verdicts)


def test_trial_of_a_survivor(fake: Reference, tmp_path: Path) -> None:
    """What no test sees survives."""
    (verdict,) = _tried(fake, tmp_path, [("False, 0", "False, 1")])
    assert (verdict.killer, verdict.outcome) == (None, "PASS")


def test_trial_of_all_mutants(fake: Reference, tmp_path: Path) -> None:
    """Those that the operators find are tried, each once."""
    found = fake.mutations()[-6:]
    verdicts = list(trials.run(fake, found, 2, tmp_path, ["trace.settrace"]))
    assert sorted(v.mutation.new for v in verdicts) == sorted(m.new for m in found)
    assert {v.outcome for v in verdicts} >= {"FAIL", "TIMEOUT"}


def test_trial_takes_memory(
    fake: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes too much memory is killed."""
    monkeypatch.setattr(trials, "MEMORY_BYTES", 400 << 20)
    greedy = "    x = b'x' * (1 << 29); import time; time.sleep(60)"
    (verdict,) = _tried(fake, tmp_path, [(SOUND, greedy)])
    assert verdict.outcome == "CRASH"
    assert "SIGKILL" in verdict.message


def test_sound_one_must_pass(fake: Reference, tmp_path: Path) -> None:
    """If the suite fails where nothing is broken, a kill would mean nothing."""
    fake.file.write_text(FAKE.replace(SOUND, "    return None"), encoding="utf-8")
    with pytest.raises(trials.TrialError, match="does not pass though nothing is broken"):
        list(trials.run(fake, fake.mutations(), 1, tmp_path, ["trace.settrace"]))


def test_suite_that_does_not_run(fake: Reference, tmp_path: Path) -> None:
    """What cannot be imported at all is told in the words of the suite."""
    fake.file.write_text("1 / 0", encoding="utf-8")
    with pytest.raises(trials.TrialError, match="ZeroDivisionError"):
        list(trials.run(fake, [_mutation()], 1, tmp_path))


# --- the command -------------------------------------------------------------------------


def _command(*arguments: str) -> Iterator[str | int]:
    done = subprocess.run(
        [sys.executable, "-m", "mutants", *arguments],
        cwd=CONFORMANCE,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return iter((done.returncode, done.stdout, done.stderr))


def test_command_lists() -> None:
    """It lists the mutants of a function without a trial."""
    code, out, err = _command("--list", "--target", "reference", "--only", "gettrace")
    assert (code, err) == (0, "")
    assert "reference.py:" in str(out)
    assert "removed statement" in str(out)


def test_command_samples() -> None:
    """The same seed draws the same sample."""
    lists = {_text(_command("--list", "--sample", "5", "--seed", "3")) for _ in range(2)}
    assert len(lists) == 1
    assert len(lists.pop().splitlines()) == 1 + 3 * 5


def _text(answer: Iterator[str | int]) -> str:
    code, out, err = answer
    assert (code, err) == (0, "")
    return str(out)


def test_command_tries() -> None:
    """It ends with the kill rate."""
    arguments = ["--target", "reference", "--only", "gettrace", "--clause", "trace.settrace"]
    out = _text(_command(*arguments))
    assert out.splitlines()[-1].startswith("reference: 1 killed"), out


def test_command_resumes(tmp_path: Path) -> None:
    """What FILE has is taken over, but a survivor without a reason is tried again."""
    file = tmp_path / "verdicts.jsonl"
    arguments = ["--target", "reference", "--only", "settrace", "--clause", "trace.settrace"]
    arguments += ["--output", str(file)]
    first = _records(_command(*arguments), file)
    kinds = [record["kind"] for record in first]
    assert kinds.count("killed") >= 2
    first[0]["killer"] = "somebody"
    first[1]["kind"] = "survived"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in first[:-1]) + '{"tar')
    second = _records(_command(*arguments, "--resume"), file)
    assert sorted(_mutants(second)) == sorted(_mutants(first))
    assert [r["killer"] for r in second].count("somebody") == 1
    assert sorted(r["kind"] for r in second) == sorted(kinds)


def _records(answer: Iterator[str | int], file: Path) -> list[dict[str, Any]]:
    code, _, err = answer
    assert (code in (0, 1), err) == (True, "")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _mutants(records: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["what"], record["new"]) for record in records]


def test_command_refuses() -> None:
    """Its errors are one line."""
    code, _, err = _command("--only", "nothing*")
    assert code == 4
    assert err == "mutants: error: --only nothing*: no mutant is called like this\n"
    code, _, err = _command("--sample", "0")
    assert code == 2
    code, _, err = _command("--resume")
    assert code == 2
    assert str(err).endswith("--resume: needs --output\n")
