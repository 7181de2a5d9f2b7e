"""Claimed: each call is one line for good, in the order of the calls, whatever came before; what is
live fits into its rows; nothing else grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.status import SPINNER
from chatstream.sinks.theme import THEMES, Theme
from chatstream.sinks.tools import MAX_LINE_CHARACTERS, SHOWN_LINES, Tools

DARK = THEMES["dark"]
NONE = Style.null()
PLAIN = DARK._replace(dim=NONE, success=NONE, warning=NONE, failure=NONE, tool=NONE)
DONE = ev.Done(finish_reason="tool_calls", stats=ev.Stats(2.0, 3), attempts=1)
ERROR = ev.Error("cancelled", "stopped", recoverable=True, partial=True)
COMPLETE = ev.ToolComplete("1", "weather", "sunny", 1.23)
FAILED = ev.ToolError("1", "weather", "timed out", 0.3)


ROWS = 60


class Desk:
    """The tools of a run, the time, and what was printed for good."""

    def __init__(self, theme: Theme = DARK) -> None:
        self.now = 0.0
        self.tools = Tools(theme)
        self.printed: list[str] = []

    def note(self, *events: ev.Event) -> None:
        for event in events:
            self.printed += texts(self.tools.note(event, self.now))

    def live(self, after: float = 0.0) -> list[str]:
        self.now += after
        return texts(self.tools.lines(self.now, 80, ROWS))


def texts(lines: Iterable[Line]) -> list[str]:
    return [text_of(line) for line in lines]


def start(number: int = 1, name: str = "weather", **parameters: Any) -> ev.ToolStart:
    return ev.ToolStart(str(number), name, parameters)


def output(delta: str) -> ev.ToolOutput:
    return ev.ToolOutput("1", "weather", delta)


def test_a_tool_is_a_spinner_with_its_parameters_and_seconds() -> None:
    desk = Desk()
    desk.note(start(city="Köln"))
    assert desk.live() == [f"{SPINNER[0]} weather(city: Köln)…"]
    assert desk.live(0.1) == [f"{SPINNER[1]} weather(city: Köln)…"]
    assert desk.live(3.1) == [f"{SPINNER[2]} weather(city: Köln)… 3 s"]
    assert desk.printed == []


def test_a_tool_that_tells_how_far_it_is_has_a_bar_and_its_message() -> None:
    desk = Desk()
    desk.note(start(city="Köln"), ev.ToolProgress("1", "weather", 12.5))
    assert desk.live() == [f"⚙ weather(city: Köln) ━━╸{'━' * 17} 12 %"]
    desk.note(ev.ToolProgress("1", "weather", 130.0, "almost\n{done}\x1b"))
    assert desk.live() == [f"⚙ weather(city: Köln) {'━' * 20} 100 % · almost {{done}}␛"]
    desk.note(ev.ToolProgress("1", "weather", None, "only words"))
    assert desk.live() == [f"⚙ weather(city: Köln) {'━' * 20} 100 % · only words"]


def test_a_bar_tells_the_time_that_is_left_once_that_is_known() -> None:
    desk = Desk()
    desk.note(start(), ev.ToolProgress("1", "weather", 50.0, "reading", eta=11.2))
    assert desk.live() == [f"⚙ weather {'━' * 10}╺{'━' * 9} 50 % · 12 s left · reading"]


def test_a_tool_that_only_says_what_it_does_keeps_its_spinner() -> None:
    desk = Desk()
    desk.note(start(), ev.ToolProgress("1", "weather", message="asking"))
    assert desk.live(2.0) == [f"{SPINNER[0]} weather… 2 s · asking"]


@pytest.mark.parametrize("progress", [None, 50.0])
def test_a_tool_that_is_being_stopped_says_so_instead_of_how_far_it_is(
    progress: float | None,
) -> None:
    desk = Desk()
    desk.note(start(), ev.ToolProgress("1", "weather", progress))
    desk.note(ev.ToolProgress("1", "weather", message="stopping"))
    assert desk.live(2.0) == [f"{SPINNER[0]} weather… 2 s · stopping…"]


def test_a_tool_that_ends_well_is_one_line_and_its_output_is_gone() -> None:
    desk = Desk()
    desk.note(start(city="Köln"), output("one\ntwo\n"), COMPLETE)
    assert desk.printed == ["✓ weather(city: Köln) · 1.2 s"]
    assert desk.live() == []


def test_a_tool_that_fails_is_one_line_with_the_reason() -> None:
    desk = Desk()
    desk.note(start(city="Köln"), FAILED)
    assert desk.printed == ["✗ weather(city: Köln) · 0.3 s · failed: timed out"]
    assert desk.live() == []


def test_success_and_failure_have_their_colours() -> None:
    done, failed = (Tools(DARK).note(event, 0.0)[0] for event in (COMPLETE, FAILED))
    assert done[0] == ("✓ ", DARK.success, None)
    assert failed[0] == ("✗ ", DARK.failure, None)
    assert failed[-1] == (" · failed: timed out", DARK.failure, None)


ENDS: list[tuple[ev.ToolComplete | ev.ToolError, str]] = [
    (ev.ToolComplete("1", "f", "", 1.0, exit_status=0), "✓ f · 1.0 s"),
    (ev.ToolComplete("1", "f", "", 1.0, exit_status=2), "✗ f · 1.0 s · exit status 2"),
    (
        ev.ToolError("1", "f", "OSError: no", 1.0, code="raised"),
        "✗ f · 1.0 s · failed: OSError: no",
    ),
    (
        ev.ToolError("1", "f", "not run: the user denied it", 0.0, "denied", "denied"),
        "⊘ f · not run: the user denied it",
    ),
    (ev.ToolError("1", "f", "by a rule", 0.0, "denied"), "⊘ f · denied: by a rule"),
    (
        ev.ToolError("1", "f", "the user stopped it", 1.0, "stopped", "stopped"),
        "■ f · 1.0 s · the user stopped it",
    ),
    (
        ev.ToolError("1", "f", "it may have", 0.0, "unknown", "interrupted"),
        "■ f · interrupted, outcome unknown",
    ),
    (
        ev.ToolError("1", "f", "it could not be stopped", 3.0, "unknown", "not_stopped"),
        "■ f · 3.0 s · outcome unknown: it could not be stopped",
    ),
]


@pytest.mark.parametrize(("end", "line"), ENDS)
def test_each_outcome_has_its_mark_and_its_words(
    end: ev.ToolComplete | ev.ToolError, line: str
) -> None:
    desk = Desk()
    desk.note(ev.ToolStart("1", "f"), end)
    assert desk.printed == [line]


def test_the_newest_lines_of_output_are_below_the_tool_and_dim() -> None:
    desk = Desk()
    desk.note(start(), *(output(f"line {n}\n") for n in range(5)))
    assert desk.live()[1:] == ["  line 2", "  line 3", "  line 4"]
    desk.note(output("op"), output("en"))
    assert desk.live()[1:] == ["  line 3", "  line 4", "  open"]
    assert all(segment.style == DARK.dim for segment in desk.tools.lines(0.0, 80, ROWS)[1])


def test_a_line_that_was_open_is_out_of_sight_after_many_more() -> None:
    desk = Desk()
    desk.note(start(), output("open"), output("1\n2\n3\n4\n"))
    assert desk.live()[1:] == ["  2", "  3", "  4"]
    desk.note(output("5\n"))
    assert desk.live()[1:] == ["  3", "  4", "  5"]


def test_output_without_any_text_has_no_line() -> None:
    desk = Desk()
    desk.note(start(), output(""))
    assert len(desk.live()) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_output_is_the_same_however_it_was_cut(size: int) -> None:
    text = "first\r\nsecond\rthird \x1b[2J\tend\n\nfifth"
    desk = Desk()
    desk.note(start(), *(output(text[at : at + size]) for at in range(0, len(text), size)))
    assert desk.live()[1:] == ["  third ␛[2J      end", "  ", "  fifth"]


def test_tools_run_side_by_side_in_the_order_of_their_start() -> None:
    desk = Desk()
    desk.note(start(1, "a"), start(2, "b"), start(3, "c"))
    desk.note(ev.ToolOutput("2", "b", "of b\n"), ev.ToolProgress("3", "c", 0.0))
    assert [line[2:] for line in desk.live()] == ["a…", "b…", "of b", f"c {'━' * 20} 0 %"]
    desk.note(ev.ToolComplete("2", "b", "", 0.5))
    assert [line[:3] for line in desk.live()] == [f"{SPINNER[0]} a", "✓ b", "⚙ c"]
    assert desk.printed == []
    desk.note(ev.ToolComplete("1", "a", "", 1.0))
    assert desk.printed == ["✓ a · 1.0 s", "✓ b · 0.5 s"]
    desk.note(ev.ToolComplete("3", "c", "", 2.0))
    assert desk.printed == ["✓ a · 1.0 s", "✓ b · 0.5 s", "✓ c · 2.0 s"]


def test_lines_come_in_the_order_of_the_calls_even_of_those_that_never_started() -> None:
    desk = Desk()
    desk.note(ev.ToolCall("1", "a", "{}"), ev.ToolCall("2", "b", "{}"), ev.ToolCall("3", "c", "{}"))
    desk.note(ev.ToolError("2", "b", "no such tool", 0.0), ev.ToolStart("3", "c"))
    desk.note(ev.ToolComplete("3", "c", "", 1.0), ev.ToolStart("1", "a"))
    assert desk.printed == []
    desk.note(ev.ToolComplete("1", "a", "", 2.0))
    assert desk.printed == ["✓ a · 2.0 s", "✗ b({}) · failed: no such tool", "✓ c · 1.0 s"]


@pytest.mark.parametrize("rows", range(20))
def test_no_more_rows_are_taken_than_there_are(rows: int) -> None:
    tools = Tools(DARK)
    for number in range(4):
        tools.note(start(number, "tool"), 0.0)
        tools.note(ev.ToolOutput(str(number), "tool", "a\nb\nc\nd\n"), 0.0)
    lines = texts(tools.lines(0.0, 80, rows))
    heads = [line for line in lines if "tool" in line]
    output = [line for line in lines if line.startswith("  ")]
    if rows >= 4:
        assert (len(heads), len(output)) == (4, min(4 * SHOWN_LINES, rows - 4))
        each, more = divmod(len(output), 4)  # the first ones have one more
        shares = [each + 1] * more + [each] * (4 - more)
        assert output == [f"  {it}" for share in shares for it in "bcd"[3 - share :]]
    else:
        assert len(lines) == rows
        assert lines[-1:] == [f"… {4 - (rows - 1)} more tools"] * (rows > 0)


def test_of_more_calls_than_rows_those_that_run_are_shown() -> None:
    tools = Tools(DARK)
    for number in range(5):
        tools.note(ev.ToolCall(str(number), "tool", "{}"), 0.0)
    tools.note(start(4, "tool"), 0.0)
    assert texts(tools.lines(0.0, 80, 3)) == ["⚙ tool({})", f"{SPINNER[0]} tool…", "… 3 more tools"]


@pytest.mark.parametrize("width", [20, 40, 80])
def test_the_bar_is_in_sight_however_long_the_call_is(width: int) -> None:
    tools = Tools(DARK)
    tools.note(start(city="x" * 200), 0.0)
    tools.note(ev.ToolProgress("1", "weather", 42.0, "reading"), 0.0)
    (line,) = texts(tools.lines(0.0, width, 5))
    assert "…" in line
    assert line.endswith(" 42 %")
    assert len(line) == max(width, 24)  # of a call a few letters stay


def test_a_call_that_is_cut_has_one_ellipsis() -> None:
    tools = Tools(DARK)
    tools.note(start(city="x" * 200), 0.0)
    assert texts(tools.lines(2.0, 30, 5)) == [f"{SPINNER[0]} weather(city: xxxxxxxx… 2 s"]


def test_what_an_earlier_run_did_is_told_as_its_and_never_runs() -> None:
    desk = Desk()
    earlier = [
        ev.ToolCall("1", "weather", "{}"),
        ev.Approval("1", "weather", "allow", "rule"),
        start(city="Köln"),
        output("sunny\n"),
    ]
    for event in (*earlier, end := ev.ToolComplete("1", "weather", "sunny", 1.23)):
        event.replayed = True
        desk.note(event)
        assert desk.live() == []
    assert end.replayed
    assert desk.printed == ["✓ weather(city: Köln) · 1.2 s · from the earlier run"]


def test_a_call_that_an_earlier_run_began_and_this_one_repeats_is_told_once() -> None:
    desk = Desk()
    begun = start(city="Köln")
    begun.replayed = True
    desk.note(begun)
    assert desk.live() == []
    desk.note(start(city="Köln"))
    assert desk.live() == [f"{SPINNER[0]} weather(city: Köln)…"]
    desk.note(COMPLETE)
    assert desk.printed == ["✓ weather(city: Köln) · 1.2 s"]


def test_a_dry_run_tells_what_would_be_done() -> None:
    desk = Desk()
    decisions: list[ev.Decision] = ["allow", "ask", "deny"]
    for number, decision in enumerate(decisions):
        desk.note(ev.ToolCall(str(number), "f", "{}"))
        desk.note(ev.Approval(str(number), "f", decision, "dry_run", {"a": 1}))
    assert desk.printed == [
        "⚙ f(a: 1) · would run",
        "? f(a: 1) · would run if you allow it",
        "⊘ f(a: 1) · would be denied",
    ]


def test_a_call_that_was_denied_is_shown_as_it_would_have_run() -> None:
    desk = Desk()
    desk.note(CALL, ev.Approval("1", "weather", "deny", "user", {"city": "Köln"}))
    desk.note(ev.ToolError("1", "weather", "denied by you", 0.0, "denied"))
    assert desk.printed == ["⊘ weather(city: Köln) · denied by you"]


def test_two_runs_with_one_id_and_name_end_one_after_the_other() -> None:
    desk = Desk()
    desk.note(start(city="Köln"), start(city="Bonn"), COMPLETE)
    assert desk.live() == [f"{SPINNER[0]} weather(city: Bonn)…"]
    desk.note(COMPLETE, COMPLETE)
    assert desk.printed == [
        "✓ weather(city: Köln) · 1.2 s",
        "✓ weather(city: Bonn) · 1.2 s",
        "✓ weather · 1.2 s",
    ]


def test_tools_without_ids_are_told_apart_by_their_names() -> None:
    desk = Desk()
    desk.note(ev.ToolStart("", "a", {"x": 1}), ev.ToolStart("", "b", {"x": 2}))
    desk.note(ev.ToolComplete("", "b", "", 1.0), ev.ToolComplete("", "a", "", 2.0))
    assert desk.printed == ["✓ a(x: 1) · 2.0 s", "✓ b(x: 2) · 1.0 s"]


def test_an_end_without_a_start_is_a_line_too() -> None:
    desk = Desk()
    desk.note(COMPLETE, FAILED)
    assert desk.printed == ["✓ weather · 1.2 s", "✗ weather · 0.3 s · failed: timed out"]


def test_what_comes_after_the_end_or_without_a_start_shows_nothing() -> None:
    desk = Desk()
    late = [output("late\n"), ev.ToolProgress("1", "weather", 50.0)]
    desk.note(*late, start(), COMPLETE, *late)
    assert desk.printed == ["✓ weather · 1.2 s"]
    assert desk.live() == []


@pytest.mark.parametrize("end", [DONE, ERROR])
def test_a_tool_that_still_runs_at_the_end_is_not_lost(end: ev.Event) -> None:
    desk = Desk()
    desk.note(start(city="Köln"))
    desk.live(2.5)
    desk.note(end)
    assert desk.printed == ["■ weather(city: Köln) · 2.5 s · not finished"]
    assert desk.live() == []


CALL = ev.ToolCall("1", "weather", '{"city": "Köln"}')
CALLED = '⚙ weather({"city": "Köln"})'


@pytest.mark.parametrize(
    "after",
    [
        DONE,
        ERROR,
        ev.Content("x"),
        ev.Reasoning("x"),
        ev.Retry(attempt=2, max=4, delay=3.0, cause="c", action="reset"),
        ev.Fallback("a", "b", "c"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_call_that_nobody_runs_is_live_and_then_a_line(after: ev.Event) -> None:
    desk = Desk()
    desk.note(CALL)
    assert (desk.live(), desk.printed) == ([CALLED], [])
    desk.note(ev.Usage(), ev.Waiting("between_tokens", 1.0), ev.ToolCallDelta("2", "b", "{"))
    assert (desk.live(), desk.printed) == ([CALLED], [])
    desk.note(after)
    assert (desk.live(), desk.printed) == ([], [CALLED])
    desk.note(after)
    assert desk.printed == [CALLED]


def test_a_call_that_is_run_is_told_once() -> None:
    desk = Desk()
    other = ev.ToolCall("2", "time", "{}")
    desk.note(CALL, other, start(city="Köln"))
    assert desk.live() == [f"{SPINNER[0]} weather(city: Köln)…", "⚙ time({})"]
    desk.note(COMPLETE)
    assert desk.live() == ["⚙ time({})"]
    desk.note(ev.Content("x"))
    assert desk.printed == ["✓ weather(city: Köln) · 1.2 s", "⚙ time({})"]


def test_a_call_that_ended_without_a_start_is_told_once() -> None:
    desk = Desk()
    desk.note(CALL, COMPLETE, DONE)
    assert desk.printed == ['✓ weather({"city": "Köln"}) · 1.2 s']


PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({}, "f"),
    ({"a": 1, "b": True, "c": None}, "f(a: 1, b: true, c: null)"),
    ({"a": "two\nlines\x1b[2J"}, "f(a: two lines␛[2J)"),
    ({"a": ["é", {"b": 1.5}]}, 'f(a: ["é", {"b": 1.5}])'),
    ({"a": "x" * 100}, f"f(a: {'x' * 40}…)"),
    ({"a": "\ud800", "b": ["\ud800"]}, 'f(a: \ufffd, b: ["\ufffd"])'),
    ({"a": object}, "f(a: \"<class 'object'>\")"),
    ({f"k{n}": n for n in range(9)}, f"f({', '.join(f'k{n}: {n}' for n in range(8))}, …)"),
]


@pytest.mark.parametrize(("parameters", "label"), PARAMETERS)
def test_parameters_are_short_and_on_one_line(parameters: dict[str, Any], label: str) -> None:
    desk = Desk()
    desk.note(ev.ToolStart("1", "f", parameters))
    assert desk.live() == [f"{SPINNER[0]} {label}…"]


def test_no_line_is_much_longer_than_two_hundred_characters() -> None:
    long = "x" * 1_000_000
    desk = Desk()
    desk.note(
        ev.ToolCall("1", long, long),
        ev.ToolStart("2", long, {long: long, "b": [long]}),
        ev.ToolProgress("2", long, 3.0, long),
        ev.ToolOutput("2", long, long),
    )
    live = desk.live()
    desk.note(ev.ToolComplete("2", long, long, 1.0), ev.ToolError("3", long, long, 1.0), DONE)
    assert len(live) == 3
    assert len(desk.printed) == 3
    assert max(map(len, live)) < 450  # a label, a bar and a message
    assert max(map(len, desk.printed)) < 300


def held(tools: Tools) -> int:
    """The characters that are kept for what was put out."""
    return sum(len(call._output) for call in tools._calls)


@pytest.mark.parametrize("delta", ["x", "line\n", "\n", "\r", "a\tb", "x" * 1000, "\n" * 1000])
def test_ten_thousand_outputs_are_held_as_a_few_lines(delta: str) -> None:
    desk = Desk()
    desk.note(start(), *[output(delta)] * 10_000)
    assert held(desk.tools) <= (SHOWN_LINES + 1) * (MAX_LINE_CHARACTERS + 1)
    assert len(desk.live()) <= 1 + SHOWN_LINES


@pytest.mark.parametrize("delta", ["x" * 1_000_000, "\n" * 1_000_000, "ab\n" * 300_000])
def test_an_output_of_a_megabyte_is_held_as_a_few_lines(delta: str) -> None:
    desk = Desk()
    desk.note(start(), output(delta), output("\nthe end"))
    assert held(desk.tools) <= (SHOWN_LINES + 1) * (MAX_LINE_CHARACTERS + 1)
    assert desk.live()[-1] == "  the end"


WORDS = st.text(max_size=12) | st.sampled_from(
    ["\x1b[2J", "a\nb", "\x9b\r\n", "{0}", "\ud800", "\u202e"]
)
IDS = st.sampled_from(["", "1", "2"])
NAMES = st.sampled_from(["a", "b\n", "\x1b"])
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES = st.recursive(
    st.none() | st.booleans() | FINITE | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
ANY_EVENT: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(ev.ToolCall, IDS, NAMES, WORDS),
    st.builds(ev.ToolStart, IDS, NAMES, st.dictionaries(WORDS, VALUES, max_size=3)),
    st.builds(ev.ToolProgress, IDS, NAMES, FINITE, st.none() | WORDS),
    st.builds(ev.ToolOutput, IDS, NAMES, WORDS),
    st.builds(ev.ToolComplete, IDS, NAMES, WORDS, FINITE),
    st.builds(ev.ToolError, IDS, NAMES, WORDS, FINITE),
    st.builds(ev.Content, WORDS),
    st.sampled_from([DONE, ERROR, ev.Usage(), ev.Reasoning("r")]),
)


def is_clean(text: str) -> bool:
    """No character that drives a terminal, and no line end or tab."""
    return clean(text) == text and not set(text) & {"\n", "\t"}


@given(st.lists(st.tuples(ANY_EVENT, st.floats(0, 3))), st.sampled_from([DARK, PLAIN]))
def test_in_any_order_each_end_is_one_line_and_each_line_is_clean(
    events: list[tuple[ev.Event, float]], theme: Theme
) -> None:
    tools = Tools(theme)
    now = 0.0
    told = ended = begun = called = 0
    for event, after in events:
        now += after
        lines = texts(tools.note(event, now))
        live = texts(tools.lines(now, 40, 10))
        assert len(live) <= 10
        assert all(map(is_clean, [*lines, *live]))
        ended += isinstance(event, ev.ToolComplete | ev.ToolError)
        begun += isinstance(event, ev.ToolStart)
        called += isinstance(event, ev.ToolCall)
        told += len(lines)
    told += len(tools.note(DONE, now))
    assert tools.lines(now, 40, 10) == []
    # No line is lost: each end has one, each start without an end has one; and a call has one
    # of its own unless it has one of those.
    assert max(begun, ended) <= told <= begun + ended + called
