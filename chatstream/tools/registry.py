"""The tools of one run, and where they come from.

1. `Toolset` has each name once, in the order in which the tools were given.
2. `from_callables` takes what a Python program has: functions, tools, and toolboxes, which are
   objects that share a state: those with methods that are marked with `@tool`, or with a method
   `tools()` that returns what there is.
3. `built_in` finds tools by name: those that come with chatstream, and those of other packages, in
   the entry points of the group `chatstream.tools`. A package is imported only when a tool of it is
   named. Its entry point is a function, a tool, a toolbox or its class, or a list of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatstream.errors import UsageError
from chatstream.messages import ToolDefinition
from chatstream.nearest import did_you_mean
from chatstream.plugins import TOOLS, points
from chatstream.tools.functions import FunctionTool, mark_of
from chatstream.tools.tool import Origin, Tool

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Factory = Callable[[Sequence[Path], Sequence[Path]], Tool]
"""Makes a tool of ours for these roots, and for what in them it must not read."""


class Toolset:
    """The tools of one run. `close_shared` closes what several of them use.

    Tools that are lent are given back with `give_back` instead of being closed. Raises `UsageError`
    for two of one name.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        close_shared: Callable[[], None] = lambda: None,
        give_back: Callable[[], None] | None = None,
    ) -> None:
        self._close_shared = close_shared
        self._give_back = give_back
        self._is_closed = False
        self._tools: dict[str, Tool] = {}
        for it in tools:
            if (other := self._tools.setdefault(it.name, it)) is not it:
                raise UsageError(
                    f"there are two tools called {it.name!r} ({other.origin}, {it.origin})",
                    hint="leave one of them out, or give it another name: @tool(name=…)",
                )
        self.definitions: tuple[ToolDefinition, ...] = tuple(
            it.definition for it in self._tools.values()
        )

    @property
    def names(self) -> list[str]:
        """The names of the tools."""
        return list(self._tools)

    def get(self, name: str) -> Tool | None:
        """The tool of this name, if there is one."""
        return self._tools.get(name)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def close(self, *, all_ended: bool = True) -> None:
        """Close every tool, and then what they share, or give them back. Idempotent.

        Without `all_ended` a call may still be running; then they are closed in any case.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._give_back is not None and all_ended:
            self._give_back()
            return
        for it in self._tools.values():
            it.close()
        self._close_shared()


def from_callables(given: Iterable[object], origin: Origin = "caller") -> list[Tool]:
    """The tools of these functions, tools and toolboxes. Raises `UsageError` for anything else."""
    return [tool for it in given for tool in _tools_of(it, origin)]


def _tools_of(given: object, origin: Origin) -> list[Tool]:
    if isinstance(given, Tool):
        return [given]
    if isinstance(given, list | tuple):
        return from_callables(given, origin)
    if isinstance(given, type):
        raise UsageError(
            f"the class {given.__name__} is no tool",
            hint=f"give an object of it: {given.__name__}(…)",
        )
    if methods := _marked_methods(given):
        return [FunctionTool(it, origin) for it in methods]
    if callable(listed := getattr(given, "tools", None)):
        return from_callables(listed(), origin)
    if callable(given):
        return [FunctionTool(given, origin)]
    raise UsageError(
        f"{given!r} is no tool",
        hint="give functions, objects with methods that are marked with @tool, or Tool objects",
    )


def _marked_methods(box: object) -> list[Callable[..., Any]]:
    """Its public methods that are marked, in the order in which they are written.

    They are looked up in the classes: to read an attribute of the object may run code of it.
    """
    names: dict[str, bool] = {}
    for base in reversed(type(box).__mro__):
        for name, value in vars(base).items():
            names[name] = mark_of(getattr(value, "__func__", value)) is not None
    return [getattr(box, name) for name, is_marked in names.items() if is_marked and name[0] != "_"]


# ---- by name


def built_in(
    names: Sequence[str],
    roots: Sequence[Path],
    closed: Sequence[Path] = (),
    outfitted: Mapping[str, Callable[[], Tool]] = {},
) -> list[Tool]:
    """The tools of these names; those that read files do so inside the roots.

    None of them reads the `closed` folders and files. `outfitted` makes those that need more.

    A name of another package may stand for several tools. Raises `UsageError` for a name that
    nobody has, and for a package whose tool cannot be loaded.
    """
    from chatstream.tools.builtin import BUILT_IN

    found: list[Tool] = []
    for name in dict.fromkeys(names):
        if name in outfitted:
            found.append(outfitted[name]())
        elif name in BUILT_IN:
            found.append(_loaded(BUILT_IN[name])(roots, closed))
        else:
            found += _of_package(name, BUILT_IN)
    return found


def _loaded(place: str) -> Factory:
    """The class that a row of the table names, as in "module:Class"."""
    module, _, attribute = place.partition(":")
    made: Factory = getattr(importlib.import_module(module), attribute)
    return made


def _of_package(name: str, known: Iterable[str]) -> list[Tool]:
    there = points(TOOLS)
    found = [it for it in there if it.name == name]
    if not found:
        names = [*known, *(it.name for it in there)]
        raise UsageError(
            f"there is no tool {name!r}",
            hint=did_you_mean(name, names, f"the tools are: {', '.join(names)}"),
        )
    try:
        loaded = found[0].load()
        tools = _tools_of(loaded() if isinstance(loaded, type) else loaded, "entry point")
    except Exception as error:  # the code of another package
        reason = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
        raise UsageError(
            f"the tool {name!r} {_of(found[0])}cannot be loaded: {reason}",
            hint="update or reinstall that package, or leave the tool out",
        ) from error
    for it in tools:
        it.origin, it.confined = "entry point", False  # only our own tools are believed about that
    return tools


def _of(point: EntryPoint) -> str:
    return f"of the package {point.dist.name!r} " if point.dist else ""
