"""Chapter "Dead-target skipping"."""

from __future__ import annotations

from typing import Any

import pytest

from greenlet_conformance.suite.support import FORMS, clause, raised_by, shape, states


def dead(impl: Any, parent: Any = None) -> Any:
    """A greenlet that has ended, under ``parent``."""
    g = impl.greenlet(lambda: "ended")
    assert g.switch() == "ended"
    assert states(g) == ["dead"]
    if parent is not None:
        g.parent = parent
    return g


def dead_chain(impl: Any, length: int, parent: Any) -> list[Any]:
    """Dead greenlets, each the parent of the one before; the last one is under ``parent``."""
    chain: list[Any] = []
    for _ in range(length):
        parent = dead(impl, parent)
        chain.insert(0, parent)
    return chain


class Listener:
    """A suspended child of the root that logs what it receives, and answers the root."""

    def __init__(self, impl: Any, name: str, log: list[Any]) -> None:
        root = impl.getcurrent()

        def run() -> str:
            message: Any = None
            while message != "stop":
                try:
                    message = root.switch(f"{name} waits")
                    log.append((name, message))
                except Exception as error:
                    log.append((name, "raised", error))
            return f"{name} stopped"

        self.greenlet = impl.greenlet(run)
        assert self.greenlet.switch() == f"{name} waits"


@clause("dead.skip.parent")
def test_parent(impl: Any) -> None:
    """A dead target passes the switch to its parent, which is not the one who switches."""
    log: list[Any] = []
    parent = Listener(impl, "parent", log).greenlet
    target = dead(impl, parent)
    assert target.switch("hello") == "parent waits"
    assert log == [("parent", "hello")]

    def other() -> None:
        log.append(("other got", target.switch("from other")))

    switcher = impl.greenlet(other)
    assert switcher.switch() == "parent waits"
    assert log == [("parent", "hello"), ("parent", "from other")]
    assert states(target, parent, switcher) == ["dead", "active", "active"]
    assert switcher.switch("back") is None
    assert log[2:] == [("other got", "back")]


@clause("dead.skip.chain")
@pytest.mark.parametrize("length", [2, 3, 10])
def test_chain(impl: Any, length: int) -> None:
    """All dead ancestors are skipped, from wherever in the chain."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    chain = dead_chain(impl, length, living)
    for position, target in enumerate(chain):
        assert target.switch(position) == "living waits"
    assert log == [("living", position) for position in range(length)]


@clause("dead.skip.chain")
def test_chain_of_thousands(impl: Any) -> None:
    """However many there are, and deep in calls, too."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    target = dead_chain(impl, 3000, living)[0]
    assert target.switch("sent") == "living waits"
    assert target.throw(KeyError("thrown")) == "living waits"
    assert impl.greenlet(lambda: "result", target).switch() == "living waits"
    assert [what for _, what, *_ in log] == ["sent", "raised", "result"]


@clause("dead.skip.nearest")
def test_nearest(impl: Any) -> None:
    """The nearest living ancestor receives, and those beyond are not touched."""
    log: list[Any] = []
    far = Listener(impl, "far", log).greenlet
    middle = Listener(impl, "middle", log).greenlet
    near = Listener(impl, "near", log).greenlet
    middle.parent = far
    near.parent = dead(impl, middle)
    target = dead_chain(impl, 2, near)[0]
    assert target.switch(1) == "near waits"
    assert target.switch(2) == "near waits"
    assert log == [("near", 1), ("near", 2)]
    assert target.switch("stop") == "middle waits"
    assert log[2:] == [("near", "stop"), ("middle", "near stopped")]
    assert states(near, middle, far) == ["dead", "active", "active"]


@clause("dead.skip.root")
def test_root(impl: Any) -> None:
    """At the end of the chain is the root, which receives in its own switch()."""
    root = impl.getcurrent()
    target = dead_chain(impl, 3, root)[0]
    log: list[Any] = []

    def run() -> str:
        log.append(("g got", target.switch("for the root")))
        return "end"

    g = impl.greenlet(run)
    assert g.switch() == "for the root"
    assert log == []
    assert states(g) == ["active"]
    assert g.switch("again") == "end"
    assert log == [("g got", "again")]


