"""Chapter "Cross-thread switch errors"."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import pytest

from greenlet_conformance.suite.support import (
    FORMS,
    STEP_SECONDS,
    Worker,
    clause,
    eventually,
    raised_by,
    root_of_current,
    states,
)


class Home:
    """The greenlets of another thread: one in each state, and a log of what they get."""

    def __init__(self, impl: Any, worker: Worker) -> None:
        self.impl = impl
        self.log: list[Any] = []
        worker(self._build)

    def _build(self) -> None:
        self.root = self.impl.getcurrent()
        self.suspended = self.impl.greenlet(self._run)
        assert self.suspended.switch("started") == "waits"
        self.unstarted = self.impl.greenlet(self._run)
        self.dead = self.impl.greenlet(lambda: None)
        self.dead.switch()
        self.dead_under_suspended = self.impl.greenlet(lambda: None)
        self.dead_under_suspended.switch()
        self.dead_under_suspended.parent = self.suspended
        self.dead_under_unstarted = self.impl.greenlet(lambda: None)
        self.dead_under_unstarted.switch()
        self.dead_under_unstarted.parent = self.unstarted
        del self.log[:]

    def _run(self, *args: Any, **kwargs: Any) -> str:
        self.log.append(("run", args, kwargs))
        try:
            self.log.append(("got", self.root.switch("waits")))
        except BaseException as error:
            self.log.append(("raised", error))
        return "ends"

    @property
    def all(self) -> list[Any]:
        return [
            self.root,
            self.suspended,
            self.unstarted,
            self.dead,
            self.dead_under_suspended,
            self.dead_under_unstarted,
        ]

    def is_untouched(self) -> None:
        """Fails if any of them is in another state, has other parents or got anything."""
        assert states(*self.all) == ["active", "active", "unstarted", "dead", "dead", "dead"]
        parents = [g.parent for g in self.all]
        expected = [None, self.root, self.root, self.root, self.suspended, self.unstarted]
        assert all(p is e for p, e in zip(parents, expected))
        assert self.log == []


def attempts(impl: Any, g: Any) -> list[Any]:
    """What each form of switch and throw raises; each must be the same error."""
    error = KeyError("thrown")
    calls = [(g.switch, args, kwargs) for args, kwargs, _ in FORMS]
    calls += [(g.throw, args, {}) for args in ((), (KeyError,), (error,), (KeyError, "x"))]
    calls += [(g.throw, (impl.GreenletExit,), {}), (g.throw, (impl.GreenletExit("x"),), {})]
    return [type(raised_by(call, *args, **kwargs)) for call, args, kwargs in calls]


def refuses(impl: Any, g: Any) -> None:
    """Fails unless every switch and throw raises greenlet.error."""
    found = attempts(impl, g)
    assert found == [impl.error] * len(found)


@clause("thread.error")
def test_error(impl: Any, worker: Worker) -> None:
    """A switch to another thread's suspended greenlet raises error, and runs nothing."""
    home = Home(impl, worker)
    with pytest.raises(impl.error) as caught:
        home.suspended.switch()
    assert type(caught.value) is impl.error
    assert str(caught.value)
    home.is_untouched()


@clause("thread.error")
def test_error_in_both_directions(impl: Any, worker: Worker) -> None:
    """Neither thread can switch to the other's greenlets."""
    home = Home(impl, worker)
    root = impl.getcurrent()
    log: list[Any] = []
    mine = impl.greenlet(lambda: log.append(root.switch("waits")))
    mine.switch()
    assert type(raised_by(worker, mine.switch, "foreign")) is impl.error
    assert type(raised_by(worker, root.switch, "foreign")) is impl.error
    assert type(raised_by(home.suspended.switch, "foreign")) is impl.error
    home.is_untouched()
    assert (log, states(mine)) == ([], ["active"])
    assert mine.switch("own") is None
    assert log == ["own"]


@clause("thread.error.arguments")
def test_error_arguments(impl: Any, worker: Worker) -> None:
    """The error is the same for each form of arguments."""
    home = Home(impl, worker)
    for g in home.all:
        found = [type(raised_by(g.switch, *args, **kwargs)) for args, kwargs, _ in FORMS]
        assert found == [impl.error] * len(FORMS)
    home.is_untouched()


