"""Claimed: a screen reader hears whole sentences in their order, and nothing is ever redrawn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.flow import Arrival, drive
from chatstream.sinks.accessible import (
    MAX_HELD_CHARACTERS,
    PAUSE_SECONDS,
    SILENCE_SECONDS,
    AccessibleSink,
    Sentences,
    seconds,
    sentence,
)
from chatstream.sinks.output import Output
from tests.support.arrivals import each

HEAD = ev.Metadata(model="m")
DONE = ev.Done(
    finish_reason="stop",
    stats=ev.Stats(3.0, 9),
    attempts=1,
    usage=ev.Counts(output_tokens=123),
)
FAILED = ev.Error(
    "truncated",
    "the connection was cut",
    recoverable=True,
    partial=True,
    hint="the answer is incomplete",
    resume="chatstream resume abc",
)


class Room:
    """Files for the output and the notes, a clock that is set by hand, and a sink."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "output", folder / "notes"
        self._descriptors = [os.open(file, os.O_RDWR | os.O_CREAT) for file in self._files]
        self.now = 0.0

    def sink(
        self, *, terminal: bool = True, reasoning: bool = False, stats: bool = True
    ) -> AccessibleSink:
        output, notes = map(Output, self._descriptors)
        return AccessibleSink(
            output,
            notes,
            terminal=terminal,
            reasoning=reasoning,
            stats=stats,
            clock=lambda: self.now,
        )

    @property
    def output(self) -> str:
        return self._files[0].read_bytes().decode()

    @property
    def notes(self) -> str:
        return self._files[1].read_bytes().decode()

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


def heard(room: Room, *events: ev.Event, reasoning: bool = False, stats: bool = True) -> list[str]:
    """All lines of a run on a terminal."""
    drive(each(*events), room.sink(reasoning=reasoning, stats=stats))
    assert room.notes == ""
    return room.output.splitlines()


def test_an_answer_is_told_from_its_beginning_to_its_end(room: Room) -> None:
    lines = heard(room, ev.Metadata(version=1), HEAD, ev.Content("Hello.\n\nBye."), DONE)
    assert lines == [
        "Connected, waiting for the first token.",
        "Hello.",
        "",
        "Bye.",
        "Done. 123 tokens in 3 seconds.",
    ]


