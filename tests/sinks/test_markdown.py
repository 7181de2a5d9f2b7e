"""Claimed: pieces become lines that can be copied as they are, one by one or all at once."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.blocks import MAX_PARAGRAPH_CHARACTERS, Blocks
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.markdown import Drawn, Markdown
from chatstream.sinks.tables import HELD_ROWS
from chatstream.sinks.theme import THEMES
from tests.support.markdown import document
from tests.support.sampling import sampled

THEME = THEMES["dark"]
LINE = "─" * 30
"""Above and below code that does not say what it is."""


def markdown(width: int = 80) -> Markdown:
    return Markdown(THEME, lambda: width)


def lines_of(text: str, width: int = 80) -> list[Line]:
    blocks = Blocks()
    return markdown(width).draw([*blocks.feed(text), *blocks.finish()]).lines


def shown(text: str, width: int = 80) -> list[str]:
    return [text_of(line) for line in lines_of(text, width)]


class Lines:
    """What is drawn piece by piece, as it stands in the scrollback."""

    def __init__(self) -> None:
        self.all: list[Line] = []
        self._joined = False

    def add(self, drawn: Drawn) -> None:
        lines = list(drawn.lines)
        if self._joined and lines:
            self.all[-1] = [*self.all[-1], *lines.pop(0)]
        self.all += lines
        self._joined = drawn.joined


def while_open(text: str, width: int = 80) -> list[str]:
    """What stands there before the answer is at its end."""
    blocks, drawing = Blocks(), markdown(width)
    final = drawing.draw(blocks.feed(text)).lines
    return [text_of(line) for line in [*final, *drawing.draw_open(blocks.open())]]


def test_a_line_of_prose_stays_one_line_however_long() -> None:
    assert shown("word " * 100 + "\nend", 20) == ["word " * 100 + "end"]


def test_code_stands_between_two_lines_as_it_is_written() -> None:
    code = "def f():\n    return " + "x" * 100
    assert shown(f"```python\n{code}\n```", 20) == [
        *("─── python ─────────", *code.split("\n"), "─" * 20)
    ]


@pytest.mark.parametrize(
    ("info", "width", "line"),
    [
        ("py title='app.py'", 80, "─── py · app.py ──────────────"),
        ("js:" + "a/" * 20 + "b.js", 60, "─── js · " + "a/" * 20 + "b.js ───"),
        ("js:" + "a/" * 20 + "b.js", 40, "─── js · a/a/a/a/a/a/a/a/a/a/a/a/a/… ───"[:40]),
        ("python", 9, "─" * 9),
        ("\x1b]0 y", 80, "─── \u241b]0 " + "─" * 22),
    ],
)
def test_the_line_above_code_says_what_it_is(info: str, width: int, line: str) -> None:
    assert shown(f"```{info}\nx\n```", width)[0] == line


@pytest.mark.parametrize("info", ["app.py", "src/app.py {1,3}", "{.python}", "py:app.py"])
def test_code_is_coloured_as_the_language_that_its_line_names(info: str) -> None:
    _, code, _ = lines_of(f"```{info}\nimport os\n```")
    assert code == lines_of("```python\nimport os\n```")[1]
    assert code != lines_of("```\nimport os\n```")[1]


def test_code_in_a_list_or_a_quote_can_be_copied_too() -> None:
    item = "- a\n  ```\n  x\n\n    y\n  ```\n"
    assert shown(item) == ["• a", "", f"  {LINE}", "  x", "", "    y", f"  {LINE}"]
    assert shown("> ```\n> x\n> ```\n") == [f"▌ {LINE}", "  x", f"▌ {LINE}"]
    assert shown("- ```\n  x\n  ```\n") == [f"• {LINE}", "  x", f"  {LINE}"]
    assert shown(f"- ```\n  {'x' * 5 * MAX_PARAGRAPH_CHARACTERS}\n  y", 20)[1:3] == [
        f"  {'x' * 5 * MAX_PARAGRAPH_CHARACTERS}",
        "  y",
    ]


def test_the_line_below_code_is_there_once_the_code_has_ended() -> None:
    assert while_open("```\nx\n``") == [LINE, "x"]
    assert while_open("```\nx\n```\n") == [LINE, "x", LINE]
    assert while_open("    x\n\n") == [LINE, "x"]
    assert while_open("    x\n\ny") == [LINE, "x", LINE, "", "y"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\n\n\nb", ["a", "", "b"]),
        ("a\n# b\nc", ["a", "", "b", "c"]),
        ("# a\n# b", ["a", "", "b"]),
        ("a\n```\nx\n```\nb", ["a", "", LINE, "x", LINE, "", "b"]),
        ("```\nx\n```\n```\ny\n```", [LINE, "x", LINE, "", LINE, "y", LINE]),
        ("a\n\n| b |\n|---|\nc", ["a", "", "b", "─", "c"]),
        ("|b|\n|-|\n\nc", ["b", "─", "", "c"]),
        ("- a\n- b\n\n- c\nd\n\ne", ["• a", "• b", "", "• c d", "", "e"]),
        ("\n\n# a", ["a"]),
        ("a\n***\nb", ["a", "─" * 40, "b"]),
        ("```\n\n\nx\n\n```", [LINE, "", "", "x", "", LINE]),
        ("a\n```\n```\nb", ["a", "", LINE, LINE, "", "b"]),
        ("", []),
    ],
)
def test_empty_lines_follow_the_source_and_set_blocks_apart(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- a\n  b\n  - c\n    d", ["• a b", "  • c d"]),
        ("9. a\n10. b\n    c", ["9. a", "10. b c"]),
        ("> a\n> b\n>\n> c", ["▌ a b", "▌ ", "▌ c"]),
        ("> a\n\n> b", ["▌ a", "", "▌ b"]),
        ("> - a\n>\n>   b", ["▌ • a", "▌ ", "▌   b"]),
        ("- > a\n  >\n  > b", ["• ▌ a", "  ▌ ", "  ▌ b"]),
        ("- - a\n  - b", ["• • a", "  • b"]),
        ("- # a\n  b", ["• a", "  b"]),
        ("-\n- b", ["• ", "• b"]),
        (
            "- a\n\n  | b | c |\n  |---|---|\n  | d | e |",
            ["• a", "", "  b │ c", "  ──┼──", "  d │ e"],
        ),
        ("> | b |\n> |---|\n> | d |", ["▌ b", "▌ ─", "▌ d"]),
        ("- | b |\n  |---|\n  | d |", ["• b", "  ─", "  d"]),
        ("> > a", ["▌ ▌ a"]),
    ],
)
def test_a_marker_stands_before_each_line_of_a_list_or_a_quote(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


def test_a_rule_is_never_wider_than_the_terminal() -> None:
    assert shown("> ---", 10) == ["▌ ────────"]
    assert shown("- > ---", 1)[0].endswith("─")


def test_tabs_are_spaces_up_to_the_next_stop_of_the_line() -> None:
    assert shown("- a\tb\n\n```\n\tx\ty\n```") == ["• a     b", "", LINE, "        x       y", LINE]
    assert not any(
        "\t" in line
        for line in shown("|a\tb|\n|-|\n|c\td|\n\nx" + "\ty z" * MAX_PARAGRAPH_CHARACTERS)
    )
    assert not any("\t" in line for line in while_open("- \t"))


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("# a", THEME.headings[0]),
        ("###### a", THEME.headings[5]),
        ("> a", THEME.quote),
        ("a", None),
    ],
)
def test_each_kind_has_its_style(text: str, style: Style | None) -> None:
    assert lines_of(text)[0][-1] == Segment("a", style)


def test_a_link_definition_stays_as_it_is_written() -> None:
    assert shown("[a][b]\n\n[b]: http://x") == ["[a][b]", "", "[b]: http://x"]


def test_a_line_of_more_than_a_paragraph_holds_is_still_one_line() -> None:
    text = "word " * MAX_PARAGRAPH_CHARACTERS + "end\nnext"
    assert shown(text, 20) == [text.replace("\n", " ")]
    assert shown(f"```\n{'x' * 5 * MAX_PARAGRAPH_CHARACTERS}\ny\n```") == [
        LINE,
        "x" * 5 * MAX_PARAGRAPH_CHARACTERS,
        "y",
        LINE,
    ]


def test_columns_take_their_widths_from_the_rows_that_are_held() -> None:
    table = (
        "| a | b |\n|---|---|\n"
        + "| x | y |\n" * (HELD_ROWS - 1)
        + "| wider | y |\n| widest | z |\n"
    )
    lines = shown(table)
    assert lines[0] == "a     │ b"
    assert lines[-2:] == ["wider │ y", "widest │ z"]  # and grow where a word needs it


@pytest.mark.parametrize("rows", [HELD_ROWS - 1, HELD_ROWS, HELD_ROWS + 1, 3 * HELD_ROWS])
def test_a_row_of_a_long_table_is_final_as_soon_as_it_is_whole(rows: int) -> None:
    blocks, drawing = Blocks(), markdown()
    drawing.draw(blocks.feed("| a |\n|---|\n"))
    final = sum(len(drawing.draw(blocks.feed(f"| {n % 9} |\n")).lines) for n in range(rows))
    assert final == (rows + 2 if rows >= HELD_ROWS else 0)


@pytest.mark.parametrize("number", range(0, 200, 7))
@pytest.mark.parametrize("width", [1, 20, 80])
def test_pieces_one_by_one_are_drawn_as_all_at_once(number: int, width: int) -> None:
    text = document(number).text
    blocks = Blocks()
    pieces = [*blocks.feed(text), *blocks.finish()]
    drawing = markdown(width)
    lines = Lines()
    for piece in pieces:
        lines.add(drawing.draw([piece]))
    assert lines.all == lines_of(text, width)


@pytest.mark.parametrize("number", sampled(range(3, 200, 23), 4, "open"))
def test_drawing_what_is_open_changes_nothing(number: int) -> None:
    text = document(number).text[:1500]
    blocks, drawing = Blocks(), markdown()
    lines = Lines()
    for character in text:
        pieces = blocks.feed(character)
        drawing.draw_open(blocks.open())
        lines.add(drawing.draw(pieces))
    lines.add(drawing.draw(blocks.finish()))
    assert lines.all == lines_of(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a **b", ["a b"]),
        ("# a **b", ["a b"]),
        ("| a |\n|---|\n| **b", ["a", "─", "b"]),
        ("- a `b", ["• a b"]),
        ("a\n\n```py\nx", ["a", "", "─── py " + "─" * 23, "x"]),
        ("a\n#", ["a", "#"]),
        ("", []),
    ],
)
def test_markup_that_has_no_end_yet_does_not_stand_there(text: str, lines: list[str]) -> None:
    assert while_open(text) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- [ ] a\n- [x] b\n  - [X] c", ["☐ a", "☑ b", "  ☑ c"]),
        ("1. [ ] a\n2. [x] b", ["1. ☐ a", "2. ☑ b"]),
        ("> [!NOTE]\n> a", ["▌ Note", "▌ a"]),
        ("> [!tip]\n>\n> a", ["▌ Tip", "▌ ", "▌ a"]),
        ("> [!CAUTION]", ["▌ Caution"]),
        ("- > [!WARNING]\n  > a", ["• ▌ Warning", "  ▌ a"]),
        ("<details>\n\na\n\n</details>\n- b", ["a", "", "• b"]),
        ("- a\n- <details>\n- b", ["• a", "• ", "• b"]),
    ],
)
def test_tasks_alerts_and_details(text: str, lines: list[str]) -> None:
    assert shown(text) == lines
    assert while_open(text) == lines


@pytest.mark.parametrize("text", ["> a\n>\n> [!NOTE]", "[!NOTE]", "- [!NOTE]", "> [!NOTE] a"])
def test_only_the_first_line_of_a_quote_is_a_label(text: str) -> None:
    assert "[!NOTE]" in shown(text)[-1]


def test_a_label_is_bold() -> None:
    assert lines_of("> [!NOTE]\n> a")[0][-1].style == THEME.quote + THEME.strong


@pytest.mark.parametrize("text", ["> [!WARNING]\n> a", "- [x] a", "1. [ ] a"])
def test_a_label_or_a_box_never_stands_there_by_halves(text: str) -> None:
    for end in range(len(text) + 1):
        assert "[" not in "".join(while_open(text[:end]))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a *b\n# c *d", ["a *b", "", "c d"]),
        ("- a *b\n- c **d", ["• a *b", "• c d"]),
    ],
)
def test_emphasis_is_open_only_where_the_text_goes_on(text: str, lines: list[str]) -> None:
    assert while_open(text) == lines


def test_so_it_is_in_a_row() -> None:
    assert while_open("| a | b |\n|---|---|\n| *c | *d")[-1].split() == ["*c", "│", "d"]
