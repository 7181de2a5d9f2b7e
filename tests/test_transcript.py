"""Claimed: the events of a run make its messages, and a restart drops what came before."""

from __future__ import annotations

from typing import Literal

import pytest
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.messages import Message, Part, ProviderData, Reasoning, Text, ToolCall, ToolResult
from chatstream.transcript import Transcript

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(0.0, 0), attempts=1)
ERROR = ev.Error("c", "m", recoverable=True, partial=True)
USAGE = ev.Usage(output_tokens=2)


def added(*events: ev.Event) -> Transcript:
    whole = Transcript()
    for event in events:
        whole.add(event)
    return whole


def again(action: Literal["reset", "continue"]) -> ev.Retry:
    return ev.Retry(attempt=2, max=2, delay=0.0, cause="c", action=action)


def test_an_answer_is_its_deltas_joined() -> None:
    whole = added(
        ev.Metadata(),
        ev.Reasoning("r"),
        ev.Content("a"),
        ev.Reasoning("s"),
        ev.Content("é\n"),
        ev.ToolCallDelta("i", "n", "{"),
        ev.ToolCall("i", "n", "{}"),
        ev.ToolCall("j", "n", "{}"),
        DONE,
    )
    assert (whole.message.content, whole.message.reasoning) == ("aé\n", "rs")
    assert whole.message.tool_calls == [ToolCall("i", "n", "{}"), ToolCall("j", "n", "{}")]
    assert whole.message.complete


def test_nothing_is_an_empty_message_that_is_not_complete() -> None:
    assert Transcript().message == Message("assistant", complete=False)


@pytest.mark.parametrize(("end", "complete"), [((), False), ((ERROR,), False), ((DONE,), True)])
def test_an_answer_is_complete_only_once_it_is_done(
    end: tuple[ev.Event, ...], complete: bool
) -> None:
    whole = added(ev.Content("a"), *end)
    assert (whole.message.content, whole.message.complete) == ("a", complete)
    assert whole.terminal == (end[0] if end else None)


def test_the_fields_can_be_read_at_any_time() -> None:
    whole = added(ev.Content("a"))
    early = whole.message
    whole.add(ev.Content("b"))
    assert (early.content, whole.message.content) == ("a", "ab")


@pytest.mark.parametrize("restart", [ev.Metadata(restart=True), again("reset")])
def test_a_restart_drops_what_came_before(restart: ev.Event) -> None:
    before = [ev.Content("a"), ev.Reasoning("r"), ev.ToolCall("i", "n", "{}"), USAGE]
    whole = added(*before, restart, ev.Content("b"))
    assert whole.message == Message("assistant", "b", complete=False)
    assert whole.usage is None


@pytest.mark.parametrize("event", [ev.Metadata(), again("continue"), ev.Warn("c", "m")])
def test_nothing_else_drops_anything(event: ev.Event) -> None:
    whole = added(ev.Content("a"), USAGE, event, ev.Content("b"))
    assert (whole.message.content, whole.usage) == ("ab", USAGE)


def test_the_last_usage_holds() -> None:
    assert added(ev.Usage(output_tokens=1), USAGE).usage == USAGE


# ---- parts and rounds of tools

WHO = ev.Metadata(provider="anthropic", model="m", base_url="https://a.example")
SIGNATURE = {"type": "thinking", "signature": "s1"}
GIVEN = ProviderData("anthropic", SIGNATURE, "https://a.example")
FIRST, SECOND = ToolCall("1", "add", "{}"), ToolCall("2", "multiply", "{}")
ROUND = [
    WHO,
    ev.Content("let me see"),
    ev.ToolCall("1", "add", "{}"),
    ev.ToolCall("2", "multiply", "{}"),
    ev.Usage(input_tokens=10, output_tokens=2),
    ev.ToolStart("1", "add"),
    ev.ToolStart("2", "multiply"),
    ev.ToolError("2", "multiply", "no numbers", 0.1),
    ev.ToolComplete("1", "add", "3", 0.2),
]
SETTLED = [
    Message("assistant", ["let me see", FIRST, SECOND]),
    Message(
        "tool",
        [ToolResult("1", "add", "3"), ToolResult("2", "multiply", "no numbers", is_error=True)],
    ),
]


def test_parts_stand_in_the_order_they_came() -> None:
    whole = added(
        ev.Content("a"),
        ev.Reasoning("b"),
        ev.Reasoning("c"),
        ev.ToolCallDelta("1", "add", "{"),
        ev.Content("d"),
        ev.Content("e"),
        ev.ToolCall("1", "add", "{}"),
        DONE,
    )
    assert whole.message == Message("assistant", ["a", Reasoning("bc"), FIRST, "de"])


def test_a_call_that_broke_off_is_no_part() -> None:
    whole = added(ev.Content("a"), ev.ToolCallDelta("1", "add", "{"), ERROR)
    assert whole.message == Message("assistant", "a", complete=False)


