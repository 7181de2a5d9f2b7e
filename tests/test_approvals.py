"""Claimed: on a real terminal a call runs only if somebody has read the question and said so.

A model calls tools in three rounds, in tmux. One of its tools never stops printing, not even when
its time is up, and goes on while the later questions are open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.client import COMMAND
from tests.support.summing import Call, Summing
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.serial

TOOLS_FILE = '''
import threading
import time
from pathlib import Path

import chatstream


@chatstream.tool
def count(name: str) -> str:
    """Count."""
    with Path("counted").open("a") as file:
        file.write(f"{name[0]} ")
    return f"{name[0]} counted"


@chatstream.tool(effect="read")
def talk() -> None:
    """Talk, whatever happens."""
    threading.Thread(target=chatter, daemon=True).start()
    time.sleep(1000)  # no exception ends that


def chatter() -> None:
    while True:
        try:
            print("and so on")
            time.sleep(0.01)
        except BaseException:
            pass
'''
CHOICE = "Run it? y yes"
ASKS = "The model wants to run count:"


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(80, 24)) as made:
        yield made


def ask(server: Summing, folder: Path, *options: str) -> Sequence[str]:
    (folder / "tools.py").write_text(TOOLS_FILE)
    where = ["-p", "ollama", "--base-url", server.url, "-m", "m"]
    tools = ["--tools-file", "tools.py", "--allow", "talk", "--tool-timeout", "0.5"]
    return ["env", "-C", str(folder), *COMMAND, "ask", *where, *tools, *options, "go"]


def counted(folder: Path) -> str:
    path = folder / "counted"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("look", [[], ["--plain"]], ids=["live", "plain"])
def test_questions_while_another_tool_streams(look: list[str], pane: Pane, tmp_path: Path) -> None:
    rounds = [
        [Call("count", {"name": "a"}), Call("talk")],
        [Call("count", {"name": "b\u202e\u200b"})],
        [Call("count", {"name": "c"})],
    ]
    with Summing(rounds) as server:
        pane.run(ask(server, tmp_path, *look))
        pane.until_shown(CHOICE)
        assert counted(tmp_path) == ""
        pane.press("n", "not run: the user denied it")
        pane.until_shown(ASKS, 2)  # `talk` could not be stopped, and goes on
        pane.until_shown('name: "b\\u202e\\u200b"')
        pane.press("d", ASKS, 3)
        assert counted(tmp_path) == ""
        pane.press("a", "c counted")
        pane.until(lambda: pane.ended)
        text = " ".join(pane.text().split())
    assert counted(tmp_path) == "b c ", "the second is allowed, and the third needs no question"
    assert text.count(ASKS) == 3
    assert "could not be stopped" in text
    assert "the results: not run: the user denied it;" in text


@pytest.mark.parametrize("look", [[], ["--plain"]], ids=["live", "plain"])
def test_a_yes_that_is_typed_ahead_approves_nothing(
    look: list[str], pane: Pane, tmp_path: Path
) -> None:
    with Summing([[Call("count", {"name": "a"})]], pace=0.2) as server:
        pane.run(ask(server, tmp_path, *look))
        pane.until(lambda: bool(server.requests))
        pane.send("y")
        pane.until_shown(CHOICE)
        pane.send("y")  # in the first moment, before anybody can have read it
        pane.press("n", "the user denied it")
        pane.until(lambda: pane.ended)
    assert counted(tmp_path) == ""
