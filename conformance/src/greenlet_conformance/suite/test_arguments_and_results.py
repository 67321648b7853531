"""Chapter "Arguments and results"."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from greenlet_conformance.suite.support import FORMS, clause, raised_by, shape, states


def echo(impl: Any) -> Any:
    """A suspended child of the current greenlet that sends back what it receives."""
    parent = impl.getcurrent()

    def run() -> None:
        received = parent.switch()
        while True:
            received = parent.switch([received])

    g = impl.greenlet(run)
    g.switch()
    return g


def received(g: Any, *args: Any, **kwargs: Any) -> Any:
    """What the echo ``g`` receives from ``switch(*args, **kwargs)``."""
    return g.switch(*args, **kwargs)[0]


@clause("args.start")
def test_start(impl: Any) -> None:
    """The first switch passes its arguments to run: the same objects in their order."""
    objects = [object() for _ in range(4)]
    for count in range(5):
        got = impl.greenlet(lambda *args, **kwargs: (args, kwargs)).switch(*objects[:count])
        assert shape(got) == shape((tuple(objects[:count]), {}))
    for value in ((), (1, 2), {}, {"k": 1}, None):
        got = impl.greenlet(lambda *args, **kwargs: (args, kwargs)).switch(value)
        assert shape(got) == shape(((value,), {}))
        assert got[0][0] is value


@clause("args.start")
def test_start_with_named_parameters(impl: Any) -> None:
    """run may name its parameters and have defaults, as any function."""

    def run(first: Any, second: Any = "default", *rest: Any) -> Any:
        return first, second, rest

    assert impl.greenlet(run).switch(1) == (1, "default", ())
    assert impl.greenlet(run).switch(1, 2, 3, 4) == (1, 2, (3, 4))


@clause("args.start-keywords")
def test_start_keywords(impl: Any) -> None:
    """Keywords are passed to run as keywords."""

    def run(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert shape(impl.greenlet(run).switch(one=1, two=2)) == shape(((), {"one": 1, "two": 2}))
    assert shape(impl.greenlet(run).switch(0, 1, k=2)) == shape(((0, 1), {"k": 2}))

    def picky(first: Any, *, only: Any) -> Any:
        return first, only

    assert impl.greenlet(picky).switch(1, only=2) == (1, 2)
    assert impl.greenlet(picky).switch(only=2, first=1) == (1, 2)


@clause("args.keyword-names")
def test_keyword_names(impl: Any) -> None:
    """A keyword may have any name, at the start and later."""
    names = {"self": 1, "run": 2, "args": 3, "kwargs": 4, "parent": 5}
    started = impl.greenlet(lambda *args, **kwargs: (args, kwargs)).switch(**names)
    assert shape(started) == shape(((), names))
    assert shape(received(echo(impl), **names)) == shape(names)


@clause("args.bad-call")
def test_bad_call(impl: Any) -> None:
    """A call that does not fit fails inside the greenlet, and its parent gets the TypeError."""
    log: list[Any] = []

    def run(one: Any) -> None:
        log.append("ran")

    def parent() -> str:
        for args, kwargs in (((), {}), ((1, 2), {}), ((), {"other": 1})):
            g = impl.greenlet(run)
            log.append((type(raised_by(g.switch, *args, **kwargs)), states(g)))
        for not_callable in (42, "run", object()):
            g = impl.greenlet(not_callable)
            log.append((type(raised_by(g.switch)), states(g)))
        return "went on"

    assert impl.greenlet(parent).switch() == "went on"
    assert log == [(TypeError, ["dead"])] * 6


@clause("args.bad-call")
def test_bad_call_goes_to_the_parent(impl: Any) -> None:
    """The TypeError of a bad call goes to the parent, not to the one who switched."""
    log: list[Any] = []
    child = impl.greenlet(lambda: None)

    def starter() -> None:
        log.append(("starter got", raised_by(child.switch, "too many")))

    child.parent = impl.getcurrent()
    starting = impl.greenlet(starter)
    log.append(type(raised_by(starting.switch)))
    assert log == [TypeError]
    assert states(starting, child) == ["active", "dead"]


@clause("args.none")
def test_none(impl: Any) -> None:
    """Nothing sent is the empty tuple, in both directions."""
    got = received(echo(impl))
    assert type(got) is tuple
    assert got == ()
    root = impl.getcurrent()
    got = impl.greenlet(lambda: root.switch()).switch()
    assert type(got) is tuple
    assert got == ()


@clause("args.one")
def test_one(impl: Any) -> None:
    """One argument is received as itself, whatever its type, in both directions."""
    root = impl.getcurrent()
    g = echo(impl)
    values = [object(), None, 0, "", (), (1,), (1, 2), [], [1], {}, {"k": 1}, ((1,), {"k": 1})]
    for value in [*values, impl.greenlet, g, root, Ellipsis, NotImplemented, False]:
        assert received(g, value) is value
        back = impl.greenlet(root.switch)
        assert back.switch(value) is value


@clause("args.exception-value")
def test_exception_value(impl: Any) -> None:
    """An exception can be sent as a value: it is returned, not raised."""
    root = impl.getcurrent()
    g = echo(impl)
    exit_ = impl.GreenletExit
    for value in (ValueError("x"), ValueError, exit_("x"), exit_, KeyboardInterrupt()):
        assert received(g, value) is value
        assert impl.greenlet(root.switch).switch(value) is value
        assert impl.greenlet(lambda v: [v]).switch(value)[0] is value
    assert states(g) == ["active"]


@clause("args.several")
def test_several(impl: Any) -> None:
    """Several arguments are received as a tuple of the same objects in their order."""
    g = echo(impl)
    objects = [object() for _ in range(20)]
    for count in (2, 3, 20):
        got = received(g, *objects[:count])
        assert type(got) is tuple
        assert len(got) == count
        assert all(a is b for a, b in zip(got, objects))
    assert shape(received(g, (), ())) == shape(((), ()))
    assert shape(received(g, (1,), {})) == shape(((1,), {}))
    assert shape(received(g, None, None)) == shape((None, None))


@clause("args.keywords")
def test_keywords(impl: Any) -> None:
    """Keywords alone are received as a dict, a single one too."""
    g = echo(impl)
    value = object()
    got = received(g, k=value)
    assert type(got) is dict
    assert list(got) == ["k"]
    assert got["k"] is value
    got = received(g, b=1, a=2, c=3)
    assert type(got) is dict
    assert list(got.items()) == [("b", 1), ("a", 2), ("c", 3)]


@clause("args.both")
def test_both(impl: Any) -> None:
    """Both are received as a pair: the tuple of the positional ones, and the dict."""
    g = echo(impl)
    one, two = object(), object()
    got = received(g, one, k=two)
    assert [type(part) for part in (got, *got)] == [tuple, tuple, dict]
    assert [len(part) for part in (got, *got)] == [2, 1, 1]
    assert got[0][0] is one
    assert got[1]["k"] is two
    assert shape(received(g, 1, 2, k=3, l=4)) == shape(((1, 2), {"k": 3, "l": 4}))
    assert shape(received(g, (), k=())) == shape((((),), {"k": ()}))


@clause("args.empty-unpacking")
def test_empty_unpacking(impl: Any) -> None:
    """Empty unpackings send nothing: there is no empty dict in what arrives."""
    g = echo(impl)
    nothing: Any = []
    no_keywords: Any = {}
    assert shape(received(g, *nothing, **no_keywords)) == shape(())
    assert received(g, "x", **no_keywords) == "x"
    assert shape(received(g, "x", "y", **no_keywords)) == shape(("x", "y"))
    assert shape(received(g, *nothing, k=1)) == shape({"k": 1})


@clause("args.own-dict")
def test_own_dict(impl: Any) -> None:
    """The received dict is the receiver's own."""
    g = echo(impl)
    sent = {"k": 1}
    got = received(g, **sent)
    got["l"] = 2
    assert sent == {"k": 1}
    pair = received(g, 0, **sent)
    pair[1].clear()
    assert sent == {"k": 1}
    assert shape(received(g, **sent)) == shape({"k": 1})
    assert shape([got, pair]) == shape([{"k": 1, "l": 2}, ((0,), {})])


