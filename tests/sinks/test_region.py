"""Claimed: after each frame the terminal shows what it would show had it been given all final
lines and then the rows of the region; only what differs is written.

How real terminals copy and reflow what is drawn is in `tests/test_tmux.py`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Literal

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.lines import Line, cropped, line_of, rows_of, text_of
from chatstream.sinks.region import Region
from chatstream.sinks.theme import THEMES
from tests.support import screen
from tests.support.sampling import examples

BOLD, RED = Style(bold=True), Style(color="red")
FLAG, FAMILY = "🇩🇪", "👨\u200d👩\u200d👧"
UNSURE = [FLAG, FAMILY, "e\u0301", "☎\ufe0f", "ab ", "日"]

Cell = tuple[str, str, bool]


class Emulator(screen.Emulator):
    """A terminal whose cells can be compared."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height, history=100_000)
        self.stream = pyte.Stream(self)

    def feed(self, text: str) -> None:
        self.stream.feed(text.replace("\n", "\r\n"))

    def rows(self) -> list[list[Cell]]:
        """Scrollback and screen, each row without the blanks at its end, none empty at the end."""
        shown = [self.buffer[row] for row in range(self.lines)]
        rows = [self._row(row) for row in [*self.history.top, *shown]]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def text(self) -> list[str]:
        return ["".join(character for character, _, _ in row) for row in self.rows()]

    def _row(self, row: Any) -> list[Cell]:
        cells = [(row[x].data, row[x].fg, row[x].bold) for x in range(self.columns)]
        while cells and cells[-1] == (" ", "default", False):
            cells.pop()
        return cells


class File(io.StringIO):
    """Text goes to the emulator; `taken()` is what was written since the last time."""

    encoding = "utf-8"

    def __init__(self, emulator: Emulator, encoding: str) -> None:
        super().__init__(newline="")
        self.encoding = encoding
        self._emulator = emulator
        self._taken = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._emulator.feed(text)
        return super().write(text)

    def taken(self) -> str:
        text = self.getvalue()[self._taken :]
        self._taken += len(text)
        return text


class Terminal:
    """A region on an emulated terminal."""

    def __init__(
        self,
        width: int = 20,
        height: int = 8,
        *,
        encoding: str = "utf-8",
        no_color: bool = False,
        colors: Literal["standard", "256"] = "256",
        environ: dict[str, str] | None = None,
    ) -> None:
        self.emulator = Emulator(width, height)
        self.file = File(self.emulator, encoding)
        self.console = Console(
            file=self.file,
            force_terminal=True,
            color_system=colors,
            no_color=no_color,
            width=width,
            height=height,
            _environ={"TERM": "xterm"},
        )
        self.region = Region(self.console, environ or {})

    def show(
        self,
        *final: str,
        rest: tuple[str, ...] = (),
        below: tuple[str, ...] = (),
        joined: bool = False,
    ) -> list[str]:
        """Paint, and what is on the screen then."""
        self.region.paint(lines(*final), lines(*rest), lines(*below), joined=joined)
        return self.emulator.text()

    def resize(self, width: int, height: int) -> None:
        self.emulator.resize(height, width)
        self.console.width, self.console.height = width, height


def lines(*texts: str) -> list[Line]:
    return [line_of(text) for text in texts]


# ---- the screen is what it would be if it was drawn anew


@dataclass
class Frame:
    final: list[Line]
    rest: list[Line]
    below: list[Line]
    joined: bool


@dataclass
class Expected:
    """All that was painted, as lines."""

    width: int
    height: int
    final: list[Line] = field(default_factory=list)
    goes_on: bool = False  # the last of them

    def paint(self, frame: Frame) -> Emulator:
        """A new terminal that is given the lines so far, and then the rows of the region."""
        for at, line in enumerate(frame.final):
            if at == 0 and self.goes_on:
                line = [*self.final.pop(), *line]
            self.final.append(line)
        self.goes_on = frame.joined or (self.goes_on and not frame.final)
        ended, rest = self.final, frame.rest
        if self.goes_on:
            *full, begun = rows_of(ended[-1], self.width)
            ended = [*ended[:-1], *full]
            rest = [[*begun, *(rest[0] if rest else [])], *rest[1:]]
        room = max(1, self.height - 1)
        below = [cropped(line, self.width) for line in frame.below]
        below = below[max(0, len(below) - room + 1) :]
        rows = [row for line in rest for row in rows_of(line, self.width)][len(below) - room :]
        emulator = Emulator(self.width, self.height)
        emulator.feed("".join(f"{styled(line)}\n" for line in ended))
        emulator.feed("\x1b[?7l" + "\n".join(map(styled, [*rows, *below])))
        if below:
            up = len(below) - (not rows)
            emulator.feed(f"\x1b[{up}A" if up else "")
        return emulator


