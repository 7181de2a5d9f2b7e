"""The chat completions of OpenAI and of everything compatible with it.

The stream is complete once a finish reason or `[DONE]` has come; usage and `[DONE]` may follow
the finish reason. Servers differ in many small ways; each line below that looks odd is one that
a recorded server needs.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from chatstream.errors import ServerError
from chatstream.events import (
    Content,
    Event,
    FinishReason,
    Reasoning,
    ServerTimes,
    Usage,
    Warn,
)
from chatstream.flow import Finish
from chatstream.messages import ChatRequest
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
from chatstream.providers.text import whole_characters
from chatstream.providers.toolcalls import ToolCalls
from chatstream.wire import SSEDecoder, SSEFrame

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_GAVE_UP = frozenset({"error", "insufficient_system_resource"})


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    timings: Any = None


class _WholeChoice(msgspec.Struct):
    index: int | None = 0
    message: _Delta | None = None
    finish_reason: Any = None


class _Whole(msgspec.Struct):
    choices: list[_WholeChoice] | None = None
    usage: Any = None
    error: Any = None
    timings: Any = None


_decoder = msgspec.json.Decoder(_Chunk)


class OpenAIReply(Reply):
    """The chunks of one answer."""

    def __init__(self) -> None:
        super().__init__()
        self._sse = SSEDecoder()
        self._calls = ToolCalls()
        self._usage: dict[str, object] = {}
        self._timings: dict[str, object] = {}
        self._reason: str | None = None
        self._refusal: list[str] = []
        self._pings = 0

    def feed(self, data: bytes, t: float) -> list[Event]:
        events: list[Event] = []
        for frame in self._sse.feed(data):
            text = frame.data
            try:
                chunk = _decoder.decode(text)
            except REFUSED:
                odd = self._odd(frame, events, t)
                if odd is None:
                    if self.ended or self.failure:
                        return events
                    continue
                chunk = odd
            self._chunk(chunk, text, events, t)
            if self.failure:
                return events
        if self._sse.error_field is not None:
            self.failure = failure_in(_json_or_text(self._sse.error_field))
        self.keep_alives = self._pings + self._sse.comments
        return events

    def feed_eof(self, t: float) -> list[Event]:
        self._sse.feed_eof()
        if self._sse.unfinished.strip() == "[DONE]":
            self.complete = True
        return []

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        events: list[Event] = []
        text = body.decode("utf-8", "replace").strip()
        whole = decode(msgspec.json.Decoder(_Whole), text)
        if not whole.choices and not whole.error:
            raise Malformed("neither an answer nor an error")
        choices = [_Choice(c.index, c.message, c.finish_reason) for c in whole.choices or ()]
        chunk = _Chunk(choices, whole.usage, whole.error, timings=whole.timings)
        self._chunk(chunk, text, events, t)
        self.odd_text = self.complete = self.ended = True
        return events

    def _odd(self, frame: SSEFrame, events: list[Event], t: float) -> _Chunk | None:
        """A frame that is no clean chunk: the end mark, a keep-alive, an error, or garbage."""
        text = frame.data.strip()
        if text == "[DONE]":
            self.complete = self.ended = True
        elif not text or text[0] == ":" or text == '""':
            self._pings += 1
        elif text.lower().startswith("error"):
            self.failure = failure_in(_json_or_text(text[5:].lstrip(": ")))
        else:
            return self.read_odd(_decoder, text, events, t)
        return None

    def _chunk(self, chunk: _Chunk, text: str, events: list[Event], t: float) -> None:
        for choice in chunk.choices or ():
            if choice.index:  # another of n answers; the first is shown
                continue
            delta = choice.delta
            if delta is not None:
                content = delta.content
                if content and type(content) is str:
                    events.append(Content(content, t=t))
                elif content:
                    _parts(content, events, t)
                reasoning = delta.reasoning_content or delta.reasoning
                if reasoning and type(reasoning) is str:
                    events.append(Reasoning(reasoning, t=t))
                if delta.refusal:
                    self._refusal.append(text_of(delta.refusal))
                if delta.tool_calls:
                    for call in delta.tool_calls:
                        self._tool_call(call, events, t)
                if delta.function_call is not None:
                    self._tool_call(_ToolCall(0, function=delta.function_call), events, t)
            if choice.finish_reason:
                self._reason = text_of(choice.finish_reason)
                self.complete = True
        if chunk.usage:
            self._usage.update(object_of(chunk.usage))
        elif chunk.x_groq:
            self._usage.update(object_of(object_of(chunk.x_groq).get("usage")))
        if chunk.timings:
            self._timings = object_of(chunk.timings)
        if chunk.error:
            self.failure = failure_in(_json_or_text(text))
        elif self._reason in _GAVE_UP:
            self.failure = ServerError(f"the server gave up in the middle ({self._reason})")
        elif chunk.choices is None and not chunk.usage:
            fields = object_of(_json_or_text(text))
            if "error" in (fields.get("object"), fields.get("type")):
                self.failure = failure_in(fields)
            else:
                self._pings += 1

    def _tool_call(self, call: _ToolCall, events: list[Event], t: float) -> None:
        function = call.function or _Function()
        events.append(
            self._calls.add(call.index, call.id or "", function.name or "", function.arguments, t)
        )

    def totals(self) -> list[Event]:
        events: list[Event] = []
        if self.complete:
            events += self._calls.whole(cut=self._reason == "length")
        if self._refusal:
            events.append(Warn("refusal", whole_characters("".join(self._refusal))))
        usage = _usage(self._usage)
        return events if usage == Usage() else [*events, usage]

    def finish(self) -> Finish:
        reason = _FINISH.get(self._reason or "", "stop")
        if self._refusal:
            reason = "content_filter"
        elif self._calls and reason == "stop":
            reason = "tool_calls"
        return Finish(reason=reason, raw=raw_reason(self._reason), server=_times(self._timings))


def _json_or_text(text: str) -> object:
    try:
        value: object = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return value


def _parts(content: object, events: list[Event], t: float) -> None:
    """Content as a list of parts, from Mistral's reasoning models."""
    for part in content if isinstance(content, list) else ():
        fields = object_of(part)
        if text := text_of(fields.get("text")):
            events.append(Content(text, t=t))
        thinking = fields.get("thinking")
        for piece in thinking if isinstance(thinking, list) else [{"text": thinking}]:
            if text := text_of(object_of(piece).get("text")):
                events.append(Reasoning(text, t=t))


