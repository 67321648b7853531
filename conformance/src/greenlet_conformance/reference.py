"""Greenlets in pure Python: the specification in executable form.

Each greenlet is an OS thread, and all but one of them sleep. What they pass on is a *baton*:
the permission to run, together with what is sent. Whoever has it is the current greenlet. A
switch hands the baton over and sleeps until it comes back; a death hands it over and ends. So
the OS threads take turns like the greenlets that they stand for, each with a stack, a handled
exception and generators of its own, and nothing here needs to know how any of that is done.

What the specification calls a thread is a ``_Tree`` here: the root, which is the code of an OS
thread that never asked for greenlets, and the greenlets that it started, whose OS threads act for
it. From top to bottom:

- what is sent: ``_Value`` and ``_Error``, and the ``_Baton`` that carries one of them;
- whose tree it is: ``_Tree`` and ``_here``;
- the greenlet: its attributes, then ``switch`` and ``throw``, then its end and its being killed;
- the jump: ``_enter`` is the only place that hands the baton over, ``_arrive`` the only one that
  takes it, and ``_live`` is an OS thread from its first step to its last.

The comments name the clauses; ``greenlet-conformance show CLAUSE`` shows one. What threads cannot
express is in ``expectations/greenlet_conformance-reference.toml``. This is for reading, and for
comparing others with; a switch takes a hundred times as long as one in C.

One rule is easy to break when changing this file: an OS thread without the baton must not run any
code of the program, and so must not drop the last reference to anything nor collect garbage.
Hence the baton is emptied by whoever takes it, and so is all that was sent; and hence the ``del``
statements, for the traceback of an exception keeps the variables of the functions it came through.
"""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import ctypes
import sys
import threading
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Callable, NoReturn, Union

from greenlet_conformance import __version__

__all__ = ["GreenletExit", "__version__", "error", "getcurrent", "gettrace", "greenlet", "settrace"]

GREENLET_USE_GC = GREENLET_USE_TRACING = GREENLET_USE_CONTEXT_VARS = True  # inspect.constants


class error(Exception):
    """Raised by a switch or throw to a greenlet of another thread."""


class GreenletExit(BaseException):
    """Ends a greenlet without noise: its parent receives it as a value."""


# --- what is sent ------------------------------------------------------------------------


class _Value:
    """What ``switch`` sends, and what a result is sent as."""

    event = "switch"  # trace.every

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs

    def received(self) -> Any:
        """The forms of args.none, args.one, args.several, args.keywords and args.both."""
        if self.kwargs:
            return (self.args, self.kwargs) if self.args else self.kwargs
        return self.args[0] if len(self.args) == 1 else self.args

    def start(self, run: Callable[..., Any]) -> Any:
        """Calls ``run``: args.start, args.start-keywords."""
        try:
            return run(*self.args, **self.kwargs)
        finally:
            del self, run


class _Error:
    """What ``throw`` sends, and what an uncaught exception is sent as. Good for one delivery."""

    event = "throw"  # trace.throw

    def __init__(self, exception: BaseException) -> None:
        self.exceptions = [exception]

    def received(self) -> NoReturn:
        exception = self.exceptions.pop()
        context = exception.__context__
        try:
            raise exception  # throw.instance
        finally:
            exception.__context__ = context  # state.context.thrown
            del exception, context

    def start(self, run: object) -> NoReturn:
        """The unstarted die of an exception without running: throw.unstarted."""
        del run
        self.received()


_Packet = Union[_Value, _Error]


class _Baton:
    """The permission to run. It holds who left and what is sent, until it is taken."""

    def __init__(self, origin: greenlet, packet: _Packet) -> None:
        self._content = [(origin, packet)]

    def take(self) -> tuple[greenlet, _Packet]:
        """Empties it, so that whoever handed it over keeps nothing."""
        return self._content.pop()


# --- whose tree it is --------------------------------------------------------------------


class _Tree:
    """The greenlets of a thread, in the sense of the specification."""

    def __init__(self) -> None:
        self.tracer: Any = None  # trace.thread
        self.doomed: list[_Doomed] = []  # life.thread.deferred
        self.exited = False
        self.root = self.current = greenlet._make_root(self)


