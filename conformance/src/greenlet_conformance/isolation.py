"""One child process a test, so that a crash or a hang costs one test.

How it works, on any system with ``fork``:

1. The process that runs pytest has collected the tests, but has set up nothing and has
   not imported the implementation. For each test it makes a pipe and a file, and forks.
2. The child points its faulthandler at the file, runs the test by pytest's own protocol
   (setup, call, teardown), collects the garbage that the test left, so that an
   implementation which dies of it is caught, and writes pytest's reports as one line of
   JSON into the pipe. Then it leaves by ``os._exit``: threads that never end
   and greenlets that are still suspended cannot hold it up.
3. The parent waits for the line. If the child dies first, that is a CRASH, with the name
   of the signal and the traceback from the file. If the time is up, that is a TIMEOUT:
   SIGABRT makes faulthandler write where the child was, then SIGKILL ends it.

The child is the leader of a new process group, which the parent kills at the end, so that
processes that a test forked do not outlive it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import gc
import json
import math
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

from greenlet_conformance import signals

available = hasattr(os, "fork")

#: The usual limit of one test.
TEST_SECONDS = 10.0

#: What the whole suite should take, on an idle machine, of any implementation. More is told.
SUITE_SECONDS = 120.0

_GRACE_SECONDS = 2.0
_FORK_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Died:
    """How a test took its process with it: ``kind`` is "CRASH" or "TIMEOUT"."""

    kind: str
    message: str


def mistake_in_step_seconds() -> str | None:
    """What is wrong with the environment's limit of one step, which the suite reads as a number."""
    name = "GREENLET_CONFORMANCE_STEP_SECONDS"
    text = os.environ.get(name, "5")
    try:
        good = 0 < float(text) < math.inf
    except ValueError:
        good = False
    return None if good else f"{name}: {text!r} is not a positive, finite number of seconds"


def run(work: Callable[[], Any], seconds: float) -> Any | Died:
    """Runs ``work`` in a child process and answers its JSON-able result, or how it died."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        reading, writing = os.pipe()
        child = _fork()
        if child == 0:
            os.close(reading)
            _child(work, writing, log)
        os.close(writing)
        try:
            line, in_time = _read_line(reading, seconds)
            if not line.endswith(b"\n") and not in_time:
                os.kill(child, signal.SIGABRT)  # faulthandler writes where it is
                _read_line(reading, _GRACE_SECONDS)  # until its death closes the pipe
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        except BaseException:  # Ctrl-C does not reach the child's group
            for end in (os.kill, os.killpg):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    end(child, signal.SIGKILL)
            raise
        finally:
            os.close(reading)
        if line.endswith(b"\n"):
            return json.loads(line)
        log.seek(0)
        return _how_it_died(status, in_time, seconds, log.read().decode(errors="replace"))


def _fork() -> int:
    """``os.fork()``, tried again while the system has as many processes and threads as it takes."""
    give_up = time.monotonic() + _FORK_SECONDS
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def _child(work: Callable[[], Any], writing: int, log: IO[bytes]) -> None:
    """Never returns: whatever happens, the process ends here.

    So does one that the test forked and lost control of; only the test's own process answers.
    """
    me = os.getpid()
    try:
        os.setpgid(0, 0)
        signals.by_default()
        _no_core_dump()
        faulthandler.enable(file=log)
        if hasattr(gc, "freeze"):
            gc.freeze()  # what the parent made is no garbage of the test
        result = work()
        if os.getpid() != me:
            os._exit(0)
        os.dup2(log.fileno(), 1)  # what the end of garbage prints is no one's output
        os.dup2(log.fileno(), 2)
        gc.collect()
        line = json.dumps(result).encode() + b"\n"
        while line:
            line = line[os.write(writing, line) :]
        os._exit(0)
    except BaseException:
        if os.getpid() == me:
            os.write(log.fileno(), traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(3)


def _no_core_dump() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _read_line(reading: int, seconds: float) -> tuple[bytes, bool]:
    """Reads up to a newline, the end of the file or the deadline; False if that passed."""
    deadline = time.monotonic() + seconds
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return line, False
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            break
        line += chunk
    return line, True


def _how_it_died(status: int, in_time: bool, seconds: float, log: str) -> Died:
    code = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if not in_time:  # however it died then: faulthandler itself may crash, on a broken stack
        return Died("TIMEOUT", f"no result after {seconds:g} seconds\n{log}".rstrip())
    if code is None:
        how = f"the process exited with {os.WEXITSTATUS(status)} in the middle of the test"
    else:
        how = f"the process died of {_signal_name(code)}"
    return Died("CRASH", f"{how}\n{log}".rstrip())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
