"""Recording a program's greenlets, in the program itself: `python -m greenlane trace`.

The command starts the program with the variable ``GREENLANE_TRACE`` in its environment; importing
greenlane looks at it and calls `begin()`, which is before any greenlet exists. The extension keeps
the events (``record.c`` says how, and why not by ``settrace``). Here are the names of greenlets,
and the ends of the program: when it exits, by itself or by an exception, or is ended by a signal
that it does not handle, all is written. ``timeline.py`` knows the formats.

A child made by ``os.fork`` goes on by itself: it forgets its parent's events and writes files of
its own, if greenlets were switched in it. What ends without Python's knowledge (``os._exit``,
SIGKILL, a crash) leaves nothing.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import shlex
import signal
import struct
import sys
import threading
import time
from _thread import get_native_id  # gevent replaces that of threading
from types import CodeType, FrameType

from greenlane import _greenlet, timeline
from greenlane._greenlet import greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["VARIABLE", "Options", "begin"]

#: The environment variable by which a program learns that it is to be recorded.
VARIABLE = "GREENLANE_TRACE"

#: How records lie in memory: time, origin, target, place, event (record.c).
RECORD = struct.Struct("=qIIII")

#: At most so many frames are told of a greenlet that is suspended at the end.
MOST_FRAMES = 20

#: Signals that end a program which does not handle them, and may as well have it write first.
LETHAL = (signal.SIGTERM, signal.SIGHUP)

# A subclass may have attributes of these names that mean something else: gevent's does.
_is_dead = greenlet.__dict__["dead"].__get__
_is_active = greenlet.__bool__
_frame_of = greenlet.__dict__["gr_frame"].__get__
_parent_of = greenlet.__dict__["parent"].__get__


class Options:
    """What to record, and where to; None for what is not to be written."""

    def __init__(self, *, json: str | None, html: str | None, limit: int) -> None:
        """Take the absolute paths of the files, and how many events to keep."""
        self.json = json
        self.html = html
        self.limit = limit

    def encode(self) -> str:
        """Return them as the value of VARIABLE, for this process and no other."""
        return json.dumps({"pid": os.getpid(), **vars(self)})

    def files(self) -> list[str]:
        """Return the paths of what is written."""
        return [path for path in (self.json, self.html) if path is not None]

    def for_child(self, pid: int) -> Options:
        """Return where a forked child writes to: beside, with its number in the name."""

        def numbered(path: str | None) -> str | None:
            if path is None:
                return None
            stem, suffix = os.path.splitext(path)  # noqa: PTH122 - pathlib is slow to import
            return f"{stem}.{pid}{suffix}"

        return Options(json=numbered(self.json), html=numbered(self.html), limit=self.limit)


def begin() -> None:
    """Record this process if VARIABLE says so, which is removed: children are not recorded."""
    value = json.loads(os.environ["GREENLANE_TRACE"])
    if value.pop("pid") == os.getpid():  # it is not for the child of a program that is
        del os.environ["GREENLANE_TRACE"]
        Recorder(Options(**value)).start()


class Recorder:
    """What is known of a program beside its events."""

    def __init__(self, options: Options) -> None:
        """Nothing is recorded yet."""
        self.options = options
        self.lives: dict[int, timeline.Life] = {}
        self.is_child = False
        self.is_over = False
        self.start_time = 0

    def start(self) -> None:
        """Record from now on, until the program ends."""
        self.start_time = time.monotonic_ns()
        _greenlet._start_recording(self.options.limit, self.introduce)
        main = greenlet.getcurrent()
        while main.parent is not None:
            main = main.parent
        self.introduce(_greenlet._serial(main), main, None, None, 0)
        atexit.register(self.finish)
        os.register_at_fork(after_in_child=self.start_child)
        if threading.current_thread() is threading.main_thread():
            for number in LETHAL:
                if signal.getsignal(number) == signal.SIG_DFL:
                    signal.signal(number, self.die)

    def start_child(self) -> None:
        """Begin anew in a child that was forked."""
        if not self.is_over:
            self.options = self.options.for_child(os.getpid())
            self.is_child = True
            self.start_time = time.monotonic_ns()
            _greenlet._start_recording(self.options.limit, self.introduce)

    def die(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal as if it were not handled, but write first."""
        del frame
        self.finish()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def introduce(
        self, serial: int, each: greenlet, run: object, argument: object, parent: int
    ) -> None:
        """Keep what can be told of a greenlet that is starting, or of a main one."""
        self.lives[serial] = timeline.Life(
            serial=serial,
            name="main" if parent == 0 else name(each, run, argument),
            kind=kind(each),
            parent=parent,
            thread=thread_name(),
        )

    def finish(self) -> None:
        """Stop recording and write the files. Says on standard error what has been written."""
        if self.is_over:
            return
        self.is_over = True
        end = time.monotonic_ns()
        survivors = [each for each in gc.get_objects() if issubclass(type(each), greenlet)]
        for each in survivors:
            _greenlet._serial(each)  # those that nothing has happened to get one now
        records, places, dropped = _greenlet._stop_recording()
        if self.is_child and not records:
            return
        trace = timeline.Trace(
            command=shlex.join(sys.orig_argv[1:]),
            pid=os.getpid(),
            python=sys.version.split()[0],
            start=self.start_time,
            end=end,
            limit=self.options.limit,
            dropped=dropped,
            lives=self.lives,
            places=[describe(code, offset) for code, offset in places],
            records=list(RECORD.iter_unpack(records)),
        )
        self.look_at(survivors)
        trace.settle()
        try:
            timeline.write(trace, json_path=self.options.json, html_path=self.options.html)
            said = trace.summary(self.options.files())
        except OSError as error:
            said = f"cannot write {error.filename or 'the trace'}: {error.strerror}"
        if sys.stderr is not None:
            print(f"greenlane trace: {said}", file=sys.stderr, flush=True)

    def look_at(self, survivors: list[greenlet]) -> None:
        """Find out how the greenlets ended that are still there."""
        for each in survivors:
            serial = _greenlet._serial(each)
            parent = _parent_of(each)
            life = self.lives.get(serial)
            if life is None:
                life = self.lives[serial] = timeline.Life(
                    serial=serial,
                    name="main" if parent is None else name(each, attribute(each, "run"), None),
                    kind=kind(each),
                    parent=0 if parent is None else _greenlet._serial(parent),
                    thread="",
                )
            if _is_dead(each):
                life.state = "dead"
            elif not _is_active(each):
                life.state = "not started"
            else:
                frame = _frame_of(each)
                life.state = "suspended"  # or running: what was recorded tells
                life.stack = [describe_frame(one) for one in frames(frame)]


