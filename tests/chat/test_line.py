"""The line editor on a real terminal: what its keys do, and what it leaves there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chats import holds, says, sent
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import Reply, Script
from tests.support.terminal import on_terminal
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

REFUSED = Reply.json({"error": "no"}, status=400)


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(80, 24)) as pane:
        yield pane


def start(pane: Pane, server: Script, *more: str, **environ: str) -> None:
    """A chat in the pane, at its first prompt."""
    flags = [*server_flags("ollama", server.url), "--retries", "0", "--on-drop", "stop"]
    pane.run([*COMMAND, "chat", *flags, *more], PYTHONPATH=str(Path.cwd()), **environ)
    pane.until_shown("›")


def leave(pane: Pane) -> int:
    """The exit status after Ctrl+D, which is for an empty prompt."""
    pane.until(lambda: pane.lines()[-1].startswith("›"))
    pane.send("C-d")
    pane.until(lambda: pane.ended)
    return pane.status


def test_enter_sends_and_the_other_enters_begin_a_line(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.type("noon 你好")
        pane.send("C-j")
        pane.type("or")
        pane.send("M-Enter")
        pane.type("night?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert sent(server) == [[("user", "noon 你好\nor\nnight?")]]
        assert leave(pane) == 0
    lines = [line for line in pane.lines() if line]
    assert lines[:4] == ["› noon 你好", "  or", "  night?", "Blue."]


def test_ctrl_c_clears_the_line_and_up_brings_it_back(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("C-c")
        pane.until(lambda: "noon?" not in pane.text())
        for _ in range(3):
            pane.send("C-c")
            pane.until_shown("Ctrl+D leaves")
        pane.send("Up")
        pane.until_shown("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert leave(pane) == 0


def test_ctrl_c_leaves_the_editing_of_a_question_with_or_without_text(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        for delete in ("Right", "C-u"):
            pane.until(lambda: pane.lines()[-1].startswith("› "))
            pane.type("/edit")
            pane.send("Enter")
            pane.until(lambda: pane.lines()[-1].startswith("edit 1 › noon?"))
            pane.send(delete)
            pane.send("C-c")
            pane.until(lambda: pane.lines()[-1].startswith("› "))
        assert leave(pane) == 0


def test_a_stop_brings_the_prompt_back_and_an_empty_answer_the_question(pane: Pane) -> None:
    with Script(holds("The sky "), holds(), says("Red.")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("The sky")
        pane.send("C-c")
        pane.until_shown("continue it with: /continue")
        pane.until_shown("›", 2)
        pane.type("sunset?")
        pane.send("Enter")
        server.wait_requests(2)
        server.wait_holding()
        pane.send("C-c")
        pane.until_shown("› sunset?", 2)
        pane.send("Enter")
        pane.until_shown("Red.")
        assert [role for role, _ in sent(server)[-1]] == ["user", "assistant", "user"]
        assert leave(pane) == 0


def test_a_paste_is_one_message_and_is_not_sent_before_enter(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.paste("one\ntwo\nthree")
        pane.until_shown("three")
        assert sent(server) == []
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert sent(server) == [[("user", "one\ntwo\nthree")]]
        assert leave(pane) == 0


def test_what_is_typed_or_pasted_during_an_answer_is_in_the_next_prompt(pane: Pane) -> None:
    with Script(holds("The sky "), says("Red.")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("The sky")
        pane.paste("sunset 日本\nor night?")
        pane.send("C-c")
        # In the prompt, not below the answer: Enter would queue it there, and a stop sends nothing.
        pane.until(lambda: "or night?" in pane.text().partition("/continue")[2])
        assert len(sent(server)) == 1
        pane.send("Enter")
        pane.until_shown("Red.")
        assert sent(server)[1][-1] == ("user", "sunset 日本\nor night?")
        assert leave(pane) == 0


def test_what_was_asked_in_another_chat_comes_back_with_up_and_ctrl_r(pane: Pane) -> None:
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        start(pane, server)
        for question, answer in (("noon?", "Blue."), ("sunset?", "Red.")):
            pane.type(question)
            pane.send("Enter")
            pane.until_shown(answer)
            pane.until(lambda: pane.lines()[-1].startswith("› "))  # the next prompt
        assert leave(pane) == 0
        with require(tmux(80, 24)) as other:
            start(other, server)
            other.press("Up", "sunset?")  # the prompt does not wait for the history
            other.send("C-r")
            other.type("noo")
            other.until_shown("noon?")
            other.send("Enter")
            other.send("Enter")
            other.until_shown("Dark.")
            assert sent(server)[-1] == [("user", "noon?")]
            assert leave(other) == 0


def test_tab_completes_a_command(pane: Pane) -> None:
    with Script() as server:
        start(pane, server)
        pane.type("/sta")
        pane.send("Tab")
        pane.until_shown("/stats")
        pane.send("Enter")
        pane.until_shown("0 questions in this conversation")
        assert leave(pane) == 0


def test_an_editor_may_write_the_message(pane: Pane, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "noon?" > "$1"\n')
    editor.chmod(0o755)
    with Script(says("Blue.")) as server:
        start(pane, server, EDITOR=str(editor), VISUAL="")
        pane.send("C-x")
        pane.send("C-e")
        pane.until_shown("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert leave(pane) == 0


def test_vi_keys(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server, "--vi")
        pane.type("noon?!")
        pane.send("Escape")
        pane.type("x")
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert sent(server) == [[("user", "noon?")]]
        assert leave(pane) == 0


def test_the_prompt_says_who_is_asked_and_leaves_nothing_of_that(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.until_shown(" m")
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        assert leave(pane) == 0
    assert pane.lines()[:2] == ["", "› noon?"]


def test_the_prompt_says_how_full_the_window_is(pane: Pane) -> None:
    window = {"/api/ps": Reply.json({"models": [{"name": "m", "context_length": 8192}]})}
    with Script(says("Blue."), says("Red."), beside=window) as server:
        start(pane, server)
        for question, answer in (("noon?", "Blue."), ("sunset?", "Red.")):
            pane.type(question)
            pane.send("Enter")
            pane.until_shown(answer)
        pane.until_shown("% of 8k")
        assert leave(pane) == 0


@pytest.mark.parametrize(("name", "status"), [("TERM", 143), ("HUP", 129), ("KILL", 137)])
def test_what_was_typed_survives_every_signal(pane: Pane, name: str, status: int) -> None:
    with Script(says("Blue."), says("Red.")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        pane.until(lambda: pane.lines()[-1].startswith("›"))
        pane.type("sunset 日本")
        pane.send("C-j")
        pane.type("👍?")
        pane.until_shown("👍?")
        pane.signal(name)
        pane.until(lambda: pane.ended)
        assert pane.status == status
        with require(tmux(80, 24)) as other:
            start(other, server, "-c")
            other.until_shown("› sunset 日本")
            other.until_shown("👍?")
            other.send("Enter")
            other.until_shown("Red.")
            assert sent(server)[-1][-1] == ("user", "sunset 日本\n👍?")
            assert leave(other) == 0
        with require(tmux(80, 24)) as third:
            start(third, server)
            assert leave(third) == 0
            assert "sunset" not in third.text()


def test_a_question_that_waits_for_its_answer_survives_kill_9(pane: Pane) -> None:
    with Script(holds(), says("Blue.")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("Enter")
        server.wait_holding()
        pane.signal("KILL")
        pane.until(lambda: pane.ended)
        with require(tmux(80, 24)) as other:
            start(other, server)
            other.until_shown("› noon?")
            other.send("Enter")
            other.until_shown("Blue.")
            assert leave(other) == 0


def test_a_file_behind_an_at_sign_goes_with_the_message(pane: Pane, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("the text\n")
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.type(f"what is in @{tmp_path}/a")
        pane.send("Tab")
        pane.until_shown("b.txt'")
        pane.type(" and who is @nobody?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        ((_, text),) = sent(server)[0]
        assert "\nthe text\n" in text
        assert leave(pane) == 0


def test_what_is_typed_between_two_prompts_is_not_shown_there(pane: Pane) -> None:
    with Script(holds("The sky ")) as server:
        start(pane, server)
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("The sky")
        pane.type("typed ahead")
        pane.send("Enter")
        pane.type("again")
        pane.send("C-c")
        pane.until_shown("› typed ahead")
        pane.until_shown("again")
        assert pane.text().count("typed ahead") == 1
        assert len(sent(server)) == 1
        pane.send("C-c")
        assert leave(pane) == 0


def test_nothing_else_imports_it() -> None:
    program = "import sys, chatstream.cli.ask, chatstream.cli.chat; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"prompt_toolkit" not in done.stdout


@pytest.mark.parametrize("columns", [80, 40])
def test_esc_esc_picks_an_earlier_question_to_edit(columns: int) -> None:
    long = "and what of the sunset, which comes at the end of a day, 日本?"
    with (
        require(tmux(columns, 24)) as pane,
        Script(says("Blue."), says("Red."), says("Green.")) as server,
    ):
        start(pane, server)
        for question, answer in (("noon?", "Blue."), (long, "Red.")):
            pane.type(question)
            pane.send("Enter")
            pane.until_shown(answer)
            pane.until(lambda: pane.lines()[-1].startswith("›"))
        before = pane.lines()
        for leave_key in ("Escape", "C-c"):
            pane.send("Escape")
            pane.send("Escape")
            pane.until_shown("▸ 2 and what of")
            pane.send("Up")
            pane.until_shown("▸ 1 noon?")
            pane.send(leave_key)
            pane.until(lambda: pane.lines() == before)
        pane.send("Escape")
        pane.send("Escape")
        pane.until_shown("▸ 2 and what of")
        pane.send("Up")
        pane.until_shown("▸ 1 noon?")
        pane.send("Enter")
        pane.until_shown("edit 1 › noon?")
        assert "▸" not in pane.text()
        assert len(sent(server)) == 2
        pane.type("!")
        pane.send("Enter")
        pane.until_shown("Green.")
        assert sent(server)[-1] == [("user", "noon?!")]
        assert leave(pane) == 0


def test_what_is_typed_or_pasted_leaves_the_picker_and_is_in_the_line(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server)
        pane.send("Escape")
        pane.send("Escape")
        pane.until_shown("there is no earlier question")
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        pane.until(lambda: pane.lines()[-1].startswith("›"))
        for typed in (pane.type, pane.paste):
            pane.send("Escape")
            pane.send("Escape")
            pane.until_shown("▸ 1 noon?")
            typed("sunset?")
            pane.until(lambda: "▸" not in pane.text() and "› sunset?" in pane.text())
            pane.send("Escape")  # in a line with text it opens nothing
            pane.send("Escape")
            pane.send("C-u")
            pane.until(lambda: "sunset?" not in pane.text())
        assert "▸" not in pane.text()
        assert leave(pane) == 0


def test_in_vi_mode_esc_esc_opens_nothing(pane: Pane) -> None:
    with Script(says("Blue.")) as server:
        start(pane, server, "--vi")
        pane.type("noon?")
        pane.send("Enter")
        pane.until_shown("Blue.")
        pane.until(lambda: pane.lines()[-1].startswith("›"))
        pane.send("Escape")
        pane.send("Escape")
        pane.type("isunset?")
        pane.until_shown("› sunset?")
        assert "▸" not in pane.text()


def test_a_reply_of_the_terminal_that_comes_at_the_next_prompt_is_not_typed() -> None:
    late = b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?1;2c"
    steps = [("›".encode(), b"1?\r"), (b"Blue.", late + b"2?\r"), (b"Red.", b"\x04")]

    seconds = iter(range(60))

    def typed(written: bytes) -> bytes:
        next(seconds)  # which raises when the time is up
        return steps.pop(0)[1] if steps and steps[0][0] in written else b""

    with Script(says("Blue."), says("Red.")) as server:
        arguments = ["chat", *server_flags("ollama", server.url)]
        status, _, written = on_terminal(arguments, idle=typed, TMUX="", STY="")
        assert sent(server)[-1][-1] == ("user", "2?")
    assert b"\x1b[c" in written  # it was asked
    assert status == 0
