"""Conversations: what follows what, where each one continues, and nobody overwrites anybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.errors import JournalError, UsageError
from chatstream.messages import Message, ProviderData, Reasoning, ToolCall, ToolResult
from chatstream.store.conversation import Conversations
from chatstream.store.history import History
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


@pytest.mark.parametrize("left", [None, b""])
def test_where_the_head_is_gone_the_newest_answer_that_is_there_is_continued(
    left: bytes | None, tmp_path: Path, talks: Conversations
) -> None:
    three_turns(tmp_path)
    talks.advance(run_id(2), run_id(3))
    head = tmp_path / "runs" / f"{run_id(3)}.jsonl"
    head.unlink()
    if left is not None:  # by a full disk
        head.write_bytes(left)
    fresh = Conversations(tmp_path)
    assert fresh.newest() == run_id(2)
    assert fresh.advance(run_id(2), run_id(4))


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


def expire(folder: Path, *numbers: int) -> None:
    """Take in all journals, and delete those of these runs."""
    with History(folder) as history:
        history.sync()
    for number in numbers:
        (folder / "runs" / f"{run_id(number)}.jsonl").unlink()


def test_a_conversation_whose_journals_expired_is_continued_from_the_history(
    tmp_path: Path, talks: Conversations
) -> None:
    signed = [ev.Reasoning("hm"), ev.ReasoningData({"signature": "c2ln"}), ev.Content("a1")]
    call = ev.ToolCall("c1", "look", "{}", provider_data={"thought_signature": "eA=="})
    write_run(tmp_path, run_id(1), pieces=signed, asked=[SYSTEM, Message("user", "q1")])
    write_run(tmp_path, run_id(2), "half", killed=True, question="q2", parent=run_id(1))
    write_run(
        tmp_path,
        run_id(3),
        pieces=[ev.Content("half, a2"), call],
        question="q2",
        parent=run_id(1),
        continues=run_id(2),
    )
    write_run(tmp_path, run_id(4), "", end=failed("connect"), question="q4", parent=run_id(3))
    talks.name(run_id(3), "sky")
    write_run(tmp_path, run_id(5), "an older one that is still there")
    write_run(tmp_path, run_id(6), "a6", question="q6", parent=run_id(3))
    before = [talks.path(run_id(number)) for number in (1, 3, 4, 6)]
    assert before[3][2].parts[0] == Reasoning("hm", ProviderData("demo", {"signature": "c2ln"}))
    assert before[3][4].tool_calls[0].provider_data is not None
    expire(tmp_path, 1, 2, 3, 4, 6)
    later = Conversations(tmp_path)
    assert [later.path(run_id(number)) for number in (1, 3, 4, 6)] == before
    assert [it.content for it in later.asked(run_id(1))] == ["be brief", "q1"]
    assert later.asked(run_id(3)) == later.asked(run_id(2)) == [Message("user", "q2")]
    assert later.asked(run_id(5)) == [Message("user", "why?")]
    assert later.newest() == later.named("sky") == run_id(6)
    assert later.find(run_id(3)[:15]) == run_id(3)
    assert (later.root(run_id(6)), later.parent(run_id(6))) == (run_id(1), run_id(3))
    assert later.answered(run_id(4)) == run_id(3)
    assert later.advance(run_id(3), run_id(6))
    assert not later.advance(run_id(3), run_id(7))
    write_run(tmp_path, run_id(8), "a8", question="q8", parent=run_id(6))
    write_run(tmp_path, run_id(7), "a7", question="q7", parent=run_id(3))
    assert not later.advance(run_id(6), run_id(8))
    assert later.path(run_id(8)) == [
        *before[3],
        Message("user", "q8"),
        Message("assistant", "a8"),
    ]
    assert later.named("sky") == run_id(8)
    with pytest.raises(UsageError, match="there is no run"):
        later.find("2027")
    with pytest.raises(JournalError, match="is gone"):
        later.path(run_id(99))


def test_the_history_is_opened_only_where_there_is_one(
    tmp_path: Path, talks: Conversations
) -> None:
    three_turns(tmp_path)
    talks.newest()
    for use in (talks.path, talks.asked):
        with pytest.raises(JournalError, match="is gone"):
            use(run_id(9))
    assert [it.name for it in tmp_path.iterdir()] == ["runs"]
    code = (
        "import sys; from pathlib import Path; from chatstream.store.conversation import *\n"
        "Conversations(Path(sys.argv[1])).newest(); print('sqlite3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True)
    assert (done.stdout, done.stderr) == (b"False\n", b"")


def test_a_forged_or_damaged_journal_harms_nobody(tmp_path: Path, talks: Conversations) -> None:
    write_run(tmp_path, run_id(1), "a1", parent=run_id(2))
    write_run(tmp_path, run_id(2), "a2", parent=run_id(1))
    with pytest.raises(JournalError, match="follows itself"):
        talks.path(run_id(2))
    write_run(tmp_path, run_id(3), "a3", parent="../runs/" + run_id(1))
    with pytest.raises(JournalError, match="is gone"):
        talks.path(run_id(3))
    with pytest.raises(JournalError, match="is not the id of a run"):
        talks.advance(run_id(3), run_id(4))
    path = write_run(tmp_path, run_id(4), "a4")
    path.write_bytes(path.read_bytes().replace(b"a4", b"b4"))
    write_run(tmp_path, run_id(5), "a5", parent=run_id(4))
    with pytest.raises(JournalError, match=f"{run_id(4)}.* damaged in line"):
        talks.path(run_id(5))


def test_a_path_has_the_rounds_of_tools_and_what_a_server_gave(
    tmp_path: Path, talks: Conversations
) -> None:
    pieces = [
        ev.Metadata(provider="p", base_url="https://a.example"),
        ev.Reasoning("hm"),
        ev.ReasoningData(provider_data={"signature": "s"}),
        ev.ToolCall("1", "add", "{}"),
        ev.ToolStart("1", "add"),
        ev.ToolComplete("1", "add", "3", 0.1),
        ev.Metadata(provider="p", base_url="https://a.example"),
        ev.Content("three"),
    ]
    write_run(tmp_path, run_id(1), pieces=pieces)
    given = ProviderData("p", {"signature": "s"}, "https://a.example")
    _, *made = talks.path(run_id(1))
    assert made == [
        Message("assistant", [Reasoning("hm", given), ToolCall("1", "add", "{}")]),
        Message("tool", [ToolResult("1", "add", "3")]),
        Message("assistant", "three"),
    ]


@pytest.mark.parametrize("picked", [1, 2, 3])
def test_of_several_first_answers_the_chosen_one_is_the_newest_conversation(
    tmp_path: Path, talks: Conversations, picked: int
) -> None:
    for number in (1, 2, 3):
        write_run(tmp_path, run_id(number), f"a{number}")
    assert talks.newest() == run_id(3)
    everybody = [run_id(number) for number in (1, 2, 3)]
    talks.choose(run_id(picked), everybody)
    assert talks.newest() == run_id(picked)
    assert Conversations(tmp_path).newest() == run_id(picked)
    write_run(tmp_path, run_id(4), "a4", question="q4", parent=run_id(picked))
    assert talks.advance(run_id(picked), run_id(4))
    assert talks.newest() == run_id(4)


def test_of_several_answers_on_the_way_the_chosen_one_is_the_head(
    tmp_path: Path, talks: Conversations
) -> None:
    three_turns(tmp_path)
    for number in (4, 5, 6):
        write_run(tmp_path, run_id(number), f"a{number}", question="q4", parent=run_id(3))
    talks.advance(run_id(3), run_id(4))
    talks.choose(run_id(5), [run_id(4), run_id(5), run_id(6)])
    assert talks.newest() == talks.head(run_id(1)) == run_id(5)
    assert talks.parent(run_id(5)) == run_id(3)
    assert [it.stem for it in (tmp_path / "conversations").iterdir()] == [run_id(1)]


def test_another_choice_replaces_the_first(tmp_path: Path, talks: Conversations) -> None:
    everybody = [run_id(number) for number in (1, 2, 3)]
    for run in everybody:
        write_run(tmp_path, run, "an answer")
    for picked in (1, 3, 2, 1):
        talks.choose(run_id(picked), everybody)
        assert talks.newest() == run_id(picked)


def test_one_that_was_not_chosen_can_be_continued_and_is_then_the_newest(
    tmp_path: Path, talks: Conversations
) -> None:
    for number in (1, 2):
        write_run(tmp_path, run_id(number), f"a{number}")
    talks.choose(run_id(1), [run_id(1), run_id(2)])
    write_run(tmp_path, run_id(3), "a3", question="q3", parent=run_id(2))
    assert not talks.advance(run_id(2), run_id(3))
    assert talks.newest() == run_id(3)
    assert texts(talks, 3) == ["why?", "a2", "q3", "a3"]


def test_a_name_leads_to_the_chosen_answer_and_stays_with_it(
    tmp_path: Path, talks: Conversations
) -> None:
    for number in (1, 2):
        write_run(tmp_path, run_id(number), f"a{number}")
    talks.name(run_id(1), "sky")
    talks.choose(run_id(2), [run_id(1), run_id(2)])
    assert talks.named("sky") == run_id(2)
    talks.check_name("sky", run_id(2))
    write_run(tmp_path, run_id(3), "a3", question="q3", parent=run_id(2))
    talks.advance(run_id(2), run_id(3))
    talks.name(run_id(2), "sky")
    assert talks.named("sky") == run_id(3)
    write_run(tmp_path, run_id(4), "another")
    with pytest.raises(UsageError, match="another conversation is named"):
        talks.name(run_id(4), "sky")


def test_the_choice_outlives_the_database_and_the_journals_of_the_others(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_run(tmp_path, run_id(number), f"a{number}")
    Conversations(tmp_path).choose(run_id(1), [run_id(number) for number in (1, 2, 3)])
    for _ in range(2):  # the second time it is made again
        with History(tmp_path) as history:
            history.sync()
            heads = [history.tree(history.run(run_id(number))).head for number in (1, 2, 3)]
        assert heads == [run_id(number) for number in (1, 2, 3)]  # each tree has its own
        assert Conversations(tmp_path).newest() == run_id(1)
        for file in tmp_path.glob("history.db*"):
            file.unlink()
    (tmp_path / "runs" / f"{run_id(1)}.jsonl").unlink()
    assert Conversations(tmp_path).newest() == run_id(3)


def test_the_choice_holds_once_all_journals_have_expired(tmp_path: Path) -> None:
    for number in (1, 2):
        write_run(tmp_path, run_id(number), f"a{number}")
    talks = Conversations(tmp_path)
    talks.choose(run_id(1), [run_id(1), run_id(2)])
    with History(tmp_path) as history:
        history.sync()
    for journal in (tmp_path / "runs").glob("*.jsonl"):
        journal.unlink()
    assert Conversations(tmp_path).newest() == run_id(1)
    assert texts(Conversations(tmp_path), 1) == ["why?", "a1"]
