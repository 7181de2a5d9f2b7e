"""OpenAI's Responses API.

1. The end marks are `response.completed` and `response.incomplete`, which says why;
   `response.failed` and `error` are failures. Frames are told apart by `type` in their data.
2. The end of an item or a response repeats what came in pieces. It counts if no pieces came, or
   the last of them are missing; if it differs from them, there is a warning. `outputitems` finds
   the item that a frame belongs to.
3. Reasoning goes back whole, as encrypted content, if the server gives that: nothing is stored
   there. The reasoning that is shown is the server's own summary or text of it.
4. The server cannot continue an answer by itself; it is asked in words.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chatstream.events import (
    Content,
    Event,
    Metadata,
    Reasoning,
    ReasoningData,
    ToolCall,
    Usage,
    Warn,
)
from chatstream.flow import Finish
from chatstream.messages import ChatRequest
from chatstream.providers.failures import error_in, failure_in
from chatstream.providers.finish import Meaning, gave_up, meaning_of, reason_of, unknown
from chatstream.providers.lenient import (
    REFUSED,
    TOO_DEEP,
    json_or_text,
    list_of,
    object_of,
    sendable,
    text_of,
    value_of,
)
from chatstream.providers.openai import OpenAI
from chatstream.providers.openai_usage import usage_of
from chatstream.providers.outputitems import OutputItems, Pieces
from chatstream.providers.parts import Sources, image_of, reasoning_in
from chatstream.providers.reply import Reply
from chatstream.providers.responses_body import body_of
from chatstream.providers.text import whole_characters
from chatstream.providers.toolcalls import ToolCalls
from chatstream.wire import STRAY, SSEDecoder, SSEFrame

_REASONING = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_BEGINS = "response.created"
_OURS = "response."  # all other frames begin so; most repeat, or are about the server's tools


class ResponsesReply(Reply):
    """The frames of one response."""

    def __init__(self) -> None:
        super().__init__()
        self._sse = SSEDecoder(lenient=True)
        self._pings = 0
        self._started = False
        self._begin()

    def _begin(self) -> None:
        self._calls = ToolCalls()
        self._sources = Sources()
        self._items = OutputItems()
        self._pieces = Pieces()
        self._called: set[int] = set()  # the items that are calls
        self._refusal: list[str] = []
        self._usage: dict[str, Any] = {}
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
                    value = msgspec.json.decode(sse.data)
                except REFUSED:
                    self._refused(sse, events, t, at_end=at_end)
                else:
                    self._value(value, sse, events, t)
            except TOO_DEEP:
                self.odd.add(sse.data, skipped=True)
            if self.failure:
                return events
        self.keep_alives = self._pings + self._sse.comments
        return events

    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        response = value_of(body.decode("utf-8", "replace"))
        events: list[Event] = []
        self.failure = error_in(response)
        if self.failure is None:
            fields = object_of(response)
            if not isinstance(fields.get("output"), list):
                raise ValueError("neither a response nor an error")
            self._over(fields, events, t)
            self.odd_text = True
        return events

    def _refused(self, sse: SSEFrame, events: list[Event], t: float, *, at_end: bool) -> None:
        """A frame that is not JSON: a keep-alive, an error, or an odd one."""
        text = sse.data.strip()
        if not text or text[0] == ":" or text == "[DONE]":  # not an end mark in this protocol
            self._pings += 1
        elif sse.event == "error":
            self.failure = failure_in(json_or_text(text))
        else:
            for value in self.values(text, at_end=at_end, stray=sse.event == STRAY):
                self._value(value, sse, events, t)

    def _value(self, value: Any, sse: SSEFrame, events: list[Event], t: float) -> None:
        if isinstance(value, dict):
            self._frame(value, sse, events, t)
        elif (failure := error_in(value)) is not None:
            self.failure = failure
        elif value in (None, "", []):
            self._pings += 1
        else:
            self.odd.add_value(value, sse.data)

    def _frame(self, value: dict[str, Any], sse: SSEFrame, events: list[Event], t: float) -> None:
        kind = text_of(value.get("type")) or sse.event
        delta = value.get("delta")
        if kind == "response.output_text.delta":
            piece = self._pieces.add("text", self._items.piece(value), delta)
            events += [Content(piece, t=t)] if piece else []
        elif kind in _REASONING:
            piece = self._pieces.add("thought", self._items.piece(value), reasoning_in(delta))
            events += [Reasoning(piece, t=t)] if piece else []
        elif kind == "response.reasoning_summary_part.added":
            if self._pieces.some("thought", self._items.piece(value)):
                events.append(Reasoning("\n\n", t=t))
        elif kind == "response.refusal.delta":
            self._refusal.append(self._pieces.add("refusal", self._items.piece(value), delta))
        elif kind == "response.function_call_arguments.delta":
            number = self._items.piece(value)
            if self._pieces.add("arguments", number, delta):
                call = self._calls.add(number, "", "", delta, t)
                events += [call] if call is not None else []
        elif kind == "response.output_item.added":
            self._item_begins(value)
        elif kind == "response.output_item.done":
            if item := object_of(value.get("item")):
                self._item(self._items.ended(value, item), item, events, t)
            else:
                self.odd.add_value(value, sse.data)
        elif kind == "response.output_text.annotation.added":
            events += self._sources.noted([value.get("annotation")], t)
        elif kind in _ENDS:
            self._over(
                {"status": kind.removeprefix(_OURS)} | object_of(value.get("response")), events, t
            )
        elif kind == _BEGINS:
            self._starts(events, t)
        elif kind in {"error", "response.error"} or sse.event == "error":
            self.failure = failure_in(value)
        elif not kind.startswith(_OURS):
            self._look_again(value, kind, sse)

    def _look_again(self, value: dict[str, Any], kind: str, sse: SSEFrame) -> None:
        """A frame of an unknown kind: an error in some form, a keep-alive, or an odd one."""
        if (failure := error_in(value)) is not None:
            self.failure = failure
        elif not value or kind in {"ping", "keepalive"}:
            self._pings += 1
        else:
            self.odd.add_value(value, sse.data)

    def _starts(self, events: list[Event], t: float) -> None:
        if self._started:
            self._begin()
            events.append(Metadata(restart=True, t=t))
            events.append(Warn("restarted", "the server started its answer over", t=t))
        self._started = True

    def _item_begins(self, value: dict[str, Any]) -> None:
        item = object_of(value.get("item"))
        number = self._items.begun(value, item)
        if item.get("type") == "function_call":
            self._call(number, item)

    def _call(self, number: int, item: dict[str, Any]) -> None:
        """A call begins; its arguments come in pieces, or with its end."""
        self._called.add(number)
        call_id, name = text_of(item.get("call_id")), text_of(item.get("name"))
        if self._pieces.some("arguments", number):
            self._calls.add(number, call_id, name, None, 0.0)
        else:
            self._calls.start(number, call_id, name, None)

    def _item(
        self, number: int | None, item: dict[str, Any], events: list[Event], t: float
    ) -> None:
        """An item that is now whole; without a number it already was."""
        if number is None:
            return
        match item.get("type"):
            case "function_call":
                if number not in self._called:
                    self._call(number, item)
                self._call_ends(number, item, t)
            case "message":
                parts = [*map(object_of, list_of(item.get("content")))]
                for part in parts:
                    events += self._sources.noted(part.get("annotations"), t)
                whole = "".join(text_of(it.get("text")) for it in parts)
                if text := self._pieces.rest("text", number, whole):
                    events.append(Content(text, t=t))
                refusal = "".join(text_of(it.get("refusal")) for it in parts)
                self._refusal.append(self._pieces.rest("refusal", number, refusal))
            case "reasoning":
                shown = reasoning_in(item.get("summary") or item.get("content"))
                if not self._pieces.taken("thought", number) and shown:
                    events.append(Reasoning(shown, t=t))
                if item.get("encrypted_content"):
                    kept = {k: v for k, v in item.items() if k != "status" and v is not None}
                    events.append(ReasoningData(provider_data=sendable(kept), t=t))
            case "image_generation_call":
                if (image := image_of(item, t)) is not None:
                    events.append(image)

    def _call_ends(self, number: int, item: dict[str, Any], t: float) -> None:
        """A call is whole; some servers send its arguments as an object."""
        whole = item.get("arguments")
        if self._pieces.some("arguments", number):
            whole = self._pieces.rest("arguments", number, text_of(whole))
        self._calls.add(number, text_of(item.get("call_id")), "", whole, t)

    def _over(self, response: dict[str, Any], events: list[Event], t: float) -> None:
        """The whole response; its items count if they did not come before."""
        for position, item in enumerate(map(object_of, list_of(response.get("output")))):
            self._item(self._items.listed(position, item), item, events, t)
        self._usage.update(object_of(response.get("usage")))
        status = text_of(response.get("status"))
        if status == "failed":
            error = response.get("error")
            self.failure = failure_in({"error": error}) if error else gave_up(status)
            return
        details = object_of(response.get("incomplete_details"))
        raw = text_of(details.get("reason")) if status == "incomplete" else status
        self._raw_reason = whole_characters(raw or status) or None
        meaning = meaning_of(self._raw_reason or "stop") or "stop"
        if meaning == "failed":
            self.failure = gave_up(self._raw_reason or "")
            return
        if meaning == "unknown":
            events.append(unknown(self._raw_reason or "", t))
        self._reason = meaning
        self.complete = self.ended = self.understood = True

    def totals(self) -> list[Event]:
        events: list[Event] = []
        if self.complete:
            calls, nameless = self._whole_calls()
            events += calls
            if self._pieces.differs or self._pieces.astray(self._items) or nameless:
                words = "at its end, the server sent a different answer from the one shown"
                events.append(Warn("text_differs", words))
        if any(self._refusal):
            events.append(Warn("refusal", whole_characters("".join(self._refusal))))
        usage = usage_of(self._usage)
        return events if usage == Usage() else [*events, usage]

    def _whole_calls(self) -> tuple[list[ToolCall], bool]:
        """The calls, and whether there are arguments that belong to no call."""
        calls = self._calls.whole(cut=self._reason == "length")
        named = [it for it in calls if it.name]
        known = {it.arguments for it in named}
        return named, any(it.arguments not in known for it in calls if not it.name)

    def finish(self) -> Finish:
        reason = reason_of(self._reason or "stop")
        if any(self._refusal):
            reason = "content_filter"
        elif reason == "stop" and self._whole_calls()[0]:
            reason = "tool_calls"
        return Finish(reason=reason, raw=self._raw_reason)


class Responses(OpenAI):
    """OpenAI's Responses API, or a server that speaks it; `base_url` ends before `/responses`."""

    def chat_path(self) -> str:
        return "/responses"

    def body(self, request: ChatRequest) -> dict[str, object]:
        return body_of(request, self.given)

    def reply(self) -> Reply:
        return ResponsesReply()
