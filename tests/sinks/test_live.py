from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import pyte
import pytest
from rich.console import Console

from chatstream import events as ev
from chatstream.flow import Arrival, Key, Told, Typed, drive
from chatstream.sinks.live import FRAMES_PER_SECOND, LiveSink
from chatstream.sinks.questions import choice
from chatstream.sinks.wrapping import Wrap
from tests.support.screen import Emulator, Screen, console_on

LINE = "─" * 30
"""Above and below code that does not say what it is."""

Shown = Literal["show", "hide"] | None


class Terminal:
    """A sink on an emulated terminal, and the time."""

    def __init__(
        self,
        columns: int = 80,
        lines: int = 24,
        *,
        reasoning: Shown = "hide",
        stats: bool = False,
        emulator: type[pyte.HistoryScreen] = Emulator,
        interval: float = 1 / FRAMES_PER_SECOND,
        wrap: Wrap = "words",
    ) -> None:
        self.screen = Screen(columns, lines, emulator)
        self.now = 100.0
        self.reads = True
        self.sink = LiveSink(
            console_on(self.screen),
            reasoning=reasoning,
            stats=stats,
            ready=lambda: self.reads,
            interval=interval,
            wrap=wrap,
            clock=lambda: self.now,
        )

    def arrive(self, *events: ev.Event, after: float = 0.02) -> None:
        self.now += after
        self.sink.write(Arrival([*events]))

    def answer(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            self.arrive(ev.Content(piece))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.arrive(after=0.1)

    def end(self, event: ev.Event | None = None) -> list[str]:
        self.sink.write(Arrival([event or done()]))
        self.sink.close()
        return self.screen.text()


def done(reason: ev.FinishReason = "stop") -> ev.Done:
    return ev.Done(
        finish_reason=reason,
        usage=ev.Counts(output_tokens=123),
        stats=ev.Stats(duration=3.1, chunks=99, ttft=0.42, tokens_per_second=45.6),
        attempts=1,
    )


def failed(
    code: str = "overloaded", message: str = "too busy", hint: str | None = None
) -> ev.Error:
    return ev.Error(code, message, recoverable=True, partial=True, hint=hint)


def test_a_tail_taller_than_the_terminal_shows_its_newest_line_and_is_printed_once() -> None:
    terminal = Terminal(40, lines=10)
    for number in range(60):
        terminal.arrive(ev.Content(f"- item {number}\n"), after=0.1)
        assert f"• item {number}" in terminal.screen.visible()
    assert [line for line in terminal.end() if line] == [f"• item {n}" for n in range(60)]


def test_every_token_is_on_the_screen_soon_and_the_first_at_once() -> None:
    terminal = Terminal()
    terminal.arrive(after=0.0)
    terminal.arrive(ev.Content("first"), after=0.001)
    assert "first" in terminal.screen.text()
    terminal.arrive(ev.Content(" second"), after=0.001)
    assert "first" in terminal.screen.text()  # too early for another frame
    terminal.wait(0.1)
    assert "first second" in terminal.screen.text()


def test_nothing_is_written_while_nothing_changes() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Content("text"))
    terminal.wait(0.2)
    written = len(terminal.screen.file.getvalue())
    terminal.wait(5)
    assert len(terminal.screen.file.getvalue()) == written


def test_the_live_line_says_what_is_waited_for() -> None:
    terminal = Terminal()
    terminal.wait(3.2)
    assert terminal.screen.text()[0].endswith("connecting… 3 s")
    terminal.arrive(ev.Waiting("first_token", 12.0, alive=True), after=0.1)
    assert terminal.screen.text()[0].endswith("waiting for the first token… 12 s · alive")
    terminal.wait(2.2)
    assert terminal.screen.text()[0].endswith("waiting for the first token… 14 s · alive")
    terminal.arrive(ev.Content("text"))
    assert terminal.screen.text() == ["text", "1 token"]
    terminal.arrive(ev.Waiting("between_tokens", 5.0), after=0.1)
    assert terminal.screen.text()[0] == "text"
    assert terminal.screen.text()[1].endswith("waiting for the next token… 5 s")


