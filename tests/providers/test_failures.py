"""Claimed: every shape of a server's error becomes the right class, message, status and pause."""

from __future__ import annotations

import json
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
    Refused,
    ServerError,
    UnsupportedParameter,
)
from chatstream.providers.failures import error_in, failure_in, failure_of, no_answer

Kind = type[ChatstreamError]
SPENT = "You have reached your specified API usage limits. You will regain access on 2026-12-01."
MISSING = "The model `x` does not exist or you do not have access to it."


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


# A code, or words where the status leaves it open, say more than the status.
WORDS: list[Any] = [
    (429, coded("insufficient_quota"), QuotaExceeded),
    (429, coded(None, "You exceeded your current quota, check your plan"), QuotaExceeded),
    (400, typed("invalid_request_error", "Your credit balance is too low"), QuotaExceeded),
    (402, coded(402, "Insufficient Balance"), QuotaExceeded),
    (400, typed("invalid_request_error", SPENT), QuotaExceeded),
    (429, typed("rate_limit_error", "You exceeded your daily rate limit"), QuotaExceeded),
    (429, coded(429, "Rate limit exceeded: free-models-per-day-high-balance."), QuotaExceeded),
    (429, coded(429, "20 requests per minute; 1000 per day with credits"), RateLimited),
    (429, coded(429, "limit of tokens per day: try again in 1m26.4s"), RateLimited),
    (403, coded(403, "Key limit exceeded (total limit)."), QuotaExceeded),
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
def test_a_code_or_words_say_more_than_an_open_status(
    status: int, body: object, kind: Kind
) -> None:
    failure = fail(status, body)
    assert type(failure) is kind
    assert failure.status == status


def google(message: str, status: str = "", **details: object) -> list[dict[str, object]]:
    error = {"message": message, "status": status, "details": [details]}
    return [{"error": error}]


OVER = "You exceeded your current quota, please check your plan and billing details."


def limit(period: str, **more: object) -> list[dict[str, object]]:
    return google(OVER, "RESOURCE_EXHAUSTED", violations=[{"quotaId": f"Requests{period}"}], **more)


# The other way round: a status or a code that has a meaning of its own beats any word.
DECIDED: list[Any] = [
    (500, {"error": "model runner crashed: shared library not found"}, ServerError),
    (500, {"error": "the model was not found in the context window"}, ServerError),
    (500, coded(None, "upstream said: invalid api key"), ServerError),
    (502, coded(None, "rate limit of the proxy"), ServerError),
    (503, coded(None, "model 'x' not found"), Overloaded),
    (500, coded(None, "the engine is overloaded"), Overloaded),
    (503, coded("model_not_found", "no available channel for model x"), ModelNotFound),
    (401, coded(None, "model 'x' not found: your quota exceeded"), AuthError),
    (401, {"error": {"type": "CreditsError", "message": "Insufficient balance"}}, QuotaExceeded),
    (402, coded(None, "rate limit: try again in 5 seconds"), QuotaExceeded),
    (403, coded(None, "You exceeded your current quota"), QuotaExceeded),
    (403, coded(None, "the input was flagged for violence"), ContentPolicy),
    (403, coded("rateLimitExceeded", "slow down"), RateLimited),
    (403, coded(None, "rate limit words"), AuthError),
    (400, coded(None, "the parameter location is not supported"), BadRequest),
    (200, coded(None, "Error code: 429 - {}"), RateLimited),
    (404, coded(None, "rate limit, quota exceeded"), BadRequest),
    (404, {"error": {"code": 404, "message": "models/x is not found for v1beta"}}, ModelNotFound),
    (404, coded(None, "No endpoints found for z/glm."), ModelNotFound),
    (404, coded(None, "No endpoints found that support image input"), BadRequest),
    (408, coded(None, "invalid api key"), ServerError),
    (413, coded("rate_limit_exceeded", "Request too large for model `x`"), ContextLength),
    (429, coded("rate_limit_exceeded", "on tokens per min (TPM): Limit 9"), RateLimited),
    (429, coded("engine_overloaded_error"), Overloaded),
    (429, coded(None, "model 'x' not found"), RateLimited),
    (429, coded("token_quota_exceeded", "Requests per minute limit exceeded"), RateLimited),
    (429, coded("token_quota_exceeded", "Tokens per day limit exceeded"), QuotaExceeded),
    (429, google(OVER, "RESOURCE_EXHAUSTED"), QuotaExceeded),
    (429, google(OVER, retryDelay="34s"), RateLimited),
    (429, limit("PerMinutePerProject"), RateLimited),
    (429, limit("PerMinutePerProject", retryDelay="34s"), RateLimited),
    (429, limit("PerDayPerProject", retryDelay="34s"), QuotaExceeded),
    (429, coded("insufficient_quota", "try again in 5 seconds"), QuotaExceeded),
    (400, google("bad key", "INVALID_ARGUMENT", reason="API_KEY_INVALID"), AuthError),
    (400, {"code": "Client sent a bad argument", "error": "Incorrect API key"}, AuthError),
    (400, coded("model_decommissioned", "x has been decommissioned"), ModelNotFound),
    (400, coded(None, "The model `x` has been decommissioned."), ModelNotFound),
    (400, {"code": 20012, "message": "Model does not exist."}, ModelNotFound),
    (400, coded(None, "Model Not Exist"), ModelNotFound),
    (400, {"__type": "ThrottlingException", "message": "Too many tokens"}, RateLimited),
    (400, {"__type": "AccessDeniedException", "message": "no"}, AuthError),
    (400, {"__type": "ValidationException", "message": "Input is too long"}, ContextLength),
    (400, coded(None, "model runner crashed: shared library not found"), BadRequest),
    (400, coded("api_error", "m"), BadRequest),
    (403, {"error": {"message": "Forbidden"}}, AuthError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), DECIDED)
def test_words_do_not_beat_a_status_that_has_a_meaning(
    status: int, body: object, kind: Kind
) -> None:
    failure = fail(status, body)
    assert (type(failure), failure.status) == (kind, status)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1000, ServerError),
        (1002, RateLimited),
        (1004, AuthError),
        (1008, QuotaExceeded),
        (1013, ServerError),
        (1026, ContentPolicy),
        (1027, ContentPolicy),
        (1039, RateLimited),
        (2013, BadRequest),
        (2049, AuthError),
        (9999, ServerError),
    ],
)
def test_minimax_has_numbers_of_its_own(number: int, kind: Kind) -> None:
    error = {"base_resp": {"status_code": number, "status_msg": "m"}, "choices": None}
    assert type(error_in(error)) is kind


