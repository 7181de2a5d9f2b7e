"""Tools made of a function each, decisions about all of them, and a clock that a test turns."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.events import Effect
from chatstream.flow import Arrival
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Pending
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import Runner
from chatstream.tools.tool import Context, Tool

PATIENCE_SECONDS = 30.0
"""The longest that a test waits for a thread; it is reached only where the claim is wrong."""

Does = Callable[[dict[str, Any], Context], object]


class Handmade(Tool):
    """Runs a function. `stopped` counts how often a call was asked to stop."""

    def __init__(
        self, name: str, does: Does, effect: Effect = "read", *, interruptible: bool = False
    ) -> None:
        super().__init__(name, f"{name} it.", {"type": "object"})
        self.effect = effect
        self.interruptible = interruptible
        self.confined = True
        self.stopped = self.closed = 0
        self._does = does

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        return self._does(arguments, context)

    def stop(self, context: Context) -> None:
        assert context.stopped, "the token comes first"
        self.stopped += 1

    def close(self) -> None:
        self.closed += 1


class Turned:
    """A clock that stands until a test turns it on; or goes `step` seconds on at each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 100.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


def pending(call_id: str, name: str, arguments: str | None = None, **given: Any) -> Pending:
    """A call with these arguments, as JSON or as the text that the model has written."""
    return Pending(
        ev.ToolCall(call_id, name, json.dumps(given) if arguments is None else arguments)
    )


def waits_for(event: threading.Event) -> None:
    """Wait for something that happens on another thread."""
    assert event.wait(PATIENCE_SECONDS), "it never happened"


def hangs_until(event: threading.Event) -> Does:
    """A tool that looks at nothing until the test lets it go."""

    def hang(arguments: dict[str, Any], context: Context) -> None:
        waits_for(event)

    return hang


def obeys(arguments: dict[str, Any], context: Context) -> str:
    """A tool that works until it is asked to stop."""
    context.output("working\n")
    assert context.token.sleep(PATIENCE_SECONDS), "nobody has stopped it"
    return "left early"


def told(arrivals: Iterator[Arrival] | Iterable[Arrival]) -> list[ev.Event]:
    """All events."""
    return [event for arrival in arrivals for event in arrival.events]


def ends(events: Iterable[ev.Event]) -> list[ev.ToolComplete | ev.ToolError]:
    """Those that end a call."""
    return [it for it in events if isinstance(it, ev.ToolComplete | ev.ToolError)]


def printed(events: Iterable[ev.Event], call_id: str) -> str:
    """What was shown of the output of a call."""
    return "".join(it.delta for it in events if isinstance(it, ev.ToolOutput) and it.id == call_id)


def tool_threads() -> list[threading.Thread]:
    """The threads of tools that are alive."""
    return [it for it in threading.enumerate() if it.name.startswith("tool ")]


def token() -> CancelToken:
    """One that nobody cancels."""
    return CancelToken()


def allow(tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
    """Every call, by a rule."""
    return Verdict("allow", "rule")


def deny(tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
    """Every call, by a rule."""
    return Verdict("deny", "rule")


def ask(tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
    """About every call, by default."""
    return Verdict("ask", "default")


def says(word: str = "done") -> Does:
    """A tool that returns this."""
    return lambda arguments, context: word


def run(
    calls: Sequence[Pending], *tools: Tool, decide: Any = allow, **given: Any
) -> list[ev.Event]:
    """All events of these calls of these tools; `given` is for the `Runner`."""
    return told(Runner(Toolset(tools), decide, **given).run(calls, CancelToken()))


def kinds(events: Sequence[ev.Event]) -> list[str]:
    """What they are, with the ids of their calls."""
    return [f"{type(it).__name__} {getattr(it, 'id', '')}".strip() for it in events]


def approvals(events: Sequence[ev.Event]) -> list[tuple[str, str, str]]:
    """What was decided about calls: the id, the decision, and who made it."""
    return [(it.id, it.decision, it.by) for it in events if isinstance(it, ev.Approval)]
