"""Lanes as Python programs meet them: how deep, how many, used again, refused, overflown."""

from __future__ import annotations

import copy
import functools
import gc
import json
import pickle
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from greenlane import _greenlet, getcurrent, greenlet, lanes
from support import isolated, mapping_count, parent, resident_kib, run_script, suspended

MIB = 1024 * 1024


@functools.cache
def nested_list(depth: int = 100_000) -> list[Any]:
    outer: list[Any] = []
    for _ in range(depth):
        outer = [outer]
    return outer


@functools.cache
def nested_tuple() -> Any:
    outer: Any = ()
    for _ in range(1_000_000):
        outer = (outer,)
    return outer


class Echo:
    """Looks for an attribute by looking for the same attribute."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self, name)


class Same:
    """Compares by comparing again."""

    def __eq__(self, other: object) -> bool:
        return bool([self] == [other])

    __hash__ = object.__hash__


def call_python() -> None:
    call_python()


def sort_in_a_key(_: object = None) -> list[int]:
    return sorted([1], key=sort_in_a_key)


def map_in_a_map(_: object = None) -> list[Any]:
    return list(map(map_in_a_map, [1]))


def format_in_a_format() -> str:
    class Formatted:
        def __format__(self, spec: str) -> str:
            return f"{self:{spec}}"

    return format(Formatted(), "x")


RECURSIONS: dict[str, Callable[[], object]] = {
    "python": call_python,
    "sorted": sort_in_a_key,
    "map": map_in_a_map,
    "repr": lambda: repr(nested_list()),
    "getattr": lambda: Echo().name,
    "eq": lambda: Same() == Same(),
    "format": format_in_a_format,
    "json.dumps": lambda: json.dumps(nested_list()),
    "json.loads": lambda: json.loads("[" * 100_000),
    "pickle": lambda: pickle.dumps(nested_list()),
    "re": lambda: re.compile("(" * 50_000 + ")" * 50_000),
    "deepcopy": lambda: copy.deepcopy(nested_list(10_000)),
    "isinstance": lambda: isinstance(1, nested_tuple()),
}


# ---- Deep ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [4096, 0], ids=["own lanes", "shared lanes"])
@pytest.mark.parametrize("name", sorted(RECURSIONS))
@isolated
def test_recursion_ends_in_recursion_error(name: str, limit: int) -> None:
    """In greenlets of the main thread, and of one with a small stack."""
    lanes.set_limit(limit)
    stops: list[str] = []

    def recurse() -> None:
        try:
            RECURSIONS[name]()
        except RecursionError:
            stops.append("stopped")

    def nest() -> None:
        others = [suspended() for _ in range(20)]  # on shared lanes, these evict
        greenlet(recurse).switch()
        parent().switch()
        recurse()
        for each in others:
            each.switch()

    greenlet(recurse).switch()
    nested = greenlet(nest)  # on the same lane, when it is used again
    nested.switch()
    nested.switch()
    assert greenlet(lambda: len(repr([1, 2]))).switch() == 6
    threading.stack_size(256 * 1024)
    thread = threading.Thread(target=lambda: greenlet(recurse).switch())
    thread.start()
    thread.join()
    assert stops == ["stopped"] * 4


@isolated
def test_recursion_is_as_deep_as_without_greenlets() -> None:
    def depth(so_far: int = 1) -> int:
        try:
            return depth(so_far + 1)
        except RecursionError:
            return so_far

    plain = depth()
    reached = [greenlet(depth).switch() for _ in range(3)]
    assert len(set(reached)) == 1
    assert abs(plain - reached[0]) <= 5


class Counted:
    """Objects of many kinds of recursion, each of which counts how deep it has got."""

    def __init__(self) -> None:
        self.depth = 0

    def again(self, step: Callable[[], object]) -> None:
        self.depth += 1
        step()

    def call(self, *_: object) -> Any:
        self.again(self.call)

    def sort(self, *_: object) -> Any:
        self.again(lambda: sorted([1], key=self.sort))

    def substitute(self, *_: object) -> Any:
        self.again(lambda: re.sub("a", self.substitute, "a"))

    def dump(self, *_: object) -> Any:
        self.again(lambda: json.dumps(self, default=self.dump))

    def reduce(self) -> Any:
        self.again(lambda: pickle.dumps(self))

    def __reduce_ex__(self, _: object) -> Any:
        return self.reduce()

    def represent(self) -> str:
        self.again(lambda: repr(self))
        return ""

    def __repr__(self) -> str:
        return self.represent()

    def __getattr__(self, name: str) -> Any:
        self.again(lambda: self.name)

    def look_up(self) -> None:
        self.name  # noqa: B018

    def reach(self, kind: str) -> int:
        try:
            getattr(self, kind)()
        except RecursionError:
            return self.depth
        raise AssertionError("went on for ever")


@pytest.mark.parametrize(
    "kind", ["call", "sort", "substitute", "dump", "reduce", "represent", "look_up"]
)
@isolated
def test_recursion_is_as_deep_as_in_a_thread(kind: str) -> None:
    """A thread with as large a stack: in it, and in greenlets of it and of the main thread."""
    reached: list[int] = []

    def measure() -> None:
        reached.append(Counted().reach(kind))
        reached.append(greenlet(lambda: Counted().reach(kind)).switch())
        reached.append(greenlet(lambda: Counted().reach(kind)).switch())

    threading.stack_size(8 * MIB)
    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()
    measure()
    plain, *others = reached
    assert plain > 30
    # Where the interpreter measures the stack, a lane is a little smaller than 8 MiB.
    assert max(abs(each - plain) for each in others) <= max(5, plain // 50), reached


def nested(inner: object, levels: int) -> object:
    for _ in range(levels):
        inner = [inner]
    return inner


def can_compare(levels: int) -> bool:
    try:
        return nested(0, levels) == nested(0, levels)
    except RecursionError:
        return False


@pytest.mark.skipif(sys.version_info < (3, 12), reason="calls of C count as those of Python")
@isolated
def test_depth_of_c_calls_starts_afresh() -> None:
    """A greenlet that is started far down in C goes as far down itself."""
    reached: list[bool] = []

    class Bottom:
        def __eq__(self, other: object) -> bool:
            reached.append(greenlet(can_compare).switch(levels))
            return True

        __hash__ = object.__hash__

    low, high = 10, 200_000
    while high - low > low // 50 + 1:
        middle = (low + high) // 2
        low, high = (middle, high) if greenlet(can_compare).switch(middle) else (low, middle)
    levels = low * 7 // 10
    one, other = nested(Bottom(), levels), nested(Bottom(), levels)
    assert greenlet(lambda: one == other).switch()
    assert reached == [True]


@isolated
def test_recursion_limit_can_be_raised() -> None:
    sys.setrecursionlimit(30_000)
    # In CPython 3.10 each Python call takes C stack, of which there are 8 MiB as in a main thread.
    depth = 20_000 if sys.version_info >= (3, 11) else 5_000

    def down(levels: int) -> int:
        return 0 if levels == 0 else 1 + down(levels - 1)

    def run() -> int:
        before = down(depth)
        parent().switch()
        return before + down(depth)

    child = greenlet(run)
    child.switch()
    assert down(depth) == depth
    assert child.switch() == 2 * depth


@isolated
def test_deep_stacks_do_not_mix() -> None:
    """Many greenlets suspended 300 frames deep, each with its own data, resumed out of order."""

    def down(level: int, token: object) -> object:
        if level == 0:
            return parent().switch()
        received = down(level - 1, token)
        assert received is token
        return received

    pairs = []
    for _ in range(50):
        token = object()
        child = greenlet(down)
        child.switch(300, token)
        pairs.append((child, token))
    for child, token in pairs[::2] + pairs[1::2]:
        assert child.switch(token) is token
        assert child.dead


@isolated
def test_nearly_all_of_a_lane_is_usable(stack_probe: str) -> None:
    sys.path.insert(0, stack_probe)
    use = __import__("stack_probe").use
    size = 7 * MIB
    assert greenlet(use).switch(size) == greenlet(use).switch(size) > 0


@pytest.mark.parametrize("where", ["main thread", "thread"])
def test_overflow_meets_the_guard(stack_probe: str, where: str) -> None:
    """C code that recurses without end dies of SIGSEGV: it does not write to the next lane.

    faulthandler says so, in a thread other than the one that has enabled it, too.
    """
    done = run_script(
        f"""
        import sys, threading
        sys.path.insert(0, {stack_probe!r})
        import stack_probe
        from support import suspended
        from greenlane import greenlet

        def overflow():
            neighbours = [suspended() for _ in range(3)]
            greenlet(the_one_that_overflows).switch()
            print("survived")

        def the_one_that_overflows():
            stack_probe.use(9 << 20)

        if {where!r} == "thread":
            thread = threading.Thread(target=overflow)
            thread.start()
            thread.join()
        overflow()
        """,
        returncode=-signal.SIGSEGV,
    )
    assert "Segmentation fault" in done.stderr
    assert "in the_one_that_overflows\n" in done.stderr
    assert done.stdout == ""


def make_signal_stack_calls() -> tuple[Callable[[], int], Callable[[int, int], None]]:
    """Return functions that tell the start of the calling thread's signal stack, 0 if none, and set
    it, with its size.
    """
    import ctypes

    class Stack(ctypes.Structure):
        """The stack_t of Linux."""

        _fields_ = (
            ("start", ctypes.c_void_p),
            ("flags", ctypes.c_int),
            ("size", ctypes.c_size_t),
        )

    disabled = 2
    sigaltstack = ctypes.CDLL(None).sigaltstack

    def present() -> int:
        stack = Stack()
        assert sigaltstack(None, ctypes.byref(stack)) == 0
        return stack.start or 0

    def bring(start: int, size: int) -> None:
        stack = Stack(start, 0 if start else disabled, size)
        assert sigaltstack(ctypes.byref(stack), None) == 0

    return present, bring


def in_thread(body: Callable[[], object]) -> None:
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()


@isolated
def test_signal_stack() -> None:
    """A thread that uses greenlets has a signal stack until it ends; one that it had stays."""
    import ctypes

    present, bring = make_signal_stack_calls()
    memory = ctypes.create_string_buffer(1 << 16)
    starts: list[int] = []

    def use_greenlets() -> None:
        starts.append(present())
        greenlet(lambda: starts.append(present())).switch()
        starts.append(present())

    def bring_one() -> None:
        bring(ctypes.addressof(memory), len(memory))
        use_greenlets()
        bring(0, 0)

    for _ in range(30):
        in_thread(use_greenlets)
    assert set(starts[::3]) == {0}
    assert 0 not in starts[1::3]
    assert starts[1::3] == starts[2::3]
    assert len(set(starts[1::3])) < 10, "given back, the same memory is used again"

    starts.clear()
    in_thread(bring_one)
    assert starts == [ctypes.addressof(memory)] * 3


@isolated
def test_signal_stack_has_a_guard() -> None:
    """What a handler needs beyond it is nobody's memory."""
    present, _ = make_signal_stack_calls()

    def look() -> None:
        greenlet(lambda: None).switch()
        below = f"-{present():x} ---p "
        found.append(below in Path("/proc/self/maps").read_text())

    found: list[bool] = []
    in_thread(look)
    assert found == [True]


