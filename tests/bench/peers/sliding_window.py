"""aider's way (its mdstream.py): all is rendered for each update, Rich's `Live` has the last lines.

The lines above those are taken for stable and printed once. aider also draws a frame around the
answer, and makes at most 20 updates a second; here there is no frame, and each update is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

WINDOW = 6  # lines


def show(console: Console, updates: Iterable[str]) -> None:
    """Each update is the text so far; the last one is the whole."""
    shown, lines = 0, list[str]()
    with Live(Text(), console=console, auto_refresh=False) as live:
        for text in updates:
            lines = _rendered(console, text)
            stable = len(lines) - WINDOW
            if stable > shown:
                live.console.print(Text.from_ansi("".join(lines[shown:stable])))
                shown = stable
            live.update(Text.from_ansi("".join(lines[max(stable, 0) :])), refresh=True)
        live.update(Text(), refresh=True)
    console.print(Text.from_ansi("".join(lines[shown:])))


def _rendered(console: Console, text: str) -> list[str]:
    file = io.StringIO()
    width, height = console.size
    Console(file=file, force_terminal=True, color_system="256", width=width, height=height).print(
        Markdown(text)
    )
    return file.getvalue().splitlines(keepends=True)
