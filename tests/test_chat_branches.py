"""Claimed: two terminals, or another question in an earlier place, make branches. Each terminal
says so, every journal stays sound, and what was answered stays as it was, byte for byte.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.engine.place import BRANCHED
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import ending, frames, headers
from tests.support.chats import says, sent
from tests.support.client import COMMAND, run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(100, 30)) as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[Pane]:
    with require(tmux(100, 30)) as opened:
        yield opened


def start(pane: Pane, server: Script, *more: str) -> None:
    """A chat in the pane, at its first prompt."""
    flags = [*server_flags("ollama", server.url), "--retries", "0", "--on-drop", "stop"]
    pane.run([*COMMAND, "chat", *flags, *more], PYTHONPATH=str(Path.cwd()))
    at_prompt(pane)


def at_prompt(pane: Pane) -> None:
    pane.until(lambda: pane.lines()[-1:] != [] and pane.lines()[-1].startswith("›"))


def ask(pane: Pane, question: str, answer: str) -> None:
    """Ask, and wait for the answer and the next prompt."""
    pane.type(question)
    pane.send("Enter")
    pane.until_shown(answer)
    at_prompt(pane)


def leave(pane: Pane) -> None:
    pane.send("C-d")
    pane.until(lambda: pane.ended)
    assert pane.status == 0, pane.text()


def tree(run: str) -> list[str]:
    """The lines of `history tree`: how they are drawn, and their questions."""
    done = run_here(["history", "tree", run])
    assert done.status == 0, done.stderr
    return done.stdout.decode().splitlines()


def kept() -> dict[str, bytes]:
    """The bytes of each journal, by its run; all of them are sound."""
    paths = list(journals(runs_folder()))
    assert {read(it).damage for it in paths} == {None}
    return {it.stem: it.read_bytes() for it in paths}


def answers(run: str) -> list[str]:
    """The questions and answers up to this run."""
    done = run_here(["history", "show", "--text", run])
    assert done.status == 0, done.stderr
    return done.stdout.decode().splitlines()


def test_two_terminals_make_two_branches_and_each_says_so(pane: Pane, other: Pane) -> None:
    go_on = threading.Event()
    slow = Reply(
        [*frames("ollama", ["First ", "branch."]), *ending("ollama")],
        headers=headers("ollama"),
        hold={1: go_on},
    )
    replies = [says("Blue."), slow, says("Second branch."), says("Still the first.")]
    with Script(*replies, says("Still the second.")) as server:
        start(pane, server)
        ask(pane, "noon?", "Blue.")
        start(other, server, "-c")
        other.until_shown("Blue.")
        pane.type("one way?")
        pane.send("Enter")
        assert server.wait_holding()
        ask(other, "other way?", "Second branch.")  # while the first one is being answered
        other.until_shown(BRANCHED)
        go_on.set()
        pane.until_shown("First branch.")
        assert BRANCHED not in pane.text()
        ask(pane, "further?", "Still the first.")
        pane.until_shown(BRANCHED)
        ask(other, "and further?", "Still the second.")
        for it in (pane, other):
            leave(it)
        said = [[text for _, text in it] for it in sent(server)]
    assert said[-2] == ["noon?", "Blue.", "one way?", "First branch.", "further?"]
    assert said[-1] == ["noon?", "Blue.", "other way?", "Second branch.", "and further?"]
    newest = max(kept())
    drawn = tree(newest)
    assert [line.rpartition("\t")[2] for line in drawn] == [
        *("noon?", "one way?", "further?", "other way?", "and further?"),
    ]


def test_editing_question_two_of_five_leaves_the_old_path_as_it_was(pane: Pane) -> None:
    with Script(*(says(f"Answer {number}.") for number in range(1, 7))) as server:
        start(pane, server)
        for number in range(1, 6):
            ask(pane, f"{number}?", f"Answer {number}.")
        before = kept()
        head = max(before)
        shown = answers(head)
        pane.type("/edit 2")
        pane.send("Enter")
        pane.until_shown("edit 2 › 2?")
        pane.type(" but else?")
        pane.send("Enter")
        pane.until_shown("Answer 6.")
        at_prompt(pane)
        leave(pane)
        assert sent(server)[-1] == [
            *(("user", "1?"), ("assistant", "Answer 1."), ("user", "2? but else?"))
        ]
    after = kept()
    new = max(after)
    assert after == {**before, new: after[new]}
    assert answers(head) == shown
    questions = [line.rpartition("\t")[2] for line in tree(head)]
    assert sorted(questions) == sorted([*(f"{it}?" for it in range(1, 6)), "2? but else?"])
    assert tree(new) == tree(head)
