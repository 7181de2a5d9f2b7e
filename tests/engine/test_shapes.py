"""Claimed: what is written becomes what a setting is, or a sentence that says what it is not.

That every setting has such a sentence for every shape is in test_config.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from chatstream.engine.shapes import Misfit, fitted, is_table

Count = Annotated[int, msgspec.Meta(ge=1, le=9)]


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (str | None, "null", "null"),
        (bool, " YES", True),
        (bool | None, "off", False),
        (Count, " 7 ", 7),
        (Count | None, 7.0, 7),
        (float, 3, 3.0),
        (Literal["a", "b"], "a", "a"),
        (list[str], "a, b,,", ["a", "b"]),
        (list[str], "", []),
        (dict[str, Any], {"a": {"b": [1.5, None]}}, {"a": {"b": [1.5, None]}}),
        (dict[str, str], {"a": "b"}, {"a": "b"}),
    ],
)
def test_what_is_written_becomes_what_a_setting_is(kind: Any, value: Any, found: Any) -> None:
    assert fitted(kind, value) == found


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Count | None, "null", 'takes a whole number from 1 to 9, not "null"'),
        (Count, 0, "takes a whole number from 1 to 9, not 0"),
        (float, "x" * 99, f'takes a number, not "{"x" * 39}…"'),
        (Literal["a", "b", "c"], "d\ne", 'takes a, b or c, not "d\\ne"'),
        (str, ["s3cret"], "takes text in quotes, not a list"),
        (str, 271828, "takes text in quotes, not a number"),
        (dict[str, str], "Authorization: s3cret", "takes a table, not text"),
        (
            list[str],
            [271828],
            'takes a list of strings, such as ["one", "two"], not a list with a number in it',
        ),
    ],
)
def test_what_does_not_fit_is_said_without_what_may_be_a_secret(
    kind: Any, value: Any, said: str
) -> None:
    with pytest.raises(Misfit) as caught:
        fitted(kind, value)
    assert str(caught.value) == said


def test_a_mistake_in_a_table_has_its_key() -> None:
    with pytest.raises(Misfit, match="takes text in quotes, not a number") as caught:
        fitted(dict[str, str], {"good": "x", "bad": 271828})
    assert caught.value.keys == ("bad",)
    with pytest.raises(Misfit, match="not inf") as caught:
        fitted(dict[str, Any], {"a": [{"b": float("inf")}]})
    assert caught.value.keys == ("a", "b")


def test_a_table_is_one() -> None:
    assert is_table(dict[str, Any])
    assert not any(map(is_table, (str, list[str], Count | None)))
