"""What every dialect shares: one exchange with a server, told as arrivals.

A dialect module brings two classes:

    a `Provider`   where and how to ask: addresses, headers, the request body
    a `Reply`      what the bytes of one answer mean: `feed` them, get events (`reply.py`)

The rules that hold for all of them (WIRE: completion, truncation, errors):

1. Only the protocol's own end mark makes an answer whole: `Reply.complete`. The end of the
   connection before it is `Truncated`, whatever HTTP says; after it nothing is an error.
2. HTTP 200 does not mean that a stream came. The first byte of the body that is neither white
   space nor a comment decides: `{` is one JSON body (an error, or a whole answer), `<` is a web
   page, anything else is the stream. A JSON body that is whole need not end.
3. Every frame is understood, a known keep-alive, known and without meaning here, or odd (`odd`).
   Odd frames end nothing by themselves; a response in which nothing was understood fails with
   what it sent, and text that was skipped is a `warning`.
4. Events that came before a failure, in the same read too, are out before it is raised.
"""

from __future__ import annotations

import logging
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

import msgspec

from chatstream.addresses import joined
from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import (
    ChatstreamError,
    Truncated,
    Unreachable,
)
from chatstream.events import (
    Content,
    Event,
    Image,
    Metadata,
    Reasoning,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from chatstream.flow import Arrival
from chatstream.messages import ChatRequest, ContinuationMethod, ProviderData
from chatstream.providers import Endpoint, how_to_start
from chatstream.providers.failures import failure_of, no_answer, request_id
from chatstream.providers.lenient import TOO_DEEP, broke_off, values_in
from chatstream.providers.models import Models
from chatstream.providers.reply import Reply
from chatstream.providers.text import Surrogates
from chatstream.providers.waits import used_up
from chatstream.redact import mask_address
from chatstream.transport import Call, Head, Tick, Transport

log = logging.getLogger(__name__)

END_MARK_SECONDS = 1.0
"""Seconds to wait for the end mark's stragglers (usage, `[DONE]`) once an answer is complete."""

SILENCE_SECONDS = 2.0
"""Seconds that an error body may be silent, before what came of it is taken for all."""

Given = Callable[[ProviderData | None], dict[str, Any]]
"""What this server gave with a part: the fields to send back; none of another server's."""

_ANSWER = (Content, Reasoning, ToolCallDelta, ToolCall, Image)
_BOM = b"\xef\xbb\xbf"
_EVENT = b"\ndata:"
_LINE_END = re.compile(rb"[\r\n]")
_MAX_BODY_BYTES = 64 * 1024 * 1024  # of one JSON body; more than any answer, less than the memory
_MAX_ERROR_BYTES = 64 * 1024  # of an error page; only its message is read


class Provider(Models):
    """A server to ask. `open` is an `Open` of the pipeline."""

    accept = "text/event-stream"
    counts_cached_apart = False  # `input_tokens` does not include the cached ones
    frames_are_json = False  # a stream that begins with `{` is a stream, not one JSON body

    def __init__(self, endpoint: Endpoint, transport: Transport, clock: Clock = monotonic) -> None:
        super().__init__(endpoint)
        self._heard: Mapping[str, str] = {}  # the headers of the last response
        self._transport = transport
        self._clock = clock

    @abstractmethod
    def chat_path(self) -> str:
        """The path of the chat call, after the base address."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """The headers that carry the key, and others of the dialect."""

    @abstractmethod
    def body(self, request: ChatRequest) -> dict[str, object]:
        """The JSON body of the chat call."""

    @abstractmethod
    def reply(self) -> Reply:
        """A decoder for one answer."""

    def continuation_method(self, model: str) -> ContinuationMethod | None:
        """How this server really continues an answer of this model; None if it cannot."""
        return self.endpoint.continues

    def given(self, data: ProviderData | None) -> dict[str, Any]:
        """What this server gave with a part of a message; nothing that another one gave."""
        here = (self.endpoint.name, mask_address(self.endpoint.base_url))
        return data.data if data is not None and (data.provider, data.base_url) == here else {}

    def chat_call(self, request: ChatRequest) -> Call:
        """The HTTP request that asks."""
        before = self.endpoint.prefix_path if request.method == "prefix" else ""
        return self.call(before + self.chat_path(), self.body(request))

    def used_up(self) -> float | None:
        """Seconds until the limits are reset that the last response says are used up, or None."""
        return used_up(self._heard, time.time())

    def close(self) -> None:
        """Close the connections that are kept for another question."""
        self._transport.close()

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        """Ask, and yield what comes. Raises a `ChatstreamError`, see the rules above."""
        log.debug("%s is asked, streaming: %s", self.endpoint.name, request.stream)
        with closing(self._transport.exchange(self.chat_call(request), token)) as items:
            head = yield from self._await_head(items)
            self._heard = head.headers
            if (failure := no_answer(head.status)) is not None:
                raise failure
            if head.status >= 400:
                body, _ = yield from self._collect(items, b"", _MAX_ERROR_BYTES, SILENCE_SECONDS)
                raise failure_of(head.status, body, head.headers)
            begins = Metadata(
                provider=self.endpoint.name,
                model=request.model,
                base_url=mask_address(self.endpoint.base_url),
                request_id=request_id(head.headers),
            )
            yield Arrival([begins], self._clock())
            yield from self._answer(items, head, streamed=request.stream)

    def _fetched(
        self, call: Call, token: CancelToken
    ) -> Generator[Arrival, None, tuple[Head, bytes]]:
        """A whole body that is no stream."""
        with closing(self._transport.exchange(call, token)) as items:
            head = yield from self._await_head(items)
            if (failure := no_answer(head.status)) is not None:
                raise failure
            body, _ = yield from self._collect(items, b"", _MAX_BODY_BYTES, SILENCE_SECONDS)
        return head, body

    def call(self, path: str, body: dict[str, object] | None) -> Call:
        """A request to this server; a GET without a body."""
        headers = {
            "Accept": self.accept if body is not None else "application/json",
            "Accept-Encoding": "identity",  # a compressed stream is held back until it is long
            "User-Agent": "chatstream",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **self.headers(),
        }
        own = {name.lower() for name in self.endpoint.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in own}
        headers |= self.endpoint.headers
        data = None if body is None else msgspec.json.encode(body)
        return Call(joined(self.endpoint.base_url, path), headers, data)

    def _await_head(self, items: Iterator[Tick | Head | bytes]) -> Generator[Arrival, None, Head]:
        try:
            for item in items:
                if isinstance(item, Head):
                    return item
                if isinstance(item, Tick):
                    yield Arrival(t=self._clock(), connected=item.connected)
        except Unreachable as error:
            if error.here and error.named and (command := how_to_start(self.endpoint)):
                error.hint = f"start the server (`{command}`), or name another with --base-url"
            raise
        raise AssertionError("an exchange yields a head or raises")

    def _collect(
        self,
        items: Iterator[Tick | Head | bytes],
        start: bytes,
        limit: int,
        patience: float | None = None,
        *,
        may_stream: bool = False,
    ) -> Generator[Arrival, None, tuple[bytes, Truncated | None]]:
        """The rest of the body, up to `limit` bytes, and how it broke off if it did.

        A JSON text that is whole is all of it, though the connection stays open; so is anything
        after `patience` seconds of silence. `may_stream`: stop where events begin after all.
        """
        body = bytearray(start)
        looked = 0  # its length when it was last looked at
        silence = Deadline(patience, self._clock)
        try:
            for item in items:
                if isinstance(item, bytes):
                    body += item
                    silence = Deadline(patience, self._clock)
                    if len(body) > limit or (may_stream and _begins_a_stream(body, len(item))):
                        break
                else:
                    yield Arrival(t=self._clock())
                    if silence.passed or (len(body) > looked and _is_one_json(bytes(body))):
                        break
                    looked = len(body)
        except Truncated as cut:
            return bytes(body), cut
        return bytes(body), None

    def _answer(
        self, items: Iterator[Tick | Head | bytes], head: Head, *, streamed: bool
    ) -> Iterator[Arrival]:
        reply, clock = self.reply(), self._clock
        frames_are_json = self.frames_are_json and streamed
        surrogates = Surrogates()
        begin = b""  # what came before the first byte that tells what this is
        streaming = False
        shown = False  # something of the answer came
        complete_at = 0.0
        alive = 0
        cut: Truncated | None = None
        try:
            for item in items:
                t = clock()
                if type(item) is bytes:
                    if not streaming:
                        begin = _without_noise(begin + item)
                        first = begin[:1]
                        if not first or first == b":" or _BOM.startswith(begin):
                            yield Arrival(t=t, alive=True)  # empty lines keep a connection open
                            continue
                        if first == b"<":
                            page, _ = yield from self._collect(
                                items, begin, _MAX_ERROR_BYTES, SILENCE_SECONDS
                            )
                            raise failure_of(head.status, page, head.headers)
                        if first in b"{[" and not frames_are_json:
                            begin, cut = yield from self._collect(
                                items, begin, _MAX_BODY_BYTES, may_stream=True
                            )
                            t = clock()
                            if not _begins_a_stream(begin, len(begin)):
                                events = self._whole(reply, head, begin, cut, t)
                                yield Arrival(surrogates.mend(events), t)
                                break
                        item = begin
                        streaming = True
                    events = reply.feed(item, t)
                    if reply.odd_text:
                        events = surrogates.mend(events)
                    if events and not shown and _answers(events):
                        shown = reply.understood = True
                    if reply.odd and reply.understood:
                        events += reply.odd.take(t)
                    yield Arrival(events, t, True, reply.keep_alives > alive)
                    foreign = reply.odd.is_another_protocol and not reply.understood
                    if reply.failure or reply.ended or foreign:
                        break
                    alive = reply.keep_alives
                else:
                    yield Arrival(t=t)
                if not reply.complete or reply.provisional or not shown:
                    complete_at = 0.0
                else:
                    complete_at = complete_at or t
                    if t - complete_at >= END_MARK_SECONDS:
                        break
        except Truncated as broken:
            cut = broken
        last: list[Event] = []
        if reply.ended:
            self._transport.expect_end()
        elif not reply.failure:
            last += surrogates.mend(reply.feed_eof(clock()))
            reply.understood = reply.understood or _answers(last)
        last += surrogates.flush()
        if not begin and cut is None and (empty := no_answer(head.status, empty=True)):
            raise empty
        failure = self._end(reply, cut, last, streaming=streaming)
        yield Arrival(last, clock())
        if failure is not None:
            raise failure

    def _end(
        self, reply: Reply, cut: Truncated | None, last: list[Event], *, streaming: bool
    ) -> ChatstreamError | None:
        """Add to `last` what is known only when nothing more comes; returns how it failed."""
        totals = reply.totals()
        understood = reply.understood or any(not isinstance(it, Usage) for it in totals)
        if understood:
            last += reply.odd.take(-1.0)
            last += reply.odd.summary()
        last += totals
        if reply.failure:
            return reply.failure
        if reply.odd and not understood:
            return reply.odd.failure()
        if reply.complete and not (cut and reply.provisional):
            last.append(reply.finish())
            return None
        cut = cut or Truncated(
            "the server ended the stream before the answer was complete"
            if streaming
            else "the server sent an empty body"
        )
        if reply.odd:
            return Truncated(f"{cut.message}; it also sent: {reply.odd.quoted()}")
        return cut

    def _whole(
        self, reply: Reply, head: Head, body: bytes, cut: Truncated | None, t: float
    ) -> list[Event]:
        """The events of a body that begins like one JSON text. Raises where it is no answer."""
        try:
            return reply.feed_whole(body, t)
        except TOO_DEEP as error:
            if broke_off(body.decode("utf-8", "replace")):
                raise cut or Truncated(
                    "the server's answer broke off in the middle of its JSON"
                ) from error
            events = reply.feed(body, t)  # one JSON text after another, or a stray one in front
            if not (reply.ended or reply.failure):
                events += reply.feed_eof(t)
            reply.understood = reply.understood or _answers(events)
            if reply.understood or reply.failure or reply.odd.shows_a_protocol:
                return events
            raise cut or failure_of(head.status, body, head.headers) from error


def _answers(events: list[Event]) -> bool:
    """Whether a piece of an answer is among these."""
    return any(isinstance(event, _ANSWER) for event in events)


def _without_noise(data: bytes) -> bytes:
    """What comes after white space, a BOM and whole comments."""
    data = data.lstrip().removeprefix(_BOM).lstrip()
    while data[:1] == b":" and (end := _LINE_END.search(data)):
        data = data[end.start() :].lstrip()
    return data


def _begins_a_stream(body: bytes | bytearray, new: int) -> bool:
    """Whether events follow what looked like one JSON text; only the `new` bytes are searched."""
    return body.find(_EVENT, max(0, len(body) - new - len(_EVENT))) >= 0


def _is_one_json(body: bytes) -> bool:
    text = body.decode("utf-8", "replace").strip()
    if text[:1] + text[-1:] not in {"{}", "[]"}:
        return False
    values, rest = values_in(text)
    return len(values) == 1 and not rest
