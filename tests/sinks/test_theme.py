"""Claimed: the theme fits the terminal's background, and no style has one of its own."""

from __future__ import annotations

from typing import Literal

import pytest
from rich.style import Style

from chatstream.sinks.blocks import Blocks
from chatstream.sinks.inline import Inline
from chatstream.sinks.lines import text_of
from chatstream.sinks.markdown import Markdown
from chatstream.sinks.palette import background_for
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
    assert theme_for("auto", None, {"COLORFGBG": told}) == THEMES[background_for(name, {})]


def test_auto_is_dark_where_nothing_is_told() -> None:
    assert theme_for("auto", None, {}) == THEMES["dark"]


def test_a_theme_that_is_named_does_not_look_at_the_terminal() -> None:
    assert theme_for("dark", None, {"COLORFGBG": "0;15"}) == THEMES["dark"]


def test_the_theme_of_code_can_be_another() -> None:
    assert theme_for("light", "monokai") == THEMES["light"]._replace(code="monokai")


@pytest.mark.parametrize("name", THEMES)
def test_no_style_has_a_background(name: str) -> None:
    theme = THEMES[background_for(name, {})]
    for style in (*theme, *theme.headings):
        assert not isinstance(style, Style) or style.bgcolor is None


@pytest.mark.parametrize("name", THEMES)
def test_the_levels_of_headings_differ_even_without_colours(name: str) -> None:
    looks = [style.without_color for style in theme_for(name, None).headings]
    assert len(set(looks)) == len(looks) == 6
    assert all(looks)


SOURCE = "## Set **x** *y* ~~z~~ to `1`"


@pytest.mark.parametrize(
    ("shows", "screen"),
    [
        ("colours", "Set x y z to 1"),
        ("attributes", "Set x y ~~z~~ to `1`"),
        ("nothing", SOURCE),
    ],
)
def test_marks_stay_where_their_meaning_would_be_lost(
    shows: Literal["colours", "attributes", "nothing"], screen: str
) -> None:
    drawing = Markdown(theme_for("dark", None, shows=shows), lambda: 80)
    blocks = Blocks()
    lines = drawing.draw([*blocks.feed(SOURCE), *blocks.finish()]).lines
    assert [text_of(line) for line in lines] == [screen]


@pytest.mark.parametrize("code", ["`a`", "`` `a` ``", "`` a`b ``", "``` `` ```"])
def test_code_with_its_backticks_is_what_was_written(code: str) -> None:
    inline = Inline(theme_for("dark", None, shows="attributes"))
    assert text_of(inline.line(code)).replace(" ", "") == code.replace(" ", "")
    assert text_of(inline.line(text_of(inline.line(code)))) == text_of(inline.line(code))


def test_thinking_is_another_text_without_colours() -> None:
    assert theme_for("dark", None, shows="attributes").dim == Style(italic=True)


def test_a_name_that_does_not_exist_is_the_caller_s_mistake() -> None:
    with pytest.raises(KeyError):
        theme_for("plaid", None)
