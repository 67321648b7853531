"""Chapter "Parent resumption"."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from greenlet_conformance.suite.support import clause, functions, raised_by, shape, states


@clause("parent.result")
def test_result(impl: Any) -> None:
    """The parent receives the result in the switch() in which it is suspended."""
    log: list[Any] = []

    def child_run(name: str) -> str:
        log.append(f"{name} runs")
        return f"{name} ends"

    def parent_run() -> str:
        for name in ("first", "second"):
            child = impl.greenlet(child_run)
            log.append(("parent got", child.switch(name), states(child)))
        return "parent ends"

    assert impl.greenlet(parent_run).switch() == "parent ends"
    assert log == [
        "first runs",
        ("parent got", "first ends", ["dead"]),
        "second runs",
        ("parent got", "second ends", ["dead"]),
    ]


@clause("parent.not-the-switcher")
def test_not_the_switcher(impl: Any) -> None:
    """The parent receives, whoever started the greenlet and whoever switched to it last."""
    root = impl.getcurrent()
    log: list[Any] = []

    def child_run() -> str:
        log.append(("child got", root.switch("child waits")))
        return "child ends"

    def switcher(name: str) -> str:
        log.append((name, "got", child.switch(f"from {name}")))
        return f"{name} ends"

    child = impl.greenlet(lambda *args: child_run())
    starter, last = impl.greenlet(switcher), impl.greenlet(switcher)
    assert starter.switch("starter") == "child waits"
    assert last.switch("last") == "child ends"
    assert states(child, starter, last) == ["dead", "active", "active"]
    assert log == [("child got", "from last")]
    assert last.switch("resumed") == "last ends"
    assert starter.switch("resumed") == "starter ends"
    assert log[1:] == [("last", "got", "resumed"), ("starter", "got", "resumed")]


@clause("parent.waiting-elsewhere")
def test_waiting_elsewhere(impl: Any) -> None:
    """The parent receives the result in whatever switch() it is suspended."""
    root = impl.getcurrent()
    log: list[Any] = []

    def parent_run() -> str:
        log.append(("parent got", other.switch("to other")))
        return "parent ends"

    def other_run(value: str) -> None:
        log.append(("other got", value))
        log.append(("other got", root.switch("other waits")))

    parent = impl.greenlet(parent_run)
    other = impl.greenlet(other_run)
    child = impl.greenlet(lambda: "child ends", parent)
    assert parent.switch() == "other waits"
    assert child.switch() == "parent ends"
    assert states(parent, other, child) == ["dead", "active", "dead"]
    assert other.switch("last") is None
    assert log == [("other got", "to other"), ("parent got", "child ends"), ("other got", "last")]


@clause("parent.throw-returns")
def test_throw_returns(impl: Any) -> None:
    """A parent suspended in throw() receives there, be it a result or an exception."""
    root = impl.getcurrent()

    def catch(result: Any) -> Any:
        try:
            root.switch("ready")
        except KeyError:
            pass
        if isinstance(result, Exception):
            raise result
        return result

    for result in ("result", (), (1, 2), None):
        g = impl.greenlet(catch)
        assert g.switch(result) == "ready"
        assert g.throw(KeyError) is result
    g = impl.greenlet(catch)
    error = ValueError("instead")
    g.switch(error)
    assert raised_by(g.throw, KeyError) is error


@clause("parent.unstarted")
def test_unstarted(impl: Any) -> None:
    """An unstarted parent is started with the result as its only argument."""
    values: list[Any] = ["result", None, (), (1, 2), ((1,), {"k": 2}), {"k": 1}, object()]
    for value in values:
        parent = impl.greenlet(lambda *args, **kwargs: (args, kwargs))
        got = impl.greenlet(lambda: value, parent).switch()
        assert shape(got) == shape(((value,), {}))
        assert got[0][0] is value
        assert states(parent) == ["dead"]


@clause("parent.unstarted")
def test_unstarted_after_suspension(impl: Any) -> None:
    """It is the end that starts the parent, not the child's first switch."""
    root = impl.getcurrent()
    log: list[Any] = []
    parent = impl.greenlet(lambda value: log.append(("parent", value)) or "parent ends")
    child = impl.greenlet(lambda: root.switch("child waits"), parent)
    assert child.switch() == "child waits"
    assert states(parent) == ["unstarted"]
    assert child.switch("result") == "parent ends"
    assert log == [("parent", "result")]


