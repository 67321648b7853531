"""Operations of greenlets during which memory is refused, and the loop that refuses it.

:func:`run` does one operation again and again. The first time the first request for memory that
the operation makes is refused, then the second, and so on, until the operation passes without any
having been. ``extensions/faults_probe.c`` does the refusing. After each time nothing may be left:
no greenlet, no lane, no reference, no memory, and what is done next works.

For subprocesses only, in which the probe has been loaded with LD_PRELOAD. As a script it does every
operation once, and refuses nothing: for tools that watch memory.

CPython does not survive all refusals itself, without any greenlet. It does those of the operations
below. While memory is refused they make no functions (3.13.0 drops references not its own), set no
context variables (up to 3.13 that crashes), sort nothing by a key (up to 3.12 that leaks), append
to no list by a call (a debug build of 3.15 aborts), and call no function deep down that is not
there to stay (3.12 leaks a reference to it). Messages of errors may be missing in 3.10.
"""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import functools
import gc
import importlib
import os
import sys
import time
import weakref
from array import array
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import greenlane
from greenlane import GreenletExit, getcurrent, gettrace, greenlet, lanes, settrace
from support import parent

#: Requests are counted up to so many: an operation that makes more has gone astray.
MOST = 2_000
#: How often each refusal is repeated in search of leaks.
REPEATS = 5
#: What a refusal may raise. 3.10 does not say why it cannot make a cache for code that has been
#: called often.
MEMORY_ERRORS = (MemoryError, *([SystemError] if sys.version_info < (3, 11) else []))
#: More greenlets than there are shared lanes.
MANY = 12

Operation = Callable[["Attempt"], object]
operations: dict[str, Operation] = {}


def operation(function: Operation) -> Operation:
    """Register an operation. It calls the Attempt that it gets with what is to be refused memory.

    It may not leave greenlets, and must prove that those it has used are sound.
    """
    operations[function.__name__] = function
    return function


class Thrown(MemoryError):
    """What operations raise themselves. No other kind of error may come of a refusal."""


