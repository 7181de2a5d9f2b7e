"""Claimed: tokens are counted in either API's words, and what was thought is among what was
written."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.events import Usage
from chatstream.providers.openai_usage import usage_of

GROK = {  # as recorded
    "prompt_tokens": 221,
    "completion_tokens": 20,
    "total_tokens": 388,
    "prompt_tokens_details": {"cached_tokens": 192},
    "completion_tokens_details": {"reasoning_tokens": 147},
}


@pytest.mark.parametrize("words", [("prompt", "completion"), ("input", "output")])
def test_both_apis_are_understood(words: tuple[str, str]) -> None:
    first, second = words
    wire: dict[str, Any] = {
        f"{first}_tokens": 9,
        f"{second}_tokens": 5,
        f"{first}_tokens_details": {"cached_tokens": 4},
        f"{second}_tokens_details": {"reasoning_tokens": 2},
        "cost": 0.5,
    }
    assert usage_of(wire) == Usage(9, 5, 2, 4, 0.5)
    assert usage_of(wire | {"total_tokens": 14}, "xai") == Usage(9, 5, 2, 4, 0.5)


def test_what_xai_counts_in_the_total_alone_was_written_too() -> None:
    assert usage_of(dict(GROK), "xai") == Usage(221, 167, 147, 192)
    assert usage_of(dict(GROK)) == Usage(221, 20, 147, 192)


def test_nothing_is_made_up() -> None:
    assert usage_of({}) == Usage()
    assert usage_of({"completion_tokens_details": {"reasoning_tokens": 3}}, "xai") == Usage(
        reasoning_tokens=3
    )
    odd: dict[str, object] = {
        "prompt_tokens": "9",
        "completion_tokens": None,
        "prompt_tokens_details": [],
    }
    assert usage_of(odd, "xai").output_tokens is None
