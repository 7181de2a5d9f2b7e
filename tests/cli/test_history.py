"""`history`, as a user types it: listed, shown, searched, exported, removed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.cli.commands import COMMANDS
from chatstream.messages import Message, decoder
from chatstream.store.conversation import Conversations
from chatstream.store.entries import Conversation
from chatstream.store.place import runs_folder, state_folder
from tests.support.client import COMMAND, run, run_here
from tests.support.runs import STATS, failed, run_id, running, write_run
from tests.support.terminal import on_terminal

EVIL = "\x1b]0;evil\x07 \x9b31m \u202e"
TEXTS = ["é😀", "a\r\nb\rc", "no end", "one end\n", "\n\n  ends \n\n", EVIL, "nul\0 and \x7f", ""]


@pytest.fixture
def folder() -> Path:
    """The state folder of every client here; not made yet."""
    return state_folder()


def test_the_command_is_there() -> None:
    assert "history" in COMMANDS
    assert b"search" in run_here(["history", "--help"]).stdout


def test_an_empty_history_is_no_failure(folder: Path) -> None:
    for arguments in (["history"], ["history", "list"], ["history", "list", "--json"]):
        done = run(arguments)
        assert (done.status, done.stdout) == (0, b"")
        assert "there are no runs yet" in done.stderr
    assert run_here(["history", "export"]).status == 0
    assert run_here(["history", "search", "word"]).status == 0


def test_runs_are_listed_the_newest_first(folder: Path) -> None:
    write_run(folder, run_id(1), "text", question="first line\nsecond")
    write_run(folder, run_id(2), "text", end=failed(), model="other")
    done = run_here(["history"], TZ="UTC")
    assert done.stdout.decode().splitlines() == [
        f"{run_id(2)}\t2026-01-01 00:00\tdemo/other\ttruncated\twhy?",
        f"{run_id(1)}\t2026-01-01 00:00\tdemo/m\tcomplete\tfirst line",
    ]
    for command in (["history"], ["history", "list"]):
        assert run_here([*command, "-n", "1"]).stdout.count(b"\n") == 1
        listed = [json.loads(it) for it in run_here([*command, "--json"]).stdout.splitlines()]
        assert [(it["id"], it["outcome"]) for it in listed] == [
            (run_id(2), "truncated"),
            (run_id(1), "complete"),
        ]
        assert run_here([*command, "--number", "0"]).status == 2


def test_an_option_before_a_command_is_not_dropped(folder: Path) -> None:
    for option in (["-n", "1"], ["--json"]):
        done = run_here(["history", *option, "search", "word"])
        assert done.status == 2
        assert f"{option[0]} is an option of `search`" in done.stderr + done.stdout.decode()


def test_on_a_pipe_nothing_is_cut_and_a_terminal_is_not_overrun(folder: Path) -> None:
    question = "日本語 " * 60
    write_run(folder, run_id(1), "text", question=question, model=f"m{EVIL}")
    write_run(folder, run_id(2), "text", question=f"why {EVIL}")
    assert question.strip() in run_here(["history"]).stdout.decode()
    status, screen, written = on_terminal(["history"], columns=60)
    assert status == 0
    assert len(screen.text()) == 2
    assert b"\x1b" not in written
    assert run_id(1)[:15] in written.decode()


def test_on_a_terminal_an_id_is_as_short_as_its_neighbours_let_it(folder: Path) -> None:
    ids = [f"20260101-00000{it}-abcd" for it in ("1-000000", "2-000000", "2-100000", "2-120000")]
    for run_ in ids:
        write_run(folder, run_, "text")
    _, screen, _ = on_terminal(["history"], columns=100)
    shown = [line.split()[0] for line in screen.text()]
    assert shown == ["20260101-000002-12", "20260101-000002-10", "20260101-000002-0", ids[0][:15]]
    assert all(run_here(["history", "show", it]).status == 0 for it in shown)


def test_a_killed_run_is_interrupted_and_one_that_goes_on_is_not_there(folder: Path) -> None:
    write_run(folder, run_id(1), "text", killed=True)
    with running(folder, run_id(2), "text"):
        done = run_here(["history"])
        assert b"interrupted" in done.stdout
        assert done.stdout.count(b"\n") == 1
        assert run_here(["history", "rm", run_id(2)]).status == 2
    assert run_here(["history"]).stdout.count(b"\n") == 2


def test_show_has_the_conversation_and_how_it_ended(folder: Path) -> None:
    asked = [Message("system", "be brief"), Message("user", "why?")]
    write_run(folder, run_id(1), "because", asked=asked)
    write_run(folder, run_id(2), "cut", end=failed())
    shown = run_here(["history", "show", run_id(1)[:15]]).stdout.decode()
    assert shown == (
        "── system ──\nbe brief\n\n── user ──\nwhy?\n\n── assistant ──\nbecause\n\n"
        f"complete · demo/m · first token 0.25 s · 3 tokens · 2.5 s · {run_id(1)}\n"
    )
    last = run_here(["history", "show"]).stdout.decode()
    assert "truncated: the stream ended early · demo/m" in last


def test_a_turn_that_the_model_paused_is_not_called_complete(folder: Path) -> None:
    paused = ev.Done(finish_reason="paused", stats=STATS, attempts=1)
    write_run(folder, run_id(1), "so far", end=paused)
    assert run(["history"]).stdout.split(b"\t")[3] == b"paused"
    assert b"\npaused \xc2\xb7 demo/m" in run(["history", "show"]).stdout
    assert b"*paused \xc2\xb7 demo/m" in run(["history", "export"]).stdout


@pytest.mark.parametrize("text", TEXTS)
def test_show_text_is_the_answer_byte_for_byte(folder: Path, text: str) -> None:
    write_run(folder, run_id(1), text)
    done = run_here(["history", "show", "--text"])
    assert (done.status, done.stdout, done.stderr) == (0, text.encode(), "")


@pytest.mark.parametrize("killed", [True, False])
def test_the_text_of_a_cut_answer_says_so_beside_it(folder: Path, killed: bool) -> None:
    write_run(folder, run_id(1), "half", killed=killed, end=failed())
    done = run_here(["history", "show", "--text"])
    assert (done.status, done.stdout) == (0, b"half")
    why = "interrupted" if killed else "truncated: the stream ended early"
    continues = f"`chatstream resume {run_id(1)}` continues it"
    assert done.stderr == f"this answer is cut off ({why}); {continues}\n"


def test_a_cut_answer_that_was_continued_is_whole(folder: Path) -> None:
    write_run(folder, run_id(1), "half", killed=True)
    write_run(folder, run_id(2), "half of it", continues=run_id(1))
    for run_ in (run_id(1), run_id(2)):
        done = run_here(["history", "show", "--text", run_])
        assert (done.stdout, done.stderr) == (b"half of it", "")


def test_an_answer_that_ended_at_the_token_limit_says_so(folder: Path) -> None:
    end = ev.Done(finish_reason="length", stats=STATS, attempts=1)
    write_run(folder, run_id(1), "half", end=end)
    done = run_here(["history", "show", "--text"])
    assert (done.stdout, done.stderr) == (b"half", "the answer stopped at the token limit\n")


def test_a_match_is_marked_on_a_terminal_and_seen_at_80_columns(
    folder: Path,
) -> None:
    filler = "春夏秋冬" * 50
    write_run(folder, run_id(1), f"{filler}。部署{EVIL}{filler}", question="?")
    _, screen, written = on_terminal(["history", "search", "部署"], columns=80)
    assert len(screen.text()) == 1
    assert "\x1b[1m部署\x1b[22m" in written.decode()
    assert written.count(b"\x1b") == 2
    _, _, written = on_terminal(["history", "search", "部署"], columns=80, TERM="dumb")
    assert "部署" in written.decode()
    assert b"\x1b" not in written
    assert b"\x1b[1m" not in run_here(["history", "search", "部署"]).stdout


def test_a_terminal_gets_clean_text(folder: Path) -> None:
    write_run(folder, run_id(1), f"an answer {EVIL}", question=EVIL)
    for arguments in (["show"], ["show", "--text"], ["search", "answer"], ["export"]):
        status, _, written = on_terminal(["history", *arguments], columns=100)
        assert status == 0
        assert b"an answer" in written.replace(b"\x1b[1manswer\x1b[22m", b"answer")
        written = written.replace(b"\x1b[1m", b"").replace(b"\x1b[22m", b"")  # the marks are ours
        for evil in ("\x1b", "\x07", "\x9b", "\u202e"):
            assert evil not in written.decode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show"], "there are no runs yet"),
        (["show", "2026"], "there is no run '2026'"),
        (["rm", "2026"], "there is no run '2026'"),
        (["export", "2026"], "there is no run '2026'"),
        (["list", "-n", "0"], "a whole number from 1"),
        (["export", "--format", "pdf"], "pdf"),
        (["bogus"], "bogus"),
        (["search"], "WORD"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_a_usage_error(
    folder: Path, arguments: list[str], told: str
) -> None:
    done = run_here(["history", *arguments])
    assert (done.status, done.stdout) == (2, b"")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_after_json_a_failure_is_an_event(folder: Path) -> None:
    done = run_here(["history", "show", "--json"])
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (2, "usage")


def test_search_finds_words_and_shows_where(folder: Path) -> None:
    write_run(folder, run_id(1), "The Café\nof Zürich", question="where to?")
    write_run(folder, run_id(2), "nowhere")
    done = run_here(["history", "search", "cafe", "zur*"], TZ="UTC")
    assert done.stdout.decode() == (
        f"{run_id(1)}\t2026-01-01 00:00\tassistant\tThe Café of Zürich\n"
    )
    (found,) = run_here(["history", "search", "--json", "--", "where"]).stdout.splitlines()
    assert json.loads(found)["role"] == "user"
    write_run(folder, run_id(3), "今天讨论了部署方案 the plan", question="?")
    for words in (["部署"], ["部", "plan"], ["方案"]):
        assert run_here(["history", "search", *words]).stdout.decode().startswith(run_id(3))
    nothing = run_here(["history", "search", "-n", "5", 'no" OR *'])
    assert (nothing.status, nothing.stdout) == (0, b"")
    assert "no message contains these words" in nothing.stderr


def test_export_has_all_texts_as_they_are(folder: Path) -> None:
    for number, text in enumerate(TEXTS):
        write_run(folder, run_id(number), text, question=f"question {number}")
    write_run(folder, run_id(90), "one ", killed=True)
    write_run(folder, run_id(91), "one two", continues=run_id(90))
    lines = run_here(["history", "export", "--format", "json"]).stdout.splitlines()
    conversations = [decoder(Conversation).decode(line) for line in lines]
    assert [it.messages[-1].content for it in conversations] == [*TEXTS, "one two"]
    assert [it.messages[0].content for it in conversations[:2]] == ["question 0", "question 1"]
    assert [it.id for it in conversations[-1].runs] == [run_id(90), run_id(91)]
    markdown = run_here(["history", "export"]).stdout.decode()
    for text in TEXTS:
        assert f"## assistant\n\n{text}" in markdown
    one = run_here(["history", "export", run_id(0), run_id(0)]).stdout.decode()
    assert one.startswith("# 2026-01-01")
    assert one.count("## assistant") == 1


def test_what_was_removed_does_not_come_back(folder: Path) -> None:
    for number in (1, 2, 3):
        write_run(folder, run_id(number), "text")
    assert run_here(["history", "rm", run_id(1), "none"]).status == 2
    assert run_here(["history", "rm", run_id(1), run_id(2)]).status == 0
    assert run_here(["history"]).stdout.decode().split("\t")[0] == run_id(3)
    assert [it.stem for it in (folder / "runs").iterdir()] == [run_id(3)]


def test_prune_follows_the_settings(folder: Path) -> None:
    write_run(folder, run_id(1), "text")
    write_run(folder, run_id(2), "text", killed=True)
    done = run_here(["history", "prune"], CHATSTREAM_KEEP_INCOMPLETE="0")
    assert (done.status, done.stdout) == (0, b"")
    assert "journals deleted: 1" in done.stderr
    assert [it.stem for it in (folder / "runs").iterdir()] == [run_id(2)]
    assert run_here(["history"]).stdout.count(b"\n") == 2
    assert run_here(["history", "prune", "--older-than", "1e6"]).status == 0
    assert run_here(["history"]).stdout.count(b"\n") == 2
    assert "conversations deleted: 2" in run_here(["history", "prune", "--older-than", "0"]).stderr
    assert run_here(["history"]).stdout == b""


def test_a_damaged_database_is_told_once_and_costs_nothing(folder: Path) -> None:
    write_run(folder, run_id(1), "text")
    run_here(["history"])
    (folder / "history.db").write_bytes(b"garbage" * 1000)
    done = run_here(["history", "show", "--text"])
    assert (done.status, done.stdout) == (0, b"text")
    assert done.stderr.count("\n") == 1
    assert "damaged" in done.stderr
    assert run_here(["history"]).stderr == ""


def test_a_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_here(["history"], XDG_STATE_HOME=str(tmp_path / "file"))
    assert (done.status, done.stdout) == (1, b"")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough_ends_it_silently(folder: Path) -> None:
    for number in range(30):
        write_run(folder, run_id(number), "text " * 20_000)
    client = subprocess.Popen(
        [*COMMAND, "history", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert client.stdout is not None
    assert client.stderr is not None
    client.stdout.readline()
    client.stdout.close()
    assert (client.wait(30), client.stderr.read()) == (0, b"")
    client.stderr.close()


def test_an_output_that_is_full_is_told(folder: Path) -> None:
    write_run(folder, run_id(1), "text")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "history"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write the output: ")


def test_what_lies_beside_the_journals_hides_none_of_them() -> None:
    run_here(["ask", "-p", "demo", "-m", "demo-fast", "hi"])
    (runs_folder() / "caf\udce9.jsonl").write_text("")
    (runs_folder() / "loop.jsonl").symlink_to("loop.jsonl")
    for arguments in (["list"], ["list", "--json"], ["show"]):
        done = run_here(["history", *arguments])
        assert (done.status, done.stderr) == (0, "")
        assert done.stdout


def test_an_answer_of_the_past_is_drawn_on_a_terminal_and_raw_in_a_pipe(folder: Path) -> None:
    write_run(folder, run_id(1), "- a **bold** word")
    assert "- a **bold** word\n" in run_here(["history", "show"]).stdout.decode()
    assert "• a **bold** word\n" in run_here(["history", "show", "--render"]).stdout.decode()
    _, screen, _ = on_terminal(["history", "show"])
    assert "• a bold word" in screen.text()
    _, screen, _ = on_terminal(["history", "show", "--plain"])
    assert "- a **bold** word" in screen.text()
    assert run_here(["history", "show", "--render", "--text"]).status == 2


def talk(folder: Path) -> None:
    """A conversation of two turns, the second of which was asked twice."""
    write_run(folder, run_id(1), "blue", question="sky?")
    write_run(folder, run_id(2), "red", question="evening?", parent=run_id(1))
    write_run(folder, run_id(3), "black", question="night?", parent=run_id(1))


def test_the_tree_of_a_conversation_is_drawn(folder: Path) -> None:
    talk(folder)
    Conversations(folder).name(run_id(1), "colours")
    write_run(folder, run_id(4), "other", question="alone?")
    done = run_here(["history", "tree", run_id(2)[:15]], TZ="UTC")
    at = "2026-01-01 00:00\tdemo/m\tcomplete"
    assert done.stdout.decode().splitlines() == [
        "colours",
        f"○ {run_id(1)}\t{at}\tsky?",
        f"├─○ {run_id(2)}\t{at}\tevening?",
        f"● {run_id(3)}\t{at}\tnight?",
    ]
    assert run_here(["history", "tree"]).stdout.decode().count("\n") == 1
    tree = json.loads(run_here(["history", "tree", "--json", run_id(1)]).stdout)
    assert (tree["name"], tree["head"], len(tree["turns"])) == ("colours", run_id(3), 3)
    status, screen, _ = on_terminal(["history", "tree", run_id(1)], columns=40)
    assert status == 0
    assert [line.split()[1:] for line in screen.text()[1:]] == [
        [run_id(1)[:15], "complete", "sky?"],
        [run_id(2)[:15], "complete", "evening?"],
        [run_id(3)[:15], "complete", "night?"],
    ]
    assert run_here(["history", "tree", "2027"]).status == 2


def test_show_ends_with_the_answer_and_says_where_the_conversation_goes_on(folder: Path) -> None:
    talk(folder)
    newest = run_here(["history", "show"])
    assert "sky?" in newest.stdout.decode()
    assert "black" in newest.stdout.decode()
    assert "red" not in newest.stdout.decode()
    assert newest.stderr == ""
    first = run_here(["history", "show", run_id(1)])
    assert "black" not in first.stdout.decode()
    assert f"`chatstream history tree {run_id(1)}`" in first.stderr
    assert run_here(["history", "show", "--text", run_id(1)]).stdout == b"blue"


def test_export_has_every_branch(folder: Path) -> None:
    talk(folder)
    exported = run_here(["history", "export", run_id(1), "--format", "json"]).stdout.splitlines()
    said = [[it["content"] for it in json.loads(line)["messages"]] for line in exported]
    assert said == [["sky?", "blue", "evening?", "red"], ["sky?", "blue", "night?", "black"]]
    markdown = run_here(["history", "export"]).stdout.decode()
    assert markdown.count("\n# ") == 1
    assert "red" in markdown
    assert "black" in markdown
