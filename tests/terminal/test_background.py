"""Claimed: the terminal's background is asked for quickly, safely, and nothing typed is taken."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chatstream.sinks.palette import Background
from chatstream.terminal.background import QUESTION, Answer, ask
from tests.support.desk import Desk, desk
from tests.terminal.test_keyboard import allow_giving_back

pytestmark = pytest.mark.screen

LIGHT, DARK = b"\x1b]11;rgb:ffff/ffff/eeee\x1b\\", b"\x1b]11;rgb:1a1a/1b1b/2626\x07"
ATTRIBUTES = b"\x1b[?62;22c"
HERE = {"TERM": "xterm-256color"}


@pytest.fixture
def at() -> Iterator[Desk]:
    with desk() as made:
        yield made


class Other:
    """The terminal itself: it answers what it was asked, as soon as it is."""

    def __init__(self, at: Desk, answer: bytes) -> None:
        self._at = at
        self._answer = answer
        self.asked = ""

    def write(self, text: str) -> None:
        self.asked += text
        self._at.type(self._answer)


@pytest.mark.parametrize(
    ("answer", "background"),
    [
        (LIGHT + ATTRIBUTES, "light"),
        (DARK + ATTRIBUTES, "dark"),
        (b"\x1b]11;rgb:f/f/f\x07" + ATTRIBUTES, "light"),
        (b"\x1b]11;rgba:0000/0000/0000/8080\x1b\\" + ATTRIBUTES, "dark"),
        (b"\x1b]11;#ffffff\x07" + ATTRIBUTES, None),
        (ATTRIBUTES, None),
        (b"\x1b[?1;2c", None),
    ],
)
def test_what_the_terminal_answers(at: Desk, answer: bytes, background: Background | None) -> None:
    other = Other(at, answer)
    assert ask(at.keyboard, other.write, HERE) == background
    assert other.asked == QUESTION
    assert at.press(b" ") == " "
    assert at.left() == b""


def test_an_answer_is_the_same_wherever_it_is_cut() -> None:
    whole = LIGHT + ATTRIBUTES
    for cut in range(len(whole) + 1):
        for other in range(cut, len(whole) + 1):
            answer = Answer()
            pieces = (whole[:cut], whole[cut:other], whole[other:])
            assert [answer.feed(piece) for piece in pieces] == [b"", b"", b""]
            assert (answer.background, answer.whole, answer.begun) == ("light", True, False)


@pytest.mark.parametrize("place", range(4))
def test_what_is_typed_in_between_goes_back_to_the_shell(
    at: Desk, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    typed = b"ls\n"
    answer = [LIGHT, ATTRIBUTES]
    answer[place // 2] = answer[place // 2] + typed if place % 2 else typed + answer[place // 2]
    allow_giving_back(at, monkeypatch)
    assert ask(at.keyboard, Other(at, b"".join(answer)).write, HERE) == "light"
    assert at.looks() == ["", ""]
    assert at.keyboard.ahead
    assert at.left() == typed


def test_an_answer_that_comes_late_is_swallowed_and_changes_nothing(at: Desk) -> None:
    assert ask(at.keyboard, Other(at, b"").write, HERE) is None
    assert at.press(b" ") == " "
    assert at.press(LIGHT[:9]) == ""
    assert at.press(LIGHT[9:] + ATTRIBUTES[:2]) == ""
    assert at.press(ATTRIBUTES[2:]) == ""
    assert not at.keyboard.ahead
    assert at.press(b"\x1b") == "\x1b"
    assert at.left() == b""


def test_another_reader_of_the_terminal_does_not_take_a_late_answer_for_text(at: Desk) -> None:
    assert ask(at.keyboard, Other(at, b"").write, HERE) is None
    other = at.keyboard.without_late_reply
    assert other("日") == "日"
    assert other("\x1b") == "\x1b"
    assert other("a" + LIGHT.decode() + ATTRIBUTES[:2].decode()) == "a"
    assert other(ATTRIBUTES[2:].decode() + "b") == "b"
    assert other(ATTRIBUTES.decode()) == ATTRIBUTES.decode()


def test_one_that_comes_at_the_very_end_is_not_left_to_the_shell(at: Desk) -> None:
    assert ask(at.keyboard, Other(at, b"").write, HERE) is None
    at.type(LIGHT + ATTRIBUTES)
    assert at.left() == b""


def test_escape_is_a_key_also_while_an_answer_is_awaited(at: Desk) -> None:
    assert ask(at.keyboard, Other(at, b"").write, HERE) is None
    assert at.press(b"\x1b") == "\x1b"
    assert at.press(b"r") == "r"


@pytest.mark.parametrize(
    "environ",
    [
        {**HERE, "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"},
        {**HERE, "SSH_TTY": "/dev/pts/1"},
        {**HERE, "TMUX": "/tmp/tmux,1,0", "SSH_TTY": "/dev/pts/1"},
        {"TERM": "linux"},
        {"TERM": "dumb"},
        {},
        {"TERM": "screen.xterm-256color", "STY": "1.pts-0.host"},
        {"TERM": "eterm-color"},
    ],
)
def test_it_is_not_asked_where_no_quick_answer_is_likely(at: Desk, environ: dict[str, str]) -> None:
    other = Other(at, LIGHT + ATTRIBUTES)
    assert ask(at.keyboard, other.write, environ) is None
    assert other.asked == ""


def test_tmux_is_asked_whatever_it_calls_itself(at: Desk) -> None:
    environ = {"TERM": "screen-256color", "TMUX": "/tmp/tmux,1,0"}
    assert ask(at.keyboard, Other(at, DARK + ATTRIBUTES).write, environ) == "dark"


def test_it_is_not_asked_where_something_is_typed_ahead(at: Desk) -> None:
    at.keyboard.key()
    at.type(b"ls\n")
    other = Other(at, LIGHT + ATTRIBUTES)
    assert ask(at.keyboard, other.write, HERE) is None
    assert other.asked == ""
    assert at.left() == b"ls\n"


def test_without_a_keyboard_nobody_is_asked(at: Desk) -> None:
    at.keyboard.close()
    other = Other(at, b"")
    assert ask(at.keyboard, other.write, HERE) is None
    assert other.asked == ""


def test_a_terminal_that_hangs_up_meanwhile_says_nothing(at: Desk) -> None:
    def write(_text: str) -> None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), at.controller)

    assert ask(at.keyboard, write, HERE) is None
