"""Chapter "Throw"."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

import pytest

from greenlet_conformance.suite.support import clause, functions, raised_by, shape, states

#: Catchers outlive their tests: they would survive the GreenletExit of their collection.
KEPT: list[Any] = []


def catcher(impl: Any) -> Any:
    """A suspended child of the current greenlet that sends back each exception it catches."""
    parent = impl.getcurrent()

    def run() -> None:
        answer: Any = "ready"
        while True:
            try:
                answer = ("value", parent.switch(answer))
            except BaseException as error:
                answer = ["caught", error]

    g = impl.greenlet(run)
    KEPT.append(g)
    assert g.switch() == "ready"
    return g


def caught(g: Any, *args: Any) -> Any:
    """The exception that the catcher ``g`` catches from ``throw(*args)``."""
    word, error = g.throw(*args)
    assert word == "caught"
    return error


def a_traceback() -> TracebackType:
    """A traceback that ends in the function ``far_away``."""

    def far_away() -> None:
        raise OSError

    error = raised_by(far_away)
    assert error is not None
    assert error.__traceback__ is not None
    return error.__traceback__


@clause("throw.suspended")
def test_suspended(impl: Any) -> None:
    """The exception is raised where the target is suspended, which can catch it and go on."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> str:
        for place in ("first", "second"):
            try:
                log.append((place, "got", root.switch(place)))
            except KeyError as error:
                log.append((place, "raised", error.args))
            log.append((place, "passed"))
        return "end"

    g = impl.greenlet(run)
    assert g.switch() == "first"
    assert g.throw(KeyError("one")) == "second"
    assert states(g) == ["active"]
    assert g.throw(KeyError("two")) == "end"
    assert log == [
        ("first", "raised", ("one",)),
        ("first", "passed"),
        ("second", "raised", ("two",)),
        ("second", "passed"),
    ]


@clause("throw.suspended")
def test_switch_and_throw_in_turn(impl: Any) -> None:
    """Values and exceptions can follow each other in any order, each arriving once."""
    g = catcher(impl)
    error = KeyError()
    assert g.switch("a") == ("value", "a")
    assert caught(g, error) is error
    assert g.switch() == ("value", ())
    assert caught(g, error) is error
    assert caught(g, error) is error
    assert shape(g.switch("a", k="b")) == shape(("value", (("a",), {"k": "b"})))


@clause("throw.suspended")
def test_at_ones_own_parent(impl: Any) -> None:
    """A greenlet can throw at its parent, which may die of it; the thrower stays suspended."""
    log: list[Any] = []
    error = KeyError("upwards")

    def child_run() -> str:
        log.append(("child got", parent.throw(error)))
        return "child ends"

    def parent_run() -> None:
        children.append(impl.greenlet(child_run))
        try:
            children[0].switch()
        finally:
            log.append("parent cleans up")

    children: list[Any] = []
    parent = impl.greenlet(parent_run)
    assert raised_by(parent.switch) is error
    assert states(parent, children[0]) == ["dead", "active"]
    assert children[0].switch("resumed") == "child ends"
    assert log == ["parent cleans up", ("child got", "resumed")]


@clause("throw.returns")
def test_returns(impl: Any) -> None:
    """throw returns what is sent to the thrower afterwards, in the forms of a switch."""
    root = impl.getcurrent()
    sent = [((), {}), (("x",), {}), (("x", "y"), {}), ((), {"k": 1}), (("x",), {"k": 1})]
    expected = [(), "x", ("x", "y"), {"k": 1}, (("x",), {"k": 1})]

    def answer() -> str:
        for args, kwargs in sent:
            try:
                root.switch("ready")
            except KeyError:
                root.switch(*args, **kwargs)
        return "end"

    g = impl.greenlet(answer)
    answers = []
    for _ in sent:
        assert g.switch() == "ready"
        answers.append(shape(g.throw(KeyError)))
    assert answers == [shape(value) for value in expected]


