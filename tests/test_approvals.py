"""Claimed: on a real terminal a call runs only if somebody has read the question and said so.

All of it happens in tmux. The runner asks before any tool of a round runs. A view that is given a
question and the output of a tool at the same time shows the question all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.client import COMMAND
from tests.support.summing import Call, Summing
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

TOOLS_FILE = '''
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
    while True:
        print("and so on")
        time.sleep(0.01)
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
def test_each_answer_does_what_it_says(look: list[str], pane: Pane, tmp_path: Path) -> None:
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
        pane.until_shown(ASKS, 2)
        pane.until_shown('name: "b\\u202e\\u200b"')
        pane.press("d", ASKS, 3)
        assert counted(tmp_path) == ""
        pane.press("a", "c counted")
        pane.until(lambda: pane.ended)
        text = " ".join(pane.text().split())
    assert counted(tmp_path) == "b c ", "the second is allowed, and the third needs no question"
    assert text.count(ASKS) == 3
    assert "it was stopped after 0.5 s" in text
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


STREAMING = """
import sys
from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.settings import Settings
from chatstream.flow import Arrival
from chatstream.terminal.present import present

def run():
    diff = "--- a\\n+++ a\\n@@ -1 +1 @@\\n-old\\n+new\\n"
    question = ev.Approval("2", "write", "ask", "default", {"path": "a", "text": "x\\ny"}, diff)
    yield Arrival([ev.ToolCall("1", "talk", "{}"), ev.ToolCall("2", "write", "{}")])
    yield Arrival([ev.ToolStart("1", "talk")])
    yield from talking(20)
    control.ask(question)
    yield Arrival([question])
    answer = None
    while answer is None:
        yield from talking(1)
        answer = control.take_answer()
    yield Arrival([ev.Approval("2", "write", "allow", "user"), ev.ToolStart("2", "write")])
    yield from talking(20)
    yield Arrival([ev.ToolComplete("2", "write", "", 1.0), ev.ToolComplete("1", "talk", "", 1.0)])
    yield Arrival([ev.Content(f"The answer was {answer}.")])
    yield Arrival([ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)])

def talking(times):
    for _ in range(times):
        yield Arrival([ev.ToolOutput("1", "talk", "and so on\\n")])
        token.sleep(0.01)

control, token = Control(), CancelToken()
sys.exit(present(
    run(), Settings(), token, as_json=False, plain=sys.argv[1] == "plain", copying=None,
    control=control,
))
"""
QUESTION = [
    "The model wants to run write:",
    '  path: "a"',
    "  text: 2 lines",
    "  │ --- a",
    "  │ +++ a",
    "  │ @@ -1 +1 @@",
    "  │ -old",
    "  │ +new",
]


@pytest.mark.parametrize("look", ["live", "plain"])
def test_a_question_stays_as_it_is_while_another_tool_streams(look: str, pane: Pane) -> None:
    pane.run([sys.executable, "-c", STREAMING, look])
    pane.until_shown(CHOICE)
    pane.press("d", "│ x")  # all of it
    at = pane.lines().index("The model wants to run write:")
    assert pane.lines()[at : at + len(QUESTION)] == QUESTION
    assert pane.lines()[-1].startswith(CHOICE)
    pane.press("a", "The answer was always.")
    pane.until(lambda: pane.ended)
    lines = pane.lines()
    assert lines.count("The model wants to run write:") == 2
    at = lines.index("The model wants to run write:")
    assert lines[at : at + len(QUESTION)] == QUESTION
    assert "  │ y" in lines
