"""The ways in which upstream itself is broken, from the outside, one function each.

``broken.model`` knows nothing of collection, frames, contexts or C. What depends on these is
broken here: a rule takes the names of upstream's module and changes them, mostly by a subclass
whose methods do something else, or by a function that stands before the original.

``@breaks(...)`` names the clauses that must fail with the rule, each of them.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import ctypes
import dataclasses
import gc
import os
import signal
import sys
import threading
import types
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import greenlet as upstream

Names = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Rule:
    """A change of upstream's names, and the clauses that it breaks."""

    breaks: tuple[str, ...]
    change: Callable[[Names], None]


RULES: dict[str, Rule] = {}


def breaks(*clauses: str) -> Callable[[Callable[[Names], None]], Callable[[Names], None]]:
    """Registers a rule under the name of its function."""

    def register(change: Callable[[Names], None]) -> Callable[[Names], None]:
        RULES[change.__name__] = Rule(clauses, change)
        return change

    return register


def build(name: str) -> Names:
    """The names of upstream's module with the rule applied."""
    names = {k: getattr(upstream, k) for k in dir(upstream) if k in PUBLIC}
    RULES[name].change(names)
    return names


PUBLIC = {
    "greenlet",
    "getcurrent",
    "error",
    "GreenletExit",
    "settrace",
    "gettrace",
    "_C_API",
    "GREENLET_USE_GC",
    "GREENLET_USE_TRACING",
    "GREENLET_USE_CONTEXT_VARS",
    "GREENLET_USE_STANDARD_THREADING",
}


def subclass(names: Names, **attributes: Any) -> Any:
    """Puts a subclass of upstream's type with these attributes in its place."""
    names["greenlet"] = type("greenlet", (upstream.greenlet,), attributes)
    return names["greenlet"]


@breaks()
def plain_subclass(names: Names) -> None:
    """A subclass alone breaks nothing, so that what fails below comes from the rules."""
    subclass(names)


# --- the tree and the order --------------------------------------------------------------


@breaks("tree.names")
def exit_of_type(names: Names) -> None:
    """The type's GreenletExit is not that of the module."""
    subclass(names, GreenletExit=type("GreenletExit", (upstream.GreenletExit,), {}))


@breaks("tree.current")
def subclasses_not_current(names: Names) -> None:
    """Inside of a subclass's greenlet, the one above is said to be current."""

    def getcurrent() -> Any:
        current: Any = upstream.getcurrent()
        while type(current) is not upstream.greenlet:
            current = current.parent
        return current

    names["getcurrent"] = getcurrent


# --- life and death ----------------------------------------------------------------------


def throw_as_child(g: Any, *args: Any) -> None:
    """What a kill does, with another exception: throws while the current one is the parent."""
    former, g.parent = g.parent, upstream.getcurrent()
    try:
        g.throw(*args)
    finally:
        if g:
            g.parent = former


@breaks(
    *("life.kill", "life.kill.family", "life.weakref", "life.gc.idle", "life.thread.exited"),
    *("life.finalizer.weakref", "life.many", "life.released.memory", "context.run.entered"),
)
def nobody_freed(names: Names) -> None:
    """Every greenlet is kept forever."""
    kept: list[Any] = []

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        kept.append(self)

    subclass(names, __init__=init)


@breaks("life.kill", "life.kill.handled", "life.gc.kill", "life.thread.deferred")
def killed_by_another(names: Names) -> None:
    """The unreachable are killed by an exception that is no GreenletExit."""

    class Killed(BaseException):
        pass

    def finalize(self: Any) -> None:
        if self:
            with contextlib.suppress(Killed, upstream.error):
                throw_as_child(self, Killed)

    subclass(names, __del__=finalize)


@breaks("life.kill", "life.kill.parent", "life.kill.family", "life.kill.error", "life.gc.kill")
def killed_later(names: Names) -> None:
    """The unreachable are killed when a greenlet is used the next time."""
    pending: list[Any] = []

    def finalize(self: Any) -> None:
        if self:
            pending.append(self)

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        pending.clear()
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, __del__=finalize, switch=switch)


@breaks("life.kill.parent")
def killed_under_former_parent(names: Names) -> None:
    """The end of the killed leads to its former parent."""

    def finalize(self: Any) -> None:
        if self:
            self.throw()

    subclass(names, __del__=finalize)


@breaks("life.resurrect.parent")
def survivor_adopted(names: Names) -> None:
    """Who survives a kill stays a child of the one that dropped it."""

    def finalize(self: Any) -> None:
        if self:
            self.parent = upstream.getcurrent()

    subclass(names, __del__=finalize)


@breaks("life.kill.error")
def kill_error_lost(names: Names) -> None:
    """An exception of the killed is swallowed."""

    def finalize(self: Any) -> None:
        if self:
            with contextlib.suppress(BaseException):
                throw_as_child(self)

    subclass(names, __del__=finalize)


@breaks("life.kill.only-suspended", "life.thread.unstarted")
def unstarted_run(names: Names) -> None:
    """An unstarted greenlet is run when nobody refers to it."""

    def finalize(self: Any) -> None:
        if not self and not self.dead and hasattr(self, "run"):
            run = self.run
            run()

    subclass(names, __del__=finalize)


@breaks("life.thread.deferred", "life.thread.exited")
def foreign_kept(names: Names) -> None:
    """What another thread drops is kept forever."""
    kept: list[Any] = []

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        self.maker = threading.get_ident()

    def finalize(self: Any) -> None:
        if self.maker != threading.get_ident():
            kept.append(self)

    subclass(names, __init__=init, __del__=finalize)


