"""Claimed: a call goes to the caller's orchestrator as the model made it, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import UsageError
from chatstream.events import ToolCall
from chatstream.messages import ToolDefinition
from chatstream.tools.handed import handed, is_definition
from chatstream.tools.tool import Context, InvalidArguments, Tool

WEATHER = ToolDefinition("weather", "Tell the weather.", {"type": "object"})


class Strict(Tool):
    """Takes nothing, and must not be run."""

    effect = "read"
    closed = 0

    def check(self, arguments: dict[str, Any]) -> None:
        if arguments:
            raise InvalidArguments("it takes nothing")

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        raise AssertionError("its call is handed on")

    def close(self) -> None:
        self.closed += 1


def context(call_id: str) -> Context:
    return Context(
        call_id, CancelToken(), lambda _: None, lambda *_: None, lambda _: None, lambda: None
    )


def test_a_call_is_handed_on_with_its_id_and_arguments_and_the_answer_is_the_result() -> None:
    calls: list[ToolCall] = []

    def execute(call: ToolCall) -> object:
        calls.append(call)
        return {"degrees": 21}

    (made,) = handed([], [WEATHER], execute)
    assert made.definition == WEATHER
    assert made.origin == "caller"
    assert made.run({"city": "Rōma"}, context("c1")) == {"degrees": 21}
    (call,) = calls
    assert (call.id, call.name) == ("c1", "weather")
    assert json.loads(call.arguments) == {"city": "Rōma"}


def test_what_the_orchestrator_raises_is_the_failure_of_the_call() -> None:
    def execute(call: ToolCall) -> object:
        raise LookupError(call.name)

    (made,) = handed([], [WEATHER], execute)
    with pytest.raises(LookupError, match="weather"):
        made.run({}, context("c1"))


def test_an_orchestrator_may_be_a_coroutine_function() -> None:
    async def execute(call: ToolCall) -> str:
        return call.name

    (made,) = handed([], [WEATHER], execute)
    assert made.run({}, context("c1")) == "weather"


def test_a_tool_still_checks_its_arguments_and_is_closed_but_not_run() -> None:
    own = Strict("own", "Does it.", {"type": "object"})
    (made,) = handed([own], [], lambda call: call.id)
    assert (made.name, made.effect) == ("own", "read")
    with pytest.raises(InvalidArguments):
        made.check({"a": 1})
    made.check({})
    assert made.run({}, context("c2")) == "c2"
    made.close()
    assert own.closed == 1


def test_a_dict_defines_a_tool() -> None:
    given = {"name": "weather", "description": "Tell the weather.", "parameters": {}}
    (made,) = handed([], [given], lambda _: None)
    assert made.definition == ToolDefinition("weather", "Tell the weather.", {})
    assert [is_definition(it) for it in (given, WEATHER, made, print)] == [True, True, False, False]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "a"},
        {"name": 5, "description": "b", "parameters": {}},
        {"name": "a", "description": "b", "parameters": []},
        {"name": "a b", "description": "b", "parameters": {}},
    ],
    ids=str,
)
def test_what_defines_no_tool_is_a_usage_error(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        handed([], [given], lambda _: None)
