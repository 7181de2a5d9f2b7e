"""Claimed: a call runs only if a rule or somebody says so, who has seen what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Answer, Control
from chatstream.errors import ApprovalNeeded, Cancelled, UsageError
from chatstream.flow import close
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Pending
from chatstream.tools.deciding import ApprovalFailed
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import Runner
from chatstream.tools.tool import Planned, Tool, ToolFailure
from tests.support.handmade import (
    Handmade,
    allow,
    approvals,
    ask,
    deny,
    ends,
    kinds,
    pending,
    run,
    says,
    told,
    tool_threads,
)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert tool_threads() == []


def test_all_decisions_come_before_anything_runs_and_in_order() -> None:
    calls = [pending("a", "read"), pending("b", "write"), pending("c", "read")]
    events = run(calls, Handmade("read", says()), Handmade("write", says(), "write"))
    assert kinds(events)[:4] == ["Approval a", "Approval b", "Approval c", "ToolStart a"]


def test_a_denied_call_ends_and_the_others_run() -> None:
    def decide(tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
        return deny(tool, arguments) if tool.name == "write" else Verdict("allow", "default")

    calls = [pending("a", "write", path="x"), pending("b", "read")]
    write = Handmade("write", says(), "write")
    events = run(calls, write, Handmade("read", says()), decide=decide)
    assert approvals(events) == [("a", "deny", "rule"), ("b", "allow", "default")]
    question = events[0]
    assert isinstance(question, ev.Approval)
    assert question.parameters == {"path": "x"}
    denied, done = ends(events)
    assert isinstance(denied, ev.ToolError)
    assert (denied.outcome, denied.code) == ("denied", "denied")
    assert denied.error == "not run: a rule denies it"
    assert done.outcome == "ok"


@pytest.mark.parametrize("control", [None, Control(can_answer=False)])
def test_with_nobody_to_ask_a_call_is_denied(control: Control | None) -> None:
    events = run([pending("a", "tool")], Handmade("tool", says()), decide=ask, control=control)
    assert approvals(events) == [("a", "deny", "default")]
    (end,) = ends(events)
    assert isinstance(end, ev.ToolError)
    assert end.error == (
        "not run: no rule allows it, and there is nobody to ask; --allow tool allows any call of it"
    )


def test_a_call_that_a_rule_wants_asked_about_is_not_said_to_need_another_rule() -> None:
    (end,) = ends(
        run(
            [pending("a", "tool")],
            Handmade("tool", says()),
            decide=lambda *_: Verdict("ask", "rule"),
        )
    )
    assert isinstance(end, ev.ToolError)
    assert end.error == "not run: a rule says to ask about it, and there is nobody to ask"


@pytest.mark.parametrize("decided", [("ask", "rule"), ("ask", "default")])
@pytest.mark.parametrize("answer", [True, False])
def test_the_caller_decides_where_somebody_is_to_be_asked(decided: Any, answer: bool) -> None:
    asked: list[ev.ToolCall] = []

    def approve(call: ev.ToolCall) -> bool:
        asked.append(call)
        return answer

    events = run(
        [pending("a", "tool", n=1)],
        Handmade("tool", says()),
        decide=lambda tool, arguments: Verdict(*decided),
        approve=approve,
    )
    assert [it.arguments for it in asked] == ['{"n": 1}']
    assert approvals(events) == [("a", "allow" if answer else "deny", "caller")]
    assert ends(events)[0].outcome == ("ok" if answer else "denied")


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_the_caller_is_not_asked_where_it_is_decided(decision: ev.Decision) -> None:
    def approve(call: ev.ToolCall) -> bool:
        raise AssertionError

    decide = {"allow": allow, "deny": deny}[decision]
    events = run([pending("a", "tool")], Handmade("tool", says()), decide=decide, approve=approve)
    assert approvals(events) == [("a", decision, "rule")]


@pytest.mark.parametrize("answer", ["a coroutine", None, "no", 1])
def test_an_approve_that_does_not_say_true_or_false_ends_the_run(answer: object) -> None:
    async def later() -> bool:
        return False

    def approve(call: ev.ToolCall) -> Any:
        return later() if answer == "a coroutine" else answer

    runner = Runner(Toolset([Handmade("tool", says())]), ask, approve=approve)
    with pytest.raises(ApprovalFailed, match="approve must return True or False, not "):
        told(runner.run([pending("a", "tool")], CancelToken()))


def test_an_approve_that_fails_ends_the_run_and_nothing_has_run() -> None:
    def approve(call: ev.ToolCall) -> bool:
        raise KeyError("mine")

    runner = Runner(Toolset([Handmade("tool", says())]), ask, approve=approve)
    with pytest.raises(ApprovalFailed, match="approve failed: KeyError: 'mine'"):
        told(runner.run([pending("a", "tool")], CancelToken()))

    def give_up(call: ev.ToolCall) -> bool:
        raise UsageError("as it is")

    runner = Runner(Toolset([Handmade("tool", says())]), ask, approve=give_up)
    with pytest.raises(UsageError, match="as it is"):
        told(runner.run([pending("a", "tool")], CancelToken()))


@pytest.mark.parametrize("answer", ["once", "no"])
def test_a_person_answers_one_question_after_the_other(answer: Answer) -> None:
    control = Control()
    runner = Runner(Toolset([Handmade("tool", says())]), ask, control=control)
    arrivals = runner.run([pending("a", "tool"), pending("b", "tool")], CancelToken())
    events: list[ev.Event] = []
    for arrival in arrivals:
        for event in arrival.events:
            if isinstance(event, ev.Approval) and event.decision == "ask":
                assert control.question is event, "it can be answered as soon as it is seen"
                control.answer(answer)
        events += arrival.events
    given = "deny" if answer == "no" else "allow"
    assert approvals(events) == [
        *(("a", "ask", "default"), ("a", given, "user")),
        *(("b", "ask", "default"), ("b", given, "user")),
    ]
    assert {it.outcome for it in ends(events)} == {"denied" if answer == "no" else "ok"}
    assert control.question is None


def test_while_a_question_is_open_heartbeats_come() -> None:
    control = Control()
    runner = Runner(Toolset([Handmade("tool", says())]), ask, control=control)
    arrivals = runner.run([pending("a", "tool")], CancelToken())
    assert kinds(next(arrivals).events) == ["Approval a"]
    assert next(arrivals).events == []
    assert next(arrivals).events == []
    control.answer("once")
    assert approvals(told(arrivals)) == [("a", "allow", "user")]


def test_a_cancel_closes_the_question_and_nothing_has_an_end() -> None:
    control, token, reason = Control(), CancelToken(), Cancelled("Ctrl+C")
    runner = Runner(Toolset([Handmade("tool", says())]), ask, control=control)
    arrivals = runner.run([pending("a", "tool")], token)
    next(arrivals)
    token.cancel(reason)
    with pytest.raises(Cancelled) as raised:
        next(arrivals)
    assert raised.value is reason
    assert control.question is None
    assert control.take_answer() is None


def test_a_reader_that_leaves_closes_the_question() -> None:
    control = Control()
    arrivals = Runner(Toolset([Handmade("tool", says())]), ask, control=control).run(
        [pending("a", "tool")], CancelToken()
    )
    next(arrivals)
    close(arrivals)
    assert control.question is None


@pytest.mark.parametrize("decide", [allow, ask, deny])
def test_a_dry_run_says_what_would_be_decided_and_runs_nothing(decide: Any) -> None:
    def never(*given: object) -> bool:
        raise AssertionError

    calls = [pending("a", "tool"), pending("b", "tool", "{"), pending("c", "tool")]
    events = run(
        calls,
        Handmade("tool", never),
        decide=decide,
        approve=never,
        control=Control(),
        dry_run=True,
    )
    decision = decide(Handmade("tool", never), {}).decision
    assert kinds(events) == ["ToolError b", "Approval a", "Approval c"]
    assert approvals(events) == [("a", decision, "dry_run"), ("c", decision, "dry_run")]


# ---- a tool for the rest of the run, and rounds that wait for an approval


def answering(control: Control, arrivals: Any, *answers: Answer) -> list[ev.Event]:
    """What comes, each question answered in turn."""
    given, events = iter(answers), list[ev.Event]()
    for arrival in arrivals:
        events += arrival.events
        if control.question is not None:
            control.answer(next(given))
    assert next(given, None) is None, "there were fewer questions"
    return events


def test_a_tool_that_is_always_allowed_is_not_asked_about_again_in_this_run() -> None:
    control = Control()
    tools = Toolset([Handmade("tool", says()), Handmade("other", says())])
    runner = Runner(tools, ask, control=control)
    calls = [pending("a", "tool"), pending("b", "tool"), pending("c", "other")]
    events = answering(control, runner.run(calls, CancelToken()), "always", "no")
    assert approvals(events) == [
        *(("a", "ask", "default"), ("a", "allow", "user"), ("b", "allow", "user")),
        *(("c", "ask", "default"), ("c", "deny", "user")),
    ]
    later = answering(control, runner.run([pending("d", "tool")], CancelToken()))
    assert approvals(later) == [("d", "allow", "user")]
    again = Runner(tools, ask, control=control)  # and in no other run
    events = answering(control, again.run([pending("e", "tool")], CancelToken()), "no")
    assert approvals(events) == [("e", "ask", "default"), ("e", "deny", "user")]


def test_what_is_allowed_for_good_holds_in_the_runs_that_share_it() -> None:
    control, always = Control(), set[str]()
    tool = Handmade("tool", says())
    first, second = (Runner(Toolset([tool]), ask, control=control, always=always) for _ in range(2))
    answering(control, first.run([pending("a", "tool")], CancelToken()), "always")
    events = answering(control, second.run([pending("b", "tool")], CancelToken()))
    assert approvals(events) == [("b", "allow", "user")]
    assert always == {"tool"}
    tool.caution = "its description has changed"  # so it is not the tool that was allowed
    events = answering(control, second.run([pending("c", "tool")], CancelToken()), "no")
    assert approvals(events) == [("c", "ask", "default"), ("c", "deny", "user")]


def test_a_rule_about_arguments_and_a_deny_hold_for_a_tool_that_is_always_allowed() -> None:
    def decide(tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
        verdicts = {"narrow": Verdict("ask", "rule", narrow=True), "deny": Verdict("deny", "rule")}
        return verdicts.get(arguments["it"], Verdict("ask", "default"))

    control = Control()
    runner = Runner(Toolset([Handmade("tool", says())]), decide, control=control)
    calls = [pending(it, "tool", it=it) for it in ("first", "narrow", "deny", "last")]
    events = answering(control, runner.run(calls, CancelToken()), "always", "no")
    decided = {it.id: it.decision for it in events if isinstance(it, ev.Approval)}
    assert decided == {"first": "allow", "narrow": "deny", "deny": "deny", "last": "allow"}
    once = {it.id: it.once for it in events if isinstance(it, ev.Approval) and it.is_question}
    assert once == {"first": False, "narrow": True}


def test_always_is_once_where_the_answer_is_about_one_call_alone() -> None:
    control = Control()
    runner = Runner(
        Toolset([Handmade("tool", says())]),
        lambda tool, arguments: Verdict("ask", "taint", narrow=True),
        control=control,
    )
    calls = [pending(it, "tool") for it in ("a", "b")]
    events = answering(control, runner.run(calls, CancelToken()), "always", "no")
    assert approvals(events)[1::2] == [("a", "allow", "user"), ("b", "deny", "user")]


def test_a_person_is_shown_what_a_call_would_change() -> None:
    class Changing(Handmade):
        def preview(self, arguments: dict[str, Any], earlier: Sequence[Planned] = ()) -> str | None:
            if "fail" in arguments:
                raise OSError("gone")
            return f"+{arguments['n']} after {[its['n'] for _, its in earlier]}\n"

    control = Control()
    runner = Runner(Toolset([Changing("tool", says())]), ask, control=control)
    calls = [pending(it, "tool", n=it) for it in ("a", "b", "c")]
    calls.append(pending("d", "tool", fail=1))
    events = answering(control, runner.run(calls, CancelToken()), "once", "no", "once", "once")
    shown = {it.id: it.preview for it in events if isinstance(it, ev.Approval) and it.is_question}
    assert shown == {
        "a": "+a after []\n",
        "b": "+b after ['a']\n",
        "c": "+c after ['a']\n",
        "d": None,
    }


def test_a_round_that_needs_an_approval_ends_the_run_before_any_of_it_runs() -> None:
    def decide(tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
        return {"allow": allow, "ask": ask, "deny": deny}[tool.name](tool, arguments)

    def never(*given: object) -> None:
        raise AssertionError

    tools = Toolset([Handmade(it, never) for it in ("allow", "ask", "deny")])
    runner = Runner(tools, decide, on_ask="stop")
    calls = [pending("a", "allow"), pending("b", "ask"), pending("c", "deny"), pending("d", "ask")]
    events: list[ev.Event] = []
    arrivals = runner.run([*calls, pending("e", "none")], CancelToken())
    with pytest.raises(ApprovalNeeded, match="ask needs approval") as raised:
        events.extend(event for arrival in arrivals for event in arrival.events)
    assert raised.value.resume_options == "--allow ask"
    assert approvals(events) == [
        *(("a", "allow", "rule"), ("b", "ask", "nobody")),
        *(("c", "deny", "rule"), ("d", "ask", "nobody")),
    ]
    assert [it.id for it in ends(events)] == ["e", "c"]
    assert not any(isinstance(it, ev.ToolStart) for it in events)
    assert not any(it.is_question for it in events if isinstance(it, ev.Approval))


def test_all_tools_that_need_an_approval_are_named_once() -> None:
    tools = Toolset([Handmade(it, says()) for it in ("one", "two")])
    calls = [pending("a", "one"), pending("b", "two"), pending("c", "one")]
    with pytest.raises(ApprovalNeeded, match="one, two need approval") as raised:
        told(Runner(tools, ask, on_ask="stop").run(calls, CancelToken()))
    assert raised.value.resume_options == "--allow one,two"


@pytest.mark.parametrize("who", ["caller", "person", "dry run"])
def test_where_somebody_can_be_asked_the_run_goes_on(who: str) -> None:
    control = Control(can_answer=who == "person")
    runner = Runner(
        Toolset([Handmade("tool", says())]),
        ask,
        control=control,
        on_ask="stop",
        approve=(lambda call: True) if who == "caller" else None,
        dry_run=who == "dry run",
    )
    answers: tuple[Answer, ...] = ("once",) if who == "person" else ()
    events = answering(control, runner.run([pending("a", "tool")], CancelToken()), *answers)
    assert [it.outcome for it in ends(events)] == ([] if who == "dry run" else ["ok"])


class Shows(Handmade):
    """A tool with a preview; it counts how often it ran."""

    def __init__(self, shows: str | Exception) -> None:
        super().__init__("shows", lambda arguments, context: self.ran.append(1))
        self.ran: list[int] = []
        self.shows = shows

    def preview(self, arguments: dict[str, Any], earlier: Sequence[Planned] = ()) -> str | None:
        if isinstance(self.shows, Exception):
            raise self.shows
        return self.shows


def waiting(shown: str) -> Pending:
    """A call that an earlier run has ended for, and what was shown of it there."""
    asked = ev.Approval("a", "shows", "ask", "nobody", {}, shown)
    return Pending(pending("a", "shows").call, earlier=[asked])


@pytest.mark.parametrize("decision", ["allow", "ask"])
@pytest.mark.parametrize("now", ["+1\n", "+2\n"])
def test_an_answer_is_one_to_what_was_shown(decision: Any, now: str) -> None:
    tool = Shows(now)
    events = run(
        [waiting("+1\n")],
        tool,
        decide=lambda *_: Verdict(decision, "rule"),
        answers=lambda *_: True,
    )
    if now == "+1\n":
        assert tool.ran == [1]
        return
    (end,) = ends(events)
    assert isinstance(end, ev.ToolError)
    assert (end.code, end.outcome, tool.ran) == ("changed", "denied", [])
    assert end.error == (
        "not run: the file has changed since the diff was shown, and there is nobody to ask"
    )


def test_what_has_changed_since_it_was_shown_stops_the_run_again() -> None:
    tool, seen = Shows("+2\n"), list[ev.Event]()
    runner = Runner(Toolset([tool]), allow, answers=lambda *_: True, on_ask="stop")
    with pytest.raises(ApprovalNeeded):
        seen.extend(it for a in runner.run([waiting("+1\n")], CancelToken()) for it in a.events)
    (question,) = [it for it in seen if isinstance(it, ev.Approval)]
    assert (question.by, question.preview, tool.ran) == ("nobody", "+2\n", [])


def test_nobody_is_asked_about_a_call_that_cannot_work() -> None:
    def approve(call: ev.ToolCall) -> bool:
        raise AssertionError

    tool = Shows(ToolFailure("the text is not there", code="not_found"))
    ask = Verdict("ask", "default")
    (end,) = run([pending("a", "shows")], tool, decide=lambda *_: ask, approve=approve)
    assert isinstance(end, ev.ToolError)
    assert (end.code, end.error) == ("not_found", "the text is not there")
    odd = Shows(ZeroDivisionError("no diff"))
    run([pending("a", "shows")], odd, decide=lambda *_: ask, approve=lambda _: True)
    assert odd.ran == [1], "one that cannot tell is asked about"
