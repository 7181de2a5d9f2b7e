"""A bar of progress on standard error, only where that is a terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from chatstream.escape import clean

Draw = Callable[[int, str], None]
"""How much is done, and what to say beside the bar."""


@contextlib.contextmanager
def bar(description: str, total: int | None, *, quiet: bool = False) -> Iterator[Draw]:
    """What draws the bar, which is never drawn by itself; `total` None has no end in sight.

    `quiet`, or without a terminal, nothing is drawn.
    """
    if quiet or not os.isatty(2):
        yield lambda _done, _description: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    # Room is left for the ^C of a terminal: on another line it would not be erased.
    column = BarColumn(max(4, min(40, console.width - 36)))
    columns = TextColumn("{task.description}", markup=False), column
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task(description, total=total)
        progress.refresh()

        def draw(done: int, description: str) -> None:
            progress.update(task, completed=done, description=clean(description))
            progress.refresh()

        yield draw