@clause("dead.skip.self")
@pytest.mark.parametrize("length", [1, 2, 5])
def test_self(impl: Any, length: int) -> None:
    """A dead descendant of the current greenlet leads back at once, with what was sent."""
    log: list[Any] = []
    bystander = Listener(impl, "bystander", log).greenlet

    def check() -> list[Any]:
        me = impl.getcurrent()
        target = dead_chain(impl, length, me)[0]
        value = object()
        same = target.switch(value) is value
        answers = [shape(target.switch(*args, **kwargs)) for args, kwargs, _ in FORMS]
        return [same, impl.getcurrent() is me, *answers]

    expected = [True, True, *(shape(value) for _, _, value in FORMS)]
    assert check() == expected
    assert impl.greenlet(check).switch() == expected
    assert log == []
    assert states(bystander) == ["active"]


@clause("dead.skip.self")
def test_self_example(impl: Any) -> None:
    """The documentation's example: the second switch to the dead inner greenlet returns ()."""
    log: list[Any] = []

    def outer() -> Any:
        inner = impl.greenlet(lambda: 42)
        log.append(inner.switch())
        log.append(inner.switch())
        return inner

    inner = impl.greenlet(outer).switch()
    assert shape(log) == shape([42, ()])
    assert shape(inner.switch()) == shape(())


@clause("dead.skip.unstarted-ancestor")
@pytest.mark.parametrize("length", [1, 3])
def test_unstarted_ancestor(impl: Any, length: int) -> None:
    """An unstarted ancestor is started with the arguments of the switch."""
    log: list[Any] = []

    def run(*args: Any, **kwargs: Any) -> str:
        log.append(("started", args, kwargs, impl.getcurrent() is ancestor))
        return "end of the ancestor"

    ancestor = impl.greenlet(run)
    target = dead_chain(impl, length, ancestor)[0]
    assert target.switch(1, 2, k=3) == "end of the ancestor"
    assert log == [("started", (1, 2), {"k": 3}, True)]
    assert states(ancestor) == ["dead"]
    assert target.switch("now the root") == "now the root"


@clause("dead.skip.unstarted-ancestor")
def test_unstarted_ancestor_stays_suspendable(impl: Any) -> None:
    """The started ancestor is a greenlet like any other: it can be resumed by the same way."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(*args: Any) -> str:
        log.append(("started", args))
        log.append(("resumed", root.switch("suspended")))
        return "end"

    ancestor = impl.greenlet(run)
    target = dead_chain(impl, 2, ancestor)[0]
    assert target.switch() == "suspended"
    assert target.switch("second") == "end"
    assert log == [("started", ()), ("resumed", "second")]


@clause("dead.skip.unstarted-target")
def test_unstarted_target(impl: Any) -> None:
    """An unstarted target is not skipped, even if its parent is dead."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    parent = dead_chain(impl, 2, living)[0]
    target = impl.greenlet(lambda *args: log.append(("target", args)) or "end", parent)
    assert target.switch("x") == "living waits"
    assert log == [("target", ("x",)), ("living", "end")]


@clause("dead.skip.values")
def test_values_to_the_suspended(impl: Any) -> None:
    """What is sent arrives in its own form as the result of the ancestor's switch()."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    targets = dead_chain(impl, 3, living)
    for args, kwargs, _ in FORMS:
        for target in targets:
            target.switch(*args, **kwargs)
    assert shape(log) == shape([("living", v) for _, _, v in FORMS for _ in targets])
    value = object()
    targets[0].switch(value)
    assert log[-1][1] is value
    for value in ((), (1,), {"k": 1}, ValueError(), None):
        targets[0].switch(value)
        assert log[-1][1] is value


@clause("dead.skip.values")
def test_values_to_the_unstarted(impl: Any) -> None:
    """What is sent arrives as the arguments of an unstarted ancestor's run."""
    for args, kwargs, _ in FORMS:
        ancestor = impl.greenlet(lambda *a, **k: (a, k))
        target = dead_chain(impl, 2, ancestor)[0]
        assert shape(target.switch(*args, **kwargs)) == shape((args, kwargs))


