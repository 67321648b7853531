"""Nothing leaks: counts of objects, blocks and references stay flat over thousands of rounds.

Each scenario below is one round. It is repeated in a subprocess, and what the process holds is
compared before and after.
"""

from __future__ import annotations

import contextvars
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import greenlane
import pytest
from greenlane import GreenletExit, error, getcurrent, greenlet, settrace
from support import isolated, mapping_count, parent, resident_kib, suspended

Scenario = Callable[[], None]

SCENARIOS: dict[str, Scenario] = {}
THREADED: dict[str, Scenario] = {}

MARKER = object()
VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("VARIABLE")


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


def threaded(function: Scenario) -> Scenario:
    """Mark a round that starts threads and therefore takes longer."""
    THREADED[function.__name__] = function
    return function


def expect(
    kind: type[BaseException], function: Callable[..., Any], *args: Any, **named: Any
) -> None:
    try:
        function(*args, **named)
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def in_thread(function: Scenario) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


class Method(greenlet):
    def run(self, *args: Any) -> object:
        return parent().switch(*args)


class Plain(greenlet):
    pass


class Deleted(greenlet):
    count = 0

    def __del__(self) -> None:
        Deleted.count += 1


# ---- Switch and throw ----------------------------------------------------------------------------


@scenario
def never_started() -> None:
    greenlet(lambda: MARKER)
    greenlet()
    greenlet(run=len, parent=greenlet())


@scenario
def refused_construction() -> None:
    expect(TypeError, greenlet, len, 42)
    expect(TypeError, greenlet, len, None, 3)
    expect(TypeError, greenlet, nonsense=1)
    expect(TypeError, Method, len, parent=42)


@scenario
def switch_forms() -> None:
    for args, named in (
        ((), {}),
        ((MARKER,), {}),
        ((MARKER, 2), {}),
        ((), {"a": MARKER}),
        ((MARKER,), {"a": MARKER}),
        ((MARKER,) * 10, {"a": MARKER, "b": 2}),
    ):
        child = greenlet(lambda *args, **named: parent().switch(*args, **named))
        child.switch(*args, **named)
        child.switch(*args, **named)


@scenario
def first_switch_that_fails() -> None:
    expect(AttributeError, greenlet().switch)
    expect(AttributeError, greenlet().switch, MARKER, a=MARKER)
    expect(AttributeError, greenlet().throw, KeyError)
    expect(TypeError, greenlet(len).switch, MARKER, MARKER)
    expect(TypeError, greenlet(42).switch, MARKER)  # type: ignore[arg-type]


@scenario
def switch_to_oneself_and_to_the_dead() -> None:
    getcurrent().switch(MARKER, a=MARKER)
    dead = greenlet(lambda: MARKER)
    dead.switch()
    dead.switch(MARKER, a=MARKER)
    expect(KeyError, dead.throw, KeyError)
    dead.throw()


@scenario
def throw() -> None:
    expect(KeyError, suspended().throw, KeyError)
    expect(KeyError, suspended().throw, KeyError, MARKER)
    expect(KeyError, suspended().throw, KeyError(MARKER))
    expect(KeyError, greenlet(len).throw, KeyError(MARKER))
    expect(TypeError, suspended().throw, MARKER)
    expect(TypeError, suspended().throw, KeyError, None, MARKER)
    suspended().throw()
    greenlet(len).throw(GreenletExit, MARKER)


@scenario
def throw_with_traceback() -> None:
    try:
        raise KeyError(MARKER)
    except KeyError as found:
        expect(ValueError, suspended().throw, ValueError, "x", found.__traceback__)


@scenario
def death_by_exception() -> None:
    def run() -> None:
        local = MARKER
        raise KeyError(local)

    expect(KeyError, greenlet(run).switch)
    outer = greenlet(lambda: greenlet(run).switch())
    expect(KeyError, outer.switch)


@scenario
def death_into_parents_not_started() -> None:
    def fail() -> None:
        raise KeyError(MARKER)

    expect(KeyError, greenlet(fail, greenlet(len, greenlet(len))).switch)
    greenlet(lambda: MARKER, greenlet(lambda value: value)).switch()


@scenario
def killed_when_dropped() -> None:
    child = suspended()
    child.marker = MARKER  # type: ignore[attr-defined]


