"""Claimed: every colour of text can be read on its background, in each terminal."""

from __future__ import annotations

from itertools import chain

import pytest
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS
from rich.style import Style

from chatstream.sinks.codetheme import _LOOKS, code_theme
from chatstream.sinks.palette import NOTES, PALETTES, SIXTEEN, Background, background_for
from chatstream.sinks.theme import THEMES, in_sixteen
from tests.support.contrast import TERMINALS, Terminal, contrast, rgb

READABLE = 4.5
ON = [(name, terminal) for name in PALETTES for terminal in TERMINALS[name]]


def styles(name: Background) -> set[Style]:
    """All that the themes for this background can give to text."""
    from pygments.token import STANDARD_TYPES

    theme = THEMES[name]
    text = {it for it in theme._replace(rule=theme.dim) if isinstance(it, Style)}
    code = {code_theme(theme.code).get_style_for_token(kind) for kind in STANDARD_TYPES}
    return {*text, *theme.headings, *code}


@pytest.mark.parametrize("system", COLOR_SYSTEMS.values(), ids=lambda it: it.name)
@pytest.mark.parametrize(("name", "terminal"), ON)
def test_text_reaches_the_contrast(
    name: Background, terminal: Terminal, system: ColorSystem
) -> None:
    few = system in (ColorSystem.STANDARD, ColorSystem.WINDOWS)
    for style in styles(name):
        shown = in_sixteen(style) if few else style
        color = shown.color and shown.color.downgrade(system)
        found = contrast(rgb(color, terminal), terminal.background)
        assert found >= READABLE, (terminal.name, str(style), found)


@pytest.mark.parametrize("name", PALETTES)
def test_no_text_is_faint(name: Background) -> None:
    assert not any(style.dim for style in styles(name))


@pytest.mark.parametrize(("name", "terminal"), ON)
def test_notes_reach_the_contrast(name: Background, terminal: Terminal) -> None:
    for codes in NOTES[name].values():
        assert "2" not in codes.split(";")
        for code in map(int, codes.split(";")):
            number = code - 30 if 30 <= code <= 37 else code - 82 if 90 <= code <= 97 else None
            if number is not None:
                assert contrast(terminal.colours[number], terminal.background) >= READABLE


@pytest.mark.parametrize(("name", "terminal"), ON)
def test_lines_reach_the_contrast_of_what_is_no_text(name: Background, terminal: Terminal) -> None:
    assert contrast(rgb(THEMES[name].rule.color, terminal), terminal.background) >= 3


@pytest.mark.parametrize("name", PALETTES)
def test_dim_text_is_another_text_with_sixteen_colours(name: Background) -> None:
    assert in_sixteen(THEMES[name].dim).italic


def test_each_colour_of_the_cube_has_one_that_stands_for_it() -> None:
    lines = (theme.rule for theme in THEMES.values())
    used = {style.color for style in chain(lines, *map(styles, PALETTES)) if style.color}
    assert {color.number for color in used if (color.number or 0) > 15} == set(SIXTEEN)


def test_the_looks_of_code_use_known_words_and_types() -> None:
    from pygments.token import STANDARD_TYPES

    assert {str(kind).removeprefix("Token.") for kind in STANDARD_TYPES} >= set(_LOOKS)


def test_what_the_terminal_tells_counts_before_its_variable() -> None:
    assert background_for("auto", {"COLORFGBG": "15;0"}, "light") == "light"
    assert background_for("dark", {}, "light") == "dark"