@clause("args.each-its-own")
def test_each_its_own(impl: Any) -> None:
    """Every switch has its own value: no trace of an earlier one, in both directions."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(*args: Any, **kwargs: Any) -> str:
        log.append(shape((args, kwargs)))
        for args, kwargs, _ in [*FORMS, *reversed(FORMS)]:
            log.append(shape(root.switch(*args, **kwargs)))
        return "end"

    g = impl.greenlet(run)
    order = [*reversed(FORMS), *FORMS]
    answers = [shape(g.switch("start", k="start"))]
    answers += [shape(g.switch(*args, **kwargs)) for args, kwargs, _ in order]
    expected = [shape(value) for _, _, value in [*FORMS, *reversed(FORMS)]]
    assert answers == [*expected, "end"]
    assert log[0] == shape((("start",), {"k": "start"}))
    assert log[1:] == [shape(value) for _, _, value in order]


@clause("args.self")
@pytest.mark.parametrize("where", ["root", "child", "grandchild"])
def test_self(impl: Any, where: str) -> None:
    """A switch to oneself returns what it sent, by the same rule."""

    def check() -> list[Any]:
        me = impl.getcurrent()
        value = object()
        assert_same = me.switch(value) is value
        return [assert_same, *(shape(me.switch(*args, **kwargs)) for args, kwargs, _ in FORMS)]

    if where == "root":
        answers = check()
    elif where == "child":
        answers = impl.greenlet(check).switch()
    else:
        answers = impl.greenlet(lambda: impl.greenlet(check).switch()).switch()
    assert answers == [True, *(shape(value) for _, _, value in FORMS)]


class Thing:
    """Something that can be weakly referenced."""


@clause("args.not-kept")
def test_not_kept(impl: Any) -> None:
    """Nothing sent is kept: not by switch, start, result or an end by exception."""
    root = impl.getcurrent()

    def count(*args: Any, **kwargs: Any) -> int:
        return len(args) + len(kwargs)

    def counter() -> None:
        number: Any = root.switch()
        while True:
            number = root.switch(type(number))

    things = [Thing() for _ in range(6)]
    alive = [weakref.ref(thing) for thing in things]
    g = impl.greenlet(counter)
    g.switch()
    assert g.switch(things[0]) is Thing
    assert g.switch(things[1], k=things[2]) is tuple
    assert g.switch() is tuple
    starting = impl.greenlet(count)
    assert starting.switch(things[3], k=things[4]) == 2
    ending = impl.greenlet(things.pop)
    assert type(ending.switch()) is Thing
    del things
    gc.collect()
    assert [ref() for ref in alive] == [None] * 6
    assert states(g, starting, ending) == ["active", "dead", "dead"]


@clause("args.result")
def test_result(impl: Any) -> None:
    """The result of run is received as itself; a tuple or dict is not unpacked."""
    values: list[Any] = [object(), (), (1,), (1, 2), ((1,), {"k": 2}), {}, {"k": 1}, [], None, 0]
    for value in values:
        assert impl.greenlet(lambda: value).switch() is value


@clause("args.result-none")
def test_result_none(impl: Any) -> None:
    """A run that returns nothing sends None, not ()."""

    def run(*args: Any) -> None:
        pass

    assert impl.greenlet(run).switch() is None
    assert impl.greenlet(run).switch("argument") is None
    root = impl.getcurrent()
    g = impl.greenlet(lambda: root.switch() and None)
    g.switch()
    assert g.switch("argument") is None


@clause("args.calls")
def test_calls(impl: Any) -> None:
    """The type takes run and parent and nothing else."""
    root = impl.getcurrent()
    for args, kwargs in (((print, root, 3), {}), ((), {"other": 1}), ((print,), {"run": print})):
        with pytest.raises(TypeError):
            impl.greenlet(*args, **kwargs)
