"""Claimed: the scrollback of a chat has each line once, and a resize changes nothing of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chats import says
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Script
from tests.support.tmux import tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.serial

TURNS = 20
QUESTIONS = [f"question {number} 你好?" for number in range(TURNS)]
ANSWERS = [
    f"Answer {number} begins.\n\n"
    + " ".join(f"word{number}x{word}" for word in range(30))
    + f"\n\n- item {number}\n- the end of {number}."
    for number in range(TURNS)
]


def plain(lines: list[str]) -> list[str]:
    """The lines of a chat without what is measured, and without blank lines."""
    joined = (" ".join(line.split()) for line in lines)
    return [line for line in joined if line and not line.startswith("✓")]


def test_after_twenty_turns_and_resizes_each_line_is_there_once() -> None:
    with require(tmux(80, 24)) as pane, Script(*map(says, ANSWERS)) as server:
        flags = [*server_flags("ollama", server.url), "--stats"]
        pane.run([*COMMAND, "chat", *flags], PYTHONPATH=str(Path.cwd()))
        for number, question in enumerate(QUESTIONS):
            pane.until(lambda: pane.lines()[-1:] != [] and pane.lines()[-1].startswith("›"))
            pane.type(question)
            pane.send("Enter")
            pane.until_shown(f"the end of {number}.")
            if number in {5, 12}:
                pane.until(lambda: pane.lines()[-1].startswith("›"))
                pane.resize(40, 24)
                pane.resize(80, 24)
        pane.until(lambda: pane.lines()[-1].startswith("›"))
        pane.send("C-d")
        pane.until(lambda: pane.ended)
        assert pane.status == 0
        *shown, _ = plain(pane.lines())
        printed = []
        for question, answer in zip(QUESTIONS, ANSWERS, strict=True):
            blocks = [line.replace("- ", "• ") for line in answer.splitlines() if line]
            printed += [f"› {question}", *blocks]
        assert shown == printed
