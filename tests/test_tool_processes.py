"""However chatstream ends, nothing that a tool has started is left: Ctrl+C, signals, `kill -9`.

The tree of processes leaves its session and its group, forks twice, and ignores every signal that
can be ignored.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatstream import events as ev
from tests.support.client import Running
from tests.support.figures import Figures
from tests.support.processes import alive, new_mark, seconds_until_gone, write_tree
from tests.support.real.install import bwrap
from tests.support.unavailable import skip_unavailable

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux"),
]

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(params=["off", "landlock", pytest.param("bwrap", marks=pytest.mark.real)])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kind of sandbox."""
    if request.param == "bwrap":
        with skip_unavailable():
            monkeypatch.setenv("PATH", f"{bwrap()}:{os.environ['PATH']}")
    return str(request.param)


@pytest.fixture
def growing(tmp_path: Path, kind: str) -> Iterator[Callable[[], tuple[Running, str]]]:
    """Starts a client whose tool has grown its tree; gives the mark of the tree, too."""
    clients: list[Running] = []

    def start() -> tuple[Running, str]:
        mark = new_mark()
        tree = write_tree(tmp_path, mark)
        asked = ["-p", "demo", "-m", "demo-fast", "--sandbox", kind, "--root", str(tmp_path)]
        client = Running(
            ["ask", "--json", *asked, "--tool-exec", str(tree), "--allow", "grow", "x"]
        )
        clients.append(client)
        assert b"grown" in client.read_until(b'"tool_output"')
        assert len(alive(mark)) >= 5
        return client, mark

    yield start
    for client in clients:
        client.__exit__()


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


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_ends_the_whole_tree_before_the_run_ends(
    growing: Callable[[], tuple[Running, str]], number: signal.Signals, kind: str, figures: Figures
) -> None:
    client, mark = growing()
    began = time.monotonic()
    client.process.send_signal(number)
    done = client.finish()
    left = alive(mark)
    figures.line(f"{number.name} on a tree, {kind}: {time.monotonic() - began:.2f} s")
    assert left == []
    assert done.status == STATUS[number]
    *_, end, last = done.events
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code) == ("stopped", "stopped")
    assert isinstance(last, ev.Error)


def test_kill_9_leaves_nothing_behind(
    growing: Callable[[], tuple[Running, str]], kind: str, figures: Figures
) -> None:
    client, mark = growing()
    client.process.kill()
    client.process.wait()
    figures.line(f"kill -9 on a tree, {kind}: gone after {seconds_until_gone(mark):.2f} s")