def styled(line: Line) -> str:
    return "".join(style.render(text) if style else text for text, style, _ in line)


def line_from(parts: list[tuple[str, Style | None]]) -> Line:
    return [Segment(text, style) for text, style in parts if text]


styles = st.sampled_from([None, None, BOLD, RED])
narrow = st.text("abc ", max_size=60)
sure = st.one_of(narrow, st.text("ab x日本語😀é", max_size=25))
unsure = st.lists(st.sampled_from(UNSURE), max_size=8).map("".join)


@st.composite
def frames(draw: st.DrawFn, texts: st.SearchStrategy[str], *, joins: bool = True) -> list[Frame]:
    """What an answer does: text grows, changes its style, is replaced, becomes final."""
    some_lines = st.lists(st.tuples(texts, styles), max_size=3).map(line_from)
    made: list[Frame] = []
    rest: list[Line] = []
    for _ in range(draw(st.integers(1, 10))):
        match draw(st.sampled_from(["grow", "grow", "restyle", "add", "replace", "keep"])):
            case "grow" if rest:
                rest = [*rest[:-1], [*rest[-1], *draw(some_lines)]]
            case "restyle" if rest:
                rest = [*rest[:-1], [Segment(text, draw(styles)) for text, _, _ in rest[-1]]]
            case "add":
                rest = [*rest, draw(some_lines)]
            case "replace":
                rest = draw(st.lists(some_lines, max_size=4))
        ended = draw(st.integers(0, len(rest)) | st.just(0))
        final, rest = rest[:ended], rest[ended:]
        joined = joins and bool(final and text_of(final[-1])) and draw(st.booleans())
        below = draw(st.sampled_from([[], lines("⠋ 12 tokens"), lines("one", "two", "x" * 30)]))
        made.append(Frame(final, rest, below, joined))
    return made


def check(terminal: Terminal, painted: list[Frame]) -> None:
    width, height = terminal.console.size
    told = Expected(width, height)
    for frame in painted:
        terminal.region.paint(frame.final, frame.rest, frame.below, joined=frame.joined)
        ours, theirs = terminal.emulator, told.paint(frame)
        assert ours.rows() == theirs.rows()
        assert len(ours.history.top) + ours.cursor.y == len(theirs.history.top) + theirs.cursor.y
        assert pyte.modes.DECAWM in ours.mode


wide_ones = st.integers(2, 24) | st.integers(2, 200)
high_ones = st.integers(1, 8) | st.integers(2, 50)


@settings(max_examples=examples(200))
@given(wide_ones, high_ones, frames(sure))
def test_each_frame_shows_what_a_new_terminal_shows_that_is_given_all_of_it(
    width: int, height: int, painted: list[Frame]
) -> None:
    check(Terminal(width, height), painted)


@settings(max_examples=examples(100))
@given(wide_ones, high_ones, frames(unsure | sure, joins=False))
def test_so_it_is_where_terminals_disagree_about_widths(
    width: int, height: int, painted: list[Frame]
) -> None:
    check(Terminal(width, height), painted)


@settings(max_examples=examples(50))
@given(high_ones, frames(narrow))
def test_so_it_is_on_a_terminal_of_one_column(height: int, painted: list[Frame]) -> None:
    check(Terminal(1, height), painted)


def test_of_more_open_rows_than_fit_the_newest_are_shown() -> None:
    terminal = Terminal(10, 5)
    shown = terminal.show(rest=("1", "2", "3", "4", "5"), below=("status",))
    assert shown == ["3", "4", "5", "status"]
    assert terminal.show("1", "2", "3", "4", "5") == ["1", "2", "3", "4", "5"]


