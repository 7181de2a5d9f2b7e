"""The usual way: `Live(Markdown(text))`, the whole text rendered and drawn for each update."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown


def show(console: Console, updates: Iterable[str]) -> None:
    """Each update is the text so far; the last one is the whole."""
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        for text in updates:
            live.update(Markdown(text), refresh=True)
