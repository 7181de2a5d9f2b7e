"""Claimed: the scrollback of a chat has each line once, as one plain print of it has, and a resize
at any moment changes nothing of that.

tmux rewraps its lines by itself. On a screen that is not full it moves one row out of it for each
that it needs more, before the program is told of the new size. So what is being typed or answered
at the top may be there twice after that (`FITS_AT_THE_TOP`), and nothing is lost.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from tests.support.answers import ending, frames, headers
from tests.support.chats import says
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Reply, Script
from tests.support.sampling import by_size, sampled, seeded
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

TURNS = 20
QUESTIONS = [
    f"question {number} 你好? " + "and a question that is longer than one row is " * (number % 3)
    for number in range(TURNS)
]
ANSWERS = [
    f"Answer {number} begins.\n\n"
    + " ".join(f"word{number}x{word}" for word in range(30))
    + f"\n\n- item {number}\n- the end of {number}."
    for number in range(TURNS)
]

Sizes = Sequence[tuple[int, int]]


def plain(lines: list[str]) -> list[str]:
    """The lines of a chat without what is measured, and without blank lines.

    Prose is filled with blanks up to the margin where a row ends between two words.
    """
    joined = (" ".join(line.split()) for line in lines)
    return [line for line in joined if line and not line.startswith("✓")]


def printed(question: str, answer: str) -> list[str]:
    """The lines of a turn."""
    return plain([f"› {question}", *answer.replace("- ", "• ").splitlines()])


def shown(pane: Pane) -> list[str]:
    return plain(pane.lines())


def start(pane: Pane, server: Script) -> None:
    flags = [*server_flags("ollama", server.url), "--stats", "--retries", "0", "--on-drop", "stop"]
    pane.run([*COMMAND, "chat", *flags], PYTHONPATH=str(Path.cwd()))
    at_prompt(pane)


def at_prompt(pane: Pane) -> None:
    pane.until(lambda: "".join(pane.lines()[-1:]).startswith("›"))


def leave(pane: Pane) -> list[str]:
    """The lines of the pane after the end of the chat, without its last and empty prompt."""
    at_prompt(pane)
    pane.send("C-d")
    pane.until(lambda: pane.ended)
    assert pane.status == 0
    *lines, last = shown(pane)
    assert last == "›"
    return lines


@pytest.mark.parametrize("columns", [80, 40])
def test_after_twenty_turns_and_resizes_each_line_is_there_once(columns: int) -> None:
    with require(tmux(columns, 24)) as pane, Script(*map(says, ANSWERS)) as server:
        start(pane, server)
        for number, question in enumerate(QUESTIONS):
            at_prompt(pane)
            pane.type(question)
            pane.send("Enter")
            pane.until_shown(f"the end of {number}.")
            if number in {5, 12}:
                at_prompt(pane)
                pane.resize(120 - columns, 24)
                pane.resize(columns, 24)
        lines = leave(pane)
    turns = zip(QUESTIONS, ANSWERS, strict=True)
    assert lines == [line for turn in turns for line in printed(*turn)]


def test_without_a_resize_the_screen_is_that_of_one_plain_print() -> None:
    with require(tmux(80, 24)) as pane, Script(*map(says, ANSWERS[:3])) as server:
        start(pane, server)
        for number, question in enumerate(QUESTIONS[:3]):
            at_prompt(pane)
            pane.type(question)
            pane.send("Enter")
            pane.until_shown(f"the end of {number}.")
        chat = leave(pane)
    with require(tmux(80, 24)) as pane:
        turns = zip(QUESTIONS, ANSWERS, strict=False)
        text = "\n".join(line for turn in list(turns)[:3] for line in printed(*turn))
        pane.run(["printf", "%s\n", text])
        pane.until(lambda: pane.ended)
        assert shown(pane) == chat


class Pieces:
    """An answer whose pieces come when they are asked for."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._goes_on = [threading.Event() for _ in pieces[1:]]
        self.reply = Reply(
            [*frames("ollama", list(pieces)), *ending("ollama")],
            headers=headers("ollama"),
            hold=dict(enumerate(self._goes_on, 1)),
        )

    def go_on(self) -> None:
        """Send the next one."""
        next(it for it in self._goes_on if not it.is_set()).set()


