"""Host names for tests: `*.test` is this machine, and no other name leads anywhere.

names = Names(monkeypatch)
... a client asks http://server.test:PORT ...
assert names.looked_up == ["server.test"]
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatstream.addresses import is_loopback


def at(name: str, url: str) -> str:
    """The URL of a loopback server under another name."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{parts.port}").geturl()


class Names:
    """The resolver, until the test ends. `looked_up`: every host that was to be connected to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looked_up: list[str] = []
        self._resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        self.looked_up.append(host)
        if host.endswith((".test", ".localhost")):
            host = "127.0.0.1"
        elif not is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, "a name that no test has")
        return self._resolve(host, port, *args, **options)