@isolated
def test_signal_stack_of_a_thread_that_outlives_its_state(thread_probe: str) -> None:
    """A destructor uses greenlets when the thread state is all but gone, and the thread stays.

    Nothing but another thread can find out that it has ended.
    """
    sys.path.insert(0, thread_probe)
    call_from_threads = __import__("thread_probe").call_from_threads
    present, _ = make_signal_stack_calls()
    starts: list[int] = []

    class Late:
        def __del__(self) -> None:
            greenlet(lambda: None).switch()
            starts.append(present())

    def use_greenlets() -> None:
        assert greenlet(lambda: 1).switch() == 1

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            _greenlet.set_thread_local("late", Late())
        else:
            assert present() == starts[-1]
            in_thread(use_greenlets)
            assert present() == starts[-1], "in use until the thread ends"

    for _ in range(30):
        calls: list[int] = []
        assert call_from_threads(work, 1, 2) == 0
        in_thread(use_greenlets)
    assert len(starts) == 30
    assert 0 not in starts
    assert len(set(starts)) < 10, "given back, the same memory is used again"


@pytest.mark.parametrize("number", [4096, 0], ids=["own lanes", "shared lanes"])
def test_overflow_says_where(stack_probe: str, number: int) -> None:
    """With faulthandler on, the Python stack of the greenlet is printed, and no other's."""
    done = run_script(
        f"""
        import sys
        sys.path.insert(0, {stack_probe!r})
        import stack_probe
        from greenlane import greenlet
        from support import suspended

        def the_one_that_overflows():
            stack_probe.use(9 << 20)

        others = [suspended() for _ in range(20)]
        greenlet(the_one_that_overflows).switch()
        """,
        returncode=-signal.SIGSEGV,
        environment={"GREENLANE_LANES": str(number)},
    )
    frames = [line for line in done.stderr.splitlines() if "line" in line and " in " in line]
    assert frames[0].endswith("the_one_that_overflows")
    assert not any("<lambda>" in line or "suspended" in line for line in frames)


