"""Floor: what the interpreter and the machine cost.

None of these uses a greenlet, so every implementation must come out alike here. They tell how
much of another row is the loop around it, and what the alternatives to a greenlet cost.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import types
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


@benchmark("a Python function that does nothing", unit="ns per call")
def bench_python_call(measure: Any) -> None:
    def call() -> None:
        pass

    def body() -> object:
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


@types.coroutine
def _pause() -> Generator[None, None, None]:
    yield


@benchmark("coroutine.send", unit="ns per send and await")
def bench_coroutine_send(measure: Any) -> None:
    visits = endless()

    async def echo() -> None:
        for _ in visits:
            await _pause()

    def prepare() -> Workload:
        coroutine = echo()
        coroutine.send(None)
        send = coroutine.send

        def body() -> None:
            for _ in repeat(None, LOOPS):
                send(None)

        return Workload(body, advances(visits, LOOPS), close=coroutine.close)

    measure(prepare, floor=True)


@benchmark("asyncio.sleep(0) in two tasks by turns", unit="ns per hand-over")
def bench_asyncio_switch(measure: Any) -> None:
    visits = endless()

    async def hand_over() -> None:
        sleep = asyncio.sleep
        for _ in zip(repeat(None, LOOPS // 2), visits, strict=False):
            await sleep(0)

    async def both() -> None:
        await asyncio.gather(hand_over(), hand_over())

    def prepare() -> Workload:
        loop = asyncio.new_event_loop()

        def body() -> None:
            loop.run_until_complete(both())

        return Workload(body, advances(visits, LOOPS), close=loop.close)

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