@clause("throw.returns")
def test_thrower_is_thrown_at(impl: Any) -> None:
    """A thrower suspended in throw() gets an exception there, or a value from a third one."""
    root = impl.getcurrent()
    log: list[Any] = []
    target = catcher(impl)

    def thrower() -> str:
        try:
            target.throw(KeyError)
        except ValueError as error:
            log.append(("thrown back", error.args))
        log.append(("returned", target.throw(KeyError)))
        return "end"

    g = impl.greenlet(thrower)
    assert g.switch()[0] == "caught"
    assert g.throw(ValueError("back"))[0] == "caught"
    third = impl.greenlet(lambda: g.switch("from a third"))
    assert third.switch() == "end"
    assert log == [("thrown back", ("back",)), ("returned", "from a third")]
    assert impl.getcurrent() is root


@clause("throw.immediate")
def test_immediate(impl: Any) -> None:
    """throw takes effect at once: the target handles the exception first."""
    root = impl.getcurrent()
    log: list[str] = []

    def run() -> None:
        try:
            root.switch()
        except KeyError:
            log.append("target handles")
            root.switch()
            log.append("target goes on")

    g = impl.greenlet(run)
    g.switch()
    log.append("before the throw")
    g.throw(KeyError)
    log.append("after the throw")
    g.switch()
    log.append("at the end")
    assert log == [
        "before the throw",
        "target handles",
        "after the throw",
        "target goes on",
        "at the end",
    ]


@clause("throw.uncaught")
def test_uncaught(impl: Any) -> None:
    """What the target does not catch goes to its parent, not to the thrower."""
    root = impl.getcurrent()
    log: list[Any] = []
    error = KeyError("thrown")

    def parent_run() -> str:
        child = impl.greenlet(lambda: root.switch("child waits"))
        children.append(child)
        log.append(("parent raised", raised_by(child.switch)))
        return "parent ends"

    def thrower_run() -> str:
        log.append(("thrower got", children[0].throw(error)))
        return "thrower ends"

    children: list[Any] = []
    parent, thrower = impl.greenlet(parent_run), impl.greenlet(thrower_run)
    assert parent.switch() == "child waits"
    assert thrower.switch() == "parent ends"
    assert log == [("parent raised", error)]
    assert log[0][1] is error
    assert states(children[0], parent, thrower) == ["dead", "dead", "active"]
    assert thrower.switch("resumed") == "thrower ends"
    assert log[1:] == [("thrower got", "resumed")]


@clause("throw.uncaught")
def test_uncaught_by_a_child(impl: Any) -> None:
    """If the thrower is the parent, throw itself raises the very exception."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda: root.switch())
    g.switch()
    error = KeyError("thrown")
    assert raised_by(g.throw, error) is error
    assert states(g) == ["dead"]


@clause("throw.finally")
def test_finally(impl: Any) -> None:
    """The target cleans up before its parent goes on."""
    root = impl.getcurrent()
    log: list[str] = []

    @contextmanager
    def block() -> Iterator[None]:
        try:
            yield
        finally:
            log.append("exit")

    def inner() -> None:
        try:
            root.switch()
            log.append("not reached")
        finally:
            log.append("inner finally")

    def run() -> None:
        with block():
            try:
                inner()
                log.append("not reached")
            finally:
                log.append("outer finally")

    for error in (KeyError("thrown"), impl.GreenletExit("thrown")):
        g = impl.greenlet(run)
        g.switch()
        raised = raised_by(lambda: log.append(repr(g.throw(error))))
        log.append(f"{type(raised).__name__} in the root")
    assert log == [
        "inner finally",
        "outer finally",
        "exit",
        "KeyError in the root",
        "inner finally",
        "outer finally",
        "exit",
        "GreenletExit('thrown')",
        "NoneType in the root",
    ]


@clause("throw.finally")
def test_finally_that_switches(impl: Any) -> None:
    """A finally block may switch; the exception waits in the target until it is resumed."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> None:
        try:
            root.switch("ready")
        finally:
            log.append(("in finally", root.switch("cleaning up")))

    error = KeyError("thrown")
    g = impl.greenlet(run)
    assert g.switch() == "ready"
    assert g.throw(error) == "cleaning up"
    assert states(g) == ["active"]
    assert impl.greenlet(lambda: "others run").switch() == "others run"
    assert raised_by(g.switch, "go on") is error
    assert log == [("in finally", "go on")]
    assert states(g) == ["dead"]


