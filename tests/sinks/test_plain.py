"""Claimed: the output gets the answer's own bytes and nothing else; people read the notes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.flow import Arrival, drive
from chatstream.sinks.output import Output
from chatstream.sinks.palette import NOTES
from chatstream.sinks.plain import PlainSink
from tests.support.arrivals import each

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(2.0, 3), attempts=1)
LENGTH = ev.Done(finish_reason="length", stats=ev.Stats(2.0, 3), attempts=1)
ERROR = ev.Error("truncated", "cut off", recoverable=True, partial=True)
STOPPED = ev.Error(
    "cancelled", "stopped", recoverable=True, partial=True, resume="chatstream resume a"
)
RETRY = ev.Retry(attempt=2, max=2, delay=1.0, cause="busy", action="reset")


class Writes:
    """Keeps the pieces in which it is written to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


class Desk:
    """A file for the output, one for the notes, and a sink on both."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "output", folder / "notes"
        self._descriptors = [os.open(file, os.O_RDWR | os.O_CREAT) for file in self._files]

    def sink(
        self,
        *,
        terminal: bool = False,
        reasoning: bool = False,
        stats: bool = False,
        colours: dict[str, str] | None = None,
    ) -> PlainSink:
        output, notes = map(Output, self._descriptors)
        return PlainSink(
            output, notes, terminal=terminal, reasoning=reasoning, stats=stats, colours=colours
        )

    @property
    def output(self) -> str:
        return self._files[0].read_text("utf-8")

    @property
    def notes(self) -> str:
        return self._files[1].read_text("utf-8")

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_the_output_is_the_content_byte_for_byte(desk: Desk, tmp_path: Path) -> None:
    text = "é日😀\x1b[31m\r\n\x00\u2028"
    drive(each(ev.Metadata(), ev.Content(text), ev.Content(text), DONE), desk.sink())
    assert (tmp_path / "output").read_bytes() == (text * 2).encode()
    assert desk.notes == ""


def test_the_content_of_an_arrival_is_written_at_once_and_in_one_piece() -> None:
    output, notes = Writes(), Writes()
    sink = PlainSink(output, notes, terminal=False, reasoning=False, stats=False)
    sink.write(Arrival([ev.Content("a"), ev.Content("b")]))
    sink.write(Arrival())
    sink.write(Arrival([ev.Content("c")]))
    assert (output.pieces, notes.pieces) == ([b"ab", b"c"], [])


def test_close_writes_nothing_again(desk: Desk) -> None:
    sink = desk.sink()
    sink.write(Arrival([ev.Content("a")]))
    sink.close()
    sink.close()
    assert desk.output == "a"


def test_half_a_character_is_written_as_a_replacement(desk: Desk) -> None:
    drive(each(ev.Content("a\ud83d")), desk.sink())
    assert desk.output.startswith("a")
    assert len(desk.output) == 2


NOTED: list[Any] = [
    ([ev.Warn("c", "odd"), DONE], "warning: odd\n"),
    ([RETRY, DONE], "retrying in 1.0 s, attempt 2 of 2: busy\n"),
    ([LENGTH], "the answer stopped at the token limit\n"),
    ([ERROR], "error: cut off\n"),
    ([ev.Reasoning("r"), ev.Usage(), ev.Waiting("connect", 1.0), DONE], ""),
]


@pytest.mark.parametrize(("events", "notes"), NOTED)
def test_notes_go_to_the_notes_only(desk: Desk, events: list[ev.Event], notes: str) -> None:
    drive(each(ev.Content("a"), *events), desk.sink())
    assert (desk.output, desk.notes) == ("a", notes)


COLOURED: list[Any] = [
    (
        [ev.Warn("c", "odd"), DONE],
        "\x1b[33mwarning: odd\x1b[0m\n\x1b[32m≈3 tokens · 2.0 s\x1b[0m\n",
    ),
    (
        [LENGTH],
        "\x1b[33mthe answer stopped at the token limit\x1b[0m\n\x1b[32m≈3 tokens · 2.0 s\x1b[0m\n",
    ),
    (
        [RETRY, ERROR],
        "\x1b[33mretrying in 1.0 s, attempt 2 of 2: busy\x1b[0m\n\x1b[1;91merror: cut off\x1b[0m\n",
    ),
    ([STOPPED], "\x1b[33mstopped\x1b[0m\n\x1b[3mcontinue it with: chatstream resume a\x1b[0m\n"),
    (
        [
            ev.ToolCall("1", "t", "{}"),
            ev.Retry(attempt=2, max=3, delay=1, cause="c", action="reset"),
        ],
        "\x1b[3mtool call: t({})\x1b[0m\n\x1b[33mretrying in 1.0 s, attempt 2 of 3: c\x1b[0m\n",
    ),
    ([ev.ToolStart("1", "t")], "\x1b[3mthe tool t runs\x1b[0m\n"),
    ([ev.ToolError("1", "t", "no", 1.0)], "\x1b[1;91mthe tool t failed after 1.0 s: no\x1b[0m\n"),
    (
        [ev.Citation("https://a.example/", "A"), ERROR],
        "\x1b[3mSources:\x1b[0m\n\x1b[3m[1] A · https://a.example/\x1b[0m\n"
        "\x1b[1;91merror: cut off\x1b[0m\n",
    ),
]


@pytest.mark.parametrize(("events", "notes"), COLOURED)
def test_each_kind_of_note_has_its_colour_where_colours_are_asked_for(
    desk: Desk, events: list[ev.Event], notes: str
) -> None:
    drive(each(ev.Content("a"), *events), desk.sink(stats=True, colours=NOTES["dark"]))
    assert (desk.output, desk.notes) == ("a", notes)


STORY: list[ev.Event] = [
    ev.ToolCall("1", "time", "{}"),
    ev.ToolCall("2", "shell", '{"command": "make"}'),
    ev.ToolCall("3", "write", '{"path": "a.txt"}'),
    ev.Approval("1", "time", "allow", "default"),
    ev.Approval("2", "shell", "ask", "default", {"command": "make"}),
    ev.Approval("2", "shell", "allow", "user", {"command": "make"}),
    ev.Approval("3", "write", "ask", "default", {"path": "a.txt"}),
    ev.Approval("3", "write", "deny", "user", {"path": "a.txt"}),
    ev.ToolError("3", "write", "not run: the user denied it", 0.0, "denied", "denied"),
    ev.ToolStart("1", "time"),
    ev.ToolProgress("1", "time", 50.0),
    ev.ToolOutput("1", "time", "12:00"),
    ev.ToolComplete("1", "time", "12:00", 0.04),
    ev.ToolStart("2", "shell", {"command": "make"}),
    ev.ToolComplete("2", "shell", "", 2.0, exit_status=1),
]
TOLD = """\
you allowed the tool shell
the tool write was not run: the user denied it
the tool time runs
the tool time finished after 0.0 s
the tool shell runs with command: make
the tool shell finished after 2.0 s with exit status 1
"""


def test_what_becomes_of_calls_is_told_beside_the_answer(desk: Desk) -> None:
    drive(each(*STORY, ev.Content("a"), DONE), desk.sink())
    assert (desk.output, desk.notes) == ("a", TOLD)


def test_a_call_that_nobody_runs_is_told_before_what_follows(desk: Desk) -> None:
    calls = [ev.ToolCall(str(number), "t", f"{{{number}}}") for number in range(2)]
    drive(each(ev.Content("a"), *calls, ev.Content("b"), DONE), desk.sink())
    assert desk.notes == "tool call: t({0})\ntool call: t({1})\n"


def test_a_question_begins_on_a_line_of_its_own(desk: Desk) -> None:
    asked = ev.Approval("1", "t", "ask", "default")
    drive(each(ev.Content("a"), asked), desk.sink(terminal=True))
    assert (desk.output, desk.notes) == ("a\n", "")


@pytest.mark.parametrize("terminal", [False, True])
def test_sources_are_notes_at_the_end_and_images_are_left_to_others(
    desk: Desk, terminal: bool
) -> None:
    events = [ev.Citation("https://a.example/", number=1), ev.Image(data="AAAA"), ev.Content("b")]
    drive(each(ev.Content("a"), *events, LENGTH), desk.sink(terminal=terminal))
    assert desk.output == ("ab\n" if terminal else "ab")
    assert desk.notes == (
        "Sources:\n[1] https://a.example/\nthe answer stopped at the token limit\n"
    )


def test_a_colour_ends_whatever_the_note_says(desk: Desk) -> None:
    drive(each(ev.Warn("c", "\x1b[5m\nx")), desk.sink(colours=NOTES["dark"]))
    assert desk.notes == "\x1b[33mwarning: ␛[5m\nx\x1b[0m\n"


def test_the_content_before_a_note_is_out_before_it() -> None:
    written = Writes()
    sink = PlainSink(written, written, terminal=False, reasoning=False, stats=False)
    sink.write(Arrival([ev.Content("a"), ev.Warn("c", "odd"), ev.Content("b")]))
    assert written.pieces == [b"a", b"warning: odd\n", b"b"]


def test_the_figures_are_a_note_where_they_are_asked_for(desk: Desk) -> None:
    drive(each(ev.Content("a"), DONE), desk.sink(stats=True))
    assert (desk.output, desk.notes) == ("a", "≈3 tokens · 2.0 s\n")


def test_reasoning_goes_to_the_notes_where_it_is_asked_for(desk: Desk) -> None:
    events = [ev.Reasoning("one "), ev.Reasoning("two"), ev.Content("a"), ev.Warn("c", "odd"), DONE]
    drive(each(*events), desk.sink(reasoning=True))
    assert (desk.output, desk.notes) == ("a", "one two\nwarning: odd\n")


def test_notes_and_reasoning_are_cleaned_of_control_characters(desk: Desk) -> None:
    events = [ev.Reasoning("\x1b]52;c;x\x07"), ev.Warn("c", "\x1b[2J\x9b"), DONE]
    drive(each(*events), desk.sink(reasoning=True))
    assert not set(desk.notes) & {"\x1b", "\x07", "\x9b"}


def test_a_terminal_gets_no_control_characters(desk: Desk) -> None:
    drive(each(ev.Content("a\x1b"), ev.Content("]52;c;x\x07\x9b"), DONE), desk.sink(terminal=True))
    assert not set(desk.output) & {"\x1b", "\x07", "\x9b"}
    assert desk.output.startswith("a")


@pytest.mark.parametrize("end", [DONE, ERROR])
@pytest.mark.parametrize(
    ("deltas", "shown"),
    [
        pytest.param(["a"], "a\n", id="open-line"),
        pytest.param(["a\n"], "a\n", id="ended-line"),
        pytest.param([], "", id="nothing"),
        pytest.param(["a", "b\n", "c"], "ab\nc\n", id="several"),
        pytest.param(["a\r", "\n"], "a\n", id="crlf-over-two-deltas"),
        pytest.param(["a\n", ""], "a\n", id="an-empty-delta-at-the-end"),
    ],
)
def test_the_last_line_on_a_terminal_is_ended_once(
    desk: Desk, deltas: list[str], shown: str, end: ev.Event
) -> None:
    drive(each(*map(ev.Content, deltas), end), desk.sink(terminal=True))
    assert desk.output == shown


def test_a_file_gets_no_line_end_that_the_model_did_not_write(desk: Desk) -> None:
    drive(each(ev.Content("a"), ERROR), desk.sink())
    assert desk.output == "a"


def test_a_note_on_a_terminal_begins_a_line_of_its_own(tmp_path: Path) -> None:
    """Output and notes are the same terminal, as they are in a shell."""
    screen = os.open(tmp_path / "screen", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        sink = PlainSink(Output(screen), Output(screen), terminal=True, reasoning=True, stats=False)
        drive(each(ev.Content("half"), ev.Warn("c", "odd"), ev.Content(" way"), DONE), sink)
    finally:
        os.close(screen)
    assert "warning: odd" in (tmp_path / "screen").read_text().splitlines()


def test_a_broken_pipe_is_raised_and_not_tried_again(desk: Desk) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    output = Output(write_end)
    sink = PlainSink(output, output, terminal=False, reasoning=False, stats=False)
    with pytest.raises(BrokenPipeError):
        sink.write(Arrival([ev.Content("a")]))
    sink.close()
    os.close(write_end)
