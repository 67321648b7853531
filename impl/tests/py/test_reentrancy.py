"""Code that runs in the middle of a switch, or at odd moments, and switches itself."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from greenlane import GreenletExit, error, getcurrent, greenlet, lanes, settrace
from support import fork_among_threads, isolated, parent, run_script, suspended


class Switcher:
    """Switches to a greenlet and back when it is deleted."""

    def __init__(self, log: list[object]) -> None:
        self.log = log

    def __del__(self) -> None:
        self.log.append(greenlet(lambda: "switched").switch())


# ---- Deallocation and collection -----------------------------------------------------------------


@isolated
def test_del_that_switches_in_deallocation() -> None:
    log: list[object] = []
    child = greenlet(lambda: parent().switch())
    child.held = Switcher(log)  # type: ignore[attr-defined]
    child.switch()
    del child
    assert log == ["switched"]


@isolated
def test_del_that_switches_while_the_origin_is_dropped() -> None:
    """The arriving greenlet drops the last reference to the one that came."""
    log: list[object] = []

    def run() -> str:
        getcurrent().held = Switcher(log)  # type: ignore[attr-defined]
        return "result"

    assert greenlet(run).switch() == "result"
    assert log == ["switched"]


@isolated
def test_del_that_switches_while_an_exception_is_delivered() -> None:
    log: list[object] = []

    def run() -> None:
        getcurrent().held = Switcher(log)  # type: ignore[attr-defined]
        raise KeyError("key")

    try:
        greenlet(run).switch()
    except KeyError as found:
        assert str(found) == "'key'"
    else:
        raise AssertionError("nothing was raised")
    assert log == ["switched"]


@isolated
def test_dropped_origin_is_killed_on_arrival() -> None:
    log: list[str] = []
    main = getcurrent()

    def run() -> None:
        try:
            main.switch("left")
        except GreenletExit:
            log.append("killed")

    assert greenlet(run).switch() == "left"
    assert log == ["killed"]


@isolated
def test_weakref_callback_that_switches() -> None:
    log: list[object] = []
    child = suspended()
    reference = weakref.ref(child, lambda _: log.append(greenlet(lambda: "callback").switch()))
    del child
    assert log == ["callback"]
    assert reference() is None


@isolated
def test_gc_callback_that_switches() -> None:
    sleeper = greenlet(lambda: [parent().switch() for _ in range(100)])
    sleeper.switch()
    phases: list[str] = []

    def callback(phase: str, _info: object) -> None:
        phases.append(phase)
        sleeper.switch()

    gc.callbacks.append(callback)
    gc.collect()
    gc.callbacks.clear()
    assert phases == ["start", "stop"]
    assert sleeper


@isolated
def test_collections_at_every_allocation() -> None:
    gc.set_threshold(1)

    def run(*args: object, **named: object) -> object:
        received: object = (args, named)
        for _ in range(50):
            received = parent().switch(received, [[]], key={})
        return "end"

    for _ in range(20):
        child = greenlet(run)
        child.me = child  # type: ignore[attr-defined]
        child.switch([[]], {}, key=[[]])
        assert child.gr_frame is not None
        for _ in range(49):
            child.switch([], [])
        assert child.switch() == "end"


@isolated
def test_killed_by_the_collector_while_switching() -> None:
    """Packing arguments may collect, and what is collected may switch when it dies."""
    log: list[object] = []

    def run() -> None:
        try:
            parent().switch()
        finally:
            log.append(greenlet(lambda: "dying").switch())

    target = greenlet(lambda *args: [args, *[parent().switch() for _ in range(300)]])
    target.switch()
    gc.set_threshold(5)
    for _ in range(200):
        child = suspended(run=run)
        child.me = child  # type: ignore[attr-defined]
        del child
        target.switch(1, 2, key=[])
    gc.set_threshold(700)
    gc.collect()
    assert log == ["dying"] * 200


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="collections are between instructions")
@isolated
def test_target_that_ends_while_its_arguments_are_packed() -> None:
    """A collection begins at the n-th allocation: one of these is in the middle of the switch."""
    root = getcurrent()
    outcomes: list[object] = []

    def callback(*_: object) -> None:
        gc.set_threshold(0)
        if getcurrent() is root and target:
            target.switch()

    target = greenlet()
    gc.callbacks.append(callback)
    for number in range(1, 30):
        gc.collect()
        target = suspended(run=lambda: parent().switch() and "ended")
        gc.set_threshold(number)
        outcomes.append(target.switch(1, 2, key=3))
        gc.set_threshold(0)
        assert target.dead
    gc.callbacks.clear()
    assert "ended" in outcomes
    assert ((1, 2), {"key": 3}) in outcomes


@isolated
def test_trashcan_with_greenlets() -> None:
    """Deep structures whose parts are greenlets, some of them suspended."""
    killed: list[int] = []

    def run() -> None:
        try:
            parent().switch()
        finally:
            killed.append(1)

    outer: Any = None
    for level in range(20_000):
        holder = greenlet(len)
        holder.inner = outer  # type: ignore[attr-defined]
        outer = [holder, suspended(run=run) if level % 100 == 0 else None]
    del holder
    outer = None
    assert len(killed) == 200


@pytest.mark.parametrize("kind", ["greenlet", "subclass"])
@isolated
def test_long_parent_chain_is_freed(kind: str) -> None:
    """Without as many calls in each other, for which there would be no room on so small a stack.

    CPython 3.13 lets some 10,000 deallocations stand on each other.
    """
    ends: list[weakref.ref[greenlet]] = []

    class Sub(greenlet):
        pass

    def work() -> None:
        make = greenlet if kind == "greenlet" else Sub
        first = last = make(len)
        for _ in range(100_000):  # from below: a new parent's own chain is walked
            last.parent = make(len)
            last = last.parent
        ends.extend([weakref.ref(first), weakref.ref(last)])
        del last, first
        assert [end() for end in ends] == [None, None]

    threading.stack_size(2 * 1024 * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(ends) == 2


@isolated
def test_resurrection() -> None:
    saved: list[greenlet] = []

    def run() -> str:
        for _ in range(3):
            try:
                parent().switch()
            except GreenletExit:
                saved.append(getcurrent())
        return "ended"

    suspended(run=run)
    for survives in (True, True, False):
        child = saved.pop()
        assert bool(child) is survives
        del child
    assert saved == []


@isolated
def test_survivor_without_a_reference_is_reported() -> None:
    done = run_script(
        """
        from greenlane import GreenletExit
        from support import parent, suspended

        def run():
            try:
                parent().switch()
            except GreenletExit:
                parent().switch("survives")

        suspended(run=run)
        print("goes on")
        """
    )
    assert done.stdout == "goes on\n"
    assert "GreenletExit did not kill <greenlet.greenlet object" in done.stderr


# ---- Tracers -------------------------------------------------------------------------------------


@isolated
def test_tracer_that_switches() -> None:
    log: list[object] = []

    def tracer(event: str, pair: tuple[greenlet, greenlet]) -> None:
        settrace(None)
        assert greenlet(lambda: 7).switch() == 7
        log.append((event, pair[1] is child))
        settrace(tracer)

    child = greenlet(lambda value: parent().switch(value + 1))
    settrace(tracer)
    assert child.switch(1) == 2
    settrace(None)
    assert log == [("switch", True), ("switch", False)]


@isolated
def test_tracer_that_removes_itself() -> None:
    events: list[str] = []

    def tracer(event: str, _pair: object) -> None:
        events.append(event)
        settrace(None)

    settrace(tracer)
    assert greenlet(lambda: 1).switch() == 1
    assert events == ["switch"]


@isolated
def test_tracer_that_drops_the_greenlet() -> None:
    kept = [suspended(run=lambda: parent().switch())]
    settrace(lambda *_: kept.clear())
    kept[0].switch()
    settrace(None)
    assert kept == []


# ---- Looking up `run` ----------------------------------------------------------------------------


@isolated
def test_run_lookup_that_starts_the_greenlet() -> None:
    log: list[object] = []

    def inside(*args: object) -> object:
        log.append(args)
        return parent().switch("inside")

    class Eager(greenlet):
        started = False

        def __getattribute__(self, name: str) -> Any:
            if name == "run" and not Eager.started:
                Eager.started = True
                self.run = inside
                log.append(self.switch("first"))
                return None
            return greenlet.__getattribute__(self, name)

    child = Eager()
    child.switch("second")
    assert log == [("first",), "inside"]
    assert child.dead


@isolated
def test_run_lookup_that_switches_away() -> None:
    other = greenlet(lambda: [parent().switch("other") for _ in range(2)])

    class Lazy(greenlet):
        def __getattribute__(self, name: str) -> Any:
            if name == "run":
                assert other.switch() == "other"
                return lambda word: word
            return greenlet.__getattribute__(self, name)

    assert Lazy().switch("word") == "word"
    assert other


@isolated
def test_run_lookup_that_fails_kills_or_reparents() -> None:
    class Failing(greenlet):
        def __getattribute__(self, name: str) -> Any:
            if name == "run":
                raise ZeroDivisionError
            return greenlet.__getattribute__(self, name)

    class Reparenting(greenlet):
        def __getattribute__(self, name: str) -> Any:
            if name == "run":
                self.parent = adopter
                return lambda: "result"
            return greenlet.__getattribute__(self, name)

    failing = Failing()
    attempts: list[Callable[[], Any]] = [failing.switch, lambda: failing.throw(KeyError)]
    for attempt in attempts:
        try:
            attempt()
        except ZeroDivisionError:
            assert not failing.dead
        else:
            raise AssertionError("nothing was raised")
    adopter = greenlet(lambda value: ("adopted", value))
    assert Reparenting().switch() == ("adopted", "result")


@isolated
def test_run_lookup_that_throws_into_the_greenlet() -> None:
    class Suicidal(greenlet):
        entered = False

        def __getattribute__(self, name: str) -> Any:
            if name == "run":
                if not Suicidal.entered:
                    Suicidal.entered = True
                    self.throw()
                return lambda: "never"
            return greenlet.__getattribute__(self, name)

    child = Suicidal()
    assert child.switch("value") == "value"
    assert child.dead


class Heir(greenlet):
    """Its `run` is looked up by the greenlet that ends, which calls ``looking`` there."""

    looking: Callable[[], object]

    @property
    def run(self) -> Callable[..., object]:  # type: ignore[override]
        self.looking()
        return lambda value: ("heir", value)


LIMITS = pytest.mark.parametrize("limit", [0, 1, 64])


@LIMITS
@isolated
def test_ended_greenlet_that_waits_in_a_lookup(limit: int) -> None:
    """It is dead, nobody gets back to it, and its stack is unwound once it is garbage."""
    lanes.set_limit(limit)
    log: list[object] = []
    main = getcurrent()

    def look() -> None:
        if getcurrent() is not main:
            try:
                log.append(greenlet(lambda: main.switch("looked"), main).switch())
            finally:
                log.append("unwound")

    heir = Heir(parent=main)
    heir.looking = look
    ended = greenlet(lambda: "lost", heir)
    others = [suspended() for _ in range(20)]
    assert ended.switch() == "looked"
    assert all(other.switch() == () for other in others)
    assert (ended.dead, bool(ended)) == (True, False)
    assert ended.gr_frame is not None
    assert ended.gr_frame.f_code.co_name == "look"
    assert repr(ended).endswith("dead>")
    assert ended.switch("sent") == ("heir", "sent")
    assert heir.dead
    assert isinstance(ended.throw(), GreenletExit)
    assert log == []
    del ended
    gc.collect()
    assert log == ["unwound"]


@LIMITS
@isolated
def test_kill_in_a_lookup_at_death(limit: int) -> None:
    """The kill comes back to the greenlet that looks, dead as it is, and it goes on."""
    lanes.set_limit(limit)
    log: list[object] = []

    def wait() -> None:
        try:
            parent().switch()
        finally:
            log.append((ended.dead, ended.switch("past it") if ended is not getcurrent() else None))

    def look() -> None:
        if getcurrent() is ended:
            victims.clear()
            log.append("looked")

    main = getcurrent()
    victims = [suspended(run=wait)]
    heir = Heir(parent=main)
    heir.looking = look
    ended = greenlet(lambda: "sent", heir)
    assert ended.switch() == ("heir", "past it")
    assert (heir.dead, ended.dead) == (True, True)
    assert log == []

    victims = [suspended()]
    heir = Heir(parent=main)
    heir.looking = look
    ended = greenlet(lambda: "sent", heir)
    assert ended.switch() == ("heir", "sent")
    assert log == ["looked"]


@LIMITS
@pytest.mark.parametrize("how", ["passes", "goes on", "fails", "switches again"])
@isolated
def test_unwinding_an_ended_greenlet(limit: int, how: str) -> None:
    """Whatever the lookup does when it is unwound, the one who let go of the greenlet continues."""
    lanes.set_limit(limit)
    log: list[object] = []
    main = getcurrent()
    reported: list[object] = []
    sys.unraisablehook = lambda report: reported.append(report.exc_type)

    def start_and_drop() -> str:
        starter = getcurrent()

        def look() -> None:
            try:
                starter.switch("looked")
            except GreenletExit:
                log.append("exit")
                if how == "passes":
                    raise
                if how == "fails":
                    raise KeyError from None
                if how == "switches again":
                    starter.switch("refused")

        heir = Heir(parent=main)
        heir.looking = look
        ended = greenlet(lambda: "lost", heir)
        answer: str = ended.switch()
        assert answer == "looked"
        del ended
        gc.collect()
        return "dropped"

    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        assert start_and_drop() == "dropped"
        assert greenlet(start_and_drop, main).switch() == "dropped"
    finally:
        said, sys.stderr = sys.stderr.getvalue(), stderr
    assert log == ["exit"] * 2
    assert reported == ([KeyError] * 2 if how == "fails" else [])
    assert ("did not kill" in said) == (how == "switches again")
    assert all(suspended().switch() == () for _ in range(20))


@isolated
def test_exception_state_is_separate() -> None:
    def handle(number: int) -> None:
        try:
            raise KeyError(number)
        except KeyError:
            parent().switch()
            found = sys.exc_info()[1]
            assert isinstance(found, KeyError)
            assert found.args == (number,)
            try:
                raise
            except KeyError as again:
                assert again is found
        parent().switch(sys.exc_info())

    children = [greenlet(handle) for _ in range(10)]
    for number, child in enumerate(children):
        child.switch(number)
        assert sys.exc_info() == (None, None, None)
    try:
        raise ValueError("ours")
    except ValueError as ours:
        for child in reversed(children):
            assert child.switch() == (None, None, None)
            assert sys.exc_info()[1] is ours
        assert greenlet(sys.exc_info).switch() == (None, None, None)
    for child in children:
        child.switch()


@isolated
def test_context_of_exceptions() -> None:
    """An exception thrown in does not take the sender's as its context by mistake."""
    child = suspended()
    try:
        raise ValueError("ours")
    except ValueError:
        try:
            child.throw(KeyError("thrown"))
        except KeyError as found:
            assert isinstance(found.__context__, ValueError | None)