@breaks("life.kill.trace")
def kill_untraced(names: Names) -> None:
    """The trace function is not told of kills."""

    def finalize(self: Any) -> None:
        if self:
            tracer = upstream.settrace(None)
            throw_as_child(self)
            upstream.settrace(tracer)

    subclass(names, __del__=finalize)


@breaks("life.resurrect", "life.resurrect.again")
def killed_for_good(names: Names) -> None:
    """Who catches GreenletExit is killed again until it is dead."""

    def finalize(self: Any) -> None:
        for _ in range(10):
            if self:
                throw_as_child(self)
        if self:
            throw_as_child(self, SystemError)

    subclass(names, __del__=finalize)


@breaks("life.no-copy")
def copied(names: Names) -> None:
    """A greenlet can be copied and pickled."""
    subclass(names, __reduce_ex__=lambda self, protocol: (upstream.greenlet, ()))


@breaks("life.identity")
def equal_when_dead(names: Names) -> None:
    """Dead greenlets are equal."""

    def equal(self: Any, other: Any) -> bool:
        return self is other or bool(self) == bool(other)

    subclass(names, __eq__=equal, __hash__=lambda self: 0)


@breaks("life.attributes")
def attributes_refused(names: Names) -> None:
    """A greenlet takes no attributes after its start."""

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if (self or self.dead) and name not in dir(upstream.greenlet):
            raise AttributeError(name)
        upstream.greenlet.__setattr__(self, name, value)

    subclass(names, __setattr__=set_attribute)


@breaks("life.released.run", "life.released.unstarted")
def run_kept(names: Names) -> None:
    """A greenlet keeps its run."""
    kept: list[Any] = []

    def init(self: Any, run: Any = None, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, run, *args, **kwargs)
        kept.append(run)

    subclass(names, __init__=init)


@breaks("life.released.run", "life.released.passed")
def arguments_kept(names: Names) -> None:
    """What was sent is kept."""
    kept: list[Any] = []

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept.append((args, kwargs))
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


@breaks("life.released.passed")
def exceptions_kept(names: Names) -> None:
    """What was thrown is kept."""
    kept: list[Any] = []

    def throw(self: Any, *args: Any) -> Any:
        kept.append(args)
        return upstream.greenlet.throw(self, *args)

    subclass(names, throw=throw)


@breaks("life.released.locals")
def frames_kept(names: Names) -> None:
    """The frames of a suspended greenlet are kept."""
    kept: list[Any] = []

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept.append(self.gr_frame)
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


@breaks("life.refused")
def half_made_kept(names: Names) -> None:
    """A refused construction leaves the object behind."""
    kept: list[Any] = []

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            upstream.greenlet.__init__(self, *args, **kwargs)
        except TypeError:
            kept.append(self)
            raise

    subclass(names, __init__=init)


@breaks("life.subclass")
def abstract_made(names: Names) -> None:
    """Abstract methods do not matter."""

    def init_subclass(cls: Any) -> None:
        cls.__abstractmethods__ = frozenset()

    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        cls.__abstractmethods__ = frozenset()
        return upstream.greenlet.__new__(cls, *args, **kwargs)

    subclass(names, __init_subclass__=classmethod(init_subclass), __new__=new)


@breaks("life.init-late")
def initialised_at_once(names: Names) -> None:
    """`__new__` alone makes a greenlet that can be started."""

    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        g = upstream.greenlet.__new__(cls)
        g.run = lambda *args: args
        return g

    subclass(names, __new__=new)


@breaks("life.kill.cleanup")
def nobody_made_in_kill(names: Names) -> None:
    """While a greenlet is killed no other one can be made."""
    killed: list[Any] = []

    def finalize(self: Any) -> None:
        if self:
            killed.append(None)
            try:
                throw_as_child(self)
            finally:
                killed.pop()

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if killed:
            raise RuntimeError("a greenlet is being killed")
        upstream.greenlet.__init__(self, *args, **kwargs)

    subclass(names, __del__=finalize, __init__=init)


@breaks("life.stubborn", "life.resurrect")
def stubborn_resumed(names: Names) -> None:
    """Who survives a kill is resumed by the one that dropped it."""

    def finalize(self: Any) -> None:
        if self:
            throw_as_child(self)
        if self:
            self.switch()

    subclass(names, __del__=finalize)


@breaks("life.kill.result")
def kill_result_told(names: Names) -> None:
    """What the killed return is told as an exception that cannot be raised."""

    def finalize(self: Any) -> None:
        if self:
            former, self.parent = self.parent, upstream.getcurrent()
            result = self.throw()
            if self:
                self.parent = former
            elif not isinstance(result, upstream.GreenletExit):
                raise RuntimeError(f"nobody wants {result!r}")

    subclass(names, __del__=finalize)


@breaks("life.kill.held")
def parent_not_held(names: Names) -> None:
    """A child does not keep its parent alive."""

    def init(self: Any, run: Any = None, parent: Any = None) -> None:
        upstream.greenlet.__init__(self, run)
        self.above = weakref.ref(parent or upstream.getcurrent())

    def set_parent(self: Any, parent: Any) -> None:
        self.above = weakref.ref(parent)

    subclass(names, __init__=init, parent=property(lambda self: self.above(), set_parent))


