"""One answer in a column."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from chatstream.events import Content, Done, Error, Metadata, Reasoning, Retry, Stats
from chatstream.flow import Arrival
from chatstream.sinks.column import Column
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.live import LiveSink
from chatstream.sinks.theme import THEMES
from tests.support.sampling import sampled, seeded
from tests.support.screen import Screen, console_on

ANSWERS = sorted((Path(__file__).parents[1] / "answers").glob("*.md"))


def column(screen: Screen | None = None) -> Column:
    whole = partial(
        LiveSink, console_on(screen or Screen()), reasoning=None, stats=True, ready=lambda: False
    )
    return Column(1, "a", THEMES["dark"], whole, 0.0)


def shown(lines: list[Line]) -> list[str]:
    return [text_of(line).rstrip() for line in lines]


def done() -> Done:
    return Done(finish_reason="stop", stats=Stats(2.0, 3, ttft=0.5), attempts=1)


@pytest.mark.parametrize("width", [12, 34, 60])
def test_rows_by_the_token_are_the_rows_of_the_whole_text(width: int) -> None:
    for answer in sampled(ANSWERS, 4, "column", width):
        text = answer.read_text()
        chance = seeded("cuts", answer.name)
        at_once, by_piece = column(), column()
        at_once.write(Arrival([Content(text)]), 0.0)
        start = 0
        while start < len(text):
            size = chance.randrange(1, 40)
            by_piece.write(Arrival([Content(text[start : start + size])]), 0.0)
            by_piece.rows(width, 10)
            start += size
        assert shown(by_piece.rows(width, 400)) == shown(at_once.rows(width, 400)), answer.name


def test_another_width_lays_all_of_it_out_again() -> None:
    text = "word " * 40
    first, second = column(), column()
    for width in (20, 50, 34):
        first.write(Arrival([Content(text)]), 0.0)
        first.rows(width, 10)
    second.write(Arrival([Content(text * 3)]), 0.0)
    assert shown(first.rows(34, 400)) == shown(second.rows(34, 400))


def test_the_newest_rows_are_shown() -> None:
    made = column()
    made.write(Arrival([Content("".join(f"- item {number}\n" for number in range(50)))]), 0.0)
    assert shown(made.rows(40, 3))[-1].endswith("item 49")
    assert len(made.rows(40, 3)) == 3
    assert made.rows(40, 0) == []
    assert made.rows(40, -2) == []


def test_rows_are_made_again_only_when_something_has_changed() -> None:
    made = column()
    made.write(Arrival([Content("one two three")]), 0.0)
    rows = made.rows(40, 10)
    made.write(Arrival(), 1.0)
    assert made.rows(40, 10) is rows
    assert shown(made.rows(9, 10)) == ["one two", "three"]
    assert shown(made.rows(9, 1)) == ["three"]
    made.write(Arrival([Content(" four")]), 2.0)
    assert shown(made.rows(40, 10)) == ["one two three four"]
    again = Retry(attempt=2, max=3, delay=1.0, cause="cut", emitted_chars=18, action="reset")
    made.write(Arrival([again]), 3.0)
    assert made.rows(40, 10) == []
    made.write(Arrival([Error("connect", "refused", recoverable=True, partial=False)]), 4.0)
    assert shown(made.rows(40, 10)) == ["✗ refused"]


def test_no_row_is_wider_than_the_column() -> None:
    made = column()
    made.write(Arrival([Content("日本語" * 30 + " " + "x" * 90 + "\n\n| a | b |\n|--|--|\n")]), 0.0)
    assert all(len(row) <= 34 for row in shown(made.rows(34, 100)))


def test_remote_text_is_escaped() -> None:
    made = column()
    made.write(Arrival([Content("a\x1b[2J\x9bb\r\n")]), 0.0)
    assert "\x1b" not in "".join(shown(made.rows(40, 5)))


def test_an_answer_that_starts_over_is_empty_again() -> None:
    made = column()
    made.write(Arrival([Content("first")]), 0.0)
    made.write(Arrival([Retry(attempt=2, max=3, delay=0.0, cause="x", action="reset")]), 0.0)
    made.write(Arrival([Content("second")]), 0.0)
    assert shown(made.rows(40, 5)) == ["second"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (done(), "✓ first token 0.50 s"),
        (Error("cancelled", "stopped", recoverable=True, partial=True), "■ stopped"),
        (Error("auth", "bad key", recoverable=False, partial=False), "✗ failed"),
    ],
)
def test_the_status_tells_how_it_ended(end: Done | Error, words: str) -> None:
    made = column()
    made.write(Arrival([Content("text"), end]), 0.0)
    assert text_of(made.status(5.0)).startswith(words)
    assert made.end is end


def test_a_failure_is_a_line_in_the_column() -> None:
    made = column()
    end = Error("connect", "connection\nrefused\x1b", recoverable=True, partial=False)
    made.write(Arrival([end]), 0.0)
    (row,) = shown(made.rows(40, 5))
    assert row.startswith("✗ connection refused")


def test_it_says_when_it_waits_thinks_and_is_queued() -> None:
    made = column()
    assert "connecting" in text_of(made.status(0.0))
    made.write(Arrival([Reasoning("hm")]), 1.0)
    assert "thinking" in text_of(made.status(1.0))
    assert "queued" in text_of(made.status(1.0, queued=True))


def test_at_the_end_the_whole_answer_is_written_once() -> None:
    screen = Screen(80, 24)
    made = column(screen)
    for event in (Metadata(run="r1", version=1), Content("Some **text**.\n"), Content("More.")):
        made.write(Arrival([event]), 0.0)
        made.rows(20, 10)
    made.write(Arrival([Content(" End."), done()]), 0.0)
    assert screen.file.getvalue() == ""
    made.finish()
    assert made.run == "r1"
    assert screen.text()[0] == "Some text. More. End."
    assert sum("✓" in line for line in screen.text()) == 1
