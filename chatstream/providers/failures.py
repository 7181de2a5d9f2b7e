"""What a server's error means: its many shapes to one of ours.

Servers put the message in `error.message`, `error`, `message` or `detail`, and the kind of the
error in a type, a code (text or number) or only in the words. The HTTP status decides where
nothing better is said; a status or code inside the error beats the HTTP status, since errors in
the middle of a stream arrive with HTTP 200.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

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
from chatstream.providers.lenient import count_of, excerpt, json_text, object_of
from chatstream.providers.text import whole_characters

# Patterns, compiled when a failure has to be told apart and not at every start.
_WORDS: tuple[tuple[str, type[ChatstreamError]], ...] = (
    (r"insufficient_quota|billing_error|exceeded your current quota|insufficient balance|"
     r"credit balance", QuotaExceeded),
    (r"context_length|context.?(length|window|size)|too_many_prompt_tokens|maximum context|"
     r"prompt is too long|prompt too long", ContextLength),
    (r"content_policy|content_filter|responsibleaipolicy|content management policy",
     ContentPolicy),
    (r"overloaded|server busy|engine is currently", Overloaded),
    (r"rate_limit|ratelimit|too many requests", RateLimited),
    (r"authentication_error|invalid_api_key|permission_error|unauthorized", AuthError),
    (r"model_not_found|invalid_model|deploymentnotfound|not a valid model|"
     r"model\b.*\b(not found|does not exist)|^invalid model|^model:", ModelNotFound),
)  # fmt: skip
_NO_STREAM = (
    r"(does|do) ?n[o']t support (\w+ )?stream|stream(ing)?\b.{0,40}"
    r"\b(not (be )?(support|allow|enabl)|unsupported)|cannot stream"
)
_STATUSES: dict[int, type[ChatstreamError]] = {
    401: AuthError,
    402: QuotaExceeded,
    403: AuthError,
    408: ServerError,
    409: ServerError,
    413: ContextLength,
    429: RateLimited,
    503: Overloaded,
    529: Overloaded,
}
_READ = 4096  # characters of a message or page that are read; the patterns are not linear
_REQUEST_IDS = ("x-request-id", "request-id", "x-generation-id", "apim-request-id")


def failure_of(status: int, body: bytes, headers: Mapping[str, str]) -> ChatstreamError:
    """The failure that a response with an error status, or with a body of no use, stands for."""
    text = body.decode("utf-8", "replace")
    page = _page(text[:_READ])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if value is None and status < 400:
        return ProtocolError(
            f"the server sent something that is not an answer: {page or 'an empty body'}",
            status=status,
        )
    failure = failure_in(value if value is not None else page, status)
    if failure.status == 404 and type(failure) is BadRequest:
        failure.hint = (
            "check the address (--base-url) and the provider: the server has no such page"
        )
    failure.request_id = request_id(headers)
    failure.retry_after = retry_after(headers, time.time())
    if (advice := headers.get("x-should-retry")) in {"true", "false"}:
        failure.retryable = advice == "true"
    return failure


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the provider calls this request, to be told to its support."""
    return next((headers[name] for name in _REQUEST_IDS if name in headers), None)


def failure_in(value: object, status: int = 0) -> ChatstreamError:
    """The failure that a decoded error stands for; `status` 0 is the middle of a stream."""
    fields, message = _fields(value)
    message = message[:_READ]
    words = " ".join(str(fields.get(name) or "") for name in ("type", "code"))
    status = _status_in(fields) or status
    shown = excerpt(whole_characters(message), 500) or _phrase(status)
    if (parameter := _refused_parameter(fields, message, status)) is not None:
        return UnsupportedParameter(shown, parameter, status=status)
    for text in (words, message):
        for pattern, kind in _WORDS:
            if re.search(pattern, text, re.IGNORECASE):
                return kind(shown, status=status or None)
    return _by_status(status)(shown, status=status or None)


def _by_status(status: int) -> type[ChatstreamError]:
    if status in _STATUSES:
        return _STATUSES[status]
    return BadRequest if 400 <= status < 500 else ServerError


def _fields(value: object) -> tuple[dict[str, object], str]:
    """The object that describes the error, and its message."""
    if isinstance(value, list) and len(value) == 1:  # Gemini puts its error into a list
        value = value[0]
    outer = object_of(value)
    error, detail = outer.get("error"), outer.get("detail")
    fields = {**outer, **object_of(detail), **object_of(error)}
    places = (
        object_of(error).get("message"),
        error,
        outer.get("message"),
        object_of(detail).get("message"),
        detail,
        value,
    )
    said = next((place for place in places if isinstance(place, str) and place), None)
    if said is None:  # no text anywhere: the first thing there is, as JSON
        told = next((place for place in places if place), "")
        said = json_text(told) if told else ""
    return fields, said


def _status_in(fields: dict[str, object]) -> int:
    """An HTTP status that the error itself names; 0 if none."""
    for name in ("status_code", "code", "raw_status_code", "status"):
        value = fields.get(name)
        if isinstance(value, str) and re.fullmatch("[45][0-9]{2}", value):
            return int(value)
        number = count_of(value)
        if number is not None and 400 <= number < 600:
            return number
    return 0


def _refused_parameter(fields: dict[str, object], message: str, status: int) -> str | None:
    """A parameter that we add ourselves and that this server does not take."""
    if status not in {400, 404, 405, 422, 501}:
        return None
    if "stream_options" in message or fields.get("param") == "stream_options":
        return "stream_options"
    if "max_completion_tokens" in message and "max_tokens" in message:
        return "max_tokens"
    if fields.get("param") == "stream" or re.search(_NO_STREAM, message, re.IGNORECASE):
        return "stream"
    return None


def _page(text: str) -> str:
    """What a page that is no JSON says: its title, or its first words."""
    title = re.search(r"<(title|h1)[^>]*>(.*?)</\1", text, re.IGNORECASE | re.DOTALL)
    return excerpt(title.group(2) if title else re.sub(r"<[^>]*>", " ", text))


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}" if status else "the server reports an error without a message"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the server asks us to wait; `now` is the wall clock.

    `retry-after-ms` first, then `retry-after` in seconds or as a date. What is not a positive
    number says nothing: Azure sends `retry-after-ms: 0` beside `retry-after: 1`.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            seconds = _until(text, now)
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None


def _until(date: str, now: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return 0.0
