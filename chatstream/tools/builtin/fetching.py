"""`http_get`: the text that is at an address.

1. Only http and https are fetched, without a user and password, and with no key of ours.
2. The `Fetch` that it is given decides which hosts are connected to: those of this machine and of
   private networks are refused, unless they are named.
3. A redirect to the same host is followed, five times at most. One to another host is only
   reported to the model, so that whoever approves a call has approved the host.
4. At most `MOST_BYTES` of the body are read. HTML becomes text (`pages`). A body that is not
   text is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from chatstream.addresses import redirected
from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError
from chatstream.pages import is_html, is_text, kind_of, length_of, text_of
from chatstream.tools.builtin.base import Arguments, BuiltIn
from chatstream.tools.tool import Context, InvalidArguments, Subject, ToolFailure
from chatstream.wording import bounded, status_words

MOST_BYTES = 2 * 1024 * 1024
_MOST_REDIRECTS = 5


class Answered(msgspec.Struct, frozen=True):
    """The head of a response; the names of the headers in lower case."""

    status: int
    headers: dict[str, str]


Fetch = Callable[[str, CancelToken], Iterator[Answered | bytes]]
"""Asks for an address, and follows no redirect: the head, and then pieces of the body.

Raises `ChatstreamError`, also for an address that must not be reached.
"""


class FetchArguments(Arguments, frozen=True, kw_only=True):
    """Of `http_get`."""

    url: Annotated[str, msgspec.Meta(description="An http or https address.")]


class HttpGet(BuiltIn[FetchArguments]):
    """`http_get`."""

    called = "http_get"
    description = "Fetch an address on the web and return its text. HTML is turned into plain text."
    effect = "net"
    confined = False
    arguments = FetchArguments
    subject = Subject("url", "address")

    def __init__(self, fetch: Fetch) -> None:
        super().__init__()
        self._fetch = fetch

    def check(self, arguments: dict[str, object]) -> None:
        super().check(arguments)
        _check(str(arguments["url"]))

    def work(self, given: FetchArguments, context: Context) -> str:
        url = given.url
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                head, data, is_whole = self._got(url, context)
            except ChatstreamError as error:
                context.token.check()
                raise ToolFailure(error.message, code=error.code) from error
            target = _redirect(url, head)
            if target is None:
                return _told(url, head, data, context, is_whole=is_whole)
            if not _same_host(url, target):
                return f"HTTP {head.status}: it redirects to another host: {target}"
            _check(target)
            url = target
        raise ToolFailure(f"the server redirects in a loop, last to {bounded(url)}")

    def _got(self, url: str, context: Context) -> tuple[Answered, bytes, bool]:
        """The head, the body, and whether the body is complete."""
        answer = self._fetch(url, context.token)
        head = next(answer)
        assert isinstance(head, Answered), "the head comes first"
        total = length_of(head.headers)
        pieces, size = [], 0
        for piece in answer:
            assert isinstance(piece, bytes), "there is one head"
            pieces.append(piece)
            size += len(piece)
            context.progress(size, total)
            if size > MOST_BYTES:
                break
        return head, b"".join(pieces)[:MOST_BYTES], size <= MOST_BYTES


def _check(url: str) -> None:
    """Raises `InvalidArguments` for anything but an address on the web."""
    try:
        parts = urlsplit(url)
        bad = parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0
    except ValueError:
        bad = True
    # With a backslash in it, readers disagree about where the host ends.
    if bad or any(it <= " " or it in "\x7f\\" for it in url):
        raise InvalidArguments(f"{bounded(url)!r} is not an http or https address")
    if "@" in parts.netloc:
        raise InvalidArguments("an address must not have a user or a password")


def _redirect(url: str, head: Answered) -> str | None:
    try:
        return redirected(url, head.status, head.headers.get("location"))
    except ValueError as error:
        raise ToolFailure("the server redirects to an address that cannot be read") from error


def _same_host(one: str, other: str) -> bool:
    """Whether the hosts are the same, and a secure connection stays secure."""
    before, after = urlsplit(one), urlsplit(other)
    if before.scheme == "https" and after.scheme != "https":
        return False
    same_port = before.port == after.port or (before.scheme, after.scheme) == ("http", "https")
    return before.hostname == after.hostname and same_port


def _told(url: str, head: Answered, data: bytes, context: Context, *, is_whole: bool) -> str:
    """What the model is given."""
    kind, charset = kind_of(head.headers)
    is_ok = head.status == HTTPStatus.OK
    begin = "" if is_ok else f"HTTP {status_words(head.status)}\n\n"
    if not is_text(kind) and (kind or b"\0" in data):
        size = "more than " * (not is_whole) + f"{len(data):,} bytes"
        return f"{begin}[{kind or 'binary data'}, {size}: not shown]"
    text = data.decode(charset or "utf-8", "replace")
    if is_html(kind, data):
        text = text_of(text, url, context.token.check)
    if not is_whole:
        text += f"\n\n[only the first {MOST_BYTES // 1024 // 1024} MiB were read]"
    return begin + text
