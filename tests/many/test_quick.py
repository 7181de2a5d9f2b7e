"""Claimed: the quick answer is there at once and never in the way of the detailed one."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.clock import Clock
from chatstream.engine.run import Question, Run
from chatstream.errors import Cancelled
from chatstream.events import Content, Done, Error, Event, Terminal, Warn, decode, new_run
from chatstream.flow import Arrival
from chatstream.many.quick import DETAILED, QUICK, Both
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import ending, frames
from tests.support.arrivals import events_of
from tests.support.byrequest import ByRequest
from tests.support.client import COMMAND, LIMIT, Finished, Running, run, run_here, server_flags
from tests.support.loopback import NDJSON, Reply, Script
from tests.support.readers import DONE, Step, source, until
from tests.support.terminal import on_terminal
from tests.support.tmux import tmux
from tests.support.unavailable import require

BROKEN = Error(code="server_error", message="it broke", recoverable=False, partial=False)


class Models(ByRequest):
    """Each model has a reply of its own."""

    def __init__(self, **replies: Reply) -> None:
        super().__init__(lambda request: replies[request.json["model"]])

    def asked(self) -> list[str]:
        """The models in the order in which they were asked."""
        return [it.json["model"] for it in self.requests]


def says(*words: str, **more: Any) -> Reply:
    return Reply([*frames("ollama", [*words]), *ending("ollama")], headers=NDJSON, **more)


def held(*words: str) -> tuple[Reply, threading.Event]:
    """An answer whose first word comes once the event is set."""
    begins = threading.Event()
    return says(*words, hold={"after_head": begins}), begins


class Announced(list[bytes]):
    """Writes after which the event is set."""

    def __init__(self, writes: list[bytes], event: threading.Event) -> None:
        super().__init__(writes)
        self._event = event

    def __iter__(self) -> Iterator[bytes]:
        yield from super().__iter__()
        self._event.set()


def in_turn(quick: str, *detailed: str) -> dict[str, Reply]:
    """The detailed answer begins once the quick one was sent."""
    sent = threading.Event()
    writes = Announced([*frames("ollama", [quick]), *ending("ollama")], sent)
    late = says(*detailed, hold={"before_head": sent})
    return {"small": Reply(writes, headers=NDJSON), "big": late}


def ask(server: Script, *flags: str) -> Finished:
    return run_here(["ask", *server_flags("ollama", server.url, "big"), *flags, "Why is it?"])


def told(stdout: bytes, label: str) -> list[Event]:
    """The events of one of the two."""
    return [it for it in map(decode, stdout.splitlines()) if it.stream == label]


def text(events: list[Event]) -> str:
    return "".join(it.delta for it in events if isinstance(it, Content))


# ---- as a command


def test_json_has_the_events_of_both_and_ends_with_the_end_of_the_detailed_answer() -> None:
    with Models(**in_turn("short", "long ", "and good")) as server:
        done = ask(server, "--quick", "small", "--json")
    assert done.status == 0
    for label, words in ((QUICK, "short"), (DETAILED, "long and good")):
        events = told(done.stdout, label)
        assert [it.seq for it in events] == list(range(len(events)))
        assert text(events) == words
        assert isinstance(events[-1], Done)
    last = decode(done.stdout.splitlines()[-1])
    assert (last.stream, type(last)) == (DETAILED, Done)
    assert len(told(done.stdout, QUICK)) + len(told(done.stdout, DETAILED)) == len(
        done.stdout.splitlines()
    )


def test_both_are_asked_before_either_has_answered() -> None:
    quick, begins = held("short")
    detailed, goes_on = held("long")
    with Models(small=quick, big=detailed) as server:
        flags = server_flags("ollama", server.url, "big")
        with Running(["ask", *flags, "--quick", "small", "--json", "hi"]) as client:
            assert server.wait_requests(2, LIMIT)
            begins.set()
            goes_on.set()
            assert client.finish().status == 0
    assert {*server.asked()} == {"small", "big"}


def test_in_a_pipe_the_answer_is_the_detailed_one_and_the_quick_one_is_on_standard_error() -> None:
    detailed, goes_on = held("long ", "and good")
    with Models(small=says("short"), big=detailed) as server:
        flags = server_flags("ollama", server.url, "big")
        with Running(["ask", *flags, "--quick", "small", "hi"]) as client:
            assert client.process.stderr is not None
            early = client.process.stderr.readline() + client.process.stderr.readline()
            assert early == b"quick \xc2\xb7 small@ollama\nshort\n"
            goes_on.set()
            done = client.finish()
    assert (done.status, done.stdout, done.stderr) == (0, b"long and good", "")


def test_a_quick_answer_that_fails_is_one_line() -> None:
    broken = Reply.json({"error": "no room left"}, 503)
    detailed, goes_on = held("long")
    with Models(small=broken, big=detailed) as server:
        flags = server_flags("ollama", server.url, "big")
        with Running(["ask", *flags, "--quick", "small", "hi"]) as client:
            assert client.process.stderr is not None
            assert client.process.stderr.readline() == b"quick \xc2\xb7 small@ollama\n"
            line = client.process.stderr.readline().decode()
            goes_on.set()
            done = client.finish()
    assert "there is no quick answer: " in line
    assert "no room left" in line
    assert (done.status, done.stdout, done.stderr) == (0, b"long", "")


def test_the_exit_status_is_that_of_the_detailed_answer() -> None:
    refused = Reply.json({"error": "not with this key"}, 401)
    with Models(small=says("short"), big=refused) as server:
        done = ask(server, "--quick", "small")
        as_json = ask(server, "--quick", "small", "--json")
    assert (done.status, done.stdout) == (3, b"")
    assert "short\n" in done.stderr
    assert as_json.status == 3
    assert isinstance(decode(as_json.stdout.splitlines()[-1]), Error)


def test_the_conversation_continues_from_the_detailed_answer() -> None:
    with Models(**in_turn("short", "long")) as server:
        assert ask(server, "--quick", "small").status == 0
        assert len(journals(runs_folder())) == 2
        for more in (["--quick", "small", "And then?"], ["And last?"]):
            done = run_here(["ask", "-c", *more])
            assert done.status == 0
            assert "branch" not in done.stderr
    last = server.requests[-1].json
    assert last["model"] == "big"
    assert [it["content"] for it in last["messages"]] == [
        *("Why is it?", "long", "And then?", "long", "And last?")
    ]
    assert len(journals(runs_folder())) == 5


def test_the_quick_answer_is_journalled_where_it_was_asked() -> None:
    replies = in_turn("short", "long")
    with Models(small=replies["small"]) as quick, Models(big=replies["big"]) as detailed:
        done = ask(detailed, "--quick", f"small@{quick.url}/api/chat")
        assert done.status == 0, done.stderr
        records = [read(path) for path in journals(runs_folder())]
    assert [it.message.content for it in records] == ["long", "short"]
    assert records[1].base_url == quick.url
    assert records[1].asked is not None
    assert records[1].asked.named


def strategies(folder: Path, url: str, **models: list[str]) -> dict[str, Any]:
    """The variables of a configuration with these strategies."""
    path = folder / "config.toml"
    lines = [f"{name} = {json.dumps(its)}" for name, its in models.items()]
    path.write_text(
        f'provider = "ollama"\nbase_url = "{url}"\nmodel = "usual"\n[strategies]\n'
        + "\n".join(line.replace("_", "-", 1) for line in lines)
    )
    return {"CHATSTREAM_CONFIG": str(path)}


@pytest.mark.parametrize("where", ["before", "behind", "between"])
def test_without_a_name_the_strategies_say_who_answers(tmp_path: Path, where: str) -> None:
    replies = in_turn("fast", "best")
    with Models(fast=replies["small"], best=replies["big"]) as server:
        variables = strategies(
            tmp_path, server.url, speed_priority=["fast", "other"], quality_first=["best", "other"]
        )
        arguments = {
            "before": ["ask", "--quick", "Why is it?", "--json"],
            "behind": ["ask", "--json", "Why?", "--quick"],
            "between": ["--quick", "--json", "Why is it?"],
        }[where]
        done = run_here(arguments, **variables)
    assert done.status == 0, done.stderr
    assert text(told(done.stdout, QUICK)) == "fast"
    assert text(told(done.stdout, DETAILED)) == "best"
    assert {*server.asked()} == {"fast", "best"}


@pytest.mark.parametrize(
    ("flags", "models"),
    [
        (["--quick", "-m", "usual"], {"fast", "usual"}),
        (["--quick", "-m", "usual@ollama"], {"fast", "usual"}),
        (["--quick", "other"], {"other", "usual"}),
        (["--quick=other", "--strategy", "quality-first"], {"other", "best"}),
    ],
)
def test_who_is_named_on_the_command_line_is_asked(
    tmp_path: Path, flags: list[str], models: set[str]
) -> None:
    replies = {name: says(name) for name in ("fast", "other", "best", "usual")}
    with Models(**replies) as server:
        variables = strategies(
            tmp_path, server.url, speed_priority=["fast"], quality_first=["best"]
        )
        done = run_here(["ask", *flags, "--json", "hi there"], **variables)
    assert done.status == 0, done.stderr
    assert {*server.asked()} == models


def test_without_a_name_and_a_strategy_nothing_is_asked() -> None:
    with Models(big=says("long")) as server:
        done = ask(server, "--quick")
    assert (done.status, done.stdout) == (2, b"")
    assert "--quick does not say which model to ask" in done.stderr
    assert "speed-priority" in done.stderr
    assert server.requests == []


@pytest.mark.parametrize("name", ["two words", " ", "no\udcffutf"])
def test_what_cannot_be_a_model_is_refused(name: str) -> None:
    done = run_here(["ask", f"--quick={name}", "hi"])
    assert (done.status, done.stdout) == (2, b"")
    assert "is not the name of a model" in done.stderr


def test_only_the_detailed_answer_is_copied(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with Models(**in_turn("short", "long")) as server:
        assert ask(server, "--quick", "small", "--copy", "--copy-to", str(copy)).status == 0
    assert copy.read_text() == "long"


def test_only_the_detailed_answer_has_tools() -> None:
    with Models(**in_turn("short", "long")) as server:
        assert ask(server, "--quick", "small", "--tool", "time").status == 0
    tools = {it.json["model"]: it.json.get("tools") for it in server.requests}
    assert tools["big"]
    assert not tools["small"]


def test_control_c_stops_both_and_names_what_broke_off() -> None:
    never = threading.Event()
    quick = says("short", "er", hold={1: never})
    detailed = says("long", "er", hold={1: never})
    with Models(small=quick, big=detailed) as server:
        flags = server_flags("ollama", server.url, "big")
        with Running(["ask", *flags, "--quick", "small", "--json", "hi"]) as client:
            for _ in range(2):
                client.read_until(b'"content"')
            client.process.send_signal(signal.SIGINT)
            done = client.finish()
        assert server.wait_closed(LIMIT)
    ends = [it for it in done.events if isinstance(it, Terminal)]
    assert done.status == 130
    assert {it.stream for it in ends} == {QUICK, DETAILED}
    for it in ends:
        assert isinstance(it, Error)
        assert (it.code, it.partial) == ("cancelled", True)
        assert (it.resume or "").startswith("chatstream resume ")


def test_without_quick_nothing_of_it_is_imported() -> None:
    done = run(["ask", "-p", "demo", "hi"], PYTHONPROFILEIMPORTTIME="1")
    assert done.status == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "chatstream.terminal.answering" in imported
    assert not any(it.startswith("chatstream.many") for it in imported)


# ---- who waits for whom


def planned(token: CancelToken, *steps: Step, goes_on: bool = False) -> Iterator[Arrival]:
    """The steps. Then, if it `goes_on`, heartbeats until the run is cancelled."""
    yield from source(*steps)
    while goes_on:
        if token.sleep(0.001):
            yield Arrival([Error("cancelled", "m", False, True)])
            return
        yield Arrival()


def both(quick: list[Step], detailed: list[Step], clock: Clock, *, hangs: bool = True) -> Both:
    token = CancelToken()
    its = Run(Question(messages=()), new_run(), token, planned(token, *quick, goes_on=hangs))
    return Both(its, planned(CancelToken(), *detailed), CancelToken(), clock)


def shown(read: Both) -> tuple[list[Event], str]:
    """What is shown of the quick answer, and of the detailed one."""
    first = events_of(read.first())
    second = events_of(read.second())
    read.close()
    assert isinstance(second[-1], Terminal)
    return first, text(second)


def still() -> float:
    """No time passes."""
    return 0.0


def quickly() -> Clock:
    """A second passes with each look."""
    return itertools.count().__next__


def test_a_quick_answer_without_text_is_not_waited_for() -> None:
    read = both([], [Content("long"), DONE], quickly())
    assert shown(read) == ([], "long")
    assert read.is_stopped


def test_a_quick_answer_that_pauses_is_not_waited_for() -> None:
    has_text = threading.Event()
    quick: list[Step] = [Content("sho"), has_text.set]
    detailed: list[Step] = [lambda: until(has_text), Content("long"), Content("er"), BROKEN]
    read = both(quick, detailed, quickly())
    first, second = shown(read)
    assert (text(first), second) == ("sho", "longer")
    assert read.is_stopped


def test_a_quick_answer_that_goes_on_is_shown_to_its_end() -> None:
    came = threading.Event()
    quick: list[Step] = [Content("sho"), lambda: until(came), Content("rt"), DONE]
    detailed: list[Step] = [Content("long"), came.set, BROKEN]
    first, second = shown(both(quick, detailed, still, hangs=False))
    assert text(first) == "short"
    assert isinstance(first[-1], Done)
    assert second == "long"


def test_new_text_of_the_quick_answer_holds_up_a_whole_one_no_longer() -> None:
    came = threading.Event()
    detailed: list[Step] = [Content("long"), DONE, came.set]

    def endless() -> Iterator[Step]:
        yield lambda: until(came)
        yield from itertools.repeat(Content("sho"))

    token = CancelToken()
    its = Run(Question(messages=()), new_run(), token, source(*itertools.islice(endless(), 5000)))
    read = Both(its, source(*detailed), CancelToken(), quickly())
    _, second = shown(read)
    assert read.is_stopped
    assert token.cancelled
    assert second == "long"


def test_a_detailed_answer_that_fails_stops_no_quick_one() -> None:
    failed = threading.Event()
    quick: list[Step] = [lambda: until(failed), Content("short"), DONE]
    read = both(quick, [BROKEN, failed.set], still, hangs=False)
    first, second = shown(read)
    assert text(first) == "short"
    assert isinstance(first[-1], Done)
    assert second == ""


def test_what_is_said_beside_the_quick_answer_begins_a_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    has_text = threading.Event()
    detailed: list[Step] = [lambda: until(has_text), Warn("w", "slow"), DONE]
    read = both([Content("sho"), has_text.set], detailed, still)
    said = (it for it in read.beside() if any(isinstance(event, Warn) for event in it.events))
    next(said)
    assert capfd.readouterr().err == "sho\n"
    said.close()
    read.close()
    assert capfd.readouterr().err == ""


def test_a_user_who_stops_both_is_shown_what_there_is_of_both() -> None:
    stopped = threading.Event()
    token, its = CancelToken(), CancelToken()
    end = Error("cancelled", "stopped", False, True, resume="chatstream resume 1")
    quick = Run(
        Question(messages=()), new_run(), its, source(Content("sho"), lambda: until(stopped), end)
    )
    read = Both(quick, source(Content("long"), lambda: until(stopped), end), token, still)
    token.cancel(Cancelled("stopped"))
    stopped.set()
    first, second = events_of(read.first()), events_of(read.second())
    read.close()
    assert (text(first), text(second)) == ("sho", "long")
    assert [it.resume for it in (*first, *second) if isinstance(it, Error)] == [end.resume] * 2


# ---- on a terminal


@pytest.mark.screen
@pytest.mark.parametrize("columns", [80, 40])
def test_the_quick_answer_is_on_the_screen_while_the_detailed_one_is_silent(columns: int) -> None:
    detailed, goes_on = held("The long answer.")
    with Models(small=says("The short answer."), big=detailed) as server:
        flags = server_flags("ollama", server.url, "big")
        with require(tmux(columns, 24)) as pane:
            pane.run([*COMMAND, "ask", *flags, "--quick", "small", "hi"])
            pane.until_shown("detailed · big@ollama")
            pane.until(lambda: "…" in pane.lines()[-1])  # something is waited for
            assert "The short answer." in pane.text()
            assert "The long answer." not in pane.text()
            goes_on.set()
            pane.until(lambda: pane.ended)
            assert pane.status == 0
            lines = [line for line in pane.lines() if line and not line.startswith("✓")]
    assert lines[:4] == [
        *("quick · small@ollama", "The short answer.", "detailed · big@ollama", "The long answer.")
    ]


@pytest.mark.screen
@pytest.mark.parametrize("columns", [80, 40])
def test_what_came_of_the_detailed_answer_meanwhile_is_shown_once(columns: int) -> None:
    goes_on, ends = threading.Event(), threading.Event()
    quick = says("The short ", "answer.", hold={1: goes_on})
    detailed = says("The long ", "answer.", hold={1: ends})
    with Models(small=quick, big=detailed) as server:
        flags = server_flags("ollama", server.url, "big")
        with require(tmux(columns, 24)) as pane:
            pane.run([*COMMAND, "ask", *flags, "--quick", "small", "hi"])
            pane.until_shown("The short")
            goes_on.set()
            pane.until_shown("The long")
            ends.set()
            pane.until(lambda: pane.ended)
            assert pane.status == 0
            assert pane.text().count("The long answer.") == 1
            assert pane.text().count("The short answer.") == 1


@pytest.mark.screen
def test_control_c_on_a_terminal_shows_both_and_asks_the_terminal_nothing_more() -> None:
    never = threading.Event()
    replies = {name: says(name, "er", hold={1: never}) for name in ("small", "big")}
    sent: list[bool] = []

    def seen(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if b"small" in written.partition(b"\n")[2] and server.wait_requests(2, LIMIT) and not sent:
            sent.append(True)
            client.send_signal(signal.SIGINT)

    with Models(**replies) as server:
        flags = server_flags("ollama", server.url, "big")
        status, screen, written = on_terminal(["ask", *flags, "--quick", "small", "hi"], seen=seen)
    assert status == 130
    assert written.count(b"\x1b]11;?") <= 1  # the colour of its background
    shown = [line for line in screen.text() if line]
    assert shown[0] == "quick · small@ollama"
    assert "detailed · big@ollama" in shown
    assert shown.count("■ stopped") == 2
    assert sum("chatstream resume " in line for line in shown) >= 1


def test_on_a_terminal_it_is_told_below_the_quick_answer_that_it_was_stopped() -> None:
    quick = says("short", " one", hold={1: threading.Event()})
    with Models(small=quick, big=says("long")) as server:
        flags = server_flags("ollama", server.url, "big")
        status, screen, _ = on_terminal(["ask", *flags, "--quick", "small", "hi"])
    shown = [line for line in screen.text() if line.strip()]
    told = next(at for at, line in enumerate(shown) if "the quick answer was stopped" in line)
    assert status == 0
    assert "short" in shown[told - 1]
    assert shown[told + 1].startswith("detailed · ")
