"""Claimed: markup becomes styles, a link tells where it leads, and nothing drives the terminal."""

# ruff: noqa: RUF001 - letters of other scripts are what some of it is about

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from chatstream.sinks.inline import Inline
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.theme import THEMES

THEME = THEMES["dark"]
INLINE = Inline(THEME)
BOLD, ITALIC, CODE = THEME.strong, THEME.emphasis, THEME.literal

# Pieces of markup, whose every mixture is tried.
MARKUP = st.lists(
    st.sampled_from(
        [
            *(
                "*",
                "**",
                "_",
                "__",
                "`",
                "``",
                "~~",
                "[",
                "]",
                "](",
                "(http://x.y/",
                "http://e.x",
                ")",
            ),
            *(
                "!",
                "<",
                ">",
                "\\",
                "&amp;",
                "&#27;",
                "\n",
                "  \n",
                " ",
                "a",
                "b c",
                "é",
                "你",
                "\t",
            ),
        ]
    ),
    max_size=14,
).map("".join)


def shown(text: str, *, ended: bool = True) -> list[str]:
    return [text_of(line) for line in INLINE.lines(text, ended=ended)]


def styled(text: str, *, ended: bool = True) -> list[tuple[str, Style | None]]:
    [line] = INLINE.lines(text, ended=ended)
    return [(text, style) for text, style, _ in line]


def targets(lines: list[Line]) -> set[str]:
    """What can be opened."""
    return {it.style.link for line in lines for it in line if it.style and it.style.link}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", [("plain", None)]),
        ("**b** *i*", [("b", BOLD), (" ", None), ("i", ITALIC)]),
        ("***x***", [("x", ITALIC + BOLD)]),
        ("**a *b* c**", [("a ", BOLD), ("b", BOLD + ITALIC), (" c", BOLD)]),
        ("**a `*b*` c**", [("a ", BOLD), ("*b*", BOLD + CODE), (" c", BOLD)]),
        ("~~no~~", [("no", THEME.strike)]),
        ("`` a`b ``", [("a`b", CODE)]),
        ("`**x** [y](http://z) &lt;`", [("**x** [y](http://z) &lt;", CODE)]),
        ("\\*no\\* \\`", [("*no* `", None)]),
        ("2 * 3 * 4, snake_case_name", [("2 * 3 * 4, snake_case_name", None)]),
        ("**never closed", [("**never closed", None)]),
        ("a `never closed", [("a `never closed", None)]),
        ("[a][b] and [c]", [("[a][b] and [c]", None)]),
        ("<b>&lt;&amp;&copy;", [("<b><&©", None)]),
    ],
)
def test_markup_becomes_styles(text: str, parts: list[tuple[str, Style | None]]) -> None:
    assert styled(text) == parts


def test_the_style_of_the_whole_lies_under_all_others() -> None:
    [line] = INLINE.lines("a **b**", ITALIC)
    assert [it.style for it in line] == [ITALIC, ITALIC + BOLD]


@pytest.mark.parametrize("text", ["a  \nb", "a\\\nb", "a&#10;b", "*a*  \nb"])
def test_a_hard_break_begins_a_line(text: str) -> None:
    assert shown(text) == ["a", "b"]


@pytest.mark.parametrize("text", ["a\nb", "a \nb", "*a*\nb"])
def test_a_soft_break_is_a_blank_unless_lines_are_kept(text: str) -> None:
    assert shown(text) == ["a b"]
    kept = Inline(THEME, keep_lines=True).lines(text)
    assert [text_of(line) for line in kept] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("[good](http://good/)", "good (http://good/)"),
        ("[http://good](http://evil)", "http://good (http://evil)"),
        ("[a (http://good)](http://evil)", "a (http://good) (http://evil)"),
        ("[http://good](http://good)", "http://good"),
        ("[**http://good**](http://good)", "http://good"),
        ("<https://good/x>", "https://good/x"),
        ("[**a** `b`](http://x)", "a b (http://x)"),
        ("[a [b] c](http://x)", "a [b] c (http://x)"),
        ("[![alt](http://i.png)](http://x)", "alt (http://i.png) (http://x)"),
        ("![*alt*](http://i.png 'title')", "alt (http://i.png)"),
        (
            "[apple](http://\u0430\u0440\u0440\u04cf\u0435.com/)",
            "apple (http://xn--80ak6aa92e.com/)",
        ),
        ("[a](<http://x/ä b>)", "a (http://x/%C3%A4%20b)"),
        ("[a](http://x/\u202ecod)", "a (http://x/%E2%80%AEcod)"),
        ("[a](http://good@evil)", "a (http://good@evil)"),
        ("[a](http://x/(b))", "a (http://x/(b))"),
        ("[](http://x)", "http://x"),
        ("![](http://i.png)", "http://i.png"),
        ("a [empty]() b", "a empty b"),
        ("![empty]()", "empty"),
        ("a []() b", "a  b"),
        ("<me@example.org>", "me@example.org"),
        ("[me@example.org](mailto:me@example.org)", "me@example.org"),
        ("[write](mailto:me@example.org?subject=a)", "write (me@example.org?subject=a)"),
        (
            "<https://\u0430\u0440\u0440.com>",
            "https://\u0430\u0440\u0440.com (https://xn--80a6aa.com)",
        ),
    ],
)
def test_a_link_tells_where_it_leads(text: str, seen: str) -> None:
    assert shown(text) == [seen]
    assert all(target in seen for target in targets(INLINE.lines(text)))


