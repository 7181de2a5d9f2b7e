"""Tool calls out of fragments.

Servers disagree on how a fragment names its call (WIRE, tool-call assembly):

1. The index says which call; where it is missing the id does, and else it is the last call. An id
   that another call has already is that call, whatever the index.
2. A fragment with another name begins a new call. So does one that repeats the name with another
   id, or with arguments and no id at all, where the arguments so far are a whole JSON text or have
   not begun. An id that changes without that is the same call: some servers make one up for each
   chunk.
3. The first id and the first name that are not empty win; repeats are not appended.
4. Arguments are appended and never parsed before the end; none at all are `{}`.
5. A fragment without an id, a name or arguments that belongs to no call begins none.

In a history, servers refuse arguments that are no JSON object. What the model wrote instead is sent
as the one value of an object, under `INVALID_JSON`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatstream import messages
from chatstream.events import ToolCall, ToolCallDelta
from chatstream.messages import own_id
from chatstream.providers.lenient import json_text, value_of
from chatstream.providers.text import whole_characters


class _Open:
    """A call while its fragments come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.default = "{}"
        self.given: dict[str, Any] | None = None

    @property
    def may_be_over(self) -> bool:
        """Whether its arguments are whole, or have not begun."""
        text = "".join(self.arguments).strip()
        if not text:
            return True
        if text[-1] not in "}]":
            return False
        try:
            value_of(text)
        except ValueError:
            return False
        return True


class ToolCalls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def start(
        self,
        index: int,
        call_id: str,
        name: str,
        arguments: object,
        given: dict[str, Any] | None = None,
    ) -> None:
        """A call that announces itself; `arguments` hold unless fragments come.

        `given` goes back with the call.
        """
        call = self._new(index)
        call.id, call.name, call.given = whole_characters(call_id), whole_characters(name), given
        if arguments:
            call.default = json_text(arguments)

    def add(
        self,
        index: int | None,
        call_id: str,
        name: str,
        arguments: object,
        t: float,
        given: dict[str, Any] | None = None,
    ) -> ToolCallDelta | None:
        """One fragment, as an event; None if it holds nothing. `given` goes back with the call."""
        if arguments is not None and not isinstance(arguments, str):
            arguments = json_text(arguments)
        delta = arguments or ""
        call_id, name = whole_characters(call_id), whole_characters(name)
        call = self._find(index, call_id, name, delta)
        if call is None:
            if not (call_id or name or delta):
                return None
            call = self._new(index)
        call.id = call.id or call_id
        call.name = call.name or name
        call.given = call.given or given
        call.arguments.append(delta)
        return ToolCallDelta(call.id or own_id(call.number), call.name, delta, t=t)

    def whole(self, *, cut: bool) -> list[ToolCall]:
        """All calls. `cut`: the answer hit its token limit, so an empty text is no `{}`."""
        return [
            ToolCall(
                call.id or own_id(call.number),
                call.name,
                whole_characters("".join(call.arguments)) or ("" if cut else call.default),
                call.given,
            )
            for call in self._calls
        ]

    def _find(self, index: int | None, call_id: str, name: str, delta: str) -> _Open | None:
        """The call that a fragment belongs to; None if it begins one."""
        if call_id:
            known = next((call for call in self._calls if call.id == call_id), None)
            if known is not None:
                return known
        if index is not None:
            call = self._by_index.get(index)
        elif call_id and name:
            call = None
        else:
            call = self._calls[-1] if self._calls else None
        if call is None or not name or not call.name:
            return call
        if name != call.name:
            return None
        another_id = bool(call_id and call.id)
        repeated = not call_id and not call.id and bool(delta and "".join(call.arguments))
        return None if (another_id or repeated) and call.may_be_over else call

    def _new(self, index: int | None) -> _Open:
        call = _Open(len(self._calls) + 1)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call


def arguments_of(call: messages.ToolCall) -> dict[str, Any]:
    """The arguments of a call in a history, as servers take them."""
    arguments = _object_in(call.arguments)
    return {"INVALID_JSON": call.arguments} if arguments is None else arguments


def arguments_text(call: messages.ToolCall) -> str:
    """The same as JSON text: the model's own wherever servers take it."""
    if call.arguments.strip() and _object_in(call.arguments) is not None:
        return call.arguments
    return json_text(arguments_of(call))


def _object_in(text: str) -> dict[str, Any] | None:
    try:
        value = value_of(text if text.strip() else "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def functions_of(tools: Iterable[messages.ToolDefinition]) -> list[dict[str, Any]]:
    """Tools as OpenAI and Ollama take them."""
    return [
        {
            "type": "function",
            "function": {
                "name": it.name,
                "description": it.description,
                "parameters": it.parameters,
            },
        }
        for it in tools
    ]
