"""A place that never answers, and an HTTP proxy that records what it is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.listener import Address, Listener


@contextmanager
def black_hole(address: Address = ("127.0.0.1", 0)) -> Iterator[str]:
    """The URL of a port where connect() neither succeeds nor fails: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(address, backlog=0))
        for _ in range(3):  # the first one fills it, and is never accepted
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://{address[0]}:{listener.getsockname()[1]}"


@dataclass(frozen=True)
class ProxyRequest:
    """What the proxy was asked: CONNECT and HOST:PORT, or a method and an absolute URL."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case


class ForwardProxy(Listener):
    """Tunnels CONNECT and forwards absolute URLs: HTTP_PROXY=proxy.url, or HTTPS_PROXY."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ProxyRequest] = []

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://{self.host}:{self.port}"

    def handle(self, number: int, sock: socket.socket) -> None:
        """Pass one request on, then bytes both ways until one side ends."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(65536)):
                return
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        fields = [(name, value.strip()) for name, _, value in (it.partition(":") for it in lines)]
        self.requests.append(ProxyRequest(method, target, {k.lower(): v for k, v in fields}))
        tunnel = method == "CONNECT"
        url = urlsplit(f"//{target}" if tunnel else target)
        with self._connected(sock, (url.hostname or "", url.port or 80)) as upstream:
            if tunnel:
                sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                kept = [(k, v) for k, v in fields if not k.lower().startswith("proxy-")]
                kept = [(k, v) for k, v in kept if k.lower() != "connection"]
                kept.append(("Connection", "close"))
                path = url._replace(scheme="", netloc="").geturl() or "/"
                lines = [f"{method} {path} {version}", *(f"{k}: {v}" for k, v in kept), "", ""]
                upstream.sendall("\r\n".join(lines).encode("latin-1"))
            upstream.sendall(rest)
            _relay(sock, upstream)

    @contextmanager
    def _connected(self, client: socket.socket, address: Address) -> Iterator[socket.socket]:
        """A connection to the server; without one the client gets 502."""
        try:
            upstream = socket.create_connection(address)
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            raise
        with upstream:
            yield upstream


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until both sides have ended, or either is broken."""
    back = threading.Thread(target=_copy, args=(other, one), daemon=True)
    back.start()
    _copy(one, other)
    back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end, how in ((source, socket.SHUT_RD), (target, socket.SHUT_WR)):
        with suppress(OSError):
            end.shutdown(how)
