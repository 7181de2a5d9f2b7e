"""Claimed: each format asks what it says, and a line that cannot be asked names its number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.many.inputs import Line
from chatstream.many.requests import Request, requests_of
from chatstream.messages import Image, Message
from chatstream.wording import encodable

DEEP = b'{"body": {"messages": [{"role": "user", "content": "hi"}], "x": %s}}'


def request_of(value: Any) -> Request:
    """The request of one line."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    (found,) = requests_of([Line(7, json=data)])
    assert found is not None
    return found


USER = {"role": "user", "content": "hi"}
ASKED = (Message("user", "hi"),)


@pytest.mark.parametrize(
    ("value", "name", "settings"),
    [
        ({"prompt": "hi"}, None, {}),
        ({"id": 5, "prompt": "hi", "note": "mine"}, "5", {}),
        ({"messages": [USER], "temperature": 0.5}, None, {"temperature": 0.5}),
        (
            {
                "custom_id": "a",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {
                    "model": "m",
                    "messages": [USER],
                    "max_completion_tokens": 9,
                    "top_p": 0.1,
                    "stream": True,
                },
            },
            "a",
            {"model": "m", "max_tokens": 9, "options": {"top_p": 0.1}},
        ),
        (
            {
                "custom_id": "b",
                "params": {
                    "model": "m",
                    "max_tokens": 9,
                    "system": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
                    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
                    "top_k": 3,
                },
            },
            "b",
            {"model": "m", "max_tokens": 9, "system": "Be brief.", "options": {"top_k": 3}},
        ),
    ],
)  # fmt: skip
def test_each_format_asks_the_same(value: Any, name: str | None, settings: dict[str, Any]) -> None:
    found = request_of(value)
    assert found.wrong is None
    assert (found.messages, found.settings) == (ASKED, settings)
    assert found.id == (name or found.key)


def test_images_are_taken_as_both_services_write_them() -> None:
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
        {"type": "image", "source": {"type": "url", "url": "https://a/c.png"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        },
    ]
    found = request_of({"messages": [{"role": "user", "content": parts}]})
    assert found.wrong is None
    (message,) = found.messages
    assert [it.url for it in message.parts if isinstance(it, Image)] == [
        "https://a/b.png",
        "https://a/c.png",
        "data:image/png;base64,iVBORw0KGgo=",
    ]


def test_an_answer_of_openai_may_be_copied_into_a_line() -> None:
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "Blue.",
        "refusal": None,
        "annotations": [],
    }
    found = request_of({"body": {"messages": [USER, answer, USER]}})
    assert found.wrong is None
    assert found.messages[1].content == "Blue."


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"{", "it is not JSON"),
        (b'{"prompt": "caf\xe9"}', "it is not UTF-8: byte 0xe9"),
        (b'{"prompt": "hi"} x', "it is not JSON: Extra data at column 18"),
        (b"[" * 100_000, "nested too deeply"),
        *((DEEP % (b"[" * n + b"]" * n), "nested too deeply") for n in (200, 990, 5000)),
        ([], "it is not a JSON object"),
        ({}, "neither prompt nor messages"),
        ({"prompt": "a", "messages": []}, "both prompt and messages"),
        ({"prompt": 5}, "its prompt is not text"),
        ({"prompt": None}, "its prompt is not text"),
        ({"prompt": " "}, "the question is empty"),
        ({"messages": "hi"}, "its messages are not a list"),
        ({"messages": [{"role": "pilot", "content": "hi"}]}, "unknown role 'pilot'"),
        ({"messages": [5]}, "message 1 is of type int"),
        ({"messages": [{"role": "user", "content": [5]}]}, "part of type None"),
        ({"prompt": "hi", "temperature": "hot"}, "temperature"),
        ({"prompt": "hi", "max_tokens": 0}, "max_tokens"),
        ({"body": [], "custom_id": "a"}, "its body is not a JSON object"),
        ({"params": 1, "custom_id": "a"}, "its params is not a JSON object"),
        ({"url": "/v1/embeddings", "body": {"input": "a"}}, "it is for /v1/embeddings"),
        ({"body": {"messages": [USER], "tools": [{"type": "function"}]}}, "it has tools"),
        ({"prompt": "hi", "model": 5}, "model"),
        ({"prompt": "hi", "system": 5}, "system"),
        ({"params": {"messages": [USER], "system": [5]}}, "its system prompt is not text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "part"),
    ],
)
def test_a_line_that_cannot_be_asked_names_its_number(value: Any, says: str) -> None:
    found = request_of(value)
    assert found.wrong is not None
    assert found.wrong.startswith("line 7: ")
    assert says in found.wrong
    assert "\n" not in found.wrong


def test_a_line_that_could_not_be_read_is_a_request_too() -> None:
    found = list(requests_of([None, Line(1, wrong="it is torn"), Line(2, prompt="hi")]))
    assert found[0] is None
    assert [(it.index, it.number, it.wrong) for it in found if it] == [
        (0, 1, "line 1: it is torn"),
        (1, 2, None),
    ]


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=20))
def test_keys_are_different_and_depend_only_on_what_is_asked(prompts: list[str]) -> None:
    keys = [it.key for it in requests_of(Line(n, prompt=it) for n, it in enumerate(prompts)) if it]
    assert len(set(keys)) == len(prompts)
    elsewhere = [Line(n + 9, prompt=it) for n, it in enumerate(["x", *prompts, "y"])]
    assert {it.key for it in requests_of(elsewhere) if it} >= set(keys)


def test_an_id_that_cannot_be_written_is_shown_in_another_way() -> None:
    found = request_of(b'{"id": "a\\ud83d", "prompt": "hi"}')
    assert found.wrong is None
    assert found.id == encodable("a\ud83d")
    found.id.encode()


def test_the_order_of_fields_makes_no_difference_but_an_id_does() -> None:
    one, same = {"id": "1", "prompt": "hi"}, {"prompt": "hi", "id": "1"}
    assert request_of(one).key == request_of(same).key
    assert request_of(one).key != request_of({"id": "2", "prompt": "hi"}).key
