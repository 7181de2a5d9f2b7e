"""Claimed: wherever a loop is cut, what was settled is kept, and no call that started is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream import events as ev
from chatstream import grammar
from chatstream.messages import Message, ProviderData, Reasoning, ToolCall, ToolResult
from chatstream.tools.settled import settled
from chatstream.transcript import Transcript
from tests.support.rounds import (
    BASE_URL,
    PROVIDER,
    READS,
    ROUNDS,
    Ask,
    Counting,
    Model,
    answer_of,
    answers,
    begins,
    continued,
    looped,
    results_of,
    stamped,
    whole_run,
)
from tests.support.sampling import examples


def messages_of(events: Sequence[ev.Event]) -> list[Message]:
    made = Transcript()
    for event in events:
        made.add(event)
    return made.messages


def starts(events: Sequence[ev.Event]) -> dict[str, int]:
    """How often each call was started, as far as events say it."""
    ids = [it.id for it in events if isinstance(it, ev.ToolStart)]
    return {call: ids.count(call) for call in ids}


def assert_continued(cut: Sequence[ev.Event], after: Sequence[ev.Event], runner: Counting) -> None:
    """The run went on from the cut, and did nothing twice."""
    grammar.check(after)
    began = starts(cut)
    for call, name in (("a", "add"), ("b", "look"), ("c", "add")):
        ended = {it.id for it in cut if isinstance(it, ev.ToolComplete)}
        again = name in READS and call in began and call not in ended
        expected = 0 if call in began and not again else 1
        assert runner.started[call] == expected, call
    made = messages_of(after)
    results = [it for message in made for it in results_of(message)]
    assert made[-1].content == answer_of(it.content for it in results)
    assert made[-1].complete
    lost = [it for it in after if isinstance(it, ev.ToolError)]
    assert [it.id for it in lost] == [it for it in began if it not in ended and it != "b"], (
        "what was started and has no end is unknown"
    )


EVENTS = whole_run()


@pytest.mark.parametrize("cut", range(1, len(EVENTS)))
def test_a_loop_that_is_cut_anywhere_goes_on(cut: int) -> None:
    before = whole_run()[:cut]
    runner = Counting(reads=READS)
    assert_continued(before, continued(before, runner), runner)


@pytest.mark.parametrize("cut", range(1, len(EVENTS)))
def test_the_next_journal_says_the_same_as_the_one_before(cut: int) -> None:
    first = settled(whole_run()[:cut])
    assert settled(begins(first)) == first
    assert messages_of(begins(first))[: len(first.begun.messages)] == first.begun.messages


@given(st.integers(1, len(EVENTS) - 1), st.integers(0, 40))
@settings(max_examples=examples(300), deadline=None)
def test_a_run_that_continues_one_and_is_cut_too_goes_on(first: int, second: int) -> None:
    runner = Counting(reads=READS)
    before = whole_run()[:first]
    between = continued(before, runner, second)
    if isinstance(between[-1], ev.Done):
        return
    known = Counting(reads=READS)
    after = continued(between, known)
    grammar.check(after)
    for call, name in (("a", "add"), ("c", "add")):
        total = starts(before).get(call, 0) + runner.started[call] + known.started[call]
        assert total == 1, (name, call)


def test_what_is_sent_again_is_byte_for_byte_what_came() -> None:
    model = Model(ROUNDS)
    list(looped(model, Counting()))
    sent = model.asked[-1].messages
    assert settled(whole_run()).begun.messages == list(sent[1:])
    given = [it.provider_data for it in sent[1].parts if isinstance(it, Reasoning | ToolCall)]
    data: list[dict[str, str]] = [{"signature": "s0"}]
    data += [{"thought_signature": "a"}, {"thought_signature": "b"}]
    assert given == [ProviderData(PROVIDER, it, BASE_URL) for it in data]


def test_a_response_whose_calls_have_no_fate_is_asked_again() -> None:
    last = next(at for at, it in enumerate(EVENTS) if isinstance(it, ev.Approval))
    found = settled(whole_run()[:last])
    assert (found.begun.messages, found.begun.calls, found.replayed) == ([], [], [])
    assert found.partial == Message("assistant", complete=False)


@pytest.mark.parametrize(
    "begun", [ev.ToolCallDelta("c", "add", "{"), ev.ToolCall("c", "add", "{}")]
)
def test_text_before_calls_that_were_cut_is_asked_for_again_too(begun: ev.Event) -> None:
    found = settled(stamped([answers(), ev.Content("I look. "), begun]))
    assert (found.partial.content, found.replayed) == ("", [])


def test_one_fate_shows_that_a_response_is_whole() -> None:
    last = next(at for at, it in enumerate(EVENTS) if isinstance(it, ev.Approval))
    begun = settled(whole_run()[: last + 1]).begun
    assert [it.call.id for it in begun.calls] == ["a", "b"]
    assert [len(it.earlier) for it in begun.calls] == [1, 0]


def test_what_is_known_of_an_open_call_is_all_kept() -> None:
    last = next(at for at, it in enumerate(EVENTS) if isinstance(it, ev.ToolProgress))
    found = settled(whole_run()[: last + 1])
    call, other = found.begun.calls
    assert call.started is not None
    assert call.ended is None
    assert [it.delta for it in call.earlier if isinstance(it, ev.ToolOutput)] == ["a works\n"]
    assert (other.started, other.ended) == (None, None)
    outputs = [it for it in found.replayed if isinstance(it, ev.ToolOutput)]
    assert [it.delta for it in outputs] == ["a works\n"]


def test_what_changes_nothing_is_not_told_again() -> None:
    kinds = {type(it) for it in settled(whole_run()).replayed}
    assert not kinds & {ev.ToolCallDelta, ev.Usage, ev.ToolProgress, ev.ToolOutput, ev.Done}
    assert all(it.replayed for it in settled(whole_run()).replayed)


def test_text_that_broke_off_after_a_round_is_continued() -> None:
    last = max(at for at, it in enumerate(EVENTS) if isinstance(it, ev.Content))
    found = settled(whole_run()[:last])
    assert found.partial == Message("assistant", "cou", complete=False)
    assert isinstance(found.replayed[-1], ev.Metadata)
    assert len(found.begun.messages) == 4


def test_a_run_without_rounds_is_only_its_text() -> None:
    found = settled(stamped([answers(), ev.Reasoning("r"), ev.Content("a")]))
    assert found.replayed == []
    assert (found.partial.reasoning, found.partial.content) == ("r", "a")


def test_white_space_and_thoughts_are_no_text_to_continue() -> None:
    found = settled(stamped([answers(), ev.Reasoning("r"), ev.Content(" \n")]))
    assert found.partial == Message("assistant", complete=False)


@pytest.mark.parametrize(
    "void",
    [
        ev.Retry(attempt=2, max=3, delay=0.0, cause="c", action="reset"),
        ev.Metadata(restart=True),
    ],
)
def test_what_is_void_is_dropped_but_never_a_settled_round(void: ev.Event) -> None:
    rounds = whole_run([ROUNDS[0]])
    last = max(at for at, it in enumerate(rounds) if isinstance(it, ev.ToolComplete))
    kept = rounds[: last + 1]
    more = [answers(), ev.Content("gone"), ev.ToolCallDelta("z", "add", "{"), void]
    found = settled([*kept, *more, answers(), ev.Content("stays")])
    assert found.partial.content == "stays"
    assert found.begun == settled(kept).begun


def test_a_void_right_behind_a_round_keeps_it() -> None:
    rounds = whole_run([ROUNDS[0]])
    last = max(at for at, it in enumerate(rounds) if isinstance(it, ev.ToolComplete))
    reset = ev.Retry(attempt=2, max=3, delay=0.0, cause="c", action="reset")
    assert settled([*rounds[: last + 1], reset]) == settled(rounds[: last + 1])


def test_an_answer_that_was_continued_keeps_no_signature() -> None:
    again = ev.Retry(attempt=2, max=3, delay=0.0, cause="c", action="continue")
    answer = [
        answers(),
        ev.Reasoning("r"),
        ev.ReasoningData({"signature": "s"}),
        ev.Content("a"),
        again,
        answers(),
        ev.Content("b"),
        ev.ToolCall("i", "add", "{}"),
        ev.ToolError("i", "add", "no", 0.0),
    ]
    found = settled(stamped(answer))
    assert found.begun.messages == [
        Message.plain("assistant", "ab", "r", found.begun.messages[0].tool_calls),
        Message("tool", [ToolResult("i", "add", "no", is_error=True)]),
    ]
    assert not any(isinstance(it, ev.ReasoningData) for it in found.replayed)


def test_a_model_that_took_over_wrote_what_it_wrote() -> None:
    answer = [
        answers(),
        ev.Content("gone"),
        ev.Fallback("m", "n", "down"),
        answers("openai", "n", "http://else"),
        ev.Metadata(restart=True),
        ev.ToolCall("i", "add", "{}", {"k": 1}),
        ev.ToolComplete("i", "add", "1", 0.1),
    ]
    found = settled(stamped(answer))
    call = found.begun.messages[0].tool_calls[0]
    assert call.provider_data == ProviderData("openai", {"k": 1}, "http://else")
    opening = found.replayed[0]
    assert isinstance(opening, ev.Metadata)
    assert (opening.provider, opening.model, opening.restart) == ("openai", "n", False)


def test_ids_stay_different_when_the_server_gives_none() -> None:
    rounds = [[Ask("", "add", '{"n": 1}')], [Ask("", "add", '{"n": 2}')]]
    events = whole_run(rounds)
    cut = next(at for at, it in enumerate(events) if isinstance(it, ev.ToolStart)) + 1
    after = continued(events[:cut], Counting(), rounds=rounds)
    ids = [it.id for it in after if isinstance(it, ev.ToolCall)]
    assert len(ids) == len(set(ids)) == 2
