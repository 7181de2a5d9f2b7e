"""What a chat says of a window that is nearly full, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.chat.extent import Extent
from chatstream.chat.fullness import WAYS, Note, way_out
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import place_of
from chatstream.errors import ContextLength
from chatstream.store.place import runs_folder
from chatstream.store.reading import find, read
from tests.support.chats import Typed, flags_of, sent, session_at
from tests.support.loopback import Reply, Script
from tests.support.windows import takes, windowed

LONG = "word " * 1000
PART = "word " * 220  # 275 tokens, as most tokenizers have it
Capture = pytest.CaptureFixture[str]


def said(capfd: Capture, line: str, *replies: Reply, before: int = 2, window: int = 1000) -> str:
    """What `/context` or another line says after some questions."""
    with Script(*replies, beside=windowed(window)) as server:
        chat(session_at(server), Typed(*(f"{it}?" for it in range(before))))
        capfd.readouterr()
        chat(Session(flags_of(server), place_of(last=True)), Typed(line))
    return capfd.readouterr().err


def talk(*lines: str, replies: list[Reply], window: int = 1000) -> tuple[Session, Typed]:
    """A chat of these lines with a model that has this window."""
    with Script(*replies, beside=windowed(window)) as server:
        session, typed = session_at(server), Typed(*lines)
        assert chat(session, typed) == 0
    return session, typed


def test_what_the_server_has_counted_is_said_as_such(capfd: Capture) -> None:
    talk("1?", "2?", "/context", replies=[takes(50), takes(395)])
    shown = capfd.readouterr().err
    assert "the model's window has 1,000 tokens\n400 of them are used (40 %): counted" in shown
    assert "the whole conversation is sent" in shown
    assert "/trim leaves out the oldest turns instead" in shown


def test_an_estimate_is_said_to_be_one(capfd: Capture) -> None:
    talk("1?", "2?", "/context", replies=[takes(50), takes(None)])
    assert "an estimate, because the server has not counted all of them" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["/context"], "there is no question yet"),
        (["1?", "/context"], "asked from the second question on"),
        (
            ["1?", "/system Be brief.", "2?", "/context"],
            "from the second question on",
        ),
        (["1?", "2?", "/model other", "/context"], "has changed since the last answer"),
        (["1?", "2?", "/undo", "/context"], "has changed since the last answer"),
        (["1?", "2?", "/clear", "/context"], "there is no question yet"),
    ],
)
def test_what_is_not_known_is_said_with_its_reason(
    lines: list[str], reason: str, capfd: Capture
) -> None:
    talk(*lines, replies=[takes(50), takes(100)])
    shown = capfd.readouterr().err
    assert "the use of the model's window is unknown: " in shown
    assert reason in shown
    assert "of them are used" not in shown


def test_a_server_that_does_not_tell_its_window_has_counted_all_the_same(capfd: Capture) -> None:
    with Script(takes(50), takes(100)) as server:
        chat(session_at(server), Typed("1?", "2?", "/context"))
    shown = capfd.readouterr().err
    assert "the server has not reported its size" in shown
    assert "the conversation has 105 tokens: counted by the server" in shown


def test_who_comes_back_is_told_that_the_next_answer_will_tell(capfd: Capture) -> None:
    assert "this chat has had no answer yet" in said(capfd, "/context", takes(50), takes(100))


def test_what_does_not_fit_is_not_sent_and_the_hint_names_the_commands(capfd: Capture) -> None:
    session, typed = talk("1?", LONG, replies=[takes(900)])
    shown = capfd.readouterr().err
    assert WAYS in shown
    assert "--trim" not in shown
    assert typed.drafts[-1] == LONG
    assert len(session.turns) == 1


def test_after_trim_the_refused_question_is_in_the_prompt_and_is_asked(
    capfd: Capture, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("the text\n")
    replies = [takes(275), takes(555), takes(835), takes(560)]
    with Script(*replies, beside=windowed(1000)) as server:
        session = session_at(server)
        question = f"4{PART} @{tmp_path}/a.txt"
        typed = Typed(f"1{PART}", f"2{PART}", f"3{PART}", question, "/trim", lambda its: its.draft)
        assert chat(session, typed) == 0
        last = sent(server)[-1]
    assert typed.drafts[4:6] == [question, question]
    assert [text[0] for role, text in last if role == "user"] == ["3", "4"]
    assert last[-1][1].count("the text\n") == 1
    shown = capfd.readouterr().err
    assert "of the conversation are left out" in shown
    assert read(find(runs_folder(), str(session.head))).left_out > 0


def test_a_refused_edit_is_asked_in_its_place_after_trim() -> None:
    session, typed = talk(
        *("1?", "2?", "3?", "/edit 3", LONG, "/trim"), replies=[takes(300), takes(600), takes(900)]
    )
    assert typed.drafts[-1] == LONG
    assert session.editing == 2


def test_trim_is_turned_off_again(capfd: Capture) -> None:
    session, _ = talk("/trim on", "/trim off", "/trim maybe", replies=[])
    assert session.flags["trim"] is False
    assert "/trim takes on or off, but got 'maybe'" in capfd.readouterr().err


def test_what_was_left_out_is_told_by_context(capfd: Capture) -> None:
    replies = [takes(275), takes(555), takes(835), takes(560)]
    talk(PART, PART, PART, "/trim", PART, "/context", replies=replies)
    assert "the oldest 4 messages were left out of the last question" in capfd.readouterr().err


def test_the_note_comes_once_after_the_answer_on_standard_error(capfd: Capture) -> None:
    talk("1?", "2?", "3?", "4?", replies=[takes(50), takes(790), takes(810), takes(820)])
    captured = capfd.readouterr()
    note = "context: 81 % of the model's window is used (815 of 1,000 tokens)"
    assert captured.err.count("context: ") == 1
    assert f"{note}; {WAYS}" in captured.err
    assert "context" not in captured.out


def test_the_note_comes_again_after_the_use_was_lower_or_unknown() -> None:
    note = Note()
    full, free = Extent(1000, 850, counted=True), Extent(1000, 100, counted=True)
    shown = [note.after(it, trims=False) is not None for it in (full, full, free, full, None, full)]
    assert shown == [True, False, False, True, False, True]


def test_nothing_is_noted_where_turns_are_left_out_already() -> None:
    trimmed = Extent(1000, 850, counted=True, left_out=2)
    assert Note().after(trimmed, trims=True) is None
    said = Note().after(Extent(1000, 850, counted=True), trims=True)
    assert said is not None
    assert "/trim" not in said


def test_only_where_something_can_be_left_out_the_hint_names_the_commands() -> None:
    server, ours = ContextLength.hint, "--trim leaves out its oldest turns; or ask otherwise"
    alone = "shorten the question, or ask a model with a larger window"
    assert way_out(ours, follows=True, trims=False) == WAYS
    assert way_out(server, follows=True, trims=False) == WAYS
    assert way_out(server, follows=False, trims=False) == server
    assert way_out(alone, follows=True, trims=False) == alone
    assert way_out(alone, follows=True, trims=True) == alone
    assert way_out(None, follows=True, trims=False) is None


def test_a_server_that_refuses_what_was_to_be_trimmed_is_not_answered_with_trim(
    capfd: Capture,
) -> None:
    refused = Reply.json({"error": "the prompt exceeds the context length"}, status=400)
    with Script(takes(50), refused, refused) as server:
        chat(session_at(server), Typed("1?", "2?", "/trim", "2?"))
    first, second = capfd.readouterr().err.split("the oldest turns are left out if")
    assert WAYS in first
    assert "/trim" not in second
    assert "/compact begins" in second


def test_without_a_journal_that_is_the_reason(capfd: Capture) -> None:
    with Script(takes(50), takes(100), beside=windowed()) as server:
        chat(session_at(server, journal=False), Typed("1?", "2?", "/context"))
    assert "without a journal the server is asked only for large" in capfd.readouterr().err
