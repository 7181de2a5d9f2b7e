"""Claimed: the theme fits the terminal's background, and no style has one of its own."""

from __future__ import annotations

import pytest
from rich.style import Style

from chatstream.sinks.theme import THEMES, theme_for


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("15;0", "dark"),
        ("0;15", "light"),
        ("0;7", "light"),
        ("0;default;15", "light"),
        ("15;default;0", "dark"),
        ("12;8", "dark"),
        ("0;default", "dark"),
        ("15", "light"),
        ("", "dark"),
        ("nonsense;", "dark"),
    ],
)
def test_auto_looks_at_what_the_terminal_tells(told: str, name: str) -> None:
    assert theme_for("auto", None, environ={"COLORFGBG": told}) == THEMES[name]


def test_auto_is_dark_where_nothing_is_told() -> None:
    assert theme_for("auto", None, environ={}) == THEMES["dark"]


@pytest.mark.parametrize("told", ["", "0;15", "15;0"])
def test_what_the_terminal_said_of_its_background_counts_more(told: str) -> None:
    environ = {"COLORFGBG": told}
    assert theme_for("auto", None, "light", environ) == THEMES["light"]
    assert theme_for("auto", None, "dark", environ) == THEMES["dark"]
    assert theme_for("dark", None, "light", environ) == THEMES["dark"]


def test_a_theme_that_is_named_does_not_look_at_the_terminal() -> None:
    assert theme_for("dark", None, environ={"COLORFGBG": "0;15"}) == THEMES["dark"]


def test_the_theme_of_code_can_be_another() -> None:
    assert theme_for("light", "monokai") == THEMES["light"]._replace(code="monokai")


@pytest.mark.parametrize("name", THEMES)
def test_a_style_has_no_background_and_a_colour_of_the_terminal_s_own(name: str) -> None:
    for style in THEMES[name]:
        if isinstance(style, Style):
            assert style.bgcolor is None
            assert style.color is None or (style.color.number or 0) < 16
            assert style.color is None or style.color.triplet is None


def test_a_name_that_does_not_exist_is_the_caller_s_mistake() -> None:
    with pytest.raises(KeyError):
        theme_for("plaid", None)
