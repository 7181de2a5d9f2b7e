"""The user's earlier questions, so that they can be asked again.

The journals have the newest questions, and the history those whose journals have expired. Nothing
is written, and the history is read as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from chatstream.errors import JournalError
from chatstream.store.place import HISTORY
from chatstream.store.reading import glimpse, journals

MOST = 1000
"""The number of questions that are read in each of the two places."""


def questions(state_folder: Path) -> Iterator[str]:
    """The texts of the questions, newest first, each once. Raises nothing."""
    seen: set[str] = set()
    for text in _texts(state_folder):
        if text.strip() and text not in seen:
            seen.add(text)
            yield text


def _texts(state_folder: Path) -> Iterator[str]:
    with contextlib.suppress(JournalError):
        for path in journals(state_folder / "runs")[:MOST]:
            if (found := glimpse(path)) is not None:
                yield found[0]
    if not (state_folder / HISTORY).exists():
        return
    from chatstream.store.history import History  # SQLite

    try:
        with History(state_folder) as history:
            asked = history.questions(MOST)
    except JournalError:  # it may be in use, or damaged; we do not wait for it here
        return
    yield from asked
