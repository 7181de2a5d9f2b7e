"""What `-o KEY=VALUE` sets, and what is wrong with one that cannot be sent."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.engine.option_pairs import from_pairs
from chatstream.engine.resolve import resolve
from chatstream.errors import UsageError


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("a=7", 7),
        ("a=true", True),
        ('a={"b": [1]}', {"b": [1]}),
        ('a="7"', "7"),
        ("a=5m", "5m"),
        ("a=", ""),
        ("a=b=c", "b=c"),
    ],
)
def test_a_value_is_json_or_else_text(pair: str, value: Any) -> None:
    assert from_pairs([pair]) == {"a": value}


def test_the_last_of_two_counts() -> None:
    assert from_pairs(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("novalue", "-o 'novalue' is not KEY=VALUE"),
        ("=1", "-o '=1' is not KEY=VALUE"),
        ("", "-o '' is not KEY=VALUE"),
        ("a=" + "[" * 101 + "]" * 101, "-o a is nested too deeply"),
        ("a=" + "[" * 100_000, "-o a is nested too deeply"),
        ('a="\\ud800"', "-o a contains an unpaired surrogate (invalid Unicode)"),
        ("a=\udce9", "-o is not UTF-8"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(pair: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_pairs([pair])
    assert caught.value.message.startswith(said[:30])


def test_they_are_stronger_than_those_of_the_file(tmp_path: Any) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[options]\nseed = 1\ntop_k = 2\n")
    flags = {"options": ["seed=9"]}
    resolved = resolve(flags, environ={"CHATSTREAM_CONFIG": str(file)})
    assert resolved.settings.options == {"seed": 9, "top_k": 2}
    assert resolved.origins["options"] == "-o"
