"""Lines from standard input: each is a turn, whole, however it comes."""

from __future__ import annotations

import os
import pty
import threading

import pytest

from chatstream.cancel import CancelToken
from chatstream.chat.plain import PlainEditor
from chatstream.chat.session import Session
from chatstream.errors import Terminated, UsageError


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