def test_the_spinner_turns() -> None:
    terminal = Terminal()
    frames = set()
    for _ in range(10):
        terminal.wait(0.1)
        frames.add(terminal.screen.text()[0][0])
    assert len(frames) >= 8


def test_a_retry_is_told_and_counted_down() -> None:
    terminal = Terminal()
    retry = ev.Retry(attempt=2, max=4, delay=3.0, cause="slow down", status=429, action="reset")
    terminal.arrive(retry, after=0.1)
    said, live = terminal.screen.text()
    assert "3.0 s" in said
    assert "attempt 2 of 4" in said
    assert "slow down" in said
    assert live.endswith("retrying in 3 s: slow down, attempt 2 of 4")
    terminal.wait(1.5)
    assert terminal.screen.text()[1].endswith("retrying in 2 s: slow down, attempt 2 of 4")
    terminal.wait(3)
    assert "connecting" in terminal.screen.text()[1]
    assert len(terminal.end()) == 1


def test_warnings_and_fallbacks_stay_above_the_text() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Content("some "))
    terminal.arrive(ev.Warn("skipped", "a frame\x1b[2J was skipped"), after=0.1)
    terminal.arrive(ev.Fallback("a", "b", "it failed"), after=0.1)
    terminal.answer(["text"])
    text = terminal.end()
    assert text[0] == "warning: a frame␛[2J was skipped"
    assert "it failed" in text[1]
    assert text[2:] == ["some text"]


@pytest.mark.parametrize("pieces", [["The answer", " is 4."], ["The answer is 4."]])
def test_an_answer_after_thinking_is_one_paragraph(pieces: list[str]) -> None:
    terminal = Terminal()
    terminal.arrive(ev.Reasoning("Let me think. "))
    terminal.arrive(ev.Reasoning("Done."), ev.Content(pieces[0]))  # of one delta
    terminal.answer(pieces[1:])
    assert terminal.end() == ["thought a moment", "", "The answer is 4."]


def test_sources_are_listed_after_the_answer() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Citation("https://a.example/", number=1), ev.Content("A test [1]"))
    terminal.arrive(ev.Citation("https://b.example/", "B\x1b[2J", 2), ev.Content("[2]."), after=0.1)
    assert "a.example" not in "".join(terminal.screen.text())
    assert terminal.end(done("length")) == [
        "A test [1][2].",
        "",
        "Sources:",
        "[1] https://a.example/",
        "[2] B␛[2J · https://b.example/",
        "",
        "the answer stopped at the token limit",
    ]


def test_sources_of_an_answer_that_broke_off_are_listed_and_dropped_ones_are_not() -> None:
    terminal = Terminal()
    retry = ev.Retry(attempt=2, max=2, delay=0.0, cause="cut", action="reset")
    terminal.arrive(ev.Citation("https://old.example/"), ev.Content("old"), retry)
    terminal.arrive(ev.Content("new"), ev.Citation("https://a.example/"))
    assert terminal.end(failed())[-6:] == [
        "new",
        "",
        "Sources:",
        "[1] https://a.example/",
        "",
        "✗ too busy",
    ]


def test_an_image_is_a_line_that_tears_no_paragraph_apart() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Content("```\ncode\n"))
    terminal.arrive(ev.Image(media_type="image/png", data="A" * 16_000), after=0.1)
    assert "[image/png, 12 KB]" in terminal.screen.text()
    terminal.answer(["more\n```\n", "end"])
    assert terminal.end() == [LINE, "code", "more", LINE, "[image/png, 12 KB]", "", "end"]


def test_hidden_reasoning_is_a_spinner_and_collapses_to_one_line() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Reasoning("secret"))
    terminal.wait(12.2)
    assert terminal.screen.text()[0].endswith("thinking… 12 s · 1 token")
    terminal.answer(["answer"])
    assert terminal.end() == ["thought for 12 s, 1 token", "", "answer"]


def test_reasoning_is_live_with_its_newest_lines_and_collapses_to_one_line() -> None:
    terminal = Terminal(40, reasoning=None)
    terminal.arrive(ev.Reasoning("".join(f"line {n}\n" for n in range(30)) + "open"), after=0.1)
    assert terminal.screen.text()[:6] == [*(f"line {n}" for n in range(25, 30)), "open"]
    terminal.arrive(ev.Reasoning(" end"), after=12.0)
    assert terminal.screen.text()[5] == "open end"
    terminal.answer(["answer"])
    assert terminal.end() == ["thought for 12 s, 2 tokens", "", "answer"]


