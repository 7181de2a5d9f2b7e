"""Claimed: a value of `-o` is JSON or text, and what cannot be sent is a usage error."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.engine.extra_options import parse_options
from chatstream.errors import UsageError


@pytest.mark.parametrize(
    ("pairs", "options"),
    [
        (None, None),
        ([], None),
        (["seed=7", "top_k=1.5"], {"seed": 7, "top_k": 1.5}),
        (['stop=["a"]', 'a={"b": null}'], {"stop": ["a"], "a": {"b": None}}),
        (["keep_alive=5m", "empty=", "a=b=c"], {"keep_alive": "5m", "empty": "", "a": "b=c"}),
        (["seed=7", "seed=8"], {"seed": 8}),
    ],
)
def test_a_value_is_json_or_else_text(
    pairs: list[str] | None, options: dict[str, Any] | None
) -> None:
    assert parse_options(pairs) == options


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("seed", "-o 'seed' is not KEY=VALUE"),
        ("=7", "-o '=7' is not KEY=VALUE"),
        ("a=" + "[" * 5000, "-o a is nested too deeply"),
        ("a=" + "[" * 101 + "]" * 101, "-o a is nested too deeply"),
        ('a={"b": "\\ud800"}', "-o a contains an unpaired surrogate"),
        ('a={"\\ud800": 1}', "-o a contains an unpaired surrogate"),
        ("a=\udce9", "-o is not UTF-8 text"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(pair: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_options([pair])
