"""The ways in which the model is broken, one class each.

``breaks`` names the clauses that must fail with it, each of them. It need not be all: a rule that
is broken often takes others with it.
"""

from __future__ import annotations

from typing import Any

import greenlet as upstream

from broken.model import GreenletExit, Model, error


class Intact:
    """Nothing is broken."""

    breaks: tuple[str, ...] = ()


# --- arguments and results ---------------------------------------------------------------


class ListForSeveral:
    """Several arguments arrive as a list."""

    breaks = ("args.several", "args.self", "args.each-its-own", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        single = Model._single(self, args, kwargs)  # type: ignore[arg-type]
        return list(single) if type(single) is tuple and len(single) > 1 and not kwargs else single


class TupleForOne:
    """One argument arrives as a tuple of one."""

    breaks = ("args.one", "args.result", "parent.result", "order.self")

    def _single(self, args: Any, kwargs: Any) -> Any:
        return args if not kwargs else Model._single(self, args, kwargs)  # type: ignore[arg-type]


class NoneForNothing:
    """Nothing arrives as None, as upstream's docstring has it."""

    breaks = ("args.none", "args.each-its-own", "dead.skip.self", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        single = Model._single(self, args, kwargs)  # type: ignore[arg-type]
        return None if not args and not kwargs else single


class KeywordsLost:
    """Keywords are lost if there are positional arguments."""

    breaks = ("args.both", "args.each-its-own", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        return Model._single(self, args, {} if args else kwargs)  # type: ignore[arg-type]


class BothAsFlatTuple:
    """Positional and keyword arguments arrive as one flat tuple with the dict at its end."""

    breaks = ("args.both", "args.self", "dead.skip.values")

    def _single(self, args: Any, kwargs: Any) -> Any:
        if args and kwargs:
            return (*args, kwargs)
        return Model._single(self, args, kwargs)  # type: ignore[arg-type]


class OneOfBothUnwrapped:
    """A single positional argument beside keywords is not wrapped in a tuple."""

    breaks = ("args.both", "args.each-its-own")

    def _single(self, args: Any, kwargs: Any) -> Any:
        if len(args) == 1 and kwargs:
            return (args[0], kwargs)
        return Model._single(self, args, kwargs)  # type: ignore[arg-type]


class EmptyDictKept:
    """What arrives is always a pair, even if there are no keywords."""

    breaks = ("args.several", "args.empty-unpacking", "args.none", "args.one")

    def _single(self, args: Any, kwargs: Any) -> Any:
        return args, kwargs


class TupleUnpacked:
    """A single tuple is taken for the arguments."""

    breaks = ("args.one", "args.start", "args.result", "parent.unstarted")

    def _sent(self, args: Any, kwargs: Any) -> Any:
        if len(args) == 1 and type(args[0]) is tuple and not kwargs:
            args = args[0]
        return ("value", args, kwargs)

    def _returned(self, result: Any) -> Any:
        return ("value", result if type(result) is tuple else (result,), {})


class ResultTupleUnpacked:
    """A tuple that run returns is taken for several values."""

    breaks = ("args.result", "parent.unstarted")

    def _returned(self, result: Any) -> Any:
        return ("value", result if type(result) is tuple else (result,), {})


class NoneResultIsNothing:
    """A run that returns None sends nothing."""

    breaks = ("args.result-none", "args.result", "parent.unstarted")

    def _returned(self, result: Any) -> Any:
        return ("value", () if result is None else (result,), {})


class ExceptionValueRaised:
    """An exception that is sent as a value is raised."""

    breaks = ("args.exception-value", "parent.exit-value")

    def _single(self, args: Any, kwargs: Any) -> Any:
        single = Model._single(self, args, kwargs)  # type: ignore[arg-type]
        if isinstance(single, Exception):
            raise single
        return single


class SelfSwitchNone:
    """A switch to oneself returns None."""

    breaks = ("order.self", "args.self", "dead.skip.self")

    def _enter(self, packet: Any) -> Any:
        if self is self._current() and packet[0] == "value":  # type: ignore[attr-defined]
            return None
        return Model._enter(self, packet)  # type: ignore[arg-type]


class SelfSwitchEmpty(SelfSwitchNone):
    """A switch to oneself returns ()."""

    def _enter(self, packet: Any) -> Any:
        if self is self._current() and packet[0] == "value":  # type: ignore[attr-defined]
            return ()
        return Model._enter(self, packet)  # type: ignore[arg-type]


class ValuesKept:
    """What was sent last is kept."""

    breaks = ("args.not-kept",)

    def _sent(self, args: Any, kwargs: Any) -> Any:
        self._last = args, kwargs
        return ("value", args, kwargs)


class StartDropsArguments:
    """run is called without keywords."""

    breaks = ("args.start-keywords", "dead.skip.unstarted-ancestor", "args.keyword-names")

    def _begin(self, run: Any) -> None:
        Model._begin(self, lambda *args, **kwargs: run(*args))  # type: ignore[arg-type]


# --- the tree ----------------------------------------------------------------------------


class RunReadable:
    """run can still be read after the start."""

    breaks = ("tree.run",)

    @property
    def run(self) -> Any:
        return self.kept

    @run.setter
    def run(self, value: Any) -> None:
        Model.run.fset(self, value)  # type: ignore[attr-defined]

    @run.deleter
    def run(self) -> None:
        Model.run.fdel(self)  # type: ignore[attr-defined]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_run":
            self.kept = value
        object.__setattr__(self, name, value)


class RunSettable:
    """run can be set after the start."""

    breaks = ("tree.run-replaced",)

    def _check_run_settable(self) -> None:
        pass


class RunReadWhenMade:
    """run is read when the greenlet is made, not at its start."""

    breaks = ("tree.run-replaced",)

    def _begin(self, run: Any) -> None:
        Model._begin(self, self._first_run)  # type: ignore[arg-type]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_run" and not hasattr(self, "_first_run"):
            self._first_run = value
        object.__setattr__(self, name, value)


class MissingRunKills:
    """A switch to a greenlet without run kills it."""

    breaks = ("tree.run-missing", "parent.unstartable")

    def _enter(self, packet: Any) -> Any:
        if self._state == "unstarted" and not hasattr(self, "run"):
            self._state = "dead"
            raise AttributeError("run")
        return Model._enter(self, packet)  # type: ignore[arg-type]

    def _begin(self, run: Any) -> None:
        Model._begin(self, run)  # type: ignore[arg-type]

    def _heir(self) -> Any:
        heir = self._living(self._parent)  # type: ignore[attr-defined]
        if heir._state == "unstarted" and not hasattr(heir, "run"):
            heir._state = "dead"
        return heir


class CyclesAllowed:
    """Only a greenlet that is its own parent is refused."""

    breaks = ("tree.parent-cycle",)

    def _check_cycle(self, value: Any) -> None:
        if value is self:
            raise ValueError("cyclic parent chain")


class AnyParent:
    """A wrong type of parent raises ValueError."""

    breaks = ("tree.parent-type",)

    def _check_parent(self, value: Any) -> None:
        if not isinstance(value, Model):
            raise ValueError("parent must be a greenlet")
        Model._check_parent(self, value)  # type: ignore[arg-type]


class RootTakesParent:
    """The root's parent can be set."""

    breaks = ("tree.root-fixed",)

    def _check_parent(self, value: Any) -> None:
        pass


class RootForAllThreads:
    """All threads see the same root."""

    breaks = ("tree.root-per-thread",)
    shared: Any = None

    @classmethod
    def _make_root(cls) -> Any:
        if RootForAllThreads.shared is None:
            RootForAllThreads.shared = Model._make_root.__func__(cls)  # type: ignore[attr-defined]
        return RootForAllThreads.shared


class ParentIsRoot:
    """A new greenlet's parent is the root, whoever makes it."""

    breaks = ("tree.default-parent", "tree.none-parent", "parent.chain", "parent.exception")

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        self._current()  # type: ignore[attr-defined]
        chosen = self.world.root if parent is None else parent  # type: ignore[attr-defined]
        Model.__init__(self, run, chosen)  # type: ignore[arg-type]


class ParentIsStarter:
    """The parent becomes the greenlet that starts it."""

    breaks = ("tree.default-parent", "order.starter", "parent.not-the-switcher")

    def _begin(self, run: Any) -> None:
        Model._begin(self, run)  # type: ignore[arg-type]
        current = self._current()  # type: ignore[attr-defined]
        if current._state != "dead":
            self._parent = current


class UnstartedIsTrue:
    """An unstarted greenlet is true."""

    breaks = ("tree.states", "tree.new-is-idle", "throw.check.untouched")

    def __bool__(self) -> bool:
        return self._state != "dead"


class DeadIsTrue:
    """A dead greenlet is true."""

    breaks = ("tree.states", "dead.stays", "dead.while-ending")

    def __bool__(self) -> bool:
        return self._state != "unstarted"


class UnstartedIsDead:
    """An unstarted greenlet says that it is dead."""

    breaks = ("tree.states", "tree.new-is-idle")

    @property
    def dead(self) -> bool:
        return self._state != "active"


class StartsWhenMade:
    """Making a greenlet starts it."""

    breaks = ("tree.new-is-idle", "order.start")

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        Model.__init__(self, run, parent)  # type: ignore[arg-type]
        if callable(run):
            self.switch()  # type: ignore[attr-defined]


class NoTracing:
    """The module has no settrace and no gettrace."""

    breaks = ("tree.trace-names", "order.trace", "throw.trace", "thread.trace-own")
    lacks = ("settrace", "gettrace")


# --- order -------------------------------------------------------------------------------


class DeferredSwitch:
    """A switch to an unstarted greenlet starts it, but comes back before its first step."""

    breaks = ("order.example", "order.immediate", "order.start", "args.start")

    def _enter(self, packet: Any) -> Any:
        if self._state == "unstarted" and packet[0] == "value":
            run = self.run
            first = packet

            def later() -> Any:
                upstream.getcurrent()
                return run(*first[1], **first[2])

            self._run = later
            self._deferred = getattr(self, "_deferred", 0) + 1
            if self._deferred == 1:
                return ()
            packet = ("value", (), {})
        return Model._enter(self, packet)  # type: ignore[arg-type]


class ReturnsToSwitcher:
    """An end leads to the greenlet that switched last, as a call would."""

    breaks = ("parent.not-the-switcher", "order.starter", "parent.waiting-elsewhere")

    def _arrived(self, origin: Any, packet: Any) -> Any:
        self._last_origin = origin
        return Model._arrived(self, origin, packet)  # type: ignore[arg-type]

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        self._last_origin = origin
        return Model._outcome(self, run, origin, packet)  # type: ignore[arg-type]

    def _heir(self) -> Any:
        return self._last_origin if self._last_origin._state == "active" else self._parent


class RestartsEachTime:
    """A dead greenlet is started again."""

    breaks = ("dead.stays", "dead.skip.parent", "dead.skip.chain", "dead.skip.root")

    def _begin(self, run: Any) -> None:
        Model._begin(self, run)  # type: ignore[arg-type]
        self._again = run

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._state == "dead" and hasattr(self, "_again"):
            self._state = "unstarted"
            self._run = self._again
        return Model.switch(self, *args, **kwargs)  # type: ignore[arg-type]


class TraceInOrigin:
    """The trace function is called in the origin."""

    breaks = ("order.trace", "throw.trace")

    def _enter(self, packet: Any) -> Any:
        me = self._current()  # type: ignore[attr-defined]
        if self is not me:
            Model._trace(self, me, packet)  # type: ignore[arg-type]
        return Model._enter(self, packet)  # type: ignore[arg-type]

    def _trace(self, origin: Any, packet: Any) -> None:
        pass


class TraceNamesTheDead:
    """The trace function is told the greenlet that was named."""

    breaks = ("order.trace-target", "dead.throw.trace")
    named: Any = None

    def _transfer(self, packet: Any) -> Any:
        type(self).named = self
        return Model._transfer(self, packet)  # type: ignore[arg-type]

    def _trace(self, origin: Any, packet: Any) -> None:
        tracer = self.world.tracer  # type: ignore[attr-defined]
        if tracer is not None:
            target = type(self).named if type(self).named is not origin else self
            event = "switch" if packet[0] == "value" else "throw"
            tracer(event, (origin, target))


class TracerKeptOnError:
    """A trace function that raises stays."""

    breaks = ("order.trace-error",)

    def _trace(self, origin: Any, packet: Any) -> None:
        tracer = self.world.tracer  # type: ignore[attr-defined]
        if tracer is not None:
            tracer("switch" if packet[0] == "value" else "throw", (origin, self))


class ThrowTracedAsSwitch:
    """A throw is traced as a switch."""

    breaks = ("throw.trace", "dead.throw.trace")

    def _trace(self, origin: Any, packet: Any) -> None:
        tracer = self.world.tracer  # type: ignore[attr-defined]
        if tracer is not None:
            tracer("switch", (origin, self))


# --- the dead ----------------------------------------------------------------------------


class DeadRaises:
    """A switch to a dead greenlet raises error."""

    breaks = ("dead.skip.parent", "dead.skip.self", "dead.skip.chain", "dead.skip.root")

    def _transfer(self, packet: Any) -> Any:
        if self._state == "dead":
            raise error("cannot switch to a dead greenlet")
        return Model._transfer(self, packet)  # type: ignore[arg-type]


class DeadReturns:
    """A switch to a dead greenlet returns its arguments at once."""

    breaks = ("dead.skip.parent", "dead.skip.chain", "dead.skip.root", "dead.skip.reparented")

    def _transfer(self, packet: Any) -> Any:
        if self._state == "dead":
            return self._received(packet)  # type: ignore[attr-defined]
        return Model._transfer(self, packet)  # type: ignore[arg-type]


class SkipsOneLevel:
    """Only one dead greenlet is skipped; a second one returns the arguments."""

    breaks = ("dead.skip.chain", "dead.skip.nearest", "dead.skip.reparented")

    def _transfer(self, packet: Any) -> Any:
        target: Any = self
        if target._state == "dead":
            target = target._parent
        if target._state == "dead":
            return self._received(packet)  # type: ignore[attr-defined]
        return target._enter(packet)


class SkipsToRoot:
    """A switch to a dead greenlet goes to the root."""

    breaks = ("dead.skip.parent", "dead.skip.chain", "dead.skip.nearest")

    def _living(self, g: Any) -> Any:
        return g if g._state != "dead" else self.world.root  # type: ignore[attr-defined]


class SkipsUnstarted:
    """Unstarted ancestors are skipped like dead ones."""

    breaks = ("dead.skip.unstarted-ancestor", "dead.parent.unstarted-beyond")

    def _living(self, g: Any) -> Any:
        while g._state == "dead" or (g is not self and g._state == "unstarted"):
            g = g._parent
        return g


class SkipDecidedAtDeath:
    """Who receives for a dead greenlet is fixed when it dies."""

    breaks = ("dead.skip.at-switch", "dead.skip.reparented")

    def _transfer(self, packet: Any) -> Any:
        target: Any = self
        while target._state == "dead":
            target = getattr(target, "_fixed", target._parent)
        return target._enter(packet)

    def _heir(self) -> Any:
        self._fixed = self._living(self._parent)  # type: ignore[attr-defined]
        return self._fixed


class DeadThrowRaisesExit:
    """GreenletExit thrown at the dead is raised in the ancestor."""

    breaks = ("dead.throw.exit",)

    def _thrown(self, exception: Any) -> Any:
        return ("error", exception)


class DeadThrowInCaller:
    """An exception thrown at the dead is raised in the thrower."""

    breaks = ("dead.throw.ancestor", "dead.throw.unstarted-ancestor")

    def throw(self, /, *args: Any) -> Any:
        if self._state == "dead":
            exception = self._made_exception(*args)  # type: ignore[attr-defined]
            if not isinstance(exception, GreenletExit):
                raise exception
        return Model.throw(self, *args)  # type: ignore[arg-type]


class DeadBeforeTheEnd:
    """An end is not dead yet when the parent is started by it."""

    breaks = ("dead.while-ending",)

    def _begin(self, run: Any) -> None:
        dying = self._current()  # type: ignore[attr-defined]
        if dying._state == "dead":

            def late(*args: Any, **kwargs: Any) -> Any:
                dying._state = "active"
                try:
                    return run(*args, **kwargs)
                finally:
                    dying._state = "dead"

            Model._begin(self, late)  # type: ignore[arg-type]
        else:
            Model._begin(self, run)  # type: ignore[arg-type]


# --- parents -----------------------------------------------------------------------------


class ParentAtStart:
    """The parent at the start counts, not the one at the end."""

    breaks = ("parent.at-death", "parent.last-change", "parent.adopted")

    def _begin(self, run: Any) -> None:
        Model._begin(self, run)  # type: ignore[arg-type]
        self._first_parent = self._parent

    def _heir(self) -> Any:
        return self._first_parent


class EndsInRoot:
    """Every end leads to the root."""

    breaks = ("parent.result", "parent.chain", "parent.unstarted", "dead.parent.skipped")

    def _heir(self) -> Any:
        return self.world.root  # type: ignore[attr-defined]


class ExceptionsInRoot:
    """Exceptions go to the root, past the parent."""

    breaks = ("parent.exception", "parent.exception-not-root", "parent.exception-climbs")

    def _died(self, exception: Any) -> Any:
        packet = Model._died(self, exception)  # type: ignore[arg-type]
        self._failed = packet[0] == "error"
        return packet

    def _heir(self) -> Any:
        return self.world.root if getattr(self, "_failed", False) else self._parent  # type: ignore[attr-defined]


class ExceptionsCopied:
    """A copy of the exception is raised in the parent."""

    breaks = ("parent.exception", "parent.base-exceptions", "parent.traceback", "throw.uncaught")

    def _died(self, exception: Any) -> Any:
        if isinstance(exception, GreenletExit):
            return ("value", (exception,), {})
        return ("error", type(exception)(*exception.args))


class TracebackLost:
    """The traceback is lost on the way."""

    breaks = ("parent.traceback", "throw.traceback")

    def _received(self, packet: Any) -> Any:
        if packet[0] == "error":
            packet = ("error", packet[1].with_traceback(None))
        return Model._received(self, packet)  # type: ignore[arg-type]


class ExitRaised:
    """GreenletExit is raised in the parent."""

    breaks = ("parent.exit-returned", "parent.exit-subclass", "throw.default", "throw.unstarted-exit")

    def _died(self, exception: Any) -> Any:
        return ("error", exception)


class ExitReturnsNone:
    """GreenletExit makes the parent receive None."""

    breaks = ("parent.exit-returned", "parent.exit-subclass", "throw.default")

    def _died(self, exception: Any) -> Any:
        if isinstance(exception, GreenletExit):
            return ("value", (None,), {})
        return ("error", exception)


class ExitExactly:
    """Subclasses of GreenletExit are raised."""

    breaks = ("parent.exit-subclass", "throw.unstarted-exit")

    def _died(self, exception: Any) -> Any:
        if type(exception) is GreenletExit:
            return ("value", (exception,), {})
        return ("error", exception)


class ExceptionReturned:
    """Every exception is returned to the parent as a value."""

    breaks = ("parent.exception", "parent.exception-unstarted", "throw.uncaught")

    def _died(self, exception: Any) -> Any:
        return ("value", (exception,), {})


class SystemExitSwallowed:
    """SystemExit and KeyboardInterrupt are treated like GreenletExit."""

    breaks = ("parent.base-exceptions",)

    def _died(self, exception: Any) -> Any:
        if isinstance(exception, (SystemExit, KeyboardInterrupt, GreenletExit)):
            return ("value", (exception,), {})
        return ("error", exception)


class UnstartedParentRunsOnException:
    """An unstarted parent is started with the exception as argument."""

    breaks = ("parent.exception-unstarted", "throw.unstarted-chain", "dead.throw.unstarted-ancestor")

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        if packet[0] == "error" and origin._state == "dead":
            packet = ("value", (packet[1],), {})
        return Model._outcome(self, run, origin, packet)  # type: ignore[arg-type]

    def _transfer(self, packet: Any) -> Any:
        target = self._living(self)  # type: ignore[attr-defined]
        if target is not self and target._state == "unstarted" and packet[0] == "error":
            packet = ("value", (packet[1],), {})
        return target._enter(packet)


# --- throw -------------------------------------------------------------------------------


class ThrowRunsUnstarted:
    """A throw at an unstarted greenlet runs it first."""

    breaks = ("throw.unstarted", "throw.unstarted-exit", "throw.unstarted-chain")

    def _outcome(self, run: Any, origin: Any, packet: Any) -> Any:
        if packet[0] == "error":
            try:
                run()
            except BaseException as exception:
                return self._died(exception)  # type: ignore[attr-defined]
        return Model._outcome(self, run, origin, packet)  # type: ignore[arg-type]


class ThrowUnchecked:
    """throw does not look at its arguments."""

    breaks = ("throw.check.type", "throw.check.value", "throw.check.traceback")

    def _check_thrown(self, kind: Any, value: Any, tb: Any) -> None:
        pass

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        return kind if isinstance(kind, BaseException) else RuntimeError(kind, value)


class ThrowCheckedInTarget:
    """Wrong arguments of throw raise TypeError in the target."""

    breaks = ("throw.check.type", "throw.check.untouched")

    def throw(self, /, *args: Any) -> Any:
        try:
            return Model.throw(self, *args)  # type: ignore[arg-type]
        except TypeError as failure:
            if self._state == "active" and self is not self._current():  # type: ignore[attr-defined]
                return self._transfer(("error", failure))  # type: ignore[attr-defined]
            raise


class ThrowIgnoresTraceback:
    """The third argument of throw is dropped."""

    breaks = ("throw.traceback",)

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        self._check_thrown(kind, value, tb)  # type: ignore[attr-defined]
        return Model._made_exception(self, kind, value)  # type: ignore[arg-type]


class ThrowInstantiates:
    """throw makes a new exception even from an instance."""

    breaks = ("throw.instance", "throw.value", "throw.self", "throw.uncaught")

    def _made_exception(self, kind: Any = GreenletExit, value: Any = None, tb: Any = None) -> Any:
        made = Model._made_exception(self, kind, value, tb)  # type: ignore[arg-type]
        return type(made)(*made.args).with_traceback(tb)


class ThrowValueNotUnpacked:
    """A tuple of values becomes one argument."""

    breaks = ("throw.value",)

    def _instantiate(self, kind: Any, value: Any) -> Any:
        if isinstance(value, tuple):
            value = (value,)
        return Model._instantiate(self, kind, value)  # type: ignore[arg-type]


class ThrowConstructorInCaller:
    """An exception that cannot be made is raised in the caller."""

    breaks = ("throw.constructor-error",)

    def _instantiate(self, kind: Any, value: Any) -> Any:
        made = Model._instantiate(self, kind, value)  # type: ignore[arg-type]
        if not isinstance(made, kind):
            raise made
        return made


class ThrowDefaultsToKeyError:
    """throw without arguments throws something else."""

    breaks = ("throw.default", "dead.throw.exit")

    def _made_exception(self, kind: Any = KeyError, value: Any = None, tb: Any = None) -> Any:
        return Model._made_exception(self, kind, value, tb)  # type: ignore[arg-type]


class ThrowGoesToThrower:
    """What a thrown-at greenlet does not catch is raised in the thrower."""

    breaks = ("throw.uncaught", "throw.default", "throw.unstarted")

    def _transfer(self, packet: Any) -> Any:
        if packet[0] == "error" and self._state in ("active", "unstarted"):
            self._parent = self._parent and self._current()  # type: ignore[attr-defined]
        return Model._transfer(self, packet)  # type: ignore[arg-type]


class SelfThrowIgnored:
    """A throw at oneself does nothing."""

    breaks = ("throw.self",)

    def _enter(self, packet: Any) -> Any:
        if self is self._current() and packet[0] == "error" and self.switch:  # type: ignore[attr-defined]
            return ()
        return Model._enter(self, packet)  # type: ignore[arg-type]


# --- threads -----------------------------------------------------------------------------


class CrossThreadRuntimeError:
    """A switch to another thread raises RuntimeError."""

    breaks = ("thread.error", "thread.error.throw", "thread.error.root", "thread.exited.suspended")

    def _check_thread(self) -> None:
        try:
            Model._check_thread(self)  # type: ignore[arg-type]
        except error as refused:
            raise RuntimeError(str(refused)) from None


class CrossThreadIgnored:
    """A switch to another thread does nothing."""

    breaks = ("thread.error", "thread.error.arguments", "thread.error.unstarted")

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return Model.switch(self, *args, **kwargs)  # type: ignore[arg-type]
        except error:
            return ()


class CrossThreadKills:
    """A refused switch kills the target."""

    breaks = ("thread.error", "thread.untouched.suspended", "thread.untouched.unstarted")

    def _check_thread(self) -> None:
        try:
            Model._check_thread(self)  # type: ignore[arg-type]
        except error:
            if self._parent is not None:
                self._state = "dead"
            raise


class CrossThreadKeepsArguments:
    """What a refused switch sent is received at the next one."""

    breaks = ("thread.untouched.suspended", "thread.untouched.unstarted", "thread.values-not-kept")

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        pending = self.__dict__.pop("_pending", None)
        try:
            self._check_thread()  # type: ignore[attr-defined]
        except error:
            self._pending = pending or (args, kwargs)
            raise
        args, kwargs = pending or (args, kwargs)
        return Model.switch(self, *args, **kwargs)  # type: ignore[arg-type]


class CrossThreadKeepsException:
    """What a refused throw brought is raised at the next switch."""

    breaks = ("thread.untouched.suspended", "thread.values-not-kept")

    def throw(self, /, *args: Any) -> Any:
        try:
            return Model.throw(self, *args)  # type: ignore[arg-type]
        except error:
            self._pending = self._made_exception(*args)  # type: ignore[attr-defined]
            raise

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        self._check_thread()  # type: ignore[attr-defined]
        pending = self.__dict__.pop("_pending", None)
        if pending is not None:
            return Model.throw(self, pending)  # type: ignore[arg-type]
        return Model.switch(self, *args, **kwargs)  # type: ignore[arg-type]


class CrossThreadThrowRaises:
    """A throw at another thread's greenlet raises the exception in the caller."""

    breaks = ("thread.error.throw", "thread.error.root")

    def throw(self, /, *args: Any) -> Any:
        exception = self._made_exception(*args)  # type: ignore[attr-defined]
        try:
            self._check_thread()  # type: ignore[attr-defined]
        except error:
            raise exception from None
        return Model.throw(self, *args)  # type: ignore[arg-type]


class ForeignDeadReturns:
    """A dead greenlet of another thread returns the arguments."""

    breaks = ("thread.error.dead", "thread.exited.dead")

    def switch(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._state == "dead" and self._root_of_lineage() is not self._current():  # type: ignore[attr-defined]
            if self._root is not self.world.root:  # type: ignore[attr-defined]
                return self._single(args, kwargs)  # type: ignore[attr-defined]
        return Model.switch(self, *args, **kwargs)  # type: ignore[arg-type]


class ForeignUnstartedStarts:
    """An unstarted greenlet can be started in any thread."""

    breaks = ("thread.error.unstarted", "thread.foreign-parent", "thread.unstarted-chain")

    def _check_thread(self) -> None:
        if self._state != "unstarted":
            Model._check_thread(self)  # type: ignore[arg-type]


class UnstartedBelongsToMaker:
    """An unstarted greenlet belongs to the thread that made it, whatever its parent."""

    breaks = ("thread.foreign-parent", "thread.adopt-unstarted")

    def __init__(self, run: Any = None, parent: Any = None) -> None:
        Model.__init__(self, run, parent)  # type: ignore[arg-type]
        self._current()  # type: ignore[attr-defined]
        self._maker = self.world.root  # type: ignore[attr-defined]

    def _root_of_lineage(self) -> Any:
        return self._root or self._maker


class ReparentAcrossThreads:
    """A started greenlet may get a parent in another thread."""

    breaks = ("thread.reparent-started",)

    def _check_parent_thread(self, value: Any) -> None:
        pass


class UnstartedKeepsThread:
    """No greenlet may get a parent in another thread."""

    breaks = ("thread.foreign-parent", "thread.adopt-unstarted", "thread.exited.unstarted")

    def _check_parent_thread(self, value: Any) -> None:
        if self._root_of_lineage() is not value._root_of_lineage():  # type: ignore[attr-defined]
            raise ValueError("parent cannot be on a different thread")


class ErrorInRoot:
    """The error of a refused switch is raised in the root."""

    breaks = ("thread.error.in-greenlet",)

    def _check_thread(self) -> None:
        try:
            Model._check_thread(self)  # type: ignore[arg-type]
        except error as refused:
            root = self.world.root  # type: ignore[attr-defined]
            if self._current() is root:  # type: ignore[attr-defined]
                raise
            root._enter(("error", refused))
