"""One HTTP exchange as a generator: ticks while nothing happens, one head, then the body.

1. The request is opened on a thread of its own, so that name look-up, connect, TLS and a server
   that loads its model for minutes never take control from the reader: it yields a `Tick` at
   least every `POLL_SECONDS`, and once at the moment the request is on the wire. The body is read
   by the reader itself.
2. A cancel ends the exchange at once, wherever it is; the reader then raises the token's reason.
3. When the generator is closed or ends, the connection goes back to the pool if the body was
   read to its end, and is shut down otherwise: servers stop generating when we hang up.
4. `proxies` says which proxy is used, `trust` whose certificates are accepted. `.netrc` is not
   read, because it would replace the key.
5. No redirect leads to another origin, with or without a key, and none turns a POST into a GET.
   Without `follow` none is followed: its head is like any other.
6. `vet` sees the addresses of every host before it is dialled. With a proxy it sees the addresses
   that are known here; a name that is not known here is left to the proxy.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter

from chatstream.addresses import origin, redirected
from chatstream.cancel import CancelToken
from chatstream.errors import (
    ChatstreamError,
    ConfigError,
    ConnectError,
    ProtocolError,
    TimedOut,
    Unreachable,
)
from chatstream.redact import mask_headers, show_url
from chatstream.transport import proxies
from chatstream.transport.ahead import ENDING_SECONDS, Ahead
from chatstream.transport.body import unpack
from chatstream.transport.causes import causes, innermost
from chatstream.transport.connection import Body, SocketHandle, make_reachable
from chatstream.transport.dial import NobodyThere, Vet, look_up
from chatstream.transport.head import codings

log = logging.getLogger(__name__)

_MAX_REDIRECTS = 5

END_SECONDS = 0.05
"""To wait for the end of the body before. A new connection takes a remote server longer."""


class Call(msgspec.Struct, frozen=True):
    """A request. `body` is JSON text; without one it is a GET, or a DELETE."""

    url: str
    headers: dict[str, str]
    body: bytes | None = None
    deletes: bool = False

    @property
    def method(self) -> str:
        """GET, POST or DELETE."""
        if self.deletes:
            return "DELETE"
        return "GET" if self.body is None else "POST"


class Tick(msgspec.Struct, frozen=True):
    """Nothing came for a moment. `connected`: the request is on the wire."""

    connected: bool


class Head(msgspec.Struct, frozen=True):
    """The response head; header names in lower case."""

    status: int
    headers: dict[str, str]

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class _Adapter(HTTPAdapter):
    """requests' adapter with connections that can be reached, and our TLS context."""

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        make_reachable(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = self._context()
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        make_reachable(manager)
        return manager

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        place, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        if place["scheme"] == "https":
            pool["ssl_context"] = self._context()
        return place, pool

    def cert_verify(self, *args: Any) -> None:
        """Does nothing: requests would add its own certificates to those of the context."""


class _Session(requests.Session):
    """requests' session that leaves redirects to us: it would first wait for all of their body."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class Transport:
    """One requests session. `connect` is the limit for a connection, in seconds.

    `proxies` has one for each scheme, and `ca_file` names certificates; None leaves either to the
    environment. Raises `ConfigError` for a `ca_file` that cannot be used. `ahead` is a connection
    for the first request; it stays the caller's to close.
    """

    def __init__(
        self,
        *,
        connect: float | None = 10.0,
        proxies: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        ahead: Ahead | None = None,
        vet: Vet | None = None,
        follow: bool = True,
    ) -> None:
        self._connect = connect
        self._vet = vet
        self._follow = follow
        self._ahead = self._begun = ahead
        self._context: ssl.SSLContext | None = None
        self._proxies = None if proxies is None else dict(proxies)
        self._ca_file = ca_file
        self._awaits_end = False
        self._unended: tuple[SocketHandle, requests.Response] | None = None
        self._context = self._tls_context() if ca_file else None
        self._session = _Session()
        self._session.trust_env = False
        self._session.headers.clear()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._tls_context))

    def close(self) -> None:
        """Close every pooled connection."""
        self._settle_former(reusable=False)
        self._session.close()

    def expect_end(self) -> None:
        """The answer is whole, and the exchange is closed now: nothing but the body's end follows.

        Many servers send that end after the answer, in a packet of its own. Nobody waits for it
        then; if it is there when the next exchange begins, the connection is used again.
        """
        self._awaits_end = True

    def exchange(
        self, call: Call, token: CancelToken
    ) -> Generator[Tick | Head | bytes, None, None]:
        """Send `call`; see the rules above.

        Raises `ConnectError`, `TimedOut`, `TLSError`, `ConfigError`, `ProtocolError`,
        `Truncated`, or the token's reason.
        """
        self._awaits_end = False
        self._settle_former()
        for _ in range(_MAX_REDIRECTS + 1):
            token.check()
            target = yield from self._attempt(call, token)
            if target is None:
                return
            log.debug("redirected to %s", show_url(target))
            call = msgspec.structs.replace(call, url=target)
        raise ProtocolError(f"the server redirects in a loop, last to {show_url(call.url)}")

    def _attempt(
        self, call: Call, token: CancelToken
    ) -> Generator[Tick | Head | bytes, None, str | None]:
        """One request; returns the address of a redirect that may be followed."""
        handle = self._new_handle()
        handle.vet = self._vet
        remove = token.on_cancel(handle.shutdown)
        response: requests.Response | None = None
        reusable = False
        try:
            response = yield from self._open(call, handle, token)
            head = Head(response.status_code, {k.lower(): v for k, v in response.headers.items()})
            if log.isEnabledFor(logging.DEBUG):  # masking compiles its rules: 4 % of a start
                log.debug("< %d %s", head.status, mask_headers(head.headers))
            trace = handle.trace
            trace.status, trace.headers, trace.head = head.status, head.headers, handle.now()
            if head.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                raise proxies.wants_password(handle.proxy, head.status)
            target = _redirect(call, head) if self._follow else None
            if target is None:
                yield head
                yield from _read(handle.body, head, token)
            reusable = handle.body is not None and handle.body.settle()
            return target
        except GeneratorExit:
            reusable = handle.body is not None and handle.body.settle()
            raise
        finally:
            remove()
            self._leave(handle, response, reusable=reusable)

    def _new_handle(self) -> SocketHandle:
        ahead, self._ahead = self._ahead, None
        return SocketHandle(ahead)

    def _leave(
        self, handle: SocketHandle, response: requests.Response | None, *, reusable: bool
    ) -> None:
        """Let go of an exchange; only a connection that can be used again is kept."""
        unended = handle.body is not None and handle.body.unfinished and not handle.dead
        if self._awaits_end and unended and response is not None:
            self._awaits_end = False
            self._unended = handle, response
            return
        if not reusable:
            handle.shutdown()
        if response is not None:
            if reusable and handle.body is not None:
                handle.body.release()
                response.raw.release_conn()
            else:
                response.close()
        handle.discard()
        handle.close()

    def _settle_former(self, *, reusable: bool = True) -> None:
        """Let go of the exchange whose body had not ended."""
        unended, self._unended = self._unended, None
        if unended is not None:
            handle, response = unended
            wait = END_SECONDS if reusable else 0.0
            ended = handle.body is not None and handle.body.settle(wait)
            self._leave(handle, response, reusable=reusable and ended)

    def _open(
        self, call: Call, handle: SocketHandle, token: CancelToken
    ) -> Generator[Tick, None, requests.Response]:
        """Ticks until the head is there; returns the response."""
        if log.isEnabledFor(logging.DEBUG):
            log.debug("> %s %s %s", call.method, show_url(call.url), mask_headers(call.headers))
        opening = threading.Thread(target=self._send, args=(call, handle), daemon=True)
        opening.start()
        try:
            while True:
                token.check()
                item = handle.wait()
                if isinstance(item, requests.Response):
                    return item
                if isinstance(item, Exception):
                    token.check()
                    _translate(item, call, self._connect, handle)
                yield Tick(handle.connected)
        except BaseException:
            handle.shutdown()
            opening.join(ENDING_SECONDS)  # as `Ahead.close` does, and why
            raise

    def _send(self, call: Call, handle: SocketHandle) -> None:
        handle.enter()
        try:
            handle.proxy = proxy = proxies.proxy_for(call.url, self._proxies)
            if proxy is not None and handle.vet is not None:
                _vet_from_here(call.url, handle.vet)
                handle.vet = None  # the proxy is the user's own
            response = self._session.request(
                call.method,
                call.url,
                data=call.body,
                headers=call.headers,
                auth=_keep_headers,
                timeout=(self._connect, None),
                allow_redirects=False,
                stream=True,
                proxies=dict.fromkeys(("http", "https"), proxy.address) if proxy else {},
            )
        except Exception as error:  # handed to the reader, which sorts it
            handle.answer(error)
        else:
            handle.answer(response)

    def _tls_context(self) -> ssl.SSLContext:
        """Made when the first secure connection needs it. Raises `ConfigError`."""
        if self._context is None:
            from chatstream.transport.trust import tls_context

            made = self._begun.context() if self._begun else None
            self._context = made or tls_context(self._ca_file)
        return self._context


def _vet_from_here(url: str, vet: Vet) -> None:
    """Raises what `vet` raises about the host of this address, as far as it is known here."""
    _, host, port = origin(url)
    with suppress(NobodyThere):
        # A proxy may take "10.0.0.1." for an address, although our own resolver does not.
        vet(str(host), look_up(str(host).rstrip("."), port or 0))


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps the key that is there, so that requests leaves `.netrc` alone.

    The user and password of an address count where there is no key.
    """
    user, password = requests.utils.get_auth_from_url(request.url or "")
    if user and "Authorization" not in request.headers:
        requests.auth.HTTPBasicAuth(user, password)(request)
    return request


def _read(body: Body | None, head: Head, token: CancelToken) -> Iterator[Tick | bytes]:
    """The body's text, with one compression less for every coding that the head names."""
    assert body is not None, "every response of our connections has a body of ours"
    items = _pull(body, token)
    for name in ("transfer-encoding", "content-encoding"):
        for coding in codings([head.headers.get(name, "")]):
            if coding != "chunked":
                items = unpack(items, coding)
    return items


def _pull(body: Body, token: CancelToken) -> Iterator[Tick | bytes]:
    tick = Tick(connected=True)
    while True:
        token.check()  # what the kernel still holds after a shutdown would come out first
        try:
            data = body.pull()
        except ChatstreamError:
            token.check()  # a connection that we shut down ourselves is not the server's failure
            raise
        if data is None:
            yield tick
        elif data:
            yield data
        else:
            token.check()  # the end that our own shutdown makes is not the server's
            return


def _redirect(call: Call, head: Head) -> str | None:
    """Where to send the same request again. Raises `ProtocolError` where that is not safe.

    Scheme, host and port stay those of the call, whatever the ways to read the new address.
    """
    try:
        target = redirected(call.url, head.status, head.headers.get("location"))
        if target is None:
            return None
        parts, same = urlsplit(target), origin(target) == origin(call.url)
    except ValueError as error:
        raise ProtocolError(
            "the server redirects to an address that cannot be read", status=head.status
        ) from error
    same_method = head.status in {307, 308} or call.body is None
    if same and same_method:
        own = urlsplit(call.url)
        return parts._replace(scheme=own.scheme, netloc=own.netloc).geturl()
    raise ProtocolError(
        f"the server redirects to {show_url(target)}; keys and questions are not sent there",
        status=head.status,
        hint="if that address is right, give it with --base-url",
    )


def _translate(
    error: Exception, call: Call, connect: float | None, handle: SocketHandle
) -> NoReturn:
    """Our error for one of requests or urllib3."""
    where = show_url(call.url)
    what = requests.exceptions
    ours = isinstance(error, ChatstreamError)
    chain = list(causes(error))
    if not ours and any(isinstance(cause, TimeoutError | what.Timeout) for cause in chain):
        raise _late(where, connect, handle) from error
    tunnels = call.url.lower().startswith("https:")
    if proxies.is_failure(error, handle.proxy, tunnels=tunnels, sent=handle.connected):
        raise proxies.failure(error, handle.proxy, call.url) from error
    if ours:
        raise error
    if refused := [it for it in chain if isinstance(it, ssl.SSLError | what.SSLError)]:
        from chatstream.transport import trust

        raise trust.failure(refused[-1], call.url) from error
    # InvalidURL, InvalidHeader, MissingSchema…; http.client asserts what a host looks like.
    if isinstance(error, ValueError | UnicodeError | AssertionError):
        why = "this is not a valid host name" if isinstance(error, AssertionError) else error
        raise ConfigError(
            f"the request to {where} cannot be made: {why}",
            hint="check the address (--base-url), the key and the proxy settings",
        ) from error
    for cause in chain:
        if isinstance(cause, NobodyThere):
            raise Unreachable(
                f"no answer from {where}: {innermost(error)}", here=cause.here, named=cause.named
            ) from error
    if isinstance(error, what.RequestException | urllib3.exceptions.HTTPError | OSError):
        hint = None
        if not tunnels and any(isinstance(cause, ConnectionResetError) for cause in chain):
            hint = f"check that the server runs; if it speaks TLS, write https://{where[7:]}"
        raise ConnectError(f"no answer from {where}: {innermost(error)}", hint=hint) from error
    raise error


def _late(where: str, connect: float | None, handle: SocketHandle) -> TimedOut:
    """The failure of a connection that was not there in time."""
    limit, hint = f"within {connect or 0:g} s", None
    if handle.proxy is not None:
        what = f"no connection to {where} through {handle.proxy} {limit}"
    elif handle.trace.tcp is not None:
        from chatstream.transport.trust import plain

        what = f"the TLS handshake with {where} did not finish {limit}"
        hint = f"if the server speaks plain HTTP, write {plain(where)}"
    else:
        what = f"no connection to {where} {limit}"
    late = TimedOut(what, hint=hint)
    late.phase = "connect"
    return late


__all__ = ["Call", "Head", "Tick", "Transport"]
