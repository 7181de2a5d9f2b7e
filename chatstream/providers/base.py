"""What every dialect shares: one exchange with a server, told as events.

A dialect module brings two classes:

    a `Provider`   where and how to ask: addresses, headers, the request body
    a `Reply`      what the bytes of one answer mean: `feed` them, get events

The rules that hold for all of them (WIRE: completion, truncation, errors):

1. Only the protocol's own end mark makes an answer whole: `Reply.complete`. The end of the
   connection before it is `Truncated`, whatever HTTP says; after it nothing is an error.
2. HTTP 200 does not mean that a stream came. The first byte of the body decides: `{` is one
   JSON body (an error, or a whole answer), `<` is a web page, anything else is the stream.
3. A frame that cannot be read is a `warning` and is skipped. It ends nothing.
4. Events that came before a failure, in the same read too, are out before it is raised.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar, cast

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.errors import ChatstreamError, ProtocolError, Truncated
from chatstream.events import Content, Event, Metadata, Warn
from chatstream.flow import Burst, Finish, Pulse
from chatstream.messages import ChatRequest, Means
from chatstream.providers import Endpoint
from chatstream.providers.failures import failure_of, request_id
from chatstream.providers.lenient import Malformed, broke_off, decode_odd, excerpt, object_of
from chatstream.providers.text import Surrogates, whole_characters
from chatstream.redact import mask_address
from chatstream.transport import Call, Head, Tick, Transport

T = TypeVar("T")

GRACE = 1.0
"""Seconds to wait for the end mark's stragglers (usage, `[DONE]`) once an answer is complete."""

_CONTENTS = {Content}
_BOM = b"\xef\xbb\xbf"
_MAX_BODY = 64 * 1024 * 1024  # of one JSON body; more than any answer, less than the memory
_MAX_ERROR = 64 * 1024  # of an error page; only its message is read


class Reply(ABC):
    """The meaning of one answer's bytes. Fed in order; never does any I/O."""

    def __init__(self) -> None:
        self.complete = False  # the answer is whole, though more may follow
        self.ended = False  # nothing more belongs to it
        self.failure: ChatstreamError | None = None  # the server said that it failed
        self.keep_alives = 0
        self.odd_text = False  # lone surrogates have been seen

    def read_odd(
        self, decoder: msgspec.json.Decoder[T], text: str | bytes, events: list[Event], t: float
    ) -> T | None:
        """A frame that `decoder` has refused: read leniently, else a warning and skipped."""
        try:
            frame = decode_odd(decoder, text)
        except Malformed:
            shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
            events.append(Warn("malformed_frame", f"skipped: {excerpt(shown, 80)}", t=t))
            return None
        self.odd_text = True
        return frame

    @abstractmethod
    def feed(self, data: bytes, t: float) -> list[Event]:
        """The events that `data`, received at `t`, completes. Sets the fields above."""

    @abstractmethod
    def feed_eof(self, t: float) -> list[Event]:
        """The events that the end of the body completes."""

    @abstractmethod
    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        """The events of an answer that came as one JSON body. Raises `ValueError`."""

    @abstractmethod
    def totals(self) -> list[Event]:
        """What is known only at the end: whole tool calls, usage, a refusal."""

    @abstractmethod
    def finish(self) -> Finish:
        """Why a complete answer ended."""


