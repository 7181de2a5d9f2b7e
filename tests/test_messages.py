"""Claimed: messages are values made of parts, and their JSON is as simple as they are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatstream.messages import (
    ChatRequest,
    Image,
    Message,
    Part,
    ProviderData,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    convert,
    decoder,
    encode,
)

CALL = ToolCall("i", "n", '{"x":1}')
SIGNED = Reasoning("hm", ProviderData("anthropic", {"signature": "Eq+/="}, "https://a.example"))


def test_a_message_is_whole_and_empty_unless_it_says_otherwise() -> None:
    message = Message("user")
    assert (message.content, message.reasoning, message.tool_calls) == ("", "", [])
    assert (message.parts, message.complete) == ((), True)


def test_a_string_is_one_text_and_an_empty_one_is_none() -> None:
    assert Message("user", "hi").parts == (Text("hi"),)
    assert Message("user", "") == Message("user")
    assert Message("user", ["a", Text("b")]).parts == (Text("a"), Text("b"))


def test_its_fields_are_its_parts_joined() -> None:
    message = Message("assistant", [Reasoning("a"), Text("b"), SIGNED, CALL, Text("c")])
    assert (message.content, message.reasoning, message.tool_calls) == ("bc", "ahm", [CALL])


def test_the_order_of_its_parts_is_part_of_its_value() -> None:
    thought, text = Reasoning("r"), Text("c")
    assert Message("assistant", [thought, text]) == Message.plain("assistant", "c", "r")
    assert Message("assistant", [text, thought]) != Message.plain("assistant", "c", "r")
    assert Message("assistant", "c", complete=False) != Message("assistant", "c")
    assert Message("user", "c") != Message("assistant", "c")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message("user", "q"), '{"role":"user","content":"q"}'),
        (
            Message.plain("assistant", "é😀", "r", [CALL], complete=False),
            '{"role":"assistant","content":"é😀","reasoning":"r","tool_calls":'
            '[{"id":"i","name":"n","arguments":"{\\"x\\":1}"}],"complete":false}',
        ),
    ],
)
def test_a_message_without_anything_special_has_the_json_of_earlier_versions(
    message: Message, expected: str
) -> None:
    assert encode(message).decode() == expected
    assert decoder(Message).decode(expected) == message


@pytest.mark.parametrize(
    "parts",
    [
        [SIGNED],
        [Text("a"), Text("b")],
        [Text("a"), Reasoning("b")],
        [Reasoning(""), CALL],
        [Text("look: "), Image(url="https://a.example/b.png")],
        [Image(sha256="0" * 64, media_type="image/png")],
        [ToolCall("i", "n", "{}", ProviderData("gemini", {"extra_content": {"a": [1.0, None]}}))],
        [ToolResult("i", "n", "done"), ToolResult("j", "n", "no", is_error=True)],
        [ToolResult("i", "n", "a page", foreign=True)],
        [Text("a page", foreign=True)],
    ],
    ids=str,
)
@pytest.mark.parametrize("complete", [True, False])
def test_any_message_survives_its_own_json(parts: list[Part], complete: bool) -> None:
    message = Message("assistant", parts, complete)
    text = encode([message])
    assert decoder(list[Message]).decode(text) == [message]
    (fields,) = msgspec.json.decode(text)
    assert "parts" in fields
    assert fields.get("content", "") == message.content  # for who knows no parts
    assert fields.get("reasoning", "") == message.reasoning


def test_messages_are_found_in_the_json_of_what_holds_them() -> None:
    class Holder(msgspec.Struct):
        messages: tuple[Message, ...]

    held = Holder((Message("user", "q"), Message("assistant", [SIGNED, Text("a")])))
    assert decoder(Holder).decode(encode(held)) == held


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "developer"},
        {"content": "x"},
        {"role": "user", "content": 5},
        {"role": "user", "parts": [{"type": "txt"}]},
        5,
    ],
    ids=str,
)
def test_what_is_no_message_is_refused(fields: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder(Message).decode(msgspec.json.encode(fields))
    with pytest.raises(msgspec.ValidationError):
        convert(fields)


def test_a_request_streams_and_asks_for_nothing_more() -> None:
    request = ChatRequest("m", (Message("user", "q"),))
    assert request.stream
    assert (request.temperature, request.max_tokens) == (None, None)
    assert (request.options, request.without) == ({}, frozenset())


def test_a_request_and_a_part_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ChatRequest("m", ()).model = "n"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        CALL.name = "m"  # type: ignore[misc]


def test_the_size_of_a_message_is_that_of_what_a_server_reads_and_does_not_change_it() -> None:
    said = Message("assistant", [Reasoning("hidden"), Text("é"), ToolCall("1", "look", "{}")])
    assert said.size == 2 + 4 + 2
    assert list(said.texts) == ["é", "look", "{}"]
    assert said == Message("assistant", said.parts)
    assert said.has_calls
    assert not Message("user", "hi").has_calls
    assert Message("user").size == 0
