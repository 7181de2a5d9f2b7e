"""The loop: the model answers, its calls are run, it is asked again with their results.

1. It is an `Open` around the one that asks the model. It swallows a `Finish` that asks for calls,
   runs them, and opens again with the answer exactly as it came and the results behind it. Every
   other end is the end of the run.
2. A round is atomic. The conversation grows only once every call of it has a result, so a failure
   in the middle leaves a conversation that every server takes.
3. Ids of calls are unique in the run. The server's own stays where it gives one that is new.
4. The model has to come to an end when a limit is reached (`Limits`), or when it makes the same
   call with the same arguments `SAME_CALLS` times, the last of which is not run. It is asked once
   more, and has to answer in words. If it still calls tools, the run fails.
5. A turn that the server has paused is sent back as it is, and goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError
from chatstream.flow import Arrival, Finish, Open, close
from chatstream.messages import ChatRequest, Message, own_id
from chatstream.tools.calls import Pending, canonical
from chatstream.transcript import Transcript, UsageSum
from chatstream.wording import counted

SAME_CALLS = 3
"""The loop ends when the same call is made for this time; that one is not run."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When the model has to come to an end. None is no limit. `tokens` are those in and out.

    What a run that continues another has settled before counts, but for its tokens.
    """

    rounds: int | None = 20
    calls: int | None = None
    tokens: int | None = None


class Runs(Protocol):
    """Runs the calls of one response."""

    dry_run: bool
    """Nothing is run: `run` only says what would be."""

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        """What becomes of these calls. Each ends with a `tool_complete` or a `tool_error`."""

    def close(self) -> None:
        """Let go of everything. Idempotent."""


class Begun(msgspec.Struct, frozen=True):
    """What an earlier run has of this loop.

    `messages` are those of the settled rounds. `response` are the events of the response whose
    calls are open, their fates included, and `calls` these calls.
    """

    messages: Sequence[Message] = ()
    response: Sequence[ev.Event] = ()
    calls: Sequence[Pending] = ()


class TooManyCalls(ChatstreamError):
    """The model had to come to an end and did not."""

    code = "tool_limit"
    hint = "raise the limit with --max-rounds, --max-calls or --token-budget"


def loop(source: Open, runner: Runs, limits: Limits, begun: Begun | None = None) -> Open:
    """`source`, with the calls of its model run, until it has answered."""
    return lambda request, token: _Loop(source, runner, limits, begun or Begun()).run(
        request, token
    )


class _Loop:
    def __init__(self, source: Open, runner: Runs, limits: Limits, begun: Begun) -> None:
        self._source = source
        self._runner = runner
        self._limits = limits
        self._begun = begun
        self._made = Transcript()  # by the response under way and the fates of its calls
        self._usage = UsageSum()
        self._finish: Finish | None = None
        self._ids = _Ids()
        self._rounds = self._calls = 0
        self._same: Counter[tuple[str, str]] = Counter()
        self._why_last: str | None = None  # the model has to come to an end

    def run(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        try:
            yield from self._run(request, token)
        finally:
            self._runner.close()

    def _run(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        begun = self._begun
        for message in (*request.messages, *begun.messages):
            self._recall(message)
        for pending in begun.calls:
            self._ids.note(pending.call.id)
        for message in begun.messages:
            self._count_settled(message)
        request = replace(request, messages=(*request.messages, *begun.messages))
        calls = self._admit(begun.calls)
        if not calls:
            yield from self._warned()
        for event in begun.response:
            self._made.add(event)
        while True:
            if not calls:
                yield from self._ask(request, token)
                finish = self._finish
                if finish is None:
                    return  # it broke off, and `seal` says so
                made = self._made.message
                if finish.reason == "paused" and not self._why_last:
                    request = self._next(request, [made])
                    self._count_round()
                    continue
                if finish.reason != "tool_calls":
                    yield Arrival([finish])
                    return
                called = self._called()
                if not called:  # some servers say so all the same; nothing else would follow
                    yield Arrival([replace(finish, reason="stop")])
                    return
                if self._why_last is not None:
                    raise TooManyCalls(f"the model still calls tools: {self._why_last}")
                calls = self._admit([Pending(it) for it in called])
            for arrival in self._runner.run(calls, token):
                for event in arrival.events:
                    self._made.add(event)
                    self._usage.add(event)
                yield arrival
            if self._runner.dry_run:
                yield Arrival([self._finish or Finish(reason="tool_calls")])
                return
            request = self._next(request, self._made.messages)
            calls = []
            self._count_round()
            yield from self._warned()

    def _warned(self) -> Iterator[Arrival]:
        """Say that the model has to come to an end, if it has."""
        if self._why_last is not None:
            words = f"{self._why_last}; the model is asked to answer without tools"
            yield Arrival([ev.Warn("tool_limit", words)])

    def _ask(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        """One response of the model; its `Finish` is kept back."""
        self._made, self._finish = Transcript(), None
        self._ids.begin()
        request = replace(request, may_call=self._why_last is None)
        arrivals = self._source(request, token)
        try:
            for arrival in arrivals:
                events = arrival.events
                if events and type(last := events[-1]) is Finish:
                    self._finish = last
                    events.pop()
                for event in events:
                    if isinstance(event, ev.ToolCallDelta | ev.ToolCall):
                        is_whole = isinstance(event, ev.ToolCall)
                        event.id = self._ids.unique(event.id, is_whole=is_whole)
                    self._made.add(event)
                    self._usage.add(event)
                yield arrival
                if self._finish is not None:
                    break
        finally:
            close(arrivals)

    def _called(self) -> list[ev.ToolCall]:
        return [ev.ToolCall(it.id, it.name, it.arguments) for it in self._made.message.tool_calls]

    def _next(self, request: ChatRequest, made: Sequence[Message]) -> ChatRequest:
        return replace(
            request, messages=(*request.messages, *made), partial="", method=None, stream_id=None
        )

    def _admit(self, calls: Sequence[Pending]) -> list[Pending]:
        """The calls, those that pass a limit refused. What an earlier run has started is not."""
        admitted = []
        for pending in calls:
            self._calls += 1
            key = (pending.call.name, canonical(pending.call.arguments))
            self._same[key] += 1
            refused = None
            if pending.started is None and pending.ended is None:
                if self._limits.calls is not None and self._calls > self._limits.calls:
                    refused = f"the limit of {counted(self._limits.calls, 'call')} is reached"
                elif self._same[key] >= SAME_CALLS:
                    refused = (
                        f"{pending.call.name} was called {SAME_CALLS} times with the same arguments"
                    )
            self._why_last = self._why_last or refused
            admitted.append(replace(pending, refused=refused))
        return admitted

    def _count_settled(self, message: Message) -> None:
        """Rounds and calls of an earlier run count, and so does what it asked again and again."""
        if message.tool_calls:
            self._calls += len(message.tool_calls)
            self._same.update((it.name, canonical(it.arguments)) for it in message.tool_calls)
            self._count_round()

    def _count_round(self) -> None:
        self._rounds += 1
        limits, usage = self._limits, self._usage.total
        used = (usage.input_tokens or 0) + (usage.output_tokens or 0) if usage else 0
        if self._why_last is not None:
            return
        if limits.rounds is not None and self._rounds >= limits.rounds:
            self._why_last = f"the limit of {counted(limits.rounds, 'round')} is reached"
        elif limits.tokens is not None and used >= limits.tokens:
            self._why_last = f"the budget of {counted(limits.tokens, 'token')} is used up"
        elif limits.calls is not None and self._calls >= limits.calls:
            self._why_last = f"the limit of {counted(limits.calls, 'call')} is reached"

    def _recall(self, message: Message) -> None:
        for call in message.tool_calls:
            self._ids.note(call.id)


class _Ids:
    """The ids of the calls of a run, each once."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._own = 0
        self._of_response: dict[str, str] = {}  # the id that the server gives -> ours

    def begin(self) -> None:
        """Another response begins."""
        self._of_response = {}

    def note(self, call_id: str) -> None:
        """This id was used before."""
        self._used.add(call_id)

    def unique(self, given: str, *, is_whole: bool) -> str:
        """The id of a call that its server calls `given`.

        `is_whole`: nothing follows of this call. If its id comes again, that is another call.
        """
        chosen = self._of_response.get(given)
        if chosen is None:
            chosen = given
            while not chosen or chosen in self._used:
                self._own += 1
                chosen = own_id(self._own)
            self._used.add(chosen)
            self._of_response[given] = chosen
        if is_whole:
            del self._of_response[given]
        return chosen
