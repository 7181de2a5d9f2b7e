"""Claimed: on a real terminal answers are compared side by side, and what stays is a document: in
the order asked, each line once, whatever was pressed and however it was resized meanwhile.
"""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatstream.store.conversation import Conversations
from chatstream.store.place import state_folder
from tests.support.answers import ending, frames, headers
from tests.support.bymodel import ByModel, compare_line
from tests.support.chats import holds, says
from tests.support.client import COMMAND
from tests.support.loopback import Reply
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

BROKEN = Reply.json({"error": "it broke"}, status=500)
LINES = [f"Line {number} of the whole answer." for number in range(1, 41)]


def lines_held(gate: threading.Event, after: int) -> Reply:
    """A list of many lines that holds after so many of them, until the gate is open."""
    words = [f"- {line}\n" for line in LINES]
    body = [*frames("ollama", words), *ending("ollama")]
    return Reply(body, headers=headers("ollama"), hold={after: gate})


@contextmanager
def compared(columns: int, *more: str, **replies: Reply) -> Iterator[tuple[Pane, ByModel]]:
    """A comparison of these models on a terminal."""
    with require(tmux(columns, 24)) as pane, ByModel(**replies) as server:
        line = [*compare_line(server, *replies), *more]
        pane.run(["sh", "-c", f"echo before; exec {shlex.join([*COMMAND, *line])}"])
        yield pane, server


def screen(pane: Pane) -> str:
    """What is on the screen now, without the scrollback."""
    return pane._tmux("capture-pane", "-p")


def until_on_screen(pane: Pane, words: str) -> None:
    pane.until(lambda: words in screen(pane))


def plain(line: str) -> str:
    return re.sub(" +", " ", line).strip()


@pytest.mark.parametrize(("columns", "other"), [(120, 80), (80, 40), (40, 120)])
def test_one_fails_one_is_stopped_one_is_whole_and_the_terminal_is_resized(
    columns: int, other: int
) -> None:
    gate = threading.Event()
    replies = {"good": lines_held(gate, 30), "slow": holds("The sky "), "bad": BROKEN}
    with compared(columns, **replies) as (pane, _):
        until_on_screen(pane, "Line 30 of")
        assert "before" not in screen(pane)  # the second screen has nothing else
        assert ("│" in screen(pane)) is (columns == 120)
        until_on_screen(pane, "failed")
        pane.resize(other, 24)
        pane.until(lambda: ("│" in screen(pane)) is (other == 120))
        pane.press("2", "■ stopped")
        gate.set()
        pane.until(lambda: pane.ended)
        assert pane.status == 1
        shown = [plain(line) for line in pane.lines()]
    assert shown[0] == "before"
    heads = [line for line in shown if line.startswith("──") and "· run " in line]
    assert [line.split(" · ")[0] for line in heads] == ["── 1 good", "── 2 slow", "── 3 bad"]
    good, slow, bad = map(shown.index, heads)
    assert [it for it in shown if it.startswith("• Line")] == [f"• {line}" for line in LINES]
    assert good < shown.index(f"• {LINES[0]}") < shown.index(f"• {LINES[-1]}") < slow
    assert slow < shown.index("The sky") < shown.index("■ stopped") < bad
    assert shown.count("The sky") == shown.count("■ stopped") == 1
    (failure,) = [line for line in shown if line.startswith("✗ ")]
    assert bad < shown.index(failure) < shown.index("Summary")
    after = "\n".join(shown[shown.index("Summary") :])
    for words in ("good", "slow", "bad", "whole", "stopped", "failed: it broke"):
        assert words in after
    assert "continues from answer 1 good" in after


def test_ctrl_c_stops_all_and_each_says_how_it_is_continued() -> None:
    with compared(90, a=holds("The sky "), b=holds("It is ")) as (pane, server):
        until_on_screen(pane, "It is")
        until_on_screen(pane, "The sky")
        pane.send("C-c")
        pane.until(lambda: pane.ended)
        assert pane.status == 130
        assert server.wait_closed()
        text = pane.text()
    for words in ("The sky", "It is"):
        assert text.count(words) == 1
    assert text.count("chatstream resume ") == 2


