"""`--context-files`, as a user has it: what is sent, what is said, and when nothing is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream.chat.loop import chat
from tests.support.chats import Typed, says, sent, session_at
from tests.support.client import Finished, run_here, server_flags
from tests.support.loopback import Script
from tests.support.roles import write_role

RULES = "Instructions from AGENTS.md:\n\nUse tabs."


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is a repository with an `AGENTS.md`."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "AGENTS.md").write_text("Use tabs.\n")
    monkeypatch.chdir(folder)
    return folder


def ask(server: Script, *arguments: str, **environ: Any) -> Finished:
    flags = [*server_flags("ollama", server.url), "--retries", "0"]
    return run_here(["ask", *flags, *arguments, "what?"], **environ)


def systems(server: Script) -> list[list[str]]:
    """The system prompts of each question that was asked."""
    return [[text for role, text in asked if role == "system"] for asked in sent(server)]


def test_nothing_is_read_unless_somebody_asks_for_it() -> None:
    with Script(says("Yes.")) as server:
        assert "AGENTS.md" not in ask(server).stderr
        assert systems(server) == [[]]


def test_what_is_read_is_the_system_prompt_and_is_said(project: Path) -> None:
    with Script(says("Yes."), says("No.")) as server:
        done = ask(server, "--context-files")
        assert f"system prompt: with {project}/AGENTS.md\n" in done.stderr
        assert done.stdout == b"Yes."
        ask(server, CHATSTREAM_CONTEXT_FILES="true")
        assert systems(server) == [[RULES], [RULES]]


def test_it_comes_behind_a_system_prompt_and_a_role() -> None:
    write_role("brief", "Be brief.")
    with Script(says("Yes."), says("No.")) as server:
        ask(server, "--context-files", "-s", "Be kind.")
        ask(server, "--context-files", "--role", "brief")
        assert systems(server) == [[f"Be kind.\n\n{RULES}"], [f"Be brief.\n\n{RULES}"]]


def test_a_conversation_that_goes_on_has_its_own(project: Path) -> None:
    with Script(*(says(str(it)) for it in range(3))) as server:
        ask(server, "--context-files")
        (project / "AGENTS.md").write_text("Use spaces.")
        done = ask(server, "-c", CHATSTREAM_CONTEXT_FILES="true")
        assert "AGENTS.md" not in done.stderr
        assert systems(server) == [[RULES], [RULES]]
        done = ask(server, "-c", "--context-files")
        assert len(sent(server)) == 2
    assert done.status == 2
    assert "the conversation has its own system prompt" in done.stderr
    assert "leave --context-files out" in done.stderr


def test_a_role_with_it_may_be_named_again_later() -> None:
    write_role("brief", "Be brief.")
    write_role("long", "Be")
    with Script(*(says(str(it)) for it in range(3))) as server:
        ask(server, "--role", "brief", CHATSTREAM_CONTEXT_FILES="true")
        assert ask(server, "-c", "--role", "brief", CHATSTREAM_CONTEXT_FILES="true").status == 0
        assert ask(server, "-c", "--role", "long").status == 2
        assert systems(server) == [[f"Be brief.\n\n{RULES}"]] * 2


def test_where_there_is_none_whoever_asked_for_it_is_told(project: Path) -> None:
    (project / "AGENTS.md").unlink()
    with Script(says("Yes."), says("No.")) as server:
        assert "there is no AGENTS.md in this folder" in ask(server, "--context-files").stderr
        assert "AGENTS.md" not in ask(server, CHATSTREAM_CONTEXT_FILES="true").stderr
        assert systems(server) == [[], []]


def test_one_that_cannot_be_used_is_a_mistake_and_nothing_is_asked(project: Path) -> None:
    (project / "AGENTS.md").write_bytes(b"caf\xe9")
    with Script(says("never")) as server:
        done = ask(server, "--context-files")
        assert server.requests == []
    assert done.status == 2
    assert f"error: {project}/AGENTS.md is not UTF-8 text" in done.stderr


def test_each_new_conversation_of_a_chat_has_it(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def changes(_: object) -> str:
        (project / "AGENTS.md").write_text("Use spaces.")
        return "two?"

    with Script(*(says(str(it)) for it in range(4))) as server:
        session = session_at(server, context_files=True)
        lines = ("one?", changes, "/clear", "three?")
        assert chat(session, Typed(*lines)) == 0
        asked = systems(server)
    spaces = RULES.replace("tabs", "spaces")
    assert asked == [[RULES], [RULES], [spaces]]
    assert capfd.readouterr().err.count(f"with {project}/AGENTS.md") == 2


def test_a_chat_that_goes_on_has_its_own() -> None:
    with Script(*(says(str(it)) for it in range(4))) as server:
        flags = [*server_flags("ollama", server.url), "--context-files"]
        for more in ((), ("-c",)):
            done = run_here(["chat", *flags, *more], stdin=b"one?\n")
            assert done.status == 0
        assert systems(server) == [[RULES], [RULES]]
    assert "AGENTS.md" not in done.stderr


def test_a_role_cannot_have_it_read() -> None:
    write_role("nosy", "+++\ncontext_files = true\n+++\nBe brief.")
    with Script(says("never")) as server:
        done = ask(server, "--role", "nosy")
    assert done.status == 2
    assert "a role cannot set context_files" in done.stderr


def test_a_program_may_ask_for_it() -> None:
    with Script(says("Yes."), says("No.")) as server:
        options = {"provider": "ollama", "base_url": server.url, "model": "m"}
        with chatstream.Client(**options, context_files=True) as client:  # type: ignore[arg-type]
            talk = client.conversation()
            for _ in talk.stream("one?"):
                pass
            for _ in talk.stream("two?"):
                pass
        assert systems(server) == [[RULES], [RULES]]
