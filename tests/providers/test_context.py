"""Claimed: what a prompt takes is known about, and a prompt that was cut in silence is noticed."""

from __future__ import annotations

import pytest

from chatstream.messages import (
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from chatstream.providers.context import size_of, window_in


def test_text_calls_and_results_count_in_bytes_and_thinking_does_not() -> None:
    said = Message("assistant", [Reasoning("hidden"), Text("é"), ToolCall("1", "look", "{}")])
    assert size_of([said]) == 2 + 4 + 2
    assert size_of([Message("tool", [ToolResult("1", "look", "abc", False, False)])]) == 3
    assert size_of([], [ToolDefinition("look", "Look.", {"type": "object"})]) > 20


@pytest.mark.parametrize(
    "name",
    ["max_model_len", "max_input_tokens", "context_length", "context_window", "max_context_length"],
)
def test_a_window_has_one_of_several_names(name: str) -> None:
    assert window_in({"id": "m", name: 4096}) == 4096


@pytest.mark.parametrize("entry", [{}, {"context_length": None}, {"context_length": "big"}])
def test_a_window_that_is_not_told_is_unknown(entry: dict[str, object]) -> None:
    assert window_in(entry) is None
