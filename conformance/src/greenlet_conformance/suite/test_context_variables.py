"""Chapter "Context variables"."""

from __future__ import annotations

import contextvars
import decimal
import gc
import threading
import weakref
from collections.abc import Iterator
from contextvars import Context, ContextVar
from typing import Any

import pytest

from greenlet_conformance.suite.support import (
    STEP_SECONDS,
    Worker,
    clause,
    eventually,
    raised_by,
    states,
)

VARIABLE: ContextVar[Any] = ContextVar("VARIABLE", default="default")


@pytest.fixture(autouse=True)
def _fresh(impl: Any) -> Iterator[None]:
    """Each test starts with the variable unset in the root."""
    token = VARIABLE.set("default")
    yield
    if impl.getcurrent().gr_context is not None:
        try:
            VARIABLE.reset(token)
        except ValueError:  # the test has left another context behind
            VARIABLE.set("default")


def context_with(value: Any) -> Context:
    """A context in which the variable has the value."""
    context = Context()
    context.run(VARIABLE.set, value)
    return context


def exchange(value: Any) -> Any:
    """Sets the variable and answers what it was."""
    old = VARIABLE.get()
    VARIABLE.set(value)
    return old


@clause("context.initial")
def test_initial(impl: Any) -> None:
    """A new greenlet sees the defaults, whatever maker, starter and parent have set."""
    VARIABLE.set("of the root")
    assert impl.greenlet(VARIABLE.get).switch() == "default"
    g = impl.greenlet(VARIABLE.get)
    VARIABLE.set("set later")

    def parent_run() -> Any:
        VARIABLE.set("of the parent")
        child = impl.greenlet(lambda: (VARIABLE.get(), list(contextvars.copy_context())))
        return child.switch(), g.switch()

    g.parent = parent = impl.greenlet(parent_run)
    assert parent.switch() == (("default", []), "default")
    assert VARIABLE.get() == "set later"


@clause("context.own")
def test_own(impl: Any) -> None:
    """What greenlets set is their own, in whatever order and depth they take turns."""
    root = impl.getcurrent()
    log: list[Any] = []

    def nested(depth: int, value: Any) -> Any:
        return nested(depth - 1, value) if depth else root.switch(value)

    def run(name: str) -> str:
        for number in range(3):
            VARIABLE.set((name, number))
            nested(number * 3, "waits")
            log.append(((name, number), VARIABLE.get()))
        return "ends"

    VARIABLE.set("of the root")
    greenlets = [impl.greenlet(run) for _ in range(4)]
    for i, g in enumerate(greenlets):
        g.switch(f"g{i}")
        log.append(("of the root", VARIABLE.get()))
    for i in (2, 0, 1, 3, 3, 1, 0, 2, 0, 3, 1, 2):
        greenlets[i].switch()
        log.append(("of the root", VARIABLE.get()))
    assert states(*greenlets) == ["dead"] * 4
    assert [entry for entry in log if entry[0] != entry[1]] == []
    assert len(log) == 4 + 12 + 12


@clause("context.own")
def test_own_among_siblings(impl: Any) -> None:
    """Greenlets that switch to each other directly keep their values too."""
    log: list[Any] = []
    greenlets: list[Any] = []
    other: ContextVar[int] = ContextVar("other")

    def run(number: int) -> None:
        VARIABLE.set(number)
        for turn in range(3):
            other.set(turn * 10 + number)
            greenlets[(number + 1) % 3].switch((number + 1) % 3)
            log.append((VARIABLE.get(), other.get()))

    greenlets += [impl.greenlet(run) for _ in range(3)]
    greenlets[0].switch(0)
    assert log == [
        *((number, number) for number in range(3)),
        *((number, 10 + number) for number in range(3)),
        (0, 20),
    ]
    assert VARIABLE.get() == "default"
    assert other.get(None) is None


