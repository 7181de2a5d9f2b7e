"""Events to the messages they make. Pure; deltas in, whole messages out.

1. The parts of a message stand in the order they came. A call stands where its arguments began.
2. A round of tools is settled by its results: an assistant's message with the calls, a message of
   the tools with the results in the order of the calls. What follows is the next message. A
   result is foreign if the start of its call is.
3. An event that `voids` what came before drops what came since the last settled round; nothing
   else drops anything.
4. A response begins with `metadata`. Its last `usage` holds, and those of all responses add up.
5. What a server gave with a part is kept with the name of the server. An answer that was continued
   by another response keeps nothing of it with its reasoning: it fits neither of the two any more.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.messages import (
    Message,
    Part,
    ProviderData,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)


class Answerer(msgspec.Struct, frozen=True):
    """Who answers, as `metadata` names it."""

    provider: str | None = None
    model: str | None = None
    base_url: str | None = None

    def then(self, event: ev.Metadata) -> Answerer:
        """Who answers after this event; what it leaves out has not changed."""
        return Answerer(
            event.provider or self.provider,
            event.model or self.model,
            event.base_url if event.provider else self.base_url,
        )


class UsageSum:
    """The usage of a run, of its responses together. Add every event but deltas, in order."""

    def __init__(self) -> None:
        self._floor: ev.Usage | None = None  # of the rounds that are settled
        self._before: ev.Usage | None = None  # the floor, and the responses since
        self._now: ev.Usage | None = None  # of the response under way

    def add(self, event: ev.Event) -> None:
        """Take the next event."""
        match event:
            case ev.Usage():
                self._now = event
            case _ if ev.voids(event):
                self._before, self._now = self._floor, None
            case ev.Metadata():
                self._before, self._now = self.total, None
            case ev.ToolComplete() | ev.ToolError():
                self._before = self._floor = self.total
                self._now = None

    @property
    def last(self) -> ev.Usage | None:
        """The counts of the last response; None if its server did not send them."""
        return self._now

    @property
    def total(self) -> ev.Usage | None:
        """The counts so far; None before the first. A count that no response gave is None."""
        given = [it for it in (self._before, self._now) if it is not None]
        return _sum(*given) if len(given) == 2 else next(iter(given), None)


def _sum(one: ev.Usage, other: ev.Usage) -> ev.Usage:
    total = replace(other)
    for name in ev.Counts.__struct_fields__:
        counts = [it for it in (getattr(one, name), getattr(other, name)) if it is not None]
        setattr(total, name, sum(counts) if counts else None)
    return total


class Transcript:
    """Add every event of a run in order; read the fields at any time."""

    def __init__(self) -> None:
        self._settled: list[Message] = []
        self._who = Answerer()
        self._usage = UsageSum()
        self.terminal: ev.Terminal | None = None
        self.left_out = 0  # messages that were not sent
        self._begin()

    def _begin(self) -> None:
        """A message that has nothing yet."""
        self._parts: list[Part] = []
        self._kind: type[Text] | type[Reasoning] = Text  # of the part that is being written
        self._deltas: list[str] = []  # of that part
        self._calls: dict[str, int] = {}  # those that are being written: where they stand
        self._results: dict[str, ToolResult] = {}
        self._foreign: set[str] = set()  # calls whose results others write
        self._is_continued = False

    def add(self, event: ev.Event) -> None:
        """Take the next event."""
        if type(event) is ev.Content:  # nearly every event
            if self._kind is Text and not self._results:
                self._deltas.append(event.delta)
            else:
                self._write(Text, event.delta)
            return
        if type(event) is ev.Reasoning:
            self._write(Reasoning, event.delta)
            return
        match event:
            case ev.ReasoningData(provider_data=data):
                self._sign(data)
            case ev.ToolCallDelta(id=call_id, name=name):
                if call_id not in self._calls:
                    self._append(ToolCall(call_id, name, ""))
                    self._calls[call_id] = len(self._parts) - 1
            case ev.ToolCall(id=call_id, name=name, arguments=arguments):
                call = ToolCall(call_id, name, arguments, self._given(event.provider_data))
                if (place := self._calls.pop(call_id, None)) is None:
                    self._append(call)
                else:
                    self._parts[place] = call
            case ev.ToolStart(id=call_id, foreign=True):
                self._foreign.add(call_id)
            case ev.ToolComplete(result=result):
                self._end(event, result)
            case ev.ToolError(error=error, result=result):
                self._end(event, error if result is None else result)
            case ev.Context():
                self.left_out = event.left_out
            case ev.Done() | ev.Error():
                self.terminal = event
            case _ if ev.voids(event):
                self._settle()
                self._begin()
            case ev.Metadata():
                self._settle()
                self._who = self._who.then(event)
                self._is_continued = bool(self._parts or self._written())
        self._usage.add(event)

    def _end(self, end: ev.CallEnd, given: str) -> None:
        """The model is given this as the result of a call."""
        foreign, is_error = end.id in self._foreign, isinstance(end, ev.ToolError)
        self._results[end.id] = ToolResult(end.id, end.name, given, is_error, foreign)

    def _write(self, kind: type[Text] | type[Reasoning], delta: str) -> None:
        if kind is not self._kind or self._results:
            self._close()
            self._kind = kind
        self._deltas.append(delta)

    def _append(self, part: Part) -> None:
        self._close()
        self._parts.append(part)

    def _close(self) -> None:
        """End the part that is being written; after results, begin a new message."""
        self._settle()
        self._parts += self._written()
        self._deltas = []

    def _written(self) -> list[Part]:
        """The part that is being written, if it has any text."""
        text = "".join(self._deltas)
        return [self._kind(text)] if text else []

    def _settle(self) -> None:
        if self._results:
            self._settled = self.messages
            self._begin()

    def _sign(self, data: dict[str, Any]) -> None:
        """Keep what came with the reasoning that was just written, be it without text."""
        given = self._given(data)
        if given is None or self._is_continued:
            return
        self._close()
        for place in reversed(range(len(self._parts))):
            part = self._parts[place]
            if isinstance(part, Reasoning) and part.provider_data is None:
                self._parts[place] = Reasoning(part.text, given)
                return
        self._parts.append(Reasoning("", given))

    def _given(self, data: dict[str, Any] | None) -> ProviderData | None:
        if data is None or self._who.provider is None:
            return None
        return ProviderData(self._who.provider, data, self._who.base_url)

    @property
    def message(self) -> Message:
        """The answer so far, after the last settled round; `complete` once `done` has come."""
        unfinished = set(self._calls.values())
        parts = [part for place, part in enumerate(self._parts) if place not in unfinished]
        parts += self._written()
        if self._is_continued:
            parts = [it for it in map(_bare, parts) if it != Reasoning("")]
        whole = bool(self._results) or isinstance(self.terminal, ev.Done)
        return Message("assistant", parts, complete=whole)

    @property
    def messages(self) -> list[Message]:
        """All that the run made: for each round of tools two messages, and the answer."""
        answer = self.message
        results = [self._results[it.id] for it in answer.tool_calls if it.id in self._results]
        return [*self._settled, answer, *([Message("tool", results)] if results else [])]

    @property
    def messages_to_the_answer(self) -> list[Message]:
        """These messages, with an empty answer if the run ended after a round of tools."""
        made = self.messages
        is_there = made[-1].role == "assistant"
        return made if is_there else [*made, Message("assistant", complete=False)]

    @property
    def usage(self) -> ev.Usage | None:
        """The counts of all responses together."""
        return self._usage.total

    @property
    def last_usage(self) -> ev.Usage | None:
        """The counts of the last response alone."""
        return self._usage.last


def _bare(part: Part) -> Part:
    """The part without what a server gave with its reasoning."""
    return Reasoning(part.text) if isinstance(part, Reasoning) else part