@clause("throw.self")
def test_self(impl: Any) -> None:
    """The current greenlet can throw at itself: raised right there, GreenletExit too."""
    error = KeyError("thrown")

    def check() -> list[Any]:
        me = impl.getcurrent()
        errors = [
            raised_by(me.throw, error),
            raised_by(me.throw, ValueError, "made"),
            raised_by(me.throw),
            raised_by(me.throw, impl.GreenletExit("exit")),
        ]
        return [*errors, states(me), impl.getcurrent() is me]

    for found in (check(), impl.greenlet(check).switch()):
        assert found[0] is error
        assert [type(e) for e in found[1:4]] == [ValueError, impl.GreenletExit, impl.GreenletExit]
        assert [e.args for e in found[1:4]] == [("made",), (), ("exit",)]
        assert found[4:] == [["active"], True]


@clause("throw.self")
def test_self_uncaught(impl: Any) -> None:
    """Uncaught, what a greenlet throws at itself ends it like any exception."""
    parent_got = impl.greenlet(lambda: impl.getcurrent().throw(impl.GreenletExit, "left")).switch()
    assert (type(parent_got), parent_got.args) == (impl.GreenletExit, ("left",))
    g = impl.greenlet(lambda: impl.getcurrent().throw(KeyError))
    assert type(raised_by(g.switch)) is KeyError
    assert states(g) == ["dead"]


@clause("throw.root")
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_root(impl: Any, depth: int) -> None:
    """An exception can be thrown at the root from any depth; the thrower can be resumed."""
    root = impl.getcurrent()
    log: list[Any] = []
    chain: list[Any] = []
    error = KeyError("for the root")

    def run(level: int) -> str:
        chain.append(impl.getcurrent())
        if level:
            log.append((level, impl.greenlet(run).switch(level - 1)))
        else:
            log.append((level, root.throw(error)))
        return f"end {level}"

    assert raised_by(impl.greenlet(run).switch, depth) is error
    assert states(*chain) == ["active"] * (depth + 1)
    assert impl.getcurrent() is root
    assert chain[-1].switch("resumed") == f"end {depth}"
    assert log == [(0, "resumed"), *((n + 1, f"end {n}") for n in range(depth))]


@clause("throw.root")
def test_exit_at_the_root(impl: Any) -> None:
    """GreenletExit thrown at the root, which lives, is raised there too."""
    root = impl.getcurrent()
    error = impl.GreenletExit("for the root")
    g = impl.greenlet(lambda: root.throw(error))
    assert raised_by(g.switch) is error
    assert states(g, root) == ["active", "active"]
    assert g.switch("resumed") == "resumed"


@clause("throw.instance")
def test_instance(impl: Any) -> None:
    """An instance is raised as itself."""
    g = catcher(impl)
    for error in (KeyError("x"), impl.GreenletExit("x"), KeyboardInterrupt(), StopIteration(1)):
        assert caught(g, error) is error
        assert caught(g, error, None) is error
        assert caught(g, error, None, None) is error
        assert raised_by(impl.greenlet(lambda: None).throw, error) in (error, None)


@clause("throw.class")
def test_class(impl: Any) -> None:
    """A class is instantiated, without arguments."""
    g = catcher(impl)
    for kind in (KeyError, ValueError, impl.GreenletExit, KeyboardInterrupt):
        for args in ((kind,), (kind, None), (kind, None, None)):
            error = caught(g, *args)
            assert type(error) is kind
            assert error.args == ()


class Pair(NamedTuple):
    """A tuple of another type."""

    one: int
    two: int


@clause("throw.value")
def test_value(impl: Any) -> None:
    """A value becomes the argument, a tuple the arguments, an instance the exception."""
    g = catcher(impl)
    for value, args in (("x", ("x",)), ((1, 2), (1, 2)), ((), ()), ([1], ([1],)), (0, (0,))):
        error = caught(g, ValueError, value)
        assert type(error) is ValueError
        assert error.args == args
    pair = Pair(1, 2)  # a tuple, too
    assert caught(g, ValueError, pair).args == (1, 2)
    instance, sub = LookupError("mine"), KeyError("sub")
    assert caught(g, LookupError, instance) is instance
    assert caught(g, LookupError, sub) is sub
    assert caught(g, Exception, sub, None) is sub


