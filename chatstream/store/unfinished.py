"""Which run is to be continued: the newest that broke off, or the last attempt at an answer.

Only the ends of the journals are read.
"""

from __future__ import annotations

from pathlib import Path

from chatstream.errors import UsageError
from chatstream.events import Done
from chatstream.store.journal import SUFFIX, is_running
from chatstream.store.reading import ends, has_begun, is_over, journals, opening, runs


def last_unfinished(folder: Path) -> Path:
    """The newest run that did not finish, is over, and was not continued. Raises `UsageError`.

    One that was refused, and has no text, is passed over: asked again it is refused again. So is
    one that was killed before it had begun to continue another.
    """
    continued: set[str] = set()
    for path in journals(folder):
        running = is_running(path)
        head, last = ends(path)
        if head is None:
            continue
        if head.continues:
            if not has_begun(path):
                continue
            continued.add(head.continues)
        if not (running or head.run in continued or isinstance(last, Done) or is_over(last)):
            return path
    raise UsageError("there is no unfinished run", hint="`chatstream history` lists all runs")


def newest_attempt(folder: Path, run: str) -> str:
    """The newest run that continues this one, over any number of runs; or itself."""
    attempts, newest = {run}, run
    for it in runs(folder):
        path = folder / (it + SUFFIX)
        if it > run and (head := opening(path)) and head.continues in attempts and has_begun(path):
            attempts.add(it)
            newest = it
    return newest
