"""Greenlets written down rule by rule in Python, so that each rule can be broken alone.

The raw material is upstream's greenlet, used for one thing: to keep a stack and to jump to it.
Everything that the specification speaks of is decided here: who is entered, what is received,
what is refused. Each decision is a small method of ``Model``; ``broken.rules`` overrides them.

A transfer of control carries a *packet*: ``("value", args, kwargs)`` or ``("error", exception)``.
A raw greenlet is entered with ``(origin, packet)``, where ``origin`` is the model greenlet that
was left. ``_enter`` is the only place that jumps, and ``_bootstrap`` the only one that ends.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import greenlet as upstream

Packet = tuple[Any, ...]

#: The clauses that the model keeps: it has no frames, no contexts and no C API, and kills nobody.
MODELLED = ("tree.*", "order.*", "args.*", "dead.*", "parent.*", "throw.*", "thread.*")


#: Those of them that upstream, which it stands on, does not keep.
BEYOND = ("throw.unstarted-long",)


class error(Exception):
    """A switch that cannot be made."""


class GreenletExit(BaseException):
    """Ends a greenlet without noise."""


class World(threading.local):
    """What each thread has of its own."""

    root: Model | None = None
    current: Model | None = None
    tracer: Any = None


class Model:
    """A greenlet."""

    world: World

    #: The clauses that a rule breaks, and the names that its module lacks.
    breaks: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    # --- making one ------------------------------------------------------------------

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        if parent is not None and hasattr(self, "_parent"):  # it is called again
            self._check_parent(parent)
        if parent is None:
            parent = self._current()
        elif not isinstance(parent, Model):
            raise TypeError(f"parent must be a greenlet, not {type(parent).__name__}")
        if run is not None:
            self._run = run
        self._parent: Model | None = parent
        self._state = "unstarted"
        self._root: Model | None = None
        self._raw: Any = None

    @classmethod
    def _make_root(cls) -> Model:
        root = cls.__new__(cls)
        root._parent = None
        root._state = "active"
        root._root = root
        root._raw = upstream.getcurrent()
        root._thread = threading.current_thread()  # type: ignore[attr-defined]
        return root

    @classmethod
    def _current(cls) -> Model:
        world = cls.world
        if world.current is None:
            world.root = world.current = cls._make_root()
        return world.current

    # --- what can be asked -----------------------------------------------------------

    gr_frame = None

    def __bool__(self) -> bool:
        return self._state == "active" and not self.dead

    @property
    def dead(self) -> bool:
        thread = getattr(self, "_thread", None)
        return self._state == "dead" or (thread is not None and not thread.is_alive())

    @property
    def run(self) -> Any:
        if self._state != "unstarted":
            raise AttributeError("run")
        try:
            return self._run
        except AttributeError:
            raise AttributeError("run") from None

    @run.setter
    def run(self, value: Any) -> None:
        self._check_run_settable()
        self._run = value

    @run.deleter
    def run(self) -> None:
        self._check_run_settable()
        del self._run

    def _check_run_settable(self) -> None:
        if self._state != "unstarted":
            raise AttributeError("run cannot be set after the start of the greenlet")

    @property
    def parent(self) -> Model | None:
        return self._parent

    @parent.setter
    def parent(self, value: Any) -> None:
        self._check_parent(value)
        self._parent = value

    @parent.deleter
    def parent(self) -> None:
        raise AttributeError("the parent cannot be deleted")

    def _check_parent(self, value: Any) -> None:
        if self._root is self:
            raise AttributeError("the root has no parent")
        if not isinstance(value, Model):
            raise TypeError("parent must be a greenlet")
        self._check_cycle(value)
        self._check_parent_thread(value)

    def _check_cycle(self, value: Model) -> None:
        ancestor: Model | None = value
        while ancestor is not None:
            if ancestor is self:
                raise ValueError("cyclic parent chain")
            ancestor = ancestor._parent

    def _check_parent_thread(self, value: Model) -> None:
        if self._state != "unstarted" and self._root is not value._root_of_lineage():
            raise ValueError("parent cannot be on a different thread")

    # --- switch and throw ------------------------------------------------------------

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        self._check_thread()
        return self._transfer(self._sent(args, kwargs))

    def throw(self, /, *args: Any) -> Any:
        if len(args) > 3:
            raise TypeError("throw() takes at most 3 arguments")
        exception = self._made_exception(*args)
        self._check_thread()
        return self._transfer(self._thrown(exception))

    def _sent(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Packet:
        return ("value", args, kwargs)

    def _thrown(self, exception: BaseException) -> Packet:
        if self._state == "dead" and isinstance(exception, GreenletExit):
            return ("value", (exception,), {})
        return ("error", exception)

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        self._check_thrown(kind, value, tb)
        exception = kind if isinstance(kind, BaseException) else self._instantiate(kind, value)
        return exception if tb is None else exception.with_traceback(tb)

    def _check_thrown(self, kind: Any, value: Any, tb: Any) -> None:
        is_class = isinstance(kind, type) and issubclass(kind, BaseException)
        if not is_class and not isinstance(kind, BaseException):
            raise TypeError("exceptions must be classes or instances of BaseException")
        if not is_class and value is not None:
            raise TypeError("instance exception may not have a separate value")
        if tb is not None and not isinstance(tb, TracebackType):
            raise TypeError("throw() third argument must be a traceback object")

    def _instantiate(self, kind: Any, value: Any) -> Any:
        try:
            if isinstance(value, kind):
                return value
            args = () if value is None else value if isinstance(value, tuple) else (value,)
            made = kind(*args)
            if not isinstance(made, BaseException):
                raise TypeError("no exception")
            return made
        except BaseException as failure:
            return failure

    # --- whose thread ----------------------------------------------------------------

    def _root_of_lineage(self) -> Model | None:
        g: Model | None = self
        while g is not None and g._root is None:
            g = g._parent
        return g._root if g is not None else None

    def _check_thread(self) -> None:
        self._current()
        if self._root_of_lineage() is not self.world.root:
            raise error("cannot switch to a different thread")

    # --- who is entered --------------------------------------------------------------

    def _transfer(self, packet: Packet) -> Any:
        target = self._living(self)
        target._check_thread()
        return target._enter(packet)

    def _living(self, g: Any) -> Any:
        """The first living one of ``g`` and its ancestors."""
        while g._state == "dead":
            g = g._parent
        return g

    def _enter(self, packet: Packet) -> Any:
        me = self._current()
        if self is me:
            return self._received(packet)
        if self._state == "unstarted":
            run = self.run
            if self._state != "unstarted":
                return self._transfer(packet)
            self._check_thread()
            self._begin(run)
        arrival = self._raw.switch((me, packet))
        del packet
        origin, packet = arrival
        del arrival
        self.world.current = me
        return me._arrived(origin, packet)

    def _arrived(self, origin: Model, packet: Packet) -> Any:
        self._trace(origin, packet)
        return self._received(packet)

    def _trace(self, origin: Model, packet: Packet) -> None:
        tracer = self.world.tracer
        if tracer is None:
            return
        event = "switch" if packet[0] == "value" else "throw"
        self.world.tracer = None
        tracer(event, (origin, self))
        self.world.tracer = tracer

    def _received(self, packet: Packet) -> Any:
        if packet[0] == "error":
            raise packet[1]
        return self._single(*packet[1:])

    def _single(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What ``switch()`` returns for what was sent."""
        if kwargs:
            return (args, kwargs) if args else kwargs
        return args[0] if len(args) == 1 else args

    # --- start and end ---------------------------------------------------------------

    def _begin(self, run: Any) -> None:
        self._state = "active"
        self._root = self.world.root
        self.__dict__.pop("_run", None)
        self._raw = upstream.greenlet(lambda arrival: self._bootstrap(run, *arrival))
        self._raw.parent = self._root._raw  # type: ignore[union-attr]

    def _bootstrap(self, run: Any, origin: Model, packet: Packet) -> Any:
        self.world.current = self
        packet = self._outcome(run, origin, packet)
        del run, origin
        self._state = "dead"
        heir = self._heir()
        while True:
            heir = self._living(heir)
            if heir._root_of_lineage() is not self._root:
                heir, packet = self._root, ("error", error("the parent has been moved away"))
            if heir._state != "unstarted":
                break
            try:
                heir._begin(heir.run)
                break
            except BaseException as failure:
                packet = ("error", failure)
                heir = heir._parent
        self._raw.parent = heir._raw
        return self, packet

    def _outcome(self, run: Any, origin: Model, packet: Packet) -> Packet:
        """Runs the greenlet; answers the packet for its parent."""
        try:
            self._trace(origin, packet)
            del origin
            if packet[0] == "error":
                return self._died(packet[1])
            args, kwargs = packet[1:]
            del packet
            return self._returned(run(*args, **kwargs))
        except BaseException as exception:
            return self._died(exception)

    def _returned(self, result: Any) -> Packet:
        return ("value", (result,), {})

    def _died(self, exception: BaseException) -> Packet:
        if isinstance(exception, GreenletExit):
            return ("value", (exception,), {})
        return ("error", exception)

    def _heir(self) -> Any:
        """Who goes on when this one has ended (the first living one from there up)."""
        return self._parent


def build(rule: type[Model]) -> dict[str, Any]:
    """The names of a greenlet module in which ``rule`` overrides the model."""
    world = World()
    cls: Any = type("greenlet", (rule,), {"world": world})

    def settrace(function: Any) -> Any:
        old, world.tracer = world.tracer, function
        return old

    def gettrace() -> Any:
        return world.tracer

    def getcurrent() -> Any:
        return cls._current()

    names: dict[str, Any] = {
        "getcurrent": getcurrent,
        "error": error,
        "GreenletExit": GreenletExit,
        "settrace": settrace,
        "gettrace": gettrace,
    }
    for name, value in names.items():
        setattr(cls, name, value if isinstance(value, type) else staticmethod(value))
    return {k: v for k, v in {"greenlet": cls, **names}.items() if k not in rule.lacks}
