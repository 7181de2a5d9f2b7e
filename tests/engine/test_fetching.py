"""Claimed: a page that the user names is fetched with all that may happen on the way, and what is
no text of it is never taken for one."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.fetching import (
    MOST_HTML_BYTES,
    SILENCE_SECONDS,
    WHOLE_SECONDS,
    Page,
    page,
    text_in,
)
from chatstream.engine.settings import Settings
from chatstream.errors import (
    Cancelled,
    ChatstreamError,
    ConfigError,
    ConnectError,
    ProtocolError,
    Refused,
    ServerError,
    TimedOut,
    UsageError,
)
from tests.support.loopback import Reply, Script
from tests.support.names import Names, at
from tests.support.proxy import ForwardProxy
from tests.support.refused import refused_port

HTML = {"Content-Type": "text/html; charset=utf-8"}
PLAIN = {"Content-Type": "text/plain"}

pytestmark = pytest.mark.usefixtures("no_proxies")


def fetched(url: str, *, most: int = 1_000_000, **options: Any) -> Page:
    settings = Settings(**options.pop("settings", {}))
    return page(url, settings, CancelToken(), most=most, **options)


def text(data: bytes, kind: str, charset: str | None = None, encoding: str | None = None) -> str:
    found = Page("http://a.test/x", "http://a.test/x", kind, charset, data)
    return text_in(found, encoding, CancelToken())


def failure(kind: type[ChatstreamError], *replies: Reply, path: str = "/x") -> ChatstreamError:
    with Script(*replies) as server, pytest.raises(kind) as caught:
        fetched(server.url + path)
    assert "--base-url" not in (caught.value.hint or "")
    return caught.value


def test_a_page_of_this_machine_that_is_named_is_fetched_with_no_key() -> None:
    with Script(Reply(b"<p>hello", headers=HTML)) as server:
        found = fetched(f"{server.url}/a/?x=1#part", settings={"api_key": "sk-secret-key-1"})
        (request,) = server.requests
    assert text_in(found, None, CancelToken()) == "hello"
    assert (request.method, request.path) == ("GET", "/a/?x=1")
    assert "sk-secret" not in str(request.headers)
    assert "authorization" not in request.headers


def test_it_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch)
    with Script(Reply(b"far", headers=PLAIN)) as server, ForwardProxy() as proxy:
        found = fetched(at("far.test", server.url), settings={"proxy": proxy.url})
        assert found.data == b"far"
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429])
def test_a_page_that_is_not_given_is_a_refusal(status: int) -> None:
    error = failure(Refused, Reply(b"<p>no such page", status, HTML))
    assert f"/x cannot be fetched: HTTP {status} " in error.message
    assert error.exit_status == 3


def test_a_server_that_fails_is_told_apart() -> None:
    assert failure(ServerError, Reply(b"oops", 503, HTML)).exit_status == 1
    assert "HTTP 304" in failure(Refused, Reply(b"", 304, HTML, "length")).message


@pytest.mark.parametrize("url", ["http://", "http://a b/", "http://a:99999/"])
def test_what_is_no_address_is_refused_before_anybody_is_asked(url: str) -> None:
    with pytest.raises(ConfigError, match="is not an address") as caught:
        fetched(url)
    assert caught.value.exit_status == 2


def test_nobody_there_is_told_with_a_hint_for_a_page() -> None:
    with pytest.raises(ConnectError) as caught:
        fetched(f"http://127.0.0.1:{refused_port()}/x")
    assert "--base-url" not in (caught.value.hint or "")


def test_a_page_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    cut = Reply(b"x" * 100, headers=PLAIN, framing="length", cut_after=50)
    error = failure(ConnectError, cut)
    assert "/x broke off" in error.message
    assert error.exit_status == 1


def test_a_server_that_is_not_understood_is_named() -> None:
    packed = Reply(b"\x8b\x05\x80hello\x03", headers={**PLAIN, "Content-Encoding": "br"})
    assert "/x cannot be fetched: the server compresses" in failure(ProtocolError, packed).message


def test_a_redirect_is_followed_also_to_another_server() -> None:
    with Script(Reply(b"there", headers=PLAIN)) as other:
        there = Reply(b"", 302, {"Location": f"{other.url}/b"}, "length")
        near = Reply(b"", 301, {"Location": "/near?k=1"}, "length")
        with Script(near, there) as server:
            found = fetched(f"{server.url}/a")
            assert [it.path for it in server.requests] == ["/a", "/near?k=1"]
    assert (found.data, found.name, found.base) == (
        b"there",
        f"{server.url}/a",
        f"{other.url}/b",
    )


def test_a_redirect_to_a_private_host_that_was_not_named_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch)
    with Script(Reply(b"secret", headers=PLAIN)) as inner:
        there = Reply(b"", 302, {"Location": inner.url}, "length")
        with Script(there) as outer, pytest.raises(Refused, match="private network") as caught:
            fetched(at("named.test", outer.url))
        assert inner.connections == []
    assert "--http-host" not in (caught.value.hint or "")


def test_a_password_is_sent_to_its_own_server_alone_and_shown_to_nobody() -> None:
    with Script(Reply(b"<a href=/in>see</a>", headers=HTML)) as other:
        near = Reply(b"", 302, {"Location": "/b"}, "length")
        there = Reply(b"", 302, {"Location": f"http://x:y@127.0.0.1:{other.port}/c"}, "length")
        with Script(near, there) as server:
            url = f"http://me:pass-word@127.0.0.1:{server.port}/a?token=abcdefgh&page=2"
            found = fetched(url)
            assert ["authorization" in it.headers for it in server.requests] == [True, True]
        assert "authorization" not in other.requests[0].headers
    assert found.name == f"http://***@127.0.0.1:{server.port}/a?token=***&page=2"
    assert text_in(found, None, CancelToken()) == f"see (http://127.0.0.1:{other.port}/in)"


def test_links_of_a_page_do_not_repeat_its_password() -> None:
    with Script(Reply(b"<a href=/in>see</a>", headers=HTML)) as server:
        found = fetched(f"http://me:pass-word@127.0.0.1:{server.port}/a?token=abcdefgh")
    assert text_in(found, None, CancelToken()) == f"see (http://127.0.0.1:{server.port}/in)"


def test_no_failure_shows_the_password() -> None:
    with Script(Reply(b"", 404, HTML, "length")) as server, pytest.raises(Refused) as caught:
        fetched(f"http://me:pass-word@127.0.0.1:{server.port}/a?token=abcdefgh")
    assert "pass-word" not in caught.value.message
    assert "abcdefgh" not in caught.value.message


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://[broken", "ftp://a.test/"])
def test_a_redirect_to_what_is_no_web_address_is_a_failure(location: str) -> None:
    error = failure(ProtocolError, Reply(b"", 302, {"Location": location}, "length"))
    assert "cannot be fetched" in error.message


def test_redirects_in_a_loop_end() -> None:
    error = failure(ProtocolError, Reply(b"", 302, {"Location": "/x"}, "length"))
    assert "redirects in a loop" in error.message


def test_a_secure_page_does_not_lead_to_an_open_one() -> None:
    there = Reply(b"", 302, {"Location": "http://127.0.0.1:1/"}, "length")
    with Script(there, https=True) as server, pytest.raises(ProtocolError, match="not secure"):
        fetched(server.url, settings={"ca_file": str(server.ca_file)})


def test_a_long_page_is_read_no_further_than_its_limit() -> None:
    with Script(Reply(itertools.repeat(b"x" * 65536), headers=PLAIN)) as server:
        assert len(fetched(server.url, most=100_000).data) == 100_001


def test_how_far_it_is_is_told_also_while_nothing_comes() -> None:
    told: list[tuple[float, float | None]] = []
    go = threading.Event()

    def report(*it: Any) -> None:
        told.append(it)
        go.set()

    reply = Reply(b"12345", headers=PLAIN, framing="length", hold={"before_head": go})
    with Script(reply) as server:
        fetched(server.url, report=report)
    assert (told[0], told[-1]) == ((0, None), (5, 5.0))


class Ticking:
    """A clock that goes on by so many seconds whenever it is looked at."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._seconds
        return self._now


