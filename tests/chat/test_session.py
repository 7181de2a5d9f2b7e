"""A chat's conversation: what is a turn, where the next question stands, and what is set."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from pathlib import Path

import msgspec
import pytest

from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import START, Place, place_of
from chatstream.engine.roles import Role
from chatstream.errors import UsageError
from chatstream.store.conversation import Conversations
from chatstream.store.drafts import Draft, Drafts
from chatstream.store.history import History
from chatstream.store.place import state_folder
from tests.support.chats import (
    Typed,
    flags_of,
    holds,
    says,
    sent,
    session_at,
    stop_when_holding,
)
from tests.support.loopback import SSE, Reply, Script


def test_each_question_follows_the_answers_before_it() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        session = session_at(server, system="Be brief.")
        assert chat(session, Typed("noon?", "sunset?", "night?")) == 0
        *_, last = sent(server)
    assert last == [
        *(("system", "Be brief."), ("user", "noon?"), ("assistant", "Blue.")),
        *(("user", "sunset?"), ("assistant", "Red."), ("user", "night?")),
    ]
    assert [turn.answer.content for turn in session.turns] == ["Blue.", "Red.", "Dark."]


def test_another_chat_continues_where_this_one_ended() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        first = session_at(server, system="Be brief.")
        chat(first, Typed("noon?", "sunset?"))
        second = Session(flags_of(server), place_of(last=True))
        assert [it.run for it in second.turns] == [it.run for it in first.turns]
        assert second.system == "Be brief."
        chat(second, Typed("night?"))
        assert sent(server)[-1][-3:] == [
            *(("user", "sunset?"), ("assistant", "Red."), ("user", "night?")),
        ]
        assert sent(server)[-1][0] == ("system", "Be brief.")
    assert Conversations(state_folder()).newest() == second.head


def test_the_place_of_an_earlier_question_is_a_branch_and_the_old_answers_stay() -> None:
    with Script(says("one"), says("two"), says("other two")) as server:
        session = session_at(server)
        chat(session, Typed("1?", "2?", "/edit 2", "2, but else?"))
        old = [it.run for it in Session({}, place_of(at=session.turns[0].run)).turns]
        assert old == [session.turns[0].run]
    assert [it.question.content for it in session.turns] == ["1?", "2, but else?"]
    conversations = Conversations(state_folder())
    assert conversations.root(str(session.head)) == session.turns[0].run


def test_without_a_journal_the_turns_are_kept_here_and_sent_again() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        session = session_at(server, journal=False, system="Be brief.")
        chat(session, Typed("noon?", "sunset?", "/undo", "night?"))
        assert sent(server)[-1] == [
            *(("system", "Be brief."), ("user", "noon?"), ("assistant", "Blue.")),
            ("user", "night?"),
        ]
    assert session.head is None
    assert not (state_folder() / "runs").exists()


def test_the_first_question_asked_again_keeps_the_system_prompt() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("noon?", "/edit 1", "sunset?"))
        assert sent(server)[-1] == [("system", "Be brief."), ("user", "sunset?")]
    assert len(session.turns) == 1


def test_another_system_prompt_begins_a_conversation_that_has_all_messages() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("noon?"))
        old = str(session.head)
        chat(session, Typed("/system Be long.", "sunset?", "night?"))
        assert sent(server)[-1] == [
            *(("system", "Be long."), ("user", "noon?"), ("assistant", "Blue.")),
            *(("user", "sunset?"), ("assistant", "Red."), ("user", "night?")),
        ]
    conversations = Conversations(state_folder())
    assert conversations.root(str(session.head)) != old
    assert len(conversations.path(str(session.head))) == 7
    assert len(conversations.path(old)) == 3


def test_what_is_set_for_the_chat_goes_over_what_the_conversation_had() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        session = session_at(server, temperature=1.0, options=["seed=7"])
        chat(session, Typed("noon?", "/set temperature 0", "/set options.top_k 5", "sunset?"))
        first, second = (it.json for it in server.requests if it.path == "/api/chat")
    assert (first["options"]["temperature"], first["options"]["seed"]) == (1.0, 7)
    assert second["options"] == {**first["options"], "temperature": 0, "top_k": 5}


def test_a_place_after_a_model_leaves_the_server_that_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Script(says("Blue.")) as one, Script(says("Red.")) as other:
        session = session_at(one)
        chat(session, Typed("noon?", f"/model n@{other.url}/api/chat", "sunset?"))
        assert [len(sent(it)) for it in (one, other)] == [1, 1]
        assert sent(other)[0][1] == ("assistant", "Blue.")
    assert session.model == f"n@{other.url}/api/chat"


def test_so_does_a_retry_and_only_once() -> None:
    with Script(says("Blue."), says("Red.")) as one, Script(says("Green.")) as other:
        session = session_at(one)
        chat(session, Typed("noon?", f"/retry -m n@{other.url}/api/chat", "/model m", "sunset?"))
        assert [text for _, text in sent(other)[0]] == ["noon?"]
        assert [text for _, text in sent(one)[1]] == ["noon?", "Green.", "sunset?"]


def models(server: Script) -> list[str]:
    """The models that were asked, in their order."""
    return [it.json["model"] for it in server.requests if it.path == "/api/chat"]


@pytest.mark.parametrize("named", [True, False])
def test_a_retry_with_another_model_asks_it_this_question_alone(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        flags = flags_of(server)
        if not named:  # the configuration names it
            config = tmp_path / "config.toml"
            config.write_text(f'model = "{flags.pop("model")}"\n')
            monkeypatch.setenv("CHATSTREAM_CONFIG", str(config))
        session = Session(flags)
        chat(session, Typed("noon?", "/retry -m b", "sunset?"))
        assert models(server) == ["m", "b", "m"]
    assert session.model == "m"


def test_an_answer_of_a_model_that_was_asked_alone_is_continued_by_it() -> None:
    replies = [says("Blue."), holds("Re"), says("d."), says("Dark.")]
    with Script(*replies) as server:
        session = session_at(server)
        stop_when_holding(server, "Re")
        chat(session, Typed("noon?", "/retry -m b", "/continue", "sunset?"))
        assert models(server) == ["m", "b", "b", "m"]


def test_a_model_that_is_named_after_the_stop_continues_the_answer() -> None:
    with Script(says("Blue."), holds("Re"), says("d.")) as server:
        stop_when_holding(server, "Re")
        chat(session_at(server), Typed("noon?", "/retry -m b", "/model c", "/continue"))
        assert models(server) == ["m", "b", "c"]


def test_an_answer_that_was_cut_off_can_be_continued_when_what_followed_it_is_undone() -> None:
    with Script(holds("Bl"), says("Red."), says("ue."), says("Dark.")) as server:
        session = session_at(server)
        stop_when_holding(server, "Bl")
        chat(session, Typed("noon?", "sunset?", "/undo", "/continue", "night?"))
        assert [turn.answer.content for turn in session.turns] == ["Blue.", "Dark."]
    again = Session(flags_of(server), place_of(last=True))
    assert [turn.answer.content for turn in again.turns] == ["Blue.", "Dark."]


@pytest.mark.parametrize("written", [0, 1])
def test_an_answer_that_a_full_disk_did_not_save_stands_in_the_way_of_nothing(
    written: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`written` batches of it have found room."""
    writes, room = os.write, [1000]

    def write(file: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{file}").readlink().suffix == ".jsonl":
            room[0] -= 1
            if room[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        return writes(file, data)

    def filling(_session: Session) -> str:
        room[0] = written
        return "sunset?"

    def freeing(_session: Session) -> str:
        room[0] = 1000
        return "night?"

    monkeypatch.setattr(os, "write", write)
    with Script(*map(says, ("Blue.", "Red.", "Dark.", "Grey.", "Pale."))) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("noon?", filling, freeing, "/retry", "/undo", "/undo", "dawn?"))
        *_, night, retried, dawn = sent(server)
    assert "saved" in capfd.readouterr().err
    told = ["Be brief.", "noon?", "Blue.", "sunset?", "Red.", "night?"]
    assert [[text for _, text in it] for it in (night, retried)] == [told, told]
    assert [text for _, text in dawn] == ["Be brief.", "noon?", "Blue.", "dawn?"]
    assert [turn.answer.content for turn in session.turns] == ["Blue.", "Pale."]
    returned = Session(flags_of(server), place_of(last=True))
    assert [turn.answer.content for turn in returned.turns] == ["Blue.", "Pale."]


def test_without_a_journal_what_was_spent_counts_against_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[prices]\nm = { input = 0.0, output = 1000.0 }\n")
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(config))
    usage = {"prompt_tokens": 3, "completion_tokens": 5}  # $0.005
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "Hi."}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
    ]
    lines = [f"data: {json.dumps(it)}\n\n".encode() for it in chunks]
    with Script(Reply([*lines, b"data: [DONE]\n\n"], headers=SSE)) as server:
        flags = {"provider": "openai", "api_key": "k", "max_tokens": 5, "max_cost": 0.0125}
        session = Session({**flags_of(server), **flags, "journal": False})
        chat(session, Typed("1?", "2?", "3?"))
        assert len(session.turns) == 2


