"""The terminal's second screen, on a terminal in memory."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.lines import line_of
from chatstream.sinks.secondscreen import Cell, Row, SecondScreen
from tests.support.screen import Screen, console_on

SIZE = (20, 5)


def frame(*texts: str) -> list[Row]:
    """Two cells a row, with a bar between them."""
    rows: list[Row] = []
    for text in texts:
        left, _, right = text.partition("|")
        rows.append(
            [Cell(0, 8, line_of(left)), Cell(8, 3, line_of(" │ ")), Cell(11, 9, line_of(right))]
        )
    return rows


def made() -> tuple[Screen, SecondScreen]:
    screen = Screen(*SIZE)
    return screen, SecondScreen(console_on(screen))


def test_only_what_differs_is_written() -> None:
    screen, second = made()
    second.paint(frame("one|two", "three|four"), SIZE)
    assert screen.visible()[:2] == ["one      │ two", "three    │ four"]
    before = len(screen.file.getvalue())
    second.paint(frame("one|two", "three|four"), SIZE)
    assert len(screen.file.getvalue()) == before
    second.paint(frame("one|two", "three|FOUR"), SIZE)
    written = screen.file.getvalue()[before:]
    assert "FOUR" in written
    assert "one" not in written
    assert "three" not in written
    assert screen.visible()[:2] == ["one      │ two", "three    │ FOUR"]


def test_the_text_of_a_line_that_moves_is_made_once() -> None:
    made_of: Counter[str] = Counter()

    class Counted(Style):
        def render(self, text: str = "", **kwargs: Any) -> str:
            made_of[text] += 1
            return super().render(text, **kwargs)

    screen, second = made()
    bold = Counted(bold=True)
    lines = [[Segment(f"line {number}", bold)] for number in range(20)]
    for first in range(16):
        second.paint([[Cell(0, 20, line)] for line in lines[first : first + 5]], SIZE)
    assert screen.visible() == [f"line {number}" for number in range(15, 20)]
    assert made_of == {f"line {number}": 1 for number in range(20)}


def test_a_shorter_line_and_fewer_rows_leave_nothing_behind() -> None:
    screen, second = made()
    second.paint(frame("a longer|text here", "row|row"), SIZE)
    second.paint(frame("a|b"), SIZE)
    assert screen.visible() == ["a        │ b", "", "", "", ""]


def test_a_line_that_is_too_wide_is_cut() -> None:
    screen, second = made()
    second.paint(frame("much too wide|日本語日本語日本語"), SIZE)
    assert screen.visible()[0] == "much to… │ 日本語日…"


def test_cells_after_one_of_unsure_width_are_written_again() -> None:
    screen, second = made()
    second.paint(frame("👨\u200d👩\u200d👧|two"), SIZE)
    before = len(screen.file.getvalue())
    second.paint(frame("one|two"), SIZE)
    assert "two" in screen.file.getvalue()[before:]
    assert screen.visible()[0] == "one      │ two"


def test_another_size_draws_all_of_it_again() -> None:
    screen, second = made()
    second.paint(frame("one|two"), SIZE)
    before = len(screen.file.getvalue())
    second.paint(frame("one|two"), (21, 5))
    assert "one" in screen.file.getvalue()[before:]


def test_a_terminal_without_the_characters_gets_others() -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    screen, written = Screen(*SIZE), Ascii()
    second = SecondScreen(Console(file=written, force_terminal=True, color_system=None))
    for text in ("one|two", "✓ café|…"):
        second.paint(frame(text), SIZE)
    assert written.getvalue().isascii()
    screen.file.write(written.getvalue())
    assert screen.visible()[0] == "+ caf?   | ..."


def test_lines_wrap_again_after_each_frame() -> None:
    screen, second = made()
    for text in ("one|two", "one|three"):
        second.paint(frame(text), SIZE)
        written = screen.file.getvalue()
        assert written.rindex("\x1b[?7l") < written.rindex("\x1b[?7h")


def test_it_is_left_once_in_either_way() -> None:
    for way in ("close", "leave"):
        screen, second = made()
        second.paint(frame("one|two"), SIZE)
        left: list[bytes] = []
        if way == "close":
            second.close()
        second.leave(left.append)
        second.close()
        written = screen.file.getvalue() + b"".join(left).decode()
        assert written.count("\x1b[?1049h") == written.count("\x1b[?1049l") == 1
        assert written.endswith("\x1b[?7h\x1b[?1049l")
        assert not second.is_open
        second.paint(frame("one|two"), SIZE)
        assert second.is_open


def test_one_that_was_never_open_is_not_left() -> None:
    screen, second = made()
    second.close()
    second.leave(lambda _: None)
    assert screen.file.getvalue() == ""
