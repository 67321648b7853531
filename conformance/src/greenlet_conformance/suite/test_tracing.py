"""Chapter "Tracing"."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest

from greenlet_conformance.suite.support import (
    FORMS,
    STEP_SECONDS,
    Worker,
    clause,
    eventually,
    raised_by,
    shape,
    states,
)


class Log(list):  # type: ignore[type-arg]
    """A list of events in which greenlets have names; and the function that fills it."""

    def __init__(self, impl: Any) -> None:
        super().__init__()
        self.impl = impl
        self.names = {id(impl.getcurrent()): "root"}

    def new(self, name: str, run: Any, parent: Any = None) -> Any:
        """A greenlet that has this name in the log."""
        g = self.impl.greenlet(run, parent)
        self.names[id(g)] = name
        return g

    def name(self, g: Any) -> str:
        return self.names[id(g)]

    def tracer(self, event: str, args: Any) -> None:
        origin, target = args
        self.append((event, self.name(origin), self.name(target)))
        if self.impl.getcurrent() is not target:
            self.append(f"{event} is told in {self.name(self.impl.getcurrent())}")

    @contextmanager
    def tracing(self, tracer: Any = None) -> Iterator[Log]:
        """The block is traced; the trace function is taken away without being asked for."""
        self.impl.settrace(self.tracer if tracer is None else tracer)
        try:
            yield self
        finally:
            self.impl.settrace(None)

    def take(self) -> list[Any]:
        """What was logged since the last time."""
        taken = list(self)
        self.clear()
        return taken


@pytest.fixture
def log(impl: Any) -> Log:
    """An empty log, to be filled by this test's greenlets alone.

    Without isolation garbage of an earlier test could be killed while this one traces.
    """
    gc.collect()
    return Log(impl)


# --- the function ------------------------------------------------------------------------


@clause("trace.settrace")
def test_settrace(impl: Any, log: Log) -> None:
    """settrace answers the former function; None takes it away."""

    def first(event: str, args: Any) -> None:
        log.append("first")

    def second(event: str, args: Any) -> None:
        log.append("second")

    def switch() -> Any:
        impl.greenlet(lambda: None).switch()
        return impl.gettrace()

    assert impl.gettrace() is None
    assert impl.settrace(first) is None
    assert switch() is first
    assert impl.settrace(first) is first
    assert switch() is first
    assert impl.settrace(second) is first
    assert switch() is second
    assert impl.settrace(None) is second
    assert switch() is None
    assert impl.settrace(None) is None
    assert log == ["first"] * 4 + ["second"] * 2


@clause("trace.arguments")
def test_arguments(impl: Any, log: Log) -> None:
    """settrace takes one argument, gettrace none: TypeError, and nothing changes."""
    tracer = log.tracer
    impl.settrace(tracer)
    for args in ((), (None, None), (tracer, tracer)):
        assert type(raised_by(impl.settrace, *args)) is TypeError
    assert type(raised_by(impl.gettrace, None)) is TypeError
    assert impl.gettrace() is tracer
    assert impl.settrace(None) is tracer


@clause("trace.thread")
def test_thread(impl: Any, log: Log, worker: Worker) -> None:
    """Each thread has its own trace function, shared by its greenlets."""
    other = Log(impl)

    def in_thread() -> Any:
        other.names[id(impl.getcurrent())] = "other root"
        before = impl.gettrace()
        other.new("untraced", lambda: None).switch()
        impl.settrace(other.tracer)
        g = other.new("g", lambda: (impl.gettrace(), impl.settrace(None)))
        return before, g.switch(), impl.gettrace()

    with log.tracing():
        mine = impl.gettrace()
        before, (inside, replaced), after = worker(in_thread)
        assert impl.gettrace() is mine
        assert log.new("mine", impl.gettrace).switch() is mine
    assert (before, after) == (None, None)
    assert inside == replaced == other.tracer
    assert other == [("switch", "other root", "g")]
    assert log == [("switch", "root", "mine"), ("switch", "mine", "root")]


@clause("trace.uncallable")
def test_uncallable(impl: Any) -> None:
    """What cannot be called raises TypeError at the next transfer, and is removed."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda: type(raised_by(root.switch, "waits")))
    assert g.switch() == "waits"
    impl.settrace(42)
    assert impl.gettrace() == 42
    assert g.switch() is TypeError
    assert impl.gettrace() is None