def test_open_rows_that_are_left_out_join_nothing() -> None:
    terminal = Terminal(3, 2)
    assert terminal.show("日日", rest=("", "a"), joined=True) == ["日", "a"]


def test_a_terminal_of_two_rows_shows_the_text_and_not_the_status() -> None:
    assert Terminal(10, 2).show(rest=("text",), below=("status",)) == ["text"]


def test_a_line_below_takes_one_row() -> None:
    assert Terminal(10, 5).show(rest=("text",), below=("0123456789x",)) == ["text", "012345678…"]


# ---- only what differs is written


def test_text_that_grows_costs_its_own_characters() -> None:
    terminal = Terminal(20, 8)
    text = ""
    for word in ["The ", "answer ", "is ", "a line ", "that fills some rows ", "日本", "語", "."]:
        text += word
        terminal.show(rest=(text,))
        assert terminal.file.taken() == word


def test_growing_text_above_a_status_costs_its_own_characters() -> None:
    terminal = Terminal(20, 8)
    terminal.show(rest=("one",), below=("⠋ 1 token",))
    terminal.file.taken()
    terminal.show(rest=("one two",), below=("⠋ 1 token",))
    assert terminal.file.taken() == " two"


@pytest.mark.parametrize("text", ["", "text", "x" * 20, "x" * 40, "x" * 21, "日" * 10, "日" * 13])
@pytest.mark.parametrize("below", [(), ("status",)])
def test_a_frame_that_is_as_the_one_before_writes_nothing(
    text: str, below: tuple[str, ...]
) -> None:
    terminal = Terminal(20, 8)
    terminal.show("before", rest=(text,), below=below)
    terminal.file.taken()
    terminal.show(rest=(text,), below=below)
    assert terminal.file.taken() == ""


def test_what_is_final_as_it_was_shown_is_not_written_again() -> None:
    terminal = Terminal(20, 8)
    terminal.show(rest=("a paragraph that takes three rows of it",))
    terminal.file.taken()
    terminal.show("a paragraph that takes three rows of it")
    assert terminal.file.taken() == "\n"


def test_a_frame_that_changes_many_rows_is_one_update() -> None:
    terminal = Terminal(20, 8)
    terminal.show(rest=("one", "two", "three"))
    written = terminal.file.taken()
    assert written == "\x1b[?2026hone\ntwo\nthree\x1b[?2026l"
    terminal.show(rest=("one", "two", "three and more"))
    assert terminal.file.taken() == " and more"


def test_a_line_has_no_break_where_it_fills_a_row() -> None:
    terminal = Terminal(5, 8)
    terminal.show("abcdefghijklm", "next")
    assert "abcdefghijklm\nnext\n" in terminal.file.taken()


def test_the_parts_of_a_joined_line_are_one_line() -> None:
    terminal = Terminal(5, 8)
    terminal.show("abcdefg", joined=True)
    terminal.show("hijk", joined=True, rest=("lm",))
    terminal.show("lmnop")
    written = terminal.file.taken()
    assert written.replace("\x1b[?2026h", "").replace("\x1b[?2026l", "") == "abcdefghijklmnop\n"


def test_what_many_widths_are_unsure_of_is_wrapped_by_the_terminal_once_it_is_final() -> None:
    text = f"{FLAG}a line that takes some rows"
    terminal = Terminal(10, 8)
    terminal.show(rest=(text,))
    assert "\x1b[?7l" in terminal.file.taken()
    terminal.show(text)
    written = terminal.file.taken()
    assert text in written
    assert "\x1b[?7l" not in written


def test_a_part_of_an_unsure_joined_line_is_wrapped_by_the_terminal_too() -> None:
    terminal = Terminal(10, 12)
    terminal.show(f"{FLAG}a part of a line that goes on", joined=True, rest=(" to the end",))
    assert f"{FLAG}a part of a line" in terminal.file.taken()
    terminal.show(" to the end")
    assert "".join(terminal.emulator.text()).endswith("a part of a line that goes on to the end")


# ---- beside others


def test_what_others_print_goes_above() -> None:
    terminal = Terminal(20, 8)
    terminal.show("final", rest=("open", "text"), below=("status",))
    terminal.console.print("printed")
    assert terminal.emulator.text() == ["final", "printed"]
    assert terminal.show(rest=("open", "text")) == ["final", "printed", "open", "text"]


