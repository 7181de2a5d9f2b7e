"""A server that is far away: each flight takes its time, both ways, with TLS at the other end.

    with SecureFront(address, context) as front, Far((front.host, front.port), 0.03) as far:
        ... https://localhost:{far.port} ...

`Far` passes on every byte `delay` seconds after it came, in order, and never holds one flight back
for another. Only the TCP handshake is the kernel's own and takes no time.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from contextlib import suppress

from tests.support.listener import Address, Listener
from tests.support.tls import TLSStream


class Far(Listener):
    """A TCP relay with a delay, in seconds."""

    def __init__(self, upstream: Address, delay: float) -> None:
        super().__init__()
        self._upstream, self._delay = upstream, delay

    def handle(self, number: int, sock: socket.socket) -> None:
        """Relay one connection until both sides have ended."""
        with socket.create_connection(self._upstream) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._carry, args=(server, sock), daemon=True)
            back.start()
            self._carry(sock, server)
            back.join()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        flying: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        threading.Thread(target=_land, args=(flying, target), daemon=True).start()
        data = b"?"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            flying.put((time.monotonic() + self._delay, data))


def _land(flying: queue.SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
    """Send each flight when it is due; the empty one is the end."""
    with suppress(OSError):
        while True:
            due, data = flying.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)


class SecureFront(Listener):
    """Takes TLS off, and passes everything on to a plain server."""

    def __init__(self, upstream: Address, context: ssl.SSLContext) -> None:
        super().__init__()
        self._upstream, self._context = upstream, context

    def handle(self, number: int, sock: socket.socket) -> None:
        """Relay one connection until the server has ended."""
        stream = TLSStream(sock, self._context)
        stream.handshake()
        with socket.create_connection(self._upstream) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_send_on, args=(stream, server), daemon=True).start()
            while data := server.recv(65536):
                stream.sendall(data)
            stream.close_notify()


def _send_on(stream: TLSStream, server: socket.socket) -> None:
    with suppress(OSError):
        while data := stream.recv(65536):
            server.sendall(data)
    with suppress(OSError):
        server.shutdown(socket.SHUT_WR)