@clause("trace.released")
def test_released_with_its_thread(impl: Any) -> None:
    """When a thread exits, its trace function is let go."""

    class Tracer:
        def __call__(self, event: str, args: Any) -> None:
            pass

    def work() -> None:
        tracer = Tracer()
        alive.append(weakref.ref(tracer))
        impl.settrace(tracer)
        impl.greenlet(lambda: None).switch()

    alive: list[Any] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    def is_gone() -> bool:
        impl.greenlet(lambda: None).switch()
        gc.collect()
        return alive[0]() is None

    assert eventually(is_gone)


@clause("trace.released")
def test_released(impl: Any) -> None:
    """A function that is replaced, removed, or raises, is freed, and so are the greenlets."""
    references: list[Any] = []

    class Tracer:
        def __init__(self, error: Any = None) -> None:
            self.error = error
            references.append(weakref.ref(self))

        def __call__(self, event: str, args: Any) -> None:
            references.extend(weakref.ref(g) for g in args if g.parent is not None)
            if self.error:
                raise self.error

    def switch() -> None:
        impl.greenlet(lambda: None).switch()

    for _ in range(3):
        impl.settrace(Tracer())
        switch()
    impl.settrace(None)
    impl.settrace(Tracer(KeyError()))
    raised_by(switch)
    assert impl.gettrace() is None
    gc.collect()
    assert len(references) == 4 + 3 * 2 + 1
    assert [reference() for reference in references] == [None] * len(references)


# --- the events --------------------------------------------------------------------------


@clause("trace.arrival")
def test_arrival(impl: Any, log: Log) -> None:
    """The function runs in the target, before its code goes on; it gets a str and a tuple."""
    root = impl.getcurrent()

    def tracer(event: str, args: Any) -> None:
        log.append((type(event), type(args), len(args)))
        log.tracer(event, args)

    def run() -> str:
        log.append("run begins")
        log.append(root.switch("waits"))
        return "result"

    g = log.new("g", run)
    with log.tracing(tracer):
        log.append(g.switch())
        log.append(g.switch("value"))
    types = (str, tuple, 2)
    there, back = ("switch", "root", "g"), ("switch", "g", "root")
    assert log == [
        *(types, there, "run begins", types, back, "waits"),
        *(types, there, "value", types, back, "result"),
    ]


@clause("trace.every")
def test_every(impl: Any, log: Log) -> None:
    """Every transfer of a longer exchange is told once; each goes on where the last ended."""
    root = impl.getcurrent()

    def run(number: int) -> str:
        others = greenlets[number + 1 :] + greenlets[:number]
        for g in others:
            g.switch(*[greenlets.index(g)] * (not g))
        root.switch()
        raise KeyError

    greenlets: list[Any] = []
    greenlets += [log.new(f"g{i}", run) for i in range(3)]
    with log.tracing():
        greenlets[0].switch(0)
        for g in greenlets:
            raised_by(g.switch)
        raised_by(greenlets[0].switch)
    assert log == [
        ("switch", "root", "g0"),
        ("switch", "g0", "g1"),
        ("switch", "g1", "g2"),
        ("switch", "g2", "g0"),
        ("switch", "g0", "g2"),
        ("switch", "g2", "g1"),
        ("switch", "g1", "g0"),
        ("switch", "g0", "root"),
        ("switch", "root", "g0"),
        ("throw", "g0", "root"),
        ("switch", "root", "g1"),
        ("switch", "g1", "root"),
        ("switch", "root", "g2"),
        ("switch", "g2", "root"),
        ("switch", "root", "root"),
    ]


