# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of a server, that cuts a connection when so many bytes have come down it."""
import contextlib
import socket
import threading

PIECE = 16384
IDLE_S = 60


class Relay:
    """Serves from `with` to its end, on `port` of loopback.  `down` is how many bytes each
    connection has brought to the client, in the order in which they were made."""

    def __init__(self, port):
        self.to = port
        self.cut_after = None  # bytes; the first connection that brings so many is cut
        self.down, self.cut = [], 0
        self.lock, self.open = threading.Lock(), []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept)]

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.threads[0].join()
        for s in self.open:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        for t in self.threads[1:]:
            t.join()
        for s in self.open:
            s.close()

    def accept(self):
        with contextlib.suppress(OSError):  # when it ends
            while True:
                client = self.server.accept()[0]
                self.relay(client)

    def relay(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.to), IDLE_S)
        except OSError:  # the server is away
            client.close()
            return
        client.settimeout(IDLE_S)
        self.open += [client, server]
        self.down.append(0)
        number = len(self.down) - 1
        for args in ((client, server, None), (server, client, number)):
            self.threads.append(threading.Thread(target=self.carry, args=args))
            self.threads[-1].start()

    def carry(self, source, sink, number):
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if number is not None and self.counts(number, len(piece)):
                    break
                sink.sendall(piece)
        for s in (source, sink):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def counts(self, number, n):
        """True when this connection is to be cut."""
        with self.lock:
            self.down[number] += n
            if self.cut_after is None or self.down[number] < self.cut_after:
                return False
            self.cut_after = None
            self.cut += 1
            return True
