"""The commands that read the specification, and running in another interpreter."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import made
import pytest
from running import TESTS, UPSTREAM, Ran, module, start

from greenlet_conformance import cli, spec


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """``list`` shows every clause under its chapter; filters reduce it."""
    assert cli.main(["list"]) == 0
    everything = capsys.readouterr().out
    assert len(re.findall(r"^  \S+", everything, re.M)) == len(spec.load().clauses)
    assert "Dead-target skipping" in everything
    assert cli.main(["list", "--level", "may", "--clause", "thread.*"]) == 0
    assert re.findall(r"^  (\S+)", capsys.readouterr().out, re.M) == ["thread.exited.root-dead"]
    assert cli.main(["list", "--level", "MAY", "--clause", "thread.*"]) == 0
    assert capsys.readouterr().out.endswith("\n1 clause\n")


def test_list_by_feature(capsys: pytest.CaptureFixture[str]) -> None:
    """--feature adds up with the other filters, and an unknown one is told."""
    book = spec.load()
    for feature in book.features:
        assert cli.main(["list", "--feature", feature]) == 0
        ids = re.findall(r"^  (\S+)", capsys.readouterr().out, re.M)
        assert 0 < len(ids) < len(book.clauses)
        assert ids == [c.id for c in book.of_feature(feature)]
    assert cli.main(["list", "--feature=tracing", "--clause=context.*", "--level=must"]) == 0
    assert re.findall(r"^  (\S+)", capsys.readouterr().out, re.M) == ["context.trace"]
    assert cli.main(["list", "--feature", "traicing"]) == 4
    assert "there are tracing, context, threads, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"), [(["list"], 0), (["show", "life.kill"], 0), (["diff"], 3)]
)
def test_reader_goes_away(tmp_path: Path, arguments: list[str], code: int) -> None:
    """A reader that has had enough, such as ``head``, costs no traceback."""
    if arguments == ["diff"]:
        path = str(made.write(tmp_path / "run.jsonl", made.lines()))
        arguments = ["diff", path, path]
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "greenlet_conformance", *arguments]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("to", [">&-", ">/dev/full"])
@pytest.mark.parametrize("command", ["list", "show", "diff", "report", "run"])
def test_output_has_no_room(tmp_path: Path, command: str, to: str) -> None:
    """A standard output that is closed or full is one line, and neither a pass nor a failure."""
    path = str(made.write(tmp_path / "run.jsonl", made.lines()))
    arguments = {
        "list": ["list"],
        "show": ["show", "life.kill"],
        "diff": ["diff", path, path],
        "report": ["report", path, "--output-dir", str(tmp_path / "report")],
        "run": ["run", "--clause=order.example", "--output", path],
    }[command]
    line = ["sh", "-c", f'"$@" {to}', "sh", sys.executable, "-m", "greenlet_conformance"]
    before = Path(path).read_text(encoding="utf-8")
    ran = start([*line, *arguments], tmp_path)
    errors = [line for line in ran.err.splitlines() if line.startswith("greenlet-conformance: ")]
    if (command, to) == ("run", ">/dev/full"):
        # It is pytest that has no room, and says so in its own way, be it before the first test or
        # after the last; then there is another line on where the results are.
        assert ran.code == 3
        assert len(errors) in (1, 2)
    else:
        assert (ran.code, ran.err.splitlines()) == (2, errors)
        assert len(errors) == 1
    assert Path(path).read_text(encoding="utf-8") == before


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """``show`` prints the clause in full."""
    assert cli.main(["show", "dead.skip.parent"]) == 0
    out = capsys.readouterr().out
    assert "dead.skip.parent: a dead target passes the switch to its parent" in out
    assert "MUST · since 0.1 · source: " in out
    assert f"file: {spec.chapter_file('dead-target-skipping')}\n" in out
    assert "suspended" in out


def test_show_glob(capsys: pytest.CaptureFixture[str]) -> None:
    """``show`` with a glob lists what matches."""
    assert cli.main(["show", "dead.throw.*"]) == 0
    out = capsys.readouterr().out
    ids = re.findall(r"^  (\S+)", out, re.M)
    assert ids == [c.id for c in spec.load().select(["dead.throw.*"])]
    assert out.endswith(f"\n{len(ids)} clauses\n")


@pytest.mark.parametrize("arguments", [["show", "dead.skip.prent"], ["list", "--clause", "deed.*"]])
def test_unknown_clause(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown clause is one line on stderr and exit code 4."""
    assert cli.main(arguments) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert "near matches: dead." in captured.err


