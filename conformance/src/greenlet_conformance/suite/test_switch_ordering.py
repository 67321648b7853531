"""Chapter "Switch ordering"."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from greenlet_conformance.suite.support import Worker, clause, raised_by, states


@clause("order.example")
def test_example(impl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Two greenlets take turns: the four lines of the classic example, in order."""

    def func1() -> None:
        print("g1 begin")
        g2.switch()
        print("return to g1")
        g2.switch()

    def func2() -> None:
        print("g2 begin")
        g1.switch()
        print("reenter g2")

    g1, g2 = impl.greenlet(func1), impl.greenlet(func2)
    g1.switch()
    assert capsys.readouterr().out == "g1 begin\ng2 begin\nreturn to g1\nreenter g2\n"
    assert states(g1, g2) == ["active", "dead"]


@clause("order.immediate")
def test_immediate(impl: Any) -> None:
    """A switch takes effect at once: nothing runs between the call and the target."""
    root = impl.getcurrent()
    log: list[str] = []

    def run() -> None:
        log.append("g starts")
        root.switch(log.append("g leaves"))
        log.append("g returns")
        root.switch()
        log.append("g ends")

    g = impl.greenlet(run)
    log.append("1")
    g.switch()
    log.append("2")
    g.switch()
    log.append("3")
    g.switch()
    log.append("4")
    assert log == ["1", "g starts", "g leaves", "2", "g returns", "3", "g ends", "4"]


@clause("order.immediate")
def test_immediate_in_the_middle_of_an_expression(impl: Any) -> None:
    """The caller's expression is evaluated no further until somebody switches back."""
    log: list[Any] = []
    root = impl.getcurrent()

    def note(value: Any) -> Any:
        log.append(value)
        return value

    def run() -> None:
        for i in range(10, 12):
            log.append(f"g{i}")
            root.switch(i)

    g = impl.greenlet(run)
    assert [note("a"), g.switch(), note("b"), g.switch(), note("c")] == ["a", 10, "b", 11, "c"]
    assert log == ["a", "g10", "b", "g11", "c"]


