"""Events to the message they make. Pure; deltas in, one whole out.

An event that `voids` what came before drops it.
"""

from __future__ import annotations

from chatstream import events as ev
from chatstream.messages import Message, ToolCall


class Accumulator:
    """Add every event of a run in order; read the fields at any time."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self.usage: ev.Usage | None = None
        self.terminal: ev.Terminal | None = None

    def add(self, event: ev.Event) -> None:
        """Take the next event."""
        match event:
            case ev.Content(delta=delta):
                self._content.append(delta)
            case ev.Reasoning(delta=delta):
                self._reasoning.append(delta)
            case ev.ToolCall(id=call_id, name=name, arguments=arguments):
                self._calls.append(ToolCall(call_id, name, arguments))
            case ev.Usage():
                self.usage = event
            case ev.Done() | ev.Error():
                self.terminal = event
            case _ if ev.voids(event):
                self._content.clear()
                self._reasoning.clear()
                self._calls.clear()
                self.usage = None

    @property
    def message(self) -> Message:
        """The answer so far; `complete` once `done` has come."""
        return Message(
            "assistant",
            "".join(self._content),
            "".join(self._reasoning),
            list(self._calls),
            complete=isinstance(self.terminal, ev.Done),
        )
