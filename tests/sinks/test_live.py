from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.markdown import Markdown

from chatstream import events as ev
from chatstream.flow import Pulse, drive
from chatstream.providers.demo import ANSWER
from chatstream.sinks.live import CODE_THEME, LiveSink
from tests.support.screen import Screen

DOCUMENTS = {
    "prose": "One *line* of prose that is long enough to be wrapped at forty columns.\n\nTwo.\n",
    "headings": "# Title\n\nText\n## Second\ntext\n\nSetext\n------\n\nend",
    "lists": "Before:\n\n- one\n- two\n\n  more of two\n\n- three\n\n1. first\n2. second\n\nAfter.",
    "list first": "- a\n- b\n",
    "nested lists": "- a\n  - b\n    - c\n\n      deep\n- d\n\n10. x\n    1. y\n\nend\n",
    "table": "A table:\n\n| a | b |\n|---|--:|\n| 1 | two |\n| three | 4 |\n\nend\n",
    "code": "So:\n\n```python\nif 1:\n\n    run()\n```\nand\n\n    indented\n\n    more\n\nend",
    "open fence": "```\nnever closed\n\nat all",
    "quote": "> quoted\nlazy\n>\n> - list\n\nend\n",
    "rules": "a\n\n---\n\nb\n\n***\n- list\n\n___\n# h\n",
    "wide": "你好,世界。" * 12 + "\n\n日本語 🚀 emoji 🎉 and e\u0301\n\n- 漢字\n",
    "links": "[ref]: https://example.org/x\n\nSee [ref] and [this](http://a.b/c).\n\nAlso [ref].\n",
    "no newline": "word " * 40,
    "images": "![alt](http://a.b/c.png)\n\ntext\n\n![x](y) after\n",
    "blank": "\n\n  \n",
    "demo": ANSWER,
}


Shown = Literal["show", "hide"] | None


class Terminal:
    """A sink on an emulated terminal, and the time."""

    def __init__(
        self, columns: int = 80, lines: int = 24, *, reasoning: Shown = "hide", stats: bool = False
    ) -> None:
        self.screen = Screen(columns, lines)
        self.now = 100.0
        self.sink = LiveSink(
            console(self.screen), reasoning=reasoning, stats=stats, clock=lambda: self.now
        )

    def arrive(self, *events: ev.Event, after: float = 0.02) -> None:
        self.now += after
        for event in events:
            self.sink.write(event)
        self.sink.flush()

    def answer(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            self.arrive(ev.Content(piece))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.arrive(after=0.1)

    def end(self, event: ev.Event | None = None) -> list[str]:
        self.sink.write(event or done())
        self.sink.close()
        return self.screen.text()


def console(screen: Screen) -> Console:
    return Console(
        file=screen.file,
        force_terminal=True,
        color_system="256",
        width=screen.columns,
        height=screen.lines,
        _environ={"TERM": "xterm"},
    )


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


def rendered(text: str, columns: int) -> list[str]:
    """One rendering of the whole text by Rich, on the same terminal."""
    screen = Screen(columns, 24)
    console(screen).print(Markdown(text, code_theme=CODE_THEME, hyperlinks=False))
    return screen.text()


CUTS: dict[str, Callable[[str], list[str]]] = {
    "whole": lambda text: [text],
    "by token": lambda text: [text[i : i + 4] for i in range(0, len(text), 4)],
    "by character": list,
}


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_scrollback_and_screen_equal_one_rendering_of_the_whole(
    text: str, cut: Callable[[str], list[str]], columns: int
) -> None:
    terminal = Terminal(columns, lines=12)
    terminal.answer(cut(text))
    assert terminal.end() == rendered(text, columns)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from([d for k, d in DOCUMENTS.items() if k not in ("open fence", "links")])
    ),
    st.integers(1, 30),
    st.integers(4, 30),
)
def test_documents_one_after_the_other_equal_one_rendering(
    documents: list[str], size: int, lines: int
) -> None:
    text = "\n\n".join(documents)
    terminal = Terminal(50, lines)
    terminal.answer(text[i : i + size] for i in range(0, len(text), size))
    assert terminal.end() == rendered(text, 50)


def test_a_tail_taller_than_the_terminal_shows_its_newest_line_and_is_printed_once() -> None:
    terminal = Terminal(40, lines=10)
    for number in range(60):
        terminal.arrive(ev.Content(f"- item {number}\n"), after=0.1)
        assert f" • item {number}" in terminal.screen.visible()
        assert len([line for line in terminal.screen.text() if line]) <= 9
    assert [line for line in terminal.end() if line] == [f" • item {n}" for n in range(60)]


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
    assert terminal.screen.text() == ["text"]
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
    assert live.endswith("retrying in 3 s")
    terminal.wait(1.5)
    assert terminal.screen.text()[1].endswith("retrying in 2 s")
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