class _Doomed:
    """Kills a greenlet when it goes itself, so that Python treats both alike: life.kill.error."""

    def __init__(self, victim: greenlet) -> None:
        self.victim = victim

    def __del__(self) -> None:
        self.victim._kill()


class _Owner:
    """Held by the OS thread of the root alone, and so freed when that one ends."""

    def __init__(self, tree: _Tree) -> None:
        self.tree = tree

    def __del__(self) -> None:
        self.tree.exited = True


class _Here(threading.local):
    """For which tree this OS thread acts."""

    tree: _Tree | None = None
    owner: _Owner | None = None


_here = _Here()


def _tree() -> _Tree:
    """The tree of the caller; every use of greenlets comes through here."""
    if sys.is_finalizing():
        raise RuntimeError("greenlets cannot be used while the interpreter is finalizing")
    if _here.tree is None:  # tree.root, tree.root-per-thread
        _here.tree = _Tree()
        _here.owner = _Owner(_here.tree)
    if _here.tree.doomed:  # life.thread.deferred
        doomed, _here.tree.doomed = _here.tree.doomed, []
        while doomed:
            doomed.pop(0)
    return _here.tree


def getcurrent() -> greenlet:
    """The greenlet that runs. Raises RuntimeError while the interpreter is finalizing."""
    return _tree().current


def settrace(function: Any, /) -> Any:
    """Sets the trace function of this thread; answers the former one, or None."""
    tree = _tree()
    old, tree.tracer = tree.tracer, function
    return old


def gettrace() -> Any:
    """The trace function of this thread, or None."""
    return _tree().tracer


# --- the greenlet ------------------------------------------------------------------------


def _without_our_frames(exception: BaseException) -> BaseException:
    """What happened here is no part of its story: parent.traceback."""
    traceback = exception.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    return exception.with_traceback(traceback)


def _keeping_nothing(method: Callable[..., None]) -> Callable[..., None]:
    """What a method refuses is not kept by the traceback of its exception."""

    def refusing(*args: Any) -> None:
        try:
            method(*args)
        except BaseException as refused:
            raise _without_our_frames(refused)  # noqa: B904
        finally:
            del args

    return refusing


_UNSTARTED, _ACTIVE, _DEAD = "pending", "active", "dead"


