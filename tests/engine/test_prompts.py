"""Claimed: any conversation that servers take can be asked with; every mistake is named."""

from __future__ import annotations

import base64
import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import chatstream
from chatstream import events as ev
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
from chatstream.store.blobs import Blobs
from chatstream.store.place import runs_folder, state_folder
from tests.support.answers import whole
from tests.support.loopback import Script

GIVEN = ProviderData("anthropic", {"signature": "s"})
PNG = {"type": "image", "url": "https://a.example/b.png"}
PNG_BYTES = b"\x89PNG\r\n\x1a\n"
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

TURNS = [Message("system", "s"), Message("user", "a"), Message("assistant", "b")]

DEMO: dict[str, Any] = {"provider": "demo", "model": "demo-fast"}


def failure(prompt: Any) -> ev.Error:
    """The end of a stream that cannot begin. Nothing else is given but the opening."""
    opening, error = chatstream.stream(prompt, **DEMO)
    assert isinstance(opening, ev.Metadata)
    assert isinstance(error, ev.Error)
    return error


def sent(prompt: Any) -> list[tuple[str, str]]:
    """The messages that a server is sent."""
    with Script(whole("ollama")) as server:
        chatstream.ask(prompt, provider="ollama", base_url=server.url, model="m")
    return [(it["role"], it["content"]) for it in server.requests[0].json["messages"]]


@pytest.mark.parametrize("prompt", ["café", "café".encode(), b"\xef\xbb\xbfcaf\xc3\xa9"])
def test_a_question_is_text_or_bytes(prompt: str | bytes) -> None:
    assert sent(prompt) == [("user", "café")]


def test_a_path_is_a_file_that_holds_the_question(tmp_path: Path) -> None:
    (tmp_path / "question.txt").write_text("\ufeffcafé", encoding="utf-8")
    assert sent(tmp_path / "question.txt") == [("user", "café")]
    assert sent(str(tmp_path)) == [("user", str(tmp_path))]  # a str is always the question itself


def test_messages_are_dicts_or_messages_in_any_mixture() -> None:
    asked = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]
    dicts = [{"role": role, "content": text} for role, text in asked]
    assert sent(dicts) == sent([*TURNS, dicts[-1]]) == sent(tuple(dicts)) == asked
    assert sent(dicts[1]) == sent(TURNS[1]) == [("user", "a")]
    assert sent([{"role": "user", "content": b"caf\xc3\xa9"}]) == [("user", "café")]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (None, "a question cannot be None"),
        (5, "of type int"),
        pytest.param((it for it in "ab"), "of type generator", id="generator"),
        ("", "the question is empty"),
        (" \n", "the question is empty"),
        (b"a\xff", "not valid UTF-8: byte 0xff at offset 1"),
        ("a\udce9", "unpaired surrogate (invalid Unicode): U+DCE9 at offset 1"),
        (Path("/nowhere"), "/nowhere cannot be read: No such file"),
        (Path("/"), "/ cannot be read: "),
        (Path("a\0b"), "cannot be read: embedded null"),
        ([], "the conversation has no messages"),
        (["hi"], "message 1 is of type str"),
        ([*TURNS, None], "message 4 is None"),
        ([{"content": "x"}], "message 1 has no role"),
        ([{"role": "bot", "content": "x"}], "message 1 has the unknown role 'bot'"),
        ([Message("human", "x")], "message 1 has the unknown role 'human'"),  # type: ignore[arg-type]
        ([{"role": [], "content": "x"}], "message 1 has the unknown role []"),
        ([{"role": "user", "contents": "x"}], "unknown field 'contents'"),
        ([{"role": "user", 5: "x"}], "unknown field 5"),
        ([{"role": "user", "content": ["x"]}], "content of message 1 cannot be of type list"),
        ([{"role": "user", "content": None}], "content of message 1 cannot be None"),
        (
            [{"role": "user", "content": "\ud83d"}],
            "content of message 1 contains an unpaired surrogate",
        ),
        ([Message.plain("assistant", "", "\ud83d")], "message 1 contains an unpaired surrogate"),
        ([Message("assistant", [ToolCall("1", "n", "\ud83d")])], "unpaired surrogate"),
        ([{"role": "assistant", "tool_calls": [5]}], "message 1 is not valid"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_a_usage_error_and_no_exception(prompt: Any, told: str) -> None:
    error = failure(prompt)
    assert (error.code, error.recoverable) == ("usage", False)
    assert told in error.message
    assert not runs_folder().exists()
    for function in (chatstream.ask, lambda *a, **k: list(chatstream.pieces(*a, **k))):
        if not inspect.isgenerator(prompt):
            with pytest.raises(UsageError, match=re.escape(told)):
                function(prompt, **DEMO)


# ---- parts


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
    assert len(messages_of(result, messages_of([CALLS]))) == 1


def test_what_is_not_json_cannot_be_sent_back() -> None:
    data = ProviderData("x", {"a": object()})
    with pytest.raises(UsageError, match="message 1 has provider_data that is not JSON"):
        messages_of([Message("assistant", [Reasoning("", data)])])


# ---- on the wire


def test_a_conversation_of_parts_reaches_the_server_of_each_dialect() -> None:
    stored = {"type": "image", "sha256": Blobs(state_folder()).put(PNG_BYTES)}
    look = {"role": "user", "parts": ["look: ", {**stored, "media_type": "image/png"}]}
    asked = [look, CALLS, {"role": "tool", "parts": [RESULT]}]
    data = base64.b64encode(PNG_BYTES).decode()
    for dialect, result in [
        ("ollama", {"role": "tool", "content": "3", "tool_name": "n", "tool_call_id": "1"}),
        ("openai", {"role": "tool", "tool_call_id": "1", "content": "3"}),
        (
            "anthropic",
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "1", "content": "3"}],
            },
        ),
    ]:
        with Script(whole(dialect)) as server:
            chatstream.ask(asked, provider=dialect, base_url=server.url, model="m", api_key="k")
        first, _, last = server.requests[0].json["messages"]
        assert data in str(first)
        assert last == result


@pytest.mark.parametrize(
    ("image", "code", "told"),
    [
        (PNG, "usage", "Ollama takes no image by its address on the web"),
        (STORED, "journal", "the image 000000000000 is missing"),
    ],
)
def test_an_image_that_cannot_be_sent_ends_the_run_and_says_why(
    image: dict[str, str], code: str, told: str
) -> None:
    with Script() as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        *_, error = chatstream.stream({"role": "user", "parts": [image]}, **options)
        assert server.requests == []
    assert isinstance(error, ev.Error)
    assert (error.code, error.message) == (code, told)
