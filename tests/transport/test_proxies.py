"""Which proxy is used, and what is said where it fails."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import (
    ChatstreamError,
    ConfigError,
    ConnectError,
    ProxyRefused,
    TimedOut,
    TLSError,
)
from chatstream.transport import Call, Transport
from chatstream.transport.proxies import Proxy, proxy_for
from tests.support.listener import Listener
from tests.support.loopback import Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import ForwardProxy, black_hole
from tests.support.tls import Certificate, TLSStream, make_certificate

pytestmark = pytest.mark.usefixtures("no_proxies")

FAR = ["http://far.test/v1", "https://far.test/v1"]


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


class Answers(Listener):
    """Sends the same bytes to everyone who says something, and closes; with None never anything."""

    def __init__(self, data: bytes | None) -> None:
        super().__init__()
        self._data = data

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def handle(self, number: int, sock: socket.socket) -> None:
        sock.recv(65536)
        if self._data is not None:
            sock.sendall(self._data)
            sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def ask(url: str, connect: float = 5.0, **options: Any) -> list[object]:
    with closing(Transport(connect=connect, **options)) as transport:
        return list(transport.exchange(Call(url, {}, b"{}"), CancelToken()))


def refused(url: str, proxy: str, connect: float = 5.0) -> ChatstreamError:
    """How a request through this proxy of the environment fails; the proxy is always named."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALL_PROXY", proxy)
        with pytest.raises(ChatstreamError) as caught:
            ask(url, connect)
    error = caught.value
    assert proxy.rpartition("@")[2] in error.message
    assert "ALL_PROXY" in error.message
    assert "secret" not in f"{error.message}{error.hint}"
    assert error.hint or isinstance(error, TimedOut)
    return error


# ---- which one

HTTP, OTHER, SOCKS = "http://proxy.test:1", "http://other.test:2", "socks5h://proxy.test:3"