def test_hidden_reasoning_is_a_spinner_and_collapses_to_one_line() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Reasoning("secret"))
    terminal.wait(12.2)
    assert terminal.screen.text()[0].endswith("thinking… 12 s")
    terminal.answer(["answer"])
    assert terminal.end() == ["thought for 12 s", "", "answer"]


def test_reasoning_is_live_with_its_newest_lines_and_collapses_to_one_line() -> None:
    terminal = Terminal(40, reasoning=None)
    terminal.arrive(ev.Reasoning("".join(f"line {n}\n" for n in range(30)) + "open"), after=0.1)
    assert terminal.screen.text()[:6] == [*(f"line {n}" for n in range(25, 30)), "open"]
    terminal.arrive(ev.Reasoning(" end"), after=12.0)
    assert terminal.screen.text()[5] == "open end"
    terminal.answer(["answer"])
    assert terminal.end() == ["thought for 12 s", "", "answer"]


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
    assert " ".join(text[2:-3]).split() == long.split()
    assert text[-3].startswith("thought ")
    assert text[-2:] == ["", "answer"]


def test_a_restart_is_said_and_what_was_shown_stays() -> None:
    terminal = Terminal()
    terminal.answer(["# Old\n\n", "old text"])
    terminal.arrive(ev.Metadata(restart=True))
    terminal.answer(["new"])
    old = rendered("# Old\n\nold text", 80)
    assert terminal.end() == [*old, "the answer starts over", "new"]


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
    assert "going on in 1.0 s, attempt 2 of 4: cut" in lines
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
    assert lines[-1] == f"go on with it: {command}"


def test_a_thought_between_two_texts_parts_them() -> None:
    terminal = Terminal(reasoning="show")
    terminal.arrive(ev.Content("one"))
    terminal.arrive(ev.Reasoning("hm"))
    terminal.arrive(ev.Content("two"))
    assert terminal.end() == ["one", "hm", "thought a moment", "", "", "two"]


def test_a_restart_before_any_text_is_silent() -> None:
    terminal = Terminal()
    terminal.arrive(ev.Metadata(restart=True))
    terminal.answer(["new"])
    assert terminal.end() == ["new"]


def test_a_tool_call_is_one_short_line_after_the_text() -> None:
    terminal = Terminal(40)
    terminal.answer(["I will look."])
    terminal.arrive(ev.ToolCall("1", "find\x1b", '{"query": "' + "x" * 100 + '"}'))
    assert terminal.end(done("tool_calls")) == [
        "I will look.",
        '⚙ find␛({"query": "xxxxxxxxxxxxxxxxxxxx…',
    ]


def test_the_end_has_one_line_of_figures() -> None:
    terminal = Terminal(stats=True)
    terminal.arrive(ev.Metadata(model="tiny"))
    terminal.answer(["text"])
    figures = "✓ tiny · first token 0.42 s · 123 tokens · 45.6 tokens/s · 3.1 s"
    assert terminal.end() == ["text", figures]


def test_an_answer_that_stopped_early_says_so_also_without_figures() -> None:
    terminal = Terminal()
    terminal.answer(["text"])
    assert terminal.end(done("length")) == ["text", "the answer stopped at the token limit"]


def test_an_error_keeps_the_text_and_shows_the_hint() -> None:
    terminal = Terminal()
    terminal.answer(["half an ans"])
    text = terminal.end(failed(message="cut\x1b]0;x\x07\noff", hint="ask again"))
    assert text == ["half an ans", "✗ cut␛]0;x␇ off", "ask again"]


def test_a_cancel_is_no_error() -> None:
    terminal = Terminal()
    terminal.answer(["half"])
    assert terminal.end(failed("cancelled", "cancelled")) == ["half", "■ stopped"]


@pytest.mark.parametrize("last", [done(), failed(), None], ids=["done", "error", "exception"])
def test_the_cursor_is_back_after_every_end(last: ev.Event | None) -> None:
    terminal = Terminal()

    def run() -> Iterable[ev.Event]:
        yield Pulse()
        yield ev.Content("partial")
        yield Pulse()
        assert terminal.screen.cursor_hidden
        if last is None:
            raise RuntimeError("a mistake")
        yield last

    if last is None:
        with pytest.raises(RuntimeError):
            drive(iter(run()), terminal.sink)
    else:
        drive(iter(run()), terminal.sink)
    terminal.sink.close()
    assert not terminal.screen.cursor_hidden
    assert terminal.screen.text()[0] == "partial"


