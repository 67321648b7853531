"""Chapter "Exceptions and state around a switch"."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from greenlet_conformance.suite.support import Worker, clause, raised_by, states


def handled() -> Any:
    """The type of the exception being handled, or None."""
    return sys.exc_info()[0]


def contexts(error: BaseException | None) -> list[type[BaseException]]:
    """The types of the exception and its chain of contexts."""
    found = []
    while error is not None:
        found.append(type(error))
        error = error.__context__
    return found


# --- exceptions --------------------------------------------------------------------------


@clause("state.exc-info")
def test_exc_info(impl: Any) -> None:
    """sys.exc_info() is as it was left, at each level of handlers, for many greenlets."""
    root = impl.getcurrent()
    log: list[Any] = []

    def look(name: str, expected: Any) -> None:
        root.switch()
        log.append((name, expected, handled()))

    def run(name: str, outer: Any, inner: Any) -> None:
        look(name, None)
        try:
            raise outer
        except outer:
            look(name, outer)
            try:
                raise inner
            except inner:
                look(name, inner)
            finally:
                look(name, outer)
            look(name, outer)
        look(name, None)

    greenlets = [impl.greenlet(run) for _ in range(3)]
    kinds = [(KeyError, OSError), (ValueError, KeyError), (OSError, ArithmeticError)]
    try:
        raise IndexError
    except IndexError:
        for i, (g, pair) in enumerate(zip(greenlets, kinds)):
            g.switch(f"g{i}", *pair)
        log.append(("root", IndexError, handled()))
    for turn in range(6):
        for g in greenlets if turn % 2 else reversed(greenlets):
            if turn == 3:
                try:
                    raise LookupError
                except LookupError:
                    g.switch()
                    log.append(("root", LookupError, handled()))
            else:
                g.switch()
                log.append(("root", None, handled()))
    assert states(*greenlets) == ["dead"] * 3
    assert [entry for entry in log if entry[1] is not entry[2]] == []
    assert len(log) == 1 + 6 * 3 * 2


@clause("state.exc-info")
def test_exc_info_in_generator(impl: Any) -> None:
    """A generator that handles an exception, and its user, each see their own."""
    root = impl.getcurrent()
    log: list[Any] = []

    def generator() -> Iterator[Any]:
        try:
            raise KeyError
        except KeyError:
            root.switch("inside")
            log.append(handled())
            yield "value"
            log.append(handled())

    def run() -> None:
        g = generator()
        try:
            raise OSError
        except OSError:
            log.append(next(g))
            log.append(handled())
            root.switch("outside")
            log.append(handled())
        log.append(list(g))
        log.append(handled())

    g = impl.greenlet(run)
    assert g.switch() == "inside"
    assert handled() is None
    assert g.switch() == "outside"
    assert handled() is None
    g.switch()
    assert log == [KeyError, "value", OSError, OSError, KeyError, [], None]


@clause("state.reraise")
def test_reraise(impl: Any) -> None:
    """A bare raise finds the greenlet's own exception, and none of the starter's."""
    root = impl.getcurrent()
    error = KeyError("own")

    def bare() -> None:
        raise

    def run() -> None:
        try:
            raise error
        except KeyError:
            root.switch()
            bare()

    g = impl.greenlet(run)
    g.switch()
    try:
        raise OSError("of the root")
    except OSError:
        assert raised_by(g.switch) is error
        assert type(impl.greenlet(raised_by).switch(bare)) is RuntimeError
        child = impl.greenlet(lambda: (root.switch(), raised_by(bare))[1])
        child.switch()
        assert type(child.switch()) is RuntimeError
        assert type(raised_by(bare)) is OSError


@clause("state.context")
def test_context(impl: Any) -> None:
    """An exception's context is what its own greenlet handles, and nothing of the others."""
    root = impl.getcurrent()

    def run(with_own: bool) -> None:
        if with_own:
            try:
                raise OSError
            except OSError:
                root.switch()
                raise KeyError from None
        root.switch()
        raise KeyError

    for with_own, expected in ((False, [KeyError]), (True, [KeyError, OSError])):
        g = impl.greenlet(run)
        try:
            raise IndexError("of the starter")
        except IndexError:
            g.switch(with_own)
        try:
            raise ValueError("of the parent")
        except ValueError:
            error = raised_by(g.switch)
        assert contexts(error) == expected
    g = impl.greenlet(run)
    g.switch(False)
    parent = impl.greenlet(lambda: raised_by(in_handler))

    def in_handler() -> None:
        try:
            raise ValueError("of the parent")
        except ValueError:
            root.switch()

    parent.switch()
    g.parent = parent
    assert contexts(g.switch()) == [KeyError]


