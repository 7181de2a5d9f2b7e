"""The loop of a chat: what stops an answer, what comes back, and what the chat ends with."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import place_of
from chatstream.messages import Message
from chatstream.store.drafts import Drafts
from chatstream.store.place import state_folder
from tests.support.answers import ending, frames, headers
from tests.support.chats import Typed, flags_of, holds, says, sent, session_at, stop_when_holding
from tests.support.loopback import Reply, Request, Script

REFUSED = Reply.json({"error": "no"}, status=400)


def test_ctrl_c_stops_the_answer_and_what_has_come_is_the_turn_of_the_assistant() -> None:
    with Script(holds("The sky "), says("Red.")) as server:
        session, typed = session_at(server), Typed("noon?", "sunset?")
        stop_when_holding(server, "The sky ")
        assert chat(session, typed) == 0
        assert sent(server)[1] == [
            *(("user", "noon?"), ("assistant", "The sky "), ("user", "sunset?"))
        ]
    assert typed.drafts == ["", "", ""]
    assert typed.closed


def test_stopped_before_a_word_the_question_is_in_the_prompt_and_roles_alternate() -> None:
    with Script(says("Blue."), holds(), says("Red.")) as server:
        session, typed = session_at(server), Typed("noon?", "sunset?", "night?")
        stop_when_holding(server)
        assert chat(session, typed) == 0
        assert sent(server)[-1] == [
            *(("user", "noon?"), ("assistant", "Blue."), ("user", "night?"))
        ]
    assert typed.drafts == ["", "", "sunset?", ""]


def test_a_failure_takes_the_question_back_and_queued_ones_are_not_sent() -> None:
    with Script(says("Blue."), REFUSED) as server:
        session = session_at(server)

        def queueing(own: object) -> str:
            session.queue = ["night?", "dawn?"]
            return "sunset?"

        typed = Typed("noon?", queueing)
        assert chat(session, typed) == 0
        assert len(sent(server)) == 2
    assert typed.drafts[-1] == "sunset?\n\nnight?\n\ndawn?"
    assert [it.question for it in session.turns] == [Message("user", "noon?")]


def test_a_whole_answer_without_a_word_takes_the_question_back_and_sends_nothing_queued() -> None:
    with Script(says("Blue."), says(""), says("Red.")) as server:
        session = session_at(server)

        def queueing(own: object) -> str:
            session.queue = ["night?"]
            return "sunset?"

        typed = Typed("noon?", queueing)
        assert chat(session, typed) == 0
        assert len(sent(server)) == 2
    assert typed.drafts[-1] == "sunset?\n\nnight?"
    assert [it.question for it in session.turns] == [Message("user", "noon?")]


def test_the_files_of_a_question_that_is_asked_again_go_with_no_other(tmp_path: Path) -> None:
    first, second = tmp_path / "one.txt", tmp_path / "two.txt"
    first.write_text("CONTENT ONE")
    second.write_text("CONTENT TWO")
    with Script(holds(), says("Blue."), says("Red."), says("Dark.")) as server:
        stop_when_holding(server)
        session = session_at(server)
        lines = (f"/file {first}", "noon?", f"/file {second}", "/retry", "sunset?", "night?")
        assert chat(session, Typed(*lines)) == 0
        asked = [it[-1][1] for it in sent(server)]
    assert [it.count("CONTENT ONE") for it in asked] == [1, 1, 0, 0]
    assert [it.count("CONTENT TWO") for it in asked] == [0, 0, 1, 0]


def test_what_is_queued_is_sent_one_after_another() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        session = session_at(server)
        session.queue = ["noon?", "sunset?"]
        assert chat(session, Typed("night?")) == 0
        assert [it[-1] for it in sent(server)] == [
            *(("user", "noon?"), ("user", "sunset?"), ("user", "night?"))
        ]


def queueing(line: str, *queued: str) -> Callable[[Session], str]:
    """Types a line with these messages behind it."""

    def typed(session: Session) -> str:
        session.queue = list(queued)
        return line

    return typed


def test_what_is_queued_behind_an_edit_waits_for_it_and_is_not_sent_in_its_place() -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        session = session_at(server)
        typed = Typed("noon?", queueing("/edit", "night?"), "sunset?")
        assert chat(session, typed) == 0
        assert sent(server)[1:] == [
            [("user", "sunset?")],
            [("user", "sunset?"), ("assistant", "Red."), ("user", "night?")],
        ]
    assert typed.drafts == ["", "", "noon?", ""]
    assert typed.waiting == [[], [], ["night?"], []]


def test_an_edit_that_is_given_up_returns_to_the_prompt_what_waits_behind_it() -> None:
    with Script(says("Blue.")) as server:
        session = session_at(server)
        typed = Typed("noon?", queueing("/edit", "night?"), "/clear")
        assert chat(session, typed) == 0
        assert len(sent(server)) == 1
        assert typed.drafts[-1] == "night?"
        session.editing, session.queue = 0, ["dawn?", "dusk?"]
        assert session.stop_editing() == "dawn?\n\ndusk?"
        assert session.editing is None
        assert session.queue == []


def test_what_waits_behind_an_edit_is_kept_on_the_disk() -> None:
    with Script(says("Blue.")) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))
        chat(session, Typed("noon?", queueing("/edit", "night?")))
    following = Session({}, place_of(last=True), Drafts(state_folder()))
    following.recover()
    assert following.draft == "noon?\n\nnight?"


def test_a_stopped_answer_is_continued_and_becomes_one_turn() -> None:
    with Script(holds("The sky "), says("is blue."), says("Red.")) as server:
        session = session_at(server)
        stop_when_holding(server, "The sky ")
        chat(session, Typed("noon?", "/continue", "sunset?"))
        assert sent(server)[1][-1] == ("assistant", "The sky ")
        assert sent(server)[2][1] == ("assistant", "The sky is blue.")
    assert len(session.turns) == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_end_ends_the_chat(
    number: int, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with Script(holds("The sky ")) as server:
        typed = Typed("noon?", "never read")
        stop_when_holding(server, "The sky ", number)
        assert chat(session_at(server), typed) == status
    assert typed.closed
    assert len(typed.drafts) == 1
    said = capfd.readouterr().err
    assert "/continue" not in said  # there is no prompt to type it at
    assert "chatstream resume " in said
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_ctrl_c_ends_a_pipe_of_lines() -> None:
    with Script(holds("The sky ")) as server:
        typed = Typed("noon?", "never read", is_person=False)
        stop_when_holding(server)
        assert chat(session_at(server), typed) == 130
    assert len(typed.drafts) == 1


def test_between_two_lines_ctrl_c_does_nothing() -> None:
    def pressed(_session: object) -> str:
        signal.raise_signal(signal.SIGINT)
        return "noon?"

    with Script(says("Blue.")) as server:
        assert chat(session_at(server), Typed(pressed)) == 0
        assert len(sent(server)) == 1


def test_the_last_failure_is_the_status_of_a_pipe_and_not_of_a_person() -> None:
    for is_person, status in ((False, 3), (True, 0)):
        with Script(REFUSED, says("Blue.")) as server:
            typed = Typed("noon?", "sunset?", is_person=is_person)
            assert chat(session_at(server), typed) == status


@contextlib.contextmanager
def standard_output(descriptor: int) -> Iterator[None]:
    """Standard output is this descriptor, which is closed."""
    saved = os.dup(1)
    os.dup2(descriptor, 1)
    os.close(descriptor)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


@pytest.mark.parametrize("is_person", [False, True])
def test_where_nothing_can_be_written_nothing_more_is_asked(
    is_person: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    typed = Typed("noon?", "sunset?", is_person=is_person)
    with Script(says("Blue."), says("Red.")) as server:
        with standard_output(os.open("/dev/full", os.O_WRONLY)):
            assert chat(session_at(server), typed) == 1
        assert len(sent(server)) == 1
        assert len(typed.drafts) == 1
    assert capfd.readouterr().err == "error: cannot write the output: No space left on device\n"


def test_a_reader_that_has_seen_enough_ends_the_chat_quietly(
    capfd: pytest.CaptureFixture[str],
) -> None:
    reading, writing = os.pipe()

    def leaving(_session: Session) -> str:
        os.close(reading)
        return "sunset?"

    lines = Typed("noon?", leaving, "night?", is_person=False)
    with Script(says("Blue."), says("Red.")) as server:
        with standard_output(writing):
            assert chat(session_at(server), lines) == 0
        assert len(sent(server)) == 1
    assert len(lines.drafts) == 2
    assert capfd.readouterr().err == ""


def test_a_reader_that_leaves_in_the_answer_ends_the_chat_with_the_last_failure() -> None:
    reading, writing = os.pipe()
    lines = Typed("noon?", "sunset?", "night?", is_person=False)
    waits = threading.Event()
    second = Reply(
        [*frames("ollama", ["Red", "."]), *ending("ollama")],
        headers=headers("ollama"),
        hold={1: waits},
    )

    def leave() -> None:
        os.read(reading, 1)
        os.close(reading)
        waits.set()

    with Script(REFUSED, second) as server:
        reader = threading.Thread(target=leave)
        reader.start()
        with standard_output(writing):
            assert chat(session_at(server), lines) == 3
        reader.join()
        assert len(sent(server)) == 2


def test_a_line_that_cannot_be_done_is_in_the_prompt_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Script() as server:
        typed = Typed("/histroy", "/edit 3")
        assert chat(session_at(server), typed) == 0
        assert server.requests == []
    assert typed.drafts == ["", "/histroy", "/edit 3"]
    assert "did you mean '/history'?" in capfd.readouterr().err


class Strict(Script):
    """A server that refuses two messages of one role in a row, as some chat templates do."""

    def take(self, request: Request) -> Reply:
        if request.path != "/api/chat":  # about the model
            return Reply.json({}, status=404)
        roles = [it["role"] for it in request.json["messages"]]
        alternate = roles[::2] == ["user"] * len(roles[::2]) and "user" not in roles[1::2]
        answer = super().take(request)
        return answer if alternate else Reply.json({"error": "roles must alternate"}, status=400)


def test_a_server_that_wants_alternating_roles_takes_every_request_after_any_stop() -> None:
    replies = [says("one"), holds(), holds("tw"), holds(), says("o"), REFUSED, says("three")]
    with Strict(*replies, says("four"), holds(), says("five")) as server:
        session = session_at(server)

        def stopping(line: str, words: str = "") -> Callable[[Session], str]:
            def typed(_session: Session) -> str:
                stop_when_holding(server, words)
                return line

            return typed

        lines: list[str | Callable[[Session], str]] = [
            *("1?", stopping("2?"), stopping("2?", "tw"), stopping("/continue"), "/continue"),
            *("3?", "/retry", "/undo", "/edit 1", "1, again?", stopping("4?"), "4?"),
        ]
        assert chat(session, Typed(*lines)) == 0
        assert len(sent(server)) == len(replies) + 3
    assert [it.answer.content for it in session.turns] == ["four", "five"]


def test_whoever_leaves_finds_no_command_in_the_next_prompt() -> None:
    with Script(says("Blue.")) as server:
        session = Session(flags_of(server), drafts=Drafts(state_folder()))

        def queueing(own: Session) -> str:
            own.queue = ["night?"]
            return "/exit"

        assert chat(session, Typed("noon?", queueing)) == 0
        following = Session(flags_of(server), place_of(last=True), Drafts(state_folder()))
        following.recover()
        assert following.draft == "night?"


def test_ctrl_c_before_there_is_anything_to_be_seen_stops_the_answer() -> None:
    with Script(says("Blue.")) as server:
        session, kept = session_at(server), Session.keep
        pressed: list[str] = []

        def keep(draft: str, *sending: str) -> None:
            kept(session, draft, *sending)
            if sending == ("noon?", "") and not pressed:
                pressed.append(sending[0])
                signal.raise_signal(signal.SIGINT)

        session.keep = keep  # type: ignore[method-assign]
        typed = Typed("noon?")
        assert chat(session, typed) == 0
    assert pressed
    assert typed.drafts == ["", "noon?"]
    assert session.turns == []
