"""Programs that once crashed greenlane, or could have: each made to hit one unguarded moment.

Every test runs in a process of its own; what it asserts last is that the process is still sane.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from greenlane import GreenletExit, _greenlet, error, getcurrent, greenlet, lanes, settrace
from support import fork_among_threads, isolated, run_script, suspended


def is_sane() -> bool:
    """Greenlets still start, switch, end and come back."""
    root = getcurrent()
    child = greenlet(lambda value: root.switch(value + 1) + 1)
    return child.switch(1) == 2 and child.switch(10) == 11 and child.dead


@isolated
def test_ending_greenlet_made_parent_of_its_own_parent() -> None:
    """While the dying greenlet looks up its parent's run, it is not a candidate to continue."""
    root = getcurrent()

    class Heir(greenlet):
        @property
        def run(self) -> Any:  # type: ignore[override]
            dying = getcurrent()
            dying.parent = root
            self.parent = dying
            raise KeyError("no run")

    heir = Heir()
    with pytest.raises(KeyError, match="no run"):
        greenlet(lambda: 42, heir).switch()
    assert is_sane()


@isolated
def test_heir_that_is_over_before_it_was_found() -> None:
    root = getcurrent()
    lookups: list[int] = []

    class Heir(greenlet):
        @property
        def run(self) -> Any:  # type: ignore[override]
            lookups.append(1)
            if len(lookups) == 1:
                dying = getcurrent()
                dying.parent = root
                self.parent = dying
                self.switch()
            return lambda *_: None

    heir = Heir()
    dying = greenlet(lambda: 42, heir)
    dying.switch()
    assert (dying.dead, heir.dead) == (True, True)
    assert is_sane()


@isolated
def test_greenlet_that_ends_while_its_exit_is_made() -> None:
    """The constructor of GreenletExit may run code, and that may end the greenlet to be killed."""
    root = getcurrent()
    ended: list[bool] = []

    def construct(*_: object) -> None:
        victim = reference()
        if victim is not None and not ended:
            ended.append(True)
            victim.switch()

    victim = greenlet(root.switch)
    victim.switch()
    reference = weakref.ref(victim)
    GreenletExit.__init__ = construct  # type: ignore
    del victim
    assert ended == [True]
    assert reference() is None
    assert is_sane()


@isolated
def test_collection_in_the_middle_of_a_kill() -> None:
    """A collection may begin at any allocation, and its callbacks may switch to the victim."""
    root = getcurrent()
    victim = greenlet(root.switch)
    victim.switch()
    reference = weakref.ref(victim)
    armed = [False]

    def callback(*_: object) -> None:
        found = reference() if armed[0] else None
        if found is not None:
            armed[0] = False
            found.switch()

    gc.collect()
    gc.callbacks.append(callback)
    gc.set_threshold(1)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        armed[0] = True
        del victim
    gc.set_threshold(700)
    gc.callbacks.remove(callback)
    gc.collect()
    assert reference() is None
    assert is_sane()


@isolated
def test_killed_greenlet_becomes_its_former_parents_parent() -> None:
    """Restoring the parent after a kill must not close a circle."""
    root = getcurrent()
    survivor: list[greenlet] = []
    former = greenlet(root.switch)
    former.switch()

    def run() -> None:
        try:
            root.switch()
        except GreenletExit:
            former.parent = getcurrent()
            survivor.append(getcurrent())

    victim = greenlet(run, former)
    victim.switch()
    del victim
    former.throw()
    assert former.dead
    survivor[0].switch()  # would not return if there were a circle
    assert is_sane()


@isolated
def test_frames_outlive_greenlet_and_thread() -> None:
    greenlets: list[greenlet] = []
    frames: list[FrameType] = []

    def run() -> None:
        frames.append(sys._getframe())
        parent = getcurrent().parent
        assert parent is not None
        max([0], key=lambda _: parent.switch())

    def in_thread() -> None:
        each = greenlet(run)
        greenlets.append(each)
        each.switch()

    for limit in (1000, 0):
        lanes.set_limit(limit)
        for _ in range(3):
            thread = threading.Thread(target=in_thread)
            thread.start()
            thread.join()
    clutter = [bytes([255]) * size for size in range(100, 3000, 8)]
    assert all(each.dead for each in greenlets)
    greenlets.clear()
    gc.collect()
    assert [each.f_back for each in frames] == [None] * 6
    assert [each.f_code.co_name for each in frames] == ["run"] * 6
    assert len(clutter) > 0
    assert is_sane()


