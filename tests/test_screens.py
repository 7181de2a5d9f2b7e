"""Claimed: however an answer comes, screen and scrollback end as one full render of its text; no
line is there twice or lost, and what was scrolled out never changes.

Of tools that run all are live, and each leaves one line.

The answers are those of `support.markdown` and the recordings; the terminals are 20 to 200 columns
wide and 6 or 24 rows high. All of them are tried in each way, or a sample (`support.sampling`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

import chatstream
from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.escape import clean
from chatstream.flow import Arrival
from chatstream.sinks.blocks import Blocks
from chatstream.sinks.lines import text_of
from chatstream.sinks.live import LiveSink
from chatstream.sinks.markdown import Markdown
from chatstream.sinks.theme import THEMES
from chatstream.sinks.wrapping import Prose, wrapped
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Pending
from chatstream.tools.registry import Toolset, from_callables
from chatstream.tools.runner import Runner
from tests.support.markdown import DOCUMENTS, document
from tests.support.recordings import recordings, requires_shared
from tests.support.sampling import by_size, sampled
from tests.support.screen import Screen, console_on

LONGEST = by_size(800, None)  # characters of an answer that come in pieces
SAMPLE = {"whole": 3, "four": 1, "tokens": 1, "characters": 1}  # answers for each terminal
LINES = 10  # answers whose lines are counted
WIDTHS = [20, 40, 80, 200]
HEIGHTS = [6, 24]
FEEDS = ["whole", "four", "tokens", "characters"]

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(duration=1.0, chunks=1), attempts=1)


@dataclass(frozen=True)
class Shown:
    """The end of a run, and what had been scrolled out at some of its frames."""

    text: list[str]
    scrolled_out: list[list[str]]


def pieces_of(text: str, feed: str) -> Iterator[str]:
    if feed == "whole":
        yield text
        return
    seeded = random.Random(text)
    least, most = {"four": (4, 4), "tokens": (1, 12), "characters": (1, 1)}[feed]
    at = 0
    while at < len(text):
        end = at + seeded.randint(least, most)
        yield text[at:end]
        at = end


def shown(pieces: Iterator[str], width: int, height: int, pause: float) -> Shown:
    """What a terminal shows when these come, one each `pause` seconds."""
    screen = Screen(width, height)
    now = 0.0
    sink = LiveSink(console_on(screen), reasoning="hide", stats=False, clock=lambda: now)
    scrolled_out = []
    for number, piece in enumerate(pieces):
        now += pause
        sink.write(Arrival([ev.Content(piece)]))
        if number % 97 == 0:
            scrolled_out.append(screen.scrolled_out())
    scrolled_out.append(screen.scrolled_out())
    sink.write(Arrival([DONE]))
    sink.close()
    assert not screen.cursor_hidden
    return Shown(screen.text(), scrolled_out)


@cache
def rendered(text: str, width: int, height: int) -> list[str]:
    """One full render: no live region, no parts; what is not prose is wrapped by the terminal."""
    blocks = Blocks()
    pieces = [*blocks.feed(clean(text)), *blocks.finish()]
    screen = Screen(width, height)
    for line in Markdown(THEMES["dark"], lambda: width).draw(pieces).lines:
        rows = wrapped(line, width) if isinstance(line, Prose) else [line]
        screen.stream.feed("".join(map(text_of, rows)) + "\r\n")
    return screen.text()


def assert_as_rendered(text: str, width: int, height: int, feed: str, pause: float) -> None:
    end = shown(pieces_of(text, feed), width, height, pause)
    assert end.text == rendered(text, width, height)
    for rows in end.scrolled_out:
        assert end.text[: len(rows)] == rows


@cache
def recorded() -> list[str]:
    texts = (case.expected.get("text") for case in recordings("recorded", "constructed"))
    return sorted({text for text in texts if text}, key=len)


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("feed", FEEDS)
def test_the_screen_ends_as_one_full_render(feed: str, width: int, height: int) -> None:
    for number in sampled(range(DOCUMENTS), SAMPLE[feed], feed, width, height):
        text = document(number).text[: None if feed == "whole" else LONGEST]
        pause = 1.0 if number % 2 else 0.01  # a frame for each piece, or for some of them
        assert_as_rendered(text, width, height, feed, pause)


@requires_shared
@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("feed", FEEDS)
def test_recorded_answers_end_as_one_full_render(feed: str, width: int, height: int) -> None:
    texts = recorded()
    for number in sampled(range(len(texts)), SAMPLE[feed], feed, width, height):
        assert_as_rendered(
            texts[number][:LONGEST], width, height, feed, 1.0 if number % 2 else 0.01
        )


@pytest.mark.parametrize("piece", [50, 400, 1000])
@pytest.mark.parametrize("text", ["word " * 2000, "word " * 300 + "**bold** " * 400, "x" * 6000])
def test_parts_of_one_line_that_wait_for_the_same_frame_are_one_line(text: str, piece: int) -> None:
    pieces = (text[at : at + piece] for at in range(0, len(text), piece))
    assert shown(pieces, 40, 10, 0.001).text == rendered(text, 40, 10)


MATHS = r"""So \(\{u_*\}\) is **bold**, $a_1 * b$ costs $5 and \(x
- y\) *ends*, $$
z
=
$$ here:
$$
\begin{pmatrix} a & b \\ c & d \end{pmatrix}
=
  - very + long + line + of + a + formula + which + no + narrow + terminal + has + room + for
