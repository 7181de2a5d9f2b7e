"""`/compare` and `/pick` in a chat."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from chatstream.chat.comparing import comparison
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.errors import UsageError
from chatstream.store.conversation import Conversations
from chatstream.store.drafts import Drafts
from chatstream.store.place import state_folder
from tests.support.bymodel import ByModel
from tests.support.chats import Typed, are_written, flags_of, holds, says, session_at
from tests.support.loopback import Reply
from tests.support.waiting import signal_once

BROKEN = Reply.json({"error": "it broke"}, status=500)
FIRST = [("user", "noon?"), ("assistant", "Bright.")]


def talk(server: ByModel, *lines: str) -> tuple[Session, Typed]:
    session, typed = session_at(server), Typed(*lines)
    assert chat(session, typed) == 0
    return session, typed


def said(session: Session) -> list[str]:
    return [it.content for turn in session.turns for it in turn.messages]


def asked(server: ByModel, model: str) -> list[list[tuple[str, str]]]:
    return [messages for name, messages in server.asked() if name == model]


def server_of(**more: Reply) -> ByModel:
    return ByModel(**{"m": says("Bright."), "a": says("Blue."), "b": says("Red."), **more})


def test_the_last_question_is_asked_again_and_the_first_whole_answer_continues() -> None:
    with server_of() as server:
        session, _ = talk(server, "noon?", "/compare a b", "and then?")
        assert asked(server, "a") == asked(server, "b") == [[("user", "noon?")]]
        follows = [("user", "noon?"), ("assistant", "Blue."), ("user", "and then?")]
        assert follows in asked(server, "m")
    assert said(session) == ["noon?", "Blue.", "and then?", "Bright."]


def test_a_question_can_be_named_and_follows_the_conversation() -> None:
    with server_of() as server:
        session, _ = talk(server, "noon?", "/compare a b -- and at night?")
        assert asked(server, "a") == [[*FIRST, ("user", "and at night?")]]
        assert asked(server, "a") == asked(server, "b")
    assert said(session) == ["noon?", "Bright.", "and at night?", "Blue."]


@pytest.mark.parametrize("begun", [False, True])
def test_the_picked_answer_is_what_the_chat_and_c_continue_from(begun: bool) -> None:
    with server_of() as server:
        lines = ["noon?"] if begun else []
        session, _ = talk(server, *lines, "/compare a b -- sunset?", "/pick 2", "/pick 2", "on?")
        *_, last = sorted(asked(server, "m"), key=len)
    before = FIRST if begun else []
    assert last == [*before, ("user", "sunset?"), ("assistant", "Red."), ("user", "on?")]
    talks = Conversations(state_folder())
    assert [it.content for it in talks.path(talks.newest())] == said(session)


def test_the_pick_holds_when_the_chat_ends_there() -> None:
    with server_of() as server:
        talk(server, "/compare a b -- sunset?", "/pick 2")
    talks = Conversations(state_folder())
    assert [it.content for it in talks.path(talks.newest())] == ["sunset?", "Red."]


def test_a_pick_lists_and_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    with server_of(c=BROKEN) as server:
        session, _ = talk(
            server, "/pick 1", "/compare c a b -- sunset?", "/pick", "/pick 1", "/pick 9", "/pick x"
        )
    shown = capfd.readouterr().err
    assert "there is nothing to pick from" in shown
    assert "1 c\n2 a; the chat continues from it\n3 b\n" in shown
    assert "answer 1 c has no text" in shown
    assert "there is no answer 9 to pick" in shown
    assert "'x' is not a positive number" in shown
    assert said(session) == ["sunset?", "Blue."]


def test_after_an_undo_there_is_nothing_to_pick_from(capfd: pytest.CaptureFixture[str]) -> None:
    """It would stand in the place of a turn that was taken back as well."""
    with server_of() as server:
        lines = ["noon?", "/compare a b -- sunset?", "/undo", "/undo", "/pick 2", "on?"]
        session, _ = talk(server, *lines)
    assert "there is nothing to pick from" in capfd.readouterr().err
    assert said(session) == ["on?", "Bright."]


def test_a_question_may_begin_on_a_line_of_its_own() -> None:
    with server_of() as server:
        talk(server, "/compare a b --\nwhy -- and how?")
        assert asked(server, "a") == asked(server, "b") == [[("user", "why -- and how?")]]


def test_in_a_pipe_the_next_answer_is_a_paragraph_of_its_own(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with server_of(c=BROKEN) as server:
        talk(server, "/compare a b -- sunset?", "on?", "/compare c c -- again?", "on?")
    shown = capfd.readouterr().out
    assert shown.count("\n\nBright.\n") == 2


def test_a_mistake_names_commands_of_the_chat(capfd: pytest.CaptureFixture[str]) -> None:
    with server_of() as server:
        talk(server, "/compare a")
    assert "/compare A B" in capfd.readouterr().err


def test_after_the_next_answer_there_is_nothing_to_pick_from(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with server_of() as server:
        session, _ = talk(server, "/compare a b -- sunset?", "on?", "/pick 2")
    assert "there is nothing to pick from" in capfd.readouterr().err
    assert said(session) == ["sunset?", "Blue.", "on?", "Bright."]


def test_where_all_fail_the_question_is_unanswered_and_comes_back() -> None:
    with server_of(c=BROKEN) as server:
        session, typed = talk(server, "noon?", "/compare c c -- sunset?", "/retry")
        assert typed.drafts == ["", "", "/compare c c -- sunset?", ""]
    assert said(session) == ["noon?", "Bright.", "sunset?", "Bright."]


def test_ctrl_c_stops_all_and_what_has_come_is_the_answer(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with server_of(a=holds("The sky "), b=holds("It is ")) as server:
        session, typed = session_at(server), Typed("/compare a b -- sunset?", "/pick 2", "on?")
        signal_once(lambda: are_written("The sky ", "It is "), signal.SIGINT)
        assert chat(session, typed) == 0
    assert said(session) == ["sunset?", "It is ", "on?", "Bright."]
    assert typed.closed
    shown = capfd.readouterr()
    told = shown.out + shown.err
    for number in (1, 2):
        assert f"continue it with: /pick {number}, then /continue" in told
    assert "chatstream resume" not in told


def test_the_picked_answer_is_continued() -> None:
    with server_of(a=holds("The sky "), b=holds("It is ")) as server:
        session = session_at(server)

        def carry_on(_session: Session) -> str:
            server.replies["b"] = says("dark.")
            return "/continue"

        signal_once(lambda: are_written("The sky ", "It is "), signal.SIGINT)
        assert chat(session, Typed("/compare a b -- sunset?", "/pick 2", carry_on)) == 0
        assert asked(server, "b")[-1] == [("user", "sunset?"), ("assistant", "It is ")]
    assert said(session) == ["sunset?", "It is dark."]


def test_the_model_of_the_chat_stays() -> None:
    with server_of() as server:
        session, _ = talk(server, "/compare a b -- sunset?", "/pick 2")
    assert session.model == "m"


def test_without_a_journal_the_picked_answer_is_still_the_turn() -> None:
    with server_of() as server:
        session = session_at(server, journal=False)
        assert chat(session, Typed("/compare a b -- sunset?", "/pick 2", "on?")) == 0
    assert said(session) == ["sunset?", "Red.", "on?", "Bright."]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "at least two answers"),
        ("a", "at least two answers"),
        ("a b", "there is no question yet"),
        ("a b --", "there is no question after --"),
        ("-- why?", "at least two answers"),
        ("a -- why?", "at least two answers"),
        ("'a b", "quotation mark"),
        ("a b c d e f g h i j", "10 answers are too many"),
    ],
)
def test_a_mistake_costs_nothing(argument: str, words: str) -> None:
    with server_of() as server, pytest.raises(UsageError, match=words):
        comparison(session_at(server), argument)


def test_a_question_takes_the_files_along(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("some notes")
    with server_of() as server:
        session, _ = talk(server, f"/file {file}", "/compare a b -- what?", "on?")
        for model in "ab":
            assert "some notes" in asked(server, model)[0][0][1]
        assert asked(server, "m")[-1][-1] == ("user", "on?")
    assert not session.files


def test_the_question_is_in_the_draft_until_there_is_an_answer() -> None:
    drafts: list[str] = []
    with server_of(a=holds(), b=holds()) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))

        def look() -> bool:
            drafts.extend(it.read_text() for it in state_folder().glob("drafts/*.json"))
            return len(server.requests) == 2 and server.wait_holding()

        signal_once(look, signal.SIGINT)
        assert chat(session, Typed("/compare a b -- sunset?")) == 0
    assert "/compare a b -- sunset?" in drafts[-1]


def test_an_unknown_place_returns_the_line() -> None:
    with server_of() as server:
        _, typed = talk(server, "/compare a b@nowhere -- sunset?")
        assert server.requests == []
    assert typed.drafts[-1] == "/compare a b@nowhere -- sunset?"
