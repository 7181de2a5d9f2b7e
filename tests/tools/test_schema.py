"""What a model is told about a function, and what a function is called with."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TypedDict

import jsonschema
import msgspec
import pytest
from msgspec import Meta

from chatstream.errors import UsageError
from chatstream.tools.schema import Signature
from chatstream.tools.tool import Context, InvalidArguments

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    """A place."""

    x: int
    y: int = 0


class Options(TypedDict, total=False):
    deep: bool


class Line(msgspec.Struct):
    title: str
    ends: list[Point] = []


class Tree(msgspec.Struct):
    value: int
    below: list[Tree] = []


class Odd(msgspec.Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2 == 0:
            raise KeyError("it is even")


def everything(  # type: ignore[no-untyped-def]
    path: Path,
    point: Point,
    line: Line,
    ctx: Context,
    lines: Annotated[int, Meta(ge=1, description="How many.")] = 10,
    *,
    mode: Literal["fast", "slow"] = "fast",
    colour: Colour = Colour.RED,
    options: Options | None = None,
    when: datetime.date | None = None,
    limit: int = None,  # type: ignore[assignment]  # noqa: RUF013 - as many people write it
    anything=5,
) -> None:
    """Do it.

    Args:
        path: Where.
        point: The place.
        lines: Not this: the annotation says it.
        mode: How.
    """


def test_the_schema_says_what_the_function_says() -> None:
    made = Signature(everything)
    point = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
        "required": ["x"],
    }
    assert (made.name, made.description, made.context) == ("everything", "Do it.", "ctx")
    assert made.parameters == {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Where."},
            "point": {**point, "description": "The place."},
            "line": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "ends": {
                        "type": "array",
                        "items": {**point, "description": "A place."},
                        "default": [],
                    },
                },
                "required": ["title"],
            },
            "lines": {"type": "integer", "minimum": 1, "description": "How many.", "default": 10},
            "mode": {
                "type": "string",
                "enum": ["fast", "slow"],
                "description": "How.",
                "default": "fast",
            },
            "colour": {"type": "string", "enum": ["blue", "red"], "default": "red"},
            "options": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"deep": {"type": "boolean"}},
                        "required": [],
                    },
                    {"type": "null"},
                ]
            },
            "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "anything": {"default": 5},
        },
        "required": ["path", "point", "line"],
    }


def test_what_fits_the_schema_is_decoded() -> None:
    made = Signature(everything)
    given = {
        "path": "a/b",
        "point": {"x": 1},
        "line": {"title": "t", "ends": [{"x": 2, "y": 3}]},
        "colour": "blue",
        "when": "2026-11-29",
        "limit": None,
        "anything": {"of": ["any", "kind"]},
    }
    jsonschema.validate(given, made.parameters)
    assert made.decode(given) == {
        "path": Path("a/b"),
        "point": Point(1),
        "line": Line("t", [Point(2, 3)]),
        "lines": 10,
        "mode": "fast",
        "colour": Colour.BLUE,
        "options": None,
        "when": datetime.date(2026, 11, 29),
        "limit": None,
        "anything": {"of": ["any", "kind"]},
    }


def two(path: str, lines: int = 3) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "a", "lines": "3"}, "Expected `int`, got `str` - at `$.lines`"),
        ({"path": "a", "lines": 3.5}, "Expected `int`, got `float` - at `$.lines`"),
        ({"path": "a", "lines": None}, "Expected `int`, got `null` - at `$.lines`"),
        ({"path": 1}, "Expected `str`, got `int` - at `$.path`"),
        ({}, "Object missing required field `path`"),
        ({"pth": "a"}, "unknown argument 'pth'; did you mean 'path'?"),
        ({"x": 1, "y": 2}, "unknown arguments 'x', 'y'; the parameters are: path, lines"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        Signature(two).decode(arguments)
    assert caught.value.message == words
    assert caught.value.code == "invalid_arguments"


def test_a_path_has_a_place_too() -> None:
    with pytest.raises(InvalidArguments, match=r"Expected `str`, got `int` - at `\$\.path`"):
        Signature(everything).decode({"path": 1, "point": {"x": 1}, "line": {"title": ""}})


def test_a_type_of_the_user_may_refuse_a_value_in_any_way() -> None:
    def odd(it: Odd) -> None: ...

    with pytest.raises(InvalidArguments, match="it is even"):
        Signature(odd).decode({"it": {"number": 2}})


def test_without_parameters_nothing_is_taken() -> None:
    def now() -> None: ...

    made = Signature(now)
    assert made.parameters == {"type": "object", "properties": {}, "required": []}
    assert made.decode({}) == {}
    with pytest.raises(InvalidArguments, match="unknown: 'zone'; it takes no arguments"):
        made.decode({"zone": "utc"})


def test_a_default_is_the_very_object_that_python_would_pass() -> None:
    shared: list[int] = [1]

    def put(into: list[int] = shared) -> None: ...

    assert Signature(put).decode({})["into"] is shared
    assert Signature(put).parameters["properties"]["into"]["default"] == [1]


def test_a_default_that_is_no_json_is_not_told() -> None:
    marker = object()

    def put(into: Any = marker) -> None: ...

    assert Signature(put).parameters["properties"] == {"into": {}}
    assert Signature(put).decode({})["into"] is marker


def test_a_type_that_contains_itself_keeps_its_reference() -> None:
    def plant(tree: Tree) -> None: ...

    made = Signature(plant)
    assert made.parameters["properties"]["tree"]["type"] == "object"
    given = {"tree": {"value": 1, "below": [{"value": 2, "below": [{"value": 3}]}]}}
    jsonschema.validate(given, made.parameters)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            {"tree": {"value": 1, "below": [{"value": 2, "below": [{"value": "x"}]}]}},
            made.parameters,
        )
    assert made.decode(given)["tree"].below[0].below[0].value == 3


def test_a_parameter_may_be_called_like_a_word_of_json_schema() -> None:
    def odd(title: str, enum: int, default: bool, properties: Point) -> None: ...

    made = Signature(odd)
    assert set(made.parameters["properties"]) == {"title", "enum", "default", "properties"}
    assert made.parameters["properties"]["title"] == {"type": "string"}
    given = {"title": "a", "enum": 1, "default": True, "properties": {"x": 1}}
    jsonschema.validate(given, made.parameters)
    assert made.decode(given)["properties"] == Point(1)


def test_a_context_may_be_optional_and_is_never_told() -> None:
    def may(a: int, it: Optional[Context] = None) -> None: ...  # noqa: UP045

    def must(a: int, it: Context) -> None: ...

    for function in (may, must):
        made = Signature(function)
        assert (made.context, list(made.parameters["properties"])) == ("it", ["a"])
        with pytest.raises(InvalidArguments, match="unknown argument 'it'"):
            made.decode({"a": 1, "it": {}})


def test_a_method_and_a_partial_have_what_is_left_to_give() -> None:
    class Box:
        def put(self, what: str, times: int = 1) -> None:
            """Put it in."""

    made = Signature(Box().put)
    assert (made.name, made.description) == ("put", "Put it in.")
    assert list(made.parameters["properties"]) == ["what", "times"]
    less = Signature(functools.partial(Box().put, "this"), "put_this")
    assert (less.name, less.description) == ("put_this", "")
    assert list(less.parameters["properties"]) == ["times"]


def any_number(*values: int) -> None: ...
def any_names(**values: int) -> None: ...
def by_place(value: int, /) -> None: ...
def unknown_hint(value: OnlyForTypeCheckers) -> None: ...
def no_json(fine: int, value: object) -> None: ...
def two_lists(value: list[int] | set[int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (any_number, r"\*values: int takes any arguments"),
        (any_names, r"\*\*values: int takes any arguments"),
        (by_place, "'value' is positional-only"),
        (unknown_hint, "cannot be evaluated: name 'OnlyForTypeCheckers' is not defined"),
        (no_json, "type of its parameter 'value'"),
        (two_lists, "more than one array-like"),
    ],
)
def test_what_cannot_be_a_tool_says_its_name_and_why(function: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Signature(function)
    assert caught.value.message.startswith(f"the function {function.__name__} cannot be a tool: ")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_what_has_no_signature_is_refused() -> None:
    with pytest.raises(UsageError, match="no signature"):
        Signature(type)