def kind(each: greenlet) -> str:
    """Return the name of a greenlet's class, with its module; "" if it is greenlet itself."""
    cls = type(each)
    return "" if cls is greenlet else f"{cls.__module__}.{cls.__qualname__}"


def name(each: greenlet, run: object, argument: object) -> str:
    """Return what to call a greenlet: by what it runs, or by the name that the program gave it.

    If `run` is a method of its own class, that says little. gevent keeps what it is to run as
    ``_run``, eventlet hands it over as the first argument.
    """
    given = vars(each).get("name")
    if isinstance(given, str):
        return given
    if attribute(run, "__self__") is each:
        for inner in (attribute(each, "_run"), argument):
            if callable(inner) and attribute(inner, "__self__") is not each:
                run = inner
                break
        else:
            return type(each).__qualname__
    if attribute(run, "__name__") == "_handle_and_close_when_done":
        run = next(iter(attribute(each, "args") or ()), run)  # gevent's servers: the handler
    while isinstance(run, functools.partial):
        run = run.func
    if run is None:
        return type(each).__qualname__
    return str(attribute(run, "__qualname__") or type(run).__qualname__)


def attribute(owner: object, which: str) -> Any:
    """Return an attribute of something of the program's; None if there is none to be had."""
    try:
        return getattr(owner, which, None)
    except Exception:
        return None


def thread_name() -> str:
    """Return the name of the calling thread of the operating system."""
    native = get_native_id()
    if native == os.getpid():
        return "MainThread"
    active: dict[Any, threading.Thread] = getattr(threading, "_active", {})
    for thread in list(active.values()):
        if thread.native_id == native:
            return thread.name
    return f"thread {native}"


def frames(innermost: FrameType | None) -> Iterator[FrameType]:
    """Walk from a frame to those that called it, not too far."""
    for _ in range(MOST_FRAMES):
        if innermost is None:
            break
        yield innermost
        innermost = innermost.f_back


def describe_frame(frame: FrameType) -> str:
    """Return where a frame is."""
    return describe(frame.f_code, frame.f_lasti)


def describe(code: CodeType, offset: int) -> str:
    """Return a place as ``file:line function``."""
    for first, behind, line in code.co_lines():
        if first <= offset < behind and line is not None:
            break
    else:
        line = code.co_firstlineno
    return f"{code.co_filename}:{line} {getattr(code, 'co_qualname', code.co_name)}"
