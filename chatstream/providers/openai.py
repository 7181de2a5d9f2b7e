"""The chat completions of OpenAI and of everything compatible with it.

1. The stream is complete once a finish reason or `[DONE]` has come; usage and `[DONE]` may follow
   the finish reason. Where tokens come after a finish reason it was none: some servers put one
   into every chunk, or into the first.
2. The choice whose index came first is followed. Another index is another answer if it opens with
   a role of its own, or comes beside the first one; else it is a server that counts tokens.
3. A chunk that gives nothing is looked at again, field by field, before it is passed over: the
   error, the usage or the text may stand where no other server puts it.

Servers differ in many small ways; each line below that looks odd is one that a recorded server, or
a report about one, needs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chatstream.errors import ChatstreamError
from chatstream.events import Content, Event, FinishReason, Reasoning, ServerTimes, Usage, Warn
from chatstream.flow import Finish
from chatstream.messages import ChatRequest
from chatstream.providers import service_of
from chatstream.providers.base import Provider
from chatstream.providers.failures import error_in, failure_in
from chatstream.providers.finish import gave_up, meaning_of, reason_of, unknown
from chatstream.providers.givenback import GivenBack, is_signed
from chatstream.providers.lenient import (
    REFUSED,
    TOO_DEEP,
    count_of,
    figure_of,
    json_or_text,
    json_text,
    list_of,
    object_of,
    sendable,
    shaped,
    text_of,
    value_of,
)
from chatstream.providers.logprobs import logprobs_in
from chatstream.providers.odd import holds_text, protocol_of
from chatstream.providers.openai_body import body_of
from chatstream.providers.openai_usage import usage_of
from chatstream.providers.parts import Sources, images_in, part_events, reasoning_in
from chatstream.providers.reply import Reply, late
from chatstream.providers.text import whole_characters
from chatstream.providers.toolcalls import ToolCalls
from chatstream.wire import STRAY, SSEDecoder, SSEFrame

_UNSEEN = -1  # the index to follow before there is one
_KEEP_ALIVES = frozenset({"ping", "keepalive", "keep-alive", "keep_alive", "heartbeat"})

_KINDS = ("type", "object", "event")  # where a frame without choices says what it is


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: Any = None


class _Delta(msgspec.Struct, gc=False):
    role: Any = None
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_text: Any = None
    reasoning_details: Any = None
    thinking: Any = None
    refusal: Any = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    annotations: Any = None
    images: Any = None
    extra_content: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    timings: Any = None
    citations: Any = None
    search_results: Any = None


_decoder = msgspec.json.Decoder(_Chunk)

# Fields that hold words and are not the answer, in the choice or its delta.
_NO_ANSWER = {
    *("role", "name", "id", "object", "type", "channel", "audio", "logprobs", "token_ids", "usage"),
    *("finish_reason", "native_finish_reason", "stop_reason", "matched_stop", "error"),
    *("content_filter_results", "content_filter_offsets", "obfuscation", "executed_tools"),
    *("citations", "tool_call_id", "provider_specific_fields"),
    *("signature", "reasoning_signature", "encrypted_content"),
    *_Delta.__struct_fields__,  # they have been looked at
}
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking")


class OpenAIReply(Reply):
    """The chunks of one answer from this `service`; with its `logprobs` if they were asked for."""

    def __init__(self, service: str = "", *, logprobs: bool = False) -> None:
        super().__init__()
        self._service = service
        self._logprobs = logprobs
        self._sse = SSEDecoder(lenient=True)
        self._calls = ToolCalls()
        self._sources = Sources()
        self._given = GivenBack()
        self._usage: dict[str, object] = {}
        self._timings: dict[str, object] = {}
        self._index: int | None = _UNSEEN
        self._others: dict[int | None, bool] = {}  # index: whether that answer has ended
        self._reason: FinishReason | None = None
        self._raw_reason: str | None = None
        self._refusal: list[str] = []
        self._pings = 0

    def feed(self, data: bytes, t: float) -> list[Event]:
        return self._frames(self._sse.feed(data), t)

    def feed_eof(self, t: float) -> list[Event]:
        return self._frames(self._sse.feed_eof(), t, at_end=True)

    def _frames(self, frames: list[SSEFrame], t: float, *, at_end: bool = False) -> list[Event]:
        events: list[Event] = []
        rest = iter(frames)
        for frame in rest:
            try:
                try:
                    chunk = _decoder.decode(frame.data)
                except REFUSED:  # as `[DONE]` is
                    self._refused(frame, events, t, at_end=at_end)
                    if self.ended:
                        for following in rest:
                            self.after_the_end(following, events, t)
                else:
                    self._chunk(chunk, None, frame, events, t)
            except TOO_DEEP:
                self.odd.add(frame.data, skipped=True)
            if self.failure:
                return events
        self.keep_alives = self._pings + self._sse.comments
        return events

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        events: list[Event] = []
        value = value_of(body.decode("utf-8", "replace"))
        self.failure = error_in(value)
        if self.failure is not None:
            return events
        fields = object_of(value)
        fields = fields if "choices" in fields else object_of(fields.get("data"))
        choices = [object_of(choice) for choice in list_of(fields.get("choices"))]
        if not choices:
            raise ValueError("neither an answer nor an error")
        as_chunk = [{**it, "delta": it.get("message") or it.get("delta")} for it in choices]
        self._fields({**fields, "choices": as_chunk}, SSEFrame("message", ""), events, t)
        self.odd_text = self.complete = self.ended = self.understood = True
        return events

    def _refused(self, frame: SSEFrame, events: list[Event], t: float, *, at_end: bool) -> None:
        """A frame that is no clean chunk: the end mark, a keep-alive, an error, or odd."""
        text = frame.data.strip()
        if text == "[DONE]":
            self.complete = self.ended = True
        elif not text or text[0] == ":" or text.lower() in _KEEP_ALIVES:
            self._pings += 1
        elif frame.event == "error":
            self._fail(failure_in(json_or_text(text)), events, t)
        elif text[:6].lower() == "error:":
            self._fail(failure_in(json_or_text(text[6:].lstrip())), events, t)
        else:
            for value in self.values(text, at_end=at_end, stray=frame.event == STRAY):
                if isinstance(value, dict):
                    self._fields(value, frame, events, t)
                elif failure := error_in(value):
                    self._fail(failure, events, t)
                elif value in (None, "", []):
                    self._pings += 1
                else:
                    self.odd.add_value(value, text)

    def _fields(
        self, value: dict[str, Any], frame: SSEFrame, events: list[Event], t: float
    ) -> None:
        """A chunk that the decoder has refused, or one that stands inside something else."""
        left_out: list[str] = []
        chunk = shaped(value, _Chunk, left_out)
        if left_out:
            self.odd.left_out(left_out, frame.data)
        self._chunk(chunk, value, frame, events, t)

    def _chunk(
        self,
        chunk: _Chunk,
        value: dict[str, Any] | None,
        frame: SSEFrame,
        events: list[Event],
        t: float,
    ) -> None:
        """`value` is the chunk as it was sent, where it is parsed already."""
        before = len(events)
        if chunk.error and (failure := error_in(value or value_of(frame.data))):
            self._fail(failure, events, t)
            if self.failure is None:
                return
        for choice in chunk.choices or ():
            if choice.index != self._index and not self._is_ours(choice, chunk):
                continue
            delta = choice.delta
            if delta is not None:
                content = delta.content
                if (  # what nearly every chunk is
                    content
                    and type(content) is str
                    and not (delta.reasoning_content or delta.reasoning or delta.tool_calls)
                    and not (delta.reasoning_details or delta.reasoning_text or delta.thinking)
                    and not (delta.function_call or delta.refusal)
                    and not (delta.annotations or delta.images or delta.extra_content)
                ):
                    events.append(Content(content, t=t))
                else:
                    self._delta(delta, events, t)
                if self._logprobs and choice.logprobs and content:
                    events += logprobs_in(choice.logprobs, t)
            if choice.finish_reason:
                self._finish_reason(choice.finish_reason, events, t, said=len(events) > before)
            elif self.complete and len(events) > before:
                self.complete, self.provisional = False, True
        if chunk.citations or chunk.search_results:
            events += self._sources.numbered(chunk.citations, chunk.search_results, t)
        if chunk.usage:
            self._usage.update(object_of(chunk.usage))
        elif chunk.x_groq:
            self._usage.update(object_of(object_of(chunk.x_groq).get("usage")))
        if chunk.timings:
            self._timings = object_of(chunk.timings)
        if len(events) == before and not self.failure:
            self._look_again(value or value_of(frame.data), frame, events, t)

    def _delta(self, delta: _Delta, events: list[Event], t: float) -> None:
        reasoning = delta.reasoning_content or delta.reasoning
        if reasoning and type(reasoning) is str:
            events.append(Reasoning(reasoning, t=t))
        elif reasoning or delta.reasoning_details or delta.reasoning_text or delta.thinking:
            thoughts = (reasoning_in(getattr(delta, name)) for name in _REASONING)
            events += [Reasoning(it, t=t) for it in [next(filter(None, thoughts), "")] if it]
        if delta.reasoning_content is not None:
            self._given.reasoning_content.append(delta.reasoning_content)
        if delta.reasoning_details or delta.extra_content:
            self._given.take(delta.reasoning_details, delta.extra_content)
        content = delta.content
        if content:
            if type(content) is str:
                events.append(Content(content, t=t))
            elif parts := part_events(content, t):
                events += parts
            elif holds_text(content, named=True) or not isinstance(content, list | dict):
                self.odd.left_out(["content"], json_text(content))
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._tool_call(call, events, t)
        if delta.function_call is not None:
            self._tool_call(_ToolCall(0, function=delta.function_call), events, t)
        if delta.refusal:
            self._refusal.append(text_of(delta.refusal))
        if delta.annotations:
            events += self._sources.noted(delta.annotations, t)
        if delta.images:
            events += images_in(delta.images, t)

    def _is_ours(self, choice: _Choice, chunk: _Chunk) -> bool:
        """Whether a choice belongs to the answer that is shown; the first index is followed."""
        if self._index == _UNSEEN:
            indexes = [it.index for it in chunk.choices or ()]
            self._index = 0 if 0 in indexes else choice.index
            if choice.index == self._index:
                return True
        if choice.index is None:
            return True
        beside = any(other.index == self._index for other in chunk.choices or ())
        has_role = choice.delta is not None and choice.delta.role is not None
        if choice.index in self._others or has_role or beside:
            ended = self._others.get(choice.index, False)
            self._others[choice.index] = ended or bool(choice.finish_reason)
            return False
        return True

    def _finish_reason(self, word: Any, events: list[Event], t: float, *, said: bool) -> None:
        """A reason for the end; `said`: its chunk brought tokens too."""
        raw = whole_characters(word if isinstance(word, str) else json_text(word))
        meaning = meaning_of(raw)
        if meaning is None:
            return
        if self.complete and said:
            self.provisional = True
        self.complete = self.understood = True
        if meaning == "failed":
            self.failure = self.failure or gave_up(raw)
        elif meaning == "unknown" and raw != self._raw_reason:
            events.append(unknown(raw, t))
        self._raw_reason, self._reason = raw, reason_of(meaning)

    def _fail(self, failure: ChatstreamError, events: list[Event], t: float) -> None:
        """The server reports a failure; where it had said that all is well, that is a warning."""
        if self.complete and not self.provisional and self._reason in {"stop", "tool_calls"}:
            events.append(late(failure, t))
        else:
            self.failure = failure

    def _look_again(
        self, value: dict[str, Any], frame: SSEFrame, events: list[Event], t: float
    ) -> None:
        """A chunk that gave nothing: what it says in other places."""
        inner = object_of(value.get("data"))
        failure = failure_in(value) if frame.event == "error" else error_in(value)
        if failure is not None:
            self._fail(failure, events, t)
        elif "choices" in value:
            for choice in map(object_of, list_of(value["choices"])):
                if choice.get("index", 0) == self._index or len(list_of(value["choices"])) == 1:
                    self._look_at_choice(choice, frame, events, t)
        elif "choices" in inner and not isinstance(inner.get("data"), dict):
            self._fields(inner, frame, events, t)
        elif not value or _KEEP_ALIVES & {str(value.get(name)).lower() for name in _KINDS}:
            self._pings += 1
        elif not value.get("usage") or protocol_of(value) is not None:
            self.odd.add_value(value, frame.data)

    def _look_at_choice(
        self, choice: dict[str, Any], frame: SSEFrame, events: list[Event], t: float
    ) -> None:
        """A choice whose delta gave nothing."""
        self._usage.update(object_of(choice.get("usage")))
        delta = choice.get("delta")
        said = len(events)
        streamed = self.understood or any(type(event) is Content for event in events)
        if delta is None and not (streamed and choice.get("finish_reason")):
            message = choice.get("message")  # beside a delta, or at the end, it repeats that
            if isinstance(message, dict):
                self._delta(shaped(message, _Delta, []), events, t)
            elif text := text_of(message) or text_of(choice.get("text")):
                events.append(Content(text, t=t))
        if len(events) > said:
            return
        unknown = [
            {name: it for name, it in fields.items() if name not in _NO_ANSWER}
            for fields in (object_of(delta), choice if delta is None else {})
        ]
        if holds_text(unknown):
            self.odd.add(frame.data, skipped=True)

    def _tool_call(self, call: _ToolCall, events: list[Event], t: float) -> None:
        function = call.function or _Function()
        extra = call.extra_content
        given = {"extra_content": sendable(extra)} if extra and is_signed(extra) else None
        delta = self._calls.add(
            call.index, call.id or "", function.name or "", function.arguments, t, given
        )
        if delta is not None:
            events.append(delta)

    def totals(self) -> list[Event]:
        events: list[Event] = []
        if self.complete:
            events += self._given.events(with_calls=bool(self._calls))
            events += self._calls.whole(cut=self._reason == "length")
            if self._others and not (self._reason and all(self._others.values())):
                events.append(Warn("another_choice", "a part of another answer was left out"))
        if self._refusal:
            events.append(Warn("refusal", whole_characters("".join(self._refusal))))
        usage = usage_of(self._usage, self._service)
        if usage.cached_tokens is None:  # llama.cpp
            usage.cached_tokens = count_of(self._timings.get("cache_n"))
        return events if usage == Usage() else [*events, usage]

    def finish(self) -> Finish:
        reason = self._reason or "stop"
        if self._refusal:
            reason = "content_filter"
        elif self._calls and reason == "stop":
            reason = "tool_calls"
        return Finish(reason=reason, raw=self._raw_reason, server=_times(self._timings))


class OpenAI(Provider):
    """OpenAI, or a server that is compatible with it; `base_url` ends where `/chat` begins."""

    _logprobs = False  # the request under way asks for them

    def chat_path(self) -> str:
        return "/chat/completions"

    def models_path(self) -> str:
        return "/models"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}

    def body(self, request: ChatRequest) -> dict[str, object]:
        self._logprobs = request.logprobs
        return body_of(request, self.given, service_of(self.endpoint))

    def reply(self) -> Reply:
        return OpenAIReply(service_of(self.endpoint), logprobs=self._logprobs)


def _times(timings: dict[str, object]) -> ServerTimes | None:
    """llama.cpp's own figures, in ms on the wire."""
    prompt, generation = (
        None if (value := figure_of(timings.get(name))) is None else value / 1000
        for name in ("prompt_ms", "predicted_ms")
    )
    return ServerTimes(prompt=prompt, generation=generation) if prompt or generation else None