@clause("order.start")
def test_start(impl: Any) -> None:
    """The first switch, by any greenlet, starts run from its beginning; later ones do not."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(*args: Any) -> str:
        log.append(("run", args))
        log.append(("then", root.switch()))
        log.append(("then", root.switch()))
        return "end"

    g = impl.greenlet(run)
    starter = impl.greenlet(lambda: g.switch("first"))
    assert starter.switch() == ()
    assert g.parent is root
    assert g.switch("second") == ()
    assert g.switch("third") == "end"
    assert log == [("run", ("first",)), ("then", "second"), ("then", "third")]


@clause("order.resume")
def test_resume(impl: Any) -> None:
    """A later switch goes on where the greenlet stopped, with its locals and loops."""
    root = impl.getcurrent()

    def run(start: int) -> str:
        total = start
        for i in range(3):
            for j in "ab":
                total += root.switch((i, j, total))
        return f"total {total}"

    first, second = impl.greenlet(run), impl.greenlet(run)
    log = [first.switch(0), second.switch(1000)]
    for step in range(1, 6):
        log += [first.switch(step), second.switch(step * 10)]
    assert log == [
        (0, "a", 0),
        (0, "a", 1000),
        (0, "b", 1),
        (0, "b", 1010),
        (1, "a", 3),
        (1, "a", 1030),
        (1, "b", 6),
        (1, "b", 1060),
        (2, "a", 10),
        (2, "a", 1100),
        (2, "b", 15),
        (2, "b", 1150),
    ]
    assert (first.switch(6), second.switch(60)) == ("total 21", "total 1210")


@clause("order.resume")
def test_resume_after_throw(impl: Any) -> None:
    """A greenlet that stopped in throw() goes on right after it."""
    root = impl.getcurrent()
    log: list[Any] = []

    def catcher() -> None:
        try:
            root.switch("ready")
        except KeyError:
            log.append("caught")
            root.switch("back in root")

    def thrower() -> None:
        log.append(("throw returned", target.throw(KeyError)))

    target = impl.greenlet(catcher)
    log.append(target.switch())
    g = impl.greenlet(thrower)
    log.append(g.switch())
    log.append(g.switch("for the thrower"))
    assert log == [
        "ready",
        "caught",
        "back in root",
        ("throw returned", "for the thrower"),
        None,
    ]


@clause("order.depth")
def test_depth(impl: Any) -> None:
    """A greenlet stops with its whole stack, and goes on in the innermost function."""
    root = impl.getcurrent()
    log: list[Any] = []

    def dive(name: str, depth: int) -> int:
        if depth == 0:
            log.append((name, "bottom", root.switch()))
            return 0
        below = dive(name, depth - 1)
        if depth % 20 == 0:
            log.append((name, depth, root.switch()))
        return below + 1

    a, b = impl.greenlet(dive), impl.greenlet(dive)
    a.switch("a", 60)
    b.switch("b", 40)
    assert [g.switch(i) for i, g in enumerate((a, b, a, a, b))] == [(), (), (), (), ()]
    assert (b.switch(5), a.switch(6)) == (40, 60)
    assert log == [
        ("a", "bottom", 0),
        ("b", "bottom", 1),
        ("a", 20, 2),
        ("a", 40, 3),
        ("b", 20, 4),
        ("b", 40, 5),
        ("a", 60, 6),
    ]


@clause("order.c-frames")
@pytest.mark.parametrize("kind", ["sorted", "map", "reduce", "constructor"])
def test_c_frames(impl: Any, kind: str) -> None:
    """A greenlet may stop under a C function; two may be inside of the same one."""
    root = impl.getcurrent()

    def ask(value: Any) -> Any:
        return root.switch(value)

    class Made:
        def __init__(self) -> None:
            self.answers = [ask(3), ask(1), ask(2)]

    def run() -> Any:
        if kind == "sorted":
            return sorted([3, 1, 2], key=ask)
        if kind == "map":
            return list(map(ask, [3, 1, 2]))
        if kind == "reduce":
            return functools.reduce(lambda a, b: [*a, ask(b)], [3, 1, 2], [])
        return type.__call__(Made).answers

    up, down = impl.greenlet(run), impl.greenlet(run)
    assert (up.switch(), down.switch()) == (3, 3)
    assert (up.switch(30), down.switch(-30)) == (1, 1)
    assert (up.switch(10), down.switch(-10)) == (2, 2)
    results = (up.switch(20), down.switch(-20))
    expected = {"sorted": ([1, 2, 3], [3, 2, 1])}
    assert results == expected.get(kind, ([30, 10, 20], [-30, -10, -20]))


@clause("order.c-frames")
def test_c_frames_leave_no_depth(impl: Any) -> None:
    """When those that stopped deep inside of C functions have ended, recursion has its limit."""
    root = impl.getcurrent()

    def deep(levels: int) -> Any:
        return max([levels - 1], key=deep) if levels else root.switch()

    greenlets = [impl.greenlet(deep) for _ in range(200)]
    for g in greenlets:
        g.switch(100)
    for g in greenlets:
        g.switch(0)
    assert {g.dead for g in greenlets} == {True}
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert isinstance(raised_by(repr, nested), RecursionError)


@clause("order.generators")
def test_generators(impl: Any) -> None:
    """A generator may switch; it goes on when the greenlet that iterates over it does."""
    root = impl.getcurrent()

    def numbers(name: str) -> Iterator[Any]:
        for i in range(2):
            yield name, i, root.switch(f"{name} asks {i}")

    def run(name: str) -> list[Any]:
        return list(numbers(name))

    a, b = impl.greenlet(run), impl.greenlet(run)
    assert [a.switch("a"), b.switch("b")] == ["a asks 0", "b asks 0"]
    assert [b.switch("x"), a.switch("y")] == ["b asks 1", "a asks 1"]
    assert a.switch("z") == [("a", 0, "y"), ("a", 1, "z")]
    assert b.switch("w") == [("b", 0, "x"), ("b", 1, "w")]


@clause("order.ring")
@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_ring(impl: Any, size: int) -> None:
    """In a ring each greenlet goes on exactly when its turn comes round."""
    rounds = 4
    log: list[Any] = []
    ring: list[Any] = []
    root = impl.getcurrent()

    def run(me: int) -> None:
        following = ring[me + 1] if me + 1 < size else root
        for turn in range(rounds):
            log.append((turn, me))
            following.switch(me + 1)
        log.append(("end", me))

    ring.extend(impl.greenlet(run) for _ in range(size))
    for _ in range(rounds):
        assert ring[0].switch(0) == size
    assert log == [(turn, me) for turn in range(rounds) for me in range(size)]
    del log[:]
    for g in ring:
        assert g.switch() is None
    assert log == [("end", me) for me in range(size)]


@clause("order.ring")
def test_ring_of_every_step(impl: Any) -> None:
    """Everyone switches to everyone else directly, each from a depth of its own."""
    root = impl.getcurrent()
    count = 30
    path, at = [0], 0
    for step in range(1, count):
        for _ in range(count):
            at = (at + step) % count
            path.append(at)
    following = iter(path[1:])
    log: list[tuple[Any, int]] = []

    def run(sender: Any, number: int = 0, levels: int = 0) -> Any:
        if levels:
            return max([sender], key=lambda _: run(sender, number, levels - 1))
        while True:
            log.append((sender, number))
            target = next(following, None)
            sender = (root if target is None else greenlets[target]).switch(number)

    greenlets = [
        impl.greenlet(functools.partial(run, number=number, levels=number * 7 % 10))
        for number in range(count)
    ]
    assert greenlets[0].switch(None) == path[-1]
    assert log == list(zip([None, *path], path))


@clause("order.interleave")
def test_interleave(impl: Any) -> None:
    """Long exchanges keep their order: two greenlets alternate strictly."""
    count = 5000
    log: list[int] = []

    def even() -> None:
        for i in range(0, count, 2):
            log.append(i)
            second.switch()

    def odd() -> None:
        for i in range(1, count, 2):
            log.append(i)
            first.switch()

    first, second = impl.greenlet(even), impl.greenlet(odd)
    first.switch()
    assert log == list(range(count))
    assert states(first, second) == ["dead", "active"]


@clause("order.only")
def test_only(impl: Any) -> None:
    """Nothing but switch, throw and death moves control."""
    root = impl.getcurrent()
    log: list[str] = []

    def run() -> None:
        log.append("started")
        root.switch()
        log.append("resumed")

    unstarted, suspended, dead = (impl.greenlet(run) for _ in range(3))
    suspended.switch()
    dead.switch()
    dead.switch()
    assert log == ["started", "started", "resumed"]
    del log[:]
    for g in (unstarted, suspended, dead):
        bool(g), g.dead, g.parent, g.gr_frame, repr(g), str(g), hash(g), g == root, {g: 1}
        g.label = "any"
        g.parent = impl.greenlet(run)
        g.parent = root
        impl.getcurrent()
        impl.greenlet(run, g)
    unstarted.run = run
    del unstarted, dead, g
    assert log == []
    assert suspended.switch() is None
    assert log == ["resumed"]


@clause("order.no-unwinding")
def test_no_unwinding(impl: Any) -> None:
    """A switch runs no finally, no except and no __exit__; leaving the block does."""
    root = impl.getcurrent()
    log: list[str] = []

    @contextmanager
    def block() -> Iterator[None]:
        log.append("enter")
        try:
            yield
        finally:
            log.append("exit")

    def run() -> None:
        with block():
            try:
                log.append("inside")
                root.switch()
                log.append("inside again")
            except BaseException:
                log.append("except")
                raise
            finally:
                log.append("finally")

    g = impl.greenlet(run)
    g.switch()
    assert log == ["enter", "inside"]
    g.switch()
    assert log == ["enter", "inside", "inside again", "finally", "exit"]


@clause("order.who-comes-back")
def test_who_comes_back(impl: Any) -> None:
    """A greenlet that switched to one goes on when any other switches to it."""
    root = impl.getcurrent()
    log: list[Any] = []

    def waiter() -> None:
        log.append(("waiter got", asked.switch("question")))
        log.append(("waiter got", asked.switch("again")))

    def ask() -> None:
        log.append(("asked got", waiting.switch("unused") if False else root.switch("to root")))

    def stranger() -> None:
        log.append(("stranger got", waiting.switch("from a stranger")))

    waiting = impl.greenlet(waiter)
    asked = impl.greenlet(lambda value: log.append(("asked for", value)) or ask())
    third = impl.greenlet(stranger)
    log.append(("root got", waiting.switch()))
    log.append(("root got", third.switch()))
    assert log == [
        ("asked for", "question"),
        ("root got", "to root"),
        ("waiter got", "from a stranger"),
        ("asked got", "again"),
        ("root got", None),
    ]
    assert states(waiting, asked, third) == ["active", "dead", "active"]
    assert third.switch("at last") is None
    assert log[-1] == ("stranger got", "at last")


@clause("order.starter")
def test_starter(impl: Any) -> None:
    """The starter is no parent: the end goes to the parent, the starter stays suspended."""
    log: list[Any] = []

    def start() -> str:
        log.append("starter runs")
        log.append(("starter got", child.switch()))
        return "starter ends"

    def run() -> str:
        log.append("child runs")
        return "child's result"

    child = impl.greenlet(run)
    starter = impl.greenlet(start)
    log.append(("root got", starter.switch()))
    assert states(child, starter) == ["dead", "active"]
    log.append(("root got", starter.switch("later")))
    assert log == [
        "starter runs",
        "child runs",
        ("root got", "child's result"),
        ("starter got", "later"),
        ("root got", "starter ends"),
    ]


@clause("order.self")
def test_self(impl: Any) -> None:
    """A switch to oneself comes back at once, and nothing else runs."""
    log: list[Any] = []
    root = impl.getcurrent()
    bystander = impl.greenlet(lambda: [root.switch(), log.append("bystander")])
    bystander.switch()

    def run() -> str:
        me = impl.getcurrent()
        log.append(("self", me.switch("mine"), impl.getcurrent() is me))
        log.append(("self", me.switch(), states(me)))
        return "end"

    log.append(("root", root.switch("mine"), impl.getcurrent() is root))
    log.append(("g", impl.greenlet(run).switch()))
    assert log == [
        ("root", "mine", True),
        ("self", "mine", True),
        ("self", (), ["active"]),
        ("g", "end"),
    ]


@clause("order.self")
def test_self_after_others(impl: Any) -> None:
    """It does not matter who was there before, or how it ended."""

    def fails() -> None:
        raise KeyError

    for _ in range(3):
        assert type(raised_by(impl.greenlet(fails).switch)) is KeyError
        g = impl.greenlet(lambda: (impl.getcurrent().switch("self"), "end"))
        assert g.switch() == ("self", "end")


@clause("order.self")
def test_self_while_a_kill_waits(impl: Any, worker: Worker) -> None:
    """Nor does it matter that a greenlet has to be killed first, which another thread dropped."""
    root = worker(impl.getcurrent)

    def suspended() -> list[Any]:
        g = impl.greenlet(lambda: root.switch())
        g.switch()
        return [g]

    held = worker(suspended)
    held.clear()
    assert worker(root.switch, "self") == "self"


@clause("order.root")
def test_root(impl: Any) -> None:
    """The root is switched to like any other, from any depth; those between stay suspended."""
    root = impl.getcurrent()
    log: list[Any] = []
    chain: list[Any] = []

    def run(depth: int) -> str:
        chain.append(impl.getcurrent())
        if depth:
            log.append((depth, impl.greenlet(run).switch(depth - 1)))
        else:
            log.append((depth, root.switch("from the deepest")))
        return f"end {depth}"

    assert impl.greenlet(run).switch(3) == "from the deepest"
    assert states(*chain) == ["active"] * 4
    assert log == []
    assert chain[3].switch("go on") == "end 3"
    assert log == [(0, "go on"), (1, "end 0"), (2, "end 1"), (3, "end 2")]
    assert states(*chain) == ["dead"] * 4


@clause("order.handled-exception")
def test_handled_exception(impl: Any) -> None:
    """The exception being handled belongs to the greenlet, not to the thread."""
    root = impl.getcurrent()
    log: list[Any] = []

    def handled() -> Any:
        return sys.exc_info()[1]

    mine, yours = KeyError("mine"), ValueError("yours")

    def run() -> None:
        log.append(("at the start", handled()))
        try:
            raise yours
        except ValueError:
            root.switch()
            log.append(("in the handler", handled()))
            log.append(("bare raise", raised_by(reraise)))
            root.switch()
        log.append(("after the handler", handled()))

    def reraise() -> None:
        raise

    g = impl.greenlet(run)
    try:
        raise mine
    except KeyError:
        g.switch()
        log.append(("root in its handler", handled()))
    log.append(("root after", handled()))
    g.switch()
    log.append(("root after", handled()))
    try:
        raise mine
    except KeyError:
        g.switch()
        log.append(("root bare raise", raised_by(reraise)))
    assert log == [
        ("at the start", None),
        ("root in its handler", mine),
        ("root after", None),
        ("in the handler", yours),
        ("bare raise", yours),
        ("root after", None),
        ("after the handler", None),
        ("root bare raise", mine),
    ]


@clause("order.handled-exception")
def test_handled_exception_is_no_context(impl: Any) -> None:
    """An exception raised in one greenlet gets no context from the handler of another."""

    def run() -> None:
        raise ValueError

    try:
        raise KeyError
    except KeyError:
        error = raised_by(impl.greenlet(lambda: raised_by(run)).switch)
        assert error is None
        found = impl.greenlet(lambda: raised_by(run)).switch()
    assert isinstance(found, ValueError)
    assert found.__context__ is None


@clause("order.recursion")
def test_recursion(impl: Any) -> None:
    """How deep one greenlet has recursed does not shorten what another may do."""
    root = impl.getcurrent()
    limit = sys.getrecursionlimit()
    depth = limit // 2

    def dive(left: int) -> int:
        if left == 0:
            root.switch("at the bottom")
            return 0
        return 1 + dive(left - 1)

    greenlets = [impl.greenlet(dive) for _ in range(5)]
    assert [g.switch(depth) for g in greenlets] == ["at the bottom"] * 5
    assert [g.switch() for g in reversed(greenlets)] == [depth] * 5


@clause("order.recursion")
def test_recursion_limit(impl: Any) -> None:
    """A greenlet that ran into the limit can catch RecursionError and switch on."""
    root = impl.getcurrent()

    def endless() -> None:
        endless()

    def run() -> str:
        for _ in range(3):
            root.switch(type(raised_by(endless)))
        return "end"

    g = impl.greenlet(run)
    assert [g.switch() for _ in range(4)] == [RecursionError] * 3 + ["end"]
    assert type(raised_by(endless)) is RecursionError


@clause("order.trace")
def test_trace(impl: Any) -> None:
    """The trace function sees every transfer, in order, in the target."""
    root = impl.getcurrent()
    log: list[Any] = []

    def tracer(event: str, args: Any) -> None:
        names = {root: "root", a: "a", b: "b"}
        log.append((event, type(args), [names[g] for g in args], names[impl.getcurrent()]))

    def run_a() -> None:
        log.append("a starts")
        b.switch()
        log.append("a goes on")

    def run_b() -> None:
        log.append("b starts")
        a.switch()
        log.append("b never goes on")

    a, b = impl.greenlet(run_a), impl.greenlet(run_b)
    impl.settrace(tracer)
    log.append("root switches")
    a.switch()
    log.append("root goes on")
    impl.settrace(None)
    assert log == [
        "root switches",
        ("switch", tuple, ["root", "a"], "a"),
        "a starts",
        ("switch", tuple, ["a", "b"], "b"),
        "b starts",
        ("switch", tuple, ["b", "a"], "a"),
        "a goes on",
        ("switch", tuple, ["a", "root"], "root"),
        "root goes on",
    ]


@clause("order.trace-target")
def test_trace_target(impl: Any) -> None:
    """The target of a trace is the greenlet really entered, not the dead one named."""
    root = impl.getcurrent()
    log: list[Any] = []
    living = impl.greenlet(lambda: root.switch(root.switch()))
    living.switch()
    dead = impl.greenlet(lambda: None, living)
    dead.parent = root
    dead.switch()
    dead.parent = living
    impl.settrace(lambda event, args: log.append((event, args)))
    assert dead.switch("through") == "through"
    impl.settrace(None)
    assert log == [("switch", (root, living)), ("switch", (living, root))]


@clause("order.trace-error")
def test_trace_error(impl: Any) -> None:
    """A trace function that raises is taken away; the exception is raised in the target."""
    root = impl.getcurrent()
    error = KeyError("from the tracer")
    log: list[Any] = []

    def tracer(event: str, args: Any) -> None:
        raise error

    def run() -> str:
        try:
            root.switch("ready")
        except KeyError as caught:
            log.append(caught)
            root.switch("caught")
        return "end"

    g = impl.greenlet(run)
    assert g.switch() == "ready"
    impl.settrace(tracer)
    assert g.switch("lost") == "caught"
    assert log == [error]
    assert log[0] is error
    assert impl.gettrace() is None
    assert g.switch() == "end"
    unstarted = impl.greenlet(lambda: log.append("ran"))
    impl.settrace(tracer)
    assert raised_by(unstarted.switch) is error
    assert states(unstarted) == ["dead"]
    assert log == [error]
