"""Claimed: what a prompt takes is known about, and a prompt that was cut in silence is noticed."""

from __future__ import annotations

import random
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
from chatstream.providers.context import Before, cut, size_of, window_in

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


@pytest.mark.parametrize(
    ("read", "size", "warned"),
    [
        pytest.param(4096, 13_000, True, id="all of the window"),
        pytest.param(4090, 20_000, True, id="all of the window, but for a few"),
        pytest.param(4000, 16_000, False, id="nearly all of it"),
        pytest.param(2050, 16_000, True, id="half of it, and the text has more"),
        pytest.param(2050, 10_000, False, id="half of it, as the text may have"),
        pytest.param(2400, 16_000, False, id="another part"),
    ],
)
def test_a_cut_prompt_fills_the_window_or_half_of_it(read: int, size: int, warned: bool) -> None:
    text = (PROSE * 2)[:size]
    assert (cut(asked(text), Usage(input_tokens=read), 4096) is not None) is warned


BEFORE = Before(tokens=5000, size=20_000, ratio=4.0)


@pytest.mark.parametrize(
    ("read", "warned"),
    [
        pytest.param(5900, False, id="all of it"),
        pytest.param(5400, False, id="all of it, if the new text has long tokens"),
        pytest.param(4600, True, id="a fifth is missing"),
        pytest.param(1400, True, id="most is missing"),
        pytest.param(1100, False, id="the rest is cached"),
    ],
)
def test_a_server_that_reads_less_than_before_has_cut(read: int, warned: bool) -> None:
    request = asked(PROSE[:19_000], "Yes, it is. " * 84, PROSE[:4000])
    warning = cut(request, Usage(input_tokens=read), None, BEFORE)
    assert (warning is not None) is warned
    if warning is not None:
        assert f"only {read:,} of about 6,002 tokens" in warning.message


def test_what_is_new_is_all_that_an_old_server_reads_however_much_that_is() -> None:
    request = asked(PROSE[:12_000], PROSE[:2000], PROSE[:8000])
    before = Before(tokens=3000, size=12_000, ratio=4.0)
    for read in (2500, 2900, 5500):
        assert cut(request, Usage(input_tokens=read), None, before) is None
    assert cut(request, Usage(input_tokens=3500), None, before) is not None


def test_no_whole_prompt_is_taken_for_a_cut_one_whatever_tokens_its_parts_have() -> None:
    chosen = random.Random(16)
    for _ in range(2000):
        sizes = [chosen.randrange(1, 20_000) for _ in range(3)]
        ratios = [chosen.uniform(1.0, 7.9) for _ in sizes]
        first, answer, new = (size / it for size, it in zip(sizes, ratios, strict=True))
        request = asked(*(PROSE[:size] for size in sizes))
        before = Before(round(first), sizes[0], sum(sizes[:2]) / (first + answer))
        for cached in (None, round(first)):  # told beside, or part of what is read
            whole = Usage(input_tokens=round(first + answer + new), cached_tokens=cached)
            assert cut(request, whole, None, before) is None


@pytest.mark.parametrize(
    ("text", "per_token"),
    [
        pytest.param("आकाश नीला क्यों है? ", 9.2, id="Hindi"),
        pytest.param("Почему небо голубое? ", 8.2, id="Russian"),
        pytest.param("ทำไมท้องฟ้าถึงเป็นสีฟ้า ", 9.0, id="Thai"),
        pytest.param("天空为什么是蓝色的。", 6.0, id="Chinese"),
    ],
)
def test_letters_of_several_bytes_may_be_few_tokens(text: str, per_token: float) -> None:
    long = text * 1000
    tokens = round(len(long.encode()) / per_token)
    assert cut(asked(long), Usage(input_tokens=tokens)) is None
    assert cut(asked(long), Usage(input_tokens=tokens // 4)) is not None
