"""Recording a program's greenlets, in the program itself: `python -m greenlane trace`.

The command starts the program with the variable ``GREENLANE_TRACE`` in its environment; importing
greenlane looks at it and calls `begin()`, which is before any greenlet exists. The extension keeps
the events (``record.c`` says how, and why not by ``settrace``). Here are the names of greenlets,
and the ends of the program: when it exits, by itself or by an exception, or is ended by a signal
that it does not handle, all is written. ``timeline.py`` knows the formats.

A child made by ``os.fork`` goes on by itself: it forgets its parent's events and writes files of
its own, if greenlets were switched in it. What ends without Python's knowledge (``os._exit``,
SIGKILL, a crash) leaves nothing.

No code of the program's is run to find out a name: `attribute()` looks into dictionaries and asks
descriptors that are written in C, and values are taken for text only if they are str. What can
come in between is a signal handler, whose exceptions belong to the program and are not caught.
"""

from __future__ import annotations

from greenlane import _greenlet, standard
from greenlane._greenlet import greenlet

with standard.Library():
    import atexit
    import contextlib
    import functools
    import json
    import os
    import shlex
    import signal
    import sys
    import threading
    import time
    from _thread import get_native_id  # gevent replaces that of threading
    from types import CodeType, FrameType, GetSetDescriptorType, MemberDescriptorType, MethodType

    from greenlane import timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["VARIABLE", "Options", "begin"]

#: The environment variable by which a program learns that it is to be recorded.
VARIABLE = "GREENLANE_TRACE"

#: From so many events on, writing them takes some seconds.
MANY_EVENTS = 500_000

#: The descriptor: the program may have replaced the stream.
STDERR = 2

#: At most so many frames are told of a greenlet that is suspended at the end.
MOST_FRAMES = 20

#: Signals that end a program which does not handle them, and may as well have it write first.
LETHAL = (signal.SIGTERM, signal.SIGHUP)

# A subclass may have attributes of these names that mean something else: gevent's does.
_is_dead = greenlet.__dict__["dead"].__get__
_is_active = greenlet.__bool__
_frame_of = greenlet.__dict__["gr_frame"].__get__
_parent_of = greenlet.__dict__["parent"].__get__
_dict_of = greenlet.__dict__["__dict__"].__get__

# So may a metaclass.
_bases_of = type.__dict__["__mro__"].__get__
_names_of = type.__dict__["__dict__"].__get__


class Options:
    """What to record, and where to; None for what is not to be written."""

    def __init__(
        self, *, json: str | None, html: str | None, limit: int, stderr: list[int] | None
    ) -> None:
        """Take the absolute paths of the files, and how many events to keep.

        ``stderr`` is the file that the command had there: in the program it may be another one for
        a while, when greenlet is imported, say.
        """
        self.json = json
        self.html = html
        self.limit = limit
        self.stderr = stderr

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

        return Options(
            json=numbered(self.json),
            html=numbered(self.html),
            limit=self.limit,
            stderr=self.stderr,
        )


def begin() -> None:
    """Record this process if VARIABLE says so, which is removed: children are not recorded."""
    value = os.environ["GREENLANE_TRACE"]
    try:
        options = json.loads(value)
        if options.pop("pid") != os.getpid():
            return  # it is for the program of which this is a child
        recorder = Recorder(Options(**options))
    except (ValueError, LookupError, TypeError, AttributeError):
        say(f"{VARIABLE} is not understood: {value!r}; nothing is recorded")
        return
    del os.environ["GREENLANE_TRACE"]
    try:
        recorder.start()
    except MemoryError:
        say(f"no memory for {recorder.options.limit} events; nothing is recorded")


def say(what: str) -> None:
    """Write a line for whoever has started the program; it may have closed the file."""
    with contextlib.suppress(OSError):
        os.write(STDERR, f"greenlane trace: {what}\n".encode(errors="backslashreplace"))