@clause("parent.chain")
@pytest.mark.parametrize("height", [2, 3, 60])
def test_chain_of_unstarted(impl: Any, height: int) -> None:
    """Ends follow each other up a chain of unstarted greenlets."""
    log: list[Any] = []

    def body(number: int) -> Any:
        def run(value: int) -> int:
            log.append((number, value))
            return value + 1

        return run

    chain = [impl.greenlet(body(0))]
    for number in range(1, height):
        chain.append(impl.greenlet(body(number), chain[-1]))
    assert chain[-1].switch(0) == height
    assert log == [(height - 1 - value, value) for value in range(height)]
    assert states(*chain) == ["dead"] * height


@clause("parent.chain")
@pytest.mark.parametrize("height", [2, 3, 60])
def test_chain_of_suspended(impl: Any, height: int) -> None:
    """Ends follow each other up a chain of greenlets that wait for each other."""
    log: list[Any] = []

    def run(number: int) -> Any:
        log.append(("down", number))
        below = impl.greenlet(run).switch(number - 1) if number else "bottom"
        log.append(("up", number, below))
        return number

    assert impl.greenlet(run).switch(height) == height
    downs = [("down", n) for n in range(height, -1, -1)]
    ups = [("up", n, n - 1 if n else "bottom") for n in range(height + 1)]
    assert log == downs + ups


@clause("parent.root-goes-on")
def test_root_goes_on(impl: Any) -> None:
    """After the last end the root goes on, right after its switch()."""
    root = impl.getcurrent()
    log: list[Any] = []
    greenlets: list[Any] = []

    def run(number: int) -> str:
        log.append(("starts", number))
        if number < 3:
            log.append((number, "got", greenlets[number + 1].switch(number + 1)))
        return f"end {number}"

    greenlets.extend(impl.greenlet(run, root) for _ in range(4))
    log.append(("root got", greenlets[0].switch(0)))
    assert impl.getcurrent() is root
    for number in (0, 2, 1):
        log.append(("root got", greenlets[number].switch("on")))
        assert impl.getcurrent() is root
    assert states(*greenlets) == ["dead"] * 4
    assert log == [
        *(("starts", n) for n in range(4)),
        ("root got", "end 3"),
        (0, "got", "on"),
        ("root got", "end 0"),
        (2, "got", "on"),
        ("root got", "end 2"),
        (1, "got", "on"),
        ("root got", "end 1"),
    ]


def waiting(impl: Any, name: str, log: list[Any]) -> Any:
    """A child of the root that is suspended, logs what it gets once, and ends."""
    root = impl.getcurrent()

    def run() -> str:
        try:
            log.append((name, "got", root.switch(f"{name} waits")))
        except Exception as error:
            log.append((name, "raised", error))
        return f"{name} ends"

    g = impl.greenlet(run)
    assert g.switch() == f"{name} waits"
    return g


@clause("parent.at-death")
@pytest.mark.parametrize("when", ["unstarted", "running", "suspended", "by another"])
def test_at_death(impl: Any, when: str) -> None:
    """The parent at the time of the end counts, not the one at the start."""
    root = impl.getcurrent()
    log: list[Any] = []
    old, new = waiting(impl, "old", log), waiting(impl, "new", log)

    def run() -> str:
        if when == "running":
            g.parent = new
        root.switch("child waits")
        return "child ends"

    g = impl.greenlet(run, old)
    if when == "unstarted":
        g.parent = new
    assert g.switch() == "child waits"
    if when == "suspended":
        g.parent = new
    if when == "by another":
        assert impl.greenlet(lambda: setattr(g, "parent", new)).switch() is None
    assert g.switch() == "new ends"
    assert log == [("new", "got", "child ends")]
    assert states(g, old, new) == ["dead", "active", "dead"]


