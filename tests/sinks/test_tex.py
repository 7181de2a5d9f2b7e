r"""Claimed: TeX stays as it is written, in one style, over lines and while it is open; money, the
words of a shell and escaped brackets are no TeX.
"""

from __future__ import annotations

import random
import re
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from chatstream.sinks import tex
from chatstream.sinks.blocks import MAX_PARAGRAPH_CHARACTERS, Blocks
from chatstream.sinks.inline import Inline
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.markdown import Markdown
from chatstream.sinks.pieces import Formula, Item, Paragraph, Piece
from chatstream.sinks.scan import cut_of
from chatstream.sinks.theme import THEMES
from tests.support.sampling import examples

THEME = THEMES["dark"]


def formulas(text: str, *, goes_on: bool = False) -> list[str]:
    return [text[span.start : span.end] for span in tex.spans(text, goes_on=goes_on)]


def pieces_of(parts: list[str]) -> list[Piece]:
    blocks = Blocks()
    pieces = [piece for part in parts for piece in blocks.feed(part)]
    return [*pieces, *blocks.finish()]


def lines_of(text: str) -> list[Line]:
    return Markdown(THEME, lambda: 80).draw(pieces_of([text])).lines


def shown(text: str) -> list[str]:
    return [text_of(line) for line in lines_of(text)]


def opened(text: str) -> list[Line]:
    """What stands there before the answer is at its end."""
    blocks, drawing = Blocks(), Markdown(THEME, lambda: 80)
    final = drawing.draw(blocks.feed(text)).lines
    return [*final, *drawing.draw_open(blocks.open())]


def verbatim(line: Line) -> str:
    """The part of a line that has the style of TeX, and of nothing else."""
    return "".join([text for text, style, _ in line if style == THEME.dim])


# ---- what is a formula

FORMULAS = [
    r"\(\langle u, v \rangle\)",
    r"\(a_1 * b_1 * c\)",
    r"\(\)",
    r"\(f(x) \)",
    r"\[ x \]",
    r"\[ ab \]",
    r"\[x^2\]",
    r"\[y\]",
    r"\[ a \\[2pt] b \\ \]",
    r"\[ \{x \in X\} \]",
    "$x$",
    r"$\{P_0, \dots, P_n\}$",
    "$a_1 * b_1 + a_2 * b_2$",
    "$x_i^* = y_i^*$",
    "$5x$",
    "$5 + 6$",
    r"$2 \times 3$",
    "$10^{-3}$",
    r"$\text{costs \$5}$",
    "$a\nb$",
    "$$x$$",
    "$$ x = 1 $$",
    "$$\na\n- b\n$$",
    r"$$a \$$ b$$",
    "\\begin{align}\na &= b \\\\\n\\end{align}",
    r"\begin{align*} x \end{align*}",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("around", ["{}", "text {} text", "({}).", "*a* {} *b*", "你{}好", "{}th"])
def test_a_formula_is_found_wherever_it_stands(formula: str, around: str) -> None:
    assert formulas(around.replace("{}", formula)) == [formula]


@pytest.mark.parametrize(
    "text",
    [
        *("$5 to $10 is money", "US$5, or $6", "from $5-$10"),
        *("$5 and $6", "a $ b $ c", "$ x$", "$x $"),
        *("$HOME and $PATH", "**$HOME** or **$PATH**"),
        *('"$HOME" or "$PATH"', "$HOME/$USER", "$A:$B"),
        *("$5 per month, in US$.", "$1,000 each; $x"),
        *("$5", "$", "$$", "$$$", "$$$ a $$$", "a$", "$x$5"),
        *(r"\$x\$", r"\$x$", r"\\$", "`$x$`", "`` $x$ ``", r"`\(x\)`", "$a `b$`", "`a $b` c$ d"),
        *(r"\\(x\\)", r"\\[ x \\]", r"\*x\*", r"\(x"),
        *(r"\[ x", "$$ x", r"\begin{align} x", r"\end{align}"),
        *(r"\[your name\]", r"\[x\]", r"\[ \]", r"\[1\]"),
        *(r"\[\]", r"\[see the note](u)", r"a\[12\]"),
        *(r"\[text\](url)", r"\[注意\]", r"\[citation needed\]", r"\begin{a} \end{b}"),
        *("$$ and `$$`", "*$HOME* or *$PATH*", "[$A] or [$B]", "${A}-${B}"),
    ],
)  # fmt: skip
def test_no_formula_is_found_where_there_is_none(text: str) -> None:
    assert formulas(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("costs $5 and $x$ is", ["$x$"]),
        ("$HOME, $x$ and $PATH", ["$x$"]),
        (r"$x$$y$ \(z\)$w$", ["$x$", "$y$", r"\(z\)", "$w$"]),
        (r"\(a $ b\) $c$", [r"\(a $ b\)", "$c$"]),
        (r"$a \( b$ c\)", [r"$a \( b$"]),
        (r"\( a \\) b \)", [r"\( a \\) b \)"]),
        ("`$a$` $b$ `c", ["$b$"]),
        ("`` $a$ ` $b$", ["$a$", "$b$"]),
        (r"\(a \(b\)", [r"\(a \(b\)"]),
        (r"\[name\] \[ x \]", [r"\[ x \]"]),
    ],
)
def test_each_formula_is_found(text: str, found: list[str]) -> None:
    assert formulas(text) == found


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        *((f"a {text}", text) for text in (r"\(x", r"\(", r"\[ x", r"\[", "$$x", "$$", r"\[a_")),
        *((f"a {text}", text) for text in (r"$\alpha", "$x^", "$x_1 * y", r"$\{a", "$a + b^2 ")),
        *((f"a {text}", "") for text in ("$5", "$x", "$xy_1", "$x * y", r"$\ ")),
        (r"a \begin{x}", r"\begin{x}"),
        *((text, "") for text in ("a", r"a \[Your na", r"a `\(x")),
        *((f"a {text}", "") for text in (r"\(x\)", "$5 ^", "$HOME `a^", r"$", r"\*", "`a` $x")),
        ("`a` \\(b", r"\(b"),
    ],
)  # fmt: skip
def test_an_open_formula_goes_on_to_the_end(text: str, rest: str) -> None:
    assert [it for it in formulas(text, goes_on=True) if it not in formulas(text)] == [rest][
        : len(rest)
    ]
    assert tex.is_open(text) == (rest != "")


