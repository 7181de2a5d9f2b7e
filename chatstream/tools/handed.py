"""Tools whose calls are handed to the caller's own orchestrator, which returns the results.

1. Arguments are checked as ever before a call is handed on.
2. What the orchestrator returns is the result, and what it raises is the failure of the call. It is
   called on the thread of the call, and may be a coroutine function. What else it does cannot be
   stopped, which is said where it happens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

import msgspec

from chatstream.errors import UsageError
from chatstream.events import ToolCall
from chatstream.messages import ToolDefinition
from chatstream.tools.functions import finished
from chatstream.tools.tool import Context, Tool

Execute = Callable[[ToolCall], object]


class Handed(Tool):
    """A tool of this definition. `tool` checks the arguments, if there is one."""

    def __init__(
        self, definition: ToolDefinition, execute: Execute, tool: Tool | None = None
    ) -> None:
        super().__init__(definition.name, definition.description, definition.parameters)
        self._execute = execute
        self._tool = tool
        if tool is not None:
            self.effect = tool.effect

    def check(self, arguments: dict[str, Any]) -> None:
        if self._tool is not None:
            self._tool.check(arguments)

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        text = json.dumps(arguments, ensure_ascii=False)
        return finished(self._execute(ToolCall(context.call_id, self.name, text)), context)

    def close(self) -> None:
        if self._tool is not None:
            self._tool.close()


def is_definition(given: object) -> TypeGuard[ToolDefinition | Mapping[str, Any]]:
    """Whether this defines a tool without having its code."""
    return isinstance(given, ToolDefinition | Mapping)


def handed(
    tools: Iterable[Tool],
    definitions: Iterable[ToolDefinition | Mapping[str, Any]],
    execute: Execute,
) -> list[Tool]:
    """These tools and definitions, their calls handed to `execute`. Raises `UsageError`."""
    own = [Handed(it.definition, execute, it) for it in tools]
    return [*own, *(Handed(_definition(it), execute) for it in definitions)]


def _definition(given: ToolDefinition | Mapping[str, Any]) -> ToolDefinition:
    if isinstance(given, ToolDefinition):
        return given
    try:
        return msgspec.convert(given, ToolDefinition)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"a tool is not valid: {error}",
            hint="it has a name, a description, and the JSON Schema of its parameters",
        ) from error
