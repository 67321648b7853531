"""Chapter "Introspection"."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from greenlet_conformance.suite.support import Worker, clause, raised_by, states


def chain(frame: Any) -> list[FrameType]:
    """The frame and all behind it, innermost first."""
    frames = []
    while frame is not None:
        assert type(frame) is FrameType
        frames.append(frame)
        frame = frame.f_back
    return frames


def names(frame: Any) -> list[str]:
    """The functions of the frame and of all behind it, innermost first."""
    return [f.f_code.co_name for f in chain(frame)]


def line_of(function: Any, text: str) -> int:
    """The number of the first line of a function of this file that contains the text."""
    first = function.__code__.co_firstlineno
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return next(n for n, line in enumerate(lines[first - 1 :], first) if text in line)


class Stack:
    """A greenlet with three functions on its stack, which stops in the innermost one."""

    def __init__(self, impl: Any) -> None:
        self.root = impl.getcurrent()
        self.g = impl.greenlet(self.outer)

    def outer(self, value: Any) -> Any:
        mark = "of outer"
        result = self.middle(value, depth=1)  # outer calls
        return mark, result

    def middle(self, value: Any, depth: int) -> Any:
        mark = "of middle"
        result = self.inner([value])  # middle calls
        return mark, result

    def inner(self, values: Any) -> Any:
        mark = "of inner"
        values.append(self.root.switch("first"))  # inner stops first
        values.append(self.root.switch("second"))  # inner stops again
        return mark, values

    functions = ("inner", "middle", "outer")
    result = ("of outer", ("of middle", ("of inner", ["zero", "one", "two"])))

    def lines(self, inner: str) -> list[int]:
        return [
            line_of(self.inner, inner),
            line_of(self.middle, "# middle calls"),
            line_of(self.outer, "# outer calls"),
        ]


@clause("inspect.frame.innermost")
def test_innermost(impl: Any) -> None:
    """gr_frame is the frame that stopped, with right code, line and locals."""
    stack = Stack(impl)
    stack.g.switch("zero")
    frame = stack.g.gr_frame
    assert type(frame) is FrameType
    assert frame.f_code is Stack.inner.__code__
    assert frame.f_lineno == line_of(stack.inner, "# inner stops first")
    assert dict(frame.f_locals) == {"self": stack, "values": ["zero"], "mark": "of inner"}
    assert frame.f_globals is globals()


@clause("inspect.frame.innermost")
def test_innermost_in_throw(impl: Any) -> None:
    """A greenlet that is suspended in throw() has a frame, too."""
    root = impl.getcurrent()

    def catch() -> None:
        raised_by(root.switch)
        root.switch("caught")

    catcher = impl.greenlet(catch)
    catcher.switch()

    def thrower() -> None:
        catcher.throw(KeyError)  # throws here

    g = impl.greenlet(thrower)
    assert g.switch() == "caught"
    assert names(g.gr_frame) == ["thrower"]
    assert g.gr_frame.f_lineno == line_of(thrower, "# throws here")


@clause("inspect.frame.innermost")
def test_innermost_of_many(impl: Any) -> None:
    """Each of many suspended greenlets has its own frame, in whatever order they have stopped."""
    root = impl.getcurrent()

    def run(number: int) -> None:
        while True:
            root.switch(number)

    greenlets = [impl.greenlet(run) for _ in range(50)]
    for number, g in enumerate(greenlets):
        assert g.switch(number) == number
    for g in greenlets[::3]:
        g.switch()
    seen = [g.gr_frame.f_locals["number"] for g in greenlets]
    assert seen == list(range(50))


@clause("inspect.frame.none")
def test_none(impl: Any) -> None:
    """The unstarted, the current and the dead have no frame."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda: impl.getcurrent().gr_frame)
    assert g.gr_frame is None
    assert root.gr_frame is None
    assert g.switch() is None
    assert g.gr_frame is None
    assert root.gr_frame is None
    killed = impl.greenlet(lambda: root.switch())
    killed.switch()
    assert killed.gr_frame is not None
    raised_by(killed.throw, KeyError)
    assert killed.gr_frame is None
    never = impl.greenlet(lambda: None)
    never.throw()
    assert never.gr_frame is None


