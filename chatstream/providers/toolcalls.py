"""Tool calls out of fragments.

Servers disagree on how a fragment names its call (WIRE, tool-call assembly):

1. The index says which call; where it is missing the id does, and else it is the last call.
2. The same index with another id, or another name, is a new call.
3. The first id and the first name that are not empty win; repeats are not appended.
4. Arguments are appended and never parsed before the end; none at all are `{}`.
"""

from __future__ import annotations

from chatstream.events import ToolCall, ToolCallDelta
from chatstream.providers.lenient import json_text
from chatstream.providers.text import whole_characters


class _Open:
    """A call while its fragments come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.default = "{}"


class ToolCalls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def start(self, index: int, call_id: str, name: str, arguments: object) -> None:
        """A call that announces itself; `arguments` hold unless fragments come."""
        call = self._new(index)
        call.id, call.name = whole_characters(call_id), whole_characters(name)
        if arguments:
            call.default = json_text(arguments)

    def add(
        self,
        index: int | None,
        call_id: str,
        name: str,
        arguments: object,
        t: float,
    ) -> ToolCallDelta:
        """One fragment, as the event that tells of it."""
        call = self._find(index, call_id, name)
        call.id = call.id or whole_characters(call_id)
        call.name = call.name or whole_characters(name)
        if arguments is not None and not isinstance(arguments, str):
            arguments = json_text(arguments)
        delta = arguments or ""
        call.arguments.append(delta)
        return ToolCallDelta(call.id or f"call_{call.number}", call.name, delta, t=t)

    def whole(self, *, cut: bool) -> list[ToolCall]:
        """All calls. `cut`: the answer hit its token limit, so an empty text is no `{}`."""
        return [
            ToolCall(
                call.id or f"call_{call.number}",
                call.name,
                whole_characters("".join(call.arguments)) or ("" if cut else call.default),
            )
            for call in self._calls
        ]

    def _find(self, index: int | None, call_id: str, name: str) -> _Open:
        if index is not None:
            call = self._by_index.get(index)
        elif call_id:
            call = next((c for c in self._calls if c.id == call_id), None)
        else:
            call = self._calls[-1] if self._calls else None
        if (
            call is None
            or (call_id and call.id and call_id != call.id)
            or (name and call.name and name != call.name)
        ):
            return self._new(index)
        return call

    def _new(self, index: int | None) -> _Open:
        call = _Open(len(self._calls) + 1)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call
