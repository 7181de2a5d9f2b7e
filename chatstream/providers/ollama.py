"""Ollama's own protocol: `/api/chat`, one JSON object a line.

The end mark is a line with `"done": true`. A line `{"error": …}` is a failure in the middle of
the stream. Tool calls come whole; several lines may bring more.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chatstream.events import (
    Content,
    Event,
    FinishReason,
    Reasoning,
    ServerTimes,
    ToolCall,
    Usage,
)
from chatstream.flow import Finish
from chatstream.messages import ChatRequest
from chatstream.providers.base import Provider, Reply
from chatstream.providers.continuing import turns
from chatstream.providers.failures import failure_in
from chatstream.providers.lenient import (
    REFUSED,
    count_of,
    json_text,
    raw_reason,
    text_of,
)
from chatstream.providers.text import whole_characters
from chatstream.wire import NDJSONDecoder

# What the chat call takes beside `options`; everything else a user sets goes into `options`.
_TOP_LEVEL = frozenset({"format", "keep_alive", "logprobs", "think", "tools", "top_logprobs"})
_FINISH: dict[str, FinishReason] = {"length": "length"}


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: Any = None


class _Call(msgspec.Struct, gc=False):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: Any = None
    thinking: Any = None
    reasoning_content: Any = None  # some servers that imitate Ollama
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct, gc=False):
    message: _Message | None = None
    response: Any = None  # the text of /api/generate
    thinking: Any = None
    error: Any = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_duration: Any = None
    eval_duration: Any = None


_decoder = msgspec.json.Decoder(_Line)


class OllamaReply(Reply):
    """The lines of one answer."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = NDJSONDecoder()
        self._calls = 0
        self._last = _Line()

    def feed(self, data: bytes, t: float) -> list[Event]:
        return self._events(self._lines.feed(data), t)

    def feed_eof(self, t: float) -> list[Event]:
        return self._events(self._lines.feed_eof(), t, at_end=True)

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        return self.feed(body, t) + self.feed_eof(t)

    def _events(self, lines: list[bytes], t: float, *, at_end: bool = False) -> list[Event]:
        events: list[Event] = []
        for text in lines:
            try:
                line = _decoder.decode(text)
            except REFUSED:
                # A last line that cannot be read is a cut, and no bad frame to warn of.
                odd = self.read_odd(_decoder, text, [] if at_end else events, t)
                if odd is None:
                    continue
                line = odd
            message = line.message
            if message is not None:
                thinking = message.thinking or message.reasoning_content
                if thinking and type(thinking) is str:
                    events.append(Reasoning(thinking, t=t))
                content = message.content
                if content and type(content) is str:
                    events.append(Content(content, t=t))
                if message.tool_calls:
                    events += [self._tool_call(call, t) for call in message.tool_calls]
            elif line.error is not None:
                self.failure = failure_in({"error": line.error})
                break
            else:
                if thinking := text_of(line.thinking):
                    events.append(Reasoning(thinking, t=t))
                if content := text_of(line.response):
                    events.append(Content(content, t=t))
            if line.done:
                self._last = line
                self.complete = self.ended = True
                break
        return events

    def _tool_call(self, call: _Call, t: float) -> ToolCall:
        self._calls += 1
        arguments = call.function.arguments
        if not isinstance(arguments, str):
            arguments = json_text(arguments if arguments is not None else {})
        return ToolCall(
            whole_characters(call.id or f"call_{self._calls}"),
            whole_characters(call.function.name),
            whole_characters(arguments or "{}"),
            t=t,
        )

    def totals(self) -> list[Event]:
        usage = Usage(
            input_tokens=count_of(self._last.prompt_eval_count),
            output_tokens=count_of(self._last.eval_count),
        )
        return [] if usage == Usage() else [usage]

    def finish(self) -> Finish:
        raw = self._last.done_reason
        reason = _FINISH.get(raw or "", "tool_calls" if self._calls else "stop")
        return Finish(reason=reason, raw=raw_reason(raw), server=self._times())

    def _times(self) -> ServerTimes | None:
        last = self._last
        seconds = [
            None if (count := count_of(duration)) is None else count / 1e9
            for duration in (
                last.total_duration,
                last.load_duration,
                last.prompt_eval_duration,
                last.eval_duration,
            )
        ]
        return ServerTimes(*seconds) if any(seconds) else None


class Ollama(Provider):
    """An Ollama server."""

    accept = "application/x-ndjson"
    frames_are_json = True

    def chat_path(self) -> str:
        return "/api/chat"

    def models_path(self) -> str:
        return "/api/tags"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}

    def body(self, request: ChatRequest) -> dict[str, object]:
        options = {k: v for k, v in request.options.items() if k not in _TOP_LEVEL}
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.max_tokens is not None:
            options["num_predict"] = request.max_tokens
        return {
            "model": request.model,
            "messages": turns(request),
            "stream": request.stream,
            **{k: v for k, v in request.options.items() if k in _TOP_LEVEL},
            **({"options": options} if options else {}),
        }

    def reply(self) -> Reply:
        return OllamaReply()
