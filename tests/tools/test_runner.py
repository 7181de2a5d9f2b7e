"""Claimed: calls are checked, decided about and run in that order, and each of them ends once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.errors import Cancelled
from chatstream.events import Effect
from chatstream.flow import close
from chatstream.grammar import check
from chatstream.tools.calls import Pending
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import UNKNOWN, Runner, UnknownOutcome
from chatstream.tools.tool import Context, InvalidArguments
from tests.support.handmade import (
    Does,
    Handmade,
    Turned,
    allow,
    approvals,
    ask,
    deny,
    ends,
    hangs_until,
    kinds,
    obeys,
    pending,
    printed,
    run,
    says,
    told,
    tool_threads,
    waits_for,
)
from tests.support.loopback import LIMIT
from tests.support.sampling import examples


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert tool_threads() == []


# ---- first: can it be run?


class Picky(Handmade):
    def check(self, arguments: dict[str, Any]) -> None:
        if "n" not in arguments:
            raise InvalidArguments("Object missing required field `n`")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("{", "invalid_json", "the arguments are not JSON: Input data was truncated"),
        ("\ud800", "invalid_json", "the arguments are not JSON: "),
        ("[" * 100_000, "invalid_json", "the arguments are not JSON: "),
        ("[1]", "invalid_arguments", "the arguments must be an object, not list"),
        ("null", "invalid_arguments", "the arguments must be an object, not null"),
        ("", "invalid_arguments", "Object missing required field `n`"),
        ('{"m": 1}', "invalid_arguments", "Object missing required field `n`"),
    ],
)
def test_arguments_that_do_not_fit_are_answered_at_once(
    arguments: str, code: str, words: str
) -> None:
    (end,) = run([pending("a", "picky", arguments)], Picky("picky", says()))
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code, end.duration) == ("failed", code, 0.0)
    assert end.error.startswith(words)
    ev.encode(end)


def test_a_check_that_fails_itself_is_an_answer_too() -> None:
    class Broken(Handmade):
        def check(self, arguments: dict[str, Any]) -> None:
            raise ZeroDivisionError("in the check")

    (end,) = run([pending("a", "broken")], Broken("broken", says()))
    assert isinstance(end, ev.ToolError)
    assert (end.code, end.error) == ("raised", "ZeroDivisionError: in the check")


def test_a_cancel_during_a_check_is_no_answer_to_the_call() -> None:
    class Waiting(Handmade):
        def check(self, arguments: dict[str, Any]) -> None:
            raise Cancelled("by the user")

    runner = Runner(Toolset([Waiting("waiting", says())]), allow)
    with pytest.raises(Cancelled, match="by the user"):
        told(runner.run([pending("a", "waiting")], CancelToken()))


def test_an_unknown_tool_is_answered_with_what_was_probably_meant() -> None:
    grep, read = Handmade("grep", says()), Handmade("read_file", says())
    near, far = ends(run([pending("a", "gerp"), pending("b", "zzz")], grep, read))
    assert isinstance(near, ev.ToolError)
    assert isinstance(far, ev.ToolError)
    assert (near.code, far.code) == ("unknown_tool", "unknown_tool")
    assert near.error == "there is no tool 'gerp'; did you mean 'grep'?"
    assert far.error == "there is no tool 'zzz'; the tools are: grep, read_file"
    (alone,) = ends(run([pending("c", "x\udce9" * 10_000)]))
    assert isinstance(alone, ev.ToolError)
    assert len(alone.error) < 1100


def test_a_call_that_passes_a_limit_is_refused() -> None:
    call = Pending(pending("a", "tool").call, refused="the limit of 3 calls is reached")
    (end,) = run([call], Handmade("tool", says()))
    assert isinstance(end, ev.ToolError)
    assert (end.code, end.error) == ("limit", "the limit of 3 calls is reached")


def test_nobody_is_asked_about_what_cannot_run_and_the_others_do_run() -> None:
    calls = [pending("a", "tool", "{"), pending("b", "none"), pending("c", "tool")]
    events = run(calls, Handmade("tool", says()), decide=ask, approve=lambda call: True)
    assert kinds(events) == [
        *("ToolError a", "ToolError b"),
        *("Approval c", "ToolStart c", "ToolComplete c"),
    ]


# ---- then: run it


def test_a_call_has_its_start_its_output_and_its_end() -> None:
    def does(arguments: dict[str, Any], context: Context) -> str:
        assert context.call_id == "a"
        context.output("working\n")
        return f"{arguments['n']} times"

    events = run([pending("a", "tool", n=3)], Handmade("tool", does, "run"))
    assert kinds(events) == ["Approval a", "ToolStart a", "ToolOutput a", "ToolComplete a"]
    _, start, _, end = events
    assert isinstance(start, ev.ToolStart)
    assert (start.parameters, start.effect) == ({"n": 3}, "run")
    assert isinstance(end, ev.ToolComplete)
    assert end.result == "working\n3 times"


def test_a_start_is_alone_and_the_tool_waits_until_it_is_written_down() -> None:
    begun = threading.Event()
    runner = Runner(Toolset([Handmade("tool", lambda *_: begun.set())]), allow)
    arrivals = runner.run([pending("a", "tool")], CancelToken())
    next(arrivals)
    assert kinds(next(arrivals).events) == ["ToolStart a"]
    assert not begun.is_set()
    assert tool_threads() == []
    told(arrivals)
    assert begun.is_set()


class Meeting:
    """Calls that only end once `parties` of them run at the same time; the most that did."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)
        self._lock = threading.Lock()
        self._now = self.most = 0

    def __call__(self, arguments: dict[str, Any], context: Context) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._barrier.wait(30)
        with self._lock:
            self._now -= 1


