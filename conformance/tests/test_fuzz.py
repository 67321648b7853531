"""Random programs find what is broken, show it in a script that runs, and are repeatable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, seed, settings
from running import Ran, start

from greenlet_conformance import cli, expectations
from greenlet_conformance.fuzz import command, games
from greenlet_conformance.fuzz.grammar import programs
from greenlet_conformance.fuzz.players import Play
from greenlet_conformance.fuzz.search import without_unused

#: What the model in ``broken`` does not have.
UNMODELLED = ("collections", "contexts", "frames", "kills", "traces")

#: What the part of a program that is not its head has, unless a feature is left out.
HEAD = (Path(command.__file__).with_name("head.py")).read_text(encoding="utf-8")
SIGNS = {
    "collections": r"\bcollect\(",
    "contexts": r"gr_context",
    "exits-to-unstarted": r"\.throw\(impl\.GreenletExit",
    "frames": r"\bwhere\(",
    "garbage": r"\blose\(",
    "kills": r"\bdrop\(",
    "threads": r"\byield_to\(",
    "throws": r"\.throw\(",
    "traces": r"settrace",
}

#: What is found need not become as small as it can be: that is looked at elsewhere.
SOON = ("--seed", "1", "--programs", "1000", "--shrink", "5")

_GROUNDS = 'reason = "r"\nlink = "l"\n'
MISTAKES = {
    "no feature": _GROUNDS,
    "unknown feature": f'leave-out = "everything"\n{_GROUNDS}',
    "no reason": 'leave-out = "kills"\nlink = "l"',
    "wrong reason": 'leave-out = "kills"\nreason = 1\nlink = "l"',
    "unknown key": f'leave-out = "kills"\nwhy = "w"\n{_GROUNDS}',
    "unknown condition": f'leave-out = "kills"\nwhen = {{ weather = "fine" }}\n{_GROUNDS}',
}

Fuzz = Callable[..., Ran]


@pytest.fixture
def fuzz(tmp_path: Path) -> Fuzz:
    """Runs ``greenlet-conformance fuzz`` with these arguments."""

    def run_it(*arguments: str, **environment: str) -> Ran:
        words = [sys.executable, "-m", "greenlet_conformance", "fuzz", *arguments]
        return start(words, tmp_path, None, **environment)

    return run_it


def without(features: tuple[str, ...]) -> list[str]:
    """The options that leave these out."""
    return [word for feature in features for word in ("--leave-out", feature)]


def play(program: str, module: str, folder: Path, **environment: str) -> str:
    """What a script that was found prints about a module."""
    script = folder / "repro.py"
    script.write_text(program, encoding="utf-8")
    return start([sys.executable, str(script), module], folder, None, **environment).out


@pytest.mark.parametrize("rule", ["NoneForNothing", "CrossThreadIgnored"])
def test_broken_rule_is_found(rule: str, fuzz: Fuzz, tmp_path: Path) -> None:
    """A broken rule is found, and the script shows it by itself."""
    options = ("--impl", "broken", *SOON, *without(UNMODELLED))
    ran = fuzz(*options, BROKEN_GREENLET=rule)
    assert ran.code == 1, ran.err
    assert f"<-- broken 0+{rule}" in ran.err
    assert f"python repro.py broken\nby itself: python repro.py {command.REFERENCE}\n" in ran.err
    broken = play(ran.out, "broken", tmp_path, BROKEN_GREENLET=rule)
    reference = play(ran.out, command.REFERENCE, tmp_path)
    assert broken != reference
    assert "r0: ends" in reference


@pytest.mark.parametrize("rule", ["killed_under_former_parent"])
def test_broken_upstream_is_found(rule: str, fuzz: Fuzz) -> None:
    """So is what is broken around the frames, contexts and events of upstream."""
    options = ("--impl", "broken", *SOON)
    ran = fuzz(*options, *without(("exits-to-unstarted",)), BROKEN_GREENLET=rule)
    assert ran.code == 1, ran.err
    assert f"<-- broken 0+{rule}" in ran.err


def test_intact_model_is_the_same(fuzz: Fuzz) -> None:
    """Where nothing is broken nothing is found."""
    ran = fuzz("--impl", "broken", "--seed", "1", "--programs", "100", *without(UNMODELLED))
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert "100 programs, no difference" in ran.err


@pytest.mark.parametrize(("module", "end"), [("crashing", "CRASH"), ("hanging", "TIMEOUT")])
def test_crash_and_hang_are_found(module: str, end: str, fuzz: Fuzz) -> None:
    """An implementation that dies or hangs is a difference too."""
    options = ("--impl", module, *SOON, "--timeout", "0.5")
    ran = fuzz(*options, *without(tuple(set(command.FEATURES) - {"throws"})))
    assert ran.code == 1, ran.err
    assert f"({end})" in ran.err
    assert ".throw(" in ran.out


GAME = ("--seed", "1", "--steps")


def test_game_is_the_same(fuzz: Fuzz) -> None:
    """Upstream and the reference play the same long game; no program is made."""
    ran = fuzz("--impl", "greenlet", *GAME, "10000")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert "10,000 steps, no difference" in ran.err


def test_game_finds_a_broken_rule(fuzz: Fuzz, tmp_path: Path) -> None:
    """What is broken is found, and what is printed shows it again, with the arguments told."""
    options = ("--impl", "broken", "--against", "greenlet", *GAME, "20000")
    ran = fuzz(*options, BROKEN_GREENLET="killed_under_former_parent")
    assert ran.code == 1, ran.err
    assert re.search(r"in a game of seed 1000003: a difference at event \d+", ran.err)
    ours, theirs = (line.split("<--")[0] for line in ran.err.splitlines() if "  --> " in line)
    assert ours != theirs
    again = re.search(r"by itself: python repro\.py greenlet (\d+) (\d+) (\d+)\n", ran.err)
    assert again
    script = tmp_path / "repro.py"
    script.write_text(ran.out, encoding="utf-8")
    words = [sys.executable, str(script), "greenlet", *again.groups()]
    assert theirs.removeprefix("  --> ").strip() in start(words, tmp_path, None).out


@pytest.mark.parametrize(("module", "end"), [("crashing", "CRASH, SIG"), ("hanging", "TIMEOUT")])
def test_game_that_does_not_end(module: str, end: str, fuzz: Fuzz) -> None:
    """A crash and a hang are differences, shown after the events before them."""
    ran = fuzz("--impl", module, "--against", "greenlet", *GAME, "1000", "--timeout", "0.02")
    assert ran.code == 1, ran.err
    assert f"({end}" in ran.err
    assert "('throw'," in ran.err


def test_games_have_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """More steps than a game has are several games, each of another seed."""
    monkeypatch.setattr(games, "STEPS", 400)
    found = list(games.games(7, 1000))
    assert [game.steps for game in found] == [400, 400, 200]
    assert len({game.seed for game in found}) == 3


def test_game_counts_as_its_script_does() -> None:
    """What looks for the first difference knows how far checksums are apart."""
    script = games.SCRIPT.read_text(encoding="utf-8")
    assert f"EVERY = {games.EVERY:_}\n" in script


def test_game_is_looked_at_from_its_last_common_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is played again up to the next one, with the events in between."""
    asked: list[list[str]] = []

    def play(command: list[str], seconds: float) -> Play:
        asked.append(command)
        return Play(("checksum 1", "checksum 2", f"checksum of {command[3]}"), "end")

    monkeypatch.setattr(games, "_play", play)
    found = games.search(("ours", "theirs"), 1, games.STEPS, 1.0, lambda played: None)
    assert found is not None
    assert (found.shown_from, found.game.steps) == (2 * games.EVERY, 3 * games.EVERY + 1)
    assert [command[-2:] for command in asked[2:]] == [["300001", "200000"]] * 2


