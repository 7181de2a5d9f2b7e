"""The history: every run is found again, whatever happens to processes and files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatstream import events as ev
from chatstream.clock import Deadline
from chatstream.errors import UsageError
from chatstream.messages import Message
from chatstream.store.conversation import Conversations
from chatstream.store.history import DELETING, IMPORTING, UPDATING, History, history
from chatstream.store.retention import before
from tests.support.runs import failed, run_id, running, started_at, write_run
from tests.support.sampling import by_size, examples

PROCESSES = 8
RUNS = by_size(50, 500)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[History]:
    """The history of `tmp_path`; what it tells fails the test."""

    def fail(line: str) -> None:
        raise AssertionError(line)

    with History(tmp_path, tell=fail) as opened:
        yield opened


def listed(store: History) -> list[str]:
    """The runs there, after a sync, the newest first."""
    store.sync()
    return [run.id for run in store.runs()]


def answer(store: History, run: str) -> Message:
    """The answer of the conversation of a run."""
    return store.conversation(store.run(run)).messages[-1]


def test_a_run_is_found_with_all_that_its_journal_tells(tmp_path: Path, store: History) -> None:
    asked = [Message("system", "be brief"), Message("user", "why?")]
    pieces = [ev.Reasoning("hm"), ev.Content("so"), ev.ToolCall("1", "look", "{}")]
    write_run(tmp_path, run_id(1), asked=asked, pieces=pieces)
    store.sync()
    run = store.run()
    assert (run.id, run.provider, run.model, run.outcome) == (run_id(1), "demo", "m", "complete")
    assert (run.started_at, run.ttft, run.duration) == (started_at(run_id(1)), 0.25, 2.5)
    assert (run.input_tokens, run.output_tokens, run.finish_reason) == (5, 3, "stop")
    assert (run.question, run.error, run.continues) == ("why?", None, None)
    conversation = store.conversation(run)
    assert conversation.messages[:2] == asked
    assert conversation.messages[2].content == "so"
    assert conversation.messages[2].reasoning == "hm"
    assert [call.name for call in conversation.messages[2].tool_calls] == ["look"]
    assert conversation.runs == [run]


def test_a_run_that_goes_on_is_taken_in_when_it_is_over(tmp_path: Path, store: History) -> None:
    with running(tmp_path, run_id(1), "text"):
        assert listed(store) == []
        with pytest.raises(UsageError, match="is still going"):
            store.run(run_id(1))
    assert listed(store) == [run_id(1)]
    assert store.run().outcome == "interrupted"
    assert not answer(store, run_id(1)).complete


def test_a_failed_run_tells_why(tmp_path: Path, store: History) -> None:
    write_run(tmp_path, run_id(1), "par", end=failed())
    store.sync()
    assert (store.run().outcome, store.run().error) == ("truncated", "the stream ended early")


def test_a_journal_that_changed_is_taken_in_again(tmp_path: Path, store: History) -> None:
    path = write_run(tmp_path, run_id(1), "text")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])  # as it was before its end
    store.sync()
    assert store.run().outcome != "complete"
    path.write_bytes(whole)
    store.sync()
    assert (store.run().outcome, len(store.runs())) == ("complete", 1)


def test_a_continued_run_makes_one_message(tmp_path: Path, store: History) -> None:
    write_run(tmp_path, run_id(1), "one ", killed=True)
    write_run(tmp_path, run_id(2), "one two ", end=failed(), continues=run_id(1))
    write_run(tmp_path, run_id(3), "one two three", continues=run_id(2))
    store.sync()
    for run in map(run_id, (1, 2, 3)):
        conversation = store.conversation(store.run(run))
        assert [it.content for it in conversation.messages] == ["why?", "one two three"]
        assert conversation.messages[-1].complete
        assert [it.id for it in conversation.runs] == [run_id(1), run_id(2), run_id(3)]
    assert [it.role for it in store.search("one", 9)] == ["assistant"]


def three_turns(folder: Path) -> None:
    """A conversation of the runs 1, 2 and 3."""
    signed = [ev.Reasoning("hm"), ev.ReasoningData({"signature": "c2ln"}), ev.Content("sunset")]
    write_run(folder, run_id(1), "blue", question="sky?")
    write_run(folder, run_id(2), pieces=signed, question="evening?", parent=run_id(1))
    write_run(folder, run_id(3), "stars", question="night?", parent=run_id(2))


def test_three_turns_are_one_conversation(tmp_path: Path, store: History) -> None:
    three_turns(tmp_path)
    store.sync()
    assert len({run.conversation for run in store.runs()}) == 1
    said = ["sky?", "blue", "evening?", "sunset", "night?", "stars"]
    conversation = store.conversation(store.run())
    assert [it.content for it in conversation.messages] == said
    assert [it.id for it in conversation.runs] == [run_id(1), run_id(2), run_id(3)]
    for run in store.runs():
        assert store.branches(run) == [conversation]
    assert [it.run for it in store.search("blue", 9)] == [run_id(1)]
    assert [it.run for it in store.search("evening", 9)] == [run_id(2)]
    own = store.conversation(store.run(run_id(2)))
    assert [it.content for it in own.messages] == said[:4]
    assert [it.id for it in own.runs] == [run_id(1), run_id(2)]
    assert [run.question for run in store.runs()] == ["night?", "evening?", "sky?"]
    store.remove(store.run(run_id(2)))
    assert listed(store) == []
    assert store.search("s*", 9) == []


def test_each_branch_of_a_conversation_is_a_path(tmp_path: Path, store: History) -> None:
    three_turns(tmp_path)
    write_run(tmp_path, run_id(4), "moon", question="night?", parent=run_id(2))
    write_run(tmp_path, run_id(5), "", end=failed("connect"), question="dawn?", parent=run_id(4))
    write_run(tmp_path, run_id(6), "", end=failed("connect"), question="alone?")
    write_run(tmp_path, run_id(7), "ha", killed=True, question="dusk?", parent=run_id(1))
    write_run(tmp_path, run_id(8), "half", question="dusk?", parent=run_id(1), continues=run_id(7))
    store.sync()
    said = [[it.content for it in path.messages] for path in store.branches(store.run(run_id(5)))]
    begin = ["sky?", "blue"]
    assert said == [
        [*begin, "evening?", "sunset", "night?", "stars"],
        [*begin, "evening?", "sunset", "night?", "moon"],
        [*begin, "dusk?", "half"],
    ]
    (alone,) = store.branches(store.run(run_id(6)))
    assert [it.content for it in alone.messages] == ["alone?", ""]


def test_turns_that_a_caller_sends_whole_are_one_conversation(
    tmp_path: Path, store: History
) -> None:
    asked = [Message("user", "sky?")]
    for number, (answer_, question) in enumerate([("blue", "evening?"), ("red", "night?")]):
        thought = [ev.Reasoning("hm"), ev.Content(answer_)]
        write_run(tmp_path, run_id(number), pieces=thought, asked=asked)
        asked += [Message("assistant", answer_), Message("user", question)]
    write_run(tmp_path, run_id(2), "black", asked=asked)
    write_run(tmp_path, run_id(3), "blue", question="sky?")
    store.sync()
    numbers = [run.conversation for run in store.runs()]
    assert numbers[1] == numbers[2] == numbers[3] != numbers[0]
    messages = store.conversation(store.run(run_id(2))).messages
    assert [it.content for it in messages] == ["sky?", "blue", "evening?", "red", "night?", "black"]
    assert [it.reasoning for it in messages if it.role == "assistant"] == ["hm", "hm", ""]
    assert store.run(run_id(2)).parent == run_id(1)
    assert len(store.search("evening", 9)) == 1


def test_the_order_in_which_journals_are_taken_in_does_not_matter(
    tmp_path: Path, store: History
) -> None:
    """A clock that was set back makes ids that do not follow each other."""
    write_run(tmp_path, run_id(3), "a1", question="q1")
    write_run(tmp_path, run_id(1), "half", killed=True, question="q2", parent=run_id(3))
    write_run(tmp_path, run_id(2), "half, a2", question="q2", parent=run_id(3), continues=run_id(1))
    store.sync()
    said = [it.content for it in store.conversation(store.run(run_id(2))).messages]
    assert said == ["q1", "a1", "q2", "half, a2"]
    assert len({run.conversation for run in store.runs()}) == 1


def test_what_follows_a_run_that_is_still_written_is_taken_in_after_it(
    tmp_path: Path, store: History
) -> None:
    with running(tmp_path, run_id(1), "a1"):
        write_run(tmp_path, run_id(2), "a2", parent=run_id(1))
        assert listed(store) == []
    assert listed(store) == [run_id(2), run_id(1)]
    assert len({run.conversation for run in store.runs()}) == 1


def test_heads_and_names_are_taken_in_and_removed(tmp_path: Path, store: History) -> None:
    three_turns(tmp_path)
    talks = Conversations(tmp_path)
    talks.advance(run_id(1), run_id(2))
    talks.name(run_id(3), "sky")
    store.sync()
    assert store.conversation(store.run()).name == "sky"
    talks.name(run_id(3), "evening")
    store.sync()
    assert store.conversation(store.run()).name == store.tree().name == "evening"
    store.remove(store.run())
    assert list((tmp_path / "conversations").iterdir()) == []
    assert not talks.has("evening")


def test_a_run_that_follows_nothing_that_is_known_begins_a_conversation(
    tmp_path: Path, store: History
) -> None:
    write_run(tmp_path, run_id(2), "a2", question="q2", parent=run_id(1))
    write_run(tmp_path, run_id(3), "a3", question="q3", parent="../" + run_id(2))
    store.sync()
    assert [it.content for it in store.conversation(store.run(run_id(2))).messages] == ["q2", "a2"]
    assert store.run(run_id(2)).parent == run_id(1)
    write_run(tmp_path, run_id(4), "a4", parent=run_id(4))
    write_run(tmp_path, run_id(5), "a5", parent=run_id(6), continues=run_id(6))
    write_run(tmp_path, run_id(6), "a6", parent=run_id(5))
    assert len(listed(store)) == 5
    assert len(store.tree(store.run(run_id(4))).turns) <= 1


def test_threads_share_a_history(tmp_path: Path, store: History) -> None:
    for number in range(40):
        write_run(tmp_path, run_id(number), f"word{number} common", question=f"q{number}")
    failures: list[BaseException] = []

    def use(number: int) -> None:
        try:
            for at in range(number, 40, 4):
                store.sync()
                run = store.run(run_id(at))
                assert store.conversation(run).messages[-1].content == f"word{at} common"
                assert [it.run for it in store.search(f"word{at}", 9)] == [run_id(at)]
                store.remove(run)
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert listed(store) == []


def test_a_damaged_journal_keeps_what_is_sound(tmp_path: Path, store: History) -> None:
    pieces = [ev.Content("sound "), ev.Content("not sound")]
    with running(tmp_path, run_id(1), pieces=[ev.Content("sound ")]) as path:
        sound = path.read_bytes()
    path.unlink()
    write_run(tmp_path, run_id(1), pieces=pieces)
    path.write_bytes(sound + b"no event\n")
    store.sync()
    assert store.run().outcome == "damaged"
    assert "line 3" in str(store.run().error)
    assert answer(store, run_id(1)).content == "sound "


def test_what_is_no_journal_is_told_and_stops_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(2), "text")
    (tmp_path / "runs" / f"{run_id(1)}.jsonl").write_bytes(b"hello\n")
    newer = write_run(tmp_path, run_id(3), "text")
    newer.write_bytes(newer.read_bytes().replace(b'"version":1', b'"version":9'))
    (tmp_path / "runs" / f"{run_id(4)}.jsonl").touch()  # a run that is about to begin
    told: list[str] = []
    with History(tmp_path, tell=told.append) as store:
        assert listed(store) == [run_id(2)]
    assert len(told) == 2
    assert run_id(1) in told[0]
    assert "newer chatstream" in told[1]


def test_a_run_is_named_by_the_beginning_of_its_id(tmp_path: Path, store: History) -> None:
    with pytest.raises(UsageError, match="no runs yet"):
        store.run()
    for number in (1, 2):
        write_run(tmp_path, run_id(number), "text")
    store.sync()
    assert store.run(run_id(1)[:15]).id == run_id(1)
    assert store.run().id == run_id(2)
    with pytest.raises(UsageError, match="matches 2 runs"):
        store.run(run_id(1)[:10])
    for none in ("", "*", "2026010?", "%", "[0-9]", "\udcff", "\0"):
        with pytest.raises(UsageError, match="there is no run"):
            store.run(none)


def test_what_is_removed_does_not_come_back(tmp_path: Path, store: History) -> None:
    write_run(tmp_path, run_id(1), "one ", killed=True)
    write_run(tmp_path, run_id(2), "one two", continues=run_id(1))
    write_run(tmp_path, run_id(3), "other")
    store.sync()
    store.remove(store.run(run_id(1)))
    assert listed(store) == [run_id(3)]
    assert [it.name for it in (tmp_path / "runs").iterdir()] == [f"{run_id(3)}.jsonl"]
    assert store.search("two", 9) == []


def test_prune_removes_conversations_whose_last_run_is_old(tmp_path: Path, store: History) -> None:
    write_run(tmp_path, run_id(1), "old")
    write_run(tmp_path, run_id(2), "one ", killed=True)
    write_run(tmp_path, run_id(9), "one two", continues=run_id(2))
    store.sync()
    assert store.prune(started_at(run_id(5))) == 1
    assert listed(store) == [run_id(9), run_id(2)]
    assert store.prune(before(0, 4e9)) == 1
    assert listed(store) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("naive CAFE", True),
        ("naïve", True),
        ("naiv", False),
        ("naiv*", True),
        ("n*", True),
        ("caf* n*", True),
        ('"', False),
        ("AND OR NOT", True),
        ("NEAR", False),
        ("OR coffee", False),
        ("it's", True),
        ("content:café", False),
        ("c++", True),
        ("(und", False),
        ("-café", True),
        ("^the", True),
        ("'; DROP TABLE runs; --", False),
        ("***", False),
        ("", False),
        ("日本", True),
        ("日*", True),
    ],
)
def test_a_search_takes_words_as_words(
    tmp_path: Path, store: History, words: str, found: bool
) -> None:
    write_run(tmp_path, run_id(1), 'The naïve Café: it\'s "C++", 日本 AND OR NOT.', question="?")
    store.sync()
    assert [it.run for it in store.search(words, 9)] == [run_id(1)] * found


def test_the_newest_are_found_first(tmp_path: Path, store: History) -> None:
    for number in range(5):
        write_run(tmp_path, run_id(number), f"answer {'long ' * 100} number{number} end")
    store.sync()
    found = store.search("answer", 3)
    assert [it.run for it in found] == [run_id(4), run_id(3), run_id(2)]
    assert "number4" in store.search("number4", 1)[0].snippet
    assert len(store.search("number4", 1)[0].snippet) < 200


@given(text=st.text(st.characters(exclude_categories=())))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_upsets_a_search(store: History, text: str) -> None:
    store.search(text, 5)
    store.search(f'word {text}" "{text}*', 5)


@given(text=st.text(min_size=1))
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_comes_back_as_it_was(tmp_path: Path, store: History, text: str) -> None:
    write_run(tmp_path, run_id(1), text, question=text)
    store.sync()
    assert [it.content for it in store.conversation(store.run()).messages] == [text, text]
    store.remove(store.run())


def test_a_sync_ends_at_its_deadline_and_goes_on_later(tmp_path: Path) -> None:
    for number in range(200):
        write_run(tmp_path, run_id(number), "text")
    now = [0.0]
    seen: list[tuple[str, int, int]] = []

    def progress(stage: str, taken: int, number: int) -> None:
        seen.append((stage, taken, number))
        if stage == IMPORTING:
            now[0] = 1.0

    deadline = Deadline(0.5, lambda: now[0])
    with History(tmp_path, deadline=deadline, progress=progress) as store:
        store.sync()
        some = len(store.runs())
    assert 0 < some < 200
    assert seen[-1] == (IMPORTING, 0, 200)
    with history(tmp_path) as store:
        assert len(store.runs()) == 200


def test_how_far_long_work_is_is_told(tmp_path: Path) -> None:
    for number in range(3):
        write_run(tmp_path, run_id(number), "text")
    told: list[tuple[str, int, int]] = []
    with History(tmp_path, progress=lambda *it: told.append(it)) as store:
        store.sync()
        assert store.prune("3000") == 3
    assert {stage for stage, _, _ in told} == {UPDATING, IMPORTING, DELETING}
    assert [it for it in told if it[0] == IMPORTING] == [(IMPORTING, 0, 3), (IMPORTING, 3, 3)]
    assert [it for it in told if it[0] == DELETING] == [(DELETING, it, 3) for it in (1, 2, 3)]


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path, store: History) -> None:
    write_run(tmp_path, run_id(1), "text")
    store.sync()
    with History(tmp_path) as other, other._database.transaction():  # would block a writer
        assert listed(store) == [run_id(1)]


WORKER = """
import sys
from pathlib import Path
from chatstream.store.history import History
from tests.support.runs import run_id, write_run