@isolated
def test_generator_outlives_greenlet_and_thread() -> None:
    """A generator that was running in an abandoned greenlet refers to nothing of its stack."""
    generators: list[Any] = []
    greenlets: list[greenlet] = []

    def generate() -> Any:
        parent = getcurrent().parent
        assert parent is not None
        parent.switch()
        yield

    def in_thread() -> None:
        generator = generate()
        generators.append(generator)
        each = greenlet(lambda: next(generator))
        greenlets.append(each)
        each.switch()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert greenlets[0].dead
    greenlets.clear()
    frame = generators[0].gi_frame
    # In CPython 3.10 frames are objects, and this one keeps its caller's.
    callers = [] if frame.f_back is None else [frame.f_back.f_code.co_name]
    assert callers == ([] if sys.version_info >= (3, 11) else ["<lambda>"])
    assert frame.f_code.co_name == "generate"
    assert is_sane()


@contextlib.contextmanager
def root_of_another_thread() -> Iterator[greenlet]:
    """The main greenlet of a thread that waits meanwhile."""
    roots: list[greenlet] = []
    done = threading.Event()

    def in_thread() -> None:
        roots.append(getcurrent())
        done.wait()

    thread = threading.Thread(target=in_thread)
    thread.start()
    while not roots:
        time.sleep(0.001)
    yield roots[0]
    done.set()
    thread.join()


@isolated
def test_end_below_a_parent_that_was_moved_to_another_thread() -> None:
    """None of its ancestors can continue: the error is raised in the root."""
    with root_of_another_thread() as root:
        above = greenlet(lambda: None)
        child = greenlet(lambda: setattr(above, "parent", root), above)
        try:
            child.switch()
        except error as raised:
            assert "different thread" in str(raised)
        else:
            raise AssertionError("no error")
        assert child.dead
    assert is_sane()


@isolated
def test_moved_to_another_thread_while_its_run_is_looked_up() -> None:
    """Whoever starts it: a switch, a throw, the death of a child."""
    ran: list[object] = []
    refusals: list[str] = []

    class Moving(greenlet):
        @property
        def run(self) -> Any:  # type: ignore[override]
            self.parent = root
            return ran.append

    with root_of_another_thread() as root:
        moved = [Moving() for _ in range(3)]
        attempts: list[Callable[[], object]] = [
            lambda: moved[0].switch(1),
            lambda: moved[1].throw(KeyError),
            greenlet(lambda: 1, moved[2]).switch,
        ]
        for attempt in attempts:
            try:
                attempt()
            except error as raised:
                refusals.append(str(raised).splitlines()[0])
    assert refusals == ["Cannot switch to a different thread"] * 3
    assert ran == []
    assert [(bool(each), each.dead) for each in moved] == [(False, False)] * 3
    assert is_sane()


@isolated
def test_finalizer_of_an_ancestor_is_called() -> None:
    """By name. Were it killed by its descendant, each would be the other's parent."""

    def outer() -> str:
        me = getcurrent()
        result = greenlet(lambda: me.__del__() or "inner").switch()  # type: ignore[attr-defined]
        assert result == "inner"
        greenlet(len).parent = getcurrent()
        return "outer"

    one = greenlet(outer)
    assert one.switch() == "outer"
    for each in one, getcurrent(), greenlet(len):
        each.__del__()  # type: ignore[attr-defined]
    sleeper = suspended()
    sleeper.__del__()  # type: ignore[attr-defined]
    assert sleeper.dead
    assert is_sane()


@isolated
def test_throw_is_the_first_that_a_thread_does() -> None:
    """There is an exception already while the thread becomes known."""
    child = suspended()
    raised: list[type[BaseException]] = []

    def in_thread() -> None:
        try:
            child.throw(KeyError)
        except BaseException as found:
            raised.append(type(found))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert raised == [error]
    assert child.switch() == ()
    assert is_sane()


