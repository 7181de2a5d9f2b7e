"""Ollama's own protocol: `/api/chat`, one JSON object a line.

1. The end mark is a line with `"done": true`. A line `{"error": …}` is a failure in the middle of
   the stream.
2. Tool calls come whole; several lines may bring more. Thinking before calls goes back with them.
3. If a model has to answer in words, its tools are not sent: there is no other way to say so.
4. Of a conversation that is too long, the server leaves out the beginning without a word, and so a
   call whose result stays. It is asked to refuse such a conversation; older servers do not know
   that, and their own count of the prompt shows it (`providers.context`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from chatstream import messages
from chatstream.cancel import CancelToken
from chatstream.errors import UsageError
from chatstream.events import (
    Content,
    Event,
    Image,
    Reasoning,
    ReasoningData,
    ServerTimes,
    ToolCall,
    Usage,
)
from chatstream.flow import Arrival, Finish
from chatstream.messages import ChatRequest, Message, own_id
from chatstream.providers.base import Given
from chatstream.providers.continuing import conversation
from chatstream.providers.failures import error_in
from chatstream.providers.finish import gave_up, meaning_of, reason_of, unknown
from chatstream.providers.lenient import (
    REFUSED,
    TOO_DEEP,
    count_of,
    json_text,
    list_of,
    object_of,
    shaped,
    text_of,
    value_of,
)
from chatstream.providers.odd import holds_text
from chatstream.providers.ollama_models import OllamaModels
from chatstream.providers.parts import part_events, reasoning_in
from chatstream.providers.reply import Reply
from chatstream.providers.text import whole_characters
from chatstream.wire import NDJSONDecoder

# What the chat call takes beside `options`; everything else a user sets goes into `options`.
_TOP_LEVEL = frozenset(
    {"format", "keep_alive", "logprobs", "think", "tools", "top_logprobs", "truncate"}
)


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: Any = None


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: Any = None
    thinking: Any = None
    reasoning_content: Any = None  # some servers that imitate Ollama
    tool_calls: list[_Call] | None = None
    images: Any = None


class _Line(msgspec.Struct, gc=False):
    message: _Message | None = None
    response: Any = None  # the text of /api/generate
    thinking: Any = None
    error: Any = None
    done: bool = False
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_duration: Any = None
    eval_duration: Any = None


_decoder = msgspec.json.Decoder(_Line)
_KNOWN = frozenset({"role", "tool_name", "tool_call_id", *_Message.__struct_fields__})


class OllamaReply(Reply):
    """The lines of one answer."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = NDJSONDecoder()
        self._ids: set[str] = set()  # of the calls
        self._thoughts: list[str] = []
        self._last = _Line()

    def feed(self, data: bytes, t: float) -> list[Event]:
        return self._events(self._lines.feed(data), t)

    def feed_eof(self, t: float) -> list[Event]:
        return self._events(self._lines.feed_eof(), t, at_end=True)

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        value = value_of(body.decode("utf-8", "replace"))  # one text, on however many lines
        events: list[Event] = []
        self.failure = error_in(value)
        if self.failure is None:
            fields = object_of(value)
            if "message" not in fields and "response" not in fields:
                raise ValueError("neither an answer nor an error")
            self._fields(fields, events, t)
            self.odd_text = self.complete = self.ended = self.understood = True
        return events

    def _events(self, lines: list[bytes], t: float, *, at_end: bool = False) -> list[Event]:
        events: list[Event] = []
        for text in lines:
            try:
                try:
                    line = _decoder.decode(text)
                except REFUSED:
                    self._refused(text.decode("utf-8", "replace"), events, t, at_end=at_end)
                else:
                    message = line.message
                    if (
                        message is not None
                        and type(content := message.content) is str
                        and content
                        and not (message.thinking or message.reasoning_content or message.images)
                        and not (message.tool_calls or line.thinking or line.done or line.error)
                    ):
                        events.append(Content(content, t=t))  # what nearly every line is
                        continue
                    self._line(line, None, text, events, t)
            except TOO_DEEP:
                self.odd.add(text.decode("utf-8", "replace"), skipped=True)
            if self.ended or self.failure:
                break
        return events

    def _refused(self, text: str, events: list[Event], t: float, *, at_end: bool) -> None:
        """A line that the decoder does not take."""
        for value in self.values(text, at_end=at_end):
            if isinstance(value, dict):
                self._fields(value, events, t)
            elif (failure := error_in(value)) is not None:
                self.failure = failure
            else:
                self.odd.add_value(value, text)
            if self.ended or self.failure:
                return

    def _fields(self, value: dict[str, Any], events: list[Event], t: float) -> None:
        left_out: list[str] = []
        line = shaped(value, _Line, left_out)
        if left_out:
            self.odd.left_out(left_out, json_text(value))
        self._line(line, value, b"", events, t)

    def _line(
        self,
        line: _Line,
        value: dict[str, Any] | None,
        text: bytes,
        events: list[Event],
        t: float,
    ) -> None:
        """`value` is the line as it was sent, where it is parsed already."""
        before = len(events)
        message = line.message
        if message is not None:
            thinking = message.thinking or message.reasoning_content or line.thinking
            if thinking and (thought := reasoning_in(thinking)):
                self._thoughts.append(thought)
                events.append(Reasoning(thought, t=t))
            content = message.content
            if content and type(content) is str:
                events.append(Content(content, t=t))
            elif content:
                self._parts(content, events, t)
            if message.tool_calls:
                events += [self._tool_call(call, t) for call in message.tool_calls]
            if message.images:
                events += [
                    Image(data=whole_characters(data), t=t)
                    for data in map(text_of, list_of(message.images))
                    if data
                ]
        else:
            if thinking := reasoning_in(line.thinking):
                events.append(Reasoning(thinking, t=t))
            if line.response:
                self._parts(line.response, events, t)
        if line.error and (failure := error_in({"error": line.error})) is not None:
            self.failure = failure
        if line.done:
            self._done(line, events, t)
            # `"true"` on every line would end the answer at the first one.
            self.ended = value is None or value["done"] is True
            self.provisional = not self.ended
        elif len(events) == before and self.failure is None:
            self._look_again(value or value_of(text.decode("utf-8", "replace")))

    def _parts(self, content: object, events: list[Event], t: float) -> None:
        parts = part_events(content, t)
        events += parts
        if not parts:
            self.odd.left_out(["the text"], json_text(content))

    def _done(self, line: _Line, events: list[Event], t: float) -> None:
        self._last = line
        self.complete = self.understood = True
        meaning = meaning_of(raw := text_of(line.done_reason))
        if meaning == "failed":
            self.failure = self.failure or gave_up(raw)
        elif meaning == "unknown":
            events.append(unknown(raw, t))

    def _look_again(self, value: dict[str, Any]) -> None:
        """A line that gave nothing: an error, a line without meaning, or an odd one."""
        message = value.get("message")
        if (failure := error_in(value)) is not None:
            self.failure = failure
        elif isinstance(message, dict):
            if holds_text({name: it for name, it in message.items() if name not in _KNOWN}):
                self.odd.add(json_text(value), skipped=True)
        elif "response" not in value:
            self.odd.add_value(value, json_text(value))

    def _tool_call(self, call: _Call, t: float) -> ToolCall:
        call_id = whole_characters(call.id or "")
        if not call_id or call_id in self._ids:
            call_id = own_id(len(self._ids) + 1)
        self._ids.add(call_id)
        function = call.function or _Function()
        arguments = function.arguments
        if not isinstance(arguments, str):
            arguments = json_text(arguments if arguments is not None else {})
        return ToolCall(
            call_id,
            whole_characters(function.name),
            whole_characters(arguments or "{}"),
            t=t,
        )

    def totals(self) -> list[Event]:
        usage = Usage(
            input_tokens=count_of(self._last.prompt_eval_count),
            output_tokens=count_of(self._last.eval_count),
        )
        events: list[Event] = []
        if self.complete and self._ids and self._thoughts:
            thinking = whole_characters("".join(self._thoughts))
            events.append(ReasoningData(provider_data={"thinking": thinking}))
        return events if usage == Usage() else [*events, usage]

    def finish(self) -> Finish:
        raw = whole_characters(text_of(self._last.done_reason))
        reason = reason_of(meaning_of(raw) or "stop")
        if self._ids and reason == "stop":
            reason = "tool_calls"
        return Finish(reason=reason, raw=raw or None, server=self._times())

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