class greenlet:
    """``greenlet(run=None, parent=None)``: code that can be left in the middle and entered again.

    The parent is the current greenlet if none is given. Raises TypeError for other parents.
    """

    _state: str
    _parent: greenlet | None
    _run: Any  # until the start
    _tree: _Tree | None  # from the start on
    _ident: int  # of its OS thread
    _inbox: SimpleQueue[_Baton]  # where it sleeps
    _assigned: contextvars.Context | None
    _own: contextvars.Context | None  # without an assigned one
    _entered: contextvars.Context | None  # which its OS thread is in, as long as it runs

    # Slots, so that __dict__ belongs to the program: life.attributes.
    __slots__ = (
        *(
            "_assigned",
            "_entered",
            "_ident",
            "_inbox",
            "_own",
            "_parent",
            "_run",
            "_state",
            "_tree",
        ),
        *("__dict__", "__weakref__"),
    )

    def __new__(cls, *_: Any, **__: Any) -> greenlet:
        return cls._make(_tree().current)  # tree.default-parent, life.init-late

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        if parent is not None:  # tree.none-parent
            _check_type(parent)
        if run is not None:
            self._check_unstarted()
            self._run = run
        if parent is not None:
            self.parent = parent

    @classmethod
    def _make(cls, parent: greenlet | None) -> greenlet:
        self = object.__new__(cls)
        self._state, self._parent, self._tree, self._ident = _UNSTARTED, parent, None, 0
        self._inbox = SimpleQueue()
        self._own = contextvars.Context()  # context.initial
        self._assigned = self._entered = None
        return self

    @staticmethod
    def _make_root(tree: _Tree) -> greenlet:
        root = greenlet._make(None)
        root._state, root._tree, root._ident = _ACTIVE, tree, _thread.get_ident()
        root._own = None  # it has that of its thread
        return root

    # --- what can be asked ---

    @property
    def dead(self) -> bool:
        """Whether it has ended: tree.states, thread.exited.root-dead."""
        tree = self._tree
        return self._state is _DEAD or (tree is not None and tree.exited and self is tree.root)

    def __bool__(self) -> bool:
        return self._state is _ACTIVE and not self.dead

    @property
    def run(self) -> Any:
        """What the start will call. Raises AttributeError if there is nothing, or not any more."""
        try:
            return self._run
        except AttributeError:
            raise AttributeError("run") from None

    @run.setter
    def run(self, value: Any) -> None:  # tree.run-replaced
        self._check_unstarted()
        self._run = value

    @run.deleter
    def run(self) -> None:
        self._check_unstarted()
        del self._run

    def _check_unstarted(self) -> None:
        if self._state is not _UNSTARTED:
            raise AttributeError("run cannot be set after the start")

    @property
    def parent(self) -> greenlet | None:
        """Who goes on when it ends. Raises TypeError, ValueError or AttributeError if set wrong."""
        return self._parent

    @parent.setter
    @_keeping_nothing
    def parent(self, value: Any) -> None:
        if self._parent is None:
            raise AttributeError("the root has no parent")  # tree.root-fixed
        _check_type(value)
        if value._is_below(self):
            raise ValueError("cyclic parent chain")  # tree.parent-cycle
        if self._tree is not None and self._tree is not value._family():
            raise ValueError("a started greenlet keeps to its thread")  # thread.reparent-started
        self._parent = value

    @parent.deleter
    def parent(self) -> None:
        raise AttributeError("the parent cannot be deleted")

    @property
    def gr_frame(self) -> FrameType | None:
        """The frame in which it stopped, or None if it is not suspended."""
        if not self or self._tree is None or self is self._tree.current:
            return None
        frame: FrameType | None = sys._current_frames().get(self._ident)
        while frame is not None and frame.f_globals is globals():
            frame = frame.f_back  # inspect.frame.innermost: not the frames of this file
        return frame

    @property
    def _stack_saved(self) -> int:
        return 0

    def __repr__(self) -> str:
        words = [self._state]
        if self._tree is not None:
            words += ["main"] if self._parent is None else []
            words += ["current"] if self is self._tree.current else []
            words += ["suspended"] if self and self is not self._tree.current else []
        return f"<{type(self).__name__} object at {id(self):#x}: {' '.join(words)}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"cannot copy or pickle {type(self).__name__!r} object")  # life.no-copy

    def __delattr__(self, name: str) -> None:
        if name == "__dict__":
            raise TypeError("cannot delete __dict__")  # life.attributes
        super().__delattr__(name)

    # --- switch and throw ---

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        """Goes on in this greenlet; returns, or raises, what is sent back.

        Raises ``error`` if the greenlet belongs to another thread.
        """
        try:
            packet = _enter(self._destination(), _Value(args, kwargs))
        except BaseException as refused:
            raise _without_our_frames(refused)  # noqa: B904
        finally:
            del self, args, kwargs
        return packet.received()

    def throw(self, /, *args: Any) -> Any:
        """Raises an exception in this greenlet: ``throw(type, value, traceback)``.

        Returns and raises as ``switch`` does; TypeError if that is nothing to be raised.
        """
        try:
            packet = _enter(*self._thrown(_made_exception(*args)))
        except BaseException as refused:
            raise _without_our_frames(refused)  # noqa: B904
        finally:
            del self, args
        return packet.received()

    def _thrown(self, exception: BaseException) -> tuple[greenlet, _Packet]:
        if self._state is _DEAD and isinstance(exception, GreenletExit):
            # dead.throw.exit: it has nothing left to exit
            return self._destination(), _Value((exception,), {})
        return self._destination(), _Error(exception)

    def _destination(self) -> greenlet:
        """Who is entered if this one is named; it is started then, though asleep."""
        tree = _tree()
        target = self._first_living()
        if self._family() is not tree or target._family() is not tree:
            raise error("cannot switch to a different thread")  # thread.error
        if target._state is _UNSTARTED:
            run = target.run
            # tree.run-lookup: that may have started it, or moved it to another thread.
            if target._state is not _UNSTARTED or target._family() is not tree:
                return target._destination()
            target._start(tree, run)
        return target

    def _family(self) -> _Tree | None:
        """The tree that it belongs to: that of its nearest started ancestor."""
        g: Any = self
        while g._tree is None:  # thread.unstarted-chain
            g = g._parent
        return None if g._tree.exited else g._tree  # thread.exited.*

    def _is_below(self, other: greenlet) -> bool:
        ancestor: greenlet | None = self
        while ancestor is not None and ancestor is not other:
            ancestor = ancestor._parent
        return ancestor is other

    def _first_living(self) -> greenlet:
        """Itself or its first ancestor that is not dead: dead.skip.chain."""
        g: Any = self
        while g._state is _DEAD:  # a root never is
            g = g._parent
        return g  # type: ignore[no-any-return]

    def _start(self, tree: _Tree, run: Any) -> None:
        """Makes its OS thread, which sleeps at first."""
        self._ident = _thread.start_new_thread(_live, (tree, self._inbox))
        self._state, self._tree, self._run = _ACTIVE, tree, run

    def _take_run(self) -> Any:
        run = self._run
        del self._run  # life.released.run
        return run

    def _heir(self, packet: _Packet) -> tuple[greenlet, _Packet]:
        """Who goes on when it has ended, and with what: parent.at-death."""
        heir: Any = self._parent
        while True:
            heir = heir._first_living()  # dead.parent.skipped
            if heir._family() is not self._tree:  # it was unstarted and has been moved away
                lost = error("the parent belongs to a different thread")
                return self._tree.root, _Error(lost)  # type: ignore[union-attr]
            if heir._state is _ACTIVE:
                return heir, packet
            try:
                heir._start(self._tree, heir.run)  # parent.unstarted
            except BaseException as failure:  # parent.unstartable
                heir, packet = heir._parent, _Error(_without_our_frames(failure))

    # --- killed ---

    def __del__(self) -> None:
        """Python calls this when the last reference has gone, but once only: life.kill."""
        tree: Any = self._tree
        if self._state is not _ACTIVE:  # life.kill.only-suspended
            return
        if sys.is_finalizing() or tree.exited:  # exit.no-cleanup
            return  # life.thread.exited
        if tree is _here.tree:
            self._kill()
        else:
            tree.doomed.append(_Doomed(self))  # life.thread.deferred

    def _kill(self) -> None:
        tree: Any = self._tree
        former: Any = self._parent
        self._parent = tree.current  # life.kill.parent
        try:
            _enter(self, _Error(GreenletExit())).received()  # life.kill.result
        finally:
            if not former._is_below(self):  # tree.parent-cycle
                self._parent = former  # life.resurrect.parent

    # --- contexts ---

    @property
    def gr_context(self) -> contextvars.Context | None:
        """The context that it runs in; None for an empty one that nobody assigned or needed.

        Raises ValueError if it is running in another thread.
        """
        self._check_not_running_elsewhere()
        return self._assigned if self._assigned is not None else (self._own or None)

    @gr_context.setter
    @_keeping_nothing
    def gr_context(self, value: contextvars.Context | None) -> None:
        self._check_not_running_elsewhere()
        if value is not None and not isinstance(value, contextvars.Context):
            raise TypeError("gr_context must be a contextvars.Context or None")
        self._assigned, self._own = value, contextvars.Context()  # context.assign.none
        if self._tree is not None and self is self._tree.current:  # context.assign.current
            self._leave_context()
            self._enter_context()

    @gr_context.deleter
    def gr_context(self) -> None:
        raise AttributeError("gr_context cannot be deleted")

    def _check_not_running_elsewhere(self) -> None:
        tree = self._tree
        if tree is not None and self is tree.current and tree is not _here.tree and self:
            raise ValueError("the greenlet is running in another thread")  # context.thread.running

    def _enter_context(self) -> None:
        context = self._assigned if self._assigned is not None else self._own
        if context is not self._entered:
            ctypes.pythonapi.PyContext_Enter(ctypes.py_object(context))
            self._entered = context

    def _leave_context(self) -> None:
        """Context.run enters and leaves; to let others share, we leave it at each switch."""
        if self._entered is not None:
            with contextlib.suppress(RuntimeError):  # inside of Context.run it cannot be left
                ctypes.pythonapi.PyContext_Exit(ctypes.py_object(self._entered))
                self._entered = None


