"""Claimed: what is typed beside an answer is all taken, in its order; what has begun is awaited."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.chat.typeahead import TypeAhead
from chatstream.control import Control
from chatstream.events import Approval, Event
from chatstream.flow import Arrival, Key, Typed, close
from chatstream.terminal.beside import PASTE_SECONDS, Beside
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.keyboard import ALONE_SECONDS
from chatstream.terminal.shortcuts import keys
from tests.support.desk import LIMIT, Desk, desk

pytestmark = pytest.mark.screen


class At:
    """A desk, what is typed on it, and how often that has changed."""

    def __init__(self, at: Desk) -> None:
        self.desk = at
        self.typed = TypeAhead()
        self.changes = 0
        self.beside = Beside(at.keyboard, self.typed, self.change, lambda: at.now)

    def change(self) -> None:
        self.changes += 1


@pytest.fixture
def at() -> Iterator[At]:
    with desk(whole=True) as made:
        made.keyboard.listen()
        yield At(made)


def test_what_is_typed_is_taken_at_once_and_told(at: At) -> None:
    at.desk.type(b"one\rtw ")
    assert at.beside.read() == []
    assert (at.typed.queued, at.typed.draft, at.changes) == (["one"], "tw ", 1)
    assert at.beside.read() == []
    assert at.changes == 1


def test_esc_is_a_key_when_nothing_has_followed_it(at: At) -> None:
    at.desk.type(b"\x1b")
    assert at.beside.read() == []
    at.desk.now += ALONE_SECONDS / 2
    assert at.beside.read() == []
    at.desk.now += ALONE_SECONDS
    assert at.beside.read() == ["stop"]


def test_the_rest_of_a_paste_is_awaited_when_the_answer_is_over(at: At) -> None:
    at.desk.type(b"\x1b[200~one\rtwo")
    at.beside.read()
    rest = threading.Timer(0.05, os.write, (at.desk.controller, b" and three\x1b[201~"))
    rest.start()
    at.beside.finish()
    rest.join(LIMIT)
    assert at.typed.is_whole
    assert at.typed.take() == ([], "one\ntwo and three")


def test_a_paste_without_an_end_is_awaited_only_so_long(at: At) -> None:
    at.desk.type(b"\x1b[200~one\rtwo")
    at.beside.read()
    at.desk.now += PASTE_SECONDS
    at.beside.finish()
    assert at.typed.take() == ([], "one\ntwo")


def test_nothing_is_awaited_from_a_terminal_that_is_gone(at: At) -> None:
    at.desk.type(b"\x1b[200~one")
    at.beside.read()
    at.desk.keyboard.close()
    at.beside.finish()
    assert at.typed.take() == ([], "one")


class Stage:
    """The stage of the keys, with an answer that goes on until it is stopped."""

    def __init__(self, at: At, control: Control | None = None) -> None:
        self.at = at
        self.token = CancelToken()
        self.control = control
        self.events: list[Event] = []

    def __enter__(self) -> Stage:
        def clock() -> float:
            return self.at.desk.now

        keyboard = self.at.desk.keyboard
        self._interrupts = interrupts(self.token, ends="answer")
        self._keys = keys(self.token, keyboard, clock, control=self.control, beside=self.at.beside)
        self._interrupts.__enter__()
        self._passed = self._keys.__enter__()(self._source())
        return self

    def __exit__(self, *_: object) -> None:
        close(self._passed)
        self._keys.__exit__(None, None, None)
        self._interrupts.__exit__(None, None, None)

    def _source(self) -> Iterator[Arrival]:
        while not self.token.cancelled:
            events, self.events = self.events, []
            yield Arrival(events)

    def type(self, text: bytes) -> list[Event]:
        """Type, and let some time pass; the events that reach the screen."""
        self.at.desk.type(text)
        seen: list[Event] = []
        for _ in range(6):
            self.at.desk.now += ALONE_SECONDS
            if (arrival := next(self._passed, None)) is not None:
                seen += arrival.events
        return seen


def test_the_screen_is_told_first_and_whenever_something_was_typed(at: At) -> None:
    at.typed.queued, at.typed.draft = ["one"], "tw"
    with Stage(at) as stage:
        assert stage.type(b"") == [Typed(queued=["one"], draft="tw")]
        assert stage.type(b"o\r") == [Typed(queued=["one", "two"], draft="")]
        assert stage.type(b"\x1b[15~") == []
    assert at.desk.keyboard.is_open


def test_keys_steer_the_answer_and_letters_do_not(at: At) -> None:
    with Stage(at, Control()) as stage:
        stage.type(b"")
        assert stage.type(b" ") == [Key(pressed="pause")]
        assert stage.type(b" ") == [Key(pressed="go_on")]
        assert stage.type(b"\x14") == [Key(pressed="reasoning")]
        assert stage.type(b"\x0b") == []  # no tool runs
        assert stage.type(b"x") == [Typed(queued=[], draft="x")]
        assert stage.type(b" r") == [Typed(queued=[], draft="x r")]
        assert not stage.token.cancelled


def test_esc_and_ctrl_c_stop_the_answer_and_keep_what_was_typed(at: At) -> None:
    with Stage(at) as stage:
        stage.type(b"one\rtwo")
        stage.type(b"\x1b")
        assert not stage.token.cancelled
        stage.type(b"\x1b")
        assert stage.token.cancelled
    assert at.typed.take() == ([], "one\n\ntwo")
    with Stage(at) as stage:
        at.desk.type(b"one\rtwo")
        signal.raise_signal(signal.SIGINT)
        assert stage.token.cancelled
    at.beside.finish()
    assert at.typed.take() == (["one"], "two")


def test_ctrl_k_stops_the_tools_alone(at: At) -> None:
    control = Control()
    control.tools_run = True
    with Stage(at, control) as stage:
        stage.type(b"\x0b")
        assert control.stops == 1
        assert not stage.token.cancelled


def test_a_question_is_answered_and_all_else_is_for_later(at: At) -> None:
    control, question = Control(), Approval("1", "write", "ask", "default", {"path": "a"})
    with Stage(at, control) as stage:
        stage.type(b"and th")
        control.ask(question)
        stage.events = [question]
        assert stage.type(b"is") == [Typed(queued=[], draft="and this"), question]
        assert stage.type(b"no?") == [Typed(queued=[], draft="and thisno?")]
        assert stage.type(b"\x1b[200~y") == []
        assert stage.type(b"\x1b[201~") == [Typed(queued=[], draft="and thisno?y")]
        assert control.take_answer() is None
        assert stage.type(b"\r") == [Typed(queued=["and thisno?y"], draft="")]
        stage.type(b"y")
        assert control.take_answer() == "once"
    assert at.typed.take() == (["and thisno?y"], "")


@pytest.mark.parametrize("key", [b"a", b"y", b"n"])
def test_a_letter_of_a_line_that_has_begun_is_no_answer_however_long_the_pause_before_it(
    key: bytes, at: At
) -> None:
    control, question = Control(), Approval("1", "write", "ask", "default", {"path": "a"})
    with Stage(at, control) as stage:
        stage.type(b"my next message ")
        control.ask(question)
        stage.events = [question]
        stage.type(b"")
        at.desk.now += 60
        assert stage.type(key)[-1] == Typed(queued=[], draft=f"my next message {key.decode()}")
        assert control.take_answer() is None
        stage.type(b"\x15")
        stage.type(key)
        assert control.take_answer() in {"always", "once", "no"}


def test_esc_stops_at_a_question_while_a_line_has_begun(at: At) -> None:
    control, question = Control(), Approval("1", "write", "ask", "default", {"path": "a"})
    with Stage(at, control) as stage:
        stage.type(b"my next")
        control.ask(question)
        stage.events = [question]
        stage.type(b"")
        stage.type(b"\x1b")
        assert stage.token.cancelled
    assert at.typed.take() == ([], "my next")
