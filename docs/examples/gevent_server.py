"""A server of lines, and a few clients of it, all in one process, on gevent.

    python -m greenlane trace docs/examples/gevent_server.py -o out.json --html

In the picture: the hub, which is the parent of all others and runs when nobody else can; the accept
loop is its work, and each connection gets a greenlet. One client is too slow and is killed, which
is a throw.
"""

import gevent
from gevent.server import StreamServer
from gevent.socket import create_connection


def serve(connection, _address):
    """Answer each line with the same in capitals."""
    with connection.makefile("rwb") as stream:
        for line in stream:
            gevent.sleep(0.001)  # a database, say
            stream.write(line.upper())
            stream.flush()


def client(address, count):
    """Send lines and wait for each answer."""
    with create_connection(address) as connection, connection.makefile("rwb") as stream:
        for number in range(count):
            stream.write(b"line %d\n" % number)
            stream.flush()
            assert stream.readline() == b"LINE %d\n" % number
            gevent.sleep(0.001 * (number % 3))


def slow_client(address):
    """Connect, and say nothing for an hour."""
    with create_connection(address):
        gevent.sleep(3600)


def main():
    """Run the server until all clients but the slow one are done."""
    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    slow = gevent.spawn(slow_client, server.address)
    slow.name = "the slow one"
    clients = [gevent.spawn(client, server.address, 5 + 3 * number) for number in range(4)]
    gevent.joinall(clients, raise_error=True)
    slow.kill()
    server.stop()
    print("served", len(clients), "clients")


if __name__ == "__main__":
    main()