# ---- Many ----------------------------------------------------------------------------------------


@isolated
def test_many_suspended_at_once() -> None:
    count = 20_000
    finished = []

    def run(number: int) -> None:
        try:
            parent().switch(number)
        finally:
            finished.append(number)

    mappings = mapping_count()
    children = [greenlet(run) for _ in range(count)]
    assert [child.switch(i) for i, child in enumerate(children)] == list(range(count))
    assert all(children)
    per_greenlet = (mapping_count() - mappings) / count
    assert per_greenlet < 3, "more kernel mappings than vm.max_map_count leaves room for"
    for child in children[::-1][: count // 2]:
        child.switch()
    assert finished == list(range(count - 1, count // 2 - 1, -1))
    finished.clear()
    del child
    children.clear()
    gc.collect()
    assert sorted(finished) == list(range(count // 2))


@isolated
def test_many_in_cycles_are_collected_at_once() -> None:
    class Node(greenlet):
        other: Node

    def living() -> int:
        return sum(type(each) is Node for each in gc.get_objects())

    nodes = [Node(lambda: parent().switch()) for _ in range(2_000)]
    for index, node in enumerate(nodes):
        node.other = nodes[index - 1]
        node.switch()
    del node
    nodes.clear()
    assert living() == 2_000
    gc.collect()
    assert living() == 0


@isolated
def test_lanes_are_used_again() -> None:
    def births(count: int) -> None:
        for _ in range(count):
            greenlet(len).switch(())

    births(10_000)
    before = resident_kib(), mapping_count()
    births(200_000)
    assert resident_kib() - before[0] < 1024
    assert mapping_count() - before[1] <= 2


@isolated
def test_waves_do_not_grow() -> None:
    def wave() -> None:
        children = [suspended() for _ in range(2_500)]
        for child in children:
            child.switch()

    wave()
    wave()
    before = resident_kib(), mapping_count()
    for _ in range(6):
        wave()
    assert resident_kib() - before[0] < 4 * 1024
    assert mapping_count() - before[1] <= 64


@isolated
def test_memory_of_deep_use_is_given_back() -> None:
    """Lanes that sink in the pool keep no more than what most greenlets use."""

    def deep() -> None:
        repr_depth(150)
        parent().switch()

    def repr_depth(levels: int) -> str:
        return "" if levels == 0 else str(sorted([levels], key=lambda n: repr_depth(n - 1)))

    children = []
    for _ in range(200):
        child = greenlet(deep)
        child.switch()
        children.append(child)
    deep_use = resident_kib()
    for child in children:
        child.switch()
    del child
    children.clear()
    assert deep_use - resident_kib() > 200 * 30


@isolated
def test_shared_lanes_give_deep_use_back(stack_probe: str) -> None:
    """Each of them, now and then, though it stays with the thread."""
    sys.path.insert(0, stack_probe)
    use = __import__("stack_probe").use
    lanes.set_limit(0)
    greenlet(len).switch(())
    before = resident_kib()
    for _ in range(16):
        greenlet(use).switch(4 * MIB)
    assert resident_kib() - before > 24 * 1024
    for _ in range(1_000):
        greenlet(len).switch(())
    assert resident_kib() - before < 4 * 1024


@isolated
def test_threads_give_their_lanes_back() -> None:
    from threading import Thread  # only here: starting threads costs the other tests nothing

    def work() -> None:
        kept = [suspended() for _ in range(70)]
        kept[0].switch()

    def threads(count: int) -> None:
        for _ in range(count):
            thread = Thread(target=work)
            thread.start()
            thread.join()

    threads(20)
    before = resident_kib(), mapping_count()
    threads(100)
    assert resident_kib() - before[0] < 2 * 1024
    assert mapping_count() - before[1] <= 8


# ---- Refused -------------------------------------------------------------------------------------


def limit_address_space(extra: int) -> None:
    """Allow this process ``extra`` more bytes of address space than it has.

    The thread has lanes already: it would be sparing with them if it knew of the limit.
    """
    getcurrent()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + extra, resource.RLIM_INFINITY))


def exhaust() -> tuple[list[greenlet], greenlet]:
    """Start greenlets until one is refused: those that were not, and the one."""
    started: list[greenlet] = []
    while True:
        child = greenlet(lambda word="none": parent().switch(word))
        try:
            child.switch("started")
        except MemoryError as refused:
            assert "stack" in str(refused)
            return started, child
        started.append(child)


@isolated
def test_refused_memory_is_a_memory_error() -> None:
    limit_address_space(60 * MIB)
    started, refused = exhaust()
    assert 3 <= len(started) <= 7, "lanes of 8 MiB in 60 MiB"
    assert not refused
    assert not refused.dead
    assert callable(refused.run)
    assert refused.gr_frame is None
    assert getcurrent().parent is None
    # Still refused, and still without harm; so is a throw.
    attempts: list[Callable[[], Any]] = [refused.switch, lambda: refused.throw(KeyError)]
    for attempt in attempts:
        try:
            attempt()
        except MemoryError:
            continue
        raise AssertionError("memory came from nowhere")
    assert [child.switch(i) for i, child in enumerate(started)] == list(range(len(started)))
    assert all(child.dead for child in started)
    assert refused.switch("now") == "now"
    assert refused.switch("end") == "end"


@isolated
def test_threads_with_a_greenlet_each_in_limited_address_space() -> None:
    """One thread does not reserve what others need."""
    threading.stack_size(MIB)
    limit_address_space(2000 * MIB)
    results: list[object] = []
    leave = threading.Event()

    def work() -> None:
        try:
            results.append(suspended())
        except MemoryError as refused:
            results.append(refused)
        leave.wait()

    threads = [threading.Thread(target=work) for _ in range(30)]
    try:
        for thread in threads:
            thread.start()
        while len(results) < len(threads):
            time.sleep(0.001)
    finally:
        leave.set()
    for thread in threads:
        thread.join()
    assert [each for each in results if not isinstance(each, greenlet)] == []


@isolated
def test_refused_memory_keeps_references() -> None:
    limit_address_space(60 * MIB)
    started, refused = exhaust()
    argument = object()
    run = refused.run
    before = sys.getrefcount(argument), sys.getrefcount(run), sys.getrefcount(refused)
    for form in ((argument,), (argument,) * 20):
        for _ in range(20):
            try:
                refused.switch(*form)
            except MemoryError:
                continue
            raise AssertionError("memory came from nowhere")
    del form
    assert (sys.getrefcount(argument), sys.getrefcount(run), sys.getrefcount(refused)) == before
    assert all(started)


@isolated
def test_refused_memory_when_a_parent_must_be_started() -> None:
    """The error of a parent that cannot be started goes to the grandparent."""
    limit_address_space(60 * MIB)
    started, refused = exhaust()
    started[-1].parent = refused
    try:
        result = started[-1].switch("up")
    except MemoryError:
        assert started[-1].dead
        assert not refused.dead
    else:
        # The lane of the greenlet that ended served for its parent.
        assert result == "up"
        assert started[-1].dead
        assert refused


def test_a_million_suspended_greenlets() -> None:
    """Each is held by its own frame alone: the collector has to find and to unwind them all."""
    done = run_script(
        """
        import gc, resource
        from greenlane import getcurrent, greenlet

        COUNT = 1_000_000
        gc.disable()
        died = 0

        def run():
            global died
            me = getcurrent()
            try:
                me.parent.switch()
                me.parent.switch()
            finally:
                died += 1

        suspended = [greenlet(run) for _ in range(COUNT)]
        for _ in range(2):
            for each in suspended:
                each.switch()
        del each
        suspended.clear()
        assert died == 0
        gc.collect()
        assert died == COUNT, died
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """,
        timeout=120,
    )
    assert int(done.stdout) * 1024 < 2.5e9
