"""`chatstream chat` where there is no terminal: each line is a turn."""

from __future__ import annotations

from pathlib import Path

from tests.support.chats import says, sent
from tests.support.client import run_here, server_flags
from tests.support.loopback import Reply, Script

REFUSED = Reply.json({"error": "no"}, status=400)


def talk(server: Script, text: str, *more: str) -> tuple[int, str, str]:
    flags = [*server_flags("ollama", server.url), "--retries", "0"]
    done = run_here(["chat", *flags, *more], stdin=text.encode())
    return done.status, done.stdout.decode(), done.stderr


def test_each_line_is_a_turn_and_standard_output_has_the_answers_alone() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        status, out, beside = talk(server, "noon?\n\n/stats\nsunset?")
        assert (status, out) == (0, "Blue.\nRed.\n")
        assert beside.startswith("1 question in this conversation\n")
        assert [text for _, text in sent(server)[1]] == ["noon?", "Blue.", "sunset?"]


def test_the_last_failure_is_the_exit_status() -> None:
    with Script(REFUSED, says("Red.")) as server:
        status, out, _ = talk(server, "noon?\nsunset?\n")
    assert (status, out) == (3, "Red.\n")
    with Script() as server:
        assert talk(server, "/nonsense\n")[0] == 2


def test_the_newest_conversation_and_a_named_one_are_continued(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the text")
    with Script(says("Blue."), says("Red."), says("Dark.")) as server:
        talk(server, "noon?\n", "--name", "sky", "-s", "Be brief.")
        talk(server, "sunset?\n", "-c", "-f", str(tmp_path / "a.txt"))
        talk(server, "night?\n", "--name", "sky")
        last = sent(server)[-1]
    assert [role for role, _ in last] == ["system", *["user", "assistant"] * 2, "user"]
    assert last[3][1].startswith("sunset?\n\n")
    assert "the text" in last[3][1]


def test_a_place_that_does_not_exist_is_a_mistake() -> None:
    done = run_here(["chat", "--at", "20260101"], stdin=b"")
    assert (done.status, done.stdout) == (2, b"")