@clause("inspect.frame.none")
def test_none_when_others_follow(impl: Any) -> None:
    """The dead have no frame, though others may have taken over all that they had."""
    root = impl.getcurrent()
    dead = [impl.greenlet(lambda: None) for _ in range(5)]
    for g in dead:
        g.switch()
    others = [impl.greenlet(lambda: root.switch()) for _ in range(20)]
    for g in others:
        g.switch()
    assert [g.gr_frame for g in dead] == [None] * 5
    assert all(g.gr_frame is not None for g in others)


@clause("inspect.frame.none")
def test_none_while_running_again(impl: Any) -> None:
    """A greenlet that was suspended, and looked at, has no frame once it runs again."""
    root = impl.getcurrent()

    def run() -> Any:
        root.switch()
        return impl.getcurrent().gr_frame

    g = impl.greenlet(run)
    g.switch()
    assert names(g.gr_frame) == ["run"]
    assert g.switch() is None


@clause("inspect.frame.chain")
def test_chain(impl: Any) -> None:
    """The chain is the greenlet's whole stack, with lines and locals, and nothing else."""
    stack = Stack(impl)
    stack.g.switch("zero")
    frames = chain(stack.g.gr_frame)
    assert [f.f_code for f in frames] == [getattr(Stack, n).__code__ for n in stack.functions]
    assert [f.f_lineno for f in frames] == stack.lines("# inner stops first")
    assert [f.f_locals["mark"] for f in frames] == ["of inner", "of middle", "of outer"]
    assert [f.f_locals.get("depth") for f in frames] == [None, 1, None]


@clause("inspect.frame.chain")
def test_chain_through_c(impl: Any) -> None:
    """C functions on the stack are passed over, however many there are."""
    root = impl.getcurrent()

    class Sorted:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def __lt__(self, other: Any) -> bool:
            nested(self.depth - 1)
            return False

    def nested(depth: int) -> None:
        if depth:
            sorted([Sorted(depth), Sorted(depth)])
        else:
            max([1], key=lambda _: root.switch())

    def starter() -> None:
        g.switch(3)

    g = impl.greenlet(nested)
    impl.greenlet(starter).switch()
    assert names(g.gr_frame) == ["<lambda>", "nested", *["__lt__", "nested"] * 3]


@clause("inspect.frame.chain")
def test_chain_deep(impl: Any) -> None:
    """A deep stack is shown in full, and by the traceback module."""
    root = impl.getcurrent()

    def deep(depth: int) -> Any:
        return deep(depth - 1) if depth else root.switch()

    g = impl.greenlet(deep)
    g.switch(300)
    frames = chain(g.gr_frame)
    assert [f.f_locals["depth"] for f in frames] == list(range(301))
    summary = traceback.extract_stack(g.gr_frame)
    assert [entry.name for entry in summary] == ["deep"] * 301
    del frames
    assert g.switch("through") == "through"


@clause("inspect.frame.moved")
def test_moved(impl: Any) -> None:
    """Whenever it is suspended again, the frame shows the new place."""
    stack = Stack(impl)
    stack.g.switch("zero")
    first = [f.f_lineno for f in chain(stack.g.gr_frame)]
    stack.g.switch("one")
    second = [f.f_lineno for f in chain(stack.g.gr_frame)]
    assert first == stack.lines("# inner stops first")
    assert second == stack.lines("# inner stops again")
    assert stack.g.gr_frame.f_locals["values"] == ["zero", "one"]


@clause("inspect.frame.root")
def test_root(impl: Any) -> None:
    """The suspended root's frame is the one that switched, with its callers behind."""
    root = impl.getcurrent()

    def caller() -> Any:
        mark = "of caller"
        return mark, impl.greenlet(lambda: chain(root.gr_frame)).switch()

    here = chain(sys._getframe())
    mark, frames = caller()
    assert frames[0].f_code is caller.__code__
    assert mark == "of caller"
    assert frames[1:] == here


