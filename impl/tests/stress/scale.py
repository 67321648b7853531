"""Very many greenlets at once, and very long chains of them: nothing is lost, and nothing recurses.

    python scale.py [--count N] [--chain N] [NAME ...]

Each case runs in a process of its own, one after the other, and prints what it found and the most
memory that it took. `--count` is how many greenlets are suspended at once, a million unless told
otherwise, which takes up to 2.5 GB; `--chain` is how long a chain of parents is.
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

from greenlane import GreenletExit, getcurrent, greenlet, lanes

CASES: dict[str, Callable[[int], None]] = {}
CHAINS: dict[str, Callable[[int], None]] = {}


def case(function: Callable[[int], None]) -> Callable[[int], None]:
    CASES[function.__name__] = function
    return function


def chain(function: Callable[[int], None]) -> Callable[[int], None]:
    CHAINS[function.__name__] = function
    return function


class Counter:
    """How many greenlets have ended."""

    ended = 0


def wait() -> None:
    parent = getcurrent().parent
    assert parent is not None
    try:
        parent.switch()
    finally:
        Counter.ended += 1


def suspend(count: int) -> list[greenlet]:
    made = [greenlet(wait) for _ in range(count)]
    for each in made:
        each.switch()
    return made


def check_ended(count: int) -> None:
    assert Counter.ended == count, f"{Counter.ended} of {count} have ended"
    status = lanes.status()
    assert (status.own, status.sharing) == (0, 0), status


# ---- Many ----------------------------------------------------------------------------------------


@case
def dropped_first_to_last(count: int) -> None:
    made = suspend(count)
    made.reverse()
    while made:
        made.pop()
    check_ended(count)


@case
def dropped_last_to_first(count: int) -> None:
    made = suspend(count)
    while made:
        made.pop()
    check_ended(count)


@case
def collected(count: int) -> None:
    made = suspend(count)
    for one, other in zip(made, [*made[1:], made[0]], strict=True):
        one.other = other  # type: ignore[attr-defined]
    del one, other
    made.clear()
    assert Counter.ended == 0
    gc.collect()
    check_ended(count)


@case
def ended_in_turn(count: int) -> None:
    for each in suspend(count):
        each.switch()
    del each
    check_ended(count)


@case
def at_the_end_of_a_thread(count: int) -> None:
    """Those that only the thread's own frames know are killed; those kept elsewhere never run."""
    kept: list[greenlet] = []

    def work() -> None:
        made = suspend(count)
        kept.extend(made[: count // 2])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert all(each.dead for each in kept)
    kept.clear()
    gc.collect()
    assert Counter.ended == count - count // 2, Counter.ended
    assert sum(isinstance(each, greenlet) for each in gc.get_objects()) <= 1


@case
def dropped_by_another_thread(count: int) -> None:
    made = suspend(count)
    thread = threading.Thread(target=made.clear)
    thread.start()
    thread.join()
    assert Counter.ended == 0
    getcurrent()
    check_ended(count)


@case
def at_the_end_of_the_process(count: int) -> None:
    sys.kept = suspend(count)  # type: ignore[attr-defined]


# ---- Long ----------------------------------------------------------------------------------------


def on_a_stack_of(kib: int, work: Callable[[], None]) -> None:
    """Let a thread work that has no room to go down as deep as a chain is long."""
    failed: list[BaseException] = []

    def watched() -> None:
        try:
            work()
        except BaseException as exception:
            failed.append(exception)
            raise

    threading.stack_size(kib * 1024)
    thread = threading.Thread(target=watched)
    thread.start()
    thread.join()
    assert not failed


def tower(count: int, run: Callable[..., object]) -> list[greenlet]:
    """Make greenlets each of which has the next one for its parent; the last is the main one's.

    By way of `parent` of the one that makes them: to give a parent costs a walk up the chain.
    """
    made: list[greenlet] = []

    def grow() -> None:
        made.append(getcurrent())
        if len(made) < count:
            greenlet(grow).switch()
        run()

    sys.setrecursionlimit(2**30)
    greenlet(grow).switch()
    made.reverse()
    return made


@chain
def chain_that_ends_from_below(count: int) -> None:
    """Each waits for the one below it; when that ends, it ends."""
    made = tower(count, lambda: None)
    assert len(made) == count
    assert all(each.dead for each in made)


@chain
def chain_of_the_dead_is_skipped(count: int) -> None:
    def work() -> None:
        made = tower(count, lambda: None)
        assert made[0].switch("value") == "value"
        assert isinstance(made[0].throw(GreenletExit), GreenletExit)

    on_a_stack_of(256, work)


@chain
def chain_is_deallocated_without_recursion(count: int) -> None:
    """CPython 3.13 goes down some 10,000 calls, not more."""

    outermost: list[weakref.ref[greenlet]] = []

    def work() -> None:
        made = tower(count, lambda: None)
        outermost.append(weakref.ref(made[-1]))
        top = made[0]
        made.clear()
        assert top.dead
        del top
        assert outermost[0]() is None

    on_a_stack_of(2048, work)
    assert outermost[0]() is None


@chain
def chain_of_the_suspended_is_killed(count: int) -> None:
    """Each owns the next: the end of one drops another, as deep as the chain is long."""
    root = getcurrent()
    inner: greenlet | None = None

    def own(owned: greenlet | None) -> None:
        root.switch()
        assert owned is not None or root

    for _ in range(count):
        one = greenlet(own)
        one.switch(inner)
        inner = one
    del one
    inner = None
    gc.collect()


@chain
def exception_through_new_ancestors(count: int) -> None:
    """Each is started, to die of it. How it goes on is quadratic: `count` is divided by 50."""
    one = greenlet(len)
    for _ in range(count // 50):
        one = greenlet(len, one)
    try:
        one.throw(KeyError("from below"))
    except KeyError as found:
        assert found.args == ("from below",)
    else:
        raise AssertionError("nothing was raised")
    assert one.dead


def run_one(name: str, count: int) -> None:
    gc.disable()
    begin = time.monotonic()
    {**CASES, **CHAINS}[name](count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}: {count}, {peak} MiB, {time.monotonic() - begin:.1f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Very many greenlets.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--chain", type=int, default=100_000)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    unknown = set(options.names) - {*CASES, *CHAINS}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    failed = 0
    for name in options.names or [*CASES, *CHAINS]:
        count = options.count if name in CASES else options.chain
        code = f"import scale; scale.run_one({name!r}, {count})"
        command = [sys.executable, "-X", "faulthandler", "-c", code]
        done = subprocess.run(command, cwd=sys.path[0], check=False, timeout=3600)
        if done.returncode != 0:
            print(f"{name}: exit code {done.returncode}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