def test_a_target_that_is_written_with_its_own_letters_is_shown_once() -> None:
    assert shown("<https://good/wiki/中文>") == ["https://good/wiki/中文"]
    assert targets(INLINE.lines("<https://good/wiki/中文>")) == {
        "https://good/wiki/%E4%B8%AD%E6%96%87"
    }


def test_a_link_without_a_target_looks_like_none() -> None:
    assert styled("[a]() **[b]()**") == [("a", None), (" ", None), ("b", BOLD)]


def test_a_text_of_several_lines_never_passes_for_its_target() -> None:
    assert shown("before [x\nhttp://good](http://good)") == ["before x http://good (http://good)"]


@pytest.mark.parametrize("scheme", ["http", "https", "HTTPS"])
def test_a_target_of_the_web_can_be_opened(scheme: str) -> None:
    assert targets(INLINE.lines(f"[a]({scheme}://x/y)")) == {f"{scheme}://x/y"}


@pytest.mark.parametrize(
    "target",
    [
        *(
            "javascript:alert(1)",
            "JaVaScript:x",
            "&#106;avascript:x",
            "vbscript:x",
            "data:text/html,x",
        ),
        *(
            "data:image/png;base64,x",
            "file:///etc/passwd",
            "mailto:a@b",
            "ssh://x",
            "/etc",
            "#a",
            "",
        ),
        *("//host/x", "httpx://a", "http:x", " http"),
    ],
)
def test_any_other_target_is_shown_and_cannot_be_opened(target: str) -> None:
    lines = INLINE.lines(f"[a]({target}) ![b]({target}) <{target}>")
    assert targets(lines) == set()
    assert target.strip().lower().replace("&#106;", "j") in text_of(lines[0]).lower()


@pytest.mark.parametrize(
    "entity",
    [
        *(
            "&#27;[2J",
            "&#x9b;2J",
            "&#x202e;",
            "&#8238;",
            "&#7;",
            "&#0;",
            "&#127;",
            "&#12;",
            "&#x2066;",
        ),
        *("&rlm;", "&lrm;", "&#xFEFF;", "&#xE0041;", "&#xD800;", "&#13;", "&NewLine;", "&#x2028;"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "`x` {}", "[{}](http://x)", "[x](http://x/{})", "**{}**"])
def test_an_entity_cannot_bring_in_what_was_cleaned_out(entity: str, around: str) -> None:
    for line in INLINE.lines(around.format(entity)):
        text = text_of(line) + "".join(targets([line]))
        assert not set(text) & set(map(chr, [*range(32), *range(127, 160)]))
        assert not set(text) & set("\u200e\u200f\u2028\u202e\u2066\ufeff\U000e0041\ud800")


def test_a_cell_is_one_line_without_tabs() -> None:
    assert text_of(INLINE.line("**a**&#10;b\tc")) == "a b     c"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a **b", [("a ", None), ("b", BOLD)]),
        ("a **b*", [("a ", None), ("b", BOLD)]),
        ("a **b**", [("a ", None), ("b", BOLD)]),
        ("***b", [("b", ITALIC + BOLD)]),
        ("*b", [("b", ITALIC)]),
        ("_b", [("b", ITALIC)]),
        ("~~b", [("b", THEME.strike)]),
        ("a `b", [("a ", None), ("b", CODE)]),
        ("``a`", [("a", CODE)]),
        ("**a `b", [("a ", BOLD), ("b", BOLD + CODE)]),
        ("`a` **b", [("a", CODE), (" ", None), ("b", BOLD)]),
        ("2 * 3", [("2 * 3", None)]),
        ("a_b", [("a_b", None)]),
        ("a ** b", [("a ** b", None)]),
        ("\\*b", [("*b", None)]),
        ("`** x`", [("** x", CODE)]),
        *((marks, []) for marks in ("**", "*", "`", "``", "~", "***", "\\", "")),
    ],
)
def test_what_has_no_end_yet_is_drawn_as_if_it_ended(
    text: str, parts: list[tuple[str, Style | None]]
) -> None:
    assert styled(text, ended=False) == parts


def test_emphasis_may_go_on_in_the_next_line() -> None:
    [line] = INLINE.lines("a **b\nc", ended=False)
    assert [(it.text, it.style) for it in line] == [
        ("a ", None),
        ("b", BOLD),
        (" ", BOLD),
        ("c", BOLD),
    ]


def test_a_lone_backtick_does_not_make_code_of_later_lines() -> None:
    assert shown("a ` b\n**c", ended=False) == ["a ` b c"]


def test_a_target_that_is_still_written_stands_where_it_will_stand() -> None:
    assert shown("see [docs](https://example.com/pa", ended=False) == [
        "see docs (https://example.com/pa)"
    ]
    assert shown("[x](javascript:a", ended=False) == ["[x](javascript:a"]
    assert shown("[x](./a/b", ended=False) == ["x (./a/b)"]
    assert shown("[`x`](#a", ended=False) == ["x (#a)"]
    assert shown("[x](", ended=False) == ["x"]


def test_a_joiner_after_a_mark_stays_where_a_script_needs_it() -> None:
    assert shown("**کتاب**\u200cها") == ["کتاب\u200cها"]


@given(st.text("*_`~[]!\\ \nab你", max_size=30))
def test_no_character_is_shown_that_is_not_there(text: str) -> None:
    for end in range(len(text) + 1):
        there = iter(text[:end].replace("\n", " "))  # as it is in code
        assert all(character in there for character in "".join(shown(text[:end], ended=False)))


@given(MARKUP)
def test_lines_have_no_line_ends_and_no_controls(text: str) -> None:
    for ended in (True, False):
        for line in shown(text, ended=ended):
            assert all(character == "\t" or character >= " " for character in line)
