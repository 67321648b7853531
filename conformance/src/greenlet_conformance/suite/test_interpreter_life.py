"""Chapter "Interpreter life".

What happens at the end of a process is tested in processes of their own: ``program`` runs a text in
a new interpreter, where ``impl`` is the implementation. Late code there writes by ``os.write``,
which needs nothing that the interpreter may have taken away already.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
import warnings
from typing import Any, Callable

import pytest

from greenlet_conformance.suite.support import (
    STEP_SECONDS,
    Finished,
    Worker,
    clause,
    raised_by,
    run_program,
    states,
)

Program = Callable[[str], Finished]


# --- the end -----------------------------------------------------------------------------


@clause("exit.clean")
@pytest.mark.parametrize("code", [0, 3])
def test_clean(program: Program, code: int) -> None:
    """A program with greenlets in all states ends with its own code, and silently."""
    done = program(
        f"""
import sys

def nested(depth):
    if depth:
        return nested(depth - 1)
    child = impl.greenlet(lambda: root.switch())
    child.switch()
    return root.switch(child)

def handling():
    try:
        raise KeyError
    except KeyError:
        root.switch()

root = impl.getcurrent()
kept = [impl.greenlet(nested) for _ in range(50)]
kept += [g.switch(20) for g in kept]
kept += [impl.greenlet(handling), impl.greenlet(lambda: None), impl.greenlet(lambda: None)]
kept[-3].switch()
kept[-1].switch()
cycle = impl.greenlet(lambda held: root.switch())
cycle.switch(cycle)
cycle.me = cycle
chained = [impl.greenlet(lambda: root.switch(), g) for g in kept if g]
for g in chained:
    g.switch()
print("end of the program")
sys.exit({code})
"""
    )
    assert done == (code, ["end of the program"], "")


@clause("exit.atexit")
def test_atexit(program: Program) -> None:
    """In atexit callbacks all works, registered before or after the import."""
    register = """
import atexit

def callback(when):
    print(when, impl.getcurrent() is root, impl.getcurrent().parent)
    print(suspended.switch(when))
    print(impl.greenlet(lambda *args: args).switch(1, 2))
    events = []
    impl.settrace(lambda event, args: events.append(event))
    g = impl.greenlet(cleaning)
    g.switch()
    print(type(g.throw()).__name__)
    g = impl.greenlet(cleaning)
    g.switch()
    del g
    impl.settrace(None)
    print(events)

def cleaning():
    try:
        root.switch()
    finally:
        print("cleaned up")
"""
    use = """
def run():
    got = root.switch("waits")
    while True:
        got = root.switch(("got", got))

root = impl.getcurrent()
suspended = impl.greenlet(run)
suspended.switch()
atexit.register(callback, "late")
print("end of the program")
"""

    def expected(when: str) -> list[str]:
        return [
            f"{when} True None",
            str(("got", when)),
            "(1, 2)",
            *("cleaned up", "GreenletExit", "cleaned up"),
            str(["switch", "switch", "throw", "switch"] * 2),
        ]

    after = program(register + use)
    assert after == (0, ["end of the program", *expected("late")], "")
    head = register + 'atexit.register(callback, "early")\n'
    imported = program("print(impl.__name__)").out[0]
    early = run_program(
        f"import importlib\n{head}impl = importlib.import_module({imported!r})\n{use}"
    )
    assert early == (0, ["end of the program", *expected("late"), *expected("early")], "")


@clause("exit.no-cleanup")
def test_no_cleanup(program: Program) -> None:
    """Suspended greenlets are freed at the end without running, wherever they are held."""
    done = program(
        """
import builtins, os, sys

def run(name, write=os.write):
    try:
        impl.getcurrent().parent.switch()
    except BaseException as error:
        write(1, f"{name} raised {type(error).__name__}\\n".encode())
        raise
    finally:
        write(1, f"{name} cleaned up\\n".encode())

def started(name):
    g = impl.greenlet(run)
    g.switch(name)
    return g