def _usage(wire: dict[str, object]) -> Usage:
    inputs = object_of(wire.get("prompt_tokens_details"))
    outputs = object_of(wire.get("completion_tokens_details"))
    cost = wire.get("cost")
    return Usage(
        input_tokens=count_of(wire.get("prompt_tokens")),
        output_tokens=count_of(wire.get("completion_tokens")),
        reasoning_tokens=count_of(outputs.get("reasoning_tokens")),
        cached_tokens=count_of(inputs.get("cached_tokens")),
        cost=float(cost) if isinstance(cost, int | float) else None,
    )


def _times(timings: dict[str, object]) -> ServerTimes | None:
    """llama.cpp's own figures, in ms on the wire."""
    prompt, generation = (
        value / 1000 if isinstance(value := timings.get(name), int | float) else None
        for name in ("prompt_ms", "predicted_ms")
    )
    return ServerTimes(prompt=prompt, generation=generation) if prompt or generation else None


class OpenAI(Provider):
    """OpenAI, or a server that is compatible with it; `base_url` ends where `/chat` begins."""

    def chat_path(self) -> str:
        return "/chat/completions"

    def models_path(self) -> str:
        return "/models"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}

    def body(self, request: ChatRequest) -> dict[str, object]:
        body: dict[str, object] = {
            "model": request.model,
            "messages": turns(request),
        }
        if request.means == "continue_final_message":
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if request.stream:
            body["stream"] = True
            if "stream_options" not in request.without:
                body["stream_options"] = {"include_usage": True}
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.max_tokens is not None:
            refused = "max_tokens" in request.without
            body["max_completion_tokens" if refused else "max_tokens"] = request.max_tokens
        return {**body, **request.options}

    def reply(self) -> Reply:
        return OpenAIReply()
