"""Processes that are looked for by a mark in their command lines, and programs that leave some.

mark = new_mark()
tree = write_tree(tmp_path, mark)   # an executable for --tool-exec, which describes itself
...
assert alive(mark) == []
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from tests.support.toolcalls import LIMIT

_GROW = """\
trap '' INT TERM HUP
setsid sh -c 'trap "" INT TERM HUP; while :; do sleep {mark}; done' > /dev/null 2>&1 &
nohup sleep {mark} > /dev/null 2>&1 &
(setsid sh -c 'sleep {mark} & exec setsid sleep {mark}' > /dev/null 2>&1 &)
sleep {mark} &
while [ "$(pgrep -fc 'sleep {mark}')" -lt 5 ]; do sleep 0.01; done
"""

_DESCRIBE = """\
if [ "$1" = --describe ]; then echo '{{"name": "grow", "description": "Grow a tree."}}'; exit; fi
"""

TREE = f"#!/bin/sh\n{_DESCRIBE}{_GROW}echo grown\nwhile :; do sleep {{mark}}; done\n"

ROOTED = f'#!/bin/sh\n{_GROW}exec "$@"\n'


def new_mark() -> str:
    """A number of seconds for `sleep` that nothing else on this machine sleeps for."""
    return f"1000.{int.from_bytes(os.urandom(5)):013d}"


def write_tree(folder: Path, mark: str) -> Path:
    """An executable that leaves its session and its group, ignores signals, and prints "grown"."""
    return write_program(folder / f"tree-{mark}", TREE.format(mark=mark))


def write_rooted(folder: Path, mark: str) -> Path:
    """An executable that leaves the same tree, and becomes the program that its arguments name."""
    return write_program(folder / f"rooted-{mark}", ROOTED.format(mark=mark))


def write_program(path: Path, text: str) -> Path:
    """An executable with this text."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def alive(mark: str) -> list[str]:
    """The command lines with this mark, but not of those that have ended."""
    found = []
    for it in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if it.name.isdigit() and mark in (line := (it / "cmdline").read_bytes().decode()):
                found.append(line.replace("\0", " "))
    return found


def marked(mark: str) -> list[str]:
    """The command lines of processes that have this mark in their environment, and live."""
    found = []
    for it in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if it.name.isdigit() and mark in (it / "environ").read_bytes().decode(errors="replace"):
                found.append((it / "cmdline").read_bytes().decode().replace("\0", " "))
    return found


def until_unmarked(mark: str) -> None:
    """Wait until none is left. Raises `AssertionError` if some are after a long time."""
    began = time.monotonic()
    while left := marked(mark):
        assert time.monotonic() - began < LIMIT, left
        time.sleep(0.01)


def seconds_until_gone(mark: str) -> float:
    """Wait until none is alive. Raises `AssertionError` if some are after a long time."""
    began = time.monotonic()
    while left := alive(mark):
        assert time.monotonic() - began < LIMIT, left
        time.sleep(0.005)
    return time.monotonic() - began


def waits_in(process: int) -> bytes:
    """The kernel's functions in which the threads of a process wait."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return b" ".join((task / "wchan").read_bytes() for task in tasks)


def children() -> set[int]:
    """The processes that this one has begun and not yet waited for."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(it) for task in tasks for it in (task / "children").read_text().split()}
