"""Claimed: a whole program with real MCP servers tells the truth about them and leaves none behind.

The model is one on loopback, which calls what the test says. All that a server is has a mark in its
environment, so that it is found wherever it has gone.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.providers import PROVIDERS
from tests.support.client import Running, run, run_here, server_flags
from tests.support.processes import marked, new_mark, until_unmarked
from tests.support.realmcp import NAMES, SLOW, Real, config_of
from tests.support.summing import Call, Summing, results_in
from tests.support.unavailable import skip_unavailable

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_proxies")]

LONG = Call(f"everything_{SLOW}", {"duration": 60, "steps": 600})
ECHO = Call("everything_echo", {"message": "hi"})


class Desk:
    """Real servers in a file, and the mark of all that they are."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.mark = new_mark()
        with skip_unavailable():
            self.file, self.servers = config_of(folder, self.mark, names or NAMES)

    def options(self, allow: str = "*") -> list[str]:
        """What a command line says of them."""
        return ["--mcp-config", str(self.file), "--allow", allow]

    def ask(self, model: Summing) -> list[str]:
        """A question to this model."""
        where = server_flags("openai", model.url)
        return ["ask", "--json", "--retries", "0", *where, *self.options(), "hi"]


@pytest.fixture
def everything(tmp_path: Path) -> Iterator[Desk]:
    """server-everything alone; nothing of it is left at the end."""
    desk = Desk(tmp_path, "everything")
    yield desk
    assert marked(desk.mark) == []


def ends(events: Sequence[ev.Event]) -> list[ev.ToolComplete | ev.ToolError]:
    return [it for it in events if isinstance(it, ev.ToolComplete | ev.ToolError)]


def test_all_of_them_work_in_one_run(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    works = [it.call(it.works) for it in desk.servers]
    fails = [it.call(it.fails) for it in desk.servers]
    with Summing([[*works, *fails]]) as model:
        done = run(desk.ask(model))
    assert done.status == 0, done.stderr
    grammar.check(done.events)
    found = ends(done.events)
    for it, worked, failed in zip(desk.servers, found[:5], found[5:], strict=True):
        assert isinstance(worked, ev.ToolComplete)
        assert it.works.words in str(worked.result)
        assert isinstance(failed, ev.ToolError)
        assert it.fails.words in failed.error
    assert marked(desk.mark) == []


def test_get_env_shows_no_key(everything: Desk) -> None:
    names = [it.key_variable for it in PROVIDERS.values() if it.key_variable]
    names += ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"]
    with Summing([[Call("everything_get-env")]]) as model:
        done = run(everything.ask(model), stdin=None, **dict.fromkeys(names, "sk-secret"))
    assert done.status == 0, done.stderr
    (shown,) = results_in(model.requests[-1].json["messages"])
    assert '"MARK"' in shown
    assert not [it for it in names if it in shown]
    assert "secret" not in shown


def test_ctrl_c_in_a_long_call_is_told_to_the_server_and_the_truth_to_the_user(
    everything: Desk,
) -> None:
    with Summing([[LONG]]) as model, Running(everything.ask(model)) as client:
        client.read_until(b'"tool_progress"')
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert done.status == 130
    (end,) = ends(done.events)
    assert isinstance(end, ev.ToolError)
    assert (end.code, end.outcome) == ("not_stopped", "unknown")
    assert "the server everything was asked to stop, and may still be working" in end.error
    everything.servers[0].until_heard('"notifications/cancelled"')


def test_a_limit_on_time_ends_a_long_call_and_the_run_goes_on(everything: Desk) -> None:
    with Summing([[LONG, ECHO]]) as model:
        done = run([*everything.ask(model), "--tool-timeout", "0.5"])
    assert done.status == 0, done.stderr
    late, echoed = ends(done.events)
    assert isinstance(late, ev.ToolError)
    assert late.outcome == "unknown"
    assert "may still be working" in late.error
    assert isinstance(echoed, ev.ToolComplete)


def test_a_server_that_is_killed_in_a_call_ends_the_call_and_not_the_run(everything: Desk) -> None:
    with Summing([[LONG, ECHO]]) as model, Running(everything.ask(model)) as client:
        client.read_until(b'"tool_progress"')
        everything.servers[0].signal(signal.SIGKILL)
        done = client.finish()
    assert done.status == 0, done.stderr
    lost, echoed = ends(done.events)
    assert isinstance(lost, ev.ToolError)
    assert (lost.code, lost.outcome) == ("server_ended", "unknown")
    assert "killed by SIGKILL" in lost.error
    assert isinstance(echoed, ev.ToolComplete), "the next call starts it again"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_no_end_of_ours_leaves_a_server(tmp_path: Path, number: signal.Signals) -> None:
    desk = Desk(tmp_path)
    with Summing([[LONG]]) as model, Running(desk.ask(model)) as client:
        client.read_until(b'"tool_progress"')
        assert len(marked(desk.mark)) >= len(NAMES)
        client.process.send_signal(number)
        client.finish()
    until_unmarked(desk.mark)


# ---- without a model


@pytest.mark.parametrize("name", NAMES)
def test_the_tools_commands_list_and_call(tmp_path: Path, name: str) -> None:
    desk = Desk(tmp_path, name)
    real: Real = desk.servers[0]
    works, fails = real.call(real.works), real.call(real.fails)
    calling = ["tools", "call", *desk.options()]
    listed = run_here(["tools", "list", *desk.options(works.name)])
    assert listed.status == 0, listed.stderr
    rows = [it.split("\t") for it in listed.stdout.decode().splitlines()]
    assert {row[2] for row in rows} == {"mcp"}
    assert [row[3] for row in rows if row[0] == works.name] == ["allowed"]
    assert "asked" in {row[3] for row in rows}
    called = run_here([*calling, works.name, json.dumps(works.arguments)])
    assert called.status == 0, called.stderr
    assert real.works.words.strip() in called.stdout.decode()
    failed = run_here([*calling, fails.name, json.dumps(fails.arguments)])
    assert (failed.status, failed.stdout) == (1, b"")
    assert real.fails.words in failed.stderr
    assert marked(desk.mark) == []