def test_the_picked_answer_is_asked_for_by_its_number() -> None:
    with compared(90, "--pick", a=says("Blue."), b=says("Red.")) as (pane, _):
        pane.until_shown("Continue from which answer? [1-2, Enter: 1]")
        pane.type("7")
        pane.send("Enter")
        pane.until_shown("there is no answer 7 to pick")
        pane.type("2")
        pane.send("Enter")
        pane.until(lambda: pane.ended)
        assert pane.status == 0
        assert "continues from answer 2 b" in pane.text()
    talks = Conversations(state_folder())
    assert talks.path(talks.newest())[-1].content == "Red."


def test_ctrl_c_at_the_question_keeps_the_first_answer() -> None:
    with compared(90, "--pick", a=says("Blue."), b=says("Red.")) as (pane, _):
        pane.until_shown("Continue from which answer?")
        pane.send("C-c")
        pane.until(lambda: pane.ended)
        assert pane.status == 130
    talks = Conversations(state_folder())
    assert talks.path(talks.newest())[-1].content == "Blue."


def test_ctrl_z_gives_the_screen_back_and_fg_shows_the_columns_again() -> None:
    gate = threading.Event()
    with require(tmux(90, 24)) as pane, ByModel(a=lines_held(gate, 5), b=says("Red.")) as server:
        pane.run(["bash", "--norc", "--noediting", "-i"], PS1="$ ")
        pane.until_shown("$")
        line = shlex.join([*COMMAND, *compare_line(server, "a", "b")])
        pane.type(f"clear; env PYTHONPATH={Path.cwd()} {line}")
        pane.send("Enter")
        until_on_screen(pane, "Line 5 of")
        pane.send("C-z")
        pane.until_shown("Stopped")
        assert "Line 5 of" not in screen(pane)
        pane.type("echo in the shell")
        pane.send("Enter")
        pane.until_shown("in the shell", 2)
        pane.type("fg")
        pane.send("Enter")
        until_on_screen(pane, "Line 5 of")
        assert "in the shell" not in screen(pane)
        gate.set()
        pane.until_shown("Summary")
        text = pane.text()
    assert text.count("Line 5 of") == text.count("Line 40 of") == text.count("• Line 1 of") == 1
    assert text.index("in the shell") < text.index("── 1 a")


def test_in_a_chat_what_is_typed_meanwhile_is_in_the_next_line() -> None:
    with require(tmux(90, 24)) as pane, ByModel(a=holds("The sky "), b=says("Red.")) as server:
        pane.run([*COMMAND, "chat", "-p", "ollama", "--base-url", server.url, "-m", "a"])
        pane.until_shown("›")
        pane.type("/compare a b -- why?")
        pane.send("Enter")
        until_on_screen(pane, "│")
        pane.type("2 things")
        until_on_screen(pane, "› 2 things_")
        until_on_screen(pane, "The sky")
        pane.send("C-c")
        pane.until_shown("the chat continues from answer 2 b")
        pane.until(lambda: pane.lines()[-1].startswith("› 2 things"))
        text = pane.text()
        for words in ("── 1 a", "The sky", "■ stopped", "── 2 b", "Red."):
            assert text.count(words) == 1
        pane.send("C-u")
        pane.type("/pick 1")
        pane.send("Enter")
        pane.until_shown("the chat continues from answer 1 a")
        pane.send("C-d")
        pane.until(lambda: pane.ended)
        assert pane.status == 0


@pytest.mark.parametrize(("name", "status"), [("TERM", 143), ("HUP", 129), ("QUIT", 131)])
def test_a_signal_gives_the_first_screen_back(name: str, status: int) -> None:
    with compared(90, a=holds("The sky "), b=holds("It is ")) as (pane, _):
        until_on_screen(pane, "It is")
        pane.signal(name)
        pane.until(lambda: pane.ended)
        assert pane.status == status
        assert pane.lines()[0] == "before"
        assert pane._asked("alternate_on") == "0"


def test_a_second_ctrl_c_ends_it_at_once_with_the_first_screen() -> None:
    with compared(90, a=holds("The sky "), b=holds("It is ")) as (pane, _):
        until_on_screen(pane, "It is")
        pane.signal("INT", times=2)
        pane.until(lambda: pane.ended)
        assert pane.status == 130
        assert pane.lines()[0] == "before"
        assert pane._asked("alternate_on") == "0"
