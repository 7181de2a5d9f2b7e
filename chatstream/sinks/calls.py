"""Calls of tools in words: for the lines of a screen, and for sentences.

1. `label` is a call on one line, its parameters shortened. `told` is one clause about an event, and
   None for one that says nothing new: a start that belongs to an earlier run, a decision that a
   start or an end follows at once.
2. `Unrun` tells which calls nobody has run. A call is one of those once the answer goes on, is
   asked for again or ends, and nothing was said of its fate.
3. No text has control characters or line ends; remote words are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from chatstream import events as ev
from chatstream.sinks.words import one_line

EARLIER = "from the earlier run"
"""What is said of a call whose result an earlier run has."""

PLANS = {"allow": "would run", "ask": "would run if you allow it", "deny": "would be denied"}
"""What a dry run says of a call."""

_NAME_CHARACTERS = 60
_VALUE_CHARACTERS = 40
_MAX_PARAMETERS = 8  # of a call that are shown

Key = tuple[str, str]


def key_of(event: ev.ToolCall | ev.Fate) -> Key:
    """Servers that give all calls one id, or none, are told apart by the name."""
    return event.id, event.name


def label(name: str, parameters: Mapping[str, Any]) -> str:
    """The call on one line: `weather(city: Köln)`."""
    short = _short(parameters)
    return f"{name_of(name)}({short})" if short else name_of(name)


def name_of(name: str) -> str:
    """The name of a tool, as it is shown."""
    return one_line(name, _NAME_CHARACTERS)


def outcome(event: ev.CallEnd) -> str:
    """How a call ended, in a few words; "" where all went well."""
    if isinstance(event, ev.ToolComplete):
        return f"exit status {event.exit_status}" if event.exit_status else ""
    error = one_line(event.error)
    if event.outcome == "unknown":
        known = event.code == "interrupted"
        return "interrupted, outcome unknown" if known else f"outcome unknown: {error}"
    if event.outcome in error:  # "the user stopped it", "not run: the user denied it"
        return error
    return f"{event.outcome}: {error}"


def told(event: ev.Event, seconds: Callable[[float], str]) -> str | None:
    """A clause about what becomes of a call. `seconds` puts a duration into words."""
    match event:
        case ev.Approval(by="dry_run"):
            return f"the tool {name_of(event.name)} {PLANS[event.decision]}{_with(event)}"
        case ev.Approval(by="user", decision="allow", replayed=False):
            return f"you allowed the tool {name_of(event.name)}"
        case ev.ToolStart(replayed=False):
            return f"the tool {name_of(event.name)} runs{_with(event)}"
        case ev.ToolComplete() | ev.ToolError():
            earlier = ", in the earlier run" if event.replayed else ""
            return f"the tool {name_of(event.name)} {_ended(event, seconds, earlier)}"
    return None


class Unrun:
    """The calls that nothing has run yet."""

    def __init__(self) -> None:
        self._calls: list[ev.ToolCall] = []

    def note(self, event: ev.Event) -> list[ev.ToolCall]:
        """Take an event of the run. The calls of which it is known now that nobody runs them."""
        match event:
            case ev.ToolCall():
                self._calls.append(event)
            case ev.Approval() | ev.ToolStart() | ev.ToolComplete() | ev.ToolError():
                for call in self._calls:
                    if key_of(call) == key_of(event):
                        self._calls.remove(call)
                        break
            case _ if self._calls and goes_on(event):
                calls, self._calls = self._calls, []
                return calls
        return []


def goes_on(event: ev.Event) -> bool:
    """Whether the answer goes on, is asked for again or ends, so that no call is run any more."""
    return isinstance(
        event, ev.Content | ev.Reasoning | ev.Retry | ev.Fallback | ev.Done | ev.Error
    )


def _ended(event: ev.CallEnd, seconds: Callable[[float], str], earlier: str) -> str:
    after = f" after {seconds(event.duration)}" if event.duration else ""
    if isinstance(event, ev.ToolComplete):
        status = f" with exit status {event.exit_status}" if event.exit_status else ""
        return f"finished{after}{status}{earlier}"
    error = one_line(event.error)
    if event.outcome == "unknown":
        if event.code == "interrupted":
            return f"was interrupted{earlier}, and its outcome is unknown"
        return f"ended{after}{earlier} with an unknown outcome: {error}"
    if error.startswith("not run: "):
        return f"was {error}{earlier}"
    was = "" if event.outcome == "failed" else "was "
    return f"{was}{event.outcome}{after}{earlier}: {error}"


def _with(event: ev.Approval | ev.ToolStart) -> str:
    short = _short(event.parameters)
    return f" with {short}" if short else ""


def _short(parameters: Mapping[str, Any]) -> str:
    words = [
        f"{one_line(key, _VALUE_CHARACTERS)}: {one_line(_text(value), _VALUE_CHARACTERS)}"
        for key, value in islice(parameters.items(), _MAX_PARAMETERS)
    ]
    if len(parameters) > _MAX_PARAMETERS:
        words.append("…")
    return one_line(", ".join(words), 2 * _NAME_CHARACTERS)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    import json

    return json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