in_module = started("in the module")
sys.held = started("in sys")
builtins.held = started("in builtins")
def function(held=started("in a default")): pass
dropped = started("dropped")
del dropped
print("end of the program")
"""
    )
    dropped = ["dropped raised GreenletExit", "dropped cleaned up"]
    assert sorted(done.out) == sorted([*dropped, "end of the program"])
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("place", ["ps1", "late"])
@clause("exit.finalizing")
def test_finalizing(program: Program, place: str) -> None:
    """getcurrent raises RuntimeError in the finalizing interpreter: sys.ps1 is the first to go."""
    done = program(
        f"place = {place!r}"
        """
import os, sys

class Late:
    def __init__(self, name):
        self.name = name

    def __del__(self, write=os.write, getcurrent=impl.getcurrent, final=sys.is_finalizing):
        try:
            getcurrent()
            found = "nothing"
        except BaseException as error:
            found = f"{type(error).__name__} {bool(str(error))}"
        write(1, f"{self.name} {final()} {found}\\n".encode())

impl.greenlet(lambda: None).switch()
dropped = Late("dropped")
del dropped
setattr(sys, place, Late("late"))
print("end of the program", flush=True)
"""
    )
    assert done == (
        0,
        ["dropped False nothing", "end of the program", "late True RuntimeError True"],
        "",
    )


@clause("exit.finalizing.methods")
def test_finalizing_methods(program: Program) -> None:
    """A greenlet in the hands of a late finalizer does not crash the process."""
    done = program(
        """
import os, sys

class Late:
    def __del__(self, write=os.write):
        found = [bool(self.g), self.g.dead, self.unstarted.dead]
        for g in (self.g, self.unstarted):
            try:
                found.append(g.switch())
            except BaseException as error:
                found.append(type(error).__name__)
        write(1, f"{found}\\n".encode())

sys.late = Late()
sys.late.g = impl.greenlet(impl.getcurrent().switch)
sys.late.g.switch("waits")
sys.late.unstarted = impl.greenlet(lambda: "ran")
"""
    )
    assert (done.code, done.err) == (0, "")
    assert done.out in [
        ["[True, False, False, (), 'ran']"],
        ["[True, False, False, 'RuntimeError', 'RuntimeError']"],
    ]


@clause("exit.threads")
def test_threads(program: Program) -> None:
    """Threads go on after the main program, and leave nothing behind that disturbs the end."""
    done = program(
        """
import threading, time

ready = threading.Barrier(4)
kept = []

def daemon():
    root = impl.getcurrent()
    def run():
        ready.wait()
        while True:
            impl.greenlet(time.sleep).switch(0.001)
    kept.append(impl.greenlet(run))
    kept[-1].switch()

def outliving():
    root = impl.getcurrent()
    g = impl.greenlet(lambda: [root.switch(i) for i in range(3)])
    ready.wait()
    threading.main_thread().join()
    print("outliving", [g.switch() for _ in range(4)], g.dead)

def leaving():
    root = impl.getcurrent()
    g = impl.greenlet(lambda: root.switch())
    g.switch()
    kept.append(g)

exited = threading.Thread(target=leaving)
exited.start()
exited.join()
threading.Thread(target=outliving).start()
for _ in range(2):
    threading.Thread(target=daemon, daemon=True).start()
ready.wait()
print("end of the program", flush=True)
"""
    )
    expected = ["end of the program", "outliving [0, 1, 2, [(), (), ()]] True"]
    assert done == (0, expected, "")


@clause("exit.system-exit")
def test_system_exit(program: Program) -> None:
    """sys.exit in a greenlet climbs to the root and gives the exit code, unless caught."""
    done = program(
        """
import atexit, sys

def leave(code):
    try:
        sys.exit(code)
    finally:
        print("leaves with", code)

def catching():
    try:
        impl.greenlet(leave).switch(5)
    except SystemExit as error:
        print("caught", error.code)
    return "goes on"

atexit.register(print, "at exit")
print(impl.greenlet(catching).switch())
outer = impl.greenlet(lambda: impl.greenlet(leave).switch(7))
outer.switch()
print("not reached")
"""
    )
    expected = ["leaves with 5", "caught 5", "goes on", "leaves with 7", "at exit"]
    assert done == (7, expected, "")


@clause("exit.uncaught")
def test_uncaught(program: Program) -> None:
    """An uncaught exception ends the program with the traceback of the functions it passed."""
    done = program(
        """
def innermost():
    raise LookupError("of the innermost")

def outer():
    impl.greenlet(innermost).switch()