def test_without_a_journal_a_conversation_gets_no_name() -> None:
    with Script(says("Blue.")) as server:
        session = session_at(server, journal=False)
        chat(session, Typed("noon?"))
        with pytest.raises(UsageError, match="without a journal"):
            session.name("sky")
    with pytest.raises(UsageError, match="without a journal"):
        Session({"journal": False}).name("sky")


def test_who_comes_back_sees_who_answered() -> None:
    with Script(says("Blue.")) as server:
        chat(session_at(server), Typed("noon?"))
    assert Session({}, place_of(last=True)).model == "m"


def test_there_is_no_question_before_the_first() -> None:
    with pytest.raises(UsageError):
        Session({}).turn(None)
    with pytest.raises(UsageError):
        Session({}).undo()


def test_editing_the_second_of_five_leaves_both_paths_in_the_history() -> None:
    with Script(*(says(f"answer {number}") for number in range(1, 7))) as server:
        session = session_at(server)
        chat(session, Typed("1?", "2?", "3?", "4?", "5?"))
        old = str(session.head)
        chat(session, Typed("/edit 2", "2, but else?"))
    with History(state_folder()) as history:
        history.sync()
        tree = history.tree(history.run(old))
        paths = [
            [it.content for it in path.messages if it.role == "assistant"]
            for path in history.branches(history.run(old))
        ]
    assert tree.head == session.head
    assert [turn.branch for turn in tree.turns] == [0, 1, 1, 1, 1, 0]
    assert paths == [[f"answer {number}" for number in range(1, 6)], ["answer 1", "answer 6"]]


