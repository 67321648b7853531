"""The garbage collector and suspended greenlets: what their frames refer to is seen and unwound."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import gc
import sys
import threading
import types
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from greenlane import GreenletExit, error, getcurrent, greenlet, lanes
from support import isolated, parent, suspended


class Mark:
    """Something to hold references to."""


def mark_count() -> int:
    """Return how many marks there are."""
    return sum(type(each) is Mark for each in gc.get_objects())


@pytest.fixture(autouse=True, params=[None, 0], ids=["own lanes", "shared lanes"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test with lanes of one greenlet, and with lanes that all share."""
    gc.collect()
    previous = lanes.status().limit
    if request.param is not None:
        lanes.set_limit(request.param)
        monkeypatch.setenv("GREENLANE_LANES", str(request.param))  # for isolated tests
    gc.disable()
    yield
    gc.enable()
    lanes.set_limit(previous)
    gc.collect()


def collected(make: Callable[[list[str], Mark], object]) -> list[str]:
    """Collect what `make` leaves behind, check that the mark is gone; return what was logged."""
    log: list[str] = []
    mark = Mark()
    reference = weakref.ref(mark)
    make(log, mark)
    others = [greenlet(lambda: parent().switch()) for _ in range(20)]
    for other in others:
        other.switch()  # on shared lanes, these evict
    del mark
    assert reference() is not None, "collected too early"
    gc.collect()
    gc.collect()  # for what the unwinding has made, such as the traceback of the GreenletExit
    assert reference() is None, "still there"
    assert mark_count() == 0, "still there, though the collector has cleared the weak reference"
    return log


def test_held_by_a_local_variable() -> None:
    def make(log: list[str], mark: Mark) -> None:
        def run(mark: Mark) -> None:
            load = mark
            me = getcurrent()
            assert me
            try:
                parent().switch()
            except GreenletExit:
                log.append("exit" if load is mark else "wrong")
                raise
            finally:
                log.append("finally")

        greenlet(run).switch(mark)

    assert collected(make) == ["exit", "finally"]


def test_held_by_a_cell() -> None:
    def make(log: list[str], mark: Mark) -> None:
        def run() -> None:
            def inner() -> object:
                return me, mark

            me = getcurrent()
            try:
                parent().switch(inner)
            finally:
                log.append("finally")

        greenlet(run).switch()

    assert collected(make) == ["finally"]


def test_held_by_the_arguments_of_its_start() -> None:
    def make(log: list[str], mark: Mark) -> None:
        def run(*args: object, **kwargs: object) -> None:
            del args, kwargs
            try:
                parent().switch()
            finally:
                log.append("finally")

        for keywords in ({}, {"key": mark}):
            child = greenlet(run)
            child.switch([child, mark], 2, 3, 4, 5, **keywords)
            child = greenlet(run)
            child.switch([child, mark], **keywords)

    assert collected(make) == ["finally"] * 4


@pytest.mark.parametrize("how", ["method", "bound", "several", "keyword", "throw"])
def test_held_by_the_call_that_suspended_it(how: str) -> None:
    """By its operands alone, which lie on the stack of the frame."""

    def make(log: list[str], mark: Mark) -> None:
        root = getcurrent()

        def run() -> None:
            try:
                if how == "method":
                    root.switch([getcurrent(), mark])
                elif how == "bound":
                    switch = root.switch
                    switch([getcurrent(), mark])
                elif how == "several":
                    root.switch(1, [getcurrent(), mark], 3)
                elif how == "keyword":
                    root.switch(1, key=[getcurrent(), mark])
                else:
                    root.throw(KeyError, [getcurrent(), mark])
            finally:
                log.append("finally")

        with contextlib.suppress(KeyError):
            greenlet(run).switch()

    assert collected(make) == ["finally"]