def test_a_sink_that_got_nothing_writes_nothing() -> None:
    terminal = Terminal()
    terminal.sink.close()
    terminal.sink.close()
    terminal.sink.flush()
    assert terminal.screen.file.getvalue() == ""


HOSTILE = {
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "title": "\x1b]0;owned\x1b\\",
    "moves": "\x1b[H\x1b[2J\x1b[10A",
    "modes": "\x1b[?25l\x1b[?1049h\x1b[?7l\x1b[4h",
    "DCS": "\x1bP$qm\x1b\\",
    "C1": "\x9d0;owned\x9c\x9b2J\x90q\x9c",
    "carriage return": "harmless\rrm -rf",
    "bidi": "a\u202eb\u2066c",
    "entities": "&#27;[2J &#x9b;2J &#13; &#x202e;x &rlm; &#8;",
    "in code": "```\n\x1b[2J\x9b2J\n```\n\n`\x1b[2J`\n",
    "in a fence's name": "```\x1b]0;owned\x07\ncode\n```\n",
    "in a link": "[a\x1b[2J](http://x/\x1b]0;y\x07) ![\u202e](\x9b2J)\n",
    "in a table": "| \x1b[2J |\n|---|\n| &#13;&#x202e; |\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_remote_text_cannot_drive_the_terminal_wherever_it_is_split(text: str) -> None:
    untouched = Screen()
    for cut in range(len(text) + 1):
        terminal = Terminal(reasoning="show")
        terminal.arrive(ev.Content("first line\n\n"))
        for piece in (text[:cut], text[cut:]):
            terminal.arrive(ev.Content(piece), after=0.1)
        terminal.arrive(ev.Reasoning(text), after=0.1)
        terminal.arrive(ev.ToolCall("1", text, text), ev.Warn("x", text))
        terminal.arrive(ev.Metadata(model=text))
        shown = terminal.end(failed(message=text, hint=text))
        assert shown[0] == "first line"
        assert terminal.screen.title == untouched.title
        assert terminal.screen.mode == untouched.mode
        assert not terminal.screen.cursor_hidden
        written = terminal.screen.file.getvalue()
        for char in "\u202e\u2066\u200f\x9b\x9d\x90\x07\x08":
            assert char not in written
        assert "\x1b]" not in written
        assert "\x1bP" not in written


def test_html_is_shown_and_not_swallowed() -> None:
    terminal = Terminal()
    terminal.answer(["a List<String> and\n\n<div>\n\nend"])
    assert terminal.end() == ["a List<String> and", "", "<div>", "", "end"]


def test_a_dumb_terminal_gets_the_text_as_it_comes_and_no_escape_code() -> None:
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, width=20, _environ={"TERM": "dumb"})
    now = 0.0
    sink = LiveSink(terminal, reasoning="show", stats=True, clock=lambda: now)
    sink.flush()
    sink.write(ev.Reasoning("why\nnot"))
    sink.flush()
    for delta in ("# A  line that is ", "longer than \x1b[2J twenty  \n", "columns"):
        sink.write(ev.Content(delta))
        sink.flush()
        assert file.getvalue().endswith(delta.replace("\x1b", "␛"))
    sink.write(ev.Warn("x", "careful"))
    sink.write(done())
    sink.close()
    assert file.getvalue() == (
        "why\nnot\nthought a moment\n\n"
        "# A  line that is longer than ␛[2J twenty  \ncolumns\nwarning: careful\n"
        "✓ done · first token 0.42 s · 123 tokens · 45.6 tokens/s · 3.1 s\n"
    )


def test_no_color_draws_without_colours() -> None:
    screen = Screen(40)
    plain = Console(
        file=screen.file, force_terminal=True, width=40, height=24, _environ={"NO_COLOR": "1"}
    )
    sink = LiveSink(plain, reasoning="hide", stats=True, clock=lambda: 0.0)
    sink.write(ev.Content("# Title\n\n`code` and [link](http://x)\n\n```python\nx = 1\n```\n"))
    sink.flush()
    sink.write(done())
    assert "\x1b[3" not in screen.file.getvalue()
    assert not screen.cursor_hidden


def test_a_terminal_with_an_old_encoding_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, "latin-1", write_through=True)
    old = Console(file=file, force_terminal=True, width=40, height=24, _environ={"TERM": "vt220"})
    sink = LiveSink(old, reasoning="hide", stats=True, clock=lambda: 0.0)
    sink.flush()
    sink.write(ev.Content("café 你\n\n| a |\n|---|\n| ✓ |\n"))
    sink.flush()
    sink.write(done())
    written = raw.getvalue().decode("latin-1")
    assert "café ?" in written
    assert "+ done - first token" in written
    assert "| connecting..." in written