for _name in ("getcurrent", "settrace", "gettrace"):  # inspect.class-attributes
    setattr(greenlet, _name, staticmethod(globals()[_name]))
greenlet.error, greenlet.GreenletExit = error, GreenletExit  # type: ignore[attr-defined]


def _check_type(parent: object) -> None:
    if not isinstance(parent, greenlet):
        raise TypeError(f"parent must be a greenlet, not {type(parent).__name__}")


def _made_exception(
    kind: Any = GreenletExit, value: Any = None, traceback: Any = None
) -> BaseException:
    """The exception that ``raise`` would make of three arguments: throw.class to throw.check."""
    if traceback is not None and not isinstance(traceback, TracebackType):
        raise TypeError("throw() third argument must be a traceback object")
    if isinstance(kind, type) and issubclass(kind, BaseException):
        exception = _instance(kind, value)
    elif not isinstance(kind, BaseException):
        raise TypeError(f"exceptions must derive from BaseException, not {type(kind).__name__}")
    elif value is not None:
        raise TypeError("instance exception may not have a separate value")
    else:
        exception = kind
    return exception if traceback is None else exception.with_traceback(traceback)


def _instance(kind: type[BaseException], value: Any) -> BaseException:
    try:
        if isinstance(value, kind):
            return value
        args = () if value is None else value if isinstance(value, tuple) else (value,)
        exception: object = kind(*args)
        if not isinstance(exception, BaseException):
            raise TypeError(
                f"{kind.__name__}() should return an exception, not {type(exception).__name__}"
            )
    except BaseException as failure:  # throw.constructor-error
        return failure
    return exception