def test_a_server_that_says_nothing_is_given_up() -> None:
    silent = Reply(b"x", headers=PLAIN, hold={"before_head": threading.Event()})
    with Script(silent) as server, pytest.raises(TimedOut, match="nothing came from") as caught:
        fetched(server.url, clock=Ticking(SILENCE_SECONDS / 4))
    assert caught.value.exit_status == 4


def test_a_server_that_drips_is_given_up() -> None:
    drip = Reply(itertools.repeat(b"x"), headers=PLAIN, pace=0.001)
    with Script(drip) as server, pytest.raises(TimedOut, match="did not arrive within"):
        fetched(server.url, clock=Ticking(SILENCE_SECONDS / 20))


def test_a_page_that_takes_for_ever_to_be_read_is_given_up() -> None:
    found = Page("http://a.test/", "http://a.test/", "text/html", "utf-8", b"<p>x" * 1000)
    with pytest.raises(TimedOut, match="could not be read"):
        text_in(found, None, CancelToken(), Ticking(WHOLE_SECONDS / 100))


def test_a_cancel_ends_it() -> None:
    token = CancelToken()
    token.cancel()
    with Script(Reply(b"x", headers=PLAIN)) as server, pytest.raises(Cancelled):
        page(server.url, Settings(), token, most=10)
    found = Page("http://a.test/", "http://a.test/", "text/html", "utf-8", b"<p>x")
    with pytest.raises(Cancelled):
        text_in(found, None, token)


