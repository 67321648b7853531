"""SQLAlchemy's asyncio layer.

It runs code that blocks in a greenlet and switches out of it for whatever must be awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Workload, advances, endless

QUERIES = 50
"""In one round."""


def _in_a_loop(
    main: Callable[[], Awaitable[object]], check: Callable[[Any], None]
) -> Callable[[], Workload]:
    """A workload whose body runs a coroutine in an event loop."""

    def prepare() -> Workload:
        loop = asyncio.new_event_loop()
        return Workload(lambda: loop.run_until_complete(main()), check, close=loop.close)

    return prepare


@benchmark("await greenlet_spawn of a function", unit="ns per call")
def bench_spawn(measure: Any, library: Any) -> None:
    greenlet_spawn = library("sqlalchemy.util").greenlet_spawn

    async def main() -> list[int]:
        return [await greenlet_spawn(int, number) for number in range(LOOPS)]

    def check(results: list[int]) -> None:
        assert results == list(range(LOOPS))

    measure(_in_a_loop(main, check))


@benchmark("await_only within greenlet_spawn", unit="ns per await")
def bench_await(measure: Any, library: Any) -> None:
    util = library("sqlalchemy.util")
    greenlet_spawn, await_only = util.greenlet_spawn, util.await_only
    visits = endless()
    awaited = visits.__next__

    async def wait() -> None:
        awaited()

    def work() -> None:
        for _ in repeat(None, LOOPS):
            await_only(wait())

    async def main() -> None:
        await greenlet_spawn(work)

    measure(_in_a_loop(main, advances(visits, LOOPS)))


@benchmark("a query of SQLite in memory, by aiosqlite", unit="ns per query", quick=False)
def bench_query(measure: Any, library: Any) -> None:
    library("aiosqlite")
    sqlalchemy = library("sqlalchemy")
    create_async_engine = library("sqlalchemy.ext.asyncio").create_async_engine

    def prepare() -> Workload:
        loop = asyncio.new_event_loop()
        engine = create_async_engine("sqlite+aiosqlite://")
        connection = loop.run_until_complete(engine.connect().start())
        query = sqlalchemy.text("SELECT :number")

        async def main() -> list[int]:
            return [
                (await connection.execute(query, {"number": number})).scalar_one()
                for number in range(QUERIES)
            ]

        def check(numbers: list[int]) -> None:
            assert numbers == list(range(QUERIES))

        def close() -> None:
            loop.run_until_complete(connection.close())
            loop.run_until_complete(engine.dispose())
            loop.close()

        return Workload(lambda: loop.run_until_complete(main()), check, close=close)

    measure(prepare, operations=QUERIES)