@isolated
def test_generators_and_coroutines() -> None:
    def generate(count: int) -> Any:
        for number in range(count):
            yield parent().switch(number)

    async def coroutine() -> int:
        await asyncio.sleep(0)
        total = 0
        for _ in range(3):
            total += parent().switch("coroutine")
            await asyncio.sleep(0)
        return total

    generator = generate(3)
    child = greenlet(lambda _: list(generator))
    assert [child.switch(word) for word in ("ignored", "a", "b")] == [0, 1, 2]
    assert child.switch("c") == ["a", "b", "c"]

    # A generator is moved on by two greenlets in turn, and by one while it is running in another.
    shared = generate(10)
    first = greenlet(lambda: next(shared))
    first.switch()
    try:
        next(shared)
    except ValueError as found:
        assert "already executing" in str(found)
    else:
        raise AssertionError("a running generator was run")
    assert first.switch("value") == "value"

    loop = greenlet(lambda: asyncio.run(coroutine()))
    assert loop.switch() == "coroutine"
    assert [loop.switch(1), loop.switch(2)] == ["coroutine"] * 2
    assert loop.switch(3) == 6


@isolated
def test_settrace_goes_along() -> None:
    for install in (sys.settrace, sys.setprofile):
        calls: list[str] = []

        def record(frame: Any, event: str, _argument: object, calls: list[str] = calls) -> None:
            if event == "call":
                calls.append(frame.f_code.co_name)

        def traced() -> None:
            parent().switch()
            after()

        def after() -> None:
            """Is called after a switch."""

        child = greenlet(traced)
        install(record)
        try:
            child.switch()
            after()
            child.switch()
            after()
        finally:
            install(None)
        names = [name for name in calls if name in {"traced", "after"}]
        assert names == ["traced", "after", "after", "after"], install
        assert sys.gettrace() is None
        untraced = len(calls)
        greenlet(after).switch()
        assert len(calls) == untraced