@clause("trace.start")
def test_start(impl: Any, log: Log) -> None:
    """A start is told before run, with the starter, which need not be the parent, as origin."""
    child = log.new("child", lambda: log.append("child runs"))
    starter = log.new("starter", child.switch)
    with log.tracing():
        starter.switch()
    assert log == [
        ("switch", "root", "starter"),
        ("switch", "starter", "child"),
        "child runs",
        ("switch", "child", "root"),
    ]


@clause("trace.end")
def test_end(impl: Any, log: Log) -> None:
    """An end is a switch for a value, GreenletExit too, and a throw for an exception."""

    def tracer(event: str, args: Any) -> None:
        log.tracer(event, args)
        if args[0].dead:
            log.append("origin is dead")

    def ends(how: Any) -> str:
        if how is not None:
            raise how
        return "result"

    def parent_run() -> None:
        for how in (None, KeyError(), impl.GreenletExit()):
            raised_by(log.new("child", ends).switch, how)

    with log.tracing(tracer):
        log.new("parent", parent_run).switch()
    assert log == [
        ("switch", "root", "parent"),
        *(("switch", "parent", "child"), ("switch", "child", "parent"), "origin is dead"),
        *(("switch", "parent", "child"), ("throw", "child", "parent"), "origin is dead"),
        *(("switch", "parent", "child"), ("switch", "child", "parent"), "origin is dead"),
        *(("switch", "parent", "root"), "origin is dead"),
    ]


@clause("trace.end")
def test_end_into_unstarted(impl: Any, log: Log) -> None:
    """An end that starts a parent is told once, and what that parent does, next."""
    parent = log.new("parent", lambda result: (result, log.append("parent runs")))
    dead = log.new("dead", lambda: None)
    dead.switch()
    dead.parent = parent
    child = log.new("child", lambda: "result", dead)
    with log.tracing():
        child.switch()
    assert log == [
        ("switch", "root", "child"),
        ("switch", "child", "parent"),
        "parent runs",
        ("switch", "parent", "root"),
    ]


@clause("trace.throw")
def test_throw(impl: Any, log: Log) -> None:
    """A throw is told as throw: at the suspended, the unstarted, and up the chain."""
    root = impl.getcurrent()

    def catch() -> None:
        raised_by(root.switch)
        root.switch()

    suspended = log.new("suspended", catch)
    suspended.switch()
    parent = log.new("parent", lambda: None)
    unstarted = log.new("unstarted", lambda: None, parent)
    exits = log.new("exits", lambda: None)
    thrower = log.new("thrower", lambda: root.throw(KeyError))
    with log.tracing():
        suspended.throw(KeyError)
        raised_by(unstarted.throw, KeyError)
        exits.throw()
        raised_by(thrower.switch)
    assert log == [
        ("throw", "root", "suspended"),
        ("switch", "suspended", "root"),
        ("throw", "root", "unstarted"),
        ("throw", "unstarted", "parent"),
        ("throw", "parent", "root"),
        ("throw", "root", "exits"),
        ("switch", "exits", "root"),
        ("switch", "root", "thrower"),
        ("throw", "thrower", "root"),
    ]
    assert states(suspended, unstarted, parent, thrower) == ["active", "dead", "dead", "active"]


@clause("trace.self")
def test_self(impl: Any, log: Log) -> None:
    """Switches and throws to oneself are told, in the root and elsewhere."""

    def run() -> None:
        me = impl.getcurrent()
        log.append(me.switch("value"))
        raised_by(me.throw, KeyError)
        raised_by(me.throw)

    root = impl.getcurrent()
    g = log.new("g", run)
    with log.tracing():
        root.switch()
        raised_by(root.throw, KeyError)
        g.switch()
    assert log == [
        ("switch", "root", "root"),
        ("throw", "root", "root"),
        ("switch", "root", "g"),
        *(("switch", "g", "g"), "value", ("throw", "g", "g"), ("throw", "g", "g")),
        ("switch", "g", "root"),
    ]