def test_reads_run_together_but_not_more_than_so_many() -> None:
    meeting = Meeting(3)
    calls = [pending(str(number), "tool") for number in range(9)]
    events = run(calls, Handmade("tool", meeting), at_once=3)
    assert {it.outcome for it in ends(events)} == {"ok"}
    assert meeting.most == 3


@pytest.mark.parametrize("effect", ["write", "run", "net"])
def test_any_other_tool_runs_alone(effect: Effect) -> None:
    running, order = Counter[str](), list[str]()

    def alone(arguments: dict[str, Any], context: Context) -> None:
        assert len(tool_threads()) == 1
        order.append(context.call_id)

    def read(arguments: dict[str, Any], context: Context) -> None:
        running[context.call_id] += 1
        order.append(context.call_id)

    names = ["read", "other", "other", "read", "read", "other"]
    calls = [pending(str(number), name) for number, name in enumerate(names)]
    events = run(calls, Handmade("read", read), Handmade("other", alone, effect))
    assert {it.outcome for it in ends(events)} == {"ok"}
    assert order[:3] == ["0", "1", "2"]
    assert order[5] == "5"


def test_what_does_not_run_separates_no_reads() -> None:
    meeting = Meeting(2)
    calls = [pending("a", "read"), pending("b", "none"), pending("c", "read")]
    events = run(calls, Handmade("read", meeting))
    assert meeting.most == 2
    assert len(ends(events)) == 3


def test_ends_come_as_they_happen_and_a_failure_stops_no_other() -> None:
    failed = threading.Event()

    def first(arguments: dict[str, Any], context: Context) -> str:
        waits_for(failed)
        return "done"

    def second(arguments: dict[str, Any], context: Context) -> None:
        raise ValueError("no")

    runner = Runner(Toolset([Handmade("first", first), Handmade("second", second)]), allow)
    found = []
    for arrival in runner.run([pending("a", "first"), pending("b", "second")], CancelToken()):
        for end in ends(arrival.events):
            found.append((end.id, end.outcome))
            failed.set()
    assert found == [("b", "failed"), ("a", "ok")]


def test_something_comes_while_a_tool_is_silent() -> None:
    go = threading.Event()
    runner = Runner(Toolset([Handmade("tool", hangs_until(go))]), allow)
    arrivals = runner.run([pending("a", "tool")], CancelToken())
    assert kinds(told([next(arrivals), next(arrivals)])) == ["Approval a", "ToolStart a"]
    assert next(arrivals).events == []
    go.set()
    assert kinds(told(arrivals)) == ["ToolComplete a"]


