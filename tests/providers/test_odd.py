"""Claimed: what nobody understood is kept, counted, and told in the words of the server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatstream.errors import AuthError, ProtocolError, ServerError
from chatstream.events import Warn
from chatstream.providers.odd import (
    QUOTED_FRAMES,
    Oddities,
    error_inside,
    holds_a_piece,
    holds_text,
    is_cut,
    is_unknown_field,
    protocol_of,
)


def messages(odd: Oddities) -> list[str]:
    return [event.message for event in odd.take(1.0) if isinstance(event, Warn)]


def test_skipped_text_is_a_warning_once() -> None:
    odd = Oddities()
    assert not odd
    odd.add("Internal  Server\nError", skipped=True)
    assert odd
    assert messages(odd) == ["skipped: Internal Server Error"]
    assert messages(odd) == []


def test_a_frame_without_text_is_passed_over_and_counted() -> None:
    odd = Oddities()
    odd.add_value({"session": 7, "weather": "fine"}, '{"session": 7, "weather": "fine"}')
    assert odd.count == 1
    assert messages(odd) == []


def test_the_first_few_are_quoted_and_the_others_counted() -> None:
    odd = Oddities()
    for number in range(QUOTED_FRAMES + 2):
        odd.add(f"line {number}", skipped=True)
    assert len(messages(odd)) == QUOTED_FRAMES
    [more] = odd.summary()
    assert isinstance(more, Warn)
    assert "2 more" in more.message


def test_memory_is_bounded_whatever_comes() -> None:
    odd = Oddities()
    for _ in range(1000):
        odd.add("x" * 100_000, skipped=True)
    assert len(odd.quoted()) <= 300


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ({"type": "message_start", "message": {}}, "Anthropic"),
        ({"type": "content_block_delta", "index": 0}, "Anthropic"),
        ({"type": "response.output_text.delta", "delta": "a"}, "Responses"),
        ({"candidates": [{"content": {}}]}, "Gemini"),
        ({"choices": [], "object": "chat.completion.chunk"}, "OpenAI's protocol"),
        ({"message": {"content": "a"}, "done": False}, "Ollama"),
        ({"response": "a", "done": False}, "Ollama"),
        ({"type": "ping"}, None),
        ({"type": ["message_start"]}, None),
        ({}, None),
    ],
)
def test_another_protocol_is_recognised(frame: dict[str, Any], name: str | None) -> None:
    found = protocol_of(frame)
    assert (found is None) == (name is None)
    assert found is None or (name or "") in found[0]
    odd = Oddities()
    odd.add_value(frame, json.dumps(frame))
    assert odd.shows_a_protocol == (name is not None)
    assert ("the server speaks" in odd.failure().message) == (name is not None)


def test_three_frames_of_another_protocol_and_nothing_else_are_enough() -> None:
    odd = Oddities()
    for _ in range(2):
        odd.add_value({"type": "message_start"}, "{}")
    assert not odd.is_another_protocol
    odd.add_value({"type": "message_stop"}, "{}")
    assert odd.is_another_protocol
    odd.add("something else", skipped=True)
    assert not odd.is_another_protocol


def test_an_error_on_several_lines_is_the_failure_in_its_own_words() -> None:
    odd = Oddities()
    for line in ("{", '  "error": {"message": "invalid key", "code": 401}', "}"):
        odd.add(line, skipped=True)
    failure = odd.failure()
    assert isinstance(failure, AuthError)
    assert failure.message == "invalid key"


def test_anything_else_is_quoted_in_a_protocol_error_that_is_not_retried() -> None:
    odd = Oddities()
    odd.add("upstream connect error", skipped=True)
    failure = odd.failure()
    assert isinstance(failure, ProtocolError)
    assert "upstream connect error" in failure.message
    assert not failure.retryable


def test_an_error_in_the_middle_of_a_broken_frame_is_found() -> None:
    failure = error_inside('{"choices": [{"del{"error": {"message": "it broke", "code": 502}}')
    assert isinstance(failure, ServerError)
    assert failure.message == "it broke"
    assert error_inside('{"choices": [{"del') is None


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ({"content": "a"}, True),
        ({"contentX": "a"}, True),
        ({"output": {"x": ["a"]}}, True),
        ({"content": ""}, False),
        ({"content": " "}, True),
        ({"content": None, "text": 5}, False),
        ({"weather": "a"}, False),
        ({"content": [{"type": "thinking", "thinking": []}]}, False),
        ([{"text": "a"}], True),
        ("a", False),
    ],
)
def test_text_is_what_stands_under_a_name_of_text(value: object, holds: bool) -> None:
    assert holds_text(value) == holds


def test_json_that_broke_off_is_a_cut_and_words_are_not() -> None:
    assert is_cut('{"choices": [{"delta": {"content": "He')
    assert not is_cut("Internal Server Error")
    assert not is_cut('{"a": 1}')
    assert holds_a_piece('{"choices": [{"delta": {"content": "He')
    assert not holds_a_piece('{"choices": [{"delta": {"content": "')
    assert not holds_a_piece('{"choices": [], "usage": {"completion_tokens": 5')


def test_an_unknown_field_has_a_name_of_one_word() -> None:
    assert is_unknown_field("x-meta: 5")
    assert not is_unknown_field("upstream connect error: reset")
    assert not is_unknown_field('{"a": 1}')
