"""A threaded TCP listener on loopback, the base of the support servers.

    with SomeListener() as server:
        ... server.host, server.port

The block's end closes every connection and waits for the threads.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self

Address = tuple[str, int]

JOIN_LIMIT = 5.0


class Listener(ABC):
    """Port 0 takes a free port. `stopping` is set when the block ends."""

    host: str
    port: int

    def __init__(self, listen: Address = ("127.0.0.1", 0)) -> None:
        require_loopback(listen)
        self.stopping = threading.Event()
        self._listen = listen
        self._open: dict[threading.Thread, socket.socket] = {}

    @abstractmethod
    def handle(self, number: int, sock: socket.socket) -> None:
        """Serve one connection on a thread of its own; `number` counts from 0."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(self._listen)
        self.host, self.port = self._listener.getsockname()[:2]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the listener and every connection; the end of the block does it too."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._accepting.join(JOIN_LIMIT)
        self._listener.close()
        for thread, sock in list(self._open.items()):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join(JOIN_LIMIT)

    def _accept(self) -> None:
        number = 0
        while not self.stopping.is_set():
            with suppress(OSError):  # the listener is shut down
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._run, args=(number, sock), daemon=True)
                self._open[thread] = sock
                thread.start()
                number += 1

    def _run(self, number: int, sock: socket.socket) -> None:
        try:
            with sock, suppress(OSError):  # the client has gone: each server notes that itself
                self.handle(number, sock)
        finally:
            del self._open[threading.current_thread()]


def require_loopback(address: Address) -> None:
    """Raises ValueError for an address that other machines can reach."""
    if not ipaddress.ip_address(address[0]).is_loopback:
        raise ValueError(f"{address[0]} is not a loopback address")