WRONG_VALUES = [
    *(["run", "--timeout", seconds] for seconds in ("0", "-1", "nan", "inf", "soon", "1e300")),
    *(["run", option, ""] for option in ("--impl", "--python", "--output", "--expectations")),
]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nosuch"],
        ["show"],
        ["list", "--level", "high"],
        ["report", "x"],
        ["diff", "x"],
        *WRONG_VALUES,
    ],
)
def test_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that is not understood is one line, and exits with 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Every help text has examples and the exit codes."""
    commands = ("run", "list", "show", "report", "diff", "update-expectations")
    for arguments in (["--help"], *([command, "--help"] for command in commands)):
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


@pytest.mark.parametrize("python", ["nosuch-python", "/bin/false", "/bin/true"])
def test_unusable_interpreter(run: Callable[..., Ran], python: str) -> None:
    """An interpreter that does not exist, or lacks the package, is an error that says so."""
    ran = run("--python", python, "--clause=order.example")
    assert ran.code == 4
    assert python in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.records == []


def test_unusable_interpreter_says_why(run: Callable[..., Ran], tmp_path: Path) -> None:
    """Of what the interpreter printed, the first line that is not empty is quoted."""
    shim = tmp_path / "shim"
    shim.write_text(
        "#!/bin/sh\nprintf '\\nshim: no such version\\n\\nothers:\\n  3.9\\n' >&2\nexit 127\n"
    )
    shim.chmod(0o755)
    ran = run("--python", str(shim), "--clause=order.example")
    assert ran.code == 4
    assert "(shim: no such version)" in ran.err


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("echo ready", 4, "cannot import"),
        (f'[ "$1" = -m ] || exec {sys.executable} "$@"', 3, "wrote no results"),
    ],
)
def test_pretended_interpreter(
    run: Callable[..., Ran], tmp_path: Path, line: str, code: int, says: str
) -> None:
    """Whatever runs nothing and exits with 0 is no pass."""
    shim = tmp_path / "shim"
    shim.write_text(f"#!/bin/sh\n{line}\nexit 0\n")
    shim.chmod(0o755)
    (tmp_path / "results.jsonl").write_text("{}\n")
    ran = run("--python", str(shim), "--clause=order.example")
    assert (ran.code, ran.records) == (code, [{}])
    assert says in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_environment_leaves_nothing_out(run: Callable[..., Ran]) -> None:
    """Options and plugins that the environment has for pytest are not for the command's."""
    ran = run(
        "--clause=order.example",
        "--clause=order.self",
        PYTEST_ADDOPTS="-k test_example",
        PYTEST_PLUGINS="nosuch",
    )
    assert ran.code == 0, ran.out + ran.err
    assert len(ran.outcomes) > 1


@pytest.mark.parametrize("seconds", ["abc", "nan", "inf", "0", ""])
def test_wrong_step_seconds(run: Callable[..., Ran], seconds: str) -> None:
    """A limit of one step that is no number of seconds is refused in one line."""
    ran = run("--clause=order.example", GREENLET_CONFORMANCE_STEP_SECONDS=seconds)
    assert (ran.code, ran.out) == (4, "")
    assert len(ran.err.strip().splitlines()) == 1
    assert "GREENLET_CONFORMANCE_STEP_SECONDS" in ran.err


def test_no_working_folder(tmp_path: Path) -> None:
    """A working folder that is gone is one line."""
    line = f'mkdir gone && cd gone && rmdir ../gone && {sys.executable} "$@"'
    command = ["sh", "-c", line, "sh", "-m", "greenlet_conformance", "run"]
    ran = start([*command, "--clause=order.example"], tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.strip().splitlines()) == 1


# --- the file of results -----------------------------------------------------------------


