"""`chatstream chat` where there is no terminal: each line is a turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chats import says, sent
from tests.support.client import run, run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.roles import write_role

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


def test_a_role_holds_for_the_whole_chat_and_for_what_continues_it() -> None:
    write_role("kind", "+++\ntemperature = 0.25\n+++\nBe {{how}}.")
    role = ["--role", "kind", "--var", "how=kind"]
    with Script(*[says("yes")] * 5) as server:
        talk(server, "1?\n2?\n/clear\n3?\n", *role)
        talk(server, "4?\n", "-c")
        talk(server, "5?\n", "-c", *role)
        asked = [it.json for it in server.requests if it.path == "/api/chat"]
    systems = [
        [it["content"] for it in body["messages"] if it["role"] == "system"] for body in asked
    ]
    assert systems == [["Be kind."]] * 5
    assert [body["options"]["temperature"] for body in asked] == [0.25] * 5
    assert [len(body["messages"]) for body in asked] == [2, 4, 2, 4, 6]


def test_a_role_that_cannot_be_had_in_a_chat_is_a_mistake() -> None:
    write_role("fix", "Correct this: {{input}}")
    write_role("kind", "Be kind.")
    with Script(says("yes")) as server:
        status, _, told = talk(server, "1?\n", "--role", "fix")
        assert (status, told) == (
            2,
            "error: role fix is a template for one question, and a chat cannot use it\n"
            "`chatstream ask --role fix` uses it\n",
        )
        talk(server, "1?\n")
        status, _, told = talk(server, "2?\n", "-c", "--role", "kind")
        assert (status, told) == (
            2,
            "error: the conversation has its own system prompt\n"
            "leave --role out, or ask without continuing\n",
        )


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [(["ask", "hello"], None), (["chat"], b"hello\n"), (["chat", "--help"], None)],
)
def test_only_a_chat_on_a_terminal_imports_the_line_editor(
    arguments: list[str], stdin: bytes | None
) -> None:
    server = [] if "--help" in arguments else ["-p", "demo", "-m", "demo-fast"]
    done = run([*arguments, *server], stdin=stdin, PYTHONPROFILEIMPORTTIME="1")
    assert done.status == 0
    assert "chatstream.cli.app" in done.stderr
    assert "prompt_toolkit" not in done.stderr