def test_a_role_holds_without_a_journal_and_gives_way_to_what_is_set() -> None:
    role = Role("r", {"temperature": 0.25, "system": "Be kind.", "model": "r"})
    with Script(says("one"), says("two"), says("three")) as server:
        session = Session(flags_of(server, journal=False, model=None), role=role)
        assert (session.system, session.model) == ("Be kind.", "r")
        chat(session, Typed("1?", "2?", "/model m", "/system Be brief.", "3?"))
        bodies = [it.json for it in server.requests if it.path == "/api/chat"]
    assert [it["options"]["temperature"] for it in bodies] == [0.25] * 3
    assert [it["model"] for it in bodies] == ["r", "r", "m"]
    assert [it["messages"][0]["content"] for it in bodies] == ["Be kind."] * 2 + ["Be brief."]


def left(text: str, after: str | None = None) -> None:
    """A chat that is gone has left this draft."""
    drafts = Drafts(state_folder())
    drafts.keep(Draft(text, after))
    drafts.close()


def recovered(place: Place = START) -> str:
    """What a chat that begins here has in its prompt; it then ends."""
    session = Session({}, place, Drafts(state_folder()))
    session.recover()
    session.close()
    return session.draft


def test_a_draft_that_follows_nothing_is_for_a_new_chat_and_another_for_its_own() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        first, second = session_at(server), session_at(server)
        chat(first, Typed("noon?"))
        chat(second, Typed("sunset?"))
    left("nothing")
    left("first", first.head)
    assert recovered(place_of(last=True)) == ""
    assert recovered() == "nothing"
    assert recovered(place_of(at=first.head)) == "first"