@clause("parent.at-death")
def test_at_death_by_exception(impl: Any) -> None:
    """So it is for an exception: the new parent gets it, the old one nothing."""
    root = impl.getcurrent()
    log: list[Any] = []
    old, new = waiting(impl, "old", log), waiting(impl, "new", log)
    error = KeyError("raised")

    def run() -> None:
        root.switch()
        g.parent = new
        raise error

    g = impl.greenlet(run, old)
    g.switch()
    assert g.switch() == "new ends"
    assert log == [("new", "raised", error)]
    assert log[0][2] is error
    assert states(old) == ["active"]


@clause("parent.last-change")
def test_last_change(impl: Any) -> None:
    """Only the last change counts, back to the first parent too."""
    log: list[Any] = []
    a, b = waiting(impl, "a", log), waiting(impl, "b", log)

    def run() -> str:
        for parent in (b, a, b, a):
            g.parent = parent
        return "child ends"

    g = impl.greenlet(run, a)
    assert g.switch() == "a ends"
    assert log == [("a", "got", "child ends")]
    assert states(b) == ["active"]


@clause("parent.last-change")
def test_change_while_ending(impl: Any) -> None:
    """A change in a finally block, while the greenlet ends, counts."""
    log: list[Any] = []
    error = KeyError("raised")
    a, b, c = (waiting(impl, name, log) for name in "abc")

    def fail() -> None:
        try:
            raise error
        finally:
            failing.parent = b

    def finish() -> str:
        try:
            return "result"
        finally:
            finishing.parent = c

    failing, finishing = impl.greenlet(fail, a), impl.greenlet(finish, a)
    assert failing.switch() == "b ends"
    assert finishing.switch() == "c ends"
    assert log == [("b", "raised", error), ("c", "got", "result")]
    assert states(a, b, c) == ["active", "dead", "dead"]


@clause("parent.adopted")
def test_adopted(impl: Any) -> None:
    """A greenlet may become the parent of its former parent, and ends follow the new tree."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(name: str) -> str:
        log.append((name, "got", root.switch(f"{name} waits")))
        return f"{name} ends"

    upper = impl.greenlet(run)
    lower = impl.greenlet(run, upper)
    assert (upper.switch("upper"), lower.switch("lower")) == ("upper waits", "lower waits")
    lower.parent = root
    upper.parent = lower
    assert upper.switch("go") == "lower ends"
    assert log == [("upper", "got", "go"), ("lower", "got", "upper ends")]
    assert states(upper, lower) == ["dead", "dead"]


@clause("parent.exception")
def test_exception(impl: Any) -> None:
    """An uncaught exception is raised in the parent's switch(): the same object."""
    log: list[Any] = []
    error = KeyError("raised")

    def fail() -> None:
        log.append("child runs")
        raise error

    def parent_run() -> str:
        child = impl.greenlet(fail)
        try:
            child.switch()
            log.append("not reached")
        except KeyError as caught:
            log.append(("caught", caught is error, states(child)))
        return "parent ends"

    assert impl.greenlet(parent_run).switch() == "parent ends"
    assert log == ["child runs", ("caught", True, ["dead"])]
    assert raised_by(impl.greenlet(fail).switch) is error


@clause("parent.exception")
def test_parent_goes_on(impl: Any) -> None:
    """A parent that caught an exception goes on switching as before."""
    root = impl.getcurrent()
    log: list[Any] = []

    def fail(value: Any) -> None:
        raise ValueError(value)

    def parent_run() -> str:
        for value in range(3):
            error = raised_by(impl.greenlet(fail).switch, value)
            log.append((type(error), root.switch(value)))
        return "parent ends"

    g = impl.greenlet(parent_run)
    assert [g.switch() for _ in range(4)] == [0, 1, 2, "parent ends"]
    assert log == [(ValueError, ())] * 3


