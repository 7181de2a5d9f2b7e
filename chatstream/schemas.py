"""JSON Schemas: a schema is checked before it is used, and a value against its schema.

1. Most keywords of JSON Schema that describe a value are supported (`_KNOWN`). A schema with a
   keyword that cannot be checked is refused, and so is one that is malformed: every check that a
   schema asks for has to be made.
2. `$ref` leads to a schema in the same schema (`#/$defs/name`). One that leads nowhere is refused,
   and so is one that leads back to itself at the same place of the value: it would never end.
3. `format`, titles, descriptions, defaults and examples say nothing about whether a value fits.
4. `pattern` is a regular expression of Python, and may match anywhere in a text.
5. A value that does not fit is described in one line that begins with the place of the mistake. A
   value that is nested too deeply to be checked does not fit.
6. Each part of a value is compared with each part of the schema at most once. Otherwise the work
   for a schema that refers to itself in alternatives would double with each level.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from chatstream.wording import counted, excerpt

Schema = dict[str, Any]

_NOTES = {
    *("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default"),
    *("examples", "format", "deprecated", "readOnly", "writeOnly", "$anchor"),
}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda it: isinstance(it, dict),
    "array": lambda it: isinstance(it, list),
    "string": lambda it: isinstance(it, str),
    "number": lambda it: _is_number(it),
    "integer": lambda it: _is_number(it) and (isinstance(it, int) or it.is_integer()),
    "boolean": lambda it: isinstance(it, bool),
    "null": lambda it: it is None,
}
_ONE = {"additionalProperties", "items", "not", "if", "then", "else", "propertyNames", "contains"}
_LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_TABLES = {"properties", "patternProperties", "$defs", "definitions"}
_COUNTS = {
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
}
_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_OTHERS = {"type", "enum", "const", "required", "pattern", "uniqueItems", "$ref"}
_SAME_PLACE = {"not", "if", "then", "else", "anyOf", "oneOf", "allOf"}
"""The keywords that describe the value itself, and not a part of it."""
_KNOWN = _NOTES | _ONE | _LISTS | _TABLES | _COUNTS | _NUMBERS | _OTHERS
_MOST_DEPTH = 100
"""Levels of a schema."""
_MOST_STEPS = 200
"""Levels of a value, and references. Each takes three of the 1000 calls that Python nests."""
_MOST_SHOWN = 60
"""Characters of a value or a name that messages show."""
_TOO_DEEP = "it is nested too deeply to be checked"


class BadSchema(ValueError):
    """A schema that cannot be used; the text says where and why."""


def check(schema: object) -> None:
    """Raise `BadSchema` for anything but a schema whose keywords can all be checked."""
    objects: dict[int, tuple[str, Schema]] = {}
    for where, part in _parts(schema, "the schema", 0):
        if isinstance(part, bool):
            continue
        if not isinstance(part, dict):
            raise BadSchema(f"{where} is not a JSON object")
        objects[id(part)] = where, part
        for keyword, value in part.items():
            _check_keyword(where, keyword, value)
    _check_references(schema, objects)


def mistake(schema: Schema, value: object) -> str | None:
    """The mistake in a value, in one line; None if it fits. `schema` has been checked."""
    try:
        return _Checking(schema).mistake(schema, value, "", 0)
    except RecursionError:  # in what `_key` compares
        return _TOO_DEEP


def references(schema: object) -> list[str]:
    """The references of the schema."""
    parts = (part for _, part in _parts(schema, "", 0) if isinstance(part, dict))
    return [part["$ref"] for part in parts if "$ref" in part]


def keywords(schema: object) -> set[str]:
    """The keywords that the schema uses."""
    parts = (part for _, part in _parts(schema, "", 0) if isinstance(part, dict))
    return {keyword for part in parts for keyword in part}


def is_closed(schema: object) -> bool:
    """Whether every object in it lists all of its properties, requires each, and allows no others.

    Servers that promise a fitting answer take only such schemas.
    """
    for _, part in _parts(schema, "", 0):
        if part is True:
            return False
        if not isinstance(part, dict):
            continue
        if part.get("type") == "object" or "properties" in part:
            names = set(part.get("properties", {}))
            closed = part.get("additionalProperties") is False
            if not closed or names != set(part.get("required", [])):
                return False
    return True


def _parts(schema: object, where: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Every schema in a schema, itself first, with its place."""
    if depth > _MOST_DEPTH:
        raise BadSchema(f"it has more than {_MOST_DEPTH} levels")
    yield where, schema
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        inside = f"{keyword!r} of {where}" if where else ""
        if keyword in _ONE:
            yield from _parts(value, inside, depth + 1)
        elif keyword in _LISTS and isinstance(value, list):
            for it in value:
                yield from _parts(it, f"a part of {inside}" if where else "", depth + 1)
        elif keyword in _TABLES and isinstance(value, dict):
            for name, it in value.items():
                yield from _parts(it, f"{name!r} in {inside}" if where else "", depth + 1)