def test_two_that_wait_for_each_other() -> None:
    def make(log: list[str], mark: Mark) -> None:
        root = getcurrent()

        def wait(name: str, partner: list[greenlet], load: Mark) -> None:
            del load
            try:
                while True:
                    if name == "last":
                        root.switch(partner)
                    partner[0].switch([partner, mark])
            finally:
                log.append(name)

        partner_of_first: list[greenlet] = []
        partner_of_last: list[greenlet] = []
        one, other = greenlet(wait), greenlet(wait)
        partner_of_first.append(other)
        partner_of_last.append(one)
        other.switch("last", partner_of_last, mark)
        one.switch("first", partner_of_first, mark)

    assert sorted(collected(make)) == ["first", "last"]


def test_held_by_an_outer_frame() -> None:
    """Through frames that call each other in Python, and through a C function."""

    def make(log: list[str], mark: Mark) -> None:
        def innermost(_: object = None) -> int:
            parent().switch()
            return 0

        def middle() -> None:
            sorted([1, 2], key=innermost)

        def outer(mark: Mark) -> None:
            holder = [getcurrent(), mark]
            try:
                middle()
            finally:
                log.append(str(len(holder)))

        greenlet(outer).switch(mark)

    assert collected(make) == ["2"]


def test_held_by_an_exception_that_it_handles() -> None:
    def make(log: list[str], mark: Mark) -> None:
        def run(mark: Mark) -> None:
            me = getcurrent()
            try:
                raise KeyError(me, mark)
            except KeyError as error:
                kept = error
                try:
                    parent().switch()
                finally:
                    log.append(type(kept).__name__)

        greenlet(run).switch(mark)

    assert collected(make) == ["KeyError"]


variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable")


def test_held_by_a_variable_of_its_context() -> None:
    def make(log: list[str], mark: Mark) -> None:
        def run() -> None:
            variable.set([getcurrent(), mark])
            try:
                parent().switch()
            finally:
                log.append("finally")

        greenlet(run).switch()

    assert collected(make) == ["finally"]


def test_subclass_with_a_cycle_through_its_bound_run() -> None:
    def make(log: list[str], mark: Mark) -> None:
        class Worker(greenlet):
            def run(self) -> None:
                self.mark = mark
                try:
                    parent().switch()
                finally:
                    log.append("finally")

        Worker().switch()

    assert collected(make) == ["finally"]


def test_killed_with_the_current_greenlet_as_parent() -> None:
    seen: list[object] = []

    def run() -> None:
        me = getcurrent()
        try:
            parent().switch()
        finally:
            seen.append(me.parent)

    def collector() -> None:
        gc.collect()
        seen.append(getcurrent())

    greenlet(run).switch()
    greenlet(collector).switch()
    assert len(seen) == 2
    assert seen[0] is seen[1]


def test_one_that_refuses_to_die_is_left_alone() -> None:
    log: list[str] = []

    def run() -> None:
        mark = Mark()
        me = getcurrent()
        assert me
        while not log or log[-1] != "resumed":
            try:
                parent().switch()
                log.append("resumed")
            except GreenletExit:
                log.append(type(mark).__name__)

    greenlet(run).switch()
    for _ in range(3):
        gc.collect()
    assert log == ["Mark"]
    assert mark_count() == 1
    (survivor,) = (
        each
        for each in gc.get_objects()
        if isinstance(each, greenlet) and each.gr_frame is not None
    )
    assert not any(type(each) is Mark for each in gc.get_referents(survivor))
    survivor.switch()
    assert log == ["Mark", "resumed"]
    assert survivor.dead


