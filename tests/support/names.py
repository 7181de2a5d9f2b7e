"""Host names for tests: `*.test` is this machine, and no other name leads anywhere.

names = Names(monkeypatch)
... a client asks http://server.test:PORT ...
assert names.places == [("server.test", PORT)]
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatstream.addresses import is_loopback

Place = tuple[str, int]


def at(name: str, url: str) -> str:
    """The URL of a loopback server under another name."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{parts.port}").geturl()


class Names:
    """The resolver, until the test ends. `places`: each host and port that was to be reached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.places: list[Place] = []
        self._led: dict[Place, int] = {}
        self._named: dict[str, Sequence[str]] = {}
        self._resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def lead(self, place: Place, port: int) -> None:
        """Let who asks for this place reach a port of this machine."""
        self._led[place] = port

    def name(self, host: str, *addresses: str) -> None:
        """Let this name have these addresses of this machine, in this order."""
        self._named[host] = addresses

    def _answer(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        host = host.decode() if isinstance(host, bytes) else host
        self.places.append((host, port))
        if host in self._named:
            found = [self._resolve(it, port, *args, **options) for it in self._named[host]]
            return [info for infos in found for info in infos]
        if (host, port) in self._led:
            host, port = "127.0.0.1", self._led[host, port]
        elif host.endswith((".test", ".localhost")):
            host = "127.0.0.1"
        elif not is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, "a name that no test has")
        return self._resolve(host, port, *args, **options)