REGION = "Country, region, or territory not supported"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, coded("unsupported_country_region_territory", REGION)),
        (403, coded(None, REGION)),
        (400, google("User location is not supported for the API use.", "FAILED_PRECONDITION")),
        (403, {"error": {"type": "forbidden", "message": "Request not allowed"}}),
        (403, coded(None, "Claude is not available in your region")),
    ],
)
def test_a_refused_region_is_not_about_the_key(status: int, body: object) -> None:
    failure = fail(status, body)
    assert (type(failure), failure.exit_status, failure.retryable) == (Refused, 3, False)
    assert "country or network" in (failure.hint or "")


def titled(title: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body></body></html>"


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (403, titled("Just a moment..."), {"cf_mitigated": "challenge"}),
        (403, titled("Just a moment..."), {}),
        (503, titled("Just a moment..."), {}),
        (429, titled("Attention Required! | Cloudflare"), {}),
        (403, titled("Access Denied"), {}),
        (403, "error code: 1020", {}),
    ],
)
def test_the_page_of_a_guard_is_not_about_the_key(
    status: int, body: str, headers: dict[str, str]
) -> None:
    failure = fail(status, body, **headers)
    assert (type(failure), failure.exit_status, failure.retryable) == (Refused, 3, False)
    assert "firewall" in (failure.hint or "")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthError), (429, RateLimited), (502, ServerError)]
)
def test_other_pages_are_told_by_their_status(status: int, kind: Kind) -> None:
    assert type(fail(status, titled("nginx"))) is kind


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
    ({"error": {"message": "m", "type": "invalid_request_error"}}, BadRequest, None),
    ({"error": {"message": "m", "type": "server_error"}}, ServerError, None),
    ({"error": {"message": "m", "status": "UNAVAILABLE"}}, Overloaded, None),
    ({"error": {"message": "m", "status": "RESOURCE_EXHAUSTED"}}, RateLimited, None),
]