def by_state(impl: Any) -> dict[str, Any]:
    """Targets of each state; what is thrown at the unstarted and the dead arrives in a catcher."""
    unstarted, dead = (impl.greenlet(lambda: "ran", catcher(impl)) for _ in range(2))
    dead.throw()
    assert states(unstarted, dead) == ["unstarted", "dead"]
    return {"suspended": catcher(impl), "unstarted": unstarted, "dead": dead}


STATES = pytest.mark.parametrize("state", ["suspended", "unstarted", "dead"])


@clause("throw.value")
@STATES
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, "GreenletExit"])
def test_value_in_each_state(impl: Any, state: str, kind: Any) -> None:
    """The exception is made alike for the suspended, the unstarted and the dead."""
    exits = isinstance(kind, str)
    kind = impl.GreenletExit if exits else kind
    for value, args in (("x", ("x",)), ((1, 2), (1, 2)), ((), ()), (None, ()), ([1], ([1],))):
        word, error = by_state(impl)[state].throw(kind, value)
        assert word == ("value" if exits and state != "suspended" else "caught")
        assert (type(error), error.args) == (kind, args)
    instance = kind("mine")
    assert by_state(impl)[state].throw(kind, instance)[1] is instance


@clause("throw.value-foreign-instance")
def test_value_foreign_instance(impl: Any) -> None:
    """An instance of another class is an argument."""
    g = catcher(impl)
    foreign = ValueError("foreign")
    error = caught(g, KeyError, foreign)
    assert type(error) is KeyError
    assert len(error.args) == 1
    assert error.args[0] is foreign
    base = LookupError("of the base class")
    error = caught(g, KeyError, base)
    assert type(error) is KeyError
    assert error.args[0] is base


@clause("throw.constructor-error")
def test_constructor_error(impl: Any) -> None:
    """An exception that cannot be made is replaced by its error, raised in the target."""
    failure = ZeroDivisionError("in the constructor")

    class Bad(Exception):
        def __init__(self, *args: Any) -> None:
            raise failure

    class Picky(Exception):
        def __init__(self, one: Any, two: Any) -> None:
            super().__init__(one, two)

    class Interrupted(Exception):
        def __init__(self, *args: Any) -> None:
            raise interrupt

    interrupt = KeyboardInterrupt("in the constructor")
    g = catcher(impl)
    assert caught(g, Bad) is failure
    assert caught(g, Bad, "x") is failure
    assert caught(g, Interrupted) is interrupt
    assert type(caught(g, Picky, "only one")) is TypeError
    assert caught(g, Picky, ("one", "two")).args == ("one", "two")


@clause("throw.constructor-error")
@STATES
@pytest.mark.parametrize("given", ["class", "value", "traceback"])
def test_constructor_result_in_each_state(impl: Any, state: str, given: str) -> None:
    """A class that makes something else than exceptions raises TypeError where one would be."""

    class Odd(Exception):
        def __new__(cls, *args: Any) -> Any:
            return 5

    target = by_state(impl)[state]
    more = {"class": (), "value": ("x",), "traceback": ("x", a_traceback())}[given]
    assert type(caught(target, Odd, *more)) is TypeError
    assert states(target) == ["active" if state == "suspended" else "dead"]


@clause("throw.constructor-error")
@STATES
def test_constructor_error_in_each_state(impl: Any, state: str) -> None:
    """It arrives where the exception would have, be the target suspended, unstarted or dead."""
    failure = ZeroDivisionError("in the constructor")

    class Bad(Exception):
        def __init__(self, *args: Any) -> None:
            raise failure

    target = by_state(impl)[state]
    assert caught(target, Bad) is failure
    assert states(target) == ["active" if state == "suspended" else "dead"]


@clause("throw.traceback")
@STATES
def test_traceback_in_each_state(impl: Any, state: str) -> None:
    """The given traceback is part of that of the exception, wherever that arrives."""
    error = caught(by_state(impl)[state], ValueError, "x", a_traceback())
    assert functions(error)[-1] == "far_away"


