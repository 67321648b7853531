"""What was recorded of greenlets, and how it is written: as Trace Event JSON, and as a page.

Trace Event is the format of Chromium's about:tracing, which Perfetto opens as well. A greenlet is a
thread there, by its serial number: its slices are the times in which it ran, a flow leads from the
slice that a switch or a throw ended to the one that it began, births and deaths are instants.
Timestamps are microseconds since the first record.

The page is one file with all in it: ``timeline.html``, into which the data is put as JSON.
"""

from __future__ import annotations

import contextlib
import errno
import html
import itertools
import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import greenlane

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Life", "Trace", "check", "write"]

# The kinds of events, as record.c has them.
BIRTH, ADOPTION, END, SWITCH, THROW, DEADLY_SWITCH, DEADLY_THROW = range(7)
TRANSFERS = (SWITCH, THROW, DEADLY_SWITCH, DEADLY_THROW)
THROWS = (THROW, DEADLY_THROW)
DEATHS = (DEADLY_SWITCH, DEADLY_THROW)

#: A record: time in ns, origin, target, place, event. Greenlets are serial numbers, 0 is none.
Record = tuple[int, int, int, int, int]

#: How it lies in memory.
RECORD = struct.Struct("=qIIII")

TEMPLATE = "timeline.html"

#: By these files are known to be recordings; they lie among the first bytes.
MARKS = (b'"otherData":{"tool": "greenlane ', b'<meta name="generator" content="greenlane">')

#: Characters that are written at once: while other threads run, each write may have to wait for
#: the GIL.
BUFFER_SIZE = 1 << 24


@dataclass
class Life:
    """A greenlet: what is known of it beside the records."""

    serial: int
    name: str
    #: Its class, "" for greenlet itself.
    kind: str
    #: Serial number of the latest parent; 0 for main greenlets, and where it is not known.
    parent: int
    #: Name of the thread that it belongs to.
    thread: str
    #: At the end of the recording: running, suspended, not started, or dead.
    state: str = "dead"
    #: Where it is suspended at the end: ``file:line function``, innermost first.
    stack: list[str] = field(default_factory=list)
    #: When it was born and died, in ns; None if that was not seen, or has not been.
    born: int | None = None
    died: int | None = None

    @property
    def label(self) -> str:
        """The name by which greenlets can be told apart."""
        where = (
            f" of {self.thread or 'a thread'}" if self.name == "main" and self.parent == 0 else ""
        )
        return f"{self.name}{where} #{self.serial}"


class Records:
    """Records as the extension keeps them: as objects they would take ten times the memory."""

    def __init__(self, data: bytes = b"") -> None:
        """Take them in the order of time."""
        self.data = data

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.data) // RECORD.size

    def __iter__(self) -> Iterator[Record]:
        """Unpack one after another."""
        return RECORD.iter_unpack(self.data)

    def time(self, index: int) -> int:
        """Return the time of one, counted from either end."""
        when: int = RECORD.unpack_from(self.data, index % len(self) * RECORD.size)[0]
        return when


@dataclass
class Trace:
    """All that was recorded of a process. Times are ns of the monotonic clock."""

    command: str
    pid: int
    python: str
    start: int
    end: int
    limit: int
    #: How many older records had to make room.
    dropped: int
    lives: dict[int, Life]
    #: What the places of records are, from 1 on.
    places: list[str]
    records: Records

    def settle(self) -> None:
        """Bring the lives up to what the records tell; call it once, before anything else."""
        running: set[int] = set()
        for when, origin, target, _, event in self.records:
            life = self.life(target)
            if origin:
                self.life(origin)
            if event == BIRTH:
                life.born = when
                life.parent = life.parent or origin
                life.thread = life.thread or (self.life(origin).thread if origin else "")
                running |= {target} if origin == 0 else set()
            elif event == ADOPTION:
                life.parent = origin
            elif event == END:
                life.died = when
                running.discard(target)
            else:
                life.thread = life.thread or self.life(origin).thread
                running.discard(origin)
                running.add(target)
                if event in DEATHS:
                    self.life(origin).died = when
        for serial in running:
            self.life(serial).state = "running"
        for life in self.lives.values():
            if life.died is not None:
                life.state = "dead"
        if self.records:
            self.end = max(self.end, self.records.time(-1) + 1)

    def life(self, serial: int) -> Life:
        """Return a greenlet, which may have gone before its name was asked for."""
        found = self.lives.get(serial)
        if found is None:
            found = self.lives[serial] = Life(serial, "greenlet", "", 0, "")
        return found

    def place(self, index: int) -> str | None:
        """Return the place of a record; None where it is not known."""
        return self.places[index - 1] if index else None

    def in_order(self) -> list[Life]:
        """Return the greenlets as a tree is written: children behind their parent, by number.

        The parents of those that are dead may be those of different times, and form a circle. It
        is cut: one of them has no known parent then.
        """
        children: dict[int, list[Life]] = {}
        for serial in sorted(self.lives):
            life = self.lives[serial]
            known = life.parent if life.parent in self.lives else 0
            children.setdefault(known, []).append(life)
        order: list[Life] = []
        waiting = children.pop(0, [])[::-1]
        while waiting or children:
            if not waiting:
                life = next(iter(children.values()))[0]
                seen: set[int] = set()
                while life.serial not in seen:  # up, until it is known to be in the circle
                    seen.add(life.serial)
                    life = self.lives[life.parent]
                children[life.parent].remove(life)
                life.parent = 0
                waiting.append(life)
            life = waiting.pop()
            order.append(life)
            waiting += children.pop(life.serial, [])[::-1]
        return order

    def count(self, *events: int) -> int:
        """Return how many records are of these kinds."""
        return sum(record[4] in events for record in self.records)

    def summary(self, files: list[str]) -> str:
        """Return what has been written, in a line."""
        switches = self.count(SWITCH, DEADLY_SWITCH)
        said = (
            f"{len(self.lives)} greenlets, {switches} switches, {self.count(*THROWS)} throws: "
            f"{', '.join(files)}"
        )
        if self.dropped:
            said += f"; the first {self.dropped} events are missing, since --limit is {self.limit}"
        return said


