"""`--stop-when` and `--analyze`, from the option to the journal, over a real loopback socket."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

import chatstream
from chatstream import events as ev
from chatstream import grammar
from chatstream.analysis.text import TextAnalysis
from chatstream.messages import Message
from chatstream.store.journal import Journal, RequestRecord
from chatstream.store.place import runs_folder
from chatstream.store.reading import Record, journals, read
from tests.support.answers import ALL_DIALECTS, TEXT, frames, headers, whole
from tests.support.client import Answer, Finished, answer_of, run_here, server_flags
from tests.support.continuing import Continuing, half, long_text
from tests.support.loopback import Reply, Script
from tests.support.runs import run_id, started_at

LONG = long_text(300)
VALIDATOR = jsonschema.Draft202012Validator(ev.json_schema())


def record() -> Record:
    """The newest run."""
    return read(journals(runs_folder())[0])


def asked(dialect: str, url: str, **settings: Any) -> Answer:
    given: Any = {"model": "m", "retries": 0, **settings}
    answer = answer_of(chatstream.stream("hi", provider=dialect, base_url=url, **given))
    grammar.check(answer.events)
    return answer


def figures(text: str) -> ev.TextFigures:
    found = TextAnalysis()
    found.feed(text)
    found.finish()
    return found.figures


def last(answer: Answer | Finished) -> ev.Analysis:
    (found,) = [it for it in answer.events if isinstance(it, ev.Analysis) and it.final]
    return found


# ---- --stop-when


@pytest.mark.parametrize("when", ["w[ö]r", "3 tokens"])
@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_condition_ends_the_answer_and_hangs_up_while_the_server_still_writes(
    dialect: str, when: str
) -> None:
    body = frames(dialect)
    reply = Reply(body, headers=headers(dialect), hold={len(body): threading.Event()})
    with Script(reply) as server:
        answer = asked(dialect, server.url, stop_when=when)
        assert server.wait_closed()
    assert isinstance(answer.terminal, ev.Done)
    assert (answer.terminal.finish_reason, answer.terminal.raw_finish_reason) == (
        "stop_condition",
        None,
    )
    assert answer.text == {"3 tokens": "Hello wörld"}.get(when, "Hello wör")
    kept = record()
    assert (kept.outcome, kept.message.content) == ("complete", answer.text)


def test_the_command_says_so_on_standard_error_and_ends_well() -> None:
    with Script(whole("openai")) as server:
        done = run_here(["ask", *server_flags("openai", server.url), "--stop-when", "lo", "hi"])
    assert (done.status, done.stdout) == (0, b"Hello")
    assert done.stderr == "--stop-when ended the answer\n"
    done = run_here(["resume", record().run])
    assert done.status == 2
    assert "is complete: there is nothing to continue" in done.stderr


def test_an_answer_without_a_match_is_as_it_was() -> None:
    with Script(whole("openai")) as server:
        answer = asked("openai", server.url, stop_when="nowhere to be found")
    assert isinstance(answer.terminal, ev.Done)
    assert (answer.text, answer.terminal.finish_reason) == (TEXT, "stop")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("(", "is not a usable regular expression: missing )"),
        ("a*", "it matches an empty text"),
        ("end$", "match at the end of the answer"),
        ("0 tokens", "a whole number of tokens"),
        ("", "is empty"),
    ],
)
def test_a_condition_that_cannot_be_is_one_line_and_status_2(
    given: str, words: str, tmp_path: Path
) -> None:
    done = run_here(["ask", "-p", "demo", "--stop-when", given, "hi"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.splitlines()[0].startswith("error: --stop-when ")
    assert words in done.stderr
    with pytest.raises(chatstream.errors.UsageError, match="stop_when"):
        chatstream.ask("hi", provider="demo", stop_when=given)
    config = tmp_path / "config.toml"
    config.write_text(f"stop_when = {json.dumps(given)}\n")
    done = run_here(["ask", "-p", "demo", "hi"], CHATSTREAM_CONFIG=str(config))
    assert (done.status, done.stdout) == (2, b"")
    assert "stop_when" in done.stderr.splitlines()[0]


def test_a_condition_that_is_not_utf8_is_a_mistake_and_costs_no_journal() -> None:
    done = run_here(["ask", "-p", "demo", "--stop-when", "caf\udce9", "hi"])
    message = "error: --stop-when takes UTF-8 text, but this is not UTF-8"
    assert (done.status, done.stderr.splitlines()[0]) == (2, message)


def test_a_resume_keeps_the_condition_and_counts_what_was_there() -> None:
    with Continuing(LONG, faults=[half(400)]) as server:
        given: Any = {"provider": "vllm", "base_url": server.url, "model": "m", "retries": 0}
        end = LONG[700:712]
        first = answer_of(
            chatstream.stream("hi", on_drop="stop", stop_when=re.escape(end), **given)
        )
        assert isinstance(first.terminal, ev.Error)
        answer = answer_of(chatstream.resume(record().run))
    assert server.strays == []
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.finish_reason == "stop_condition"
    assert answer.text == LONG[: LONG.index(end) + len(end)]


@pytest.mark.parametrize("when", ["wör", "2 tokens"])
def test_a_run_that_was_killed_behind_its_match_is_completed_without_a_request(when: str) -> None:
    run = run_id(1)
    opening = ev.Metadata(
        provider="ollama", model="m", version=1, run=run, started_at=started_at(run), seq=0, t=0.0
    )
    with Script(whole("ollama")) as server:
        asked = RequestRecord(
            (Message("user", "hi"),), "ollama", "m", server.url, named=True, stop_when=when
        )
        journal = Journal(runs_folder(), asked)
        journal.write([opening, ev.Content("Hello wör", seq=1, t=0.1)])
        journal.close()
        done = run_here(["resume", run])
        assert server.requests == []
    assert (done.status, done.stdout.decode()) == (0, "Hello wör")


# ---- --analyze


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_the_figures_of_an_answer_come_right_before_its_end(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        done = run_here(["ask", *server_flags(dialect, server.url), "--analyze", "--json", "hi"])
    for line in done.stdout.splitlines():
        VALIDATOR.validate(json.loads(line))
    grammar.check(done.events)
    assert isinstance(done.events[-2], ev.Analysis)
    assert last(done).figures == figures(TEXT)


def test_in_a_pipe_they_go_to_standard_error() -> None:
    with Script(whole("ollama")) as server:
        done = run_here(["ask", *server_flags("ollama", server.url), "--analyze", "hi"])
    assert (done.status, done.stdout.decode()) == (0, TEXT)
    assert done.stderr.splitlines()[0] == "analysis: 2 words in 1 sentence"


def test_an_answer_that_is_resumed_is_counted_once() -> None:
    with Continuing(LONG, faults=[half(400)]) as server:
        given: Any = {"provider": "vllm", "base_url": server.url, "model": "m", "retries": 0}
        first = answer_of(chatstream.stream("hi", on_drop="stop", analyze=True, **given))
        assert last(first).figures == figures(first.text)
        answer = answer_of(chatstream.resume(record().run, analyze=True))
    grammar.check(answer.events)
    assert answer.text == LONG
    assert last(answer).figures == figures(LONG)


@pytest.mark.parametrize("on_drop", ["continue", "restart"])
def test_after_a_drop_the_figures_are_those_of_the_answer(on_drop: str) -> None:
    with Continuing(LONG, faults=[half(400), half(200)]) as server:
        answer = asked(
            "vllm", server.url, on_drop=on_drop, retries=3, retry_delay=0.01, analyze=True
        )
    assert answer.text == LONG
    assert last(answer).figures == figures(LONG)


def test_a_recording_is_analysed_as_the_run_was_and_without_the_option_shows_what_it_has() -> None:
    with Script(whole("ollama")) as server:
        flags = server_flags("ollama", server.url)
        bare = run_here(["ask", *flags, "--json", "hi"])
        told = run_here(["ask", *flags, "--json", "--analyze", "hi"])
    replay = ["replay", "--instant", "--json", "-"]
    again = run_here([*replay, "--analyze"], stdin=bare.stdout)
    assert last(again).figures == last(told).figures
    grammar.check(again.events)
    assert run_here(replay, stdin=told.stdout).stdout == told.stdout
    once_more = run_here([*replay, "--analyze"], stdin=told.stdout)
    assert [replace(it, t=0.0) for it in once_more.events] == [
        replace(it, t=0.0) for it in told.events
    ]
    lines = told.stdout.splitlines(keepends=True)
    torn = run_here([*replay, "--analyze"], stdin=b"".join(lines[:5]))
    assert torn.status == 5
    assert isinstance(torn.events[-2], ev.Analysis)
    assert [it.seq for it in torn.events] == list(range(len(torn.events)))


# ---- both, with tools and in a chat

CALL = {"function": {"name": "calculate", "arguments": {"expression": "6 * 7"}}}
CALLS = Reply(
    [
        json.dumps({"message": {"content": "Let me look", "tool_calls": [CALL]}}).encode() + b"\n",
        json.dumps({"message": {"content": ""}, "done": True}).encode() + b"\n",
    ],
    headers=headers("ollama"),
)


def test_the_figures_are_those_of_all_that_a_run_with_tools_says() -> None:
    with Script(CALLS, whole("ollama")) as server:
        answer = asked("ollama", server.url, tools=["calculate"], analyze=True)
    assert isinstance(answer.terminal, ev.Done)
    assert last(answer).figures == figures(f"Let me look\n{TEXT}")


@pytest.mark.parametrize(("when", "requests"), [("look", 1), ("wör", 2), ("2 tokens", 2)])
def test_a_condition_ends_a_run_with_tools_and_starts_none_behind_it(
    when: str, requests: int
) -> None:
    with Script(CALLS, whole("ollama")) as server:
        answer = asked("ollama", server.url, tools=["calculate"], stop_when=when)
        assert len(server.requests) == requests
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.finish_reason == "stop_condition"
    assert sum(isinstance(it, ev.ToolStart) for it in answer.events) == requests - 1
    assert record().outcome == "complete"


def test_in_a_chat_they_hold_for_each_answer() -> None:
    with Script(whole("ollama")) as server:
        flags = [*server_flags("ollama", server.url), "--stop-when", "lo", "--analyze"]
        done = run_here(["chat", *flags], stdin=b"one\ntwo\n")
        sent = [it.json["messages"] for it in server.requests if it.path == "/api/chat"]
    assert done.status == 0
    assert done.stdout.split() == [b"Hello", b"Hello"]
    assert done.stderr.count("--stop-when ended the answer") == 2
    assert done.stderr.count("analysis: 1 word in 1 sentence") == 2
    assert [it["content"] for it in sent[1]] == ["one", "Hello", "two"]


# ---- without them


def test_a_question_without_these_options_imports_none_of_it() -> None:
    script = (
        "import sys; from chatstream.cli.app import main; "
        "main(['ask', '-p', 'demo', '-m', 'demo-fast', '--plain', 'hi']); "
        "print([it for it in sys.modules if it.startswith('chatstream.') and it.rpartition('.')[2] "
        "in ('analysis', 'analyze', 'stopping', 'patterns', 'extras', 'foreign', 'plugins', "
        "'analyses')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert done.stdout.splitlines()[-1] == b"[]"
