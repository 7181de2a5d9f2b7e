"""Offering to download a model that the server does not have.

1. A download is offered only if the server can download models (Ollama), and only to a person:
   standard input and standard error are a terminal.
2. Only "y" or "yes" counts as yes. Text that was typed before the question is not an answer to it.
3. A model that stands in for another one is not offered: the one before it has failed, too.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, ModelNotFound
from chatstream.events import Error, Metadata
from chatstream.flow import Arrival, close
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts


class Lack:
    """A stage that notes which model was asked, and whether the server lacks it."""

    def __init__(self) -> None:
        self._asked = Metadata()
        self._is_missing = False

    def __call__(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    if isinstance(event, Metadata) and event.model:
                        self._asked = event
                    elif isinstance(event, Error):
                        self._is_missing = event.code == ModelNotFound.code
                yield arrival
        finally:
            close(arrivals)

    def of(self, settings: Settings) -> Settings | None:
        """The settings to download it with; None if there is nothing to download."""
        if not self._is_missing or settings.fallback:
            return None
        from chatstream.engine.models import can_pull

        if not can_pull(self._asked.provider):
            return None
        return replace(settings, provider=self._asked.provider, model=self._asked.model)


def is_possible() -> bool:
    """Whether there is a person who can be asked."""
    return os.isatty(0) and os.isatty(2)


def offer(lack: Lack, settings: Settings) -> int | None:
    """Download the missing model, if the user wants it; the exit status, None if nothing was
    done.
    """
    lacking = lack.of(settings)
    if lacking is None or not _agreed(lacking):
        return None
    from chatstream.terminal.models import pulled

    token = CancelToken()
    with interrupts(token):
        try:
            pulled(lacking, token)
        except ChatstreamError as error:
            return exits.report(token.reason or error, ())
    return 0


def _agreed(settings: Settings) -> bool:
    with contextlib.suppress(ImportError):  # Windows
        import termios

        termios.tcflush(0, termios.TCIFLUSH)
    print(f"Download {settings.model} now? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
