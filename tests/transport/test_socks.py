"""SOCKS proxies of every kind, spoken to by the real PySocks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, ConnectError, ProxyRefused, TimedOut
from chatstream.transport import Call, Transport
from chatstream.transport.connection import SocketHandle
from tests.support.listener import Listener
from tests.support.loopback import Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import SocksProxy, black_hole, pysocks
from tests.support.unavailable import require

pytestmark = pytest.mark.usefixtures("no_proxies")

BY_THE_PROXY = ["socks4a", "socks5h"]
KINDS = ["socks4", "socks5", *BY_THE_PROXY]


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    with require(pysocks()):
        yield


def ask(url: str, proxy: str, connect: float = 5.0, **options: Any) -> bytes:
    given = {"http": proxy, "https": proxy}
    with closing(Transport(connect=connect, proxies=given, **options)) as transport:
        items = list(transport.exchange(Call(url, {}, b"{}"), CancelToken()))
    return b"".join(item for item in items if isinstance(item, bytes))


def refused(url: str, proxy: str, connect: float = 5.0) -> ChatstreamError:
    with pytest.raises(ChatstreamError) as caught:
        ask(url, proxy, connect)
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"
    return caught.value


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_this_machine_is_asked_through_it(kind: str, https: bool) -> None:
    with Script(Reply(b"ok"), https=https) as server, SocksProxy() as proxy:
        ca_file = str(server.ca_file) if https else None
        assert ask(server.url, proxy.url(kind), ca_file=ca_file) == b"ok"
        assert proxy.requests == [("127.0.0.1", server.port)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_decides_who_looks_up_the_name(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.0.1")  # socks4 in PySocks
    names = Names(monkeypatch)
    with Script(Reply(b"ok")) as server, SocksProxy() as proxy:
        assert ask(at("server.test", server.url), proxy.url(kind)) == b"ok"
        far = kind in BY_THE_PROXY
        assert proxy.requests == [("server.test" if far else "127.0.0.1", server.port)]
    ours = [place for place in names.places if place != ("server.test", server.port)]
    assert (proxy.host, proxy.port) in ours


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_names_it_and_no_proxy_excludes_from_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(Reply(b"ok")) as server, SocksProxy() as proxy, closing(Transport()) as transport:
        monkeypatch.setenv("ALL_PROXY", proxy.url(kind))
        assert b"ok" in list(transport.exchange(Call(server.url, {}), CancelToken()))
        assert len(proxy.requests) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert b"ok" in list(transport.exchange(Call(server.url, {}), CancelToken()))
        assert len(proxy.requests) == 1


def test_a_connection_through_it_is_used_again() -> None:
    with Script(Reply(b"ok")) as server, SocksProxy() as proxy:
        given = {"http": proxy.url("socks5h")}
        with closing(Transport(proxies=given)) as transport:
            for _ in range(2):
                assert b"ok" in list(transport.exchange(Call(server.url, {}), CancelToken()))
        assert len(server.connections) == len(proxy.requests) == 1


@pytest.mark.parametrize("https", [False, True])
def test_a_new_connection_is_told_from_one_that_is_used_again(https: bool) -> None:
    with Script(Reply(b"ok"), https=https) as server, SocksProxy() as proxy:
        given = dict.fromkeys(("http", "https"), proxy.url("socks5"))
        ca_file = str(server.ca_file) if https else None
        with closing(Seen(proxies=given, ca_file=ca_file)) as transport:
            for reused in (False, True):
                list(transport.exchange(Call(server.url, {}), CancelToken()))
                trace = transport.handles[-1].trace
                assert trace.reused == reused
                assert (trace.tcp is None) == reused


def test_a_cancel_ends_it_in_the_handshake() -> None:
    with Silent() as proxy, closing(Transport(proxies={"http": proxy.url})) as transport:
        token = CancelToken()
        items = transport.exchange(Call("http://127.0.0.1:9/", {}), token)
        next(items)
        assert proxy.asked.wait(5)
        token.cancel()
        with pytest.raises(ChatstreamError) as caught:
            list(items)
        assert caught.value is token.reason
        assert proxy.left.wait(5)


# ---- user and password


def test_user_and_password_are_those_of_its_address() -> None:
    with Script(Reply(b"ok")) as server, SocksProxy(password="se:cret") as proxy:
        address = proxy.url("socks5h").replace("//", "//me:se%3Acret@")
        assert ask(server.url, address) == b"ok"


def test_where_it_wants_a_password_this_is_said() -> None:
    with SocksProxy(password="right") as proxy:
        without = refused("http://127.0.0.1:9/", proxy.url("socks5h"))
        wrong = refused("http://127.0.0.1:9/", proxy.url("socks5").replace("//", "//me:secret@"))
    assert isinstance(without, ProxyRefused)
    assert "requires a user name and a password" in without.message
    assert "socks5h://USER:PASSWORD@HOST:PORT" in (without.hint or "")
    assert isinstance(wrong, ProxyRefused)
    assert "does not accept the user name and password" in wrong.message


# ---- how it fails


class Answers(Listener):
    """Sends the same bytes to everyone who says something, and closes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def handle(self, number: int, sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(self._data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


class Silent(Listener):
    """Takes connections, and never says anything. It sees when it is asked, and left."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.left = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"socks5h://{self.host}:{self.port}"

    def handle(self, number: int, sock: socket.socket) -> None:
        while sock.recv(65536):
            self.asked.set()
        self.left.set()


class Seen(Transport):
    """A transport whose handles can be looked at."""

    handles: list[SocketHandle]

    def _new_handle(self) -> SocketHandle:
        self.handles = [*getattr(self, "handles", []), super()._new_handle()]
        return self.handles[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_one_is_named_and_not_tried_again(kind: str) -> None:
    error = refused("http://127.0.0.1:8/", f"{kind}://me:secret@127.0.0.1:9")
    assert isinstance(error, ConnectError)
    assert f"{kind}://***@127.0.0.1:9" in error.message
    assert "cannot be reached: connection refused" in error.message
    assert not error.retryable


def test_one_of_an_unknown_name_is_not_tried_again() -> None:
    error = refused("http://127.0.0.1:8/", "socks5h://proxy.invalid:1080")
    assert isinstance(error, ConnectError)
    assert "proxy.invalid" in error.message
    assert not error.retryable


def test_the_next_address_of_its_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b"ok")) as server, SocksProxy() as proxy:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            for port in (9, proxy.port)
        ]
        usual = socket.getaddrinfo

        def answer(host: str, *args: Any, **options: Any) -> Any:
            return found if host == "proxy.test" else usual(host, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        assert ask(server.url, "socks5h://proxy.test:1080") == b"ok"


def test_one_that_takes_no_connection_is_a_timeout() -> None:
    with black_hole() as hole:
        error = refused("http://127.0.0.1:9/", hole.replace("http", "socks5h"), connect=0.2)
    assert isinstance(error, TimedOut)
    assert error.phase == "connect"


def test_one_that_never_answers_is_a_timeout() -> None:
    with Silent() as proxy:
        assert isinstance(refused("http://127.0.0.1:9/", proxy.url, connect=0.2), TimedOut)


@pytest.mark.parametrize(
    ("kind", "reply", "words", "again"),
    [
        ("socks5h", 1, "general socks server failure", True),
        ("socks5h", 2, "connection not allowed by ruleset", False),
        ("socks5h", 4, "host unreachable", True),
        ("socks5", 5, "connection refused", False),
        ("socks4", 0x5B, "request rejected or failed", True),
        ("socks4a", 0x5D, "request rejected because", False),
    ],
)
def test_what_it_answers_in_place_of_a_connection_is_told(
    kind: str, reply: int, words: str, again: bool
) -> None:
    with SocksProxy(reply=reply) as proxy:
        error = refused("http://127.0.0.1:9/", proxy.url(kind))
    assert isinstance(error, ConnectError)
    assert f"did not connect to 127.0.0.1:9: {words}" in error.message
    assert error.retryable == again


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b""])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_socks_proxy_is_told(kind: str, data: bytes) -> None:
    with Answers(data) as proxy:
        error = refused("http://127.0.0.1:9/", f"{kind}://127.0.0.1:{proxy.port}")
    assert isinstance(error, ProxyRefused)
    assert "does not answer as a SOCKS proxy of this kind" in error.message
    assert kind in (error.hint or "")


def test_a_name_that_only_the_proxy_knows_is_told_for_the_kinds_that_look_it_up_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch)
    with SocksProxy() as proxy:
        error = refused("http://inside.invalid/", proxy.url("socks5"))
    assert isinstance(error, ConnectError)
    assert "socks5h://" in (error.hint or "")
    assert not error.retryable
