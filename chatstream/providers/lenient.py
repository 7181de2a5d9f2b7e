"""JSON as servers send it: typed and fast where it is clean, forgiving where it is not.

msgspec refuses what some servers produce: lone surrogates, raw control characters inside
strings, bytes that are no UTF-8, NaN. Such a text goes through the standard library instead and
is then checked against the same types.
"""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec

from chatstream.providers.text import whole_characters
from chatstream.redact import redact

T = TypeVar("T")


_AHEAD = 4096  # characters past the end of an excerpt that are redacted with it
_MOST = 2**53  # more tokens, or nanoseconds, than there ever are; JSON readers take it exactly
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that it does not take."""


class Malformed(ValueError):
    """Not JSON, or not of the expected shape."""


def decode_odd(decoder: msgspec.json.Decoder[T], text: str | bytes) -> T:
    """The value of a text that `decoder` has refused. Raises `Malformed`."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        return msgspec.convert(json.loads(text, strict=False), decoder.type)
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise Malformed(str(error)) from error


def decode(decoder: msgspec.json.Decoder[T], text: str | bytes) -> T:
    """The value of any text. Raises `Malformed`."""
    try:
        return decoder.decode(text)
    except REFUSED:
        return decode_odd(decoder, text)


def broke_off(text: str) -> bool:
    """Whether the text is the beginning of a JSON text and not a whole one."""
    try:
        json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        in_a_literal = 8  # a number or a word that is cut is told of at its start
        return error.msg.startswith("Unterminated") or error.pos >= len(text) - in_a_literal
    return False


def text_of(value: object) -> str:
    """The value if it is text, else nothing."""
    return value if type(value) is str else ""


def count_of(value: object) -> int | None:
    """The value if it is a count, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if -_MOST <= value <= _MOST else None  # NaN is not, either


def json_text(value: object) -> str:
    """The value as compact JSON; always something that can be encoded."""
    return whole_characters(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def object_of(value: object) -> dict[str, object]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def raw_reason(text: str | None) -> str | None:
    """The wire's own word for why an answer ended, fit to be encoded."""
    return None if text is None else whole_characters(text)


def excerpt(text: str, limit: int = 200) -> str:
    """The start of a text, on one line; redacted first, for no rule knows half a secret."""
    line = redact(" ".join(text.split())[: limit + _AHEAD])
    return line if len(line) <= limit else line[: limit - 1] + "…"