@scenario
def killed_and_survives_once() -> None:
    saved = []

    def run() -> None:
        try:
            parent().switch()
        except GreenletExit:
            saved.append(getcurrent())
        parent().switch()

    suspended(run=run)
    saved.pop()


@scenario
def killed_in_a_generator() -> None:
    def generate() -> Any:
        yield parent().switch()

    suspended(run=lambda: list(generate()))


@scenario
def reparented() -> None:
    first, second = greenlet(len), greenlet(len)
    child = greenlet(lambda: parent().switch(), first)
    child.parent = second
    child.parent = getcurrent()
    child.switch()
    child.parent = suspended()
    expect(ValueError, setattr, first, "parent", greenlet(len, first))
    expect(TypeError, setattr, first, "parent", 42)
    child.switch()


# ---- What greenlets hold -------------------------------------------------------------------------


@scenario
def subclass_with_run() -> None:
    child = Method()
    child.switch(MARKER)
    child.switch(MARKER)
    Method()


@scenario
def subclass_that_is_killed() -> None:
    # Not one with a method `run`, whose frame would hold it for ever.
    child = Plain(lambda: parent().switch())
    child.marker = MARKER  # type: ignore[attr-defined]
    child.switch()


@scenario
def subclass_with_del() -> None:
    before = Deleted.count
    child = Deleted(lambda: parent().switch())
    child.switch()
    child.switch()
    del child
    Deleted()
    dropped = Deleted(lambda: parent().switch())
    dropped.switch()
    del dropped
    assert Deleted.count == before + 3


@scenario
def attributes() -> None:
    child = greenlet(len)
    child.marker = MARKER  # type: ignore[attr-defined]
    child.__dict__ = {"other": MARKER}
    child.run = lambda: MARKER
    child.switch()
    expect(AttributeError, lambda: child.run)
    expect(AttributeError, setattr, child, "run", MARKER)


@scenario
def cycles() -> None:
    child = greenlet(len)
    child.me = child  # type: ignore[attr-defined]
    sleeper = suspended()
    sleeper.me = sleeper  # type: ignore[attr-defined]
    sleeper.marker = MARKER  # type: ignore[attr-defined]
    ended = greenlet(lambda: None)
    ended.me = ended  # type: ignore[attr-defined]
    ended.switch()
    if next(ROUNDS) % 100 == 0:
        gc.collect()


def count_rounds() -> Any:
    number = 0
    while True:
        number += 1
        yield number


ROUNDS = count_rounds()


@scenario
def weak_references() -> None:
    seen: list[object] = []
    child = suspended()
    references = [weakref.ref(child), weakref.ref(child, seen.append), weakref.proxy(child)]
    del child
    assert references[0]() is None
    assert len(seen) == 1


@scenario
def contexts() -> None:
    child = greenlet(lambda: VARIABLE.set(MARKER))
    child.gr_context = contextvars.copy_context()
    child.switch()
    child = greenlet(lambda: (VARIABLE.set(MARKER), parent().switch()))
    child.switch()
    child.gr_context = contextvars.Context()
    assert child.gr_context is not None
    child.switch()
    contextvars.copy_context().run(lambda: suspended().switch())
    expect(TypeError, setattr, child, "gr_context", 42)


@scenario
def frames() -> None:
    def run() -> None:
        inner = MARKER
        (lambda: parent().switch())()
        assert inner

    child = suspended(run=run)
    frame = child.gr_frame
    assert frame is not None
    assert frame.f_back is not None
    assert frame.f_back.f_locals["inner"] is MARKER
    child.switch()
    frame = suspended(run=run).gr_frame


@scenario
def representations() -> None:
    for each in (getcurrent(), greenlet(), suspended()):
        repr(each)
        each.dead  # noqa: B018
        each._stack_saved  # noqa: B018


# ---- Tracing -------------------------------------------------------------------------------------


@scenario
def tracing() -> None:
    events: list[object] = []
    settrace(lambda *event: events.append(event))
    suspended().switch()
    expect(KeyError, suspended().throw, KeyError)
    settrace(None)
    assert len(events) == 8


@scenario
def tracer_that_raises() -> None:
    def fail(*_: object) -> None:
        raise KeyError(MARKER)

    settrace(fail)
    expect(KeyError, greenlet(lambda *args: args).switch, MARKER, MARKER)
    sleeper = suspended()
    settrace(fail)
    expect(KeyError, sleeper.switch, MARKER)
    sleeper = suspended()
    settrace(fail)
    expect(KeyError, sleeper.throw, ValueError)
    settrace(None)


