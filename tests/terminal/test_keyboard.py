"""Claimed: a key counts when it comes alone, and nothing else that is typed is taken or lost.

What a shell and job control add to this is in test_keys.py.
"""

from __future__ import annotations

import fcntl
import os
import pty
import termios
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chatstream.terminal.keyboard import ALONE_SECONDS, QUEUE_BYTES, Keyboard
from tests.support.desk import LIMIT, Desk, desk

pytestmark = pytest.mark.screen


@pytest.fixture
def at() -> Iterator[Desk]:
    with desk() as made:
        assert made.keyboard.key() == ""  # the mode is ours from here on
        yield made


def allow_giving_back(at: Desk, patch: pytest.MonkeyPatch, error: OSError | None = None) -> None:
    """The kernel puts a byte into the queue as if it were typed; to a test it need not let us."""
    control = fcntl.ioctl

    def ioctl(descriptor: int, request: int, argument: bytes = b"") -> Any:
        if request != termios.TIOCSTI:
            return control(descriptor, request, argument)
        if error:
            raise error
        at.type(argument)
        return None

    patch.setattr(fcntl, "ioctl", ioctl)


@pytest.mark.parametrize("key", [" ", "r", "\x1b", "x"])
def test_a_key_counts_when_nothing_has_followed_it_for_a_while(at: Desk, key: str) -> None:
    at.type(key.encode())
    assert at.looks(0.0, ALONE_SECONDS / 2, ALONE_SECONDS) == ["", "", key]
    assert at.looks() == ["", ""]
    assert at.press(b"r") == "r"


@pytest.mark.parametrize(
    "typed", [b"rm", b"  ", b"\x1b[A", "é".encode(), b"q\r", b"x" * QUEUE_BYTES]
)
def test_what_comes_together_is_left_where_it_is(at: Desk, typed: bytes) -> None:
    assert at.press(typed) == ""
    assert at.keyboard.ahead
    assert at.left() == typed.replace(b"\r", b"\n")


def test_so_is_what_comes_soon_after_another_key(at: Desk) -> None:
    at.type(b"r")
    assert at.looks(0.0, ALONE_SECONDS / 2) == ["", ""]
    assert at.press(b"m") == ""
    assert at.left() == b"rm"


def test_no_key_is_seen_behind_what_waits(at: Desk) -> None:
    at.press(b"ls")
    assert at.press(b" ") == ""
    assert at.left() == b"ls "


def test_what_was_typed_before_the_first_look_is_no_key() -> None:
    with desk() as at:
        os.write(at.controller, b" ")
        while b" " not in os.read(at.controller, 100):  # the echo: it has arrived
            pass
        assert at.looks() == ["", ""]
        assert at.keyboard.ahead
        assert at.left() == b" "


def test_a_byte_that_is_given_back_is_not_read_again(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_giving_back(at, monkeypatch)
    assert at.press(b"m") == "m"
    at.keyboard.give_back(b"m")
    assert at.looks() == ["", ""]
    assert at.press(b"ake") == ""
    assert at.left() == b"make"


@pytest.mark.parametrize("error", [PermissionError(1, "not permitted"), OSError(5, "I/O error")])
def test_where_it_cannot_be_given_back_the_rest_is_thrown_away_and_keys_still_count(
    at: Desk, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    allow_giving_back(at, monkeypatch, error)
    at.keyboard.give_back(at.press(b"m").encode())
    assert at.press(b"ake\n") == ""
    assert not at.keyboard.ahead
    assert at.press(b" ") == " "
    at.type(b"install\n")
    assert at.left() == b""


def test_of_more_than_the_queue_should_hold_no_part_is_left(at: Desk) -> None:
    assert at.press(b"x" * (QUEUE_BYTES + 1)) == ""
    assert at.waiting == 0
    at.type(b"the rest\n")
    assert at.left() == b""


def test_what_is_discarded_is_gone_and_what_comes_later_stays(at: Desk) -> None:
    at.press(b"make\n")
    at.keyboard.discard()
    at.type(b"later")
    assert at.left() == b"later"


def test_discarding_tells_whether_there_was_anything(at: Desk) -> None:
    assert not at.keyboard.discard()
    at.type(b"make\n")
    assert at.keyboard.discard()
    assert not at.keyboard.discard()


@pytest.mark.parametrize("typed", [b"y", b"yes\r", b"\x1b[A", b"\xc3\xa9"])
def test_an_answer_is_all_that_was_typed_once_nothing_follows(at: Desk, typed: bytes) -> None:
    at.type(typed)
    assert at.keyboard.typed() == ""
    at.now += ALONE_SECONDS / 2
    assert at.keyboard.typed() == ""
    at.now += ALONE_SECONDS
    assert at.keyboard.typed() == typed.replace(b"\r", b"\n").decode("latin-1")
    at.now += 1
    assert at.keyboard.typed() == ""


def test_an_answer_waits_for_the_last_of_several_keys(at: Desk) -> None:
    for key in b"deploy":
        at.type(bytes([key]))
        assert at.keyboard.typed() == ""
        at.now += 0.9 * ALONE_SECONDS
        assert at.keyboard.typed() == ""
    at.now += ALONE_SECONDS
    assert at.keyboard.typed() == "deploy"


def test_what_was_typed_ahead_is_read_as_an_answer_and_keys_count_again(at: Desk) -> None:
    assert at.press(b"ls") == ""
    assert at.keyboard.ahead
    assert at.keyboard.typed() == ""
    assert not at.keyboard.ahead
    at.now += ALONE_SECONDS
    assert at.keyboard.typed() == "ls"
    assert at.press(b" ") == " "


def test_the_mode_is_put_back_and_nothing_is_echoed(at: Desk) -> None:
    terminal = os.open(os.ttyname(at._terminal), os.O_RDWR | os.O_NOCTTY)
    assert not termios.tcgetattr(terminal)[3] & (termios.ICANON | termios.ECHO)
    at.press(b"ls\n")
    os.write(terminal, b"|")
    assert os.read(at.controller, 100) == b"|"
    at.keyboard.close()
    at.keyboard.close()
    assert termios.tcgetattr(terminal)[3] & (termios.ICANON | termios.ECHO)
    os.close(terminal)


def test_a_closed_keyboard_has_no_keys() -> None:
    keyboard = Keyboard()
    assert keyboard.key() == keyboard.typed() == ""
    assert not keyboard.is_idle()
    keyboard.give_back(b"x")
    keyboard.discard()
    keyboard.restore()
    keyboard.close()
    assert not keyboard.is_open


def test_a_terminal_that_hangs_up_closes_it(at: Desk) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), at.controller)
    assert at.looks() == ["", ""]
    assert not at.keyboard.is_open


