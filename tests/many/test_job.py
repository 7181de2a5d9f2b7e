"""Claimed: what there is of a section is whole, or is continued, or is known to be out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from chatstream.errors import UsageError
from chatstream.events import Content, Error, Retry
from chatstream.many.job import NOTHING, Job, Written, continuation
from chatstream.messages import Message
from chatstream.store.composed import Composed
from chatstream.store.history import History
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import find
from tests.support.runs import failed, run_id, running, write_run

FIRST, SECOND, THIRD = map(run_id, (1, 2, 3))
ASKED = (Message("user", "why?"),)


@pytest.fixture
def job() -> Iterator[Job]:
    """A document whose first section the first run writes."""
    with closing(Composed(state_folder(), "key")) as composed:
        composed.begin(1, FIRST)
        yield Job(composed)


def test_what_was_never_begun_is_nothing(job: Job) -> None:
    assert job.written(2) is NOTHING
    assert Job(None).written(1) is NOTHING


def test_a_whole_run_is_its_text(job: Job) -> None:
    write_run(state_folder(), FIRST, " all of it \n")
    assert job.written(1) == Written("all of it")


@pytest.mark.parametrize("killed", [True, False])
def test_a_run_that_broke_off_is_to_be_continued(job: Job, killed: bool) -> None:
    write_run(state_folder(), FIRST, "half ", killed=killed, end=None if killed else failed())
    found = job.written(1)
    assert (found.text, found.reason) == (None, None)
    assert found.record is not None
    assert (found.record.run, found.record.message.content) == (FIRST, "half ")


def test_the_newest_run_that_continues_it_counts(job: Job) -> None:
    write_run(state_folder(), FIRST, "half ", killed=True)
    write_run(state_folder(), SECOND, "half and ", continues=FIRST, killed=True)
    found = job.written(1)
    assert found.record is not None
    assert (found.record.run, found.record.message.content) == (SECOND, "half and ")
    write_run(state_folder(), THIRD, "half and all", continues=SECOND)
    assert job.written(1) == Written("half and all")


def test_a_run_without_text_has_nothing_to_continue(job: Job) -> None:
    write_run(state_folder(), FIRST, " \n", end=Error("stalled", "silence", True, False))
    assert job.written(1) == NOTHING


def test_a_text_that_was_dropped_is_not_continued(job: Job) -> None:
    reset = Retry(attempt=1, max=1, delay=0.0, cause="c", emitted_chars=0, action="reset")
    write_run(state_folder(), FIRST, pieces=[Content("half"), reset], killed=True)
    assert job.written(1) == NOTHING


def test_an_answer_that_is_over_but_unusable_is_not_continued(job: Job) -> None:
    wrong = Error("invalid_answer", "no JSON", False, True)
    write_run(state_folder(), FIRST, "words", end=wrong)
    assert job.written(1) == NOTHING


def test_a_damaged_journal_is_a_reason(job: Job) -> None:
    path = write_run(state_folder(), FIRST, "half", killed=True)
    path.write_bytes(path.read_bytes().replace(b'"half"', b'"calf"'))
    found = job.written(1)
    assert (found.text, found.record) == (None, None)
    assert "damaged in line 2" in str(found.reason)


def test_a_run_that_goes_on_elsewhere_is_a_reason(job: Job) -> None:
    write_run(state_folder(), FIRST, "half", killed=True)
    with running(state_folder(), SECOND, "half and", continues=FIRST):
        assert job.written(1).reason == f"run {SECOND} has not ended yet"


def test_the_history_has_what_is_whole_after_the_journal_is_gone(job: Job) -> None:
    write_run(state_folder(), FIRST, "all of it")
    with History(state_folder()) as history:
        history.sync()
    find(runs_folder(), FIRST).unlink()
    assert job.written(1) == Written("all of it")


def test_a_journal_that_is_gone_leaves_nothing(job: Job) -> None:
    assert job.written(1) == NOTHING


def test_a_run_is_remembered_once_its_journal_has_begun(job: Job) -> None:
    write_run(state_folder(), FIRST, "half", killed=True)
    assert job.begin(1, SECOND) == ()
    found = job.written(1)
    assert found.record is not None
    assert found.record.run == FIRST
    write_run(state_folder(), SECOND, "half", killed=True)
    assert job.begin(1, SECOND) == ()
    found = job.written(1)
    assert found.record is not None
    assert found.record.run == SECOND


def test_only_the_answer_to_the_same_prompt_is_continued(job: Job) -> None:
    write_run(state_folder(), FIRST, "half", killed=True)
    record = job.written(1).record
    assert record is not None
    _, question = continuation(record, ASKED, {})
    assert (question.record, question.messages) == (record, ASKED)
    for other in ((Message("user", "what?"),), (Message("system", "s"), *ASKED)):
        with pytest.raises(UsageError, match="its prompt has changed"):
            continuation(record, other, {})