@breaks("life.finalizer.del", "life.finalizer.collection", "life.finalizer.trashcan")
def no_switch_in_finalizers(names: Names) -> None:
    """A switch inside of ``__del__`` is refused."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame: Any = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "__del__":
                raise RuntimeError("inside of a finalizer")
            frame = frame.f_back
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


@breaks("life.finalizer.collection")
def no_switch_in_collections(names: Names) -> None:
    """A switch in the middle of a collection is refused."""
    collecting: list[str] = []
    gc.callbacks.append(lambda phase, _: collecting.append(phase))

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if collecting and collecting[-1] == "start":
            raise RuntimeError("in the middle of a collection")
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


@breaks("life.gc.cycle", "life.gc.suspended")
def suspended_end_by_collection(names: Names) -> None:
    """A collection ends whoever is suspended, held or not."""
    made: weakref.WeakSet[Any] = weakref.WeakSet()

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        made.add(self)

    def end_all(phase: str, _: Any) -> None:
        for g in list(made) if phase == "stop" else ():
            if g and g.gr_frame is not None:
                with contextlib.suppress(BaseException):
                    throw_as_child(g, KeyError)

    gc.callbacks.append(end_all)
    subclass(names, __init__=init)


@breaks("life.resurrect.weakref")
def weakrefs_cleared_first(names: Names) -> None:
    """Weak references to a greenlet are dead once it is being killed."""
    clear = ctypes.pythonapi._PyWeakref_ClearRef

    def finalize(self: Any) -> None:
        for reference in weakref.getweakrefs(self):
            clear(ctypes.py_object(reference))

    subclass(names, __del__=finalize)


@breaks("life.thread.exit")
def exited_ignored(names: Names) -> None:
    """A switch to a greenlet of an exited thread does nothing."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return upstream.greenlet.switch(self, *args, **kwargs)
        except upstream.error as error:
            if "exited" not in str(error):
                raise
            return None

    subclass(names, switch=switch)


# --- context variables -------------------------------------------------------------------


@breaks("context.initial", "context.attribute", "context.assign.dead")
def context_inherited(names: Names) -> None:
    """A greenlet starts in a copy of its maker's context."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        self.gr_context = contextvars.copy_context()

    subclass(names, __init__=init)


@breaks("context.initial", "context.own", "context.end", "context.decimal", "context.token")
def context_shared(names: Names) -> None:
    """A greenlet runs in its maker's context."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        variable: Any = contextvars.ContextVar("forces a context")
        variable.set(None)
        self.gr_context = upstream.getcurrent().gr_context

    subclass(names, __init__=init)


def context_property(names: Names, **functions: Any) -> None:
    """Another ``gr_context``; what is not given does what upstream's does."""
    own = upstream.greenlet.gr_context
    subclass(
        names,
        gr_context=property(
            functions.get("fget", own.__get__),
            functions.get("fset", own.__set__),
            functions.get("fdel", own.__delete__),
        ),
    )


@breaks("context.assign", "context.assign.suspended", "context.assign.current", "context.share")
def context_copied(names: Names) -> None:
    """Assigning a context assigns a copy of it."""

    def set_context(self: Any, value: Any) -> None:
        if isinstance(value, contextvars.Context):
            value = value.copy()
        upstream.greenlet.gr_context.__set__(self, value)

    context_property(names, fset=set_context)


@breaks(
    *("context.assign.suspended", "context.assign.current", "context.assign.none"),
    "context.run.mismatch",
)
def context_once(names: Names) -> None:
    """A context that is assigned after the start is ignored."""

    def set_context(self: Any, value: Any) -> None:
        if not self and not self.dead:
            upstream.greenlet.gr_context.__set__(self, value)

    context_property(names, fset=set_context)


@breaks("context.assign.type")
def context_unchecked(names: Names) -> None:
    """Whatever is no context is taken for None."""

    def set_context(self: Any, value: Any) -> None:
        if not isinstance(value, contextvars.Context):
            value = None
        upstream.greenlet.gr_context.__set__(self, value)

    context_property(names, fset=set_context)


@breaks("context.assign.deleted")
def context_deleted(names: Names) -> None:
    """Deleting gr_context sets it to None."""

    def delete(self: Any) -> None:
        self.gr_context = None

    context_property(names, fdel=delete)


@breaks("context.attribute", "context.run.follows", "context.assign.dead")
def context_told_copied(names: Names) -> None:
    """What gr_context answers is a copy."""

    def get_context(self: Any) -> Any:
        value = upstream.greenlet.gr_context.__get__(self)
        return None if value is None else value.copy()

    context_property(names, fget=get_context)


@breaks("context.thread.running")
def context_of_running(names: Names) -> None:
    """The context of a greenlet that runs in another thread is None, and not settable."""

    def get_context(self: Any) -> Any:
        with contextlib.suppress(ValueError):
            return upstream.greenlet.gr_context.__get__(self)
        return None

    def set_context(self: Any, value: Any) -> None:
        with contextlib.suppress(ValueError):
            upstream.greenlet.gr_context.__set__(self, value)

    context_property(names, fget=get_context, fset=set_context)


@breaks("context.thread.suspended")
def context_of_own_thread(names: Names) -> None:
    """The context belongs to the maker's thread only."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        self.maker = threading.get_ident()

    def get_context(self: Any) -> Any:
        if self.maker != threading.get_ident():
            raise ValueError("another thread's greenlet")
        return upstream.greenlet.gr_context.__get__(self)

    context_property(names, fget=get_context)
    names["greenlet"].__init__ = init


@breaks("context.trace")
def traced_in_fresh_context(names: Names) -> None:
    """The trace function runs in a context of its own."""

    def settrace(function: Any) -> Any:
        if function is None:
            return upstream.settrace(None)
        return upstream.settrace(lambda *args: contextvars.Context().run(function, *args))

    names["settrace"] = settrace


@breaks("context.released")
def contexts_kept(names: Names) -> None:
    """Contexts are kept."""
    kept: list[Any] = []

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = upstream.greenlet.switch(self, *args, **kwargs)
        kept.append(self.gr_context)
        return answer

    subclass(names, switch=switch)


@breaks("context.copy", "context.assign")
def context_taken_at_start(names: Names) -> None:
    """A greenlet starts in the context of the one that starts it."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self and not self.dead:
            self.gr_context = contextvars.copy_context()
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


