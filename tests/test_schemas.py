"""Claimed: a value fits here exactly where it fits by an independent validator, and what cannot be
checked is refused."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.schemas import (
    BadSchema,
    check,
    is_closed,
    keywords,
    mistake,
    references,
    table,
)
from tests.support.sampling import examples

PERSON = table({"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}})
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "below": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
}

LEAVES = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 2.5, -3, "", "a", "abc", [], [1], [1, 1], {}, {"a": 1}]
)
VALUES = st.recursive(
    LEAVES,
    lambda it: st.lists(it, max_size=3) | st.dictionaries(st.sampled_from("abc"), it, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def _objects(its: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(its, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), its, max_size=3)
    count, number = st.integers(0, 3), st.sampled_from([-1, 0, 1, 2, 2.5])
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "enum": st.lists(LEAVES, min_size=1, max_size=3),
            "const": LEAVES,
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), its, max_size=1),
            "additionalProperties": its,
            "propertyNames": st.just({"enum": ["a", "b"]}),
            "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
            "items": its,
            "prefixItems": several,
            "contains": its,
            "uniqueItems": st.booleans(),
            **dict.fromkeys(["minItems", "maxItems", "minLength", "maxLength"], count),
            **dict.fromkeys(["minProperties", "maxProperties"], count),
            **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], number),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "pattern": st.sampled_from(["a", "^b", "c$"]),
            **dict.fromkeys(["anyOf", "oneOf", "allOf"], several),
            **dict.fromkeys(["not", "if", "then", "else"], its),
        },
    )


SCHEMAS = st.recursive(st.booleans() | _objects(st.booleans()), _objects, max_leaves=4)


@settings(max_examples=examples(400), deadline=None)
@given(SCHEMAS.filter(lambda it: isinstance(it, dict)), VALUES)
def test_a_value_fits_where_the_reference_validator_says_so(
    schema: dict[str, Any], value: Any
) -> None:
    check(schema)
    fits = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (mistake(schema, value) is None) is fits


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (PERSON, {"name": "Ann", "age": 3}, None),
        (PERSON, {"name": "Ann"}, '"age" is missing'),
        (PERSON, {"name": "Ann", "age": "3"}, 'age: "3" is not of the type integer'),
        (PERSON, {"name": "", "age": 3}, "name: it has 0 characters, and not at least 1"),
        (PERSON, {"name": "Ann", "age": 3, "x": 1}, '"x" is not allowed'),
        (PERSON, [], "[] is not of the type object"),
        (TREE, {"name": "a", "below": [{"name": "b"}, {}]}, 'below[1]: "name" is missing'),
        ({"minProperties": 2}, {"a": 1}, "it has 1 property, and not at least 2"),
        ({"enum": ["C", "F"]}, "K", '"K" is not one of: "C", "F"'),
    ],
)
def test_a_mistake_names_its_place(schema: dict[str, Any], value: Any, words: str | None) -> None:
    check(schema)
    assert mistake(schema, value) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "the schema is not a JSON object"),
        ({"unevaluatedItems": False}, "uses 'unevaluatedItems', which chatstream cannot check"),
        ({"properties": {"a": {"typ": "x"}}}, "'a' in 'properties' of the schema uses 'typ'"),
        ({"type": "int"}, "'type' of the schema cannot be \"int\""),
        ({"type": []}, "'type' of the schema cannot be []"),
        ({"required": "a"}, "'required' of the schema"),
        ({"properties": []}, "'properties' of the schema"),
        ({"items": 3}, "'items' of the schema is not a JSON object"),
        ({"anyOf": []}, "'anyOf' of the schema"),
        ({"minLength": -1}, "'minLength' of the schema"),
        ({"multipleOf": 0}, "'multipleOf' of the schema"),
        ({"pattern": "("}, "is not a valid regular expression"),
        ({"patternProperties": {"(": {}}}, "is not a valid regular expression"),
        ({"$ref": "#/$defs/x"}, "which is not in the schema"),
        ({"$ref": "https://example.org/x"}, "which is not in the schema"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}}, "leads back to itself"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {}]}}}, "leads back to itself"),
        ({"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}, "leads back to itself"),
        ({"not": {"$ref": "#"}}, "leads back to itself"),
        ({"if": {}, "then": {"$ref": "#"}}, "leads back to itself"),
        ({"$defs": {"a": {"$anchor": "b"}}, "$ref": "#b"}, "which is not in the schema"),
        ({"anyOf": [{}], "items": {"$ref": "#/anyOf/-1"}}, "which is not in the schema"),
        ({"default": {"x": {"typ": 1}}, "items": {"$ref": "#/default/x"}}, "which is not a schema"),
    ],
)
def test_what_cannot_be_checked_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(BadSchema) as caught:
        check(schema)
    assert words in str(caught.value)


def test_a_schema_or_a_value_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    value: dict[str, Any] = {"name": "a"}
    for _ in range(300):
        deep = {"items": deep}
        value = {"name": "a", "below": [value]}
    with pytest.raises(BadSchema, match="more than 100 levels"):
        check(deep)
    assert "nested too deeply to be checked" in str(mistake(TREE, value))


def test_what_refers_to_itself_is_followed_for_fifty_levels() -> None:
    value: dict[str, Any] = {"name": "a"}
    for _ in range(50):
        value = {"name": "a", "below": [value]}
    assert mistake(TREE, value) is None


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_alternatives_that_refer_to_themselves_take_no_longer_with_each_level(keyword: str) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {keyword: [{"$ref": "#"}, {"$ref": "#", "title": "again"}]},
            "last": {"type": "integer"},
        },
    }
    check(schema)
    value: dict[str, Any] = {"last": "no"}
    for _ in range(40):  # 2 ** 40 ways
        value = {"a": value}
    assert mistake(schema, value) is not None


def test_a_long_list_is_searched_once_for_what_is_there_twice() -> None:
    many: list[Any] = [*range(100_000), [1, {"a": True}], 7.0]
    assert mistake({"uniqueItems": True}, many) == "[100001]: 7.0 appears twice"
    assert mistake({"uniqueItems": True}, many[:-1]) is None


def test_a_value_that_is_nested_as_deep_as_json_may_be_is_a_mistake_and_no_crash() -> None:
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]
    for schema in ({"uniqueItems": True}, {"enum": [1]}, {"const": deep}):
        assert "nested too deeply" in str(mistake(schema, deep)), schema


def test_a_place_is_shown_on_one_line_whatever_its_name_is() -> None:
    schema = {"additionalProperties": {"type": "integer"}}
    wrong = mistake(schema, {"a\nb\x1b[2J": "x"})
    assert wrong == '"a\\nb\\u001b[2J": "x" is not of the type integer'
    assert len(str(mistake(schema, {"a" * 5000: "x"}))) < 200


def test_a_schema_is_closed_where_nothing_is_left_open() -> None:
    assert is_closed(PERSON)
    assert is_closed(table({"people": {"type": "array", "items": PERSON}}))
    assert not is_closed(TREE)
    assert not is_closed(table({"x": {"type": "object"}}))
    assert not is_closed(PERSON | {"required": ["name"]})
    assert not is_closed(table({"x": True}))  # type: ignore[dict-item]


@pytest.mark.parametrize("text", ["1" + "0" * 400, "-1" + "0" * 400, "1e400"])
def test_a_number_that_no_float_holds_is_checked_too(text: str) -> None:
    number = json.loads(text)
    is_whole = isinstance(number, int)
    assert (mistake({"type": "integer"}, number) is None) is is_whole
    assert mistake({"type": "number"}, number) is None
    assert (mistake({"multipleOf": 10}, number) is None) is is_whole
    assert mistake({"multipleOf": 0.5}, number) is not None
    assert mistake({"minimum": 0, "maximum": 9}, number) is not None


def test_the_keywords_and_references_of_a_schema_are_found_at_every_level() -> None:
    assert keywords(TREE) == {"type", "properties", "required", "items", "$ref"}
    assert references(TREE) == ["#"]