class Attempt:
    """Refuses one request for memory, or that and all that follow, while something is called."""

    def __init__(self, probe: Any, number: int, all_after: bool) -> None:
        self.probe = probe
        self.number = number
        self.all_after = all_after
        #: Did what was called raise MemoryError?
        self.raised = False
        self._is_armed = False
        self._has_refused = False

    def arm(self) -> None:
        """Refuse memory to the calling thread until it ends."""
        self._has_refused = self.has_refused
        self._is_armed = True
        self.probe.arm(self.number, self.all_after)

    def __call__(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function, which may raise nothing but MemoryError."""
        disarm = self.probe.disarm
        self.arm()
        try:
            function(*args)
        except Thrown:
            pass
        except MEMORY_ERRORS:
            disarm()
            self.raised = True
        finally:
            disarm()

    @property
    def has_refused(self) -> bool:
        """Has anything been refused?"""
        count: int = self.probe.count() if self._is_armed else 0
        return self._has_refused or count >= self.number > 0


class Unhindered(Attempt):
    """Refuses nothing."""

    def __init__(self) -> None:
        super().__init__(None, 0, False)

    def arm(self) -> None:
        pass

    def __call__(self, function: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(Thrown):
            function(*args)


# ---- What must be true afterwards ----------------------------------------------------------------

unraisable: list[str] = []
variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


def end(child: greenlet) -> None:
    """End a greenlet, whatever state it is in."""
    if not child.dead:
        caught = child.throw(GreenletExit("end"))
        assert isinstance(caught, GreenletExit), caught
    assert child.dead
    assert not child
    assert child.gr_frame is None


def exercise() -> None:
    """Do some of everything: switch, throw, die, evict, be killed, be traced."""

    def echo(value: object) -> object:
        while True:
            value = parent().switch(value)
            if value == "return":
                return value

    children = [greenlet(echo) for _ in range(MANY)]
    for number, child in enumerate(children):
        assert child.switch(number) == number
    for number, child in enumerate(children):
        assert child.switch(number, number) == (number, number)
        assert child.gr_frame is not None
    for child in children[::3]:
        assert child.switch("return") == "return"
        assert child.dead
    for child in children[1::3]:
        end(child)
    assert all(children[2::3])


def count_greenlets() -> int:
    return sum(isinstance(each, greenlet) for each in gc.get_objects())


def check(main: greenlet, references: int) -> None:
    """Raise AssertionError if an operation has left anything behind."""
    assert getcurrent() is main
    assert main.parent is None
    assert not main.dead
    assert gettrace() is None
    assert sys.exc_info() == (None, None, None)
    assert variable.get() == 0
    gc.collect()
    assert count_greenlets() == 0
    status = lanes.status()
    assert (status.own, status.sharing) == (0, 0), status
    assert sys.getrefcount(ARGUMENT) == references
    deadline = time.monotonic() + 5
    while greenlane._greenlet.get_total_main_greenlets() > 1:
        assert time.monotonic() < deadline, "the record of a thread is left"
        time.sleep(0.001)
    exercise()
    # What a thread keeps to use it again must be as much each time, or would look like a leak.
    none_to_spare()
    assert set(unraisable) <= {"MemoryError"}, unraisable
    unraisable.clear()


# ---- The loop ------------------------------------------------------------------------------------


def run(name: str, limit: int) -> None:
    """Do an operation with each of its requests for memory refused, where there are so many lanes.

    What is tried is printed before it is tried, so that a crash can be told apart.
    """
    probe = importlib.import_module("faults_probe")
    probe.install()
    sys.unraisablehook = lambda error: unraisable.append(error.exc_type.__name__)
    lanes.set_limit(limit)
    main = getcurrent()
    exercise()
    operations[name](Attempt(probe, 0, False))
    gc.collect()
    gc.disable()
    gc.freeze()
    references = sys.getrefcount(ARGUMENT)
    for all_after in False, True:
        for number in range(1, MOST):
            if not refuse(name, probe, number, all_after, lambda: check(main, references)):
                break
        else:
            raise AssertionError(f"more than {MOST} requests")


def refuse(
    name: str, probe: Any, number: int, all_after: bool, check: Callable[[], object]
) -> bool:
    """Refuse one request of an operation, or also those that follow. False: it made fewer.

    What is repeated may need less than the first time. With nothing refused it is repeated, too:
    operations that make no request can leak.
    """
    # Numbers in these are no blocks of their own.
    blocks, mapped = array("l", bytes(8 * REPEATS)), array("l", bytes(8 * REPEATS))
    has_refused = False
    for repeat in range(REPEATS):
        which = f"{number} and all after" if all_after else f"{number}"
        os.write(1, f"{name}: request {which}, for the {repeat + 1}. time\n".encode())
        attempt = Attempt(probe, number, all_after)
        operations[name](attempt)
        assert attempt.has_refused or not attempt.raised, "MemoryError out of nothing"
        check()
        blocks[repeat] = probe.blocks()
        mapped[repeat] = probe.mapped()
        has_refused |= attempt.has_refused
    for counts in blocks, mapped:
        assert not all(a < b for a, b in pairwise(counts[1:])), f"leaks: {blocks}, {mapped} bytes"
    return has_refused


# ---- Operations ----------------------------------------------------------------------------------

#: Its references are counted.
ARGUMENT = object()


def echo(*args: object, **kwargs: object) -> object:
    return parent().switch(*args, **kwargs)


def wait(*args: object) -> object:
    """Wait, in a call whose operands can be seen: an abandoned greenlet drops those only."""
    return parent().switch(args)


def nothing(*_args: object, **_kwargs: object) -> None:
    pass


def started(*args: object, run: Callable[..., object] = echo) -> greenlet:
    child = greenlet(run)
    child.switch(*args)
    assert child
    return child


class Sub(greenlet):
    """A subclass, whose objects have a core elsewhere."""


def none_to_spare() -> list[greenlet]:
    """Return more greenlets than a thread keeps to use them again."""
    return [greenlet() for _ in range(100)]


@operation
def create(attempt: Attempt) -> None:
    kept = none_to_spare()
    attempt(lambda: kept.extend([greenlet(nothing), greenlet(nothing, kept[0]), greenlet()]))


@operation
def create_with_keywords(attempt: Attempt) -> None:
    attempt(lambda: greenlet(run=nothing, parent=getcurrent()))


@operation
def create_subclass(attempt: Attempt) -> None:
    attempt(lambda: Sub(nothing, getcurrent()))


def first_switch(attempt: Attempt, kind: type[greenlet], *args: object, **kwargs: object) -> None:
    child = kind(echo)
    attempt(lambda: child.switch(*args, **kwargs))
    if not child and not child.dead:
        assert attempt.raised
        assert child.run is echo
        assert child.switch(1) == 1
    end(child)


@operation
def first_switch_plain(attempt: Attempt) -> None:
    first_switch(attempt, greenlet, ARGUMENT)


@operation
def first_switch_arguments(attempt: Attempt) -> None:
    first_switch(attempt, greenlet, ARGUMENT, 2, 3, 4)


@operation
def first_switch_keywords(attempt: Attempt) -> None:
    first_switch(attempt, greenlet, ARGUMENT, two=2, three=ARGUMENT)


@operation
def first_switch_subclass(attempt: Attempt) -> None:
    first_switch(attempt, Sub, ARGUMENT, 2, 3, 4)


@operation
def first_switches(attempt: Attempt) -> None:
    """More than there are lanes to share; each stands on the one before."""
    children = [greenlet(echo) for _ in range(MANY)]

    def switch_all() -> None:
        for child in children:
            child.switch(ARGUMENT)

    attempt(switch_all)
    for child in children:
        end(child)


@operation
def first_switches_nested(attempt: Attempt) -> None:
    """Each is started by the one before: on a single shared lane by way of the scratch stack."""
    children: list[greenlet] = []

    def go_down(depth: int) -> object:
        child = greenlet(go_down)
        children.append(child)
        return parent().switch() if depth == 0 else child.switch(depth - 1)

    attempt(lambda: greenlet(go_down).switch(MANY))
    while children:
        child = children.pop()
        child.parent = getcurrent()
        end(child)
        del child


def second_switch(attempt: Attempt, *args: object, **kwargs: object) -> None:
    children = [started() for _ in range(MANY)]
    count, received = 0, None

    def receive() -> None:
        nonlocal count, received
        while True:
            received = parent().switch()
            count += 1

    child = started(run=receive)
    for each in children:
        each.switch()  # and on a shared lane the child is evicted
    attempt(lambda: child.switch(*args, **kwargs))
    if child:
        assert attempt.raised or count == 1
        child.switch(ARGUMENT)
        assert received is ARGUMENT
    received = None
    for each in [child, *children]:
        end(each)


@operation
def switch_plain(attempt: Attempt) -> None:
    second_switch(attempt, ARGUMENT)


@operation
def switch_arguments(attempt: Attempt) -> None:
    second_switch(attempt, ARGUMENT, 2, 3, 4)


@operation
def switch_keywords(attempt: Attempt) -> None:
    second_switch(attempt, ARGUMENT, two=2, three=ARGUMENT)


@operation
def switch_keywords_only(attempt: Attempt) -> None:
    second_switch(attempt, two=2)


@operation
def switch_to_self(attempt: Attempt) -> None:
    attempt(lambda: getcurrent().switch(ARGUMENT, two=2))


def grow(depth: int) -> int:
    """Switch to and fro with a C stack that gets deeper."""
    if depth > 0:
        parent().switch()
        max([depth - 1], key=grow)
    return depth


@operation
def switches_from_deeper(attempt: Attempt) -> None:
    """Slices that are not large enough any more."""
    children = [greenlet(grow) for _ in range(MANY)]

    def switch_all() -> None:
        for child in children:
            child.switch(6)
        for _ in range(6):
            for child in children:
                child.switch(ARGUMENT)

    attempt(switch_all)
    for child in children:
        end(child)


@operation
def ring(attempt: Attempt) -> None:
    """Each switches to the next one: on one lane, by way of the scratch stack."""
    children: list[greenlet] = []
    main = getcurrent()

    def turn(number: int) -> None:
        parent().switch()
        for _ in range(3):
            children[(number + 1) % MANY].switch(number)
        main.switch()

    for number in range(MANY):
        child = greenlet(turn)
        children.append(child)
        child.switch(number)
    attempt(children[0].switch)
    for child in children:
        child.parent = main
    for child in children:
        end(child)
    children.clear()


def down(levels: int) -> object:
    return parent().switch(ARGUMENT) if levels == 0 else down(levels - 1)


if sys.version_info >= (3, 12):

    @operation
    def go_deep(attempt: Attempt) -> None:
        """Pieces of data stack, without which 3.10 aborts and 3.11 crashes."""
        child = greenlet(down)
        attempt(child.switch, 200)
        end(child)


@operation
def throw_class(attempt: Attempt) -> None:
    child = started()
    attempt(child.throw, Thrown, "thrown")
    end(child)


@operation
def throw_instance(attempt: Attempt) -> None:
    error = Thrown(ARGUMENT)
    child = started()
    attempt(child.throw, error)
    end(child)
    error.__traceback__ = error.__context__ = None


@operation
def throw_traceback(attempt: Attempt) -> None:
    error = Thrown(ARGUMENT)
    try:
        raise error
    except Thrown as raised:
        traceback: TracebackType | None = raised.__traceback__
    child = started()
    attempt(child.throw, Thrown, error, traceback)
    end(child)
    error.__traceback__ = error.__context__ = None
    del traceback


@operation
def throw_default(attempt: Attempt) -> None:
    child = started()
    attempt(child.throw)
    end(child)


@operation
def throw_into_new(attempt: Attempt) -> None:
    child = greenlet(echo)
    attempt(child.throw)
    end(child)


@operation
def throw_into_new_with_new_parent(attempt: Attempt) -> None:
    middle = greenlet(echo)
    child = greenlet(echo, middle)
    attempt(child.throw)
    end(child)
    end(middle)


@operation
def throw_into_dead(attempt: Attempt) -> None:
    child = greenlet(nothing)
    child.switch()
    attempt(child.throw)
    attempt(child.throw, Thrown)
    end(child)


@operation
def return_to_parent(attempt: Attempt) -> None:
    child = started()
    attempt(child.switch, ARGUMENT)
    end(child)


@operation
def return_to_evicted_parent(attempt: Attempt) -> None:
    """The parent of the one that ends has to be brought in again, by one that stands in its way."""
    results: list[object] = []
    others: list[greenlet] = []

    def above() -> None:
        results.append(greenlet(below).switch())
        parent().switch("ended")

    def below() -> object:
        main = getcurrent().parent
        assert main is not None
        for _ in range(MANY):
            others.append(child := greenlet(echo))
            child.switch()
        return ARGUMENT

    top = greenlet(above)
    attempt(top.switch)
    end(top)
    for other in others:
        end(other)
    results.clear()


@operation
def return_to_new_parent(attempt: Attempt) -> None:
    """The one that ends starts another one."""
    received: list[object] = []
    middle = greenlet(received.append)
    child = greenlet(lambda: ARGUMENT, middle)
    attempt(child.switch)
    assert child.dead or attempt.raised
    end(child)
    end(middle)
    received.clear()


@operation
def return_through_many_new_parents(attempt: Attempt) -> None:
    line = [greenlet(lambda value: value)]
    for _ in range(MANY):
        line.append(greenlet(lambda value=None: value, line[-1]))
    attempt(line[-1].switch, ARGUMENT)
    for each in reversed(line):
        end(each)


@operation
def fail_to_parent(attempt: Attempt) -> None:
    def fail() -> None:
        parent().switch()
        raise Thrown(ARGUMENT)

    child = started(run=fail)
    attempt(child.switch)
    end(child)


@operation
def fail_to_new_parent(attempt: Attempt) -> None:
    def fail() -> None:
        raise Thrown(ARGUMENT)

    middle = greenlet(echo)
    child = greenlet(fail, middle)
    attempt(child.switch)
    end(child)
    end(middle)


@operation
def run_is_looked_up(attempt: Attempt) -> None:
    class Lookup(greenlet):
        @property
        def run(self) -> Callable[..., object]:  # type: ignore[override]
            return echo

    child = Lookup()
    attempt(child.switch, ARGUMENT)
    end(child)


@operation
def switch_across_threads(attempt: Attempt) -> None:
    """An error with a long message."""
    kept: list[greenlet] = []
    before = count_threads()
    proceed = _thread.allocate_lock()
    proceed.acquire()

    def other() -> None:
        kept.append(started())
        proceed.acquire()
        kept.clear()

    _thread.start_new_thread(other, ())
    wait_until(lambda: bool(kept))

    def switch() -> None:
        try:
            kept[0].switch(ARGUMENT)
        except greenlane.error as error:
            assert str(error) == "" or "different thread" in str(error)
        else:
            raise AssertionError("switched to another thread")

    attempt(switch)
    assert kept[0]
    proceed.release()
    wait_until(lambda: count_threads() == before)
    assert not kept


@operation
def attributes(attempt: Attempt) -> None:
    new, child, dead = greenlet(echo), started(), greenlet(nothing)
    dead.switch()

    def look() -> None:
        for each in new, child, dead, getcurrent():
            (each.parent, each.dead, bool(each), each.gr_context, each.gr_frame, repr(each))
            each.__dict__["own"] = ARGUMENT
            each.__dict__.clear()

    attempt(look)
    assert child.switch(ARGUMENT) is ARGUMENT
    for each in new, child, dead:
        end(each)


@operation
def frame_of_suspended(attempt: Attempt) -> None:
    children = [started() for _ in range(MANY)]
    names: list[str] = []

    def walk() -> None:
        for child in children:
            frame = child.gr_frame
            while frame is not None:
                names.append(frame.f_code.co_name)
                frame = frame.f_back

    attempt(walk)
    assert set(names) <= {"echo"}
    for child in children:
        assert child.switch(ARGUMENT) is ARGUMENT
        end(child)


@operation
def set_parent(attempt: Attempt) -> None:
    middle, child = started(), started()

    def move() -> None:
        child.parent = middle
        try:
            middle.parent = child
        except ValueError as error:
            assert str(error) == "" or "cyclic" in str(error)

    attempt(move)
    child.parent = getcurrent()
    end(child)
    end(middle)


@operation
def trace(attempt: Attempt) -> None:
    events: list[str] = []

    def tracer(event: str, _pair: tuple[greenlet, greenlet]) -> None:
        events.append(event)

    child = started()
    new = greenlet(echo)

    def switch() -> None:
        settrace(tracer)
        new.switch(ARGUMENT)
        child.switch(ARGUMENT)
        new.throw()
        settrace(None)

    attempt(switch)
    settrace(None)
    end(child)
    end(new)


@operation
def record(attempt: Attempt) -> None:
    """For `greenlane trace`: what it keeps, and the calls by which greenlets become known to it."""
    child = started()
    new = greenlet(echo)
    start, stop = greenlane._greenlet._start_recording, greenlane._greenlet._stop_recording

    def switch() -> None:
        start(100, nothing)
        new.switch(ARGUMENT)
        child.switch(ARGUMENT)
        new.throw()
        stop()

    attempt(switch)
    with contextlib.suppress(RuntimeError):
        stop()
    end(child)
    end(new)


@operation
def context_is_set(attempt: Attempt) -> None:
    context = contextvars.copy_context()
    context.run(variable.set, 3)
    child = greenlet(lambda: parent().switch(variable.get()) or parent().switch(variable.get()))

    def switch() -> None:
        child.gr_context = context
        assert child.switch() == 3
        child.gr_context = None
        assert child.switch() == 0

    attempt(switch)
    end(child)


@operation
def context_is_run(attempt: Attempt) -> None:
    context = contextvars.copy_context()
    context.run(variable.set, 2)

    def inner() -> None:
        assert variable.get() == 2
        parent().switch()
        assert variable.get() == 2

    def work() -> None:
        context.run(inner)
        assert variable.get() == 0
        parent().switch()

    child = greenlet(work)

    def switch() -> None:
        child.switch()
        assert variable.get() == 0
        child.switch()
        assert variable.get() == 0

    attempt(switch)
    end(child)


@operation
def kill_by_reference(attempt: Attempt) -> None:
    children = [started(ARGUMENT, ARGUMENT) for _ in range(3)]
    attempt(children.clear)


@operation
def kill_evicted(attempt: Attempt) -> None:
    """The one in its place has to make room. If it can't, the kill is done later."""
    children = [started(ARGUMENT, ARGUMENT) for _ in range(MANY)]
    attempt(children.pop, 0)
    getcurrent()
    assert len(children) == MANY - 1
    assert all(children)
    children.clear()


@operation
def kill_subclass_by_reference(attempt: Attempt) -> None:
    children = [Sub(echo) for _ in range(3)]
    for child in children:
        child.switch(ARGUMENT)
    del child
    attempt(children.clear)


@operation
def kill_with_callback(attempt: Attempt) -> None:
    children = [started(ARGUMENT)]
    ended: list[object] = []
    reference = weakref.ref(children[0], ended.append)
    attempt(children.clear)
    gc.collect()
    exercise()
    assert reference() is None
    ended.clear()


@operation
def kill_by_collection(attempt: Attempt) -> None:
    def hold() -> None:
        own = getcurrent()
        parent().switch(own)

    started(run=hold)
    started(run=hold)
    attempt(gc.collect)


@operation
def kill_while_running_on_a_lane(attempt: Attempt) -> None:
    """Collection on a shared lane: what is found is killed later."""

    def hold() -> None:
        own = getcurrent()
        parent().switch(own)

    def collect() -> None:
        started(run=hold)
        parent().switch()
        attempt(gc.collect)

    child = greenlet(collect)
    child.switch()
    child.switch()
    end(child)


@operation
def survive_a_kill(attempt: Attempt) -> None:
    kept: list[greenlet] = []

    def survive() -> None:
        try:
            parent().switch()
        except GreenletExit:
            kept.append(getcurrent())
            parent().switch()

    children = [started(run=survive)]
    attempt(children.clear)
    for child in kept:
        end(child)
    kept.clear()


# ---- Threads -------------------------------------------------------------------------------------


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "no thread does what is waited for"
        time.sleep(0.0002)


def count_threads() -> int:
    """Count the threads that have not ended to the last: Python stops counting them earlier."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def in_thread(body: Callable[[], object]) -> None:
    """Run a function in a thread, and wait until that has ended."""
    failures: list[BaseException] = []
    before = count_threads()

    def work() -> None:
        try:
            body()
        except BaseException as error:
            failures.append(error)

    _thread.start_new_thread(work, ())
    wait_until(lambda: count_threads() == before)
    if failures:
        raise failures.pop()


@operation
def thread_begins(attempt: Attempt) -> None:
    """The record of a thread is made by whatever comes first."""

    def body(first: Callable[[], object]) -> None:
        attempt(first)
        exercise()

    for first in getcurrent, gettrace, greenlet, lanes.status, lambda: settrace(None):
        in_thread(functools.partial(body, first))


@operation
def thread_switches(attempt: Attempt) -> None:
    def body() -> None:
        child = greenlet(echo)
        attempt(child.switch, ARGUMENT)
        end(child)

    in_thread(body)


@operation
def another_thread_state(attempt: Attempt) -> None:
    """A thread that changes thread states finds its record again, and makes no second one."""
    child = started()

    def find() -> None:
        assert attempt.probe.in_other_thread_state(exercise)
        attempt(getcurrent)
        assert getcurrent() is child.parent

    find()
    find()
    end(child)


@operation
def thread_ends(attempt: Attempt) -> None:
    """With suspended greenlets, which are freed without running, and a tracer."""
    kept: list[greenlet] = []

    def body() -> None:
        kept.extend(started(ARGUMENT, run=wait) for _ in range(MANY))
        settrace(nothing)
        attempt.arm()

    in_thread(body)
    assert all(each.dead for each in kept)
    kept.clear()


@operation
def thread_ends_with_garbage(attempt: Attempt) -> None:
    def body() -> None:
        kept = [started(ARGUMENT, run=wait) for _ in range(MANY)]
        kept[0].__dict__["own"] = kept
        del kept
        attempt.arm()

    in_thread(body)


@operation
def dropped_by_another_thread(attempt: Attempt) -> None:
    """They are killed by their own thread, which must be told."""
    children = [started(ARGUMENT) for _ in range(MANY)]
    in_thread(lambda: attempt(children.clear))
    getcurrent()


@operation
def killed_for_another_thread(attempt: Attempt) -> None:
    children = [started(ARGUMENT) for _ in range(MANY)]
    in_thread(children.clear)
    attempt(getcurrent)
    exercise()


@operation
def look_at_dead_thread(attempt: Attempt) -> None:
    kept: list[greenlet] = []
    in_thread(lambda: kept.append(started(ARGUMENT, run=wait)))
    attempt(lambda: (kept[0].dead, kept[0].gr_frame, bool(kept[0])))
    assert kept[0].dead
    kept.clear()


# ---- The C API -----------------------------------------------------------------------------------


def c_api() -> Any:
    """Return the module capi_probe, which asks for greenlet."""
    sys.modules["greenlet"] = greenlane
    return importlib.import_module("capi_probe")


@operation
def c_api_new(attempt: Attempt) -> None:
    kept = none_to_spare()
    attempt(c_api().new, nothing, getcurrent())
    kept.clear()


@operation
def c_api_switch(attempt: Attempt) -> None:
    child = greenlet(echo)
    switch = c_api().switch
    attempt(switch, child, (ARGUMENT, 2, 3), {"two": 2})
    attempt(switch, child, (ARGUMENT,), None)
    end(child)


@operation
def c_api_throw(attempt: Attempt) -> None:
    child = started()
    attempt(c_api().throw, child, Thrown, None, None)
    end(child)


@operation
def c_api_in_new_thread(attempt: Attempt) -> None:
    api = c_api()
    in_thread(lambda: attempt(api.getcurrent))


# ---- As a script ---------------------------------------------------------------------------------

#: Those that call extensions, which have to be built first.
NEED_EXTENSIONS = ("another_thread_state", "c_api_")


def main() -> None:
    """Do everything once."""
    possible = [name for name in operations if not name.startswith(NEED_EXTENSIONS)]
    for name in possible:
        operations[name](Unhindered())
        exercise()
    print(f"{len(possible)} operations, {lanes.status()}")


if __name__ == "__main__":
    main()