@isolated
def test_ancestor_that_nobody_else_refers_to_once_it_is_skipped() -> None:
    """What it owns is dropped when the greenlet that ends has left, not while it is leaving."""
    root = getcurrent()
    log: list[object] = []

    class Switching:
        def __del__(self) -> None:
            log.append(greenlet(lambda: "switched").switch())
            log.append(getcurrent() is root)

    class Heir(greenlet):
        @property
        def run(self) -> Any:  # type: ignore[override]
            getcurrent().parent = root
            del self  # or the traceback would refer to it
            raise KeyError("no run")

    def make() -> greenlet:
        above = greenlet(lambda: None)
        above.switch()
        above.owned = Switching()  # type: ignore[attr-defined]
        return greenlet(lambda: 42, Heir(parent=above))

    ending = make()
    with pytest.raises(KeyError, match="no run"):
        ending.switch()
    getcurrent()
    assert log == ["switched", True]
    assert is_sane()


@isolated
def test_evicted_by_a_finalizer_without_a_frame() -> None:
    """What runs is a finalizer that is a bound switch(): no Python frame is on top of the stack.

    The interpreter then points to an entry frame, which lies on the stack that is evicted (3.12 and
    later).
    """

    def suspend() -> list[greenlet]:
        root = getcurrent()

        class Dropped:
            __del__ = root.switch

        def drop() -> None:
            _dropped = Dropped()
            root.switch()

        def call(_: object) -> int:
            drop()
            return 0

        def clutter(depth: int) -> int:
            if depth == 0:
                root.switch()
                return 0
            # Frames of several sizes, so that no two stacks look alike.
            if depth % 2:
                return max([depth - 1], key=clutter)
            re.sub("a", lambda _: str(clutter(depth - 1)), "a" * (100 + depth), count=1)
            return 0

        # One half has a Python frame below the entry frame, the other has not.
        plain = [greenlet(drop) for _ in range(9)]
        nested = [greenlet(lambda: max([0], key=call)) for _ in range(9)]
        for each in plain + nested:
            each.switch()  # suspended by drop()
            each.switch()  # suspended by __del__()
        others = [greenlet(max) for _ in range(16)]
        for number, other in enumerate(others):
            other.switch([20 + number], key=clutter)
        assert [each.gr_frame for each in plain] == [None] * 9
        innermost = [each.gr_frame for each in nested]
        assert [frame and frame.f_code.co_name for frame in innermost] == ["call"] * 9
        innermost.clear()
        gc.collect()
        assert not any(each.dead for each in plain + nested)
        return plain + nested

    lanes.set_limit(0)
    for each in suspend():
        each.switch()
        assert each.dead
    abandoned: list[greenlet] = []
    thread = threading.Thread(target=lambda: abandoned.extend(suspend()))
    thread.start()
    thread.join()
    assert all(each.dead for each in abandoned)
    assert is_sane()


@isolated
def test_frames_outlive_greenlets_that_shared_a_lane() -> None:
    """One tenant's frame lies in the tail of a lane that the last tenant gives back."""
    greenlets: list[greenlet] = []
    frames: list[FrameType | None] = []

    def in_thread() -> None:
        root = getcurrent()
        for _ in range(20):
            each = greenlet(lambda: root.switch())
            each.switch()
            greenlets.append(each)
            frames.append(each.gr_frame)

    lanes.set_limit(0)
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert all(each.dead for each in greenlets)
    greenlets.clear()
    gc.collect()
    assert [frame and frame.f_back for frame in frames] == [None] * 20
    assert {frame and frame.f_code.co_name for frame in frames} == {"<lambda>"}
    assert is_sane()


@isolated
def test_tracer_that_owns_suspended_greenlets_at_the_end_of_a_thread() -> None:
    """They are dropped when the thread's record is: each gives back a lane that it shares."""

    def in_thread() -> None:
        root = getcurrent()
        greenlets = [greenlet(lambda: root.switch()) for _ in range(20)]
        for each in greenlets:
            each.switch()
        settrace(lambda *_: greenlets)

    lanes.set_limit(0)
    for _ in range(3):
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
    assert is_sane()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="GreenletExit does not keep the frame alive")
def test_kill_that_is_left_by_a_finalizer_for_good() -> None:
    """What the killed greenlet returned is dropped by its killer, which never gets back.

    The killer stands in for the killed one's parent for a while, and must not keep itself alive.
    """
    root = getcurrent()

    class Fin:
        def __del__(self) -> None:
            with contextlib.suppress(GreenletExit):
                root.switch("left")

    def victim() -> None:
        _fin = Fin()
        root.switch()

    victims = [greenlet(victim)]
    victims[0].switch()
    unwound: list[bool] = []

    def kill() -> None:
        try:
            victims.clear()
        finally:
            unwound.append(True)

    killer = greenlet(kill)
    assert killer.switch() == "left"
    dropped = weakref.ref(killer)
    del killer
    assert unwound == [True]
    assert dropped() is None