SIZES: list[Sizes] = [
    [(40, 24), (80, 24)],
    [(60, 24), (40, 24), (80, 24)],
    [(120, 24), (40, 24), (100, 24), (80, 24)],
    [(79, 24), (41, 24), (80, 24)],
    [(80, 12), (40, 24), (80, 24)],
]
FITS_AT_THE_TOP = SIZES[:1] + SIZES[-1:]  # narrower once
BEFORE = {"top": 0, "below a turn": 1, "bottom": 6}  # turns
LONG = "a message that is longer than forty columns are, 日本語 too"


@pytest.fixture(params=BEFORE)
def before(request: pytest.FixtureRequest) -> int:
    return BEFORE[request.param]


def judge(lines: list[str], expected: list[str], *, doubles: bool) -> None:
    """`doubles`: what was open in the last resize may be there once more, before it."""
    if doubles:
        lines = lines[:1] + lines[len(lines) - len(expected) + 1 :]
    assert lines == expected


def resized(pane: Pane, sizes: Sizes, see: Callable[[int], None]) -> None:
    """Give the pane one size after another; `see` waits until the chat has drawn for it."""
    for number, size in enumerate(sizes):
        pane.resize(*size)
        see(number)


def one_turn(pane: Pane, number: int) -> None:
    at_prompt(pane)
    pane.type(QUESTIONS[number])
    pane.send("Enter")
    pane.until_shown(f"the end of {number}.")
    at_prompt(pane)


def turns_before(pane: Pane, count: int) -> list[str]:
    for number in range(count):
        one_turn(pane, number)
    return [
        line for turn in zip(QUESTIONS[:count], ANSWERS, strict=False) for line in printed(*turn)
    ]


TYPED = {"nothing": "", "a word": "noon?", "a long line": LONG}


@pytest.mark.parametrize(
    ("text", "sizes"), sampled(list(product(TYPED, range(len(SIZES)))), 3, "resize at the prompt")
)
def test_a_resize_at_the_prompt(before: int, text: str, sizes: int) -> None:
    with require(tmux(80, 24)) as pane, Script(*map(says, [*ANSWERS[:before], "Blue."])) as server:
        start(pane, server)
        expected = turns_before(pane, before)
        pane.type(TYPED[text])

        typed = [TYPED[text]]

        def see(number: int) -> None:
            typed.append(f"{number}")
            pane.type(f"{number}")  # is read after the new size was seen
            whole = "".join("".join(typed).split())
            pane.until(lambda: whole in "".join(pane.text().split("›")[-1].split()))

        resized(pane, SIZES[sizes], see)
        pane.send("Enter")
        pane.until_shown("Blue.")
        doubles = before == 0 and SIZES[sizes] not in FITS_AT_THE_TOP
        lines = ["", *leave(pane)] if doubles else leave(pane)
        question = f"› {''.join(typed)}"
        judge(lines, [*lines[:doubles], *expected, question, "Blue."], doubles=doubles)


PIECES = [
    "The sky is blue, for the blue part of the light is scattered most in all directions, ",
    "and what is left ",
    "of it in the evening, ",
    "when it comes a long way, ",
    "like everybody knows, ",
    "is red.\n\n- one\n",
    "- two, which is an item that is longer than forty columns are",
]


