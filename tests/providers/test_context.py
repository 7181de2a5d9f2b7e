"""Claimed: what a prompt takes is known about, and a prompt that was cut in silence is noticed."""

from __future__ import annotations

from itertools import cycle
from typing import Literal

import pytest

from chatstream.events import Usage
from chatstream.messages import (
    ChatRequest,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from chatstream.providers.context import cut, size_of, window_in

PROSE = "The sky is blue. So is the sea. " * 1250  # 40,000 bytes


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


def asked(*texts: str, **options: object) -> ChatRequest:
    """A request with these messages: questions and answers in turn."""
    roles: cycle[Literal["user", "assistant"]] = cycle(("user", "assistant"))
    messages = tuple(Message(role, text) for role, text in zip(roles, texts, strict=False))
    return ChatRequest(model="m", messages=messages, options=options)


def test_a_prompt_of_which_less_than_half_was_read_was_cut() -> None:
    warning = cut(asked(PROSE), Usage(input_tokens=2048))
    assert warning is not None
    assert warning.code == "context_truncated"
    assert "read only 2,048 of about 10,000 tokens" in warning.message


def test_a_cut_is_noticed_in_the_new_message_and_in_what_came_before_it() -> None:
    assert cut(asked("hello", "yes", PROSE), Usage(input_tokens=2048))
    assert cut(asked(PROSE, "yes", "and then?"), Usage(input_tokens=2048))


@pytest.mark.parametrize(
    ("request_", "usage"),
    [
        pytest.param(asked(PROSE), Usage(output_tokens=9), id="it does not count"),
        pytest.param(asked(PROSE), Usage(input_tokens=9000), id="another tokenizer"),
        pytest.param(asked(PROSE), Usage(input_tokens=5200), id="a frugal tokenizer"),
        pytest.param(asked(PROSE), Usage(input_tokens=12), id="all but the end was cached"),
        pytest.param(
            asked(PROSE), Usage(input_tokens=1500, cached_tokens=8000), id="cached, and told"
        ),
        pytest.param(
            asked(PROSE, "yes", PROSE[:8000]),
            Usage(input_tokens=2010),
            id="the rest is cached",
        ),
        pytest.param(asked("a" + " " * 40_000), Usage(input_tokens=1200), id="indentation"),
        pytest.param(asked("short"), Usage(input_tokens=10), id="short"),
    ],
)
def test_what_has_another_reason_is_no_cut(request_: ChatRequest, usage: Usage) -> None:
    assert cut(request_, usage) is None


def test_a_window_that_was_asked_for_is_small_on_purpose_and_cut_all_the_same() -> None:
    assert cut(asked(PROSE), Usage(input_tokens=500)) is None
    assert cut(asked(PROSE, num_ctx=512), Usage(input_tokens=500)) is not None
