"""Optional stages of a run: a stop condition, figures, and filters of other packages.

Most runs have none of them, and do not import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from chatstream.cancel import CancelToken
from chatstream.engine.settings import Settings
from chatstream.events import Event
from chatstream.flow import Sink, Stage
from chatstream.plugins import ANALYZERS, SINKS, STAGES, find, load, named, points

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from chatstream.stages.analyze import Analyzer


def stopping(settings: Settings, earlier: Sequence[Event]) -> list[Stage]:
    """The stage that ends the answer early, if the settings have a condition."""
    if settings.stop_when is None:
        return []
    from chatstream.providers.context import BYTES_PER_TOKEN
    from chatstream.stages.stopping import condition, stopping

    return [stopping(condition(settings.stop_when, BYTES_PER_TOKEN), earlier)]


def analysis(settings: Settings, earlier: Sequence[Event] = ()) -> list[Stage]:
    """The stage that makes figures about the answer, if the settings ask for them.

    `earlier` has the events of the answer that this one continues.
    """
    if not settings.analyze:
        return []
    from chatstream.stages.analyze import analyze

    plugins = {it.name: (named(it), partial(_made, it)) for it in points(ANALYZERS)}
    return [analyze(plugins, earlier)]


def _made(point: EntryPoint) -> Analyzer:
    analyzer: Analyzer = load(point)()
    return analyzer


def filters(settings: Settings, token: CancelToken) -> list[Stage]:
    """The filters of other packages, in order. Raises `UsageError`, `PluginError`."""
    if not settings.filters:
        return []
    from chatstream.stages.foreign import foreign

    found = [find(STAGES, name) for name in settings.filters]
    return [foreign(named(it), load(it), token) for it in found]


def renderer(name: str) -> tuple[str, Callable[..., Sink]]:
    """How messages call this renderer, and its factory. Raises `UsageError`, `PluginError`."""
    point = find(SINKS, name)
    return named(point), load(point)