@clause("context.own")
def test_own_many_variables(impl: Any) -> None:
    """Many variables, set in turn by many greenlets, do not mix."""
    root = impl.getcurrent()
    variables: list[ContextVar[Any]] = [ContextVar(f"v{i}") for i in range(50)]

    def run(name: str) -> list[Any]:
        for variable in variables:
            variable.set((name, variable.name))
            root.switch()
        return [variable.get() for variable in variables]

    greenlets = [impl.greenlet(run) for _ in range(10)]
    for i, g in enumerate(greenlets):
        g.switch(i)
    for _ in variables[1:]:
        for g in greenlets:
            g.switch()
    for i, g in enumerate(greenlets):
        assert g.switch() == [(i, variable.name) for variable in variables]
    assert [variable.get(None) for variable in variables] == [None] * 50


@clause("context.end")
def test_end(impl: Any) -> None:
    """Who goes on after an end sees its own variables, however the other one ended."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(how: Any) -> str:
        VARIABLE.set("of the child")
        if how is not None:
            raise how
        return "result"

    def parent_run() -> None:
        VARIABLE.set("of the parent")
        for how in (None, KeyError("x"), impl.GreenletExit()):
            child = impl.greenlet(run)
            raised_by(child.switch, how)
            log.append(VARIABLE.get())
        child = impl.greenlet(run)
        raised_by(child.throw, KeyError)
        log.append(VARIABLE.get())
        child = impl.greenlet(root.switch)
        child.gr_context = context_with("assigned")
        child.switch()
        raised_by(child.throw, KeyError)
        log.append(VARIABLE.get())

    VARIABLE.set("of the root")
    parent = impl.greenlet(parent_run)
    parent.switch()
    parent.switch()
    log.append(VARIABLE.get())
    assert log == ["of the parent"] * 5 + ["of the root"]


@clause("context.end")
def test_end_thrown_and_handled(impl: Any) -> None:
    """An exception is handled in the context of the greenlet that handles it."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> None:
        VARIABLE.set("of the child")
        try:
            root.switch()
        except KeyError:
            log.append(VARIABLE.get())
            raise

    VARIABLE.set("of the root")
    g = impl.greenlet(run)
    g.switch()
    try:
        g.throw(KeyError)
    except KeyError:
        log.append(VARIABLE.get())
    assert log == ["of the child", "of the root"]


@clause("context.end")
def test_end_in_unstarted_parent(impl: Any) -> None:
    """A parent that is started by the end of its child starts in its own context."""
    parent = impl.greenlet(lambda result: (result, VARIABLE.get()))
    child = impl.greenlet(lambda: exchange("of the child"), parent)
    assert child.switch() == ("default", "default")
    given = impl.greenlet(lambda result: (result, VARIABLE.get()))
    given.gr_context = context_with("assigned")
    child = impl.greenlet(lambda: exchange("of the child"), given)
    assert child.switch() == ("default", "assigned")


@clause("context.token")
def test_token(impl: Any) -> None:
    """Tokens work across switches, and in no other greenlet's context."""
    root = impl.getcurrent()

    def run() -> Any:
        VARIABLE.set("first")
        token = VARIABLE.set("second")
        root.switch(token)
        VARIABLE.reset(token)
        return VARIABLE.get()

    VARIABLE.set("of the root")
    g = impl.greenlet(run)
    token = g.switch()
    assert type(raised_by(VARIABLE.reset, token)) is ValueError
    assert type(impl.greenlet(raised_by).switch(VARIABLE.reset, token)) is ValueError
    assert VARIABLE.get() == "of the root"
    assert g.switch() == "first"


@clause("context.decimal")
def test_decimal(impl: Any) -> None:
    """decimal's precision belongs to the greenlet."""
    root = impl.getcurrent()
    third = decimal.Decimal(1)

    def run(precision: int) -> Any:
        decimal.getcontext().prec = precision
        root.switch()
        with decimal.localcontext() as local:
            local.prec += 1
            root.switch(str(third / 3))
        return str(third / 3)

    with decimal.localcontext() as local:
        local.prec = 7
        greenlets = [impl.greenlet(run) for _ in range(2)]
        for g, precision in zip(greenlets, (2, 4)):
            g.switch(precision)
        assert [g.switch() for g in greenlets] == ["0.333", "0.33333"]
        assert [g.switch() for g in greenlets] == ["0.33", "0.3333"]
        assert str(third / 3) == "0.3333333"


