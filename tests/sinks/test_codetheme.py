"""Claimed: code has the colours of our palette, or those of the theme that was asked for."""

from __future__ import annotations

import pytest
from pygments.token import Comment, Keyword, Whitespace
from rich.style import Style

from chatstream.sinks.codetheme import code_theme


def test_blanks_have_no_style() -> None:
    assert code_theme("ansi_dark").get_style_for_token(Whitespace) == Style.null()


@pytest.mark.parametrize("name", ["ansi_dark", "ansi_light"])
def test_a_type_that_is_not_listed_looks_like_the_one_above_it(name: str) -> None:
    theme = code_theme(name)
    assert theme.get_style_for_token(Keyword.Constant) == theme.get_style_for_token(Keyword)
    assert theme.get_style_for_token(Comment.Single) != theme.get_style_for_token(Keyword)


def test_other_themes_are_those_of_pygments() -> None:
    color = code_theme("monokai").get_style_for_token(Keyword).color
    assert color is not None
    assert color.triplet is not None
    assert color.triplet.hex == "#66d9ef"