@breaks("context.run.as-run")
def builtin_refused(names: Names) -> None:
    """A function that is written in C cannot be the run of a greenlet."""

    def init(self: Any, run: Any = None, parent: Any = None) -> None:
        if isinstance(run, types.BuiltinFunctionType):
            raise TypeError("a function in Python is needed")
        upstream.greenlet.__init__(self, run, parent)

    subclass(names, __init__=init)


@breaks("context.root")
def context_of_root_copied(names: Names) -> None:
    """Who was asked for by getcurrent, as the root has to be, answers a copy of its context."""

    class Current:
        """Stands before the greenlet that was current."""

        def __init__(self) -> None:
            self.greenlet = upstream.getcurrent()

        def __getattr__(self, name: str) -> Any:
            value = getattr(self.greenlet, name)
            return value.copy() if isinstance(value, contextvars.Context) else value

    names["getcurrent"] = Current


# --- tracing -----------------------------------------------------------------------------


def settrace_with(names: Names, wrap: Callable[[Any], Any]) -> None:
    """A ``settrace`` that sets what ``wrap`` makes of a function; ``gettrace`` undoes it."""
    wrapped: dict[Any, Any] = {}

    def original(function: Any) -> Any:
        return next((k for k, v in wrapped.items() if v is function), function)

    def settrace(function: Any) -> Any:
        if callable(function):
            function = wrapped.setdefault(function, wrap(function))
        return original(upstream.settrace(function))

    names["settrace"] = settrace
    names["gettrace"] = lambda: original(upstream.gettrace())


@breaks("trace.arrival", "trace.refused", "trace.end", "trace.dead", "order.trace")
def traced_in_origin(names: Names) -> None:
    """The trace function is called in the origin, before the switch."""
    tracers: list[Any] = [None]

    def settrace(function: Any) -> Any:
        tracers.append(function)
        return tracers.pop(0)

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if tracers[0] is not None:
            tracers[0]("switch", (upstream.getcurrent(), self))
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)
    names.update(settrace=settrace, gettrace=lambda: tracers[0])


@breaks("trace.arrival")
def traced_list(names: Names) -> None:
    """Origin and target come as a list."""
    settrace_with(names, lambda f: lambda event, args: f(event, list(args)))


@breaks("trace.throw", "trace.end", "trace.dead", "trace.self", "throw.trace")
def throw_told_as_switch(names: Names) -> None:
    """Every event is a switch."""
    settrace_with(names, lambda f: lambda event, args: f("switch", args))


@breaks("trace.end", "trace.error.end")
def exit_told_as_throw(names: Names) -> None:
    """The end by a value is told as throw."""

    def wrap(function: Any) -> Any:
        return lambda event, args: function("throw" if args[0].dead else event, args)

    settrace_with(names, wrap)


@breaks("trace.self", "trace.dead", "trace.error.self", "trace.every")
def self_untold(names: Names) -> None:
    """A switch to oneself is not told."""

    def wrap(function: Any) -> Any:
        return lambda event, args: args[0] is not args[1] and function(event, args)

    settrace_with(names, wrap)


@breaks("trace.end", "trace.every", "trace.error.end")
def ends_untold(names: Names) -> None:
    """An end is not told."""

    def wrap(function: Any) -> Any:
        return lambda event, args: None if args[0].dead else function(event, args)

    settrace_with(names, wrap)


@breaks("trace.every", "trace.arrival", "trace.start", "order.trace")
def told_twice(names: Names) -> None:
    """Each event is told twice."""
    settrace_with(names, lambda f: lambda event, args: [f(event, args), f(event, args)])


@breaks("trace.start", "order.trace")
def parent_told(names: Names) -> None:
    """The origin is said to be the target's parent."""

    def wrap(function: Any) -> Any:
        return lambda event, args: function(event, (args[1].parent or args[0], args[1]))

    settrace_with(names, wrap)


@breaks(
    *("trace.error.removed", "trace.error.target", "trace.error.start", "trace.error.end"),
    *("trace.error.throw", "trace.error.self", "trace.error.exit", "order.trace-error"),
)
def trace_error_swallowed(names: Names) -> None:
    """What the trace function raises is lost, and it stays."""

    def wrap(function: Any) -> Any:
        def call(event: str, args: Any) -> None:
            with contextlib.suppress(BaseException):
                function(event, args)

        return call

    settrace_with(names, wrap)


@breaks("trace.error.target", "trace.error.throw", "trace.error.exit")
def trace_error_replaced(names: Names) -> None:
    """Another exception is raised in the place of that of the trace function."""

    def wrap(function: Any) -> Any:
        def call(event: str, args: Any) -> None:
            try:
                function(event, args)
            except BaseException as error:
                raise RuntimeError("the trace function failed") from error

        return call

    settrace_with(names, wrap)


@breaks("trace.error.removed")
def trace_error_remembered(names: Names) -> None:
    """gettrace still tells a trace function that was removed because it raised."""
    functions: list[Any] = [None]

    def settrace(function: Any) -> Any:
        functions.append(function)
        upstream.settrace(function)
        return functions.pop(0)

    names.update(settrace=settrace, gettrace=lambda: functions[0])


@breaks("trace.nested")
def nested_untold(names: Names) -> None:
    """What the trace function itself switches to is not told."""

    def wrap(function: Any) -> Any:
        def call(event: str, args: Any) -> None:
            mine = upstream.settrace(None)
            function(event, args)
            upstream.settrace(mine)

        return call

    settrace_with(names, wrap)


@breaks("trace.settrace", "trace.thread")
def former_untold(names: Names) -> None:
    """settrace answers None."""

    def settrace(function: Any) -> None:
        upstream.settrace(function)

    names["settrace"] = settrace