@clause("trace.dead")
def test_dead(impl: Any, log: Log) -> None:
    """The living one that is entered is told, whatever the dead one that is named."""
    root = impl.getcurrent()

    def run() -> None:
        for _ in range(4):
            raised_by(root.switch)

    living = log.new("living", run)
    living.switch()
    below = log.new("below", lambda: None, living)
    unstarted = log.new("unstarted", lambda *args: None)
    dead = log.new("dead", lambda: None)
    dead.switch()
    below.switch()
    above = log.new("above", lambda: None)
    above.switch()
    above.parent = unstarted
    with log.tracing():
        dead.switch()
        raised_by(dead.throw, KeyError)
        dead.throw()
        below.throw(KeyError)
        below.throw()
        above.switch()
    assert states(living, unstarted) == ["active", "dead"]
    assert log == [
        ("switch", "root", "root"),
        ("throw", "root", "root"),
        ("switch", "root", "root"),
        *(("throw", "root", "living"), ("switch", "living", "root")),
        *(("switch", "root", "living"), ("switch", "living", "root")),
        *(("switch", "root", "unstarted"), ("switch", "unstarted", "root")),
    ]


@clause("trace.refused")
def test_refused(impl: Any, log: Log, worker: Worker) -> None:
    """What is refused, for thread, run or arguments, is no event."""
    foreign = worker(impl.getcurrent)
    no_run = impl.greenlet()
    g = log.new("g", lambda: None)
    with log.tracing():
        found = [
            type(raised_by(call, *args))
            for call, args in (
                (foreign.switch, ()),
                (foreign.throw, (KeyError,)),
                (no_run.switch, ()),
                (g.throw, (None,)),
                (g.throw, (KeyError(), "value")),
                (g.throw, (KeyError, None, "traceback")),
            )
        ]
    assert found == [impl.error, impl.error, AttributeError, TypeError, TypeError, TypeError]
    assert log == []