@pytest.mark.parametrize(
    ("environ", "setting", "url", "expected"),
    [
        ({}, None, FAR[0], None),
        ({"http_proxy": HTTP}, None, FAR[0], (HTTP, "http_proxy")),
        ({"http_proxy": HTTP}, None, FAR[1], None),
        ({"HTTPS_PROXY": HTTP}, None, FAR[1], (HTTP, "HTTPS_PROXY")),
        ({"ALL_PROXY": HTTP}, None, FAR[1], (HTTP, "ALL_PROXY")),
        ({"ALL_PROXY": OTHER, "http_proxy": HTTP}, None, FAR[0], (HTTP, "http_proxy")),
        ({"http_proxy": OTHER}, {"http": HTTP}, FAR[0], (HTTP, "the setting proxy")),
        ({"http_proxy": OTHER}, {}, FAR[0], None),
        ({"http_proxy": HTTP, "NO_PROXY": "far.test"}, None, FAR[0], None),
        ({"NO_PROXY": "far.test"}, {"http": HTTP}, FAR[0], None),
        ({"NO_PROXY": "other.test"}, {"http": HTTP}, FAR[0], (HTTP, "the setting proxy")),
        ({"http_proxy": HTTP}, None, "http://localhost/", None),
        ({}, {"http": HTTP}, "http://[::1]:8080/", None),
    ],
)
def test_the_proxy_and_what_names_it(
    environ: dict[str, str],
    setting: dict[str, str] | None,
    url: str,
    expected: tuple[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url, setting) == (Proxy(*expected) if expected else None)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", FAR[0]])
def test_a_socks_proxy_is_for_this_machine_too_so_what_it_needs_is_told(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        proxy_for(url, {"http": SOCKS})
    assert "needs the package PySocks" in caught.value.message
    assert "pip install PySocks" in (caught.value.hint or "")


def test_socks_is_not_enough_to_tell_which() -> None:
    with pytest.raises(ConfigError, match="which version of SOCKS") as caught:
        proxy_for(FAR[0], {"http": "socks://proxy.test:3"})
    assert "socks5h://" in (caught.value.hint or "")


def test_an_excluded_server_needs_no_pysocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.0/8")
    assert proxy_for("http://127.0.0.1:8080/", {"http": SOCKS}) is None


# ---- how it fails


@pytest.mark.parametrize("url", FAR)
def test_a_dead_proxy_is_named_and_not_tried_again(url: str) -> None:
    error = refused(url, "http://me:secret@127.0.0.1:9")
    assert isinstance(error, ConnectError)
    assert "cannot be reached: connection refused" in error.message
    assert not error.retryable


@pytest.mark.parametrize("url", FAR)
def test_a_proxy_of_an_unknown_name_is_not_tried_again(url: str) -> None:
    error = refused(url, "http://proxy.invalid:3128")
    assert isinstance(error, ConnectError)
    assert not error.retryable


@pytest.mark.parametrize("url", FAR)
def test_a_proxy_that_takes_no_connection_is_a_timeout(url: str) -> None:
    with black_hole() as hole:
        error = refused(url, hole, connect=0.2)
    assert isinstance(error, TimedOut)
    assert error.phase == "connect"


def test_a_proxy_that_never_answers_connect_is_a_timeout() -> None:
    with Answers(None) as proxy:
        assert isinstance(refused(FAR[1], proxy.url, connect=0.2), TimedOut)


@pytest.mark.parametrize("url", FAR)
def test_a_407_says_how_to_give_user_and_password(url: str) -> None:
    with Answers(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        without = refused(url, proxy.url)
        wrong = refused(url, proxy.url.replace("//", "//me:secret@"))
    assert isinstance(without, ProxyRefused)
    assert "requires a user name and a password (407)" in without.message
    assert "http://USER:PASSWORD@HOST:PORT" in (without.hint or "")
    assert isinstance(wrong, ProxyRefused)
    assert "does not accept the user name and password" in wrong.message
    assert "%40" in (wrong.hint or "")


def test_a_407_without_a_known_proxy_is_told_as_well() -> None:
    with Script(Reply(b"", 407)) as server, pytest.raises(ProxyRefused, match="on the way"):
        ask(server.url)


@pytest.mark.parametrize(
    ("status", "again"), [(403, False), (405, False), (404, False), (502, True), (503, True)]
)
def test_a_proxy_that_refuses_connect_is_told_with_its_words(status: int, again: bool) -> None:
    with Answers(f"HTTP/1.1 {status} Its Words\r\n\r\n".encode()) as proxy:
        error = refused(FAR[1], proxy.url)
    assert isinstance(error, ConnectError)
    assert error.message.endswith(f"did not connect to {FAR[1]}: {status} Its Words")
    assert error.retryable == again
    assert "NO_PROXY" in (error.hint or "")


@pytest.mark.parametrize("data", [b"\x05\xff", b"SSH-2.0-x\r\n"])
@pytest.mark.parametrize("url", FAR)
def test_what_is_no_http_proxy_is_told(url: str, data: bytes) -> None:
    with Answers(data) as proxy:
        error = refused(url, proxy.url)
    assert isinstance(error, ProxyRefused)
    assert "does not answer as an HTTP proxy" in error.message
    assert "socks5h://" in (error.hint or "")


@pytest.mark.parametrize("url", FAR)
def test_a_proxy_that_hangs_up_may_be_tried_again(url: str) -> None:
    with Answers(b"") as proxy:
        error = refused(url, proxy.url)
    assert isinstance(error, ConnectError)
    assert "closed the connection without answering" in error.message
    assert error.retryable


@pytest.mark.parametrize("url", FAR)
def test_a_proxy_that_is_asked_by_tls_and_has_none_is_told(url: str) -> None:
    with Answers(b"HTTP/1.1 400 Bad Request\r\n\r\n") as proxy:
        error = refused(url, proxy.url.replace("http", "https"))
    assert isinstance(error, ProxyRefused)
    assert "does not speak TLS" in error.message
    assert "http://" in (error.hint or "")


@pytest.mark.parametrize("url", FAR)
def test_a_proxy_whose_certificate_is_unknown_is_told(url: str) -> None:
    with Script(Reply(b"x"), https=True) as proxy:
        error = refused(url, proxy.url)
    assert isinstance(error, ProxyRefused)
    assert "certificate of the proxy" in error.message
    assert "ca_file" in (error.hint or "")


def test_a_servers_certificate_is_not_taken_for_the_proxys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Script(Reply(b"x"), https=True) as server, ForwardProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(TLSError, match="its certificate comes from"):
            ask(at("server.test", server.url))
        assert [it.method for it in proxy.requests] == ["CONNECT"]


class SecureAnswers(Answers):
    """The same over TLS."""

    def __init__(self, data: bytes, certificate: Certificate) -> None:
        super().__init__(data)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.cert, certificate.key)

    def handle(self, number: int, sock: socket.socket) -> None:
        stream = TLSStream(sock, self._context)
        stream.handshake()
        stream.recv(65536)
        stream.sendall(self._data or b"")
        stream.close_notify()


@pytest.mark.parametrize(
    ("data", "says"), [(b"SSH-2.0-x\r\n", "does not speak HTTP"), (b"", "without an answer")]
)
def test_what_comes_out_of_a_tunnel_is_not_the_proxys_failure(
    data: bytes, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    with SecureAnswers(data, certificate) as server, ForwardProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ChatstreamError, match=says) as caught:
            ask(f"https://server.test:{server.port}/v1", ca_file=str(certificate.ca))
    assert "proxy" not in caught.value.message


def test_a_proxy_that_is_asked_by_tls_is_trusted_as_a_server_is() -> None:
    with Script(Reply(b"ok"), https=True) as proxy:
        assert b"ok" in ask(FAR[0], proxies={"http": proxy.url}, ca_file=str(proxy.ca_file))
        assert [it.path for it in proxy.requests] == [FAR[0]]
