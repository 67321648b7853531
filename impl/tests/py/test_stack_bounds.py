"""What is deallocated in a greenlet is freed there and then.

CPython puts off the deallocation of a container when the C stack seems to be nearly full. From 3.14
on it compares addresses with the bounds of the stack in the thread state. Were those the bounds of
another greenlet's stack, each container that is dropped would be put off, and objects would pile up
for as long as the process lives. Before 3.14 it counts nested deallocations, which belong to a
greenlet just as much.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator

import pytest
from greenlane import greenlet
from support import isolated, parent, run_script

GREENLETS = 40
ROUNDS = 50


class Container(list[object]):
    """A container that is counted for as long as it lives."""

    alive = 0

    def __init__(self) -> None:
        super().__init__()
        Container.alive += 1

    def __del__(self) -> None:
        Container.alive -= 1


def nested(depth: int) -> Container:
    outer = Container()
    for _ in range(depth):
        inner, outer = outer, Container()
        outer.append(inner)
    return outer


def drop_some() -> int:
    """Drop containers of several kinds; return how many of those counted are left."""
    many = [nested(20) for _ in range(5)]
    others = {"dict": {"tuple": (nested(1),)}, "frame": walk(nested(3))}
    del many, others
    return Container.alive


def walk(items: Container) -> Iterator[object]:
    yield from items


def drop_and_switch() -> None:
    while True:
        parent().switch(drop_some())


def pile() -> int:
    """Drop containers in many greenlets, in turn, several times; return how many are left."""
    greenlets = [greenlet(drop_and_switch) for _ in range(GREENLETS)]
    left = 0
    # In both directions: the stack of the one that ran before lies once below, once above.
    for number in range(ROUNDS):
        for each in greenlets[:: 1 if number % 2 else -1]:
            left = max(left, each.switch(), drop_some())
    return left


def drop_deep() -> int:
    """Drop a chain so long that CPython rightly puts some of it off."""
    chain = nested(50_000)
    parent().switch()
    del chain
    return Container.alive


def pile_of_deep_ones() -> int:
    greenlets = [greenlet(drop_deep) for _ in range(4)]
    for each in greenlets:
        each.switch()
    alive = Container.alive
    left = 0
    for number, each in enumerate(greenlets, 1):
        left = max(left, each.switch() - alive * (len(greenlets) - number) // len(greenlets))
    return left


class Switching(Container):
    """Switches away while it is deallocated."""

    def __del__(self) -> None:
        super().__del__()
        parent().switch("in the middle")


def drop_switching() -> None:
    outer: Container = Switching()
    for level in range(2_000):
        inner, outer = outer, Switching() if level % 100 == 0 else Container()
        outer.append(inner)
    del outer, inner


def drop_switching_last() -> None:
    """Those that switch are dropped when the rest of the chain has been put off."""
    outer: Container = Switching()
    for level in range(30_000):
        inner, outer = outer, Container()
        if level % 1_000 == 0:
            outer.append(Switching())
        outer.append(inner)
    del outer, inner


def pile_of_interrupted_ones(drop: Callable[[], None] = drop_switching) -> int:
    """Leave the deallocation of a chain again and again; others drop containers meanwhile."""
    greenlets = [greenlet(drop) for _ in range(3)]
    greenlets_left = list(greenlets)
    while greenlets_left:
        for each in list(greenlets_left):
            if each.switch() != "in the middle":
                greenlets_left.remove(each)
            before = Container.alive
            assert drop_some() == before
    return Container.alive


def blocks_grown() -> int:
    """Return by how many blocks memory grows when the same is done again."""
    greenlets = [greenlet(drop_and_switch) for _ in range(GREENLETS)]

    def rounds() -> None:
        for _ in range(ROUNDS):
            for each in greenlets:
                each.switch()

    rounds()
    gc.collect()
    before = sys.getallocatedblocks()
    rounds()
    gc.collect()
    return sys.getallocatedblocks() - before


PILES: dict[str, Callable[[], int]] = {
    "shallow": pile,
    "deep": pile_of_deep_ones,
    "interrupted": pile_of_interrupted_ones,
}
# Up to 3.12 what is put off is the thread's: whoever drops next drops it, as with greenlet.
if sys.version_info >= (3, 13):
    PILES["put off"] = lambda: pile_of_interrupted_ones(drop_switching_last)


@pytest.mark.parametrize("lanes", ["4096", "7", "0"])
@pytest.mark.parametrize("name", sorted(PILES))
def test_nothing_piles_up(name: str, lanes: str) -> None:
    done = run_script(
        f"""
        import gc
        from test_stack_bounds import PILES
        gc.disable()
        print(PILES[{name!r}]())
        """,
        environment={"GREENLANE_LANES": lanes},
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("lanes", ["4096", "0"])
def test_memory_does_not_grow(lanes: str) -> None:
    done = run_script(
        "from test_stack_bounds import blocks_grown; print(blocks_grown())",
        environment={"GREENLANE_LANES": lanes},
    )
    assert int(done.stdout) < GREENLETS, "fewer than one block a greenlet in 50 rounds"


@isolated
def test_nothing_piles_up_after_an_exception() -> None:
    """A greenlet left by an exception, and the one where it arrives."""

    def fail() -> None:
        kept = nested(10)
        parent().switch()
        raise ValueError(len(kept))

    for _ in range(200):
        child = greenlet(fail)
        child.switch()
        with contextlib.suppress(ValueError):
            child.switch()
        del child
        assert drop_some() == 0