@scenario
def exceptions_being_handled() -> None:
    def run() -> None:
        try:
            raise KeyError(MARKER)
        except KeyError:
            parent().switch()

    suspended(run=run)
    suspended(run=run).switch()


# ---- Threads -------------------------------------------------------------------------------------


@threaded
def thread_that_uses_greenlets() -> None:
    in_thread(lambda: suspended().switch())


@threaded
def dropped_by_another_thread() -> None:
    killed: list[int] = []
    kept: list[greenlet] = []
    ready, dropped = threading.Event(), threading.Event()

    def run() -> None:
        try:
            parent().switch()
        finally:
            killed.append(threading.get_ident())

    def work() -> None:
        kept.append(suspended(run=run))
        ready.set()
        dropped.wait()
        getcurrent()
        assert killed == [threading.get_ident()]

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    kept.clear()
    assert killed == []
    dropped.set()
    thread.join()
    assert killed == [thread.ident]


@threaded
def thread_with_a_tracer() -> None:
    def work() -> None:
        settrace(lambda *_: None)
        suspended().switch()

    in_thread(work)


@threaded
def thread_local_that_uses_greenlets_when_it_dies() -> None:
    class Late:
        def __del__(self) -> None:
            greenlet(getcurrent).switch()
            suspended()

    local = threading.local()

    def work() -> None:
        local.before = Late()
        suspended()
        local.after = Late()

    in_thread(work)


@threaded
def thread_in_which_greenlets_are_first_used_when_it_dies() -> None:
    class Late:
        def __del__(self) -> None:
            suspended()

    local = threading.local()
    in_thread(lambda: setattr(local, "late", Late()))


# ---- Measuring -----------------------------------------------------------------------------------


def references() -> dict[str, int]:
    """Count references to what lives as long as the process."""
    watched = {
        "greenlet": greenlet,
        "GreenletExit": GreenletExit,
        "error": error,
        "KeyError": KeyError,
        "the main greenlet": getcurrent(),
        "the marker": MARKER,
        "Method": Method,
        "Deleted": Deleted,
        "len": len,
    }
    return {name: sys.getrefcount(each) for name, each in watched.items()}


def holdings() -> tuple[int, int, dict[str, int]]:
    """Count what this process holds: collectable objects, blocks of memory, references."""
    for _ in range(3):
        gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks(), references()


def check_flat(function: Scenario, rounds: int) -> None:
    for _ in range(100 if rounds > 1000 else 20):
        function()
    objects, blocks, counts = holdings()
    for _ in range(rounds):
        function()
    objects_after, blocks_after, counts_after = holdings()
    slack = rounds // 10
    assert objects_after - objects < slack, f"objects: {objects} -> {objects_after}"
    assert blocks_after - blocks < slack, f"blocks: {blocks} -> {blocks_after}"
    grown = {
        name: (counts[name], after)
        for name, after in counts_after.items()
        if abs(after - counts[name]) >= slack
    }
    assert grown == {}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
@isolated
def test_flat(name: str) -> None:
    SCENARIOS[name]()
    check_flat(SCENARIOS[name], 2_000)
    memory, mappings = resident_kib(), mapping_count()
    for _ in range(4_000):
        SCENARIOS[name]()
    gc.collect()
    assert resident_kib() - memory < 1024
    assert mapping_count() - mappings < 64


@pytest.mark.parametrize("name", sorted(THREADED))
@isolated
def test_flat_with_threads(name: str) -> None:
    count_mains = greenlane._greenlet.get_total_main_greenlets
    check_flat(THREADED[name], 200)
    assert count_mains() == 1
    memory, mappings = resident_kib(), mapping_count()
    for _ in range(200):
        THREADED[name]()
    gc.collect()
    assert resident_kib() - memory < 1024
    assert mapping_count() - mappings < 64
    assert threading.active_count() == 1


# ---- Abandoned greenlets -------------------------------------------------------------------------
#
# A greenlet that is still suspended when its thread has exited is freed without running. What its
# frames own is dropped; which references C functions have on its stack nobody can tell, so those
# leak, here as upstream: all else must not.