@clause("parent.exception-not-root")
def test_exception_not_root(impl: Any) -> None:
    """An exception that the parent catches is seen neither by the root nor by the switcher."""
    log: list[Any] = []
    error = KeyError("raised")
    parent = waiting(impl, "parent", log)

    def fail() -> None:
        raise error

    def switcher_run() -> str:
        log.append(("switcher got", child.switch()))
        return "switcher ends"

    child = impl.greenlet(fail, parent)
    switcher = impl.greenlet(switcher_run)
    assert switcher.switch() == "parent ends"
    assert log == [("parent", "raised", error)]
    assert states(child, parent, switcher) == ["dead", "dead", "active"]
    assert switcher.switch("resumed") == "switcher ends"
    assert log[1:] == [("switcher got", "resumed")]


@clause("parent.exception-climbs")
@pytest.mark.parametrize("height", [2, 3, 40])
def test_exception_climbs(impl: Any, height: int) -> None:
    """An exception climbs until it is caught; each greenlet cleans up, innermost first."""
    log: list[Any] = []
    chain: list[Any] = []
    error = KeyError("raised")

    def run(number: int) -> None:
        chain.append(impl.getcurrent())
        try:
            if number == 0:
                raise error
            impl.greenlet(run).switch(number - 1)
            log.append("not reached")
        finally:
            log.append(number)

    def catcher() -> Any:
        return [raised_by(impl.greenlet(run).switch, height)]

    caught = impl.greenlet(catcher).switch()
    assert caught[0] is error
    assert log == list(range(height + 1))
    assert states(*chain) == ["dead"] * (height + 1)


@clause("parent.exception-climbs")
def test_exception_replaced_on_the_way(impl: Any) -> None:
    """A parent may replace the exception, which then climbs instead."""
    first, second = KeyError("first"), ValueError("second")

    def fail() -> None:
        raise first

    def replace() -> None:
        try:
            impl.greenlet(fail).switch()
        except KeyError as error:
            raise second from error

    error = raised_by(impl.greenlet(replace).switch)
    assert error is second
    assert error.__cause__ is first


@clause("parent.traceback")
def test_traceback(impl: Any) -> None:
    """The traceback shows the functions of the greenlet that raised, below the catcher's."""

    def innermost() -> None:
        raise KeyError("raised")

    def child_run() -> None:
        innermost()

    def parent_run() -> None:
        impl.greenlet(child_run).switch()

    def starter() -> None:
        parent.switch()

    parent = impl.greenlet(parent_run)

    def catch() -> list[str]:
        try:
            impl.greenlet(starter).switch()
        except KeyError as error:
            return functions(error)
        return ["nothing raised"]

    assert catch() == ["catch", "parent_run", "child_run", "innermost"]


@clause("parent.traceback")
def test_traceback_without_bystanders(impl: Any) -> None:
    """No function of a greenlet that was not on the way is in the traceback."""
    root = impl.getcurrent()

    def raiser() -> None:
        root.switch("ready")
        raise KeyError("raised")

    def bystander() -> None:
        g.switch()

    g = impl.greenlet(raiser)
    g.switch()
    error = raised_by(impl.greenlet(bystander).switch)
    assert isinstance(error, KeyError)
    assert functions(error) == ["raised_by", "raiser"]


@clause("parent.base-exceptions")
@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, SystemExit, StopIteration, GeneratorExit, RuntimeError, Warning]
)
def test_base_exceptions(impl: Any, kind: type[BaseException]) -> None:
    """Every exception but GreenletExit is raised in the parent as it is."""
    error = kind("raised")

    def fail() -> None:
        raise error

    def parent_run() -> Any:
        child = impl.greenlet(fail)
        return [raised_by(child.switch), states(child), "parent went on"]

    found = impl.greenlet(parent_run).switch()
    assert found[0] is error
    assert found[1:] == [["dead"], "parent went on"]
    assert raised_by(impl.greenlet(fail).switch) is error