@pytest.mark.parametrize(("value", "kind", "status"), MIDDLE)
def test_an_error_in_the_stream_tells_its_own_status(
    value: object, kind: Kind, status: int | None
) -> None:
    failure = failure_in(value)
    assert (type(failure), failure.message, failure.status) == (kind, "m", status)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Authentication error", AuthError),
        ("token expired or incorrect", AuthError),
        ("User is not authorized to use this resource", AuthError),
        ("Rate limit exceeded", RateLimited),
        ("z/glm is temporarily rate-limited upstream", RateLimited),
        ("model 'x' not found", ModelNotFound),
        ("insufficient balance", QuotaExceeded),
        ("the engine is currently busy", Overloaded),
        ("Error code: 429 - {'detail': 'm'}", RateLimited),
        ("upstream: HTTP/1.1 401 Unauthorized", AuthError),
        ("status code: 503", Overloaded),
        ("model runner crashed: shared library not found", ServerError),
        ("CUDA error 429", ServerError),
    ],
)
def test_words_decide_in_a_stream_where_there_is_neither_code_nor_status(
    words: str, kind: Kind
) -> None:
    assert type(failure_in(words)) is kind
    assert type(failure_in({"error": {"message": words}})) is kind


def test_a_code_in_a_stream_beats_the_words() -> None:
    broken = coded("server_error", "model 'x' not found")
    assert type(failure_in(broken)) is ServerError


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
        (400, {"error": "deepseek-reasoner does not support this tool_choice"}, "tool_choice"),
        (
            400,
            coded(
                "unsupported_parameter",
                "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
                param="parallel_tool_calls",
            ),
            "parallel_tool_calls",
        ),
        (
            400,
            "messages.1.content.0: this `thinking` block is bound to a different conversation",
            "earlier thinking",
        ),
        (404, "No endpoints found that support the provided 'tool_choice' value.", "tool_choice"),
        (
            400,
            "tool_choice: Input tag 'none' found using 'type' does not match any of the expected",
            "tool_choice",
        ),
        (
            422,
            {"detail": [{"loc": ["body", "tool_choice"], "msg": "Extra inputs are not permitted"}]},
            "tool_choice",
        ),
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
    [
        (500, "Streaming is not supported"),
        (400, "The stream was closed"),
        (400, "max_tokens: 9"),
        (400, "Invalid value for tool_choice: 'x'"),
    ],
)
def test_other_refusals_name_no_parameter(status: int, message: str) -> None:
    assert not isinstance(fail(status, {"error": message}), UnsupportedParameter)


AUTO = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (400, AUTO, "vllm serve MODEL --enable-auto-tool-choice --tool-call-parser PARSER"),
        (500, "tools param requires --jinja flag", "llama-server --jinja"),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools", "a model that can"),
        (404, "No endpoints found that support tool use. To learn more…", "a model that can"),
        (400, "`tools` is not supported with this model", "a model that can"),
        (400, "Function calling is not supported by this model", "a model that can"),
        (500, "image input is not supported - hint: … provide the mmproj", "a model that reads"),
        (404, "No endpoints found that support image input", "a model that reads images"),
        (400, "this model does not support images", "a model that reads images"),
    ],
)
def test_a_server_that_cannot_do_what_is_asked_is_told_with_what_to_do(
    status: int, message: str, hint: str
) -> None:
    failure = fail(status, {"object": "error", "message": message, "code": status})
    assert message in failure.message
    assert hint in (failure.hint or "")
    assert (failure.retryable, failure.exit_status) == (False, 3)
    assert not isinstance(failure, UnsupportedParameter)


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


@pytest.mark.parametrize(
    "page",
    [
        "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",  # nginx
        "Client sent an HTTP request to an HTTPS server.\n",  # Go
    ],
)
def test_a_server_that_wants_tls_is_told_with_how_to_ask_it(page: str) -> None:
    assert "https://" in (fail(400, page).hint or "")


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


def test_the_pause_comes_with_the_failure() -> None:
    assert fail(429, "m", retry_after="3").retry_after == 3.0


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (coded("rate_limit_exceeded", "Please try again in 2.5s."), 2.5),
        (coded("usage_limit_reached", "m", resets_in_seconds=9568), 9568.0),
        (coded(None, "try again in 2s", retry_after=7), 7.0),
        (limit("PerMinute", retryDelay="34s"), 34.0),
        ({"error": {"message": "m", "metadata": {"headers": {"Retry-After": "4"}}}}, 4.0),
        ({"error": {"message": "m", "metadata": {"raw": "retry after 30 seconds"}}}, 30.0),
        ({"error": "m", "estimated_time": 20.0}, 20.0),
    ],
)
def test_the_pause_may_stand_in_the_body_or_the_message(body: object, seconds: float) -> None:
    assert fail(429, body).retry_after == seconds
    assert failure_in(body, 429).retry_after == seconds
    assert fail(429, body, retry_after="3").retry_after == 3.0