@clause("trace.values")
@pytest.mark.parametrize("result", [False, True, 0, (), "instead"])
def test_values_whatever_it_returns(impl: Any, result: Any) -> None:
    """What it returns is ignored, be it true or false."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda *args: root.switch(args))
    impl.settrace(lambda event, args: result)
    try:
        assert g.switch(1, 2) == (1, 2)
        assert g.switch("end") == "end"
    finally:
        impl.settrace(None)


@clause("trace.every")
def test_every_false_callable(impl: Any) -> None:
    """A trace function that counts as false is one all the same."""
    calls: list[str] = []

    class Tracer:
        def __bool__(self) -> bool:
            return False

        def __call__(self, event: str, args: Any) -> None:
            calls.append(event)

    tracer = Tracer()
    impl.settrace(tracer)
    try:
        assert impl.gettrace() is tracer
        impl.greenlet(lambda: None).switch()
    finally:
        impl.settrace(None)
    assert calls == ["switch", "switch"]


@clause("trace.values")
def test_values(impl: Any, log: Log) -> None:
    """The result of the function is ignored, and what was sent arrives, even if it switches."""
    root = impl.getcurrent()

    def run(*args: Any, **kwargs: Any) -> Any:
        answer: Any = (args, kwargs)
        while True:
            answer = root.switch([answer])

    def tracer(event: str, args: Any) -> Any:
        if not busy:
            busy.append(True)
            busy.append(helper.switch("sent by the tracer", by="the tracer"))
            busy.clear()
        return "ignored"

    def helper_run(*args: Any, **kwargs: Any) -> Any:
        while True:
            impl.getcurrent().parent = back[-1]
            back[-1].switch("answer to the tracer")

    class Back(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            return origins[-1]

    origins: list[Any] = []
    back = Back()
    busy: list[Any] = []
    helper = impl.greenlet(helper_run)

    def remembering(event: str, args: Any) -> Any:
        if not busy:
            origins.append(args[1])
        return tracer(event, args)

    g = impl.greenlet(run)
    with log.tracing(remembering):
        got = [g.switch("first", k="v")]
        got += [g.switch(*args, **kwargs) for args, kwargs, _ in FORMS]
    first = [(("first",), {"k": "v"})]
    assert shape(got) == shape([first, *([received] for _, _, received in FORMS)])


# --- when it raises ----------------------------------------------------------------------


class Failing:
    """A trace function that raises at the event of this number, counted from one."""

    def __init__(self, log: Log, error: Any, at: int = 1) -> None:
        self.log, self.error, self.at = log, error, at

    def __call__(self, event: str, args: Any) -> None:
        self.log.tracer(event, args)
        self.at -= 1
        if not self.at:
            raise self.error


@clause("trace.error.removed")
def test_error_removed(impl: Any, log: Log) -> None:
    """After an exception the function is gone, already in the target."""
    root = impl.getcurrent()

    def run() -> None:
        raised_by(root.switch)
        log.append(impl.gettrace())
        root.switch()

    g = log.new("g", run)
    g.switch()
    with log.tracing(Failing(log, KeyError())):
        g.switch()
        log.append(impl.gettrace())
        g.switch()
    assert log == [("switch", "root", "g"), None, None]


@clause("trace.error.removed")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, "GreenletExit"])
def test_error_of_any_kind_removed(impl: Any, log: Log, kind: Any) -> None:
    """So it is after an exception that is no Exception, even a GreenletExit."""
    error = (getattr(impl, kind) if isinstance(kind, str) else kind)("from the tracer")
    root = impl.getcurrent()
    g = log.new("g", lambda: [raised_by(root.switch), impl.gettrace()])
    g.switch()
    with log.tracing(Failing(log, error)):
        assert g.switch() == [error, None]
    assert log == [("switch", "root", "g")]


@clause("trace.error.removed")
def test_error_removes_whichever_is_set(impl: Any, log: Log) -> None:
    """So is another one that it has set before it raised."""
    root = impl.getcurrent()
    error = KeyError("from the tracer")

    def tracer(event: str, args: Any) -> None:
        impl.settrace(lambda event, args: log.append("another is called"))
        raise error

    g = log.new("g", lambda: [raised_by(root.switch), impl.gettrace()])
    g.switch()
    with log.tracing(tracer):
        assert g.switch() == [error, None]
    assert log == []


@clause("trace.error.target")
def test_error_target(impl: Any, log: Log) -> None:
    """The exception is raised in the target's switch, and the value is lost."""
    root = impl.getcurrent()
    error = KeyError("from the tracer")

    def run() -> Any:
        log.append(raised_by(root.switch))
        log.append(root.switch("still alive"))
        return "ends"

    g = log.new("g", run)
    g.switch()
    with log.tracing(Failing(log, error)):
        assert g.switch("lost") == "still alive"
    assert log.take() == [("switch", "root", "g"), error]
    g.switch("value")
    assert log.take() == ["value"]
    g = log.new("g", root.switch)
    g.switch()
    with log.tracing(Failing(log, error)):
        assert raised_by(g.switch, "lost") is error
    assert states(g) == ["dead"]


@clause("trace.error.target")
def test_error_target_on_the_way_back(impl: Any, log: Log) -> None:
    """If the root is the target, its switch raises; the origin stays suspended."""
    root = impl.getcurrent()
    error = KeyError("from the tracer")
    g = log.new("g", lambda: log.append(root.switch("lost")))
    with log.tracing(Failing(log, error, at=2)):
        assert raised_by(g.switch) is error
    assert states(g) == ["active"]
    g.switch("value")
    assert log == [("switch", "root", "g"), ("switch", "g", "root"), "value"]


@clause("trace.error.start")
def test_error_start(impl: Any, log: Log) -> None:
    """At a start, run is not called and the exception goes to the parent."""
    root = impl.getcurrent()
    error = KeyError("from the tracer")

    def parent_run() -> str:
        log.append(("parent raised", raised_by(root.switch)))
        return "parent ends"

    parent = log.new("parent", parent_run)
    parent.switch()
    g = log.new("g", lambda *args: log.append("ran"), parent)
    with log.tracing(Failing(log, error)):
        assert g.switch("lost") == "parent ends"
    assert states(g, parent) == ["dead", "dead"]
    assert not hasattr(g, "run")
    assert log == [("switch", "root", "g"), ("parent raised", error)]