def test_resurrected_by_its_own_finally() -> None:
    kept: list[greenlet] = []

    def run() -> str:
        me = getcurrent()
        try:
            parent().switch()
        except GreenletExit:
            kept.append(me)
            parent().switch()
        return "done"

    greenlet(run).switch()
    gc.collect()
    assert len(kept) == 1
    assert kept[0]
    gc.collect()
    assert kept[0].switch() == "done"
    assert kept[0].dead


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_whatever_is_reachable_is_left_alone(generation: int) -> None:
    """Calls through all kinds of callables; a wrong count would look like garbage."""
    survivors: list[Any] = []
    root = getcurrent()
    switch = greenlet.switch

    def keep(call: Callable[[Any], Any]) -> None:
        me = getcurrent()
        load = Mark()
        holder = [me, load]
        assert call([load]) == "resumed"
        assert holder == [me, load]

    calls: list[Callable[[Any], Any]] = [
        root.switch,
        lambda value: root.switch(value),
        lambda value: switch(root, value),
        lambda value: root.switch(*[value]),
        lambda value: root.switch(value, key=value),
        lambda value: root.switch(**{"key": value}),
        functools.partial(root.switch),
        functools.partial(switch, root),
        types.MethodType(switch, root),
        functools.partial(types.MethodType(switch, root)),
        types.MethodType(root.switch, Mark()),
        functools.partial(types.MethodType(root.switch, Mark())),
        lambda value: functools.partial(types.MethodType(switch, root))(value),
        lambda value: (switch, functools.partial(types.MethodType(switch, root))(value))[1],
        lambda value: (root.switch, functools.partial(types.MethodType(root.switch, value))())[1],
        lambda value: max([value], key=root.switch) and "resumed",
        lambda value: next(map(root.switch, [value])),
        lambda value: [root.switch(each) for each in [value]].pop(),
        lambda value: next(root.switch(each) for each in [value]),
        root.switch.__call__,  # type: ignore[operator]
    ]
    for call in calls:
        one = greenlet(keep)
        one.switch(call)
        survivors.append(one)
    before = [sys.getrefcount(one) for one in survivors]
    for _ in range(3):
        gc.collect(generation)
    assert [sys.getrefcount(one) for one in survivors] == before
    # Held from elsewhere than where the frames are held.
    references = [weakref.ref(one) for one in survivors]
    frames = [one.gr_frame for one in survivors]
    gc.collect(generation)
    assert len(frames) == len(survivors)
    for reference in references:
        survivor = reference()
        assert survivor
        survivor.switch("resumed")
        assert survivor.dead


def test_another_thread_collects() -> None:
    """The greenlet is killed in its own thread, when that next uses greenlets."""
    log: list[object] = []
    mark = Mark()
    reference = weakref.ref(mark)
    ready, collected_there = threading.Event(), threading.Event()

    def run(mark: Mark) -> None:
        me = getcurrent()
        assert me
        try:
            parent().switch()
        finally:
            log.append((threading.current_thread(), type(mark)))

    def work(mark: Mark) -> None:
        greenlet(run).switch(mark)
        del mark
        ready.set()
        collected_there.wait()
        getcurrent()

    thread = threading.Thread(target=work, args=(mark,))
    thread.start()
    ready.wait()
    del mark
    gc.collect()
    assert log == []
    collected_there.set()
    thread.join()
    assert log == [(thread, Mark)]
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("how", ["cycle", "list"])
def test_the_frames_of_an_exited_thread_are_released(how: str) -> None:
    """Nothing of it runs; what its variables and its call referred to is dropped."""
    log: list[str] = []
    kept: list[greenlet] = []

    def run(mark: Mark) -> None:
        me = getcurrent() if how == "cycle" else None
        holder = [me, mark, Mark()]
        try:
            middle()
        finally:
            log.append(f"not to run: {holder}")

    def middle() -> None:
        mark = Mark()
        parent().switch(mark, Mark())
        log.append(f"not to run: {mark}")

    def work() -> None:
        one = greenlet(run)
        one.switch(Mark())
        if how == "list":
            kept.append(one)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if how == "list":
        assert mark_count() == 4
    kept.clear()
    gc.collect()
    assert mark_count() == 0
    assert log == []


class Former:
    """Something that switches when it is dropped."""

    def __del__(self) -> None:
        if (main := getcurrent().parent) is not None:
            main.switch()


