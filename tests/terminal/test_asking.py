"""Claimed: only who has seen a question answers it, and standard output never carries one."""

from __future__ import annotations

import os
import select
import signal
import termios
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Answer, Control
from chatstream.flow import Arrival
from chatstream.sinks.questions import choice
from chatstream.terminal import asking
from chatstream.terminal.asking import QUIET_SECONDS, Answers, can_ask, questions
from chatstream.terminal.keyboard import ALONE_SECONDS
from tests.support.desk import LIMIT, Desk, desk

pytestmark = pytest.mark.screen

QUESTION = ev.Approval("1", "write", "ask", "default", {"path": "a\u200b.txt"})
CHOICE = choice(QUESTION)
LATER = QUIET_SECONDS + 0.01
ALONE = ALONE_SECONDS + 0.01


class Asked:
    """A question that is open on a terminal."""

    def __init__(self, at: Desk, question: ev.Approval = QUESTION) -> None:
        self.at = at
        self.control = Control()
        self.answers = Answers(self.control, at.keyboard, lambda: at.now)
        self.control.ask(question)
        assert self.answers.see(Arrival([question])) is question

    def type(self, text: bytes, *, after: float = 0.0) -> str:
        """Type, and look at it until nothing more can follow."""
        self.at.now += after
        self.at.type(text)
        seen = self.answers.look()
        self.at.now += ALONE
        return seen + self.answers.look()

    @property
    def answer(self) -> Answer | None:
        return self.control.take_answer()


@pytest.fixture
def at() -> Iterator[Desk]:
    with desk() as made:
        assert made.keyboard.key() == ""  # the mode is ours from here on
        yield made


@pytest.mark.parametrize("typed", [b"y", b"Y", b"yes", b"y\r", b"yes\r"])
def test_yes_allows(at: Desk, typed: bytes) -> None:
    asked = Asked(at)
    asked.type(typed, after=LATER)
    assert not asked.answers.is_open
    assert asked.answer == "once"


@pytest.mark.parametrize("typed", [b"a", b"A", b"always", b"a\r"])
def test_always_allows_for_the_rest_of_the_run(at: Desk, typed: bytes) -> None:
    asked = Asked(at)
    asked.type(typed, after=LATER)
    assert asked.answer == "always"


def test_always_is_no_answer_about_one_call_alone(at: Desk) -> None:
    asked = Asked(at, replace(QUESTION, once=True))
    asked.type(b"a", after=LATER)
    assert asked.answers.is_open
    asked.type(b"y", after=LATER)
    assert asked.answer == "once"


@pytest.mark.parametrize("typed", [b"d", b"D", b"d\r"])
def test_asking_for_details_is_not_an_answer(at: Desk, typed: bytes) -> None:
    asked = Asked(at)
    seen = asked.type(typed, after=LATER)
    assert asked.answers.wants_details(seen)
    assert asked.answers.is_open
    assert asked.answer is None
    asked.type(b"y", after=LATER)
    assert asked.answer == "once"
    assert not any(map(asked.answers.wants_details, ("", "y", "dd", "\x1b")))


@pytest.mark.parametrize("typed", [b"n", b"N", b"no", b"n\r"])
def test_no_denies(at: Desk, typed: bytes) -> None:
    asked = Asked(at)
    asked.type(typed, after=LATER)
    assert asked.answer == "no"


@pytest.mark.parametrize(
    "typed", [b"yn", b"make\r", b"\r", b" ", b"x", b"\x1b[A", b"yesterday", b"y\ry"]
)
def test_anything_else_leaves_the_question_open_and_is_thrown_away(at: Desk, typed: bytes) -> None:
    asked = Asked(at)
    asked.type(typed, after=LATER)
    assert asked.answers.is_open
    assert asked.answer is None
    assert at.waiting == 0
    asked.type(b"y", after=LATER)
    assert asked.answer == "once"


def test_what_was_typed_before_the_question_is_no_answer(at: Desk) -> None:
    at.type(b"y")
    asked = Asked(at)
    assert at.waiting == 0
    at.now += LATER
    assert [asked.answers.look() for _ in range(2)] == ["", ""]
    assert asked.answer is None