@breaks("trace.thread")
def tracer_of_process(names: Names) -> None:
    """gettrace tells what any thread has set."""
    last: list[Any] = [None]

    def settrace(function: Any) -> Any:
        last[0] = function
        return upstream.settrace(function)

    names.update(settrace=settrace, gettrace=lambda: last[0])


@breaks("trace.released")
def tracers_kept(names: Names) -> None:
    """Trace functions are kept."""
    settrace_with(names, lambda function: function)


@breaks("trace.uncallable")
def uncallable_refused(names: Names) -> None:
    """settrace refuses what cannot be called."""

    def settrace(function: Any) -> Any:
        if function is not None and not callable(function):
            raise TypeError("not callable")
        return upstream.settrace(function)

    names["settrace"] = settrace


@breaks("trace.arguments")
def settrace_of_nothing(names: Names) -> None:
    """settrace without an argument takes the function away."""
    names["settrace"] = lambda function=None: upstream.settrace(function)


@breaks("trace.handled")
def traced_while_handling(names: Names) -> None:
    """The trace function is called while another exception is handled."""

    def wrap(function: Any) -> Any:
        def call(event: str, args: Any) -> None:
            try:
                raise LookupError
            except LookupError:
                function(event, args)

        return call

    settrace_with(names, wrap)


@breaks("trace.values")
def traced_values_lost(names: Names) -> None:
    """If the trace function switches, its answer takes the place of what was sent."""
    answers: list[Any] = []

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = upstream.greenlet.switch(self, *args, **kwargs)
        if upstream.gettrace() is not None:
            answers.append(answer)
            return answers[-2] if len(answers) > 1 else answer
        return answer

    subclass(names, switch=switch)


@breaks("trace.python.thread", "trace.python.inside", "trace.python.throw")
def hooks_of_greenlet(names: Names) -> None:
    """``sys.settrace`` and ``sys.setprofile`` are forgotten at a switch, and come back."""

    def transfer(original: Any, *args: Any, **kwargs: Any) -> Any:
        trace, profile = sys.gettrace(), sys.getprofile()
        sys.settrace(None)
        sys.setprofile(None)
        try:
            return original(*args, **kwargs)
        finally:
            sys.settrace(trace)
            sys.setprofile(profile)

    subclass(
        names,
        switch=lambda self, *args, **kw: transfer(upstream.greenlet.switch, self, *args, **kw),
        throw=lambda self, *args: transfer(upstream.greenlet.throw, self, *args),
    )


@breaks("trace.change")
def settrace_waits(names: Names) -> None:
    """What the trace function itself sets is ignored."""
    inside: list[Any] = []

    def wrap(function: Any) -> Any:
        def call(event: str, args: Any) -> None:
            inside.append(function)
            try:
                function(event, args)
            finally:
                inside.pop()

        return call

    settrace_with(names, wrap)
    settrace = names["settrace"]
    names["settrace"] = lambda function: inside[-1] if inside else settrace(function)


@breaks("trace.python.switch")
def hooks_while_hooked(names: Names) -> None:
    """A hook is told of what itself switches to."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        return sys.call_tracing(lambda: upstream.greenlet.switch(self, *args, **kwargs), ())

    subclass(names, switch=switch)


@breaks("trace.python.tracer")
def tracer_hooked(names: Names) -> None:
    """The trace function is as visible to hooks as any code."""
    settrace_with(names, lambda f: lambda event, args: sys.call_tracing(f, (event, args)))


# --- introspection -----------------------------------------------------------------------

own_frame: Any = upstream.greenlet.gr_frame


def frame_property(names: Names, get: Callable[[Any], Any]) -> None:
    """Another ``gr_frame``."""
    subclass(names, gr_frame=property(get))


@breaks("inspect.frame.innermost", "inspect.frame.chain", "inspect.frame.moved")
def frame_never(names: Names) -> None:
    """No greenlet has a frame."""
    frame_property(names, lambda self: None)


@breaks("inspect.frame.none")
def frame_always(names: Names) -> None:
    """The current greenlet has a frame, too."""

    def get(self: Any) -> Any:
        return sys._getframe(1) if self is upstream.getcurrent() else own_frame.__get__(self)

    frame_property(names, get)


@breaks("inspect.frame.innermost", "inspect.frame.chain", "inspect.frame.generator")
def frame_outermost(names: Names) -> None:
    """gr_frame is the function that was started."""

    def get(self: Any) -> Any:
        frame = own_frame.__get__(self)
        while frame is not None and frame.f_back is not None:
            frame = frame.f_back
        return frame

    frame_property(names, get)


@breaks("inspect.frame.none")
def frame_remembered(names: Names) -> None:
    """A frame that was looked at is shown ever after."""

    def get(self: Any) -> Any:
        self.looked = own_frame.__get__(self) or self.__dict__.get("looked")
        return self.looked

    frame_property(names, get)


@breaks("inspect.frame.harmless")
def looking_swallows(names: Names) -> None:
    """What is sent after a look is lost."""

    def get(self: Any) -> Any:
        self.looked = True
        return own_frame.__get__(self)

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.__dict__.pop("looked", False):
            args = ()
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, gr_frame=property(get), switch=switch)


@breaks("inspect.frame.thread")
def frame_at_home(names: Names) -> None:
    """The frames of another thread's greenlets are not shown."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        self.maker = threading.get_ident()

    def get(self: Any) -> Any:
        return own_frame.__get__(self) if self.maker == threading.get_ident() else None

    subclass(names, __init__=init, gr_frame=property(get))


@breaks("inspect.states", "tree.states")
def state_as_number(names: Names) -> None:
    """dead is a number."""
    dead: Any = upstream.greenlet.dead
    subclass(names, dead=property(lambda self: int(dead.__get__(self))))