@clause("thread.error.throw")
def test_error_throw(impl: Any, worker: Worker) -> None:
    """throw raises the same error, and not the exception that was to be thrown."""
    home = Home(impl, worker)
    error = KeyError("thrown")
    for g in home.all:
        for args in ((), (error,), (KeyError, "x"), (impl.GreenletExit,), (impl.error,)):
            found = raised_by(g.throw, *args)
            assert type(found) is impl.error
            assert found is not error
    home.is_untouched()


@clause("thread.error.root")
def test_error_root(impl: Any, worker: Worker) -> None:
    """Another thread's root cannot be entered, idle or suspended under a greenlet."""
    home = Home(impl, worker)
    refuses(impl, home.root)
    home.is_untouched()
    log: list[Any] = []
    inside, leave = threading.Event(), threading.Event()

    def under() -> str:
        inside.set()
        leave.wait(STEP_SECONDS)
        return "under ends"

    def in_thread() -> None:
        log.append(impl.greenlet(under).switch())

    thread = threading.Thread(target=lambda: worker(in_thread))
    thread.start()
    assert inside.wait(STEP_SECONDS)
    refuses(impl, home.root)
    leave.set()
    thread.join(STEP_SECONDS)
    assert log == ["under ends"]
    home.is_untouched()


@clause("thread.error.running")
def test_error_running(impl: Any, worker: Worker) -> None:
    """A greenlet that runs in another thread at that time cannot be entered."""
    log: list[Any] = []
    inside, leave = threading.Event(), threading.Event()
    running: list[Any] = []

    def run() -> str:
        running.append(impl.getcurrent())
        inside.set()
        leave.wait(STEP_SECONDS)
        log.append("went on")
        return "ends"

    thread = threading.Thread(
        target=lambda: log.append(worker(lambda: impl.greenlet(run).switch()))
    )
    thread.start()
    assert inside.wait(STEP_SECONDS)
    refuses(impl, running[0])
    assert log == []
    leave.set()
    thread.join(STEP_SECONDS)
    assert log == ["went on", "ends"]
    assert states(running[0]) == ["dead"]


@clause("thread.error.unstarted")
def test_error_unstarted(impl: Any, worker: Worker) -> None:
    """An unstarted greenlet of another thread is not started here; its own thread can."""
    home = Home(impl, worker)
    refuses(impl, home.unstarted)
    home.is_untouched()
    assert worker(home.unstarted.switch, "own") == "waits"
    assert home.log == [("run", ("own",), {})]


@clause("thread.error.dead")
def test_error_dead(impl: Any, worker: Worker) -> None:
    """A dead greenlet of another thread leads nowhere: neither there nor here."""
    home = Home(impl, worker)
    for g in (home.dead, home.dead_under_suspended, home.dead_under_unstarted):
        refuses(impl, g)
        home.is_untouched()
    assert worker(home.dead_under_suspended.switch, "own") == "ends"
    assert home.log == [("got", "own")]


@clause("thread.error.in-greenlet")
def test_error_in_greenlet(impl: Any, worker: Worker) -> None:
    """The error is raised in the greenlet that tried, which can catch it and go on."""
    home = Home(impl, worker)
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> str:
        me = impl.getcurrent()
        for g in home.all:
            for call in (g.switch, g.throw):
                found = raised_by(call)
                log.append((type(found) is impl.error, impl.getcurrent() is me))
        root.switch("still mine")
        home.suspended.switch()
        return "not reached"

    g = impl.greenlet(run)
    assert g.switch() == "still mine"
    assert log == [(True, True)] * 2 * len(home.all)
    assert type(raised_by(g.switch)) is impl.error
    assert states(g) == ["dead"]
    home.is_untouched()


#: One refused call each: a switch in each form, and throws.
REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(("switch", args, kwargs) for args, kwargs, _ in FORMS),
    ("throw", (), {}),
    ("throw", (KeyError("foreign"),), {}),
    ("throw", (KeyError, "foreign"), {}),
]


