"""Claimed: whatever is pressed, typed or pasted at whatever moment, a chat stops the answer and
goes on, keeps the text, and the next request has alternating roles.

How long a stop takes is printed (`pytest -s`), and no test fails by it.
"""

from __future__ import annotations

import contextlib
import random
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import journals, read
from tests.support.answers import frames, headers
from tests.support.chats import Typed, holds, says, sent, session_at, stop_when_holding
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Reply, Request, Script
from tests.support.sampling import by_size, seeded
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require
from tests.support.waiting import until_true

pytestmark = pytest.mark.screen


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(80, 24)) as opened:
        yield opened


def command(server: Script) -> list[str]:
    flags = server_flags("ollama", server.url)
    return [*COMMAND, "chat", *flags, "--retries", "0", "--on-drop", "stop"]


def start(pane: Pane, server: Script) -> None:
    pane.run(command(server), PYTHONPATH=str(Path.cwd()))
    at_prompt(pane)


def at_prompt(pane: Pane, text: str = "") -> None:
    """Wait until the last line of the pane is a prompt with this text."""
    prompt = f"› {text}".rstrip()
    pane.until(lambda: last_line(pane).startswith(prompt))


def last_line(pane: Pane) -> str:
    return "".join(pane.lines()[-1:])


def ask(pane: Pane, server: Script) -> None:
    """Ask a question whose answer begins, and goes on when the test ends."""
    start(pane, server)
    pane.type("noon?")
    pane.send("Enter")
    pane.until_shown("The sky")


# ---- Ctrl+C


def test_ctrl_c_brings_the_prompt_back_and_ctrl_d_alone_leaves(pane: Pane) -> None:
    with Script(holds("The sky ", "is ")) as server:
        ask(pane, server)
        pane.until_shown("The sky is")
        pressed = time.monotonic()
        pane.send("C-c")
        at_prompt(pane)
        print(f"the prompt was back after {time.monotonic() - pressed:.3f} s")
        assert "The sky is" in pane.text()
        (path,) = journals(runs_folder())
        assert read(path).message.content == "The sky is "
        for _ in range(3):
            pane.send("C-c")
            pane.until_shown("Ctrl+D leaves")
        assert not pane.ended
        pane.send("C-d")
        pane.until(lambda: pane.ended)
        assert pane.status == 0


def test_ctrl_c_right_behind_enter_is_not_lost(pane: Pane) -> None:
    """The line editor reads both at once, and to it Ctrl+C is a key."""
    with Script(holds(), says("Red.")) as server:
        start(pane, server)
        pane.type_at_once("noon?\r\x03")
        pane.until_shown("■ stopped")
        at_prompt(pane, "noon?")


def test_a_fast_answer_is_stopped_as_well(pane: Pane) -> None:
    word = frames("ollama", ["The sky and "])
    endless = Reply(word * 20_000, headers=headers("ollama"), pace=0.001)
    with Script(endless, says("Red.")) as server:
        ask(pane, server)
        pane.send("C-c")
        pane.until_shown("■ stopped")
        at_prompt(pane)
        pane.type("night?")
        pane.send("Enter")
        pane.until_shown("Red.")
        assert [role for role, _ in sent(server)[-1]] == ["user", "assistant", "user"]


# ---- a server that is strict


class Strict(Script):
    """A server that refuses anything but user, assistant, user and so on."""

    refused = 0

    def take(self, request: Request) -> Reply:
        if request.path != "/api/chat":  # about the model
            return Reply.json({}, status=404)
        said = [it for it in request.json["messages"] if it["role"] != "system"]
        wanted = [("user", "assistant")[at % 2] for at in range(len(said))]
        alternates = [it["role"] for it in said] == wanted and all(it["content"] for it in said)
        self.refused += not alternates
        return super().take(request)


BROKEN = Reply(frames("ollama", ["part "]), headers=headers("ollama"))
REPLIES: dict[str, Callable[[], Reply]] = {
    "whole": lambda: says("whole. "),
    "stopped before a word": holds,
    "stopped": lambda: holds("stopped "),
    "broken": lambda: BROKEN,
    "refused": lambda: Reply.json({"error": "no"}, status=400),
    "empty": lambda: says(""),
}
LINES = ["a question?", "/continue", "/retry", "/undo", "/edit", "/edit 1", "/clear"]


@pytest.mark.parametrize("number", range(by_size(4, 60)))
def test_after_any_stops_a_strict_server_takes_every_request(number: int) -> None:
    chance: random.Random = seeded("stops", number)
    kinds = [chance.choice(list(REPLIES)) for _ in range(40)]
    lines = ["first?", *(chance.choice([*LINES, *LINES[:2] * 2]) for _ in range(20))]
    with Strict(*(REPLIES[kind]() for kind in kinds)) as server:
        session = session_at(server)

        def typing(line: str) -> Callable[[Session], str]:
            def typed(own: Session) -> str:
                kind = kinds[min(len(sent(server)), len(kinds) - 1)]
                asks = not line.startswith("/") or line in {"/continue", "/retry"}
                works = (line != "/continue" or own.stopped is not None) and (
                    line != "/retry" or bool(own.turns or own.unanswered)
                )
                if kind.startswith("stopped") and asks and works:
                    stop_when_holding(server, "stopped " if kind == "stopped" else "")
                return line

            return typed

        chat(session, Typed(*map(typing, lines)))
        assert server.refused == 0, [[role for role, _ in it] for it in sent(server)]


# ---- hostile input