def fail(line):
    raise SystemExit(line)

folder, first, number = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for at in range(number):
    write_run(folder, run_id(first + at), f"answer {first + at}")
    if at % 5 == 0:
        with History(folder, tell=fail) as history:
            history.sync()
with History(folder, tell=fail) as history:
    history.sync()
    assert len(history.search("answer", number)) == number
"""


def test_many_processes_take_in_runs_at_once_and_lose_none(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, tmp_path, str(it * RUNS), str(RUNS)],
            stderr=subprocess.PIPE,
        )
        for it in range(PROCESSES)
    ]
    assert [it.communicate()[1] for it in workers] == [b""] * PROCESSES
    assert [it.returncode for it in workers] == [0] * PROCESSES
    with history(tmp_path) as store:
        assert len(store.runs()) == PROCESSES * RUNS
        assert len({run.conversation for run in store.runs()}) == PROCESSES * RUNS
        assert len(store.search("answer", 10_000)) == PROCESSES * RUNS
    assert not list(tmp_path.glob("*damaged*"))


def test_a_process_killed_in_a_sync_leaves_a_history_that_goes_on(tmp_path: Path) -> None:
    for number in range(100):
        write_run(tmp_path, run_id(number), "text")
    code = (
        "import os, sys; from pathlib import Path; from chatstream.store import entries, history\n"
        "enter, seen = entries.enter, []\n"
        "def dies(*rest):\n"
        "    enter(*rest); seen.append(1)\n"
        "    if len(seen) == 80: os.kill(os.getpid(), 9)\n"
        "entries.enter = dies\n"
        "history.history(Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == -9
    with history(tmp_path) as store:
        assert len(store.runs()) == 100
