"""Claimed: what we send are plain values with sensible defaults, and cannot change under way."""

from __future__ import annotations

import msgspec
import pytest

from chatstream.messages import ChatRequest, Message, ToolCall


def test_a_message_is_whole_and_empty_unless_it_says_otherwise() -> None:
    message = Message("user")
    assert (message.content, message.reasoning, message.tool_calls) == ("", "", [])
    assert message.complete


def test_two_messages_never_share_their_calls() -> None:
    Message("assistant").tool_calls.append(ToolCall("i", "n", "{}"))
    assert Message("assistant").tool_calls == []


def test_a_message_survives_its_own_json() -> None:
    message = Message("assistant", "é😀", "r", [ToolCall("i", "n", '{"x":1}')], complete=False)
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message


def test_what_is_at_its_default_is_left_out_of_the_json() -> None:
    assert msgspec.json.encode(Message("user", "q")) == b'{"role":"user","content":"q"}'


def test_a_request_streams_and_asks_for_nothing_more() -> None:
    request = ChatRequest("m", (Message("user", "q"),))
    assert request.stream
    assert (request.temperature, request.max_tokens) == (None, None)
    assert (request.options, request.without) == ({}, frozenset())


def test_a_request_and_a_call_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ChatRequest("m", ()).model = "n"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ToolCall("i", "n", "{}").name = "m"  # type: ignore[misc]


def test_a_role_is_one_of_three() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"role":"developer"}', type=Message)
