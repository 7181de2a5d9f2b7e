"""A Python function as a tool: `@tool` says what it is, `FunctionTool` runs it.

1. `@tool` only marks a function, and gives it back as it is. One that is not marked has the effect
   "write": nobody has said that it may run without being asked about.
2. What a function returns is its result. Of a generator, each yielded text is output at once and
   its return value is the result; other yielded values are output as lines of JSON.
3. A coroutine function is run with `asyncio.run` on the thread of the call, and so is an
   asynchronous generator. A stop cancels its task, so it ends at its next `await`.
4. Any other function ends when it wants to. A stop reaches it where it calls its `Context`, yields
   or looks at `Context.stopped`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, TypeVar, get_args, overload

import msgspec

from chatstream.errors import UsageError
from chatstream.events import Effect
from chatstream.nearest import did_you_mean
from chatstream.tools.schema import Signature
from chatstream.tools.tool import Context, Origin, Tool

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__chatstream_tool__"
EFFECTS: tuple[Effect, ...] = get_args(Effect)


class Mark(msgspec.Struct, frozen=True):
    """What `@tool` says about a function."""

    effect: Effect = "write"
    name: str | None = None
    description: str | None = None


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(
    *, effect: Effect = "write", name: str | None = None, description: str | None = None
) -> Callable[[F], F]: ...


def tool(
    function: F | None = None,
    /,
    *,
    effect: Effect = "write",
    name: str | None = None,
    description: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function, or a method of a toolbox, as a tool: `@tool`, or `@tool(effect="read")`.

    `effect` says what it may do: "read" only looks, "write" changes something on this machine,
    "run" starts programs, "net" reaches other machines. Name and description are those of the
    function and of its docstring where none are given. Raises `UsageError` for an unknown effect,
    and for what is not a function or cannot be marked.
    """
    if effect not in EFFECTS:
        raise UsageError(
            f"a tool has no effect {effect!r}",
            hint=did_you_mean(str(effect), EFFECTS, f"the effects are: {', '.join(EFFECTS)}"),
        )
    mark = Mark(effect, name, description)

    def marked(function: F) -> F:
        own = getattr(function, "__func__", function)  # of a staticmethod, its own
        if not callable(own):
            raise UsageError(
                f"a value of type {type(own).__name__} cannot be a tool",
                hint='mark a function, with @tool or @tool(effect="read")',
            )
        try:
            setattr(own, _MARK, mark)
        except (AttributeError, TypeError):  # it is not written in Python
            name = getattr(own, "__name__", type(own).__name__)
            raise UsageError(
                f"the function {name} cannot be marked as a tool",
                hint="write a function that calls it",
            ) from None
        return function

    return marked if function is None else marked(function)


def mark_of(function: object) -> Mark | None:
    """What `@tool` says about it; None if it is not marked."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, Mark) else None


class FunctionTool(Tool):
    """A function that runs in this process. Raises `UsageError` if it cannot be a tool."""

    interruptible = True

    def __init__(self, function: Callable[..., Any], origin: Origin = "caller") -> None:
        mark = mark_of(function) or Mark()
        self._function = function
        self._signature = Signature(function, mark.name)
        description = mark.description
        if description is None:
            description = self._signature.description
        super().__init__(self._signature.name, description, self._signature.parameters)
        self.effect = mark.effect
        self.origin = origin

    def check(self, arguments: dict[str, Any]) -> None:
        """Raises `InvalidArguments`."""
        self._signature.decode(arguments)

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        """What the function returns. Raises what it raises."""
        given = self._signature.decode(arguments)
        if self._signature.context is not None:
            given[self._signature.context] = context
        return finished(self._function(**given), context)


def finished(made: object, context: Context) -> object:
    """The result of a call that made this: a generator and a coroutine are run to their end."""
    if isinstance(made, Generator):
        return _generated(made, context)
    if isinstance(made, AsyncGenerator):
        return _cancellable(_awaited(made, context), context)
    if isinstance(made, Coroutine):
        return _cancellable(made, context)
    return made


def _generated(made: Generator[object, None, object], context: Context) -> object:
    try:
        while True:
            try:
                piece = next(made)
            except StopIteration as end:
                return end.value
            context.output(_shown(piece))
    finally:
        made.close()


async def _awaited(made: AsyncGenerator[object, None], context: Context) -> None:
    try:
        async for piece in made:
            context.output(_shown(piece))
    finally:
        await made.aclose()


def _shown(piece: object) -> str:
    return piece if isinstance(piece, str) else msgspec.json.encode(piece).decode() + "\n"


def _cancellable(made: Coroutine[Any, Any, object], context: Context) -> object:
    """Run it on an event loop of its own; a stop cancels its task, and the reason is raised."""
    import asyncio

    async def run() -> object:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def cancel() -> None:  # on any thread, perhaps while the loop is being closed
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

        remove = context.token.on_cancel(cancel)
        try:
            return await made
        finally:
            remove()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        context.token.check()
        raise
