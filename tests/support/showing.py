"""An answer on a terminal in memory, drawn by the live sink: as it came, or printed once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

from rich.console import Console

from chatstream import events as ev
from chatstream.flow import Arrival
from chatstream.sinks.live import LiveSink
from chatstream.sinks.theme import THEMES
from tests.support.screen import Screen, console_on

Background = Literal["dark", "light"]
Feed = Literal["whole", "tokens", "characters"]
FEEDS: dict[Feed, int | None] = {"whole": None, "tokens": 4, "characters": 1}
"""How many characters come at a time."""

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(duration=1.0, chunks=1), attempts=1)


def pieces(text: str, feed: Feed) -> Iterator[str]:
    """The text as it comes."""
    step = FEEDS[feed] or max(1, len(text))
    return (text[at : at + step] for at in range(0, len(text), step))


def shown(text: str, width: int, feed: Feed, lines: int = 24, theme: Background = "dark") -> Screen:
    """The terminal behind an answer of which each piece was a frame."""
    screen = Screen(width, lines)
    show(console_on(screen), pieces(text, feed), theme)
    return screen


def show(console: Console, parts: Iterable[str], theme: Background = "dark") -> None:
    """An answer on any console, a frame for each part."""
    sink = _sink(console, theme)
    for part in parts:
        sink.write(Arrival([ev.Content(part)]))
    sink.write(Arrival([DONE]))
    sink.close()


def printed(text: str, width: int, lines: int = 24, theme: Background = "dark") -> Screen:
    """The terminal behind one print of the answer, of which nothing was ever open."""
    screen = Screen(width, lines)
    sink = _sink(console_on(screen), theme)
    sink.write(Arrival([ev.Content(text), DONE]))
    sink.close()
    return screen


def _sink(console: Console, theme: Background) -> LiveSink:
    now = itertools.count()
    return LiveSink(
        console,
        theme=THEMES[theme],
        reasoning="hide",
        stats=False,
        clock=lambda: float(next(now)),
    )
