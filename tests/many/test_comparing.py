"""`chatstream compare` without a terminal: its document, its events, its status, its choice."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from chatstream import grammar
from chatstream.engine.prices import Price
from chatstream.events import Content, Done, Error, Metadata
from chatstream.store.conversation import Conversations
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import journals, read
from tests.support.bymodel import ByModel, compare_line
from tests.support.chats import are_written, holds, says
from tests.support.client import COMMAND, LIMIT, Running, run, run_here
from tests.support.costly import costs
from tests.support.loopback import Reply, Script
from tests.support.waiting import until_true

BROKEN = Reply.json({"error": "it broke"}, status=500)


def answers() -> dict[str, str]:
    """The answers that the journals have, by their models."""
    records = map(read, journals(runs_folder()))
    return {str(it.model): it.message.content for it in records}


def continued() -> str:
    """The answer that `-c` would follow."""
    talks = Conversations(state_folder())
    return talks.path(talks.newest())[-1].content


def test_a_pipe_gets_a_document_in_the_order_asked() -> None:
    with ByModel(a=says("# Blue\n\nIt is."), b=says("Red.\n")) as server:
        done = run_here(compare_line(server, "b", "a"))
    text = done.stdout.decode()
    document, _, summary = text.partition("\n## Summary\n\n")
    assert document == "## 1. b\n\nRed.\n\n## 2. a\n\n# Blue\n\nIt is.\n"
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in summary.splitlines()]
    assert rows[0] == ["", "model", "first token", "pace", "tokens", "cost", "status"]
    assert [(row[0], row[1], row[4], row[6]) for row in rows[2:]] == [
        ("1", "b", "5", "whole"),
        ("2", "a", "5", "whole"),
    ]
    assert done.status == 0
    assert "answers from one server may wait for each other" in done.stderr


def test_a_failure_is_told_in_its_place_and_beside_and_the_others_are_whole() -> None:
    with ByModel(a=says("Blue."), c=BROKEN) as server:
        done = run_here(compare_line(server, "c", "a", "nobody"))
    assert done.status == 1
    text = done.stdout.decode()
    assert text.startswith("## 1. c\n\n*error: it broke")
    assert "\n\n## 2. a\n\nBlue.\n\n## 3. nobody\n\n*error: " in text
    assert "answer 1. c:\nerror: it broke" in done.stderr
    assert "answer 3. nobody:\nerror: " in done.stderr
    assert answers()["a"] == continued() == "Blue."


def test_all_that_failed_alike_have_their_status() -> None:
    with ByModel() as server:
        assert run_here(compare_line(server, "a", "b")).status == 3
        done = run_here([*compare_line(server, "a", "b"), "--pick", "1"])
    assert "no answer has any text" in done.stderr


def test_json_has_the_events_of_each_run_with_its_label_and_nothing_else() -> None:
    with ByModel(a=says("Blue."), b=says("Red.")) as server:
        done = run_here([*compare_line(server, "a", "b", "a"), "--json"])
    assert done.status == 0
    labels = {it.stream for it in done.events}
    assert labels == {"a", "b", "a #2"}
    for label in labels:
        events = [it for it in done.events if it.stream == label]
        grammar.check(events)
        assert isinstance(events[-1], Done)
        text = "".join(it.delta for it in events if isinstance(it, Content))
        assert text == ("Red." if label == "b" else "Blue.")


def test_a_question_may_come_from_a_pipe_with_files_and_images(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("some notes")
    with ByModel(a=says("Blue."), b=says("Red.")) as server:
        line = [*compare_line(server, "a", "b"), "-f", str(file), "-s", "Be brief."]
        assert run_here(line, stdin=b"and this").status == 0
        for _, messages in server.asked():
            assert messages[0] == ("system", "Be brief.")
            assert all(it in messages[1][1] for it in ("why?", "and this", "some notes"))


def test_all_answers_are_siblings_of_one_place() -> None:
    with ByModel(a=says("Blue."), b=says("Red."), m=says("First.")) as server:
        one = ["ask", "-p", "ollama", "--base-url", server.url, "-m", "m", "one"]
        assert run_here(one).status == 0
        assert run_here([*compare_line(server, "a", "b"), "-c"]).status == 0
        asked = [("user", "one"), ("assistant", "First."), ("user", "why?")]
        assert server.asked()[:2] == [("a", asked), ("b", asked)]
    parents = {}
    for journal in journals(runs_folder()):
        record = read(journal)
        parents[record.model] = record.parent
    assert parents["a"] == parents["b"] is not None
    assert parents["m"] is None


@pytest.mark.parametrize("picked", [1, 2, 3])
@pytest.mark.parametrize("continues", [False, True])
def test_the_picked_answer_is_what_c_continues_from(picked: int, continues: bool) -> None:
    with ByModel(a=says("Blue."), m=says("Next.")) as server:
        server.replies["a"] = says("Blue.")
        ask = ["ask", "-p", "ollama", "--base-url", server.url, "-m", "m"]
        if continues:
            assert run_here([*ask, "one"]).status == 0
        line = [*compare_line(server, "a"), "-n", "3", "--pick", str(picked)]
        done = run_here([*line, "--json", *(["-c"] if continues else [])])
        assert done.status == 0
        runs = {it.stream: it.run for it in done.events if isinstance(it, Metadata) and it.run}
        label = "a" if picked == 1 else f"a #{picked}"
        assert Conversations(state_folder()).newest() == runs[label]
        assert run_here([*ask, "-c", "two"]).status == 0
    newest = read(max(journals(runs_folder())))
    assert newest.parent == runs[label]


def test_a_name_leads_to_the_picked_answer() -> None:
    with ByModel(a=says("Blue."), b=says("Red."), m=says("Next.")) as server:
        line = [*compare_line(server, "a", "b"), "--name", "sky", "--pick", "2"]
        assert run_here(line).status == 0
        ask = ["ask", "-p", "ollama", "--base-url", server.url, "-m", "m", "--name", "sky", "on"]
        for _ in range(2):
            assert run_here(ask).status == 0
    talks = Conversations(state_folder())
    said = [it.content for it in talks.path(talks.named("sky"))]
    assert said == ["why?", "Red.", "on", "Next.", "on", "Next."]


def test_an_answer_without_text_cannot_be_picked() -> None:
    with ByModel(a=says("Blue."), c=BROKEN) as server:
        done = run_here([*compare_line(server, "a", "c"), "--pick", "2"])
    assert done.status == 2
    assert "error: answer 2 c has no text, so it cannot be picked" in done.stderr
    assert continued() == "Blue."


def test_without_a_journal_nothing_can_be_picked() -> None:
    with ByModel(a=says("Blue."), b=says("Red.")) as server:
        done = run_here([*compare_line(server, "a", "b"), "--no-journal", "--pick", "2"])
    assert done.status == 0
    assert "an answer without a journal cannot be continued" in done.stderr
    assert not list(journals(runs_folder()))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["-m", "a"], "at least two answers are needed"),
        (["-m", "a", "-m", "b", "-n", "2"], "-n asks one model several times"),
        (["-m", "a", "-m", "b", "-m", "c", "--diff"], "so it takes two"),
        (["-m", "a", "-m", "b", "--diff", "--json"], "--diff and --json exclude each other"),
        (["-m", "a", "-m", "b", "--pick"], "--pick can ask for the answer only on a terminal"),
        (["-m", "a", "-m", "b", "--pick", "3"], "--pick 3: there are only 2 answers"),
        (["-m", "a", "-m", "b", "--judge", "c@nowhere"], "--judge: unknown provider or profile"),
        (["-m", "a", "-m", "b", "--judge", ""], "--judge is empty"),
        (["-m", "a", "-m", ""], "--model is empty"),
        (["-m", "a", "-m", "b@nowhere"], "unknown provider or profile 'nowhere'"),
        ([word for it in "abcdefghij" for word in ("-m", it)], "10 answers are too many"),
        (["-n", "0", "-m", "a"], "--times takes"),
    ],
)
def test_a_mistake_is_one_line_and_costs_nothing(more: list[str], words: str) -> None:
    with ByModel(a=says("Blue.")) as server:
        line = ["compare", "-p", "ollama", "--base-url", server.url, *more, "why?"]
        done = run_here(line)
        assert server.requests == []
    assert done.status == 2
    if "--json" in more:
        assert words in str(done.terminal)
    else:
        assert (done.stdout, words in done.stderr) == (b"", True)


def test_no_question_is_a_mistake() -> None:
    with ByModel() as server:
        line = compare_line(server, "a", "b", question="")
        assert run_here(line).status == 2


def test_diff_marks_what_differs() -> None:
    with ByModel(a=says("The sky is blue."), b=says("The sky is red.")) as server:
        done = run_here([*compare_line(server, "a", "b"), "--diff"])
    differs = done.stdout.decode().partition("\n## What differs\n\n")[2]
    assert differs.startswith("[-only in 1 a-] {+only in 2 b+} · 75 % the same\n\n")
    assert "The sky is [-blue.-]{+red.+}\n" in differs


@pytest.mark.parametrize("before", [0, 1])
def test_the_limit_of_the_cost_holds_for_the_verdict_too(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of the conversation, with as many answers before."""
    monkeypatch.setattr("chatstream.engine.prices.price_of", lambda *_: Price(1.0, 1.0))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    spent = 1.0 + before * 0.5
    with Script(costs(0.5), cycle=True) as server:
        flags = ["-p", "openai", "--base-url", server.url, "-m", "a", "why?"]
        for _ in range(before):
            run_here(["ask", *flags])
        limit = ["--max-cost", str(spent - 0.1), *["-c"] * before]
        done = run_here(["compare", *flags, "-m", "b", "--judge", "j", *limit])
        assert len(server.requests) == 2 + before
    assert done.status == 7
    assert f"${spent:.4g} of the limit of ${spent - 0.1:.4g} is already spent" in done.stderr
    assert "*There is no verdict.*" in done.stdout.decode()


