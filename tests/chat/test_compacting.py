"""A conversation is summarised, the summary edited, and a new conversation begins with it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from chatstream.chat.compacting import INSTRUCTION, is_summary
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import place_of, role_at
from chatstream.engine.roles import find
from chatstream.engine.summaries import HEADING
from chatstream.messages import Message, ToolResult
from chatstream.store.conversation import Conversations
from chatstream.store.drafts import Drafts
from chatstream.store.history import History
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import journals
from tests.support.answers import frames, headers
from tests.support.chats import Typed, flags_of, holds, says, sent, session_at
from tests.support.loopback import Reply, Script
from tests.support.roles import write_role
from tests.support.windows import takes, windowed

SUMMARY = "The user asks about the sky."
EDITED = "/compact\nThe user asks about the sky at noon."
OPENING = ("system", f"Be brief.\n\n{HEADING}\n\nThe user asks about the sky at noon.")
REFUSED = Reply.json({"error": "no"}, status=400)

Capture = pytest.CaptureFixture[str]
Line = str | Callable[[Session], str]


def queueing(line: str, *queued: str) -> Callable[[Session], str]:
    """Types a line while these messages wait."""

    def typed(session: Session) -> str:
        session.queue = list(queued)
        return line

    return typed


def talk(*lines: Line, replies: list[Reply]) -> tuple[Session, Typed, Script]:
    """A chat of these lines that has a system prompt."""
    with Script(*replies) as server:
        session, typed = session_at(server, system="Be brief."), Typed(*lines)
        assert chat(session, typed) == 0
    return session, typed, server


def test_the_summary_is_edited_and_then_a_new_conversation_begins_with_it(capfd: Capture) -> None:
    replies = [says("Blue."), says(SUMMARY), says("Red."), says("Dark.")]
    _, typed, server = talk("noon?", "/compact", EDITED, "sunset?", "night?", replies=replies)
    asked = sent(server)
    assert asked[1] == [
        *(("system", "Be brief."), ("user", "noon?"), ("assistant", "Blue.")),
        ("user", INSTRUCTION),
    ]
    assert typed.drafts == ["", "", f"/compact\n{SUMMARY}", "", "", ""]
    assert asked[2] == [OPENING, ("user", "sunset?")]
    assert asked[3] == [OPENING, ("user", "sunset?"), ("assistant", "Red."), ("user", "night?")]
    shown = capfd.readouterr()
    assert SUMMARY in shown.out
    assert "Enter begins a new conversation with the text after /compact" in shown.err


def test_the_old_conversation_stays_and_is_reached_again(capfd: Capture) -> None:
    replies = [says("Blue."), says(SUMMARY), says("Red."), says("Dark.")]
    with Script(*replies) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("noon?"))
        old = str(session.head)
        chat(session, Typed("/compact", EDITED, "sunset?"))
        assert f"/goto {old} returns to the old one" in capfd.readouterr().err
        conversations = Conversations(state_folder())
        assert [it.content for it in conversations.path(old)] == ["Be brief.", "noon?", "Blue."]
        assert conversations.newest() == session.head
        assert conversations.root(str(session.head)) == session.head
        chat(session, Typed(f"/goto {old}", "night?"))
        assert [text for _, text in sent(server)[-1]] == ["Be brief.", "noon?", "Blue.", "night?"]


def test_the_summary_leaves_no_journal_and_moves_no_head() -> None:
    replies = [says("Blue."), says(SUMMARY)]
    session, _, _ = talk("noon?", "/compact", replies=replies)
    assert [it.stem for it in journals(runs_folder())] == [session.head]
    assert Conversations(state_folder()).newest() == session.turns[0].run
    assert len(session.turns) == 1


def test_another_line_is_for_the_old_conversation_and_the_summary_is_not_used(
    capfd: Capture,
) -> None:
    replies = [says("Blue."), says(SUMMARY), says("Red.")]
    _, _, server = talk("noon?", "/compact", "sunset?", replies=replies)
    assert [text for _, text in sent(server)[-1]] == ["Be brief.", "noon?", "Blue.", "sunset?"]
    assert "the summary is not used\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    "reply",
    [
        REFUSED,
        says(" \n"),
        takes(10, text="The user asks", why="length"),
        Reply(frames("ollama", [SUMMARY]), headers=headers("ollama")),  # it breaks off
    ],
    ids=["refused", "empty", "cut", "broken"],
)
def test_a_summary_that_is_not_whole_is_not_used(reply: Reply) -> None:
    session, typed, server = talk(
        "noon?",
        queueing("/compact", "night?"),
        "sunset?",
        replies=[says("Blue."), reply, says("R")],
    )
    assert typed.drafts == ["", "", "night?", ""]
    assert [text for _, text in sent(server)[-1]] == ["Be brief.", "noon?", "Blue.", "sunset?"]
    assert len(session.turns) == 2


def test_ctrl_c_during_the_summary_leaves_everything_as_it_was() -> None:
    with Script(says("Blue."), holds("The user "), says("Red.")) as server:
        session = session_at(server, system="Be brief.")

        def stop() -> None:  # the run has no journal whose words could be waited for
            assert server.wait_holding()
            os.kill(os.getpid(), signal.SIGINT)

        def stopping(own: Session) -> str:
            own.queue = ["night?"]
            threading.Thread(target=stop, daemon=True).start()
            return "/compact"

        typed = Typed("noon?", stopping, "sunset?")
        assert chat(session, typed) == 0
        assert [text for _, text in sent(server)[-1]] == ["Be brief.", "noon?", "Blue.", "sunset?"]
    assert typed.drafts == ["", "", "night?", ""]
    assert session.stopped is None


def test_what_is_queued_waits_behind_the_summary_and_follows_in_the_new_conversation() -> None:
    replies = [says("Blue."), says(SUMMARY), says("Dark."), says("Red.")]
    lines: list[Line] = ["noon?", queueing("/compact", "night?"), EDITED, "sunset?"]
    _, typed, server = talk(*lines, replies=replies)
    assert typed.drafts[2] == f"/compact\n{SUMMARY}"
    assert typed.waiting[2] == ["night?"]
    assert sent(server)[2] == [OPENING, ("user", "night?")]
    assert sent(server)[3][-1] == ("user", "sunset?")


def test_what_is_queued_returns_to_the_prompt_where_the_summary_is_not_used() -> None:
    replies = [says("Blue."), says(SUMMARY), says("Dark."), says("Red.")]
    lines: list[Line] = ["noon?", queueing("/compact", "night?"), "/context"]
    _, typed, server = talk(*lines, replies=replies)
    assert typed.drafts[-1] == "night?"
    assert len(sent(server)) == 2


def test_what_was_being_typed_is_no_part_of_the_summary_and_comes_back() -> None:
    with Script(says("Blue."), says(SUMMARY)) as server:
        session = session_at(server)
        typed = Typed("noon?", "/compact")
        chat(session, typed)
        session.compacting, session.behind = True, "half a li"
        again = Typed(EDITED)
        session.draft = typed.drafts[-1]
        chat(session, again)
    assert again.drafts[-1] == "half a li"
    assert not session.compacting
    session.compacting, session.behind, session.queue = True, "half a li", ["one", "two"]
    assert session.stop_editing() == "one\n\ntwo\n\nhalf a li"
    assert not session.is_editing


def test_a_refused_question_is_in_the_prompt_of_the_new_conversation() -> None:
    long = "word " * 2000
    with Script(takes(50), takes(60, text=SUMMARY), beside=windowed(1000)) as server:
        typed = Typed("noon?", long, "/compact", EDITED)
        chat(session_at(server), typed)
        assert len(sent(server)) == 2
    assert typed.drafts == ["", "", long, f"/compact\n{SUMMARY}", long]


def test_a_conversation_without_room_is_summarised_without_its_oldest_turns(
    capfd: Capture,
) -> None:
    part = "word " * 190  # 238 tokens
    replies = [takes(238), takes(481), takes(724), takes(575, text=SUMMARY)]
    with Script(*replies, beside=windowed(1000)) as server:
        chat(session_at(server), Typed(f"1{part}", f"2{part}", f"3{part}", "/compact"))
        assert [text[0] for role, text in sent(server)[-1] if role == "user"] == ["2", "3", "S"]
    assert "the oldest 2 messages did not fit and are not in the summary" in capfd.readouterr().err


def test_the_summary_is_asked_for_without_tools_schema_or_limit() -> None:
    with Script(says('{"a": 1}'), says(SUMMARY)) as server:
        session = session_at(server, tools=["calculate"], allow=["calculate"], max_tokens=5)
        chat(session, Typed("noon?"))
        session.flags["schema"] = "a int"
        chat(session, Typed("/compact"))
        first, second = (it.json for it in server.requests if it.path == "/api/chat")
    assert first["tools"]
    assert "tools" not in second
    assert "format" not in second
    assert "num_predict" not in second.get("options", {})
    assert session.compacting


def test_a_summary_of_a_conversation_that_began_with_one_takes_its_place() -> None:
    replies = [says("Blue."), says(SUMMARY), says("Red."), says(SUMMARY), says("Dark.")]
    lines = ["noon?", "/compact", EDITED, "sunset?", "/compact", "/compact It is late.", "night?"]
    _, _, server = talk(*lines, replies=replies)
    assert sent(server)[3][0] == OPENING
    assert sent(server)[-1] == [
        *(("system", f"Be brief.\n\n{HEADING}\n\nIt is late."), ("user", "night?"))
    ]


def test_another_system_prompt_keeps_the_summary() -> None:
    replies = [says("Blue."), says("Red.")]
    _, _, server = talk("noon?", EDITED, "/system Be kind.", "night?", replies=replies)
    assert sent(server)[-1] == [
        (OPENING[0], OPENING[1].replace("brief", "kind")),
        ("user", "night?"),
    ]


def test_the_new_conversation_asks_the_same_model_and_is_continued_with_its_summary() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        chat(session_at(server, system="Be brief.", temperature=0.5), Typed("noon?"))
        chat(Session({}, place_of(last=True)), Typed(EDITED, "sunset?"))
        chat(Session({}, place_of(last=True)), Typed("night?"))
        bodies = [it.json for it in server.requests if it.path == "/api/chat"]
        assert sent(server)[-1][0] == OPENING
        assert len(sent(server)[-1]) == 4
    assert [(it["model"], it["options"]["temperature"]) for it in bodies] == [("m", 0.5)] * 3


def test_the_role_of_the_old_conversation_may_be_named_again() -> None:
    write_role("kind", "Be kind.")
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        chat(Session(flags_of(server), role=find("kind")), Typed("noon?", EDITED, "sunset?"))
        place = place_of(last=True)
        chat(Session(flags_of(server), place, role=role_at(place, find("kind"))), Typed("night?"))
        assert sent(server)[-1][0][1].startswith(f"Be kind.\n\n{HEADING}")
        assert len(sent(server)[-1]) == 4


def test_a_summary_that_was_sent_outlives_the_chat_until_the_first_answer() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))
        chat(session, Typed("noon?", EDITED))
        following = Session(flags_of(server), place_of(last=True), Drafts(state_folder()))
        following.recover()
        assert following.draft == EDITED
        chat(following, Typed(EDITED, "night?"))
        third = Session(flags_of(server), place_of(last=True), Drafts(state_folder()))
        third.recover()
        assert third.draft == ""


def test_a_summary_in_the_prompt_is_kept_on_the_disk_with_what_waits_behind_it() -> None:
    with Script(says("Blue."), says(SUMMARY)) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))
        chat(session, Typed("noon?", queueing("/compact", "night?")))
        following = Session(flags_of(server), place_of(last=True), Drafts(state_folder()))
        following.recover()
    assert following.draft == f"/compact\n{SUMMARY}\n\nnight?"


@pytest.mark.parametrize("is_person", [True, False])
def test_a_line_that_cannot_be_edited_is_told_what_to_do_and_nothing_is_asked(
    is_person: bool, capfd: Capture
) -> None:
    with Script(says("Blue."), says("Red.")) as server:
        typed = Typed("noon?", "/compact", EDITED, "night?", is_person=is_person)
        typed.can_edit = False
        assert chat(session_at(server), typed) == (0 if is_person else 2)
        assert len(sent(server)) == 2
        assert sent(server)[1][0][1].startswith(HEADING)
    shown = capfd.readouterr().err
    assert "this line cannot be edited; nothing was sent\n/compact TEXT begins" in shown


def test_nothing_is_summarised_before_anything_was_said(capfd: Capture) -> None:
    talk("/compact", replies=[])
    assert "error: there is no question yet" in capfd.readouterr().err


def test_without_a_journal_it_is_said_that_the_old_conversation_is_gone(capfd: Capture) -> None:
    with Script(says("Blue."), says("Red.")) as server:
        session = session_at(server, journal=False, system="Be brief.")
        chat(session, Typed("noon?", EDITED, "night?"))
        assert sent(server)[-1] == [OPENING, ("user", "night?")]
    assert "the old one is gone" in capfd.readouterr().err


def test_what_others_have_written_is_not_forgotten_by_a_summary() -> None:
    with Script(says("Blue."), says("Red."), says("Dark."), says("Grey.")) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("noon?"))
        assert not any(it.foreign for it in session.opening)
        page = Message("tool", [ToolResult("call00001", "http_get", "a page", foreign=True)])
        last = session.turns[-1]
        session.turns[-1] = replace(last, messages=(*last.messages[:1], page, last.answer))
        chat(session, Typed(EDITED, "/system Be kind.", "sunset?"))
        for _ in range(2):
            again = Session({}, place_of(last=True))
            assert [it.foreign for it in again.opening] == [True]
            with History(state_folder()) as history:
                history.sync()
            for journal in journals(runs_folder()):
                journal.unlink()  # as they expire; the history has all of it
        chat(Session(flags_of(server), place_of(last=True)), Typed("/compact It is late.", "x?"))
    assert [it.foreign for it in Session({}, place_of(last=True)).opening] == [True]


def test_a_summary_of_what_was_said_here_alone_is_not_foreign() -> None:
    session, _, _ = talk("noon?", EDITED, "x?", replies=[says("Blue."), says("Red.")])
    assert [it.foreign for it in session.opening] == [False]


def test_only_a_text_behind_the_command_is_a_summary() -> None:
    assert is_summary("/compact\nthe sky")
    assert is_summary("/compact the sky")
    for line in ("/compact", "/compact \n", "/compacted x", "//compact x", "the sky"):
        assert not is_summary(line)
