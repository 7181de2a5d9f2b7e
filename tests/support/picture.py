"""`python -m tests.support.picture`: the README's picture of `kill -9` and `resume`, as it happens.

A shell on a pty runs the real program against a loopback server, the program is killed with
SIGKILL in the middle of the answer, and `chatstream resume` makes the answer whole. What the
terminal shows at each step is a frame of `.pictures/resume.svg`.

The server holds until the frame is taken, so every picture shows the same text. The SVG moves by
CSS alone; where nothing moves (reduced motion, or a viewer without CSS animations) it is the last
frame, which has the whole story.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Self
from xml.sax.saxutils import escape

import pyte

from tests.support.client import COMMAND, LIMIT
from tests.support.continuing import Continuing
from tests.support.loopback import Point, Reply, Request
from tests.support.screen import Screen

PICTURE = Path(__file__).parents[2] / ".pictures" / "resume.svg"
COLUMNS, LINES = 76, 18
QUESTION = "Why is the sky blue?"
ANSWER = """\
Sunlight holds **every colour**. The molecules of the air are much smaller
than its waves, and they scatter it:

1. *Short waves* (blue) are scattered most, ten times as much as red.
2. *Long waves* (red) pass almost straight through.

So blue light reaches your eyes from **all over the sky**. In the evening
its way through the air is long, most of the blue is lost, and the sun
looks red.
"""
HOLDS = ("smaller", "are scattered", "pass almost")
"""After which words of the answer a frame is taken; after the last the program is killed."""

# A shell that owns its terminal: without job control it would not say that a program was killed.
_SHELL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("bash", ["bash", "--noprofile", "--norc", "--noediting", "-i"])
"""


@dataclass(frozen=True)
class Frame:
    """What the terminal shows, for so many seconds, and what is said below it."""

    rows: list[list[pyte.screens.Char]]
    caption: str
    seconds: float

    @property
    def text(self) -> str:
        """Its text, without the blanks at the ends of lines."""
        lines = ["".join(cell.data for cell in row).rstrip() for row in self.rows]
        return "\n".join(lines).rstrip("\n")


class Holding(Continuing):
    """Writes word by word; its first answer holds at each of `HOLDS` until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(ANSWER)
        writes = [len(_words(ANSWER[: ANSWER.index(words) + len(words)])) for words in HOLDS]
        self.held: dict[Point, threading.Event] = {it: threading.Event() for it in writes}

    def take(self, request: Request) -> Reply:
        reply = super().take(request)
        return replace(reply, hold=self.held) if len(self.asked) == 1 else reply

    def words(self, start: int = 0) -> list[str]:
        return _words(self.text[start:])


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*", text)


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.screen = Screen(COLUMNS, LINES)
        programs = folder / "bin"
        programs.mkdir()
        command = programs / "chatstream"
        command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
        command.chmod(0o700)
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (LINES, COLUMNS))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SHELL],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={  # nothing of this machine's settings, colours and languages
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(folder),
                "LC_ALL": "C.UTF-8",
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "PS1": r"\[\e[J\]$ ",  # clears what is below, as the prompts of zsh and fish do
                **environ,
            },
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._ours)  # which hangs up
        self._process.kill()
        self._process.wait()

    def type(self, line: str) -> None:
        """Type it, and the return key if it has one."""
        os.write(self._ours, line.encode())

    def kill(self) -> None:
        """Kill the program in the foreground."""
        os.killpg(os.tcgetpgrp(self._ours), signal.SIGKILL)

    def until(self, condition: Callable[[str], bool]) -> None:
        """Read what is shown until its text fulfils the condition, and then until it rests."""
        deadline = time.monotonic() + LIMIT
        while not condition("\n".join(self.screen.visible())):
            assert time.monotonic() < deadline, self.screen.visible()
            self._read(0.1)
        while self._read(0.2):
            pass

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        data = os.read(self._ours, 65536).decode("utf-8", "replace")
        self.screen.stream.feed(data)
        return True


def frames() -> Iterator[Frame]:
    """Run it all, and give what the terminal shows on the way."""
    with tempfile.TemporaryDirectory() as home, Holding() as server:
        environ = {"CHATSTREAM_PROVIDER": "ollama", "CHATSTREAM_MODEL": "llama3.2"}
        environ |= {"CHATSTREAM_STATS": "false", "OLLAMA_HOST": server.url}
        with Shell(Path(home), **environ) as shell:

            def frame(caption: str, seconds: float) -> Frame:
                return Frame(shell.screen.cells(), caption, seconds)

            shell.until(lambda text: text.startswith("$"))
            shell.type(f'chatstream ask "{QUESTION}"')
            shell.until(lambda text: QUESTION in text)
            yield frame("A question", 1.2)
            shell.type("\n")
            for words, event in zip(HOLDS, server.held.values(), strict=True):
                shell.until(lambda text, words=words: words in text)  # type: ignore[misc]
                yield frame("Every token is shown the moment it arrives", 0.8)
                if words != HOLDS[-1]:
                    event.set()
            shell.kill()
            shell.until(lambda text: "Killed" in text)
            yield frame("In another terminal: kill -9. What has arrived is in the journal", 2.2)
            shell.type("chatstream resume")
            shell.until(lambda text: "resume" in text)
            yield frame("chatstream resume shows it again, and goes on from there", 1.6)
            shell.type("\n")
            shell.until(lambda text: "the sun looks" in text and text.rstrip().endswith("$"))
            yield frame("The answer is whole: no word is lost, and none is there twice", 6.0)


# ---- as SVG

_CELL, _LINE, _MARGIN, _BAR = 8.4, 18, 16, 34  # pixels
_BACKGROUND, _FOREGROUND, _DIM = "#161b22", "#e6edf3", "#8b949e"
_COLOURS = {
    "black": "#484f58",
    "red": "#ff7b72",
    "green": "#3fb950",
    "brown": "#d29922",
    "blue": "#58a6ff",
    "magenta": "#bc8cff",
    "cyan": "#39c5cf",
    "white": "#b1bac4",
}
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"


def svg(shown: list[Frame]) -> str:
    """The frames as one picture."""
    width = round(COLUMNS * _CELL + 2 * _MARGIN)
    height = _BAR + LINES * _LINE + 2 * _MARGIN + _LINE
    total = sum(frame.seconds for frame in shown)
    rules, groups, begin = [], [], 0.0
    for number, frame in enumerate(shown, 1):
        end = begin + frame.seconds
        rules.append(_keyframes(number, begin / total, end / total))
        last = " last" * (frame is shown[-1])
        groups.append(f'<g class="frame{last}" id="f{number}">\n{_drawn(frame, height)}</g>\n')
        begin = end
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" role="img" aria-label="{escape(_story(shown))}">
<style>
text {{ font: 14px {_FONT}; fill: {_FOREGROUND}; white-space: pre; }}
.caption {{ fill: {_DIM}; }}
.frame {{ visibility: hidden; animation: {total:g}s step-end infinite; }}
.last {{ visibility: visible; }}
{"".join(rules)}@media (prefers-reduced-motion: reduce) {{ .frame {{ animation: none; }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="{_BACKGROUND}"/>
<circle cx="20" cy="17" r="6" fill="#ff5f57"/>
<circle cx="40" cy="17" r="6" fill="#febc2e"/>
<circle cx="60" cy="17" r="6" fill="#28c840"/>
{"".join(groups)}</svg>
"""


