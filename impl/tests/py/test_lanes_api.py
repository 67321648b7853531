"""greenlane.lanes and GREENLANE_LANES: what they count, what they set, what they refuse."""

from __future__ import annotations

import greenlane
import pytest
from greenlane import lanes
from support import run_script

SUSPEND = """
import greenlane, sys
from greenlane import lanes
root = greenlane.getcurrent()
suspended = [greenlane.greenlet(root.switch) for _ in range(20)]
for each in suspended:
    each.switch()
print(*lanes.status()[:5])
"""


def test_import_greenlane_is_enough() -> None:
    """And it does not import what few ask for."""
    done = run_script(
        """
        import sys, greenlane
        print("greenlane.lanes" in sys.modules)
        greenlane.lanes.set_limit(7)
        print(greenlane.lanes is sys.modules["greenlane.lanes"], greenlane.lanes.status().limit)
        """
    )
    assert done.stdout == "False\nTrue 7\n"


def test_no_other_name_is_made_up() -> None:
    with pytest.raises(AttributeError, match="module 'greenlane' has no attribute 'lane'") as error:
        _ = greenlane.lane  # type: ignore[attr-defined]
    assert error.value.name == "lane"


def test_status_counts() -> None:
    done = run_script(SUSPEND, environment={"GREENLANE_LANES": "5"})
    assert done.stdout.split() == ["5", "5", "0", "8", "15"]


def test_empty_means_unset() -> None:
    done = run_script(SUSPEND, environment={"GREENLANE_LANES": ""})
    assert done.stdout.split()[:2] == ["4096", "20"]


def test_without_lanes_of_their_own() -> None:
    done = run_script(SUSPEND, environment={"GREENLANE_LANES": "0"})
    assert done.stdout.split() == ["0", "0", "0", "8", "20"]


@pytest.mark.parametrize("value", ["many", "-1", "-18446744073709551615", "1000001", "5 lanes"])
def test_environment_is_checked(value: str) -> None:
    done = run_script("import greenlane", environment={"GREENLANE_LANES": value}, returncode=1)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: the environment variable GREENLANE_LANES must be a number "
        f"from 0 to 1000000, not '{value}'"
    )


def test_limit_can_be_changed() -> None:
    before = lanes.set_limit(3)
    try:
        root = greenlane.getcurrent()
        suspended = [greenlane.greenlet(root.switch) for _ in range(10)]
        own = lanes.status().own
        for each in suspended:
            each.switch()
        after = lanes.status()
        assert after.limit == 3
        assert after.own == max(own, 3)
        assert after.sharing >= 7
        lanes_made = after.own + after.idle + after.shared
        assert lanes_made * 3 << 20 < after.address_space <= lanes_made * 8 << 20
        for each in suspended:
            each.switch()
        assert lanes.status().sharing == after.sharing - (10 - (after.own - own))
    finally:
        assert lanes.set_limit(before) == 3


def test_heap_bytes() -> None:
    done = run_script(
        """
        import greenlane
        from greenlane import lanes
        root = greenlane.getcurrent()
        suspended = [greenlane.greenlet(root.switch) for _ in range(200)]
        for each in suspended:
            each.switch()
        print(lanes.status().heap)
        for each in suspended:
            each.switch()
        print(lanes.status().heap)
        """,
        environment={"GREENLANE_LANES": "0"},
    )
    suspended, finished = map(int, done.stdout.split())
    # Eight of them are on the shared lanes; each other one has its stack on the heap.
    assert 192 * 300 < suspended < 192 * 10_000
    # One piece is kept for the next stack.
    assert 0 < finished < 10_000


def test_heap_bytes_of_what_was_deep_once() -> None:
    """A large slice is not handed on to those who need little."""
    done = run_script(
        """
        from greenlane import greenlet, lanes
        from support import parent, suspended

        def down(levels):
            parent().switch() if levels == 0 else max([levels - 1], key=down)

        def run():
            down(40)
            parent().switch()

        children = [suspended(run=run) for _ in range(50)]
        print(lanes.status().heap)
        for each in children:
            each.switch()
        print(lanes.status().heap)
        """,
        environment={"GREENLANE_LANES": "0"},
    )
    deep, shallow = map(int, done.stdout.split())
    assert shallow < deep / 3


def test_limit_is_checked() -> None:
    for bad in (-1, lanes.LARGEST_LIMIT + 1):
        with pytest.raises(ValueError, match="limit must be between 0 and 1000000"):
            lanes.set_limit(bad)
    with pytest.raises(TypeError, match="limit must be an int, not str"):
        lanes.set_limit("5")  # type: ignore[arg-type]


def test_shared_and_own_lanes_work_alike() -> None:
    """Values, frames and exceptions survive eviction, whoever evicts whom."""
    done = run_script(
        """
import greenlane
root = greenlane.getcurrent()

def frames(frame):
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names

def leaf(number):
    total = number
    while True:
        total += root.switch(total)

def middle(number):
    return max([number], key=leaf)

def run(number):
    try:
        middle(number)
    except ValueError as error:
        return str(error)

greenlets = [greenlane.greenlet(run) for _ in range(50)]
for number, each in enumerate(greenlets):
    assert each.switch(number) == number
for round in range(1, 20):
    for number, each in enumerate(greenlets):
        assert frames(each.gr_frame) == ["leaf", "middle", "run"]
        assert each.gr_frame.f_locals["total"] == number + round - 1
        assert each.switch(1) == number + round
for number, each in reversed(list(enumerate(greenlets))):
    assert each.throw(ValueError(number)) == str(number)
    assert each.dead
print("as ever")
""",
        environment={"GREENLANE_LANES": "2"},
    )
    assert done.stdout == "as ever\n"


@pytest.mark.parametrize("mebibytes", [200, 500, 1000])
def test_little_address_space(mebibytes: int) -> None:
    """Under a limit on address space lanes are shared from early on, and there is room to work."""
    done = run_script(
        f"""
        import resource
        resource.setrlimit(resource.RLIMIT_AS, ({mebibytes} << 20, resource.RLIM_INFINITY))
        import greenlane
        from greenlane import lanes
        root = greenlane.getcurrent()
        greenlets = [greenlane.greenlet(lambda value: root.switch(value)) for _ in range(3000)]
        assert [each.switch(value) for value, each in enumerate(greenlets)] == list(range(3000))
        print(lanes.status().own <= {mebibytes} // 32, lanes.status().sharing > 2900)
        for each in greenlets:
            each.switch()
        assert all(each.dead for each in greenlets)
        """
    )
    assert done.stdout == "True True\n"
