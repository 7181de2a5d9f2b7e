"""Claimed: a loop is played again from its journal: the same events, and nothing is started."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled
from chatstream.flow import Finish, events_in
from chatstream.tools.calls import Pending
from chatstream.tools.recorded import Recorded
from tests.support.rounds import Ask, Counting, Model, looped, stamped

RUN = "20260101-000000-000000-abcd"
ROUNDS = [
    [Ask("a", "add", '{"n": 1, "m": 2}'), Ask("b", "look")],
    [Ask("c", "add", '{"n": 5}'), Ask("d", "look")],
]


def recording(rounds: Sequence[Sequence[Ask]] = ROUNDS) -> list[ev.Event]:
    """The journal of a loop."""
    return stamped([it for it in looped(Model(rounds), Counting()) if type(it) is not Finish])


def played(rounds: Sequence[Sequence[Ask]], recorded: Recorded) -> list[ev.Event]:
    """The events of a loop with these results."""
    events = looped(Model(rounds), recorded)
    return [copy.copy(it) for it in events]


def fates(events: Sequence[ev.Event]) -> list[ev.Event]:
    """What became of calls, without numbers and times."""
    kinds = ev.Approval | ev.ToolStart | ev.ToolProgress | ev.ToolOutput
    found = (it for it in events if isinstance(it, kinds | ev.ToolComplete | ev.ToolError))
    return [replace(it, seq=-1, t=-1.0, replayed=False) for it in found]


def of_calls(recorded: Recorded, *calls: ev.ToolCall, refused: str | None = None) -> list[ev.Event]:
    pending = [Pending(it, refused=refused) for it in calls]
    return list(events_in(recorded.run(pending, CancelToken())))


def test_twice_the_same_is_the_same_and_marked() -> None:
    first = played(ROUNDS, Recorded(RUN, recording()))
    second = played(ROUNDS, Recorded(RUN, recording()))
    assert first == second
    assert sorted(map(repr, fates(first))) == sorted(map(repr, fates(recording())))
    assert all(it.replayed for it in first if isinstance(it, ev.ToolStart | ev.ToolComplete))


def test_arguments_are_the_same_however_they_are_written_and_the_id_is_the_new_one() -> None:
    events = of_calls(Recorded(RUN, recording()), ev.ToolCall("x9", "add", '{"m":2,"n":1}'))
    assert {getattr(it, "id", None) for it in events} == {"x9"}
    assert isinstance(events[-1], ev.ToolComplete)
    assert events[-1].result == 'add({"n": 1, "m": 2})'


def test_the_same_call_again_has_its_own_result() -> None:
    results = ["one", "two"]
    events: list[ev.Event] = []
    for number, result in enumerate(results):
        call = f"c{number}"
        events += [ev.ToolCall(call, "clock", "{}"), ev.ToolComplete(call, "clock", result, 0.1)]
    recorded = Recorded(RUN, events)
    calls = [ev.ToolCall(f"n{number}", "clock", "{}") for number in range(3)]
    one, two, three = of_calls(recorded, *calls)
    assert isinstance(one, ev.ToolComplete)
    assert isinstance(two, ev.ToolComplete)
    assert [one.result, two.result] == results
    assert isinstance(three, ev.ToolError)
    assert three.code == "not_recorded"


@pytest.mark.parametrize(
    "call",
    [
        ev.ToolCall("x", "add", '{"n": 3}'),
        ev.ToolCall("x", "other", "{}"),
        ev.ToolCall("x", "add", "no JSON"),
    ],
)
def test_a_call_that_is_not_recorded_is_an_error_for_the_model(call: ev.ToolCall) -> None:
    (error,) = of_calls(Recorded(RUN, recording()), call)
    assert isinstance(error, ev.ToolError)
    assert (error.id, error.code, error.outcome) == ("x", "not_recorded", "failed")
    assert RUN in error.error


def test_a_call_whose_end_is_not_recorded_is_not_recorded() -> None:
    last = next(at for at, it in enumerate(recording()) if isinstance(it, ev.ToolComplete))
    recorded = Recorded(RUN, recording()[:last])
    (error,) = of_calls(recorded, ev.ToolCall("x", "add", '{"n":1,"m":2}'))
    assert isinstance(error, ev.ToolError)
    assert error.code == "not_recorded"


def test_a_void_call_is_not_recorded() -> None:
    reset = ev.Retry(attempt=2, max=3, delay=0.0, cause="c", action="reset")
    events = [
        ev.ToolCall("a", "add", '{"n": 9}'),
        reset,
        ev.ToolCall("a", "add", '{"n": 1}'),
        ev.ToolComplete("a", "add", "1", 0.1),
    ]
    one, nine = of_calls(
        Recorded(RUN, events),
        ev.ToolCall("x", "add", '{"n":1}'),
        ev.ToolCall("y", "add", '{"n":9}'),
    )
    assert (type(one), type(nine)) == (ev.ToolComplete, ev.ToolError)


def test_a_call_that_a_limit_refuses_is_refused() -> None:
    call = ev.ToolCall("x", "look", "{}")
    (error,) = of_calls(Recorded(RUN, recording()), call, refused="the limit is reached")
    assert isinstance(error, ev.ToolError)
    assert (error.code, error.error) == ("limit", "the limit is reached")


def test_a_cancel_ends_it() -> None:
    token = CancelToken()
    arrivals = Recorded(RUN, recording()).run(
        [Pending(ev.ToolCall("x", "look", "{}")), Pending(ev.ToolCall("y", "look", "{}"))], token
    )
    next(arrivals)
    token.cancel(Cancelled("enough"))
    with pytest.raises(Cancelled):
        next(arrivals)


def test_the_events_of_a_recording_are_left_as_they_are() -> None:
    events = recording()
    kept = list(map(copy.copy, events))
    played(ROUNDS, Recorded(RUN, events))
    assert events == kept
