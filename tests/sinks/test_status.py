"""Claimed: one line says how things stand, at any time, and changes no more often than it must."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.flow import Key, Typed
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.questions import choice
from chatstream.sinks.status import BAR_CELLS, SPINNER, Status, bar
from chatstream.sinks.theme import THEMES, Theme

DARK = THEMES["dark"]
NONE = Style.null()
PLAIN = DARK._replace(dim=NONE, success=NONE, warning=NONE, failure=NONE, tool=NONE)
DONE = ev.Done(finish_reason="stop", stats=ev.Stats(2.0, 3), attempts=1)
ERROR = ev.Error("cancelled", "stopped", recoverable=True, partial=True)


class Run:
    """A status, and the time."""

    def __init__(self, theme: Theme = DARK, *, keys: bool = False) -> None:
        self.now = 50.0
        self.status = Status(theme, self.now, keys=keys)

    def note(self, *events: ev.Event, after: float = 0.0) -> None:
        self.now += after
        for event in events:
            self.status.note(event, self.now)

    def line(self, after: float = 0.0) -> Line | None:
        self.now += after
        return self.status.line(self.now)

    def text(self, after: float = 0.0) -> str | None:
        line = self.line(after)
        return None if line is None else text_of(line)

    def words(self, after: float = 0.0) -> str:
        """What the line says beside its spinner."""
        text = self.text(after)
        assert text is not None
        assert text[0] in SPINNER
        return text[2:]


def tokens(run: Run, count: int, *, every: float, start: float = 0.0) -> None:
    """Content whose own times are `every` seconds apart, all taken at once."""
    for number in range(count):
        run.note(ev.Content("x", t=start + number * every))


def retry(delay: float = 3.0, **fields: Any) -> ev.Retry:
    given = {"action": "reset", "cause": "the server is overloaded", "emitted_chars": 0, **fields}
    return ev.Retry(attempt=2, max=4, delay=delay, **given)


def test_a_run_begins_with_connecting_and_counts_from_one_second() -> None:
    run = Run()
    assert run.words() == "connecting…"
    assert run.words(0.99) == "connecting…"
    assert run.words(0.01) == "connecting… 1 s"
    assert run.words(9.5) == "connecting… 10 s"


def test_the_spinner_turns_ten_times_a_second() -> None:
    run = Run()
    run.now += 0.05
    assert "".join((run.text(0.1) or "")[0] for _ in range(10)) == SPINNER[1:] + SPINNER[0]


def test_the_head_of_a_response_begins_the_wait_for_its_first_token() -> None:
    run = Run()
    run.note(ev.Metadata(version=1), after=2)
    assert run.words() == "connecting… 2 s"
    run.note(ev.Metadata(provider="p"))
    assert run.words() == "waiting for the first token…"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ev.Waiting("connect", 3.0), "connecting… 3 s"),
        (ev.Waiting("connect", 3.0, 10.0), "connecting… 3 s of 10 s"),
        (ev.Waiting("first_token", 12.4, 300.0), "waiting for the first token… 12 s of 300 s"),
        (ev.Waiting("first_token", 0.5, 2.5), "waiting for the first token…"),
        (ev.Waiting("first_token", 1.5, 2.5), "waiting for the first token… 1 s of 2.5 s"),
        (ev.Waiting("first_token", 12.0, alive=True), "waiting for the first token… 12 s · alive"),
        (ev.Waiting("between_tokens", 5.0, 120.0), "waiting for the next token… 5 s of 120 s"),
        (
            ev.Waiting("between_tokens", 12.0, 120.0, alive=True),
            "waiting for the next token… 12 s of 120 s · alive, last token 12 s ago",
        ),
        (ev.Waiting("between_tokens", 0.5, alive=True), "waiting for the next token… · alive"),
    ],
)
def test_a_wait_tells_its_phase_its_time_its_limit_and_signs_of_life(
    event: ev.Waiting, words: str
) -> None:
    run = Run()
    run.note(event)
    assert run.words() == words


def test_the_seconds_of_a_wait_run_on_between_its_events() -> None:
    run = Run()
    run.note(ev.Waiting("between_tokens", 12.0, alive=True))
    assert run.words(2.5) == "waiting for the next token… 14 s · alive, last token 14 s ago"


def test_a_retry_is_counted_down_with_its_cause_and_then_connects() -> None:
    run = Run()
    run.note(retry(2.5))
    assert run.words() == "retrying in 3 s: the server is overloaded, attempt 2 of 4"
    assert run.words(2.4) == "retrying in 1 s: the server is overloaded, attempt 2 of 4"
    assert run.words(0.1) == "connecting…"
    assert run.words(1.2) == "connecting… 1 s"


def test_a_retry_that_keeps_the_text_goes_on() -> None:
    run = Run()
    run.note(retry(action="continue", cause="cut\noff", emitted_chars=9))
    assert run.words() == "continuing in 3 s: cut off, attempt 2 of 4"


def test_a_retry_without_a_pause_connects_at_once() -> None:
    run = Run()
    run.note(retry(0.0))
    assert run.words() == "connecting…"


def test_another_model_is_asked_by_name() -> None:
    run = Run()
    run.note(ev.Fallback("a", "b", "busy"))
    assert run.words(2.0) == "asking b… 2 s"


def test_tokens_are_counted_and_their_rate_is_told_after_a_second() -> None:
    run = Run()
    tokens(run, 1, every=0)
    assert run.text() == "1 token"
    tokens(run, 40, every=0.02, start=0.02)  # until 0.8
    assert run.text(1.0) == "41 tokens"
    tokens(run, 60, every=0.02, start=0.82)  # until 2.0
    assert run.text(1.0) == "101 tokens · 50 tokens/s"


def test_a_slow_rate_has_a_decimal() -> None:
    run = Run()
    tokens(run, 5, every=0.8)
    assert run.text() == "5 tokens · 1.2 tokens/s"


def test_the_rate_goes_by_the_times_of_the_events_and_else_by_those_given() -> None:
    by_events, by_now = Run(), Run()
    tokens(by_events, 101, every=0.1, start=7.0)
    for _ in range(101):
        by_now.note(ev.Content("x"), after=0.1)
    assert by_events.text() == by_now.text() == "101 tokens · 10 tokens/s"


def test_reasoning_counts_as_tokens_of_the_run() -> None:
    run = Run()
    run.note(*(ev.Reasoning("x", t=float(n)) for n in range(20)))
    run.note(ev.Content("x", t=20.0))
    assert run.text() == "21 tokens · 1.0 tokens/s"


def test_the_streaming_line_is_equal_for_a_second_and_turns_no_spinner() -> None:
    run = Run()
    changes = []
    before = None
    for number in range(100):  # ten seconds, drawn each tenth
        run.note(ev.Content("x", t=number / 10), after=0.1)
        line = run.line()
        if line != before:
            changes.append(run.now)
        before = line
    gaps = [after - at for at, after in pairwise(changes)]
    assert len(changes) == 10
    assert min(gaps) >= 1.0 - 1e-9


def test_the_figures_rest_where_no_tokens_come_and_then_have_counted_all() -> None:
    run = Run()
    run.note(ev.Content("x", t=0.0))
    assert run.text() == "1 token"
    run.note(ev.Content("x", t=0.1), ev.Content("x", t=2.1), after=0.1)
    assert run.text() == "1 token"
    rested = run.line(1.0)
    assert rested is not None
    assert text_of(rested) == "3 tokens · 1.0 tokens/s"
    assert all(run.line(0.7) == rested for _ in range(20))


def test_the_keys_are_told_at_the_end_of_the_streaming_line_only_where_there_are_any() -> None:
    run = Run(keys=True)
    assert run.words() == "connecting…"
    run.note(ev.Content("x"))
    line = run.line()
    assert line is not None
    assert text_of(line) == "1 token · space pauses · Esc stops"
    assert line[-1].style == DARK.dim


def test_an_answer_that_starts_over_counts_anew() -> None:
    run = Run()
    tokens(run, 30, every=0.1)
    run.note(retry(0.0))
    tokens(run, 2, every=0.1)
    assert run.text() == "2 tokens"
    run.note(ev.Metadata(restart=True))
    tokens(run, 1, every=0.1)
    assert run.text() == "1 token"


def test_an_answer_that_goes_on_keeps_its_count_and_measures_the_new_response_alone() -> None:
    run = Run()
    tokens(run, 30, every=0.1)
    run.note(retry(60.0, action="continue", emitted_chars=9), ev.Metadata())
    tokens(run, 11, every=0.2, start=100.0)
    assert run.text() == "41 tokens · 5.0 tokens/s"


def test_text_from_before_the_response_does_not_slow_the_rate() -> None:
    run = Run()
    run.note(ev.Content("the text that is continued", t=0.0), ev.Metadata(t=30.0))
    tokens(run, 21, every=0.1, start=40.0)
    assert run.text() == "22 tokens · 10 tokens/s"


def test_thinking_tells_its_seconds_and_its_own_tokens() -> None:
    run = Run()
    run.note(ev.Reasoning("a"))
    assert run.words() == "thinking… · 1 token"
    run.note(*[ev.Reasoning("b")] * 339, after=12.3)
    assert run.words() == "thinking… 12 s · 340 tokens"
    run.note(ev.Content("a"), ev.Reasoning("another thought"), after=1)
    assert run.words() == "thinking… · 1 token"


def test_a_wait_within_a_thought_does_not_end_it() -> None:
    run = Run()
    run.note(ev.Reasoning("a"))
    run.note(ev.Waiting("between_tokens", 4.0), after=4)
    assert run.words() == "waiting for the next token… 4 s"
    run.note(ev.Reasoning("b"), after=1)
    assert run.words() == "thinking… 5 s · 2 tokens"


def test_a_call_that_is_written_is_told_by_its_name() -> None:
    run = Run()
    run.note(ev.ToolCallDelta("1", "find\x1b\n", "{"))
    run.note(ev.ToolCallDelta("1", "find\x1b\n", "}"), after=2.2)
    assert run.words() == "writing a call to find␛… 2 s"
    run.note(ev.ToolCallDelta("2", "weather", ""))
    assert run.words() == "writing a call to weather…"


@pytest.mark.parametrize(
    "event", [ev.ToolCall("1", "f", "{}"), ev.ToolStart("1", "f"), ev.Image(data="AAAA")]
)
def test_a_tool_or_an_image_speaks_for_itself(event: ev.Event) -> None:
    run = Run()
    run.note(ev.Content("x"), event)
    assert run.line() is None


def test_while_tools_run_the_line_tells_how_to_stop_them() -> None:
    run = Run(keys=True)
    run.note(ev.ToolStart("1", "f"))
    assert run.text() == "x stops the tools · Esc stops"
    run.note(ev.ToolStart("2", "f"), ev.ToolProgress("2", "f", 3.0), ev.ToolOutput("1", "f", "x"))
    assert run.text() == "x stops the tools · Esc stops"
    run.note(Key("typing"))
    assert run.text() == "Ctrl+C stops"
    run.note(Key("continue"), ev.ToolComplete("1", "f", "", 1.0))
    assert run.text() == "x stops the tools · Esc stops"
    run.note(ev.ToolComplete("2", "f", "", 1.0))
    assert run.text() is None


def test_after_the_tools_the_next_answer_is_waited_for() -> None:
    run = Run()
    run.note(ev.ToolStart("1", "f"))
    assert run.text() is None
    run.note(ev.ToolError("1", "f", "no", 1.0))
    assert run.text() is None  # another tool may start at once
    assert run.words(after=0.5) == "connecting…"
    run.note(ev.Metadata(model="m"))
    assert run.words() == "waiting for the first token…"


@pytest.mark.parametrize("keys", [True, False])
def test_a_question_is_the_line_until_it_is_answered(keys: bool) -> None:
    run = Run(keys=keys)
    question = ev.Approval("1", "f", "ask", "default")
    run.note(ev.ToolCall("1", "f", "{}"), question)
    assert run.text() == choice(question) + (" · Esc stops" if keys else "")
    assert run.status.asks
    run.note(ev.Approval("1", "f", "deny", "user"))
    assert not run.status.asks
    assert run.text() is None


def test_a_question_throws_away_what_was_typed_and_keys_count_again() -> None:
    run = Run(keys=True)
    run.note(Key("typing"), ev.Approval("1", "f", "ask", "default"))
    run.note(ev.Approval("1", "f", "allow", "user"), ev.ToolStart("1", "f"))
    assert run.text() == "x stops the tools · Esc stops"


def test_a_dry_run_asks_nothing() -> None:
    run = Run()
    run.note(ev.ToolCall("1", "f", "{}"), ev.Approval("1", "f", "ask", "dry_run"))
    assert run.text() is None


def test_what_an_earlier_run_did_changes_nothing() -> None:
    run = Run(keys=True)
    earlier: list[ev.Event] = [
        ev.Metadata(model="m"),
        ev.Content("old"),
        ev.Approval("1", "f", "ask", "default"),
        ev.ToolStart("1", "f"),
    ]
    for event in earlier:
        event.replayed = True
        run.note(event)
        assert run.words() == "connecting…"


@pytest.mark.parametrize("end", [DONE, ERROR])
def test_the_end_closes_a_question(end: ev.Event) -> None:
    run = Run()
    run.note(ev.Approval("1", "f", "ask", "default"), end)
    assert run.line() is None


@pytest.mark.parametrize("end", [DONE, ERROR])
def test_the_end_is_silent_also_in_a_pause(end: ev.Event) -> None:
    run = Run()
    run.note(ev.Content("x"), Key("pause"), end)
    assert run.line() is None


@pytest.mark.parametrize(
    "event", [ev.Usage(), ev.Warn("c", "odd"), ev.Citation("https://a.example/"), Key("reasoning")]
)
def test_what_is_said_elsewhere_changes_nothing(event: ev.Event) -> None:
    run = Run()
    run.note(ev.Content("x"))
    before = run.line()
    run.note(event)
    assert run.line() == before


PROGRESS: list[tuple[ev.Progress, str]] = [
    (
        ev.Progress("pulling model", 0.0, percentage=45.0, eta=11.2),
        "pulling model ━━━━━━━━━╺━━━━━━━━━━ 45 % · 12 s left",
    ),
    (ev.Progress("pull", 3.0, 40.0), "pull ━╸━━━━━━━━━━━━━━━━━━ 3/40"),
    (ev.Progress("pull", 1.5, 20.0), "pull ━╸━━━━━━━━━━━━━━━━━━ 1.5/20"),
    (ev.Progress("pull", 0.0, percentage=0.0), "pull ━━━━━━━━━━━━━━━━━━━━ 0 %"),
    (ev.Progress("pull", 0.0, percentage=99.9, eta=0.0), "pull ━━━━━━━━━━━━━━━━━━━╸ 99 %"),
    (ev.Progress("pull", 5.0, 10.0, eta=float("inf")), f"pull {'━' * 10}╺{'━' * 9} 5/10"),
    (ev.Progress("pull", 9.0, 9.0, 100.0), "pull ━━━━━━━━━━━━━━━━━━━━ 100 %"),
    (
        ev.Progress("pull", 0.0, percentage=500.0, message="layer {3}"),
        "pull ━━━━━━━━━━━━━━━━━━━━ 100 % · layer {3}",
    ),
    (ev.Progress("pull", 0.0, percentage=-5.0), "pull ━━━━━━━━━━━━━━━━━━━━ 0 %"),
    (
        ev.Progress("a\nb\x1b", 4661211808.0, 9322423616.0),
        f"a b␛ {'━' * 10}╺{'━' * 9} 4661211808/9322423616",
    ),
]


@pytest.mark.parametrize(("event", "text"), PROGRESS)
def test_progress_is_a_bar(event: ev.Progress, text: str) -> None:
    run = Run()
    run.note(event)
    assert run.text() == text


@pytest.mark.parametrize("total", [None, 0.0])
def test_progress_towards_no_known_end_is_a_spinner(total: float | None) -> None:
    run = Run()
    run.note(ev.Progress("pulling manifest", 1.0, total))
    run.note(ev.Progress("pulling manifest", 2.0, total, message="50 {%} of it"), after=3.1)
    assert run.words() == "pulling manifest… 3 s · 50 {%} of it"


@pytest.mark.parametrize("share", [-1.0, 0.0, 0.024, 0.025, 0.5, 0.52, 0.999, 1.0, 7.0])
@pytest.mark.parametrize("theme", [DARK, PLAIN])
def test_a_bar_is_always_as_wide(share: float, theme: Theme) -> None:
    assert len(text_of(bar(share, theme))) == BAR_CELLS


def test_a_bar_that_cannot_be_dim_is_empty_where_it_is_not_done() -> None:
    assert text_of(bar(0.125, PLAIN)) == "━━╸" + " " * 17


def test_a_bar_that_is_not_a_number_is_empty() -> None:
    assert bar(float("nan"), DARK) == bar(0.0, DARK)


def test_a_pause_is_told_until_it_ends_whatever_comes_in_it() -> None:
    run = Run()
    run.note(ev.Content("x"), Key("pause"))
    paused = "paused · space resumes · Esc stops"
    assert run.text() == paused
    run.note(ev.Content("y"), Key("suspend"), Key("continue"), ev.Waiting("between_tokens", 3.0))
    assert run.text(60) == paused
    run.note(Key("go_on"), ev.Content("z"))
    assert run.text() == "3 tokens"


def test_after_a_pause_the_figures_stay_until_a_token_comes() -> None:
    run = Run()
    tokens(run, 21, every=0.1)
    before = run.line()
    run.note(Key("pause"), Key("go_on"))
    assert run.line(5) == before


@pytest.mark.parametrize("keys", [[Key("pause"), Key("go_on")], [Key("suspend"), Key("continue")]])
def test_the_time_of_a_pause_or_stop_does_not_slow_the_rate(keys: list[ev.Event]) -> None:
    run = Run()
    tokens(run, 21, every=0.1)
    run.note(*keys, after=60.0)
    tokens(run, 21, every=0.1, start=62.0)
    assert run.text() == "42 tokens · 10 tokens/s"


WORDS = st.text(max_size=20) | st.sampled_from(
    ["\x1b[2J", "a\nb", "\x9b\r\n", "{0}", "\ud800", "\u202e"]
)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
MAYBE = st.none() | FINITE
PHASES: list[Literal["connect", "first_token", "between_tokens"]] = [
    "connect",
    "first_token",
    "between_tokens",
]
ANY_EVENT: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(ev.Content, WORDS, t=FINITE),
    st.builds(ev.Reasoning, WORDS, t=FINITE),
    st.builds(ev.ToolCallDelta, WORDS, WORDS, WORDS),
    st.builds(ev.ToolCall, WORDS, WORDS, WORDS),
    st.builds(ev.ToolStart, WORDS, WORDS),
    st.builds(ev.Waiting, st.sampled_from(PHASES), FINITE, MAYBE, st.booleans()),
    st.builds(ev.Progress, WORDS, FINITE, total=MAYBE, percentage=MAYBE, message=WORDS, eta=MAYBE),
    st.builds(
        ev.Retry,
        attempt=st.integers(),
        max=st.integers(),
        delay=FINITE,
        cause=WORDS,
        action=st.sampled_from(["reset", "continue"]),
    ),
    st.builds(ev.Fallback, WORDS, WORDS, WORDS),
    st.builds(ev.Image, WORDS, WORDS, WORDS),
    st.builds(ev.Metadata, restart=st.booleans(), version=st.none() | st.just(1)),
    st.builds(Key, st.sampled_from(["pause", "go_on", "reasoning", "suspend", "continue"])),
    st.sampled_from([DONE, ERROR, ev.Usage(), ev.Warn("c", "\x1b")]),
)


def is_clean(line: Line) -> bool:
    """No character that drives a terminal, and no line end or tab."""
    text = text_of(line)
    return clean(text) == text and not set(text) & {"\n", "\t"}


@given(
    st.lists(st.tuples(ANY_EVENT, st.floats(0, 3))),
    st.sampled_from([DARK, PLAIN]),
    st.booleans(),
)
def test_no_order_of_events_breaks_the_line(
    events: list[tuple[ev.Event, float]], theme: Theme, keys: bool
) -> None:
    run = Run(theme, keys=keys)
    for event, after in events:
        run.note(event)
        line = run.line(after)
        assert line is None or (text_of(line) and is_clean(line))


@pytest.mark.parametrize(
    "event",
    [
        ev.ToolCallDelta("1", "n" * 1_000_000, ""),
        ev.Progress("n" * 1_000_000, 1.0, message="m" * 1_000_000),
        retry(cause="c" * 1_000_000),
        ev.Fallback("a", "b" * 1_000_000, "c"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_remote_words_of_any_length_make_a_short_line(event: ev.Event) -> None:
    run = Run()
    run.note(event)
    assert len(run.text() or "") < 500


def test_what_is_typed_for_later_changes_what_the_keys_are_for() -> None:
    run = Run(keys=True)
    run.note(ev.Content("a"))
    run.note(Typed(queued=[], draft=""))
    assert run.text() == "1 token · space pauses · Esc stops"
    run.note(Typed(queued=[], draft="a"))
    assert run.text() == "1 token · Ctrl+C stops"
    run.note(Key(pressed="continue"))
    assert run.text() == "1 token · Ctrl+C stops"
    run.note(Key(pressed="pause"))
    assert run.text() == "paused · space on an empty line resumes · Ctrl+C stops"
    run.note(Typed(queued=["a"], draft=""))
    assert run.text() == "paused · space resumes · Ctrl+C stops"
    run.note(Typed(queued=[], draft=""))
    assert run.text() == "paused · space resumes · Esc stops"


def test_a_question_says_that_a_line_that_has_begun_comes_first() -> None:
    run = Run(keys=True)
    run.note(Typed(queued=[], draft="my next"))
    run.note(ev.Approval("1", "f", "ask", "default"))
    assert run.text() == "Run it? First Enter queues your line, or Ctrl+U deletes it"
    run.note(Typed(queued=["my next"], draft=""))
    assert (run.text() or "").startswith("Run it? y yes")


def test_where_letters_are_text_another_key_stops_the_tools() -> None:
    run = Run(keys=True)
    run.note(Typed(queued=[], draft=""))
    run.note(ev.ToolStart("1", "look", {}))
    assert run.text() == "Ctrl+K stops the tools · Ctrl+C stops"