def test_a_page_that_would_take_long_to_read_is_refused() -> None:
    with pytest.raises(UsageError, match="larger than the limit of 8 MiB for a page"):
        text(b"<p>" + b"x" * MOST_HTML_BYTES, "text/html", "utf-8")
    assert len(text(b"x" * (MOST_HTML_BYTES + 1), "text/plain")) > MOST_HTML_BYTES


@pytest.mark.parametrize(
    ("data", "kind", "charset", "said"),
    [
        (b"caf\xc3\xa9", "text/plain", None, "café"),
        (b"caf\xe9", "text/plain", "iso8859-1", "café"),
        (b"<p>caf\xe9 \x80", "text/html", "iso8859-1", "café €"),
        (b"<meta charset=windows-1252><p>caf\xe9", "text/html", None, "café"),
        (b"<p>caf\xc3\xa9 \xff", "text/html", "utf-8", "café \N{REPLACEMENT CHARACTER}"),
        (b"\xff\xfeh\0i\0", "text/plain", None, "hi"),
        (b'{"a": "<p>"}', "application/json", None, '{"a": "<p>"}'),
        (b"<html><p>yes", "", None, "yes"),
        (b"plain", "", None, "plain"),
        (b"CREATE TABLE", "application/sql", None, "CREATE TABLE"),
        (b"\x1b[31mred", "text/plain", None, "\x1b[31mred"),
    ],
)
def test_text_is_read_as_it_is_meant(data: bytes, kind: str, charset: str, said: str) -> None:
    assert text(data, kind, charset) == said


def test_an_encoding_that_is_named_goes_over_what_the_server_says() -> None:
    assert text(b"<p>caf\xe9", "text/html", "utf-8", "cp1252") == "café"
    assert text(b"caf\xe9", "text/plain", "utf-8", "cp1252") == "café"


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"\x89PNG\r\n", "image/png", "http://a.test/x is not text, but image/png"),
        (b"a\0b", "application/octet-stream", "is not text, but application/octet-stream"),
        (b"a\0b", "", "is not text, but binary data"),
        (b"\xff\xd8", "", "is not UTF-8 text"),
        (b"caf\xe9", "text/plain", "is not UTF-8 text"),
        (b"<p>caf\xe9", "text/html", "is not UTF-8 text"),
        (b"<script>draw()</script>", "text/html", "http://a.test/x has no text"),
        (b" \n", "text/plain", "http://a.test/x has no text"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(data: bytes, kind: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        text(data, kind)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