def is_recording(path: str) -> bool:
    """Return whether a file has been written by this module. Raises OSError if it is not read."""
    with Path(path).open("rb") as file:
        head = file.read(1000)
    return any(mark in head for mark in MARKS)


def check(path: str) -> None:
    """Find out whether a recording can be written to a path, and leave there what there is.

    Raises OSError if not. That is also when there is a file which is no recording: it might be the
    program.
    """
    target = os.path.realpath(path)
    if os.path.isdir(target):  # noqa: PTH112
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if os.path.isfile(target) and os.path.getsize(target) and not is_recording(target):  # noqa: PTH113, PTH202
        raise FileExistsError(errno.EEXIST, "there is a file, which is no recording", path)
    with opened(path, is_kept=False):
        pass


@contextlib.contextmanager
def opened(path: str, *, is_kept: bool = True) -> Iterator[IO[str]]:
    """Open a file to write, which replaces the one at a path once it is whole.

    Raises OSError, with the path, if it cannot be written.
    """
    is_device = os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113
    target = path if is_device else os.path.realpath(path)
    partial = target if is_device else f"{target}.{os.getpid()}.part"
    try:
        try:
            # What is not Unicode in arguments and names of files arrives as lone surrogates.
            with Path(partial).open(
                "w", buffering=BUFFER_SIZE, encoding="utf-8", errors="backslashreplace"
            ) as file:
                yield file
            if is_kept and not is_device:
                os.replace(partial, target)  # noqa: PTH105
        finally:
            if not is_device:
                Path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def write(trace: Trace, *, json_path: str | None, html_path: str | None) -> None:
    """Write a trace in one format or both. Raises OSError if a file cannot be written."""
    if json_path is not None:
        with opened(json_path) as file:
            write_json(trace, file)
    if html_path is not None:
        with opened(html_path) as file:
            write_page(trace, file)


# ---- Trace Event JSON ----------------------------------------------------------------------------


def write_json(trace: Trace, file: IO[str]) -> None:
    """Write a trace as a JSON object, one event a line."""
    facts = {
        "tool": f"greenlane {greenlane.__version__}",
        "command": trace.command,
        "python": trace.python,
        "limit": trace.limit,
        "dropped_events": trace.dropped,
    }
    file.write(f'{{"displayTimeUnit":"ns","otherData":{json.dumps(facts)},"traceEvents":[')
    separator = "\n"
    for event in events(trace):
        file.write(separator + event)
        separator = ",\n"
    file.write("\n]}\n")