def test_shown_reasoning_is_printed_whole_and_live_only_with_its_newest_lines() -> None:
    terminal = Terminal(40, lines=30, reasoning="show")
    terminal.arrive(ev.Reasoning("first line\nsecond"), after=0.1)
    terminal.arrive(ev.Reasoning(" line"), after=0.1)
    assert terminal.screen.text()[:2] == ["first line", "second line"]
    long = " ".join(f"w{n}" for n in range(100))
    terminal.arrive(ev.Reasoning("\n" + long), after=0.1)
    assert len(terminal.screen.text()) == 2 + 6 + 1
    assert "w99" in terminal.screen.text()[-2]
    terminal.arrive(ev.Content("answer"), after=0.1)
    text = terminal.end()
    assert text[:2] == ["first line", "second line"]
    assert "".join(line.ljust(40) for line in text[2:-3]).split() == long.split()
    assert text[-3].startswith("thought ")
    assert text[-2:] == ["", "answer"]


def test_a_restart_is_said_and_what_was_shown_stays() -> None:
    terminal = Terminal()
    terminal.answer(["# Old\n\n", "old text"])
    terminal.arrive(ev.Metadata(restart=True))
    terminal.answer(["new"])
    assert terminal.end() == ["Old", "", "old text", "the answer starts over", "new"]


def test_a_retry_that_drops_the_text_comes_after_it() -> None:
    terminal = Terminal()
    terminal.answer(["old"])
    terminal.arrive(ev.Retry(attempt=2, max=4, delay=1.0, cause="cut", action="reset"))
    terminal.answer(["new"])
    old, restart, retry, new = terminal.end()
    assert (old, restart, new) == ("old", "the answer starts over", "new")
    assert retry.startswith("retrying in 1.0 s")


def test_a_retry_that_goes_on_keeps_the_text_and_adds_to_it() -> None:
    terminal = Terminal()
    terminal.answer(["one "])
    going_on = ev.Retry(
        attempt=2, max=4, delay=1.0, cause="cut", action="continue", emitted_chars=4
    )
    terminal.arrive(going_on)
    terminal.answer(["two"])
    lines = terminal.end()
    assert "the answer starts over" not in lines
    assert "continuing in 1.0 s, attempt 2 of 4: cut" in lines
    assert [line.strip() for line in lines if line.strip() in {"one", "two", "one two"}] in (
        ["one two"],
        ["one", "two"],
    )


@pytest.mark.parametrize("code", ["cancelled", "truncated"])
def test_how_to_go_on_is_the_last_line(code: str) -> None:
    terminal = Terminal()
    terminal.answer(["half an ans"])
    command = "chatstream resume 20260101-000000-000000-abcd"
    error = ev.Error(code, "it broke off", recoverable=True, partial=True, resume=command)
    lines = terminal.end(error)
    assert lines[0] == "half an ans"
    assert lines[-1] == f"continue it with: {command}"


def test_a_thought_between_two_texts_parts_them() -> None:
    terminal = Terminal(reasoning="show")
    terminal.arrive(ev.Content("one"))
    terminal.arrive(ev.Reasoning("hm"))
    terminal.arrive(ev.Content("two"))
    assert terminal.end() == ["one", "hm", "thought a moment", "", "two"]


def test_a_restart_before_any_text_is_silent() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Metadata(restart=True))
    terminal.answer(["new"])
    assert terminal.end() == ["new"]


def test_a_tool_call_that_nobody_runs_is_a_line_of_its_own() -> None:
    terminal = Terminal(40)
    terminal.answer(["I will look."])
    terminal.arrive(ev.ToolCall("1", "find\x1b", '{"query": "x"}'))
    terminal.answer(["Found."])
    assert terminal.end(done("tool_calls")) == [
        "I will look.",
        "",
        '⚙ find␛({"query": "x"})',
        "",
        "Found.",
    ]