@clause("state.context.killed")
@pytest.mark.parametrize("target", ["plain", "in a handler"])
def test_context_killed(impl: Any, target: str) -> None:
    """GreenletExit in a killed greenlet is not chained to what its killer is handling."""
    root = impl.getcurrent()
    found: list[list[type]] = []

    def wait() -> None:
        try:
            root.switch()
        except impl.GreenletExit as error:
            found.append(contexts(error))

    def run() -> None:
        if target == "plain":
            wait()
        else:
            try:
                raise OSError
            except OSError:
                wait()

    g = impl.greenlet(run)
    g.switch()
    try:
        raise IndexError("of the killer")
    except IndexError:
        del g
        gc.collect()  # where that is how the unreferenced are found
    assert len(found) == 1
    assert IndexError not in found[0]
    assert found[0][0] is impl.GreenletExit


@clause("state.context.thrown")
def test_context_thrown(impl: Any) -> None:
    """A thrown exception keeps its chain, whatever thrower and target are handling."""
    root = impl.getcurrent()

    def run() -> Any:
        try:
            raise OSError("of the target")
        except OSError:
            return raised_by(root.switch)

    own = LookupError("own context")
    for context, cause in ((None, None), (own, None), (own, own)):
        error = ValueError("thrown")
        error.__context__, error.__cause__ = context, cause
        g = impl.greenlet(run)
        g.switch()
        try:
            raise IndexError("of the thrower")
        except IndexError:
            assert g.throw(error) is error
        assert error.__context__ is context
        assert error.__cause__ is cause


@clause("state.passing")
def test_passing(impl: Any) -> None:
    """An exception goes on after cleanup that switched, even if others raised meanwhile."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(error: Exception) -> None:
        try:
            try:
                raise error
            finally:
                log.append((sys.exc_info()[1] is error, root.switch("in cleanup")))
        finally:
            root.switch("in outer cleanup")

    errors = [KeyError("a"), OSError("b")]
    greenlets = [impl.greenlet(run) for _ in errors]
    for g, error in zip(greenlets, errors):
        assert g.switch(error) == "in cleanup"
    for g in reversed(greenlets):
        assert g.switch("value") == "in outer cleanup"
    for g, error in zip(greenlets, errors):
        assert raised_by(g.switch) is error
    assert log == [(True, "value"), (True, "value")]


# --- recursion ---------------------------------------------------------------------------


def depth(level: int = 0) -> int:
    """How deep a recursion gets from here."""
    try:
        return depth(level + 1)
    except RecursionError:
        return level


def at_depth(level: int, function: Any, *args: Any) -> Any:
    """Calls the function so many levels deeper."""
    return at_depth(level - 1, function, *args) if level else function(*args)


@pytest.fixture
def limit() -> Iterator[int]:
    """A recursion limit low enough to be reached quickly."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(600)
    yield 600
    sys.setrecursionlimit(before)


def close(found: int, expected: int) -> bool:
    """Whether two depths differ by no more than the frames around the recursion."""
    return abs(found - expected) <= 10


@clause("state.recursion.own")
def test_recursion_own(impl: Any, limit: int) -> None:
    """Neither the depth of the suspended nor that of the resumer counts."""
    root = impl.getcurrent()
    base = depth()

    def run() -> int:
        root.switch()
        return depth()

    deep = impl.greenlet(lambda: at_depth(300, root.switch))
    deep.switch()
    assert close(depth(), base)
    g = impl.greenlet(run)
    g.switch()
    assert close(at_depth(300, g.switch), base)
    g = impl.greenlet(lambda: (at_depth(300, root.switch), depth())[1])
    g.switch()
    assert close(g.switch(), base)
    g = impl.greenlet(lambda: (root.switch(), at_depth(300, depth))[1])
    g.switch()
    assert close(g.switch(), base - 300)
    assert close(depth(), base)


@clause("state.recursion.start")
def test_recursion_start(impl: Any, limit: int) -> None:
    """A greenlet starts at the depth of its starter, and keeps to it when resumed."""
    root = impl.getcurrent()
    base = depth()
    assert close(impl.greenlet(depth).switch(), base)
    assert close(at_depth(300, impl.greenlet(depth).switch), base - 300)
    g = impl.greenlet(lambda: (root.switch(), depth())[1])
    at_depth(300, g.switch)
    assert close(g.switch(), base - 300)


