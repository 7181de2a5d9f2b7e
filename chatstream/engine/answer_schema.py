"""The schema that an answer has to fit, from what the user gives.

1. `name, age int, tags list` is a short form: names with an optional type (`str`, `int`, `float`,
   `bool`, `list` for a list of texts; `str` is the default), and an optional description after
   `: `. All fields are required and no others are allowed. Line breaks may separate them as well.
2. A text that begins with `{` is the schema itself. Anything else that is not a short form is the
   name of a file with the schema: `person.json`, `./person`.
3. `schema_multi` asks for a list of objects that fit the schema, as `{"items": […]}`.
4. A schema has to describe an object: servers require that.
5. A name that appears twice in one JSON object is refused, because one of the two would be lost. A
   file has at most `MAX_BYTES` bytes, and an address is not fetched.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any

from chatstream import schemas
from chatstream.cancel import CancelToken
from chatstream.engine.settings import Settings
from chatstream.errors import UsageError
from chatstream.files import named, read_whole
from chatstream.nearest import did_you_mean
from chatstream.text import decoded
from chatstream.wording import encodable, sized

MAX_BYTES = 1024 * 1024
"""Bytes of a schema's file: every request contains the schema, and so does its journal."""

_TYPES: dict[str, schemas.Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
}
_SHORT = re.compile(r"\s*[^\W\d]\w*(?:\s*$|[ \t]*[,\n:]|[ \t]+\w)")
_ADDRESS = re.compile(r"\s*(?:https?|file):", re.IGNORECASE)
_EXAMPLE = "give a file with a JSON Schema, or fields such as 'name, age int, tags list'"


def schema_of(settings: Settings, token: CancelToken) -> schemas.Schema | None:
    """The schema that the settings name; None without one.

    Raises `UsageError`, and the token's reason as soon as it is cancelled.
    """
    if settings.schema is not None and settings.schema_multi is not None:
        raise UsageError(
            "--schema and --schema-multi exclude each other", hint="leave one of them out"
        )
    if settings.schema is not None:
        return _read(settings.schema, "--schema", token)
    if settings.schema_multi is None:
        return None
    its = _read(settings.schema_multi, "--schema-multi", token)
    if not all(it.startswith(("#/$defs/", "#/definitions/")) for it in schemas.references(its)):
        raise UsageError(
            "the schema of --schema-multi refers to a part of itself that moves into a list",
            hint="refer only to parts under #/$defs",
        )
    parts = {name: its.pop(name) for name in ("$defs", "definitions") if name in its}
    return schemas.table({"items": {"type": "array", "items": its}}) | parts


def names_file(text: str) -> bool:
    """Whether a text is the name of a file with a schema, and not the schema itself."""
    return not (text.lstrip().startswith("{") or _SHORT.match(text))


def again(schema: schemas.Schema | None) -> schemas.Schema | None:
    """The schema that a journal has kept. Raises `UsageError` if the file is damaged."""
    if schema is not None:
        try:
            schemas.check(schema)
        except schemas.BadSchema as error:
            raise UsageError(f"the journal has no usable schema: {error}") from error
    return schema


def _read(text: str, option: str, token: CancelToken) -> schemas.Schema:
    if _ADDRESS.match(text):
        raise UsageError(f"{option} takes no address", hint=f"fetch the file first, and {_EXAMPLE}")
    if names_file(text):
        schema = _json(_file(text, token), encodable(text))
    elif _SHORT.match(text):
        return _fields(text, option)
    else:
        schema = _json(text, option)
    try:
        schemas.check(schema)
    except schemas.BadSchema as error:
        name = encodable(text) if names_file(text) else option
        raise UsageError(f"{name} is not a usable schema: {error}") from error
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise UsageError(
            f"the schema of {option} does not describe an object",
            hint='servers want "type": "object" at the top; --schema-multi asks for a list of them',
        )
    return schema


def _file(name: str, token: CancelToken) -> str:
    shown = encodable(name)
    try:  # a FIFO may have no writer yet
        return decoded(token.wait_for(lambda: read_whole(named(name), MAX_BYTES)), shown)
    except OSError as error:
        hint = (
            f"a schema has at most {sized(MAX_BYTES)}" if error.errno == errno.EFBIG else _EXAMPLE
        )
        raise UsageError(f"{shown} cannot be read: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{name!r} cannot be read: {error}", hint=_EXAMPLE) from error


def _json(text: str, name: str) -> Any:
    import json

    def no_constant(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text, parse_constant=no_constant, object_pairs_hook=_once)
    except _Twice as error:
        raise UsageError(f"{name} has {error} twice in one object") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not JSON: {error}", hint=_EXAMPLE) from error


class _Twice(Exception):
    """A name that appears twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(repr(name))
        found[name] = value
    return found


def _fields(text: str, option: str) -> schemas.Schema:
    """The schema of a short form."""
    fields: dict[str, schemas.Schema] = {}
    for item in re.split(r"\n" if "\n" in text.strip() else ",", text.strip()):
        if not item.strip():
            raise UsageError(f"{option} has an empty field", hint=_EXAMPLE)
        named, _, told = item.strip().rstrip(",").partition(":")
        name, *kind = named.split()
        if not re.fullmatch(r"[^\W\d]\w*", name) or len(kind) > 1:
            raise UsageError(
                f"{option} has a field that is not a name and a type: {item.strip()!r}",
                hint=_EXAMPLE,
            )
        if name in fields:
            raise UsageError(f"{option} has the field {name!r} twice")
        if kind and kind[0] not in _TYPES:
            there = f"the types are: {', '.join(_TYPES)}; the name of a file begins with ./"
            raise UsageError(
                f"{option} has the unknown type {kind[0]!r}",
                hint=did_you_mean(kind[0], _TYPES, there),
            )
        its = _TYPES[kind[0] if kind else "str"]
        fields[name] = its | ({"description": told.strip()} if told.strip() else {})
    return schemas.table(fields)
