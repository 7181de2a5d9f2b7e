"""Fetches an address on the web, for a tool or because the user has named the address.

1. A request contains no key of ours. It uses the same proxy and trusts the same certificates as
   every other request. `responses` follows no redirects.
2. `page` follows redirects: at most five, never from https to http, and to a private network or
   this machine only if the user has named that host. The user name and password of an address are
   sent to its own server alone.
3. A status that is not 2xx is a failure, whatever comes with it.
4. No message, and no name of a page, contains a secret of its address.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urldefrag, urlsplit

import msgspec

from chatstream.addresses import is_private, origin, redirected, whole
from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.engine.services import connections
from chatstream.engine.settings import Settings
from chatstream.errors import (
    ChatstreamError,
    ConnectError,
    ProtocolError,
    Refused,
    ServerError,
    TimedOut,
    Truncated,
    UsageError,
)
from chatstream.pages import declared_charset, is_html, is_text, kind_of, length_of, text_of
from chatstream.redact import bare_address, mask_address, redact, show_url
from chatstream.text import decoded
from chatstream.wording import status_words

if TYPE_CHECKING:
    from chatstream.transport import Head, Tick
    from chatstream.transport.dial import Address, Vet

T = TypeVar("T")

SILENCE_SECONDS = 30.0
"""Seconds that a server may be silent before chatstream gives up."""

MOST_HTML_BYTES = 8 * 1024 * 1024
"""Bytes of a page in HTML: the text of such a page exceeds every model's window and takes 12 s."""

WHOLE_SECONDS = 300.0
"""Seconds in which a page has to arrive, and again in which its text has to be read."""

_HEADERS = {
    "User-Agent": "chatstream",
    "Accept": "text/html,text/plain,application/json;q=0.9,*/*;q=0.5",
    "Accept-Encoding": "identity",
}
_MOST_REDIRECTS = 5
_HINT = "check the address that was given, and the network"
_AS_BROWSERS_DO = {"ascii": "cp1252", "iso8859-1": "cp1252"}
"""What these charsets mean on a page (WHATWG Encoding Standard, 4.2)."""

Report = Callable[[float, float | None], None]
"""Called often, with the bytes that have come and, if known, how many there will be."""


class Page(msgspec.Struct, frozen=True):
    """The content of an address. `name` and `base` are the address without secrets: as the user
    gave it, and where the page was finally found. `kind` is its media type, "" without one.
    """

    name: str
    base: str
    kind: str
    charset: str | None
    data: bytes


def responses(
    url: str, settings: Settings, token: CancelToken, check: Vet | None = None
) -> Generator[Tick | Head | bytes, None, None]:
    """The response at this address: ticks while nothing comes, one head, then the body.

    `check` sees the addresses of its host first, and may refuse them. Raises `ChatstreamError`.
    """
    from chatstream.transport import Call, Transport

    transport = Transport(**connections(settings), vet=check, follow=False)
    with closing(transport), closing(transport.exchange(Call(url, _HEADERS), token)) as items:
        yield from items


def page(
    url: str,
    settings: Settings,
    token: CancelToken,
    *,
    most: int,
    report: Report = lambda *_: None,
    clock: Clock = monotonic,
) -> Page:
    """The page at this address, which the user has named: at most one byte more than `most`.

    Raises `ConfigError` for an invalid address, `Refused` or `ServerError` for a status that is
    not 2xx, and whatever else a request may raise.
    """
    redact.learn_address(url)
    host = urlsplit(whole(url)).hostname  # `whole` checks, but its path would not do for a page
    name = mask_address(url)
    patience = Deadline(WHOLE_SECONDS, clock)
    at, check = urldefrag(url).url, None
    for _ in range(_MOST_REDIRECTS + 1):
        with closing(responses(at, settings, token, check)) as items:
            timely = _timely(items, patience, name, clock)
            head = _head(timely, report)
            target = _target(at, head)
            if target is None:
                _check(head, name)
                data = _body(timely, head, most, report)
                return Page(name, bare_address(at), *kind_of(head.headers), data)
        at, check = target, vet([str(host)], _HINT)
    raise ProtocolError(f"{name} redirects in a loop, last to {show_url(at)}", hint=_HINT)


