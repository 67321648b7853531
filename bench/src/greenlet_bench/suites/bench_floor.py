"""Floor: what the interpreter and the machine cost.

None of these uses a greenlet, so every implementation must come out alike here. They tell how
much of another row is the loop around it, and what the alternatives to a greenlet cost.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from itertools import repeat
from operator import length_hint
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Workload, advances, endless


def _ran_out(loop: Any) -> None:
    assert length_hint(loop) == 0


@benchmark("an empty loop", unit="ns per turn")
def bench_empty_loop(measure: Any) -> None:
    def body() -> object:
        loop = repeat(None, LOOPS)
        for _ in loop:
            pass
        return loop

    measure(lambda: Workload(body, _ran_out), floor=True)


@benchmark("a C function that does nothing", unit="ns per call")
def bench_c_call(measure: Any) -> None:
    def body() -> object:
        call = gc.isenabled
        loop = repeat(None, LOOPS)
        for _ in loop:
            call()
        return loop

    measure(lambda: Workload(body, _ran_out), floor=True)


@benchmark("generator.send", unit="ns per send and yield", headline=True)
def bench_generator_send(measure: Any) -> None:
    visits = endless()

    def echo() -> Generator[None, None, None]:
        for _ in visits:
            yield

    def prepare() -> Workload:
        generator = echo()
        generator.send(None)
        send = generator.send

        def body() -> None:
            for _ in repeat(None, LOOPS):
                send(None)

        return Workload(body, advances(visits, LOOPS), close=generator.close)

    measure(prepare, floor=True)


@benchmark("a hand-over between two threads", unit="ns per round trip (two hand-overs)")
def bench_thread_handover(measure: Any) -> None:
    visits = endless()
    here, there = threading.Lock(), threading.Lock()
    stop = False

    def partner() -> None:
        wait, wake = there.acquire, here.release
        wait()
        for _ in visits:
            if stop:
                return
            wake()
            wait()

    def prepare() -> Workload:
        here.acquire()
        there.acquire()
        thread = threading.Thread(target=partner, daemon=True)
        thread.start()
        wait, wake = here.acquire, there.release
        wake()
        wait()

        def body() -> None:
            for _ in repeat(None, LOOPS):
                wake()
                wait()

        def close() -> None:
            nonlocal stop
            stop = True
            wake()
            thread.join()

        return Workload(body, advances(visits, LOOPS), close=close)

    measure(prepare, floor=True)
