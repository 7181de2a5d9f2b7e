"""One exchange: what is sent, what comes back, where it may be redirected, how it fails."""

from __future__ import annotations

import gzip
import select
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path

import pytest
import requests
import requests_mock

from chatstream.cancel import CancelToken
from chatstream.errors import (
    ChatstreamError,
    ConfigError,
    ConnectError,
    ProtocolError,
    TimedOut,
    TLSError,
    Truncated,
    Unreachable,
)
from chatstream.transport import Call, Head, Transport
from chatstream.transport.ahead import Ahead
from tests.support.listener import Listener
from tests.support.loopback import LIMIT, Framing, Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import ForwardProxy, black_hole
from tests.support.refused import refused_port

KEY = {"Authorization": "Bearer test-key"}


def exchange(
    url: str, headers: dict[str, str] | None = None, transport: Transport | None = None
) -> tuple[Head, bytes]:
    call = Call(url, {"Accept-Encoding": "identity", **(headers or {})}, b"{}")
    with closing(transport or Transport()) as used:
        items = list(used.exchange(call, CancelToken()))
    (head,) = (item for item in items if isinstance(item, Head))
    return head, b"".join(item for item in items if isinstance(item, bytes))


class OneAnswer(Listener):
    """Sends the same bytes to everyone who asks, and closes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def handle(self, number: int, sock: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"{}"):
            asked += sock.recv(65536)
        sock.sendall(self._data)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)  # until the client has gone


@pytest.mark.parametrize("comes", [True, False])
def test_a_body_that_ends_after_the_answer_leaves_its_connection_in_use(comes: bool) -> None:
    end = threading.Event()
    replies = [Reply([b"all"], hold={1: end}), Reply(b"ok")]
    with Script(*replies) as server, closing(Transport()) as transport:
        call = Call(server.url, {}, b"{}")
        with closing(transport.exchange(call, CancelToken())) as items:
            assert b"all" in items
            transport.expect_end()
        assert transport._unended is not None
        handle, _ = transport._unended
        if comes:
            end.set()
            assert handle.body is not None
            assert select.select([handle.body._sock], [], [], LIMIT)[0]
        assert b"ok" in transport.exchange(call, CancelToken())
        assert [it.connection for it in server.requests] == [0, 0 if comes else 1]
        assert comes or server.connections[0].client_gone.wait(LIMIT)


def test_a_body_that_never_ends_is_left_when_the_transport_is_closed() -> None:
    with Script(Reply([b"all"], hold={1: threading.Event()})) as server:
        with closing(Transport()) as transport:
            with closing(transport.exchange(Call(server.url, {}, b"{}"), CancelToken())) as items:
                assert b"all" in items
                transport.expect_end()
            assert not server.connections[0].over.is_set()
        assert server.wait_closed()


def test_the_request_is_sent_as_it_was_given() -> None:
    with Script(Reply(b"ok", headers={"X-Request-Id": "7"})) as server:
        head, body = exchange(f"{server.url}/path?q=1", {"X-Own": "1", **KEY})
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/path?q=1", b"{}")
    assert request.headers["x-own"] == "1"
    assert request.headers["accept-encoding"] == "identity"
    assert (head.status, head.headers["x-request-id"], body) == (200, "7", b"ok")


def test_netrc_does_not_replace_the_key(tmp_path: object) -> None:
    from pathlib import Path

    (Path(str(tmp_path)) / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    with Script(Reply(b"ok")) as server:
        exchange(server.url, KEY)
    assert server.requests[0].headers["authorization"] == "Bearer test-key"


def test_the_password_of_an_address_is_sent_where_there_is_no_key() -> None:
    with Script(Reply(b"ok")) as server:
        url = server.url.replace("//", "//me:secret@")
        exchange(url)
        exchange(url, KEY)
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Basic bWU6c2VjcmV0", "Bearer test-key"]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda b: zlib.compress(b)[2:-4]),
    ],
)
@pytest.mark.parametrize("split", [None, 1, 5])
def test_a_compressed_body_is_inflated_as_it_comes(
    encoding: str, pack: Callable[[bytes], bytes], split: int | None
) -> None:
    text = b"data: hello\n\n" * 50
    body = pack(text)
    with Script(Reply(body, headers={"Content-Encoding": encoding}, split=split)) as server:
        assert exchange(server.url)[1] == text


def test_an_encoding_nobody_asked_for_is_a_protocol_error() -> None:
    brotli = b"\x0b\x02\x80data\x03"
    with (
        Script(Reply(brotli, headers={"Content-Encoding": "br"})) as server,
        pytest.raises(ProtocolError, match="br"),
    ):
        exchange(server.url)


@pytest.mark.parametrize(
    ("headers", "pack"),
    [
        ({"Content-Encoding": "none"}, bytes),
        ({"Content-Encoding": "identity, identity"}, bytes),
        ({"Content-Encoding": ""}, bytes),
        ({"Content-Encoding": "gzip"}, bytes),
        ({"Content-Encoding": "GZIP"}, gzip.compress),
        ({"Content-Encoding": "gzip, identity"}, gzip.compress),
        ({"Content-Encoding": "gzip, gzip"}, gzip.compress),
        ({"Content-Encoding": "gzip, gzip"}, lambda b: gzip.compress(gzip.compress(b))),
        ({"Content-Encoding": "utf-8"}, zlib.compress),
    ],
)
def test_the_bytes_decide_how_they_are_encoded(
    headers: dict[str, str], pack: Callable[[bytes], bytes]
) -> None:
    text = b"data: hello\n\n" * 50
    with Script(Reply(pack(text), headers=headers, split=7)) as server:
        assert exchange(server.url)[1] == text


TEXT = b"data: hello\n\n"
PACKED = gzip.compress(TEXT)
CHUNKS = b"d\r\ndata: hello\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        pytest.param(["HTTP/1.1 103 Hints", "", "HTTP/1.1 200 OK"], TEXT, id="interim"),
        pytest.param(["HTTP/1.1 200"], TEXT, id="no-reason"),
        pytest.param(["HTTP/1.0 200 OK", "Connection: keep-alive"], TEXT, id="http-1.0"),
        pytest.param(["HTTP/2 200"], TEXT, id="http-2-in-words"),
        pytest.param(["HTTP/1.1 200 OK", *["X-Same: v"] * 300], TEXT, id="300-header-lines"),
        pytest.param(["HTTP/1.1 200 OK", "X: a", " b", "nonsense"], TEXT, id="odd-header-lines"),
        pytest.param(["HTTP/1.1 200 OK", "Content-Length: 13, 13"], TEXT, id="length-twice"),
        pytest.param(
            ["HTTP/1.1 200 OK", "Content-Length: 3", "Content-Length: 13"], TEXT, id="two-lengths"
        ),
        pytest.param(["HTTP/1.1 200 OK", "Content-Length: -1"], TEXT, id="negative-length"),
        pytest.param(["HTTP/1.1 200 OK", "Content-Length: many"], TEXT, id="length-in-words"),
        pytest.param(
            ["HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: Chunked"],
            CHUNKS,
            id="length-and-chunks",
        ),
        pytest.param(
            ["HTTP/1.1 200 OK", "Transfer-Encoding: identity", "Content-Length: 13"],
            TEXT,
            id="identity",
        ),
        pytest.param(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], TEXT, id="no-chunks"),
        pytest.param(
            ["HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"],
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(PACKED), PACKED),
            id="gzip-below-the-chunks",
        ),
    ],
)
def test_a_body_is_read_whatever_its_head_looks_like(lines: list[str], sent: bytes) -> None:
    with OneAnswer("\r\n".join([*lines, "", ""]).encode() + sent) as server:
        head, body = exchange(server.url)
    assert (head.status, body) == (200, TEXT)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02P", "speaks TLS"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "101"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Same: value\r\n" * 30_000, "256 KiB"),
    ],
)
def test_a_head_that_is_none_is_a_protocol_error(sent: bytes, says: str) -> None:
    with OneAnswer(sent) as server, pytest.raises(ProtocolError, match=says):
        exchange(server.url)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_to_the_same_origin_is_followed_with_method_and_key(status: int) -> None:
    with Script(Reply(b"", status, {"Location": "/new"}, "length"), Reply(b"ok")) as server:
        assert exchange(server.url, KEY)[1] == b"ok"
    assert [(r.method, r.path) for r in server.requests] == [("POST", "/"), ("POST", "/new")]
    assert server.requests[1].headers["authorization"] == "Bearer test-key"


def test_a_redirect_whose_body_never_ends_is_followed_at_once() -> None:
    never = threading.Event()
    moved = Reply(b"", 307, {"Location": "/new"}, hold={"after_head": never})
    with Script(moved, Reply(b"ok")) as server, closing(Transport()) as transport:
        items = transport.exchange(Call(server.url, KEY, b"{}"), CancelToken())
        assert b"ok" in islice(items, 50)  # ticks, mostly, where it waits for the end
        items.close()


@pytest.mark.parametrize("headers", [{}, KEY, {"x-api-key": "k"}, {"X-Own": "k"}], ids=str)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_another_origin(status: int, headers: dict[str, str]) -> None:
    with Script(Reply(b"ok")) as other:
        with Script(Reply(b"", status, {"Location": f"{other.url}/new"}, "length")) as server:
            with pytest.raises(ProtocolError, match="redirects to") as caught:
                exchange(server.url, headers)
            assert f"{other.url}/new" in caught.value.message
            assert "--base-url" in (caught.value.hint or "")
        assert other.connections == []


@pytest.mark.parametrize(
    "location",
    [
        "//OTHER/",
        "https://OWN/",  # another scheme is another origin, though it is the better one
        "http://OTHER\\@OWN/",  # urllib3 would go to OTHER, urllib reads OWN
        "http://OWN@OTHER/",
        "http://localhost:OWNPORT/",
        "http:///path",
        "http://[::1/",
        "http://127.0.0.1:99999/",
    ],
)
def test_no_spelling_of_an_address_leads_a_redirect_elsewhere(location: str) -> None:
    with Script(Reply(b"ok")) as other, Script(Reply(b"ok")) as server:
        own, others = server.url.removeprefix("http://"), other.url.removeprefix("http://")
        port = own.partition(":")[2]
        where = location.replace("OWNPORT", port).replace("OWN", own).replace("OTHER", others)
        server.play(Reply(b"", 307, {"Location": where}, "length"), Reply(b"ok"))
        with suppress(ProtocolError):
            exchange(server.url, KEY)
        assert other.connections == []


def test_a_redirect_keeps_the_password_of_the_address_and_takes_none_from_the_server() -> None:
    with Script() as server:
        where = server.url.replace("//", "//they:theirs@") + "/new"
        server.play(Reply(b"", 307, {"Location": where}, "length"), Reply(b"ok"))
        exchange(server.url.replace("//", "//me:secret@"))
        sent = [(it.path, it.headers["authorization"]) for it in server.requests]
    assert sent == [("/", "Basic bWU6c2VjcmV0"), ("/new", "Basic bWU6c2VjcmV0")]


def test_a_redirect_that_would_turn_the_post_into_a_get_is_not_followed() -> None:
    with (
        Script(Reply(b"", 302, {"Location": "/new"}, "length"), Reply(b"ok")) as server,
        pytest.raises(ProtocolError, match="not sent there"),
    ):
        exchange(server.url)
    assert len(server.requests) == 1


def test_a_circle_of_redirects_ends() -> None:
    with (
        Script(Reply(b"", 307, {"Location": "/again"}, "length")) as server,
        pytest.raises(ProtocolError, match="loop"),
    ):
        exchange(server.url)


@pytest.mark.usefixtures("no_proxies")
def test_proxies_of_the_environment_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b"ok")) as server, ForwardProxy() as proxy:
        Names(monkeypatch)
        url = at("server.test", server.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert exchange(url)[1] == b"ok"
        assert len(proxy.requests) == 1
        monkeypatch.setenv("NO_PROXY", "server.test")
        assert exchange(url)[1] == b"ok"
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "localhost", "LOCALHOST", "a.localhost"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_not_asked_through_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, host: str, variable: str, scheme: str
) -> None:
    Names(monkeypatch)
    with Script(Reply(b"ok")) as server, ForwardProxy() as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("http", scheme))
        monkeypatch.setenv("NO_PROXY", "elsewhere.test")
        assert exchange(at(host, server.url))[1] == b"ok"
        assert proxy.requests == []


def test_nor_through_one_of_the_settings() -> None:
    with Script(Reply(b"ok")) as server, ForwardProxy() as proxy:
        transport = Transport(proxies={"http": proxy.url})
        assert exchange(server.url, transport=transport)[1] == b"ok"
        assert proxy.requests == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy", None])
def test_a_socks_proxy_is_named_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    Names(monkeypatch)
    address = "socks5://127.0.0.1:9"
    if variable:
        monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigError, match=variable or "setting proxy") as caught:
        exchange(
            "http://server.test",
            transport=Transport(proxies=None if variable else {"http": address}),
        )
    assert "PySocks" in caught.value.message
    assert "pip install PySocks" in (caught.value.hint or "")


def test_the_authority_of_the_environment_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b"ok"), https=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        assert exchange(server.url)[1] == b"ok"


def test_the_context_of_a_connection_made_ahead_is_that_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Script(Reply(b"ok"), https=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        ahead = Ahead(server.url, limit=5.0, setting={}, ca_file=None)
        with closing(ahead), closing(Transport(ahead=ahead, proxies={})) as transport:
            assert b"ok" in list(transport.exchange(Call(server.url, {}), CancelToken()))
            assert transport._tls_context() is ahead.context()  # it may take 25 ms to make one
        assert len(server.connections) == 1


def test_a_refused_connection_says_so() -> None:
    port = refused_port()
    with pytest.raises(Unreachable, match="connection refused") as caught:
        exchange(f"http://127.0.0.1:{port}")
    assert (caught.value.here, caught.value.named) == (True, True)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_a_host_without_an_address_says_so(host: str) -> None:
    with pytest.raises(Unreachable, match="no answer from") as caught:
        exchange(f"http://{host}/")
    assert (caught.value.here, caught.value.named) == (False, False)


@pytest.mark.usefixtures("no_proxies")
def test_dead_addresses_of_a_name_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b"ok")) as server, ExitStack() as stack:
        for address in ("127.0.0.2", "127.0.0.3"):
            stack.enter_context(black_hole((address, server.port)))
        Names(monkeypatch).name("server.test", "127.0.0.2", "127.0.0.3", "127.0.0.1")
        assert exchange(at("server.test", server.url))[1] == b"ok"
        assert len(server.connections) == 1


@pytest.mark.parametrize("zone", ["%25", "%"])
def test_an_ipv6_address_with_a_zone_is_reached_and_the_zone_is_not_sent(zone: str) -> None:
    local = _link_local()
    if local is None:
        pytest.skip("this machine has no link-local address")
    address, interface, listener = local
    with listener:
        port = listener.getsockname()[1]
        heard: list[bytes] = []

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                heard.append(peer.recv(65536))
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        thread = threading.Thread(target=answer)
        thread.start()
        assert exchange(f"http://[{address}{zone}{interface}]:{port}/")[1] == b"ok"
        thread.join()
    assert f"Host: [{address}]:{port}\r\n".encode() in heard[0]


def _link_local() -> tuple[str, str, socket.socket] | None:
    """An address of this machine that needs a zone, its interface, and a listener there."""
    for index, interface in socket.if_nameindex():
        with suppress(OSError):
            for line in Path("/proc/net/if_inet6").read_text().splitlines():
                digits, _, _, _, _, name = line.split()
                if name == interface and digits.startswith("fe80"):
                    address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
                    listener = socket.socket(socket.AF_INET6)
                    listener.bind((address, 0, 0, index))
                    listener.listen()
                    return address, interface, listener
    return None


def test_a_connect_that_takes_too_long_is_a_timeout() -> None:
    with black_hole() as url, pytest.raises(TimedOut, match=r"within 0\.2 s"):
        exchange(url, transport=Transport(connect=0.2))


def test_an_end_before_the_head_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up() -> None:
            peer, _ = listener.accept()
            peer.recv(65536)
            peer.close()

        import threading

        threading.Thread(target=hang_up).start()
        with pytest.raises(ConnectError, match="no answer"):
            exchange(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("rst", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_an_end_inside_the_body_is_truncated(framing: Framing, rst: bool) -> None:
    reply = Reply(b"0123456789", framing=framing, cut_after=5, rst=rst)
    with Script(reply) as server, pytest.raises(Truncated):
        exchange(server.url)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://a b/", "nonsense"])
def test_an_address_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError):
        exchange(url)


@pytest.mark.parametrize("value", ["line\nbreak", "käse\u2603"])
def test_a_header_that_cannot_be_sent_is_a_configuration_error(value: str) -> None:
    with Script(Reply(b"x")) as server, pytest.raises(ConfigError):
        exchange(server.url, {"Authorization": value})


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (requests.exceptions.SSLError("bad certificate"), TLSError),
        (requests.exceptions.ProxyError("proxy down"), ConnectError),
        (requests.exceptions.ConnectTimeout("slow"), TimedOut),
        (requests.exceptions.InvalidProxyURL("proxy?"), ConfigError),
        (requests.exceptions.ChunkedEncodingError("odd"), ConnectError),
    ],
)
def test_every_failure_of_requests_becomes_one_of_ours(
    theirs: Exception, ours: type[ChatstreamError]
) -> None:
    with requests_mock.Mocker() as mocker:
        mocker.post("http://server/", exc=theirs)
        with pytest.raises(ours):
            exchange("http://server/")