@isolated
def test_looking_for_ended_threads_while_one_ends() -> None:
    """What a thread kills at its end looks for threads that have ended: its own is not one yet."""
    suspended: list[greenlet] = []
    counts: list[int] = []
    dropped = threading.Event()

    def victim(root: greenlet) -> None:
        try:
            root.switch()
        finally:
            counts.append(_greenlet.get_total_main_greenlets())

    def in_thread() -> None:
        child = greenlet(victim)
        child.switch(getcurrent())
        suspended.append(child)
        del child
        ready.set()
        dropped.wait()

    assert is_sane()  # this thread has a main greenlet as well
    for _ in range(3):
        ready = threading.Event()
        dropped.clear()
        thread = threading.Thread(target=in_thread)
        thread.start()
        ready.wait()
        suspended.clear()  # kept for its own thread, which kills it at its end
        dropped.set()
        thread.join()
    assert counts == [2, 2, 2]
    assert is_sane()


@isolated
def test_dead_greenlet_below_one_that_died_in_another_thread() -> None:
    """Its nearest living ancestor is the main greenlet of that thread, which runs."""
    greenlets: list[greenlet] = []
    messages: list[str] = []
    made, moved = threading.Event(), threading.Event()

    def in_thread() -> None:
        root = getcurrent()
        middle = greenlet(lambda: None)
        child = greenlet(root.switch, middle)
        child.switch()
        greenlets.append(middle)
        made.set()
        moved.wait()
        attempts: list[Callable[[], object]] = [child.switch] * 2
        attempts.append(lambda: child.throw(KeyError))
        for attempt in attempts:
            try:
                attempt()
            except error as refused:
                messages.append(str(refused).splitlines()[0])
        assert child.dead

    thread = threading.Thread(target=in_thread)
    thread.start()
    made.wait()
    greenlets[0].parent = getcurrent()
    greenlets[0].switch()
    assert greenlets[0].dead
    moved.set()
    thread.join()
    assert messages == ["Cannot switch to a different thread"] * 3
    assert is_sane()


@pytest.mark.parametrize("limit", ["0", "100"])
def test_frames_seen_while_the_interpreter_finalizes(limit: str) -> None:
    """A greenlet that is freed then leaves its frames to a finalizer that has got hold of them."""
    code = """
        import os, sys
        from greenlane import getcurrent, greenlet

        def inner():
            getcurrent().parent.switch()

        def outer():
            here = "outer"
            inner()

        class Watcher:
            def __init__(self, frame):
                self.frame = frame

            def __del__(self, write=os.write):
                while self.frame is not None:
                    write(1, b"%s %s " % (self.frame.f_code.co_name.encode(),
                                          " ".join(self.frame.f_locals).encode()))
                    self.frame = self.frame.f_back

        def make(run):
            child = greenlet(run)
            child.switch()
            return child

        # Not in this module: what is suspended keeps that.
        sys.others = [make(outer) for _ in range(20)]
        sys.watched = make(outer)
        sys.watched.watcher = Watcher(sys.watched.gr_frame)
    """
    # What has been freed is overwritten.
    done = run_script(code, environment={"GREENLANE_LANES": limit, "MALLOC_PERTURB_": "165"})
    assert (done.stdout, done.stderr) == ("inner  outer here ", "")


@isolated
def test_running_in_another_thread_when_forked() -> None:
    """What another thread was running never goes on in the child: its place is not reused there."""
    ready, leave = threading.Event(), threading.Event()
    heirs: list[weakref.ref[greenlet]] = []

    def end_of_the_line(ancestor: greenlet) -> None:
        ancestor.parent = getcurrent().parent  # now only the thread refers to the running one
        ready.set()
        leave.wait()

    def in_thread() -> None:
        # Made by what ends, and continuing after it: no frame has a reference to it.
        def hand_over() -> greenlet:
            ancestor = getcurrent()
            ancestor.parent = greenlet(end_of_the_line, ancestor.parent)
            heirs.append(weakref.ref(ancestor.parent))
            return ancestor

        greenlet(hand_over).switch()

    lanes.set_limit(0)
    thread = threading.Thread(target=in_thread)
    thread.start()
    ready.wait()
    pid = fork_among_threads()
    if pid == 0:
        gone = heirs[0]() is None
        children = [suspended() for _ in range(20)]
        for child in children:
            child.switch()
        os._exit(42 if gone and is_sane() else 4)
    _, status = os.waitpid(pid, 0)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 42


