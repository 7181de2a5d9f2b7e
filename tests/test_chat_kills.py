"""Claimed: a chat that is killed at any moment has kept every byte that was shown.

It is killed while somebody types or pastes, edits an earlier question or a summary, waits for the
server, waits for a tool, reads an answer, or types behind it. What its terminal has shown is then
in the journals or in the draft, and the next chat shows it: in its prompt, or in `/history`. There
`/continue` completes an answer that was cut off, byte for byte.

Each life has a folder and words of its own, so that nothing of another life is taken for it. A word
is a letter for who wrote it, the number of the life, and its own number; of the last one the
terminal may have shown a part.
"""

from __future__ import annotations

import codecs
import fcntl
import json
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
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.store.conversation import Conversations
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import events_at, journals, read
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import NDJSON, Reply, Request, Script
from tests.support.sampling import by_size, seeded
from tests.support.screen import Screen

pytestmark = pytest.mark.screen

MOMENTS = (
    *("typing", "pasting", "editing", "compacting"),
    *("waiting", "in a tool", "answering", "behind an answer"),
)
ROUNDS = by_size(4, 13 * len(MOMENTS))
LIMIT = 30.0  # seconds that anything here takes at most
COLUMNS, LINES = 100, 80
LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")
PACE = 0.02  # seconds between two pieces of an answer
SILENCE = 15  # pieces without text before the first
WORDS = 40  # of an answer
PASTES_ON = "\x1b[?2004h"
PIECE = 7  # characters of it that come at once
TOOL = '''
import time

def look(life: str) -> str:
    """Look for a while."""
    for number in range(20):
        print(f"t{life}x{chr(65 + number)}日")
        time.sleep(0.04)
    return "done"
'''


def words(who: str, life: int, count: int, first: int = 0) -> str:
    """Words of somebody. Their own number is in letters, for digits may stand behind an answer."""
    numbers = (f"{number:03}".translate(LETTERS) for number in range(first, first + count))
    return " ".join(f"{who}{life:04}x{it}日" for it in numbers)


def answer(life: int, number: int) -> str:
    """What is answered to the first question of a life, or to its second."""
    return words("a", life, WORDS, WORDS * number)


def squeezed(text: str) -> str:
    """Without what a terminal makes of blanks and line ends."""
    return re.sub(r"\s", "", text)


def written(who: str, text: str) -> list[str]:
    """The words of somebody in a text without blanks; the last may be cut."""
    return re.findall(rf"{who}\d{{4}}x[A-J]{{,3}}日?", text)


class Server(Script):
    """An Ollama that is silent for a moment, and slow. A question with a ? makes it call a tool.

    It goes on with an answer that has begun, to the character.
    """

    def __init__(self) -> None:
        super().__init__(Reply())

    def take(self, request: Request) -> Reply:
        """Its words are the life's that the last question has."""
        super().take(request)
        messages = request.json["messages"]
        asked = [it["content"] for it in messages if it["role"] == "user"]
        life = int(re.findall(r"\w(\d{4})x", " ".join(asked))[-1])
        last = messages[-1]
        if "?" in asked[-1] and last["role"] != "tool":
            call = {"function": {"name": "look", "arguments": {"life": f"{life:04}"}}}
            pieces: list[dict[str, object]] = [{"content": "", "tool_calls": [call]}]
        else:
            text = answer(life, len(asked))
            if last["role"] == "assistant":
                text = text.removeprefix(last["content"])
            pieces = [{"content": ""}] * SILENCE
            pieces += [{"content": text[at : at + PIECE]} for at in range(0, len(text), PIECE)]
        lines: list[dict[str, object]] = [{"message": it, "done": False} for it in pieces]
        lines.append({"message": {"content": ""}, "done": True, "done_reason": "stop"})
        return Reply([json.dumps(it).encode() + b"\n" for it in lines], headers=NDJSON, pace=PACE)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as opened:
        yield opened


