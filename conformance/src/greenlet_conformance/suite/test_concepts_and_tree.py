"""Chapter "Concepts and the tree"."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from greenlet_conformance.suite.support import Worker, clause, raised_by, states


@clause("tree.names")
def test_names(impl: Any) -> None:
    """The module has the names that programs import, also as attributes of the type."""
    kind: Any = impl.greenlet
    assert isinstance(kind, type)
    assert impl.greenlet.getcurrent is impl.getcurrent
    assert impl.greenlet.error is impl.error
    assert impl.greenlet.GreenletExit is impl.GreenletExit
    assert issubclass(impl.error, Exception)
    assert impl.error is not Exception
    assert not issubclass(impl.error, impl.GreenletExit)


@clause("tree.trace-names")
def test_trace_names(impl: Any) -> None:
    """The module can set and tell a trace function."""

    def first(event: str, args: Any) -> None: ...

    def second(event: str, args: Any) -> None: ...

    assert impl.gettrace() is None
    assert impl.settrace(first) is None
    assert impl.gettrace() is first
    assert impl.settrace(second) is first
    assert impl.settrace(second) is second
    assert impl.settrace(None) is second
    assert impl.gettrace() is None


@clause("tree.root")
def test_root(impl: Any) -> None:
    """Every thread has a root that nobody made."""
    root = impl.getcurrent()
    assert isinstance(root, impl.greenlet)
    assert impl.getcurrent() is root
    assert root.parent is None
    assert states(root) == ["active"]


@clause("tree.root")
def test_root_seen_from_a_greenlet(impl: Any) -> None:
    """The root is the same one, with the same state, seen from below."""
    root = impl.getcurrent()
    seen = impl.greenlet(lambda: (impl.getcurrent().parent, root.parent, states(root))).switch()
    assert seen == (root, None, ["active"])
    assert seen[0] is root
    assert impl.getcurrent() is root


@clause("tree.root-per-thread")
def test_root_per_thread(impl: Any, worker: Worker) -> None:
    """Each thread has its own root, the same as long as the thread lives."""
    here = impl.getcurrent()
    there = worker(impl.getcurrent)
    assert there is not here
    assert isinstance(there, impl.greenlet)
    assert there.parent is None
    assert states(there) == ["active"]
    assert worker(impl.getcurrent) is there
    assert impl.getcurrent() is here


@clause("tree.root-fixed")
def test_root_fixed(impl: Any) -> None:
    """The root takes no parent: AttributeError, and it has none still."""
    root = impl.getcurrent()
    for value in (impl.greenlet(), root, None, 42):
        with pytest.raises(AttributeError):
            root.parent = value
        assert root.parent is None
    with pytest.raises(AttributeError):
        del root.parent
    assert root.parent is None


@clause("tree.current")
def test_current(impl: Any) -> None:
    """getcurrent() answers the greenlet that runs, at every step of a walk down and up."""
    root = impl.getcurrent()
    log: list[Any] = []

    class Sub(impl.greenlet):  # type: ignore[misc]
        pass

    def inner() -> None:
        log.append(impl.getcurrent())
        outer_greenlet.switch()
        log.append(impl.getcurrent())

    def outer() -> None:
        log.append(impl.getcurrent())
        inner_greenlet.switch()
        log.append(impl.getcurrent())
        inner_greenlet.switch()

    inner_greenlet = Sub(inner)
    outer_greenlet = impl.greenlet(outer)
    outer_greenlet.switch()
    log.append(impl.getcurrent())
    expected = [outer_greenlet, inner_greenlet, outer_greenlet, inner_greenlet, root]
    assert len(log) == len(expected)
    assert all(seen is wanted for seen, wanted in zip(log, expected))
    assert type(log[1]) is Sub


@clause("tree.new-is-idle")
def test_new_is_idle(impl: Any) -> None:
    """Making a greenlet, and dropping an unstarted one, runs nothing."""
    log: list[str] = []
    greenlets = [impl.greenlet(lambda: log.append("ran")) for _ in range(3)]
    assert states(*greenlets) == ["unstarted"] * 3
    greenlets.pop()
    greenlets.append(impl.greenlet(lambda: log.append("ran"), greenlets[0]))
    del greenlets
    assert log == []


@clause("tree.default-parent")
def test_default_parent(impl: Any) -> None:
    """The parent is the greenlet that made it, whoever starts it."""
    root = impl.getcurrent()
    made: list[Any] = []

    def maker() -> None:
        made.append(impl.greenlet(lambda: impl.getcurrent().parent))
        root.switch()

    creator = impl.greenlet(maker)
    assert creator.parent is root
    creator.switch()
    assert made[0].parent is creator

    def starter() -> None:
        made[0].switch()

    impl.greenlet(starter).switch()
    assert made[0].parent is creator


@clause("tree.given-parent")
def test_given_parent(impl: Any) -> None:
    """The parent can be given, by position or keyword, in whatever state it is."""
    root = impl.getcurrent()

    def run() -> str:
        return "ran"

    unstarted = impl.greenlet(run)
    dead = impl.greenlet(run)
    dead.switch()
    active = impl.greenlet(lambda: root.switch())
    active.switch()
    for parent in (unstarted, active, dead):
        for g in (
            impl.greenlet(run, parent),
            impl.greenlet(run, parent=parent),
            impl.greenlet(run=run, parent=parent),
            impl.greenlet(parent=parent, run=run),
        ):
            assert g.parent is parent
            assert g.run is run
    assert states(unstarted, active, dead) == ["unstarted", "active", "dead"]


@clause("tree.none-parent")
def test_none_parent(impl: Any) -> None:
    """Parent None means the current greenlet, in the root and elsewhere."""

    def check() -> list[bool]:
        here = impl.getcurrent()
        return [
            impl.greenlet(check, None).parent is here,
            impl.greenlet(check, parent=None).parent is here,
            impl.greenlet(parent=None).parent is here,
        ]

    assert check() == [True] * 3
    assert impl.greenlet(check).switch() == [True] * 3


@clause("tree.subclass")
def test_subclass(impl: Any) -> None:
    """A subclass brings its own run, called with self; it hides a given callable."""

    class Sub(impl.greenlet):  # type: ignore[misc]
        def run(self, *args: Any, **kwargs: Any) -> Any:
            return self, args, kwargs

    g = Sub()
    result = g.switch(1, two=2)
    assert result[0] is g
    assert result[1:] == ((1,), {"two": 2})
    hiding = Sub(lambda *args: "given")
    assert hiding.switch(3) == (hiding, (3,), {})
    assert hiding.run() == (hiding, (), {})


@clause("tree.run")
def test_run_false_callable(impl: Any) -> None:
    """A callable that counts as false is called all the same."""

    class Run:
        def __bool__(self) -> bool:
            return False

        def __call__(self, *args: Any) -> Any:
            return args

    run = Run()
    g = impl.greenlet(run)
    assert g.run is run
    assert g.switch(1) == (1,)
    g = impl.greenlet()
    g.run = run
    assert g.switch(2) == (2,)


@clause("tree.run")
def test_run(impl: Any) -> None:
    """run is there until the start; from then on reading it raises AttributeError."""
    root = impl.getcurrent()
    assert isinstance(raised_by(lambda: root.run), AttributeError)
    seen: list[Any] = []

    def run() -> None:
        seen.append(hasattr(impl.getcurrent(), "run"))
        root.switch()

    g = impl.greenlet(run)
    assert g.run is run
    g.switch()
    assert seen == [False]
    assert isinstance(raised_by(lambda: g.run), AttributeError)
    g.switch()
    assert g.dead
    assert isinstance(raised_by(lambda: g.run), AttributeError)


@clause("tree.run-replaced")
def test_run_replaced_before(impl: Any) -> None:
    """Before the start, assigning run replaces what will be called."""
    g = impl.greenlet(lambda: "old")

    def new(value: str) -> tuple[str, str]:
        return "new", value

    g.run = new
    assert g.run is new
    assert g.switch("x") == ("new", "x")


@clause("tree.run-replaced")
def test_run_deleted_before(impl: Any) -> None:
    """Before the start, deleting run leaves none: it cannot be read, and there is no start."""
    g = impl.greenlet(lambda: "old")
    del g.run
    assert type(raised_by(lambda: g.run)) is AttributeError
    assert type(raised_by(g.switch)) is AttributeError
    assert states(g) == ["unstarted"]
    g.run = lambda: "new"
    assert g.switch() == "new"


@clause("tree.run-replaced")
def test_run_not_replaced_after(impl: Any) -> None:
    """After the start, running, suspended or dead, run can be neither set nor deleted."""
    root = impl.getcurrent()
    errors: list[Any] = []

    def try_it() -> None:
        errors.append(type(raised_by(setattr, g, "run", print)))
        errors.append(type(raised_by(delattr, g, "run")))

    def run() -> str:
        try_it()
        root.switch()
        return "old"

    g = impl.greenlet(run)
    g.switch()
    try_it()
    assert g.switch() == "old"
    try_it()
    assert errors == [AttributeError] * 6


@clause("tree.run-missing")
def test_run_missing(impl: Any) -> None:
    """Without run, a switch raises AttributeError in the caller; the target stays unstarted."""
    g = impl.greenlet()

    def caller() -> str:
        assert isinstance(raised_by(g.switch, 1), AttributeError)
        return "went on"

    assert impl.greenlet(caller).switch() == "went on"
    with pytest.raises(AttributeError):
        g.switch()
    assert states(g) == ["unstarted"]
    g.run = lambda *args: ("started", args)
    assert g.switch("x") == ("started", ("x",))


@clause("tree.run-lookup")
def test_run_lookup_switches_elsewhere(impl: Any) -> None:
    """The lookup of run happens in the caller, and may switch elsewhere and back."""
    log: list[Any] = []
    other = impl.greenlet(lambda value: log.append(("other", value)))

    class Sub(impl.greenlet):  # type: ignore[misc]
        @property
        def run(self) -> Any:
            log.append(("looked up in", impl.getcurrent() is root))
            other.switch("aside")
            return lambda *args: log.append(("ran", args)) or "result"

    root = impl.getcurrent()
    assert Sub().switch(1, 2) == "result"
    assert log == [("looked up in", True), ("other", "aside"), ("ran", (1, 2))]


@clause("tree.run-lookup")
def test_run_lookup_starts_the_greenlet(impl: Any) -> None:
    """If the lookup starts the greenlet itself, the first switch becomes an ordinary one."""
    root = impl.getcurrent()
    log: list[Any] = []

    def body(*args: Any) -> str:
        log.append(("started with", args))
        log.append(("received", root.switch("suspended")))
        return "result"

    class Sub(impl.greenlet):  # type: ignore[misc]
        looking = False

        def __getattribute__(self, name: str) -> Any:
            if name != "run":
                return impl.greenlet.__getattribute__(self, name)
            if not self.looking:
                self.looking = True
                log.append(("inner switch returned", self.switch("inner")))
            return body

    assert Sub().switch("outer") == "result"
    assert log == [
        ("started with", ("inner",)),
        ("inner switch returned", "suspended"),
        ("received", "outer"),
    ]


@clause("tree.run-lookup")
@pytest.mark.parametrize("way", ["switch", "throw"])
def test_run_lookup_starts_the_heir_of_the_dead(way: str, impl: Any) -> None:
    """What was sent to a dead greenlet arrives, if the lookup starts its unstarted parent."""
    root = impl.getcurrent()
    log: list[Any] = []
    error = KeyError("thrown")

    def body(*args: Any) -> str:
        log.append(("started with", args))
        try:
            log.append(("received", root.switch("suspended")))
        except KeyError as raised:
            log.append(("raised", raised))
        return "result"

    class Heir(impl.greenlet):  # type: ignore[misc]
        looking = False

        @property
        def run(self) -> Any:
            if not self.looking:
                self.looking = True
                log.append(("inner switch returned", self.switch("inner")))
            return body

    dead = impl.greenlet(lambda: None)
    dead.switch()
    dead.parent = Heir()
    sent = {"switch": ("outer",), "throw": (error,)}[way]
    assert getattr(dead, way)(*sent) == "result"
    assert log == [
        ("started with", ("inner",)),
        ("inner switch returned", "suspended"),
        {"switch": ("received", "outer"), "throw": ("raised", error)}[way],
    ]


@clause("tree.run-lookup")
def test_run_lookup_kills_the_greenlet(impl: Any) -> None:
    """If the greenlet is dead after the lookup, the switch goes to its parent."""
    log: list[Any] = []

    def body(value: str) -> tuple[str, str]:
        return "ran with", value

    class Sub(impl.greenlet):  # type: ignore[misc]
        looking = False

        def __getattribute__(self, name: str) -> Any:
            if name != "run":
                return impl.greenlet.__getattribute__(self, name)
            if not self.looking:
                self.looking = True
                log.append(self.switch("inner"))
            return body

    g = Sub()
    assert g.switch("outer") == "outer"
    assert log == [("ran with", "inner")]
    assert states(g) == ["dead"]


@clause("tree.run-lookup")
def test_run_lookup_moves_the_greenlet(impl: Any, worker: Worker) -> None:
    """If the greenlet belongs to another thread after the lookup, nobody starts it here."""
    foreign_root = worker(impl.getcurrent)
    log: list[Any] = []

    class Sub(impl.greenlet):  # type: ignore[misc]
        @property
        def run(self) -> Any:
            self.parent = foreign_root
            return lambda *args: log.append(args) or "result"

    g = Sub()
    assert type(raised_by(g.switch, "here")) is impl.error
    assert (log, states(g)) == ([], ["unstarted"])
    assert worker(g.switch, "there") == "result"
    assert log == [("there",)]


@clause("tree.run-lookup")
def test_run_lookup_raises(impl: Any) -> None:
    """If the lookup raises, so does the switch, in the caller; the target stays unstarted."""
    error = ValueError("no run today")
    log: list[Any] = []

    class Sub(impl.greenlet):  # type: ignore[misc]
        ready = False

        @property
        def run(self) -> Any:
            if not self.ready:
                raise error
            return lambda *args: ("ran", args)

    g = Sub()
    log.append(impl.greenlet(lambda: [raised_by(g.switch, 1)]).switch())
    assert log == [[error]]
    assert log[0][0] is error
    assert states(g) == ["unstarted"]
    g.ready = True
    assert g.switch(2) == ("ran", (2,))


@clause("tree.states")
def test_states(impl: Any) -> None:
    """bool and dead tell the state: unstarted, running, suspended, dead; both are bools."""
    root = impl.getcurrent()
    seen: list[Any] = []

    def run() -> None:
        seen.append((bool(g), g.dead))
        root.switch()
        seen.append((bool(g), g.dead))

    g = impl.greenlet(run)
    seen.append((bool(g), g.dead))
    g.switch()
    seen.append((bool(g), g.dead))
    g.switch()
    seen.append((bool(g), g.dead))
    assert seen == [(False, False), (True, False), (True, False), (True, False), (False, True)]
    assert all(type(word) is bool for pair in seen for word in pair)


@clause("tree.states")
def test_state_of_a_suspended_parent(impl: Any) -> None:
    """A parent that waits for its running child is active."""
    outer: Any = None
    inner = impl.greenlet(lambda: states(outer, outer.parent))
    outer = impl.greenlet(lambda: inner.switch())
    inner.parent = outer
    assert outer.switch() == ["active", "active"]
    assert states(outer) == ["dead"]


@clause("tree.reparent")
def test_reparent(impl: Any) -> None:
    """The parent can be changed at any time; it takes effect at once and runs nothing."""
    root = impl.getcurrent()
    log: list[Any] = []
    first = impl.greenlet(lambda *a: log.append("first"))
    second = impl.greenlet(lambda *a: log.append("second"))

    def run() -> None:
        g.parent = first
        log.append(g.parent is first)
        g.parent = root
        root.switch()

    g = impl.greenlet(run)
    for state in ("unstarted", "active", "dead"):
        assert states(g) == [state]
        for parent in (first, second, root):
            g.parent = parent
            assert g.parent is parent
        g.switch()
    assert log == [True]
    assert states(first, second) == ["unstarted", "unstarted"]


@clause("tree.parent-type")
def test_parent_type(impl: Any) -> None:
    """A parent is a greenlet: TypeError otherwise, and the parent is unchanged."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda: "ran")
    for value in (None, 42, "root", object(), impl.greenlet, threading.current_thread()):
        with pytest.raises(TypeError):
            g.parent = value
        assert g.parent is root
        if value is not None:
            with pytest.raises(TypeError):
                impl.greenlet(lambda: None, value)
            with pytest.raises(TypeError):
                impl.greenlet(parent=value)
    assert g.switch() == "ran"