@isolated
def test_end_that_is_refused_drops_an_exception_that_switches() -> None:
    """The parent's place is taken, and what the error drops runs: the stack is in use."""
    lanes.set_limit(0)
    gc.disable()
    root = getcurrent()
    outcomes: list[str] = []

    def descend(depth: int, bottom: Callable[[], None]) -> int:
        if depth == 0:
            bottom()
        else:
            [0].sort(key=lambda _: descend(depth - 1, bottom))  # C functions: a large stack
        return 0

    class Dropped(Exception):
        def __del__(self) -> None:
            descend(40, self.args[0].switch)

    class Leaving:
        def __del__(self) -> None:
            root.switch()

    def end(parent: greenlet, other: greenlet) -> None:
        getcurrent().parent = parent
        root.switch()
        raise Dropped(other)

    def wait() -> None:
        while True:
            root.switch("back")

    # Eight lanes are shared in turn: no child has that of its parent, each that of its other.
    parents = [greenlet(wait) for _ in range(24)]
    others = [greenlet(wait) for _ in range(25)]
    children = [greenlet(end) for _ in parents]
    for each in [*parents, *others]:
        each.switch()
    for child, ancestor, other in zip(children, parents, others[1:], strict=True):
        child.switch(ancestor, other)
    leaving = Leaving()
    leaving.knot = leaving  # type: ignore[attr-defined]
    del leaving
    collector = greenlet(gc.collect)
    collector.switch()  # is left in the middle of the collection
    for child in children:
        try:
            outcomes.append(child.switch())
        except Dropped:
            outcomes.append("delivered")
        except error:
            outcomes.append("not run")
    sys.unraisablehook = lambda _: None  # those that came back are killed in __del__()
    assert outcomes.count("not run") == 3
    assert outcomes.count("back") == 3, "the parent is on the lane of the collector"
    collector.switch()
    assert is_sane()


STARTED_LATE = """
    import os
    import sys
    import _thread
    import threading
    import time
    from greenlane import _greenlet, getcurrent, greenlet

    class Asking:
        def __del__(self):
            _greenlet.get_total_main_greenlets()
            kept.append([{"a": number} for number in range(300)])

    def in_thread():
        getcurrent()  # the thread has had no dictionary before
        _greenlet.set_thread_local("asking", Asking())
        ready.release()
        time.sleep(600)

    kept = []
    ready = threading.Semaphore(0)
    for _ in range(4):
        _thread.start_new_thread(in_thread, ())
        ready.acquire()
"""


def test_looking_for_ended_threads_when_forked() -> None:
    """The interpreter first forgets the threads that are no more, and then clears their states."""
    code = """
    import warnings
    warnings.simplefilter("ignore")
    pid = os.fork()
    if pid == 0:
        more = [{"b": 1} for _ in range(3000)]
        whole = [[{"a": number} for number in range(300)]] * 4
        os._exit(42 if kept == whole and greenlet(lambda: 1).switch() == 1 else 4)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert run_script(textwrap.dedent(STARTED_LATE) + textwrap.dedent(code)).stdout == "42\n"


def test_looking_for_ended_threads_at_the_end() -> None:
    assert run_script(STARTED_LATE, environment={"MALLOC_PERTURB_": "165"}).stderr == ""


@isolated
def test_one_record_for_a_thread() -> None:
    """What runs during a thread's first use of greenlets uses them, too: that is the first."""
    made: list[tuple[int, greenlet, greenlet]] = []
    found: list[int] = []

    class Starting:
        def __del__(self) -> None:
            root = getcurrent()
            child = greenlet(root.switch)
            child.switch("suspended")
            made.append((threading.get_native_id(), root, child))

    class Late:
        """Uses greenlets after the end of its thread, and leaves something to those that follow."""

        def __del__(self) -> None:
            getcurrent().left = Starting()  # type: ignore[attr-defined]

    def ending() -> None:
        _greenlet.set_thread_local("late", Late())

    def beginning() -> None:
        root = getcurrent()
        found.extend(
            child.switch("ended") == "ended" and child.dead and its_root is root
            for thread, its_root, child in made
            if thread == threading.get_native_id()
        )

    def collecting() -> None:
        starting = Starting()
        starting.knot = starting  # type: ignore[attr-defined]
        del starting
        gc.set_threshold(1)
        beginning()
        gc.set_threshold(0)

    def run(function: Callable[[], None]) -> None:
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()

    for _ in range(6):
        run(ending)
        run(beginning)
        run(collecting)
    assert found
    assert all(found)
    assert is_sane()


