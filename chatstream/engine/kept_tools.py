"""The tools of a program that asks again and again: their processes live as long as it does.

1. A run has the tools to itself: it takes them, and gives them back at its end. If another run has
   them, or they were made for other settings, a run makes its own.
2. Tools that a run could not stop, or that can no longer be used, are not kept: they are closed,
   and the next run makes new ones.
3. What a person has allowed for good is allowed only with the same settings of tools.
4. Tools that are given back after `close` are closed at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chatstream.engine.kinds import SOURCES_OF_TOOLS
from chatstream.engine.settings import Settings
from chatstream.files import named

if TYPE_CHECKING:
    from chatstream.tools.tool import Tool

_SETTINGS = (
    *(*SOURCES_OF_TOOLS, "mcp", "sandbox", "http_hosts", "proxy", "ca_file", "connect_timeout"),
    "ask",  # a person who wants to be asked now has not allowed it for good
)
"""The settings that tools are made from, besides the roots. A change ends what was allowed."""


class OpenTools:
    """Tools whose processes run. `shared` closes what several of them use.

    `warnings` are for the user.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        shared: Callable[[], None] = lambda: None,
        warnings: Sequence[str] = (),
    ) -> None:
        self.tools = tools
        self.warnings = warnings
        self._shared = shared

    def close(self) -> None:
        """Close every tool, and then what they share. Idempotent."""
        with ExitStack() as closing:
            closing.callback(self._shared)
            for it in self.tools:
                closing.callback(it.close)


class KeptTools:
    """The tools that no run has now, and what was allowed. Thread-safe.

    `always` are the names of the tools that a person has allowed for good.
    """

    def __init__(self) -> None:
        self.always: set[str] = set()
        self._key = b""
        self._idle: OpenTools | None = None
        self._closed = False
        self._lock = threading.Lock()

    def take(self, key: bytes) -> OpenTools | None:
        """The idle tools with this key; those with another one are closed."""
        with self._lock:
            idle, self._idle = self._idle, None
            if key == self._key:
                return idle
            self._key = key
            self.always.clear()
        if idle is not None:
            idle.close()
        return None

    def give(self, key: bytes, tools: OpenTools) -> None:
        """Keep tools for the next run with this key."""
        usable = not any(it.is_stale for it in tools.tools)
        with self._lock:
            if usable and not self._closed and self._idle is None and key == self._key:
                self._idle = tools
                return
        tools.close()

    def close(self) -> None:
        """Close the tools that are kept, and those that are given back later. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, None
        if idle is not None:
            idle.close()


def key_of(settings: Settings, roots: Sequence[Path]) -> bytes:
    """A key that differs wherever other tools would be made.

    A file that tools come from counts as another one once it has changed. It does not matter which
    roots were named: a run that follows another has the roots of that run.
    """
    its = [getattr(settings, name) for name in _SETTINGS]
    files = [settings.tools_file, settings.mcp_config, *settings.tool_exec]
    stamps = [_stamp(it) for it in files if it is not None]
    return msgspec.json.encode([its, [str(it) for it in roots], stamps])


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = named(file).stat()
    except OSError:  # reading the file reports it
        return None
    return found.st_mtime_ns, found.st_size
