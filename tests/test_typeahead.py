"""Claimed: on a real terminal what is typed during an answer is queued or in the next prompt. It is
whole, shown meanwhile, and never sent after a stop or a failure.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import ending, frames, headers
from tests.support.chats import holds, says, sent
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Reply, Script
from tests.support.sampling import sampled
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

HARD = "日本語 👍🏽 👨\u200d👩\u200d👧 é"


@pytest.fixture(params=[80, 40])
def pane(request: pytest.FixtureRequest) -> Iterator[Pane]:
    with require(tmux(request.param, 24)) as opened:
        yield opened


def start(pane: Pane, server: Script, question: str = "noon?") -> None:
    """A chat in the pane whose first question is being answered."""
    flags = [*server_flags("ollama", server.url), "--retries", "0", "--on-drop", "stop"]
    pane.run([*COMMAND, "chat", *flags], PYTHONPATH=str(Path.cwd()))
    pane.until_shown("›")
    pane.type(question)
    pane.send("Enter")
    assert server.wait_holding()


def in_prompt(pane: Pane) -> str | None:
    """The text in the prompt, if that is the last thing in the pane."""
    lines = pane.lines()
    starts = [number for number, line in enumerate(lines) if line.startswith("›")]
    first, *others = lines[starts[-1] :]
    if any(it and not it.startswith("  ") for it in others):
        return None
    first = first.removeprefix("›").split("   ")[0]  # beside it stands the model
    return "\n".join([first.strip(), *(it[2:] for it in others)])


def leave(pane: Pane) -> None:
    pane.until(lambda: in_prompt(pane) == "")
    pane.send("C-d")
    pane.until(lambda: pane.ended)
    assert pane.status == 0, pane.text()


class Waits:
    """An answer that begins, and goes on or breaks off when it is told to."""

    def __init__(self, begin: str = "The sky ", *, breaks: bool = False) -> None:
        self.go_on = threading.Event()
        body = [*frames("ollama", [begin])]
        if not breaks:
            body += [*frames("ollama", ["is blue."]), *ending("ollama")]
        self.reply = Reply(body, headers=headers("ollama"), hold={1: self.go_on})


def test_what_is_typed_is_shown_below_the_answer_and_is_in_the_next_prompt(pane: Pane) -> None:
    waits = Waits()
    with Script(waits.reply, says("Red.")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.type(f"and {HARD}")
        pane.until_shown(f"› and {HARD}_")
        pane.type("?")
        pane.send("M-Enter")
        pane.type("or nihgt")
        for _ in "hgt":
            pane.send("BSpace")
        pane.type("ght?")
        pane.until_shown("?↵or night?_")
        waits.go_on.set()
        pane.until_shown("is blue.")
        # Joined emoji are wider to the line editor than to tmux, and what is beside them is moved.
        pane.until(lambda: (in_prompt(pane) or "").startswith(f"and {HARD}?"))
        pane.until_shown("or night?")
        assert len(sent(server)) == 1
        pane.send("Enter")
        pane.until_shown("Red.")
        assert sent(server)[-1][-1] == ("user", f"and {HARD}?\nor night?")
        leave(pane)
        assert pane.text().count("_") == 0


def test_enter_queues_and_what_is_queued_is_asked_when_the_answer_is_there(pane: Pane) -> None:
    waits, second = Waits(), Waits()
    with Script(waits.reply, second.reply, says("Dark.")) as server:
        start(pane, server)
        pane.type("sunset?")
        pane.send("Enter")
        pane.type("night?")
        pane.send("Enter")
        pane.type("dra")
        pane.until_shown("⏎ queued: sunset? ⏎ queued: night? (↑ takes it back) › dra_")
        waits.go_on.set()
        assert server.wait_requests(2)
        pane.until_shown("⏎ queued: night? (↑ takes it back) › dra_")
        pane.type("ft")
        pane.until_shown("› draft_")
        second.go_on.set()
        pane.until_shown("Dark.")
        assert [it[-1][1] for it in sent(server)] == ["noon?", "sunset?", "night?"]
        pane.until(lambda: in_prompt(pane) == "draft")
        lines = [line for line in pane.lines() if line and not line.startswith("✓")]
        answer = "The sky is blue."
        assert lines[:5] == ["› noon?", answer, "› sunset?", answer, "› night?"]
        for _ in "draft":
            pane.send("BSpace")
        leave(pane)


def test_up_takes_the_newest_back_and_esc_the_others_before_it_stops(pane: Pane) -> None:
    with Script(holds("The sky ")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        for message in ("one", "two", "three"):
            pane.type(message)
            pane.send("Enter")
        pane.until_shown("⏎ queued: three")
        pane.send("Up")
        pane.until_shown("› three_")
        pane.send("Escape")
        pane.until_shown("› one↵↵two↵↵three_")
        assert "queued" not in pane.text()
        pane.send("Escape")
        pane.until_shown("■ stopped")
        pane.until(lambda: in_prompt(pane) == "one\n\ntwo\n\nthree")
        assert len(sent(server)) == 1


def test_an_edit_that_is_queued_comes_to_the_prompt_and_what_is_behind_it_waits(pane: Pane) -> None:
    waits = Waits()
    with Script(waits.reply) as server:
        start(pane, server)
        pane.until_shown("The sky")
        for message in ("/edit", "night?"):
            pane.type(message)
            pane.send("Enter")
        pane.type("and th")
        pane.until_shown("⏎ queued: night? (↑ takes it back) › and th_")
        waits.go_on.set()
        pane.until_shown("1 message queued behind the edit")
        pane.until(lambda: pane.lines()[-1].startswith("edit 1 › noon?"))
        pane.send("C-c")
        pane.until(lambda: in_prompt(pane) == "night?\n\nand th")
        pane.send("C-c")
        leave(pane)
        assert len(sent(server)) == 1


def test_a_resize_leaves_nothing_of_what_is_below_the_answer() -> None:
    above = [f"paragraph {number}" for number in range(8)]  # tmux moves rows out of reach
    waits = Waits("\n\n".join([*above, "The sky "]))
    with require(tmux(80, 24)) as pane, Script(waits.reply, says("Red.")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.type("a message that is longer than forty columns are")
        pane.send("Enter")
        pane.type("and a line that is also longer than forty columns are")
        pane.until_shown("› and a line that is also longer than forty columns are_")
        pane.resize(40, 24)
        pane.until_shown("› … also longer than forty columns are_")
        pane.resize(80, 24)
        pane.until_shown("› and a line that is also longer than forty columns are_")
        waits.go_on.set()
        pane.until(
            lambda: in_prompt(pane) == "and a line that is also longer than forty columns are"
        )
        *lines, _ = [line for line in pane.lines() if line and not line.startswith("✓")]
        question = "› a message that is longer than forty columns are"
        assert lines == ["› noon?", *above, "The sky is blue.", question, "Red."]


@pytest.mark.parametrize("ends", ["stopped", "failed"])
def test_after_a_stop_or_a_failure_all_of_it_returns_and_nothing_is_sent(
    pane: Pane, ends: str
) -> None:
    waits = Waits(breaks=True)
    with Script(waits.reply, says("Red.")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.type(HARD)
        pane.send("Enter")
        pane.type("and this")
        pane.until_shown("› and this_")
        if ends == "stopped":
            pane.send("C-c")
        else:
            waits.go_on.set()
        pane.until(lambda: in_prompt(pane) == f"{HARD}\n\nand this")
        assert len(sent(server)) == 1
        pane.send("Enter")
        pane.until_shown("Red.")
        assert sent(server)[-1][-1] == ("user", f"{HARD}\n\nand this")
        leave(pane)


def test_a_large_paste_is_one_message_and_is_not_sent_before_enter(pane: Pane) -> None:
    waits = Waits()
    pasted = "\n".join(f"line {number} 日本語 👍" for number in range(9000))
    assert len(pasted.encode()) > 200_000
    with Script(waits.reply, says("Red.")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.paste(pasted)
        pane.until_shown("line 8999 日本語 👍_")
        assert len(sent(server)) == 1
        pane.send("Enter")
        pane.until_shown("⏎ queued: line 0")
        waits.go_on.set()
        pane.until_shown("Red.")
        assert [it[-1][1] for it in sent(server)] == ["noon?", pasted]
        leave(pane)


def test_a_paste_that_is_still_coming_when_the_answer_ends_is_one_message(pane: Pane) -> None:
    waits = Waits()
    pasted = "\n".join(f"line {number}" for number in range(2000))
    with Script(waits.reply, says("Red.")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        waits.go_on.set()
        pane.paste(pasted)
        pane.until_shown("line 1999")
        pane.until(lambda: not pane.text().endswith("_"))
        assert len(sent(server)) == 1
        pane.send("Enter")
        pane.until_shown("Red.")
        assert sent(server)[-1][-1] == ("user", pasted)
        leave(pane)


def start_at_prompt(pane: Pane, server: Script) -> None:
    flags = [*server_flags("ollama", server.url), "--retries", "0"]
    pane.run([*COMMAND, "chat", *flags], PYTHONPATH=str(Path.cwd()))
    pane.until_shown("›")


@pytest.mark.parametrize("more", range(3))
def test_a_paste_behind_the_enter_that_sends_is_one_message(more: int) -> None:
    waits = Waits()
    pasted = "\n".join(f"line {number} 日本語" for number in range(400))
    question = f"noon{'?' * more}"  # so that the line editor stops at any part of a character
    with require(tmux(80, 24)) as pane, Script(waits.reply, says("Red.")) as server:
        start_at_prompt(pane, server)
        pane.type_at_once(f"{question}\r\x1b[200~{pasted}\x1b[201~ end")
        pane.until_shown("line 399 日本語 end_")
        pane.send("Enter")
        waits.go_on.set()
        pane.until_shown("Red.")
        assert [it[-1][1] for it in sent(server)] == [question, f"{pasted} end"]
        leave(pane)


@pytest.mark.parametrize("begun", sampled(range(1, 7), 2, "begun"))
def test_so_is_one_whose_beginning_the_line_editor_has_read(begun: int) -> None:
    waits = Waits()
    question = "noon?".ljust(1023 - begun, ".")  # it reads 1024 bytes at a time
    with require(tmux(80, 24)) as pane, Script(waits.reply, says("Red.")) as server:
        start_at_prompt(pane, server)
        pane.type_at_once(f"{question}\r\x1b[200~one\ntwo\x1b[201~")
        pane.until_shown("› one↵two_")
        pane.send("Enter")
        waits.go_on.set()
        pane.until_shown("Red.")
        assert [it[-1][1] for it in sent(server)] == [question, "one\ntwo"]
        leave(pane)


def test_space_on_an_empty_line_pauses_and_is_a_space_in_a_text(pane: Pane) -> None:
    waits = Waits()
    with Script(waits.reply) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.send("Space")
        pane.until_shown("paused · space resumes · Esc stops")
        pane.type("a b")
        pane.until_shown("› a b_")
        pane.until_shown("paused · space on an empty line resumes")
        pane.send("C-u")
        pane.until(lambda: "a b" not in pane.text())
        pane.send("Space")
        pane.until(lambda: "paused" not in pane.text())
        waits.go_on.set()
        pane.until_shown("is blue.")
        leave(pane)


def test_stopped_before_a_word_the_question_comes_first_and_what_was_typed_after_it(
    pane: Pane,
) -> None:
    with Script(holds(), says("Red.")) as server:
        start(pane, server)
        pane.type("night?")
        pane.send("Enter")
        pane.type("dawn?")
        pane.until_shown("› dawn?_")
        pane.send("C-c")
        pane.until(lambda: in_prompt(pane) == "noon?\n\nnight?\n\ndawn?")
        assert len(sent(server)) == 1
        pane.send("Enter")
        pane.until_shown("Red.")
        assert sent(server)[-1] == [("user", "noon?\n\nnight?\n\ndawn?")]
        leave(pane)


def test_what_was_typed_survives_kill_9(pane: Pane) -> None:
    with Script(holds("The sky ")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.type(HARD)
        pane.send("Enter")
        pane.type("and this")
        pane.until_shown("› and this_")
        pane.signal("KILL")
        pane.until(lambda: pane.ended)
        with require(tmux(80, 24)) as other:
            flags = server_flags("ollama", server.url)
            other.run([*COMMAND, "chat", "-c", *flags], PYTHONPATH=str(Path.cwd()))
            other.until_shown("and this")
            other.until(lambda: in_prompt(other) == f"{HARD}\n\nand this")


def test_a_stop_brings_the_prompt_back_however_much_was_typed(pane: Pane) -> None:
    with Script(holds("The sky "), says("Red.")) as server:
        start(pane, server)
        pane.until_shown("The sky")
        pane.type("night?")
        for key in ("C-c", "C-c", "C-c"):
            pane.send(key)
        pane.until_shown("■ stopped")
        pane.type(" and dawn?")
        pane.until_shown("dawn?")
        assert len(sent(server)) == 1


def test_after_ctrl_z_what_was_typed_is_there_and_typing_goes_on(pane: Pane) -> None:
    with Script(holds("The sky ")) as server:
        flags = [*server_flags("ollama", server.url), "--on-drop", "stop"]
        line = shlex.join(["env", f"PYTHONPATH={Path.cwd()}", *COMMAND, "chat", *flags])
        pane.run(["bash", "--norc", "--noediting", "-i"], PS1="$ ")
        pane.until_shown("$")
        pane.type(f"clear; {line}")
        pane.send("Enter")
        pane.until_shown("›")
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("The sky")
        pane.type("night")
        pane.until_shown("› night_")
        pane.send("C-z")
        pane.until_shown("Stopped")
        pane.type("echo in the shell")
        pane.send("Enter")
        pane.until_shown("in the shell", 2)
        pane.type("fg")
        pane.send("Enter")
        pane.until_shown("› night_")
        pane.type("?")
        pane.until_shown("› night?_")
        pane.send("Enter")
        pane.type("more")
        pane.until_shown("⏎ queued: night?")
        pane.send("C-c")
        pane.until_shown("› night?")
        pane.until_shown("more")
        pane.send("C-c")
        pane.until(lambda: in_prompt(pane) == "")
        pane.send("C-d")
        pane.until(lambda: pane.lines()[-1].startswith("$"))