@clause("parent.exception-unstarted")
@pytest.mark.parametrize("height", [1, 2, 10])
def test_exception_unstarted(impl: Any, height: int) -> None:
    """Unstarted parents die of the exception without running, up to the first active one."""
    log: list[Any] = []
    error = KeyError("raised")
    catcher = waiting(impl, "catcher", log)

    def fail() -> None:
        raise error

    chain = [catcher]
    for number in range(height):
        chain.append(impl.greenlet(lambda *a, n=number: log.append(("ran", n)), chain[-1]))
    assert impl.greenlet(fail, chain[-1]).switch() == "catcher ends"
    assert log == [("catcher", "raised", error)]
    assert log[0][2] is error
    assert states(*chain) == ["dead"] * (height + 1)
    assert [hasattr(g, "run") for g in chain] == [False] * (height + 1)


@clause("parent.exception-unstarted")
def test_exception_unstarted_up_to_the_root(impl: Any) -> None:
    """Without an active parent between, it is the root in which the exception is raised."""
    log: list[Any] = []
    error = KeyError("raised")

    def fail() -> None:
        raise error

    parent = impl.greenlet(lambda *args: log.append("ran"))
    assert raised_by(impl.greenlet(fail, parent).switch) is error
    assert (log, states(parent)) == ([], ["dead"])


@clause("parent.unstartable")
def test_unstartable(impl: Any) -> None:
    """A parent without run is passed over: its own parent gets the AttributeError."""
    log: list[Any] = []
    grandparent = waiting(impl, "grandparent", log)
    parent = impl.greenlet(parent=grandparent)
    child = impl.greenlet(lambda: "result", parent)
    assert child.switch() == "grandparent ends"
    assert [(name, what, type(error)) for name, what, error in log] == [
        ("grandparent", "raised", AttributeError)
    ]
    assert states(child, parent, grandparent) == ["dead", "unstarted", "dead"]


@clause("parent.unstartable")
@pytest.mark.parametrize("kind", [KeyError, RuntimeError, "GreenletExit"])
def test_unstartable_by_its_lookup(impl: Any, kind: Any) -> None:
    """Whatever the lookup of run raises in the place of AttributeError goes the same way."""
    raised = getattr(impl, kind)("lookup") if isinstance(kind, str) else kind("lookup")

    class Parent(impl.greenlet):  # type: ignore[misc]
        @property
        def run(self) -> Any:
            raise raised

    log: list[Any] = []
    grandparent = waiting(impl, "grandparent", log)
    parent = Parent(parent=grandparent)
    child = impl.greenlet(lambda: "result", parent)
    result = child.switch()
    if isinstance(raised, impl.GreenletExit):
        assert result is raised  # the grandparent has died of it: it handles Exceptions
    else:
        assert (result, log) == ("grandparent ends", [("grandparent", "raised", raised)])
    assert states(child, parent, grandparent) == ["dead", "unstarted", "dead"]


@clause("parent.exit-returned")
def test_exit_returned(impl: Any) -> None:
    """GreenletExit ends a greenlet without noise: the parent gets the instance as a value."""
    log: list[Any] = []

    def leave(error: Any) -> None:
        try:
            raise error
        finally:
            log.append("cleaned up")

    instance = impl.GreenletExit("some", "words")
    assert impl.greenlet(leave).switch(instance) is instance
    assert instance.args == ("some", "words")
    made = impl.greenlet(leave).switch(impl.GreenletExit)
    assert type(made) is impl.GreenletExit
    assert made.args == ()
    assert log == ["cleaned up"] * 2


@clause("parent.exit-returned")
def test_exit_with_a_cause(impl: Any) -> None:
    """One that another exception has caused, or that another one followed, is no less one."""
    instance = impl.GreenletExit("words")
    cause = KeyError("cause")

    def leave() -> None:
        try:
            raise KeyError("context")
        except KeyError:
            raise instance from cause

    assert impl.greenlet(leave).switch() is instance
    assert instance.__cause__ is cause
    assert type(instance.__context__) is KeyError


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no groups of exceptions")
@clause("parent.base-exceptions")
def test_group_of_exits(impl: Any) -> None:
    """A group is no GreenletExit, whatever is in it."""
    group = vars(builtins)["BaseExceptionGroup"]("of one", [impl.GreenletExit()])

    def fail() -> None:
        raise group

    assert raised_by(impl.greenlet(fail).switch) is group


