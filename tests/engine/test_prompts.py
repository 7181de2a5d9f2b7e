"""Claimed: any conversation that servers take can be asked with; every mistake is named.

Questions that are no conversation are in tests/test_api.py, through the public functions.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatstream.engine.prompts import messages_of
from chatstream.errors import UsageError
from chatstream.messages import (
    Image,
    Message,
    ProviderData,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    encode,
)

GIVEN = ProviderData("anthropic", {"signature": "s"})
PNG = {"type": "image", "url": "https://a.example/b.png"}
STORED = {"type": "image", "sha256": "0" * 64, "media_type": "image/png"}
CALL = {"type": "tool_call", "id": "1", "name": "n", "arguments": "{}"}
CALLS = {"role": "assistant", "parts": [CALL]}
RESULT = {"type": "tool_result", "id": "1", "name": "n", "content": "3"}

CONVERSATION = [
    Message("system", "be brief"),
    Message("user", [Text("look: "), Image(url="https://a.example/b.png")]),
    Message("assistant", [Reasoning("hm", GIVEN), Text("one"), ToolCall("1", "n", "{}")]),
    Message("tool", [ToolResult("1", "n", "3", is_error=True)]),
    Message("assistant", "three", complete=False),
]


def test_a_conversation_may_be_given_as_objects_as_dicts_or_as_its_own_json() -> None:
    as_dicts: list[dict[str, Any]] = [
        {"role": it.role, "parts": [msgspec.to_builtins(part) for part in it.parts]}
        for it in CONVERSATION
    ]
    as_dicts[-1]["complete"] = False
    assert messages_of(CONVERSATION) == CONVERSATION
    assert messages_of(as_dicts) == CONVERSATION
    assert messages_of(msgspec.json.decode(encode(CONVERSATION))) == CONVERSATION


def test_a_part_may_be_a_string() -> None:
    (message,) = messages_of({"role": "user", "parts": ("look: ", PNG)})
    assert message == CONVERSATION[1]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ("hi", "the parts of message 1 cannot be of type str"),
        (PNG, "the parts of message 1 cannot be of type dict"),
        (5, "the parts of message 1 cannot be of type int"),
        ([5], "part 1 of message 1 is of type int"),
        (["a", None], "part 2 of message 1 is None"),
        ([{"text": "hi"}], "part 1 of message 1 has no type"),
        ([{"type": "txt", "text": "hi"}], "part 1 of message 1 has the unknown type 'txt'"),
        ([{"type": [], "text": "hi"}], "part 1 of message 1 has the unknown type []"),
        ([{"type": "text", "txt": "hi"}], "part 1 of message 1 has an unknown field 'txt'"),
        ([{"type": "text"}], "part 1 of message 1 is not valid: Object missing required"),
        ([{"type": "text", "text": 5}], "part 1 of message 1 is not valid: Expected `str`"),
        ([Text(5)], "part 1 of message 1 is not valid: Expected `str`"),  # type: ignore[arg-type]
        (["\ud83d"], "message 1 contains an unpaired surrogate (invalid Unicode): U+D83D"),
        ([CALL], "message 1 has the role 'user' and cannot have a part of type 'tool_call'"),
        ([{"type": "image"}], "message 1 has an image without a place"),
        ([{**STORED, "url": "https://a.example"}], "message 1 has an image without a place, or"),
        ([{**STORED, "sha256": "abc"}], "whose sha256 is not 64 hexadecimal digits"),
        ([{"type": "image", "sha256": "0" * 64}], "a stored image without its media_type"),
        ([{"type": "image", "url": "cat.png"}], "message 1 has an image that is not on the web"),
    ],
    ids=str,
)
def test_a_part_that_is_wrong_is_named(parts: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        messages_of([{"role": "user", "parts": parts}])
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"role": "system", "parts": [PNG]}, "the role 'system' and cannot have a part"),
        ({"role": "assistant", "parts": [RESULT]}, "the role 'assistant' and cannot have"),
        ({"role": "tool", "content": "x"}, "the role 'tool' and cannot have a part of type 'text'"),
        ({"role": "tool"}, "message 1 has no result"),
        ({"role": "tool", "parts": [RESULT]}, "message 1 has the result of the call '1', but no"),
        ({"role": "user", "content": "a", "parts": [PNG]}, "message 1 has content beside its"),
        (
            {"role": "assistant", "parts": [{**CALL, "provider_data": {"provider": "x"}}]},
            "part 1 of message 1 is not valid: Object missing required field `data`",
        ),
    ],
    ids=str,
)
def test_a_message_that_no_server_takes_is_named(message: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        messages_of([message])
    assert told in caught.value.message


def test_a_result_answers_a_call_of_an_earlier_message() -> None:
    result = {"role": "tool", "parts": [RESULT]}
    assert len(messages_of([CALLS, result])) == 2
    with pytest.raises(UsageError, match="message 1 has the result of the call '1'"):
        messages_of([result, CALLS])


def test_what_is_not_json_cannot_be_sent_back() -> None:
    data = ProviderData("x", {"a": object()})
    with pytest.raises(UsageError, match="message 1 has provider_data that is not JSON"):
        messages_of([Message("assistant", [Reasoning("", data)])])