@clause("tree.parent-cycle")
def test_parent_cycle(impl: Any) -> None:
    """The tree has no cycles: ValueError, and the parents are unchanged."""
    root = impl.getcurrent()
    a = impl.greenlet(lambda value: ("a", value))
    b = impl.greenlet(lambda value: ("b", value), a)
    c = impl.greenlet(lambda: "c", b)
    for child, parent in ((a, a), (a, b), (a, c), (b, c), (b, b), (c, c)):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are not specified
            child.parent = parent
        assert (a.parent, b.parent, c.parent) == (root, a, b)
    assert c.switch() == ("a", ("b", "c"))


@clause("tree.parent-cycle")
def test_parent_cycle_through_the_dead(impl: Any) -> None:
    """The dead are part of the tree: no cycle leads through them either."""
    root = impl.getcurrent()
    a, b = impl.greenlet(lambda: None), impl.greenlet(lambda: None)
    b.switch()
    b.parent = a
    for child, parent in ((a, b), (b, b)):
        assert type(raised_by(setattr, child, "parent", parent)) is ValueError
    assert (a.parent, b.parent) == (root, a)


@clause("tree.parent-cycle")
def test_parent_cycle_by_a_later_init(impl: Any) -> None:
    """Nor does a cycle come about by calling __init__ again."""
    root = impl.getcurrent()
    a = impl.greenlet(lambda: None)
    b = impl.greenlet(lambda: None, a)
    for parent in (a, b):
        assert type(raised_by(a.__init__, None, parent)) is ValueError
    assert (a.parent, b.parent) == (root, a)


@clause("tree.parent-cycle")
def test_parent_cycle_of_the_running(impl: Any) -> None:
    """A running greenlet cannot be put under its own child, nor under itself."""
    root = impl.getcurrent()

    def run() -> list[Any]:
        child = impl.greenlet(lambda: None)
        tried = [type(raised_by(setattr, g, "parent", p)) for p in (child, g)]
        return [*tried, g.parent is root, child.parent is g]

    g = impl.greenlet(run)
    assert g.switch() == [ValueError, ValueError, True, True]


@clause("tree.parent-deleted")
def test_parent_deleted(impl: Any) -> None:
    """The parent cannot be deleted: AttributeError, and it is unchanged."""
    root = impl.getcurrent()
    suspended = impl.greenlet(lambda: root.switch("waits"))
    suspended.switch()
    for started in (suspended, root):
        parent = started.parent
        assert type(raised_by(delattr, started, "parent")) is AttributeError
        assert started.parent is parent
    g = impl.greenlet(lambda: "ran")
    for _ in range(2):
        with pytest.raises(AttributeError):
            del g.parent
        assert g.parent is root
        g.switch()
