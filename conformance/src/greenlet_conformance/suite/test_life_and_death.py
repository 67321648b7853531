"""Chapter "Life and death"."""

from __future__ import annotations

import abc
import contextvars
import copy
import functools
import gc
import io
import pickle
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest

from greenlet_conformance.suite.support import (
    STEP_SECONDS,
    Worker,
    clause,
    eventually,
    raised_by,
    root_of_current,
    shape,
    states,
)


class Thing:
    """Something that weak references can watch."""


class Noisy:
    """Calls a function when it is freed."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __del__(self) -> None:
        self.function()


@contextmanager
def block(log: list[Any], name: str) -> Iterator[None]:
    """A context manager that logs how it is left."""
    try:
        yield
    except BaseException as error:
        log.append((name, type(error).__name__))
        raise


def waiter(impl: Any, log: list[Any]) -> Any:
    """A suspended child of the root that logs how it ends; nothing else refers to it."""
    root = impl.getcurrent()

    def run() -> None:
        try:
            log.append(("got", root.switch()))
        except BaseException as error:
            log.append(("raised", type(error)))
            raise

    g = impl.greenlet(run)
    g.switch()
    return g


# --- killed ------------------------------------------------------------------------------


@clause("life.kill")
def test_kill(impl: Any) -> None:
    """The last reference gone, GreenletExit is raised at once where the greenlet stopped."""
    log: list[Any] = []
    g = waiter(impl, log)
    log.append("before")
    del g
    log.append("after")
    assert log == ["before", ("raised", impl.GreenletExit), "after"]


@clause("life.kill")
def test_kill_by_any_way_of_dropping(impl: Any) -> None:
    """It does not matter how the reference goes: overwritten, popped, or with its holder."""
    killed = ("raised", impl.GreenletExit)
    log: list[Any] = []
    g = waiter(impl, log)
    g = None
    log.append("overwritten")
    held = [waiter(impl, log), waiter(impl, log)]
    held.pop()
    log.append("popped")
    held.clear()
    log.append("cleared")
    thing = Thing()
    thing.g = waiter(impl, log)  # type: ignore[attr-defined]
    del thing

    def function() -> str:
        g = waiter(impl, log)
        assert g
        return "with its frame"

    log.append("with its holder")
    log.append(function())
    assert log == [
        *(killed, "overwritten", killed, "popped", killed, "cleared"),
        *(killed, "with its holder", killed, "with its frame"),
    ]
    assert g is None


@clause("life.kill")
def test_kill_in_throw(impl: Any) -> None:
    """A greenlet that is suspended in throw() is killed there."""
    root = impl.getcurrent()
    log: list[Any] = []

    def catcher_run() -> None:
        try:
            root.switch()
        except KeyError:
            root.switch("caught")

    catcher = impl.greenlet(catcher_run)
    catcher.switch()

    def run() -> None:
        try:
            catcher.throw(KeyError)
        finally:
            log.append(sys.exc_info()[0])

    g = impl.greenlet(run)
    assert g.switch() == "caught"
    del g
    assert log == [impl.GreenletExit]


@clause("life.kill.cleanup")
def test_kill_cleanup(impl: Any) -> None:
    """All frames clean up, the innermost first, and generators are left alone."""
    root = impl.getcurrent()
    log: list[Any] = []

    def inner() -> None:
        try:
            with block(log, "inner with"):
                root.switch()
            log.append("not reached")
        finally:
            log.append("inner finally")

    def run() -> None:
        with block(log, "outer with"):
            try:
                sorted([2, 1], key=lambda _: inner() or 0)
            finally:
                log.append("outer finally")

    g = impl.greenlet(run)
    g.switch()
    assert log == []
    del g
    assert log == [
        ("inner with", "GreenletExit"),
        "inner finally",
        "outer finally",
        ("outer with", "GreenletExit"),
    ]


@clause("life.kill.cleanup")
def test_kill_cleanup_switches(impl: Any) -> None:
    """A killed greenlet may switch to others in its cleanup and be switched back to."""
    root = impl.getcurrent()
    log: list[Any] = []

    def helper_run(message: str) -> str:
        log.append(("helper", message))
        log.append(("helper", impl.getcurrent().parent.switch("from helper")))
        return "helper ends"

    def run() -> None:
        try:
            root.switch()
        finally:
            helper = impl.greenlet(helper_run)
            log.append(helper.switch("first"))
            log.append(helper.switch("second"))

    g = impl.greenlet(run)
    g.switch()
    del g
    log.append("root")
    assert log == [
        ("helper", "first"),
        "from helper",
        ("helper", "second"),
        "helper ends",
        "root",
    ]


@clause("life.kill.parent")
def test_kill_parent(impl: Any) -> None:
    """While it is killed, its parent is the one that dropped it; the former one sees nothing."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> None:
        try:
            root.switch()
        finally:
            me = impl.getcurrent()
            log.append(("killed", me is alive(), me.parent is killers[0], me.dead, bool(me)))
            del me

    former = impl.greenlet(lambda: log.append(("former got", root.switch())))
    former.switch()
    held = [impl.greenlet(run, former)]
    alive = weakref.ref(held[0])
    held[0].switch()

    def kill() -> str:
        held.clear()
        log.append(("killer goes on", impl.getcurrent() is killers[0]))
        return "killer ends"

    killers = [impl.greenlet(kill)]
    assert killers[0].switch() == "killer ends"
    assert log == [("killed", True, True, False, True), ("killer goes on", True)]
    assert states(former) == ["active"]
    assert alive() is None


@clause("life.kill.parent")
def test_kill_parent_is_used(impl: Any) -> None:
    """The end leads to the dropper even if the former parent is unstarted or dead."""
    root = impl.getcurrent()
    log: list[Any] = []
    unstarted = impl.greenlet(lambda *args: log.append(("ran", args)))
    dead = impl.greenlet(lambda: None)
    dead.switch()
    for former in (unstarted, dead):
        g = impl.greenlet(lambda: root.switch(), former)
        g.switch()
        del g
        log.append("went on")
    assert log == ["went on", "went on"]
    assert states(unstarted, dead) == ["unstarted", "dead"]


@clause("life.kill.cycle")
def test_kill_makes_no_cycle(impl: Any) -> None:
    """Who puts its parent under itself while it is killed does not get it back as a parent."""
    root = impl.getcurrent()

    def run() -> None:
        try:
            root.switch()
        finally:
            former.parent = impl.getcurrent()

    former = impl.greenlet(root.switch)
    former.switch()
    g = impl.greenlet(run, former)
    g.switch()
    del g
    dead = former.parent
    assert (dead.dead, dead.parent) == (True, root)
    assert former.switch("back at the root") == "back at the root"