class Name(str):
    """The name of a keyword that switches when it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        parent().switch()
        return str.__eq__(self, other)


class Callee(Former):
    def __call__(self, *_: object) -> None:
        pass


def one_argument(_: object) -> None:
    pass


def twice(mark: Mark) -> None:
    one_argument(Former(), **{"_": mark})


def too_many(mark: Mark) -> None:
    one_argument(*(Former(), mark))  # type: ignore[call-arg]


def compared(mark: Mark) -> None:
    one_argument(mark, **{Name("keyword"): Former()})


def compared_with_many(mark: Mark) -> None:
    one_argument(*(mark, Former()), **{Name("keyword"): mark})  # type: ignore[call-arg]


def assigned(mark: Mark) -> None:
    variable: object = Former()
    variable = mark
    one_argument(lambda: variable)


def handled(mark: Mark) -> None:
    try:
        raise KeyError(mark)
    except KeyError:
        try:
            raise ValueError(Former())
        except ValueError:
            pass


def called(mark: Mark) -> None:
    Callee()(mark)


def raised(mark: Mark) -> None:
    raise ValueError(mark) from Former()  # type: ignore[misc]


def unpacked(mark: Mark) -> None:
    _, _ = mark, Former(), Former()  # type: ignore[misc]


@pytest.mark.parametrize("how", ["held", "cycle", "thread"])
@isolated
def test_in_the_middle_of_an_instruction(how: str) -> None:
    """What an instruction has given away is on the stack of the frame still, but not the frame's.

    A crash on 3.14 and later, if it is shown to the collector or dropped with the frame.
    """
    instructions: list[Callable[[Mark], None]] = [
        *(twice, too_many, compared, compared_with_many, assigned),
        *(handled, called, raised, unpacked),
    ]
    sys.unraisablehook = lambda _: None  # GreenletExit in a finalizer

    def run(take: Callable[[], Mark], instruction: Callable[[Mark], None]) -> None:
        this = [getcurrent()] if how == "cycle" else None
        with contextlib.suppress(TypeError, ValueError):
            instruction(take())
        assert this is None or this

    def suspend(instruction: Callable[[Mark], None]) -> None:
        mark = Mark()
        reference = weakref.ref(mark)
        children = [greenlet(run), greenlet(run)]
        for child in children:
            child.switch(
                [mark].pop, instruction
            )  # on a shared lane the second one evicts the first
        if how == "cycle":
            children.clear()
            del child
        elif how == "thread":
            kept.extend(children)
            return
        gc.collect()
        gc.collect()
        assert reference() is mark
        for child in children:
            while not child.dead:
                child.switch()
                gc.collect()

    kept: list[greenlet] = []
    for instruction in instructions:
        for _ in range(10):  # then CPython has made a special one of it
            if how == "thread":
                thread = threading.Thread(target=suspend, args=[instruction])
                thread.start()
                thread.join()
                gc.collect()
                kept.clear()
            else:
                suspend(instruction)
            gc.collect()


def test_many_at_once() -> None:
    count = 0

    def run() -> None:
        nonlocal count
        me = getcurrent()
        assert me
        try:
            parent().switch()
        finally:
            count += 1

    for _ in range(10_000):
        greenlet(run).switch()
    gc.collect()
    assert count == 10_000


class Holder:
    """Something with an attribute to call."""

    call: Callable[[Any], Any]


@pytest.mark.parametrize("below", ["switch", "method"])
@pytest.mark.parametrize("shape", ["bound", "twice", "partial", "attribute", "of a partial"])
@isolated
def test_operands_that_the_stack_does_not_own(below: str, shape: str) -> None:
    """types.MethodType lends its object to the stack of the caller, where a method may lie below.

    When the greenlet is abandoned, what was lent is not dropped.
    """
    borrowed = [Mark()]
    reference = weakref.ref(borrowed[0])
    kept: list[Any] = []

    def run(root: greenlet, mark: Mark) -> None:
        call: Callable[[Any], Any] = types.MethodType(root.switch, mark)
        if shape == "twice":
            call = types.MethodType(call, 1)
        elif "partial" in shape:
            call = functools.partial(call)
        kept.append(call)
        holder = Holder()
        holder.call = call
        del mark
        function = root.switch if below == "switch" else greenlet.switch
        if shape in ("attribute", "of a partial"):
            kept.append((function, holder.call(3)))
        else:
            kept.append((function, call(3)))

    def work() -> None:
        one = greenlet(run)
        kept.append(one)
        one.switch(getcurrent(), borrowed.pop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    one = kept.pop(0)
    assert one.dead
    del one
    gc.collect()
    mark = reference()
    assert mark is not None, "dropped, though the method refers to it"
    assert any(each is mark for each in gc.get_objects())


@pytest.mark.parametrize("how", ["for", "next", "zip", "send", "asend"])
def test_a_running_generator_is_not_finalized(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that counts as running can't be closed, and would complain."""
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def generate(switch: Callable[[object], object]) -> Iterator[object]:
        for each in range(3):
            yield switch(each)

    async def coroutine(switch: Callable[[object], object]) -> None:
        switch(0)

    async def generate_async(switch: Callable[[object], object]) -> AsyncIterator[object]:
        yield switch(0)

    def run(box: list[Any]) -> None:
        if how == "for":
            for _ in box[0]:
                pass
        elif how == "next":
            next(box[0])
        elif how == "zip":
            for _ in zip(box[0], "abc", strict=True):
                pass
        elif how == "send":
            with contextlib.suppress(StopIteration):
                box[0].send(None)
        else:
            with contextlib.suppress(StopIteration):
                box[0].__anext__().send(None)

    def make(switch: Callable[[object], object]) -> list[Any]:
        if how == "send":
            return [coroutine(switch)]
        return [generate_async(switch) if how == "asend" else generate(switch)]

    for _ in range(100):
        run(make(lambda value: value))  # until the interpreter has specialized it
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(finalizer=complaints.append)
    try:
        for _ in range(3):
            box = make(parent_switch)
            one = greenlet(run)
            box.append(one)
            one.switch(box)
            del box, one
            gc.collect()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert complaints == []


