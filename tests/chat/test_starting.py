"""How a chat starts: which editor, and what whoever comes back is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatstream.chat import starting
from chatstream.chat.loop import chat
from chatstream.chat.plain import PlainEditor
from chatstream.chat.session import Session
from chatstream.engine.place import START, Place, place_of
from chatstream.errors import ConfigError, UsageError
from chatstream.store.drafts import Draft, Drafts
from chatstream.store.place import state_folder
from chatstream.terminal.keyboard import Keyboard
from tests.support.chats import Typed, flags_of, holds, says, session_at, stop_when_holding
from tests.support.loopback import Script


@pytest.mark.parametrize(
    ("terminals", "term", "accessible", "plain"),
    [
        ({0, 1, 2}, "xterm-256color", False, False),
        ({0, 1, 2}, "xterm-256color", True, True),
        ({0, 1, 2}, "dumb", False, True),
        ({1, 2}, "xterm-256color", False, True),
        ({0, 2}, "xterm-256color", False, True),
    ],
)
def test_the_editor_needs_a_terminal_that_draws(
    terminals: set[int],
    term: str,
    accessible: bool,
    plain: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = []

    def hold(_session: Session, editor: object) -> int:
        chosen.append(isinstance(editor, PlainEditor))
        return 0

    monkeypatch.setattr(starting, "chat", hold)
    monkeypatch.setattr(Keyboard, "open", lambda _self: None)  # there is no terminal to change
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor in terminals)
    monkeypatch.setenv("TERM", term)
    assert starting.start({"accessible": accessible}, START) == 0
    assert chosen == [plain]


def test_who_comes_back_sees_the_last_exchange_and_that_it_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Script(holds("The sky ")) as server:
        stop_when_holding(server, "The sky ")
        chat(session_at(server), Typed("noon?"))
        capfd.readouterr()
        monkeypatch.setattr(starting, "_editor", lambda *_: Typed())
        assert starting.start(flags_of(server), place_of(last=True)) == 0
    shown = capfd.readouterr().err
    assert shown.startswith("1 question so far; /history shows more\n› noon?\n\nThe sky \n")
    assert "/continue continues it" in shown


def test_a_whole_answer_is_not_called_cut_off_because_the_next_question_has_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Script(says("Blue."), holds()) as server:
        stop_when_holding(server)
        chat(session_at(server), Typed("noon?", "sunset?"))
        capfd.readouterr()
        monkeypatch.setattr(starting, "_editor", lambda *_: Typed())
        assert starting.start(flags_of(server), place_of(last=True)) == 0
    shown = capfd.readouterr().err
    assert "cut off" not in shown
    assert "the question after it has no answer yet; /continue gets one" in shown


def test_settings_that_cannot_be_used_are_told_before_anything_is_typed() -> None:
    with pytest.raises(ConfigError):
        starting.start({"profile": "nowhere"}, START)


def test_who_comes_back_is_told_what_goes_with_the_draft_and_where_another_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the text\n")
    monkeypatch.setattr(starting, "_editor", lambda *_: Typed())
    with Script(says("Blue.")) as server:
        chat(session_at(server), Typed("noon?"))
        drafts = Drafts(state_folder())
        drafts.keep(Draft("look", files=(str(path),)))
        drafts.close()
        capfd.readouterr()
        starting.start(flags_of(server), place_of(last=True))
        assert "`chatstream chat` puts it in its prompt" in capfd.readouterr().err
        starting.start(flags_of(server), START)
        assert capfd.readouterr().err == f"with the next message: {path}\n"


def test_a_person_whose_first_question_was_never_answered_begins_with_its_draft(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="there is no conversation to continue"):
        starting.beginning(last=True)
    monkeypatch.setattr(os, "isatty", lambda _descriptor: True)
    killed = Drafts(state_folder())
    killed.keep(Draft("noon?"))
    killed.close()
    place = starting.beginning(last=True, name="sky")
    assert capfd.readouterr().out == "there is no conversation to continue; this is a new one\n"
    assert place == Place(name="sky")
    session = Session({}, place, Drafts(state_folder()))
    session.recover()
    assert session.draft == "noon?"
    session.close()