---
$$
3. $$x$$
7. > \[
   > # q
   > \].
12. without an end
    $$
    1. r

Done.
"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("feed", FEEDS)
def test_formulas_end_as_one_full_render(feed: str, width: int) -> None:
    assert_as_rendered(MATHS, width, 24, feed, 1.0)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_is_there_once(width: int) -> None:
    for number in sampled(range(DOCUMENTS), LINES, width):
        it = document(number)
        rows = "".join(rendered(it.text, width, 24))
        words = it.marks + (it.cells if width == 200 else ())
        assert [word for word in words if rows.count(word) != 1] == []


TOOLS = ["index", "search", "build"]


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_tools_that_print_at_once_are_all_live_and_end_as_one_line_each(
    width: int, height: int
) -> None:
    screen = Screen(width, height)
    now = 0.0
    sink = LiveSink(console_on(screen), reasoning="hide", stats=False, clock=lambda: now)

    def arrive(*events: ev.Event) -> None:
        nonlocal now
        now += 0.05
        sink.write(Arrival([*events]))

    before = [f"line {number}" for number in range(30)]
    arrive(ev.Content("".join(f"{line}\n\n" for line in before)))
    arrive(*(ev.ToolCall(name, name, "{}") for name in TOOLS))
    for name in TOOLS:
        arrive(ev.ToolStart(name, name))
    for number in range(300):
        arrive(*(ev.ToolOutput(it, it, f"{it} prints {number}\n" * 5) for it in TOOLS))
        shown = screen.visible()
        assert len(screen.scrolled_out()) < 2 * len(before)
        for name in TOOLS if height > 6 else TOOLS[:2]:
            assert any(f" {name}" in line for line in shown), shown
            if height > 20:
                assert f"  {name} prints {number}"[:width] in shown
    arrive(*(ev.ToolComplete(it, it, "", 1.0) for it in reversed(TOOLS)))
    arrive(ev.Content("Found."))
    sink.write(Arrival([DONE]))
    ends = [f"✓ {name} · 1.0 s" for name in TOOLS]
    assert [line for line in screen.text() if line] == [*before, *ends, "Found."]


FLOOD = by_size(5, 100) * 1_000_000  # characters of each tool


def flooding(name: str) -> object:
    """A tool that prints without end, or nearly so."""
    block = "".join(f"{name} prints line {number}\n" for number in range(2000))

    def flood(context: chatstream.Context) -> None:
        printed = 0
        while printed < FLOOD:
            context.output(block)
            printed += len(block)
            context.progress(printed, FLOOD)

    flood.__name__ = name
    return chatstream.tool(effect="read")(flood)


def test_tools_that_flood_are_all_live_and_give_the_screen_little_to_do() -> None:
    screen = Screen(80, 24)
    sink = LiveSink(console_on(screen), reasoning="hide", stats=False, interval=0.0)
    toolset = Toolset(from_callables(flooding(name) for name in TOOLS))
    runner = Runner(toolset, lambda tool, arguments: Verdict("allow", "rule"))
    live: set[str] = set()
    taken = 0
    for arrival in runner.run(
        [Pending(ev.ToolCall(name, name, "{}")) for name in TOOLS], CancelToken()
    ):
        taken += sum(len(it.delta) for it in arrival.events if isinstance(it, ev.ToolOutput))
        sink.write(arrival)
        shown = screen.visible()
        printing = [it for it in TOOLS if any(f"  {it} prints line" in line for line in shown)]
        if len(printing) == len(TOOLS):
            live.update(line[2:].partition(" ")[0] for line in shown if line.startswith("⚙ "))
    sink.write(Arrival([DONE]))
    assert live == set(TOOLS)
    assert taken < len(TOOLS) * 3_000_000
    ends = [line.rpartition(" · ")[0] for line in screen.text()]
    assert ends == [f"✓ {name}" for name in TOOLS]
