"""Claimed: a tool has a name that every service takes; its context passes on what it says."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, UsageError
from chatstream.tools.tool import Context, InvalidArguments, Tool, ToolFailure


@pytest.mark.parametrize("name", ["a", "read_file", "a-b", "A1", "x" * 64])
def test_every_service_takes_the_name_of_a_tool(name: str) -> None:
    assert Tool(name, "d", {"type": "object"}).name == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a.b", "café", "a\n"])
def test_another_name_is_refused_and_the_rule_is_told(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tool(name, "d", {"type": "object"})
    assert caught.value.hint == "a name has 1 to 64 letters, digits, underscores and hyphens"


def test_a_tool_that_says_nothing_of_its_effect_may_change_something() -> None:
    tool = Tool("a", "d", {"type": "object"})
    assert (tool.effect, tool.confined) == ("write", False)


def test_a_failure_has_the_code_of_its_event() -> None:
    assert (ToolFailure("m").code, ToolFailure("m", code="c").code) == ("failed", "c")
    assert InvalidArguments("m").code == "invalid_arguments"


def test_a_context_passes_on_what_the_tool_says() -> None:
    said: list[Any] = []
    context = Context(
        "id",
        CancelToken(),
        said.append,
        lambda *how_far: said.append(how_far),
        lambda stages: said.append(list(stages)),
        lambda: said.append("next"),
    )
    context.output("text")
    context.progress(1, 2, "half")
    context.stages([("fetch", 1), ("index", 3)])
    context.next_stage()
    assert said == ["text", (1, 2, "half"), [("fetch", 1), ("index", 3)], "next"]


def test_a_context_knows_that_its_call_is_to_end() -> None:
    token = CancelToken()
    nothing = Context("id", token, lambda _: None, lambda *_: None, lambda _: None, lambda: None)
    assert not nothing.stopped
    token.cancel(Cancelled("stopped"))
    assert nothing.stopped