@clause("throw.check.untouched")
@STATES
def test_keywords_leave_each_state(impl: Any, state: str) -> None:
    """throw() has no keywords; who is thrown at is as before."""
    target = by_state(impl)[state]
    before = states(target)
    for keywords in ({"typ": 1}, {"type": KeyError}, {"value": "x"}, {"unknown": None}):
        with pytest.raises(TypeError):
            target.throw(KeyError, **keywords)
        assert states(target) == before
    assert type(caught(target, KeyError)) is KeyError


@clause("throw.traceback")
def test_traceback(impl: Any) -> None:
    """The traceback of the exception that arrives ends in the frames of the given one."""
    g = catcher(impl)
    for args in ((KeyError("x"), None), (KeyError, "x"), (KeyError, KeyError("x"))):
        error = caught(g, *args, a_traceback())
        assert functions(error) == ["run", "raised_by", "far_away"]
    error = raised_by(impl.greenlet(lambda: None).throw, KeyError, "x", a_traceback())
    assert isinstance(error, KeyError)
    assert functions(error) == ["raised_by", "raised_by", "far_away"]


@clause("throw.traceback")
def test_traceback_of_the_target(impl: Any) -> None:
    """Without a third argument the traceback is that of the target's own frames."""
    root = impl.getcurrent()

    def innermost() -> None:
        root.switch()

    def run() -> None:
        innermost()

    for error in (KeyError("instance"), KeyError):
        g = impl.greenlet(run)
        g.switch()
        found = raised_by(g.throw, error)
        assert isinstance(found, KeyError)
        assert functions(found) == ["raised_by", "run", "innermost"]


@clause("throw.default")
def test_default(impl: Any) -> None:
    """Without arguments, GreenletExit is thrown, and a child's parent gets it as a value."""
    error = caught(catcher(impl))
    assert type(error) is impl.GreenletExit
    assert error.args == ()
    root = impl.getcurrent()
    g = impl.greenlet(lambda: root.switch())
    g.switch()
    got = g.throw()
    assert type(got) is impl.GreenletExit
    assert got.args == ()
    assert states(g) == ["dead"]


@clause("throw.default")
def test_default_goes_to_the_parent(impl: Any) -> None:
    """It is the parent who gets the instance, not the thrower."""
    root = impl.getcurrent()
    log: list[Any] = []

    def parent_run() -> str:
        children.append(impl.greenlet(lambda: root.switch("child waits")))
        log.append(("parent got", type(children[0].switch())))
        return "parent ends"

    children: list[Any] = []
    parent = impl.greenlet(parent_run)
    assert parent.switch() == "child waits"
    thrower = impl.greenlet(lambda: children[0].throw())
    assert thrower.switch() == "parent ends"
    assert log == [("parent got", impl.GreenletExit)]
    assert states(thrower, parent, children[0]) == ["active", "dead", "dead"]


@clause("throw.exit-caught")
def test_exit_caught(impl: Any) -> None:
    """A greenlet may survive GreenletExit, or end by returning something else."""
    root = impl.getcurrent()

    def run() -> str:
        for _ in range(2):
            try:
                root.switch("waits")
            except impl.GreenletExit:
                root.switch("survived")
        try:
            root.switch("waits")
        except impl.GreenletExit:
            return "something else"
        return "not thrown at"

    g = impl.greenlet(run)
    for _ in range(2):
        assert g.switch() == "waits"
        assert g.throw() == "survived"
        assert states(g) == ["active"]
    assert g.switch() == "waits"
    assert g.throw() == "something else"
    assert states(g) == ["dead"]


def refused(impl: Any, kind: str) -> list[tuple[Any, ...]]:
    """Arguments that ``throw`` must refuse, by what is wrong with them."""
    error = ValueError("x")
    attempts: dict[str, list[tuple[Any, ...]]] = {
        "type": [("abc",), (None,), (42,), (int,), ([],), (object(),), (None, None, None)],
        "value": [(error, "x"), (error, error), (error, ValueError("y")), (error, 0), (error, ())],
        "traceback": [
            (ValueError, "x", 42),
            (ValueError, None, "tb"),
            (error, None, error),
            (impl.GreenletExit, None, ()),
            (ValueError, None, False),
        ],
        "count": [(ValueError, "x", None, None)],
    }
    return attempts[kind]


