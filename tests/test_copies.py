"""Claimed: what is copied from a real terminal is what the model wrote, in the middle of whose
answer the terminal may have been resized.

Prose is one line for each line of the source, once runs of blanks are joined; code is byte for
byte, behind the indent of its item. The terminal is tmux; it is asked with `capture-pane -J`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.reader import ANSWERS
from tests.support.rows import defects
from tests.support.sampling import by_size, sampled
from tests.support.showing import FEEDS, Feed
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.screen

WIDTHS = [40, 60, 80, 100]
COPIED = 6  # answers for each width and feed
RESIZED = 2  # answers for each pair of widths
LINES = 30

SHOW = """
import sys
from rich.console import Console
from tests.support.reader import ANSWERS
from tests.support.showing import pieces, show

for name in sys.argv[2:]:
    print(f"@@@ {name}", flush=True)
    show(Console(), pieces(ANSWERS[name], sys.argv[1]))
"""

# Stops after the first half until the size of the terminal has changed, and at the end.
RESIZE = """
import array, fcntl, os, sys, termios, time
from pathlib import Path
from rich.console import Console
from tests.support.reader import ANSWERS
from tests.support.showing import pieces, show

def taken(mark):
    waiting = array.array("i", [1])
    while waiting[0]:  # bytes that tmux has not read
        fcntl.ioctl(1, termios.TIOCOUTQ, waiting)
    Path(mark).touch()

def parts():
    text, half = ANSWERS[sys.argv[1]], len(ANSWERS[sys.argv[1]]) // 2
    yield from pieces(text[:half], "tokens")
    before = os.get_terminal_size()
    taken(sys.argv[2] + ".half")
    while os.get_terminal_size() == before:
        time.sleep(0.005)
    yield from pieces(text[half:], "tokens")

show(Console(), parts())
taken(sys.argv[2] + ".whole")
sys.stdin.readline()
"""


def run(pane: Pane, script: str, *arguments: str) -> None:
    pane.run([sys.executable, "-c", script, *arguments], PYTHONPATH=str(Path.cwd()))


def ended(pane: Pane) -> None:
    pane.until(lambda: pane.ended)
    assert pane.status == 0, pane.text()


def copies(lines: Sequence[str]) -> dict[str, list[str]]:
    """The lines of each answer, by its name."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("@@@ "):
            found[line.removeprefix("@@@ ")] = []
        else:
            found[list(found)[-1]].append(line)
    return found


def wrong(name: str, lines: Sequence[str], width: int) -> list[str]:
    """What is wrong with the words and the code of a copy."""
    rows = [line.rstrip(" ") for line in lines]
    found = defects(ANSWERS[name], rows, width, copied=True)
    return [str(it) for it in found if it.kind == "words"]


@pytest.mark.parametrize("feed", by_size(["tokens"], [*FEEDS]))
@pytest.mark.parametrize("width", WIDTHS)
def test_a_copy_is_what_the_model_wrote(width: int, feed: Feed) -> None:
    names = sampled(sorted(ANSWERS), COPIED, "copied", width, feed)
    with require(tmux(width, LINES)) as pane:
        run(pane, SHOW, feed, *names)
        ended(pane)
        found = {name: wrong(name, them, width) for name, them in copies(pane.lines()).items()}
    assert list(found) == names
    assert {name: them for name, them in found.items() if them} == {}


@pytest.mark.parametrize(("before", "after"), [(80, 60), (60, 100), (100, 40)])
def test_a_resize_loses_and_doubles_nothing(before: int, after: int, tmp_path: Path) -> None:
    found = {}
    for name in sampled(sorted(ANSWERS), RESIZED, "resized", before):
        with require(tmux(before, LINES)) as pane:
            run(pane, RESIZE, name, str(tmp_path / name))
            pane.until((tmp_path / f"{name}.half").exists)
            pane.resize(after, LINES)
            pane.until((tmp_path / f"{name}.whole").exists)
            found[f"{name}, while it came"] = wrong(name, pane.lines(), after)
            pane.resize(before, LINES)
            found[f"{name}, after the end"] = wrong(name, pane.lines(), after)
            pane.send("Enter")
            ended(pane)
    assert {name: them for name, them in found.items() if them} == {}