def parent_switch(value: object) -> object:
    """Switch to the parent."""
    return parent().switch(value)


@isolated
def test_the_collector_is_not_moved() -> None:
    """It has the heads of its lists on its stack, where those that unwind would write."""
    lanes.set_limit(0)
    gc.disable()

    def wait(box: list[Any]) -> None:
        try:
            parent().switch()
        finally:
            box.clear()
            log.append([[] for _ in range(10)])

    def collector() -> int:
        return gc.collect()

    for _ in range(20):
        log: list[object] = []
        for each in range(40):
            box: list[Any] = [[each]]
            one = greenlet(wait)
            box += [one, [[each]]]
            one.switch(box)
        del box, one
        assert greenlet(collector).switch() >= 0
        assert len(log) == 40


@isolated
def test_the_collector_is_not_moved_by_what_it_drops() -> None:
    """One that has survived a kill is not finalized again: clearing a list drops it."""
    lanes.set_limit(0)
    gc.disable()
    survivors: list[greenlet] = []
    died: list[bool] = []
    collecting = [False]
    where = [0]

    def run() -> None:
        try:
            parent().switch()
        except GreenletExit:
            survivors.append(getcurrent())
        try:
            parent().switch()
        finally:
            died.append(collecting[0])
            unlink(3)

    def unlink(depth: int) -> None:
        """Drop some of the garbage, from as deep in the stack as the collector's lists lie."""
        if depth > 0:
            list(map(unlink, [depth - 1] * 2))
        elif collecting[0]:
            # Garbage: nothing may refer to it, or it would not be.
            garbage = ctypes.cast(where[0], ctypes.py_object).value
            del garbage[-10:]

    def collect() -> int:
        collecting[0] = True
        found = gc.collect()
        collecting[0] = False
        return found

    for _ in range(3):
        for _ in range(40):
            one = greenlet(run)
            one.knot = one  # type: ignore[attr-defined]
            one.switch()
        del one
        gc.collect()
        assert len(survivors) == 40
        boxes: list[Any] = []
        while survivors:
            one = survivors.pop()
            del one.knot  # type: ignore[attr-defined]
            boxes.append([one])
        garbage: list[Any] = []
        for box in boxes:
            box += [box, garbage]
        garbage += [[] for _ in range(3_500)]
        where[0] = id(garbage)
        del one, box, boxes, garbage
        assert greenlet(collect).switch() > 3_500
        getcurrent().switch()
        assert died == [False] * 40
        died.clear()


