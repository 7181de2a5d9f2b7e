"""Claimed: what is drawn while the text is still written is what is drawn at the end."""

# ruff: noqa: RUF001 - full-width characters are what some of it is about
from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.inline import Inline
from chatstream.sinks.theme import THEMES

THEME = THEMES["dark"]
INLINE = Inline(THEME)

ANSWERS = [
    "他说**今天不去。**然后走了，**提示：**先保存，*“说明”*在后面。",
    "彼は**「はい」**と言った。**Python(パイソン)**です。먼저 **설치(install)**를 합니다.",
    "Use **`git rebase`**, *not* `git merge`: **a *b* c**, *a **b** c* and ***both***.",
    "The product 2*3*4 is **24**, a*b*c is a volume, 5 * 3 * 2 is *30*.",
    "`.*foo.*`, .*foo.* and x**2 + y**2 are **no** marks; src/*.py, t/*.py and `*` are not either.",
    "un**believ**able, **A**pple, ~~old~~ _new_ and __init__.py, my_file_name.py.",
    "H<sub>2</sub>O, x<sup>i,j</sup> and <kbd>Ctrl</kbd>+<kbd>C</kbd><br>in **bold<br>lines**.",
    "<details>\n<summary>Show **the `code`**</summary>\nText *there*\n</details>\nand **more**.",
    "**Two\nlines** and *a\nlot* ~~of\nthem~~.",
    r"\*no\* **a \* b** `**` *a &amp; b* <https://example.com/a*b> **c**",
]

_SEEN = (
    "a|word|é|x2|end!|x.|(in)|'so'|naïve|你好|重要。|“引”|テスト|「あ」|확인|葛\U000e0100|ภาษา"
    "|2*3*4|a*b|5 * 3|2**8|src/*.py|snake_case|__init__.py|f(x)*2|COUNT(*)"
)
WORDS = st.lists(st.sampled_from(_SEEN.split("|")), min_size=1, max_size=3).map(" ".join)


def _marked(inside: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(["**", "*", "***", "~~", "_"]), inside).map(
        lambda it: (f"{it[0]}{it[1][0]}{it[0]}", it[1][1])
    )


PLAIN = WORDS.map(lambda text: (text, text))
CODE = WORDS.map(lambda text: (f"`{text}`", text))
INSIDE = st.tuples(PLAIN, PLAIN | CODE | _marked(PLAIN), PLAIN).map(
    lambda parts: (" ".join(it[0] for it in parts), " ".join(it[1] for it in parts))
)
MARKED = _marked(PLAIN | CODE | INSIDE)
WELL_FORMED = st.lists(
    st.tuples(PLAIN | CODE | MARKED, st.sampled_from(["", " ", " ", ", "])), min_size=1, max_size=5
).map(
    lambda parts: (
        "".join(source + after for (source, _), after in parts),
        "".join(seen + after for (_, seen), after in parts),
    )
)
"""A source, and what of it is to be seen."""


def drawn(text: str, *, ended: bool) -> list[tuple[str, Style | None]]:
    """Each character with its style, but for the target of a link, which grows."""
    first, *others = INLINE.lines(text, ended=ended)
    line = [*first, *(it for line in others for it in (Segment("\n"), *line))]
    return [(char, it.style and it.style.clear_meta_and_links()) for it in line for char in it.text]


def assert_final_at_once(text: str) -> None:
    final = drawn(text, ended=True)
    before = 0
    for end in range(len(text) + 1):
        now = drawn(text[:end], ended=False)
        if now and now[-1][0] == " ":
            now.pop()  # the tag of a block, which makes a line end of it, may follow
        assert now == final[: len(now)], text[:end]
        seen = sum(char != "\n" for char, _ in now)
        assert before <= seen, text[:end]
        before = seen


@pytest.mark.parametrize("text", ANSWERS)
def test_every_character_has_its_final_style_at_once(text: str) -> None:
    assert_final_at_once(text)


@settings(max_examples=200)
@given(WELL_FORMED)
def test_so_it_has_in_every_well_formed_text(pair: tuple[str, str]) -> None:
    text, seen = pair
    assume("".join(char for char, _ in drawn(text, ended=True)) == seen)
    assert_final_at_once(text)


@pytest.mark.parametrize(
    "text",
    [
        *("5 * 3 and so on", "2*3*4 and so on", "(a+b)*c and so on", "2**10 and so on"),
        *(".*foo and so on", "src/*.py and so on", "*.py and so on", "COUNT(*) and so on"),
        *("self._name and so on", "a.__dict__ and so on", "a** b", "a~~ b", "5%*, and so on"),
    ],
)
def test_marks_that_can_begin_nothing_change_no_style(text: str) -> None:
    for end in range(len(text) + 1):
        assert {style for _, style in drawn(text[:end], ended=False)} <= {None}


@pytest.mark.parametrize("text", ["f(*args, **kwargs) and so on", "int *p, *q; and so on"])
def test_nothing_takes_its_style_from_what_is_almost_certainly_code(text: str) -> None:
    assert {style for _, style in drawn(text, ended=False)} == {None}
    assert drawn(f"{text}*", ended=True)[-1] != ("*", None)  # though it can be emphasis


@pytest.mark.parametrize("text", ["char *name", "**never closed", "a ~~b", "`a", "_a"])
def test_what_never_ends_is_text_at_the_end(text: str) -> None:
    assert {style for _, style in drawn(text, ended=False)} != {None}
    assert drawn(text, ended=True) == [(char, None) for char in text]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        *(("a **b**", "a b"), ("a **b*", "a b"), ("a *", "a "), ("a **`", "a ")),
        *(("H<", "H"), ("H<su", "H"), ("H<sub>", "H"), ("H<sub>2", "H"), ("H<sub>2</sub>", "H₂")),
        *(("<kbd>Ct", "Ct"), ("a<br", "a"), ("<summary>a `b", "▸ a b"), ("<summary>", "")),
        *(("[", ""), ("[ ", ""), ("[x]", ""), ("[!NO", ""), ("a [", "a ["), ("a <div", "a <div")),
        *(("a __ini", "a "), ("a __init__", "a "), ("a __b c", "a b c")),
        *(("a &am", "a "), ("a &amp;", "a &"), ("<http", ""), ("<http://x", "http://x")),
    ],
)
def test_what_is_undecided_at_the_end_is_left_out(text: str, seen: str) -> None:
    assert "".join(char for char, _ in drawn(text, ended=False)) == seen
