"""What Tab offers in the line of a chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.chat.commands import COMMANDS
from chatstream.chat.completing import completions
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from tests.support.chats import Typed, says, session_at
from tests.support.loopback import Reply, Script
from tests.support.roles import write_role


def offered(before: str, session: Session | None = None) -> list[str]:
    """The lines that the completions make of this one."""
    found = completions(session or Session({}), before)
    return [before[: len(before) - it.begun] + it.text for it in found]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one.txt", "other one.txt", ".hidden", "folder/inner.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_the_home_of_nobody_has_no_files() -> None:
    assert offered("@~nobody-at-all/") == []


def test_commands_are_offered_at_the_beginning_alone() -> None:
    assert offered("/") == list(COMMANDS)
    assert offered("/he") == ["/help"]
    assert offered("and /he") == []
    assert offered("") == []


@pytest.mark.usefixtures("folder")
def test_files_are_offered_after_an_at_sign_and_where_a_command_takes_them() -> None:
    assert offered("look at @o") == ["look at @one.txt", "look at @'other one.txt'"]
    assert offered("@fo") == ["@folder/"]
    assert offered("@folder/") == ["@folder/inner.txt"]
    assert offered("@.h") == ["@.hidden"]
    assert offered("@nowhere/") == []
    assert offered("/file one.txt o") == ["/file one.txt one.txt"]
    assert offered("/save on") == ["/save one.txt"]


def test_runs_of_the_conversation_come_first() -> None:
    with Script(says("one"), says("two")) as server:
        session = session_at(server)
        chat(session, Typed("1?", "2?"))
    newest, oldest = [f"/goto {it.run}" for it in session.turns[::-1]]
    assert offered("/goto ", session)[:2] == [newest, oldest]


def test_models_are_those_of_the_server() -> None:
    tags = Reply.json({"models": [{"name": "qwen3:4b"}, {"name": "llama3.2"}]})
    with Script(tags, tags) as server:
        session = session_at(server)
        assert offered("/model q", session) == ["/model qwen3:4b"]
        assert offered("/retry -m l", session) == ["/retry -m llama3.2"]


def test_a_server_that_does_not_answer_offers_nothing() -> None:
    assert offered("/model q", Session({"provider": "nowhere"})) == []


def test_settings_and_their_values_are_offered() -> None:
    assert offered("/set tempe") == ["/set temperature"]
    assert offered("/set wrap w") == ["/set wrap words"]


def test_tools_roles_and_their_variables_are_offered() -> None:
    write_role("translate", "From {{source}} into {{language}}.\n")
    assert offered("/tool gre") == ["/tool grep"]
    assert offered("/tool grep,read_f") == ["/tool grep,read_file"]
    assert offered("/role ") == ["/role translate"]
    assert offered("/role tr") == ["/role translate"]
    assert offered("/role translate so") == ["/role translate source="]
    assert offered("/role translate source=x ") == ["/role translate source=x language="]
    assert offered("/role nowhere ") == []
    assert offered("/trim o") == ["/trim on", "/trim off"]
