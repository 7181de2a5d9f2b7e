"""Claimed: the few tags of prose become readable, all others stay, and nothing in them is lost."""

from __future__ import annotations

import pytest
from rich.style import Style

from chatstream.sinks.inline import Inline
from chatstream.sinks.lines import text_of
from chatstream.sinks.tags import is_fold
from chatstream.sinks.theme import THEMES

THEME = THEMES["dark"]
INLINE = Inline(THEME)


def shown(text: str, *, ended: bool = True) -> list[str]:
    return [text_of(line) for line in INLINE.lines(text, ended=ended)]


def styled(text: str) -> list[tuple[str, Style | None]]:
    return [(it.text, it.style) for line in INLINE.lines(text) for it in line]


@pytest.mark.parametrize("tag", ["<br>", "<br/>", "<br />", "<BR>", " <br>", "<br> ", "<br>\n"])
def test_a_break_ends_the_line_once(tag: str) -> None:
    assert shown(f"one{tag}two") == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("H<sub>2</sub>SO<sub>4</sub>", "H₂SO₄"),
        ("x<sup>2</sup> + 10<sup>-3</sup> + e<sup>\u2212kx</sup>", "x² + 10⁻³ + e⁻ᵏˣ"),
        ("the 1<SUP>st</SUP>", "the 1ˢᵗ"),
        ("x<sub>max</sub>, a<sub>n+1</sub>", "xₘₐₓ, aₙ₊₁"),
        ("see<sup>note</sup> x<sub>total</sub> 10<sup>-12345</sup>", "seeⁿᵒᵗᵉ x_(total) 10⁻¹²³⁴⁵"),
        ("x<sub>q</sub>, y<sup>∞</sup>", "x_q, y^∞"),
        ("x<sub>i,j</sub>, y<sup>1/q</sup>, z<sup>[1]</sup>", "x_(i,j), y^(1/q), z^([1])"),
        ("a<sub>&lt;</sub> b<sup>*</sup>", "a_< b^*"),
        ("<sup>[1](http://x)</sup>", "<sup>1 (http://x)</sup>"),
        ("<sub>`x`</sub>", "<sub>x</sub>"),
    ],
)
def test_what_is_below_and_above_the_line(text: str, seen: str) -> None:
    assert shown(text) == [seen]


def test_a_key_is_drawn_as_code() -> None:
    assert styled("<kbd>Ctrl</kbd>+<kbd>&lt;</kbd>") == [
        ("Ctrl", THEME.literal),
        ("+", None),
        ("<", THEME.literal),
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("<details>\n<summary>Show *it*</summary>\nText", ["▸ Show it", "Text"]),
        ("<details open><summary><b>Show</b></summary>Text</details>", ["▸ Show", "Text"]),
        ("<summary>\n  Show\n</summary>", ["▸ Show"]),
        ("before <summary>a <b>b</b></summary>", ["before", "▸ a <b>b</b>"]),
        ("Text\n</details>", ["Text"]),
        ("Text</details>more", ["Text", "more"]),
        ("</details>\nmore", ["more"]),
    ],
)
def test_a_summary_is_a_line_and_the_tags_around_it_are_not(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


def test_a_summary_is_bold() -> None:
    assert {style for _, style in styled("<summary>Show *it* `x`</summary>")} == {
        THEME.strong,
        THEME.strong + THEME.emphasis,
        THEME.strong + THEME.literal,
    }


@pytest.mark.parametrize(
    "text",
    [
        *("Vec<T> and List<String>", '<div class="x">', "<u>a</u> <b>b</b>", "<!-- a -->", "a < b"),
        *(
            '<br clear="all">',
            '<kbd class="x">a</kbd>',
            "<sub>",
            "</sub> a",
            "<sub></sub>",
            "<brx>",
        ),
        *("<summary>", "</summary>", "<sub>a<sup>b", "<details class='x'>"),
    ],
)
def test_every_other_tag_is_text(text: str) -> None:
    assert "\n".join(shown(text)) == text


def test_tags_in_code_are_code() -> None:
    assert styled("`<br>H<sub>2</sub>`") == [("<br>H<sub>2</sub>", THEME.literal)]


@pytest.mark.parametrize("text", ["<details>", "</details>\n</details>", "</DETAILS>"])
def test_nothing_but_tags_of_details(text: str) -> None:
    assert is_fold(text)


@pytest.mark.parametrize("text", ["", "a", "<details>a", "<summary>", "<details x>"])
def test_what_has_a_text_is_more_than_that(text: str) -> None:
    assert not is_fold(text)