# Debug builds of 3.12 to 3.14 assert what cannot be mended there: what does so is not exported.
needs_instrumentation = pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount") and (3, 12) <= sys.version_info < (3, 15),
    reason="a debug build asserts that a suspended greenlet follows a hook that comes or goes",
)


@needs_instrumentation
@pytest.mark.parametrize("how", ["settrace", "setprofile", "monitoring"])
@isolated
def test_watched_from_the_middle_on(how: str) -> None:
    """What is watched changes while greenlets are suspended: their code does not fit any more."""
    root = getcurrent()
    source = """
def work():
    for _ in range(20):
        value = root.switch()
        value = [value]
    raise LookupError
"""

    def make() -> greenlet:
        names: dict[str, Any] = {"root": root}
        exec(source, names)  # code that nobody has watched so far
        child = greenlet(names["work"])
        child.switch()
        return child

    def callback(*_arguments: object) -> Any:
        return callback

    def watch(*, yes: bool) -> None:
        if how != "monitoring":
            getattr(sys, how)(callback if yes else None)
        elif hasattr(sys, "monitoring"):
            events = sys.monitoring.events
            if yes:
                sys.monitoring.use_tool_id(3, "watch")
                for event in (events.LINE, events.CALL, events.PY_UNWIND, events.C_RETURN):
                    sys.monitoring.register_callback(3, event, callback)
                sys.monitoring.set_events(3, events.LINE | events.CALL | events.PY_UNWIND)
            else:
                sys.monitoring.set_events(3, 0)
                sys.monitoring.free_tool_id(3)

    children = [make() for _ in range(8)]
    watch(yes=True)
    for child in children[:4]:
        with contextlib.suppress(LookupError):
            child.throw(LookupError)
        assert child.dead
    del children[:2]
    children += [make() for _ in range(4)]
    for turn in range(26):
        watch(yes=bool(turn % 2))
        for child in children:
            with contextlib.suppress(LookupError):
                child.switch(turn)
        if turn % 5 == 0:
            children.pop()
            children.append(make())
    watch(yes=False)
    assert is_sane()


@needs_instrumentation
@isolated
def test_started_while_a_trace_function_waits() -> None:
    """CPython does not make the code of a function that starts then fit what is watched."""
    root = getcurrent()

    def trace(frame: FrameType, _event: str, _argument: object) -> None:
        if frame.f_code.co_name == "traced":
            root.switch()

    def traced() -> None:
        pass

    def work() -> None:
        sys.settrace(trace)
        traced()
        root.switch("traced")
        sys.settrace(None)

    def fail() -> None:
        assert child.switch() == "traced"
        raise LookupError

    child = greenlet(work)
    child.switch()
    with contextlib.suppress(LookupError):
        fail()
    child.switch()
    assert child.dead
    assert is_sane()


@pytest.mark.parametrize("thread_ends", [False, True])
@isolated
def test_suspended_where_a_handled_exception_is_dropped(thread_ends: bool) -> None:
    """The one handled before is the interpreter's again, and still on the frame's stack."""
    kept: list[Outer] = []
    counts: list[int] = []

    class Outer(Exception):
        pass

    class Inner(Exception):
        def __del__(self) -> None:
            getcurrent().parent.switch()  # type: ignore[union-attr]

    def handle() -> None:
        try:
            raise kept[0]
        except Outer:
            try:
                raise Inner
            except Inner:
                pass
            getcurrent().parent.switch()  # type: ignore[union-attr]

    def run() -> None:
        child = greenlet(handle)
        child.switch()
        visited = sum(each is kept[0] for each in gc.get_referents(child))
        gc.collect()
        if thread_ends:
            children.append(child)
        else:
            child.switch()
            child.switch()
            assert child.dead
        counts.append(visited)

    children: list[greenlet] = []
    for _ in range(20):
        kept[:] = [Outer()]
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert not any(children)
        children.clear()
        kept[0].__traceback__ = None
        gc.collect()
        counts.append(sys.getrefcount(kept[0]))
        assert counts.pop() >= sys.getrefcount(Outer()), "kept, at least"
        assert counts.pop() <= 1
    assert is_sane()