def test_a_round_of_tools_is_two_messages_with_its_results_in_the_order_of_its_calls() -> None:
    whole = added(*ROUND)
    assert whole.messages == SETTLED
    assert added(*ROUND, WHO).messages == [*SETTLED, Message("assistant", complete=False)]
    whole = added(*ROUND, WHO, ev.Content("three"), DONE)
    assert whole.messages == [*SETTLED, Message("assistant", "three")]
    assert whole.message == Message("assistant", "three")


def test_what_follows_the_results_is_the_next_message_even_without_a_head() -> None:
    firsts: list[tuple[ev.Event, Part]] = [
        (ev.Content("a"), Text("a")),
        (ev.Reasoning("a"), Reasoning("a")),
        (ev.ToolCall("1", "add", "{}"), FIRST),
    ]
    for event, part in firsts:
        assert added(*ROUND, event, DONE).messages == [*SETTLED, Message("assistant", [part])]


def test_a_result_of_no_call_is_no_part() -> None:
    stray = ev.ToolComplete("9", "add", "3", 0.1)
    assert added(ev.Content("a"), stray, DONE).messages == [Message("assistant", "a")]


@pytest.mark.parametrize("restart", [ev.Metadata(restart=True), again("reset")])
def test_a_restart_leaves_what_is_settled(restart: ev.Event) -> None:
    whole = added(*ROUND, WHO, ev.Content("thr"), ev.Usage(output_tokens=5), restart)
    assert whole.messages == [*SETTLED, Message("assistant", complete=False)]
    assert whole.usage == ev.Usage(input_tokens=10, output_tokens=2)
    assert added(*ROUND, restart).messages == whole.messages


def test_the_usage_of_all_responses_adds_up() -> None:
    whole = added(
        *ROUND,
        WHO,
        ev.Usage(input_tokens=20, output_tokens=1),  # a running total
        ev.Usage(input_tokens=20, output_tokens=3, cost=0.5),
    )
    assert whole.usage == ev.Usage(input_tokens=30, output_tokens=5, cost=0.5)


# ---- what a server gave


def test_what_a_server_gave_is_kept_with_its_part_and_its_name() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "t"}}}
    whole = added(
        WHO,
        ev.Reasoning("one"),
        ev.ReasoningData(provider_data=SIGNATURE),
        ev.ReasoningData(provider_data={"type": "redacted_thinking", "data": "d"}),
        ev.Reasoning("two"),
        ev.Content("text"),
        ev.ReasoningData(provider_data=SIGNATURE),
        ev.ToolCall("1", "add", "{}", extra),
        DONE,
    )
    redacted = replace(GIVEN, data={"type": "redacted_thinking", "data": "d"})
    assert list(whole.message.parts) == [
        Reasoning("one", GIVEN),
        Reasoning("", redacted),
        Reasoning("two", GIVEN),  # though it came after the text
        Text("text"),
        ToolCall("1", "add", "{}", replace(GIVEN, data=extra)),
    ]


def test_each_response_gives_in_the_name_of_its_own_server() -> None:
    other = ev.Metadata(provider="openrouter", base_url="https://b.example")
    data = ev.ReasoningData(provider_data=SIGNATURE)
    whole = added(*ROUND, other, ev.Reasoning("hm"), data, ev.Metadata(attempt=2), DONE)
    signed = whole.messages[-1].parts
    assert added(WHO, data).message.parts == (Reasoning("", GIVEN),)
    assert added(*ROUND, other, ev.Reasoning("hm"), data).messages[-1].parts == (
        Reasoning("hm", replace(GIVEN, provider="openrouter", base_url="https://b.example")),
    )
    assert signed == (Reasoning("hm"),)  # another response went on with it


def test_an_answer_that_was_continued_keeps_nothing_with_its_reasoning() -> None:
    data = ev.ReasoningData(provider_data=SIGNATURE)
    half = [WHO, ev.Reasoning("hm"), data, ev.Content("a")]
    after_a_break = added(*half, again("continue"), WHO, data, ev.Content("b"), DONE)
    in_another_run = added(ev.Metadata(continues="1"), ev.Content("a"), WHO, data, DONE)
    assert list(after_a_break.message.parts) == [Reasoning("hm"), Text("ab")]
    assert list(in_another_run.message.parts) == [Text("a")]


def test_what_nobody_is_known_to_have_given_is_not_kept() -> None:
    assert added(ev.ReasoningData(provider_data=SIGNATURE)).message.parts == ()


def test_a_result_is_foreign_where_others_write_what_the_tool_puts_out() -> None:
    start = ev.ToolStart("1", "add", foreign=True)
    whole = added(*ROUND[:5], start, *ROUND[6:])
    results = whole.messages[1]
    assert [it.foreign for it in results.parts if isinstance(it, ToolResult)] == [True, False]
    assert results.foreign
    assert not SETTLED[1].foreign