class Recorder:
    """What is known of a program beside its events."""

    def __init__(self, options: Options) -> None:
        """Nothing is recorded yet."""
        self.options = options
        self.lives: dict[int, timeline.Life] = {}
        self.is_child = False
        self.is_over = False
        self.start_time = 0
        # The program may change all of these.
        self.command = shlex.join(sys.orig_argv[1:])

    def start(self) -> None:
        """Record from now on, until the program ends."""
        self.start_time = time.monotonic_ns()
        _greenlet._start_recording(self.options.limit, self.introduce, self.lives)
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
            survivors = alive()
            self.lives = {
                serial: life for serial, life in self.lives.items() if serial in survivors
            }
            self.refresh_parents(survivors)
            _greenlet._start_recording(self.options.limit, self.introduce, self.lives)
            util = sys.modules.get("multiprocessing.util")
            if util is not None:  # its children end by os._exit(), when this has been called
                util.register_after_fork(self, Recorder.finish_with_multiprocessing)

    def finish_with_multiprocessing(self) -> None:
        """Write at the end of a process that multiprocessing has forked, behind all else there."""
        sys.modules["multiprocessing.util"].Finalize(None, self.finish, exitpriority=-1_000_000)

    def die(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal as if it were not handled, but write first."""
        del frame
        try:
            self.finish()
        finally:
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
        with undisturbed():
            try:
                said = self.write()
            except OSError as error:
                said = f"cannot write {error.filename or 'the trace'}: {error.strerror}"
            except MemoryError:
                said = "there is no memory to write what was recorded"
            self.tell(said)

    def tell(self, what: str) -> None:
        """Write a line to standard error, if that is open, and where it was in the beginning."""
        is_closed = getattr(sys.__stderr__, "closed", True)  # the descriptor may be open still
        if what and not is_closed and stderr_identity() == self.options.stderr:
            say(what)

    def write(self) -> str:
        """Do so; nothing interrupts it. Returns what is to be said."""
        end = time.monotonic_ns()
        survivors = alive()
        records, places, dropped = _greenlet._stop_recording()
        if self.is_child and not records:
            return ""
        trace = timeline.Trace(
            command=self.command,
            pid=os.getpid(),
            python=sys.version.split()[0],
            start=self.start_time,
            end=end,
            limit=self.options.limit,
            dropped=dropped,
            lives=self.lives,
            places=[describe(code, offset) for code, offset in places],
            records=timeline.Records(records),
        )
        self.look_at(survivors)
        if len(trace.records) >= MANY_EVENTS:
            self.tell(f"writing {len(trace.records)} events")
        trace.settle()
        timeline.write(trace, json_path=self.options.json, html_path=self.options.html)
        return trace.summary(self.options.files())

    def refresh_parents(self, survivors: dict[int, greenlet]) -> None:
        """Take the parents that greenlets have now: the records of that may be gone."""
        for serial, life in self.lives.items():
            if serial in survivors:
                parent = _parent_of(survivors[serial])
                life.parent = 0 if parent is None else _greenlet._serial(parent)

    def look_at(self, survivors: dict[int, greenlet]) -> None:
        """Find out how the greenlets ended that are still there."""
        self.refresh_parents(survivors)
        for serial, each in survivors.items():
            parent = _parent_of(each)
            life = self.lives.get(serial)
            if life is None:
                if _is_dead(each):
                    continue  # forgotten since
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


def alive() -> dict[int, greenlet]:
    """Return all greenlets that there are, by serial number."""
    return {_greenlet._serial(each): each for each in reversed(_greenlet._survivors())}


def stderr_identity() -> list[int] | None:
    """Return what tells the file that is standard error from others; None if there is none."""
    try:
        found = os.fstat(STDERR)
    except OSError:
        return None
    return [found.st_dev, found.st_ino]


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore the signals that Python code handles: files are not to be left half written."""
    handlers: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in signal.Signals:
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def kind(each: greenlet) -> str:
    """Return the name of a greenlet's class, with its module; "" if it is greenlet itself."""
    cls = type(each)
    if cls is greenlet:
        return ""
    return f"{text(attribute(cls, '__module__'))}.{class_name(each)}"


def class_name(each: greenlet) -> str:
    """Return the name of a greenlet's class."""
    return text(attribute(type(each), "__qualname__")) or "greenlet"


def text(value: object) -> str:
    """Return a string of the program's; "" if it is something else."""
    return str.__str__(value) if issubclass(type(value), str) else ""


def name(each: greenlet, run: object, argument: object) -> str:
    """Return what to call a greenlet: by what it runs, or by the name that the program gave it.

    If `run` is a method of its own class, that says little. gevent keeps what it is to run as
    ``_run``, eventlet hands it over as the first argument.
    """
    given = _dict_of(each).get("name")
    if issubclass(type(given), str):
        return text(given)
    if attribute(run, "__self__") is each:
        for inner in (attribute(each, "_run"), argument):
            if callable(inner) and attribute(inner, "__self__") is not each:
                run = inner
                break
        else:
            return class_name(each)
    if text(attribute(run, "__name__")) == "_handle_and_close_when_done":
        arguments = attribute(each, "args")
        if type(arguments) is tuple and arguments:
            run = arguments[0]  # gevent's servers: the handler
    while issubclass(type(run), functools.partial):
        run = attribute(run, "func")
    if run is None:
        return class_name(each)
    if issubclass(type(run), MethodType):
        run = attribute(run, "__func__")
    return text(attribute(run, "__qualname__")) or text(attribute(type(run), "__qualname__"))


def attribute(owner: object, which: str) -> Any:
    """Return an attribute of something of the program's; None if there is none to be had.

    Only what lies in its dictionary, or what a descriptor in C gives: that runs no Python code.
    """
    values = None
    for base in _bases_of(type(owner)):
        names = _names_of(base)
        for key in (which, "__dict__"):
            descriptor = names.get(key)
            if type(descriptor) in (GetSetDescriptorType, MemberDescriptorType):
                try:
                    value = descriptor.__get__(owner)
                except AttributeError:  # of a slot that is empty
                    continue
                if key == which:
                    return value
                values = value if values is None else values
    return values.get(which) if type(values) is dict else None


def thread_name() -> str:
    """Return the name of the calling thread of the operating system."""
    native = get_native_id()
    if native == os.getpid():
        return "MainThread"
    active: dict[Any, threading.Thread] = getattr(threading, "_active", {})
    for thread in list(active.values()):
        if attribute(thread, "_native_id") == native:
            return text(attribute(thread, "_name"))
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
