"""`http_get`: what is asked for, what is followed, and what the model is given."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import ConnectError
from chatstream.tools.builtin.fetching import MOST_BYTES, Answered, HttpGet
from chatstream.tools.tool import InvalidArguments, ToolFailure
from tests.support.toolcontext import Said, result

AT = "https://site.test/a"


class Web:
    """Gives an answer for each address; `asked` are those that were asked for."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self._answers: Mapping[str, Any] = answers

    def fetch(self, url: str, token: CancelToken) -> Iterator[Answered | bytes]:
        self.asked.append(url)
        status, headers, *body = self._answers[url.rpartition("/")[2]]
        yield Answered(status, headers)
        yield from itertools.chain(*body)


def got(url: str = AT, **answers: Any) -> str:
    return result(HttpGet(Web(**answers).fetch), url=url)


def typed(kind: str) -> dict[str, str]:
    return {"content-type": kind}


def test_text_is_given_as_it_is() -> None:
    assert got(a=(200, typed("text/plain"), [b"one ", b"two"])) == "one two"


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/html; charset=utf-8", b"<p>caf\xc3\xa9", "café"),
        ("text/html; charset=iso-8859-1", b"<p>caf\xe9", "café"),
        ("text/plain; charset=nonsense", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=base64", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=idna", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=undefined", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=punycode", b"caf\xc3\xa9-", "café-"),
        ("text/plain; charset=unicode_escape", b"\\x41", "\\x41"),
        ("application/json", b'{"a": "<p>"}', '{"a": "<p>"}'),
        ("application/problem+json", b"{}", "{}"),
        ("", b"<html>yes", "yes"),
        ("", b"plain", "plain"),
        ("image/png", b"\x89PNG", "[image/png, 4 bytes: not shown]"),
        ("", b"a\0b", "[binary data, 3 bytes: not shown]"),
    ],
)
def test_the_type_decides_what_is_shown(kind: str, body: bytes, text: str) -> None:
    assert got(a=(200, typed(kind), [body])) == text


def test_a_failure_of_the_server_is_told_with_what_it_says() -> None:
    assert (
        got(a=(404, typed("text/plain"), [b"no such page"])) == "HTTP 404 Not Found\n\nno such page"
    )


def test_a_long_body_is_read_no_further_than_its_limit() -> None:
    endless = itertools.repeat(b"x" * 65536)
    text = got(a=(200, typed("text/plain"), endless))
    assert text == "x" * MOST_BYTES + "\n\n[only the first 2 MiB were read]"


def test_how_far_it_is_is_told() -> None:
    said = Said()
    headers = {**typed("text/plain"), "content-length": "6"}
    result(HttpGet(Web(a=(200, headers, [b"one", b"two"])).fetch), said, url=AT)
    assert said.reports == [(3, 6.0, None), (6, 6.0, None)]


@pytest.mark.parametrize(
    "location", ["/b", "b", "https://site.test/b", "https://site.test:443/b", "//site.test/b"]
)
def test_a_redirect_to_the_same_host_is_followed(location: str) -> None:
    web = Web(a=(302, {"location": location}), b=(200, typed("text/plain"), [b"there"]))
    if ":443" in location:
        assert "another host" in result(HttpGet(web.fetch), url=AT)
        return
    assert result(HttpGet(web.fetch), url=AT) == "there"
    assert web.asked == [AT, "https://site.test/b"]


def test_an_open_connection_may_become_a_secure_one_and_not_the_reverse() -> None:
    there = (200, typed("text/plain"), [b"there"])
    assert (
        got("http://site.test/a", a=(301, {"location": "https://site.test/b"}), b=there) == "there"
    )
    told = got(a=(301, {"location": "http://site.test/b"}), b=there)
    assert told == "HTTP 301: it redirects to another host: http://site.test/b"


@pytest.mark.parametrize(
    "location", ["https://other.test/b", "http://127.0.0.1/b", "https://site.test:8443/b"]
)
def test_a_redirect_to_another_host_is_told_and_not_followed(location: str) -> None:
    web = Web(a=(307, {"location": location}))
    assert result(HttpGet(web.fetch), url=AT) == (
        f"HTTP 307: it redirects to another host: {location}"
    )
    assert web.asked == [AT]


def test_a_redirect_in_a_loop_ends() -> None:
    web = Web(a=(302, {"location": "/a"}))
    with pytest.raises(ToolFailure, match="redirects in a loop"):
        result(HttpGet(web.fetch), url=AT)
    assert len(web.asked) == 6


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://x.test/", "/etc/passwd", "site.test", "http://", ""),
        *("http://[broken/", "http://a b/", "http://x.test/\nHost: y", "http://x.test:0/"),
        *(
            "http://x.test:99999/",
            "https://user:pw@x.test/",
            "javascript:1",
            "http://a.test\\.b.test/",
        ),
    ],
)
def test_what_is_not_an_address_on_the_web_is_refused_before_anyone_is_asked(url: str) -> None:
    web = Web()
    with pytest.raises(InvalidArguments):
        HttpGet(web.fetch).check({"url": url})
    assert web.asked == []


def test_a_redirect_to_what_is_not_an_address_is_refused() -> None:
    for broken in ("http://[broken", "http://site.test:99999/"):
        with pytest.raises(ToolFailure, match="cannot be read"):
            got(a=(302, {"location": broken}))
    assert "another host: file:///etc" in got(a=(302, {"location": "file:///etc/passwd"}))


def test_a_failure_to_connect_is_a_failure_of_the_call() -> None:
    def fetch(url: str, token: CancelToken) -> Iterator[Answered | bytes]:
        yield from ()
        raise ConnectError("no answer from site.test")

    with pytest.raises(ToolFailure, match=r"no answer from site\.test") as failure:
        result(HttpGet(fetch), url=AT)
    assert failure.value.code == "connect"


def test_it_is_a_tool_of_the_net_that_is_asked_about() -> None:
    tool = HttpGet(Web().fetch)
    assert (tool.effect, tool.confined, tool.origin) == ("net", False, "built in")