# --- gr_context --------------------------------------------------------------------------


@clause("context.attribute")
def test_attribute(impl: Any) -> None:
    """gr_context is None at first, then the very context that the greenlet goes on with."""
    root = impl.getcurrent()
    contexts: list[Any] = []

    def run() -> str:
        me = impl.getcurrent()
        contexts.append(me.gr_context)
        root.switch()
        contexts.append(me.gr_context)
        VARIABLE.set("value")
        contexts.append(me.gr_context)
        root.switch()
        VARIABLE.set("other")
        contexts.append(me.gr_context)
        return "ends"

    g = impl.greenlet(run)
    assert g.gr_context is None
    g.switch()
    assert g.gr_context is None
    g.switch()
    context: Any = g.gr_context
    assert type(context) is Context
    assert dict(context) == {VARIABLE: "value"}
    assert g.switch() == "ends"
    assert contexts == [None, None, context, context]
    assert contexts[2] is context
    assert contexts[3] is context
    assert context[VARIABLE] == "other"


@clause("context.root")
def test_root(impl: Any, worker: Worker) -> None:
    """The root's gr_context is the context of its thread."""
    root = impl.getcurrent()
    VARIABLE.set("of the root")
    context = root.gr_context
    assert context[VARIABLE] == "of the root"
    assert impl.greenlet(lambda: root.gr_context).switch() is context
    VARIABLE.set("changed")
    assert context[VARIABLE] == "changed"
    root.gr_context = other = context_with("exchanged")
    assert VARIABLE.get() == "exchanged"
    root.gr_context = context
    assert VARIABLE.get() == "changed"
    assert other[VARIABLE] == "exchanged"

    def elsewhere() -> Any:
        inside = context_with("in the thread")
        return inside.run(lambda: impl.getcurrent().gr_context is inside)

    assert worker(elsewhere) is True


@clause("context.assign")
def test_assign(impl: Any) -> None:
    """A greenlet runs in the very context that was assigned before its start."""
    context = context_with("assigned")
    g = impl.greenlet(exchange)
    g.gr_context = context
    assert g.gr_context is context
    assert g.switch("set inside") == "assigned"
    assert context[VARIABLE] == "set inside"
    assert VARIABLE.get() == "default"


@clause("context.assign.suspended")
def test_assign_suspended(impl: Any) -> None:
    """A suspended greenlet goes on in the context that was assigned meanwhile."""
    root = impl.getcurrent()

    def run() -> Any:
        VARIABLE.set("own")
        root.switch()
        first = exchange("set inside")
        root.switch(first)
        return VARIABLE.get()

    g = impl.greenlet(run)
    g.switch()
    own = g.gr_context
    context = context_with("assigned")
    g.gr_context = context
    assert g.gr_context is context
    assert g.switch() == "assigned"
    assert context[VARIABLE] == "set inside"
    assert own[VARIABLE] == "own"
    g.gr_context = own
    assert g.switch() == "own"


@clause("context.assign.current")
def test_assign_current(impl: Any) -> None:
    """The current greenlet's context is exchanged at once; no old value is remembered."""

    def run() -> Any:
        me = impl.getcurrent()
        VARIABLE.set("own")
        own = me.gr_context
        seen = [VARIABLE.get()]
        first, second = context_with("first"), context_with("second")
        for context in (first, second, own, first):
            me.gr_context = context
            seen.append(VARIABLE.get())
        VARIABLE.set("set inside")
        return seen, first[VARIABLE], second[VARIABLE], own[VARIABLE]

    seen = ["own", "first", "second", "own", "first"]
    assert impl.greenlet(run).switch() == (seen, "set inside", "second", "own")


