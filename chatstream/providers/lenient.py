"""JSON as servers send it: typed and fast where it is clean, read field by field where it is not.

1. msgspec decodes a frame straight into its struct. It refuses a whole frame for one field of
   another type, and what some servers produce: lone surrogates, raw control characters inside
   strings, bytes that are not UTF-8, NaN, several texts on one line.
2. A refused frame is parsed by the standard library, and `shaped` fills the same struct field by
   field. A value that says the same in another type (`"0"` for 0) is taken; any other is left
   out, and named where it held anything. The rest of the frame counts.
3. Numbers of a server are figures to show. One that is out of range, or not a number, is left out.
"""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from chatstream.providers.text import whole_characters

S = TypeVar("S", bound=msgspec.Struct)

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that it does not take."""

MAX_DEPTH = 100
"""Levels of JSON. Answers and errors have ten; what is far deeper is made to hurt who walks it."""

TOO_DEEP = (RecursionError, ValueError)
"""What a frame raises that msgspec takes and that is too deep to look at in full."""

_MAX_NUMBER = 2**53  # more tokens, or nanoseconds, than there are; JSON readers take it exactly
_MAX_SECONDS = 10.0**9
_MIN_NUMBER = 1e-9  # a shorter time, or a smaller price, divides into figures that nobody can show
_MAX_DIGITS = 400  # of a number; Python refuses to parse more than 4300
_EMPTY: tuple[object, ...] = (None, "", [], {}, False, 0)


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _MAX_DIGITS else math.inf


_reader = json.JSONDecoder(strict=False, parse_int=_integer)


def values_in(text: str) -> tuple[list[Any], str]:
    """The JSON values that a text begins with, one after another, and the text after them.

    A value that is nested more than `MAX_DEPTH` times is no value.
    """
    values: list[Any] = []
    at = _skip_space(text, 0)
    while at < len(text):
        try:
            value, end = _reader.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        if text.count("[", at, end) + text.count("{", at, end) > MAX_DEPTH and _is_deep(value):
            break
        values.append(value)
        at = _skip_space(text, end)
    return values, text[at:]


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def value_of(text: str) -> Any:
    """The one JSON value of a text. Raises `ValueError`."""
    values, rest = values_in(text)
    if rest or len(values) != 1:
        raise ValueError("not a single valid JSON value")
    return values[0]


def json_or_text(text: str) -> Any:
    """The value of a JSON text; any other text is itself."""
    try:
        return value_of(text)
    except ValueError:
        return text


def broke_off(text: str) -> bool:
    """Whether the text is the beginning of a JSON text and not a whole one."""
    try:
        json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        in_a_literal = 8  # a number or a word that is cut is reported at its start
        return error.msg.startswith("Unterminated") or error.pos >= len(text) - in_a_literal
    except (ValueError, RecursionError):
        return False
    return False


def _skip_space(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip()) if text[at : at + 1].isspace() else at


def shaped(value: dict[str, Any], kind: type[S], left_out: list[str], path: str = "") -> S:
    """The struct that these fields make; `left_out` gets the names of those that do not fit."""
    found: dict[str, Any] = {}
    for name, wanted in _fields(kind):
        if name not in value:
            continue
        given = value[name]
        place = f"{path}.{name}" if path else name
        fitting = _fitting(given, wanted, left_out, place)
        if fitting is not None:
            found[name] = fitting
        elif given not in _EMPTY:
            left_out.append(place)
    return kind(**found)


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """The names of a struct's fields and what each wants, without `None`."""
    hints = typing.get_type_hints(kind)
    return [(name, _without_none(hints[name])) for name in kind.__struct_fields__]


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        [hint] = [part for part in typing.get_args(hint) if part is not types.NoneType]
    return hint


def _fitting(given: Any, wanted: Any, left_out: list[str], path: str) -> Any:
    """The value in the type that is wanted; None if it says nothing of that kind."""
    if wanted is Any:
        return given
    if wanted is str:
        return str(given) if type(given) in (str, int) else None
    if wanted is int:
        return _whole_number(given)
    if wanted is bool:
        return {"true": True, "false": False}.get(str(given).lower())
    if typing.get_origin(wanted) is list:
        [item] = typing.get_args(wanted)
        return list(_items(given, item, left_out, path)) or None
    return shaped(given, wanted, left_out, path) if isinstance(given, dict) else None


def _items(given: Any, kind: Any, left_out: list[str], path: str) -> Iterator[Any]:
    """The objects of a list; one object stands for a list of one."""
    for item in given if isinstance(given, list) else [given]:
        if isinstance(item, dict) and item:
            yield shaped(item, kind, left_out, path)
        elif item not in _EMPTY and isinstance(given, list):
            left_out.append(path)


def _whole_number(given: Any) -> int | None:
    if isinstance(given, str) and given.strip().isdecimal() and len(given) < 16:
        return int(given)
    if isinstance(given, float) and not given.is_integer():
        return None
    return count_of(given)


def text_of(value: object) -> str:
    """The value if it is text, else nothing."""
    return value if type(value) is str else ""


def count_of(value: object) -> int | None:
    """The value if it is a count, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if -_MAX_NUMBER <= value <= _MAX_NUMBER else None  # NaN is not, either


def figure_of(value: object) -> float | None:
    """The value if it is a figure that can be shown: seconds, or an amount of money."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value == 0 or _MIN_NUMBER <= value <= _MAX_SECONDS else None


def json_text(value: object) -> str:
    """The value as compact JSON; always something that can be encoded."""
    return whole_characters(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def sendable(value: object) -> Any:
    """The value as it can be encoded again: with whole characters only. Raises `TOO_DEEP`."""
    return value_of(json_text(value))


def object_of(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value if it is a list; one object stands for a list of one; else an empty list."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) and value else []
