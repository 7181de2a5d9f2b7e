"""Claimed: standard output has what a tool says and nothing else, and the status is the tool's."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.client import COMMAND, Running, run_here
from tests.support.terminal import on_terminal

FILE = '''
import sys
import time
from pathlib import Path

import chatstream


@chatstream.tool
def work(n: int) -> str:
    """Work."""
    print("working \\x1b[2J")
    with Path("ran").open("a") as ran:
        ran.write("x")
    return f"worked {n}"


@chatstream.tool
def fail() -> None:
    """Fail."""
    print("half", end="")
    raise ValueError("no more")


@chatstream.tool(effect="read")
def hang(context: chatstream.Context) -> None:
    """Hang."""
    print("hanging", flush=True)
    while not context.stopped:
        time.sleep(0.01)


@chatstream.tool
def flood() -> None:
    """Print much."""
    for number in range(20_000):
        print(number)
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


CALL = ["tools", "call", "--tools-file", "own.py"]


def test_what_a_tool_prints_and_returns_is_the_output(here: Path) -> None:
    done = run_here([*CALL, "--allow", "work", "work", '{"n": 3}'])
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.decode() == "working ␛[2J\nworked 3\n"
    assert (here / "ran").read_text() == "x"


def test_a_long_output_is_printed_whole(here: Path) -> None:
    done = run_here([*CALL, "--allow", "*", "flood"])
    assert done.status == 0
    assert done.stdout.decode() == "".join(f"{number}\n" for number in range(20_000))


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        (
            ["work", '{"n": 1}'],
            1,
            "",
            "error: work: not run: no rule allows it, and there is nobody to ask",
        ),
        (["work", '{"n": "x"}'], 2, "", "error: work: Expected `int`, got `str`"),
        (["work", "{"], 2, "", "error: work: the arguments are not JSON"),
        (["work", '{"n": 1}', "--on-ask", "stop"], 6, "", "error: work needs approval"),
        (["work", '{"n": 1}', "--deny", "w*"], 1, "", "error: work: not run: a rule denies it"),
        (["wrok"], 2, "", "error: there is no tool 'wrok'\ndid you mean 'work'?"),
        (["fail", "--allow", "fail"], 1, "half\n", "error: fail: ValueError: no more"),
        (["hang", "--allow", "*", "--tool-timeout", "0.1"], 4, "hanging\n", "error: hang: it was"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else None,
)
def test_what_goes_wrong_is_told_beside_and_is_the_status(
    arguments: list[str], status: int, out: str, err: str, here: Path
) -> None:
    done = run_here([*CALL, *arguments])
    assert (done.status, done.stdout.decode()) == (status, out)
    assert done.stderr.startswith(err)
    assert not (here / "ran").exists()


@pytest.mark.serial
def test_ctrl_c_stops_the_call(here: Path) -> None:
    with Running([*CALL, "--allow", "hang", "hang"]) as client:
        client.read_until(b"hanging")
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert (done.status, done.stdout) == (130, b"hanging\n")
    assert done.stderr == "error: hang: the run was stopped\n"


@pytest.mark.serial
def test_a_reader_that_has_seen_enough_is_not_a_failure(here: Path) -> None:
    line = f"{' '.join(COMMAND)} {' '.join(CALL)} --allow flood flood | head -1"
    status, screen, _ = on_terminal([], command=["sh", "-c", line])
    assert (status, [it for it in screen.text() if it.strip()]) == (0, ["0"])


@pytest.mark.serial
@pytest.mark.parametrize(("key", "status"), [("y", 0), ("n", 1)])
def test_on_a_terminal_the_call_is_asked_about(key: str, status: int, here: Path) -> None:
    ended, screen, _ = on_terminal(
        [*CALL, "work", '{"n": 4}'],
        idle=lambda written: key.encode() if b"d all" in written else b"",
    )
    text = "\n".join(screen.text())
    assert ended == status, text
    assert "The model wants to run work:\n  n: 4\n" in text
    assert ("worked 4" in text) == (status == 0)
    assert (here / "ran").exists() == (status == 0)


def test_the_tools_are_a_table(here: Path) -> None:
    done = run_here(["tools", "list", "--tool", "time", "--tools-file", "own.py"])
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [row[:4] for row in rows] == [
        ["time", "read", "built in", "allowed"],
        ["work", "write", "file", "asked"],
        ["fail", "write", "file", "asked"],
        ["hang", "read", "file", "asked"],
        ["flood", "write", "file", "asked"],
    ]
    assert rows[1][4] == "Work."


def test_a_tool_is_shown_as_a_model_is_told_of_it(here: Path) -> None:
    done = run_here(["tools", "show", "work", "--tools-file", "own.py", "--deny", "work"])
    head, about, schema = done.stdout.decode().split("\n\n")
    assert (head, about) == ("work · write · file · denied", "Work.")
    assert '"n": {\n      "type": "integer"' in schema
