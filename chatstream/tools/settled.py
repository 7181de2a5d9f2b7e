"""What the events of an earlier run say about its loop, for the run that continues it. Pure.

1. A response of the model and the fates of its calls are a round. The round is settled once every
   call has an end: then its messages are sent as they are, and none of its calls runs again.
2. A response with calls is known to be whole only once a fate of one of its calls is there. Before
   that nothing was started, so its events are dropped, and the round is asked again.
3. A round between the two is open: its calls are seen to before the model is asked (`Begun`). So no
   call that was started is forgotten.
4. `replayed` are the events that the next journal begins with, so that it stands alone: with these,
   and `partial` behind them, that journal says the same as this one. They leave out what changes
   nothing in that: pieces of calls, progress, usage, and the output of calls that have ended.
5. An answer without calls that broke off is `partial`, and the server is asked to continue it.
   `replayed` then ends with who wrote it, unless it is all that there was.
6. What a server gave with a part of a round stays with it, and so does the name of the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.messages import Message, Reasoning, Text, ToolCall
from chatstream.tools.calls import Pending
from chatstream.tools.loop import Begun
from chatstream.transcript import Answerer, Transcript


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to go on from. `partial` is an empty message where no text broke off."""

    begun: Begun
    replayed: list[ev.Event]
    partial: Message


def settled(events: Iterable[ev.Event]) -> Settled:
    """What a run has settled, from all events of its journal, in order."""
    rounds: list[_Round] = []
    now = _Round(Answerer())
    for event in events:
        if now.fates and (isinstance(event, ev.Metadata) or ev.voids(event)):
            rounds.append(now)
            now = _Round(now.who)
        elif ev.voids(event):
            now = _Round(now.who)
        now.add(event)
    if now.fates:
        rounds.append(now)
        now = _Round(now.who)
    is_open = bool(rounds) and not rounds[-1].is_settled
    response = rounds[-1].events() if is_open else []
    partial, tail = Message("assistant", complete=False), list[ev.Event]()
    text = "" if now.calls else now.message.content
    if text.strip():
        partial = Message.plain("assistant", text, now.message.reasoning, complete=False)
        tail = [_metadata(now.wrote)] if rounds else []
    done = rounds[:-1] if is_open else rounds
    return Settled(
        begun=Begun(
            messages=[message for its in done for message in its.messages],
            response=response,
            calls=list(rounds[-1].pending()) if is_open else [],
        ),
        replayed=[*(event for its in done for event in its.events()), *response, *tail],
        partial=partial,
    )


class _Round:
    """A response of the model, and the fates of its calls."""

    def __init__(self, who: Answerer) -> None:
        self.who = who  # answers now
        self.wrote = who  # wrote what there is
        self.calls = False  # one has at least begun
        self.fates: list[ev.Fate] = []
        self._made = Transcript()
        self._made.add(_metadata(who))

    def add(self, event: ev.Event) -> None:
        """Take the next event."""
        self._made.add(event)
        match event:
            case ev.Metadata():
                self.who = self.who.then(event)
            case ev.Content() | ev.Reasoning():
                self.wrote = self.who
            case ev.ToolCall() | ev.ToolCallDelta():
                self.wrote = self.who
                self.calls = True
            case _ if isinstance(event, ev.Fate):
                self.fates.append(event)

    @property
    def message(self) -> Message:
        return self._made.message

    @property
    def messages(self) -> list[Message]:
        return self._made.messages

    @property
    def is_settled(self) -> bool:
        return self._ended >= {it.id for it in self.message.tool_calls}

    @property
    def _ended(self) -> set[str]:
        return {it.id for it in self.fates if isinstance(it, ev.CallEnd)}

    def pending(self) -> Iterator[Pending]:
        """Its calls, each with what became of it."""
        for call in self.message.tool_calls:
            earlier = [it for it in self._kept() if it.id == call.id]
            yield Pending(ev.ToolCall(call.id, call.name, call.arguments), earlier=earlier)

    def events(self) -> list[ev.Event]:
        """The events that say all of it again."""
        return [_metadata(self.wrote), *_parts(self.message), *self._kept()]

    def _kept(self) -> Iterator[ev.Fate]:
        ended = self._ended
        for fate in self.fates:
            is_output = isinstance(fate, ev.ToolOutput) and fate.id in ended
            if not (is_output or isinstance(fate, ev.ToolProgress)):
                yield replace(fate, seq=-1, t=-1.0, stream=None, replayed=True)


def _metadata(who: Answerer) -> ev.Metadata:
    return ev.Metadata(provider=who.provider, model=who.model, base_url=who.base_url, replayed=True)


def _parts(message: Message) -> Iterator[ev.Event]:
    """The events that make this message."""
    for part in message.parts:
        match part:
            case Text(text=text):
                yield ev.Content(text, replayed=True)
            case Reasoning(text=text, provider_data=given):
                if text:
                    yield ev.Reasoning(text, replayed=True)
                if given is not None:
                    yield ev.ReasoningData(given.data, replayed=True)
            case ToolCall(id=call_id, name=name, arguments=arguments, provider_data=given):
                data = given.data if given is not None else None
                yield ev.ToolCall(call_id, name, arguments, data, replayed=True)