@clause("inspect.frame.current")
def test_current(impl: Any) -> None:
    """The current greenlet's stack begins with its first function, started or resumed."""
    root = impl.getcurrent()
    found: list[Any] = []

    def inner() -> None:
        found.append(names(sys._getframe()))
        root.switch()
        found.append(names(sys._getframe()))
        impl.greenlet(other).switch()
        found.append(names(sys._getframe()))

    def other() -> None:
        found.append(names(sys._getframe()))

    def run() -> None:
        inner()

    g = impl.greenlet(run)
    g.switch()
    assert g.gr_frame is not None
    g.switch()
    mine = ["inner", "run"]
    assert found == [mine, mine, ["other"], mine]


@clause("inspect.frame.generator")
def test_generator(impl: Any) -> None:
    """The frame of a running generator is in the chain, one that waits is not."""
    root = impl.getcurrent()

    def inner_generator() -> Iterator[Any]:
        yield root.switch("waits")

    def generator() -> Iterator[Any]:
        yield from inner_generator()

    def waiting_generator() -> Iterator[Any]:
        yield 1
        yield 2

    def run() -> list[Any]:
        waits = waiting_generator()
        return [next(waits), *generator(), next(waits)]

    g = impl.greenlet(run)
    assert g.switch() == "waits"
    assert names(g.gr_frame) == ["inner_generator", "generator", "run"]
    assert g.switch("value") == [1, "value", 2]


@clause("inspect.frame.harmless")
def test_harmless(impl: Any) -> None:
    """Looking makes no difference to what the greenlet does, held or dropped, collected or not."""
    for hold in (False, True):
        stack = Stack(impl)
        held: list[Any] = []
        answers = [stack.g.switch("zero")]
        for value in ("one", "two"):
            for _ in range(3):
                frames = chain(stack.g.gr_frame)
                assert [dict(f.f_locals)["self"] for f in frames] == [stack] * 3
                traceback.format_stack(stack.g.gr_frame)
                gc.collect()
                if hold:
                    held += frames
                del frames
            answers.append(stack.g.switch(value))
        assert answers == ["first", "second", Stack.result]
        assert states(stack.g) == ["dead"]
        assert len(held) == (18 if hold else 0)


@clause("inspect.frame.harmless")
def test_harmless_to_exceptions(impl: Any) -> None:
    """An exception thrown after a look has the right traceback, and cleans up."""
    root = impl.getcurrent()
    log: list[str] = []

    def inner() -> None:
        try:
            root.switch()
        finally:
            log.append("cleaned up")

    def run() -> None:
        inner()

    g = impl.greenlet(run)
    g.switch()
    frames = chain(g.gr_frame)
    error = raised_by(g.throw, KeyError)
    assert isinstance(error, KeyError)
    found = [f.name for f in traceback.extract_tb(error.__traceback__)]
    assert found[-2:] == ["run", "inner"]
    assert [f.f_code.co_name for f in frames] == ["inner", "run"]
    g = impl.greenlet(run)
    g.switch()
    frames = chain(g.gr_frame)
    del g
    assert log == ["cleaned up", "cleaned up"]


@clause("inspect.frame.harmless")
def test_harmless_between_siblings(impl: Any) -> None:
    """Greenlets that look at each other while they take turns do not disturb each other."""
    log: list[Any] = []
    greenlets: list[Any] = []

    def nested(number: int, depth: int) -> None:
        if depth:
            nested(number, depth - 1)
            return
        for turn in range(5):
            other = greenlets[1 - number]
            log.append((number, turn, len(chain(other.gr_frame))))
            other.switch(1 - number, 2 + 3 * (1 - number))

    def run(number: int, depth: int) -> None:
        nested(number, depth)

    greenlets += [impl.greenlet(run) for _ in range(2)]
    greenlets[0].switch(0, 2)
    expected = [(0, 0, 0), (1, 0, 4)]
    expected += [(number, turn, (7, 4)[number]) for turn in range(1, 5) for number in (0, 1)]
    assert log == expected