@clause("trace.error.end")
def test_error_end(impl: Any, log: Log) -> None:
    """At an end, the one that goes on raises it, instead of a result or another exception."""
    error = KeyError("from the tracer")
    ways: list[Any] = [None, ValueError("lost"), impl.GreenletExit("lost")]

    def ends(how: Any) -> str:
        if how is not None:
            raise how
        return "lost"

    for how in ways:
        g = log.new("g", ends)
        with log.tracing(Failing(log, error, at=2)):
            found = raised_by(g.switch, how)
        assert found is error
        assert states(g) == ["dead"]
        event = "throw" if isinstance(how, ValueError) else "switch"
        assert log.take() == [("switch", "root", "g"), (event, "g", "root")]


@clause("trace.error.throw")
def test_error_throw(impl: Any, log: Log) -> None:
    """At a throw, it takes the place of what was thrown, at living and dead targets."""
    root = impl.getcurrent()

    def run() -> None:
        log.append(raised_by(root.switch, "waits"))
        root.switch("goes on")

    suspended = log.new("suspended", run)
    suspended.switch()
    error = KeyError("from the tracer")
    with log.tracing(Failing(log, error)):
        assert suspended.throw(ValueError("replaced")) == "goes on"
    assert log.take() == [("throw", "root", "suspended"), error]
    assert error.__context__ is None
    dead = log.new("dead", lambda: None)
    dead.switch()
    unstarted = log.new("unstarted", lambda: log.append("ran"))
    for g, thrown in ((dead, ValueError), (dead, impl.GreenletExit), (unstarted, ValueError)):
        error = KeyError("from the tracer")
        with log.tracing(Failing(log, error)):
            assert raised_by(g.throw, thrown) is error
        log.take()
    assert states(unstarted) == ["dead"]


@clause("trace.error.self")
def test_error_self(impl: Any, log: Log) -> None:
    """At a switch to oneself, the switch raises."""
    error = KeyError("from the tracer")
    root = impl.getcurrent()
    with log.tracing(Failing(log, error)):
        assert raised_by(root.switch, "lost") is error
    g: Any = log.new("g", lambda: raised_by(g.switch, "lost"))
    with log.tracing(Failing(log, error, at=2)):
        assert g.switch() is error
    assert log == [("switch", "root", "root"), ("switch", "root", "g"), ("switch", "g", "g")]


@clause("trace.error.exit")
def test_error_exit(impl: Any, log: Log) -> None:
    """GreenletExit from the function: a value for the parent at a start, else raised."""
    root = impl.getcurrent()
    error = impl.GreenletExit("from the tracer")
    g = log.new("g", lambda: log.append("ran"))
    with log.tracing(Failing(log, error)):
        assert g.switch() is error
    assert states(g) == ["dead"]
    with log.tracing(Failing(log, error)):
        assert raised_by(root.switch) is error
    g = log.new("g", lambda: "lost")
    with log.tracing(Failing(log, error, at=2)):
        assert raised_by(g.switch) is error
    assert "ran" not in log


# --- what it may do ----------------------------------------------------------------------


@clause("trace.nested")
def test_nested(impl: Any, log: Log) -> None:
    """The function may switch; that is told to itself, and then the target goes on."""

    def tracer(event: str, args: Any) -> None:
        log.tracer(event, args)
        if "helper" not in map(log.name, args):
            helper = log.new("helper", lambda: "helped")
            log.append(helper.switch())
            log.append(("back in", log.name(impl.getcurrent())))

    g = log.new("g", lambda: log.append("g runs"))
    with log.tracing(tracer):
        g.switch()
    assert log == [
        *(("switch", "root", "g"), ("switch", "g", "helper"), ("switch", "helper", "g")),
        *("helped", ("back in", "g"), "g runs"),
        *(("switch", "g", "root"), ("switch", "root", "helper"), ("switch", "helper", "root")),
        *("helped", ("back in", "root")),
    ]