def unrelated():
    root_side()

def root_side():
    impl.greenlet(outer).switch()

unrelated()
"""
    )
    assert (done.code, done.out) == (1, [])
    lines = [line.split(" in ")[1] for line in done.err.splitlines() if ", in " in line]
    assert lines == ["<module>", "unrelated", "root_side", "outer", "innermost"]
    assert done.err.splitlines()[-1] == "LookupError: of the innermost"


@clause("exit.import")
def test_import(program: Program) -> None:
    """The first import may happen in any thread."""
    name = program("print(impl.__name__)").out[0]
    done = run_program(
        f"""
import importlib, threading

roots = []

def use():
    impl = importlib.import_module({name!r})
    roots.append(impl.getcurrent())
    print(roots[-1].parent, impl.greenlet(lambda: "runs").switch())

for target in (use, use):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
use()
print(len(set(map(id, roots))))
"""
    )
    assert done == (0, ["None runs"] * 3 + ["3"], "")


# --- copies ------------------------------------------------------------------------------


def in_child(function: Callable[[], Any]) -> int:
    """Forks, calls the function in the child; answers the exit code, 0 for a true result.

    A child that hangs is killed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if function() else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    until = time.monotonic() + STEP_SECONDS
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(ended[1])


@clause("exit.fork")
def test_fork(impl: Any) -> None:
    """After a fork all greenlets of the thread go on in parent and child."""
    root = impl.getcurrent()
    log: list[Any] = []

    def counter() -> None:
        number = 0
        while True:
            number += root.switch(number)

    def check() -> bool:
        same = impl.getcurrent() is root
        log.append(suspended.switch(10))
        log.append(unstarted.switch("value"))
        log.append(dead.switch("skipped"))
        log.append(type(raised_by(failing.throw, KeyError)))
        log.append(impl.greenlet(lambda: impl.getcurrent().parent is root).switch())
        return same and log == [11, ("ran", "value"), "skipped", KeyError, True]

    suspended, failing = impl.greenlet(counter), impl.greenlet(lambda: root.switch())
    unstarted, dead = impl.greenlet(lambda value: ("ran", value)), impl.greenlet(lambda: None)
    suspended.switch()
    suspended.switch(1)
    failing.switch()
    dead.switch()
    assert in_child(check) == 0
    assert states(suspended, unstarted, dead, failing) == ["active", "unstarted", "dead", "active"]
    assert check()


@clause("exit.fork")
def test_fork_in_a_greenlet(impl: Any) -> None:
    """fork may be called in any greenlet, which goes on twice."""
    root = impl.getcurrent()
    log: list[Any] = []

    def run() -> str:
        child = os.fork()
        log.append(root.switch("waits"))
        return "child" if child == 0 else str(child)

    mine = os.getpid()
    g = impl.greenlet(run)
    assert g.switch() == "waits"
    if os.getpid() != mine:
        code = 1
        try:
            code = 0 if g.switch("sent") == "child" and log == ["sent"] else 2
        finally:
            os._exit(code)
    child = int(g.switch("sent"))
    assert log == ["sent"]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@clause("exit.fork.other-threads")
def test_fork_other_threads(impl: Any, worker: Worker) -> None:
    """In the child, greenlets of other threads raise error, and their threads are gone."""

    def build() -> list[Any]:
        root = impl.getcurrent()
        g = impl.greenlet(lambda: root.switch())
        g.switch()
        return [root, g]

    greenlets = worker(build)

    def check() -> bool:
        found = [type(raised_by(g.switch)) for g in greenlets]
        found += [type(raised_by(g.throw)) for g in greenlets]
        return found == [impl.error] * 4 and impl.greenlet(lambda: True).switch()

    assert in_child(check) == 0
    assert worker(greenlets[1].switch, "own") == "own"


@clause("exit.fork.exit")
def test_fork_exit(program: Program) -> None:
    """A child may exit from any greenlet, by os._exit or an exception."""
    done = program(
        """
import os, sys

def leave(how):
    if how == "exit":
        os._exit(11)
    sys.exit(12)

def nested(how):
    impl.greenlet(leave).switch(how)

kept = impl.greenlet(impl.getcurrent().switch)
kept.switch()
for how in ("exit", "exception"):
    child = os.fork()
    if child == 0:
        impl.greenlet(nested).switch(how)
    print(how, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print(kept.switch("alive"))
"""
    )
    assert done == (0, ["exit 11", "exception 12", "alive"], "")


