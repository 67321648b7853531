"""The C API: extensions in C and C++, compiled against our header and, if it is there, upstream's.

They import ``greenlet._C_API``, which greenlane answers when it stands in for greenlet.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from typing import Any

import greenlane
from greenlane import GreenletExit, error, getcurrent, greenlet
from support import isolated, parent, run_script, suspended


def load(name: str, directory: str) -> Any:
    """Import an extension with greenlane in the place of greenlet."""
    sys.modules["greenlet"] = greenlane
    sys.path.insert(0, directory)
    try:
        return __import__(name)
    finally:
        sys.path.remove(directory)


def message_of(kind: type[BaseException], function: Any, *args: Any) -> str:
    """Call a function that must raise exactly ``kind``, and return the message."""
    try:
        result = function(*args)
    except BaseException as found:
        assert type(found) is kind, found
        return str(found)
    raise AssertionError(f"{function.__name__} returned {result!r}")


# ---- The capsule ---------------------------------------------------------------------------------


@isolated
def test_layout(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    size, weakreflist, dictionary, slots, same_size, version = api.layout()
    assert size == 40
    assert (weakreflist, dictionary) == (16, 24)
    assert slots == 12
    assert same_size
    assert version == "1.0.0"
    assert greenlet.__basicsize__ == 40


@isolated
def test_slots(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    assert api.slots() == (greenlet, error, GreenletExit)
    assert api.empty_slots() == 0


@isolated
def test_check(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)

    class Sub(greenlet):
        pass

    assert api.check(greenlet())
    assert api.check(Sub())
    assert not api.check(object())
    assert not api.check(greenlet)


# ---- Construction and the tree -------------------------------------------------------------------


@isolated
def test_new(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    main = getcurrent()
    blank = api.new(None, None)
    assert type(blank) is greenlet
    assert blank.parent is main
    assert message_of(AttributeError, lambda: blank.run) == "run"
    assert sys.getrefcount(blank) == 2

    other = greenlet()

    def run() -> str:
        return "ran"

    before = sys.getrefcount(run), sys.getrefcount(other)
    child = api.new(run, other)
    assert child.run is run
    assert child.parent is other
    assert sys.getrefcount(run) == before[0] + 1
    assert sys.getrefcount(other) == before[1] + 1
    del child
    assert (sys.getrefcount(run), sys.getrefcount(other)) == before
    assert api.new(run, None).switch() == "ran"


@isolated
def test_new_refuses_a_parent_that_is_no_greenlet(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    assert "greenlet" in message_of(TypeError, api.new, None, 42)


@isolated
def test_getcurrent_returns_a_new_reference(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    main = getcurrent()
    before = sys.getrefcount(main)
    for _ in range(100):
        assert api.getcurrent() is main
    assert sys.getrefcount(main) == before
    child = greenlet(api.getcurrent)
    assert child.switch() is child


@isolated
def test_getparent_returns_a_new_reference(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    main = getcurrent()
    child = greenlet()
    before = sys.getrefcount(main)
    for _ in range(100):
        assert api.getparent(child) is main
    assert sys.getrefcount(main) == before
    assert api.getparent(main) == "NULL"
    message_of(TypeError, api.getparent, object())


@isolated
def test_setparent(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    child, other = greenlet(), greenlet()
    before = sys.getrefcount(other)
    assert api.setparent(child, other) == 0
    assert child.parent is other
    assert sys.getrefcount(other) == before + 1
    assert "cyclic" in message_of(ValueError, api.setparent, other, child)
    message_of(TypeError, api.setparent, child, 42)
    message_of(AttributeError, api.setparent, child, None)
    message_of(AttributeError, api.setparent, getcurrent(), child)
    message_of(TypeError, api.setparent, object(), child)
    assert child.parent is other


@isolated
def test_state(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    assert api.state(getcurrent()) == (1, 1, 1)
    assert api.state(greenlet()) == (0, 0, 0)
    running = greenlet(lambda: api.state(getcurrent()))
    assert running.switch() == (0, 1, 1)
    assert api.state(running) == (0, 1, 0)
    sleeper = suspended()
    assert api.state(sleeper) == (0, 1, 1)
    main = getcurrent()
    assert greenlet(lambda: api.state(main)).switch() == (1, 1, 1)
    sleeper.switch()
    assert api.state(sleeper) == (0, 1, 0)
    killed = greenlet()
    killed.run = list
    killed.throw()
    assert api.state(killed) == (0, 1, 0)
    for function in (api.state, api.started, api.active):
        message_of(TypeError, function, object())


@isolated
def test_state_after_the_thread_has_exited(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    kept: list[greenlet] = []

    def target() -> None:
        kept.extend((getcurrent(), suspended()))

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert api.state(kept[0]) == (1, 1, 0)
    assert api.state(kept[1]) == (0, 1, 0)


# ---- Switch and throw ----------------------------------------------------------------------------


@isolated
def test_switch_arguments(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    marker = object()

    def echo(*args: Any, **kwargs: Any) -> None:
        received: Any = (args, kwargs)
        while True:
            received = parent().switch(received)

    child = greenlet(echo)
    assert api.switch(child, (1, 2), {"a": 3}) == ((1, 2), {"a": 3})
    assert api.switch(child, None, None) == ()
    assert api.switch(child, (), None) == ()
    assert api.switch(child, (marker,), None) is marker
    assert api.switch(child, (marker,), {}) is marker
    assert api.switch(child, (1, 2), None) == (1, 2)
    assert api.switch(child, None, {"a": 1}) == {"a": 1}
    assert api.switch(child, (1,), {"a": 2}) == ((1,), {"a": 2})


@isolated
def test_switch_copies_keywords(capi_probe: str) -> None:
    """The callee gets a dictionary of its own, as in any call with ``**``."""
    api = load("capi_probe", capi_probe)
    named = {"a": 1}
    received = api.switch(greenlet(lambda **kwargs: kwargs), None, named)
    assert received == named
    assert received is not named


@isolated
def test_switch_with_keywords_that_are_no_strings(capi_probe: str) -> None:
    """No function is called with them; to a greenlet that has started they are sent."""
    api = load("capi_probe", capi_probe)
    named = {"sep": "", 1: 2}
    for run in (print, dict, str.format, lambda *args, **kwargs: (args, kwargs)):
        child = greenlet(run)
        assert message_of(TypeError, api.switch, child, ("",), named) == "keywords must be strings"
        assert child.dead
    back = getcurrent()
    child = greenlet(lambda: back.switch())
    child.switch()
    assert api.switch(child, None, named) == named


@isolated
def test_switch_keeps_references(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    marker, args, named = object(), (object(),), {"key": object()}
    watched: tuple[Any, ...] = (marker, args, args[0], named, named["key"])
    before = [sys.getrefcount(each) for each in watched]
    for _ in range(100):
        api.switch(greenlet(lambda *_args, **_named: marker), args, named)
        api.switch(suspended(), args, named)
    assert [sys.getrefcount(each) for each in watched] == before


@isolated
def test_switch_errors(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    child = greenlet(lambda: 1)
    message_of(TypeError, api.switch, object(), None, None)
    assert not child.dead


@isolated
def test_switch_sends_what_is_no_tuple(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    marker = [1]
    before = sys.getrefcount(marker)
    back = getcurrent()
    partner = greenlet(lambda first: (first, back.switch()))
    api.switch(partner, marker, None)
    first, second = api.switch(partner, marker, None)
    assert first is second is marker
    named = {"a": 1}
    assert api.switch(greenlet(lambda *args, **kwargs: (args, kwargs)), marker, named) == (
        (marker,),
        named,
    )
    del first, second, partner
    assert sys.getrefcount(marker) == before
    assert message_of(ZeroDivisionError, api.switch, greenlet(lambda: 1 // 0), None, None)
    foreign: list[greenlet] = []
    arrived, leave = threading.Event(), threading.Event()

    def target() -> None:
        foreign.append(suspended())
        arrived.set()
        leave.wait()

    thread = threading.Thread(target=target)
    thread.start()
    arrived.wait()
    assert "different thread" in message_of(error, api.switch, foreign[0], None, None)
    leave.set()
    thread.join()
    assert "exited" in message_of(error, api.switch, foreign[0], None, None)


@isolated
def test_throw(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    assert message_of(KeyError, api.throw, suspended(), KeyError, "key", None) == "'key'"
    assert message_of(KeyError, api.throw, suspended(), KeyError("key"), None, None) == "'key'"
    assert isinstance(api.throw(suspended(), GreenletExit, None, None), GreenletExit)
    message_of(TypeError, api.throw, object(), KeyError, None, None)
    child = suspended()
    message_of(TypeError, api.throw, child, 42, None, None)
    message_of(TypeError, api.throw, child, KeyError("x"), "y", None)
    message_of(TypeError, api.throw, child, KeyError, None, "not a traceback")
    message_of(TypeError, api.throw, child, None, None, None)  # NULL as the type
    assert child
    try:
        raise ValueError("first")
    except ValueError as first:
        traceback = first.__traceback__
    try:
        api.throw(child, KeyError, "key", traceback)
    except KeyError as found:
        frames = []
        step = found.__traceback__
        while step is not None:
            frames.append(step)
            step = step.tb_next
        assert traceback in frames
    else:
        raise AssertionError("nothing was raised")


@isolated
def test_throw_keeps_references(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    thrown = KeyError("key")
    before = sys.getrefcount(thrown), sys.getrefcount(KeyError), sys.getrefcount(GreenletExit)
    for _ in range(100):
        try:
            api.throw(suspended(), thrown, None, None)
        except KeyError:
            thrown.__traceback__ = None
        api.throw(suspended(), GreenletExit, None, None)
    after = sys.getrefcount(thrown), sys.getrefcount(KeyError), sys.getrefcount(GreenletExit)
    assert after == before


def test_getcurrent_while_finalizing(capi_probe: str) -> None:
    done = run_script(
        f"""
        import os
        from test_capi import load
        api = load("capi_probe", {capi_probe!r})
        class Late:
            def __del__(self, write=os.write, current=api.getcurrent):
                try:
                    current()
                except RuntimeError as error:
                    write(1, f"refused: {{error}}".encode())
                else:
                    write(1, b"answered")
        keep = Late()  # dropped with the module's globals
        """
    )
    assert done.stdout.startswith("refused: ")


# ---- A subclass in C, as gevent has --------------------------------------------------------------


@isolated
def test_c_subclass_lives_and_dies(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    token = object()
    before = sys.getrefcount(token)
    for _ in range(50):
        child = api.Linked(lambda: parent().switch("up"))
        child.token = token
        child.attribute = token
        assert child.switch() == "up"
        assert child.switch() == ()
        assert child.dead
        del child
    assert sys.getrefcount(token) == before
    assert api.linked_freed() == 50


@isolated
def test_c_subclass_is_killed_when_dropped(capi_probe: str) -> None:
    """The finalizer runs before the subclass clears its fields."""
    api = load("capi_probe", capi_probe)
    seen: list[object] = []

    def run() -> None:
        try:
            parent().switch()
        except GreenletExit:
            seen.append(getcurrent().link)  # type: ignore[attr-defined]
            raise

    child = api.Linked(run)
    child.link = "intact"
    child.switch()
    reference = weakref.ref(child)
    del child
    assert seen == ["intact"]
    assert reference() is None
    assert api.linked_freed() == 1


@isolated
def test_c_subclass_resurrects(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    saved: list[greenlet] = []

    def run() -> str:
        try:
            parent().switch()
        except GreenletExit:
            saved.append(getcurrent())
        parent().switch()
        return "finished"

    child = api.Linked(run)
    child.link = "kept"
    child.switch()
    del child
    assert len(saved) == 1
    assert api.linked_freed() == 0
    back = saved.pop()
    assert back.link == "kept"  # type: ignore[attr-defined]
    assert back.switch() == "finished"
    del back
    assert api.linked_freed() == 1


@isolated
def test_c_subclass_in_cycles(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    for start in (False, True):
        child = api.Linked(lambda: parent().switch())
        child.link = child
        if start:
            child.switch()
        reference = weakref.ref(child)
        del child
        gc.collect()
        assert reference() is None, start
    assert api.linked_freed() == 2


@isolated
def test_python_subclass_of_a_c_subclass(capi_probe: str) -> None:
    api = load("capi_probe", capi_probe)
    deleted: list[str] = []

    class Sub(api.Linked):  # type: ignore[misc,name-defined]
        def run(self, word: str) -> str:
            return str(self.parent.switch(word))

        def __del__(self) -> None:
            deleted.append(self.name)

    before = sys.getrefcount(Sub)
    child = Sub()
    child.name = "sub"
    child.link = child
    assert child.switch("word") == "word"
    assert child.switch("end") == "end"
    del child
    gc.collect()
    assert deleted == ["sub"]
    assert sys.getrefcount(Sub) == before


# ---- C++ exceptions ------------------------------------------------------------------------------


@isolated
def test_cpp_exception_inside_a_greenlet(cpp_probe: str) -> None:
    cpp = load("cpp_probe", cpp_probe)
    log: list[str] = []
    assert greenlet(cpp.throw_and_catch).switch(log) == "thrown here"
    assert log == ["unwound"]


@isolated
def test_cpp_exception_across_a_switch(cpp_probe: str) -> None:
    cpp = load("cpp_probe", cpp_probe)
    logs: list[list[str]] = [[] for _ in range(10)]
    children = []
    for log in logs:
        child = greenlet(cpp.throw_after_switch)
        assert child.switch(log) == ()
        children.append(child)
    assert logs == [[]] * 10
    for child in children:
        assert child.switch() == "thrown after a switch"
    assert logs == [["unwound"]] * 10


@isolated
def test_cpp_stack_is_unwound_by_a_kill(cpp_probe: str) -> None:
    cpp = load("cpp_probe", cpp_probe)
    log: list[str] = []
    child = greenlet(cpp.throw_after_switch)
    child.switch(log)
    del child
    assert log == ["unwound"]


@isolated
def test_switch_while_handling_a_cpp_exception(cpp_probe: str) -> None:
    cpp = load("cpp_probe", cpp_probe)
    child = greenlet(cpp.switch_while_handling)
    assert child.switch() == ()
    assert child.switch() == "handled across a switch"


@isolated
def test_cpp_and_python_exceptions_nest(cpp_probe: str) -> None:
    cpp = load("cpp_probe", cpp_probe)

    def python() -> None:
        assert cpp.throw_and_catch([]) == "thrown here"
        parent().switch()
        raise KeyError("from Python")

    child = greenlet(lambda: cpp.call(python))
    child.switch()
    assert child.switch() == "caught: Python raised"


def test_cpp_exception_that_escapes_aborts(cpp_probe: str) -> None:
    done = run_script(
        f"""
        from greenlane import greenlet
        from test_capi import load
        cpp = load("cpp_probe", {cpp_probe!r})
        greenlet(cpp.escape).switch()
        print("survived")
        """,
        returncode=-signal.SIGABRT,
    )
    assert "terminate called" in done.stderr
    assert "nobody catches this" in done.stderr
    assert done.stdout == ""