def test_a_judge_sees_the_answers_and_gives_a_verdict() -> None:
    verdict = says("A is good.\n\nBest: A")
    with ByModel(a=says("Blue."), b=says("Red."), j=verdict) as server:
        done = run_here([*compare_line(server, "a", "b"), "--judge", "j"])
        asked = dict(server.asked())["j"][-1][1]
    assert done.status == 0
    assert all(it in asked for it in ("why?", "Blue.", "Red."))
    text = done.stdout.decode()
    assert "\n## Verdict of j\n\nOne model's opinion" in text
    assert "Best: A\n\nA is " in text
    best = "1 a" if asked.index("Blue.") < asked.index("Red.") else "2 b"
    assert f"A is {best} · " in text
    assert f"the judge prefers {best}\n" in text
    assert "| 3 | j (verdict) |" in text
    assert continued() == "Blue."


def test_a_verdict_in_json_has_its_own_label_and_a_failed_one_fails() -> None:
    with ByModel(a=says("Blue."), b=says("Red."), j=BROKEN) as server:
        done = run_here([*compare_line(server, "a", "b"), "--judge", "j", "--json"])
    assert done.status == 1
    events = [it for it in done.events if it.stream == "verdict"]
    grammar.check(events)
    assert isinstance(events[-1], Error)
    assert continued() == "Blue."