@pytest.mark.parametrize(
    ("line", "opener"),
    [
        *(("$$", "$$"), ("$$x", "$$"), ("$$ x = 1 $$", "$$"), ("$$x$$.", "$$"), ("$$x$$, ", "$$")),
        *((r"\[", r"\["), (r"\[ x \]", r"\["), (r"\[x = 1", r"\["), (r"\[ x \]。", r"\[")),
        *((r"\begin{align*}", r"\begin{align*}"), (r"\begin{x}a\end{x}", r"\begin{x}")),
        *(("$$x$$ is", ""), (r"\[x^2\] is", "")),
        *(("$$$", ""), ("$x$", ""), (r"\(x\)", ""), ("", "")),
        *((r"\[your name\]", ""), (r"\[x\]", "")),
        *(("a $$x$$", ""), (r"\begin", ""), (r"\begin{", "")),
    ],
)  # fmt: skip
def test_a_display_formula_has_its_lines_for_itself(line: str, opener: str) -> None:
    assert tex.display_of(line) == opener


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        ("a", "", ""),
        (r"a \(b", "", r"\)"),
        (r"a \[", "", r"\]"),
        ("a $$", "", "$$"),
        ("a $$b", "", "$$"),
        ("the PID $$ is", "", ""),
        ("a $b^", "", ""),
        (r"a \(b\)", "", ""),
        ("b", r"\)", r"\)"),
        (r"b\) c", r"\)", ""),
        (r"b\) \[ c", r"\)", r"\]"),
        (r"b \\) c", r"\)", r"\)"),
        (r"`a \(`", "", ""),
        (r"a \begin{x}", "", r"\end{x}"),
    ],
)
def test_a_line_leaves_a_formula_open(line: str, before: str, after: str) -> None:
    assert tex.open_after(line, before) == after


# ---- in a paragraph


