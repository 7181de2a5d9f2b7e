"""Lines from standard input: each is a turn, whole, however it comes."""

from __future__ import annotations

import fcntl
import os
import pty
import sys
import termios
import threading
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.chat.loop import chat
from chatstream.chat.plain import PlainEditor
from chatstream.chat.session import Session
from chatstream.errors import Terminated, UsageError
from tests.support.chats import says, sent, session_at
from tests.support.loopback import Reply, Script
from tests.support.waiting import until_true


def lines(data: bytes, *, step: int = 65536, encoding: str | None = None) -> list[str]:
    """The lines of a pipe that is written in pieces."""
    ours, theirs = os.pipe()

    def write() -> None:
        for start in range(0, len(data), step):
            os.write(theirs, data[start : start + step])
        os.close(theirs)

    writer = threading.Thread(target=write)
    writer.start()
    editor, found = PlainEditor(ours, encoding), []
    while (line := editor.read(Session({}), CancelToken())) is not None:
        found.append(line)
    writer.join()
    os.close(ours)
    return found


def terminal(typed: bytes) -> tuple[int, int]:
    """Both ends of a terminal on which this was typed."""
    ours, theirs = pty.openpty()
    os.write(ours, typed)

    def waiting() -> int:
        return int.from_bytes(fcntl.ioctl(theirs, termios.FIONREAD, bytes(4)), sys.byteorder)

    until_true(lambda: waiting() >= len(typed.rstrip(b"\x04")))
    return ours, theirs


@pytest.mark.parametrize("step", [1, 3, 65536])
def test_a_line_is_whole_however_it_comes(step: int) -> None:
    assert lines("日本 👩‍💻\r\n\nlast".encode(), step=step) == ["日本 👩‍💻", "", "last"]


def test_a_line_in_another_encoding() -> None:
    assert lines(b"caf\xe9\n", encoding="latin-1") == ["café"]


def test_bytes_that_are_no_text_are_refused_and_the_next_line_is_read() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"\xff\nnext\n")
    os.close(theirs)
    editor = PlainEditor(ours)
    with pytest.raises(UsageError, match="line 1 of standard input"):
        editor.read(Session({}), CancelToken())
    assert editor.read(Session({}), CancelToken()) == "next"
    os.close(ours)


def test_a_signal_ends_the_reading() -> None:
    ours, theirs = os.pipe()
    token = CancelToken()
    token.cancel(Terminated("terminated"))
    with pytest.raises(Terminated):
        PlainEditor(ours).read(Session({}), token)
    os.close(ours)
    os.close(theirs)


def test_what_is_typed_ahead_on_a_terminal_is_taken_at_once_and_whole() -> None:
    ours, theirs = terminal("one\n日本\n".encode() + b"caf\xe9\n")
    editor = PlainEditor(theirs)
    assert editor.typed_ahead() == ["one", "日本", r"caf\xe9"]
    assert editor.typed_ahead() == []
    os.write(ours, b"later\n")
    assert editor.read(Session({}), CancelToken()) == "later"
    os.close(ours)
    os.close(theirs)


def test_an_end_that_is_typed_ahead_is_the_end() -> None:
    ours, theirs = terminal(b"one\n\x04")
    editor = PlainEditor(theirs)
    assert editor.typed_ahead() == ["one"]
    os.write(ours, b"never read\n")
    assert editor.read(Session({}), CancelToken()) is None
    os.close(ours)
    os.close(theirs)


def test_an_input_that_cannot_be_read_is_an_error_once_and_then_the_end(tmp_path: Path) -> None:
    theirs = os.open(tmp_path, os.O_RDONLY)
    editor = PlainEditor(theirs)
    with pytest.raises(UsageError, match="cannot be read"):
        editor.read(Session({}), CancelToken())
    assert editor.read(Session({}), CancelToken()) is None
    os.close(theirs)


def test_nothing_of_a_pipe_is_typed_ahead() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"one\n")
    editor = PlainEditor(ours)
    assert editor.typed_ahead() == []
    assert editor.read(Session({}), CancelToken()) == "one"
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("ends", ["failed", "edited"])
def test_what_was_typed_ahead_is_not_sent_after_a_failure_nor_in_the_place_of_a_question(
    ends: str, capfd: pytest.CaptureFixture[str]
) -> None:
    second = {"failed": "sunset?", "edited": "/edit"}[ends]
    ours, theirs = terminal(f"noon?\n{second}\nnight?\ndawn?\n\x04".encode())
    refused = Reply.json({"error": "no"}, status=400)
    with Script(says("Blue."), refused if ends == "failed" else says("Red.")) as server:
        session = session_at(server)
        assert chat(session, PlainEditor(theirs)) == 0
        asked = [it[-1][1] for it in sent(server)]
    assert asked == {"failed": ["noon?", "sunset?"], "edited": ["noon?"]}[ends]
    told = capfd.readouterr().err
    waiting = "night?\n\ndawn?"
    assert {"failed": f"sunset?\n\n{waiting}", "edited": "noon?"}[ends] in told
    assert ends == "failed" or session.queue == ["night?", "dawn?"]
    os.close(ours)
    os.close(theirs)


def test_the_prompt_says_that_the_line_replaces_a_question(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"/history\nhello\n")
    editor, session = PlainEditor(theirs), Session({})
    session.editing = 1
    assert [editor.read(session, CancelToken()) for _ in range(2)] == ["/history", "hello"]
    assert capfd.readouterr().err == "edit 2 > edit 2 > "
    os.close(ours)
    os.close(theirs)


def test_a_person_is_asked_and_shown_what_is_not_sent(capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"hello\n")
    editor, session = PlainEditor(theirs), Session({})
    session.draft = "the question"
    assert editor.is_person
    assert editor.read(session, CancelToken()) == "hello"
    assert session.draft == ""
    assert capfd.readouterr().err == "this is not sent:\nthe question\n> "
    os.close(ours)
    os.close(theirs)