@clause("dead.skip.unstartable")
def test_unstartable(impl: Any) -> None:
    """An ancestor without run makes the switch raise AttributeError; nobody receives."""
    log: list[Any] = []
    far = Listener(impl, "far", log).greenlet
    ancestor = impl.greenlet(parent=far)
    target = dead_chain(impl, 2, ancestor)[0]

    def caller() -> list[Any]:
        return [type(raised_by(target.switch, "lost")), "went on"]

    assert impl.greenlet(caller).switch() == [AttributeError, "went on"]
    assert isinstance(raised_by(target.switch), AttributeError)
    assert (log, states(ancestor, far)) == ([], ["unstarted", "active"])
    ancestor.run = lambda *args: ("runs now", args)
    assert target.switch("found") == "far waits"
    assert log == [("far", ("runs now", ("found",)))]


@clause("dead.skip.at-switch")
def test_at_switch(impl: Any) -> None:
    """The way is found at the time of the switch, not of the death."""
    root = impl.getcurrent()
    log: list[Any] = []

    def parent_run(*args: Any) -> str:
        log.append(("parent started", args))
        log.append(("parent resumed", root.switch("parent waits")))
        return "parent ends"

    parent = impl.greenlet(parent_run)
    target = impl.greenlet(lambda: "child ends", parent)
    assert target.switch() == "parent waits"
    assert target.switch("alive") == "parent ends"
    assert target.switch("dead by now") == "dead by now"
    assert log == [("parent started", ("child ends",)), ("parent resumed", "alive")]


@clause("dead.skip.at-switch")
def test_ancestor_died_meanwhile(impl: Any) -> None:
    """An ancestor that was alive at the target's death, and is dead now, is skipped."""
    log: list[Any] = []
    grandparent = Listener(impl, "grandparent", log).greenlet
    parent = Listener(impl, "parent", log).greenlet
    parent.parent = grandparent
    target = dead(impl, parent)
    assert target.switch(1) == "parent waits"
    assert parent.switch("stop") == "grandparent waits"
    assert target.switch(2) == "grandparent waits"
    assert grandparent.switch("stop") == "grandparent stopped"
    assert target.switch(3) == 3
    assert log == [
        ("parent", 1),
        ("parent", "stop"),
        ("grandparent", "parent stopped"),
        ("grandparent", 2),
        ("grandparent", "stop"),
    ]


@clause("dead.skip.reparented")
def test_reparented(impl: Any) -> None:
    """A dead greenlet's new parent counts, also in the middle of a chain."""
    log: list[Any] = []
    a = Listener(impl, "a", log).greenlet
    b = Listener(impl, "b", log).greenlet
    unstarted = impl.greenlet(lambda *args: ("unstarted ran", args))
    chain = dead_chain(impl, 3, a)
    chain[0].switch(1)
    chain[0].parent = b
    chain[0].switch(2)
    chain[0].parent = chain[1]
    chain[2].parent = b
    chain[0].switch(3)
    chain[1].parent = a
    chain[0].switch(4)
    chain[2].switch(5)
    chain[1].parent = unstarted
    assert chain[0].switch(6) == ("unstarted ran", (6,))
    chain[1].parent = impl.getcurrent()
    assert chain[0].switch(7) == 7
    assert log == [("a", 1), ("b", 2), ("b", 3), ("a", 4), ("b", 5)]


@clause("dead.skip.each-time")
def test_each_time(impl: Any) -> None:
    """Several switches to the same dead greenlet each go to the first living one of then."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(name: str) -> Any:
        def body(*args: Any) -> str:
            log.append((name, "started", args))
            log.append((name, "resumed", root.switch(f"{name} waits")))
            return f"{name} ends"

        return body

    top = impl.greenlet(run("top"))
    low = impl.greenlet(run("low"), dead(impl, top))
    target = dead_chain(impl, 2, low)[0]
    answers = [target.switch(i) for i in range(5)]
    assert answers == ["low waits", "top waits", "top ends", 3, 4]
    assert log == [
        ("low", "started", (0,)),
        ("low", "resumed", 1),
        ("top", "started", ("low ends",)),
        ("top", "resumed", 2),
    ]


@clause("dead.any-death")
@pytest.mark.parametrize("way", ["return", "exception", "exit", "killed", "killed unstarted"])
def test_any_death(impl: Any, way: str) -> None:
    """Every kind of death is the same afterwards."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> None:
        log.append("ran")
        if way == "exception":
            raise ValueError
        if way == "exit":
            raise impl.GreenletExit
        if way == "killed":
            root.switch()

    target = impl.greenlet(run)
    if way == "killed unstarted":
        target.throw()
    else:
        error = raised_by(target.switch)
        assert (type(error) is ValueError) == (way == "exception")
        if way == "killed":
            target.throw()
    ran = ["ran"] if way != "killed unstarted" else []
    assert (states(target), log) == (["dead"], ran)
    living = Listener(impl, "living", log).greenlet
    assert target.switch("to me") == "to me"
    target.parent = living
    assert target.switch("to the living") == "living waits"
    target.parent = impl.greenlet(lambda *args: ("unstarted", args))
    assert target.switch("start") == ("unstarted", ("start",))
    assert log == [*ran, ("living", "to the living")]


