"""The figures of an answer, where a person reads them: at the end, and in 40 columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.counts import TextFigures
from chatstream.flow import Arrival
from chatstream.sinks.accessible import AccessibleSink
from chatstream.sinks.analyses import analysis_lines
from chatstream.sinks.live import LiveSink
from chatstream.sinks.output import Output
from chatstream.sinks.plain import PlainSink
from tests.support.screen import Screen, console_on

FIGURES = TextFigures(
    words=1234,
    sentences=56,
    reading_seconds=311.2,
    language="en",
    keywords={"window": 12, "server": 9, "漢字": 4, "reader": 2, "fifth": 1},
    repetition=0.034,
    loop_words=11,
    loop_times=40,
    positive=5,
    negative=3,
    word_list_sentiment=0.25,
    evidence=3,
    citations=1,
    qualifiers=2,
    style_score=0.67,
    confidence=0.934,
    plugins={"rhymes": {"count": 2, "share": 0.123456, "evil": "\x1b[2J"}},
)
LINES = [
    "analysis: 1,234 words in 56 sentences",
    "reading time: 5 min 11 s",
    "keywords: window 12, server 9, 漢字 4, reader 2",
    "repeated: 3 % of the words",
    "loop: 11 words, 40 times in a row",
    "sentiment by word list: +0.25 (5 : 3)",
    "style score: 0.67",
    "3 evidence, 1 citation, 2 qualifiers",
    "confidence: 0.93",
    "rhymes: count 2, share 0.1235, evil ␛[2J",
]
EVENTS: list[ev.Event] = [
    ev.Content("Hi."),
    ev.Analysis(TextFigures(words=1)),
    ev.Analysis(FIGURES, final=True),
]
DONE = ev.Done(finish_reason="stop", stats=ev.Stats(2.0, 3), attempts=1)
ERROR = ev.Error("truncated", "cut off", recoverable=True, partial=True)


def test_the_lines_say_what_there_is_and_no_more() -> None:
    assert list(analysis_lines(FIGURES)) == LINES
    assert list(analysis_lines(TextFigures())) == [
        "analysis: 0 words in 0 sentences",
        "reading time: 0 s",
        "repeated: 0 % of the words",
    ]


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("end", [DONE, ERROR], ids=["done", "error"])
def test_a_terminal_shows_them_after_the_answer(columns: int, end: ev.Terminal) -> None:
    screen = Screen(columns, 40)
    sink = LiveSink(console_on(screen), reasoning="hide", stats=False)
    for event in (*EVENTS, end):
        sink.write(Arrival([event]))
    sink.close()
    rows = [it for it in screen.text() if it]
    assert rows[0] == "Hi."
    text = "\n".join(rows)
    for line in LINES:
        first, *_ = line.partition(",")[0].split(": ")
        assert text.count(f"\n{first}") == 1, line
    assert ("✗ cut off" in rows[-1]) == (end is ERROR)
    if columns >= 80:
        assert rows[1 : 1 + len(LINES)] == LINES


def test_the_status_line_tells_the_words_while_the_answer_comes() -> None:
    screen = Screen(80, 10)
    now = iter(range(1000))
    sink = LiveSink(
        console_on(screen), reasoning="hide", stats=False, clock=lambda: float(next(now))
    )
    sink.write(Arrival([ev.Content("one two"), ev.Analysis(TextFigures(words=1500))]))
    sink.write(Arrival())
    assert "1 token · 1,500 words" in "\n".join(screen.text())
    sink.write(Arrival([ev.Retry(attempt=2, max=2, delay=0, cause="cut", action="reset")]))
    sink.write(Arrival([ev.Content("again")]))
    sink.write(Arrival())
    assert "1,500 words" not in screen.text()[-1]
    sink.close()


@pytest.mark.parametrize("end", [DONE, ERROR], ids=["done", "error"])
def test_in_a_pipe_they_are_notes(tmp_path: Path, end: ev.Terminal) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "notes").open("wb") as notes:
        sink = PlainSink(
            Output(out.fileno()),
            Output(notes.fileno()),
            terminal=False,
            reasoning=False,
            stats=False,
        )
        sink.write(Arrival([*EVENTS, end]))
        sink.close()
    assert (tmp_path / "out").read_text() == "Hi."
    assert (tmp_path / "notes").read_text("utf-8").splitlines()[: len(LINES)] == LINES


def test_a_screen_reader_hears_sentences(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "notes").open("wb") as notes:
        sink = AccessibleSink(
            Output(out.fileno()),
            Output(notes.fileno()),
            terminal=False,
            reasoning=False,
            stats=False,
        )
        sink.write(Arrival([*EVENTS, DONE]))
        sink.close()
    said = (tmp_path / "notes").read_text("utf-8").splitlines()
    assert said[0] == "Analysis: 1,234 words in 56 sentences."
    assert len(said) == len(LINES) + 1  # and that it is done
