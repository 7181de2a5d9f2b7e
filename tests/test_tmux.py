"""Claimed: on a real terminal a copy of an answer is what the model wrote, a resize loses and
doubles nothing, and Ctrl+C leaves the terminal clean.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from chatstream.events import (
    Content,
    Done,
    Event,
    Metadata,
    Stats,
    ToolCall,
    ToolComplete,
    ToolOutput,
    ToolProgress,
    ToolStart,
    encode,
    encode_lines,
)
from tests.support.client import COMMAND
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

FEEDER = """
import json, select, sys
from rich.console import Console
from chatstream import events as ev
from chatstream.flow import Arrival
from chatstream.sinks.live import LiveSink

sink = LiveSink(Console(), reasoning="hide", stats=False)
with open(sys.argv[1], "rb", buffering=0) as commands:
    while True:
        while not select.select([commands], [], [], 0.01)[0]:
            sink.write(Arrival())
        line = commands.readline()
        if not line:
            break
        text = json.loads(line)
        sink.write(Arrival([ev.Content(text) if isinstance(text, str) else ev.decode(line)]))
sink.write(Arrival([ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)]))
sink.close()
"""

SENTENCE = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. "
PAINTER = """
import json, sys
from rich.console import Console
from chatstream.sinks.lines import line_of
from chatstream.sinks.region import Region

region = Region(Console())
for frame in json.loads(sys.argv[1]):
    region.paint([], [line_of(text) for text in frame])