@breaks("inspect.states")
def inactive_while_current(names: Names) -> None:
    """A greenlet that runs is false."""

    def active(self: Any) -> bool:
        return upstream.greenlet.__bool__(self) and self is not upstream.getcurrent()

    subclass(names, __bool__=active)


@breaks("inspect.collector")
def untracked(names: Names) -> None:
    """The collector does not know greenlets."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(self))

    subclass(names, __init__=init)


@breaks("inspect.repr")
def plain_repr(names: Names) -> None:
    """The repr does not tell the state."""
    subclass(names, __repr__=object.__repr__)


@breaks("inspect.repr.anywhere")
def repr_at_home(names: Names) -> None:
    """The repr works in the own thread only."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        upstream.greenlet.__init__(self, *args, **kwargs)
        self.maker = threading.get_ident()

    def text(self: Any) -> str:
        if self.maker != threading.get_ident():
            raise RuntimeError("another thread's greenlet")
        return repr(upstream.greenlet.__repr__(self))

    subclass(names, __init__=init, __repr__=text)


@breaks("inspect.constants")
def constants_false(names: Names) -> None:
    """The constants deny what there is."""
    names.update(GREENLET_USE_GC=False, GREENLET_USE_TRACING=False)


@breaks("inspect.class-attributes")
def class_methods(names: Names) -> None:
    """The type's functions are its own."""
    subclass(names, getcurrent=staticmethod(lambda: upstream.getcurrent()))


@breaks("inspect.stack-saved")
def stack_saved_unknown(names: Names) -> None:
    """_stack_saved is None."""
    subclass(names, _stack_saved=None)


@breaks("inspect.frame.held")
def frames_cleared(names: Names) -> None:
    """The end of a greenlet clears the frames that somebody has looked at."""

    def get(self: Any) -> Any:
        self.looked = frame = own_frame.__get__(self)
        return frame

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return upstream.greenlet.switch(self, *args, **kwargs)
        finally:
            if self.dead and "looked" in self.__dict__:
                self.looked.clear()

    subclass(names, gr_frame=property(get), switch=switch)


class FrameCopy:
    """What a frame says of itself."""

    def __init__(self, frame: Any) -> None:
        self.f_code, self.f_locals, self.f_lineno = frame.f_code, frame.f_locals, frame.f_lineno
        self.f_back = frame.f_back and FrameCopy(frame.f_back)


@breaks("inspect.frame.same")
def frame_copied(names: Names) -> None:
    """Each look shows frames of its own."""

    def get(self: Any) -> Any:
        frame = own_frame.__get__(self)
        return frame and FrameCopy(frame)

    frame_property(names, get)


# --- exceptions and state ----------------------------------------------------------------


@breaks("order.handled-exception", "state.reraise")
def exception_inherited(names: Names) -> None:
    """A greenlet starts in the handler of the exception that its starter handles."""

    def around(run: Any, *args: Any, **kwargs: Any) -> Any:
        handled = upstream.getcurrent().__dict__.pop("handled", None)
        try:
            if handled is not None:
                raise handled
        except BaseException:
            return run(*args, **kwargs)
        return run(*args, **kwargs)

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self and not self.dead:
            self.handled = sys.exc_info()[1]
        return upstream.greenlet.switch(self, *args, **kwargs)

    run_within(names, around)
    names["greenlet"].switch = switch


@breaks("state.exc-info", "state.reraise", "order.handled-exception")
def handled_forgotten(names: Names) -> None:
    """After a switch nobody handles an exception any more."""
    forget = ctypes.pythonapi.PyErr_SetExcInfo

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return upstream.greenlet.switch(self, *args, **kwargs)
        finally:
            forget(None, None, None)

    subclass(names, switch=switch)


@breaks("state.generator.moved")
def current_of_frame(names: Names) -> None:
    """In a function that has asked before, the same greenlet is current as then."""
    found: dict[Any, Any] = {}

    def getcurrent() -> Any:
        return found.setdefault(sys._getframe(1), upstream.getcurrent())

    names["getcurrent"] = getcurrent


@breaks("state.thread")
def threads_of_their_own(names: Names) -> None:
    """What a greenlet runs has a thread of its own."""

    def around(run: Any, *args: Any, **kwargs: Any) -> Any:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(run, *args, **kwargs).result()

    run_within(names, around)


@breaks("state.context")
def contexts_mixed(names: Names) -> None:
    """What the one that goes on is handling becomes the context of what it gets."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        handling = sys.exc_info()[1]
        try:
            return upstream.greenlet.switch(self, *args, **kwargs)
        except BaseException as error:
            if error.__context__ is None and error is not handling:
                error.__context__ = handling
            raise

    subclass(names, switch=switch)


@breaks("state.context.thrown")
def thrown_in_handler(names: Names) -> None:
    """What the thrower is handling becomes the context of what it throws."""

    def throw(self: Any, *args: Any) -> Any:
        if args and isinstance(args[0], BaseException):
            args[0].__context__ = sys.exc_info()[1]
        return upstream.greenlet.throw(self, *args)

    subclass(names, throw=throw)


def deeper(levels: int, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls the function so many levels deeper."""
    if levels:
        return deeper(levels - 1, function, *args, **kwargs)
    return function(*args, **kwargs)


@breaks("state.recursion.own", "state.recursion.start", "inspect.frame.current")
def started_deeper(names: Names) -> None:
    """A greenlet starts at a depth of its own."""

    def init(self: Any, run: Any = None, parent: Any = None) -> None:
        upstream.greenlet.__init__(
            self, run and (lambda *args, **kwargs: deeper(100, run, *args, **kwargs)), parent
        )

    subclass(names, __init__=init)


