"""What becomes of a run: its events whatever happens, its message, or the failure it ended with."""

from __future__ import annotations

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.outcome import events_of, whole
from chatstream.engine.run import Question, Run
from chatstream.errors import RateLimited, UsageError
from chatstream.events import Content, Done, Error, Event, Metadata, Stats, new_run
from chatstream.flow import close
from chatstream.messages import Message
from tests.support.arrivals import each

DONE = Done(finish_reason="stop", stats=Stats(duration=1.0, chunks=1), attempts=1)
FAILED = Error("rate_limited", "slow down", recoverable=True, partial=True, hint="wait", status=429)


def run_of(*events: Event) -> Run:
    return Run(Question(messages=()), new_run(), CancelToken(), each(*events))


def test_a_run_that_cannot_begin_has_events_too() -> None:
    def begin() -> Run:
        raise UsageError("the question is empty")

    opening, error = events_of(begin)
    assert isinstance(opening, Metadata)
    assert isinstance(error, Error)
    assert (error.code, error.message) == ("usage", "the question is empty")


def test_the_run_is_closed_when_its_reader_leaves() -> None:
    run = run_of(Content("a"), DONE)
    events = events_of(lambda: run)
    next(events)
    close(events)
    assert not run.active


def test_a_whole_answer_is_its_message_and_a_failure_is_raised_with_what_came() -> None:
    assert whole(iter([Content("a"), DONE])) == Message("assistant", "a")
    with pytest.raises(RateLimited, match="slow down") as caught:
        whole(iter([Content("a"), FAILED]))
    error = caught.value
    assert (error.hint, error.status) == ("wait", 429)
    assert error.partial == Message("assistant", "a", complete=False)