TOLD = [
    pytest.param(
        [ev.Retry(attempt=2, max=3, delay=2.4, cause="the server is overloaded", action="reset")],
        ["Trying again in 3 seconds: the server is overloaded."],
        id="retry",
    ),
    pytest.param(
        [
            ev.Content("Half "),
            ev.Retry(attempt=2, max=3, delay=1, cause="cut.", emitted_chars=5, action="continue"),
            ev.Content("an answer"),
        ],
        ["Half ", "Continuing in 1 second: cut.", "an answer"],
        id="going-on",
    ),
    pytest.param(
        [ev.Content("Old."), ev.Retry(attempt=2, max=3, delay=0, cause="cut", action="reset")],
        ["Old.", "The answer starts over.", "Trying again in less than a second: cut."],
        id="reset",
    ),
    pytest.param(
        [ev.Content("Old."), ev.Metadata(model="m", restart=True), ev.Content("New.")],
        ["Old.", "The answer starts over.", "Connected, waiting for the first token.", "New."],
        id="restart",
    ),
    pytest.param(
        [ev.Metadata(model="m", restart=True)],
        ["Connected, waiting for the first token."],
        id="a-restart-of-nothing",
    ),
    pytest.param(
        [ev.Fallback(source="a", target="b", cause="it is down")],
        ["A failed: it is down.", "Asking b."],
        id="fallback",
    ),
    pytest.param([ev.Warn("odd", "a line\nwas odd")], ["Warning: a line was odd."], id="warning"),
    pytest.param(
        [ev.ToolCall("1", "weather", '{"in": "Rome"}')],
        ['The model calls the tool weather with {"in": "Rome"}.'],
        id="tool-call",
    ),
    pytest.param(
        [ev.ToolStart("1", "weather"), ev.ToolComplete("1", "weather", "{}", 2.2)],
        ["The tool weather runs.", "The tool weather finished after 2 seconds."],
        id="tool",
    ),
    pytest.param(
        [
            ev.ToolStart("1", "weather"),
            ev.ToolStart("2", "clock"),
            ev.ToolOutput("1", "weather", "asking\nsun"),
            ev.ToolOutput("2", "clock", "tick\n"),
            ev.ToolOutput("1", "weather", "ny\n"),
            ev.ToolError("2", "clock", "it stopped", 1.0),
            ev.ToolComplete("1", "weather", "{}", 1.0),
        ],
        [
            "The tool weather runs.",
            "The tool clock runs.",
            "The tool clock failed after 1 second: it stopped.",
            "Its last line: tick",
            "The tool weather finished after 1 second.",
            "Its last line: sunny",
        ],
        id="tools-at-once",
    ),
    pytest.param(
        [
            ev.ToolCall("1", "write", '{"path": "a.txt"}'),
            ev.Approval("1", "write", "ask", "default", {"path": "a.txt"}),
            ev.Approval("1", "write", "allow", "user", {"path": "a.txt"}),
            ev.ToolStart("1", "write", {"path": "a.txt"}),
            ev.ToolProgress("1", "write", message="stopping"),
            ev.ToolError("1", "write", "the user stopped it", 1.0, "stopped", "stopped"),
        ],
        [
            "You allowed the tool write.",
            "The tool write runs with path: a.txt.",
            "The tool write is being stopped.",
            "The tool write was stopped after 1 second: the user stopped it.",
        ],
        id="tool-that-is-asked-for-and-stopped",
    ),
    pytest.param(
        [
            ev.Metadata(model="m", replayed=True),
            ev.ToolStart("1", "weather", replayed=True),
            ev.ToolComplete("1", "weather", "sunny", 1.0, replayed=True),
        ],
        ["The tool weather finished after 1 second, in the earlier run."],
        id="tool-of-an-earlier-run",
    ),
    pytest.param([ev.Image(data="AAAA")], ["The answer contains an image."], id="image"),
    pytest.param(
        [ev.Citation("https://a.example/", "A", 2), ev.Content("So it is [2].")],
        ["So it is [2].", "Sources:", "[2] A · https://a.example/"],
        id="sources",
    ),
    pytest.param(
        [
            ev.ToolCallDelta("1", "weather", "{"),
            ev.ToolProgress("1", "weather", 10),
            ev.Progress("load", 1),
            ev.Usage(output_tokens=1),
            ev.Waiting("connect", 1.0),
        ],
        [],
        id="what-is-not-told",
    ),
]


@pytest.mark.parametrize(("events", "lines"), TOLD)
def test_what_happens_is_told_in_sentences(
    room: Room, events: list[ev.Event], lines: list[str]
) -> None:
    assert heard(room, *events, DONE) == [*lines, "Done. 123 tokens in 3 seconds."]


def test_thinking_is_told_once_and_how_long_it_took(room: Room) -> None:
    sink = room.sink()
    for delta in ("secret ", "thoughts"):
        sink.write(Arrival([ev.Reasoning(delta)]))
        room.now += 6
    sink.write(Arrival([ev.Content("The answer.")]))
    sink.write(Arrival([DONE]))
    assert room.output.splitlines() == [
        "The model is thinking.",
        "Thought for 12 seconds.",
        "The answer.",
        "Done. 123 tokens in 3 seconds.",
    ]


def test_thinking_is_read_out_where_it_is_asked_for(room: Room) -> None:
    lines = heard(room, ev.Reasoning("Is it "), ev.Reasoning("so?"), DONE, reasoning=True)
    assert lines[:3] == ["The model is thinking.", "Is it so?", "Thought for less than a second."]


