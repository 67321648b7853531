"""The ways in which the model is broken, one class each.

``breaks`` names the clauses that must fail with it, each of them. It need not be all: a rule that
is broken often takes others with it.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from broken.model import GreenletExit, Model, error


class Intact(Model):
    """Nothing is broken."""


# --- arguments and results ---------------------------------------------------------------


class ListForSeveral(Model):
    """Several arguments arrive as a list."""

    breaks = ("args.several", "args.self", "args.each-its-own", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        single = super()._single(args, kwargs)
        return list(single) if type(single) is tuple and len(single) > 1 and not kwargs else single


class TupleForOne(Model):
    """One argument arrives as a tuple of one."""

    breaks = ("args.one", "args.result", "parent.result", "order.self")

    def _single(self, args: Any, kwargs: Any) -> Any:
        return args if not kwargs else super()._single(args, kwargs)


class NoneForNothing(Model):
    """Nothing arrives as None, as upstream's docstring has it."""

    breaks = ("args.none", "args.each-its-own", "dead.skip.self", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        single = super()._single(args, kwargs)
        return None if not args and not kwargs else single


class KeywordsLost(Model):
    """Keywords are lost if there are positional arguments."""

    breaks = ("args.both", "args.each-its-own", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        return super()._single(args, {} if args else kwargs)


class BothAsFlatTuple(Model):
    """Positional and keyword arguments arrive as one flat tuple with the dict at its end."""

    breaks = ("args.both", "args.self", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        if args and kwargs:
            return (*args, kwargs)
        return super()._single(args, kwargs)


class OneOfBothUnwrapped(Model):
    """A single positional argument beside keywords is not wrapped in a tuple."""

    breaks = ("args.both", "args.each-its-own")

    def _single(self, args: Any, kwargs: Any) -> Any:
        if len(args) == 1 and kwargs:
            return (args[0], kwargs)
        return super()._single(args, kwargs)


class EmptyDictKept(Model):
    """What arrives is always a pair, even if there are no keywords."""

    breaks = ("args.several", "args.empty-unpacking", "args.none", "args.one")

    def _single(self, args: Any, kwargs: Any) -> Any:
        return args, kwargs


class TupleUnpacked(Model):
    """A single tuple is taken for the arguments."""

    breaks = ("args.one", "args.start", "args.result", "parent.unstarted")

    def _sent(self, args: Any, kwargs: Any) -> Any:
        if len(args) == 1 and type(args[0]) is tuple and not kwargs:
            args = args[0]
        return ("value", args, kwargs)

    def _returned(self, result: Any) -> Any:
        return ("value", result if type(result) is tuple else (result,), {})


class ResultTupleUnpacked(Model):
    """A tuple that run returns is taken for several values."""

    breaks = ("args.result", "parent.unstarted")

    def _returned(self, result: Any) -> Any:
        return ("value", result if type(result) is tuple else (result,), {})


class NoneResultIsNothing(Model):
    """A run that returns None sends nothing."""

    breaks = ("args.result-none", "args.result", "parent.unstarted")

    def _returned(self, result: Any) -> Any:
        return ("value", () if result is None else (result,), {})


class ExceptionValueRaised(Model):
    """An exception that is sent as a value is raised."""

    breaks = ("args.exception-value", "parent.exit-value")

    def _single(self, args: Any, kwargs: Any) -> Any:
        single = super()._single(args, kwargs)
        if isinstance(single, Exception):
            raise single
        return single


class SelfSwitchNone(Model):
    """A switch to oneself returns None."""

    breaks = ("order.self", "args.self", "dead.skip.self")

    def _enter(self, packet: Any) -> Any:
        if self is self._current() and packet[0] == "value":
            return None
        return super()._enter(packet)


class SelfSwitchEmpty(Model):
    """A switch to oneself returns ()."""

    breaks = ("order.self", "args.self", "dead.skip.self")

    def _enter(self, packet: Any) -> Any:
        if self is self._current() and packet[0] == "value":
            return ()
        return super()._enter(packet)


class ValuesKept(Model):
    """What was sent last is kept."""

    breaks = ("args.not-kept",)

    def _sent(self, args: Any, kwargs: Any) -> Any:
        self._last = args, kwargs
        return ("value", args, kwargs)


class StartDropsArguments(Model):
    """run is called without keywords."""

    breaks = ("args.start-keywords", "dead.skip.unstarted-ancestor", "args.keyword-names")

    def _begin(self, run: Any) -> None:
        super()._begin(lambda *args, **kwargs: run(*args))


class SingleKeywordUnwrapped(Model):
    """A single keyword argument arrives as its value."""

    breaks = ("args.keywords",)

    def _single(self, args: Any, kwargs: Any) -> Any:
        if not args and len(kwargs) == 1:
            return next(iter(kwargs.values()))
        return super()._single(args, kwargs)


class OneDictForAll(Model):
    """All keyword arguments arrive in the same dict, which is filled anew."""

    breaks = ("args.own-dict",)
    shared: Any = {}  # noqa: RUF012

    def _single(self, args: Any, kwargs: Any) -> Any:
        if kwargs:
            self.shared.clear()
            self.shared.update(kwargs)
            kwargs = self.shared
        return super()._single(args, kwargs)


class BadCallInCaller(Model):
    """What cannot be called raises TypeError in the caller, and stays unstarted."""

    breaks = ("args.bad-call",)

    def _begin(self, run: Any) -> None:
        if not callable(run):
            raise TypeError(f"{type(run).__name__!r} object is not callable")
        super()._begin(run)


class ExtraArgumentsTaken(Model):
    """The constructor does not look at further arguments."""

    breaks = ("args.calls",)

    def __init__(self, run: Any = None, parent: Any = None, *_: Any, **__: Any) -> None:
        super().__init__(run, parent)


# --- the tree ----------------------------------------------------------------------------


class RunReadable(Model):
    """run can still be read after the start."""

    breaks = ("tree.run",)

    def __getattribute__(self, name: str) -> Any:
        if name == "run" and "kept" in self.__dict__:
            return self.kept
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_run":
            self.kept = value
        super().__setattr__(name, value)


class RunSettable(Model):
    """run can be set after the start."""

    breaks = ("tree.run-replaced",)

    def _check_run_settable(self) -> None:
        pass


class RunReadWhenMade(Model):
    """run is read when the greenlet is made, not at its start."""

    breaks = ("tree.run-replaced",)

    def _begin(self, run: Any) -> None:
        super()._begin(self._first_run)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_run" and not hasattr(self, "_first_run"):
            self._first_run = value
        super().__setattr__(name, value)


class MissingRunKills(Model):
    """A switch to a greenlet without run kills it."""

    breaks = ("tree.run-missing", "parent.unstartable")

    def _enter(self, packet: Any) -> Any:
        if self._state == "unstarted" and not hasattr(self, "run"):
            self._state = "dead"
            raise AttributeError("run")
        return super()._enter(packet)

    def _begin(self, run: Any) -> None:
        super()._begin(run)

    def _heir(self) -> Any:
        heir = self._living(self._parent)
        if heir._state == "unstarted" and not hasattr(heir, "run"):
            heir._state = "dead"
        return heir


class CyclesAllowed(Model):
    """Only a greenlet that is its own parent is refused."""

    breaks = ("tree.parent-cycle",)

    def _check_cycle(self, value: Any) -> None:
        if value is self:
            raise ValueError("cyclic parent chain")


class AnyParent(Model):
    """A wrong type of parent raises ValueError."""

    breaks = ("tree.parent-type",)

    def _check_parent(self, value: Any) -> None:
        if not isinstance(value, Model):
            raise ValueError("parent must be a greenlet")
        super()._check_parent(value)


class RootTakesParent(Model):
    """The root's parent can be set."""

    breaks = ("tree.root-fixed",)

    def _check_parent(self, value: Any) -> None:
        pass


class RootForAllThreads(Model):
    """All threads see the same root."""

    breaks = ("tree.root-per-thread",)
    shared: Any = None

    @classmethod
    def _make_root(cls) -> Any:
        if RootForAllThreads.shared is None:
            RootForAllThreads.shared = super()._make_root()
        return RootForAllThreads.shared


class ParentIsRoot(Model):
    """A new greenlet's parent is the root, whoever makes it."""

    breaks = ("tree.default-parent", "tree.none-parent", "parent.chain", "parent.exception")

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        self._current()
        chosen = self.world.root if parent is None else parent
        super().__init__(run, chosen)


class ParentIsStarter(Model):
    """The parent becomes the greenlet that starts it."""

    breaks = ("tree.default-parent", "order.starter", "parent.not-the-switcher")

    def _begin(self, run: Any) -> None:
        super()._begin(run)
        current = self._current()
        if current._state != "dead":
            self._parent = current


class UnstartedIsTrue(Model):
    """An unstarted greenlet is true."""

    breaks = ("tree.states", "tree.new-is-idle", "throw.check.untouched")

    def __bool__(self) -> bool:
        return self._state != "dead"


class DeadIsTrue(Model):
    """A dead greenlet is true."""

    breaks = ("tree.states", "dead.stays", "dead.while-ending")

    def __bool__(self) -> bool:
        return self._state != "unstarted"


class UnstartedIsDead(Model):
    """An unstarted greenlet says that it is dead."""

    breaks = ("tree.states", "tree.new-is-idle")

    @property
    def dead(self) -> bool:
        return self._state != "active"


class StartsWhenMade(Model):
    """Making a greenlet starts it."""

    breaks = ("tree.new-is-idle", "order.start")

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        super().__init__(run, parent)
        if callable(run):
            self.switch()


class NoTracing(Model):
    """The module has no settrace and no gettrace."""

    breaks = ("tree.trace-names", "order.trace", "throw.trace", "thread.trace-own")
    lacks = ("settrace", "gettrace")


class RootIsInactive(Model):
    """The root is false."""

    breaks = ("tree.root",)

    def __bool__(self) -> bool:
        return super().__bool__() and self._parent is not None


class DeadParentReplaced(Model):
    """A dead greenlet that is given as the parent is passed over for its own parent."""

    breaks = ("tree.given-parent",)

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        super().__init__(run, self._living(parent) if isinstance(parent, Model) else parent)


class GivenRunFirst(Model):
    """A run that is given to the constructor hides that of the class."""

    breaks = ("tree.subclass", "life.subclass")

    def _begin(self, run: Any) -> None:
        super()._begin(self.__dict__.get("_run", run))


class DeadCannotMove(Model):
    """The parent of the dead is fixed."""

    breaks = ("tree.reparent", "dead.skip.reparented", "dead.any-death")

    def _check_parent(self, value: Any) -> None:
        super()._check_parent(value)
        if self._state == "dead":
            raise ValueError("it is dead")


# --- order -------------------------------------------------------------------------------


class DeferredSwitch(Model):
    """A switch to an unstarted greenlet starts it, but comes back before its first step."""

    breaks = ("order.example", "order.immediate", "order.start", "args.start")

    def _enter(self, packet: Any) -> Any:
        if self._state == "unstarted" and packet[0] == "value":
            run = self.run
            first = packet

            def later() -> Any:
                return run(*first[1], **first[2])

            self._run = later
            self._deferred = getattr(self, "_deferred", 0) + 1
            if self._deferred == 1:
                return ()
            packet = ("value", (), {})
        return super()._enter(packet)


class ReturnsToSwitcher(Model):
    """An end leads to the greenlet that switched last, as a call would."""

    breaks = ("parent.not-the-switcher", "order.starter", "parent.waiting-elsewhere")

    def _arrived(self, origin: Any, packet: Any) -> Any:
        self._last_origin = origin
        return super()._arrived(origin, packet)

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        self._last_origin = origin
        return super()._outcome(run, origin, packet)

    def _heir(self) -> Any:
        return self._last_origin if self._last_origin._state == "active" else self._parent


class RestartsEachTime(Model):
    """A dead greenlet is started again."""

    breaks = ("dead.stays", "dead.skip.parent", "dead.skip.chain", "dead.skip.root")

    def _begin(self, run: Any) -> None:
        super()._begin(run)
        self._again = run

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._state == "dead" and hasattr(self, "_again"):
            self._state = "unstarted"
            self._run = self._again
        return super().switch(*args, **kwargs)


class TraceInOrigin(Model):
    """The trace function is called in the origin."""

    breaks = ("order.trace", "throw.trace")

    def _enter(self, packet: Any) -> Any:
        me = self._current()
        if self is not me:
            super()._trace(me, packet)
        return super()._enter(packet)

    def _trace(self, origin: Any, packet: Any) -> None:
        pass


class TraceNamesTheDead(Model):
    """The trace function is told the greenlet that was named."""

    breaks = ("order.trace-target", "dead.throw.trace")
    named: Any = None

    def _transfer(self, packet: Any) -> Any:
        type(self).named = self
        return super()._transfer(packet)

    def _trace(self, origin: Any, packet: Any) -> None:
        tracer = self.world.tracer
        if tracer is not None:
            target = type(self).named if type(self).named is not origin else self
            event = "switch" if packet[0] == "value" else "throw"
            tracer(event, (origin, target))


class TracerKeptOnError(Model):
    """A trace function that raises stays."""

    breaks = ("order.trace-error",)

    def _trace(self, origin: Any, packet: Any) -> None:
        tracer = self.world.tracer
        if tracer is not None:
            tracer("switch" if packet[0] == "value" else "throw", (origin, self))


class ThrowTracedAsSwitch(Model):
    """A throw is traced as a switch."""

    breaks = ("throw.trace", "dead.throw.trace")

    def _trace(self, origin: Any, packet: Any) -> None:
        tracer = self.world.tracer
        if tracer is not None:
            tracer("switch", (origin, self))


class LookingStarts(Model):
    """To ask for the frame of an unstarted greenlet starts it."""

    breaks = ("order.only",)

    @property
    def gr_frame(self) -> None:  # type: ignore[override]
        if self._state == "unstarted":
            self.switch()


class SwitchesNest(Model):
    """A switch is a call, so that a greenlet can make a thousand of them."""

    breaks = ("order.interleave",)

    def _enter(self, packet: Any) -> Any:
        me: Any = self._current()
        me._switches = me.__dict__.get("_switches", 0) + 1
        if me._switches > 1000:
            raise RecursionError("too many switches")
        return super()._enter(packet)


class AtMostForty(Model):
    """No more than forty greenlets can be active at a time."""

    breaks = ("order.ring",)
    active = 0

    def _begin(self, run: Any) -> None:
        if AtMostForty.active == 40:
            raise MemoryError
        AtMostForty.active += 1
        super()._begin(run)

    def _heir(self) -> Any:
        AtMostForty.active -= 1
        return super()._heir()


class DepthShared(Model):
    """Each greenlet that has started takes a part of the depth that is left for all."""

    breaks = ("order.recursion",)

    def _begin(self, run: Any) -> None:
        super()._begin(run)
        sys.setrecursionlimit(sys.getrecursionlimit() - 200)

    def _heir(self) -> Any:
        sys.setrecursionlimit(sys.getrecursionlimit() + 200)
        return super()._heir()


class LeftIsEnded(Model):
    """Who switches to the root is told to exit, as if nobody could come back."""

    breaks = ("order.no-unwinding", "order.resume", "order.root", "order.who-comes-back")

    def _arrived(self, origin: Any, packet: Any) -> Any:
        if self._parent is None and packet[0] == "value" and origin._state == "active":
            origin.throw()
        return super()._arrived(origin, packet)


class OnlyTheAskedAnswers(Model):
    """Who has switched to a greenlet can be switched to by that one only, or by the root."""

    breaks = ("order.who-comes-back",)

    def _enter(self, packet: Any) -> Any:
        me: Any = self._current()
        asked = self.__dict__.get("_asked", me)
        if asked not in (me, self.world.root) and me is not self.world.root:
            raise error("it waits for somebody else")
        me._asked = self
        return super()._enter(packet)


class RootForItsChildrenOnly(Model):
    """Only children of the root can switch to it."""

    breaks = ("order.root", "throw.root")

    def _enter(self, packet: Any) -> Any:
        if self is self.world.root and self._current()._parent not in (self, None):
            raise error("the root is no parent of this greenlet")
        return super()._enter(packet)


class LeftByFirstFunction(Model):
    """A greenlet can be left by the function that it runs only, as a generator can."""

    breaks = (
        *("order.depth", "order.c-frames", "order.generators", "state.coroutine", "state.with"),
        *("state.generator.busy", "state.generator.close"),
    )

    def _enter(self, packet: Any) -> Any:
        frame: Any = sys._getframe()
        while _is_ours(frame):
            frame = frame.f_back
        if self._current() is not self.world.root and not _is_ours(frame.f_back):
            raise error("this is not the function that the greenlet runs")
        return super()._enter(packet)


def _is_ours(frame: Any) -> bool:
    return str(frame.f_globals["__name__"]).startswith("broken.")


class PassingLost(Model):
    """An exception is lost if the greenlet is left while it handles one."""

    breaks = ("state.passing", "throw.finally", "state.with")

    def _enter(self, packet: Any) -> Any:
        if sys.exc_info()[1] is not None:
            self._current()._left = True  # type: ignore[attr-defined]
        return super()._enter(packet)

    def _died(self, exception: Any) -> Any:
        if hasattr(self, "_left"):
            return self._returned(None)
        return super()._died(exception)


# --- the dead ----------------------------------------------------------------------------


class DeadRaises(Model):
    """A switch to a dead greenlet raises error."""

    breaks = ("dead.skip.parent", "dead.skip.self", "dead.skip.chain", "dead.skip.root")

    def _transfer(self, packet: Any) -> Any:
        if self._state == "dead":
            raise error("cannot switch to a dead greenlet")
        return super()._transfer(packet)


class DeadReturns(Model):
    """A switch to a dead greenlet returns its arguments at once."""

    breaks = ("dead.skip.parent", "dead.skip.chain", "dead.skip.root", "dead.skip.reparented")

    def _transfer(self, packet: Any) -> Any:
        if self._state == "dead":
            return self._received(packet)
        return super()._transfer(packet)


class SkipsOneLevel(Model):
    """Only one dead greenlet is skipped; a second one returns the arguments."""

    breaks = ("dead.skip.chain", "dead.skip.nearest", "dead.skip.reparented")

    def _transfer(self, packet: Any) -> Any:
        target: Any = self
        if target._state == "dead":
            target = target._parent
        if target._state == "dead":
            return self._received(packet)
        return target._enter(packet)


class SkipsToRoot(Model):
    """A switch to a dead greenlet goes to the root."""

    breaks = ("dead.skip.parent", "dead.skip.chain", "dead.skip.nearest")

    def _living(self, g: Any) -> Any:
        return g if g._state != "dead" else self.world.root


class SkipsUnstarted(Model):
    """Unstarted ancestors are skipped like dead ones."""

    breaks = ("dead.skip.unstarted-ancestor", "dead.parent.unstarted-beyond")

    def _living(self, g: Any) -> Any:
        while g._state == "dead" or (g is not self and g._state == "unstarted"):
            g = g._parent
        return g


class SkipDecidedAtDeath(Model):
    """Who receives for a dead greenlet is fixed when it dies."""

    breaks = ("dead.skip.at-switch", "dead.skip.reparented")

    def _transfer(self, packet: Any) -> Any:
        target: Any = self
        while target._state == "dead":
            target = getattr(target, "_fixed", target._parent)
        return target._enter(packet)

    def _heir(self) -> Any:
        self._fixed = self._living(self._parent)
        return self._fixed


class DeadThrowRaisesExit(Model):
    """GreenletExit thrown at the dead is raised in the ancestor."""

    breaks = ("dead.throw.exit",)

    def _thrown(self, exception: Any) -> Any:
        return ("error", exception)


class DeadThrowInCaller(Model):
    """An exception thrown at the dead is raised in the thrower."""

    breaks = ("dead.throw.ancestor", "dead.throw.unstarted-ancestor")

    def throw(self, /, *args: Any) -> Any:
        if self._state == "dead":
            exception = self._made_exception(*args)
            if not isinstance(exception, GreenletExit):
                raise exception
        return super().throw(*args)


class DeadBeforeTheEnd(Model):
    """An end is not dead yet when the parent is started by it."""

    breaks = ("dead.while-ending",)

    def _begin(self, run: Any) -> None:
        dying = self._current()
        if dying._state == "dead":

            def late(*args: Any, **kwargs: Any) -> Any:
                dying._state = "active"
                try:
                    return run(*args, **kwargs)
                finally:
                    dying._state = "dead"

            super()._begin(late)
        else:
            super()._begin(run)


class DeadForgetsParent(Model):
    """A dead greenlet hangs below the root."""

    breaks = ("dead.keeps-parent",)

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        packet = super()._outcome(run, origin, packet)
        self._last_parent, self._parent = self._parent, self.world.root
        return packet

    def _heir(self) -> Any:
        return self._last_parent


class UnstartableSkipped(Model):
    """An ancestor without run is skipped."""

    breaks = ("dead.skip.unstartable",)

    def _living(self, g: Any) -> Any:
        while g._state == "dead" or (
            g is not self and g._state == "unstarted" and not hasattr(g, "run")
        ):
            g = g._parent
        return g


class UnstartedUnderDeadSkipped(Model):
    """An unstarted greenlet whose parent is dead is skipped, too."""

    breaks = ("dead.skip.unstarted-target",)

    def _living(self, g: Any) -> Any:
        while g._state == "dead" or (g._state == "unstarted" and g._parent._state == "dead"):
            g = g._parent
        return g


class FirstWayKept(Model):
    """Where the first switch to a dead greenlet led, later ones lead, too."""

    breaks = ("dead.skip.each-time",)

    def _transfer(self, packet: Any) -> Any:
        if self._state != "dead":
            return super()._transfer(packet)
        if "_way" not in self.__dict__:
            self._way = self._living(self)
        if self._way._state == "dead":
            return self._received(packet)
        return self._way._enter(packet)


class KilledUnstartedRefuses(Model):
    """Who was killed before it ran cannot be switched to."""

    breaks = ("dead.any-death",)

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        self._never_ran = packet[0] == "error"
        return super()._outcome(run, origin, packet)

    def _transfer(self, packet: Any) -> Any:
        if self._state == "dead" and self._never_ran:
            raise error("it has never run")
        return super()._transfer(packet)


# --- parents -----------------------------------------------------------------------------


class ParentAtStart(Model):
    """The parent at the start counts, not the one at the end."""

    breaks = ("parent.at-death", "parent.last-change", "parent.adopted")

    def _begin(self, run: Any) -> None:
        super()._begin(run)
        self._first_parent = self._parent

    def _heir(self) -> Any:
        return self._first_parent


class EndsInRoot(Model):
    """Every end leads to the root."""

    breaks = ("parent.result", "parent.chain", "parent.unstarted", "dead.parent.skipped")

    def _heir(self) -> Any:
        return self.world.root


class ExceptionsInRoot(Model):
    """Exceptions go to the root, past the parent."""

    breaks = ("parent.exception", "parent.exception-not-root", "parent.exception-climbs")

    def _died(self, exception: Any) -> Any:
        packet = super()._died(exception)
        self._failed = packet[0] == "error"
        return packet

    def _heir(self) -> Any:
        return self.world.root if getattr(self, "_failed", False) else self._parent


class ExceptionsCopied(Model):
    """A copy of the exception is raised in the parent."""

    breaks = ("parent.exception", "parent.base-exceptions", "parent.traceback", "throw.uncaught")

    def _died(self, exception: Any) -> Any:
        if isinstance(exception, GreenletExit):
            return ("value", (exception,), {})
        return ("error", type(exception)(*exception.args))


class TracebackLost(Model):
    """The traceback is lost on the way."""

    breaks = ("parent.traceback", "throw.traceback")

    def _received(self, packet: Any) -> Any:
        if packet[0] == "error":
            packet = ("error", packet[1].with_traceback(None))
        return super()._received(packet)


class ExitRaised(Model):
    """GreenletExit is raised in the parent."""

    breaks = (
        "parent.exit-returned",
        "parent.exit-subclass",
        "throw.default",
        "throw.unstarted-exit",
    )

    def _died(self, exception: Any) -> Any:
        return ("error", exception)


class ExitReturnsNone(Model):
    """GreenletExit makes the parent receive None."""

    breaks = ("parent.exit-returned", "parent.exit-subclass", "throw.default")

    def _died(self, exception: Any) -> Any:
        if isinstance(exception, GreenletExit):
            return ("value", (None,), {})
        return ("error", exception)


class ExitExactly(Model):
    """Subclasses of GreenletExit are raised."""

    breaks = ("parent.exit-subclass", "throw.unstarted-exit")

    def _died(self, exception: Any) -> Any:
        if type(exception) is GreenletExit:
            return ("value", (exception,), {})
        return ("error", exception)


class ExceptionReturned(Model):
    """Every exception is returned to the parent as a value."""

    breaks = ("parent.exception", "parent.exception-unstarted", "throw.uncaught")

    def _died(self, exception: Any) -> Any:
        return ("value", (exception,), {})


class SystemExitSwallowed(Model):
    """SystemExit and KeyboardInterrupt are treated like GreenletExit."""

    breaks = ("parent.base-exceptions",)

    def _died(self, exception: Any) -> Any:
        if isinstance(exception, (SystemExit, KeyboardInterrupt, GreenletExit)):
            return ("value", (exception,), {})
        return ("error", exception)


class UnstartedParentRunsOnException(Model):
    """An unstarted parent is started with the exception as argument."""

    breaks = (
        "parent.exception-unstarted",
        "throw.unstarted-chain",
        "dead.throw.unstarted-ancestor",
    )

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        if packet[0] == "error" and origin._state == "dead":
            packet = ("value", (packet[1],), {})
        return super()._outcome(run, origin, packet)

    def _transfer(self, packet: Any) -> Any:
        target = self._living(self)
        if target is not self and target._state == "unstarted" and packet[0] == "error":
            packet = ("value", (packet[1],), {})
        return target._enter(packet)


class EndsInSwitcher(Model):
    """The end of a child of the root leads to the greenlet that switched to it last."""

    breaks = ("parent.root-goes-on", "parent.not-the-switcher")

    def _enter(self, packet: Any) -> Any:
        self._switcher = self._current()
        return super()._enter(packet)

    def _heir(self) -> Any:
        return self._switcher if self._parent is self.world.root else self._parent


# --- throw -------------------------------------------------------------------------------


class ThrowRunsUnstarted(Model):
    """A throw at an unstarted greenlet runs it first."""

    breaks = ("throw.unstarted", "throw.unstarted-exit", "throw.unstarted-chain")

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        if packet[0] == "error":
            try:
                run()
            except BaseException as exception:
                return self._died(exception)
        return super()._outcome(run, origin, packet)


class ThrowUnchecked(Model):
    """throw does not look at its arguments."""

    breaks = ("throw.check.type", "throw.check.value", "throw.check.traceback")

    def _check_thrown(self, kind: Any, value: Any, tb: Any) -> None:
        pass

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        return kind if isinstance(kind, BaseException) else RuntimeError(kind, value)


class ThrowCheckedInTarget(Model):
    """Wrong arguments of throw raise TypeError in the target."""

    breaks = ("throw.check.type", "throw.check.untouched")

    def throw(self, /, *args: Any) -> Any:
        try:
            return super().throw(*args)
        except TypeError as failure:
            if self._state == "active" and self is not self._current():
                return self._transfer(("error", failure))
            raise


class ThrowIgnoresTraceback(Model):
    """The third argument of throw is dropped."""

    breaks = ("throw.traceback",)

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        self._check_thrown(kind, value, tb)
        return super()._made_exception(kind, value)


class ThrowInstantiates(Model):
    """throw makes a new exception even from an instance."""

    breaks = ("throw.instance", "throw.value", "throw.self", "throw.uncaught")

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        made = super()._made_exception(kind, value, tb)
        return type(made)(*made.args).with_traceback(tb)


class ThrowValueNotUnpacked(Model):
    """A tuple of values becomes one argument."""

    breaks = ("throw.value",)

    def _instantiate(self, kind: Any, value: Any) -> Any:
        if isinstance(value, tuple):
            value = (value,)
        return super()._instantiate(kind, value)


class ThrowConstructorInCaller(Model):
    """An exception that cannot be made is raised in the caller."""

    breaks = ("throw.constructor-error",)

    def _instantiate(self, kind: Any, value: Any) -> Any:
        made = super()._instantiate(kind, value)
        if not isinstance(made, kind):
            raise made
        return made


class ThrowDefaultsToKeyError(Model):
    """throw without arguments throws something else."""

    breaks = ("throw.default", "dead.throw.exit")

    def _made_exception(self, kind: Any = KeyError, value: Any = None, tb: Any = None) -> Any:
        return super()._made_exception(kind, value, tb)


class ThrowGoesToThrower(Model):
    """What a thrown-at greenlet does not catch is raised in the thrower."""

    breaks = ("throw.uncaught", "throw.default", "throw.unstarted")

    def _transfer(self, packet: Any) -> Any:
        if packet[0] == "error" and self._state in ("active", "unstarted"):
            self._parent = self._parent and self._current()
        return super()._transfer(packet)


class SelfThrowIgnored(Model):
    """A throw at oneself does nothing."""

    breaks = ("throw.self",)

    def _enter(self, packet: Any) -> Any:
        if self is self._current() and packet[0] == "error":
            return ()
        return super()._enter(packet)


class ThrowReturnsNothing(Model):
    """throw returns None, whatever is sent to the thrower."""

    breaks = ("throw.returns", "order.resume", "parent.throw-returns", "throw.suspended")

    def throw(self, /, *args: Any) -> Any:
        super().throw(*args)


class ThrowWaits(Model):
    """What is thrown at a suspended greenlet is raised when somebody switches to it."""

    breaks = ("throw.immediate", "throw.suspended", "throw.finally", "throw.root")

    def _transfer(self, packet: Any) -> Any:
        if packet[0] == "error" and self._state == "active" and self is not self._current():
            self._waiting = packet
            return ()
        return super()._transfer(self.__dict__.pop("_waiting", packet))


class RootNotThrownAt(Model):
    """What is thrown at the root is raised in the thrower."""

    breaks = ("throw.root",)

    def _enter(self, packet: Any) -> Any:
        me = self._current()
        if packet[0] == "error" and self is self.world.root and me._state == "active":
            return me._received(packet)
        return super()._enter(packet)


class ClassTakesNone(Model):
    """A class is called with None where no value is given."""

    breaks = ("throw.class",)

    def _instantiate(self, kind: Any, value: Any) -> Any:
        return kind(None) if value is None else super()._instantiate(kind, value)


class AnyInstanceThrown(Model):
    """A value that is an exception is thrown, whatever its class."""

    breaks = ("throw.value-foreign-instance",)

    def _instantiate(self, kind: Any, value: Any) -> Any:
        return value if isinstance(value, BaseException) else super()._instantiate(kind, value)


class ExitInsists(Model):
    """Who was told to exit leaves the GreenletExit, whatever it returns."""

    breaks = ("throw.exit-caught",)

    def _received(self, packet: Any) -> Any:
        if packet[0] == "error" and isinstance(packet[1], GreenletExit):
            self._current()._told = packet[1]  # type: ignore[attr-defined]
        return super()._received(packet)

    def _returned(self, result: Any) -> Any:
        return super()._returned(self.__dict__.get("_told", result))


class ThrowTakesMore(Model):
    """throw does not look at further arguments."""

    breaks = ("throw.check.count",)

    def throw(self, /, *args: Any, **_: Any) -> Any:
        return super().throw(*args[:3])


class RunlessDiesQuietly(Model):
    """A throw at an unstarted greenlet without run does nothing."""

    breaks = ("throw.unstarted-no-run",)

    def throw(self, /, *args: Any) -> Any:
        if self._state == "unstarted" and not hasattr(self, "run"):
            return None
        return super().throw(*args)


# --- threads -----------------------------------------------------------------------------


class CrossThreadRuntimeError(Model):
    """A switch to another thread raises RuntimeError."""

    breaks = ("thread.error", "thread.error.throw", "thread.error.root", "thread.exited.suspended")

    def _check_thread(self) -> None:
        try:
            super()._check_thread()
        except error as refused:
            raise RuntimeError(str(refused)) from None


class CrossThreadIgnored(Model):
    """A switch to another thread does nothing."""

    breaks = ("thread.error", "thread.error.arguments", "thread.error.unstarted")

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().switch(*args, **kwargs)
        except error:
            return ()


class CrossThreadKills(Model):
    """A refused switch kills the target."""

    breaks = ("thread.error", "thread.untouched.suspended", "thread.untouched.unstarted")

    def _check_thread(self) -> None:
        try:
            super()._check_thread()
        except error:
            if self._parent is not None:
                self._state = "dead"
            raise


class CrossThreadKeepsArguments(Model):
    """What a refused switch sent is received at the next one."""

    breaks = ("thread.untouched.suspended", "thread.untouched.unstarted", "thread.values-not-kept")

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        pending = self.__dict__.pop("_pending", None)
        try:
            self._check_thread()
        except error:
            self._pending = pending or (args, kwargs)
            raise
        args, kwargs = pending or (args, kwargs)
        return super().switch(*args, **kwargs)


class CrossThreadKeepsException(Model):
    """What a refused throw brought is raised at the next switch."""

    breaks = ("thread.untouched.suspended", "thread.values-not-kept")

    def throw(self, /, *args: Any) -> Any:
        try:
            return super().throw(*args)
        except error:
            self._pending = self._made_exception(*args)
            raise

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        self._check_thread()
        pending = self.__dict__.pop("_pending", None)
        if pending is not None:
            return super().throw(pending)
        return super().switch(*args, **kwargs)


class CrossThreadThrowRaises(Model):
    """A throw at another thread's greenlet raises the exception in the caller."""

    breaks = ("thread.error.throw", "thread.error.root")

    def throw(self, /, *args: Any) -> Any:
        exception = self._made_exception(*args)
        try:
            self._check_thread()
        except error:
            raise exception from None
        return super().throw(*args)


class ForeignDeadReturns(Model):
    """A dead greenlet of another thread returns the arguments."""

    breaks = ("thread.error.dead", "thread.exited.dead")

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        self._current()
        if self._state == "dead" and self._root is not self.world.root:
            return self._single(args, kwargs)
        return super().switch(*args, **kwargs)


class ForeignUnstartedStarts(Model):
    """An unstarted greenlet can be started in any thread."""

    breaks = ("thread.error.unstarted", "thread.foreign-parent", "thread.unstarted-chain")

    def _check_thread(self) -> None:
        if self._state != "unstarted":
            super()._check_thread()


class UnstartedBelongsToMaker(Model):
    """An unstarted greenlet belongs to the thread that made it, whatever its parent."""

    breaks = ("thread.foreign-parent", "thread.adopt-unstarted")

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        super().__init__(run, parent)
        self._current()
        self._maker = self.world.root

    def _root_of_lineage(self) -> Any:
        return self._root or self._maker


class ReparentAcrossThreads(Model):
    """A started greenlet may get a parent in another thread."""

    breaks = ("thread.reparent-started",)

    def _check_parent_thread(self, value: Any) -> None:
        pass


class UnstartedKeepsThread(Model):
    """No greenlet may get a parent in another thread."""

    breaks = ("thread.foreign-parent", "thread.adopt-unstarted", "thread.exited.unstarted")

    def _check_parent_thread(self, value: Any) -> None:
        if self._root_of_lineage() is not value._root_of_lineage():
            raise ValueError("parent cannot be on a different thread")


class ErrorInRoot(Model):
    """The error of a refused switch is raised in the root."""

    breaks = ("thread.error.in-greenlet",)

    def _check_thread(self) -> None:
        try:
            super()._check_thread()
        except error as refused:
            root: Any = self.world.root
            if self._current() is root:
                raise
            root._enter(("error", refused))


class RunningElsewhereIgnored(Model):
    """A switch to a greenlet that runs in another thread does nothing."""

    breaks = ("thread.error.running",)

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        raw = self._raw
        if raw and raw.gr_frame is None and raw.parent and self is not self._current():
            return None
        return super().switch(*args, **kwargs)


class RefusedLosesPlace(Model):
    """After a refused switch the root is taken for the current greenlet."""

    breaks = ("thread.untouched.caller", "thread.error.in-greenlet")

    def _check_thread(self) -> None:
        try:
            super()._check_thread()
        except error:
            self.world.current = self.world.root
            raise


class RefusedMoves(Model):
    """A refused switch moves the target below its root."""

    breaks = ("thread.untouched.parents",)

    def _check_thread(self) -> None:
        try:
            super()._check_thread()
        except error:
            if self._parent is not None and self._state == "active":
                self._parent = self._root_of_lineage()
            raise


class RefusedTooOften(Model):
    """The thousandth refused switch is refused in another way."""

    breaks = ("thread.untouched.many",)
    refused = 0

    def _check_thread(self) -> None:
        try:
            super()._check_thread()
        except error:
            RefusedTooOften.refused += 1
            if RefusedTooOften.refused >= 1000:
                raise RuntimeError("this was once too often") from None
            raise


class ResultsOfMainThread(Model):
    """What greenlets of other threads than the main one return is lost."""

    breaks = ("thread.independent",)

    def _returned(self, result: Any) -> Any:
        is_main = threading.current_thread() is threading.main_thread()
        return super()._returned(result if is_main else None)


class ExitedRootReturns(Model):
    """A switch to the root of an exited thread returns its arguments at once."""

    breaks = ("thread.exited.root",)

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._root is self and self.dead:
            return self._single(args, kwargs)
        return super().switch(*args, **kwargs)


class RootsNeverDie(Model):
    """The root of an exited thread is not dead."""

    breaks = ("thread.exited.root-dead",)

    @property
    def dead(self) -> bool:
        return self._state == "dead"