@clause("context.assign.none")
def test_assign_none(impl: Any) -> None:
    """None is an empty context: before the start, suspended and current."""
    root = impl.getcurrent()

    def run() -> Any:
        VARIABLE.set("own")
        root.switch()
        seen = [VARIABLE.get()]
        VARIABLE.set("own again")
        impl.getcurrent().gr_context = None
        seen.append(VARIABLE.get())
        return seen

    g = impl.greenlet(run)
    g.gr_context = context_with("assigned")
    g.gr_context = None
    assert g.gr_context is None
    g.switch()
    own: Any = g.gr_context
    g.gr_context = None
    assert g.gr_context is None
    assert g.switch() == ["default", "default"]
    assert own[VARIABLE] == "own"


@clause("context.assign.dead")
def test_assign_dead(impl: Any) -> None:
    """A dead greenlet's context is its last one, and can be assigned."""
    g = impl.greenlet(exchange)
    g.switch("value")
    assert states(g) == ["dead"]
    assert g.gr_context[VARIABLE] == "value"
    for context in (Context(), None):
        g.gr_context = context
        assert g.gr_context is context
    untouched = impl.greenlet(lambda: None)
    untouched.switch()
    assert untouched.gr_context is None


def in_each_state(impl: Any) -> list[Any]:
    """An unstarted, a suspended and a dead greenlet that has an own context, and the root."""
    root = impl.getcurrent()
    greenlets = [impl.greenlet(lambda: root.switch()) for _ in range(3)]
    for i, g in enumerate(greenlets):
        g.gr_context = context_with(i)
        for _ in range(i):
            g.switch()
    assert states(*greenlets) == ["unstarted", "active", "dead"]
    return [*greenlets, root]


@clause("context.assign.type")
def test_assign_type(impl: Any) -> None:
    """Anything but a context or None is refused by TypeError, and changes nothing."""
    for g in in_each_state(impl):
        before = g.gr_context
        for wrong in ("context", 1, {}, object(), VARIABLE, Context):
            with pytest.raises(TypeError):
                g.gr_context = wrong
        assert g.gr_context is before


@clause("context.assign.deleted")
def test_assign_deleted(impl: Any) -> None:
    """Deleting gr_context raises AttributeError and changes nothing."""
    for g in in_each_state(impl):
        before = g.gr_context
        with pytest.raises(AttributeError):
            del g.gr_context
        assert g.gr_context is before


@clause("context.share")
def test_share(impl: Any) -> None:
    """Greenlets in the same context see what the others set, at once."""
    root = impl.getcurrent()
    log: list[Any] = []
    context = context_with("assigned")

    def run(name: str) -> None:
        for number in range(2):
            log.append((name, exchange((name, number))))
            root.switch()

    greenlets = [impl.greenlet(run) for _ in range(2)]
    for g in greenlets:
        g.gr_context = context
    for _ in range(2):
        for g, name in zip(greenlets, "ab"):
            g.switch(name)
    assert log == [("a", "assigned"), ("b", ("a", 0)), ("a", ("b", 0)), ("b", ("a", 1))]
    assert context[VARIABLE] == ("b", 1)
    assert VARIABLE.get() == "default"


@clause("context.share")
def test_share_the_current(impl: Any) -> None:
    """A greenlet may share the context of the one that made it."""
    g = impl.greenlet(exchange)
    VARIABLE.set("of the root")
    g.gr_context = impl.getcurrent().gr_context
    assert g.switch("of the child") == "of the root"
    assert VARIABLE.get() == "of the child"


@clause("context.share")
def test_share_entered(impl: Any) -> None:
    """A context that one greenlet has entered by run can be assigned to another one."""
    root = impl.getcurrent()
    context = context_with("entered")
    inside = impl.greenlet(lambda: context.run(root.switch))
    inside.switch()
    g = impl.greenlet(exchange)
    g.gr_context = context
    assert g.switch("shared") == "entered"
    assert context[VARIABLE] == "shared"
    assert inside.switch("leave") == "leave"