def check_refused(impl: Any, kind: str) -> None:
    """Throws each at a suspended, an unstarted, a dead and the current greenlet."""
    suspended = catcher(impl)
    unstarted = impl.greenlet(lambda: "ran")
    dead = impl.greenlet(lambda: "ran")
    dead.switch()
    for args in refused(impl, kind):
        for target in (suspended, unstarted, dead, impl.getcurrent()):
            with pytest.raises(TypeError):
                target.throw(*args)


@clause("throw.check.type")
def test_check_type(impl: Any) -> None:
    """Only exceptions can be thrown: TypeError in the caller."""
    check_refused(impl, "type")


@clause("throw.check.value")
def test_check_value(impl: Any) -> None:
    """An instance takes no value: TypeError in the caller."""
    check_refused(impl, "value")


@clause("throw.check.traceback")
def test_check_traceback(impl: Any) -> None:
    """A traceback must be one: TypeError in the caller."""
    check_refused(impl, "traceback")


@clause("throw.check.count")
def test_check_count(impl: Any) -> None:
    """throw takes up to three arguments, by position only."""
    check_refused(impl, "count")
    g = catcher(impl)
    for keywords in ({"typ": KeyError}, {"type": KeyError}, {"val": "x"}, {"tb": None}):
        with pytest.raises(TypeError):
            g.throw(**keywords)
        with pytest.raises(TypeError):
            g.throw(KeyError, **keywords)


@clause("throw.check.untouched")
@pytest.mark.parametrize("kind", ["type", "value", "traceback", "count"])
def test_check_untouched(impl: Any, kind: str) -> None:
    """A refused throw leaves the target alone, and raises in the caller wherever that is."""
    root = impl.getcurrent()
    suspended = catcher(impl)
    unstarted = impl.greenlet(lambda *args: ("ran", args))
    dead = impl.greenlet(lambda: "ran")
    dead.switch()
    attempts = refused(impl, kind)

    def caller() -> list[Any]:
        found = []
        for args in attempts:
            found += [type(raised_by(g.throw, *args)) for g in (suspended, unstarted, dead, root)]
        return found

    assert impl.greenlet(caller).switch() == [TypeError] * 4 * len(attempts)
    assert states(suspended, unstarted, dead) == ["active", "unstarted", "dead"]
    assert suspended.switch("value") == ("value", "value")
    assert unstarted.switch("value") == ("ran", ("value",))
    assert dead.switch("value") == "value"


@clause("throw.unstarted")
def test_unstarted(impl: Any) -> None:
    """An unstarted target dies without running; the exception is raised in its parent."""
    log: list[Any] = []
    error = KeyError("thrown")
    g = impl.greenlet(lambda *args: log.append("ran"))
    assert raised_by(g.throw, error) is error
    assert (log, states(g), hasattr(g, "run")) == ([], ["dead"], False)
    assert g.switch("skipped") == "skipped"
    g = impl.greenlet(lambda *args: log.append("ran"))
    found = raised_by(g.throw, KeyError, "made")
    assert (type(found), found.args) == (KeyError, ("made",))  # type: ignore[union-attr]
    assert (log, states(g)) == ([], ["dead"])


@clause("throw.unstarted")
def test_unstarted_goes_to_the_parent(impl: Any) -> None:
    """The exception goes to the target's parent; a thrower that is not it stays suspended."""
    root = impl.getcurrent()
    log: list[Any] = []
    error = KeyError("thrown")

    def parent_run() -> str:
        log.append(("parent raised", raised_by(root.switch, "parent waits")))
        return "parent ends"

    parent = impl.greenlet(parent_run)
    assert parent.switch() == "parent waits"
    target = impl.greenlet(lambda: log.append("ran"), parent)

    def thrower_run() -> None:
        log.append(("thrower got", target.throw(error)))

    thrower = impl.greenlet(thrower_run)
    assert thrower.switch() == "parent ends"
    assert log == [("parent raised", error)]
    assert states(target, parent, thrower) == ["dead", "dead", "active"]
    thrower.switch("resumed")
    assert log[1:] == [("thrower got", "resumed")]