@clause("trace.change")
def test_change(impl: Any, log: Log) -> None:
    """The function may set another one, or none, for the next transfer."""

    def first(event: str, args: Any) -> None:
        log.append(("first", event))
        log.append(impl.settrace(second) is first)

    def second(event: str, args: Any) -> None:
        log.append(("second", event))
        impl.settrace(None)

    def failing(event: str, args: Any) -> None:
        impl.settrace(second)
        raise KeyError

    with log.tracing(first):
        impl.greenlet(lambda: log.append(impl.gettrace() is second)).switch()
        impl.greenlet(lambda: None).switch()
    assert log.take() == [("first", "switch"), True, True, ("second", "switch")]
    with log.tracing(failing):
        raised_by(impl.greenlet(lambda: None).switch)
        assert impl.gettrace() is None
    assert set(log) <= {("second", "throw")}


@clause("trace.handled")
def test_handled(impl: Any, log: Log) -> None:
    """sys.exc_info() in the function is that of the target."""
    root = impl.getcurrent()

    def tracer(event: str, args: Any) -> None:
        log.append((event, sys.exc_info()[0]))

    def run() -> None:
        try:
            raise OSError
        except OSError:
            raised_by(root.switch)
            root.switch()

    g = impl.greenlet(run)
    with log.tracing(tracer):
        try:
            raise IndexError
        except IndexError:
            g.switch()
        g.throw(KeyError)
    assert log == [
        *(("switch", None), ("switch", IndexError)),
        *(("throw", OSError), ("switch", None)),
    ]


# --- Python's own hooks ------------------------------------------------------------------


NAMES = ("body", "child", "leaf")


