"""What the built-in tools have in common.

A tool declares its arguments as a struct, with a description for each. The model is given the JSON
Schema of it, and the arguments of a call are decoded by it: `check` raises `InvalidArguments` with
the words of msgspec, and unknown names are mistakes too. What need not be given may be null: some
models write so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from chatstream.events import Effect
from chatstream.tools.builtin.memory import Memory
from chatstream.tools.roots import Roots
from chatstream.tools.tool import Context, InvalidArguments, Returned, Subject, Tool
from chatstream.wording import encodable

MOST_CHARACTERS = 28_000
"""Of a result. The model is given 32 KiB; what is longer would be cut without a word on how to go
on."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of a call."""


Given = TypeVar("Given", bound=Arguments)


class BuiltIn(Tool, Generic[Given]):
    """A tool of ours. A subclass has its `called`, `description` and `arguments`, and does `work`.

    Raises `UsageError` for roots that are no folders.
    """

    effect: Effect = "read"
    origin = "built in"
    confined = True
    called: ClassVar[str]
    description: str
    arguments: type[Given]

    def __init__(self, roots: Sequence[Path] = (), closed: Sequence[Path] = ()) -> None:
        super().__init__(self.called, self.description, _schema(self.arguments))

    def check(self, arguments: dict[str, Any]) -> None:
        self._decoded(arguments)

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        return self.work(self._decoded(arguments), context)

    def work(self, given: Given, context: Context) -> str | Returned:
        """Do it; returns what the model is given. Raises `ToolFailure`."""
        raise NotImplementedError

    def _decoded(self, arguments: dict[str, Any]) -> Given:
        try:
            given = {name: value for name, value in arguments.items() if value is not None}
            return msgspec.convert(given, self.arguments)
        except msgspec.ValidationError as error:
            raise InvalidArguments(str(error)) from None


class Reading(BuiltIn[Given]):
    """A tool that looks into the roots. `memory` is its own until `share_memory`."""

    subject = Subject("path", "path")

    def __init__(self, roots: Sequence[Path] = (), closed: Sequence[Path] = ()) -> None:
        self.roots = Roots(roots, closed)
        self.memory = Memory()
        if len(roots) > 1:
            names = ", ".join(encodable(str(it)) for it in roots)
            self.description = f"{self.description} There are several root folders: {names}."
        super().__init__(roots, closed)


def share_memory(tools: Iterable[Tool], images: Path | None) -> None:
    """Give the tools of a run one memory; what files were before a write is kept in `images`."""
    memory = Memory(images)
    for it in tools:
        if isinstance(it, Reading):
            it.memory = memory


def _schema(arguments: type[Arguments]) -> dict[str, Any]:
    """The JSON Schema of these arguments, as servers want it: an object, and nothing beside it."""
    schema = msgspec.json.schema(arguments)
    found: dict[str, Any] = schema["$defs"][arguments.__name__]
    del found["title"]
    found.pop("description", None)
    return found