@clause("inspect.frame.held")
def test_held(impl: Any) -> None:
    """A held frame is valid while its greenlet goes on, is dead, killed, and freed."""
    root = impl.getcurrent()
    stack = Stack(impl)
    stack.g.switch("zero")
    frames = chain(stack.g.gr_frame)

    def look() -> None:
        found = [f.f_code.co_name for f in frames]
        assert found == list(stack.functions)
        assert [f.f_locals["mark"] for f in frames] == ["of inner", "of middle", "of outer"]
        gc.collect()

    stack.g.switch("one")
    look()
    assert stack.g.switch("two") == Stack.result
    look()
    stack.g = None
    look()

    def run(mark: str) -> None:
        root.switch()

    g = impl.greenlet(run)
    g.switch("of a killed one")
    frame = g.gr_frame
    del g
    gc.collect()
    assert frame.f_code is run.__code__
    assert frame.f_locals["mark"] == "of a killed one"
    assert frame.f_back is None


@clause("inspect.frame.held")
def test_held_while_running(impl: Any) -> None:
    """The greenlet itself may look at frames that were held before it went on."""
    root = impl.getcurrent()

    def inner() -> Any:
        held = root.switch()
        return [f.f_code.co_name for f in held], held[0] is sys._getframe(), names(held[0])

    def run() -> Any:
        return inner()

    g = impl.greenlet(run)
    g.switch()
    found, same, behind = g.switch(chain(g.gr_frame))
    assert found == ["inner", "run"]
    assert same is True
    assert behind == ["inner", "run"]


@clause("inspect.frame.same")
def test_same(impl: Any) -> None:
    """Two looks see the same frames, and so does the greenlet itself."""
    stack = Stack(impl)
    stack.g.switch("zero")
    first, second = chain(stack.g.gr_frame), chain(stack.g.gr_frame)
    assert [a is b for a, b in zip(first, second)] == [True] * 3
    stack.g.switch("one")
    assert [a is b for a, b in zip(first, chain(stack.g.gr_frame))] == [True] * 3


@clause("inspect.frame.thread")
def test_thread(impl: Any, worker: Worker) -> None:
    """The frames of another thread's suspended greenlet are right."""
    stack = worker(Stack, impl)
    worker(stack.g.switch, "zero")
    frames = chain(stack.g.gr_frame)
    assert [f.f_code.co_name for f in frames] == list(stack.functions)
    assert [f.f_lineno for f in frames] == stack.lines("# inner stops first")
    assert worker(stack.g.switch, "one") == "second"
    assert worker(stack.g.switch, "two") == Stack.result


# --- states ------------------------------------------------------------------------------


@clause("inspect.states")
def test_states(impl: Any) -> None:
    """bool and dead are right in every state, and are bools."""
    root = impl.getcurrent()
    found: list[Any] = []

    def look(place: str) -> None:
        g = greenlets[0]
        assert (type(bool(g)), type(g.dead)) == (bool, bool)
        found.append((place, *states(g, root)))

    def run() -> None:
        look("current")
        try:
            impl.greenlet(look).switch("suspended, seen by a child")
            root.switch()
        finally:
            look("cleaning up")

    def tracer(event: str, args: Any) -> None:
        look(f"traced {event}")

    greenlets = [impl.greenlet(run)]
    look("unstarted")
    greenlets[0].switch()
    look("suspended")
    impl.settrace(tracer)
    raised_by(greenlets[0].throw, KeyError)
    impl.settrace(None)
    look("dead")
    greenlets[0].switch()
    look("still dead")
    assert found == [
        ("unstarted", "unstarted", "active"),
        ("current", "active", "active"),
        ("suspended, seen by a child", "active", "active"),
        ("suspended", "active", "active"),
        ("traced throw", "active", "active"),
        ("cleaning up", "active", "active"),
        ("traced throw", "dead", "active"),
        ("dead", "dead", "active"),
        ("still dead", "dead", "active"),
    ]