# --- the jump ----------------------------------------------------------------------------


def _enter(target: greenlet, packet: _Packet) -> _Packet:
    """Goes on in ``target``, which is active; answers what the caller receives afterwards."""
    tree: Any = target._tree
    me = tree.current
    me._leave_context()
    inbox = me._inbox
    outbox = target._inbox
    baton = _Baton(me, packet)
    tree.current = target
    del me, target, packet
    _hand_over(outbox, baton)
    return _arrive(tree, inbox)


def _hand_over(outbox: SimpleQueue[_Baton], baton: _Baton) -> None:
    """The only place where control moves. The next step here is to sleep, or to end.

    CPython collects garbage when objects are made, or at the next call of a function. That
    was the call of this one: from here to the sleep nothing is made.
    """
    outbox.put(baton)


def _arrive(tree: _Tree, inbox: SimpleQueue[_Baton]) -> _Packet:
    """Sleeps until the baton comes; answers what it brings."""
    origin, packet = inbox.get().take()
    tree.current._enter_context()
    if tree.tracer is not None:
        try:
            tree.tracer(packet.event, (origin, tree.current))  # trace.arrival
        except BaseException as exception:
            tree.tracer = None  # trace.error.removed
            packet = _Error(_without_our_frames(exception))  # trace.error.target
    return packet  # the origin is let go here, and killed if nobody else refers to it


def _live(tree: _Tree, inbox: SimpleQueue[_Baton]) -> None:
    """What the OS thread of a greenlet does. As long as it lives, no frame refers to itself."""
    _here.tree = tree
    _hand_over(*_died(tree, _outcome(tree, inbox)))


def _outcome(tree: _Tree, inbox: SimpleQueue[_Baton]) -> _Packet:
    """Runs the current greenlet; answers what its parent receives."""
    try:
        result = _arrive(tree, inbox).start(tree.current._take_run())
        return _Value((result,), {})  # parent.result
    except GreenletExit as exception:
        return _Value((_without_our_frames(exception),), {})  # parent.exit-returned
    except BaseException as exception:
        return _Error(_without_our_frames(exception))  # parent.exception


def _died(tree: _Tree, packet: _Packet) -> tuple[SimpleQueue[_Baton], _Baton]:
    """Ends the current greenlet; answers the baton and whom to give it."""
    me = tree.current
    me._state = _DEAD  # dead.while-ending
    heir, packet = me._heir(packet)
    me._leave_context()
    baton = _Baton(me, packet)
    tree.current = heir
    return heir._inbox, baton
