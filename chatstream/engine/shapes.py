"""The types of settings: converting values to them, and describing them in the user's words.

`fitted` converts a value from a file, a variable or a flag to the type of its setting. A value that
does not fit raises `Misfit`, which says where in the value the problem is, what would fit and what
was found. It never names a Python type, and never quotes a value that may be a secret.
"""

from __future__ import annotations

import math
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from chatstream.errors import UsageError
from chatstream.text import argument, items_of

_SWITCH_WORDS = {"yes": True, "on": True, "no": False, "off": False}
_QUOTED_CHARACTERS = 40
"""How much of a value a message quotes."""

_LARGEST_INTEGER = 2**63 - 1
"""The largest integer that every JSON parser reads exactly."""


class Misfit(ValueError):
    """A value does not fit its setting.

    `keys` is the path from the setting to the value; `words` are the values that are allowed, if
    there are only a few. The text continues a sentence that starts with the name of the setting:
    "takes …, not …".
    """

    def __init__(self, text: str, keys: tuple[str, ...] = (), words: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.keys = keys
        self.words = words


def fitted(kind: Any, value: Any) -> Any:
    """The value, converted to this type. Raises `Misfit`."""
    if isinstance(value, str):
        try:  # an argument may be any bytes, but only UTF-8 can be sent
            value = _of_text(kind, argument(value, "it"))
        except UsageError:
            raise Misfit("takes UTF-8 text, but this is not UTF-8") from None
    elif is_table(kind) and isinstance(value, dict) and (inner := get_args(kind)[1]) is not Any:
        value = {
            name: _of_text(inner, item) if isinstance(item, str) else item
            for name, item in value.items()
        }
    try:
        found = msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, RecursionError):
        raise _misfit(kind, value) from None
    if found is None or (isinstance(found, float) and not math.isfinite(found)):
        raise _misfit(kind, value)
    if isinstance(found, dict):
        for name, item in found.items():
            _check_json(item, (name,))
    return found


def is_table(kind: Any) -> bool:
    """Whether a setting of this type is a table. No variable can hold one."""
    return get_origin(kind) is dict


def is_number(kind: Any) -> bool:
    """Whether a setting of this type is a number, with or without limits."""
    return not {int, float}.isdisjoint(_members(kind))


def is_switch(kind: Any) -> bool:
    """Whether a setting of this type is true or false."""
    return bool in _members(kind)


def is_list(kind: Any) -> bool:
    """Whether a setting of this type is a list of strings."""
    return any(get_origin(it) is list for it in _members(kind))


def _members(kind: Any) -> set[Any]:
    """The members of a union, or the type itself, without limits."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return {member for it in get_args(kind) for member in _members(it)}
    return {kind}


def _of_text(kind: Any, text: str) -> Any:
    """The value that a text stands for, if the setting is not a string."""
    if is_list(kind):
        return [item for item in items_of(text) if item]
    kinds = _members(kind)
    if bool in kinds:
        return _SWITCH_WORDS.get(text.strip().lower(), text)
    return text if str in kinds else text.strip()


def _check_json(value: Any, keys: tuple[str, ...]) -> None:
    """Raise `Misfit` for what JSON cannot hold; `msgspec` would encode some of it as `null`."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_json(item, (*keys, str(name)))
    elif isinstance(value, list):
        for item in value:
            _check_json(item, keys)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Misfit(f"takes a number that JSON allows, not {value}", keys)
    elif isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise Misfit("takes a number that fits into 64 bits", keys)


def _misfit(kind: Any, value: Any) -> Misfit:
    from msgspec import inspect  # only needed for an error

    info = _plain(inspect.type_info(kind))
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        item_kind = get_args(kind)[1]
        for name, item in value.items():
            try:
                fitted(item_kind, item)
            except Misfit as misfit:
                return Misfit(str(misfit), (name, *misfit.keys))
    if isinstance(info, inspect.ListType) and isinstance(value, list):
        value = next((it for it in value if not isinstance(it, str)), value)
        found = f"a list with {_found(value, quoted=False)} in it"
        return Misfit(f"takes {_wanted(info, ())}, not {found}")
    words = words_of(kind)
    is_quoted = isinstance(
        info, inspect.LiteralType | inspect.BoolType | inspect.IntType | inspect.FloatType
    )
    return Misfit(f"takes {_wanted(info, words)}, not {_found(value, quoted=is_quoted)}", (), words)


def words_of(kind: Any) -> tuple[str, ...]:
    """The allowed values of a type that has only a few, in order."""
    return tuple(
        word for it in (kind, *get_args(kind)) if get_origin(it) is Literal for word in get_args(it)
    )


def _plain(info: Any) -> Any:
    """The type inside an optional one or one with limits; a message never offers null."""
    from msgspec import inspect

    if isinstance(info, inspect.Metadata):
        return _plain(info.type)
    if isinstance(info, inspect.UnionType):
        return _plain(next(it for it in info.types if not isinstance(it, inspect.NoneType)))
    return info


def _wanted(info: Any, words: tuple[str, ...]) -> str:
    from msgspec import inspect

    match info:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _limits(info)
        case inspect.FloatType():
            return "a number" + _limits(info)
        case inspect.LiteralType():
            return f"{', '.join(words[:-1])} or {words[-1]}"
        case inspect.ListType():
            return 'a list of strings, such as ["one", "two"]'
        case inspect.DictType():
            return "a table"
        case inspect.StrType(min_length=int(least)) if least:
            return "text that is not empty"
    return "text in quotes"


def _limits(info: Any) -> str:
    if info.le is not None:
        return f" from {info.ge:,} to {info.le:,}"
    return f" of at least {info.ge:,}" if info.ge is not None else ""


def _found(value: Any, *, quoted: bool) -> str:
    import datetime  # only needed for an error
    import json

    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            is_short = isinstance(value, float) or abs(value) < _LARGEST_INTEGER
            return f"{value:.15g}" if quoted and is_short else _number(value)
        case str():
            text = (
                value if len(value) <= _QUOTED_CHARACTERS else value[: _QUOTED_CHARACTERS - 1] + "…"
            )
            return json.dumps(text, ensure_ascii=False) if quoted or not text else "text"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case datetime.date() | datetime.time():
            return "a date" if isinstance(value, datetime.date) else "a time"
    return "nothing"


def _number(value: float) -> str:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else "a number"
