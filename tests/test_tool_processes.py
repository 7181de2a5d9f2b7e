"""However chatstream ends, nothing that a tool has started is left: Ctrl+C, signals, `kill -9`.

The tree of processes leaves its session and its group, forks twice, and ignores every signal that
can be ignored.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.tools import descendants
from chatstream.tools.sandbox import Kind
from tests.support.client import Running, server_flags
from tests.support.figures import Figures
from tests.support.processes import alive, new_mark, seconds_until_gone, write_tree
from tests.support.sampling import sampled
from tests.support.sandboxes import EACH, provide
from tests.support.summing import Call, Summing

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux"),
]

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(params=EACH)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Each kind of sandbox."""
    return provide(request.param, monkeypatch)


Grow = Callable[[str], tuple[Running, str]]


@pytest.fixture
def growing(tmp_path: Path, kind: Kind) -> Iterator[Grow]:
    """Starts a client whose tool, "shell" or "grow", has grown its tree; and the tree's mark."""
    with ExitStack() as stack:

        def start(tool: str) -> tuple[Running, str]:
            mark = new_mark()
            tree = str(write_tree(tmp_path, mark))
            asked = ["--sandbox", kind, "--root", str(tmp_path), "--allow", tool]
            if tool == "shell":
                server = stack.enter_context(Summing([[Call("shell", {"command": tree})]]))
                asked += ["--tool", "shell", *server_flags("ollama", server.url)]
            else:
                asked += ["--tool-exec", tree, "-p", "demo", "-m", "demo-fast"]
            client = stack.enter_context(Running(["ask", "--json", *asked, "x"]))
            assert b"grown" in client.read_until(b'"tool_output"')
            assert len(alive(mark)) >= 5
            return client, mark

        yield start


FUNCTION = """\
import subprocess, sys

def grow() -> str:
    "Grow a tree."
    with subprocess.Popen([{path!r}], stdout=subprocess.PIPE, text=True) as tree:
        for line in tree.stdout:
            print(line, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_a_function_of_a_tools_file_has_started_ends_too(
    tmp_path: Path, number: signal.Signals, figures: Figures
) -> None:
    mark = new_mark()
    file = tmp_path / "own_tools.py"
    file.write_text(FUNCTION.format(path=str(write_tree(tmp_path, mark))))
    asked = ["-p", "demo", "-m", "demo-fast", "--tools-file", str(file), "--allow", "grow"]
    with Running(["ask", "--json", *asked, "hi"]) as client:
        assert b"grown" in client.read_until(b'"tool_output"')
        client.process.send_signal(number)
        done = client.finish()
    figures.line(f"{number.name}, a tools file: gone after {seconds_until_gone(mark):.2f} s more")
    assert done.status == STATUS.get(number, -number)


def tools(*key: object) -> Sequence[str]:
    """The two tools that run programs, or one of them."""
    return sampled(("shell", "grow"), 1, *key)


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_ends_the_whole_tree_before_the_run_ends(
    growing: Grow, number: signal.Signals, kind: Kind, figures: Figures
) -> None:
    for tool in tools(kind, number.name):
        client, mark = growing(tool)
        began = time.monotonic()
        client.process.send_signal(number)
        done = client.finish()
        left = alive(mark)
        figures.line(f"{number.name} on {tool}, {kind}: {time.monotonic() - began:.2f} s")
        assert left == []
        assert done.status == STATUS[number]
        *_, end, last = done.events
        assert isinstance(end, ev.ToolError)
        assert (end.outcome, end.code) == ("stopped", "stopped")
        assert isinstance(last, ev.Error)


def test_kill_9_leaves_nothing_behind(growing: Grow, kind: Kind, figures: Figures) -> None:
    for tool in tools(kind, "KILL"):
        client, mark = growing(tool)
        client.process.kill()
        client.process.wait()
        figures.line(f"kill -9, {tool}, {kind}: gone after {seconds_until_gone(mark):.2f} s")


def test_a_killed_minder_is_the_end_of_its_program_and_of_nothing_else(
    growing: Grow, kind: Kind
) -> None:
    client, mark = growing("shell")
    (keeper,) = descendants.children()[client.process.pid]
    (minder,) = descendants.children()[keeper]
    os.kill(minder, signal.SIGKILL)
    done = client.finish()
    seconds_until_gone(mark)
    assert done.status == 0
    (end,) = [it for it in done.events if isinstance(it, ev.ToolError)]
    assert (end.outcome, end.code) == ("unknown", "worker_ended")


def test_without_its_keeper_a_program_goes_on_and_can_be_stopped(growing: Grow, kind: Kind) -> None:
    client, mark = growing("shell")
    (keeper,) = descendants.children()[client.process.pid]
    os.kill(keeper, signal.SIGKILL)
    client.process.send_signal(signal.SIGINT)
    done = client.finish()
    assert alive(mark) == []
    assert done.status == 130
    (end,) = [it for it in done.events if isinstance(it, ev.ToolError)]
    assert (end.outcome, end.code) == ("stopped", "stopped")