@breaks("state.recursion.no-drift")
def depth_lost(names: Names) -> None:
    """Every end of a greenlet takes a level of depth from the thread."""

    def init(self: Any, *args: Any) -> None:
        upstream.greenlet.__init__(self, *args)
        sys.setrecursionlimit(max(sys.getrecursionlimit() - 1, 300))

    subclass(names, __init__=init)


@breaks("state.recursion.limit")
def limit_remembered(names: Names) -> None:
    """A greenlet has the recursion limit that was in force when it was made."""

    def init(self: Any, *args: Any) -> None:
        upstream.greenlet.__init__(self, *args)
        self.limit = sys.getrecursionlimit()

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        sys.setrecursionlimit(self.limit)
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, __init__=init, switch=switch)


@breaks("state.coroutine.bridge", "state.context.thrown")
def throw_sends(names: Names) -> None:
    """What is thrown at a suspended greenlet arrives as a value."""

    def throw(self: Any, *args: Any) -> Any:
        if self:
            return upstream.greenlet.switch(self, *args)
        return upstream.greenlet.throw(self, *args)

    subclass(names, throw=throw)


# --- interpreter life --------------------------------------------------------------------


@breaks("exit.no-cleanup")
def killed_at_exit(names: Names) -> None:
    """Suspended greenlets are killed when the program ends."""
    made: list[Any] = []

    def init(self: Any, *args: Any) -> None:
        upstream.greenlet.__init__(self, *args)
        made.append(weakref.ref(self))

    def kill_all() -> None:
        for reference in made:
            g = reference()
            if g:
                with contextlib.suppress(BaseException):
                    throw_as_child(g)

    atexit.register(kill_all)
    subclass(names, __init__=init)


@breaks("exit.clean")
def suspended_told_at_exit(names: Names) -> None:
    """The end of the program complains about suspended greenlets."""
    made: list[Any] = []

    def init(self: Any, *args: Any) -> None:
        upstream.greenlet.__init__(self, *args)
        made.append(weakref.ref(self))

    def tell() -> None:
        if any(reference() for reference in made):
            print("greenlets are suspended", file=sys.stderr)

    atexit.register(tell)
    subclass(names, __init__=init)


@breaks("exit.atexit")
def closed_at_exit(names: Names) -> None:
    """atexit ends the use of greenlets, as in 3.4."""
    closed: list[bool] = []
    atexit.register(closed.append, True)

    def getcurrent() -> Any:
        return None if closed else upstream.getcurrent()

    names["getcurrent"] = getcurrent


@breaks("exit.finalizing")
def current_while_finalizing(names: Names) -> None:
    """getcurrent answers None in the finalizing interpreter."""

    def getcurrent(call: Any = upstream.getcurrent) -> Any:
        try:
            return call()
        except RuntimeError:
            return None

    names["getcurrent"] = getcurrent


def run_within(names: Names, around: Callable[..., Any]) -> None:
    """Calls ``around(run, *args)`` where ``run(*args)`` would be called."""

    def init(self: Any, run: Any = None, parent: Any = None) -> None:
        def started(*args: Any, **kwargs: Any) -> Any:
            return around(run, *args, **kwargs)

        upstream.greenlet.__init__(self, run and started, parent)

    subclass(names, __init__=init)


@breaks("exit.system-exit")
def system_exit_at_once(names: Names) -> None:
    """SystemExit ends the program where it leaves its greenlet."""

    def around(run: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return run(*args, **kwargs)
        except SystemExit as error:
            sys.stdout.flush()
            os._exit(int(error.code or 0))

    run_within(names, around)


@breaks("exit.finalizing.methods")
def dead_while_finalizing(names: Names) -> None:
    """All greenlets are dead once the interpreter is finalizing."""
    own: Any = upstream.greenlet.dead

    def dead(self: Any, final: Any = sys.is_finalizing, get: Any = own.__get__) -> Any:
        return final() or get(self)

    subclass(names, dead=property(dead))


@breaks("exit.fork", "exit.fork.exit", "exit.fork.other-threads")
def only_in_first_process(names: Names) -> None:
    """Greenlets work in the process that has imported the module."""
    first = os.getpid()

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if os.getpid() != first:
            raise RuntimeError("another process")
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


@breaks("exit.signal", "exit.signal.exception")
def signals_blocked(names: Names) -> None:
    """Signals wait until the root runs again."""
    signals = [signal.SIGUSR1, signal.SIGALRM]

    def around(run: Any, *args: Any, **kwargs: Any) -> Any:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            return run(*args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    run_within(names, around)


@breaks("exit.signal", "exit.signal.away")
def handlers_in_greenlets(names: Names) -> None:
    """A signal handler has a greenlet of its own."""
    own = signal.signal

    def set_handler(number: int, handler: Any) -> Any:
        def in_greenlet(*args: Any) -> None:
            upstream.greenlet(handler).switch(*args)

        return own(number, in_greenlet if callable(handler) else handler)

    vars(signal)["signal"] = set_handler


@breaks("exit.import")
def main_thread_first(names: Names) -> None:
    """The module must be imported by the main thread."""
    if threading.current_thread() is not threading.main_thread():
        raise ImportError("import this in the main thread")


@breaks("exit.uncaught", "parent.traceback")
def traceback_lost(names: Names) -> None:
    """An exception loses its traceback on its way to the parent."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return upstream.greenlet.switch(self, *args, **kwargs)
        except BaseException as error:
            raise error.with_traceback(None) from None

    subclass(names, switch=switch)


@breaks("exit.threads")
def main_thread_last(names: Names) -> None:
    """When the main thread has ended, nobody switches any more."""

    def switch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not threading.main_thread().is_alive():
            raise RuntimeError("the main thread has ended")
        return upstream.greenlet.switch(self, *args, **kwargs)

    subclass(names, switch=switch)


# --- C API -------------------------------------------------------------------------------

SLOTS = (
    *("Type", "error", "GreenletExit", "New", "GetCurrent", "Throw", "Switch", "SetParent"),
    *("MAIN", "STARTED", "ACTIVE", "GET_PARENT"),
)
Table = ctypes.c_void_p * len(SLOTS)

_KEPT: list[Any] = []


def replace_slots(names: Names, name: bytes = b"greenlet._C_API", **slots: Any) -> None:
    """A capsule with a copy of upstream's table in which these slots differ."""
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
        ("PyCapsule_New", ctypes.pythonapi)
    )
    original = Table.from_address(get(upstream._C_API, b"greenlet._C_API"))  # type: ignore[attr-defined,unused-ignore]
    table = Table(*original)
    for slot, value in slots.items():
        if not isinstance(value, int):
            _KEPT.append(value)
            value = ctypes.cast(value, ctypes.c_void_p).value
        table[SLOTS.index(slot)] = value
    _KEPT.append((table, name))
    names["_C_API"] = new(ctypes.addressof(table), name, None)


def c_function(result: Any, count: int) -> Callable[[Callable[..., Any]], Any]:
    """Makes a C function that takes so many addresses of a Python function that takes objects."""

    def make(function: Callable[..., Any]) -> Any:
        def called(*addresses: Any) -> Any:
            objects = [
                ctypes.cast(address, ctypes.py_object).value if address else None
                for address in addresses
            ]
            answer = function(*objects)
            if result is ctypes.c_int or answer is None:
                return answer
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(answer))
            return id(answer)

        return ctypes.PYFUNCTYPE(result, *[ctypes.c_void_p] * count)(called)

    return make


