"""Claimed: every shape of a server's error becomes the right class, message, status and pause."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.errors import (
    AuthError,
    BadRequest,
    ChatstreamError,
    ContentPolicy,
    ContextLength,
    ModelNotFound,
    Overloaded,
    ProtocolError,
    QuotaExceeded,
    RateLimited,
    ServerError,
    UnsupportedParameter,
)
from chatstream.providers.failures import failure_in, failure_of
from chatstream.providers.waits import retry_after

Kind = type[ChatstreamError]
MISSING = "The model `x` does not exist or you do not have access to it."
NOW = 1_800_000_000.0


def fail(status: int, body: object, **headers: str) -> ChatstreamError:
    sent = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return failure_of(status, sent, {name.replace("_", "-"): v for name, v in headers.items()})


# Where each server puts the message of a refusal before the stream.
SHAPES = [
    pytest.param({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, id="openai"),
    pytest.param({"error": {"message": "m", "code": 400, "metadata": {}}}, id="code-is-a-number"),
    pytest.param({"object": "error", "message": "m", "type": "t", "code": 400}, id="old-vllm"),
    pytest.param({"object": "error", "message": "m", "code": "3051"}, id="mistral"),
    pytest.param({"code": "c", "message": "m", "type": "t"}, id="doubleword"),
    pytest.param({"error": "m"}, id="ollama"),
    pytest.param({"code": "c", "error": "m"}, id="xai"),
    pytest.param({"detail": "m"}, id="fastapi"),
    pytest.param({"detail": {"message": "m"}}, id="detail-is-an-object"),
    pytest.param({"message": "m"}, id="only-a-message"),
    pytest.param({"message": "m", "detail": "d"}, id="message-before-detail"),
    pytest.param({"error": {"type": "t"}, "message": "m"}, id="message-beside-the-error"),
    pytest.param({"error": None, "message": "m"}, id="error-is-null"),
    pytest.param({"type": "error", "error": {"type": "t", "message": "m"}}, id="anthropic"),
    pytest.param("m", id="text"),
    pytest.param('"m"', id="json-text"),
    pytest.param("  m\n\n", id="text-with-space-around"),
]


@pytest.mark.parametrize("body", SHAPES)
def test_the_message_is_found_in_every_shape(body: object) -> None:
    failure = fail(400, body)
    assert (type(failure), failure.message, failure.status) == (BadRequest, "m", 400)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequest, False),
        (401, AuthError, False),
        (402, QuotaExceeded, False),
        (403, AuthError, False),
        (404, BadRequest, False),
        (408, ServerError, True),
        (409, ServerError, True),
        (413, ContextLength, False),
        (418, BadRequest, False),
        (422, BadRequest, False),
        (429, RateLimited, True),
        (500, ServerError, True),
        (502, ServerError, True),
        (503, Overloaded, True),
        (504, ServerError, True),
        (524, ServerError, True),
        (529, Overloaded, True),
    ],
)
def test_the_status_decides_where_nothing_better_is_said(
    status: int, kind: Kind, retryable: bool
) -> None:
    failure = fail(status, {"error": {"message": "m"}})
    assert (type(failure), failure.status, failure.retryable) == (kind, status, retryable)


def coded(code: object, message: str = "m", **fields: object) -> dict[str, object]:
    return {"error": {"message": message, "code": code, **fields}}


def typed(kind: str, message: str = "m") -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message}}


# The words of an error say more than its status.
WORDS: list[Any] = [
    (429, coded("insufficient_quota"), QuotaExceeded),
    (429, coded(None, "You exceeded your current quota, check your plan"), QuotaExceeded),
    (400, typed("invalid_request_error", "Your credit balance is too low"), QuotaExceeded),
    (402, coded(402, "Insufficient Balance"), QuotaExceeded),
    (400, coded("context_length_exceeded"), ContextLength),
    (400, coded(None, "This model's maximum context length is 8192 tokens"), ContextLength),
    (400, coded(400, "exceeds the available context size (512 tokens)"), ContextLength),
    (400, typed("invalid_request_error", "prompt is too long: 210000 tokens"), ContextLength),
    (400, coded("content_filter"), ContentPolicy),
    (400, coded("content_policy_violation"), ContentPolicy),
    (500, typed("overloaded_error"), Overloaded),
    (503, {"error": "server busy, please try again.  maximum pending requests"}, Overloaded),
    (400, typed("rate_limit_error"), RateLimited),
    (400, typed("authentication_error"), AuthError),
    (400, coded("invalid_api_key"), AuthError),
    (401, {"error": "unauthorized", "signin_url": "https://x"}, AuthError),
    (404, coded("model_not_found"), ModelNotFound),
    (404, coded(None, MISSING), ModelNotFound),
    (404, {"error": "model 'x' not found"}, ModelNotFound),
    (404, {"error": 'model "x" not found, try pulling it first'}, ModelNotFound),
    (404, typed("not_found_error", "model: claude-nonexistent"), ModelNotFound),
    (400, coded(400, "x is not a valid model ID"), ModelNotFound),
    (400, {"message": "Invalid model: x", "type": "invalid_model"}, ModelNotFound),
    (404, coded("DeploymentNotFound", "The API deployment does not exist"), ModelNotFound),
    (404, "404 page not found", BadRequest),
    (400, coded(None, "Logprobs are not enabled for this model"), BadRequest),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), WORDS)
def test_the_words_of_an_error_beat_its_status(status: int, body: object, kind: Kind) -> None:
    failure = fail(status, body)
    assert type(failure) is kind
    assert failure.status == status


# Errors in the middle of a stream come with HTTP 200; what they say of themselves decides.
MIDDLE: list[Any] = [
    ({"error": {"message": "m", "code": 429}}, RateLimited, 429),
    ({"error": {"message": "m", "code": "502"}}, ServerError, 502),
    ({"error": {"message": "m", "status_code": 401}}, AuthError, 401),
    ({"message": "m", "code": "3051", "raw_status_code": 400}, BadRequest, 400),
    ({"error": {"message": "m", "code": 400}, "status": 500}, BadRequest, 400),
    ({"error": {"message": "m", "type": "overloaded_error"}}, Overloaded, None),
    ({"error": {"message": "m", "code": "tool_use_failed"}}, ServerError, None),
    ({"error": {"message": "m", "code": 3051}}, ServerError, None),
    ({"error": {"message": "m", "code": True}}, ServerError, None),
    ({"error": {"message": "m", "code": ["429"]}}, ServerError, None),
    ({"error": "m"}, ServerError, None),
    ("m", ServerError, None),
]


@pytest.mark.parametrize(("value", "kind", "status"), MIDDLE)
def test_an_error_in_the_stream_tells_its_own_status(
    value: object, kind: Kind, status: int | None
) -> None:
    failure = failure_in(value)
    assert (type(failure), failure.message, failure.status) == (kind, "m", status)


def test_a_status_inside_the_error_beats_the_http_status() -> None:
    assert type(fail(200, {"error": {"message": "m", "code": 429}})) is RateLimited


@pytest.mark.parametrize("value", [None, {}, [], "", 0, {"error": None}, {"error": {}}])
def test_an_error_without_words_still_says_something(value: object) -> None:
    assert failure_in(value).message
    assert failure_in(value, 503).message.strip("{}[]")


@pytest.mark.parametrize(
    "code",
    [
        "NaN",
        "Infinity",
        "1e999",
        "-1e999",
        f'"{"9" * 5000}"',
        "9" * 5000,
        "9" * 400,
        '"٤٠٤"',
        '"²"',
    ],
)
def test_an_impossible_code_is_no_reason_to_fail(code: str) -> None:
    assert isinstance(fail(500, f'{{"message": "m", "code": {code}}}'), ChatstreamError)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-600, 600) | st.sampled_from(["m", "429", ""]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["error", "message", "detail", "code", "type"]), inner
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from([0, 200, 400, 429, 500]),
)
def test_any_json_is_some_failure_with_a_message(value: object, status: int) -> None:
    assert failure_in(value, status).message


@pytest.mark.parametrize(
    ("status", "body", "parameter"),
    [
        (400, coded("x", "Unknown parameter", param="stream_options"), "stream_options"),
        (422, {"detail": [{"loc": ["body", "stream_options"], "msg": "extra"}]}, "stream_options"),
        (
            400,
            coded("unsupported_parameter", "'max_tokens' … Use 'max_completion_tokens' instead."),
            "max_tokens",
        ),
        (400, {"error": "x does not support streaming"}, "stream"),
        (400, coded(None, "this endpoint doesn't support stream"), "stream"),
        (501, coded(None, "Streaming is not supported yet"), "stream"),
        (405, {"message": "cannot stream this model"}, "stream"),
    ],
)
def test_a_parameter_of_ours_that_is_not_taken_is_named(
    status: int, body: object, parameter: str
) -> None:
    failure = fail(status, body)
    assert isinstance(failure, UnsupportedParameter)
    assert failure.parameter == parameter


@pytest.mark.parametrize(
    ("status", "message"),
    [(500, "Streaming is not supported"), (400, "The stream was closed"), (400, "max_tokens: 9")],
)
def test_other_refusals_name_no_parameter(status: int, message: str) -> None:
    assert not isinstance(fail(status, {"error": message}), UnsupportedParameter)


PAGE = "<html><head><title>502\n Bad  Gateway</title></head><body><h1>nginx</h1></body></html>"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (PAGE, "502 Bad Gateway"),
        ("<H1 class=x>Gateway &amp; time</H1>", "Gateway &amp; time"),
        ("<p>no <b>title</b></p>", "no title"),
        ("", "HTTP 502 Bad Gateway"),
        ("<html></html>", "HTTP 502 Bad Gateway"),
    ],
)
def test_a_web_page_is_told_by_its_title(page: str, message: str) -> None:
    failure = fail(502, page)
    assert (type(failure), failure.message) == (ServerError, message)


@pytest.mark.parametrize(("body", "says"), [(PAGE, "502 Bad Gateway"), ("", "an empty body")])
def test_a_page_with_http_200_is_a_protocol_error_that_quotes_it(body: str, says: str) -> None:
    failure = fail(200, body)
    assert type(failure) is ProtocolError
    assert says in failure.message


def test_a_long_message_is_cut_to_one_line_of_500_characters() -> None:
    message = fail(500, {"error": "line\n" * 1000}).message
    assert len(message) == 500
    assert "\n" not in message


def test_a_404_that_names_no_model_hints_at_the_address() -> None:
    assert "--base-url" in (fail(404, "404 page not found").hint or "")
    assert "chatstream models" in (fail(404, {"error": MISSING}).hint or "")


def test_bytes_that_are_no_utf_8_and_half_characters_can_be_printed() -> None:
    assert failure_of(500, b'{"error": "\xff"}', {}).message == "�"
    assert fail(500, '{"error": "\\ud83d"}').message == "�"


@pytest.mark.parametrize("name", ["x_request_id", "request_id", "x_generation_id"])
def test_the_request_id_is_kept(name: str) -> None:
    assert fail(500, "m", **{name: "req_1"}).request_id == "req_1"


@pytest.mark.parametrize(
    ("status", "advice", "retryable"),
    [(500, "false", False), (400, "true", True), (500, "maybe", True), (400, "", False)],
)
def test_x_should_retry_overrides(status: int, advice: str, retryable: bool) -> None:
    assert fail(status, "m", x_should_retry=advice).retryable is retryable


def test_the_advice_holds_for_one_failure_only() -> None:
    fail(500, "m", x_should_retry="false")
    assert fail(500, "m").retryable


def date(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "-1", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "nan", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": date(90)}, 90.0),
        ({"retry-after": date(-90)}, None),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 -0000"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}, 251607078059.0),
    ],
)
def test_the_pause_that_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == (seconds and pytest.approx(seconds, rel=0.01))


WORD = st.sampled_from(["Mon,", "31", "Feb", "Dec", "0", "1", "99", "9999", "24:60:60", "-0000"])
NUMBER = st.text("0123456789.+-e_ ", max_size=12)


@settings(deadline=None)
@given(NUMBER | st.lists(WORD, max_size=7).map(" ".join) | st.floats().map(str))
def test_any_header_is_a_pause_or_none(text: str) -> None:
    seconds = retry_after({"retry-after": text, "retry-after-ms": text}, NOW)
    assert seconds is None or (seconds > 0 and math.isfinite(seconds))


def test_the_pause_comes_with_the_failure() -> None:
    assert fail(429, "m", retry_after="3").retry_after == 3.0