@clause("state.recursion.no-drift")
def test_recursion_no_drift(impl: Any, limit: int) -> None:
    """Thousands of ends at any depth leave the limit where it was."""
    root = impl.getcurrent()
    base = depth()

    def fail() -> None:
        raise KeyError

    for _ in range(500):
        impl.greenlet(at_depth).switch(20, lambda: None)
        raised_by(impl.greenlet(at_depth).switch, 20, fail)
        g = impl.greenlet(at_depth)
        g.switch(20, root.switch)
        g.throw()
        g = impl.greenlet(at_depth)
        at_depth(20, g.switch, 20, root.switch)
        del g
        raised_by(impl.greenlet(fail).throw, KeyError)
    assert close(depth(), base)
    assert close(impl.greenlet(depth).switch(), base)


@clause("state.recursion.limit")
def test_recursion_limit(impl: Any, limit: int) -> None:
    """A new recursion limit holds for suspended greenlets."""
    root = impl.getcurrent()
    base = depth()
    g = impl.greenlet(lambda: [(root.switch(), depth())[1] for _ in range(2)])
    g.switch()
    sys.setrecursionlimit(limit + 300)
    g.switch()
    sys.setrecursionlimit(limit + 100)
    higher, lower = g.switch()
    assert close(higher, base + 300)
    assert close(lower, base + 100)


# --- generators --------------------------------------------------------------------------


@clause("state.generator.moved")
def test_generator_moved(impl: Any) -> None:
    """A waiting generator may be continued by any greenlet."""
    root = impl.getcurrent()
    log: list[Any] = []

    def generator() -> Iterator[Any]:
        for number in range(3):
            log.append(impl.getcurrent())
            yield number

    g = generator()
    greenlets = [impl.greenlet(lambda: next(g)) for _ in range(2)]
    assert [greenlets[0].switch(), next(g), greenlets[1].switch()] == [0, 1, 2]
    assert log == [greenlets[0], root, greenlets[1]]
    assert next(g, "end") == "end"


@clause("state.generator.busy")
def test_generator_busy(impl: Any) -> None:
    """A generator in which a greenlet is suspended cannot be continued by another."""
    root = impl.getcurrent()

    def generator() -> Iterator[Any]:
        yield root.switch("inside")

    generators = [generator()]
    g = impl.greenlet(lambda: list(generators[0]))
    assert g.switch() == "inside"
    for call in (generators[0].__next__, generators[0].close):  # type: ignore[attr-defined]
        assert type(raised_by(call)) is ValueError
        assert type(impl.greenlet(raised_by).switch(call)) is ValueError
    assert g.switch("value") == ["value"]


@clause("state.generator.close")
def test_generator_close(impl: Any) -> None:
    """A generator's cleanup by close() and throw() may switch and be resumed."""
    root = impl.getcurrent()
    log: list[Any] = []

    def generator() -> Iterator[Any]:
        try:
            yield 1
        finally:
            log.append((handled(), root.switch("cleaning up")))

    def run(how: str) -> Any:
        g: Any = generator()
        next(g)
        return raised_by(g.throw, KeyError("thrown")) if how == "throw" else g.close()

    g = impl.greenlet(run)
    assert g.switch("close") == "cleaning up"
    assert g.switch("value") is None
    g = impl.greenlet(run)
    assert g.switch("throw") == "cleaning up"
    assert type(g.switch("value")) is KeyError
    assert log == [(GeneratorExit, "value"), (KeyError, "value")]