def test_output_outlives_bad_input(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A run that cannot begin leaves an earlier file alone; a whole run replaces it."""
    output = tmp_path / "results.jsonl"
    output.write_text('{"kind": "earlier"}\n')
    for arguments in (["--impl=nosuch"], ["--clause=nosuch.*"], ["--expectations=nosuch.toml"]):
        assert run(*arguments).records == [{"kind": "earlier"}]
    assert run("--clause=order.example").records[-1]["kind"] == "footer"
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_output_outlives_truncation(run: Callable[..., Ran], tmp_path: Path) -> None:
    """So does a run that is cut short."""
    (tmp_path / "results.jsonl").write_text('{"kind": "earlier"}\n')
    ran = run("--impl=broken", "-x", "--clause=args.*", BROKEN_GREENLET="TupleForOne")
    assert (ran.code, ran.records) == (3, [{"kind": "earlier"}])
    assert "results.jsonl was not touched" in ran.err
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["results.jsonl", "results.jsonl.partial"]


@pytest.mark.parametrize("output", [".", "nosuch/results.jsonl", "/dev/null", "x" * 300])
def test_impossible_output(run: Callable[..., Ran], output: str) -> None:
    """An output that cannot be written is refused before anything runs."""
    ran = run("--output", output, "--clause=order.example")
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.strip().splitlines()) == 1
    assert output in ran.err


@pytest.mark.parametrize("cut", [False, True])
def test_output_is_taken_meanwhile(run: Callable[..., Ran], tmp_path: Path, cut: bool) -> None:
    """Results that cannot go where they should are kept beside it, whole or not."""
    output = tmp_path / "out.jsonl"
    taken = tmp_path / ("out.jsonl.partial" if cut else "out.jsonl")
    environment = module(
        tmp_path / "made",
        f"import os\n{UPSTREAM}os.makedirs({str(taken)!r}, exist_ok=True)\n"
        "class greenlet(greenlet): throw = None\n",
    )
    clauses = ["--clause=throw.class", "--clause=throw.instance"]
    ran = run("--impl=made_up", *clauses, *["-x"] * cut, "--output", str(output), **environment)
    assert ran.code == (3 if cut else 2)
    [kept] = tmp_path.glob("conformance-*.jsonl")
    assert str(kept) in ran.err.splitlines()[-1]
    kinds = [json.loads(line)["kind"] for line in kept.read_text(encoding="utf-8").splitlines()]
    assert kinds[-2:] == (["clause", "result"] if cut else ["result", "footer"])
    assert sorted(tmp_path.iterdir()) == sorted([kept, taken, tmp_path / "made"])


def test_output_has_a_limit(tmp_path: Path) -> None:
    """Results that cannot even be begun are no wrong name."""
    output = tmp_path / "results.jsonl"
    arguments = [sys.executable, "-m", "greenlet_conformance", "run", "--clause=tree.*"]
    ran = start(
        ["sh", "-c", 'ulimit -f 4; "$@"', "sh", *arguments, "--output", str(output)],
        tmp_path,
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert ran.code == 2, ran.err
    assert "File too large" in ran.err
    assert list(tmp_path.iterdir()) == []


def interrupt(tmp_path: Path, interrupt_it: Callable[[int], None], *before: str) -> None:
    """Interrupts a run, whose process is told: nothing is written, and no test is left running."""
    output = tmp_path / "results.jsonl"
    output.write_text("earlier")
    command = [*before, sys.executable, "-m", "greenlet_conformance", "run", "--impl=hanging"]
    command += ["--clause=throw.class", "--timeout=60", f"--output={output}"]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".conformance-*/results.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        interrupt_it(process.pid)
        # A test that is left running would keep the pipes open.
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (3, "interrupted; nothing was written\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("results.jsonl", "earlier")
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to", ["command", "terminal"])
def test_interrupt(tmp_path: Path, to: str, number: signal.Signals) -> None:
    """Ctrl-C is one line and exit code 3. So are SIGTERM and the end of the terminal."""
    send = os.killpg if to == "terminal" else os.kill
    interrupt(tmp_path, lambda process: send(process, number))


def test_interrupt_in_the_background(tmp_path: Path) -> None:
    """Also where a shell has let everything ignore SIGINT."""
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    interrupt(tmp_path, lambda process: os.kill(process, signal.SIGTERM), *ignoring)
