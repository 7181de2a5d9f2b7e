"""A server at an address: streamable HTTP, in both eras.

1. A request is a POST, whose response is one JSON message, or a stream of server-sent events that
   ends with the response to it. Other messages in the stream are passed on, or answered with a POST
   of their own.
2. The older era may give a session, which every later request names and `close` ends. Where it
   numbers the events of a stream that breaks off, the rest is asked for; the request itself is
   never sent again. A stream that breaks off for good is `Lost`: the outcome of its request is
   unknown.
3. In the newer era the headers repeat parts of the request, and to hang up is to cancel.
4. HTTP itself is the caller's: `Post` in, the parts of the answer out.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from time import sleep
from typing import Protocol

import msgspec

from chatstream.clock import POLL_SECONDS, Deadline
from chatstream.errors import ChatstreamError, ConfigError, ProtocolError, TLSError, Unreachable
from chatstream.redact import show_url
from chatstream.tools.mcp.channel import Answer, Hear, Lost
from chatstream.tools.mcp.messages import (
    METHOD_NOT_FOUND,
    MODERN,
    Failure,
    Message,
    Notification,
    Request,
    Response,
    decode,
    encode,
    in_header,
)
from chatstream.wire.lines import MAX_LINE_BYTES
from chatstream.wire.sse import SSEDecoder
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""How long the end of a session is waited for."""

MOST_REOPENED = 5
"""How often the rest of a stream is asked for."""

_RETRY_SECONDS = 1.0  # before that, unless the server says otherwise
_MOST_RETRY_SECONDS = 30.0
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Post(msgspec.Struct, frozen=True):
    """What is sent: a POST of `body`, or a GET without one, or else a DELETE."""

    url: str
    headers: dict[str, str]
    body: bytes | None = None
    deletes: bool = False


class Begun(msgspec.Struct, frozen=True):
    """The head of an answer, the names of its headers in lower case."""

    status: int
    headers: dict[str, str]


class Exchange(Protocol):
    """HTTP, as somebody else does it. It may be used on several threads at once."""

    def __call__(self, post: Post) -> Generator[Begun | bytes | None, None, None]:
        """One exchange: None several times a second, one `Begun`, the body.

        Raises a `ChatstreamError`. To close it is to hang up.
        """

    def close(self) -> None:
        """Close all connections. Idempotent."""


class Refused(ChatstreamError):
    """The server requires authentication, or does not grant access."""

    code = "mcp"


