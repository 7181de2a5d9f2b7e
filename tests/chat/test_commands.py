"""Each command of a chat, and what is no command."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.chat import commands
from chatstream.chat.commands import COMMANDS, Leave
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.errors import UsageError
from tests.support.chats import Typed, holds, says, sent, session_at, stop_when_holding
from tests.support.images import png
from tests.support.loopback import Reply, Script

REFUSED = Reply.json({"error": "no"}, status=400)


def talk(
    *lines: str, replies: tuple[Reply, ...] = ()
) -> tuple[Session, list[list[tuple[str, str]]]]:
    """A chat of these lines; the session, and what was sent. Every answer has its number."""
    answers = replies or tuple(says(f"answer {number}") for number in range(1, 6))
    with Script(*answers) as server:
        session = session_at(server)
        assert chat(session, Typed(*lines)) == 0
        return session, sent(server)


def test_help_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    talk("/help")
    shown = capfd.readouterr().err
    assert [name for name in COMMANDS if f"  {name} " not in shown] == []
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_two_slashes_are_one_in_a_message() -> None:
    assert talk("//etc is a folder", "a / b")[1][-1] == [
        *(("user", "/etc is a folder"), ("assistant", "answer 1"), ("user", "a / b"))
    ]


@pytest.mark.parametrize("command", ["/file", "/image", "/save", "/export"])
@pytest.mark.parametrize("name", ["~nobody-at-all/x", "x" * 300])
def test_a_name_that_no_file_can_have_is_a_mistake(
    command: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    session, asked = talk("hello", f"{command} {name}", "again")
    assert len(asked) == 2
    assert not session.files
    assert not session.images
    assert f"error: {name[:9]}" in capfd.readouterr().err


def test_a_message_may_name_the_home_of_nobody() -> None:
    assert talk("write to @~nobody-at-all")[1][-1] == [("user", "write to @~nobody-at-all")]


def test_what_follows_a_command_may_begin_on_the_next_line() -> None:
    assert talk("/system\nYou are a poet.")[0].system == "You are a poet."


def test_a_command_takes_nothing_from_the_lines_below_it() -> None:
    session, asked = talk("hello", "/undo\nand this")
    assert len(session.turns) == 1
    assert len(asked) == 1


@pytest.mark.parametrize("line", ["/nonsense", "/exit now", "/edit x", "/edit 0", "/retry x"])
def test_a_mistake_is_told_and_nothing_is_sent(
    line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert talk(line)[1] == []
    assert capfd.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "line", ["/set nonsense 1", "/set temperature hot", "/set options 1", "/set model m", "/set t"]
)
def test_a_setting_that_cannot_be_set_is_told(line: str) -> None:
    session = Session({})
    with pytest.raises(Exception, match=r"\w"):
        commands.run(session, line)
    assert session.flags == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/model @", "nothing follows the @"),
        ("/model m@nowhere", "unknown provider or profile 'nowhere'"),
        ("/model m@olama", "did you mean 'ollama'?"),
        ("/set provider olama", "did you mean 'ollama'?"),
        ("/set base_url http://[", "is not an address"),
        ("/set strategy none", "unknown strategy"),
        ("/set fallback m@nowhere", "unknown provider or profile 'nowhere'"),
        ("/set code_theme monokay", "did you mean 'monokai'?"),
        ("/set tools calculat", "did you mean 'calculate'?"),
        ("/set temperature hot", "temperature"),
        ("/set temprature 1", "did you mean 'temperature'?"),
        ("/set zzz 1", "`chatstream config show` lists the settings"),
        ("/set options 1", "/set options.KEY VALUE"),
        ("/set model m", "/model m"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once_and_changes_nothing(
    line: str, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstream.terminal.look.is_screen", lambda *_, **__: True)
    session, typed = Session({"model": "n"}), Typed(line)
    assert chat(session, typed) == 0
    told = capfd.readouterr().err
    assert said in told
    assert "max_tokens" not in told  # a list of all settings is no help
    assert session.flags == {"model": "n"}
    assert typed.drafts == ["", line]


def test_who_sets_a_setting_is_told_what_holds_now(capfd: pytest.CaptureFixture[str]) -> None:
    session = Session({"provider": "demo", "options": ["seed=7"]})
    commands.run(session, "/set temperature 0.5")
    commands.run(session, "/set options.top_k 5")
    commands.run(session, "/set tools time,calculate")
    commands.run(session, "/set max_tokens")
    commands.run(session, "/set")
    assert capfd.readouterr().err.splitlines() == [
        *("temperature = 0.5", "options.top_k = 5", "tools = time,calculate", "max_tokens = -"),
        *('options = {"seed":7,"top_k":5}', "provider = demo", "temperature = 0.5"),
        "tools = time,calculate",
    ]
    commands.run(Session({}), "/set")
    assert capfd.readouterr().err == "nothing is set for this chat\n"


def test_no_secret_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    session = Session({"provider": "demo", "headers": ["Authorization: Bearer hidden-words"]})
    commands.run(session, "/set api_key sk-secret-words-1234567890")
    commands.run(session, "/set options.api_token another-secret-word")
    commands.run(session, "/set base_url http://me:pass-words@localhost:1/v1")
    commands.run(session, "/set")
    told = capfd.readouterr().err
    assert "api_key = " in told
    assert [it for it in ("secret", "hidden", "pass-words") if it in told] == []
    assert session.flags["api_key"] == "sk-secret-words-1234567890"


def test_a_retry_asks_in_the_same_place() -> None:
    session, asked = talk("1?", "2?", "/retry")
    assert asked[2] == asked[1]
    assert [it.answer.content for it in session.turns] == ["answer 1", "answer 3"]


def test_a_retry_may_ask_another_model_once() -> None:
    with Script(says("one"), says("two"), says("three")) as server:
        chat(session_at(server), Typed("1?", "/retry -m other", "2?"))
        models = [it.json["model"] for it in server.requests if it.path == "/api/chat"]
    assert models == ["m", "other", "m"]


def test_a_retry_that_fails_leaves_the_old_answer() -> None:
    session, _ = talk("1?", "/retry", replies=(says("one"), REFUSED))
    assert [it.answer.content for it in session.turns] == ["one"]


def test_a_question_that_failed_is_asked_again() -> None:
    session, asked = talk("1?", "/retry", replies=(REFUSED, says("one")))
    assert asked[0] == asked[1]
    assert [it.question.content for it in session.turns] == ["1?"]


def test_edit_puts_the_question_into_the_prompt_and_changes_nothing_yet() -> None:
    with Script(says("one"), says("two"), says("three")) as server:
        session, typed = session_at(server), Typed("1?", "2?", "/edit 1")
        chat(session, typed)
    assert typed.drafts[-1] == "1?"
    assert session.editing == 0
    assert len(session.turns) == 2


def test_what_is_undone_is_reached_again_by_its_run() -> None:
    with Script(says("one"), says("two"), says("three")) as server:
        session = session_at(server)
        chat(session, Typed("1?", "2?"))
        run = session.head
        chat(session, Typed("/undo", f"/goto {run}", "3?"))
        assert [text for _, text in sent(server)[-1]] == ["1?", "one", "2?", "two", "3?"]


def test_clear_begins_a_new_conversation() -> None:
    session, asked = talk("1?", "/clear", "2?")
    assert asked[1] == [("user", "2?")]
    assert len(session.turns) == 1


def test_files_go_with_the_next_message_alone(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("the text\n")
    _, asked = talk(f"/file '{tmp_path}/a b.txt'", "1?", "2?")
    assert asked[0] == [("user", f"1?\n\n{tmp_path}/a b.txt:\n```\nthe text\n```")]
    assert asked[1][-1] == ("user", "2?")


def test_images_go_with_the_next_message_and_stay_with_an_edited_question(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with Script(*(says("one") for _ in range(3))) as server:
        session = session_at(server)
        chat(session, Typed(f"/image {tmp_path}/a.png", "1?", "2?", "/edit 1", "3?"))
        bodies = [it.json["messages"] for it in server.requests if it.path == "/api/chat"]
    images = [[bool(it.get("images")) for it in body if it["role"] == "user"] for body in bodies]
    assert images == [[True], [True, False], [True]]


def test_files_stay_with_a_question_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the text\n")
    session, _ = talk(f"/file {path}", "1?", replies=(REFUSED,))
    assert session.files == [str(path)]


@pytest.mark.parametrize("command", ["/file", "/image"])
def test_of_several_files_with_a_mistake_none_is_added(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("the text\n")
    session, asked = talk(f"{command} {tmp_path}/a {tmp_path}/missing https://e.com/b", "1?")
    assert (session.files, session.images) == ([], [])
    assert asked == [[("user", "1?")]]
    assert f"{tmp_path}/missing is not a file" in capfd.readouterr().err


def test_the_answer_and_the_conversation_are_written_to_files(tmp_path: Path) -> None:
    talk("1?", f"/save {tmp_path}/answer", f"/export {tmp_path}/all.md")
    assert (tmp_path / "answer").read_text() == "answer 1"
    assert (tmp_path / "all.md").read_text() == "## user\n\n1?\n\n## assistant\n\nanswer 1\n\n"


def test_a_name_finds_the_conversation_again() -> None:
    from chatstream.engine.place import place_of

    session, _ = talk("1?", "/name sky")
    assert place_of(name="sky").parent == session.head


def test_a_name_may_be_given_before_the_first_question() -> None:
    from chatstream.engine.place import place_of

    session, _ = talk("/name sky", "1?")
    assert place_of(name="sky").parent == session.head


def test_the_last_exchanges_and_figures_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    talk("1?", "2?", "/history 1", "/stats")
    shown = capfd.readouterr().err
    assert "── 2 ── 2?\nanswer 2\n" in shown
    assert "── 1 ──" not in shown
    assert "2 questions in this conversation" in shown


def test_the_branches_are_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    talk("1?", "2?", "/retry", "/branches")
    out = capfd.readouterr().out
    assert out.count("2?") == 2
    assert "├─" in out


def test_there_is_nothing_to_continue_after_a_whole_answer() -> None:
    with pytest.raises(UsageError, match="no answer to continue"):
        commands.run(talk("1?")[0], "/continue")


def test_an_answer_that_was_stopped_before_a_word_is_continued_too() -> None:
    with Script(holds(), says("one")) as server:
        session = session_at(server)
        stop_when_holding(server)
        chat(session, Typed("1?", "/continue"))
    assert [it.answer.content for it in session.turns] == ["one"]


def test_exit_leaves() -> None:
    with pytest.raises(Leave):
        commands.run(Session({}), "/exit")
    assert talk("/exit", "1?")[1] == []
