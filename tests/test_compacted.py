"""Claimed: on a terminal a summary is edited before it is used, and leaving it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.chat.compacting import INSTRUCTION
from chatstream.engine.summaries import HEADING
from tests.support.chats import holds, says, sent
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Script
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

SUMMARY = "The user asks about the sky.\n\n- It is blue at noon."


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(80, 24)) as pane:
        yield pane


def run(pane: Pane, server: Script, *more: str) -> None:
    """A chat in the pane, at its first prompt."""
    flags = [*server_flags("ollama", server.url), "--retries", "0", "--on-drop", "stop"]
    pane.run([*COMMAND, "chat", *flags, *more], PYTHONPATH=str(Path.cwd()))
    pane.until_shown("›")


def start(pane: Pane, server: Script) -> None:
    """A chat in the pane, after its first answer."""
    run(pane, server)
    say(pane, "noon?")
    pane.until_shown("Blue.")
    prompt(pane)


def say(pane: Pane, line: str) -> None:
    pane.type(line)
    pane.send("Enter")


def prompt(pane: Pane) -> None:
    """Wait for an empty prompt."""
    pane.until(lambda: pane.lines()[-1:] != [] and pane.lines()[-1].startswith("› "))


def leave(pane: Pane) -> None:
    prompt(pane)
    pane.send("C-d")
    pane.until(lambda: pane.ended)
    assert pane.status == 0


def test_the_summary_is_edited_in_the_prompt_and_opens_the_new_conversation(pane: Pane) -> None:
    with Script(says("Blue."), says(SUMMARY), says("Dark."), says("Red.")) as server:
        start(pane, server)
        say(pane, "/compact")
        pane.until(lambda: pane.lines()[-1] == "  - It is blue at noon.")
        assert sent(server)[1][-1] == ("user", INSTRUCTION)
        pane.type(" So far.")
        pane.until_shown("at noon. So far.")
        assert len(sent(server)) == 2
        pane.send("Enter")
        pane.until_shown("a new conversation that begins with the summary")
        prompt(pane)
        say(pane, "sunset?")
        pane.until_shown("Dark.")
        assert sent(server)[2] == [
            *(("system", f"{HEADING}\n\n{SUMMARY} So far."), ("user", "sunset?"))
        ]
        leave(pane)


def test_leaving_the_edit_changes_nothing_and_what_was_typed_meanwhile_comes_back(
    pane: Pane,
) -> None:
    with Script(says("Blue."), says(SUMMARY, pace=0.3), says("Dark.")) as server:
        start(pane, server)
        say(pane, "/compact")
        pane.until_shown("summarising the conversation")
        pane.type_at_once("sunset?\rand half a li")
        pane.until_shown("Ctrl+C discards the summary")
        pane.until_shown("1 message queued behind the edit")
        pane.until(lambda: pane.lines()[-1] == "  - It is blue at noon.")
        assert len(sent(server)) == 2
        pane.send("C-c")
        pane.until(lambda: pane.lines()[-1].endswith("and half a li"))
        pane.send("Enter")
        pane.until_shown("Dark.")
        assert [text for _, text in sent(server)[-1]] == [
            *("noon?", "Blue.", "sunset?\n\nand half a li")
        ]
        leave(pane)


def test_what_was_typed_meanwhile_follows_in_the_new_conversation(pane: Pane) -> None:
    with Script(says("Blue."), says(SUMMARY, pace=0.3), says("Dark.")) as server:
        start(pane, server)
        say(pane, "/compact")
        pane.until_shown("summarising the conversation")
        pane.type_at_once("sunset?\rand half a li")
        pane.until(lambda: pane.lines()[-1] == "  - It is blue at noon.")
        pane.send("Enter")
        pane.until_shown("Dark.")
        assert sent(server)[-1] == [("system", f"{HEADING}\n\n{SUMMARY}"), ("user", "sunset?")]
        pane.until(lambda: pane.lines()[-1].startswith("› and half a li"))
        assert len(sent(server)) == 3
        pane.send("C-c")
        leave(pane)


def test_ctrl_c_during_the_summary_leaves_the_conversation_as_it_was(pane: Pane) -> None:
    with Script(says("Blue."), holds("The user "), says("Dark.")) as server:
        start(pane, server)
        say(pane, "/compact")
        pane.until_shown("The user")
        pane.send("C-c")
        pane.until_shown("stopped")
        prompt(pane)
        say(pane, "night?")
        pane.until_shown("Dark.")
        assert [text for _, text in sent(server)[-1]] == ["noon?", "Blue.", "night?"]
        leave(pane)


def test_a_summary_in_the_prompt_outlives_kill_9_and_is_used_in_another_chat(pane: Pane) -> None:
    with Script(says("Blue."), says(SUMMARY), says("Dark.")) as server:
        start(pane, server)
        say(pane, "/compact")
        pane.until(lambda: pane.lines()[-1] == "  - It is blue at noon.")
        pane.type(" So far.")
        pane.until_shown("at noon. So far.")
        pane.signal("KILL")
        pane.until(lambda: pane.ended)
        with require(tmux(80, 24)) as other:
            run(other, server, "-c")
            other.until(lambda: other.lines()[-1] == "  - It is blue at noon. So far.")
            other.send("Enter")
            other.until_shown("a new conversation that begins with the summary")
            prompt(other)
            say(other, "night?")
            other.until_shown("Dark.")
            assert sent(server)[-1] == [
                *(("system", f"{HEADING}\n\n{SUMMARY} So far."), ("user", "night?"))
            ]
            leave(other)