class Http:
    """The connection to the server at `url`. `headers` are those of the user."""

    def __init__(
        self, url: str, answer: Answer, exchange: Exchange, headers: Mapping[str, str] | None = None
    ) -> None:
        self._url = url
        self._answer = answer
        self._exchange = exchange
        self._headers = dict(headers or {})
        self._session: str | None = None
        self._version: str | None = None  # of the newest message, for requests without one
        self._closed = False

    @property
    def lost(self) -> bool:
        """Whether it is closed, or the server has ended the session."""
        return self._closed

    def exchange(self, request: Request, hear: Hear) -> Generator[None, None, Response]:
        """Send a request; ticks, then its response. Raises `Lost`, `Refused`."""
        stream = _Stream()
        headers = self._headers_of(request)
        post = Post(self._url, headers, encode(request))
        response = yield from self._ask(post, request, hear, stream)
        for _ in range(MOST_REOPENED):
            if response is not None or not stream.last_id:
                break
            yield from _pause(stream.retry)
            headers = self._headers_of(None) | {"Last-Event-ID": stream.last_id}
            response = yield from self._ask(Post(self._url, headers), request, hear, stream)
        if response is None:
            raise Lost("its answer broke off")
        return response

    def tell(self, notification: Notification) -> None:
        """Send this, if it is one that goes over HTTP."""
        if notification.version == MODERN:
            return  # in that era the end of the exchange says it
        self._send(Post(self._url, self._headers_of(notification), encode(notification)))

    def hang_up(self) -> None:
        """Nothing is open between two requests."""

    def close(self) -> None:
        """End the session, if there is one."""
        headers = self._headers_of(None)
        session, self._session = self._session, None
        if session is not None:
            self._send(Post(self._url, headers, deletes=True))
        self._closed = True
        self._exchange.close()

    def _send(self, post: Post) -> None:
        """Send something that has no answer; a failure of it is logged."""
        deadline = Deadline(CLOSE_SECONDS)
        try:
            with closing(self._exchange(post)) as parts:
                for part in parts:
                    if isinstance(part, Begun) or deadline.passed:
                        return
        except ChatstreamError as error:
            log.info("%s: %s", show_url(self._url), error.message)

    def _headers_of(self, message: Request | Notification | None) -> dict[str, str]:
        """All headers of a message; None: of a request without a message."""
        headers = {"Accept": "application/json, text/event-stream", "User-Agent": "chatstream"}
        if message is not None:
            headers["Content-Type"] = "application/json"
            self._version = message.version
        if (version := self._version) is not None:
            headers["MCP-Protocol-Version"] = version
        if self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        if message is not None and version == MODERN:
            headers["Mcp-Method"] = message.method
            if isinstance(name := message.params.get("name"), str):
                headers["Mcp-Name"] = in_header(name)
            if isinstance(message, Request):
                headers |= message.mirrored
        names = {it.lower() for it in headers}
        return headers | {
            name: value for name, value in self._headers.items() if name.lower() not in names
        }

    def _ask(
        self, post: Post, request: Request, hear: Hear, stream: _Stream
    ) -> Generator[None, None, Response | None]:
        """One exchange about this request; its response, or None if that did not come."""
        try:
            with closing(self._exchange(post)) as parts:
                begun: Begun | None = None
                body = bytearray()
                for part in parts:
                    if part is None:
                        yield
                    elif isinstance(part, Begun):
                        begun = part
                        self._check(begun, request)
                        stream.begin()
                    elif begun is not None and _media_type(begun) == "text/event-stream":
                        for message in stream.feed(part):
                            if found := self._taken(message, request, hear):
                                return found
                    elif len(body) <= MAX_LINE_BYTES:
                        body += part
        except Refused:
            raise
        except ChatstreamError as error:
            if stream.last_id and not isinstance(error, ProtocolError):
                return None
            unsent = isinstance(error, Unreachable | TLSError | ConfigError)
            sent = not unsent and error.phase != "connect"
            raise Lost(error.message, sent=sent) from error
        if begun is None or _media_type(begun) == "text/event-stream":
            return None
        return self._whole(begun, bytes(body), request, hear)

    def _check(self, begun: Begun, request: Request) -> None:
        if begun.status in _REFUSED:
            raise Refused(
                f"{show_url(self._url)} refuses access ({begun.status})",
                hint="send its key in a header: headers in [mcp.NAME], or --mcp-config",
            )
        if request.method == "initialize" and begun.status < 300:
            self._session = begun.headers.get("mcp-session-id")

    def _whole(self, begun: Begun, body: bytes, request: Request, hear: Hear) -> Response:
        """The response that is the whole body, or that the status stands for."""
        if _media_type(begun) == "application/json":
            try:
                for message in decode(body):
                    if isinstance(message, Response):  # its id is null if the request was not read
                        return message
                    self._taken(message, request, hear)
            except ProtocolError as error:
                if begun.status < 300:
                    raise Lost(error.message) from error
        if begun.status == HTTPStatus.NOT_FOUND and self._session is not None:
            self._session, self._closed = None, True
            raise Lost("it has ended the session", sent=False)
        if begun.status < 300:
            raise Lost("its answer is not a response")
        words = f"HTTP {begun.status}: {excerpt(body.decode('utf-8', 'replace'))}"
        if begun.status >= 500:
            raise Lost(f"it answered with {words.removesuffix(': ')}")
        return Response(request.id, failure=Failure(METHOD_NOT_FOUND, words.removesuffix(": ")))

    def _taken(self, message: Message, request: Request, hear: Hear) -> Response | None:
        """The response, if this message of the stream is one; any other message is handled."""
        match message:
            case Response(id) if id == request.id:
                return message
            case Notification():
                hear(message)
            case Request():
                reply = self._answer(message)
                headers = self._headers_of(None) | {"Content-Type": "application/json"}
                self._send(Post(self._url, headers, encode(reply)))
        return None


class _Stream:
    """The events of one request, over all the exchanges that they come in."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = _RETRY_SECONDS
        self._decoder = SSEDecoder()

    def begin(self) -> None:
        """Another exchange begins."""
        self._decoder = SSEDecoder()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that this ends. Raises `ProtocolError`."""
        for frame in self._decoder.feed(data):
            self.last_id = frame.id or self.last_id
            if frame.retry is not None:
                self.retry = min(frame.retry / 1000, _MOST_RETRY_SECONDS)
            if frame.event == "message" and frame.data.strip():
                yield from decode(frame.data)


def _pause(seconds: float) -> Iterator[None]:
    deadline = Deadline(seconds)
    while left := deadline.left():
        sleep(min(left, POLL_SECONDS))
        yield


def _media_type(begun: Begun) -> str:
    return begun.headers.get("content-type", "").partition(";")[0].strip().lower()