def test_what_is_printed_within_a_line_that_goes_on_ends_it() -> None:
    terminal = Terminal(20, 8, environ={"TMUX": "here"})
    terminal.show("x" * 50, joined=True)
    terminal.console.print("printed")
    terminal.show(rest=("y",))
    terminal.console.width = 30
    terminal.file.taken()
    terminal.show(rest=("y",))
    assert terminal.file.taken().endswith("\r" + "x" * 10 + "y")  # what is above is not its row


def test_an_erased_region_leaves_the_cursor_where_it_began() -> None:
    terminal = Terminal(20, 8)
    terminal.show("final", rest=("open", "x" * 45), below=("status",))
    terminal.region.erase()
    terminal.region.stop()
    terminal.console.print("prompt", end="")
    assert terminal.emulator.text() == ["final", "prompt"]


def test_erasing_nothing_writes_nothing() -> None:
    terminal = Terminal()
    terminal.region.erase()
    assert terminal.file.taken() == ""


def test_stop_keeps_what_is_shown_and_is_idempotent() -> None:
    terminal = Terminal(20, 8)
    terminal.show("final", rest=("open",))
    terminal.region.stop()
    terminal.region.stop()
    terminal.console.print(" prompt")
    assert terminal.emulator.text() == ["final", "open prompt"]


def test_it_goes_on_after_a_stop() -> None:
    terminal = Terminal(20, 8)
    terminal.show("final", rest=("open",))
    terminal.region.erase()
    terminal.region.stop()
    terminal.console.print("$ fg")
    assert terminal.show(rest=("open",)) == ["final", "$ fg", "open"]


def test_the_cursor_is_never_hidden() -> None:
    terminal = Terminal(20, 8)
    for number in range(12):
        terminal.show(f"{number}", rest=("open " * number,), below=("status",))
    terminal.region.stop()
    assert "\x1b[?25" not in terminal.file.getvalue()


# ---- terminals with less


def test_a_terminal_without_unicode_gets_what_it_can_show() -> None:
    terminal = Terminal(20, 8, encoding="ascii")
    terminal.show("• one… ✓", "日本 é", below=("⠋ " + "x" * 30,))
    assert terminal.file.getvalue().isascii()
    assert terminal.emulator.text()[:3] == ["* one... +", "?? ?", "| xxxxxxxxxxxxxxxxx."]


@settings(max_examples=examples(50))
@given(st.integers(1, 20), st.integers(2, 8), frames(sure | unsure))
def test_what_it_cannot_show_has_the_width_of_what_it_gets(
    width: int, height: int, painted: list[Frame]
) -> None:
    terminal = Terminal(width, height, encoding="ascii")
    plain = Terminal(width, height)
    for frame in painted:
        for one, encoded in ((terminal, False), (plain, True)):
            final, rest = (
                [as_ascii(line) for line in some] if encoded else some
                for some in (frame.final, frame.rest)
            )
            one.region.paint(final, rest, joined=frame.joined)
        assert terminal.emulator.rows() == plain.emulator.rows()


def as_ascii(line: Line) -> Line:
    return [Segment(it.text.encode("ascii", "replace").decode(), it.style) for it in line]


def test_no_color_keeps_bold() -> None:
    terminal = Terminal(no_color=True)
    terminal.region.paint([[Segment("a", RED), Segment("b", BOLD)]])
    assert terminal.file.taken() == "a\x1b[1mb\x1b[0m\n"


def test_sixteen_colours_get_none_that_nobody_can_read() -> None:
    terminal = Terminal(colors="standard")
    terminal.region.paint([[Segment("a", THEMES["light"].headings[1])]])
    assert terminal.file.taken() == "\x1b[1;39ma\x1b[0m\n"


# ---- resize; this emulator does not reflow


@settings(max_examples=examples(100))
@given(st.lists(st.integers(10, 60), min_size=1, max_size=4), st.integers(1, 120))
def test_where_nothing_is_reflowed_no_row_is_lost_by_a_resize(
    widths: list[int], length: int
) -> None:
    terminal = Terminal(40, 24)
    text = " ".join(f"{number:03}" for number in range(length))
    terminal.show("final", rest=(text,), below=("status",))
    for width in widths:
        terminal.resize(width, 24)
        terminal.show(rest=(text,), below=("status",))
    shown = terminal.show(text)
    assert shown[0] == "final"
    rows = [text_of(row).rstrip() for row in rows_of(line_of(text), widths[-1])]
    assert shown[-len(rows) :] == rows
    assert "status" not in shown


