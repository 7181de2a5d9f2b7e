"""Conversations: what follows what, where each one continues, and nobody overwrites anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.errors import JournalError, UsageError
from chatstream.messages import Message
from chatstream.store.conversation import Conversations
from tests.support.runs import done, failed, run_id, running, write_run

SYSTEM = Message("system", "be brief")


@pytest.fixture
def talks(tmp_path: Path) -> Conversations:
    """The conversations of `tmp_path`."""
    return Conversations(tmp_path)


def three_turns(folder: Path) -> None:
    """A conversation of the runs 1, 2 and 3."""
    write_run(folder, run_id(1), "a1", asked=[SYSTEM, Message("user", "q1")])
    write_run(folder, run_id(2), "a2", question="q2", parent=run_id(1))
    write_run(folder, run_id(3), "a3", question="q3", parent=run_id(2))


def texts(talks: Conversations, number: int) -> list[str]:
    """What was said from the root to the answer of a run."""
    return [it.content for it in talks.path(run_id(number))]


def test_a_path_is_every_message_from_the_root_on(tmp_path: Path, talks: Conversations) -> None:
    three_turns(tmp_path)
    assert texts(talks, 3) == ["be brief", "q1", "a1", "q2", "a2", "q3", "a3"]
    assert texts(talks, 1) == ["be brief", "q1", "a1"]
    assert [it.role for it in talks.path(run_id(3))] == ["system", *["user", "assistant"] * 3]
    assert talks.newest() == run_id(3)
    assert (talks.root(run_id(3)), talks.parent(run_id(3))) == (run_id(1), run_id(2))
    assert (talks.root(run_id(1)), talks.parent(run_id(1))) == (run_id(1), None)
    assert not (tmp_path / "conversations").exists()


def test_the_newest_conversation_is_that_of_the_newest_run(
    tmp_path: Path, talks: Conversations
) -> None:
    with pytest.raises(UsageError, match="no conversation"):
        talks.newest()
    write_run(tmp_path, run_id(1), "a1")
    write_run(tmp_path, run_id(2), "other")
    assert talks.newest() == run_id(2)
    write_run(tmp_path, run_id(3), "a3", parent=run_id(1))
    assert talks.newest() == run_id(3)
    (tmp_path / "runs" / "zzz.jsonl").write_bytes(b"not a journal\n")
    assert talks.newest() == run_id(3)


def test_what_has_no_answer_is_passed_over(tmp_path: Path, talks: Conversations) -> None:
    three_turns(tmp_path)
    write_run(tmp_path, run_id(4), "", end=failed("connect"), question="q4", parent=run_id(3))
    write_run(tmp_path, run_id(5), " \n", question="q5", parent=run_id(4))
    write_run(tmp_path, run_id(6), "", end=failed("auth"), question="another conversation")
    assert talks.newest() == run_id(3)
    assert texts(talks, 5) == texts(talks, 3)
    assert talks.answered(run_id(6)) is None
    write_run(tmp_path, run_id(7), "a7", question="q7", parent=run_id(5))
    assert texts(talks, 7) == [*texts(talks, 3), "q7", "a7"]


def test_an_answer_that_is_being_written_is_not_continued(
    tmp_path: Path, talks: Conversations
) -> None:
    three_turns(tmp_path)
    with running(tmp_path, run_id(4), "so far", parent=run_id(3)):
        assert talks.newest() == run_id(3)
        with running(tmp_path, run_id(5), "another conversation"):
            assert talks.newest() == run_id(3)
    assert talks.newest() == run_id(5)


def test_a_cut_answer_is_part_of_the_path_and_a_resume_takes_its_place(
    tmp_path: Path, talks: Conversations
) -> None:
    three_turns(tmp_path)
    write_run(tmp_path, run_id(4), "half", killed=True, question="q4", parent=run_id(3))
    assert talks.newest() == run_id(4)
    assert texts(talks, 4)[-2:] == ["q4", "half"]
    assert not talks.path(run_id(4))[-1].complete

    def resume(run: str, text: str, end: ev.Event) -> None:
        continued = run_id(4)
        write_run(
            tmp_path, run, text, end=end, question="q4", parent=run_id(3), continues=continued
        )

    resume(run_id(5), "half and whole", done())
    assert talks.newest() == run_id(5)
    assert texts(talks, 5) == [*texts(talks, 3), "q4", "half and whole"]
    assert talks.root(run_id(5)) == run_id(1)
    resume(run_id(6), "", failed("connect"))
    assert texts(talks, 6) == texts(talks, 4)


def test_a_resume_of_the_first_run_belongs_to_its_conversation(
    tmp_path: Path, talks: Conversations
) -> None:
    write_run(tmp_path, run_id(1), "half", killed=True)
    write_run(tmp_path, run_id(2), "half and whole", continues=run_id(1))
    write_run(tmp_path, run_id(3), "a3", question="q3", parent=run_id(2))
    assert talks.root(run_id(3)) == talks.root(run_id(2)) == run_id(1)
    assert texts(talks, 3) == ["why?", "half and whole", "q3", "a3"]


def test_a_journal_with_whole_messages_and_no_parent_is_a_root(
    tmp_path: Path, talks: Conversations
) -> None:
    asked = [Message("user", "q1"), Message("assistant", "a1"), Message("user", "q2")]
    write_run(tmp_path, run_id(1), "a2", asked=asked)
    write_run(tmp_path, run_id(2), "a3", question="q3", parent=run_id(1))
    assert texts(talks, 2) == ["q1", "a1", "q2", "a2", "q3", "a3"]


def test_what_follows_the_head_moves_it(tmp_path: Path, talks: Conversations) -> None:
    three_turns(tmp_path)
    assert talks.advance(run_id(1), run_id(2))
    assert talks.advance(run_id(2), run_id(3))
    assert talks.advance(run_id(2), run_id(3))
    (file,) = (tmp_path / "conversations").iterdir()
    assert file.name == f"{run_id(1)}.jsonl"
    assert file.read_bytes().count(b"\n") == 2


def test_two_that_follow_one_answer_are_branches_and_the_later_one_hears_of_it(
    tmp_path: Path, talks: Conversations
) -> None:
    write_run(tmp_path, run_id(1), "a1")
    with running(tmp_path, run_id(2), "", question="here", parent=run_id(1)):
        assert talks.advance(run_id(1), run_id(2))
        with running(tmp_path, run_id(3), "", question="there", parent=run_id(1)):
            assert not Conversations(tmp_path).advance(run_id(1), run_id(3))
    write_run(tmp_path, run_id(4), "a4", question="more", parent=run_id(3))
    assert Conversations(tmp_path).advance(run_id(3), run_id(4))
    write_run(tmp_path, run_id(5), "a5", question="more here", parent=run_id(2))
    assert not talks.advance(run_id(2), run_id(5))
    assert talks.newest() == run_id(5)


def test_what_came_to_nothing_and_a_resume_are_not_elsewhere(
    tmp_path: Path, talks: Conversations
) -> None:
    write_run(tmp_path, run_id(1), "a1")
    write_run(tmp_path, run_id(2), "", end=failed("connect"), parent=run_id(1))
    assert talks.advance(run_id(1), run_id(2))
    write_run(tmp_path, run_id(3), "half", killed=True, question="q3", parent=run_id(1))
    assert talks.advance(run_id(1), run_id(3))
    write_run(tmp_path, run_id(4), "half, whole", continues=run_id(3), parent=run_id(1))
    write_run(tmp_path, run_id(5), "a5", parent=run_id(4))
    assert talks.advance(run_id(4), run_id(5))
    write_run(tmp_path, run_id(6), "half", killed=True, parent=run_id(5))
    write_run(tmp_path, run_id(7), "half, whole", continues=run_id(6), parent=run_id(5))
    assert talks.advance(run_id(5), run_id(7))
    write_run(tmp_path, run_id(8), "a8", parent=run_id(6))
    assert talks.advance(run_id(6), run_id(8))


def test_a_run_that_was_killed_before_it_became_the_head_is_continued(
    tmp_path: Path, talks: Conversations
) -> None:
    three_turns(tmp_path)
    assert talks.advance(run_id(1), run_id(2))
    write_run(tmp_path, run_id(4), "half", killed=True, parent=run_id(3))
    assert talks.newest() == run_id(4)
    write_run(tmp_path, run_id(5), "a5", parent=run_id(4))
    assert talks.advance(run_id(4), run_id(5))


def test_a_name_leads_to_its_conversation(tmp_path: Path, talks: Conversations) -> None:
    three_turns(tmp_path)
    write_run(tmp_path, run_id(4), "other")
    talks.name(run_id(2), "sky blue")
    assert talks.named("sky blue") == run_id(3)
    assert (talks.has("sky blue"), talks.has("sky")) == (True, False)
    with pytest.raises(UsageError, match="no conversation named 'sky bleu'") as caught:
        talks.named("sky bleu")
    assert caught.value.hint == "did you mean 'sky blue'?"
    with pytest.raises(UsageError, match="another conversation is named"):
        talks.name(run_id(4), "sky blue")
    talks.name(run_id(3), "sky")
    talks.name(run_id(4), "sky blue")
    assert (talks.named("sky"), talks.named("sky blue")) == (run_id(3), run_id(4))
    write_run(tmp_path, run_id(5), "", end=failed("auth"))
    talks.name(run_id(5), "failed")
    with pytest.raises(UsageError, match="no answer yet"):
        talks.named("failed")


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\x1bb", "x" * 101])
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, talks: Conversations, name: str) -> None:
    write_run(tmp_path, run_id(1), "a1")
    with pytest.raises(UsageError, match="cannot be the name"):
        talks.name(run_id(1), name)


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path: Path, talks: Conversations) -> None:
    three_turns(tmp_path)
    assert talks.find(run_id(2)[:15]) == run_id(2)
    for unknown in ("2027", "", "../runs"):
        with pytest.raises(UsageError, match="there is no run"):
            talks.find(unknown)


def test_a_forged_or_damaged_journal_harms_nobody(tmp_path: Path, talks: Conversations) -> None:
    write_run(tmp_path, run_id(1), "a1", parent=run_id(2))
    write_run(tmp_path, run_id(2), "a2", parent=run_id(1))
    with pytest.raises(JournalError, match="follows itself"):
        talks.path(run_id(2))
    write_run(tmp_path, run_id(3), "a3", parent="../runs/" + run_id(1))
    with pytest.raises(JournalError, match="is gone"):
        talks.path(run_id(3))
    path = write_run(tmp_path, run_id(4), "a4")
    path.write_bytes(path.read_bytes().replace(b"a4", b"b4"))
    write_run(tmp_path, run_id(5), "a5", parent=run_id(4))
    with pytest.raises(JournalError, match=f"{run_id(4)}.* damaged in line"):
        talks.path(run_id(5))
