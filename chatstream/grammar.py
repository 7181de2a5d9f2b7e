"""The legal order of a run's events, as a table that code, tests and docs share.

1. The first event is `metadata` with `version`, `run` and `started_at`.
2. `TABLE[state][type]` is the next state; a type that is not there is illegal in that state.
3. The fates of calls (approvals, starts, ends) follow an answer that makes calls. What follows them
   is another response, which begins with `metadata`, or the end of the run.
4. `done` or `error` ends the run; nothing follows.
5. `seq` counts from 0 without a gap, `t` never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatstream.events import Event, Metadata

_ASIDE = ("waiting", "progress", "context", "analysis", "warning", "usage", "metadata")
_ANSWER = (
    *("content", "reasoning", "reasoning_data"),
    *("tool_call_delta", "tool_call", "citation", "image"),
)
_TOOLS = (
    *("approval", "tool_start", "tool_progress", "tool_output"),
    *("tool_complete", "tool_error"),
)
_END = ("done", "error")

TABLE: dict[str, dict[str, str]] = {
    "start": {"metadata": "open"},
    "open": {
        **dict.fromkeys((*_ASIDE, "retry", "fallback"), "open"),
        **dict.fromkeys(_ANSWER, "answering"),
        **dict.fromkeys(_END, "ended"),
    },
    "answering": {
        **dict.fromkeys((*_ASIDE, *_ANSWER), "answering"),
        **dict.fromkeys(_TOOLS, "running"),
        **dict.fromkeys(("retry", "fallback"), "open"),
        **dict.fromkeys(_END, "ended"),
    },
    "running": {
        **dict.fromkeys((*_ASIDE, *_TOOLS), "running"),
        **dict.fromkeys(("metadata", "retry", "fallback"), "open"),
        **dict.fromkeys(_END, "ended"),
    },
    "ended": {},
}


class GrammarError(ValueError):
    """Events in an order that no run has."""


def check(events: Iterable[Event]) -> None:
    """Raise `GrammarError` unless these are the events of one whole run."""
    state, seq, t = "start", 0, 0.0
    for event in events:
        kind = str(event.__struct_config__.tag)
        following = TABLE[state].get(kind)
        if following is None:
            raise GrammarError(f"event {seq}: {kind!r} cannot come when the run is {state!r}")
        if event.seq != seq:
            raise GrammarError(f"event {seq}: its seq is {event.seq}")
        if event.t < t:
            raise GrammarError(f"event {seq}: its t {event.t} is before {t}")
        if seq == 0 and not (
            isinstance(event, Metadata) and event.version and event.run and event.started_at
        ):
            raise GrammarError("event 0: no version, run or started_at")
        state, seq, t = following, seq + 1, event.t
    if state != "ended":
        raise GrammarError(f"the events end while the run is {state!r}")