@isolated
def test_settrace_in_a_greenlet_reaches_others() -> None:
    calls: list[str] = []

    def work() -> None:
        """Is called in two greenlets."""

    def install() -> None:
        sys.settrace(lambda frame, *_: calls.append(frame.f_code.co_name))
        parent().switch()
        work()

    child = greenlet(install)
    child.switch()
    work()
    child.switch()
    sys.settrace(None)
    assert [name for name in calls if name == "work"] == ["work", "work"]


@isolated
def test_recursion_limit_changes_while_suspended() -> None:
    def depth(so_far: int = 1) -> int:
        try:
            return depth(so_far + 1)
        except RecursionError:
            return so_far

    def run() -> int:
        parent().switch()
        return depth()

    before = greenlet(depth).switch()
    child = suspended(run=run)
    sys.setrecursionlimit(3_000)
    raised = child.switch()
    assert 1_900 < raised - before < 2_100
    child = suspended(run=run)
    sys.setrecursionlimit(500)
    assert child.switch() < 500
    assert depth() < 500


@isolated
def test_context_variables_and_caches() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)

    def run(number: int) -> int:
        variable.set(number)
        for _ in range(20):
            parent().switch()
            assert variable.get() == number
        return variable.get()

    children = [greenlet(run) for _ in range(10)]
    for number, child in enumerate(children):
        child.switch(number)
    for _ in range(19):
        for child in children:
            assert variable.get() == -1
            child.switch()
    assert [child.switch() for child in children] == list(range(10))
    assert variable.get() == -1