def events(trace: Trace) -> Iterator[str]:
    """Yield the events of a trace as JSON. They are many, and mostly made of numbers."""
    pid = trace.pid
    origin_time = trace.records.time(0) - 1 if trace.records else trace.start

    def stamp(when: int) -> str:
        since = when - origin_time
        return f"{since // 1000}.{since % 1000:03d}"

    def made(phase: str, what: str, life: Life, when: int | None, **more: object) -> str:
        event: dict[str, Any] = {"ph": phase, "name": what, "pid": pid, "tid": life.serial}
        event.update(more)
        text = json.dumps(event)
        return text if when is None else f'{text[:-1]}, "ts": {stamp(when)}}}'

    order = trace.in_order()
    process = Life(0, "", "", 0, "")
    yield made("M", "process_name", process, None, args={"name": trace.command})
    for index, life in enumerate(order):
        yield made("M", "thread_name", life, None, args={"name": life.label})
        yield made("M", "thread_sort_index", life, None, args={"sort_index": index})

    labels = {life.serial: json.dumps(life.label) for life in order}
    places = [json.dumps(place) for place in ("", *trace.places)]
    arrived: dict[int, int] = {}

    def run(serial: int, when: int, reason: str) -> str:
        began = arrived.pop(serial, origin_time)
        length = when - began
        return (
            f'{{"ph":"X","name":"running","cat":"greenlet","pid":{pid},"tid":{serial},'
            f'"ts":{stamp(began)},"dur":{length // 1000}.{length % 1000:03d},"args":{{{reason}}}}}'
        )

    for number, (when, origin, target, place, event) in enumerate(trace.records):
        life = trace.lives[target]
        if event == BIRTH:
            if origin == 0:
                arrived[target] = when
            yield made("i", "birth", life, when, s="t", args=parentage(trace, origin))
        elif event == ADOPTION:
            yield made("i", "new parent", life, when, s="t", args=parentage(trace, origin))
        elif event == END:
            if target in arrived:
                yield run(target, when, '"ended":true')
            yield made("i", "death", life, when, s="t")
        else:
            what = "throw" if event in THROWS else "switch"
            reason = f'"{what} to":{labels[target]}'
            if place:
                reason += f',"suspended at":{places[place]}'
            yield run(origin, when, reason)
            arrived[target] = when
            # A flow begins inside of the slice that it leaves: slices do not include their end.
            flow = f'"name":"{what}","cat":"{what}","id":{number},"pid":{pid}'
            yield f'{{"ph":"s",{flow},"tid":{origin},"ts":{stamp(when - 1)}}}'
            yield f'{{"ph":"f","bp":"e",{flow},"tid":{target},"ts":{stamp(when)}}}'
            if event in DEATHS:
                yield made("i", "death", trace.lives[origin], when, s="t")
    for serial in list(arrived):
        if trace.lives[serial].state == "running":
            yield run(serial, trace.end, '"until":"the end of the recording"')
    for life in order:
        if life.state != "dead":
            seen: dict[str, object] = {"state": life.state}
            if life.stack:
                seen["stack"] = life.stack
            yield made("i", f"{life.state} at the end", life, trace.end, s="t", args=seen)


def parentage(trace: Trace, parent: int) -> dict[str, object]:
    """Return what tells the parent of a greenlet."""
    return {"parent": trace.life(parent).label if parent else None}


# ---- The page ------------------------------------------------------------------------------------


def write_page(trace: Trace, file: IO[str]) -> None:
    """Write a trace as an HTML page."""
    begin = trace.records.time(0) - 1 if trace.records else trace.start
    order = trace.in_order()
    data = {
        "pid": trace.pid,
        "duration": trace.end - begin,
        "limit": trace.limit,
        "dropped": trace.dropped,
        "python": trace.python,
        "greenlets": [
            {
                "serial": life.serial,
                "name": life.name,
                "label": life.label,
                "kind": life.kind,
                "parent": life.parent,
                "thread": life.thread,
                "state": life.state,
                "stack": life.stack,
                "born": None if life.born is None else life.born - begin,
                "died": None if life.died is None else life.died - begin,
            }
            for life in order
        ],
        "places": ["", *trace.places],
    }
    template = Path(__file__).with_name(TEMPLATE).read_text(encoding="utf-8")
    # In a script element nothing is markup but the end of it and what looks like a comment.
    embedded = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    title = html.escape(os.path.basename(trace.command) or "program")  # noqa: PTH119 - no path
    head, data_mark, tail = template.partition("@DATA@")
    assert data_mark
    file.write(head.replace("@TITLE@", title).replace("@COMMAND@", html.escape(trace.command)))
    file.write(embedded.removesuffix("}"))
    # By column, times as differences: short, and quick to read.
    times = itertools.chain([begin], (record[0] for record in trace.records))
    write_column(file, "time", (after - when for when, after in itertools.pairwise(times)))
    for index, column in enumerate(("origin", "target", "place", "event"), start=1):
        write_column(file, column, (record[index] for record in trace.records))
    file.write("}" + tail)


def write_column(file: IO[str], name: str, numbers: Iterator[int]) -> None:
    """Write a further member of a JSON object: an array of numbers, which may be millions."""
    file.write(f',"{name}":[')
    separator = ""
    while part := ",".join(map(str, itertools.islice(numbers, 10_000))):
        file.write(separator + part)
        separator = ","
    file.write("]")
