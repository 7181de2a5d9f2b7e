"""Anthropic's Messages API.

The end mark is `message_stop`. Frames are told apart by `type` in their data, since gateways
drop the `event:` line. Blocks overlap on some servers, so everything goes by its index. Usage
counts are totals: what a later frame names replaces what an earlier one said.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chatstream.events import Content, Event, FinishReason, Metadata, Reasoning, Usage, Warn
from chatstream.flow import Finish
from chatstream.messages import ChatRequest, Means
from chatstream.providers.base import Provider, Reply
from chatstream.providers.continuing import turns
from chatstream.providers.failures import failure_in
from chatstream.providers.lenient import (
    REFUSED,
    Malformed,
    count_of,
    decode,
    object_of,
    raw_reason,
    text_of,
)
from chatstream.providers.toolcalls import ToolCalls
from chatstream.wire import SSEDecoder

VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 8192
"""`max_tokens` is required; 8192 is what every model since Claude 3.5 takes."""

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Delta(msgspec.Struct, gc=False):
    type: str | None = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    stop_reason: Any = None


class _Frame(msgspec.Struct, gc=False):
    type: Any = None
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
        self._sse = SSEDecoder()
        self._started = False
        self._pings = 0
        self._begin()

    def _begin(self) -> None:
        self._calls = ToolCalls()
        self._client_tools: set[int] = set()
        self._usage: dict[str, object] = {}
        self._reason: str | None = None

    def feed(self, data: bytes, t: float) -> list[Event]:
        events: list[Event] = []
        for sse in self._sse.feed(data):
            try:
                frame = _decoder.decode(sse.data)
            except REFUSED:
                text = sse.data.strip()
                if not text or text[0] == ":" or text == "[DONE]":  # gateways add these
                    self._pings += 1
                    continue
                odd = self.read_odd(_decoder, text, events, t)
                if odd is None:
                    continue
                frame = odd
            self._frame(frame, events, t)
            if self.failure or self.ended:
                return events
        if self._sse.error_field is not None:
            self.failure = failure_in(self._sse.error_field)
        self.keep_alives = self._pings + self._sse.comments
        return events

    def feed_eof(self, t: float) -> list[Event]:
        return []

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        message = decode(msgspec.json.Decoder(dict[str, Any]), body)
        if message.get("error") is not None:
            self.failure = failure_in(message)
            return []
        if not isinstance(message.get("content"), list):
            raise Malformed("neither a message nor an error")
        events: list[Event] = []
        self._message(message, events, t)
        self.odd_text = self.complete = self.ended = True
        return events

    def _frame(self, frame: _Frame, events: list[Event], t: float) -> None:
        kind = frame.type
        delta = frame.delta
        if kind == "content_block_delta" and delta is not None:
            text = delta.text
            if text and type(text) is str:
                events.append(Content(text, t=t))
            elif thinking := text_of(delta.thinking):
                events.append(Reasoning(thinking, t=t))
            elif delta.partial_json is not None and frame.index in self._client_tools:
                events.append(self._calls.add(frame.index, "", "", delta.partial_json, t))
        elif kind == "content_block_start":
            self._block(frame.index, object_of(frame.content_block), events, t)
        elif kind == "message_delta":
            self._reason = text_of(delta.stop_reason if delta else None) or self._reason
            self._count(frame.usage)
        elif kind == "message_stop":
            self.complete = self.ended = True
        elif kind == "message_start":
            if self._started:
                self._begin()
                events.append(Metadata(restart=True, t=t))
                events.append(Warn("restarted", "the server began its answer anew", t=t))
            self._message(object_of(frame.message), events, t)
        elif kind == "error" or frame.error is not None:
            self.failure = failure_in({"error": frame.error})
        elif kind == "ping":
            self._pings += 1

    def _message(self, message: dict[str, object], events: list[Event], t: float) -> None:
        """A message object: the whole answer, or the frame that opens one."""
        self._started = True
        self._count(message.get("usage"))
        self._reason = text_of(message.get("stop_reason")) or None
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            self._block(index, object_of(block), events, t)

    def _block(self, index: int, block: dict[str, object], events: list[Event], t: float) -> None:
        kind = block.get("type")
        if kind == "text" and (text := text_of(block.get("text"))):
            events.append(Content(text, t=t))
        elif kind == "thinking" and (thinking := text_of(block.get("thinking"))):
            events.append(Reasoning(thinking, t=t))
        elif kind == "tool_use":  # server_tool_use and others are not for us to run
            self._client_tools.add(index)
            self._calls.start(
                index, text_of(block.get("id")), text_of(block.get("name")), block.get("input")
            )

    def _count(self, usage: object) -> None:
        self._usage.update({k: v for k, v in object_of(usage).items() if v is not None})

    def totals(self) -> list[Event]:
        events: list[Event] = []
        if self.complete:
            events += self._calls.whole(cut=self._reason == "max_tokens")
        usage = Usage(
            input_tokens=count_of(self._usage.get("input_tokens")),
            output_tokens=count_of(self._usage.get("output_tokens")),
            cached_tokens=count_of(self._usage.get("cache_read_input_tokens")) or None,
        )
        return events if usage == Usage() else [*events, usage]

    def finish(self) -> Finish:
        return Finish(reason=_FINISH.get(self._reason or "", "stop"), raw=raw_reason(self._reason))


class Anthropic(Provider):
    """Anthropic, or a server that speaks its Messages API."""

    def chat_path(self) -> str:
        return "/v1/messages"

    def means(self, model: str) -> Means | None:
        """Claude goes on with an assistant's message up to version 4.5, and refuses it since."""
        version = re.search(r"\bclaude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)", model)
        if version and (int(version[1]), int(version[2] or 0)) > (4, 5):
            return None
        return "stripped_prefill"

    def models_path(self) -> str:
        return "/v1/models?limit=1000"

    def headers(self) -> dict[str, str]:
        key = {"x-api-key": self.endpoint.key} if self.endpoint.key else {}
        return {"anthropic-version": VERSION, **key}

    def body(self, request: ChatRequest) -> dict[str, object]:
        system = "\n\n".join(m.content for m in request.messages if m.role == "system")
        return {
            "model": request.model,
            "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
            "messages": [turn for turn in turns(request) if turn["role"] != "system"],
            **({"system": system} if system else {}),
            **({"stream": True} if request.stream else {}),
            **({} if request.temperature is None else {"temperature": request.temperature}),
            **request.options,
        }

    def reply(self) -> Reply:
        return AnthropicReply()