def test_a_key_in_the_first_moments_is_no_answer(at: Desk) -> None:
    asked = Asked(at)
    asked.type(b"y", after=QUIET_SECONDS / 2)
    at.now += LATER
    asked.answers.look()
    assert asked.answer is None
    asked.type(b"y", after=LATER)
    assert asked.answer == "once"


@pytest.mark.parametrize("pause", [0.05, 0.15, 0.25])
def test_who_is_in_the_middle_of_a_command_gives_no_answer(at: Desk, pause: float) -> None:
    """Its last letter, and Enter behind it, would be one."""
    asked = Asked(at)
    for letter in b"deploy\r":
        at.type(bytes([letter]))
        for _ in range(5):
            at.now += pause / 5
            asked.answers.look()
    at.now += ALONE
    asked.answers.look()
    assert asked.answer is None
    assert asked.answers.is_open


def test_escape_is_told_to_who_looks(at: Desk) -> None:
    asked = Asked(at)
    assert asked.type(b"\x1b", after=LATER) == "\x1b"
    assert asked.answer is None


CLOSING: list[ev.Event] = [
    ev.Approval("1", "write", "deny", "user"),
    ev.Error("cancelled", "stopped", recoverable=True, partial=True),
]


@pytest.mark.parametrize("event", CLOSING)
def test_a_question_is_closed_by_what_follows_it(at: Desk, event: ev.Event) -> None:
    asked = Asked(at)
    assert asked.answers.see(Arrival([event])) is None
    assert not asked.answers.is_open


@pytest.mark.parametrize(
    "event",
    [
        ev.Approval("1", "write", "ask", "dry_run"),
        ev.Approval("1", "write", "ask", "default", replayed=True),
        ev.Approval("1", "write", "allow", "rule"),
    ],
)
def test_only_this_run_asks(at: Desk, event: ev.Event) -> None:
    answers = Answers(Control(), at.keyboard, lambda: at.now)
    assert answers.see(Arrival([event])) is None
    assert not answers.is_open


# ---- without a live view


