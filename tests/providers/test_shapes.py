"""Claimed: an error is found in every shape, and no chunk of an answer is taken for one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.providers.shapes import compact, is_error, said
from tests.support.recordings import Recording, recordings, requires_shared

# An error as it may come in a stream: its message and the HTTP status that it names.
ERRORS: list[Any] = [
    pytest.param({"error": {"message": "it broke", "code": 502}}, "it broke", 502, id="openai"),
    pytest.param({"error": "it broke"}, "it broke", 0, id="text"),
    pytest.param({"error": "余额不足"}, "余额不足", 0, id="chinese"),
    pytest.param({"error": [{"message": "it broke"}]}, "it broke", 0, id="list"),
    pytest.param({"error": True, "message": "it broke"}, "it broke", 0, id="error-is-true"),
    pytest.param({"error": 502, "message": "it broke"}, "it broke", 0, id="error-is-a-number"),
    pytest.param([{"error": {"message": "it broke"}}], "it broke", 0, id="gemini"),
    pytest.param({"message": "it broke", "code": 502}, "it broke", 502, id="message-code"),
    pytest.param({"message": "it broke", "status": 429}, "it broke", 429, id="message-status"),
    pytest.param({"message": "it broke", "code": "3051"}, "it broke", 0, id="mistral"),
    pytest.param({"message": "it broke"}, "it broke", 0, id="message"),
    pytest.param({"message": "it broke " * 20}, "it broke " * 20, 0, id="long-message"),
    pytest.param({"Message": "it broke"}, "it broke", 0, id="aws-gateway"),
    pytest.param({"__type": "x#ThrottlingException", "message": "slow"}, "slow", 0, id="aws"),
    pytest.param({"errorMessage": "it broke", "errorType": "E"}, "it broke", 0, id="aws-lambda"),
    pytest.param({"detail": "it broke"}, "it broke", 0, id="detail"),
    pytest.param({"detail": {"message": "it broke"}}, "it broke", 0, id="detail-object"),
    pytest.param(
        {"detail": [{"loc": ["body", "n"], "msg": "too low"}, {"loc": ["q"], "msg": "no"}]},
        "body.n: too low; q: no",
        0,
        id="fastapi",
    ),
    pytest.param(
        {"type": "about:blank", "title": "Too Many Requests", "detail": "slow down", "status": 429},
        "slow down",
        429,
        id="problem-json",
    ),
    pytest.param({"type": "https://x/p", "title": "it broke"}, "it broke", 0, id="problem-title"),
    pytest.param({"code": 401, "msg": "it broke", "success": False}, "it broke", 401, id="msg"),
    pytest.param({"error_code": 336003, "error_msg": "it broke"}, "it broke", 0, id="baidu"),
    pytest.param({"errcode": 40001, "errmsg": "it broke"}, "it broke", 0, id="errmsg"),
    pytest.param({"code": 500, "err_msg": "it broke"}, "it broke", 500, id="err-msg"),
    pytest.param(
        {"base_resp": {"status_code": 1008, "status_msg": "it broke"}, "choices": None},
        "it broke",
        0,
        id="minimax",
    ),
    pytest.param(
        {"success": False, "errors": [{"code": 10000, "message": "it broke"}], "result": None},
        "it broke",
        0,
        id="cloudflare",
    ),
    pytest.param({"errors": ["it broke"]}, "it broke", 0, id="errors-are-texts"),
    pytest.param(
        {"choices": [{"delta": {}, "error": {"message": "it broke", "code": 502}}]},
        "it broke",
        502,
        id="in-a-choice",
    ),
    pytest.param(
        {"choices": [{"delta": {"content": "x"}}], "error": {"message": "it broke"}},
        "it broke",
        0,
        id="beside-a-choice",
    ),
    pytest.param({"x_groq": {"error": "it broke"}, "choices": []}, "it broke", 0, id="groq"),
    pytest.param(
        {"type": "response.failed", "response": {"error": {"code": "x", "message": "it broke"}}},
        "it broke",
        0,
        id="responses",
    ),
    pytest.param({"type": "error", "message": "it broke"}, "it broke", 0, id="type-error"),
    pytest.param({"type": "error", "content": "it broke"}, "it broke", 0, id="error-in-content"),
    pytest.param({"event": "error", "data": "it broke"}, "it broke", 0, id="error-in-data"),
    pytest.param({"object": "error", "message": "it broke"}, "it broke", 0, id="old-vllm"),
    pytest.param({"status": "error", "message": "it broke"}, "it broke", 0, id="status-error"),
    pytest.param(
        {"event": "error", "data": {"message": "it broke", "code": 502}},
        "it broke",
        502,
        id="event-in-json",
    ),
    pytest.param(
        {"fault": {"faultstring": "it broke", "detail": {"errorcode": "x"}}},
        "it broke",
        0,
        id="apigee",
    ),
    pytest.param(
        {"error": {"code": "x", "message": "it broke", "innererror": {"code": "y"}}},
        "it broke",
        0,
        id="azure",
    ),
    pytest.param(
        {"error": "invalid_grant", "error_description": "it broke"}, "it broke", 0, id="oauth"
    ),
    pytest.param(
        {"statusCode": 429, "error": "Too Many Requests", "message": "slow"}, "slow", 429, id="nest"
    ),
    pytest.param(
        {"error": {"message": '{"error": {"message": "it broke", "code": 429}}', "code": 400}},
        "it broke",
        429,
        id="json-in-the-message",
    ),
    pytest.param({"error": '{"message": "it broke"}'}, "it broke", 0, id="json-in-the-error"),
]


@pytest.mark.parametrize(("value", "message", "status"), ERRORS)
def test_an_error_is_found_and_read_in_every_shape(
    value: object, message: str, status: int
) -> None:
    assert is_error(value)
    assert (said(value).message, said(value).status) == (message, status)


# None of these says that something failed.
ORDINARY: list[object] = [
    *(None, {}, [], "text", 5, True, [[]], [None]),
    *({"error": None}, {"error": {}}, {"error": []}, {"error": ""}, {"error": " "}),
    *({"error": False}, {"error": 0}, {"error": "null"}, {"error": "ok"}),
    {"error": {"code": 0, "message": "success"}},
    {"error": {"message": None, "code": None}},
    {"errors": []},
    {"errors": None, "success": True},
    {"code": 0, "msg": "ok"},
    {"code": 0, "message": "anything at all"},
    {"code": 200, "msg": "success", "data": {}},
    {"code": "200", "message": "fine thing"},
    {"status": 200, "message": "fine thing"},
    {"status": "success"},
    {"status": "processing", "message": "loading the model"},
    {"status": "pulling manifest"},
    {"status": "processing", "code": 102, "message": "in the queue"},
    {"success": True, "message": "it worked"},
    {"message": "ok"},
    {"message": "processing"},
    {"message": ""},
    {"message": {"role": "assistant", "content": "error"}},
    {"type": "ping", "message": "still here"},
    {"type": "tool_progress", "message": "searching the web"},
    {"type": "status", "title": "searching the web"},
    {"type": "message_start", "message": {"id": "x"}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "error"}},
    {"type": "content_block_start", "content_block": {"type": "x_error", "error_code": "y"}},
    {"event": "message", "answer": "x", "message_id": "y"},
    {"base_resp": {"status_code": 0, "status_msg": "success"}, "choices": [{}]},
    {"base_resp": None},
    {"choices": [{"delta": {"content": "x"}, "error": None}], "error": None},
    {"choices": [{"delta": {"content": "x"}}], "message": "a note", "code": 5},
    {"choices": [], "usage": {"total_tokens": 1}, "detail": "of the usage"},
    {"object": "chat.completion.chunk", "choices": [], "message": "a note"},
    {"model": "m", "response": "error", "done": False},
    {"response": {"error": None}, "type": "response.created"},
    {"x_groq": {"id": "x", "error": None}},
]


@pytest.mark.parametrize("value", ORDINARY, ids=repr)
def test_what_does_not_say_that_it_failed_is_no_error(value: object) -> None:
    assert not is_error(value)


def frames(body: bytes) -> Iterator[object]:
    """Every JSON object of a stream, whatever field or line it stands in."""
    for line in body.splitlines():
        text = line.removeprefix(b"data:").removeprefix(b"error:").strip()
        if text[:1] == b"{":
            with suppress(ValueError):
                yield json.loads(text)


@requires_shared
@pytest.mark.parametrize("case", list(recordings("recorded", "constructed")), ids=str)
def test_a_recorded_stream_holds_an_error_if_and_only_if_it_failed(case: Recording) -> None:
    assert any(map(is_error, frames(case.body))) == ("error" in case.outcomes)


NAMES = [
    *("error", "errors", "message", "code", "status", "detail", "choices", "type", "details"),
    *("base_resp", "status_code", "metadata", "raw", "provider_name"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2000, 2000) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON)
def test_any_json_can_be_asked_and_read(value: object) -> None:
    assert is_error(value) in {True, False}
    assert isinstance(said(value).message, str)


def behind(raw: object, **metadata: object) -> dict[str, object]:
    inside = {"raw": raw, **metadata}
    return {"error": {"message": "Provider returned error", "code": 429, "metadata": inside}}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("it is busy now", "it is busy now"),
        ('{"error": {"message": "it is busy"}}', "it is busy"),
        ({"error": {"message": "it is busy"}}, "it is busy"),
        ('{"detail": "it is busy"}', "it is busy"),
        ('[{"error": {"message": "it is busy"}}]', "it is busy"),
        ("{broken", "{broken"),
    ],
)
def test_the_words_of_the_provider_behind_follow_its_name(raw: object, reason: str) -> None:
    told = said(behind(raw, provider_name="BaseTen")).message
    assert told == f"Provider returned error (BaseTen): {reason}"
    assert said(behind(raw)).message == f"Provider returned error: {reason}"


@pytest.mark.parametrize("raw", [None, "", {}, "Provider returned error"])
def test_a_provider_behind_that_says_nothing_more_is_left_out(raw: object) -> None:
    assert said(behind(raw)).message == "Provider returned error"


def test_the_status_of_the_provider_behind_beats_the_outer_one() -> None:
    assert said(behind({"error": {"message": "m", "code": 400}})).status == 400


def test_codes_are_gathered_from_every_object_of_an_error() -> None:
    value = {
        "type": "error",
        "error": {
            "code": "RateLimitReached",
            "status": "RESOURCE_EXHAUSTED",
            "innererror": {"code": "Inner"},
            "details": [{"reason": "API_KEY_INVALID"}, {"violations": [{"quotaId": "PerDay-X"}]}],
        },
    }
    assert set(said(value).codes.split()) == {
        *("error", "ratelimitreached", "resourceexhausted", "inner", "apikeyinvalid", "perdayx")
    }


def test_a_code_is_compared_without_case_and_signs_and_a_sentence_is_none() -> None:
    assert compact("rate_limit-Exceeded") == compact("RateLimitExceeded") == "ratelimitexceeded"
    assert compact("a sentence " * 10) == ""


def test_an_error_inside_an_error_without_end_is_read_to_a_depth() -> None:
    value: dict[str, object] = {"message": "the innermost"}
    for _ in range(500):
        value = {"error": value}
    assert said(value).message