@pytest.mark.parametrize(
    ("below", "sizes"),
    sampled(
        list(product(["nothing", "a line", "a queue"], range(len(SIZES)))), 3, "resize in an answer"
    ),
)
def test_a_resize_in_an_answer(before: int, below: str, sizes: int) -> None:
    used = [*PIECES[: len(SIZES[sizes]) + 1], *PIECES[-2:]]
    pieces = Pieces(used)
    replies = [*map(says, ANSWERS[:before]), pieces.reply, says("Red.")]
    with require(tmux(80, 24)) as pane, Script(*replies) as server:
        start(pane, server)
        expected = turns_before(pane, before)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown(used[0].split()[-1])
        if below != "nothing":
            pane.type(LONG)
        if below == "a queue":
            pane.send("Enter")
            pane.type("and a line")
            pane.until_shown("and a line_")

        def see(number: int) -> None:
            pieces.go_on()
            pane.until_shown(used[number + 1].split()[-1])

        resized(pane, SIZES[sizes], see)
        pieces.go_on()
        pane.until_shown("one")
        pieces.go_on()
        pane.until_shown("forty columns are")
        queued = [f"› {LONG}", "Red."] if below == "a queue" else []
        if queued:
            pane.until_shown("Red.")
        at_prompt(pane)
        pane.until_shown({"nothing": "", "a line": f"› {LONG}"}.get(below, "› and a line"))
        pane.send("C-c")
        answer = printed("noon?", "".join(used))
        doubles = before == 0 and SIZES[sizes] not in FITS_AT_THE_TOP
        judge(leave(pane), [*expected, *answer, *queued], doubles=doubles)


WIDTHS = [40, 50, 60, 70, 80, 100]
STREAMED = "\n\n".join(
    " ".join(f"w{number}x{word}" for word in range(30))
    + ("\n\n- an item that is long enough to be wrapped at forty columns\n- b" * (number % 2))
    for number in range(6)
)


@pytest.mark.parametrize("seed", range(by_size(1, 12)))
def test_a_window_that_is_dragged_while_an_answer_streams(seed: int) -> None:
    """tmux tells only some of the sizes at once."""
    chance = seeded("dragged", seed)
    words = re.findall(r"\S+\s*", f"{STREAMED}\n\nThe end.")
    body = [*frames("ollama", words), *ending("ollama")]
    streams = Reply(body, headers=headers("ollama"), pace=0.015)
    with require(tmux(80, 24)) as pane, Script(*map(says, ANSWERS[:2]), streams) as server:
        start(pane, server)
        expected = turns_before(pane, 2)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("w0x5")
        for _ in range(8):
            pane.resize(chance.choice(WIDTHS), 24)
            time.sleep(chance.choice([0.02, 0.1, 0.35]))  # the hand that drags
        pane.resize(80, 24)
        pane.until_shown("The end.")
        assert leave(pane) == [*expected, *printed("noon?", "".join(words))]


LINES = ["the first line that is longer than forty columns are", "", "日本語 " * 14, "the last"]


@pytest.mark.parametrize("turns", [1, 6])
@pytest.mark.parametrize("sizes", [[(40, 24), (80, 24)], [(60, 24), (30, 24), (100, 24)]])
def test_a_resize_at_a_prompt_of_several_lines(turns: int, sizes: Sizes) -> None:
    with require(tmux(80, 24)) as pane, Script(*map(says, [*ANSWERS[:turns], "Blue."])) as server:
        start(pane, server)
        expected = turns_before(pane, turns)
        pane.paste("\n".join(LINES))
        pane.until_shown("the last")
        typed = ["the last"]

        def see(number: int) -> None:
            typed.append(f"{number}")
            pane.type(f"{number}")
            pane.until(lambda: pane.lines()[-1].strip() == "".join(typed))

        resized(pane, sizes, see)
        pane.send("Enter")
        pane.until_shown("Blue.")
        question = plain([f"› {LINES[0]}", *LINES[1:-1], "".join(typed)])
        assert leave(pane) == [*expected, *question, "Blue."]


def test_what_was_shortened_is_no_text_for_a_resize() -> None:
    """To tmux what was erased behind a text is text, until its whole row is erased."""
    with require(tmux(80, 24)) as pane, Script(says(ANSWERS[0]), says("Blue.")) as server:
        start(pane, server)
        expected = turns_before(pane, 1)
        pane.paste(f"{LONG}\nsecond")
        pane.until_shown("second")
        for key in ("Up", "C-a", "C-k", "Down"):
            pane.send(key)
        pane.type("s")
        pane.until(lambda: LONG not in pane.text())
        pane.resize(40, 24)
        pane.type("!")
        pane.until_shown("!")
        pane.send("Enter")
        pane.until_shown("Blue.")
        lines = leave(pane)
    assert lines[: len(expected)] == expected
    assert lines[len(expected)] == "›"
    assert len(lines) == len(expected) + 3