def test_a_pause_is_told_in_the_hint_of_a_failure_that_may_pass() -> None:
    long = coded("usage_limit_reached", "m", resets_in_seconds=9568)
    assert fail(429, long).hint == "the server asks for a wait of 2 h 39 min"
    assert fail(429, "m", retry_after="3").hint == "the server asks for a wait of 3 s"
    assert fail(429, "m").hint == RateLimited.hint


def test_a_refusal_asks_for_no_pause_in_its_words() -> None:
    failure = fail(400, coded(None, "bad prompt; wait 5 seconds"))
    assert (failure.retry_after, failure.hint) == (None, None)


def test_the_reason_of_the_provider_behind_is_told_and_its_class_counts() -> None:
    raw = '{"error": {"message": "The engine is overloaded", "code": 503}}'
    inside = {"raw": raw, "provider_name": "X"}
    failure = fail(429, coded(429, "Provider returned error", metadata=inside))
    assert type(failure) is Overloaded
    assert failure.message == "Provider returned error (X): The engine is overloaded"


@pytest.mark.parametrize("value", [None, "text", {}, {"error": None}, {"choices": [{}]}])
def test_what_is_no_error_is_no_failure(value: object) -> None:
    assert error_in(value) is None


WRONGLY_FRAMED = [
    pytest.param(b'data: {"error": {"message": "m x", "code": 429}}\n\n', id="event"),
    pytest.param(b': hi\n\nevent: error\r\ndata: {"error": {"message": "m x"}}\r\n', id="events"),
    pytest.param(b'\xef\xbb\xbf{"error": {"message": "m x"}}', id="bom"),
    pytest.param(b'{"error": {"message": "m x"}}\n<html>more</html>', id="something-behind"),
    pytest.param(b'{"error": {"message": "m x"}', id="cut-by-one"),
    pytest.param(b'{"error": {"message": "m x"', id="cut-by-two"),
    pytest.param(b'{"error": {"message": "m x', id="cut-by-three"),
    pytest.param(b'[{"error": {"message": "m x"}}', id="list-cut-by-one"),
    pytest.param(b'{"error": {"message": "m\nx"}}', id="raw-line-end"),
]


@pytest.mark.parametrize("body", WRONGLY_FRAMED)
def test_an_error_body_that_is_framed_wrong_is_read(body: bytes) -> None:
    failure = failure_of(429, body, {})
    assert (type(failure), failure.message) == (RateLimited, "m x")


def test_a_cut_error_body_is_told_by_what_came_of_its_message() -> None:
    body = json.dumps(coded("c", 'no "x" \\ é, z', metadata={"a": [1, {"b": "c,d"}]})).encode()
    begin = body.index(b'"no ') + 1
    for cut in range(begin + 3, len(body)):
        message = failure_of(400, body[:cut], {}).message
        assert message
        assert 'no "x" \\ é, z'.startswith(message)


@pytest.mark.parametrize("text", ["404 page not found", '"a" is no model', "data: none", "{", "[1"])
def test_a_text_that_only_begins_like_json_is_told_as_it_is(text: str) -> None:
    assert fail(400, text).message == text


@pytest.mark.parametrize("body", [{"a": 1}, [], ["a"], "a", {"choices": []}])
def test_json_that_is_no_error_is_a_protocol_error_with_http_200(body: object) -> None:
    failure = failure_of(200, msgspec.json.encode(body), {})
    assert type(failure) is ProtocolError
    assert msgspec.json.encode(body).decode() in failure.message


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (204, "204 No Content"),
        (205, "205 Reset Content"),
        (300, "300 Multiple Choices"),
        (302, "302 Found"),
        (304, "304 Not Modified"),
        (399, "399"),
    ],
)
def test_a_status_that_never_has_an_answer_is_told_as_what_it_is(status: int, named: str) -> None:
    failure = no_answer(status)
    assert failure is not None
    assert failure.message == f"the server replied {named}, which carries no answer"
    assert (failure.status, failure.retryable) == (status, False)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 404, 500])
def test_other_statuses_may_have_an_answer(status: int) -> None:
    assert no_answer(status) is None


@pytest.mark.parametrize(("status", "told"), [(201, True), (202, True), (200, False), (500, False)])
def test_a_success_other_than_200_without_a_body_has_no_answer(status: int, told: bool) -> None:
    assert (no_answer(status, empty=True) is not None) is told


def test_a_long_message_costs_little_whatever_is_in_it() -> None:
    for text in (": a\n", "model ", "wait 1 ", "try again in 1h1m1s and ", "not found in region "):
        assert fail(400, text * 16_000).message