def abandon(round_: Callable[[list[greenlet]], None]) -> None:
    """Run rounds in threads; every greenlet put on the list must die with its thread."""
    alive: list[weakref.ref[greenlet]] = []

    def rounds(count: int) -> None:
        for _ in range(count):
            made: list[greenlet] = []
            thread = threading.Thread(target=round_, args=(made,))
            thread.start()
            thread.join()
            alive.extend(map(weakref.ref, made))
        made.clear()
        gc.collect()

    rounds(30)
    memory, mappings = resident_kib(), mapping_count()
    counts = references()
    rounds(200)
    assert len(alive) >= 230
    assert [each for each in alive if each() is not None] == []
    assert resident_kib() - memory < 1024
    assert mapping_count() - mappings < 16
    assert references()["the marker"] == counts["the marker"]
    assert greenlane._greenlet.get_total_main_greenlets() == 1


@isolated
def test_abandoned_greenlets_are_freed() -> None:
    def work(made: list[greenlet]) -> None:
        made.extend((suspended(), suspended(), greenlet(len)))
        made[0].me = made[0]  # type: ignore[attr-defined]
        made[1].other = made[0]  # type: ignore[attr-defined]
        made[1].marker = MARKER  # type: ignore[attr-defined]

    abandon(work)


@isolated
def test_abandoned_greenlets_refuse_to_run() -> None:
    """Also those whose thread's record has gone: the address may belong to another thread now."""
    kept: list[greenlet] = []
    for _ in range(50):
        in_thread(lambda: kept.append(suspended()))
    for each in kept:
        assert each.dead
        assert not each
        assert each.gr_frame is None
        expect(error, each.switch)
        expect(error, each.throw)
    kept.clear()


@isolated
def test_greenlet_made_while_its_thread_exits_runs_nowhere_else() -> None:
    """The thread state of a later thread may lie at the address of the dead one's."""
    kept: list[greenlet] = []

    class Late:
        def __del__(self) -> None:
            kept.append(suspended())

    local = threading.local()
    for _ in range(5):
        in_thread(lambda: setattr(local, "late", Late()))
    assert len(kept) == 5
    refused: list[greenlet] = []

    def other() -> None:
        for each in kept:
            expect(error, each.switch)
            refused.append(each)

    in_thread(other)
    assert refused == kept
    assert all(each.dead for each in kept)


@isolated
def test_abandoned_greenlet_that_only_its_own_frames_know() -> None:
    def run() -> None:
        me = getcurrent()
        parent().switch()
        assert me

    def work() -> None:
        suspended(run=run)

    for _ in range(20):
        in_thread(work)
    gc.collect()
    left = [each for each in gc.get_objects() if type(each) is greenlet]
    assert all(each.dead for each in left if each is not getcurrent())


@isolated
def test_dropped_by_another_thread_at_the_last_moment() -> None:
    """Deferred, and the thread exits without using greenlets again: killed while it exits."""
    killed: list[int] = []

    def run() -> None:
        try:
            parent().switch()
        finally:
            killed.append(threading.get_ident())

    idents = []
    for _ in range(20):
        kept: list[greenlet] = []
        ready, dropped = threading.Event(), threading.Event()

        def work(
            kept: list[greenlet] = kept,
            ready: threading.Event = ready,
            dropped: threading.Event = dropped,
        ) -> None:
            kept.append(suspended(run=run))
            ready.set()
            dropped.wait()

        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        kept.clear()
        dropped.set()
        thread.join()
        idents.append(thread.ident)
    assert killed == idents


@isolated
def test_records_of_threads_that_use_greenlets_when_they_die() -> None:
    """Nobody tells the thread's record that it is gone: others find out."""
    for _ in range(300):
        thread_in_which_greenlets_are_first_used_when_it_dies()
    memory = resident_kib()
    for _ in range(2_000):
        thread_in_which_greenlets_are_first_used_when_it_dies()
    assert resident_kib() - memory < 800, "less than half a kilobyte a thread"


@isolated
def test_a_leak_would_be_seen() -> None:
    """The measure itself: a round that leaks one object is found out."""
    leaked: list[object] = []
    for leak in (lambda: leaked.append([]), lambda: leaked.append(MARKER)):
        try:
            check_flat(leak, 2_000)
        except AssertionError:
            continue
        raise AssertionError("a leak went unseen")