def heard(at: Desk, end: bytes) -> str:
    """What the terminal has got up to this end."""
    data = b""
    while not data.endswith(end):
        assert select.select([at.controller], [], [], LIMIT)[0], data
        data += os.read(at.controller, 65536)
    return data.decode().replace("\r\n", "\n")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A terminal that is found, but is no stream of ours."""
    with desk() as made:
        made.keyboard.close()
        name = os.ttyname(made._terminal)
        monkeypatch.setattr(asking, "terminal_name", lambda: name)
        yield made


ASKED = f'The model wants to run write:\n  path: "a\\u200b.txt"\n{CHOICE} '


@pytest.mark.parametrize(("key", "answer"), [(b"y", "once"), (b"a", "always"), (b"n", "no")])
def test_a_question_is_asked_on_the_terminal_and_answered_there(
    away: Desk, key: bytes, answer: Answer, capfd: pytest.CaptureFixture[str]
) -> None:
    control, now = Control(), [0.0]
    seen: list[str] = []

    def source() -> Iterator[Arrival]:
        control.ask(QUESTION)
        yield Arrival([ev.Content("first"), QUESTION])
        seen.append(heard(away, b"d all "))
        yield Arrival()  # a look at the keys: they are quiet
        now[0] += LATER
        away.type(key)
        yield Arrival()
        now[0] += ALONE
        yield Arrival()
        assert control.take_answer() == answer
        seen.append(heard(away, b"\n"))
        yield Arrival([ev.Content("last")])

    with questions(control, CancelToken(), lambda: now[0]) as stage:
        events = [event for arrival in stage(source()) for event in arrival.events]
    assert events == [ev.Content("first"), QUESTION, ev.Content("last")]
    assert seen == [ASKED, f"{key.decode()}\n"]
    assert capfd.readouterr() == ("", "")


def test_the_whole_call_is_shown_again_and_a_diff_has_colours(away: Desk) -> None:
    control, now = Control(), [0.0]
    parameters = {"text": "a\nb"}
    question = ev.Approval("1", "write", "ask", "default", parameters, "@@ -1 +1 @@\n-a\n+b\n")
    seen: list[str] = []

    def source() -> Iterator[Arrival]:
        control.ask(question)
        yield Arrival([question])
        seen.append(heard(away, b"d all "))
        yield Arrival()
        now[0] += LATER
        away.type(b"d")
        yield Arrival()
        now[0] += ALONE
        yield Arrival()
        seen.append(heard(away, b"d all "))
        assert control.take_answer() is None
        yield Arrival([ev.Error("cancelled", "stopped", recoverable=True, partial=True)])

    colours = {"added": "32", "removed": "31"}
    with questions(control, CancelToken(), lambda: now[0], colours=colours) as stage:
        assert len(list(stage(source()))) == 5
    diff = ["  │ @@ -1 +1 @@", "\x1b[31m  │ -a\x1b[0m", "\x1b[32m  │ +b\x1b[0m", f"{CHOICE} "]
    head = "The model wants to run write:"
    assert seen[0].split("\n") == [head, "  text: 2 lines", *diff]
    assert seen[1].split("\n") == ["d", head, "  text:", "  │ a", "  │ b", *diff]


def test_the_terminal_has_its_mode_back_when_a_question_has_no_answer(away: Desk) -> None:
    control = Control()
    before = termios.tcgetattr(away.controller)

    def source() -> Iterator[Arrival]:
        control.ask(QUESTION)
        yield Arrival([QUESTION])
        assert termios.tcgetattr(away.controller) != before
        yield Arrival([ev.Error("cancelled", "stopped", recoverable=True, partial=True)])

    with questions(control, CancelToken()) as stage:
        assert len(list(stage(source()))) == 2
    assert termios.tcgetattr(away.controller) == before
    assert heard(away, b"d all \r\n") == f"{ASKED}\n"


def test_without_a_question_the_terminal_is_left_alone(away: Desk) -> None:
    before = termios.tcgetattr(away.controller)
    with questions(Control(), CancelToken()) as stage:
        for _ in stage(iter([Arrival([ev.Content("a")]), Arrival()])):
            assert termios.tcgetattr(away.controller) == before


def test_where_the_terminal_is_gone_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "terminal_name", lambda: "/nowhere/terminal")
    control = Control()
    control.ask(QUESTION)
    with questions(control, CancelToken()) as stage:
        assert list(stage(iter([Arrival([QUESTION])]))) == [Arrival([QUESTION])]
    assert control.take_answer() == "no"


@pytest.mark.parametrize(
    ("terminals", "told"), [((), False), ((0,), True), ((1,), True), ((2,), True)]
)
def test_one_stream_that_is_a_terminal_is_enough_to_ask(
    terminals: tuple[int, ...], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor in terminals)
    assert can_ask() is told


def test_a_background_job_of_a_shell_without_job_control_asks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert not can_ask()
    finally:
        signal.signal(signal.SIGINT, before)


class Kept(Asked):
    """A question in a program that asks again; `kept` is what was typed for its next one."""

    def __init__(self, at: Desk) -> None:
        self.kept = b""
        self.at = at
        self.control = Control()
        self.answers = Answers(self.control, at.keyboard, lambda: at.now, self.keep)
        self.control.ask(QUESTION)
        self.answers.see(Arrival([QUESTION]))

    def keep(self, typed: bytes) -> None:
        self.kept += typed


@pytest.fixture
def whole() -> Iterator[Desk]:
    with desk(whole=True) as made:
        made.keyboard.listen()
        yield made


def test_what_is_no_answer_is_kept_for_a_program_that_asks_again(whole: Desk) -> None:
    whole.type(b"typed bef")
    asked = Kept(whole)
    assert asked.kept == b"typed bef"
    asked.type(b"ore", after=QUIET_SECONDS / 2)
    assert asked.kept == b"typed before"
    asked.type("日本".encode(), after=LATER)
    assert asked.kept == "typed before日本".encode()
    assert asked.type(b"d", after=LATER) == "d"
    assert asked.type(b"\x1b", after=LATER) == "\x1b"
    assert asked.answer is None
    asked.type(b"y", after=LATER)
    assert asked.answer == "once"
    assert asked.kept == "typed before日本".encode()
