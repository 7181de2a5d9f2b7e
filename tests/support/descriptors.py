"""The program in forked processes, with standard descriptors as a shell may leave them.

    ended = run_all([Case(["ask", "hi"], "gone"), …])

One process imports the program and forks for each case, so that a case takes milliseconds. From
the fork on it is the real program: its `run`, its exit, its exit status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from chatstream.cli.commands import COMMANDS

Kind = Literal["read", "gone", "never_read", "no_space", "closed", "read_only"]
"""Somebody reads it; the pipe's reader is gone; the pipe is full and nobody reads it; a full disk;
closed; a descriptor that cannot be written to."""

AT_ONCE = 16
WARM = [
    *(target.partition(":")[0] for target, _ in COMMANDS.values()),
    *("chatstream.transport", "chatstream.store.history", "chatstream.sinks.plain"),
    *("chatstream.bench.report", "typer.rich_utils", "rich.markdown"),
]
"""What is imported before the first fork."""
LIMIT = 60  # seconds for all of them


@dataclass(frozen=True)
class Case:
    """A command line, and what becomes of its output."""

    arguments: Sequence[str]
    stderr: Kind = "read"
    stdout: Literal["read", "gone"] = "read"
    environ: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Ended:
    """How it ended. `stderr` is empty unless somebody read it."""

    status: int
    stdout: str
    stderr: str


def open_descriptors() -> int:
    """How many this process has, and one more that reads the list."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def run_all(cases: Sequence[Case]) -> list[Ended]:
    """Run every case to its end."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", __name__, folder],
            input=json.dumps([asdict(case) for case in cases]),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return [Ended(*it) for it in json.loads(done.stdout)]


def _main(folder: str) -> None:
    cases = [Case(**it) for it in json.load(sys.stdin)]
    for module in WARM:
        importlib.import_module(module)
    from chatstream.__main__ import run

    gc.freeze()  # nothing of it is copied for a child's collector
    full = _full_pipe()
    running: dict[int, tuple[int, str, str]] = {}
    ended: dict[int, Ended] = {}
    for number, case in enumerate(cases):
        if len(running) == AT_ONCE:
            _await_one(running, ended)
        out, err = f"{folder}/{number}.out", f"{folder}/{number}.err"
        child = os.fork()
        if child == 0:
            _become(case, out, err, full)
            run()  # never returns
        running[child] = (number, out, err)
    while running:
        _await_one(running, ended)
    print(json.dumps([list(asdict(ended[it]).values()) for it in range(len(cases))]))


def _full_pipe() -> int:
    """The end to write to of a pipe that takes nothing more."""
    _, write = os.pipe()  # the other end stays open, and is never read
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    return write


def _gone() -> int:
    """The end to write to of a pipe whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    return write


def _await_one(running: dict[int, tuple[int, str, str]], ended: dict[int, Ended]) -> None:
    child, status = os.wait()
    number, out, err = running.pop(child)
    texts = [Path(path).read_text("utf-8", "replace") for path in (out, err)]
    ended[number] = Ended(os.waitstatus_to_exitcode(status), *texts)


def _become(case: Case, out: str, err: str, full: int) -> None:
    """Have the standard descriptors of a case."""
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    written, kept = os.open(out, create), os.open(err, create)
    os.dup2(written if case.stdout == "read" else _gone(), 1)
    match case.stderr:
        case "read":
            os.dup2(kept, 2)
        case "gone":
            os.dup2(_gone(), 2)
        case "never_read":
            os.dup2(full, 2)
        case "no_space":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
        case "read_only":
            os.dup2(os.open(os.devnull, os.O_RDONLY), 2)
        case "closed":
            os.close(2)
            sys.stderr = None  # as Python starts then
    os.environ.update(dict(case.environ))
    sys.argv = ["chatstream", *case.arguments]


if __name__ == "__main__":
    _main(sys.argv[1])