def _story(shown: list[Frame]) -> str:
    return "A terminal. " + ". ".join(dict.fromkeys(frame.caption for frame in shown)) + "."


def _keyframes(number: int, begin: float, end: float) -> str:
    """When a frame is seen; `begin` and `end` are parts of the whole."""
    steps = {0.0: "hidden"} | {begin: "visible"} | ({end: "hidden"} if end < 0.9999 else {})
    marks = " ".join(f"{at:.2%} {{ visibility: {what}; }}" for at, what in steps.items())
    return f"#f{number} {{ animation-name: f{number}; }}\n@keyframes f{number} {{ {marks} }}\n"


def _drawn(frame: Frame, height: int) -> str:
    lines = []
    for row, cells in enumerate(frame.rows):
        baseline, column = _BAR + _MARGIN + row * _LINE + 14, 0
        for look, run in groupby(cells, key=_look):
            text = [cell.data for cell in run]  # a cell each, "" after a wide character
            lines.append(_text(text, column, baseline, look))
            column += len(text)
    caption = escape(frame.caption)
    lines.append(f'<text class="caption" x="{_MARGIN}" y="{height - _MARGIN}">{caption}</text>\n')
    return "".join(lines)


def _text(cells: list[str], column: int, baseline: int, look: str) -> str:
    """A run of cells that look alike; `textLength` keeps the columns in line, whatever the font."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    while cells and not cells[0].strip():
        cells, column = cells[1:], column + 1
    if not cells:
        return ""
    place = f'x="{_MARGIN + column * _CELL:.1f}" y="{baseline}"'
    return (
        f'<text {place} textLength="{len(cells) * _CELL:.1f}"{look}>'
        f"{escape(''.join(cells))}</text>\n"
    )


def _look(cell: pyte.screens.Char) -> str:
    """How a cell looks, as an attribute."""
    colour = _COLOURS.get(cell.fg.removeprefix("bright"))
    if colour is None and re.fullmatch("[0-9a-f]{6}", cell.fg):
        colour = f"#{cell.fg}"
    style = [f"fill:{colour}"] if colour else []
    style += ["font-weight:bold"] if cell.bold else []
    style += ["font-style:italic"] if cell.italics else []
    return f' style="{";".join(style)}"' if style else ""


def main() -> int:
    """Make the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(list(frames())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