@clause("parent.exit-returned")
def test_exit_goes_to_the_parent_only(impl: Any) -> None:
    """It goes to the parent, who goes on; the grandparent sees nothing."""
    log: list[Any] = []

    def leave() -> None:
        raise impl.GreenletExit("mine")

    def parent_run() -> str:
        got = impl.greenlet(leave).switch()
        log.append(("parent got", type(got), got.args))
        return "parent ends"

    assert impl.greenlet(parent_run).switch() == "parent ends"
    assert log == [("parent got", impl.GreenletExit, ("mine",))]
    other = waiting(impl, "other", log)
    switcher = impl.greenlet(lambda: impl.greenlet(leave, other).switch())
    assert switcher.switch() == "other ends"
    assert [type(log[1][2]), states(switcher)] == [impl.GreenletExit, ["active"]]
    assert log[1][:2] == ("other", "got")


@clause("parent.exit-subclass")
def test_exit_subclass(impl: Any) -> None:
    """Subclasses of GreenletExit count."""

    class Sub(impl.GreenletExit):  # type: ignore[misc]
        pass

    class Mixed(ValueError, impl.GreenletExit):  # type: ignore[misc]
        pass

    for instance in (Sub("words"), Mixed("words")):

        def leave() -> None:
            raise instance

        assert impl.greenlet(leave).switch() is instance


@clause("parent.exit-base")
def test_exit_base(impl: Any) -> None:
    """GreenletExit is no Exception; it can be caught by name, and the greenlet lives on."""
    root = impl.getcurrent()
    assert issubclass(impl.GreenletExit, BaseException)
    assert not issubclass(impl.GreenletExit, Exception)
    log: list[Any] = []

    def run() -> str:
        try:
            root.switch("ready")
        except Exception:
            log.append("caught as Exception")
        except impl.GreenletExit as error:
            log.append(("caught by name", error.args))
            log.append(("goes on", root.switch("survived")))
        return "end"

    g = impl.greenlet(run)
    assert g.switch() == "ready"
    assert g.throw(impl.GreenletExit, "words") == "survived"
    assert states(g) == ["active"]
    assert g.switch("more") == "end"
    assert log == [("caught by name", ("words",)), ("goes on", "more")]


@clause("parent.exit-value")
def test_exit_value(impl: Any) -> None:
    """A run that returns an exception sends it as a value."""
    for value in (impl.GreenletExit("x"), impl.GreenletExit, ValueError("x"), ValueError):
        assert impl.greenlet(lambda: value).switch() is value


@clause("parent.exit-starts-unstarted")
def test_exit_at_the_unstarted_starts_its_parent(impl: Any) -> None:
    """So does one that is thrown at an unstarted child, which alone dies of it."""
    log: list[Any] = []
    instance = impl.GreenletExit("words")
    parent = impl.greenlet(lambda *args: [log.append(args), "parent ends"][1])
    child = impl.greenlet(lambda: log.append("the child ran"), parent)
    assert child.throw(instance) == "parent ends"
    assert log == [(instance,)]
    assert states(child, parent) == ["dead", "dead"]


@clause("parent.exit-starts-unstarted")
def test_exit_starts_unstarted(impl: Any) -> None:
    """GreenletExit starts an unstarted parent, with the instance as its only argument."""
    log: list[Any] = []
    instance = impl.GreenletExit("words")

    def leave() -> None:
        raise instance

    def run(*args: Any, **kwargs: Any) -> str:
        log.append((args, kwargs))
        return "parent ends"

    assert impl.greenlet(leave, impl.greenlet(run)).switch() == "parent ends"
    assert log == [((instance,), {})]
