"""What the tools look at: two greenlets that take turns. What it does hangs on its argument."""

import sys
import time

import greenlet


def wait_for_turn() -> None:
    """Switch to the parent, and come back."""
    parent = greenlet.getcurrent().parent
    assert parent is not None
    parent.switch()


def work(turns: int) -> int:
    """Do something between turns."""
    done = 0
    for turn in range(turns):
        done += turn
        wait_for_turn()
    return done


def even() -> int:
    """Run in one greenlet."""
    return work(2)


def odd() -> int:
    """Run in another one."""
    result = work(3)
    return result + 1


def allocate() -> None:
    """Keep 32 MiB over a turn."""
    data = bytearray(32 << 20)
    wait_for_turn()
    del data


def sleep() -> None:
    """Say that it is there, then stay for a minute."""
    print("sleeping", flush=True)
    time.sleep(60)


def crash() -> None:
    """Read what may not be read."""
    import ctypes

    ctypes.string_at(0)


def in_greenlet() -> None:
    """Call what the argument names, with a greenlet suspended that was started before."""
    globals()[sys.argv[1]]()


def main() -> None:
    """Take turns, then do in a greenlet what the argument says."""
    turns = [greenlet.greenlet(even), greenlet.greenlet(odd)]
    while turns:
        for each in list(turns):
            each.switch()
            if each.dead:
                turns.remove(each)
    if len(sys.argv) > 1:
        suspended = greenlet.greenlet(even)
        suspended.switch()
        last = greenlet.greenlet(in_greenlet)
        while not last.dead:
            last.switch()
            suspended.switch()


if __name__ == "__main__":
    main()