class Hook:
    """``sys.settrace``, ``sys.setprofile`` or ``sys.monitoring``, with calls and returns logged."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.log: list[str] = []

    def function(self, frame: Any, event: str, arg: Any) -> Any:
        here = frame.f_code.co_filename == __file__ and frame.f_code.co_name in NAMES
        if here and event in ("call", "return", "exception"):
            self.log.append(f"{event} {frame.f_code.co_name}")
        return self.function

    def monitor(self, event: str) -> Callable[..., None]:
        def called(code: Any, *args: Any) -> None:
            if code.co_filename == __file__ and code.co_name in NAMES:
                self.log.append(f"{event} {code.co_name}")

        return called

    def set(self) -> None:
        if self.kind != "monitoring":
            getattr(sys, f"set{self.kind}")(self.function)
            return
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        events = monitoring.events
        monitoring.use_tool_id(monitoring.PROFILER_ID, "conformance")
        for event, name in (
            (events.PY_START, "call"),
            (events.PY_RETURN, "return"),
            (events.PY_UNWIND, "return"),
        ):
            monitoring.register_callback(monitoring.PROFILER_ID, event, self.monitor(name))
        monitoring.set_events(
            monitoring.PROFILER_ID, events.PY_START | events.PY_RETURN | events.PY_UNWIND
        )

    def unset(self) -> None:
        if self.kind != "monitoring":
            getattr(sys, f"set{self.kind}")(None)
            return
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)

    def take(self) -> list[str]:
        taken, self.log = self.log, []
        return taken


HOOKS = ["trace", "profile", *(["monitoring"] if hasattr(sys, "monitoring") else [])]
LEAF = ["call leaf", "return leaf"]


def leaf() -> int:
    return 1


@clause("trace.python.thread")
@pytest.mark.parametrize("kind", HOOKS)
def test_python_thread(impl: Any, kind: str) -> None:
    """A hook sees the calls and returns of all greenlets, and nothing at a switch."""
    root = impl.getcurrent()
    hook = Hook(kind)

    def child() -> None:
        leaf()
        root.switch()
        leaf()

    def body() -> None:
        g = impl.greenlet(child)
        g.switch()
        leaf()
        g.switch()
        leaf()

    hook.set()
    body()
    hook.unset()
    assert hook.take() == [
        *("call body", "call child", *LEAF),
        *LEAF,
        *(*LEAF, "return child"),
        *(*LEAF, "return body"),
    ]


@clause("trace.python.thread")
@pytest.mark.parametrize("kind", HOOKS)
def test_python_thread_while_set(impl: Any, kind: str) -> None:
    """A hook sees what happens while it is set, in greenlets started before or under it."""
    root = impl.getcurrent()
    hook = Hook(kind)

    def child() -> None:
        leaf()
        root.switch()
        leaf()
        root.switch()

    g = impl.greenlet(child)
    hook.set()
    g.switch()
    hook.unset()
    assert hook.take() == ["call child", *LEAF]
    g.switch()
    assert hook.take() == []
    g = impl.greenlet(child)
    g.switch()
    hook.set()
    g.switch()
    hook.unset()
    assert hook.take() == LEAF


@clause("trace.python.inside")
@pytest.mark.parametrize("kind", HOOKS)
def test_python_inside(impl: Any, kind: str) -> None:
    """A hook that a greenlet sets holds for the others, until any of them takes it away."""
    root = impl.getcurrent()
    hook = Hook(kind)

    def setter() -> None:
        hook.set()
        leaf()
        root.switch()
        leaf()

    g = impl.greenlet(setter)
    g.switch()
    assert hook.take() == LEAF
    leaf()
    impl.greenlet(leaf).switch()
    assert hook.take() == LEAF * 2
    impl.greenlet(hook.unset).switch()
    hook.take()
    leaf()
    g.switch()
    assert hook.take() == []
    assert (sys.gettrace(), sys.getprofile()) == (None, None)


@clause("trace.python.throw")
def test_python_throw(impl: Any) -> None:
    """A thrown exception is an event in the frames where it passes, then their return."""
    root = impl.getcurrent()
    hook = Hook("trace")

    def child() -> None:
        try:
            root.switch()
        finally:
            leaf()

    def body() -> None:
        child()

    g = impl.greenlet(body)
    hook.set()
    g.switch()
    raised_by(g.throw, KeyError)
    hook.unset()
    assert hook.take() == [
        *("call body", "call child", "exception child", *LEAF, "return child"),
        *("exception body", "return body"),
    ]


@clause("trace.python.tracer")
@pytest.mark.parametrize("kind", ["trace", "profile"])
def test_python_tracer(impl: Any, kind: str) -> None:
    """A hook is told of what greenlets do, and not of what their trace function does."""
    root = impl.getcurrent()
    hook = Hook(kind)
    told: list[str] = []

    def body(event: str, args: Any) -> None:
        told.append(event)
        leaf()

    def child() -> None:
        leaf()
        root.switch()

    g = impl.greenlet(child)
    impl.settrace(body)
    hook.set()
    g.switch()
    raised_by(g.throw, KeyError)
    hook.unset()
    impl.settrace(None)
    assert told == ["switch", "switch", "throw", "throw"]
    thrown = ["exception child"] if kind == "trace" else []
    assert hook.take() == ["call child", *LEAF, *thrown, "return child"]


@clause("trace.python.switch")
@pytest.mark.parametrize("kind", ["trace", "profile"])
def test_python_switch(impl: Any, kind: str) -> None:
    """A hook may switch; nothing is told of what it switches to."""
    root = impl.getcurrent()
    log: list[Any] = []

    def other_run() -> None:
        number = 0
        while True:
            number += leaf()
            root.switch(number)

    other = impl.greenlet(other_run)
    other.switch()

    def function(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code is leaf.__code__ and event in ("call", "return"):
            log.append((event, other.switch()))
        return function

    set_hook = getattr(sys, f"set{kind}")
    set_hook(function)
    leaf()
    set_hook(None)
    assert log == [("call", 2), ("return", 3)]
    assert other.switch() == 4


@clause("trace.python.thread")
def test_python_thread_other(impl: Any) -> None:
    """A hook of one thread sees nothing of another thread's greenlets."""
    hook = Hook("profile")
    inside, leave = threading.Event(), threading.Event()

    def child() -> None:
        leaf()
        inside.set()
        leave.wait(STEP_SECONDS)
        leaf()

    thread = threading.Thread(target=lambda: impl.greenlet(child).switch())
    thread.start()
    assert inside.wait(STEP_SECONDS)
    hook.set()
    leave.set()
    thread.join(STEP_SECONDS)
    leaf()
    hook.unset()
    assert hook.take() == LEAF
