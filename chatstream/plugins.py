"""Entry points: what other packages add to chatstream, by group and name.

    chatstream.providers chatstream.tools chatstream.analyzers chatstream.stages chatstream.sinks

1. Packages are looked up only when one is needed: the look-up takes 20 ms. The code of a package is
   imported when it is used.
2. An exception of that code becomes a `PluginError`: one line with the names of plugin and package.
3. Filters and renderers run `Apart`, each on a thread of its own. If one does not return after a
   cancel, it is left behind, so that the run ends as it would without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from chatstream.cancel import CancelToken, outcome_of
from chatstream.clock import POLL_SECONDS, Deadline
from chatstream.errors import UsageError
from chatstream.inbox import Empty, Inbox
from chatstream.nearest import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PROVIDERS = "chatstream.providers"
TOOLS = "chatstream.tools"
ANALYZERS = "chatstream.analyzers"
STAGES = "chatstream.stages"
SINKS = "chatstream.sinks"

FAILURES = (Exception, SystemExit)
"""Exceptions of a plugin that end only the plugin."""

PATIENCE_SECONDS = 0.1
"""After a cancel, how long a plugin may take to return."""

T = TypeVar("T")

_KINDS = {ANALYZERS: "analyzer", STAGES: "filter", SINKS: "renderer"}


class PluginError(UsageError):
    """The code of another package failed."""


def points(group: str) -> Sequence[EntryPoint]:
    """All entry points of this group."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def find(group: str, name: str) -> EntryPoint:
    """The entry point with this name. Raises `UsageError`."""
    found = points(group)
    point = next((it for it in found if it.name == name), None)
    if point is None:
        names = [it.name for it in found]
        kind = _KINDS[group]
        those = f"installed: {', '.join(names)}" if names else f"no {kind}s are installed"
        raise UsageError(f"there is no {kind} {name!r}", hint=did_you_mean(name, names, those))
    return point


def load(point: EntryPoint) -> Any:
    """The object of this entry point. Raises `PluginError`."""
    try:
        return point.load()
    except FAILURES as error:
        raise PluginError(
            f"the {named(point)} cannot be loaded: {what(error)}",
            hint="update or reinstall that package, or leave it out",
        ) from error


def named(point: EntryPoint) -> str:
    """How messages call it: `filter 'upper' of the package 'acme'`."""
    package = f" of the package {point.dist.name!r}" if point.dist else ""
    return f"{_KINDS[point.group]} {point.name!r}{package}"


def what(error: BaseException) -> str:
    """An exception of a plugin, in one line."""
    if isinstance(error, PluginError) and error.__cause__ is not None:
        error = error.__cause__
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


class Apart:
    """A thread for the code of one plugin, as long as `token` lets it run."""

    def __init__(self, token: CancelToken) -> None:
        self.is_left = False
        self._token = token
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[], T], may_leave: Callable[[], bool] = lambda: True) -> T:
        """What `work` returns or raises there.

        Raises `TimeoutError` if it does not return after a cancel and `may_leave` agrees; nothing
        can be called then any more.
        """
        if self.is_left:
            raise TimeoutError("it did not return")
        if self._thread is None:
            # A daemon: it may be stuck for ever.
            self._thread = threading.Thread(target=self._run, name="plugin", daemon=True)
            self._thread.start()
        ended: Inbox[Callable[[], T] | None] = Inbox()
        self._work.put(lambda: ended.put(outcome_of(work)))
        remove = self._token.on_cancel(lambda: ended.put(None))
        deadline: Deadline | None = None
        try:
            while True:
                if deadline is None and self._token.cancelled:
                    deadline = Deadline(PATIENCE_SECONDS)
                left = deadline.left() if deadline is not None else None
                with suppress(Empty):
                    if (result := ended.get(left or POLL_SECONDS)) is not None:
                        return result()
                if deadline is not None and deadline.passed and may_leave():
                    self.is_left = True
                    raise TimeoutError("it did not return")
        finally:
            remove()

    def close(self) -> None:
        """End the thread, once it returns. Idempotent."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
