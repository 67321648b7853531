"""Tools that look into running programs see greenlets of greenlane as they see those of greenlet.

Where a tool has an output that can be compared, the same program runs on both, and the outputs must
be equal; what they must hold is checked as well, since two empty ones are equal, too.
"""

from __future__ import annotations

import json
import os
import pstats
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("program.py")
SIDES: dict[str, list[str]] = {"greenlet": [], "greenlane": ["-m", "greenlane"]}


def python(
    side: str, *arguments: str, returncode: int = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python on one of the two and check how it exits."""
    done = subprocess.run(
        [sys.executable, *SIDES[side], *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    assert done.returncode == returncode, f"{done.stdout}\n{done.stderr}"
    return done


def needs(module: str) -> None:
    """Skip the test if a tool is not installed, as there is no wheel of it for this Python."""
    if find_spec(module) is None:
        pytest.skip("not installable on this Python")


@contextmanager
def sleeping(side: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program until a greenlet of it sleeps."""
    with subprocess.Popen(
        [sys.executable, *SIDES[side], str(PROGRAM), "sleep"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "sleeping\n"
            yield process
        finally:
            process.kill()


@pytest.mark.tool("coverage.py", "coverage")
def test_coverage(tmp_path: Path) -> None:
    """With `--concurrency=greenlet`, the lines that ran, in greenlets and around switches."""
    needs("coverage")
    lines = {}
    for side in SIDES:
        data = str(tmp_path / side)
        run = ["run", "--concurrency=greenlet", f"--data-file={data}", str(PROGRAM), "allocate"]
        python(side, "-m", "coverage", *run, cwd=tmp_path)
        report = f"{data}.json"
        python(side, "-m", "coverage", "json", f"--data-file={data}", "-o", report, cwd=tmp_path)
        (file,) = json.loads(Path(report).read_text())["files"].values()
        lines[side] = file["executed_lines"], file["missing_lines"]
    assert lines["greenlane"] == lines["greenlet"]
    executed, missing = lines["greenlane"]
    source = PROGRAM.read_text().splitlines()
    assert {source[line - 1].strip() for line in executed} >= {"del data", "return result + 1"}
    assert {source[line - 1].strip() for line in missing} >= {"time.sleep(60)", "import ctypes"}


@pytest.mark.tool("cProfile")
def test_cprofile(tmp_path: Path) -> None:
    """How often each function is called, in all greenlets together."""
    calls = {}
    for side in SIDES:
        python(side, "-m", "cProfile", "-o", str(tmp_path / side), str(PROGRAM))
        stats: Any = pstats.Stats(str(tmp_path / side))
        calls[side] = {
            name: count
            for (file, _, name), (_, count, *_) in stats.stats.items()
            if file == str(PROGRAM)
        }
    assert calls["greenlane"] == calls["greenlet"]
    assert (
        calls["greenlane"] | {"even": 1, "odd": 1, "work": 2, "wait_for_turn": 5}
        == (calls["greenlane"])
    )


YAPPI = """
import json, sys, yappi
import greenlet
sys.path.insert(0, sys.argv[1])
import program
sys.argv[1:] = []
yappi.set_context_backend("greenlet")
yappi.set_clock_type("wall")
yappi.start()
program.main()
yappi.stop()
functions = {each.name: each.ncall for each in yappi.get_func_stats() if "program" in each.module}
print(json.dumps([functions, len(yappi.get_greenlet_stats())]))
"""


@pytest.mark.tool("yappi", "yappi")
def test_yappi() -> None:
    """With the context `greenlet`, the calls of each function, and the greenlets told apart."""
    needs("yappi")
    shown = {}
    for side in SIDES:
        shown[side] = json.loads(python(side, "-c", YAPPI, str(PROGRAM.parent)).stdout)
    assert shown["greenlane"] == shown["greenlet"]
    functions, greenlets = shown["greenlane"]
    assert functions | {"even": 1, "odd": 1, "work": 2, "wait_for_turn": 5} == functions
    assert greenlets == 3


MEMRAY = """
import json, sys
from memray import AllocatorType, FileReader
with FileReader(sys.argv[1]) as reader:
    for record in reader.get_high_watermark_allocation_records(merge_threads=True):
        if record.size >= 32 << 20 and record.allocator != AllocatorType.MMAP:
            print(json.dumps([name for name, _, _ in record.stack_trace()]))
"""


@pytest.mark.tool("memray", "memray")
def test_memray(tmp_path: Path) -> None:
    """An allocation in a greenlet, with the stack of that greenlet.

    What lanes reserve of address space is shown as allocated by `mmap`, committed or not.
    """
    needs("memray")
    stacks = {}
    for side in SIDES:
        data = str(tmp_path / side)
        python(side, "-m", "memray", "run", "-q", "-o", data, str(PROGRAM), "allocate")
        stacks[side] = json.loads(python(side, "-c", MEMRAY, data).stdout)
    assert stacks["greenlane"] == stacks["greenlet"]
    assert stacks["greenlane"][:2] == ["allocate", "in_greenlet"]


@pytest.mark.tool("py-spy", "py-spy")
def test_py_spy() -> None:
    """`py-spy dump` of a process, while a greenlet runs: the frames of that greenlet."""
    tool = shutil.which("py-spy", path=os.pathsep.join([str(Path(sys.executable).parent)]))
    if tool is None:
        pytest.skip("not installable on this Python")
    frames = {}
    for side in SIDES:
        with sleeping(side) as process:
            done = subprocess.run(
                [tool, "dump", "--pid", str(process.pid)],
                capture_output=True,
                text=True,
                check=False,
            )
        if "ermission" in done.stderr:
            pytest.skip("no permission to trace processes")
        if "Failed to find python version" in done.stderr or "unsupported" in done.stderr.lower():
            pytest.skip("py-spy does not know this Python")
        assert done.returncode == 0, done.stderr
        frames[side] = re.findall(r"^ +(\w+) \(.*program\.py:\d+\)", done.stdout, re.MULTILINE)
    assert frames["greenlane"] == frames["greenlet"]
    assert frames["greenlane"][:2] == ["sleep", "in_greenlet"]


def shown_frames(traceback: str) -> list[str]:
    """Return the functions of the program in what faulthandler prints, the innermost first."""
    return re.findall(r'File ".*program\.py", line \d+ in (\w+)', traceback)


@pytest.mark.tool("faulthandler")
def test_faulthandler() -> None:
    """A crash in a greenlet: the frames of that greenlet."""
    frames = {}
    for side in SIDES:
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        run = [str(PROGRAM), "crash"]
        done = python(side, *run, returncode=-signal.SIGSEGV, env=environment)
        frames[side] = shown_frames(done.stderr)
    assert frames["greenlane"] == frames["greenlet"]
    assert frames["greenlane"][:2] == ["crash", "in_greenlet"]


@pytest.mark.tool("pdb")
def test_pdb() -> None:
    """A breakpoint in a greenlet, where, up, stepping over a switch, and going on to the end."""
    line = 1 + PROGRAM.read_text().splitlines().index("        done += turn")
    commands = [f"break {line}", "continue", "where", "up", "down", "next", "next", "next"]
    commands += ["p done, turn", "continue", "where", "clear 1", "continue", "quit"]
    shown = {}
    for side in SIDES:
        typed = "\n".join(commands) + "\n"
        shown[side] = python(side, "-m", "pdb", str(PROGRAM), input=typed).stdout
    assert shown["greenlane"] == shown["greenlet"]
    assert f"{PROGRAM}({line})work()" in shown["greenlane"]
    assert "return work(2)" in shown["greenlane"]
    assert "The program finished and will be restarted" in shown["greenlane"]


@pytest.mark.tool("gdb")
def test_gdb() -> None:
    """A backtrace in C, from a greenlet down to where its stack begins."""
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    program = ["--args", sys.executable, str(PROGRAM), "crash"]
    script = ["-ex", "set debuginfod enabled off", "-ex", "run", "-ex", "backtrace"]
    from greenlane import installation

    environment = dict(os.environ)
    installation.add_to_environment(environment)
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", *script, *program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )
    if "not being run" in done.stdout + done.stderr or "ptrace" in done.stderr:
        pytest.skip("no permission to trace processes")
    frames = re.findall(r"^#\d+ .*?(?:0x\w+ in )?(\w+) \(", done.stdout, re.MULTILINE)
    assert "SIGSEGV" in done.stdout, done.stdout + done.stderr
    assert frames[-1] == "gl_context_start", done.stdout + done.stderr
    assert not re.search(r"Backtrace stopped|corrupt", done.stdout + done.stderr)


CURRENT_FRAMES = """
import json, sys, threading, greenlet
ready, stop = threading.Event(), threading.Event()

def inner():
    ready.set()
    stop.wait()

def outer():
    inner()

def suspended():
    greenlet.getcurrent().parent.switch()

def thread():
    other = greenlet.greenlet(suspended)
    other.switch()
    greenlet.greenlet(outer).switch()
    other.switch()

running = threading.Thread(target=thread)
running.start()
ready.wait()
frame = sys._current_frames()[running.ident]
names = []
while frame is not None:
    names.append(frame.f_code.co_name)
    frame = frame.f_back
stop.set()
running.join()
print(json.dumps(names))
"""


@pytest.mark.tool("sys._current_frames")
def test_current_frames() -> None:
    """The frames of the greenlet that another thread runs, and only those."""
    names = {side: json.loads(python(side, "-c", CURRENT_FRAMES).stdout) for side in SIDES}
    assert names["greenlane"] == names["greenlet"]
    assert names["greenlane"][-2:] == ["inner", "outer"]


TRACEMALLOC = """
import tracemalloc, greenlet

def allocate():
    global data
    data = bytearray(1 << 20)

def run():
    greenlet.getcurrent().parent.switch()
    allocate()

tracemalloc.start(10)
child = greenlet.greenlet(run)
child.switch()
child.switch()
print(*(frame.lineno for frame in tracemalloc.get_object_traceback(data)))
"""


@pytest.mark.tool("tracemalloc")
def test_tracemalloc() -> None:
    """An allocation in a greenlet, with the stack of that greenlet."""
    lines = {side: python(side, "-c", TRACEMALLOC).stdout for side in SIDES}
    assert lines["greenlane"] == lines["greenlet"] == "10 6\n"
