"""The ways in which the model is broken, one class each.

``breaks`` names the clauses that must fail with it, each of them. It need not be all: a rule that
is broken often takes others with it.
"""

from __future__ import annotations

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
