"""`ask --role`: what is sent, what a resumed run keeps, and what a role cannot bring about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.answers import frames, headers
from tests.support.chats import says, sent
from tests.support.client import run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.roles import write_role

TRANSLATE = "+++\ntemperature = 0.25\nretries = 0\n+++\nYou translate into {{language}}.\n"
FRENCH = ["--role", "translate", "--var", "language=French"]
CUT = Reply(frames("ollama", ["half"]), headers=headers("ollama"))


def asks(server: Script, *options: str, question: str = "hi", status: int = 0) -> str:
    """Ask; what is on standard error."""
    flags = server_flags("ollama", server.url)
    done = run_here(["ask", *flags, *options, question])
    assert done.status == status, done.stderr
    return done.stderr


def bodies(server: Script) -> list[dict[str, Any]]:
    return [it.json for it in server.requests if it.path == "/api/chat"]


def test_the_role_gives_the_system_prompt_and_the_settings() -> None:
    write_role("translate", TRANSLATE)
    with Script(says("salut"), says("salut")) as server:
        asks(server, *FRENCH)
        asks(server, *FRENCH, "--temperature", "1", "--system", "Be brief.")
        first, second = bodies(server)
    assert first["messages"][0] == {"role": "system", "content": "You translate into French."}
    assert first["options"]["temperature"] == 0.25
    assert second["messages"][0]["content"] == "Be brief."
    assert second["options"]["temperature"] == 1


def test_the_question_is_sent_inside_of_a_role_that_contains_it(tmp_path: Path) -> None:
    write_role("fix", "Correct this:\n\n{{input}}\n\nAdd nothing.")
    (tmp_path / "a.txt").write_text("a {{b}}")
    with Script(says("it"), says("it")) as server:
        asks(server, "--role", "fix", "-f", str(tmp_path / "a.txt"), question="teh")
        asks(server, "-c", "--role", "fix", question="agian")
        first, second = sent(server)
    assert [role for role, _ in first] == ["user"]
    text = first[0][1]
    assert text.startswith("Correct this:\n\nteh\n\n")
    assert "a {{b}}" in text
    assert text.endswith("\n\nAdd nothing.")
    assert second[-1] == ("user", "Correct this:\n\nagian\n\nAdd nothing.")


def test_a_resumed_run_keeps_what_the_role_gave_even_if_its_file_is_gone() -> None:
    # Without on_drop = "stop" from the role it would ask again by itself.
    path = write_role("r", '+++\ntemperature = 0.25\non_drop = "stop"\nretries = 0\n+++\nBe kind.')
    with Script(CUT, CUT, says(" whole")) as server:
        asks(server, "--role", "r", status=5)
        path.unlink()
        flags = ["--provider", "ollama", "--base-url", server.url]
        assert run_here(["resume", *flags]).status == 5
        assert len(bodies(server)) == 2
        assert run_here(["resume", *flags]).status == 0
        first, second, third = bodies(server)
    assert first["messages"][0] == second["messages"][0] == third["messages"][0]
    assert first["messages"][0]["content"] == "Be kind."
    assert {it["options"]["temperature"] for it in (first, second, third)} == {0.25}


def test_a_conversation_keeps_its_role_and_may_name_it_again() -> None:
    write_role("translate", TRANSLATE)
    write_role("other", "Be kind.")
    write_role("hot", "+++\ntemperature = 1.5\nmodel = 'hot'\n+++\n")
    with Script(*[says("salut")] * 4) as server:
        asks(server, *FRENCH)
        asks(server, "-c")
        asks(server, "-c", *FRENCH)
        done = run_here(["ask", "-c", "--role", "hot", "hi"])
        assert done.status == 0, done.stderr
        messages = sent(server)
        heat = [(it["model"], it["options"]["temperature"]) for it in bodies(server)]
        told = asks(server, "-c", "--role", "other", status=2)
    assert [[role for role, _ in it].count("system") for it in messages] == [1, 1, 1, 1]
    assert heat == [("m", 0.25)] * 3 + [("hot", 1.5)]
    assert told == (
        "error: the conversation has its own system prompt\n"
        "leave --role out, or ask without continuing\n"
    )


def test_a_role_that_names_a_model_takes_a_conversation_to_it() -> None:
    write_role("demo", "+++\nprovider = 'demo'\nmodel = 'demo-fast'\n+++\n")
    with Script(says("Blue.")) as server:
        asks(server)
        done = run_here(["ask", "-c", "--role", "demo", "hi"])
    assert (done.status, b"demo model" in done.stdout) == (0, True)


def test_a_tool_of_a_role_is_asked_about_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_role("r", "+++\ntools = ['write_file', 'time']\n+++\n")
    done = run_here(["ask", "-p", "demo", "-m", "demo-fast", "--role", "r", "--json", "hi"])
    assert done.status == 0
    assert b'"denied"' in done.stdout
    (journal,) = journals(runs_folder())
    assert b'"tools":["write_file","time"]' in journal.read_bytes()


@pytest.mark.parametrize("line", ["allow = ['shell']", "sandbox = 'off'", "tool_exec = ['./x']"])
def test_a_role_grants_no_rights(line: str) -> None:
    path = write_role("r", f"+++\n{line}\n+++\nhi")
    with Script() as server:
        told = asks(server, "--role", "r", status=2)
    message, hint = told.splitlines()
    assert message.startswith(f"error: role r in {path}, line 2: ")
    assert hint == "use the option, or the configuration"


def test_a_mistake_is_told_before_anything_is_asked() -> None:
    write_role("translate", TRANSLATE)
    with Script() as server:
        assert asks(server, "--role", "translte", status=2) == (
            "error: unknown role 'translte'\ndid you mean 'translate'?\n"
        )
        assert asks(server, "--role", "translate", status=2) == (
            "error: role translate needs a value for language\n--var language=VALUE\n"
        )
        assert asks(server, "--var", "a=b", status=2) == (
            "error: --var needs a role\nadd --role NAME\n"
        )
        assert server.requests == []