def _check_keyword(where: str, keyword: str, value: Any) -> None:
    wrong = False
    if keyword not in _KNOWN:
        raise BadSchema(f"{where} uses {keyword!r}, which chatstream cannot check")
    if keyword in _LISTS:
        wrong = not isinstance(value, list) or not value
    elif keyword in _TABLES:
        wrong = not isinstance(value, dict)
    elif keyword in _COUNTS:
        wrong = not _TYPES["integer"](value) or value < 0
    elif keyword in _NUMBERS:
        wrong = not _is_number(value) or (keyword == "multipleOf" and value <= 0)
    elif keyword == "type":
        names = value if isinstance(value, list) else [value]
        wrong = not names or not all(isinstance(it, str) and it in _TYPES for it in names)
    elif keyword == "enum":
        wrong = not isinstance(value, list) or not value
    elif keyword == "required":
        wrong = not isinstance(value, list) or not all(isinstance(it, str) for it in value)
    elif keyword == "uniqueItems":
        wrong = not isinstance(value, bool)
    elif keyword == "$ref":
        wrong = not isinstance(value, str)
    if wrong:
        raise BadSchema(f"{keyword!r} of {where} cannot be {_shown(value)}")
    patterns = value if keyword == "patternProperties" else [value] if keyword == "pattern" else []
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError, OverflowError, RecursionError) as error:
            raise BadSchema(
                f"{keyword!r} of {where} is not a valid regular expression: {error}"
            ) from error


def _check_references(root: object, objects: Mapping[int, tuple[str, Schema]]) -> None:
    """Raise `BadSchema` for a reference that leads nowhere, or in a circle."""
    same_place: dict[int, set[int]] = {}
    for where, part in objects.values():
        its = [it for keyword in part.keys() & _SAME_PLACE for it in _listed(part[keyword])]
        if "$ref" in part:
            refers = f"{where} refers to {_shown(part['$ref'])}, which"
            try:
                target = _target(root, part["$ref"])
            except (LookupError, ValueError, TypeError) as error:
                raise BadSchema(f"{refers} is not in the schema") from error
            if not isinstance(target, bool) and id(target) not in objects:
                raise BadSchema(f"{refers} is not a schema")
            its.append(target)
        same_place[id(part)] = {id(it) for it in its if isinstance(it, dict)}
    try:
        TopologicalSorter(same_place).prepare()
    except CycleError as error:
        where, part = next(objects[it] for it in error.args[1] if "$ref" in objects[it][1])
        raise BadSchema(
            f"{where} refers to {_shown(part['$ref'])}, which leads back to itself"
        ) from error


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _target(root: Any, reference: str) -> Any:
    """The target of a reference. Raises `LookupError`, `ValueError`, `TypeError`."""
    if reference != "#" and not reference.startswith("#/"):
        raise ValueError(reference)
    found = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            if not name.isdecimal():
                raise ValueError(reference)
            found = found[int(name)]
        else:
            found = found[name]
    if not isinstance(found, dict | bool):
        raise TypeError(reference)
    return found


# ---- values