@clause("throw.unstarted-exit")
def test_unstarted_exit(impl: Any) -> None:
    """GreenletExit at the unstarted is a value for the parent; nothing runs."""
    root = impl.getcurrent()
    log: list[Any] = []

    class Sub(impl.GreenletExit):  # type: ignore[misc]
        pass

    instance = Sub("words")
    g = impl.greenlet(lambda: log.append("ran"))
    assert type(g.throw()) is impl.GreenletExit
    assert (log, states(g)) == ([], ["dead"])
    g = impl.greenlet(lambda: log.append("ran"))
    assert g.throw(instance) is instance
    assert (log, states(g)) == ([], ["dead"])
    parent = impl.greenlet(lambda: log.append(("parent got", root.switch())))
    parent.switch()
    g = impl.greenlet(lambda: log.append("ran"), parent)
    assert g.throw(instance) is None
    assert log == [("parent got", instance)]


@clause("throw.unstarted-chain")
def test_unstarted_chain(impl: Any) -> None:
    """Unstarted parents die as well, up to the first active ancestor."""
    root = impl.getcurrent()
    log: list[Any] = []
    error = IndexError("thrown")

    def top_run() -> str:
        log.append(("top raised", raised_by(root.switch, "top waits")))
        return "top ends"

    top = impl.greenlet(top_run)
    assert top.switch() == "top waits"
    chain = [top]
    for _ in range(3):
        chain.append(impl.greenlet(lambda *args: log.append("ran"), chain[-1]))
    assert chain[-1].throw(error) == "top ends"
    assert log == [("top raised", error)]
    assert states(*chain) == ["dead"] * 4
    parent = impl.greenlet(lambda *args: log.append("ran"))
    assert raised_by(impl.greenlet(lambda: None, parent).throw, error) is error
    assert states(parent) == ["dead"]
    assert len(log) == 1


@clause("throw.unstarted-long")
def test_unstarted_long(impl: Any) -> None:
    """Thousands of unstarted ancestors die one after the other in a small stack."""
    error = KeyError("thrown")
    found: list[Any] = []

    def throw() -> None:
        first = last = impl.greenlet(lambda: found.append("ran"))
        for _ in range(2_500):
            last.parent = impl.greenlet(lambda *args: found.append("ran"))
            last = last.parent
        found.append(raised_by(first.throw, error))
        found.append(states(first, first.parent, last))

    former = threading.stack_size(512 * 1024)
    thread = threading.Thread(target=throw)
    thread.start()
    threading.stack_size(former)
    thread.join()
    assert found == [error, ["dead"] * 3]
    assert found[0] is error


@clause("throw.unstarted-no-run")
def test_unstarted_no_run(impl: Any) -> None:
    """A throw at an unstarted greenlet without run raises something in the caller."""
    g = impl.greenlet()
    found = raised_by(g.throw, KeyError)
    assert (type(found), states(g)) in [
        (AttributeError, ["unstarted"]),
        (KeyError, ["dead"]),
    ]


@clause("throw.trace")
def test_trace(impl: Any) -> None:
    """The trace function is told of a throw, and of an end by exception."""
    root = impl.getcurrent()
    log: list[Any] = []

    def tracer(event: str, args: Any) -> None:
        log.append((event, args, impl.getcurrent()))

    g = catcher(impl)
    dying = impl.greenlet(lambda: root.switch())
    dying.switch()
    unstarted = impl.greenlet(lambda: None)
    impl.settrace(tracer)
    g.throw(KeyError)
    raised_by(dying.throw, KeyError)
    raised_by(unstarted.throw, KeyError)
    impl.settrace(None)
    assert log == [
        ("throw", (root, g), g),
        ("switch", (g, root), root),
        ("throw", (root, dying), dying),
        ("throw", (dying, root), root),
        ("throw", (root, unstarted), unstarted),
        ("throw", (unstarted, root), root),
    ]


@clause("throw.trace")
def test_trace_exit(impl: Any) -> None:
    """A greenlet that dies of GreenletExit is entered by a throw and left by a switch."""
    root = impl.getcurrent()
    log: list[Any] = []
    g = impl.greenlet(lambda: root.switch())
    g.switch()
    impl.settrace(lambda event, args: log.append((event, args)))
    g.throw()
    impl.settrace(None)
    assert log == [("throw", (root, g)), ("switch", (g, root))]