to_object = ctypes.c_void_p
to_number = ctypes.c_int


@breaks("capi.capsule")
def capsule_renamed(names: Names) -> None:
    """The capsule has another name."""
    replace_slots(names, name=b"broken._C_API")


@breaks("capi.objects")
def exceptions_swapped(names: Names) -> None:
    """error and GreenletExit have changed places."""
    replace_slots(names, error=id(upstream.GreenletExit), GreenletExit=id(upstream.error))


@breaks("capi.layout")
def longer_layout(names: Names) -> None:
    """The object has one more field."""
    subclass(names, __slots__=("more",))


@breaks("capi.new")
def new_without_parent(names: Names) -> None:
    """New ignores the parent."""
    replace_slots(names, New=c_function(to_object, 2)(lambda run, parent: upstream.greenlet(run)))


@breaks("capi.current", "capi.callback")
def current_is_first(names: Names) -> None:
    """GetCurrent answers what was current when the module was imported."""
    first = upstream.getcurrent()
    replace_slots(names, GetCurrent=c_function(to_object, 0)(lambda: first))


@breaks("capi.current.finalizing")
def current_null(names: Names) -> None:
    """GetCurrent gives NULL without an exception when the interpreter finalizes."""

    def get_current(final: Any = sys.is_finalizing, call: Any = upstream.getcurrent) -> Any:
        return None if final() else call()

    replace_slots(names, GetCurrent=c_function(to_object, 0)(get_current))


@breaks("capi.kept")
def parent_kept(names: Names) -> None:
    """GET_PARENT loses a reference at each call."""

    def get_parent(g: Any) -> Any:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(g.parent))
        return g.parent

    replace_slots(names, GET_PARENT=c_function(to_object, 1)(get_parent))


@breaks("capi.switch")
def switch_without_keywords(names: Names) -> None:
    """Switch drops keywords."""

    def switch(g: Any, args: Any, kwargs: Any) -> Any:
        return g.switch(*(args or ()))

    replace_slots(names, Switch=c_function(to_object, 3)(switch))


@breaks("capi.throw")
def throw_without_value(names: Names) -> None:
    """Throw drops the value."""

    def throw(g: Any, kind: Any, value: Any, tb: Any) -> Any:
        return g.throw(kind)

    replace_slots(names, Throw=c_function(to_object, 4)(throw))


@breaks("capi.set-parent")
def set_parent_silent(names: Names) -> None:
    """SetParent answers 0 whatever happens."""

    def set_parent(g: Any, parent: Any) -> int:
        with contextlib.suppress(Exception):
            g.parent = parent
        return 0

    replace_slots(names, SetParent=c_function(to_number, 2)(set_parent))


@breaks("capi.get-parent", "capi.check")
def root_is_own_parent(names: Names) -> None:
    """GET_PARENT of a root is the root."""

    def get_parent(g: Any) -> Any:
        return getattr(g, "parent", None) or g

    replace_slots(names, GET_PARENT=c_function(to_object, 1)(get_parent))


@breaks("capi.state")
def not_started_when_dead(names: Names) -> None:
    """STARTED is 0 for the dead."""
    replace_slots(names, STARTED=c_function(to_number, 1)(bool))


@breaks("capi.state")
def main_of_own_thread(names: Names) -> None:
    """MAIN knows the root of its own thread only."""

    def is_main(g: Any) -> bool:
        current = upstream.getcurrent()
        while current.parent is not None:
            current = current.parent
        return g is current

    replace_slots(names, MAIN=c_function(to_number, 1)(is_main))


@breaks("capi.check")
def unchecked(names: Names) -> None:
    """ACTIVE takes any object."""
    replace_slots(names, ACTIVE=c_function(to_number, 1)(lambda g: bool(g)))


@breaks("capi.error", "capi.switch")
def errors_lost(names: Names) -> None:
    """Switch gives None where it should raise."""

    def switch(g: Any, args: Any, kwargs: Any) -> Any:
        with contextlib.suppress(BaseException):
            return g.switch(*(args or ()), **(kwargs if isinstance(kwargs, dict) else {}))
        return "failed"

    replace_slots(names, Switch=c_function(to_object, 3)(switch))