@pytest.mark.parametrize(("answers", "status"), [("ab", 3), ("abc", 1)])
def test_the_status_is_that_of_the_answers_first(answers: str, status: int) -> None:
    refused = Reply.json({"error": "no"}, status=401)
    with ByModel(a=says("Blue."), b=says("Red."), c=BROKEN, j=refused) as server:
        done = run_here([*compare_line(server, *answers), "--judge", "j"])
    assert done.status == status


def test_a_document_says_that_there_is_no_verdict() -> None:
    with ByModel(a=says("Blue."), b=says("Red."), j=BROKEN) as server:
        done = run_here([*compare_line(server, "a", "b"), "--judge", "j"])
    verdict = done.stdout.decode().partition("## Verdict of j\n")[2].partition("\n## Summary")[0]
    assert verdict.split("\n\n", 1)[1] == "*There is no verdict.*\n"
    assert done.status == 1


def test_ctrl_c_stops_all_and_keeps_what_has_come() -> None:
    with (
        ByModel(a=holds("The sky "), b=holds("It is ")) as server,
        Running([*compare_line(server, "a", "b"), "--json"]) as client,
    ):
        until_true(lambda: are_written("The sky ", "It is "))
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert done.status == 130
    ends = [it for it in done.events if isinstance(it, Error)]
    assert sorted((it.stream, it.code) for it in ends) == [("a", "cancelled"), ("b", "cancelled")]
    assert all(it.resume for it in ends)
    assert continued() == "The sky "


def test_a_reader_who_has_seen_enough_ends_it_quietly() -> None:
    with ByModel(a=says("Blue.\n" * 20_000), b=says("Red.")) as server:
        line = shlex.join([*COMMAND, *compare_line(server, "a", "b")])
        shell = ["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"]
        done = subprocess.run(shell, capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"## 1. a\n", b"")


def test_a_full_disk_is_a_failure() -> None:
    with ByModel(a=says("Blue."), b=says("Red.")) as server:
        done = run_here(compare_line(server, "a", "b"), stdout=Path("/dev/full"))
    assert done.status == 1
    assert "No space left on device" in done.stderr


def test_a_mistake_in_json_is_an_event() -> None:
    done = run(["compare", "-m", "a", "--json", "why?"])
    assert done.status == 2
    assert isinstance(done.terminal, Error)
