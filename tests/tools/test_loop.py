"""Claimed: the model is asked until it has answered, each round is whole, and every run ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.errors import Truncated
from chatstream.flow import Arrival, Finish, Open, close, events_in
from chatstream.messages import (
    ChatRequest,
    Message,
    ProviderData,
    Reasoning,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from chatstream.tools.calls import Pending
from chatstream.tools.loop import SAME_CALLS, Begun, Limits, TooManyCalls, loop

ADD = ToolDefinition("add", "Add numbers.", {"type": "object"})
QUESTION = Message("user", "How much?")
STOP = Finish(reason="stop")
CALLS = Finish(reason="tool_calls")


class Model:
    """Answers each request with the next script; remembers what it was asked."""

    def __init__(self, *scripts: Sequence[ev.Event | Exception]) -> None:
        self._scripts = list(scripts)
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self._opened: list[Iterator[Arrival]] = []  # so that only the loop closes them

    def __call__(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        self.requests.append(request)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self._opened.append(self._answer(script))
        return self._opened[-1]

    def _answer(self, script: Sequence[ev.Event | Exception]) -> Iterator[Arrival]:
        try:
            yield Arrival([ev.Metadata(provider="p", model="m", base_url="http://p")])
            for event in script:
                if isinstance(event, Exception):
                    raise event
                yield Arrival([copied(event)])
            raise AssertionError("the loop reads nothing after the finish")
        finally:
            self.closed += 1


def copied(event: ev.Event) -> ev.Event:
    """The scripts may be used again, and events are changed on their way."""
    return event.__copy__() if hasattr(event, "__copy__") else event


class Runner:
    """Ends every call at once."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.rounds: list[list[Pending]] = []
        self.closed = 0

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        self.rounds.append(list(calls))
        for pending in calls:
            call = pending.call
            if pending.refused is not None:
                yield Arrival([ev.ToolError(call.id, call.name, pending.refused, 0.0)])
            elif self.dry_run:
                yield Arrival([ev.Approval(call.id, call.name, "allow", "dry_run")])
            else:
                yield Arrival([ev.ToolStart(call.id, call.name)])
                yield Arrival([ev.ToolComplete(call.id, call.name, f"<{call.id}>", 0.1)])

    def close(self) -> None:
        self.closed += 1


def call(call_id: str = "a", arguments: str = "{}") -> ev.ToolCall:
    return ev.ToolCall(call_id, "add", arguments)


def run(
    model: Open,
    runner: Runner | None = None,
    begun: Begun | None = None,
    limits: Limits | None = None,
) -> list[ev.Event]:
    request = ChatRequest("m", (QUESTION,), tools=(ADD,))
    asked = loop(model, runner or Runner(), limits or Limits(), begun)
    return list(events_in(asked(request, CancelToken())))


def test_an_answer_without_calls_passes_as_it_is() -> None:
    model, runner = Model([ev.Content("42"), STOP]), Runner()
    assert [type(it) for it in run(model, runner)] == [ev.Metadata, ev.Content, Finish]
    assert (runner.rounds, runner.closed, model.closed) == ([], 1, 1)


def test_calls_are_run_and_the_model_is_asked_again_with_the_results() -> None:
    model, runner = Model([call("a"), call("b"), CALLS], [ev.Content("42"), STOP]), Runner()
    events = run(model, runner)
    assert [type(it) for it in events if type(it) in (Finish, ev.Content)] == [ev.Content, Finish]
    assert [it.call.id for it in runner.rounds[0]] == ["a", "b"]
    assert model.requests[1].messages == (
        QUESTION,
        Message("assistant", [ToolCall("a", "add", "{}"), ToolCall("b", "add", "{}")]),
        Message("tool", [ToolResult("a", "add", "<a>"), ToolResult("b", "add", "<b>")]),
    )
    assert model.requests[1].tools is model.requests[0].tools


def test_the_turn_goes_back_exactly_as_it_came() -> None:
    signed = {"signature": "s"}
    model = Model(
        [ev.Reasoning("hm"), ev.ReasoningData(provider_data=signed), ev.Content("I add."), call()],
        [ev.Content("42"), STOP],
    )
    model._scripts[0] = [*model._scripts[0], CALLS]
    run(model)
    data = ProviderData("p", signed, "http://p")
    turn = Message("assistant", [Reasoning("hm", data), Text("I add."), ToolCall("a", "add", "{}")])
    assert model.requests[1].messages[1] == turn