@clause("context.copy")
def test_copy(impl: Any) -> None:
    """A copy of the current context shows what was set at that time, and no more."""
    root = impl.getcurrent()

    def run() -> Any:
        first = exchange("of the child")
        root.switch()
        return first, VARIABLE.get()

    VARIABLE.set("before")
    g = impl.greenlet(run)
    g.gr_context = contextvars.copy_context()
    VARIABLE.set("after")
    g.switch()
    assert VARIABLE.get() == "after"
    assert g.switch() == ("before", "of the child")


# --- Context.run -------------------------------------------------------------------------


@clause("context.run.follows")
def test_run_follows(impl: Any) -> None:
    """gr_context is the context of run while inside of it, and what it was afterwards."""
    root = impl.getcurrent()
    outer, inner = context_with("outer"), context_with("inner")

    def in_inner() -> Any:
        root.switch(impl.getcurrent().gr_context is inner)
        return VARIABLE.get()

    def in_outer() -> Any:
        found = [inner.run(in_inner), VARIABLE.get()]
        root.switch(impl.getcurrent().gr_context is outer)
        return found

    def run() -> Any:
        VARIABLE.set("own")
        found = outer.run(in_outer)
        return [*found, VARIABLE.get(), impl.getcurrent().gr_context]

    g = impl.greenlet(run)
    assert g.switch() is True
    assert g.gr_context is inner
    assert VARIABLE.get() == "default"
    assert impl.greenlet(VARIABLE.get).switch() == "default"
    assert g.switch() is True
    assert g.gr_context is outer
    found = g.switch()
    assert found[:3] == ["inner", "outer", "own"]
    assert found[3][VARIABLE] == "own"


@clause("context.run.as-run")
def test_run_as_run(impl: Any) -> None:
    """greenlet(ctx.run) runs the function that it is started with in ctx."""
    context = context_with("inside")
    g = impl.greenlet(context.run)
    assert g.switch(exchange, "changed") == "inside"
    assert context[VARIABLE] == "changed"
    assert VARIABLE.get() == "default"


@clause("context.run.entered")
def test_run_entered(impl: Any) -> None:
    """A context is entered once at a time, until its greenlet ends or is killed."""
    root = impl.getcurrent()
    context = context_with("inside")

    def enter() -> Any:
        return context.run(root.switch, "entered")

    def attempts() -> list[Any]:
        attempt = [raised_by(context.run, VARIABLE.get) for _ in range(2)]
        return [type(error) for error in (*attempt, impl.greenlet(raised_by).switch(enter))]

    g = impl.greenlet(enter)
    assert g.switch() == "entered"
    assert attempts() == [RuntimeError] * 3
    assert g.switch("leave") == "leave"
    assert context.run(VARIABLE.get) == "inside"
    g = impl.greenlet(enter)
    g.switch()
    assert attempts() == [RuntimeError] * 3
    raised_by(g.throw, KeyError)
    assert context.run(VARIABLE.get) == "inside"
    g = impl.greenlet(enter)
    g.switch()
    del g
    assert context.run(VARIABLE.get) == "inside"


@clause("context.run.mismatch")
def test_run_mismatch(impl: Any) -> None:
    """Leaving run in another context raises RuntimeError."""

    def change() -> None:
        impl.getcurrent().gr_context = Context()

    assert type(impl.greenlet(raised_by).switch(Context().run, change)) is RuntimeError
    root = impl.getcurrent()
    g = impl.greenlet(lambda: raised_by(Context().run, root.switch))
    g.switch()
    g.gr_context = Context()
    assert type(g.switch()) is RuntimeError


# --- elsewhere ---------------------------------------------------------------------------


@clause("context.thread.running")
def test_thread_running(impl: Any, worker: Worker) -> None:
    """A greenlet that runs in another thread does not tell or take a context."""
    inside, leave = threading.Event(), threading.Event()
    running: list[Any] = []

    def run() -> Any:
        VARIABLE.set("own")
        running.append(impl.getcurrent())
        inside.set()
        leave.wait(STEP_SECONDS)
        return VARIABLE.get()

    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(worker(lambda: impl.greenlet(run).switch()))
    )
    thread.start()
    assert inside.wait(STEP_SECONDS)
    with pytest.raises(ValueError, match=r"."):
        _ = running[0].gr_context
    for value in (None, Context()):
        with pytest.raises(ValueError, match=r"."):
            running[0].gr_context = value
    leave.set()
    thread.join(STEP_SECONDS)
    assert results == ["own"]
    assert running[0].gr_context[VARIABLE] == "own"