@pytest.mark.parametrize("formula", [it for it in FORMULAS if "\n" not in it])
@pytest.mark.parametrize(
    "around", ["a {} b", "- a {}", "> {} b", "# {}", "a **b {} c** d", "|a|\n|-|\n| {} |"]
)  # fmt: skip
def test_every_character_of_a_formula_is_shown_in_one_style(formula: str, around: str) -> None:
    if "|" in around:
        formula = formula.replace("|", "")
    *_, line = lines_of(around.replace("{}", formula))
    assert formula in text_of(line)
    styles = {style for text, style, _ in line for _ in text if text == formula}
    assert len(styles) == 1
    assert all(style is not None and style.color == THEME.dim.color for style in styles)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (r"\*a\* \[bc\] \(d", "*a* [bc] (d"),
        (r"\$5 &amp; $x &amp; y$", "$5 & $x &amp; y$"),
        ("$a*b$ *c* `$d$` **e**", "$a*b$ c $d$ e"),
        ("costs $5 and **$10**", "costs $5 and $10"),
        ("[$x_*a*$](http://b)", "$x_*a*$ (http://b)"),
        ("[a](http://b/$c) and $d$", "a (http://b/$c) and $d$"),
        (r"\[text\](url)", "[text](url)"),
        (r"a \[ x b *c*", "a [ x b c"),
        ("the PID is $$ in *sh*", "the PID is $$ in sh"),
        (r"![$x$](http://b)", "$x$ (http://b)"),
        (r"a \(b" + "\n" + r"- c\) *d*", r"a \(b - c\) d"),
    ],
)
def test_outside_of_a_formula_markup_is_markup(text: str, line: str) -> None:
    assert shown(text) == [line]


@pytest.mark.parametrize(
    "inside", ["a\n=", "a\n---", "a\n- b", "a\n1. b", "a\n> b", "a\n# b", "***"]
)
@pytest.mark.parametrize("inside_too", ["a|b\n-|-\nc|d", "```", "    a", "a\n* * *", "+", "~~~ x"])
@pytest.mark.parametrize(("opener", "closer"), [("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)")])
def test_no_block_begins_in_a_formula_within_a_paragraph(
    inside: str, inside_too: str, opener: str, closer: str
) -> None:
    text = f"text {opener}\n{inside}\n{inside_too}\n{closer} *end*\n- item"
    formula, item = pieces_of([text])
    assert isinstance(formula, Paragraph)
    assert formula.text == text.removesuffix("\n- item")
    assert isinstance(item, Paragraph)
    written = f"text {opener}\n{inside}\n{inside_too}\n{closer} end"
    *lines, last = shown(text)
    assert last == "• item"
    assert " ".join(lines).split() == written.split()


def test_a_formula_does_not_go_on_after_the_text_that_it_stands_in() -> None:
    state = StateInline(r"a \(b\) c", MarkdownIt(), {}, [])
    state.pos = 2
    state.posMax = 5
    assert not tex.rule(state, silent=False)
    state.posMax = 7
    assert tex.rule(state, silent=False)
    assert [(it.type, it.content) for it in state.tokens] == [("tex", r"\(b\)")]


# ---- on lines of its own

WITHIN = [
    "a",
    "=",
    "- b",
    "---",
    "# c",
    "> d",
    "1. e",
    "a|b",
    "-|-",
    "```",
    "  f",
    "*g*",
    "    h",
    r"\$$",
]