QUESTION = ev.Approval(
    "1", "write\u200b", "ask", "default", {"path": "a\x1b.txt", "text": "one\nRun it? y/n"}
)
CHOICE = choice(QUESTION)
ASKED = [
    "The model wants to run write\\u200b:",
    '  path: "a\\u001b.txt"',
    "  text:",
    "  │ one",
    "  │ Run it? y/n",
]


def test_a_question_shows_the_whole_call_and_goes_when_it_is_answered() -> None:
    terminal = Terminal()
    terminal.answer(["I will write."])
    terminal.arrive(ev.ToolCall("1", "write\u200b", "{}"), ev.ToolCall("2", "read", "{}"))
    terminal.arrive(QUESTION, after=0.1)
    assert terminal.screen.text() == ["I will write.", "", *ASKED, CHOICE]
    answer = ev.Approval("1", "write\u200b", "allow", "user", {"path": "a.txt"})
    terminal.arrive(answer, ev.ToolStart("1", "write\u200b", {"path": "a.txt"}), after=0.1)
    running, waiting = terminal.screen.text()[7:]
    assert (running[2:], waiting) == ("write(path: a.txt)…", "⚙ read({})")
    terminal.arrive(
        ev.ToolComplete("1", "write\u200b", "", 0.5), ev.ToolComplete("2", "read", "", 1)
    )
    terminal.answer(["Done."])
    assert terminal.end() == [
        *("I will write.", "", *ASKED),
        *("✓ write(path: a.txt) · 0.5 s", "✓ read({}) · 1.0 s", "", "Done."),
    ]


def test_a_diff_is_coloured_and_all_of_the_call_is_shown_when_it_is_asked_for() -> None:
    terminal = Terminal()
    diff = "--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-old\n+new\n"
    question = ev.Approval("1", "write", "ask", "default", {"text": "new\n"}, diff)
    terminal.arrive(ev.ToolCall("1", "write", "{}"), question)
    terminal.arrive(after=0.1)
    shown = [f"  │ {line}" for line in diff.splitlines()]
    head = "The model wants to run write:"
    assert terminal.screen.text() == [head, "  text: 1 line", *shown, CHOICE]
    colours = {"".join(it.data for it in row).strip(): row[2].fg for row in terminal.screen.cells()}
    same = colours["text: 1 line"]
    assert len({colours["│ -old"], colours["│ +new"], colours["│ @@ -1 +1 @@"], same}) == 4
    terminal.arrive(Key(pressed="details"), after=0.1)
    terminal.arrive(after=0.1)
    again = [head, "  text:", "  │ new", "  │ ", *shown, CHOICE]
    assert [it.rstrip() for it in terminal.screen.text()[7:]] == [it.rstrip() for it in again]
    terminal.arrive(ev.Approval("1", "write", "deny", "user"), after=0.1)
    before = terminal.screen.text()
    terminal.arrive(Key(pressed="details"), after=0.1)
    assert terminal.screen.text() == before, "there is no question any more"


@pytest.mark.parametrize("by", ["nobody", "dry_run"])
def test_where_nobody_is_asked_there_is_no_choice(by: str) -> None:
    terminal = Terminal()
    terminal.arrive(ev.ToolCall("1", "write", "{}"), ev.Approval("1", "write", "ask", by))
    terminal.arrive(after=0.1)
    assert CHOICE not in terminal.screen.text()
    shown = any("wants to run" in it for it in terminal.screen.text())
    assert shown is (by == "nobody"), "who is to approve it later sees all of the call"


def test_what_an_earlier_run_ended_for_is_not_shown_again() -> None:
    terminal, call = Terminal(), ev.ToolCall("1", "write", "{}", replayed=True)
    terminal.arrive(call, ev.Approval("1", "write", "ask", "nobody", replayed=True))
    terminal.arrive(after=0.1)
    assert not any("wants to run" in it for it in terminal.screen.text())


def test_a_question_that_is_larger_than_the_screen_can_be_scrolled_back_to() -> None:
    terminal = Terminal(40, lines=10)
    lines = [f"line {number}" for number in range(50)]
    terminal.arrive(ev.Approval("1", "write", "ask", "default", {"text": "\n".join(lines)}))
    terminal.arrive(after=0.1)
    text = terminal.screen.text()
    assert text[2:] == [*(f"  │ {line}" for line in lines), CHOICE]