class Provider(ABC):
    """A server to ask. `open` is an `Open` of the pipeline."""

    accept = "text/event-stream"
    frames_are_json = False  # a stream that begins with `{` is a stream, not one JSON body

    def __init__(self, endpoint: Endpoint, transport: Transport, clock: Clock = monotonic) -> None:
        self.endpoint = endpoint
        self._transport = transport
        self._clock = clock

    @abstractmethod
    def chat_path(self) -> str:
        """The path of the chat call, after the base address."""

    @abstractmethod
    def models_path(self) -> str:
        """The path of the list of models."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """The headers that carry the key, and others of the dialect."""

    @abstractmethod
    def body(self, request: ChatRequest) -> dict[str, object]:
        """The JSON body of the chat call."""

    @abstractmethod
    def reply(self) -> Reply:
        """A decoder for one answer."""

    def means(self, model: str) -> Means | None:
        """How this server truly goes on with an answer of this model; None if it does not."""
        return self.endpoint.continues

    def chat_call(self, request: ChatRequest) -> Call:
        """The HTTP request that asks."""
        before = self.endpoint.prefix_path if request.means == "prefix" else ""
        return self.call(before + self.chat_path(), self.body(request))

    def close(self) -> None:
        """Close the connections that are kept for another question."""
        self._transport.close()

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        """Ask, and yield what comes. Raises a `ChatstreamError`, see the rules above."""
        with closing(self._transport.exchange(self.chat_call(request), token)) as items:
            head = yield from self._await_head(items)
            if head.status >= 400:
                body, _ = yield from self._collect(items, b"", _MAX_ERROR)
                raise failure_of(head.status, body, head.headers)
            yield Metadata(
                provider=self.endpoint.name,
                model=request.model,
                base_url=mask_address(self.endpoint.base_url),
                request_id=request_id(head.headers),
            )
            yield from self._answer(items, head)

    def models(self, token: CancelToken) -> Iterator[Event | list[str]]:
        """Pulses while the server is asked for its models, then the list of their names."""
        call = self.call(self.models_path(), None)
        with closing(self._transport.exchange(call, token)) as items:
            head = yield from self._await_head(items)
            body, _ = yield from self._collect(items, b"", _MAX_BODY)
        if head.status >= 400:
            raise failure_of(head.status, body, head.headers)
        yield _model_names(body)

    def call(self, path: str, body: dict[str, object] | None) -> Call:
        """A request to this server; a GET without a body."""
        headers = {
            "Accept": self.accept if body is not None else "application/json",
            "Accept-Encoding": "identity",  # a compressed stream is held back until it is long
            "User-Agent": "chatstream",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **self.headers(),
        }
        data = None if body is None else msgspec.json.encode(body)
        return Call(self.endpoint.base_url + path, headers, data)

    def _await_head(self, items: Iterator[Tick | Head | bytes]) -> Generator[Event, None, Head]:
        for item in items:
            if isinstance(item, Head):
                return item
            if isinstance(item, Tick):
                yield Pulse(t=self._clock(), connected=item.connected)
        raise AssertionError("an exchange yields a head or raises")

    def _collect(
        self, items: Iterator[Tick | Head | bytes], start: bytes, limit: int
    ) -> Generator[Event, None, tuple[bytes, Truncated | None]]:
        """The rest of the body, up to `limit` bytes, and how it broke off if it did."""
        body = bytearray(start)
        try:
            for item in items:
                if isinstance(item, bytes):
                    body += item
                    if len(body) > limit:
                        break
                else:
                    yield Pulse(t=self._clock())
        except Truncated as cut:
            return bytes(body), cut
        return bytes(body), None

    def _answer(self, items: Iterator[Tick | Head | bytes], head: Head) -> Iterator[Event]:
        reply, clock = self.reply(), self._clock
        surrogates = Surrogates()
        begin = b""  # what came before the first byte that tells what this is
        streaming = False
        complete_at = 0.0
        alive = 0
        cut: Truncated | None = None
        try:
            for item in items:
                t = clock()
                if type(item) is bytes:
                    if not streaming:
                        item = begin = (begin + item).lstrip()
                        first = begin.removeprefix(_BOM).lstrip()[:1]
                        if not first or _BOM.startswith(begin):
                            yield Pulse(t=t, alive=True)  # empty lines keep a connection open
                            continue
                        if first == b"<":
                            page, _ = yield from self._collect(items, begin, _MAX_ERROR)
                            raise failure_of(head.status, page, head.headers)
                        if first == b"{" and not self.frames_are_json:
                            body, cut = yield from self._collect(items, begin, _MAX_BODY)
                            yield from self._whole(reply, head, body, cut)
                            return
                        streaming = True
                    events = reply.feed(item, t)
                    if reply.odd_text:
                        events = surrogates.mend(events)
                    if len(events) > 1 and set(map(type, events)) == _CONTENTS:
                        yield Burst(cast("list[Content]", events), t=t)
                    else:
                        yield from events
                    yield Pulse(t=t, alive=reply.keep_alives > alive)
                    if reply.failure or reply.ended:
                        break
                    alive = reply.keep_alives
                else:
                    yield Pulse(t=t)
                if reply.complete:
                    complete_at = complete_at or t
                    if t - complete_at >= GRACE:
                        break
        except Truncated as broken:
            cut = broken
        if not (reply.failure or reply.ended):
            yield from surrogates.mend(reply.feed_eof(clock()))
        yield from surrogates.flush()
        yield from reply.totals()
        if reply.failure:
            raise reply.failure
        if not reply.complete:
            raise cut or Truncated(
                "the server ended the stream before the answer was whole"
                if streaming
                else "the server sent an empty body"
            )
        yield reply.finish()

    def _whole(
        self, reply: Reply, head: Head, body: bytes, cut: Truncated | None
    ) -> Iterator[Event]:
        t = self._clock()
        try:
            events = reply.feed_whole(body, t)
        except ValueError as error:
            if cut is None and broke_off(body.decode("utf-8", "replace")):
                cut = Truncated("the server's answer broke off in the middle of its JSON")
            raise cut or failure_of(head.status, body, head.headers) from error
        yield from Surrogates().mend(events)
        yield from reply.totals()
        if reply.failure:
            raise reply.failure
        yield reply.finish()


def _model_names(body: bytes) -> list[str]:
    """The names in a list of models: under `data` or `models`, or bare, as Together has it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the server's list of models cannot be read: {error}") from error
    fields = object_of(value)
    models = value if isinstance(value, list) else fields.get("data", fields.get("models"))
    if not isinstance(models, list):
        raise ProtocolError("the server's list of models cannot be read: there is no list in it")
    found = (object_of(model) for model in models)
    names = (m.get("id") or m.get("name") or m.get("model") for m in found)
    return [whole_characters(name) for name in names if isinstance(name, str)]
