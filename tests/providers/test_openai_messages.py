"""Claimed: messages become what servers of the OpenAI dialect take, and text stays a string."""

from __future__ import annotations

from typing import Any

from chatstream.messages import (
    ChatRequest,
    Image,
    Message,
    ProviderData,
    Reasoning,
    ToolCall,
    ToolResult,
)
from chatstream.providers.openai_messages import messages_of


def given(data: ProviderData | None) -> dict[str, Any]:
    """Everything is this server's own."""
    return data.data if data else {}


def sent(*messages: Message) -> list[dict[str, Any]]:
    return messages_of(ChatRequest("m", messages, load_image=lambda _: b"PNG"), given, "openai")


def test_text_is_a_string_in_however_many_parts_it_came() -> None:
    assert sent(Message("system", "s"), Message("user", ["a", "b"])) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "ab"},
    ]


def test_thinking_is_not_sent_but_for_what_a_server_wants_back() -> None:
    data = ProviderData("p", {"reasoning_content": "hm"})
    plain, signed = sent(
        Message("assistant", [Reasoning("hm"), "a"]),
        Message("assistant", [Reasoning("hm", data), "a"]),
    )
    assert plain == {"role": "assistant", "content": "a"}
    assert signed == {"role": "assistant", "content": "a", "reasoning_content": "hm"}


def test_each_result_is_a_message_under_the_id_of_its_call() -> None:
    data = ProviderData("p", {"extra_content": {"x": 1}})
    calls = [ToolCall("1", "add", '{"a": 1}', data), ToolCall("2", "add", "")]
    results = [ToolResult("1", "add", "3"), ToolResult("2", "add", "no", is_error=True)]
    called, *answered = sent(Message("assistant", calls), Message("tool", results))
    assert called == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a": 1}'},
                "extra_content": {"x": 1},
            },
            {"id": "2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
        ],
    }
    assert answered == [
        {"role": "tool", "tool_call_id": "1", "content": "3"},
        {"role": "tool", "tool_call_id": "2", "content": "no"},
    ]


def test_images_stand_among_the_text() -> None:
    images = [Image(url="https://a.example/b.png"), Image(sha256="0", media_type="image/png")]
    (turn,) = sent(Message("user", ["look", images[0], "and", images[1]]))
    addresses = ["https://a.example/b.png", "data:image/png;base64,UE5H"]
    assert turn["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": addresses[0]}},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": addresses[1]}},
    ]