@pytest.mark.parametrize("height", [4, 6, 24])
def test_tools_leave_the_newest_text_a_row(height: int) -> None:
    terminal = Terminal(40, lines=height)
    terminal.answer(["I will look."])
    for number in range(30):
        terminal.arrive(ev.ToolStart(str(number), "look"))
    terminal.arrive(after=0.1)
    shown = terminal.screen.visible()
    assert "I will look." in shown
    assert any(line.endswith("more tools") for line in shown)


def test_tools_are_live_below_the_text_and_end_as_one_line_each() -> None:
    terminal = Terminal(60)
    terminal.answer(["I will look."])
    terminal.arrive(ev.ToolStart("1", "weather", {"city": "Köln"}), ev.ToolStart("2", "time"))
    terminal.arrive(ev.ToolOutput("1", "weather", "asking\nfor it"), after=0.1)
    terminal.arrive(ev.ToolProgress("2", "time", 50.0), after=0.1)
    shown = terminal.screen.text()
    assert shown[:2] == ["I will look.", ""]
    assert "weather(city: Köln)" in shown[2]
    assert [line.strip() for line in shown[3:5]] == ["asking", "for it"]
    assert "time" in shown[5]
    assert "50 %" in shown[5]
    terminal.arrive(ev.ToolComplete("2", "time", "12:00", 0.5), after=0.1)
    terminal.arrive(ev.ToolError("1", "weather", "timed out", 1.25), after=0.1)
    terminal.answer(["So be it."])
    assert terminal.end() == [
        "I will look.",
        "",
        "✗ weather(city: Köln) · 1.2 s · failed: timed out",
        "✓ time · 0.5 s",
        "",
        "So be it.",
    ]


def test_a_warning_waits_for_the_end_of_a_code_block_and_is_shown_below_it() -> None:
    terminal = Terminal()
    terminal.answer(["```\none\n"])
    terminal.arrive(ev.Warn("skipped", "careful"), after=0.1)
    assert terminal.screen.text()[:3] == [LINE, "one", "warning: careful"]
    terminal.answer(["two\n```\nend"])
    assert terminal.end() == [LINE, "one", "two", LINE, "warning: careful", "", "end"]


def test_an_endless_line_stays_one_also_when_a_note_comes_within_it() -> None:
    terminal = Terminal(37, lines=12)
    terminal.arrive(
        ev.Content("word " * 700),
        ev.Warn("odd", "careful"),
        ev.Content("word " * 700 + "end\n\nz"),
    )
    whole = Terminal(37, lines=12)
    whole.answer(["word " * 1400 + "end\n\nz"])
    *prose, empty, last = whole.end()
    assert (empty, last) == ("", "z")
    assert terminal.end() == [*prose, "warning: careful", "", "z"]


def test_a_pause_is_told_and_a_stopped_process_leaves_the_screen_clean() -> None:
    terminal = Terminal()
    terminal.answer(["some text"])
    terminal.arrive(Key("pause"), after=0.1)
    assert terminal.screen.text()[1].startswith("paused")
    terminal.arrive(Key("go_on"), after=0.1)
    terminal.arrive(Key("suspend"), after=0.1)
    assert terminal.screen.text() == []
    terminal.arrive(Key("continue"), after=0.1)
    assert terminal.screen.text()[0] == "some text"
    assert terminal.end() == ["some text"]


def test_what_is_told_beside_the_answer_is_a_line_of_its_own() -> None:
    terminal = Terminal()
    terminal.arrive(Told("asking \x1b[2Jdemo"), ev.Content("some text"))
    assert terminal.end() == ["asking ␛[2Jdemo", "some text"]


def test_after_a_stop_that_nobody_announced_nothing_of_the_shell_is_erased() -> None:
    terminal = Terminal()
    terminal.answer(["some text"])
    terminal.screen.file.write("\n[1]+ Stopped\n$ fg\n")
    terminal.arrive(Key("continue"), after=0.1)
    terminal.answer([" goes on"])
    text = terminal.end()
    assert text[-1] == "some text goes on"
    assert "[1]+ Stopped" in text