def test_a_draft_whose_run_is_gone_is_for_a_new_chat() -> None:
    with Script(says("Blue.")) as server:
        chat(session_at(server), Typed("noon?"))
    left("lost", "20260101-000000-000000-abcd")
    assert recovered(place_of(last=True)) == ""
    assert recovered() == "lost"


def test_two_chats_that_are_open_have_their_own_drafts() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        one = Session(flags_of(server), drafts=Drafts(state_folder()))
        other = Session(flags_of(server), drafts=Drafts(state_folder()))
        one.keep("one")
        other.keep("other")
        assert recovered() == ""
        chat(one, Typed("noon?"))
        other.keep("other, longer")
        assert recovered() == ""
        other.close()
        assert recovered() == "other, longer"


def test_no_draft_is_on_the_disk_once_the_journal_is_off() -> None:
    session = Session({}, drafts=Drafts(state_folder()))
    session.keep("typed before")
    session.use({"journal": False})
    session.keep("typed")
    assert [*(state_folder() / "drafts").iterdir()] == []
    session.use({"journal": True})
    session.keep("typed later")
    session.close()
    assert recovered() == "typed later"


def test_what_is_typed_during_the_first_answer_follows_it() -> None:
    with Script(holds("The sky ")) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))
        kept: list[str | None] = []
        keep = session.keep

        def noted(draft: str, *sending: str) -> None:
            keep(draft, *sending)
            kept.append(session.answering)

        session.keep = noted  # type: ignore[method-assign]
        stop_when_holding(server, "The sky ")
        chat(session, Typed("noon?"))
    assert session.head is not None
    assert session.head in kept
    assert session.answering is None
    left("and then?", session.head)
    assert recovered(place_of(last=True)) == "and then?"


def test_files_and_images_are_part_of_a_draft_until_the_answer_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("the text\n")
    monkeypatch.chdir(tmp_path)
    session = Session({}, drafts=Drafts(state_folder()))
    session.files, session.images = ["a.txt", "b.txt"], ["https://example.com/c.png"]
    session.keep("look")
    session.close()
    (tmp_path / "b.txt").unlink()
    following = Session({}, drafts=Drafts(state_folder()))
    following.files = [str(tmp_path / "d.txt")]
    assert following.recover()
    assert following.draft == "look"
    assert following.files == [str(tmp_path / it) for it in ("d.txt", "a.txt")]
    assert following.images == ["https://example.com/c.png"]
    following.close()


def test_a_question_that_waits_for_its_answer_has_its_files_in_the_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the text\n")
    with Script(says("Blue."), holds(), says("Red.")) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))
        waiting: list[Draft] = []

        def look() -> None:
            assert server.wait_requests(2)
            assert server.wait_holding()
            (file,) = (state_folder() / "drafts").iterdir()
            waiting.append(msgspec.json.decode(file.read_bytes(), type=Draft))
            os.kill(os.getpid(), signal.SIGINT)

        looking = threading.Thread(target=look)
        looking.start()
        chat(session, Typed("noon?", f"/file {path}", "look"))
        looking.join()
    assert waiting == [Draft("look", session.head, (str(path),))]
    assert session.files == [str(path)]


def test_what_is_removed_from_the_history_leaves_no_draft() -> None:
    with Script(says("Blue.")) as server:
        session = session_at(server)
        chat(session, Typed("noon?"))
    left("secret", session.head)
    left("other")
    with History(state_folder()) as history:
        history.sync()
        history.remove(history.run(str(session.head)))
    kept = [it.read_text() for it in (state_folder() / "drafts").iterdir()]
    assert len(kept) == 1
    assert recovered() == "other"