@clause("inspect.states")
def test_states_when_killed(impl: Any) -> None:
    """A greenlet that is being killed is still active."""
    root = impl.getcurrent()
    found: list[Any] = []

    def run() -> None:
        try:
            root.switch()
        finally:
            found.append(states(impl.getcurrent()))

    g = impl.greenlet(run)
    g.switch()
    del g
    assert found == [["active"]]


@clause("inspect.collector")
def test_collector(impl: Any) -> None:
    """gc.get_objects() contains greenlets in every state."""
    root = impl.getcurrent()

    class Sub(impl.greenlet):  # type: ignore[misc]
        pass

    for make in (impl.greenlet, Sub):
        unstarted, suspended, dead = make(lambda: None), make(root.switch), make(lambda: None)
        suspended.switch()
        dead.switch()
        current = make(lambda: {id(o) for o in gc.get_objects()})
        found = current.switch()
        greenlets = (unstarted, suspended, dead, current)
        assert [id(g) in found for g in greenlets] == [True] * 4


@clause("inspect.repr")
def test_repr(impl: Any) -> None:
    """The repr has the type's name and a word for the state; no two are the same."""
    root = impl.getcurrent()

    class Sub(impl.greenlet):  # type: ignore[misc]
        pass

    words = ("pending", "current", "suspended", "dead", "main")

    def told(g: Any) -> list[str]:
        text = repr(g).replace("<", " ").replace(">", " ").split()
        assert type(g).__name__ in repr(g)
        return [word for word in words if word in text]

    g: Any
    for make in (impl.greenlet, Sub):
        g = make(lambda: (told(g), told(root), root.switch())[:2])
        assert told(g) == ["pending"]
        h = make(lambda: None)
        assert repr(h) != repr(g)
        other = make(lambda g=g: told(g))
        assert other.switch() == ["pending"]
        g.switch()
        assert told(g) == ["suspended"]
        assert g.switch() == (["current"], ["suspended", "main"])
        assert told(g) == ["dead"]
    assert told(root) == ["current", "main"]


@clause("inspect.repr.anywhere")
def test_repr_anywhere(impl: Any, worker: Worker) -> None:
    """repr works in another thread, and when the thread has exited."""

    def build() -> list[Any]:
        root = impl.getcurrent()
        greenlets = [impl.greenlet(lambda: root.switch()) for _ in range(3)]
        greenlets[1].switch()
        greenlets[2].switch()
        greenlets[2].switch()
        return [root, *greenlets]

    greenlets = worker(build)
    before = [type(repr(g)) for g in greenlets]
    mine = [impl.getcurrent(), impl.greenlet(lambda: None)]
    assert worker(lambda: [type(repr(g)) for g in mine]) == [str] * 2
    worker.exit()
    time.sleep(0.05)
    assert before + [type(repr(g)) for g in greenlets] == [str] * 8


# --- the module --------------------------------------------------------------------------


@clause("inspect.constants")
def test_constants(impl: Any) -> None:
    """The constants tell what there is, and they do not lie."""
    assert bool(impl.GREENLET_USE_GC) is True
    assert bool(impl.GREENLET_USE_TRACING) is hasattr(impl, "settrace")
    assert bool(impl.GREENLET_USE_CONTEXT_VARS) is hasattr(impl.greenlet, "gr_context")
    assert isinstance(impl.__version__, str)


@clause("inspect.class-attributes")
def test_class_attributes(impl: Any) -> None:
    """The type has the module's functions and exceptions, as they are."""
    g = impl.greenlet(lambda: None)
    for name in ("getcurrent", "settrace", "gettrace", "error", "GreenletExit"):
        assert getattr(impl.greenlet, name) is getattr(impl, name)
        assert getattr(g, name) is getattr(impl, name)
    assert g.getcurrent() is impl.getcurrent()
    assert g.gettrace() is None


@clause("inspect.stack-saved")
def test_stack_saved(impl: Any) -> None:
    """_stack_saved is a number of bytes, and zero where there is no stack."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda: root.switch())
    assert g._stack_saved == 0
    g.switch()
    assert isinstance(g._stack_saved, int)
    assert g._stack_saved >= 0
    g.switch()
    assert g._stack_saved == 0
