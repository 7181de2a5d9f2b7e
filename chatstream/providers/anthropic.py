"""Anthropic's Messages API.

1. The end mark is `message_stop`. Frames are told apart by `type` in their data, since gateways
   drop the `event:` line. Blocks overlap on some servers, so everything goes by its index. Usage
   counts are totals: what a later frame names replaces what an earlier one said.
2. What the server wants back with its answer comes as `reasoning_data`: the signature of a block
   of thinking when the block ends, and other blocks whole (`KeptBlocks`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.events import Content, Event, Metadata, Reasoning, ReasoningData, Usage, Warn
from chatstream.flow import Arrival, Finish
from chatstream.messages import ChatRequest, ContinuationMethod
from chatstream.providers.answertool import answers_by_tool, as_text, version_of
from chatstream.providers.anthropic_body import body_of
from chatstream.providers.base import Provider
from chatstream.providers.failures import error_in, failure_in
from chatstream.providers.finish import Meaning, gave_up, meaning_of, reason_of, unknown
from chatstream.providers.keptblocks import KeptBlocks
from chatstream.providers.lenient import (
    REFUSED,
    TOO_DEEP,
    count_of,
    json_or_text,
    json_text,
    list_of,
    object_of,
    sendable,
    shaped,
    text_of,
    value_of,
)
from chatstream.providers.odd import holds_text
from chatstream.providers.parts import Sources, reasoning_in
from chatstream.providers.reply import Reply
from chatstream.providers.text import whole_characters
from chatstream.providers.toolcalls import ToolCalls
from chatstream.wire import STRAY, SSEDecoder, SSEFrame

VERSION = "2023-06-01"
_COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking"})

# What a frame may be, and what it has to do with the answer; others are read by their fields.
_WITHOUT_MEANING = frozenset({"signature_delta"})
_CALL = frozenset({"type", "id", "name", "input"})  # the fields of a call that are known


class _Delta(msgspec.Struct, gc=False):
    type: str | None = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    content: Any = None
    encrypted_content: Any = None
    stop_reason: Any = None
    citation: Any = None


class _Frame(msgspec.Struct, gc=False):
    type: str | None = None
    index: int = 0
    delta: _Delta | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Frame)


class AnthropicReply(Reply):
    """The frames of one message."""

    def __init__(self) -> None:
        super().__init__()
        self._sse = SSEDecoder(lenient=True)
        self._started = False
        self._pings = 0
        self._begin()

    def _begin(self) -> None:
        self._calls = ToolCalls()
        self._sources = Sources()
        self._client_tools: set[int] = set()
        self._thoughts: dict[int, dict[str, Any]] = {}  # open blocks, without their text
        self._kept = KeptBlocks()
        self._usage: dict[str, object] = {}
        self._reason: Meaning | None = None
        self._raw_reason: str | None = None

    def feed(self, data: bytes, t: float) -> list[Event]:
        return self._frames(self._sse.feed(data), t)

    def feed_eof(self, t: float) -> list[Event]:
        return self._frames(self._sse.feed_eof(), t, at_end=True)

    def _frames(self, frames: list[SSEFrame], t: float, *, at_end: bool = False) -> list[Event]:
        events: list[Event] = []
        for sse in frames:
            if self.ended:
                self.after_the_end(sse, events, t)
                continue
            try:
                try:
                    frame = _decoder.decode(sse.data)
                except REFUSED:
                    self._refused(sse, events, t, at_end=at_end)
                else:
                    self._frame(frame, None, sse, events, t)
            except TOO_DEEP:
                self.odd.add(sse.data, skipped=True)
            if self.failure:
                return events
        self.keep_alives = self._pings + self._sse.comments
        return events

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        message = value_of(body.decode("utf-8", "replace"))
        events: list[Event] = []
        self.failure = error_in(message)
        if self.failure is None:
            if not isinstance(object_of(message).get("content"), str | list):
                raise ValueError("neither a message nor an error")
            self._message(message, events, t)
            self.odd_text = self.complete = self.ended = self.understood = True
        return events

    def _refused(self, sse: SSEFrame, events: list[Event], t: float, *, at_end: bool) -> None:
        """A frame that the decoder does not take: a keep-alive, an error, or an odd one."""
        text = sse.data.strip()
        if not text or text[0] == ":" or text == "[DONE]":  # gateways add these
            self._pings += 1
        elif sse.event == "error":
            self.failure = failure_in(json_or_text(text))
        else:
            for value in self.values(text, at_end=at_end, stray=sse.event == STRAY):
                if isinstance(value, dict):
                    left_out: list[str] = []
                    frame = shaped(value, _Frame, left_out)
                    if left_out:
                        self.odd.left_out(left_out, sse.data)
                    self._frame(frame, value, sse, events, t)
                elif (failure := error_in(value)) is not None:
                    self.failure = failure
                elif value in (None, "", []):
                    self._pings += 1
                else:
                    self.odd.add_value(value, text)

    def _frame(
        self,
        frame: _Frame,
        value: dict[str, Any] | None,
        sse: SSEFrame,
        events: list[Event],
        t: float,
    ) -> None:
        """`value` is the frame as it was sent, where it is parsed already."""
        kind = frame.type or sse.event
        delta = frame.delta
        text = None if delta is None else delta.text
        if text and type(text) is str and kind == "content_block_delta":  # nearly every frame
            if self._kept.open:
                self._kept.write(frame.index, text)
            events.append(Content(text, t=t))
            return
        if (
            delta is not None
            and kind != "message_delta"
            and not self._delta(frame.index, delta, events, t)
        ):
            self._look_again(value, sse, "delta")
        if frame.error and (failure := error_in({"error": frame.error})) is not None:
            self.failure = failure
        elif kind == "content_block_delta":
            if delta is None:
                self._look_again(value, sse)
        elif kind == "content_block_start":
            self._end_all(events, t)
            self._block(frame.index, object_of(frame.content_block), events, t)
        elif kind == "content_block_stop":
            self._end(frame.index, events, t)
        elif kind == "message_delta":
            self._stop_reason(delta.stop_reason if delta else None, events, t)
            self._count(frame.usage)
        elif kind == "message_stop" and (frame.type or delta is None):
            self.complete = self.ended = self.understood = True
            self._end_all(events, t)
        elif kind == "message_start":
            if self._started:
                self._begin()
                events.append(Metadata(restart=True, t=t))
                events.append(Warn("restarted", "the server started its answer over", t=t))
            self._message(object_of(frame.message), events, t)
        elif kind == "ping":
            self._pings += 1
        elif kind not in _WITHOUT_MEANING:
            self._look_again(value, sse)

    def _delta(self, index: int, delta: _Delta, events: list[Event], t: float) -> bool:
        """Whether this delta is of a known kind."""
        text = delta.text
        if delta.signature:
            self._thoughts.setdefault(index, {"type": "thinking"})["signature"] = delta.signature
        if text and type(text) is str:
            self._kept.write(index, text)
            events.append(Content(text, t=t))
        elif delta.thinking and (thinking := reasoning_in(delta.thinking)):
            events.append(Reasoning(thinking, t=t))
        elif delta.partial_json is not None:
            if index in self._client_tools:
                call = self._calls.add(index, "", "", delta.partial_json, t)
                events += [call] if call is not None else []
            else:
                self._kept.write(index, text_of(delta.partial_json))
        elif delta.type == "compaction_delta":
            self._kept.fill(index, content=delta.content, encrypted_content=delta.encrypted_content)
        elif delta.type == "citations_delta":
            self._kept.cite(index, delta.citation)
            events += self._sources.noted(delta.citation, t)
        else:
            return bool(delta.signature) or delta.type in _WITHOUT_MEANING
        return True

    def _look_again(
        self, value: dict[str, Any] | None, sse: SSEFrame, field: str | None = None
    ) -> None:
        """A frame of no known kind: an error in whatever words, or odd.

        `field`: only this one of its fields is of no known kind.
        """
        value = value or value_of(sse.data)
        failure = failure_in(value) if sse.event == "error" else error_in(value)
        if failure is not None:
            self.failure = failure
        elif field is None:
            self.odd.add_value(value, sse.data)
        elif holds_text(object_of(value).get(field)):
            self.odd.add(sse.data, skipped=True)

    def _message(self, message: dict[str, Any], events: list[Event], t: float) -> None:
        """A message object: the whole answer, or the frame that opens one."""
        self._started = True
        self._count(message.get("usage"))
        self._stop_reason(message.get("stop_reason"), events, t)
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for index, block in enumerate(list_of(blocks)):
            fields = object_of(block)
            self._block(index, fields, events, t)
            self._end(index, events, t)
            for citation in list_of(fields.get("citations")):
                events += self._sources.noted(citation, t)

    def _stop_reason(self, word: Any, events: list[Event], t: float) -> None:
        raw = whole_characters(text_of(word))
        meaning = meaning_of(raw)
        if meaning is None:
            return
        self.understood = True
        if meaning == "failed":
            self.failure = gave_up(raw)
        elif meaning == "unknown" and raw != self._raw_reason:
            events.append(unknown(raw, t))
        self._raw_reason, self._reason = raw, meaning

    def _block(self, index: int, block: dict[str, Any], events: list[Event], t: float) -> None:
        kind = text_of(block.get("type"))
        if kind == "tool_use":  # server_tool_use and others are not for us to run
            self._client_tools.add(index)
            self._calls.start(
                index,
                text_of(block.get("id")),
                text_of(block.get("name")),
                block.get("input"),
                sendable({k: v for k, v in block.items() if k not in _CALL}) or None,
            )
            return
        self._kept.start(index, block)
        if kind == "redacted_thinking":
            events.append(ReasoningData(provider_data=sendable(block), t=t))
            return
        if kind == "thinking":
            self._thoughts[index] = {k: v for k, v in block.items() if k != "thinking"}
        if thinking := reasoning_in(block.get("thinking")):
            events.append(Reasoning(thinking, t=t))
        if text := text_of(block.get("text")):
            events.append(Content(text, t=t))
        elif kind == "text" and holds_text(block):
            self.odd.add(json_text(block), skipped=True)

    def _end_all(self, events: list[Event], t: float) -> None:
        """End the blocks whose end some gateways leave out."""
        signed = [index for index, it in self._thoughts.items() if it.get("signature")]
        for index in (*signed, *self._kept.open):
            self._end(index, events, t)

    def _end(self, index: int, events: list[Event], t: float) -> None:
        """What goes back with a block that has ended; unsigned thinking cannot go back."""
        if (kept := self._kept.end(index)) is not None:
            events.append(ReasoningData(provider_data=kept, t=t))
        block = self._thoughts.pop(index, {})
        if block.get("signature"):
            events.append(ReasoningData(provider_data=sendable(block), t=t))

    def _count(self, usage: object) -> None:
        self._usage.update({k: v for k, v in object_of(usage).items() if v is not None})

    def totals(self) -> list[Event]:
        events: list[Event] = []
        if self.complete:
            events += self._calls.whole(cut=self._reason == "length")
        usage = Usage(
            input_tokens=count_of(self._usage.get("input_tokens")),
            output_tokens=count_of(self._usage.get("output_tokens")),
            cached_tokens=count_of(self._usage.get("cache_read_input_tokens")) or None,
        )
        return events if usage == Usage() else [*events, usage]

    def finish(self) -> Finish:
        return Finish(reason=reason_of(self._reason or "stop"), raw=self._raw_reason)


class Anthropic(Provider):
    """Anthropic, or a server that speaks its Messages API."""

    counts_cached_apart = True

    def chat_path(self) -> str:
        return "/v1/messages"

    def continuation_method(self, model: str) -> ContinuationMethod | None:
        """Claude continues an assistant's message up to version 4.5; later versions refuse it."""
        return None if (version_of(model) or (0, 0)) > (4, 5) else "stripped_prefill"

    def models_path(self) -> str:
        return "/v1/models?limit=1000"

    def headers(self) -> dict[str, str]:
        key = {"x-api-key": self.endpoint.key} if self.endpoint.key else {}
        return {"anthropic-version": VERSION, **key}

    def body(self, request: ChatRequest) -> dict[str, object]:
        return body_of(request, self.given)

    def count(
        self, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, int | None]:
        body = {k: v for k, v in self.body(request).items() if k in _COUNTED}
        told = yield from self._told(self.call("/v1/messages/count_tokens", body), token)
        return count_of(told.get("input_tokens"))

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        arrivals = super().open(request, token)
        return as_text(arrivals) if answers_by_tool(request) else arrivals

    def reply(self) -> Reply:
        return AnthropicReply()