class _Checking:
    """Compares one value with its schema, and remembers what has been compared."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[tuple[int, int, str], str | None] = {}

    def mistake(self, schema: Any, value: Any, where: str, depth: int) -> str | None:
        """The mistake in a part of the value at this place."""
        if depth > _MOST_STEPS:
            return _at(where, _TOO_DEEP)
        if isinstance(schema, bool):
            return None if schema else _at(where, "nothing is allowed here")
        if not isinstance(value, dict | list):
            return self._first(schema, value, where, depth)
        key = id(schema), id(value), where  # both outlive the comparison
        if key not in self._known:
            self._known[key] = self._first(schema, value, where, depth)
        return self._known[key]

    def _first(self, schema: Schema, value: Any, where: str, depth: int) -> str | None:
        for found in self._mistakes(schema, value, where, depth + 1):
            if found:
                return found
        return None

    def _mistakes(self, schema: Schema, value: Any, where: str, depth: int) -> Iterator[str | None]:
        """The mistakes in a value, mixed with None; only the first is used."""
        if "$ref" in schema:
            yield self.mistake(_target(self._root, schema["$ref"]), value, where, depth)
        if "type" in schema:
            names = _listed(schema["type"])
            if not any(_TYPES[name](value) for name in names):
                yield _at(where, f"{_shown(value)} is not of the type {' or '.join(names)}")
        if "enum" in schema and _key(value) not in map(_key, schema["enum"]):
            allowed = excerpt(", ".join(_shown(it) for it in schema["enum"]))
            yield _at(where, f"{_shown(value)} is not one of: {allowed}")
        if "const" in schema and _key(value) != _key(schema["const"]):
            yield _at(where, f"{_shown(value)} is not {_shown(schema['const'])}")
        if isinstance(value, str):
            yield from _of_text(schema, value, where)
        elif isinstance(value, list):
            yield from self._of_list(schema, value, where, depth)
        elif isinstance(value, dict):
            yield from self._of_object(schema, value, where, depth)
        elif _is_number(value):
            yield from _of_number(schema, value, where)
        yield from self._combined(schema, value, where, depth)

    def _of_list(
        self, schema: Schema, value: list[Any], where: str, depth: int
    ) -> Iterator[str | None]:
        yield _counted(schema, "Items", len(value), "item", where)
        first = schema.get("prefixItems", [])
        for number, it in enumerate(value):
            its = first[number] if number < len(first) else schema.get("items", True)
            yield self.mistake(its, it, f"{where}[{number}]", depth)
        if schema.get("uniqueItems"):
            seen: set[Hashable] = set()
            for number, it in enumerate(value):
                if (key := _key(it)) in seen:
                    yield _at(f"{where}[{number}]", f"{_shown(it)} appears twice")
                seen.add(key)
        if "contains" in schema and all(
            self.mistake(schema["contains"], it, where, depth) for it in value
        ):
            yield _at(where, "no item matches 'contains'")

    def _of_object(
        self, schema: Schema, value: dict[str, Any], where: str, depth: int
    ) -> Iterator[str | None]:
        yield _counted(schema, "Properties", len(value), "property", where)
        for name in schema.get("required", []):
            if name not in value:
                yield _at(where, f"{_shown(name)} is missing")
        own, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, it in value.items():
            inside = _inside(where, name)
            if "propertyNames" in schema:
                yield self.mistake(schema["propertyNames"], name, inside, depth)
            found = [its for pattern, its in patterns.items() if re.search(pattern, name)]
            if name in own:
                found.append(own[name])
            if not found and schema.get("additionalProperties") is False:
                yield _at(where, f"{_shown(name)} is not allowed")
            for its in found or [schema.get("additionalProperties", True)]:
                yield self.mistake(its, it, inside, depth)

    def _combined(self, schema: Schema, value: Any, where: str, depth: int) -> Iterator[str | None]:
        def wrong(its: Any) -> str | None:
            return self.mistake(its, value, where, depth)

        for its in schema.get("allOf", []):
            yield wrong(its)
        if "anyOf" in schema:
            wrongs = [wrong(its) for its in schema["anyOf"]]
            if all(wrongs):
                yield (
                    wrongs[0]
                    if len(wrongs) == 1
                    else _at(where, "it matches none of the alternatives")
                )
        if "oneOf" in schema:
            fitting = sum(wrong(its) is None for its in schema["oneOf"])
            if fitting != 1:
                words = "none" if not fitting else str(fitting)
                yield _at(where, f"it matches {words} of the alternatives instead of exactly one")
        if "not" in schema and wrong(schema["not"]) is None:
            yield _at(where, "it matches what 'not' forbids")
        if "if" in schema:
            branch = "else" if wrong(schema["if"]) else "then"
            yield wrong(schema.get(branch, True))


def _of_text(schema: Schema, value: str, where: str) -> Iterator[str | None]:
    yield _counted(schema, "Length", len(value), "character", where)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _at(where, f"{_shown(value)} does not match {_shown(schema['pattern'])}")


def _of_number(schema: Schema, value: float, where: str) -> Iterator[str | None]:
    limits: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
        ("minimum", "less than", lambda it: value < it),
        ("maximum", "more than", lambda it: value > it),
        ("exclusiveMinimum", "not more than", lambda it: value <= it),
        ("exclusiveMaximum", "not less than", lambda it: value >= it),
        ("multipleOf", "not a multiple of", lambda it: not _divides(it, value)),
    )
    for keyword, words, is_past in limits:
        if keyword in schema and is_past(schema[keyword]):
            yield _at(where, f"{_shown(value)} is {words} {_shown(schema[keyword])}")


def _counted(schema: Schema, what: str, number: int, noun: str, where: str) -> str | None:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}", math.inf)
    if least <= number <= most:
        return None
    limit = f"at least {least}" if number < least else f"at most {most}"
    there = "1 property" if (noun, number) == ("property", 1) else counted(number, noun)
    return _at(where, f"it has {there.replace('propertys', 'properties')}, and not {limit}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _divides(step: float, value: float) -> bool:
    if isinstance(step, int) and isinstance(value, int):
        return value % step == 0
    try:
        quotient = value / step
    except OverflowError:  # an integer that no float holds
        return False
    return math.isfinite(quotient) and math.isclose(quotient, round(quotient), rel_tol=1e-12)


def _key(value: Any) -> Hashable:
    """The same for two values exactly if they are equal in JSON: true is not 1, and 1.0 is 1."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, list):
        return "list", tuple(map(_key, value))
    if isinstance(value, dict):
        return "object", frozenset((name, _key(it)) for name, it in value.items())
    found: Hashable = value
    return found


def _inside(where: str, name: str) -> str:
    shown = name if name.isprintable() and len(name) <= _MOST_SHOWN else _shown(name)
    return f"{where}.{shown}" if where else shown


def _at(where: str, words: str) -> str:
    return f"{where}: {words}" if where else words


def _shown(value: object) -> str:
    try:
        return excerpt(json.dumps(value, ensure_ascii=False), _MOST_SHOWN)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def table(fields: Mapping[str, Schema]) -> Schema:
    """The closed schema of an object with these properties."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }
