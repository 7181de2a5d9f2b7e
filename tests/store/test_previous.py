"""What an earlier version wrote is read, listed, shown, searched, replayed and resumed.

tests/store/previous/README.md says how the files were made. Each claim holds for the journals
alone, for the database alone, and for both together.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.store.history import history
from chatstream.store.place import runs_folder, state_folder
from tests.support.client import Finished, run_here
from tests.support.continuing import Continuing

PREVIOUS = Path(__file__).parent / "previous"
RUNS = [path.stem for path in sorted((PREVIOUS / "runs").iterdir())]

CHINESE, THINKING, CALLS, TURNS, TURNS_CUT = RUNS[:5]
FIRST, SECOND, THIRD, REFUSED, RESTARTED = RUNS[5:10]
BEGUN, RESUMED, STOPPED, KILLED, CUT = RUNS[10:]

HAIKU = "A haiku has three lines: five, seven and five syllables. It often names a season."
PRIMES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a prime."},
    {"role": "assistant", "content": "Seven.", "reasoning": "Seven is a prime."},
    {"role": "user", "content": "Look one up."},
    {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [{"id": "call_9", "name": "primes", "arguments": '{"n": 4}'}],
    },
    {"role": "user", "content": "And the next one?"},
    {"role": "assistant", "content": "Eleven is", "complete": False},
    {"role": "user", "content": "Which?"},
]
PENGUINS = [
    {"role": "user", "content": "Where do penguins live?"},
    {"role": "assistant", "content": "In the Antarctic."},
    {"role": "user", "content": "What do they eat?"},
    {"role": "assistant", "content": "Fish and krill."},
    {"role": "user", "content": "Can they fly?"},
    {"role": "assistant", "content": "No, they swim."},
]
CUT_TEXT = "A haiku has three lines: five, seven and five syllables. It often "
STOPPED_TEXT = "A haiku has three lines: five, seven and five syllabl"


def answered(question: str, text: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", **({"content": text} if text else {}), **more},
    ]


SHOWN: dict[str, list[dict[str, Any]]] = {
    CHINESE: [
        {"role": "system", "content": "用中文回答。"},
        *answered("天空为什么是蓝色的？", "因为蓝色的光波长较短，被大气散射得最多。🌈"),  # noqa: RUF001
    ],
    THINKING: answered(
        "How much is two and two?", "It is four.", reasoning="Two and two make four."
    ),
    CALLS: answered(
        "What is the weather in Bern and in Rome?",
        "I will look.",
        tool_calls=[
            {"id": "call_1", "name": "weather", "arguments": '{"city":"Bern"}'},
            {"id": "call_2", "name": "weather", "arguments": '{"city":"Rome"}'},
        ],
    ),
    TURNS: [*PRIMES, {"role": "assistant", "content": "Thirteen."}],
    TURNS_CUT: [*PRIMES, {"role": "assistant", "content": "Thirteen is the ", "complete": False}],
    FIRST: PENGUINS[:2],
    SECOND: PENGUINS[:4],
    THIRD: PENGUINS,
    REFUSED: answered("Who are you?", "", complete=False),
    RESTARTED: answered("What is a haiku?", HAIKU),
    BEGUN: answered("Explain the haiku.", HAIKU),
    RESUMED: answered("Explain the haiku.", HAIKU),
    STOPPED: answered("Tell me about haiku.", STOPPED_TEXT, complete=False),
    KILLED: answered("Tell me more about haiku.", STOPPED_TEXT, complete=False),
    CUT: answered("What rules has a haiku?", CUT_TEXT, complete=False),
}
OUTCOMES = {
    REFUSED: "auth",
    **dict.fromkeys((BEGUN, CUT, TURNS_CUT), "truncated"),
    STOPPED: "cancelled",
    KILLED: "interrupted",
}


@pytest.fixture(params=["journals", "database", "both"])
def kept(request: pytest.FixtureRequest) -> str:
    """The state folder, with what is left there of the earlier version."""
    copy_previous(request.param)
    return str(request.param)


@pytest.fixture
def journals() -> None:
    """The state folder, with journals alone."""
    copy_previous("journals")


def copy_previous(which: str) -> None:
    state_folder().mkdir(parents=True)
    if which != "database":
        shutil.copytree(PREVIOUS / "runs", runs_folder())
    if which != "journals":
        shutil.copy(PREVIOUS / "history.db", state_folder())


def lines(done: Finished) -> list[Any]:
    assert (done.status, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(run: str) -> list[dict[str, Any]]:
    """The messages that `history show` has for a run, up to its answer."""
    (conversation,) = lines(run_here(["history", "show", "--json", run]))
    fields = ("role", "content", "reasoning", "tool_calls", "complete")
    found = [{name: it[name] for name in fields if name in it} for it in conversation["messages"]]
    return found[: len(SHOWN[run])] if run in SHOWN else found


def test_every_run_is_listed_with_its_end(kept: str) -> None:
    listed = lines(run_here(["history", "--json"]))
    assert [it["id"] for it in listed] == RUNS[::-1]
    assert {it["id"]: it["outcome"] for it in listed} == {
        run: OUTCOMES.get(run, "complete") for run in RUNS
    }
    found = {it["id"]: it for it in listed}
    assert found[RESUMED]["continues"] == BEGUN
    assert found[THIRD]["question"] == "Can they fly?"
    assert (found[CALLS]["input_tokens"], found[CALLS]["output_tokens"]) == (9, 21)
    assert (found[THINKING]["provider"], found[THINKING]["model"]) == (
        "anthropic",
        "claude-haiku-4-5",
    )


def test_every_run_is_shown_with_its_messages(kept: str) -> None:
    assert {run: shown(run) for run in RUNS} == SHOWN


def test_a_run_is_shown_for_a_person(kept: str) -> None:
    done = run_here(["history", "show", THIRD])
    assert done.status == 0
    for message in PENGUINS:
        assert message["content"] in done.stdout.decode()
    assert (
        run_here(["history", "show", "--text", CHINESE]).stdout.decode()
        == (SHOWN[CHINESE][-1]["content"])
    )


FOUND: dict[str, set[str]] = {
    "penguins": {FIRST, SECOND, THIRD},
    "krill": {SECOND, THIRD},
    "蓝色": {CHINESE},
    "波长": {CHINESE},
    "haiku season": {RESTARTED, RESUMED},
    "seven": {TURNS, TURNS_CUT, RESTARTED, RESUMED, STOPPED, KILLED, CUT},
    "weather": {CALLS},
}


def test_its_words_are_found(kept: str) -> None:
    for word, runs in FOUND.items():
        found = {it["run"] for it in lines(run_here(["history", "search", "--json", word]))}
        assert found, word
        assert found <= runs, word
    assert run_here(["history", "search", "--json", "nonesuch"]).stdout == b""


def test_everything_is_exported(kept: str) -> None:
    markdown = run_here(["history", "export"]).stdout.decode()
    exported = run_here(["history", "export", "--format", "json"]).stdout.decode()
    for messages in SHOWN.values():
        for message in messages:
            assert message.get("content", "") in markdown
            assert json.dumps(message.get("content", ""), ensure_ascii=False)[1:-1] in exported


def test_python_reads_it(kept: str) -> None:
    with history() as opened:
        assert [run.id for run in opened.runs()] == RUNS[::-1]
        messages = opened.conversation(opened.run(TURNS)).messages
        assert [it.role for it in messages] == [it["role"] for it in SHOWN[TURNS]]
        assert messages[2].reasoning == "Seven is a prime."
        assert [call.name for call in messages[4].tool_calls] == ["primes"]
        assert [it.complete for it in messages].count(False) == 1


@pytest.mark.parametrize("run", RUNS)
def test_a_journal_is_replayed_event_for_event(journals: None, run: str) -> None:
    done = run_here(["replay", "--instant", "--json", run])
    raw = (PREVIOUS / "runs" / f"{run}.jsonl").read_bytes()
    written = [json.loads(line) for line in raw.splitlines()]
    for line in written:
        for name in ("crc", "request", "digest"):
            line.pop(name, None)
    replayed = [json.loads(line) for line in done.stdout.splitlines()]
    assert replayed[: len(written)] == written
    assert len(replayed) - len(written) == (run == KILLED)  # its end is made up by the replay


@pytest.mark.parametrize("run", [CUT, KILLED, STOPPED])
@pytest.mark.parametrize("database", [False, True])
def test_an_unfinished_run_is_resumed(run: str, database: bool) -> None:
    copy_previous("both" if database else "journals")
    with Continuing(HAIKU) as server:
        done = run_here(["resume", run[:20], "--base-url", server.url])
        (asked,) = server.asked
        (request,) = server.requests
    assert (done.status, done.stdout) == (0, HAIKU.encode())
    question, begun = SHOWN[run]
    assert asked.there == begun["content"]
    assert request.json["model"] == "qwen3:4b"
    assert request.json["messages"][0] == question
    whole = [question, {"role": "assistant", "content": HAIKU}]
    assert shown(run) == whole
    newest = lines(run_here(["history", "-n", "1", "--json"]))[0]
    assert (newest["continues"], newest["outcome"]) == (run, "complete")
    assert shown(newest["id"]) == whole


def test_an_unfinished_run_of_many_messages_is_resumed_with_all_of_them(journals: None) -> None:
    answer = "Thirteen is the next one."
    with Continuing(answer) as server:
        done = list(chatstream.resume(TURNS_CUT, base_url=server.url))
        (request,) = server.requests
    assert isinstance(done[-1], ev.Done)
    sent = request.json["messages"]
    assert [it["role"] for it in sent] == [it["role"] for it in SHOWN[TURNS_CUT]]
    assert [it["content"] for it in sent] == [it["content"] for it in SHOWN[TURNS_CUT]]
    assert not any("tool_calls" in it for it in sent)  # nothing answered the call
    assert shown(TURNS_CUT) == [*PRIMES, {"role": "assistant", "content": answer}]


def test_without_a_name_the_newest_unfinished_run_is_resumed(journals: None) -> None:
    continued = []
    for _ in range(2):
        with Continuing(HAIKU) as server:
            done = run_here(["resume", "--json", "--base-url", server.url])
            continued.append(json.loads(done.stdout.splitlines()[0])["continues"])
    assert continued == [CUT, KILLED]


def test_a_complete_run_and_one_with_calls_are_not_resumed(journals: None) -> None:
    assert "is complete" in run_here(["resume", FIRST]).stderr
    assert "is complete" in run_here(["resume", CALLS]).stderr


def test_what_is_removed_does_not_come_back(kept: str) -> None:
    assert run_here(["history", "rm", RESUMED]).status == 0
    left = {it["id"] for it in lines(run_here(["history", "--json"]))}
    assert left == set(RUNS) - {BEGUN, RESUMED}
    assert run_here(["history", "search", "--json", "explain"]).stdout == b""


def test_new_runs_lie_beside_the_old_ones(kept: str) -> None:
    with Continuing("Yes, they swim.") as server:
        flags = ["-p", "ollama", "--base-url", server.url, "-m", "m"]
        assert run_here(["ask", *flags, "Do penguins swim?"]).status == 0
    listed = [it["id"] for it in lines(run_here(["history", "--json"]))]
    assert listed[1:] == RUNS[::-1]
    assert shown(listed[0]) == answered("Do penguins swim?", "Yes, they swim.")
    assert {run: shown(run) for run in RUNS} == SHOWN