@clause("context.thread.running")
def test_thread_exited(impl: Any, worker: Worker) -> None:
    """The root of a thread that has exited does not count as running."""
    root = worker(impl.getcurrent)
    worker.exit()
    assert eventually(lambda: root.dead)
    assert raised_by(lambda: root.gr_context) is None


@clause("context.thread.suspended")
def test_thread_suspended(impl: Any, worker: Worker) -> None:
    """Greenlets of another thread that do not run there can be given a context."""

    def build() -> list[Any]:
        root = impl.getcurrent()
        greenlets = [impl.greenlet(lambda: (root.switch(), VARIABLE.get())[1]) for _ in range(2)]
        unstarted = impl.greenlet(VARIABLE.get)
        dead = impl.greenlet(exchange)
        dead.switch("of the dead")
        for g in greenlets:
            g.gr_context = context_with("own")
            g.switch()
        return [*greenlets, unstarted, dead]

    greenlets = worker(build)
    kept, changed, unstarted, dead = greenlets
    assert kept.gr_context[VARIABLE] == "own"
    assert unstarted.gr_context is None
    assert dead.gr_context[VARIABLE] == "of the dead"
    changed.gr_context = context_with("changed")
    unstarted.gr_context = context_with("given")
    dead.gr_context = None
    found = [worker(g.switch) for g in (kept, changed, unstarted)]
    assert found == ["own", "changed", "given"]
    assert worker(VARIABLE.get) == "default"


@clause("context.trace")
def test_trace(impl: Any) -> None:
    """The trace function reads and sets the variables of the target."""
    root = impl.getcurrent()
    log: list[Any] = []

    def tracer(event: str, args: Any) -> None:
        log.append((event, VARIABLE.get()))
        if VARIABLE.get() == "to be changed":
            VARIABLE.set("changed by the tracer")

    def run() -> Any:
        VARIABLE.set("of the child")
        root.switch()
        VARIABLE.set("to be changed")
        root.switch()
        return VARIABLE.get()

    VARIABLE.set("of the root")
    g = impl.greenlet(run)
    given = impl.greenlet(lambda: None)
    given.gr_context = context_with("given")
    impl.settrace(tracer)
    g.switch()
    g.switch()
    result = g.switch()
    given.switch()
    raised_by(impl.greenlet(lambda: None).throw, KeyError)
    impl.settrace(None)
    assert result == "changed by the tracer"
    assert log == [
        *(("switch", "default"), ("switch", "of the root")),
        *(("switch", "of the child"), ("switch", "of the root")),
        *(("switch", "to be changed"), ("switch", "of the root")),
        *(("switch", "given"), ("switch", "of the root")),
        *(("throw", "default"), ("throw", "of the root")),
    ]


@clause("context.released")
def test_released(impl: Any) -> None:
    """A context is freed with its greenlet, finished, killed or never started."""
    root = impl.getcurrent()

    class Value:
        pass

    references: list[Any] = []

    def run(stops: bool) -> None:
        value = Value()
        references.append(weakref.ref(value))
        VARIABLE.set(value)
        if stops:
            root.switch()

    finished, suspended, unstarted = (impl.greenlet(run) for _ in range(3))
    finished.switch(False)
    suspended.switch(True)
    value = Value()
    references.append(weakref.ref(value))
    unstarted.gr_context = context_with(value)
    del value
    assert all(reference() is not None for reference in references)
    kept = suspended.gr_context
    del finished, suspended, unstarted
    gc.collect()
    assert [reference() is None for reference in references] == [True, False, True]
    del kept
    gc.collect()
    assert references[1]() is None
