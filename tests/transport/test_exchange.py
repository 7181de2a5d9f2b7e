"""One exchange: what is sent, what comes back, where it may be redirected, how it fails."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable
from contextlib import closing

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
)
from chatstream.transport import Call, Head, Transport
from chatstream.transport.exchange import mask_headers, show_url
from tests.support.loopback import Framing, Reply, Script
from tests.support.proxy import ForwardProxy, black_hole

KEY = {"Authorization": "Bearer test-key"}


def exchange(
    url: str, headers: dict[str, str] | None = None, transport: Transport | None = None
) -> tuple[Head, bytes]:
    call = Call(url, {"Accept-Encoding": "identity", **(headers or {})}, b"{}")
    with closing(transport or Transport()) as used:
        items = list(used.exchange(call, CancelToken()))
    (head,) = (item for item in items if isinstance(item, Head))
    return head, b"".join(item for item in items if isinstance(item, bytes))


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
    with (
        Script(Reply(b"x", headers={"Content-Encoding": "br"})) as server,
        pytest.raises(ProtocolError, match="br"),
    ):
        exchange(server.url)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_to_the_same_origin_is_followed_with_method_and_key(status: int) -> None:
    with Script(Reply(b"", status, {"Location": "/new"}, "length"), Reply(b"ok")) as server:
        assert exchange(server.url, KEY)[1] == b"ok"
    assert [(r.method, r.path) for r in server.requests] == [("POST", "/"), ("POST", "/new")]
    assert server.requests[1].headers["authorization"] == "Bearer test-key"


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key"])
def test_no_redirect_takes_a_key_to_another_origin(name: str) -> None:
    with Script(Reply(b"ok")) as other:
        with Script(Reply(b"", 307, {"Location": f"{other.url}/new"}, "length")) as server:
            with pytest.raises(ProtocolError, match="redirects") as caught:
                exchange(server.url, {name: "test-key"})
            assert "--base-url" in (caught.value.hint or "")
        assert other.requests == []


def test_a_redirect_that_would_turn_the_post_into_a_get_is_not_followed() -> None:
    with (
        Script(Reply(b"", 302, {"Location": "/new"}, "length"), Reply(b"ok")) as server,
        pytest.raises(ProtocolError, match="not sent on"),
    ):
        exchange(server.url)
    assert len(server.requests) == 1


def test_a_circle_of_redirects_ends() -> None:
    with (
        Script(Reply(b"", 307, {"Location": "/again"}, "length")) as server,
        pytest.raises(ProtocolError, match="circle"),
    ):
        exchange(server.url)


@pytest.mark.usefixtures("no_proxies")
def test_proxies_of_the_environment_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b"ok")) as server, ForwardProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert exchange(server.url)[1] == b"ok"
        assert len(proxy.requests) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert exchange(server.url)[1] == b"ok"
        assert len(proxy.requests) == 1


def test_the_authority_of_the_environment_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply(b"ok"), https=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        assert exchange(server.url)[1] == b"ok"


def test_a_refused_connection_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match="connection refused"):
        exchange(f"http://127.0.0.1:{port}")


@pytest.mark.usefixtures("no_proxies")
def test_a_host_without_an_address_says_so() -> None:
    with pytest.raises(ConnectError, match="no answer from"):
        exchange("http://no-such-host.invalid/")


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


def test_what_is_shown_of_an_address_holds_no_secret() -> None:
    assert show_url("http://me:secret@host:80/p?key=secret#f") == "http://host:80/p"


def test_secret_headers_are_masked() -> None:
    shown = mask_headers({**KEY, "X-Api-Key": "s", "Accept": "a"})
    assert shown == {"Authorization": "***", "X-Api-Key": "***", "Accept": "a"}
