"""Frames of suspended greenlets: the chain, the locals, and frames that outlive their greenlet."""

from __future__ import annotations

import gc
import inspect
import sys
import threading
import traceback
from types import FrameType
from typing import Any

from greenlane import GreenletExit, getcurrent, greenlet
from support import isolated, parent, suspended


def inner(level: int, token: object) -> object:
    if level == 0:
        local = token
        parent().switch()
        return local
    return inner(level - 1, token)


def through_c(token: object) -> list[object]:
    """Have C code between two Python frames."""
    return sorted([1], key=lambda _: inner(2, token))  # type: ignore[arg-type,return-value]


def names(frame: FrameType | None) -> list[str]:
    """Name the functions from a frame outwards."""
    found = []
    while frame is not None:
        found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found


def frame_of(child: greenlet) -> FrameType:
    frame = child.gr_frame
    assert frame is not None
    return frame


def held_frame(token: object) -> tuple[greenlet, FrameType]:
    child = greenlet(inner)
    child.switch(3, token)
    return child, frame_of(child)


@isolated
def test_only_while_suspended() -> None:
    child = greenlet(lambda: getcurrent().gr_frame)
    assert child.gr_frame is None
    assert child.switch() is None
    assert child.gr_frame is None
    main = getcurrent()
    assert main.gr_frame is None
    assert names(greenlet(lambda: main.gr_frame).switch())[-1] == "<module>"


@isolated
def test_chain_ends_at_the_greenlet() -> None:
    child, frame = held_frame("token")
    assert names(frame) == ["inner"] * 4
    assert [f.frame.f_locals["level"] for f in inspect.getouterframes(frame)] == [0, 1, 2, 3]
    child.switch()


@isolated
def test_chain_through_c() -> None:
    child = greenlet(through_c)
    child.switch("token")
    assert names(child.gr_frame) == ["inner", "inner", "inner", "<lambda>", "through_c"]
    for _ in range(3):
        assert child.gr_frame is child.gr_frame
    child.switch()
    assert child.gr_frame is None


@isolated
def test_chain_of_a_parent_that_waits() -> None:
    """A greenlet that switched to its child is suspended, too; chains do not join."""
    seen: list[list[str]] = []

    def outer() -> None:
        me = getcurrent()
        greenlet(lambda: seen.append(names(me.gr_frame))).switch()

    greenlet(outer).switch()
    assert seen == [["outer"]]


@isolated
def test_locals_and_position() -> None:
    token = object()
    child, frame = held_frame(token)
    assert frame.f_locals == {"level": 0, "token": token, "local": token}
    assert frame.f_globals is globals()
    lines, start = inspect.getsourcelines(inner)
    assert "switch" in lines[frame.f_lineno - start]
    assert child.switch() is token


@isolated
def test_generators_in_the_chain() -> None:
    def generate() -> Any:
        yield parent().switch()

    def run() -> list[object]:
        return list(generate())

    child = greenlet(run)
    child.switch()
    assert names(child.gr_frame) == ["generate", "run"]
    assert child.switch("value") == ["value"]


@isolated
def test_traceback_modules() -> None:
    child, frame = held_frame("token")
    stack = traceback.extract_stack(frame)
    assert [entry.name for entry in stack] == ["inner"] * 4
    assert stack[-1].line == "parent().switch()"
    assert "inner" in "".join(traceback.format_stack(frame))
    child.switch()


@isolated
def test_traceback_of_an_exception_crosses_greenlets() -> None:
    def fail() -> None:
        raise KeyError("key")

    def middle() -> None:
        greenlet(fail).switch()

    try:
        greenlet(middle).switch()
    except KeyError as found:
        entries = traceback.extract_tb(found.__traceback__)
    assert [entry.name for entry in entries] == [
        "test_traceback_of_an_exception_crosses_greenlets",
        "middle",
        "fail",
    ]


@isolated
def test_current_frames_show_the_running_greenlet() -> None:
    sleeper, frame = held_frame("token")
    here = threading.get_ident()

    def run() -> list[str]:
        return names(sys._current_frames()[here])

    assert greenlet(run).switch() == ["run"]
    assert frame not in sys._current_frames().values()
    assert names(sys._getframe())[0] == "test_current_frames_show_the_running_greenlet"
    sleeper.switch()


@isolated
def test_frames_of_many_at_once() -> None:
    children = [greenlet(inner) for _ in range(500)]
    for index, child in enumerate(children):
        child.switch(index % 40, index)
    frames = [frame_of(child) for child in children]
    gc.collect()
    for index, frame in enumerate(frames):
        assert len(names(frame)) == index % 40 + 1
        assert frame.f_locals["token"] == index
    for index, child in enumerate(children):
        assert child.switch() == index
        assert frames[index].f_locals["token"] == index
        assert names(frames[index])[0] == "inner"


@isolated
def test_frame_outlives_a_greenlet_that_finished() -> None:
    token = object()
    child, frame = held_frame(token)
    outermost = frame
    while outermost.f_back is not None:
        outermost = outermost.f_back
    assert child.switch() is token
    del child
    for _ in range(200):  # the lane is used again
        greenlet(inner).switch(5, "other")
    gc.collect()
    assert frame.f_locals["token"] is token
    assert outermost.f_locals["level"] == 3
    frame.clear()
    assert "token" not in frame.f_locals
    assert outermost.f_locals["token"] is token


@isolated
def test_frame_outlives_a_greenlet_that_was_killed() -> None:
    token = object()
    child, frame = held_frame(token)
    del child
    for _ in range(200):
        greenlet(inner).switch(5, "other")
    gc.collect()
    assert frame.f_locals["token"] is token


@isolated
def test_frame_keeps_no_greenlet_alive() -> None:
    killed: list[str] = []

    def run() -> None:
        try:
            parent().switch()
        except GreenletExit:
            killed.append("killed")

    child = suspended(run=run)
    frame = frame_of(child)
    del child
    assert killed == ["killed"]
    assert names(frame)[0] == "run"


@isolated
def test_frame_outlives_its_thread() -> None:
    """The thread exits, its greenlets are freed without running: their frames stay readable."""
    token = object()
    frames: list[FrameType] = []

    def work() -> None:
        child, frame = held_frame(token)
        frames.append(frame)
        assert child

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    for _ in range(200):
        greenlet(inner).switch(5, "other")
    gc.collect()
    for frame in frames:
        assert names(frame)[0] == "inner"
        assert frame.f_locals["token"] is token
    frames.clear()
    gc.collect()


@isolated
def test_frame_and_greenlet_outlive_their_thread() -> None:
    kept: list[tuple[greenlet, FrameType]] = []

    def work() -> None:
        kept.append(held_frame("token"))

    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    for child, frame in kept:
        assert child.dead
        assert names(frame) == ["inner"] * 4
    frames = [frame for _, frame in kept]
    kept.clear()
    del child
    gc.collect()
    assert [frame.f_locals["token"] for frame in frames] == ["token"] * 10


@isolated
def test_looking_does_not_disturb() -> None:
    """Frames may be looked at between any two switches, from inside other greenlets as well."""
    rounds: list[int] = []

    def run() -> str:
        for number in range(50):
            rounds.append(number)
            parent().switch(number)
        return "end"

    child = greenlet(run)
    for number in range(50):
        assert child.switch() == number
        frame = frame_of(child)
        assert greenlet(lambda f=frame: f.f_locals["number"]).switch() == number
    assert child.switch() == "end"
    assert rounds == list(range(50))