@pytest.mark.parametrize("obedient", [True, False])
def test_tools_that_are_lent_are_kept_where_every_call_has_ended(obedient: bool) -> None:
    go, back, token = threading.Event(), list[str](), CancelToken()
    tool = Handmade("tool", obeys if obedient else hangs_until(go))
    toolset = Toolset([tool], give_back=lambda: back.append("back"))
    runner = Runner(toolset, allow, clock=Turned(step=0.0 if obedient else 1.0))
    arrivals = runner.run([pending("a", "tool")], token)
    while next(arrivals).events:
        pass
    token.cancel()
    with pytest.raises(Cancelled):
        told(arrivals)
    runner.close()
    go.set()
    for call in (it for it in threading.enumerate() if it.name == "tool a"):
        call.join(LIMIT)
    assert (back, tool.closed) == ((["back"], 0) if obedient else ([], 1))


def test_a_long_output_is_in_the_folder(tmp_path: Path) -> None:
    def does(arguments: dict[str, Any], context: Context) -> None:
        context.output("0123456789\n" * 20_000)

    (end,) = ends(run([pending("a", "tool")], Handmade("tool", does), folder=tmp_path))
    (file,) = tmp_path.iterdir()
    assert isinstance(end, ev.ToolComplete)
    assert f"; all in {file}]" in end.result


def test_a_call_that_takes_too_long_is_stopped_and_the_next_one_runs() -> None:
    clock = Turned()

    def waits(arguments: dict[str, Any], context: Context) -> None:
        clock.now += 7.0
        obeys(arguments, context)

    calls = [pending("a", "slow"), pending("b", "quick")]
    tools = [Handmade("slow", waits, "write"), Handmade("quick", says(), "write")]
    events = run(calls, *tools, timeout=7.0, clock=clock)
    slow, quick = ends(events)
    assert isinstance(slow, ev.ToolError)
    assert (slow.code, slow.outcome) == ("timeout", "stopped")
    assert slow.result is not None
    assert slow.result.startswith("working\n")
    assert quick.outcome == "ok"


def test_a_person_stops_what_runs_and_the_rest_of_the_calls_run() -> None:
    control = Control()
    calls = [pending("a", "slow"), pending("b", "quick")]
    tools = Toolset([Handmade("slow", obeys, "write"), Handmade("quick", says(), "write")])
    events: list[ev.Event] = []
    for arrival in Runner(tools, allow, control=control).run(calls, CancelToken()):
        events += arrival.events
        if control.tools_run and printed(arrival.events, "a"):
            control.stop_tools()
    assert [it.outcome for it in ends(events)] == ["stopped", "ok"]
    assert not control.tools_run


def test_a_cancelled_run_ends_what_runs_tells_that_and_raises_the_reason() -> None:
    token, reason = CancelToken(), Cancelled("Ctrl+C")
    tool, later = Handmade("tool", obeys), Handmade("later", says(), "write")
    runner = Runner(Toolset([tool, later]), allow, at_once=2)
    calls = [pending(it, "tool") for it in "abc"] + [pending("d", "later")]
    events: list[ev.Event] = []
    with pytest.raises(Cancelled) as raised:  # noqa: PT012 - what came before it counts
        for arrival in runner.run(calls, token):
            events += arrival.events
            if printed(events, "a") and printed(events, "b"):
                token.cancel(reason)
    assert raised.value is reason
    assert sorted(it.id for it in ends(events)) == ["a", "b"]
    assert {it.outcome for it in ends(events)} == {"stopped"}
    assert "ToolStart c" not in kinds(events)
    assert tool.stopped == 2


def test_a_run_that_is_cancelled_at_a_start_ends_the_call_that_never_began() -> None:
    token, reason = CancelToken(), Cancelled("Ctrl+C")
    runner = Runner(Toolset([Handmade("tool", says())]), allow)
    arrivals = runner.run([pending("a", "tool")], token)
    told([next(arrivals), next(arrivals)])
    token.cancel(reason)
    (end,) = ends(next(arrivals).events)
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.error) == ("stopped", "the run was stopped before it began")
    with pytest.raises(Cancelled):
        next(arrivals)


def test_a_cancel_while_the_last_call_ends_is_raised_all_the_same() -> None:
    token, reason = CancelToken(), Cancelled("Ctrl+C")

    def does(arguments: dict[str, Any], context: Context) -> str:
        token.cancel(reason)
        return "done"

    runner = Runner(Toolset([Handmade("tool", does)]), allow)
    events: list[ev.Event] = []
    with pytest.raises(Cancelled) as raised:  # noqa: PT012 - what came before it counts
        for arrival in runner.run([pending("a", "tool")], token):
            events += arrival.events
    assert raised.value is reason
    assert len(ends(events)) == 1


