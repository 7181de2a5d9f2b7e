"""Claimed: a chat that is killed at any moment has kept every byte that was shown.

It is killed while somebody types, while the server is silent, in a tool and in an answer. What was
on the screen is then in a journal, or in the prompt of the next chat.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from chatstream.chat.session import Session
from chatstream.engine.place import START
from chatstream.providers.demo import ANSWER
from chatstream.store.drafts import Drafts
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import journals, read
from tests.support.client import COMMAND
from tests.support.sampling import by_size, seeded
from tests.support.screen import Screen

pytestmark = pytest.mark.serial

ROUNDS = by_size(6, 100)
LIMIT = 30.0  # seconds until the first prompt
LONGEST = 5.0  # seconds of a life behind it: an answer with its tools takes four
WORDS = re.compile(r"[A-Za-z]{4,}")
ANSWERED = {*WORDS.findall(ANSWER)} - {"moment", "Ctrl"}  # which the view says, too


class Terminal:
    """A chat on a terminal in memory."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 100, 0, 0))
        command = [*COMMAND, "chat", "-p", "demo", "--tool", "time,calculate", *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(Path.cwd())},
            start_new_session=True,
        )
        os.close(theirs)
        self._written = bytearray()

    def look(self, seconds: float) -> None:
        """Take what is written for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._ours], [], [], left)[0] and not self._take():
                return

    def _take(self) -> bool:
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # EIO: it is gone
            return False
        self._written += data
        return bool(data)

    def until_prompt(self) -> None:
        end = time.monotonic() + LIMIT
        while "›".encode() not in self._written:
            assert time.monotonic() < end
            self.look(0.02)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def kill(self) -> list[str]:
        """End it at once; the lines that its screen has shown."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.look(0.2)
        os.close(self._ours)
        screen = Screen(100, 60)
        screen.stream.feed(self._written.decode("utf-8", "replace"))
        return screen.text()


def question(chance: random.Random) -> str:
    return " ".join(f"q{chance.randrange(10**6)}日" for _ in range(chance.randrange(1, 6)))


def one_life(chance: random.Random, *arguments: str) -> list[str]:
    """Somebody types, perhaps sends it and types on; then the chat is killed."""
    terminal = Terminal(*arguments)
    terminal.until_prompt()
    end = time.monotonic() + chance.uniform(0.05, LONGEST)
    for piece in question(chance):
        terminal.type(piece)
        terminal.look(0.01)
    if chance.random() < 0.8:
        terminal.type("\r")
        terminal.look(chance.uniform(0, 3))
        terminal.type(question(chance))
    while time.monotonic() < end:
        terminal.look(0.02)
    return terminal.kill()


def kept() -> str:
    """All that is found afterwards: the journals, and what the next chat has in its prompt."""
    records = [read(path) for path in journals(runs_folder())]
    assert {it.damage for it in records} <= {None}, "a journal is damaged"
    said = [
        message.content + message.reasoning
        for it in records
        for message in (*(it.asked.messages if it.asked else ()), *it.messages)
    ]
    drafts = [path.read_text() for path in (state_folder() / "drafts").glob("*")]
    return "\n".join([*said, *drafts])


def test_what_was_shown_is_kept_whenever_it_is_killed() -> None:
    for number in range(ROUNDS):
        chance = seeded("a chat is killed", number)
        shown = "\n".join(one_life(chance, *(["-c"] if number and chance.random() < 0.5 else [])))
        found = kept()
        typed = re.findall(r"q\d+日", shown)
        answered = [word for word in WORDS.findall(shown) if word in ANSWERED]
        assert [it for it in typed if it not in found] == [], (number, shown)
        assert [it for it in answered if it not in found] == [], (number, shown)


def test_the_next_chat_has_in_its_prompt_what_was_never_answered() -> None:
    terminal = Terminal()
    terminal.until_prompt()
    terminal.type("q1日 and 👍")
    terminal.look(0.5)
    assert any("q1日 and" in line for line in terminal.kill())
    session = Session({}, START, Drafts(state_folder()))
    session.recover()
    assert session.draft == "q1日 and 👍"
    session.close()