@pytest.mark.parametrize("option", ["--programs=100", "--leave-out=kills", "--everything"])
def test_game_is_no_program(option: str, fuzz: Fuzz) -> None:
    """What is said of programs and means nothing for games is refused."""
    ran = fuzz("--impl", "greenlet", *GAME, "1000", option)
    assert ran.code == 4
    assert f"{option.partition('=')[0]} is for programs" in ran.err


def made(count: int, without: frozenset[str] = frozenset()) -> list[str]:
    """Programs without their head."""
    found = []

    @seed(1)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate])
    @given(programs(without))
    def keep(program: str) -> None:
        found.append(program.removeprefix(HEAD))

    keep()
    return found


def test_left_out() -> None:
    """What is left out is in no program, and without that each feature is in several."""
    assert set(SIGNS) == set(command.FEATURES)
    everything = made(150)
    for feature, sign in SIGNS.items():
        assert sum(re.search(sign, p, re.M) is not None for p in everything) > 10
        assert not any(re.search(sign, p, re.M) for p in made(40, frozenset({feature})))


def test_known_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an implementation is known to fail at is left out and said, unless all is wanted."""
    options = ["fuzz", "--impl", "greenlet", "--programs", "1", "--seed", "1"]
    assert cli.main(options) == 0
    said = capsys.readouterr().err
    assert f"without {command.FEATURES['exits-to-unstarted']}: " in said
    assert "exit_into_unstarted_parent.py" in said
    cli.main([*options, "--everything"])
    assert "without" not in capsys.readouterr().err


@pytest.mark.parametrize("text", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_what_is_known(text: str, tmp_path: Path) -> None:
    """A wrong entry is refused in a line that names it."""
    file = tmp_path / "made.toml"
    file.write_text(f"[[fuzz]]\n{text}\n", encoding="utf-8")
    with pytest.raises(expectations.ExpectationsError, match="fuzz entry 1: ") as caught:
        expectations.left_out(file, "1.0", command.FEATURES)
    assert len(str(caught.value).splitlines()) == 1


def test_shrink(fuzz: Fuzz) -> None:
    """With time to, what is found becomes a program of few steps."""
    throws_only = without(tuple(set(command.FEATURES) - {"throws"}))
    options = ("--impl", "broken", "--seed", "1", "--programs", "300", *throws_only)
    long = fuzz(*options, "--shrink", "0", BROKEN_GREENLET="DeadRaises")
    short = fuzz(*options, BROKEN_GREENLET="DeadRaises")
    assert (long.code, short.code) == (1, 1)
    assert short.out.count("attempt(") < long.out.count("attempt(")
    assert "longer" not in short.err


def test_seed_repeats(fuzz: Fuzz) -> None:
    """The command that is printed finds the same program again."""
    throws_only = without(tuple(set(command.FEATURES) - {"throws"}))
    first = fuzz("--impl", "crashing", "--shrink", "0", *throws_only)
    assert "--shrink gives it longer" in first.err
    again = re.search(r"^again: greenlet-conformance fuzz (.*)$", first.err, re.M)
    assert again is not None, first.err
    second = fuzz(*again[1].split())
    assert (second.code, second.out) == (1, first.out)


def test_script_is_short() -> None:
    """What a script does not use is left out of it, and what it calls by number is kept."""
    program = (
        "import gc\nimport sys\n\nused = {}\nunused = []\n\n\n"
        "def helper():\n    return used\n\n\ndef only_by_other():\n    pass\n\n\n"
        "def other():\n    only_by_other()\n\n\ndef body1():\n    sys.exit(helper())\n"
    )
    short = without_unused(program)
    names = {node.name for node in ast.parse(short).body if isinstance(node, ast.FunctionDef)}
    assert names == {"helper", "body1"}
    assert "gc" not in short
    assert "unused" not in short
    assert "import sys" in short


def test_missing_hypothesis() -> None:
    """Without Hypothesis one line says what to install, and the rest of the command works."""
    program = (
        "import sys; sys.modules['hypothesis'] = None;"
        "from greenlet_conformance.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "fuzz", "--impl", "greenlet"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert "pip install" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--impl", "no.such.module"], 4),
        (["--impl", "greenlet", "--against", "json"], 4),
        (["--programs", "0"], 2),
        (["--minutes", "-1"], 2),
        (["--seed", "x"], 2),
        (["--leave-out", "everything"], 2),
    ],
)
def test_bad_input(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake costs one line."""
    try:
        found = cli.main(["fuzz", *arguments])
    except SystemExit as exited:
        found = int(str(exited.code))
    said = capsys.readouterr()
    assert (found, said.out) == (code, "")
    assert said.err.startswith("greenlet-conformance: error: ")
    assert said.err.count("\n") == 1
