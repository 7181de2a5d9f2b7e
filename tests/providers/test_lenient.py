"""Claimed: JSON that servers really send is decoded, and what is no JSON is `Malformed`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatstream.events import Usage, encode
from chatstream.providers.lenient import (
    Malformed,
    count_of,
    decode,
    decode_odd,
    excerpt,
    object_of,
    text_of,
)


class Frame(msgspec.Struct):
    """What the tests decode."""

    text: str = ""
    anything: Any = None
    many: list[int] | None = None


DECODER = msgspec.json.Decoder(Frame)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('{"text": "a"}', "a"),
        (b'{"text": "a"}', "a"),
        ('  {"text": "a"} \n', "a"),
        ('{"text": "a", "unknown": {"x": [1]}}', "a"),
        ('{"text": "é日😀\u2028"}', "é日😀\u2028"),
        ('{"text": "\\ud83d"}', "\ud83d"),
        ('{"text": "a\nb\tc"}', "a\nb\tc"),
        ('{"text": "a\x00b"}', "a\x00b"),
        (b'{"text": "a\xffb"}', "a\ufffdb"),
        ('{"text": "a", "anything": NaN}', "a"),
        ('{"text": "a", "anything": -Infinity}', "a"),
        ('{"text": "a", "anything": 1e999}', "a"),
        ('{"text": "a", "text": "b"}', "b"),
        ("{}", ""),
    ],
)
def test_what_servers_send_is_decoded(sent: str | bytes, text: str) -> None:
    assert decode(DECODER, sent).text == text


@pytest.mark.parametrize(
    "sent",
    [
        "",
        b"",
        "{",
        '{"text": "a"',
        '{"text": "a"} trailing',
        "[]",
        "null",
        "[DONE]",
        ": keep-alive",
        "<html>",
        '{"text": 1}',
        '{"text": null}',
        '{"many": ["1"]}',
        b"\xff\xfe",
        pytest.param("[" * 200_000, id="deep"),
        pytest.param('{"anything": ' + "[" * 200_000 + "]" * 200_000 + "}", id="deep-but-right"),
        pytest.param('{"anything": ' + "9" * 5000 + "}", id="a-number-of-5000-digits"),
    ],
)
def test_what_is_not_the_shape_is_malformed(sent: str | bytes) -> None:
    with pytest.raises(Malformed):
        decode(DECODER, sent)
    with pytest.raises(Malformed):
        decode_odd(DECODER, sent)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        (True, None),
        (None, None),
        ("7", None),
        ([], None),
        (2**53, 2**53),
        (2**70, None),
        pytest.param(10**400, None, id="400-digits"),
        (1e300, None),
        (float("nan"), None),
        (float("inf"), None),
        (float("-inf"), None),
    ],
)
def test_a_count_is_a_number_or_nothing(value: object, count: int | None) -> None:
    assert count_of(value) == count
    encode(Usage(input_tokens=count_of(value)))


def test_text_and_object_are_taken_only_when_they_are() -> None:
    values: list[object] = ["a", "", None, 1, ["a"], {"b": 1}]
    assert [text_of(value) for value in values] == ["a", "", "", "", "", ""]
    assert [object_of(value) for value in values] == [{}, {}, {}, {}, {}, {"b": 1}]


@pytest.mark.parametrize(
    ("text", "start"),
    [("", ""), (" a \n\tb ", "a b"), ("a" * 10, "a" * 10), ("a" * 11, "a" * 9 + "…")],
)
def test_an_excerpt_is_one_line_of_bounded_length(text: str, start: str) -> None:
    assert excerpt(text, 10) == start