def test_the_connection_is_let_go_of_before_anything_runs() -> None:
    model = Model([call(), CALLS], [STOP])

    class Watching(Runner):
        def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
            assert model.closed == 1
            yield from super().run(calls, token)

    run(model, Watching())
    assert model.closed == 2


def test_a_failure_in_a_later_response_is_passed_on_and_everything_closed() -> None:
    model, runner = Model([call(), CALLS], [ev.Content("4"), Truncated("cut")]), Runner()
    with pytest.raises(Truncated):
        run(model, runner)
    assert (runner.closed, model.closed) == (1, 2)


@pytest.mark.parametrize("given", ["a", ""])
def test_an_id_that_was_used_before_is_replaced_in_every_event_of_the_call(given: str) -> None:
    again = [ev.ToolCallDelta(given, "add", "{}"), call(given), CALLS]
    model, runner = Model([call("a"), CALLS], again, [STOP]), Runner()
    events = run(model, runner)
    (second,) = runner.rounds[1]
    assert second.call.id == "call00001"
    assert [it.id for it in events if isinstance(it, ev.ToolCallDelta)] == ["call00001"]
    assert model.requests[2].messages[-1].parts[0] == ToolResult("call00001", "add", "<call00001>")


@pytest.mark.parametrize("given", ["a", ""])
def test_calls_of_one_response_with_one_id_are_told_apart(given: str) -> None:
    both = [call(given, '{"n": 1}'), call(given, '{"n": 2}'), CALLS]
    model, runner = Model(both, [STOP]), Runner()
    run(model, runner)
    ids = [it.call.id for it in runner.rounds[0]]
    assert len(set(ids)) == 2
    results = [it for it in model.requests[1].messages[-1].parts if isinstance(it, ToolResult)]
    assert [(it.id, it.content) for it in results] == [(it, f"<{it}>") for it in ids]


def test_an_id_of_the_earlier_conversation_is_used() -> None:
    earlier = Message("assistant", [ToolCall("a", "add", "{}")])
    model, runner = Model([call("a"), CALLS], [STOP]), Runner()
    request = ChatRequest("m", (QUESTION, earlier), tools=(ADD,))
    list(loop(model, runner, Limits())(request, CancelToken()))
    assert runner.rounds[0][0].call.id == "call00001"


