"""Where the kernel refuses what lanes are made with: they are made otherwise, or shared.

In none of these cases may anything but MemoryError come of it, and only where there is no memory
for a single stack.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import mmap
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import refuse
from greenlane import getcurrent, greenlet, lanes
from support import isolated, mapping_count, parent, resident_kib, run_script, suspended

MIB = 1024 * 1024
PAGE = mmap.PAGESIZE

#: What is refused from the start. All of these leave lanes possible.
REFUSALS: dict[str, tuple[refuse.Rule, ...]] = {
    "nothing": (),
    "guards without mappings": (refuse.OLD_KERNEL,),
    "madvise": (refuse.NO_MADVISE,),
    "munmap": (refuse.NO_MUNMAP,),
    "munmap, madvise": (refuse.NO_MUNMAP, refuse.NO_MADVISE),
    "slabs of many lanes": (refuse.no_mapping_of(16 * MIB),),
    "slabs of many lanes, madvise": (refuse.no_mapping_of(16 * MIB), refuse.NO_MADVISE),
}


def exercise(count: int) -> None:
    """Have many greenlets at once, resume, finish, drop and collect them."""
    ended: list[int] = []

    def run(number: int) -> None:
        try:
            total = number
            while True:
                total += parent().switch(total)
        except ValueError as error:
            assert error.args == (number,)
        finally:
            ended.append(number)

    children = [greenlet(run) for _ in range(count)]
    assert [each.switch(number) for number, each in enumerate(children)] == list(range(count))
    for number, each in reversed(list(enumerate(children))):
        assert each.switch(1) == number + 1
    for number, each in list(enumerate(children))[::2]:
        each.throw(ValueError(number))
        assert each.dead
    assert ended == list(range(0, count, 2))
    del each
    children.clear()
    gc.collect()
    assert sorted(ended) == list(range(count))


def down(levels: int) -> int:
    return 0 if levels == 0 else 1 + down(levels - 1)


def guard_mappings() -> int:
    """Count the guards that are mappings of their own."""
    count = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, protection = line.split()[:2]
        low, high = (int(each, 16) for each in addresses.split("-"))
        count += protection == "---p" and high - low == 64 * 1024
    return count


def kernel_has_guards() -> bool:
    """Return whether this kernel knows MADV_GUARD_INSTALL."""
    with mmap.mmap(-1, 2 * PAGE) as memory:
        try:
            memory.madvise(refuse.MADV_GUARD_INSTALL, PAGE, PAGE)
        except OSError as error:
            assert error.errno == errno.EINVAL
            return False
    return True


# ---- Made otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(REFUSALS))
@isolated
def test_works_without(name: str) -> None:
    refuse.refuse(*REFUSALS[name])
    exercise(2_500)
    status = lanes.status()
    assert (status.limit, status.own, status.sharing) == (4096, 0, 0)
    exercise(2_500)
    assert greenlet(down).switch(500) == 500


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_works_without_lanes_of_their_own(name: str) -> None:
    run_script(
        f"""
        import refuse, test_fallbacks
        refuse.refuse(*test_fallbacks.REFUSALS[{name!r}])
        test_fallbacks.exercise(500)
        """,
        environment={"GREENLANE_LANES": "0"},
    )


@pytest.mark.parametrize("name", ["nothing", "guards without mappings", "madvise"])
@isolated
def test_how_guards_are_made(name: str) -> None:
    """Without mappings of their own where the kernel can do that, with them where not."""
    are_mappings = name != "nothing" or not kernel_has_guards()
    refuse.refuse(*REFUSALS[name])
    before = guard_mappings()
    kept = [suspended() for _ in range(100)]
    status = lanes.status()
    assert status.own == len(kept)
    assert guard_mappings() - before == (status.own + status.shared if are_mappings else 0)


@pytest.mark.parametrize("own", ["4096", "0"])
@pytest.mark.parametrize("name", ["nothing", "guards without mappings", "madvise"])
def test_overflow_meets_the_guard(stack_probe: str, name: str, own: str) -> None:
    done = run_script(
        f"""
        import refuse, sys, test_fallbacks
        from support import suspended
        refuse.refuse(*test_fallbacks.REFUSALS[{name!r}])
        sys.path.insert(0, {stack_probe!r})
        import stack_probe
        from greenlane import greenlet
        neighbours = [suspended() for _ in range(20)]
        print(greenlet(stack_probe.use).switch(7 << 20) > 0, flush=True)
        greenlet(stack_probe.use).switch(9 << 20)
        print("survived")
        """,
        returncode=-signal.SIGSEGV,
        environment={"GREENLANE_LANES": own},
    )
    assert "Segmentation fault" in done.stderr
    assert done.stdout == "True\n"


@isolated
def test_memory_that_cannot_be_unmapped_is_given_back() -> None:
    """Lanes that the pool does not keep go back to the system without munmap(), too."""
    lanes.set_limit(3_000)
    refuse.refuse(refuse.NO_MUNMAP)

    def deep() -> None:
        parent().switch(down_in_c(40))

    def down_in_c(levels: int) -> int:
        return 0 if levels == 0 else sorted([0], key=lambda _: down_in_c(levels - 1))[0]

    before = resident_kib()
    children = [suspended(run=deep) for _ in range(2_500)]
    used = resident_kib() - before
    for each in children:
        each.switch()
    del each
    children.clear()
    idle = lanes.status().idle
    assert idle < 1_100
    assert resident_kib() - before < used / 2


# ---- Too many mappings ---------------------------------------------------------------------------


def use_up_mappings(*, until: int) -> mmap.mmap:
    """Leave the process only ``until`` mappings to come."""
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    count = max(0, limit - until - mapping_count())
    memory = mmap.mmap(-1, (count + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in range(1, count, 2):
        if mprotect(ctypes.c_void_p(start + page * PAGE), PAGE, mmap.PROT_READ):
            raise OSError(ctypes.get_errno(), "mprotect")
    return memory


def more_than_there_can_be_mappings() -> None:
    """For a process in which as many greenlets may have a lane of their own as can be set."""
    assert lanes.status().limit == lanes.LARGEST_LIMIT
    refuse.refuse(refuse.OLD_KERNEL)
    kept = use_up_mappings(until=65_400)
    count = 36_000
    started = [suspended() for _ in range(count)]
    status = lanes.status()
    assert status.own < 32_800, "two mappings a lane"
    assert status.sharing == count - status.own
    assert guard_mappings() == status.own + status.shared
    # There is room for the rest of the program.
    assert len(bytearray(16 * MIB)) == len(mmap.mmap(-1, 16 * MIB))
    thread = threading.Thread(target=exercise, args=(50,))
    thread.start()
    thread.join()
    assert greenlet(down).switch(900) == 900
    exercise(300)
    for each in started[::2]:
        each.switch()
    assert not any(started[::2])
    assert all(started[1::2])
    del each
    started.clear()
    gc.collect()
    status = lanes.status()
    assert (status.own, status.sharing) == (0, 0)
    exercise(300)
    assert kept


def test_mappings_run_out() -> None:
    run_script(
        "import test_fallbacks; test_fallbacks.more_than_there_can_be_mappings()",
        environment={"GREENLANE_LANES": str(lanes.LARGEST_LIMIT)},
    )


def test_many_lanes_of_their_own() -> None:
    """Where guards need no mapping the same number of greenlets does without sharing."""
    run_script(
        """
        import gc
        from greenlane import lanes
        from support import suspended
        from test_fallbacks import exercise, guard_mappings, kernel_has_guards
        if kernel_has_guards():
            started = [suspended() for _ in range(36_000)]
            status = lanes.status()
            assert (status.own, status.sharing, guard_mappings()) == (36_000, 0, 0), status
            started.clear()
        exercise(300)
        """,
        environment={"GREENLANE_LANES": str(lanes.LARGEST_LIMIT)},
    )


# ---- Not at all ----------------------------------------------------------------------------------

NO_LANES: dict[str, tuple[refuse.Rule, ...]] = {
    "no mapping": (refuse.no_mapping_of(4 * MIB),),
    "no guard": (refuse.NO_MADVISE, refuse.NO_MPROTECT),
}


def assert_refused(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except MemoryError as refused:
        assert "stack" in str(refused)
        return
    raise AssertionError("memory came from nowhere")


@pytest.mark.parametrize("name", sorted(NO_LANES))
@isolated
def test_no_lane_at_all(name: str) -> None:
    """MemoryError, the greenlet as it was; other threads, that are refused nothing, go on."""
    outcome: list[object] = []

    def work() -> None:
        refuse.refuse(*NO_LANES[name])
        argument = object()
        child = greenlet(lambda value: value)
        before = sys.getrefcount(argument), sys.getrefcount(child)
        mappings = mapping_count()
        for _ in range(50):
            assert_refused(lambda: child.switch(argument))
            assert_refused(lambda: child.throw(KeyError))
        assert mapping_count() - mappings <= 2
        assert (sys.getrefcount(argument), sys.getrefcount(child)) == before
        assert not child
        assert not child.dead
        assert callable(child.run)
        assert child.parent is getcurrent()
        assert getcurrent().switch(3) == 3
        outcome.append("refused")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == ["refused"]
    exercise(100)


@pytest.mark.parametrize("name", sorted(NO_LANES))
@isolated
def test_no_more_lanes(name: str) -> None:
    """Refused after some: greenlets share those that there are."""
    kept = [suspended() for _ in range(20)]
    refuse.refuse(*NO_LANES[name])
    exercise(1_500)
    status = lanes.status()
    assert 20 <= status.limit < 64, "no more than were in the slab"
    for each in kept:
        each.switch()
        assert each.dead
    exercise(1_500)


@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
@isolated
def test_limited_and_let_go(kind: str) -> None:
    """A limit that is lifted later: what was refused works then."""
    number: int = getattr(resource, kind)
    getcurrent()
    pages = [int(each) for each in Path("/proc/self/statm").read_text().split()]
    in_use = pages[0 if kind == "RLIMIT_AS" else 5] * PAGE
    unlimited = resource.getrlimit(number)
    resource.setrlimit(number, (in_use + 4 * MIB, unlimited[1]))
    child = greenlet(lambda value: parent().switch(value))
    for _ in range(3):
        assert_refused(lambda: child.switch(1))
        assert not child.dead
        assert not child
    resource.setrlimit(number, unlimited)
    assert child.switch(2) == 2
    assert child.switch(3) == 3
    assert child.dead
    exercise(1_500)


@pytest.mark.parametrize("mebibytes", [200, 500, 1000])
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_little_memory_is_shared(kind: str, mebibytes: int) -> None:
    """Under a limit lanes take only part of what there is, and the program can go on."""
    run_script(
        f"""
        import resource
        resource.setrlimit(resource.{kind}, ({mebibytes} << 20, resource.RLIM_INFINITY))
        from greenlane import lanes
        from support import suspended
        from test_fallbacks import exercise
        started = [suspended() for _ in range(3_000)]
        assert lanes.status().sharing > 2_800
        assert len(bytearray({mebibytes} << 18)) == {mebibytes} << 18
        exercise(500)
        """
    )


def depths_with_stack(soft: int, hard: int) -> list[int]:
    """How deep lanes are in a process whose own stack may have so many bytes."""
    done = run_script(
        f"""
        import os, resource, sys
        limits = {soft}, {hard}
        if resource.getrlimit(resource.RLIMIT_STACK) != limits:
            resource.setrlimit(resource.RLIMIT_STACK, limits)
            os.execv(sys.executable, sys.orig_argv)
        import threading
        from greenlane import greenlet, lanes
        from test_fallbacks import down, exercise
        from test_lanes import Counted

        def use():
            exercise(100)
            assert greenlet(down).switch(900) == 900
            depths.append(greenlet(Counted().reach).switch("sort"))

        depths = []
        use()
        lanes.set_limit(0)
        use()
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        print(*depths)
        """
    )
    return [int(each) for each in done.stdout.split()]


@pytest.mark.parametrize("kibibytes", [512, 64 * 1024, None])
def test_limited_stack(kibibytes: int | None) -> None:
    """How large the process's own stack may be (`ulimit -s`) is nothing to lanes.

    Where it is not limited the interpreter takes it for terabytes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    size = resource.RLIM_INFINITY if kibibytes is None else kibibytes * 1024
    if hard != resource.RLIM_INFINITY and not 0 <= size <= hard:
        pytest.skip("more than this process may have")
    usual = depths_with_stack(soft, hard)
    depths = depths_with_stack(size, hard)
    assert len(depths) == len(usual) == 3
    assert min(usual) > 150
    assert all(abs(one - other) <= 5 for one, other in zip(depths, usual, strict=True)), depths


