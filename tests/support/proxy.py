"""A place that never answers, and proxies that record what they are asked: HTTP and SOCKS."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.listener import Address, Listener
from tests.support.unavailable import Unavailable


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


class SocksProxy(Listener):
    """SOCKS 4, 4a and 5, whatever the client begins with: ALL_PROXY=proxy.url("socks5h").

    `requests` are the places as the client named them. `password` is what version 5 wants, `reply`
    what the proxy answers in place of a connection.
    """

    def __init__(self, password: str | None = None, reply: int = 0) -> None:
        super().__init__()
        self.requests: list[tuple[str, int]] = []
        self._password = password
        self._reply = reply

    def url(self, scheme: str) -> str:
        """SCHEME://127.0.0.1:PORT"""
        return f"{scheme}://{self.host}:{self.port}"

    def handle(self, number: int, sock: socket.socket) -> None:
        """Make the connection that is asked for, then pass bytes on until one side ends."""
        with sock.makefile("rb", buffering=0) as file:
            version = _read(file, 1)
            done = b"\0\x5a" + bytes(6) if version == b"\4" else b"\5\0\0\1" + bytes(6)
            place = self._asked4(file) if version == b"\4" else self._asked5(file, sock)
        if place is None:
            return
        self.requests.append(place)
        if self._reply:
            sock.sendall(done[:1] + bytes([self._reply]) + done[2:])
            return
        with socket.create_connection(place) as upstream:
            sock.sendall(done)
            _relay(sock, upstream)

    def _asked4(self, file: Any) -> Address:
        _, port, raw = struct.unpack(">BH4s", _read(file, 7))
        _text(file)  # the user
        return (socket.inet_ntoa(raw) if any(raw[:3]) else _text(file)), port

    def _asked5(self, file: Any, sock: socket.socket) -> Address | None:
        methods = _counted(file)
        wanted = 0 if self._password is None else 2
        sock.sendall(bytes([5, wanted if wanted in methods else 0xFF]))
        if wanted not in methods:
            return None
        if self._password is not None:
            _read(file, 1)
            right = (_counted(file), _counted(file)) == (b"me", self._password.encode())
            sock.sendall(bytes([1, not right]))
            if not right:
                return None
        kind = _read(file, 4)[3]
        if kind == 3:
            host = _counted(file).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _read(file, size))
        return host, struct.unpack(">H", _read(file, 2))[0]


def _read(file: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := file.read(size - len(data))):
            raise ConnectionAbortedError("the client has gone")
        data += more
    return data


def _counted(file: Any) -> bytes:
    """As many bytes as the byte before them says."""
    return _read(file, _read(file, 1)[0])


def _text(file: Any) -> str:
    """Up to the next zero."""
    return b"".join(iter(lambda: _read(file, 1), b"\0")).decode()


@contextmanager
def pysocks() -> Iterator[None]:
    """PySocks can be imported, from where the Makefile puts it. Raises `Unavailable`."""
    folder = Path(sys.prefix) / "pysocks"
    if not folder.is_dir():
        raise Unavailable(f"there is no PySocks in {folder}: make .venv/.dev")
    late = ("socks", "urllib3.contrib.socks", "chatstream.transport.socks")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import urllib3.contrib.socks

        # What requests has is from an import without PySocks.
        manager = urllib3.contrib.socks.SOCKSProxyManager
        patch.setattr(requests.adapters, "SOCKSProxyManager", manager)
        try:
            yield
        finally:
            for name in late:
                sys.modules.pop(name, None)


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