@pytest.fixture
def whole() -> Iterator[Desk]:
    with desk(whole=True) as made:
        made.keyboard.listen()
        yield made


@pytest.mark.parametrize(
    "typed", [b"a", b"\x1b", b"ls\r", b"a\nb\r", b"\x16\x0f\x04\x15", "日本".encode()]
)
def test_a_whole_keyboard_reads_all_bytes_as_they_are_typed(whole: Desk, typed: bytes) -> None:
    whole.type(typed)
    assert whole.keyboard.read() == typed
    assert whole.keyboard.read() == b""


def test_for_another_reader_enter_is_the_end_of_a_line(whole: Desk) -> None:
    whole.type(b"a\r")
    whole.keyboard.hold()
    whole.type(b"b\r")
    assert whole.keyboard.read() == b"a\rb\n"
    whole.keyboard.listen()
    whole.type(b"c\r")
    assert whole.keyboard.read() == b"c\r"


def test_ctrl_c_for_another_reader_is_a_byte_that_the_next_listener_finds(whole: Desk) -> None:
    """The process of the tests would be ended by a signal."""
    whole.keyboard.hold()
    whole.type(b"\x03")
    whole.keyboard.listen()
    assert whole.keyboard.read() == b"\x03"


def test_more_than_the_queue_holds_is_read_whole(whole: Desk) -> None:
    data, read = b"x" * 200_000, b""
    sender = threading.Thread(target=_write_all, args=(whole.controller, data))
    sender.start()
    while len(read) < len(data) and whole.keyboard.wait(LIMIT):
        read += whole.keyboard.read()
    sender.join(LIMIT)
    assert read == data


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def test_what_a_whole_keyboard_is_given_back_is_read_first(whole: Desk) -> None:
    whole.type(b"b")
    whole.keyboard.give_back(b"a")
    assert whole.keyboard.read() == b"ab"


def test_a_whole_keyboard_throws_nothing_away(whole: Desk) -> None:
    whole.type(b"a")
    assert not whole.keyboard.discard()
    whole.keyboard.restore()
    assert whole.keyboard.read() == b"a"


def test_a_whole_keyboard_puts_back_the_mode_that_was_there() -> None:
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    keyboard = Keyboard(whole=True)
    keyboard.open(os.ttyname(terminal))
    for change in (keyboard.hold, keyboard.listen, keyboard.hold):
        change()
        assert termios.tcgetattr(terminal) != before
    keyboard.restore()
    assert termios.tcgetattr(terminal) == before
    keyboard.close()
    os.close(controller)
    os.close(terminal)


def test_a_whole_keyboard_waits_for_what_is_typed_and_no_longer(whole: Desk) -> None:
    assert not whole.keyboard.wait(0)
    whole.type(b"a")
    assert whole.keyboard.wait(LIMIT)
    whole.keyboard.close()
    assert not whole.keyboard.wait(LIMIT)