@pytest.mark.parametrize("width", [10, 15, 20, 25, 40])
def test_a_resize_in_the_middle_of_a_joined_line_loses_none_of_its_open_text(width: int) -> None:
    terminal = Terminal(20, 12)
    terminal.show("x" * 50, joined=True, rest=("open-text",), below=("status",))
    terminal.resize(width, 12)
    terminal.show("open-text", "next")
    shown = terminal.emulator.text()
    assert shown[:2] == ["x" * min(20, width)] * 2  # as it was; here the terminal cuts
    assert "".join(shown).endswith("xxxopen-textnext")
    assert shown[-1] == "next"


def test_a_resize_alone_draws_the_open_rows_once() -> None:
    terminal = Terminal(20, 12)
    terminal.show("final", rest=("one two three four five six",), below=("status",))
    terminal.resize(20, 15)
    terminal.show(rest=("one two three four five six",), below=("status",))
    assert terminal.emulator.text() == ["final", "one two three four f", "ive six", "status"]


REFLOWING: list[tuple[dict[str, str], bool]] = [
    ({"TERM": "xterm-256color"}, False),
    ({"TERM": "screen.xterm-256color", "STY": "1.s", "VTE_VERSION": "7600"}, False),
    ({"TERM": "screen-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, True),
    ({"TERM": "tmux-256color"}, True),  # by ssh
    ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, True),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "other"}, False),
    ({"TERM": "xterm-kitty"}, True),
]


@pytest.mark.parametrize(("environ", "reflows"), REFLOWING)
def test_the_region_is_found_again_where_the_terminal_has_reflowed_it(
    environ: dict[str, str], reflows: bool
) -> None:
    terminal = Terminal(20, 12, environ=environ)
    terminal.show("final", rest=("x" * 38,))  # two rows, and four when it is reflowed
    terminal.file.taken()
    terminal.console.width = 10
    terminal.show(rest=("x" * 38,))
    assert f"\r\x1b[{3 if reflows else 1}A" in terminal.file.taken()


def test_a_resize_is_safe_where_nobody_knows_how_wide_a_row_is() -> None:
    terminal = Terminal(20, 12, environ={"TMUX": "here"})
    terminal.show(rest=(f"{FLAG}{'x' * 30}", "y" * 18))
    terminal.file.taken()
    terminal.console.width = 10
    terminal.show(rest=("z",))
    assert "\r\x1b[3A" in terminal.file.taken()  # two rows at least, and one of two of the sure


def test_a_region_of_rows_below_only_is_found_again() -> None:
    terminal = Terminal(20, 12, environ={"TMUX": "here"})
    terminal.show("final", below=("a status of a row...",))
    terminal.file.taken()
    terminal.console.width = 10
    terminal.show(below=("status",))
    assert "A" not in terminal.file.taken()


def test_a_line_below_is_one_row_even_if_the_terminal_is_narrower_than_is_known() -> None:
    """tmux has another width some time before it tells so."""
    terminal = Terminal(40, 8)
    terminal.show("final", rest=("text",), below=("one",))
    terminal.emulator.resize(8, 20)
    terminal.show(rest=("text",), below=("one", "a message that is longer than one row"))
    text, row = terminal.emulator.text()[1:3], terminal.emulator.cursor.y
    assert text == ["text", "one"]
    assert row == 1


@pytest.mark.parametrize(("environ", "whole"), [({"TMUX": "here"}, True), ({}, False)])
def test_a_row_that_gets_shorter_is_drawn_anew_where_erased_cells_count(
    environ: dict[str, str], whole: bool
) -> None:
    terminal = Terminal(40, 8, environ=environ)
    terminal.show(rest=("one, and more",))
    terminal.file.taken()
    terminal.show(rest=("one",))
    assert ("\x1b[2K" in terminal.file.taken()) == whole
    assert terminal.emulator.text() == ["one"]