@isolated
def test_the_collector_is_not_moved_by_a_finalizer_that_switches() -> None:
    """Those that would need its place are refused, all others run."""
    lanes.set_limit(0)
    gc.disable()
    outcomes: list[str] = []

    class Switching:
        def __init__(self) -> None:
            self.garbage: list[Any] = [self]
            self.garbage += [[] for _ in range(1_000)]

        def __del__(self) -> None:
            for each in others:
                try:
                    outcomes.append(each.switch(self.garbage, getcurrent()))
                except error as refusal:
                    assert "garbage collection" in str(refusal)
                    outcomes.append("refused")
            assert greenlet(lambda: "new").switch() == "new"

    def drop() -> None:
        garbage, back = parent().switch()
        while True:
            del garbage[-20:]
            del garbage
            garbage, back = back.switch("ran")

    others = [suspended(run=drop) for _ in range(24)]
    for _ in range(3):
        Switching()
        assert greenlet(gc.collect).switch() > 500
        assert len(outcomes) == 24
        assert outcomes.count("refused") in {2, 3, 4}
        assert set(outcomes) == {"refused", "ran"}
        outcomes.clear()
        for each in others:
            assert each.switch([0] * 30, getcurrent()) == "ran"


@isolated
def test_kills_that_wait_for_a_collection_on_their_lane() -> None:
    """One that can't be killed yet leaves no exception to the next one, which can be."""
    lanes.set_limit(0)
    gc.disable()
    unraisable: list[object] = []
    sys.unraisablehook = lambda arguments: unraisable.append(arguments.exc_value)
    killed: list[int] = []
    root = getcurrent()

    class Leaving:
        def __del__(self) -> None:
            root.switch("left")

    def work(number: int) -> None:
        try:
            root.switch()
        finally:
            killed.append(number)

    collector = greenlet(gc.collect)
    for number in range(40):
        victim = greenlet(work)
        victim.knot = victim  # type: ignore[attr-defined]
        victim.switch(number)
    leaving = Leaving()
    leaving.knot = leaving  # type: ignore[attr-defined]
    del victim, leaving
    assert collector.switch() == "left"
    getcurrent()
    assert 0 < len(killed) < 40, "those on the lane of the collector wait"
    assert collector.switch() > 40
    getcurrent()
    assert sorted(killed) == list(range(40))
    assert unraisable == []


@isolated
def test_a_collection_that_never_ends() -> None:
    """The thread ends while a finalizer has switched away: objects still point to that stack."""
    gc.disable()

    class Leaving:
        def __init__(self) -> None:
            self.me: list[Any] = [self]

        def __del__(self) -> None:
            saved.append(self.me)
            left.switch()

    left = getcurrent()
    kept: list[greenlet] = []
    saved: list[list[Any]] = []

    def work() -> None:
        nonlocal left
        left = getcurrent()
        gc.collect()  # so that nothing else is in the list
        Leaving().me += [[each] for each in range(100)]
        kept.append(greenlet(gc.collect))
        assert kept[0].switch() == ()

    def use_lanes() -> None:
        for _ in range(2):
            many = [suspended() for _ in range(10)]
            assert all(many)

    for target in (work, use_lanes):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        kept.clear()
        del saved[0][-30:]  # from the collection's list, too, whose head is on that stack
    for _ in range(3):
        use_lanes()
    saved.pop().clear()
    use_lanes()
    assert gc.collect() == 0  # one is in progress