def drive(coroutine: Any) -> Any:
    """Runs a coroutine that waits for nothing; answers its result."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


@clause("state.coroutine")
def test_coroutine(impl: Any) -> None:
    """Coroutines, asynchronous generators and context managers may switch inside."""
    root = impl.getcurrent()
    log: list[Any] = []

    async def inner(value: Any) -> Any:
        return root.switch(value)

    async def numbers() -> AsyncIterator[Any]:
        for number in range(2):
            yield await inner(("number", number))

    @asynccontextmanager
    async def manager() -> AsyncIterator[Any]:
        got = await inner("enter")
        try:
            yield got
        finally:
            log.append(await inner("exit"))

    async def outer() -> Any:
        async with manager() as got:
            return got, [value async for value in numbers()]

    g = impl.greenlet(lambda: drive(outer()))
    sent = [g.switch()] + [g.switch(value) for value in ("a", "b", "c", "d")]
    assert sent == ["enter", ("number", 0), ("number", 1), "exit", ("a", ["b", "c"])]
    assert log == ["d"]


@clause("state.coroutine")
def test_coroutine_busy(impl: Any) -> None:
    """A coroutine in which a greenlet is suspended cannot be run elsewhere."""
    root = impl.getcurrent()

    async def function() -> Any:
        return root.switch("inside")

    coroutine = function()
    g = impl.greenlet(drive)
    assert g.switch(coroutine) == "inside"
    assert type(raised_by(coroutine.send, None)) in (RuntimeError, ValueError)
    assert g.switch("value") == "value"


@clause("state.coroutine.bridge")
def test_coroutine_bridge(impl: Any) -> None:
    """A greenlet awaits through the coroutine that runs it, for results and exceptions."""

    def wait_for(awaitable: Any) -> Any:
        return impl.getcurrent().parent.switch(awaitable)

    async def in_greenlet(function: Any, *args: Any) -> Any:
        g = impl.greenlet(function)
        result = g.switch(*args)
        while not g.dead:
            try:
                value = await result
            except BaseException as error:
                result = g.throw(error)
            else:
                result = g.switch(value)
        return result

    async def soon(value: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        return value

    def function(name: str) -> Any:
        found = [wait_for(soon((name, number))) for number in range(3)]
        found.append(type(raised_by(wait_for, soon(KeyError()))))
        found.append(asyncio.get_running_loop() is loops[0])
        found.append(asyncio.current_task() in tasks)
        return found

    loops: list[Any] = []
    tasks: list[Any] = []

    async def main() -> Any:
        loops.append(asyncio.get_running_loop())
        tasks.extend(asyncio.ensure_future(in_greenlet(function, name)) for name in "ab")
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [
        [(name, 0), (name, 1), (name, 2), KeyError, True, True] for name in "ab"
    ]


# --- context managers --------------------------------------------------------------------


@clause("state.with")
def test_with(impl: Any) -> None:
    """Entry and exit may switch; each block gets its own value, exception and suppression."""
    root = impl.getcurrent()
    log: list[Any] = []

    class Manager:
        def __init__(self, name: str, suppress: bool) -> None:
            self.name, self.suppress = name, suppress

        def __enter__(self) -> Any:
            return self.name, root.switch("enter")

        def __exit__(self, kind: Any, error: Any, tb: Any) -> bool:
            log.append((self.name, kind, root.switch("exit")))
            return self.suppress

    def run(name: str, suppress: bool) -> str:
        with Manager(name, suppress) as got:
            log.append(got)
            raise KeyError(name)
        return f"{name} ends"

    greenlets = [impl.greenlet(run) for _ in range(2)]
    starts = [("a", True), ("b", False)]
    assert [g.switch(*args) for g, args in zip(greenlets, starts)] == ["enter"] * 2
    assert [g.switch(value) for g, value in zip(greenlets, "xy")] == ["exit"] * 2
    assert greenlets[0].switch("u") == "a ends"
    error = raised_by(greenlets[1].switch, "v")
    assert (type(error), error.args) == (KeyError, ("b",))  # type: ignore[union-attr]
    assert log == [("a", "x"), ("b", "y"), ("a", KeyError, "u"), ("b", KeyError, "v")]


@clause("state.with")
def test_with_contextmanager(impl: Any) -> None:
    """Context managers made of generators may be left in another order than entered."""
    root = impl.getcurrent()
    log: list[str] = []

    @contextmanager
    def block(name: str) -> Iterator[None]:
        log.append(f"enter {name}")
        try:
            yield
        finally:
            log.append(f"exit {name}")

    def run(name: str) -> None:
        with block(name):
            root.switch()

    greenlets = {name: impl.greenlet(run) for name in "abc"}
    for name, g in greenlets.items():
        g.switch(name)
    for name in "bca":
        greenlets[name].switch()
    entered = [f"enter {name}" for name in "abc"]
    assert log == entered + [f"exit {name}" for name in "bca"]


# --- the thread's ------------------------------------------------------------------------


@clause("state.thread")
def test_thread(impl: Any, worker: Worker) -> None:
    """Identity, thread-local values and re-entrant locks belong to the thread."""
    local = threading.local()
    lock = threading.RLock()

    def in_thread() -> Any:
        local.value = "of the thread"
        with lock:
            g = impl.greenlet(lambda: (threading.get_ident(), local.value, lock.acquire(False)))
            return threading.get_ident(), g.switch(), impl.greenlet(lock.release).switch()

    local.value = "mine"
    ident, found, _ = worker(in_thread)
    assert found == (ident, "of the thread", True)
    assert impl.greenlet(lambda: (threading.get_ident(), local.value)).switch() == (
        threading.get_ident(),
        "mine",
    )
    assert lock.acquire(timeout=1) is True
    lock.release()