# ---- Signals, processes, the end -----------------------------------------------------------------


@isolated
def test_signal_handler_that_raises_in_a_greenlet() -> None:
    class AlarmError(Exception):
        pass

    def handler(*_: object) -> None:
        raise AlarmError

    signal.signal(signal.SIGALRM, handler)
    where: list[greenlet] = []

    def spin() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        try:
            while True:
                greenlet(len).switch(())
        except AlarmError:
            where.append(getcurrent())
            raise

    child = greenlet(spin)
    try:
        child.switch()
    except AlarmError:
        pass
    else:
        raise AssertionError("no alarm")
    assert where == [child]


@isolated
def test_signals_while_switching() -> None:
    """Signals at any instruction of a switch: handlers run on whichever stack is current."""
    ticks: list[int] = []
    signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    child = greenlet(lambda: [parent().switch() for _ in range(1_000_000)])
    child.switch()
    for _ in range(200_000):
        child.switch()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(ticks) > 5
    assert child


@isolated
def test_fork_in_a_greenlet() -> None:
    sleeper = suspended(run=lambda: parent().switch() or "woken")

    def run() -> int:
        pid = os.fork()
        if pid == 0:
            ok = sleeper.switch() == "woken" and greenlet(lambda: 7).switch() == 7
            parent().switch(ok)
            os._exit(3)
        return pid

    child = greenlet(run)
    sleeper.parent = child
    result = child.switch()
    if result is True:
        os._exit(42 if not getcurrent().dead and child else 4)
    _, status = os.waitpid(result, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    assert sleeper
    sleeper.parent = getcurrent()
    assert sleeper.switch() == "woken"


@isolated
def test_fork_while_other_threads_have_greenlets() -> None:
    kept: list[greenlet] = []
    ready, leave = threading.Event(), threading.Event()

    def work() -> None:
        kept.append(suspended())
        local = suspended()
        ready.set()
        leave.wait()
        assert local

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    gc.collect()
    pid = fork_among_threads()
    if pid == 0:
        try:
            kept[0].switch()
        except error:
            kept.clear()
            gc.collect()
            os._exit(42 if greenlet(lambda: 7).switch() == 7 else 4)
        os._exit(5)
    _, status = os.waitpid(pid, 0)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 42


def test_exit_in_a_greenlet() -> None:
    done = run_script(
        """
        import sys
        from greenlane import greenlet
        from support import suspended
        keep = suspended()
        greenlet(lambda: greenlet(lambda: sys.exit(7)).switch()).switch()
        print("not reached")
        """,
        returncode=7,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_exit_with_suspended_greenlets() -> None:
    done = run_script(
        """
        import threading
        from greenlane import getcurrent, greenlet
        from support import parent, suspended

        def run():
            me = getcurrent()
            try:
                parent().switch()
            finally:
                print("never printed while finalizing", me)

        keep = [suspended(run=run) for _ in range(100)]
        keep.append(keep)
        started = threading.Event()

        def work():
            local = [suspended(run=run) for _ in range(100)]
            child = greenlet(lambda: (started.set(), threading.Event().wait()))
            child.switch()

        threading.Thread(target=work, daemon=True).start()
        started.wait()
        print("end of the program")
        """
    )
    assert done.stdout == "end of the program\n"
    assert done.stderr == ""


def test_exit_with_a_busy_daemon_thread_in_a_greenlet() -> None:
    """The interpreter ends that thread wherever it waits for the GIL: on a lane."""
    for _ in range(3):
        done = run_script(
            """
            import threading
            from greenlane import greenlet
            from support import parent
            started = threading.Event()

            def spin():
                started.set()
                child = greenlet(lambda: [parent().switch() for _ in iter(int, 1)])
                while True:
                    child.switch()

            threading.Thread(target=lambda: greenlet(spin).switch(), daemon=True).start()
            started.wait()
            print("end")
            """
        )
        assert (done.stdout, done.stderr) == ("end\n", "")


def test_atexit_callbacks_that_switch() -> None:
    done = run_script(
        """
        import atexit
        from greenlane import getcurrent, greenlet
        from support import parent, suspended
        sleeper = suspended(run=lambda: print("woken", parent().switch() or ""))
        atexit.register(lambda: print(greenlet(lambda: "started").switch()))
        atexit.register(lambda: sleeper.switch())
        atexit.register(lambda: print(getcurrent().parent))
        """
    )
    # Callbacks run last in, first out; the sleeper had another switch to wait for.
    assert done.stdout == "None\nwoken \nstarted\n"
    assert done.stderr == ""


def test_exit_from_another_greenlet_than_main() -> None:
    """An uncaught exception arrives in the main greenlet and is printed there."""
    done = run_script(
        """
        from greenlane import greenlet
        greenlet(lambda: greenlet(lambda: 1 / 0).switch()).switch()
        """,
        returncode=1,
    )
    assert "ZeroDivisionError" in done.stderr


@isolated
def test_thread_that_ends_in_an_exception_of_a_greenlet() -> None:
    caught: list[object] = []
    threading.excepthook = lambda args: caught.append(args.exc_type)
    thread = threading.Thread(target=lambda: greenlet(lambda: 1 // 0).switch())
    thread.start()
    thread.join()
    assert caught == [ZeroDivisionError]
