"""What servers of the OpenAI dialect want back with an answer, gathered from its chunks.

1. `reasoning_content` goes back where the answer calls tools (DeepSeek refuses the next request
   without it, be it empty). Elsewhere it is no part of the next request.
2. `reasoning_details` (OpenRouter) come in pieces. Pieces of one type and index are one detail; an
   encrypted one is always whole. They go back where the answer calls tools, and where they hold
   more than the text: a signature, or encrypted reasoning.
3. `extra_content` with a signature (Gemini) goes back with the call or the message that had it.
"""

from __future__ import annotations

from typing import Any

from chatstream.events import Event, ReasoningData
from chatstream.providers.lenient import TOO_DEEP, list_of, object_of, sendable

_GROW = frozenset({"text", "summary"})  # fields of a detail that come in pieces


class GivenBack:
    """The fields of an answer's message that go back with it."""

    def __init__(self) -> None:
        self.reasoning_content: list[object] = []  # as the chunks had it, where it is not null
        self._details: list[_Detail] = []
        self._extra: dict[str, Any] = {}

    def take(self, details: object, extra_content: object) -> None:
        """Note these fields of one chunk."""
        for fields in map(object_of, list_of(details)):
            self._add(fields)
        if is_signed(extra_content):
            self._extra = object_of(extra_content)

    def _add(self, fields: dict[str, Any]) -> None:
        if not fields:
            return
        if not (self._details and self._details[-1].continues_with(fields)):
            self._details.append(_Detail())
        self._details[-1].add(fields)

    def events(self, *, with_calls: bool) -> list[Event]:
        """The event at the end of the answer, if there is anything to send back."""
        reasoning = [it for it in self.reasoning_content if isinstance(it, str)]
        details = [it.whole() for it in self._details]
        data: dict[str, Any] = {}
        if with_calls and reasoning:
            data["reasoning_content"] = "".join(reasoning)
        if details and (with_calls or any(it.get("signature") or it.get("data") for it in details)):
            data["reasoning_details"] = details
        if self._extra:
            data["extra_content"] = self._extra
        try:
            return [ReasoningData(provider_data=sendable(data))] if data else []
        except TOO_DEEP:
            return []


class _Detail:
    """One detail while its pieces come."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._pieces: dict[str, list[str]] = {}

    def continues_with(self, fields: dict[str, Any]) -> bool:
        own = self._fields
        return (
            own.get("type") != "reasoning.encrypted"
            and own.get("type") == fields.get("type")
            and own.get("index") == fields.get("index")
        )

    def add(self, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            if name in _GROW and isinstance(value, str):
                self._fields.setdefault(name, None)  # keeps its place
                self._pieces.setdefault(name, []).append(value)
            elif value is not None or name not in self._fields:
                self._fields[name] = value

    def whole(self) -> dict[str, Any]:
        return self._fields | {name: "".join(it) for name, it in self._pieces.items()}


def is_signed(extra_content: object) -> bool:
    """Whether an `extra_content` has a signature, of whichever of Google's services it is."""
    services = map(object_of, object_of(extra_content).values())
    return any(it.get("thought_signature") for it in services)
