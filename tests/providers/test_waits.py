"""Claimed: a time to wait is found wherever a server puts it, and nothing else is taken for one."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.providers.waits import retry_after, used_up, wait_in

NOW = 1_800_000_000.0


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


# A limit that is used up says when it is reset. What has something left is not what refuses.
RESETS: list[Any] = [
    ({"x-ratelimit-reset-requests": "6ms"}, 0.006),
    ({"x-ratelimit-reset-tokens": "14m24s"}, 864.0),
    ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
    ({"x-ratelimit-reset-tokens": "12"}, 12.0),
    ({"x-ratelimit-reset-tokens": "0s"}, None),
    ({"x-ratelimit-reset-tokens": "soon"}, None),
    ({"x-ratelimit-reset": str(int((NOW + 30) * 1000))}, 30.0),
    ({"x-ratelimit-reset": str(int(NOW + 30))}, 30.0),
    ({"x-ratelimit-reset": str(int(NOW - 30))}, None),
    ({"ratelimit-reset": "30"}, 30.0),
    ({"anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:30Z"}, 30.0),
    ({"x-ratelimit-reset-requests": "2s", "x-ratelimit-reset-tokens": "5s"}, 5.0),
    (
        {
            "x-ratelimit-reset-requests": "3s",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-tokens": "10m",
            "x-ratelimit-remaining-tokens": "4000",
        },
        3.0,
    ),
    (
        {
            "x-ratelimit-reset-requests-day": "33011.38",
            "x-ratelimit-remaining-requests-day": "14397",
            "x-ratelimit-reset-tokens-minute": "11.38",
            "x-ratelimit-remaining-tokens-minute": "12",
        },
        11.38,
    ),
    ({"retry-after": "7", "x-ratelimit-reset-tokens": "5s"}, 7.0),
    ({"x-ratelimit-limit-tokens": "5"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), RESETS)
def test_a_rate_limit_without_a_pause_names_its_reset(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW, 429) == (seconds and pytest.approx(seconds, abs=1e-3))


def test_a_reset_is_no_pause_for_another_status() -> None:
    assert retry_after({"x-ratelimit-reset-tokens": "5s"}, NOW, 500) is None


MESSAGES: list[Any] = [
    ("Rate limit reached. Please try again in 1.5s.", 1.5),
    ("Please try again in 2s. Visit https://x.y/z for more.", 2.0),
    ("Please try again in 6ms.", 0.006),
    ("Please try again in 1m30s.", 90.0),
    ("Please try again in 14m24s.", 864.0),
    ("Please try again in 2h39m28.5s.", 9568.5),
    ("Please try again in 20 seconds", 20.0),
    ("please try again in 1 minute", 60.0),
    ("Try again in 2 hours and 5 minutes.", 7500.0),
    ("Try again in 2 hours, 5 minutes.", 7500.0),
    ("retry after 30 seconds", 30.0),
    ("Retry after: 30s", 30.0),
    ("Retry-After: 30 seconds", 30.0),
    ("exceeded the rate limit. Please retry after 26 seconds. Go here: https://x", 26.0),
    ("Please retry in 34.074824224s.", 34.074824224),
    ("Please wait 5 seconds before you try again", 5.0),
    ("you must wait another 2 days", 172800.0),
    ("limit resets in 3h", 10800.0),
    ("the model is expected to be available in about 20 secs", 20.0),
    ("come back in approximately 3 hours", 10800.0),
    ("try again in ~20s", 20.0),
    ("Please try again after 1 seconds", 1.0),
    ("Retry your request after 20 seconds", 20.0),
    ("try again in a few minutes", None),
    ("try again later", None),
    ("created within the last 5 minutes, please wait a moment and try again", None),
    ("timed out after 30 seconds", None),
    ("retry after 3 attempts", None),
    ("limited to 20 requests in 60 seconds", None),
    ("try again in 0s", None),
    ("try again in 5 sheep", None),
    ("", None),
]


@pytest.mark.parametrize(("message", "seconds"), MESSAGES)
def test_the_pause_that_a_message_names(message: str, seconds: float | None) -> None:
    assert wait_in([{"message": message}], message, NOW) == (seconds and pytest.approx(seconds))


FIELDS: list[Any] = [
    ({"retryafter": 30}, 30.0),
    ({"retryafter": "30"}, 30.0),
    ({"retryafter": "30s"}, 30.0),
    ({"retryafterms": 1500}, 1.5),
    ({"retryafterseconds": 2.5}, 2.5),
    ({"resetsinseconds": 9568}, 9568.0),
    ({"resetsat": NOW + 60}, 60.0),
    ({"resetsat": "2027-01-15T08:00:30Z"}, 30.0),
    ({"estimatedtime": 20.0}, 20.0),
    ({"details": [{"@type": "RetryInfo", "retryDelay": "34s"}]}, 34.0),
    ({"details": [{"@type": "Help"}, None, {"retryDelay": "34.07s"}]}, 34.07),
    ({"details": "text"}, None),
    ({"headers": {"X-RateLimit-Reset": str((NOW + 45) * 1000)}}, 45.0),
    ({"headers": {"Retry-After": 3}}, 3.0),
    ({"headers": {"X-RateLimit-Limit": 3}}, None),
    ({"retryafter": 0}, None),
    ({"retryafter": -1}, None),
    ({"retryafter": True}, None),
    ({"retryafter": None}, None),
    ({"retryafter": math.nan}, None),
    ({"retryafter": math.inf}, None),
    ({"retryafter": 10**400}, None),
    ({"retryafter": {"a": 1}}, None),
]


@pytest.mark.parametrize(("fields", "seconds"), FIELDS)
def test_the_pause_that_a_field_names(fields: dict[str, object], seconds: float | None) -> None:
    assert wait_in([{}, fields], "", NOW) == (seconds and pytest.approx(seconds))


def test_a_field_beats_the_message_and_the_inner_object_the_outer_one() -> None:
    levels: list[dict[str, object]] = [{"retryafter": 1}, {"retryafter": 2}]
    assert wait_in(levels, "try again in 3s", NOW) == 1.0
    assert wait_in([{}, {}], "try again in 3s", NOW) == 3.0


@settings(deadline=None)
@given(st.text("0123456789.smhdins ,Try again in and", max_size=40))
def test_any_message_names_a_pause_or_none(text: str) -> None:
    seconds = wait_in([{"retryafter": text}], text, NOW)
    assert seconds is None or (seconds > 0 and math.isfinite(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"}, 12.0),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "12s"}, None),
        ({"x-ratelimit-reset-requests": "12s"}, None),  # of a success: nobody says that it is gone
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "1970-01-01T00:00:30Z",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "1970-01-01T00:01:00Z",
            },
            60.0,
        ),
        ({}, None),
    ],
)
def test_a_success_tells_which_limit_is_used_up(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert used_up(headers, 0.0) == seconds
