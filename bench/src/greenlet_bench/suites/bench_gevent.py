"""gevent.

What a program pays whose greenlets are gevent's, its hub and event loop included.
"""

from __future__ import annotations

import socket
from itertools import repeat
from typing import Any

from greenlet_bench.catalogue import benchmark
from greenlet_bench.harness import LOOPS, Workload, advances, endless

CLIENTS = 10
REQUESTS = 20
"""Of each client in one round."""
MESSAGE = b"x" * 64


def _gevent(library: Any) -> Any:
    return library("gevent", c_api=True)


def _end_hub(gevent: Any) -> None:
    gevent.get_hub().destroy(destroy_loop=True)


@benchmark("gevent.sleep(0) in two greenlets by turns", unit="ns per sleep")
def bench_sleep(measure: Any, library: Any) -> None:
    gevent = _gevent(library)
    visits = endless()

    def hand_over() -> None:
        sleep = gevent.sleep
        for _ in zip(repeat(None, LOOPS // 2), visits, strict=False):
            sleep(0)

    def prepare() -> Workload:
        def body() -> None:
            gevent.joinall([gevent.spawn(hand_over), gevent.spawn(hand_over)], raise_error=True)

        return Workload(body, advances(visits, LOOPS), close=lambda: _end_hub(gevent))

    measure(prepare)


@benchmark("gevent.spawn and join", unit="ns per greenlet")
def bench_spawn(measure: Any, library: Any) -> None:
    gevent = _gevent(library)

    def prepare() -> Workload:
        def body() -> list[Any]:
            return list(gevent.joinall([gevent.spawn(int, number) for number in range(LOOPS)]))

        def check(done: list[Any]) -> None:
            assert sorted(greenlet.value for greenlet in done) == list(range(LOOPS))

        return Workload(body, check, close=lambda: _end_hub(gevent))

    measure(prepare)


@benchmark("an item through a gevent queue of one place", unit="ns per item")
def bench_queue(measure: Any, library: Any) -> None:
    gevent = _gevent(library)
    from gevent.queue import Queue

    def prepare() -> Workload:
        queue = Queue(1)

        def produce() -> None:
            for number in range(LOOPS):
                queue.put(number)

        def consume() -> list[int]:
            return [queue.get() for _ in repeat(None, LOOPS)]

        def body() -> list[int]:
            consumer = gevent.spawn(consume)
            gevent.joinall([gevent.spawn(produce), consumer], raise_error=True)
            items: list[int] = consumer.value
            return items

        def check(items: list[int]) -> None:
            assert items == list(range(LOOPS))

        return Workload(body, check, close=lambda: _end_hub(gevent))

    measure(prepare)


@benchmark("a request to a gevent echo server on loopback", unit="ns per request")
def bench_echo(measure: Any, library: Any) -> None:
    gevent = _gevent(library)
    from gevent.server import StreamServer
    from gevent.socket import create_connection

    def serve(connection: Any, _address: object) -> None:
        while data := connection.recv(4096):
            connection.sendall(data)

    def ask(connection: Any) -> list[bytes]:
        answers = []
        for _ in repeat(None, REQUESTS):
            connection.sendall(MESSAGE)
            answers.append(connection.recv(4096))
        return answers

    def prepare() -> Workload:
        server = StreamServer(("127.0.0.1", 0), serve)
        server.start()
        connections = [create_connection(server.address) for _ in range(CLIENTS)]
        for connection in connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def body() -> list[Any]:
            clients = [gevent.spawn(ask, connection) for connection in connections]
            return list(gevent.joinall(clients, raise_error=True))

        def check(clients: list[Any]) -> None:
            answers = [b"".join(client.value) for client in clients]
            assert answers == [MESSAGE * REQUESTS] * CLIENTS

        def close() -> None:
            for connection in connections:
                connection.close()
            server.stop()
            _end_hub(gevent)

        return Workload(body, check, close=close)

    measure(prepare, operations=CLIENTS * REQUESTS)