@clause("life.kill.result")
def test_kill_result(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement that drops the reference does what it always does."""
    root = impl.getcurrent()
    hooked: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", hooked.append)

    def run() -> str:
        try:
            root.switch()
        except impl.GreenletExit:
            return "a result"
        return "not killed"

    def started() -> Any:
        g = impl.greenlet(run)
        g.switch()
        return g

    held = {"g": started()}
    held["g"] = "other"
    assert held == {"g": "other"}
    values = [started(), started(), 3]
    values[:2] = [1, 2]
    assert values == [1, 2, 3]

    def function() -> str:
        g = started()
        assert g
        return "its own result"

    assert function() == "its own result"
    assert impl.getcurrent() is root
    assert hooked == []


@clause("life.kill.error")
def test_kill_error(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of the killed goes to sys.unraisablehook, and the dropper goes on."""
    root = impl.getcurrent()
    log: list[Any] = []
    error = KeyError("in the cleanup")

    def run() -> None:
        try:
            root.switch()
        finally:
            raise error

    def hook(unraisable: Any) -> None:
        log.append((unraisable.exc_type, unraisable.exc_value is error))

    monkeypatch.setattr(sys, "unraisablehook", hook)
    g = impl.greenlet(run)
    g.switch()
    del g
    log.append("went on")
    assert log == [(KeyError, True), "went on"]
    assert isinstance(error.__context__, impl.GreenletExit)


@clause("life.kill.error")
def test_kill_exit_is_no_error(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To die of GreenletExit, or of a subclass of it, is not reported anywhere."""
    root = impl.getcurrent()
    log: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", log.append)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)

    class Sub(impl.GreenletExit):  # type: ignore[misc]
        pass

    def run() -> None:
        try:
            root.switch()
        except impl.GreenletExit:
            raise Sub from None

    for function in (run, root.switch):
        g = impl.greenlet(function)
        g.switch()
        del g
    assert (log, stderr.getvalue()) == ([], "")


@clause("life.kill.handled")
def test_kill_handled(impl: Any) -> None:
    """A kill does not disturb the exception that the dropper handles, or that passes by."""
    log: list[Any] = []
    held = [waiter(impl, log), waiter(impl, log)]
    error = KeyError("handled")
    try:
        raise error
    except KeyError:
        held.pop()
        log.append(sys.exc_info()[1] is error)

    def function() -> None:
        local = held.pop()
        assert local
        raise error

    assert raised_by(function) is error
    error.__traceback__ = None
    killed = ("raised", impl.GreenletExit)
    assert log == [killed, True, killed]
    assert sys.exc_info() == (None, None, None)


@clause("life.kill.held")
def test_kill_held(impl: Any) -> None:
    """A variable, a container, an attribute, a suspended frame and a child keep it alive."""
    root = impl.getcurrent()
    log: list[Any] = []
    g = waiter(impl, log)
    alive = weakref.ref(g)

    def local() -> None:
        g = root.switch()
        root.switch()
        del g
        log.append("local dropped")
        root.switch()

    def hold(holder: list[Any]) -> Iterator[str]:
        yield "container"
        thing = Thing()
        thing.g = holder.pop()  # type: ignore[attr-defined]
        yield "attribute"
        other = impl.greenlet(local)
        other.switch()
        other.switch(thing.__dict__.pop("g"))
        yield "frame"
        child = impl.greenlet(lambda: None, alive())
        other.switch()
        yield "child"
        child.parent = root
        yield "nothing"

    steps = hold([g])
    assert next(steps) == "container"
    del g
    for step in ("attribute", "frame"):
        assert next(steps) == step
        assert (alive() is not None, log) == (True, [])
    assert next(steps) == "child"
    assert (alive() is not None, log) == (True, ["local dropped"])
    assert next(steps) == "nothing"
    assert log == ["local dropped", ("raised", impl.GreenletExit)]
    assert alive() is None


@clause("life.kill.family")
def test_kill_family(impl: Any) -> None:
    """The child is killed first, then its parent, each in turn up the chain."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(number: int) -> None:
        try:
            root.switch()
        finally:
            log.append((number, impl.getcurrent().parent is root))

    g = root
    for number in range(5):
        g = impl.greenlet(run, g)
        g.switch(number)
    assert log == []
    del g
    assert log == [(4, True), (3, True), (2, True), (1, True), (0, True)]


@clause("life.kill.family")
def test_kill_family_by_frames(impl: Any) -> None:
    """Greenlets that hold each other by local variables go one after the other."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(number: int, held: Any) -> None:
        try:
            root.switch()
        finally:
            log.append(number)

    g = None
    for number in range(200):
        next_one = impl.greenlet(run)
        next_one.switch(number, g)
        g = next_one
        del next_one
    del g
    assert log == list(range(199, -1, -1))


@clause("life.kill.chain")
def test_kill_chain(impl: Any) -> None:
    """Five thousand greenlets, each held by the next one's local variable, go at once."""
    root = impl.getcurrent()
    killed: list[int] = []

    def run(number: int, held: Any) -> None:
        try:
            root.switch()
        finally:
            killed.append(number)

    count = 5_000
    g = None
    for number in range(count):
        next_one = impl.greenlet(run)
        next_one.switch(number, g)
        g = next_one
    del next_one
    assert killed == []
    del g
    assert sorted(killed) == list(range(count))


@clause("life.kill.attributes")
def test_kill_attributes(impl: Any) -> None:
    """While it is killed a greenlet has its attributes, slots and class."""
    root = impl.getcurrent()
    log: list[Any] = []

    class Slotted(impl.greenlet):  # type: ignore[misc]
        __slots__ = ("empty", "name")

        def describe(self) -> Any:
            words = [getattr(self, name, "gone") for name in ("name", "number", "empty")]
            return type(self) is Slotted, words

    def run() -> None:
        try:
            root.switch()
        except impl.GreenletExit:
            log.append(impl.getcurrent().describe())
            root.switch()
        finally:
            log.append(impl.getcurrent().describe())

    g = Slotted(run)
    g.name, g.number = "a name", 3
    g.switch()
    kept = g.describe()
    assert kept == (True, ["a name", 3, "gone"])
    del g
    assert log == [kept]


@clause("life.kill.only-suspended")
def test_kill_only_suspended(impl: Any) -> None:
    """Of unstarted, dead and running greenlets no code runs when references go."""
    log: list[Any] = []

    def run() -> str:
        held.clear()
        log.append(("still running", impl.getcurrent().dead))
        return "ends"

    g = impl.greenlet(lambda: log.append("ran"))
    alive = weakref.ref(g)
    del g
    assert alive() is None
    g = impl.greenlet(lambda: log.append("ran"))
    g.switch()
    del g
    assert log == ["ran"]
    held = [impl.greenlet(run)]
    alive = weakref.ref(held[0])
    assert held[0].switch() == "ends"
    assert log == ["ran", ("still running", False)]
    assert alive() is None


@clause("life.kill.trace")
def test_kill_trace(impl: Any) -> None:
    """A kill is traced as throw to the killed one and as switch back."""
    root = impl.getcurrent()
    log: list[Any] = []
    names = {id(root): "root"}

    def tracer(event: str, args: Any) -> None:
        log.append((event, [names[id(g)] for g in args]))

    events: list[Any] = []
    g = waiter(impl, events)
    names[id(g)] = "killed"

    def kill() -> None:
        held.clear()

    held = [waiter(impl, events)]
    names[id(held[0])] = "second"
    killer = impl.greenlet(kill)
    names[id(killer)] = "killer"
    impl.settrace(tracer)
    del g
    killer.switch()
    impl.settrace(None)
    assert log == [
        ("throw", ["root", "killed"]),
        ("switch", ["killed", "root"]),
        ("switch", ["root", "killer"]),
        ("throw", ["killer", "second"]),
        ("switch", ["second", "killer"]),
        ("switch", ["killer", "root"]),
    ]


@clause("life.kill.trace")
def test_kill_trace_that_raises(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace function that raises at a kill replaces the GreenletExit, and is removed."""
    log: list[Any] = []
    hooked: list[Any] = []
    error = KeyError("from the tracer")
    g = waiter(impl, log)

    def tracer(event: str, args: Any) -> None:
        log.append(event)
        raise error

    monkeypatch.setattr(sys, "unraisablehook", lambda u: hooked.append(u.exc_value))
    impl.settrace(tracer)
    del g
    assert impl.gettrace() is None
    assert log == ["throw", ("raised", KeyError)]
    assert hooked == [error]


@clause("life.kill.context")
def test_kill_context(impl: Any) -> None:
    """The killed one sees its own context variables, the dropper its own."""
    root = impl.getcurrent()
    log: list[Any] = []
    variable = contextvars.ContextVar("variable", default="default")

    def run() -> None:
        variable.set("of the killed")
        try:
            root.switch()
        finally:
            log.append(variable.get())
            variable.set("set in the cleanup")

    variable.set("of the root")
    g = impl.greenlet(run)
    g.switch()
    del g
    log.append(variable.get())
    assert log == ["of the killed", "of the root"]


# --- surviving ---------------------------------------------------------------------------


class Survivor:
    """A greenlet that survives each kill; ``saved`` then holds the only reference to it."""

    def __init__(self, impl: Any, parent: Any = None) -> None:
        self.saved: list[Any] = []
        self.log: list[Any] = []
        self._impl = impl
        self._root = impl.getcurrent()
        self.saved.append(impl.greenlet(self._run, parent))
        self.alive = weakref.ref(self.saved[0])
        assert self.saved[0].switch() == "waits"

    def _run(self) -> str:
        while True:
            try:
                message = self._root.switch("waits")
            except self._impl.GreenletExit:
                self.log.append("killed")
                self.saved.append(self._impl.getcurrent())
            else:
                self.log.append(message)
                if message == "stop":
                    return "ends"


class LeftKill:
    """A killer that a survivor has left for the root: suspended in the statement that killed."""

    def __init__(self, impl: Any) -> None:
        self.log: list[Any] = []
        self._impl = impl
        self._root = impl.getcurrent()
        self.former = impl.greenlet(lambda: None)
        self.survivor = Survivor(impl, self.former)
        self.held = [impl.greenlet(self._run)]
        self.alive = weakref.ref(self.held[0])
        assert self.held[0].switch() == "waits"
        assert (self.survivor.log, self.log) == (["killed"], [])
        assert states(*self.held, *self.survivor.saved) == ["active", "active"]
        assert self.survivor.saved[0].parent is self.held[0]

    def _run(self) -> str:
        try:
            self.survivor.saved.clear()
            self.log.append(("goes on", self._impl.getcurrent().parent is self._root))
        except BaseException as error:
            self.log.append(("raised", type(error)))
        return "killer ends"

    def is_over(self) -> None:
        """Fails unless the killer has gone on and ended, and the survivor is as before the kill."""
        assert self.log == [("goes on", True)]
        assert states(*self.survivor.saved) == ["active"]
        assert self.survivor.saved[0].parent is self.former
        assert self.survivor.saved[0].switch("hello") == "waits"
        assert self.survivor.log == ["killed", "hello"]


@clause("life.kill.killer")
def test_kill_killer_switched_to(impl: Any) -> None:
    """A switch to a killer that was left goes on after the statement that killed."""
    left = LeftKill(impl)
    assert left.held[0].switch("not seen") == "killer ends"
    left.is_over()


@clause("life.kill.killer")
@pytest.mark.parametrize("kind", ["GreenletExit", "KeyError"])
def test_kill_killer_thrown_at(impl: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What is thrown at it is unraisable, as an exception of the killed would be."""
    hooked: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda u: hooked.append(u.exc_value))
    error = KeyError("thrown") if kind == "KeyError" else impl.GreenletExit("thrown")
    left = LeftKill(impl)
    assert left.held[0].throw(error) == "killer ends"
    assert len(hooked) == 1
    assert hooked[0] is error
    left.is_over()


@clause("life.kill.killer")
def test_kill_killer(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed when nobody refers to it, nor the survivor, of which it is the parent."""
    hooked: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda u: hooked.append(u.exc_type))
    left = LeftKill(impl)
    left.held.clear()
    assert (left.log, hooked) == ([], [])
    left.survivor.saved[0].parent = impl.getcurrent()
    assert hooked == [impl.GreenletExit]
    assert left.alive() is None
    left.is_over()


@clause("life.resurrect")
def test_resurrect(impl: Any) -> None:
    """A killed greenlet that stores itself and switches away lives on."""
    survivor = Survivor(impl)
    survivor.saved.clear()
    assert survivor.log == ["killed"]
    assert states(*survivor.saved) == ["active"]
    assert type(survivor.saved[0]) is impl.greenlet
    assert survivor.saved[0].switch("hello") == "waits"
    assert survivor.saved[0].switch("stop") == "ends"
    assert survivor.log == ["killed", "hello", "stop"]
    assert states(*survivor.saved) == ["dead"]
    survivor.saved.clear()
    assert survivor.log == ["killed", "hello", "stop"]
    assert survivor.alive() is None


@clause("life.resurrect")
def test_resurrect_keeps_attributes(impl: Any) -> None:
    """A survivor, here of a subclass, has its attributes and can be thrown at."""

    class Sub(impl.greenlet):  # type: ignore[misc]
        @staticmethod
        def run() -> None:
            while True:
                try:
                    root.switch()
                except impl.GreenletExit:
                    saved.append(impl.getcurrent())
                except KeyError:
                    root.switch("caught")

    root = impl.getcurrent()
    saved: list[Any] = [Sub()]
    saved[0].words = ["kept"]
    saved[0].switch()
    saved.clear()
    gc.collect()
    assert [type(g) for g in saved] == [Sub]
    assert saved[0].__dict__ == {"words": ["kept"]}
    assert saved[0].throw(KeyError) == "caught"


@clause("life.resurrect.parent")
def test_resurrect_parent(impl: Any) -> None:
    """A survivor has its old parent again, and its end leads there."""
    log: list[Any] = []
    parent = impl.greenlet(lambda *args: log.append(args) or "parent ends")
    survivor = Survivor(impl, parent)
    held = [survivor.saved]

    def kill() -> str:
        held.pop().clear()
        return "killer ends"

    killer = impl.greenlet(kill)
    assert killer.switch() == "waits"
    assert killer.switch() == "killer ends"
    assert survivor.saved[0].parent is parent
    survivor.saved.clear()
    assert survivor.saved[0].parent is parent
    assert survivor.saved[0].switch("stop") == "parent ends"
    assert log == [("ends",)]
    assert states(parent, survivor.saved[0]) == ["dead", "dead"]


@clause("life.resurrect.again")
def test_resurrect_again(impl: Any) -> None:
    """A survivor is killed again each time the last reference goes."""
    survivor = Survivor(impl)
    for count in range(1, 6):
        survivor.saved.clear()
        assert survivor.log == ["killed"] * count
        assert len(survivor.saved) == 1
    assert survivor.saved[0].switch("stop") == "ends"
    assert survivor.log == ["killed"] * 5 + ["stop"]


@clause("life.resurrect.again")
def test_resurrect_often(impl: Any) -> None:
    """However often it survives, its class is as alive as before."""
    root = impl.getcurrent()
    saved: list[Any] = []

    class Sub(impl.greenlet):  # type: ignore[misc]
        pass

    def run() -> None:
        while True:
            try:
                root.switch()
            except impl.GreenletExit:
                saved.append(impl.getcurrent())

    saved.append(Sub(run))
    saved[0].switch()
    for _ in range(200):
        saved.clear()
        assert len(saved) == 1
    gc.collect()
    assert (type(saved[0]) is Sub, Sub.__name__) == (True, "Sub")
    assert states(saved[0], Sub()) == ["active", "unstarted"]


@clause("life.resurrect.weakref")
def test_resurrect_weakref(impl: Any) -> None:
    """A weak reference leads to a greenlet that is being killed, and to a survivor."""
    root = impl.getcurrent()
    log: list[Any] = []
    saved: list[Any] = []

    def run() -> None:
        try:
            root.switch()
        except impl.GreenletExit:
            log.append(("killed", alive() is impl.getcurrent()))
            saved.append(impl.getcurrent())
            root.switch()

    g = impl.greenlet(run)
    alive = weakref.ref(g, lambda _: log.append("callback"))
    g.switch()
    del g
    assert alive() is saved[0]
    assert log == [("killed", True)]
    saved.clear()
    assert alive() is None
    assert log == [("killed", True), "callback"]


@clause("life.stubborn")
def test_stubborn(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ignores the exit without saving itself is not resumed, and the dropper goes on."""
    root = impl.getcurrent()
    log: list[str] = []
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    def run() -> None:
        try:
            root.switch()
        except impl.GreenletExit:
            log.append("ignored")
        root.switch()
        log.append("resumed")

    g = impl.greenlet(run)
    g.switch()
    del g
    log.append("went on")
    gc.collect()
    assert log == ["ignored", "went on"]
    assert impl.getcurrent() is root


# --- garbage -----------------------------------------------------------------------------


@clause("life.gc.idle")
def test_gc_idle(impl: Any) -> None:
    """Cycles of the unstarted and the dead, by attribute, context, run and child, are collected."""
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")

    class Method(impl.greenlet):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(self.method)

        def method(self) -> None:
            pass

    def cycles() -> Iterator[Any]:
        for dead in (False, True):
            g = impl.greenlet(lambda: None)
            g.me = [g]
            if dead:
                g.switch()
            yield g
            g = Method()
            g.me = g
            if dead:
                g.switch()
            yield g
            parent = impl.greenlet(lambda *args: None)
            parent.child = impl.greenlet(lambda: None, parent)
            if dead:
                parent.switch()
            yield parent
            g = impl.greenlet(lambda: None)
            g.gr_context = contextvars.Context()
            g.gr_context.run(variable.set, g)
            if dead:
                g.switch()
            yield g
        g = impl.greenlet()
        g.run = lambda g=g: None
        yield g

    alive = [weakref.ref(g) for g in cycles()]
    gc.collect()
    assert [reference() for reference in alive] == [None] * len(alive)
    assert gc.garbage == []


@clause("life.gc.idle")
def test_gc_idle_is_gone(impl: Any) -> None:
    """Weak references tell what the collector has found; this looks whether it is gone, too."""

    class Marked(impl.greenlet):  # type: ignore[misc]
        pass

    def build() -> None:
        g = Marked()
        g.run = g.switch  # nothing but the greenlet can break this cycle

    build()
    gc.collect()
    assert [g for g in gc.get_objects() if type(g) is Marked] == []


@clause("life.gc.idle")
def test_gc_dead_that_returned_itself(impl: Any) -> None:
    """A greenlet that returns itself is freed when its receiver lets go of it."""
    alive = weakref.ref(impl.greenlet(impl.getcurrent).switch())
    gc.collect()
    assert alive() is None


@clause("life.gc.kill")
def test_gc_kill(impl: Any) -> None:
    """The collection of garbage that holds a suspended greenlet kills the greenlet."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> None:
        try:
            root.switch()
        except BaseException as error:
            log.append((type(error), impl.getcurrent().parent is root))
            log.append(impl.greenlet(lambda: gc.collect() * 0 or "helper").switch())
            raise

    def garbage() -> None:
        first, second = Thing(), Thing()
        first.other, second.other = second, first  # type: ignore[attr-defined]
        first.g = impl.greenlet(run)  # type: ignore[attr-defined]
        first.g.switch()  # type: ignore[attr-defined]

    garbage()
    assert log == []
    gc.collect()
    log.append("went on")
    assert log == [(impl.GreenletExit, True), "helper", "went on"]


@clause("life.gc.kill")
def test_gc_kill_in_a_greenlet(impl: Any) -> None:
    """The greenlet in which the collection runs is the parent of the killed."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> None:
        try:
            root.switch()
        finally:
            log.append(impl.getcurrent().parent is collector)

    def collect() -> str:
        garbage: list[Any] = [impl.greenlet(run)]
        garbage.append(garbage)
        garbage[0].switch()
        del garbage
        gc.collect()
        return "collected"

    collector = impl.greenlet(collect)
    collector.switch()
    assert collector.switch() == "collected"
    assert log == [True]


@clause("life.gc.kill")
def test_gc_kill_again_and_again(impl: Any) -> None:
    """Every greenlet is killed, whatever became of those that were there before it."""
    root = impl.getcurrent()
    log: list[int] = []

    def run(number: int) -> None:
        try:
            root.switch()
        finally:
            log.append(number)

    for number in range(5):
        garbage: list[Any] = [impl.greenlet(run)]
        garbage.append(garbage)
        garbage[0].switch(number)
        del garbage
        gc.collect()
    assert log == [0, 1, 2, 3, 4]


@clause("life.gc.cycle")
def test_gc_cycle(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended greenlet in a cycle stays as it is, or is killed: nothing between."""
    root = impl.getcurrent()
    log: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: log.append(told.exc_value))

    def run(_: Any) -> None:
        try:
            root.switch()
        except BaseException as error:
            log.append(type(error))
            raise

    def by_attribute() -> Any:
        g = impl.greenlet(run)
        g.holder = [g]
        g.switch(None)
        return weakref.ref(g)

    def by_local() -> Any:
        g = impl.greenlet(run)
        g.switch(g)
        return weakref.ref(g)

    def by_generator() -> Any:
        def generator(holder: list[Any]) -> Iterator[None]:
            yield run(holder)

        holder: list[Any] = []
        older = generator(holder)
        g = impl.greenlet(lambda iterator: next(iterator))
        holder.append(g)
        g.switch(older)
        return weakref.ref(g)

    def by_loop() -> Any:
        def generator(holder: list[Any]) -> Iterator[None]:
            if holder:
                run(holder)
            yield

        def loop(iterator: Iterator[None]) -> None:
            for _ in iterator:
                pass

        for _ in range(100):  # then CPython has them in one run of its interpreter
            loop(generator([]))
        holder: list[Any] = []
        older = generator(holder)
        g = impl.greenlet(loop)
        holder.append(g)
        g.switch(older)
        return weakref.ref(g)

    for make in (by_attribute, by_local, by_generator, by_loop):
        log.clear()
        alive = make()
        gc.collect()
        gc.collect()
        g = alive()
        found = (log, states(g) if g is not None else None)
        assert found in [([], ["active"]), ([impl.GreenletExit], None)]
        del g


@clause("life.gc.cycle")
def test_gc_cycle_of_a_survivor(impl: Any) -> None:
    """Nothing is taken from a survivor that is in a cycle again: it is killed again, or stays."""
    root = impl.getcurrent()
    log: list[Any] = []
    saved: list[Any] = []

    def run(box: list[Any]) -> None:
        while True:
            try:
                root.switch()
            except impl.GreenletExit:
                log.append(box[1:])
                if len(log) == 2:
                    raise
                saved.append(impl.getcurrent())
                box.append("survived")

    def build() -> None:
        box: list[Any] = []
        g = impl.greenlet(run)
        box.append(g)
        g.switch(box)

    build()
    for _ in range(3):
        gc.collect()
        saved.clear()
    assert log in ([], [[]], [[], ["survived"]])


@clause("life.gc.cycle")
def test_gc_cycle_of_the_stubborn(impl: Any) -> None:
    """Who is killed by a collection and stays has all that is its own when it is killed again."""
    root = impl.getcurrent()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    log: list[Any] = []

    def run(*args: Any, **kwargs: Any) -> None:
        variable.set("its own")
        while len(log) < 2:
            try:
                root.switch()
            except impl.GreenletExit:
                log.append((variable.get("another's"), args, kwargs))

    def build() -> None:
        g = impl.greenlet(functools.partial(run, 0))  # an object that can be cleared, like
        g.gr_context = contextvars.Context()  # this one
        g.holder = [g]
        g.switch(1, 2, 3, 4, 5, 6, key=7)

    build()
    for _ in range(2):
        gc.collect()
        assert set(map(str, log)) <= {str(("its own", (0, 1, 2, 3, 4, 5, 6), {"key": 7}))}


@clause("life.gc.cycle")
def test_gc_cycle_lets_go_of_garbage(impl: Any) -> None:
    """What is killed in the middle of a collection may free other parts of the garbage."""
    root = impl.getcurrent()

    def run(box: list[Any]) -> None:
        try:
            root.switch()
        finally:
            box.clear()
            log.append([[] for _ in range(10)])

    def build(number: int) -> None:
        box: list[Any] = [[number]]
        g = impl.greenlet(run)
        box += [g, [[number]]]
        g.switch(box)

    for _ in range(20):
        log: list[Any] = []
        for number in range(40):
            build(number)
        impl.greenlet(gc.collect).switch()
        assert len(log) in (0, 40)


@clause("life.gc.suspended")
def test_gc_suspended(impl: Any) -> None:
    """A collection takes away nothing that suspended greenlets use."""
    root = impl.getcurrent()
    freed: list[str] = []

    def generator(thing: Any) -> Iterator[Any]:
        yield root.switch(thing)
        yield thing

    def run(depth: int) -> Any:
        if depth:
            thing = Noisy(lambda: freed.append(f"depth {depth}"))
            thing.me = thing  # type: ignore[attr-defined]
            return run(depth - 1) and thing.me  # type: ignore[attr-defined]
        thing = Noisy(lambda: freed.append("innermost"))
        thing.me = [thing]  # type: ignore[attr-defined]
        return list(generator(thing))

    greenlets = [impl.greenlet(run) for _ in range(10)]
    for g in greenlets:
        g.switch(5)
    gc.collect()
    impl.greenlet(gc.collect).switch()
    assert freed == []
    for g in greenlets:
        assert isinstance(g.switch("value"), Noisy)
    del g
    gc.collect()
    assert sorted(freed) == sorted(
        [*(f"depth {depth}" for depth in range(1, 6) for _ in range(10)), *["innermost"] * 10]
    )


@clause("life.gc.suspended")
def test_gc_in_the_middle_of_an_assignment(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what is being assigned, while what was there before cleans up."""
    root = impl.getcurrent()
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # it may be killed meanwhile

    def run(take: Callable[[], Any]) -> Any:
        this = impl.getcurrent()
        variable: Any = Noisy(root.switch)
        variable = take()
        return lambda: (this, variable)

    thing = Noisy(list)
    alive = weakref.ref(thing)
    impl.greenlet(run).switch([thing].pop)
    gc.collect()
    gc.collect()
    assert alive() is thing


# --- threads -----------------------------------------------------------------------------


def built_in(impl: Any, log: list[Any], thing: Any = None) -> list[Any]:
    """A list with the only reference to a suspended greenlet that logs its end."""
    root = impl.getcurrent()

    def run(local: Any) -> None:
        try:
            root.switch()
            log.append("not reached")
        finally:
            log.append(("ends", root_of_current(impl), type(sys.exc_info()[1])))

    g = impl.greenlet(run)
    g.switch(thing)
    return [g]


@clause("life.thread.deferred")
@pytest.mark.parametrize("use", ["getcurrent", "switch", "new"])
def test_thread_deferred(impl: Any, worker: Worker, use: str) -> None:
    """A greenlet dropped by another thread is killed by its own when that uses greenlets."""
    log: list[Any] = []
    thing = Thing()
    kept = weakref.ref(thing)
    root = worker(impl.getcurrent)
    other = worker(lambda: impl.greenlet(lambda: None))
    held = worker(built_in, impl, log, thing)
    del thing
    alive = weakref.ref(held[0])
    held.clear()
    gc.collect()
    worker(time.sleep, 0)
    assert log == []
    uses = {
        "getcurrent": lambda: impl.getcurrent() and None,
        "switch": lambda: other.switch(),
        "new": lambda: impl.greenlet(lambda: None).switch(),
    }
    worker(uses[use])
    assert log == [("ends", root, impl.GreenletExit)]
    assert (alive(), kept()) == (None, None)


@clause("life.thread.deferred")
def test_thread_deferred_until_resumed(impl: Any, worker: Worker) -> None:
    """To resume a suspended greenlet, which switches back, is to use greenlets."""
    log: list[Any] = []
    root = worker(impl.getcurrent)

    def serve() -> None:
        while True:
            root.switch("served")

    def start() -> Any:
        server = impl.greenlet(serve)
        server.switch()
        return server

    server = worker(start)
    held = worker(built_in, impl, log)
    held.clear()
    assert log == []
    assert worker(server.switch) == "served"
    assert log == [("ends", root, impl.GreenletExit)]


@clause("life.thread.deferred", "life.gc.cycle")
def test_thread_deferred_of_a_cycle(impl: Any, worker: Worker) -> None:
    """What a collection finds, it finds in another thread, too; it is killed where it belongs."""
    log: list[Any] = []
    root = worker(impl.getcurrent)

    def make() -> list[Any]:
        held = built_in(impl, log)
        held[0].holder = held
        return held

    def is_collected() -> bool:
        make()
        gc.collect()
        return bool(log)

    killed = [("ends", root, impl.GreenletExit)] if worker(is_collected) else []
    assert log == killed
    log.clear()
    held = worker(make)
    alive = weakref.ref(held[0])
    del held
    gc.collect()
    assert log == []
    worker(impl.getcurrent)
    assert log == killed
    gc.collect()
    assert (alive() is None) == bool(killed)


@clause("life.thread.deferred")
def test_thread_deferred_parent(impl: Any, worker: Worker) -> None:
    """The kill in its own thread leads back to where that thread was."""
    log: list[Any] = []

    def build() -> list[Any]:
        root = impl.getcurrent()
        unstarted = impl.greenlet(lambda *args: log.append("the former parent ran"))

        def run() -> None:
            try:
                root.switch()
            finally:
                log.append(("parent is root", impl.getcurrent().parent is root))

        g = impl.greenlet(run, unstarted)
        g.switch()
        return [g]

    held = worker(build)
    for _ in range(3):
        held += worker(build)
    held.clear()
    worker(impl.getcurrent)
    assert worker(lambda: impl.greenlet(lambda: "as ever").switch()) == "as ever"
    assert log == [("parent is root", True)] * 4


@clause("life.thread.deferred")
def test_thread_deferred_into_a_greenlet(impl: Any) -> None:
    """The parent of the killed is whoever is current in its thread then, and that goes on."""
    log: list[Any] = []
    held: list[Any] = []
    current: list[Any] = []
    is_suspended, is_dropped = threading.Event(), threading.Event()

    def run() -> None:
        try:
            impl.getcurrent().parent.switch()
        finally:
            log.append(impl.getcurrent().parent is current[0])

    def use() -> str:
        current.append(impl.getcurrent())
        is_suspended.set()
        is_dropped.wait(STEP_SECONDS)
        return "goes on" if impl.getcurrent() is current[0] else "is lost"

    def work() -> None:
        held.append(impl.greenlet(run))
        held[0].switch()
        log.append(impl.greenlet(use).switch())

    thread = threading.Thread(target=work)
    thread.start()
    is_suspended.wait(STEP_SECONDS)
    held.clear()
    is_dropped.set()
    thread.join()
    assert log == [True, "goes on"]


@clause("life.thread.deferred", "life.kill.trace")
def test_thread_deferred_traced(impl: Any, worker: Worker) -> None:
    """The kill is told to the trace function of its own thread, as a throw and a switch."""
    events: list[str] = []
    held = worker(built_in, impl, [])
    worker(lambda: impl.settrace(lambda event, args: events.append(event)))
    held.clear()
    assert events == []
    worker(impl.getcurrent)
    worker(lambda: impl.settrace(None))
    assert events == ["throw", "switch"]


@clause("life.thread.deferred")
def test_thread_deferred_from_garbage(impl: Any, worker: Worker) -> None:
    """So does one that the collector of another thread finds in garbage."""
    log: list[Any] = []
    root = worker(impl.getcurrent)
    held: list[Any] = worker(built_in, impl, log)
    garbage, holder = Thing(), Thing()
    garbage.other, holder.other = holder, garbage  # type: ignore[attr-defined]
    holder.g = held.pop()  # type: ignore[attr-defined]
    del garbage, holder
    gc.collect()
    assert log == []
    worker(impl.getcurrent)
    assert log == [("ends", root, impl.GreenletExit)]


@clause("life.thread.deferred")
def test_thread_deferred_survives(impl: Any, worker: Worker) -> None:
    """A greenlet killed in its own thread may save itself there."""
    survivor = worker(Survivor, impl)
    survivor.saved.clear()
    assert survivor.log == []
    worker(impl.getcurrent)
    worker(impl.getcurrent)
    assert survivor.log == ["killed"]
    assert worker(lambda: survivor.saved[0].switch("stop")) == "ends"


@clause("life.thread.exited")
def test_thread_exited(impl: Any, worker: Worker) -> None:
    """After its thread has exited, a greenlet is freed without running."""
    log: list[Any] = []
    held = worker(built_in, impl, log)
    alive = weakref.ref(held[0])
    worker.exit()
    time.sleep(0.05)
    assert log == []
    held.clear()
    impl.getcurrent()
    gc.collect()
    impl.greenlet(impl.getcurrent).switch()
    assert eventually(lambda: alive() is None)
    assert log == []


@clause("life.thread.exited")
def test_thread_exited_family(impl: Any, worker: Worker) -> None:
    """So are greenlets with children and with attributes that refer to each other."""
    log: list[Any] = []

    def build() -> list[Any]:
        parent = built_in(impl, log)[0]
        child = impl.greenlet(lambda: impl.getcurrent().parent.parent.switch(), parent)
        child.switch()
        unstarted = impl.greenlet(lambda: log.append("ran"), child)
        return [parent, child, unstarted]

    held = worker(build)
    alive = [weakref.ref(g) for g in held]
    worker.exit()
    time.sleep(0.05)
    held.clear()
    gc.collect()
    assert eventually(lambda: impl.getcurrent() and not any(r() for r in alive))
    assert log == []


@clause("life.thread.exit")
def test_thread_exit(impl: Any) -> None:
    """A thread ends undisturbed with suspended greenlets held elsewhere and kills pending."""
    log: list[Any] = []
    held: list[Any] = []
    dropped = threading.Event()
    built = threading.Event()

    def in_thread() -> None:
        held.extend(built_in(impl, log))
        held.extend(built_in(impl, log))
        built.set()
        dropped.wait(STEP_SECONDS)

    threads = [threading.Thread(target=in_thread) for _ in range(4)]
    for thread in threads:
        built.clear()
        thread.start()
        assert built.wait(STEP_SECONDS)
    del held[::2]
    dropped.set()
    for thread in threads:
        thread.join(STEP_SECONDS)
        assert not thread.is_alive()
    idents = {thread.ident for thread in threads}
    here = threading.get_ident()
    assert here not in {entry[1] for entry in log if entry[1] not in idents}
    assert impl.greenlet(lambda: "goes on").switch() == "goes on"
    refused = [type(raised_by(g.switch)) for g in held]
    assert refused == [impl.error] * 4


@clause("life.thread.unstarted")
def test_thread_unstarted(impl: Any, worker: Worker) -> None:
    """Unstarted and dead greenlets are freed at once in any thread."""
    log: list[Any] = []
    thing = Thing()
    kept = weakref.ref(thing)

    def build(thing: Any) -> list[Any]:
        unstarted = impl.greenlet(lambda local=thing: log.append("ran"))
        dead = impl.greenlet(lambda: None)
        dead.switch()
        dead.thing = thing
        return [unstarted, dead]

    held = worker(build, thing)
    alive = [weakref.ref(g) for g in held]
    del thing
    held.clear()
    assert eventually(lambda: kept() is None)  # the worker may still hold its arguments
    assert [reference() for reference in alive] == [None, None]
    assert log == []


# --- finalizers --------------------------------------------------------------------------


@clause("life.finalizer.del")
def test_finalizer_del(impl: Any) -> None:
    """`__del__` may switch where its object dies: in a frame, as a value, at a death."""
    root = impl.getcurrent()
    log: list[Any] = []

    def switching(name: str) -> Noisy:
        def finalize() -> None:
            current = impl.getcurrent()
            helper = impl.greenlet(lambda: (log.append(name), impl.getcurrent().parent is current))
            log.append(helper.switch())

        return Noisy(finalize)

    def run() -> str:
        value = root.switch("first")
        log.append("resumed")
        value = None
        local = switching("local")
        assert local is not value
        root.switch("second")
        return "ends"

    g = impl.greenlet(run)
    assert g.switch() == "first"
    assert g.switch(switching("value")) == "second"
    assert g.switch() == "ends"
    g = impl.greenlet(run)
    g.switch()
    g.switch(switching("value"))
    log.append("again")
    held = [g]
    del g

    def dies_here() -> None:
        local = switching("of a function")
        assert local
        held.clear()

    impl.greenlet(dies_here).switch()
    done = (None, True)
    assert log == [
        *("resumed", "value", done, "local", done, "resumed", "value", done, "again"),
        *("local", done, "of a function", done),
    ]


@clause("life.finalizer.del")
def test_finalizer_del_in_the_middle_of_a_switch(impl: Any) -> None:
    """Objects that die while control is on its way may switch; nothing is lost or doubled."""
    root = impl.getcurrent()
    log: list[Any] = []

    def finalize() -> None:
        log.append(("del", helper.switch()))

    def helper_run() -> None:
        count = 0
        while True:
            count += 1
            impl.getcurrent().parent = finalizing[-1]
            finalizing[-1].switch(count)

    class Value(Noisy):
        def __init__(self) -> None:
            super().__init__(self.finalize)
            self.g = impl.getcurrent()

        @staticmethod
        def finalize() -> None:
            finalizing.append(impl.getcurrent())
            finalize()
            finalizing.pop()

    finalizing: list[Any] = []
    helper = impl.greenlet(helper_run)

    def run() -> str:
        for number in range(3):
            root.switch(number)  # what was sent dies here, unseen
        return "ends"

    g = impl.greenlet(run)
    got = [g.switch()]
    got += [g.switch(Value(), Value()) for _ in range(2)]
    got.append(g.switch(key=Value()))
    assert got == [0, 1, 2, "ends"]
    assert log == [("del", count) for count in range(1, 6)]
    assert states(g, helper) == ["dead", "active"]


@clause("life.finalizer.weakref")
def test_finalizer_weakref(impl: Any) -> None:
    """Callbacks of weak references may switch, that of one to a killed greenlet too."""
    root = impl.getcurrent()
    log: list[Any] = []

    def callback(_: Any) -> None:
        log.append(impl.greenlet(lambda: "switched in the callback").switch())

    def run() -> None:
        try:
            root.switch()
        finally:
            log.append("killed")

    g = impl.greenlet(run)
    g.switch()
    references = [weakref.ref(g, callback)]
    del g
    thing = Thing()
    references.append(weakref.ref(thing, callback))

    def dies_inside(thing: Any) -> str:
        root.switch("waits")
        return "ends"

    g = impl.greenlet(dies_inside)
    assert g.switch(thing) == "waits"
    del thing
    assert g.switch() == "ends"
    assert log == ["killed", "switched in the callback", "switched in the callback"]


@clause("life.finalizer.trashcan")
def test_finalizer_trashcan(impl: Any) -> None:
    """Nested containers whose objects switch as they are freed: each is freed exactly once."""
    root = impl.getcurrent()
    freed: list[int] = []
    switched: list[Any] = []
    background: list[Any] = []

    def nested(numbers: range) -> Any:
        container: Any = None
        for number in numbers:
            thing = Noisy(functools.partial(finalize, number))
            container = (container, [thing])
            del thing
        return container

    def finalize(number: int) -> None:
        freed.append(number)
        if number == 450:
            g = impl.greenlet(in_background)
            background.append(g)
            switched.append(g.switch())
        elif number == 150:
            switched.append(impl.greenlet(lambda: "helper").switch())

    def in_background() -> None:
        parent = impl.getcurrent().parent
        container = nested(range(1000, 1500))
        del container
        parent.switch("waits")

    container = nested(range(500))
    del container
    gc.collect()
    assert impl.getcurrent() is root
    # Which end is freed first differs between versions of CPython.
    assert sorted(switched) == ["helper", "waits"]
    background[0].switch()
    background.clear()
    gc.collect()
    assert sorted(freed) == [*range(500), *range(1000, 1500)]


@clause("life.finalizer.collection")
def test_finalizer_collection(impl: Any) -> None:
    """A finalizer in a collection may switch to a suspended greenlet, and back."""
    root = impl.getcurrent()
    log: list[Any] = []

    def other_run() -> None:
        while True:
            log.append(("other", root.switch("from other")))

    other = impl.greenlet(other_run)
    other.switch()

    def finalize() -> None:
        log.append(("del", other.switch("hello")))

    def garbage() -> None:
        things = [Noisy(finalize), Noisy(finalize)]
        for thing in things:
            thing.cycle = things  # type: ignore[attr-defined]

    garbage()
    gc.collect()
    log.append("went on")
    assert log == [("other", "hello"), ("del", "from other")] * 2 + ["went on"]


@clause("life.finalizer.collection")
def test_finalizer_collection_callbacks(impl: Any) -> None:
    """A function in gc.callbacks may switch at the start and the end of a collection."""
    root = impl.getcurrent()
    log: list[Any] = []

    def other_run() -> None:
        phase = None
        while True:
            phase = root.switch(("answer to", phase))

    other = impl.greenlet(other_run)
    other.switch()

    def callback(phase: str, info: Any) -> None:
        log.append(other.switch(phase))

    gc.disable()
    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)
        gc.enable()
    assert log == [("answer to", "start"), ("answer to", "stop")]


# --- the object --------------------------------------------------------------------------


def in_each_state(impl: Any, make: Any = None) -> dict[str, Any]:
    """An unstarted, a suspended and a dead greenlet, and the root."""
    make = make or impl.greenlet
    root = impl.getcurrent()
    unstarted, suspended, dead = make(lambda: None), make(root.switch), make(lambda: None)
    suspended.switch()
    dead.switch()
    return {"unstarted": unstarted, "suspended": suspended, "dead": dead, "root": root}


@clause("life.attributes")
def test_attributes(impl: Any) -> None:
    """Attributes can be set in every state and are kept; `__dict__` is a dict."""
    for state, g in in_each_state(impl).items():
        g.words = [state]
        g.words += ["more"]
        assert g.__dict__["words"] == [state, "more"]
        g.number = 1
        del g.number
        assert not hasattr(g, "number")
        replaced = {"other": state}
        g.__dict__ = replaced
        assert g.other == state
        assert g.__dict__ is replaced
        assert not hasattr(g, "words")
        for wrong in (None, 3, [("a", 1)]):
            with pytest.raises(TypeError):
                g.__dict__ = wrong
        with pytest.raises(TypeError):
            del g.__dict__
        assert g.__dict__ is replaced


@clause("life.attributes")
def test_attributes_last(impl: Any) -> None:
    """Attributes are the same inside the greenlet, and after its end."""
    root = impl.getcurrent()

    def run() -> None:
        me = impl.getcurrent()
        me.inside = me.outside + 1
        root.switch(me.__dict__)

    g = impl.greenlet(run)
    g.outside = 1
    assert g.switch() == {"outside": 1, "inside": 2}
    g.switch()
    assert states(g) == ["dead"]
    assert g.__dict__ == {"outside": 1, "inside": 2}
    for fresh in (impl.greenlet(), impl.greenlet(lambda: None), impl.greenlet(None, g)):
        assert fresh.__dict__ == {}


@clause("life.attributes")
def test_attributes_read_only(impl: Any) -> None:
    """What tells the state cannot be set or deleted."""
    for g in in_each_state(impl).values():
        before = states(g)
        for name in ("dead", "gr_frame", "_stack_saved"):
            with pytest.raises(AttributeError):
                setattr(g, name, None)
            with pytest.raises(AttributeError):
                delattr(g, name)
        assert states(g) == before


@clause("life.weakref")
def test_weakref(impl: Any) -> None:
    """A weak reference leads to the greenlet in every state, until it is freed."""
    log: list[str] = []
    greenlets = in_each_state(impl)
    for g in greenlets.values():
        assert weakref.ref(g)() is g
    del g
    names = ("unstarted", "suspended", "dead")

    def watched(name: str) -> Any:
        return weakref.ref(greenlets[name], lambda _: log.append(name))

    references = [watched(name) for name in names]
    greenlets.clear()
    assert [reference() for reference in references] == [None] * 3
    assert sorted(log) == ["dead", "suspended", "unstarted"]


@clause("life.identity")
def test_identity(impl: Any) -> None:
    """Greenlets are hashable, equal only to themselves, and have no order."""
    greenlets = list(in_each_state(impl).values())
    before = [hash(g) for g in greenlets]
    for i, one in enumerate(greenlets):
        assert [one == other for other in greenlets] == [i == k for k in range(4)]
        with pytest.raises(TypeError):
            _ = one < greenlets[0]
    assert len(set(greenlets)) == 4
    greenlets[0].switch()
    assert [hash(g) for g in greenlets] == before


@clause("life.subclass")
def test_subclass(impl: Any) -> None:
    """Subclasses may have an own `__init__`, slots, more bases and any kind of run."""

    class Mixin:
        def hello(self) -> str:
            return f"hello {self.name}"  # type: ignore[attr-defined]

    class Named(Mixin, impl.greenlet):  # type: ignore[misc]
        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def run(self, *args: Any) -> Any:
            return self.hello(), args, impl.getcurrent() is self

    class Static(impl.greenlet):  # type: ignore[misc]
        @staticmethod
        def run(*args: Any) -> Any:
            return "static", args

    class Property(impl.greenlet):  # type: ignore[misc]
        @property
        def run(self) -> Any:
            return lambda *args: ("property", args)

    class Given(Static):
        def __init__(self) -> None:
            super().__init__(lambda *args: ("given", args))

    assert shape(Named("g").switch(1)) == shape(("hello g", (1,), True))
    assert Static().switch(1) == ("static", (1,))
    assert Property().switch(1) == ("property", (1,))
    assert Given().switch(1) == ("static", (1,))
    g: Any = Given()
    g.run = lambda *args: ("instance", args)
    assert g.switch(1) == ("instance", (1,))
    assert isinstance(Named("g"), impl.greenlet)


@clause("life.subclass")
def test_subclass_abstract(impl: Any) -> None:
    """An abstract subclass makes no instances until its methods are there."""

    class Abstract(impl.greenlet, metaclass=abc.ABCMeta):  # type: ignore[misc]
        @abc.abstractmethod
        def run(self) -> str: ...

    class Concrete(Abstract):
        def run(self) -> str:
            return "concrete"

    with pytest.raises(TypeError, match="abstract"):
        Abstract()
    assert Concrete().switch() == "concrete"


@clause("life.no-copy")
def test_no_copy(impl: Any) -> None:
    """copy, deepcopy and pickle raise TypeError in every state, for subclasses too."""

    class Sub(impl.greenlet):  # type: ignore[misc]
        pass

    for make in (impl.greenlet, Sub):
        for g in in_each_state(impl, make).values():
            before = states(g)
            for attempt in (copy.copy, copy.deepcopy):
                with pytest.raises(TypeError):
                    attempt(g)
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with pytest.raises(TypeError):
                    pickle.dumps(g, protocol)
            assert states(g) == before


@clause("life.refused")
def test_refused(impl: Any) -> None:
    """A refused construction raises TypeError and leaves no half-made greenlet."""
    made: list[Any] = []
    freed: list[str] = []
    root = impl.getcurrent()

    class Sub(impl.greenlet):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append(weakref.ref(self))
            super().__init__(*args, **kwargs)

    attempts: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((len, "parent"), {}),
        ((len, 5), {}),
        ((len, impl.greenlet), {}),
        ((len, root, root), {}),
        ((), {"unknown": 1}),
        ((len,), {"run": len}),
        ((), {"parent": object()}),
    ]
    for args, kwargs in attempts:
        for make in (impl.greenlet, Sub):
            with pytest.raises(TypeError):
                make(*args, **kwargs)
    assert [reference() for reference in made] == [None] * len(attempts)

    def attempt() -> None:
        thing = Noisy(lambda: freed.append("freed"))
        assert isinstance(raised_by(impl.greenlet, lambda: thing, 5), TypeError)

    attempt()
    assert freed == ["freed"]
    assert impl.getcurrent() is root


@clause("life.init-late")
def test_init_late(impl: Any) -> None:
    """A greenlet made by `__new__` alone waits for its `__init__`."""
    root = impl.getcurrent()
    g = impl.greenlet.__new__(impl.greenlet)
    assert (states(g), g.parent) == (["unstarted"], root)
    assert type(raised_by(g.switch)) is AttributeError
    assert states(g) == ["unstarted"]
    parent = impl.greenlet(lambda value: ("parent", value))
    g.__init__(lambda: "first")
    g.__init__(lambda: "second", parent)
    assert g.switch() == ("parent", "second")
    assert type(raised_by(g.__init__, lambda: "third")) is AttributeError
    assert states(g) == ["dead"]
    suspended = impl.greenlet(lambda: root.switch())
    suspended.switch()
    assert type(raised_by(suspended.__init__, lambda: "other", parent)) is AttributeError
    assert suspended.parent is root
    assert suspended.switch("resumed") == "resumed"


# --- nothing is kept ---------------------------------------------------------------------


@clause("life.released.run")
def test_released_run(impl: Any) -> None:
    """A finished greenlet refers neither to its run, nor its arguments, nor its result."""

    class Callable_(Thing):
        def __call__(self, argument: Any, *, keyword: Any) -> Any:
            return Thing()

    def play(g: Any, argument: Any, keyword: Any) -> list[Any]:
        result = g.switch(argument, keyword=keyword)
        return [weakref.ref(argument), weakref.ref(keyword), weakref.ref(result)]

    run = Callable_()
    references = [weakref.ref(run)]
    g = impl.greenlet(run)
    g.attribute = attribute = Thing()
    del run
    references += play(g, Thing(), Thing())
    assert states(g) == ["dead"]
    assert [reference() for reference in references] == [None] * 4
    assert g.attribute is attribute
    assert g.parent is impl.getcurrent()


@clause("life.released.locals")
def test_released_locals(impl: Any) -> None:
    """Local variables die with the greenlet, however it ends."""
    root = impl.getcurrent()
    references: list[Any] = []

    def inner() -> str:
        local = Thing()
        references.append(weakref.ref(local))
        root.switch()
        return "inner"

    def run(fails: bool) -> None:
        local = Thing()
        references.append(weakref.ref(local))
        inner()
        if fails:
            raise KeyError

    def ended(g: Any) -> list[Any]:
        assert states(g) == ["dead"]
        found = [reference() for reference in references]
        references.clear()
        return found

    g = impl.greenlet(run)
    g.switch(False)
    assert [type(reference()) for reference in references] == [Thing, Thing]
    g.switch()
    assert ended(g) == [None, None]
    g = impl.greenlet(run)
    g.switch(True)
    with pytest.raises(KeyError) as caught:
        g.switch()
    del caught
    gc.collect()
    assert ended(g) == [None, None]
    g = impl.greenlet(run)
    g.switch(False)
    g.throw()
    gc.collect()
    assert ended(g) == [None, None]
    g = impl.greenlet(run)
    g.switch(False)
    del g
    assert [reference() for reference in references] == [None, None]


@clause("life.released.passed")
def test_released_passed(impl: Any) -> None:
    """Values and exceptions that were passed are freed when nobody uses them any more."""
    root = impl.getcurrent()

    def run() -> None:
        while True:
            try:
                root.switch(Thing())
            except KeyError:
                pass

    class Error(KeyError):
        pass

    def pass_on(g: Any) -> list[Any]:
        value, keyword, error = Thing(), Thing(), Error()
        references = [weakref.ref(value), weakref.ref(keyword), weakref.ref(error)]
        references.append(weakref.ref(g.switch(value)))
        references.append(weakref.ref(g.switch(value, keyword=keyword)))
        references.append(weakref.ref(g.throw(error)))
        error.__traceback__ = None
        g.switch()  # what it sent last is gone when it goes on
        return references

    g = impl.greenlet(run)
    g.switch()
    references = pass_on(g)
    assert [reference() for reference in references] == [None] * len(references)
    assert states(g) == ["active"]


@clause("life.released.passed")
@pytest.mark.parametrize("method", ["switch", "throw"])
def test_released_passed_refused(impl: Any, method: str) -> None:
    """The exception that a switch raises does not keep what was sent, nor to whom."""

    class Error(KeyError):
        pass

    def run(_: Any) -> None:
        del _
        raise KeyError("raised by run")

    def attempt() -> tuple[BaseException | None, list[Any]]:
        g = impl.greenlet(run)
        sent = Thing() if method == "switch" else Error()
        references = [weakref.ref(sent), weakref.ref(g)]
        # Frames of tests are in the traceback, too: what they refer to is taken away from them.
        box = [sent, getattr(g, method)]
        del sent, g
        return raised_by(lambda: box.pop()(box.pop())), references

    raised, (sent, target) = attempt()
    assert type(raised) is (KeyError if method == "switch" else Error)
    assert target() is None
    assert sent() is (None if method == "switch" else raised)


@clause("life.released.unstarted")
def test_released_unstarted(impl: Any) -> None:
    """An unstarted greenlet gives back its run when it is freed, killed, or given another."""

    def made() -> tuple[Any, Any]:
        thing = Thing()
        g = impl.greenlet(lambda: thing)
        return g, weakref.ref(thing)

    g, reference = made()
    assert reference() is not None
    del g
    assert reference() is None
    g, reference = made()
    assert isinstance(g.throw(), impl.GreenletExit)
    assert reference() is None
    g, reference = made()
    g.run = None
    assert reference() is None
    g, reference = made()
    del g.run
    assert reference() is None


def peak() -> int:
    """The most memory that this process has had so far, in KiB."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def traced() -> int:
    """What Python's allocators have given out since they are traced, in KiB."""
    import tracemalloc

    gc.collect()
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0] // 1024


@clause("life.released.memory")
@pytest.mark.parametrize(("measure", "module"), [(peak, "resource"), (traced, "tracemalloc")])
@pytest.mark.parametrize("way", ["ends", "fails", "is killed"])
def test_released_memory(impl: Any, way: str, measure: Callable[[], int], module: str) -> None:
    """Thousands that live one after the other take no more memory than hundreds."""
    pytest.importorskip(module)
    root = impl.getcurrent()
    count = 3_000

    def run(*args: Any) -> None:
        root.switch()
        if way == "fails":
            raise KeyError

    def live(times: int) -> int:
        for number in range(times):
            g = impl.greenlet(run)
            g.switch(number, "an argument")
            if way != "is killed":
                raised_by(g.switch)
        del g
        return measure()

    bystanders = [impl.greenlet(run) for _ in range(20)]
    for g in bystanders:
        g.switch()
    measure()
    grown = -live(300) + live(count)
    assert grown < {peak: count * 2, traced: count // 10}[measure]
    assert states(*bystanders) == ["active"] * 20


@clause("life.released.line")
def test_released_line(impl: Any) -> None:
    """A long line of unstarted ancestors is freed with the last child."""
    child = last = impl.greenlet(int)
    for _ in range(100_000):
        last.parent = impl.greenlet(int)
        last = last.parent
    alive = weakref.ref(last)
    del last
    assert alive() is not None
    del child
    assert alive() is None


@clause("life.many")
@pytest.mark.parametrize("by", ["reference", "collection"])
def test_many(impl: Any, by: str) -> None:
    """Ten thousand suspended greenlets go at once; each is killed exactly once."""
    root = impl.getcurrent()
    count = 10_000
    killed = [0] * count
    held: list[Any] = []

    def run(number: int, local: Any) -> None:
        try:
            root.switch()
        except impl.GreenletExit:
            killed[number] += 1
            raise

    references = []
    for number in range(count):
        thing = Thing()
        references.append(weakref.ref(thing))
        g = impl.greenlet(run)
        g.switch(number, thing)
        held.append(g)
    del g, thing
    assert killed == [0] * count
    if by == "collection":
        held.append(held)
        del held
        gc.collect()
    else:
        held.clear()
    assert killed == [1] * count
    assert {reference() for reference in references} == {None}
