"""Claimed: on a terminal a fetch that takes a while shows how far it is and leaves nothing behind,
and Ctrl+C ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chats import says
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Reply, Script
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

HTML = {"Content-Type": "text/html"}

pytestmark = [pytest.mark.screen, pytest.mark.usefixtures("no_proxies")]


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(80, 24)) as made:
        yield made


def start(pane: Pane, server: Script, command: str, *arguments: str) -> None:
    flags = server_flags("ollama", server.url)
    pane.run([*COMMAND, command, *flags, *arguments], PYTHONPATH=str(Path.cwd()))


def test_how_far_it_is_is_shown_and_erased(pane: Pane) -> None:
    halfway = threading.Event()
    slow = Reply([b"x" * 500, b"y" * 500], headers=HTML, framing="length", hold={1: halfway})
    with Script(slow) as web, Script(says("The answer.")) as server:
        start(pane, server, "ask", "--plain", "-f", web.url, "what?")
        pane.until_shown(f"fetching {web.url}")
        pane.until_shown("50 %")
        halfway.set()
        pane.until(lambda: pane.ended)
    assert pane.status == 0
    assert "fetching" not in pane.text()
    assert pane.lines()[0] == "The answer."


def test_control_c_ends_a_fetch_and_nothing_is_asked(pane: Pane) -> None:
    never = Reply(b"x", headers=HTML, hold={"before_head": threading.Event()})
    with Script(never) as web, Script(says("never")) as server:
        start(pane, server, "ask", "-f", web.url, "what?")
        pane.until_shown(f"fetching {web.url}")
        pane.send("C-c")
        pane.until(lambda: pane.ended)
        assert server.requests == []
        assert web.connections[0].client_gone.wait(5)
    assert pane.status == 130


def test_control_c_in_a_chat_returns_the_question_to_the_prompt(pane: Pane) -> None:
    never = Reply(b"x", headers=HTML, hold={"before_head": threading.Event()})
    with Script(never) as web, Script(says("never")) as server:
        start(pane, server, "chat", "-f", web.url)
        pane.until_shown("›")
        pane.type("what is it?")
        pane.send("Enter")
        pane.until_shown(f"fetching {web.url}")
        pane.send("C-c")
        pane.until(lambda: pane.lines()[-1].startswith("› what is it?"))
        assert "fetching" not in pane.text()
        assert server.requests == []
        pane.send("C-c")
        pane.send("C-d")
        pane.until(lambda: pane.ended)
    assert pane.status == 0