def test_thinking_that_is_cut_off_is_told_before_the_failure(room: Room) -> None:
    lines = heard(room, ev.Reasoning("Is it"), FAILED)
    assert lines[1:3] == ["Thought for less than a second.", "Error: the connection was cut."]


def test_a_failure_says_what_to_do(room: Room) -> None:
    assert heard(room, ev.Content("Half"), FAILED) == [
        "Half",
        "Error: the connection was cut.",
        "The answer is incomplete.",
        "To continue it, run: chatstream resume abc",
    ]


def test_who_stops_an_answer_hears_that_it_stopped(room: Room) -> None:
    stopped = ev.Error("cancelled", "stopped", recoverable=True, partial=True)
    assert heard(room, ev.Content("Half"), stopped) == ["Half", "Stopped."]


def test_an_unusual_end_is_told_and_the_figures_may_be_left_out(room: Room) -> None:
    done = ev.Done(finish_reason="length", stats=ev.Stats(1.0, 1), attempts=1)
    lines = heard(room, ev.Content("a"), done, stats=False)
    assert lines == ["a", "The answer stopped at the token limit.", "Done."]


def test_tokens_that_nobody_counted_are_about_so_many(room: Room) -> None:
    done = ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 40), attempts=1)
    assert heard(room, done) == ["Done. About 40 tokens in 1 second."]


def test_half_a_sentence_waits_for_its_end_but_not_for_ever(room: Room) -> None:
    sink = room.sink()
    sink.write(Arrival([ev.Content("One. Tw")]))
    assert room.output == "One. "
    room.now += PAUSE_SECONDS - 0.1
    sink.write(Arrival())
    assert room.output == "One. "
    room.now += 0.1
    sink.write(Arrival())
    assert room.output == "One. Tw"
    sink.write(Arrival([ev.Content("o. ")]))
    assert room.output == "One. Two. "


def test_silence_is_broken_by_a_sentence_now_and_then(room: Room) -> None:
    sink = room.sink()
    sink.write(Arrival([HEAD]))
    for _ in range(65):
        room.now += 1
        sink.write(Arrival([ev.Waiting("first_token", room.now)]))
    assert room.output.splitlines()[1:] == [
        "Still working, 30 seconds.",
        "Still working, 60 seconds.",
    ]
    sink.write(Arrival([ev.Content("Now.\n")]))
    room.now += SILENCE_SECONDS
    sink.write(Arrival())
    assert room.output.splitlines()[-2:] == ["Now.", "Still working, 30 seconds."]


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_nothing_is_still_working_after_the_end(room: Room, end: ev.Event) -> None:
    """The process was stopped in between, or the machine slept."""
    sink = room.sink()
    sink.write(Arrival([ev.Content("Now.\n")]))
    room.now += SILENCE_SECONDS
    sink.write(Arrival([end]))
    sink.close()
    assert "Still working" not in room.output


def test_the_silence_of_a_tool_tells_how_far_it_is(room: Room) -> None:
    sink = room.sink()
    sink.write(Arrival([ev.ToolStart("1", "index")]))
    for percent in range(3):
        sink.write(Arrival([ev.ToolProgress("1", "index", percent)]))
        room.now += SILENCE_SECONDS / 3
        sink.write(Arrival())
    assert room.output.splitlines()[1:] == ["Still working, 30 seconds: index, 2 percent."]
    sink.write(Arrival([ev.ToolComplete("1", "index", "", 30.0)]))
    room.now += SILENCE_SECONDS
    sink.write(Arrival())
    assert room.output.splitlines()[-1] == "Still working, 30 seconds."