def test_a_paste_with_escape_sequences_is_text(pane: Pane) -> None:
    pasted = "one \x1b[31mred\x1b[0m \x1b]0;title\x07two\nthree"
    with Script(holds("The sky "), says("Red."), says("Dark.")) as server:
        ask(pane, server)
        pane.type_at_once(f"\x1b[200~{pasted}\x1b[201~")
        pane.until_shown("three_")
        pane.send("C-c")
        pane.until_shown("■ stopped")
        pane.until(lambda: last_line(pane) == "  three")
        pane.send("Enter")
        pane.until_shown("Red.")
        assert sent(server)[-1][-1] == ("user", pasted)
        at_prompt(pane)
        pane.type_at_once(f"\x1b[200~{pasted}\x1b[201~")
        pane.until(lambda: last_line(pane) == "  three")
        pane.send("Enter")
        pane.until_shown("Dark.")
        assert sent(server)[-1][-1] == ("user", pasted)


def test_what_stands_behind_the_end_of_a_paste_that_is_in_it_is_not_lost(pane: Pane) -> None:
    """To any program it is typed: a terminal should not let such a paste through."""
    with Script(holds("The sky ")) as server:
        ask(pane, server)
        pane.type_at_once("\x1b[200~one\x1b[201~\rtwo\x1b[201~ three")
        pane.until_shown("⏎ queued: one (↑ takes it back) › two three_")
        pane.send("C-c")
        pane.until(lambda: last_line(pane) == "  two three")
        at_one = [line.split()[:2] for line in pane.lines()]
        assert ["›", "one"] in at_one
        assert len(sent(server)) == 1


def test_a_ctrl_c_in_a_paste_stops_and_the_paste_is_whole(pane: Pane) -> None:
    with Script(holds("The sky ")) as server:
        ask(pane, server)
        pane.type_at_once("\x1b[200~one\x03two\x1b[201~")
        pane.until_shown("■ stopped")
        at_prompt(pane, "onetwo")


def test_a_paste_without_an_end_is_in_the_prompt_and_its_end_is_no_text(pane: Pane) -> None:
    with Script(holds("The sky ")) as server:
        ask(pane, server)
        pane.type_at_once("\x1b[200~one\ntwo")
        pane.until_shown("The sky")
        pane.send("C-c")
        pane.until(lambda: last_line(pane).startswith("  two"))  # the first ^C may be in the paste
        pane.type_at_once(" three\x1b[201~!")
        pane.until(lambda: last_line(pane) == "  two three!")
        assert len(sent(server)) == 1


def test_at_the_prompt_ctrl_c_ends_a_paste_without_an_end(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.type_at_once("\x1b[200~one\ntwo")
        pane.press("C-c", "Ctrl+D leaves")
        pane.send("Up")
        pane.until(lambda: last_line(pane).startswith("  two"))  # ^C may be in the paste
        assert sent(server) == []


def test_ctrl_z_at_the_prompt_keeps_the_line(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        pane.run(["bash", "--norc", "--noediting", "-i"], PS1="$ ")
        pane.until_shown("$")
        line = shlex.join(["env", f"PYTHONPATH={Path.cwd()}", *command(server)])
        pane.type(f"clear; {line}")
        pane.send("Enter")
        at_prompt(pane)
        pane.type("noon 日本")
        at_prompt(pane, "noon 日本")
        pane.send("C-z")
        pane.until_shown("Stopped")
        pane.type("echo in the shell")
        pane.send("Enter")
        pane.until_shown("in the shell", 2)
        pane.type("fg")
        pane.send("Enter")
        at_prompt(pane, "noon 日本")
        pane.type("?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert sent(server) == [[("user", "noon 日本?")]]


@pytest.mark.parametrize("during", ["the prompt", "an answer"])
def test_a_pane_that_is_closed_leaves_what_was_typed(pane: Pane, during: str) -> None:
    with Script(holds("The sky ")) as server:
        if during == "the prompt":
            start(pane, server)
        else:
            ask(pane, server)
        pane.type("typed 日本 👍")
        pane.until_shown("› typed 日本")
        pane.close()
        until_true(lambda: "typed 日本 👍" in drafts())
        if during == "an answer":
            (path,) = journals(runs_folder())
            until_true(lambda: read(path).outcome != "running")
            assert read(path).message.content == "The sky "


def drafts() -> str:
    """What is in the drafts now. A chat may replace or remove its file at any moment."""
    found = ""
    for path in (state_folder() / "drafts").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            found += path.read_text()
    return found


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_a_terminal_of_a_few_columns(columns: int) -> None:
    with require(tmux(columns, 24)) as pane, Script(holds("The sky ")) as server:
        pane.run(command(server), PYTHONPATH=str(Path.cwd()))
        pane.until_raw()  # no prompt can be seen in one column
        pane.type("noon?")
        pane.until(lambda: "noon?" in drafts())
        pane.send("Enter")
        pane.until(lambda: "Thesky" in shown(pane))
        pane.type("ab")
        pane.send("C-c")
        pane.until(lambda: "stopped" in shown(pane))
        pane.until(lambda: "/continue" in shown(pane))
        pane.until_raw()  # before that, Ctrl+C is a second one for the answer, and does nothing
        pane.until(lambda: '"ab"' in drafts())
        pane.until(lambda: last_line(pane) == "› ab" or columns < 5)
        pane.send("C-c")
        pane.until(lambda: '"ab"' not in drafts())
        pane.send("C-d")
        pane.until(lambda: pane.ended)
        assert pane.status == 0


def shown(pane: Pane) -> str:
    return "".join(pane.text().split())
