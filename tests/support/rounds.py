"""A loop of tools in memory: a model that answers from the results it is given, and a runner that
counts what it starts.

    run = Looped(Model([[Ask("a", "add", '{"n": 1}')], …]), Counting())
    events = run.events()
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.flow import Arrival, Finish, close, events_in
from chatstream.messages import ChatRequest, Message, ToolResult
from chatstream.tools.calls import Pending
from chatstream.tools.loop import Begun, Limits, Runs, loop
from chatstream.tools.settled import Settled, settled

QUESTION = Message("user", "count")
PROVIDER, BASE_URL = "anthropic", "http://there"
DONE = ev.Done(finish_reason="stop", stats=ev.Stats(0.0, 0), attempts=1)


@dataclass(frozen=True)
class Ask:
    """One call, as the model asks for it."""

    id: str
    name: str
    arguments: str = "{}"


ROUNDS = [
    [Ask("a", "add", '{"n": 1}'), Ask("b", "look", '{"at": "x"}')],
    [Ask("c", "add", '{"n": 2}')],
]
READS = frozenset({"look"})


@dataclass
class Model:
    """Asks for the calls of a round after the other, then answers with all results, joined."""

    rounds: Sequence[Sequence[Ask]]
    asked: list[ChatRequest] = field(default_factory=list)

    def __call__(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        self.asked.append(request)
        check_whole(request)
        results = [it for message in request.messages for it in results_of(message)]
        number = sum(bool(it.tool_calls) for it in request.messages)
        yield Arrival([answers()])
        if number == len(self.rounds):
            text = answer_of(it.content for it in results)[len(request.partial) :]
            yield Arrival([ev.Content(text[:3])])
            yield Arrival([ev.Content(text[3:])])
            yield Arrival([ev.Usage(output_tokens=3), Finish(reason="stop")])
            return
        yield Arrival([ev.Reasoning("so "), ev.Reasoning("many")])
        yield Arrival([ev.ReasoningData({"signature": f"s{number}"})])
        if number % 2:
            yield Arrival([ev.Content("I look. ")])
        for ask in self.rounds[number]:
            yield Arrival([ev.ToolCallDelta(ask.id, ask.name, ask.arguments[:1])])
            yield Arrival([ev.ToolCallDelta(ask.id, ask.name, ask.arguments[1:])])
            data = {"thought_signature": ask.id}
            yield Arrival([ev.ToolCall(ask.id, ask.name, ask.arguments, data)])
        yield Arrival([ev.Usage(output_tokens=5), Finish(reason="tool_calls")])


def answers(provider: str = PROVIDER, model: str = "m", base_url: str = BASE_URL) -> ev.Metadata:
    """Who answers."""
    return ev.Metadata(provider=provider, model=model, base_url=base_url)


def answer_of(results: Iterator[str]) -> str:
    """What the model says once it has all results."""
    return "counted: " + ", ".join(results)


def results_of(message: Message) -> list[ToolResult]:
    """The results in a message of tools."""
    return [it for it in message.parts if isinstance(it, ToolResult)]


def check_whole(request: ChatRequest) -> None:
    """Every call has its result in the next message, in the order of the calls."""
    for at, message in enumerate(request.messages):
        if message.tool_calls:
            following = request.messages[at + 1]
            assert [it.id for it in results_of(following)] == [it.id for it in message.tool_calls]
    ids = [call.id for message in request.messages for call in message.tool_calls]
    assert len(ids) == len(set(ids)), ids


@dataclass
class Counting:
    """Runs calls one after the other; `started` counts the starts of each, over all runs."""

    started: Counter[str] = field(default_factory=Counter)
    reads: frozenset[str] = frozenset()  # the tools whose effect is "read"
    dry_run: bool = False
    closed: int = 0

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        """Decide about all of them first, then run them."""
        open_calls = [it for it in calls if it.ended is None]
        lost = [it for it in open_calls if it.started and it.call.name not in self.reads]
        for pending in lost:
            call = pending.call
            unknown = ev.ToolError(
                call.id, call.name, "unknown", 0.0, outcome="unknown", code="interrupted"
            )
            yield Arrival([unknown])
        to_run = [it.call for it in open_calls if it not in lost]
        for call in to_run:
            yield Arrival([ev.Approval(call.id, call.name, decision="allow", by="rule")])
        for call in to_run:
            effect: ev.Effect = "read" if call.name in self.reads else "write"
            yield Arrival([ev.ToolStart(call.id, call.name, effect=effect)])
            self.started[call.id] += 1
            yield Arrival([ev.ToolOutput(call.id, call.name, f"{call.id} works\n")])
            yield Arrival([ev.ToolProgress(call.id, call.name, 50.0)])
            result = f"{call.name}({call.arguments})"
            yield Arrival([ev.ToolComplete(call.id, call.name, result, 0.1)])

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def looped(
    model: Model, runner: Runs, begun: Begun | None = None, partial: str = ""
) -> Iterator[ev.Event]:
    """The events of a loop, one after the other; the signal at its end too."""
    request = ChatRequest(model="m", messages=(QUESTION,), partial=partial)
    return events_in(loop(model, runner, Limits(), begun)(request, CancelToken()))


def stamped(events: Sequence[ev.Event], run: str = "20260101-000000-000000-abcd") -> list[ev.Event]:
    """These events behind the one that opens a run, numbered."""
    opening = replace(answers(), version=1, run=run, started_at="2026-01-01T00:00:00.000Z")
    numbered = [opening, *events]
    for seq, event in enumerate(numbered):
        event.seq, event.t = seq, seq / 100
    return numbered


def whole_run(rounds: Sequence[Sequence[Ask]] = ROUNDS) -> list[ev.Event]:
    """The events of a loop that was not disturbed."""
    events = [it for it in looped(Model(rounds), Counting(reads=READS)) if type(it) is not Finish]
    return stamped([*events, copy.copy(DONE)])


def begins(found: Settled) -> list[ev.Event]:
    """What the next journal begins with."""
    partial = found.partial
    events: list[ev.Event] = list(map(copy.copy, found.replayed))
    if partial.reasoning:
        events.append(ev.Reasoning(partial.reasoning))
    if partial.content:
        events.append(ev.Content(partial.content))
    return stamped(events)


def continued(
    cut: Sequence[ev.Event],
    runner: Counting,
    most: int | None = None,
    rounds: Sequence[Sequence[Ask]] = ROUNDS,
) -> list[ev.Event]:
    """The journal of the run that continues what was cut; it is cut itself after `most` events."""
    found = settled(cut)
    kept = begins(found)
    source = looped(Model(rounds), runner, found.begun, found.partial.content)
    for number, event in enumerate(source):
        if number == most:
            close(source)
            return kept
        if type(event) is not Finish:
            event.seq, event.t = kept[-1].seq + 1, kept[-1].t
            kept.append(event)
    end = copy.copy(DONE)
    end.seq, end.t = kept[-1].seq + 1, kept[-1].t
    return [*kept, end]