def test_the_progress_of_something_else_is_told_as_far_as_it_is_known(room: Room) -> None:
    sink = room.sink()
    for event in (ev.Progress("load", 1), ev.Progress("pull", 1, percentage=49.7)):
        sink.write(Arrival([event]))
        room.now += SILENCE_SECONDS
        sink.write(Arrival())
    assert room.output.splitlines() == [
        "Still working, 30 seconds: load.",
        "Still working, 60 seconds: pull, 50 percent.",
    ]


def test_a_pipe_gets_the_bytes_as_they_come_and_the_notes_get_the_sentences(
    room: Room, tmp_path: Path
) -> None:
    sink = room.sink(terminal=False, reasoning=True)
    text = "```py\nx\r\n\x1b[31mhalf\x00"
    sink.write(Arrival([HEAD, ev.Reasoning("Hm"), ev.Content(text)]))
    assert (tmp_path / "output").read_bytes() == text.encode()
    sink.write(Arrival([DONE]))
    sink.close()
    assert (tmp_path / "output").read_bytes() == text.encode()
    assert room.notes.splitlines() == [
        "Connected, waiting for the first token.",
        "The model is thinking.",
        "Hm",
        "Thought for less than a second.",
        "Done. 123 tokens in 3 seconds.",
    ]


EVIL = "\x1b]52;c;x\x07\x9b2J\u202e\r\x08"


def test_remote_text_moves_no_cursor_wherever_it_comes_from(room: Room) -> None:
    lines = heard(
        room,
        *(ev.Content(character) for character in EVIL),
        ev.Reasoning(EVIL),
        ev.Retry(attempt=2, max=2, delay=0, cause=EVIL, action="continue"),
        ev.Fallback(source=EVIL, target=EVIL, cause=EVIL),
        ev.Warn(EVIL, EVIL),
        ev.ToolCall(EVIL, EVIL, EVIL),
        ev.ToolStart(EVIL, EVIL),
        ev.ToolOutput(EVIL, EVIL, EVIL),
        ev.ToolComplete(EVIL, EVIL, EVIL, 1.0),
        ev.ToolStart(EVIL, EVIL),
        ev.ToolError(EVIL, EVIL, EVIL, 1.0),
        ev.Citation(EVIL, EVIL),
        ev.Image(EVIL, EVIL, EVIL),
        ev.Error(EVIL, EVIL, recoverable=True, partial=True, hint=EVIL, resume=EVIL),
        reasoning=True,
    )
    text = "".join(lines)
    assert text.count("52;c;x") >= 16
    assert all(character.isprintable() or character == "�" for character in text)


def test_long_arguments_and_output_are_shortened(room: Room) -> None:
    lines = heard(
        room,
        ev.ToolCall("1", "t", "x" * 10_000),
        ev.ToolOutput("1", "t", "y" * 10_000),
        ev.ToolComplete("1", "t", "", 1.0),
    )
    assert max(map(len, lines)) < 300


def test_close_ends_the_line_and_does_it_once(room: Room) -> None:
    sink = room.sink()
    sink.write(Arrival([ev.Content("half")]))
    sink.close()
    sink.close()
    assert room.output == "half\n"


def test_a_broken_pipe_is_raised_and_not_tried_again(room: Room) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    output = Output(write_end)
    for terminal in (True, False):
        sink = AccessibleSink(output, output, terminal=terminal, reasoning=False, stats=True)
        with pytest.raises(BrokenPipeError):
            sink.write(Arrival([ev.Content("a\n")]))
        sink.close()
    os.close(write_end)


# ---- sentences

CUT = [
    pytest.param("One. Two", ["One. "], id="a-sentence"),
    pytest.param("3.14 or e.g.", [], id="a-point-inside"),
    pytest.param(
        "He said (yes!) \u201cNo.\u201d And", ["He said (yes!) \u201cNo.\u201d "], id="closed"
    ),
    pytest.param("**Note:** this", ["**Note:** "], id="emphasis"),
    pytest.param("你好。再见", ["你好。"], id="cjk"),
    pytest.param("a\nb", ["a\n"], id="a-line"),
    pytest.param("1. Press", [], id="a-number-of-a-list"),
    pytest.param("> 12. Press it. Now", ["> 12. Press it. "], id="a-number-in-a-quote"),
]