@clause("thread.untouched.suspended")
@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_untouched_suspended(
    impl: Any, worker: Worker, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """A suspended target gets, when resumed in its own thread, only what that switch sent."""
    own = [((), {}, ()), (("own",), {}, "own"), ((), {"own": 1}, {"own": 1})]
    for own_args, own_kwargs, expected in own:
        home = Home(impl, worker)
        for g in (home.suspended, home.dead_under_suspended):
            assert type(raised_by(getattr(g, name), *args, **kwargs)) is impl.error
        home.is_untouched()
        assert worker(home.suspended.switch, *own_args, **own_kwargs) == "ends"
        assert home.log == [("got", expected)]


@clause("thread.untouched.suspended")
@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_untouched_suspended_then_thrown_at(
    impl: Any, worker: Worker, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """A suspended target that is thrown at in its own thread gets that exception."""
    home = Home(impl, worker)
    own = KeyError("own")
    assert type(raised_by(getattr(home.suspended, name), *args, **kwargs)) is impl.error
    assert worker(home.suspended.throw, own) == "ends"
    assert home.log == [("raised", own)]
    assert home.log[0][1] is own


@clause("thread.untouched.unstarted")
@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_untouched_unstarted(
    impl: Any, worker: Worker, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """An unstarted target is started in its own thread with the arguments of that switch only."""
    for own_args, own_kwargs in ((), {}), (("own",), {}), ((1, 2), {"own": 3}):
        home = Home(impl, worker)
        for g in (home.unstarted, home.dead_under_unstarted):
            assert type(raised_by(getattr(g, name), *args, **kwargs)) is impl.error
        home.is_untouched()
        assert worker(home.unstarted.switch, *own_args, **own_kwargs) == "waits"
        assert worker(home.unstarted.switch, "more") == "ends"
        assert home.log == [("run", own_args, own_kwargs), ("got", "more")]


@clause("thread.untouched.caller")
def test_untouched_caller(impl: Any, worker: Worker) -> None:
    """The caller's side is untouched: same current greenlet, and its children go on."""
    home = Home(impl, worker)
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> str:
        while True:
            message = root.switch([raised_by(home.suspended.switch, "foreign").__class__])
            log.append(message)
            if message == "stop":
                return "ends"

    g = impl.greenlet(run)
    for message in (None, "a", "b"):
        assert g.switch(*([message] if message else [])) == [impl.error]
        found = attempts(impl, home.suspended)
        assert found == [impl.error] * len(found)
        assert impl.getcurrent() is root
        assert states(root, g) == ["active", "active"]
    assert g.switch("stop") == "ends"
    assert log == ["a", "b", "stop"]


@clause("thread.untouched.parents")
def test_untouched_parents(impl: Any, worker: Worker) -> None:
    """When the target later ends, its end leads to its parent in its own thread."""
    home = Home(impl, worker)
    log: list[Any] = []

    def child_run() -> str:
        home.root.switch("child waits")
        return "child ends"

    def build() -> Any:
        child = impl.greenlet(child_run, home.suspended)
        assert child.switch() == "child waits"
        return child

    child = worker(build)
    refuses(impl, child)
    assert child.parent is home.suspended
    log.append(worker(child.switch))
    assert log == ["ends"]
    assert home.log == [("got", "child ends")]


@clause("thread.untouched.many")
def test_untouched_many(impl: Any, worker: Worker) -> None:
    """Any number of refused switches, from several threads, leaves everything as it was."""
    home = Home(impl, worker)
    found: list[Any] = []

    def attack() -> None:
        mine = impl.greenlet(lambda: None)
        for _ in range(100):
            for g in (home.suspended, home.unstarted, home.dead, home.root):
                found.append(type(raised_by(g.switch, "foreign")))
                found.append(type(raised_by(g.throw, KeyError)))
        mine.switch()

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STEP_SECONDS)
    assert found == [impl.error] * (4 * 100 * 4 * 2)
    home.is_untouched()
    assert worker(home.suspended.switch, "own") == "ends"
    assert worker(home.unstarted.switch, "own") == "waits"
    assert home.log == [("got", "own"), ("run", ("own",), {})]


class Thing(Exception):
    """Something that can be sent, thrown and weakly referenced."""


@clause("thread.values-not-kept")
def test_values_not_kept(impl: Any, worker: Worker) -> None:
    """After the error nothing refers to what was to be sent or thrown."""
    home = Home(impl, worker)
    alive = []
    for g in home.all:
        things = [Thing(), Thing(), Thing(), Thing()]
        alive += [weakref.ref(thing) for thing in things]
        raised_by(g.switch, things[0])
        raised_by(g.switch, things[1], k=things[2])
        raised_by(g.throw, things[3])
        del things
    gc.collect()
    assert [ref() for ref in alive] == [None] * len(alive)


@clause("thread.independent")
def test_independent(impl: Any) -> None:
    """Trees of different threads do not mix: each one's order and ends are its own."""
    rounds, count = 200, 4
    logs: list[list[Any]] = [[] for _ in range(count)]
    barrier = threading.Barrier(count)

    def work(log: list[Any]) -> None:
        root = impl.getcurrent()

        def ping(me: int) -> str:
            for i in range(rounds):
                log.append((me, i))
                time.sleep(0) if i % 10 == 0 else None
                root.switch()
            return f"end {me}"

        barrier.wait(STEP_SECONDS)
        pair = [impl.greenlet(ping), impl.greenlet(ping)]
        for me, g in enumerate(pair):
            g.switch(me)
        for _ in range(rounds - 1):
            for g in pair:
                g.switch()
        log.append([g.switch() for g in pair])
        log.append(impl.getcurrent() is root)

    threads = [threading.Thread(target=work, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STEP_SECONDS)
    expected: list[Any] = [(me, i) for i in range(rounds) for me in (0, 1)]
    assert logs == [[*expected, ["end 0", "end 1"], True]] * count


@clause("thread.trace-own")
def test_trace_own(impl: Any, worker: Worker) -> None:
    """The trace function belongs to the thread that set it."""
    log: list[Any] = []

    def tracer(event: str, args: Any) -> None:
        log.append((event, root_of_current(impl)))

    def transfers() -> Any:
        impl.greenlet(lambda: None).switch()
        return impl.gettrace()

    impl.settrace(tracer)
    assert worker(transfers) is None
    assert log == []
    assert transfers() is tracer
    assert log == [("switch", impl.getcurrent())] * 2
    assert worker(impl.settrace, None) is None
    assert impl.settrace(None) is tracer


@clause("thread.foreign-parent")
def test_foreign_parent(impl: Any, worker: Worker) -> None:
    """An unstarted greenlet with a parent in another thread belongs there."""
    home = Home(impl, worker)
    log: list[Any] = []

    def run(*args: Any) -> str:
        log.append((args, root_of_current(impl)))
        return "result"

    under_root = impl.greenlet(run, home.root)
    under_suspended = impl.greenlet(run)
    under_suspended.parent = home.suspended
    for g in (under_root, under_suspended):
        refuses(impl, g)
        assert states(g) == ["unstarted"]
    assert worker(under_root.switch, 1) == "result"
    assert worker(under_suspended.switch, 2) == "ends"
    assert log == [((1,), home.root), ((2,), home.root)]
    assert home.log == [("got", "result")]


@clause("thread.adopt-unstarted")
def test_adopt_unstarted(impl: Any, worker: Worker) -> None:
    """An unstarted greenlet can be moved to another thread by its parent."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run(*args: Any) -> str:
        log.append((args, root_of_current(impl), impl.getcurrent() is g))
        return "result"

    g = worker(impl.greenlet, run)
    assert type(raised_by(g.switch, "too early")) is impl.error
    g.parent = root
    assert type(raised_by(worker, g.switch, "too late")) is impl.error
    assert (log, states(g)) == ([], ["unstarted"])
    assert g.switch("here") == "result"
    assert log == [(("here",), root, True)]
    assert g.parent is root
    assert type(raised_by(worker, g.switch)) is impl.error


@clause("thread.unstarted-chain")
def test_unstarted_chain(impl: Any, worker: Worker) -> None:
    """A chain of unstarted greenlets belongs where it is rooted, and moves as a whole."""
    root = impl.getcurrent()
    log: list[Any] = []

    def body(name: str) -> Any:
        return lambda value: log.append((name, value)) or name

    top = worker(impl.greenlet, body("top"))
    middle = impl.greenlet(body("middle"), top)
    low = impl.greenlet(body("low"), middle)
    for g in (top, middle, low):
        refuses(impl, g)
    top.parent = root
    for g in (top, middle, low):
        assert type(raised_by(worker, g.switch, "foreign")) is impl.error
    assert (log, states(top, middle, low)) == ([], ["unstarted"] * 3)
    assert low.switch("start") == "top"
    assert log == [("low", "start"), ("middle", "low"), ("top", "middle")]


@clause("thread.reparent-started")
def test_reparent_started(impl: Any, worker: Worker) -> None:
    """A started greenlet keeps to its thread: ValueError, and the parent is unchanged."""
    home = Home(impl, worker)
    root = impl.getcurrent()
    log: list[Any] = []
    unstarted_here = impl.greenlet(lambda: None)
    for g in (home.suspended, home.dead, home.dead_under_suspended):
        for parent in (root, unstarted_here):
            assert type(raised_by(setattr, g, "parent", parent)) is ValueError
    home.is_untouched()

    def run() -> str:
        me = impl.getcurrent()
        for parent in (home.root, home.suspended, home.unstarted):
            log.append((type(raised_by(setattr, me, "parent", parent)), me.parent is root))
        root.switch("waits")
        return "ends"

    g = impl.greenlet(run)
    assert g.switch() == "waits"
    assert type(raised_by(setattr, g, "parent", home.root)) is ValueError
    assert g.switch() == "ends"
    assert log == [(ValueError, True)] * 3
    assert worker(home.suspended.switch, "own") == "ends"
    assert home.log == [("got", "own")]


@clause("thread.reparent-started")
def test_reparent_started_to_the_exited(impl: Any, worker: Worker) -> None:
    """A thread that has exited is another thread still."""
    root = impl.getcurrent()
    home = Home(impl, worker)
    g = impl.greenlet(lambda: root.switch("waits"))
    assert g.switch() == "waits"
    worker.exit()
    for parent in (home.root, home.suspended, home.unstarted):
        assert type(raised_by(setattr, g, "parent", parent)) is ValueError
    assert g.parent is root


def died_there(impl: Any, worker: Worker, g: Any, home: Home) -> None:
    """Moves an unstarted greenlet to another thread, where it starts and ends."""
    g.parent = home.root
    worker(g.switch)
    assert states(g) == ["dead"]


@clause("thread.error.dead-ancestors")
@pytest.mark.parametrize("living", ["root", "suspended", "unstarted"])
def test_error_dead_ancestors(impl: Any, worker: Worker, living: str) -> None:
    """A dead one whose ancestors are dead up to those of another thread leads nowhere."""
    home = Home(impl, worker)
    moved = impl.greenlet(lambda: None)
    child, lower = impl.greenlet(lambda: None), impl.greenlet(lambda: None)
    for g in (child, lower):
        g.switch()
    child.parent, lower.parent = moved, child
    died_there(impl, worker, moved, home)
    moved.parent = getattr(home, living)
    for g in (child, lower):
        refuses(impl, g)
    home.is_untouched()
    assert (child.parent, lower.parent) == (moved, child)
    child.parent = impl.getcurrent()
    assert lower.switch("here") == "here"


@clause("thread.error.dead-ancestors")
def test_error_dead_ancestors_suspended_root(impl: Any, worker: Worker) -> None:
    """A root that is suspended, and might be entered, is not."""
    home = Home(impl, worker)
    moved, child = impl.greenlet(lambda: None), impl.greenlet(lambda: None)
    child.switch()
    child.parent = moved
    died_there(impl, worker, moved, home)
    inside, leave = threading.Event(), threading.Event()
    log: list[Any] = []

    def under() -> str:
        inside.set()
        leave.wait(STEP_SECONDS)
        return "under ends"

    thread = threading.Thread(
        target=lambda: log.append(worker(lambda: impl.greenlet(under).switch()))
    )
    thread.start()
    assert inside.wait(STEP_SECONDS)
    refuses(impl, child)
    leave.set()
    thread.join(STEP_SECONDS)
    assert log == ["under ends"]
    home.is_untouched()


@clause("thread.error.end")
@pytest.mark.parametrize("parent", ["unstarted", "dead"])
@pytest.mark.parametrize("ends_by", ["a result", "KeyError", "GreenletExit"])
def test_error_end(impl: Any, worker: Worker, parent: str, ends_by: str) -> None:
    """The end of a greenlet whose parent was moved away is an error in its own root."""
    home = Home(impl, worker)
    root = impl.getcurrent()
    ran: list[Any] = []

    def run() -> str:
        root.switch("waits")
        if ends_by == "KeyError":
            raise KeyError
        if ends_by == "GreenletExit":
            raise impl.GreenletExit
        return "a result"

    moved = impl.greenlet(lambda: ran.append("moved"))
    child = impl.greenlet(run, moved)
    assert child.switch() == "waits"
    if parent == "dead":
        died_there(impl, worker, moved, home)
        ran.clear()
    else:
        moved.parent = home.suspended
    other = impl.greenlet(child.switch)
    assert type(raised_by(other.switch)) is impl.error
    assert impl.getcurrent() is root
    assert states(child, other, moved) == ["dead", "active", parent]
    assert ran == []
    home.is_untouched()
    assert other.switch("later") == "later"


@clause("thread.exited.suspended")
def test_exited_suspended(impl: Any, worker: Worker) -> None:
    """Nobody resumes a greenlet that was suspended in an exited thread."""
    home = Home(impl, worker)
    worker.exit()
    refuses(impl, home.suspended)
    assert not any(word == "got" for word, *_ in home.log)
    assert impl.greenlet(lambda: "still works").switch() == "still works"


@clause("thread.exited.root")
def test_exited_root(impl: Any, worker: Worker) -> None:
    """The root of an exited thread cannot be entered."""
    roots = [worker(impl.getcurrent)]
    worker.exit()
    refuses(impl, roots[0])
    assert roots[0].parent is None
    assert impl.getcurrent() is not roots[0]


@clause("thread.exited.unstarted")
def test_exited_unstarted(impl: Any, worker: Worker) -> None:
    """An unstarted greenlet of an exited thread starts only under a parent that lives."""
    log: list[Any] = []
    g = worker(impl.greenlet, lambda *args: log.append(args) or "ends")
    under = impl.greenlet(lambda value: ("under", value), g)
    worker.exit()
    for target in (g, under):
        refuses(impl, target)
    assert (log, states(g, under)) == ([], ["unstarted", "unstarted"])
    g.parent = impl.getcurrent()
    assert g.switch("here") == "ends"
    assert log == [("here",)]


@clause("thread.exited.dead")
def test_exited_dead(impl: Any, worker: Worker) -> None:
    """A greenlet that had ended in an exited thread leads nowhere."""
    home = Home(impl, worker)
    worker.exit()
    refuses(impl, home.dead)
    assert states(home.dead) == ["dead"]
    assert impl.greenlet(lambda: "still works").switch() == "still works"


@clause("thread.exited.root-dead")
def test_exited_root_dead(impl: Any, worker: Worker) -> None:
    """Some time after its thread has exited, a root is dead."""
    roots = [worker(impl.getcurrent)]
    assert states(*roots) == ["active"]
    worker.exit()
    eventually(lambda: roots[0].dead)
    assert states(*roots) == ["dead"]


@clause("thread.exited.root-dead")
def test_exited_root_false(impl: Any, worker: Worker) -> None:
    """A root that nobody has asked whether it is dead becomes false all the same."""
    root = worker(impl.getcurrent)
    assert root
    worker.exit()
    assert eventually(lambda: not root, seconds=1)
    assert states(root) == ["dead"]


@clause("thread.exited.root-held")
def test_exited_root_held(impl: Any, worker: Worker) -> None:
    """The root of an exited thread lives as long as somebody, here a local variable, holds it."""
    root = worker(impl.getcurrent)
    alive = weakref.ref(root)
    worker.exit()
    # Not in a lambda: it is to be a local variable that nobody else sees.
    deadline = time.monotonic() + 1.0
    while alive() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive() is root