class Terminal:
    """A chat on a terminal in memory."""

    def __init__(self, server: Server, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        flags = [*server_flags("ollama", server.url), "--tools-file", "tools.py", "--allow", "look"]
        self.process = subprocess.Popen(
            [*COMMAND, "chat", *flags, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "PYTHONPATH": str(Path(__file__).parents[1]),
            },
            start_new_session=True,
        )
        os.close(theirs)
        self._screen = Screen(COLUMNS, LINES)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._written = ""
        self._prompts = 0

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
        text = self._decoder.decode(data)
        self._screen.stream.feed(text)
        self._written += text
        return bool(data)

    def until(self, mark: str, times: int = 1) -> None:
        """Wait until the terminal has been sent this mark."""
        end = time.monotonic() + LIMIT
        while self._written.count(mark) < times:
            assert time.monotonic() < end, f"no {mark}: {self.shown()}"
            self.look(0.01)

    def until_words(self, who: str, count: int) -> None:
        """Wait until this many words of somebody are on the screen."""
        end = time.monotonic() + LIMIT
        while len(written(who, squeezed(self.shown()))) < count:
            assert time.monotonic() < end, f"no {count} of {who}: {self.shown()}"
            self.look(0.02)

    def until_prompt(self) -> None:
        """Wait for the next prompt: the editor asks for bracketed pastes, and draws it."""
        self._prompts += 1
        self.until(PASTES_ON, self._prompts)
        self.look(0.05)

    def type(self, text: str) -> None:
        """Type this, in as many writes as the terminal takes."""
        data = text.encode()
        while data:
            data = data[os.write(self._ours, data[:1000]) :]
            self.look(0.001)

    def shown(self) -> str:
        """The lines of the screen and of what was scrolled out of it."""
        return "\n".join(self._screen.text())

    def kill(self) -> str:
        """End it at once; what it has shown."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.look(0.1)
        os.close(self._ours)
        return self.shown()

    def leave(self) -> str:
        """End it by Ctrl+D; what it has shown."""
        self.type("\x04")
        self.look(LIMIT)
        assert self.process.wait(LIMIT) == 0
        os.close(self._ours)
        return self.shown()


def live(terminal: Terminal, moment: str, life: int, chance: random.Random) -> None:
    """Do what leads to the moment, and some of what is done in it."""
    some = chance.randrange(1, 12)
    begun = squeezed(terminal.shown())
    match moment:
        case "typing":
            for it in words("q", life, some):
                terminal.type(it)
                terminal.look(chance.choice([0, 0, 0.01]))
        case "pasting":
            pasted = words("q", life, LINES // 2).replace(" ", "\r")
            terminal.type(f"{words('p', life, some)} \x1b[200~{pasted}\x1b[201~")
            terminal.look(chance.uniform(0, 0.4))
        case "editing":
            terminal.type("/edit 1\r")
            terminal.until("edit 1")
            terminal.type(f" {words('q', life, some, 100)}")
            terminal.look(chance.uniform(0, 0.1))
        case "compacting":
            terminal.type("/compact\r")
            terminal.until_prompt()
            terminal.type(words("p", life, some))
            terminal.look(chance.uniform(0, 0.1))
        case "waiting":
            terminal.type(f"{words('q', life, some, 100)}\r")
            terminal.look(chance.uniform(0, SILENCE * PACE))
        case "in a tool":
            terminal.type(f"{words('q', life, some, 100)} ?\r")
            terminal.until_words("t", 1)
            terminal.type(words("p", life, some))
            terminal.look(chance.uniform(0, 0.7))
        case "answering":
            terminal.type(f"{words('q', life, some, 100)}\r")
            terminal.until_words("a", len(written("a", begun)) + chance.randrange(1, WORDS // 2))
            terminal.look(chance.uniform(0, PACE))
        case "behind an answer":
            terminal.type(f"{words('q', life, some, 100)}\r")
            terminal.look(chance.uniform(0, SILENCE * PACE))
            for number in range(chance.randrange(1, 4)):
                terminal.type(f"{words('p', life, 2, 10 * number)}\r")
                terminal.look(chance.uniform(0, 0.1))
            terminal.type(words("d", life, some))
            terminal.look(chance.uniform(0, 0.3))


def kept() -> str:
    """All that is found afterwards: in sound journals, and in the draft."""
    found = []
    for path in journals(runs_folder()):
        record = read(path)
        assert record.damage is None, path
        found += [it.content for it in record.asked.messages] if record.asked else []
        found.append("".join(it.content for it in record.messages))
        found += [it.delta for it in events_at(path) if isinstance(it, ev.ToolOutput)]
    drafts = state_folder() / "drafts"
    found += [json.loads(it.read_bytes().splitlines()[0])["text"] for it in drafts.glob("*.json")]
    return squeezed("\n".join(found))


def comes_back(server: Server, *, completes: bool) -> str:
    """What the next chat shows: its prompt, and the conversation so far, which it may complete."""
    terminal = Terminal(server, "-c")
    terminal.until_prompt()
    begun = terminal.shown()
    terminal.type("\x03/history 9\r")
    terminal.until_prompt()
    if completes:
        terminal.type("/continue\r")
        terminal.until_prompt()
    return squeezed(begun + terminal.leave())


def lives(life: int, server: Server) -> None:
    """A chat in whose second turn something is going on, its end, and the next chat."""
    chance = seeded("a chat is killed", life)
    moment = MOMENTS[life % len(MOMENTS)]
    is_first = moment not in {"editing", "compacting"} and chance.random() < 0.2
    terminal = Terminal(server)
    terminal.until_prompt()
    if not is_first:
        terminal.type(f"{words('q', life, 2)}\r")
        terminal.until_words("a", WORDS)
        terminal.until_prompt()
    live(terminal, moment, life, chance)
    shown = squeezed(terminal.kill())
    found = kept()
    said = f"life {life}, {moment}, first: {is_first}"
    for who in "aqpdt":
        missing = [it for it in written(who, shown) if it not in found]
        assert missing == [], f"{said}: not kept"
    amounts = [len("".join({*written("a", it)})) for it in (shown, found)]
    assert amounts[0] <= amounts[1], f"{said}: a part of a word is not kept"
    is_cut = moment == "answering"
    again = comes_back(server, completes=is_cut)
    for who in "aqpd":
        missing = [it for it in written(who, shown) if it not in again]
        assert missing == [], f"{said}: not shown again"
    if is_cut:
        conversations = Conversations(state_folder())
        *_, last = conversations.path(conversations.newest())
        assert last.content == answer(life, 1 if is_first else 2), f"{said}: not completed"


def test_what_was_shown_is_kept_whenever_it_is_killed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools.py").write_text(TOOL)
    monkeypatch.chdir(tmp_path)
    for life in range(ROUNDS):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / str(life)))
        lives(life, server)