@pytest.mark.parametrize(("tmux", "shown"), [("here", ["one"]), ("", ["one two"])])
def test_after_a_resize_nothing_is_drawn_while_tmux_may_have_another_size(
    monkeypatch: pytest.MonkeyPatch, tmux: str, shown: list[str]
) -> None:
    monkeypatch.setenv("TMUX", tmux)
    terminal = Terminal()
    terminal.arrive(ev.Content("one"))
    terminal.wait(1.0)
    terminal.sink._region.console.width = 40
    terminal.arrive(ev.Content(" two"), after=0.1)
    terminal.arrive(after=0.1)
    assert [line for line in terminal.screen.text() if "one" in line] == shown
    terminal.wait(0.3)
    assert "one two" in terminal.screen.text()


def test_nothing_is_drawn_while_the_terminal_is_not_read() -> None:
    terminal = Terminal()
    terminal.answer(["one "])
    terminal.reads = False
    written = len(terminal.screen.file.getvalue())
    terminal.answer(["two ", "three ", "four "])
    assert len(terminal.screen.file.getvalue()) == written
    terminal.reads = True
    terminal.arrive(after=0.1)
    assert terminal.screen.text()[0] == "one two three four"


def test_reasoning_can_be_turned_on_while_it_comes() -> None:
    terminal = Terminal(reasoning="hide")
    terminal.arrive(ev.Reasoning("why\nnot"))
    assert "why" not in terminal.screen.text()
    terminal.arrive(Key("reasoning"), after=0.1)
    assert terminal.screen.text()[:3] == ["thoughts:", "why", "not"]
    terminal.answer(["so"])
    assert terminal.end() == ["thoughts:", "why", "not", "thought a moment", "", "so"]


def test_reasoning_that_is_opened_in_the_answer_is_labelled_stands_apart_and_is_closed() -> None:
    terminal = Terminal(reasoning="hide")
    terminal.arrive(ev.Reasoning("why\nnot"))
    terminal.answer(["One.\n\nTwo"])
    terminal.arrive(Key("reasoning"), after=0.1)
    terminal.answer([" goes on.\n\nThree."])
    terminal.arrive(Key("reasoning"), after=0.1)
    opened = ["thoughts:", "why", "not"]
    before = ["thought a moment", "", "One.", "", *opened, "", "Two goes on."]
    assert terminal.end() == [*before, "", "thoughts hidden", "", "Three."]


def test_a_key_for_reasoning_says_nothing_where_there_was_none() -> None:
    terminal = Terminal(reasoning="hide")
    terminal.answer(["so"])
    terminal.arrive(Key("reasoning"), after=0.1)
    terminal.arrive(Key("reasoning"), after=0.1)
    assert terminal.end() == ["so"]


def test_the_end_has_one_line_of_figures() -> None:
    terminal = Terminal(stats=True)
    terminal.arrive(ev.Metadata(model="tiny"))
    terminal.answer(["text"])
    figures = "✓ tiny · first token 0.42 s · 123 tokens · 45.6 tokens/s · 3.1 s"
    assert terminal.end() == ["text", "", figures]


def test_an_answer_that_stopped_early_says_so_also_without_figures() -> None:
    terminal = Terminal()
    terminal.answer(["text"])
    assert terminal.end(done("length")) == ["text", "", "the answer stopped at the token limit"]


def test_an_error_keeps_the_text_and_shows_the_hint() -> None:
    terminal = Terminal()
    terminal.answer(["half an ans"])
    text = terminal.end(failed(message="cut\x1b]0;x\x07\noff", hint="ask again"))
    assert text == ["half an ans", "", "✗ cut␛]0;x␇ off", "ask again"]


def test_a_cancel_is_no_error() -> None:
    terminal = Terminal()
    terminal.answer(["half"])
    assert terminal.end(failed("cancelled", "cancelled")) == ["half", "", "■ stopped"]