@clause("dead.stays")
def test_stays(impl: Any) -> None:
    """The dead stay dead, and nothing of them runs again."""
    log: list[Any] = []

    class Sub(impl.greenlet):  # type: ignore[misc]
        def run(self, *args: Any) -> str:
            log.append(("ran", args))
            return "end"

    target = Sub()
    assert target.switch(1) == "end"
    for i in range(3):
        assert target.switch(i) == i
        assert isinstance(raised_by(target.throw, KeyError), KeyError)
        assert isinstance(target.throw(), impl.GreenletExit)
        assert (target.dead, bool(target)) == (True, False)
    assert log == [("ran", (1,))]


@clause("dead.stays")
def test_stays_while_run_is_looked_up(impl: Any) -> None:
    """So does one that ended and switches away in the lookup of run of the next."""
    root = impl.getcurrent()
    log: list[Any] = []

    class Heir(impl.greenlet):  # type: ignore[misc]
        @property
        def run(self) -> Any:
            if impl.getcurrent() is ended:
                log.append(root.switch("from the lookup"))
            return lambda *args: ("heir", args)

    for arguments in (("switch", "sent"), ("throw",)):
        ended = impl.greenlet(lambda: "result", Heir())
        assert ended.switch() == "from the lookup"
        assert states(ended, ended.parent) == ["dead", "unstarted"]
        answer = getattr(ended, arguments[0])(*arguments[1:])
        assert states(ended, ended.parent) == ["dead", "dead"]
        assert answer[0] == "heir"
        assert ended.switch("again") == "again"
    assert log == []

    ended = impl.greenlet(lambda: "result", Heir())
    assert ended.switch() == "from the lookup"
    assert type(raised_by(ended.throw, KeyError)) is KeyError
    assert states(ended, ended.parent) == ["dead", "dead"]
    assert log == []


@clause("dead.keeps-parent")
def test_keeps_parent(impl: Any) -> None:
    """The dead keep their parent, whatever they died of."""
    root = impl.getcurrent()
    living = Listener(impl, "living", []).greenlet

    def fail(error: BaseException) -> None:
        raise error

    returned, failed, left, killed, unstarted, moved = (
        impl.greenlet(run, living)
        for run in (len, fail, fail, lambda: root.switch(), len, lambda: root.switch())
    )
    killed.switch()
    moved.switch()
    returned.switch(())
    failed.switch(ValueError())
    left.switch(impl.GreenletExit())
    killed.throw()
    unstarted.throw(KeyError)
    moved.parent = root
    moved.switch()
    assert states(returned, failed, left, killed, unstarted, moved) == ["dead"] * 6
    parents = [g.parent for g in (returned, failed, left, killed, unstarted)]
    assert all(parent is living for parent in parents)
    assert moved.parent is root


@clause("dead.while-ending")
def test_while_ending(impl: Any) -> None:
    """A greenlet is dead when its parent goes on, and not while its code runs."""
    root = impl.getcurrent()
    seen: list[Any] = []

    def run() -> str:
        try:
            return "end"
        finally:
            seen.append(("in finally", states(g)))

    def parent(result: str) -> str:
        seen.append((result, states(g)))
        return "parent ends"

    g = impl.greenlet(run, impl.greenlet(parent))
    assert g.switch() == "parent ends"
    g = impl.greenlet(run)
    assert g.switch() == "end"
    seen.append(("in the root", states(g)))

    def failing() -> None:
        try:
            root.switch()
        finally:
            seen.append(("in finally", states(g)))

    g = impl.greenlet(failing)
    g.switch()
    assert isinstance(raised_by(g.throw, KeyError), KeyError)
    seen.append(("in the root", states(g)))
    assert seen == [
        ("in finally", ["active"]),
        ("end", ["dead"]),
        ("in finally", ["active"]),
        ("in the root", ["dead"]),
        ("in finally", ["active"]),
        ("in the root", ["dead"]),
    ]