class Ollama(OllamaModels):
    """An Ollama server."""

    accept = "application/x-ndjson"
    frames_are_json = True

    def chat_path(self) -> str:
        return "/api/chat"

    def window(
        self, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, int | None]:
        """The window of the model as it is loaded; `/api/show` reports only the largest one."""
        if asked := count_of(request.options.get("num_ctx")):
            return asked
        told = yield from self._told(self.call("/api/ps", None), token)
        for model in map(object_of, list_of(told.get("models"))):
            if request.model in {name := model.get("name"), text_of(name).removesuffix(":latest")}:
                return count_of(model.get("context_length")) or None
        return None

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}

    def body(self, request: ChatRequest) -> dict[str, object]:
        options = {k: v for k, v in request.options.items() if k not in _TOP_LEVEL}
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.max_tokens is not None:
            options["num_predict"] = request.max_tokens
        body = {
            "model": request.model,
            "messages": [
                turn
                for message in conversation(request)
                for turn in _turns(message, request, self.given)
            ],
            "stream": request.stream,
            **({"format": request.form} if request.form is not None else {}),
            **_effort(request),
            **{k: v for k, v in request.options.items() if k in _TOP_LEVEL},
            **({"options": options} if options else {}),
        }
        if request.tools or request.is_large:
            body.setdefault("truncate", False)
        if request.tools:
            body.pop("tools", None)
            if request.may_call:
                from chatstream.providers.toolcalls import functions_of

                body["tools"] = functions_of(request.tools)
        return body

    def reply(self) -> Reply:
        return OllamaReply()


def _effort(request: ChatRequest) -> dict[str, Any]:
    if request.effort is None:
        return {}
    from chatstream.providers.effort import of_ollama

    return of_ollama(request)


def _turns(message: Message, request: ChatRequest, given: Given) -> list[dict[str, Any]]:
    """What stands for a message in the body. Raises `UsageError`."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    results: list[dict[str, Any]] = []
    images, calls = [], []
    for part in message.parts:
        match part:
            case messages.Image():
                images.append(_base64(part, request))
            case messages.Reasoning(provider_data=data):
                turn |= given(data)
            case messages.ToolCall(id=call_id, name=name):
                from chatstream.providers.toolcalls import arguments_of

                function = {"name": name, "arguments": arguments_of(part)}
                calls.append({"id": call_id, "function": function})
            case messages.ToolResult(id=call_id, name=name, content=content):
                result = {"role": "tool", "content": content}
                results.append({**result, "tool_name": name, "tool_call_id": call_id})
    if images:
        turn["images"] = images
    if calls:
        turn["tool_calls"] = calls
    return results or [turn]


def _base64(image: messages.Image, request: ChatRequest) -> str:
    from chatstream.providers.images import encoded

    _, data = encoded(image, request)
    if not data:
        raise UsageError(
            "Ollama takes no image by its address on the web", hint="send the image itself"
        )
    return data