@pytest.mark.parametrize("last", [done(), failed(), None], ids=["done", "error", "exception"])
def test_the_cursor_is_never_hidden(last: ev.Event | None) -> None:
    terminal = Terminal()

    def run() -> Iterator[Arrival]:
        yield Arrival()
        yield Arrival([ev.Content("partial")])
        if last is None:
            raise RuntimeError("a mistake")
        yield Arrival([last])

    if last is None:
        with pytest.raises(RuntimeError):
            drive(run(), terminal.sink)
    else:
        drive(run(), terminal.sink)
    terminal.sink.close()
    assert "\x1b[?25" not in terminal.screen.file.getvalue()
    assert terminal.screen.text()[0] == "partial"


def test_a_sink_that_got_nothing_writes_nothing() -> None:
    terminal = Terminal()
    terminal.sink.close()
    terminal.sink.close()
    terminal.sink.write(Arrival())
    assert terminal.screen.file.getvalue() == ""


def test_html_is_shown_and_not_swallowed() -> None:
    terminal = Terminal()
    terminal.answer(["a List<String> and\n\n<div>\n\nend"])
    assert terminal.end() == ["a List<String> and", "", "<div>", "", "end"]


def test_no_color_draws_without_colours() -> None:
    screen = Screen(40)
    plain = Console(
        file=screen.file, force_terminal=True, width=40, height=24, _environ={"NO_COLOR": "1"}
    )
    sink = LiveSink(plain, reasoning="hide", stats=True, clock=lambda: 0.0)
    sink.write(
        Arrival([ev.Content("# Title\n\n`code` and [link](http://x)\n\n```python\nx = 1\n```\n")])
    )
    sink.write(Arrival([done()]))
    assert "\x1b[3" not in screen.file.getvalue()
    assert not screen.cursor_hidden


def test_a_terminal_with_an_old_encoding_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, "latin-1", write_through=True)
    old = Console(file=file, force_terminal=True, width=40, height=24, _environ={"TERM": "vt220"})
    sink = LiveSink(old, reasoning="hide", stats=True, clock=lambda: 0.0)
    sink.write(Arrival())
    sink.write(Arrival([ev.Content("café 你\n\n| a |\n|---|\n| ✓ |\n")]))
    sink.write(Arrival([done()]))
    written = raw.getvalue().decode("latin-1")
    assert "café ?" in written
    assert "+ done - first token" in written
    assert "| connecting..." in written


@pytest.mark.parametrize("columns", range(17, 25))
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_wide_text_ends_the_same_also_where_a_terminal_does_not_wrap_it_as_others(
    columns: int, size: int
) -> None:
    text = "a 你好,世界 and then 日本語 text goes on 한국어 b 漢字かな交じり文 c end"
    odd = pyte.HistoryScreen  # it puts a wide character into its last cell
    whole = Screen(columns, 24, odd)
    whole.file.write(text + "\n")
    terminal = Terminal(columns, emulator=odd, wrap="terminal")
    terminal.answer(text[i : i + size] for i in range(0, len(text), size))
    assert terminal.end() == whole.text()


@pytest.mark.parametrize(("interval", "frames"), [(0.0, 80), (0.1, 40), (0.5, 8), (2.0, 2)])
def test_there_are_as_many_frames_as_the_user_wants(interval: float, frames: int) -> None:
    terminal = Terminal(columns=120, interval=interval)
    terminal.arrive(ev.Content("x"))
    seen = [terminal.screen.text()[0]]
    for _ in range(80):
        terminal.arrive(ev.Content("x"), after=0.05)
        seen.append(terminal.screen.text()[0])
    changed = sum(one != other for one, other in itertools.pairwise(seen))
    assert frames - 1 <= changed <= frames
    assert terminal.end()[0] == 81 * "x"


def test_what_is_typed_for_later_is_below_the_status_and_gone_at_the_end() -> None:
    terminal = Terminal(40)
    terminal.answer(["The sky is "])
    terminal.arrive(Typed(queued=["and at sunset?"], draft="and a pic"), after=0.1)
    assert terminal.screen.text()[-3:] == [
        "1 token",
        " ⏎ queued: and at s…   (↑ takes it back)",
        " › and a pic_",
    ]
    terminal.arrive(Typed(queued=[], draft=""), after=0.1)
    assert terminal.screen.text()[-1] == "1 token"
    terminal.arrive(Typed(queued=[], draft="x"), after=0.1)
    terminal.answer(["blue."])
    assert terminal.end() == ["The sky is blue."]