@clause("dead.while-ending")
def test_while_ending_run_is_looked_up(impl: Any) -> None:
    """A greenlet that ended is dead when somebody looks up run of its unstarted parent."""
    log: list[Any] = []

    class Heir(impl.greenlet):  # type: ignore[misc]
        @property
        def run(self) -> Any:
            log.append((states(ended), impl.getcurrent() is ended))
            return lambda *args: args

    def fail() -> None:
        raise KeyError

    ended = impl.greenlet(lambda: "result", Heir())
    assert ended.switch() == ("result",)
    ended = impl.greenlet(fail, Heir())
    assert type(raised_by(ended.switch)) is KeyError
    assert log == [(["dead"], True)] * 2


@clause("dead.throw.ancestor")
def test_throw_ancestor(impl: Any) -> None:
    """An exception thrown at the dead is raised in the living ancestor's switch()."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    target = dead_chain(impl, 3, living)[0]
    error = KeyError("thrown")
    assert target.throw(error) == "living waits"
    assert target.throw(ValueError, "made") == "living waits"
    assert target.switch("still there") == "living waits"
    assert log[0] == ("living", "raised", error)
    assert log[0][2] is error
    assert (log[1][:2], repr(log[1][2])) == (("living", "raised"), "ValueError('made')")
    assert log[2:] == [("living", "still there")]


@clause("dead.throw.ancestor")
def test_throw_at_ones_own_dead(impl: Any) -> None:
    """If the ancestor is the current greenlet, throw itself raises."""
    error = KeyError("thrown")

    def check() -> Any:
        found = raised_by(dead_chain(impl, 2, impl.getcurrent())[0].throw, error)
        return [found]

    assert check()[0] is error
    assert impl.greenlet(check).switch()[0] is error


@clause("dead.throw.exit")
def test_throw_exit(impl: Any) -> None:
    """GreenletExit thrown at the dead is a value for the living ancestor."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet

    class Sub(impl.GreenletExit):  # type: ignore[misc]
        pass

    instance = impl.GreenletExit("instance")
    target = dead_chain(impl, 2, living)[0]
    for args in ((), (impl.GreenletExit,), (impl.GreenletExit, "value"), (instance,), (Sub, "s")):
        assert target.throw(*args) == "living waits"
    assert [name for name, _ in log] == ["living"] * 5
    received = [message for _, message in log]
    exit_ = impl.GreenletExit
    assert [type(error) for error in received] == [exit_, exit_, exit_, exit_, Sub]
    assert [error.args for error in received] == [(), (), ("value",), ("instance",), ("s",)]
    assert received[3] is instance
    mine = dead(impl)
    assert mine.throw(instance) is instance
    assert type(mine.throw()) is exit_