region.paint([line_of(text) for text in frame])
region.stop()
"""

JOINT = "(?<=[a\u3000-\u9fff]) (?=[\u3000-\u9fff])"

PROSE = [
    (SENTENCE * 4).strip(),
    "".join(f"word{number} " for number in range(60)).strip(),
    "x" * 300,
    "日本語の文章は空白がないので、端末はどこでも折り返します。" * 5,
    "a" + "日本語" * 40,
    "emoji 😀 that 🚀 are 🎉 sure 😀 " * 8 + "end",
]
UNSURE = [
    "families 👨\u200d👩\u200d👧 and flags 🇩🇪 🇫🇷 again " * 5 + "end",
    "cafe\u0301 re\u0301sume\u0301 na\u0131\u0308ve " * 9 + "end",
    "heart ❤\ufe0f and phone ☎\ufe0f " * 9 + "end",
]
CODE = [
    "def long_name(first_argument, second_argument, third_argument, fourth_argument=None):",
    "    return first_argument + second_argument  # " + "a comment " * 12 + "that goes on",
    "",
    "print('日本語' * 40, '" + "日本語" * 20 + "')",
    "y = '" + "z" * 200 + "'",
]


@pytest.fixture
def pane() -> Iterator[Pane]:
    with require(tmux(40, 24)) as opened:
        yield opened


def document(prose: list[str]) -> str:
    code = "\n".join(CODE)
    return "\n\n".join([*prose, f"```python\n{code}\n```", "The end."]) + "\n"


def copied(pane: Pane) -> list[str]:
    """The lines that are not empty, as they are copied: code to the byte, in prose runs of blanks
    joined, and those at a joint between CJK characters left out. Without the lines around code.
    """
    lines = [line for line in pane.lines() if line.strip("─") and not line.startswith("─── ")]
    joined = [line if line in CODE else re.sub(" +", " ", line) for line in lines]
    return [line if line in CODE else re.sub(JOINT, "", line) for line in joined]


def expected(prose: list[str]) -> list[str]:
    return [*prose, *(line for line in CODE if line), "The end."]


@contextmanager
def feeding(pane: Pane, folder: Path, **environ: str) -> Iterator[TextIO]:
    """A live sink in the pane. What is written, a line of JSON each, comes as content or events."""
    script, pipe = folder / "feeder.py", folder / "pipe"
    script.write_text(FEEDER)
    os.mkfifo(pipe)
    pane.run([sys.executable, str(script), str(pipe)], PYTHONPATH=str(Path.cwd()), **environ)
    with pipe.open("w", buffering=1) as commands:
        yield commands
    pane.until(lambda: pane.ended)
    assert pane.status == 0, pane.text()


def feed(commands: TextIO, *texts: str) -> None:
    for text in texts:
        commands.write(json.dumps(text) + "\n")


def tell(commands: TextIO, *events: Event) -> None:
    """The same with any events."""
    for event in events:
        commands.write(encode(event).decode() + "\n")


@pytest.mark.parametrize("prose", [PROSE, UNSURE], ids=["sure", "unsure"])
def test_a_copy_of_an_answer_is_what_the_model_wrote(
    pane: Pane, tmp_path: Path, prose: list[str]
) -> None:
    recording = tmp_path / "run.jsonl"
    recording.write_bytes(
        encode_lines(
            [
                Metadata(version=1, run="r", started_at="2026-01-02T03:04:05.000Z", seq=0, t=0.0),
                Content(document(prose), seq=1, t=0.0),
                Done(finish_reason="stop", stats=Stats(1.0, 1), attempts=1, seq=2, t=0.0),
            ]
        )
    )
    pane.run([*COMMAND, "replay", "--no-stats", str(recording)])
    pane.until(lambda: pane.ended)
    assert copied(pane) == expected(prose)


@pytest.mark.parametrize("prose", [PROSE, UNSURE], ids=["sure", "unsure"])
def test_so_it_is_when_it_came_by_the_token(pane: Pane, tmp_path: Path, prose: list[str]) -> None:
    text = document(prose)
    with feeding(pane, tmp_path) as commands:
        for start in range(0, len(text), 20):
            feed(commands, text[start : start + 20])
    assert copied(pane) == expected(prose)


ROWS = "aaaaaaaaaabbbbbbbbbbccccc"  # on a terminal of ten cells


@pytest.mark.parametrize(
    "frames",
    [
        [[ROWS], [ROWS[:20], ROWS[20:]]],
        [[ROWS], [ROWS[:10], ROWS[10:]]],
        [[ROWS], [ROWS[:10], ROWS[10:20], ROWS[20:]]],
        [[ROWS], [ROWS[:5], ROWS[10:]]],
        [[ROWS[:10], ROWS[10:]], [ROWS]],
        [[ROWS[:20], ROWS[20:]], [ROWS]],
        [[ROWS[:10], ROWS[10:20], ROWS[20:]], [ROWS]],
        [[ROWS], [ROWS.upper()]],
        [[ROWS], [ROWS.replace("aaab", "AAAB")]],
        [[ROWS[:9] + "日日"], [ROWS]],
        [[ROWS], [ROWS[:9] + "日日"]],
    ],
)
def test_a_line_whose_rows_have_changed_is_copied_as_it_is_now(frames: list[list[str]]) -> None:
    with require(tmux(10, 12)) as pane:
        pane.run([sys.executable, "-c", PAINTER, json.dumps(frames)], PYTHONPATH=str(Path.cwd()))
        pane.until(lambda: pane.ended)
        assert copied(pane) == frames[-1]


SIZES = [(20, 24), (60, 24), (15, 24), (40, 12), (60, 30)]


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[1:2], SIZES[:3], SIZES[3:4], SIZES])
def test_a_resize_in_the_middle_of_a_paragraph_loses_and_doubles_nothing(
    pane: Pane, tmp_path: Path, sizes: list[tuple[int, int]]
) -> None:
    before = [f"{number}. line" for number in range(1, 31)]
    with feeding(pane, tmp_path) as commands:
        feed(commands, "".join(f"{line}\n" for line in before) + "\nopened " + "some words " * 9)
        pane.until_shown("words")
        for at, (columns, lines) in enumerate(sizes):
            pane.resize(columns, lines)
            feed(commands, f"resized{at} ")
            pane.until_shown(f"resized{at}")
        feed(commands, "and more.\n\nThe end.\n")
    paragraph = "opened " + "some words " * 9 + "".join(f"resized{at} " for at in range(len(sizes)))
    assert copied(pane) == [*before, paragraph + "and more.", "The end."]


@pytest.mark.parametrize("size", [(60, 24), (60, 12), (40, 30)])
def test_so_it_is_at_the_top_of_the_screen(
    pane: Pane, tmp_path: Path, size: tuple[int, int]
) -> None:
    with feeding(pane, tmp_path) as commands:
        feed(commands, "some words " * 9)
        pane.until_shown("words")
        pane.resize(*size)
        feed(commands, "resized")
        pane.until_shown("resized")
    assert copied(pane) == ["some words " * 9 + "resized"]


PARTS = {  # by the last word, which is in no other
    "begin": "Some words that fill more than one row of the pane, to begin",
    "items": " with.\n\n- an item that is so long that it needs two rows\n- one of the items",
    "comment": " too\n\n```python\nprint(1)\nreturn argument + other  # a long comment",
    "gamma": " that wraps\n\nprint(2)\n```\n\n| name | value |\n|---|---|\n| alpha | 1 |\n| gamma",
    "word20": " | 2 |\n\nopened " + " ".join(f"word{number}" for number in range(21)),
    "end": " and the end",
}
SHOWN_ONCE = [
    *(
        "to begin with.",
        "an item that",
        "one of the items too",
        "print(1)",
        "a long comment that wraps",
    ),
    *("print(2)", "alpha", "gamma", "opened word0", "word10", "word20 and the end"),
]


@pytest.mark.parametrize("widths", [[30, 60, 25, 75, 40], [90, 45, 90, 30, 60]])
def test_lists_code_and_tables_go_through_resizes_with_no_row_twice(
    pane: Pane, tmp_path: Path, widths: list[int]
) -> None:
    with feeding(pane, tmp_path) as commands:
        feed(commands, "".join(f"{number}. line\n" for number in range(1, 31)) + "\n")
        pane.until_shown("30. line")
        for (word, text), width in zip(PARTS.items(), [*widths, 0], strict=True):
            feed(commands, text)
            pane.until_shown(word)
            if width:
                pane.resize(width, 24)
    shown = " ".join(pane.text().split())
    assert {words: shown.count(words) for words in SHOWN_ONCE} == dict.fromkeys(SHOWN_ONCE, 1)


LONG = "".join(f"word{number} " for number in range(400))  # blocks hands its begin out at 2,000


@pytest.mark.parametrize("sizes", [[(20, 24)], [(60, 24)], [(20, 24), (60, 24), (25, 24)]])
def test_a_line_that_is_partly_final_goes_through_a_resize_as_one_line(
    pane: Pane, tmp_path: Path, sizes: list[tuple[int, int]]
) -> None:
    with feeding(pane, tmp_path) as commands:
        feed(commands, "First.\n\n" + LONG[:2300])
        pane.until_shown(LONG[2200:2299])
        for at, (columns, lines) in enumerate(sizes):
            pane.resize(columns, lines)
            feed(commands, f"resized{at} ")
            pane.until_shown(f"resized{at}")
        feed(commands, LONG[2300:] + "\n\nThe end.\n")
    resized = "".join(f"resized{at} " for at in range(len(sizes)))
    paragraph = LONG[:2300] + resized + LONG[2300:].strip()
    assert copied(pane) == ["First.", paragraph, "The end."]


@pytest.mark.parametrize("size", [(10, 24), (40, 6)])
def test_what_a_resize_takes_out_of_reach_is_there_twice_and_nothing_is_lost(
    pane: Pane, tmp_path: Path, size: tuple[int, int]
) -> None:
    text = LONG[:600]
    with feeding(pane, tmp_path) as commands:
        feed(commands, "First.\n\n" + text)
        pane.until_shown(text[500:599])
        pane.resize(*size)
        feed(commands, "resized")
        pane.until_shown("resized")
    first, *others = copied(pane)
    assert first == "First."
    assert "".join(others).endswith(text + "resized")


UNKNOWN = {"TMUX": "", "TERM_PROGRAM": "", "TERM": "xterm-256color"}


@pytest.mark.parametrize("width", [20, 30, 60])
def test_where_nobody_knows_that_the_terminal_reflows_a_resize_loses_nothing(
    pane: Pane, tmp_path: Path, width: int
) -> None:
    with feeding(pane, tmp_path, **UNKNOWN) as commands:
        feed(commands, "First.\n\n" + "some words " * 12)
        pane.until_shown("words")
        pane.resize(width, 24)
        feed(commands, "resized")
        pane.until_shown("resized")
    lines = copied(pane)
    assert lines[0] == "First."
    assert lines[-1] == "some words " * 12 + "resized"


@pytest.mark.parametrize("width", [20, 25, 60])
def test_nor_does_it_in_a_line_that_is_partly_final(pane: Pane, tmp_path: Path, width: int) -> None:
    with feeding(pane, tmp_path, **UNKNOWN) as commands:
        feed(commands, LONG[:2300])
        pane.until_shown(LONG[2200:2299])
        pane.resize(width, 24)
        feed(commands, "resized")
        pane.until_shown("resized")
    text = " ".join(" ".join(pane.lines()).split())
    assert text.startswith(LONG[:2000].strip())
    assert text.endswith(LONG[2000:2300] + "resized")


@pytest.mark.parametrize("width", [40, 60])
def test_tools_that_print_are_all_live_and_a_resize_leaves_one_line_of_each(
    tmp_path: Path, width: int
) -> None:
    before = [f"{number}. line" for number in range(1, 31)]
    names = ["index", "search", "build"]
    with require(tmux(80, 24)) as pane:
        with feeding(pane, tmp_path) as commands:
            feed(commands, "".join(f"{line}\n" for line in before))
            tell(commands, *(ToolCall(it, it, "{}") for it in names))
            tell(commands, *(ToolStart(it, it, {"in": "a folder"}) for it in names))
            for number, columns in enumerate([80, width, 80]):
                pane.resize(columns, 24)
                for line in range(200):
                    tell(commands, *(ToolOutput(it, it, f"{it} {number}.{line}\n") for it in names))
                tell(commands, *(ToolProgress(it, it, 30.0 * number + 1) for it in names))
                # Then nothing is drawn any more: no frame for one size comes after the next one.
                for name in names:
                    pane.until_shown(f"{name}(in: a folder) ")
                    pane.until_shown(f"{name} {number}.199")
                pane.until_shown(f" {30 * number + 1} %")
            tell(commands, *(ToolComplete(it, it, "", 1.0) for it in reversed(names)))
            feed(commands, "Found.\n")
        ends = [f"✓ {name}(in: a folder) · 1.0 s" for name in names]
        assert [line for line in pane.lines() if line] == [*before, *ends, "Found."]


def test_ctrl_c_keeps_what_has_arrived_and_leaves_the_terminal_clean(pane: Pane) -> None:
    ask = shlex.join([*COMMAND, "ask", "--provider", "demo", "--reasoning", "hide", "hi"])
    pane.run(["sh", "-c", f"trap : INT; {ask}; echo status=$?; printf 'prompt> '; read line"])
    pane.until_shown("a small server inside")
    pane.send("C-c")
    pane.until_shown("prompt>")
    lines = copied(pane)
    assert sum("This answer comes from a small server inside" in line for line in lines) == 1
    assert "status=130" in lines
    assert lines[-1] == "prompt>"
    assert not pane.cursor_hidden
    assert pane.cursor[0] == len("prompt> ")


def test_after_kill_9_the_shell_has_a_cursor_and_a_prompt(pane: Pane, tmp_path: Path) -> None:
    ask = shlex.join([*COMMAND, "ask", "--provider", "demo", "--reasoning", "hide", "hi"])
    number = tmp_path / "pid"
    client = f"echo $$ >{shlex.quote(str(number))}; exec {ask}"
    pane.run(["sh", "-c", f"sh -c {shlex.quote(client)}; printf 'prompt> '; read line"])
    pane.until_shown("a small server")
    os.kill(int(number.read_text()), signal.SIGKILL)
    pane.until_shown("prompt>")
    assert not pane.cursor_hidden


ASKING = """
import sys
from chatstream.terminal.background import ask
from chatstream.terminal.keyboard import Keyboard
keyboard = Keyboard()
keyboard.open()
def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()
print("told", ask(keyboard, write, {"TMUX": "yes"}))
keyboard.close()
"""


@pytest.mark.parametrize(
    ("style", "told"), [("bg=#ffffee", "light"), ("bg=#202020", "dark"), ("default", "None")]
)
def test_the_background_of_a_pane_is_the_one_that_is_told(
    pane: Pane, style: str, told: str
) -> None:
    pane.settings += f"set -g window-style {shlex.quote(style)}\n"
    pane.run([sys.executable, "-c", ASKING], PYTHONPATH=str(Path.cwd()))
    pane.until(lambda: pane.ended)
    assert pane.lines() == [f"told {told}"]
