"""Entry points: what other packages add to chatstream, by group and name.

    chatstream.providers chatstream.tools chatstream.analyzers chatstream.stages chatstream.sinks

1. Packages are looked up only when one is needed: the look-up takes 20 ms. The code of a package is
   imported when it is used.
2. An exception of that code becomes a `PluginError`: one line with the names of plugin and package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chatstream.errors import UsageError
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