@pytest.mark.parametrize(("text", "said"), CUT)
def test_text_is_cut_after_sentences_and_lines(text: str, said: list[str]) -> None:
    sentences = Sentences()
    assert [piece for piece in (sentences.feed(text),) if piece] == said
    assert "".join(said) + sentences.rest() == text


MARKDOWN = [
    pytest.param("```python\nx. y\n```\n", "Code, python:\nx. y\nEnd of code.\n", id="fence"),
    pytest.param("```\nx\n```", "Code:\nx\nEnd of code.\n", id="no-language-no-line-end"),
    pytest.param("~~~ js {a}\n```\n~~~~ \n", "Code, js:\n```\nEnd of code.\n", id="tildes"),
    pytest.param("````\n```\n````\n", "Code:\n```\nEnd of code.\n", id="a-longer-fence"),
    pytest.param("- a\n  ```sh\n  b\n  ```\n", "- a\nCode, sh:\n  b\nEnd of code.\n", id="list"),
    pytest.param("> ```\n> b\n> ```\n", "Code:\n> b\nEnd of code.\n", id="quote"),
    pytest.param("```\n     ```\n```\n", "Code:\n     ```\nEnd of code.\n", id="an-indented-fence"),
    pytest.param("```\n```x\n```\n", "Code:\n```x\nEnd of code.\n", id="a-fence-that-opens-only"),
    pytest.param("```a```. b\n", "```a```. b\n", id="inline-code"),
    pytest.param("# a\n* b\n| c |\n", "# a\n* b\n| c |\n", id="everything-else"),
    pytest.param("a\r\nb\r", "a\nb\n", id="line-ends"),
]


@pytest.mark.parametrize(("text", "said"), MARKDOWN)
def test_code_is_announced_wherever_the_text_is_cut(text: str, said: str) -> None:
    for cut in range(len(text) + 1):
        sentences = Sentences()
        pieces = [sentences.feed(text[:cut]), sentences.feed(text[cut:]), sentences.finish()]
        assert "".join(pieces) == said
        assert not sentences.in_code
    sentences = Sentences()
    whole = "".join(map(sentences.feed, text))
    assert whole + sentences.finish() == said


def test_code_that_never_ends_is_ended(room: Room) -> None:
    assert heard(room, ev.Content("```py\nx"), DONE)[:3] == ["Code, py:", "x", "End of code."]


def test_a_pause_does_not_say_what_may_become_a_fence() -> None:
    for begin in ("`", "  ``", "~~", "```py", "> ~~~"):
        sentences = Sentences()
        assert sentences.feed(begin) + sentences.rest() == ""
        assert sentences.finish() != ""


def test_a_line_that_was_begun_is_no_fence_any_more() -> None:
    sentences = Sentences()
    assert sentences.feed("see") + sentences.rest() == "see"
    assert sentences.feed("```\n") == "```\n"
    assert not sentences.in_code


@pytest.mark.parametrize("text", ["word " * 500, "x" * 2500, "```" * 900])
def test_text_without_an_end_is_handed_out_in_pieces(text: str) -> None:
    sentences, said = Sentences(), ""
    for read, character in enumerate(text, 1):
        said += sentences.feed(character)
        assert read - len(said) <= MAX_HELD_CHARACTERS
    assert said + sentences.rest() == text


def test_a_sentence_is_one_line_with_a_capital_and_an_end() -> None:
    assert sentence("it\nis  so") == "It is so."
    assert sentence("Is it?") == "Is it?"


def test_seconds_are_words() -> None:
    spoken = [seconds(number) for number in (0.2, 0.6, 1.4, 12.0)]
    assert spoken == ["less than a second", "1 second", "1 second", "12 seconds"]
