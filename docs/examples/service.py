"""A service on gevent: answers each line in upper case. It then asks itself, a hundred times."""

import gevent
from gevent import socket
from gevent.server import StreamServer


def answer(connection, _address):
    """Serve one connection; gevent runs this in a greenlet of its own."""
    for line in connection.makefile("rb"):
        connection.sendall(line.upper())


def ask(address, word):
    """Be a client."""
    with socket.create_connection(address) as connection:
        connection.sendall(f"{word}\n".encode())
        return connection.makefile("r").readline().strip()


if __name__ == "__main__":
    server = StreamServer(("127.0.0.1", 0), answer)
    server.start()
    clients = [gevent.spawn(ask, server.address, f"line {n}") for n in range(100)]
    gevent.joinall(clients, raise_error=True)
    print(clients[0].value, "...", clients[-1].value)
    server.stop()