@pytest.mark.parametrize(
    ("opener", "closer"),
    [
        ("$$", "$$"),
        (r"\[", r"\]"),
        ("$$x", "y$$"),
        (r"\begin{align}", r"\end{align}"),
        ("$$", r"$$."),
    ],
)
@pytest.mark.parametrize("before", ["", "text\n", "text\n\n"])
def test_the_lines_of_a_display_formula_stay_as_they_are(
    opener: str, closer: str, before: str
) -> None:
    formula = [opener, *WITHIN, closer]
    body = "\n".join(formula)
    lines = lines_of(f"{before}{body}\ntext **bold**\n")
    at = len(before.splitlines())
    assert [text_of(line) for line in lines] == [*before.splitlines(), *formula, "text bold"]
    assert [verbatim(line) for line in lines[at:-1]] == formula
    assert lines[-1][-1].style == THEME.strong


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- a\n  $$\n    x\n  - y\n  $$\n- c", ["• a", "  $$", "    x", "  - y", "  $$", "• c"]),
        ("1. $$\n   x\n   =\n   $$\n2. b", ["1. $$", "   x", "   =", "   $$", "2. b"]),
        ("> a\n> \\[\n> # x\n> \\]\n> b", ["▌ a", r"▌ \[", "▌ # x", r"▌ \]", "▌ b"]),
        ("- > $$\n  > x\n  > $$", ["• ▌ $$", "  ▌ x", "  ▌ $$"]),
        ("  $$\n    x\n  $$", ["$$", "  x", "$$"]),
        ("1. a\n$$\nx\n- y\n$$\n2. b", ["1. a", "$$", "x", "- y", "$$", "2. b"]),
        ("- $$\nx\n$$", ["• $$", "  x", "  $$"]),
        ("a\n$$x$$\nb", ["a", "$$x$$", "b"]),
        ("a\n$$ x = 1 $$", ["a", "$$ x = 1 $$"]),
        ("$$x$$ is *b*", ["$$x$$ is b"]),
        ("$$\nx\n$$ where *b*", ["$$", "x", "$$", "where b"]),
        ("$$\nx\n$$, where *b*", ["$$", "x", "$$,", "where b"]),
        ("$$\nx\n$$\n===", ["$$", "x", "$$", "==="]),
        ("|a|\n|-|\n$$\nx\n$$", ["a", "─", "", "$$", "x", "$$"]),
        (r"\[ x" + "\n" + r"\\[2pt] y \]", [r"\[ x", r"\\[2pt] y \]"]),
        ("$$x$$\n$$y$$", ["$$x$$", "$$y$$"]),
        ("a\n\n$$\nx\n$$\n\nb", ["a", "", "$$", "x", "$$", "", "b"]),
    ],
)  # fmt: skip
def test_a_display_formula_stands_where_the_text_has_it(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("$$\na\n=\n- b", ["$$", "a", "=", "- b"]),
        ("$$\na\n=\n\n- b\n# c", ["$$", "a", "=", "", "• b", "", "c"]),
        ("> $$\n> - a\n\n*b*", ["▌ $$", "▌ - a", "", "b"]),
        ("> $$\n> =\n# b", ["▌ $$", "▌ =", "", "b"]),
        ("> $$\n> =\n***", ["▌ $$", "▌ =", "─" * 40]),
        ("- $$\n  =\n- b", ["• $$", "  =", "• b"]),
        ("\\[\na\n\n*b*", [r"\[", "a", "", "b"]),
        ("$$\n\n*b*\n\n$$", ["$$", "", "b", "", "$$"]),
        ("text $$\n*a*\n\n*b*", ["text $$", "*a*", "", "b"]),
        ("text $$ a\n*b*", ["text $$ a b"]),
        ("text \\[ a\n*b*", ["text [ a b"]),
    ],
)
def test_a_formula_without_an_end_ends_with_its_paragraph(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


# ---- while it is open


@pytest.mark.parametrize(
    "text",
    [
        r"a \(\forall\, x_*y* and *z \\ `b` \{c\} [d](e)",
        r"a \[ \forall\, x_*y* and *z \\ `b` \{c\} [d](e) &amp;",
        r"a $$\forall\, x_*y* and *z \\ \{c\} [d](e)",
        "a \\[\nb\n=\n- c\n---\n1.\n***",
        "$$\na\n=\n- b\n---\n# c\n  *d*\n```\n",
        "\\[\na\n=\n- b\n---\n# c\n  *d*\n",
        "- a\n  $$\n  =\n  - b\n  *c",
        "> \\[\n> =\n> - b\n> *c",
    ],
)
def test_an_open_formula_stands_there_as_it_is_written(text: str) -> None:
    begin = min(at for mark in ("$$", r"\(", r"\[") if (at := text.find(mark)) >= 0)
    for end in range(begin + 2, len(text) + 1):
        written = [line.removeprefix("> ").strip() for line in text[begin:end].split("\n")]
        if written[-1] not in ("", ">"):
            lines = [verbatim(line).removeprefix("▌ ") for line in opened(text[:end])]
            assert [line.strip() for line in lines[-len(written) :]] == written


def test_an_open_dollar_is_text_until_tex_follows_or_it_ends() -> None:
    inline = Inline(THEME)

    def styles(text: str) -> list[tuple[str, bool]]:
        [line] = inline.lines(text, ended=False)
        return [
            (it.text, it.style is not None and it.style.color == THEME.dim.color) for it in line
        ]

    assert styles("a $x + y") == [("a $x + y", False)]
    assert styles("a $x + y$") == [("a ", False), ("$x + y$", True)]
    assert styles("a $x_1 *y") == [("a ", False), ("$x_1 *y", True)]
    assert styles(r"a $\{x") == [("a ", False), (r"$\{x", True)]
    assert styles("a $5 and *b") == [("a $5 and ", False), ("b", False)]


# ---- any text

TEX = st.lists(
    st.sampled_from(
        [
            *("a", "x^2", "=", "- b", "---", "# c", "> d"),
            *("*", "_", "`", r"\\", r"\,", r"\{", "&", "|"),
            *(r"\alpha", "[", "](u)", "(", ")", "<"),
            *("&amp;", "1. ", "~~", " ", " ", "+", "**", "!"),
        ]
    ),
    min_size=1,
    max_size=9,
).map("".join)  # fmt: skip
ANY = st.lists(
    st.sampled_from(
        [
            *("$$", "$$", "$", "$", r"\(", r"\)", r"\["),
            *(r"\]", r"\begin{x}", r"\end{x}", "\n", "\n"),
            *("\n\n", "\n- ", "\n> ", "\n  ", "\n1. ", "w"),
            *("w w", " ", "=", "---", "*", "_", "`", "```"),
            *("\\", ".", "|", "\n|-|", "5", "#", "> ", "- ", "你", "[", "](u)"),
        ]
    ),
    max_size=16,
).map("".join)  # fmt: skip


@settings(max_examples=examples(150))
@given(st.lists(TEX, min_size=1, max_size=4), st.sampled_from(["", "- ", "> ", "1. "]))
def test_every_line_of_any_display_formula_is_on_the_screen(lines: list[str], mark: str) -> None:
    lines = [f"a{line}z" for line in lines]
    indent = "> " if mark == "> " else " " * len(mark)
    text = mark + f"\n{indent}".join(["$$", *lines, "$$", "w"])
    drawn = shown(text)
    width = len(drawn[0]) - 2
    assert [line[width:] for line in drawn] == ["$$", *lines, "$$", "w"]


@settings(max_examples=examples(150))
@given(TEX, st.sampled_from([(r"\(", r"\)"), ("$a", "z$"), ("$$", "$$"), (r"\[ ", r"\]")]))
def test_any_formula_in_a_paragraph_is_on_the_screen(inside: str, marks: tuple[str, str]) -> None:
    opener, closer = marks
    if closer[-1] == "$":
        inside = inside.replace("`", "")
    formula = f"{opener}b{inside} {closer}".replace(" z$", "z$")
    assert shown(f"w {formula} w") == [f"w {formula} w"]


@settings(max_examples=examples(200))
@given(ANY, st.integers(1, 5))
def test_the_pieces_of_any_text_do_not_depend_on_the_cuts(text: str, step: int) -> None:
    whole = pieces_of([text])
    assert pieces_of(list(text)) == whole
    assert pieces_of([text[at : at + step] for at in range(0, len(text), step)]) == whole


@settings(max_examples=examples(200))
@given(ANY)
def test_no_word_is_lost_or_doubled(text: str) -> None:
    words = iter(range(len(text)))
    text = re.sub("w", lambda _: f"w{next(words)}.", text)
    named = re.findall(r"w\d+\.", text)
    for end in (*(at for at, character in enumerate(text) if character == "w"), len(text)):
        written = re.findall(r"w\d+\.", text[:end])
        seen = "\n".join(text_of(line) for line in opened(text[:end]))
        assert re.findall(r"w\d+\.", seen) == written
    assert re.findall(r"w\d+\.", "\n".join(shown(text))) == named


@settings(max_examples=examples(100))
@given(ANY, ANY)
def test_what_was_handed_out_does_not_depend_on_what_comes(text: str, more: str) -> None:
    early = Blocks().feed(text)
    assert pieces_of([text + more])[: len(early)] == early


@given(ANY)
def test_formulas_come_in_order_and_apart(text: str) -> None:
    for goes_on in (False, True):
        at = 0
        for start, end, opener, ended in tex.spans(text, goes_on=goes_on):
            assert at <= start < end
            assert text.startswith(opener, start)
            assert (
                text.startswith(tex.closer_of(opener), end - len(tex.closer_of(opener)))
                or not ended
            )
            assert ended or end == len(text)
            assert ended or goes_on or opener == "$$"
            at = end


# ---- long ones


def test_the_lines_of_a_display_formula_are_final_as_soon_as_they_end() -> None:
    blocks = Blocks()
    assert [type(it) for it in blocks.feed("a\n$$\n")] == [Paragraph, Formula]
    for _ in range(MAX_PARAGRAPH_CHARACTERS):
        assert [type(it) for it in blocks.feed("x + y\n")] == [Formula]
    assert not blocks.is_whole
    blocks.feed("$$\n")
    assert blocks.is_whole


@pytest.mark.parametrize("after", ["\nb", "\n# b"])
@pytest.mark.parametrize("step", [1, 97, MAX_PARAGRAPH_CHARACTERS, 9 * MAX_PARAGRAPH_CHARACTERS])
def test_an_endless_line_of_a_display_formula_is_one_line(step: int, after: str) -> None:
    formula = "$$ " + "x + " * MAX_PARAGRAPH_CHARACTERS + " $$"
    text = formula + after
    pieces = pieces_of([text[at : at + step] for at in range(0, len(text), step)])
    lines = Markdown(THEME, lambda: 80).draw(pieces).lines
    assert [text_of(line) for line in (lines[0], lines[-1])] == [formula, "b"]


@pytest.mark.parametrize("formula", [r"\(" + "a b " * 200 + r"\)", "$" + "a b " * 300 + "a$"])
@pytest.mark.parametrize("before", [1, 500, 900, 1500, 1900, 1999])
def test_a_long_paragraph_is_not_cut_within_a_formula(formula: str, before: int) -> None:
    text = ("word " * before)[:before] + formula + " word" * 500
    assert "".join(shown(text)) == text
    pieces = pieces_of([text])
    assert any(formula in it.text for it in pieces if isinstance(it, Paragraph))


def test_a_formula_that_no_part_can_hold_is_cut_all_the_same() -> None:
    text = r"\(" + "a b " * MAX_PARAGRAPH_CHARACTERS
    assert (
        MAX_PARAGRAPH_CHARACTERS // 2
        <= cut_of(text, MAX_PARAGRAPH_CHARACTERS)
        <= MAX_PARAGRAPH_CHARACTERS
    )
    assert cut_of("word " + text, MAX_PARAGRAPH_CHARACTERS) == len("word ")


@pytest.mark.parametrize(
    ("begin", "end", "is_item"), [(r"a \(", r"\)", True), ("a ", "", True), ("a ", r"\(", False)]
)
def test_the_end_of_an_endless_line_tells_whether_a_formula_is_open(
    begin: str, end: str, is_item: bool
) -> None:
    *_, last = pieces_of([begin + "x + " * MAX_PARAGRAPH_CHARACTERS + end + "\n- b"])
    assert isinstance(last, Paragraph)
    assert bool(last.where.containers) == is_item


def test_a_list_item_keeps_its_number_around_a_formula() -> None:
    pieces = pieces_of(["3. a\n\n   $$\n   x\n   $$\n\n   b\n\n7. c"])
    markers = [it.where.containers for it in pieces if isinstance(it, Paragraph | Formula)]
    assert [one.marker for (one,) in markers if isinstance(one, Item)] == ["3."] * 5 + ["7."]


# ---- the cost


def work(text: str) -> int:
    """The lines of our code that finding the formulas executes, and the characters it is given."""
    done = 0

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal done
        if frame.f_code.co_filename != tex.__file__:
            return None
        done += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        tex.spans(text, goes_on=True)
        tex.spans(text)
        tex.open_after(text)
    finally:
        sys.settrace(before)
    return done


@pytest.mark.parametrize(
    "unit",
    [
        *(r"\(", r"\[", "$", "$$", "$a ", "$$ `", r"\[ab"),
        *("`", "` ``", r"\begin{a}", r"\begin{a}\(", "\\"),
        *("$5 ", r"$\a ", "$a^ ", r"\(\[$$$", r"\(x\)", "$x$", "$x", "$x*$", r"\[x\]"),
    ],
)  # fmt: skip
def test_twice_the_text_is_twice_the_work(unit: str) -> None:
    assert work(unit * 400) <= 2.1 * work(unit * 200) + 20


def test_a_random_text_of_marks_is_read_in_order() -> None:
    marks = ["$", "$$", "$a", r"\(", r"\)", r"\[ ", r"\]", "`", "\n", " ", "b", "^"]
    seeded = random.Random("tex")
    for _ in range(300):
        text = "".join(seeded.choices(marks, k=60))
        assert "".join(formulas(text)) == "".join(text[a:b] for a, b, *_ in tex.spans(text))