def test_a_reader_that_leaves_stops_everything() -> None:
    tool = Handmade("tool", obeys)
    runner = Runner(Toolset([tool]), allow)
    arrivals = runner.run([pending("a", "tool"), pending("b", "tool")], CancelToken())
    for arrival in arrivals:
        if printed(arrival.events, "b"):
            break
    close(arrivals)
    assert tool.stopped == 2
    assert tool_threads() == []


def test_closing_the_runner_closes_the_tools() -> None:
    tool = Handmade("tool", says())
    Runner(Toolset([tool]), allow).close()
    assert tool.closed == 1


# ---- what an earlier run has left


def earlier(call_id: str, name: str, *fate: ev.Fate, effect: Effect = "write") -> Pending:
    start = ev.ToolStart(call_id, name, {}, effect)
    return Pending(pending(call_id, name).call, earlier=[start, *fate])


def test_what_has_ended_is_left_alone() -> None:
    done = earlier("a", "tool", ev.ToolComplete("a", "tool", "result", 1.0))
    assert run([done], Handmade("tool", says(), "write")) == []


def test_what_was_not_started_is_decided_about_again() -> None:
    call = Pending(pending("a", "tool").call, earlier=[ev.Approval("a", "tool", "allow", "user")])
    events = run([call], Handmade("tool", says()), decide=ask)
    assert approvals(events) == [("a", "deny", "default")]


def test_a_read_that_was_interrupted_runs_again_and_that_is_said() -> None:
    call = earlier("a", "tool", ev.ToolOutput("a", "tool", "old"), effect="read")
    events = run([call], Handmade("tool", says(), "read"))
    assert kinds(events) == ["Approval a", "Warn", "ToolStart a", "ToolComplete a"]
    assert events[1] == ev.Warn(
        "tool_repeated", "tool was interrupted in an earlier run, and runs again"
    )


def test_a_read_that_may_not_run_again_is_denied_and_nothing_is_said_of_running() -> None:
    events = run([earlier("a", "tool", effect="read")], Handmade("tool", says()), decide=deny)
    assert kinds(events) == ["Approval a", "ToolError a"]


@pytest.mark.parametrize(("then", "now"), [("read", "write"), ("write", "read"), ("net", "net")])
def test_of_any_other_the_model_is_told_that_nobody_knows(then: Effect, now: Effect) -> None:
    def never(*given: object) -> None:
        raise AssertionError

    outputs = [ev.ToolOutput("a", "tool", it) for it in ("half ", "of it\n")]
    call = earlier("a", "tool", outputs[0], outputs[1], effect=then)
    (end,) = run([call], Handmade("tool", never, now))
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code, end.error) == ("unknown", "interrupted", UNKNOWN)
    assert end.result == f"{UNKNOWN}\n\nIts output until then:\nhalf of it\n"
    (silent,) = run([earlier("a", "tool", effect=then)], Handmade("tool", never, now))
    assert isinstance(silent, ev.ToolError)
    assert silent.result is None


def test_the_outcome_is_unknown_also_where_the_tool_is_gone() -> None:
    for effect in ("read", "write"):
        (end,) = run([earlier("a", "gone", effect=effect)])
        assert isinstance(end, ev.ToolError)
        assert end.outcome == "unknown"


def test_it_runs_again_if_the_user_wants_that_and_it_is_approved() -> None:
    events = run(
        [earlier("a", "tool")],
        Handmade("tool", says(), "write"),
        decide=ask,
        approve=lambda call: True,
        interrupted="run",
    )
    assert kinds(events) == ["Approval a", "Warn", "ToolStart a", "ToolComplete a"]


def test_the_run_ends_if_the_user_wants_to_see_to_it_first() -> None:
    runner = Runner(Toolset([Handmade("tool", says(), "write")]), allow, interrupted="stop")
    calls = [pending("b", "tool", "{"), earlier("a", "tool")]
    with pytest.raises(UnknownOutcome, match="tool was interrupted") as raised:
        next(runner.run(calls, CancelToken()))
    assert "--interrupted tell" in (raised.value.hint or "")


# ---- all of it together