@isolated
def test_refusals_are_refused() -> None:
    """What the tests above rely on: after refuse() the kernel does refuse, and only that."""
    memory = mmap.mmap(-1, 2 * MIB)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)

    def failure(function: Any, *arguments: int, size: int = PAGE) -> int:
        ctypes.set_errno(0)
        result = function(ctypes.c_void_p(start), ctypes.c_size_t(size), *arguments)
        return ctypes.get_errno() if result else 0

    refuse.refuse(refuse.OLD_KERNEL, refuse.no_mapping_of(16 * MIB))
    assert failure(libc.madvise, refuse.MADV_GUARD_INSTALL) == errno.EINVAL
    assert failure(libc.madvise, mmap.MADV_DONTNEED) == 0
    mmap.mmap(-1, 16 * MIB - PAGE).close()
    for size in (16 * MIB, 5 << 32):
        with pytest.raises(OSError, match="Cannot allocate memory"):
            mmap.mmap(-1, size)
    assert failure(libc.mprotect, mmap.PROT_READ) == 0
    refuse.refuse(refuse.NO_MADVISE, refuse.NO_MPROTECT, refuse.NO_MUNMAP)
    assert failure(libc.madvise, mmap.MADV_DONTNEED) == errno.EPERM
    assert failure(libc.mprotect, mmap.PROT_READ) == errno.ENOMEM
    assert failure(libc.munmap, size=2 * MIB) == errno.ENOMEM