def text_in(found: Page, encoding: str | None, token: CancelToken, clock: Clock = monotonic) -> str:
    """The text of a page, without its tags if it is HTML; `encoding` overrides the server's.

    Raises `UsageError` if the page is not text or has no text.
    """
    name, charset = found.name, found.charset
    if is_html(found.kind, found.data):
        if len(found.data) > MOST_HTML_BYTES:
            raise UsageError(
                f"{name} is larger than the limit of {MOST_HTML_BYTES // 1024**2} MiB for a page",
                hint="save the part that matters, and add that file",
            )
        charset = encoding or charset or declared_charset(found.data)
        if charset is None:
            html = decoded(found.data, name)
        else:  # every browser shows a page in spite of a wrong byte
            known = _AS_BROWSERS_DO.get(codecs.lookup(charset).name, charset)
            html = found.data.decode(known, "replace").encode("utf-8", "replace").decode()
        patience = Deadline(WHOLE_SECONDS, clock)

        def look() -> None:
            token.check()
            if patience.passed:
                raise TimedOut(f"{name} could not be read within {WHOLE_SECONDS:g} s")

        text = text_of(html, found.base, look)
        hint = "text that scripts create is not read: save the page as text, and add that file"
    else:
        text, hint = _plain(found, encoding or charset), ""
    if not text.strip():
        raise UsageError(f"{name} has no text", hint=hint or None)
    return text


def _plain(found: Page, encoding: str | None) -> str:
    try:
        text = decoded(found.data, found.name, encoding)
    except UsageError:
        if is_text(found.kind) or not found.kind:
            raise
        text = "\0"
    if "\0" in text and not is_text(found.kind):
        raise UsageError(f"{found.name} is not text, but {found.kind or 'binary data'}")
    return text


def vet(named: Sequence[str], hint: str = "") -> Vet:
    """A check that refuses private addresses, except those of the named hosts: HOST or HOST:PORT.

    `hint` is that of the refusal; by default it is the option that lets `http_get` reach the host.
    """
    known = {it.lower() for it in named}

    def look_at(host: str, addresses: Sequence[Address]) -> None:
        """Raises `Refused`."""
        for address in addresses:
            place, port = address.place[:2]
            names = {host.lower(), f"{host.lower()}:{port!s}"}
            if is_private(str(place)) and not names & known:
                where = host if host == str(place) else f"{host} is at {place!s}, which"
                raise Refused(
                    f"{where} is an address of this machine or a private network, and is not "
                    "fetched",
                    hint=hint or f"--http-host {host} allows it",
                )

    return look_at


def _timely(items: Iterator[T], patience: Deadline, name: str, clock: Clock) -> Iterator[T]:
    """The items that come. Raises `TimedOut` if the server is silent, or time runs out.

    Other failures are reported as those of the page, not of a model's server.
    """
    from chatstream.transport import Tick

    silence = Deadline(SILENCE_SECONDS, clock)
    try:
        for item in items:
            if silence.passed:
                raise TimedOut(f"nothing came from {name} for {SILENCE_SECONDS:g} s", hint=_HINT)
            if patience.passed:
                raise TimedOut(f"{name} did not arrive within {WHOLE_SECONDS:g} s", hint=_HINT)
            if not isinstance(item, Tick):
                silence = Deadline(SILENCE_SECONDS, clock)
            yield item
    except Truncated as error:
        raise ConnectError(f"{name} broke off: {error.message}", hint=_HINT) from error
    except ProtocolError as error:
        raise ProtocolError(f"{name} cannot be fetched: {error.message}", hint=_HINT) from error
    except ChatstreamError as error:
        if "--base-url" in (error.hint or ""):
            error.hint = _HINT
        raise


def _head(items: Iterator[Tick | Head | bytes], report: Report) -> Head:
    from chatstream.transport import Head

    while not isinstance(item := next(items), Head):
        report(0, None)
    return item


def _body(items: Iterator[Tick | Head | bytes], head: Head, most: int, report: Report) -> bytes:
    data, total = bytearray(), length_of(head.headers)
    for piece in items:
        if isinstance(piece, bytes):
            data += piece
        report(len(data), total)
        if len(data) > most:
            break
    return bytes(data[: most + 1])


def _check(head: Head, name: str) -> None:
    """Raises `Refused` or `ServerError` for a status that is not 2xx."""
    if 200 <= head.status < 300:
        return
    kind = ServerError if head.status >= HTTPStatus.INTERNAL_SERVER_ERROR else Refused
    raise kind(f"{name} cannot be fetched: HTTP {status_words(head.status)}")


def _target(url: str, head: Head) -> str | None:
    """Where a redirect leads; None for any other response. Raises `ProtocolError`."""
    where = show_url(url)
    try:
        target = redirected(url, head.status, head.headers.get("location"))
        if target is None:
            return None
        same = origin(target) == origin(url)
    except ValueError as error:
        raise ProtocolError(
            f"{where} redirects to an address that cannot be fetched", hint=_HINT
        ) from error
    own, parts = urlsplit(url), urlsplit(target)
    if own.scheme == "https" and parts.scheme != "https":
        raise ProtocolError(
            f"{where} redirects to {show_url(target)}, which is not secure",
            hint="if that is right, give that address",
        )
    # A password is for its own server, and a redirect cannot supply another one.
    netloc = own.netloc if same else parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, fragment="").geturl()