def endless(model_calls: int = 1) -> Model:
    """Calls for ever, never twice with the same arguments, until it may not."""

    class Endless(Model):
        def __call__(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            number = len(self.requests)
            script: list[ev.Event] = [
                call(f"{number}-{it}", f'{{"n":"{number}-{it}"}}') for it in range(model_calls)
            ]
            script += [ev.Usage(input_tokens=10, output_tokens=5), CALLS]
            self._scripts = [script if request.may_call else [ev.Content("done"), STOP]]
            return super().__call__(request, token)

    return Endless([])


@pytest.mark.parametrize(
    ("limits", "rounds", "words"),
    [
        (Limits(), 20, "the limit of 20 rounds is reached"),
        (Limits(rounds=1), 1, "the limit of 1 round is reached"),
        (Limits(calls=3), 3, "the limit of 3 calls is reached"),
        (Limits(tokens=30), 2, "the budget of 30 tokens is used up"),
    ],
)
def test_at_a_limit_the_model_answers_without_tools_and_the_user_knows(
    limits: Limits, rounds: int, words: str
) -> None:
    model, runner = endless(), Runner()
    events = run(model, runner, limits=limits)
    assert len(runner.rounds) == rounds
    assert [it.may_call for it in model.requests] == [*[True] * rounds, False]
    assert model.requests[-1].tools == (ADD,)
    (warning,) = [it for it in events if isinstance(it, ev.Warn)]
    assert warning.code == "tool_limit"
    assert warning.message == f"{words}; the model is asked to answer without tools"
    assert events[-1] == STOP


def test_calls_beyond_the_limit_are_refused_and_the_others_run() -> None:
    model, runner = endless(3), Runner()
    run(model, runner, limits=Limits(calls=2))
    words = "the limit of 2 calls is reached"
    assert [it.refused for it in runner.rounds[0]] == [None, None, words]


def test_the_same_call_ends_the_loop_however_its_arguments_are_written() -> None:
    written = ['{"a":1,"b":2}', '{ "b": 2, "a": 1 }', '{"b":2,"a":1}']
    scripts = [[call(str(n), text), CALLS] for n, text in enumerate(written)]
    model, runner = Model(*scripts, [ev.Content("42"), STOP]), Runner()
    run(model, runner)
    assert [it[0].refused is None for it in runner.rounds] == [True] * (SAME_CALLS - 1) + [False]
    assert model.requests[-1].may_call is False


def test_a_model_that_calls_all_the_same_fails() -> None:
    with pytest.raises(TooManyCalls, match="the limit of 1 round is reached"):
        run(Model([call(), CALLS]), limits=Limits(rounds=1))


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_calls_of_an_answer_that_did_not_end_well_are_not_run(reason: ev.FinishReason) -> None:
    runner = Runner()
    events = run(Model([call(), Finish(reason=reason)]), runner)
    assert runner.rounds == []
    assert events[-1] == Finish(reason=reason)


def test_a_finish_that_speaks_of_calls_and_has_none_is_the_end() -> None:
    model, runner = Model([ev.Content("42"), CALLS]), Runner()
    events = run(model, runner)
    assert (len(model.requests), runner.rounds, events[-1]) == (1, [], STOP)


def test_a_paused_turn_is_sent_back_and_goes_on() -> None:
    paused = [ev.Content("I look"), Finish(reason="paused")]
    model = Model(paused, [ev.Content(" it up."), STOP])
    events = run(model)
    assert model.requests[1].messages == (QUESTION, Message("assistant", "I look", complete=False))
    assert [type(it) for it in events].count(Finish) == 1


def test_a_dry_run_runs_nothing_and_ends_with_the_calls() -> None:
    model, runner = Model([call(), CALLS]), Runner(dry_run=True)
    events = run(model, runner)
    assert [type(it) for it in events[-2:]] == [ev.Approval, Finish]
    assert len(model.requests) == 1


C = '{"n":3}'


def test_a_loop_that_an_earlier_run_began_goes_on_where_it_stood() -> None:
    settled = [
        Message("assistant", [ToolCall("a", "add", "{}")]),
        Message("tool", [ToolResult("a", "add", "1")]),
    ]
    done = ev.ToolComplete("b", "add", "2", 0.1)
    response: list[ev.Event] = [call("b"), call("c", C), done]
    begun = Begun(settled, response, [Pending(call("b"), earlier=[done]), Pending(call("c", C))])

    class Rest(Runner):
        def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
            yield from super().run([it for it in calls if it.ended is None], token)

    model = Model([ev.Content("42"), STOP])
    run(model, Rest(), begun)
    assert len(model.requests) == 1
    assert model.requests[0].messages == (
        QUESTION,
        *settled,
        Message("assistant", [ToolCall("b", "add", "{}"), ToolCall("c", "add", C)]),
        Message("tool", [ToolResult("b", "add", "2"), ToolResult("c", "add", "<c>")]),
    )


def settled(rounds: int) -> Begun:
    """What an earlier run has of so many rounds with one call each."""
    messages: list[Message] = []
    for number in range(rounds):
        made = ToolCall(f"s{number}", "add", "{}")
        messages += [
            Message("assistant", [made]),
            Message("tool", [ToolResult(made.id, "add", "1")]),
        ]
    return Begun(messages)


def test_the_rounds_of_an_earlier_run_count() -> None:
    model, runner = endless(), Runner()
    events = run(model, runner, settled(1), Limits(rounds=2))
    assert len(runner.rounds) == 1
    assert [it.message for it in events if isinstance(it, ev.Warn)] == [
        "the limit of 2 rounds is reached; the model is asked to answer without tools"
    ]
    model, runner = endless(), Runner()
    events = run(model, runner, settled(2), Limits(calls=2))
    assert (runner.rounds, [it.may_call for it in model.requests]) == ([], [False])
    assert sum(isinstance(it, ev.Warn) for it in events) == 1


def test_what_an_earlier_run_called_again_and_again_counts() -> None:
    model, runner = Model([call(), CALLS], [ev.Content("42"), STOP]), Runner()
    run(model, runner, settled(SAME_CALLS - 1))
    assert [it[0].refused is None for it in runner.rounds] == [False]


def test_a_reader_that_leaves_closes_the_model_and_the_runner() -> None:
    model, runner = Model([ev.Content("4"), STOP]), Runner()
    arrivals = loop(model, runner, Limits())(ChatRequest("m", (QUESTION,)), CancelToken())
    next(arrivals)
    close(arrivals)
    assert (model.closed, runner.closed) == (1, 1)
