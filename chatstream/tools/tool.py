"""What a tool is, and what it can say while it runs.

1. A tool has a name, a description, the JSON Schema of its parameters, and an effect.
2. `check` looks at the arguments before anything is approved or run. `run` does the work, on a
   thread of its own. Whatever `run` prints through its `Context` and what it returns is its result.
3. `preview` is what a person is shown of a call before they approve it, and `subject` names the
   argument that rules such as `shell(git status)` are about.
4. `stop` asks a running call to end, from another thread. A tool that cannot be stopped says so:
   the runner waits for the end of `run` and believes nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, UsageError
from chatstream.events import Effect, Outcome
from chatstream.messages import TOOL_NAME, ToolDefinition

Origin = Literal["built in", "file", "entry point", "caller", "mcp"]


NOT_STOPPED = "not_stopped"
"""The code of a call that was asked to end, and may still be running."""


class ToolFailure(ChatstreamError):
    """A call that was not, or not wholly, done: the model is told, and the run goes on.

    `code` and `outcome` are those of the `tool_error`.
    """

    code = "failed"

    def __init__(self, message: str, *, code: str = "failed", outcome: Outcome = "failed") -> None:
        super().__init__(message)
        self.code = code
        self.outcome: Outcome = outcome


def no_json(value: object, error: Exception) -> ToolFailure:
    """The failure of a call that returned a value which JSON cannot carry, as `error` says."""
    return ToolFailure(
        f"it did its work, but returned a value of type {type(value).__name__}, "
        f"which JSON cannot carry: {error}",
        code="result",
    )


class InvalidArguments(ToolFailure):
    """The arguments do not fit the parameters. The message is the whole explanation."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid_arguments")


class Returned(msgspec.Struct, frozen=True):
    """What a tool returns that is more than a text: the exit status of a program, for one."""

    text: str
    exit_status: int | None = None


class Subject(msgspec.Struct, frozen=True):
    """The argument of a tool that a rule such as `shell(git *)` is about, and its kind."""

    argument: str
    kind: Literal["command", "path", "address"]


class Context:
    """What a running tool says, and learns; made by the runner, one for each call. Thread-safe.

    A function gets it where it has a parameter that is annotated with `chatstream.Context`.
    """

    def __init__(
        self,
        call_id: str,
        token: CancelToken,
        output: Callable[[str], None],
        advance: Callable[[float, float | None, str | None], None],
        plan: Callable[[Iterable[tuple[str, float]]], None],
        next_stage: Callable[[], None],
    ) -> None:
        self.call_id = call_id
        self.token = token
        self._output = output
        self._advance = advance
        self._plan = plan
        self._next_stage = next_stage

    def output(self, text: str) -> None:
        """Show text, and give it to the model. Waits while much of it has not been taken.

        Raises the reason once the call is to stop.
        """
        self._output(text)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the work is: `done` of `total`, of the current stage if there are stages."""
        self._advance(done, total, message)

    def stages(self, weighted: Iterable[tuple[str, float]]) -> None:
        """Say which stages there will be, each with its share of the work: [("fetch", 1), …].

        The first one begins. `progress` with its total, or `next_stage`, ends a stage.
        """
        self._plan(weighted)

    def next_stage(self) -> None:
        """Say that the current stage has ended, and the next one begins."""
        self._next_stage()

    @property
    def stopped(self) -> bool:
        """Whether the call is to end. A tool that looks at it now and then can be stopped."""
        return self.token.cancelled


Planned = tuple["Tool", dict[str, Any]]
"""A call that has been decided about and has not run yet: its tool and its arguments."""


class Tool:
    """Something that a model may call: the base of every kind."""

    effect: Effect = "write"
    origin: Origin = "caller"
    confined = False
    """Whether it reads nothing outside of the roots: such a `read` tool is allowed by default."""
    caution: str | None = None
    """Why no rule may allow it for now, so that somebody has to be asked; None if rules may."""
    interruptible = False
    """Whether `run` is only Python, so that an exception raised in its thread is its end."""

    subject: Subject | None = None
    """What rules with arguments are about; None: there are no such rules for this tool."""

    def __init__(self, name: str, description: str, parameters: dict[str, Any]) -> None:
        if not re.fullmatch(TOOL_NAME, name):
            raise UsageError(
                f"a tool cannot be called {name!r}",
                hint="a name has 1 to 64 letters, digits, underscores and hyphens",
            )
        self.definition = ToolDefinition(name, description, parameters)

    @property
    def name(self) -> str:
        """The name that the model calls."""
        return self.definition.name

    @property
    def foreign(self) -> bool:
        """Whether its output is written by others, who may want to make the model do something."""
        return self.effect == "net"

    @property
    def is_stale(self) -> bool:
        """Whether none of its calls can run any more until it is made again."""
        return False

    def begin(self, token: CancelToken) -> None:
        """A run begins that may call it; `token` ends that run."""

    def check(self, arguments: dict[str, Any]) -> None:
        """Raises `InvalidArguments`, or the reason of a cancelled run if it waits for something."""

    def preview(self, arguments: dict[str, Any], earlier: Sequence[Planned] = ()) -> str | None:
        """What the call would change, as a unified diff; None if there is nothing to show.

        `earlier` are the calls that run before it. Called before a person is asked. Changes
        nothing; may raise anything.
        """
        return None

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        """Do it: a str, a `Returned`, None, or anything that is JSON. May raise anything."""
        raise NotImplementedError

    def stop(self, context: Context) -> None:
        """Ask this call to end; called once, after its token was cancelled. Never waits."""

    def close(self) -> None:
        """The run is over: let go of what is shared by its calls. Idempotent."""
