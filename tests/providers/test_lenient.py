"""Claimed: JSON that servers really send is read, an odd field costs itself and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatstream.events import Usage, encode
from chatstream.providers.lenient import (
    MAX_DEPTH,
    count_of,
    figure_of,
    list_of,
    object_of,
    sendable,
    shaped,
    text_of,
    value_of,
    values_in,
)
from chatstream.wording import excerpt


class Inner(msgspec.Struct):
    """What stands inside a frame."""

    name: str | None = None


class Frame(msgspec.Struct):
    """What the tests read."""

    text: str = ""
    anything: Any = None
    index: int | None = 0
    done: bool = False
    inner: Inner | None = None
    many: list[Inner] | None = None


@pytest.mark.parametrize(
    ("sent", "values", "rest"),
    [
        ("", [], ""),
        (' {"a": 1} \n', [{"a": 1}], ""),
        ('{"a": 1}{"b": 2}', [{"a": 1}, {"b": 2}], ""),
        ('{"a": 1}\n[]\n"x" 1', [{"a": 1}, [], "x", 1], ""),
        ('{"a": 1} trailing', [{"a": 1}], "trailing"),
        ('{"a": ', [], '{"a": '),
        ("<html>", [], "<html>"),
        ('{"text": "a\nb\x00"}', [{"text": "a\nb\x00"}], ""),
        ('{"text": "\\ud83d"}', [{"text": "\ud83d"}], ""),
        ('{"a": -Infinity, "a": 2}', [{"a": 2}], ""),
    ],
)
def test_values_are_read_one_after_another(sent: str, values: list[Any], rest: str) -> None:
    assert values_in(sent) == (values, rest)


def test_a_number_of_5000_digits_does_not_cost_its_frame() -> None:
    value = value_of('{"cost": ' + "9" * 5000 + ', "text": "a"}')
    assert value["text"] == "a"
    assert figure_of(value["cost"]) is None


def nested(depth: int) -> str:
    return '[{"a":' * depth + "1" + "}]" * depth


def test_many_levels_are_a_value_and_far_more_are_not() -> None:
    assert len(values_in(nested(MAX_DEPTH // 2 - 1))[0]) == 1
    assert values_in(nested(MAX_DEPTH)) == ([], nested(MAX_DEPTH))
    assert len(values_in("[" + "[]," * 1000 + "1]")[0]) == 1


@pytest.mark.parametrize("deep", ["[" * 200_000, "[" * 200_000 + "]" * 200_000])
def test_a_text_that_is_too_deep_is_no_value(deep: str) -> None:
    assert values_in(deep) == ([], deep)
    with pytest.raises(ValueError, match="not a single valid JSON value"):
        value_of(deep)


@pytest.mark.parametrize(
    ("fields", "frame", "left_out"),
    [
        ({"text": "a"}, Frame("a"), []),
        ({"text": 7}, Frame("7"), []),
        ({"text": ["a"]}, Frame(), ["text"]),
        ({"text": None, "index": None}, Frame(), []),
        ({"index": "3"}, Frame(index=3), []),
        ({"index": 3.0}, Frame(index=3), []),
        ({"index": 3.5}, Frame(), ["index"]),
        ({"index": True}, Frame(), ["index"]),
        ({"index": "x" * 99}, Frame(), ["index"]),
        ({"done": "true"}, Frame(done=True), []),
        ({"done": True}, Frame(done=True), []),
        ({"done": "perhaps"}, Frame(), ["done"]),
        ({"inner": {"name": 5}}, Frame(inner=Inner("5")), []),
        ({"inner": {"name": {"x": 1}}}, Frame(inner=Inner()), ["inner.name"]),
        ({"inner": "a"}, Frame(), ["inner"]),
        ({"inner": {}}, Frame(inner=Inner()), []),
        ({"many": [{"name": "a"}, {"name": "b"}]}, Frame(many=[Inner("a"), Inner("b")]), []),
        ({"many": {"name": "a"}}, Frame(many=[Inner("a")]), []),
        ({"many": {}}, Frame(), []),
        ({"many": ["a", {"name": "b"}]}, Frame(many=[Inner("b")]), ["many"]),
        ({"anything": [1], "unknown": {"x": 1}}, Frame(anything=[1]), []),
    ],
)
def test_an_odd_field_is_left_out_and_named(
    fields: dict[str, Any], frame: Frame, left_out: list[str]
) -> None:
    names: list[str] = []
    assert shaped(fields, Frame, names) == frame
    assert sorted(set(names)) == left_out


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


@pytest.mark.parametrize(
    ("value", "figure"),
    [
        (0, 0.0),
        (0.25, 0.25),
        (7, 7.0),
        (True, None),
        ("7", None),
        (None, None),
        (-1, None),
        (1e-320, None),
        (float("nan"), None),
        (float("inf"), None),
        pytest.param(10**400, None, id="400-digits"),
    ],
)
def test_a_figure_can_be_shown_and_divided_by(value: object, figure: float | None) -> None:
    assert figure_of(value) == figure


def test_text_object_and_list_are_taken_only_when_they_are() -> None:
    values: list[object] = ["a", "", None, 1, ["a"], {"b": 1}]
    assert [text_of(value) for value in values] == ["a", "", "", "", "", ""]
    assert [object_of(value) for value in values] == [{}, {}, {}, {}, {}, {"b": 1}]
    assert [list_of(value) for value in values] == [[], [], [], [], ["a"], [{"b": 1}]]


@pytest.mark.parametrize(
    ("text", "start"),
    [("", ""), (" a \n\tb ", "a b"), ("a" * 10, "a" * 10), ("a" * 11, "a" * 9 + "…")],
)
def test_an_excerpt_is_one_line_of_bounded_length(text: str, start: str) -> None:
    assert excerpt(text, 10) == start


def test_what_is_sent_again_has_whole_characters_only() -> None:
    value = {"a": ["\ud83d\ude00", "\ud83d", 2**70, 1.0, None], "\ud83d": True}
    assert sendable(value) == {"a": ["😀", "\ufffd", 2**70, 1.0, None], "\ufffd": True}