def _prints(arguments: dict[str, Any], context: Context) -> int:
    for number in range(arguments.get("n", 1)):
        context.output(f"{number} " * 100)
        context.progress(number + 1, arguments.get("n", 1))
    return 1


def _fails(arguments: dict[str, Any], context: Context) -> None:
    raise LookupError("no\udce9")


BEHAVIOURS: dict[str, Does] = {
    "prints": _prints,
    "fails": _fails,
    "nothing": lambda arguments, context: None,
    "bytes": lambda arguments, context: b"\xff\x00",
    "object": lambda arguments, context: object(),
    "huge": lambda arguments, context: "x\n" * 300_000,
    "surrogate": lambda arguments, context: {"\ud800": "\udfff"},
    "wrong": lambda arguments, context: context.output(b"bytes"),  # type: ignore[arg-type]
    "waits": obeys,
}
EFFECTS: list[Effect] = ["read", "write"]
WAYS = ["calm", "x", "cancel", "leave"]
DECIDES = {"allow": allow, "ask": ask, "deny": deny}

one_call = st.tuples(
    st.sampled_from([*BEHAVIOURS, "unknown"]),
    st.sampled_from(EFFECTS),
    st.sampled_from(["{}", '{"n": 40}', "{", "[]"]),
    st.sampled_from(["allow", "allow", "deny", "ask"]),
)


@given(
    st.lists(one_call, max_size=7),
    st.sampled_from(WAYS),
    st.integers(0, 30),
    st.integers(1, 4),
)
@settings(max_examples=examples(300), deadline=None)
def test_whatever_happens_each_call_ends_once_and_no_thread_is_left(
    calls: list[tuple[str, Effect, str, ev.Decision]], way: str, moment: int, at_once: int
) -> None:
    tools = Toolset(
        [
            *(
                Handmade(f"{name}_{effect}_{decision}", does, effect)
                for name, does in BEHAVIOURS.items()
                for effect in EFFECTS
                for decision in ("allow", "deny", "ask")
            )
        ]
    )
    token, control = CancelToken(), Control()
    runner = Runner(
        tools,
        lambda tool, arguments: DECIDES[tool.name.rsplit("_", 1)[1]](tool, arguments),
        control=control,
        at_once=at_once,
        timeout=0.3,
    )
    given_calls = [
        pending(str(number), f"{name}_{effect}_{decision}", arguments)
        for number, (name, effect, arguments, decision) in enumerate(calls)
    ]
    events: list[ev.Event] = []
    arrivals = runner.run(given_calls, token)
    left = False
    try:
        for number, arrival in enumerate(arrivals):
            events += arrival.events
            if control.question is not None:
                control.answer("once" if number % 2 == 0 else "no")
            if number >= moment and way == "x":
                control.stop_tools()
            elif number == moment and way == "cancel":
                token.cancel()
            elif number == moment and way == "leave":
                left = True
                break
    except Cancelled:
        left = True
    close(arrivals)
    assert tool_threads() == []
    assert control.question is None
    assert not control.tools_run
    assert token._callbacks == []
    _are_legal(events, [it.call for it in given_calls], whole=not left, leaves=way == "leave")


def _are_legal(
    events: list[ev.Event], calls: list[ev.ToolCall], *, whole: bool, leaves: bool
) -> None:
    """The events of one round: every call ends once, after what it says, and starts before."""
    ended, started = Counter[str](), set[str]()
    for event in events:
        assert isinstance(event, ev.Fate), event
        assert not ended[event.id], "nothing comes after the end of a call"
        if isinstance(event, ev.ToolStart):
            started.add(event.id)
        elif isinstance(event, ev.ToolOutput | ev.ToolProgress | ev.ToolComplete):
            assert event.id in started
        if isinstance(event, ev.ToolComplete | ev.ToolError):
            ended[event.id] += 1
    if whole:
        assert ended == Counter(it.id for it in calls)
    elif not leaves:
        assert started <= set(ended)
    opening = ev.Metadata(version=1, run="r", started_at="now")
    stats = ev.Stats(duration=0.0, chunks=0)
    run = [opening, *calls, *events, ev.Done(finish_reason="stop", stats=stats, attempts=1)]
    if not calls:
        return
    for number, event in enumerate(run):
        event.seq, event.t = number, 0.0
        ev.encode(event)
    check(run)
