"""Tools and roles that a chat gets on its way."""

from __future__ import annotations

import pytest

from chatstream.chat.equipping import BEGINS_ANOTHER
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import place_of
from chatstream.store.conversation import Conversations
from chatstream.store.place import state_folder
from tests.support.chats import Typed, flags_of, says, sent, session_at
from tests.support.loopback import Script
from tests.support.roles import write_role

KIND = '+++\ntemperature = 0.25\nmodel = "kind"\n+++\nBe kind.\n'

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def roles() -> None:
    write_role("kind", KIND)
    write_role("plain", "+++\ntemperature = 0.75\n+++\n")
    write_role("translate", "Into {{language}}.\n")
    write_role("question", "Translate: {{input}}\n")
    write_role("lost", '+++\nmax_tokens = "many"\n+++\nBe lost.\n')


def bodies(server: Script) -> list[dict[str, object]]:
    return [it.json for it in server.requests if it.path == "/api/chat"]


def tools_in(body: dict[str, object]) -> list[str]:
    described = body.get("tools", [])
    assert isinstance(described, list)
    return [it["function"]["name"] for it in described]


# ---- tools


def test_tools_are_added_to_those_that_the_chat_has(capfd: Capture) -> None:
    with Script(says("one"), says("two")) as server:
        session = session_at(server, tools=["calculate"])
        chat(session, Typed("1?", "/tool grep,read_file calculate", "2?"))
        assert [tools_in(it) for it in bodies(server)] == [
            *(["calculate"], ["calculate", "grep", "read_file"])
        ]
    assert "tools = calculate,grep,read_file\n" in capfd.readouterr().err


def test_tools_are_added_to_those_that_the_conversation_began_with() -> None:
    with Script(says("one"), says("two")) as server:
        chat(session_at(server, tools=["calculate"]), Typed("1?"))
        chat(Session(flags_of(server), place_of(last=True)), Typed("/tool grep", "2?"))
        assert tools_in(bodies(server)[1]) == ["calculate", "grep"]


def test_an_unknown_tool_is_one_error_with_a_suggestion_and_adds_nothing(capfd: Capture) -> None:
    with Script(says("one")) as server:
        session = session_at(server)
        chat(session, Typed("/tool grep grpe", "1?"))
        assert tools_in(bodies(server)[0]) == []
    shown = capfd.readouterr().err
    assert shown.count("error: ") == 1
    assert "there is no tool 'grpe'\ndid you mean 'grep'?\n" in shown
    assert "tools" not in session.flags


def test_the_tools_are_shown_with_every_source(capfd: Capture) -> None:
    with Script() as server:
        chat(session_at(server), Typed("/tool"))
        assert "no tools; /tool NAME... lets the model use some" in capfd.readouterr().err
        chat(session_at(server, tools=["grep"], tools_file="t.py"), Typed("/tool"))
        assert "tools = grep\ntools_file = t.py\n" in capfd.readouterr().err


# ---- roles


def test_a_role_begins_a_new_conversation_that_has_all_messages(capfd: Capture) -> None:
    with Script(says("one"), says("two"), says("three")) as server:
        session = session_at(server, system="Be brief.", model=None)
        session.flags["model"] = "m"
        chat(session, Typed("1?"))
        old = str(session.head)
        del session.flags["model"]
        chat(session, Typed("/role kind", "2?", "3?"))
        first, second, third = bodies(server)
        assert sent(server)[1] == [
            *(("system", "Be kind."), ("user", "1?"), ("assistant", "one"), ("user", "2?"))
        ]
    assert [it["model"] for it in (first, second, third)] == ["m", "kind", "kind"]
    assert third["options"] == {"temperature": 0.25}
    assert BEGINS_ANOTHER in capfd.readouterr().err
    conversations = Conversations(state_folder())
    assert conversations.root(str(session.head)) != old
    assert len(conversations.path(old)) == 3


def test_a_role_before_the_first_question_is_that_of_the_conversation(capfd: Capture) -> None:
    with Script(says("one")) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("/role kind", "1?"))
        assert sent(server) == [[("system", "Be kind."), ("user", "1?")]]
        assert bodies(server)[0]["model"] == "m"
    shown = capfd.readouterr().err
    assert "settings of this chat override the role: model" in shown
    assert BEGINS_ANOTHER not in shown


def test_a_role_without_a_system_prompt_continues_the_conversation(capfd: Capture) -> None:
    with Script(says("one"), says("two")) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("1?", "/role plain", "2?"))
        assert [role for role, _ in sent(server)[1]] == ["system", "user", "assistant", "user"]
        assert bodies(server)[1]["options"] == {"temperature": 0.75}
    assert BEGINS_ANOTHER not in capfd.readouterr().err
    assert Conversations(state_folder()).root(str(session.head)) == session.turns[0].run


def test_the_variables_of_a_role_are_given_behind_its_name(capfd: Capture) -> None:
    with Script(says("one")) as server:
        chat(session_at(server), Typed("/role translate", "/role translate language=French", "1?"))
        assert sent(server)[0][0] == ("system", "Into French.")
    shown = capfd.readouterr().err
    assert "role translate needs a value for language\nlanguage=VALUE\n" in shown


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/role knid", "did you mean 'kind'?"),
        ("/role question", "is a template for one question"),
        ("/role lost", "max_tokens"),
        ("/role translate tone=x", "has no variable 'tone'"),
        ("/role translate 'x", "quotation mark"),
    ],
)
def test_a_role_that_cannot_be_used_is_one_error_and_changes_nothing(
    line: str, words: str, capfd: Capture
) -> None:
    with Script(says("one"), says("two")) as server:
        session = session_at(server, system="Be brief.")
        chat(session, Typed("1?", line, "2?"))
        assert sent(server)[1][0] == ("system", "Be brief.")
        assert len(sent(server)[1]) == 4
    shown = capfd.readouterr().err
    assert words in shown
    assert shown.count("error: ") == 1
    assert session.role is None


def test_the_roles_are_shown(capfd: Capture) -> None:
    with Script() as server:
        chat(session_at(server), Typed("/role", "/role plain", "/role"))
    shown = capfd.readouterr().err
    assert "role: none\nthe roles are: kind, lost, plain, question, translate\n" in shown
    assert "role: plain\n" in shown


def test_the_prompt_shows_the_model_of_the_role_that_is_used_now() -> None:
    with Script(says("one")) as server:
        session = session_at(server)
        chat(session, Typed("1?"))
        del session.flags["model"]
        assert session.model == "m"
        chat(session, Typed("/role kind"))
        assert session.model == "kind"


def test_a_stopped_answer_of_the_old_conversation_is_not_continued_in_the_new_one() -> None:
    with Script(says("one")) as server:
        session = session_at(server)
        chat(session, Typed("1?"))
        session.stopped = session.head
        chat(session, Typed("/role kind"))
    assert session.stopped is None