@clause("dead.throw.unstarted-ancestor")
def test_throw_unstarted_ancestor(impl: Any) -> None:
    """An unstarted ancestor dies of an exception thrown at the dead, without running."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    second = impl.greenlet(lambda *args: log.append("second ran"), living)
    first = impl.greenlet(lambda *args: log.append("first ran"), second)
    target = dead_chain(impl, 2, first)[0]
    error = KeyError("thrown")
    assert target.throw(error) == "living waits"
    assert log == [("living", "raised", error)]
    assert states(target, first, second, living) == ["dead", "dead", "dead", "active"]
    assert target.switch("on") == "living waits"
    assert log[1:] == [("living", "on")]


@clause("dead.throw.exit-unstarted-ancestor")
def test_throw_exit_unstarted_ancestor(impl: Any) -> None:
    """GreenletExit as a value starts an unstarted ancestor with the instance as argument."""
    log: list[Any] = []

    def run(*args: Any, **kwargs: Any) -> str:
        log.append((args, kwargs))
        return "end"

    instance = impl.GreenletExit("value")
    target = dead_chain(impl, 2, impl.greenlet(run))[0]
    assert target.throw(instance) == "end"
    assert log == [((instance,), {})]


@clause("dead.throw.trace")
def test_throw_trace(impl: Any) -> None:
    """A throw at the dead is traced as what arrives: throw, or switch for GreenletExit."""
    log: list[Any] = []
    living = Listener(impl, "living", []).greenlet
    root = impl.getcurrent()
    target = dead_chain(impl, 2, living)[0]
    impl.settrace(lambda event, args: log.append((event, args)))
    target.throw(KeyError)
    target.throw()
    target.switch()
    impl.settrace(None)
    back = ("switch", (living, root))
    there = (root, living)
    assert log == [("throw", there), back, ("switch", there), back, ("switch", there), back]


@clause("dead.parent.skipped")
def test_end_skips_dead_parents(impl: Any) -> None:
    """A greenlet that ends under dead parents leaves its result to the living ancestor."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    parent = dead_chain(impl, 3, living)[0]
    assert impl.greenlet(lambda: "result", parent).switch() == "living waits"
    assert impl.greenlet(lambda: (1, 2), parent).switch() == "living waits"
    error = KeyError("raised")

    def fail() -> None:
        raise error

    assert impl.greenlet(fail, parent).switch() == "living waits"
    assert log == [("living", "result"), ("living", (1, 2)), ("living", "raised", error)]
    assert log[2][2] is error


@clause("dead.parent.skipped")
def test_end_skips_dead_parents_beyond_the_unstartable(impl: Any) -> None:
    """The dead beyond a parent that cannot be started is not entered again, though it has a run."""
    log: list[Any] = []

    class Runs(impl.greenlet):  # type: ignore[misc]
        def run(self, *args: Any) -> None:
            log.append(args)

    beyond = Runs()
    beyond.switch("once")
    child = impl.greenlet(lambda: "result", impl.greenlet(parent=beyond))
    assert type(raised_by(child.switch)) is AttributeError
    assert log == [("once",)]


@clause("dead.parent.skipped")
def test_killed_unstarted_under_dead_parents(impl: Any) -> None:
    """So does one that is killed by throw before it ever ran."""
    log: list[Any] = []
    living = Listener(impl, "living", log).greenlet
    parent = dead_chain(impl, 2, living)[0]
    error, leaving = KeyError("thrown"), impl.GreenletExit("left")
    for thrown in (error, leaving):
        target = impl.greenlet(lambda: log.append("ran"), parent)
        assert target.throw(thrown) == "living waits"
        assert states(target) == ["dead"]
    assert log == [("living", "raised", error), ("living", leaving)]
    assert (log[0][2] is error, log[1][1] is leaving) == (True, True)


@clause("dead.parent.skipped")
def test_parent_dies_before_its_child(impl: Any) -> None:
    """If the parent ends while the child is suspended, the child's end leads past it."""
    root = impl.getcurrent()
    log: list[Any] = []

    def child_run() -> str:
        root.switch("child waits")
        return "child ends"

    def parent_run() -> str:
        children.append(impl.greenlet(child_run))
        root.switch("parent waits")
        return "parent ends"

    children: list[Any] = []
    grandparent = Listener(impl, "grandparent", log).greenlet
    parent = impl.greenlet(parent_run, grandparent)
    assert parent.switch() == "parent waits"
    child = children[0]
    assert child.parent is parent
    assert child.switch() == "child waits"
    assert parent.switch() == "grandparent waits"
    assert child.switch() == "grandparent waits"
    assert log == [("grandparent", "parent ends"), ("grandparent", "child ends")]
    assert states(child, parent, grandparent) == ["dead", "dead", "active"]


@clause("dead.parent.unstarted-beyond")
def test_unstarted_beyond(impl: Any) -> None:
    """An unstarted greenlet beyond the dead is started with the result as only argument."""
    for result in ("result", None, (), (1, 2), {"k": 1}):
        ancestor = impl.greenlet(lambda *args, **kwargs: (args, kwargs))
        parent = dead_chain(impl, 2, ancestor)[0]
        got = impl.greenlet(lambda: result, parent).switch()
        assert shape(got) == shape(((result,), {}))
        assert got[0][0] is result