# --- interruptions -----------------------------------------------------------------------


@pytest.fixture
def on_signal() -> Any:
    """Sets the handler of SIGUSR1; the default comes back afterwards."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


@clause("exit.signal")
def test_signal(impl: Any, on_signal: Any) -> None:
    """A handler runs in the current greenlet, and may switch if it is switched back to."""
    root = impl.getcurrent()
    log: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        log.append(("handler in", names[id(impl.getcurrent())]))
        log.append(impl.greenlet(lambda: "from new").switch())

    def run() -> str:
        signal.raise_signal(signal.SIGUSR1)
        log.append("after the signal")
        root.switch()
        signal.raise_signal(signal.SIGUSR1)
        return "ends"

    on_signal(handler)
    g = impl.greenlet(run)
    names = {id(root): "root", id(g): "g"}
    g.switch()
    signal.raise_signal(signal.SIGUSR1)
    assert g.switch() == "ends"
    in_g = [("handler in", "g"), "from new"]
    in_root = [("handler in", "root"), "from new"]
    assert log == [*in_g, "after the signal", *in_root, *in_g]


@clause("exit.signal.exception")
def test_signal_exception(impl: Any, on_signal: Any) -> None:
    """What a handler raises arrives in the current greenlet, then in its parents."""
    root = impl.getcurrent()
    log: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        raise KeyboardInterrupt("from the handler")

    def run(catch: bool) -> str:
        try:
            signal.raise_signal(signal.SIGUSR1)
            log.append("not reached")
        except KeyboardInterrupt as error:
            log.append(("caught", impl.getcurrent() is not root, error.args))
            if not catch:
                raise
        root.switch("goes on")
        return "ends"

    on_signal(handler)
    bystander = impl.greenlet(lambda: log.append(("bystander", raised_by(root.switch))))
    bystander.switch()
    g = impl.greenlet(run)
    assert g.switch(True) == "goes on"
    assert g.switch() == "ends"
    g = impl.greenlet(run)
    parent = impl.greenlet(lambda: type(raised_by(g.switch, False)))
    g.parent = parent
    assert parent.switch() is KeyboardInterrupt
    assert log == [("caught", True, ("from the handler",))] * 2
    assert states(bystander, g, parent) == ["active", "dead", "dead"]


@clause("exit.signal.exception")
def test_signal_exception_while_waiting(program: Program) -> None:
    """A signal that interrupts a waiting greenlet is raised there."""
    done = program(
        """
import signal, time

def handler(number, frame):
    raise TimeoutError

def run():
    try:
        time.sleep(4)
    except TimeoutError:
        print("interrupted in", impl.getcurrent() is g)
    return "ends"

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
g = impl.greenlet(run)
print(g.switch())
"""
    )
    assert done == (0, ["interrupted in True", "ends"], "")


@clause("exit.signal.away")
def test_signal_away(impl: Any, on_signal: Any) -> None:
    """A greenlet whose handler switched away is suspended in it, and can be resumed."""
    root = impl.getcurrent()
    log: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        log.append(root.switch("from the handler"))

    def run() -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "ends"

    on_signal(handler)
    g = impl.greenlet(run)
    assert g.switch() == "from the handler"
    assert states(g) == ["active"]
    assert g.switch("resumed") == "ends"
    assert log == ["resumed"]


@clause("exit.signal")
def test_signal_and_threads(impl: Any, on_signal: Any) -> None:
    """Handlers run in the main thread's greenlets while other threads switch."""
    log: list[Any] = []
    stop = threading.Event()

    def busy() -> None:
        root = impl.getcurrent()
        g = impl.greenlet(lambda: [root.switch() for _ in iter(stop.is_set, True)])
        g.switch()
        while not g.dead:
            g.switch()

    thread = threading.Thread(target=busy)
    thread.start()
    on_signal(lambda number, frame: log.append(impl.getcurrent()))
    g = impl.greenlet(lambda: signal.raise_signal(signal.SIGUSR1))
    g.switch()
    stop.set()
    thread.join(STEP_SECONDS)
    assert log == [g]
