"""Claimed: whatever is wrong with a call, the model is given an error that says so, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream import grammar
from tests.support.answers import ALL_DIALECTS
from tests.support.client import run, server_flags
from tests.support.strict import check
from tests.support.summing import Call, Summing

TOOLS = '''
import os, time

def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

def raises() -> str:
    """Fail."""
    raise ValueError("no such city")

def hangs() -> str:
    """Hang."""
    time.sleep(1000)

def floods() -> str:
    """Print 4 MB."""
    for number in range(40_000):
        print(number, "x" * 100)

def nothing() -> None:
    """Return nothing."""

def dies() -> str:
    """End the process."""
    os._exit(3)
'''

CALLS = {
    "invalid-json": Call("add", '{"a": 1, "b"'),
    "no-object": Call("add", "[1, 2]"),
    "unknown-tool": Call("ad", {"a": 1, "b": 2}),
    "wrong-type": Call("add", {"a": 1, "b": "two"}),
    "unknown-argument": Call("add", {"a": 1, "b": 2, "c": 3}),
    "raises": Call("raises"),
    "hangs": Call("hangs"),
    "dies": Call("dies"),
    "floods": Call("floods"),
    "nothing": Call("nothing"),
    "fine": Call("add", {"a": 1, "b": 2}),
}

CODES = {
    "invalid-json": ("invalid_json", "the arguments are not JSON"),
    "no-object": ("invalid_arguments", "the arguments must be an object"),
    "unknown-tool": ("unknown_tool", "did you mean 'add'?"),
    "wrong-type": ("invalid_arguments", "Expected `int`, got `str` - at `$.b`"),
    "unknown-argument": ("invalid_arguments", "c"),
    "raises": ("raised", "ValueError: no such city"),
    "hangs": ("timeout", "it was stopped after 2 s"),
    "dies": ("worker_ended", "the call may have taken effect"),
}

RESULTS = {"floods": "lines left out", "nothing": "(no output)", "fine": "3"}


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_loop_recovers_from_all_of_them(dialect: str, tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text(TOOLS)
    # Ollama sends arguments as JSON, so they cannot be invalid.
    broken = {"invalid-json", "no-object"} if dialect == "ollama" else set()
    calls = {name: call for name, call in CALLS.items() if name not in broken}
    options = ["--tools-file", str(file), "--allow", "*", "--tool-timeout", "2"]
    with Summing([list(calls.values())]) as server:
        done = run(["ask", "--json", *server_flags(dialect, server.url), *options, "go"])
        check(dialect, server.exchanges)
    assert done.status == 0, done.stderr
    grammar.check(done.events)
    ends = [it for it in done.events if isinstance(it, ev.ToolComplete | ev.ToolError)]
    called = [it.id for it in done.events if isinstance(it, ev.ToolCall)]
    assert sorted(it.id for it in ends) == sorted(called)
    by_id = {it.id: it for it in ends}
    for name, call_id in zip(calls, called, strict=True):
        end = by_id[call_id]
        if name in RESULTS:
            assert isinstance(end, ev.ToolComplete), end
            assert RESULTS[name] in end.result
        else:
            code, words = CODES[name]
            assert isinstance(end, ev.ToolError), end
            assert end.code == code
            assert words in end.error


def test_the_same_call_for_the_third_time_is_not_run_and_ends_the_loop(tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text(TOOLS)
    again = [Call("add", {"a": 1, "b": 2})]
    with Summing([again, again, again]) as server:
        flags = [*server_flags("openai", server.url), "--tools-file", str(file), "--allow", "add"]
        done = run(["ask", "--json", *flags, "go"])
        check("openai", server.exchanges)
    assert done.status == 0, done.stderr
    assert [it.code for it in done.events if isinstance(it, ev.ToolError)] == ["limit"]
    assert sum(isinstance(it, ev.ToolStart) for it in done.events) == 2
    assert [it.code for it in done.events if isinstance(it, ev.Warn)] == ["tool_limit"]
    assert server.requests[-1].json["tool_choice"] == "none"
