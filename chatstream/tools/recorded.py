"""The calls of a run answered from the journal of another: the same loop again, and nothing runs.

1. A call is known by its name, its arguments however they are written, and how often it was made
   before. What became of it then becomes of it now: the same events, `replayed`, with its new id.
2. A call that is not recorded, or whose end is not, ends in a `tool_error` with the code
   `not_recorded`. The model is told, and the run goes on.
3. The same calls in the same order give the same events, but for their times.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.flow import Arrival
from chatstream.tools.calls import Pending, canonical


class Recorded:
    """Runs calls as `run` did, whose `events` are given."""

    dry_run = False

    def __init__(self, run: str, events: Iterable[ev.Event]) -> None:
        self._run = run
        self._fates: defaultdict[tuple[str, str], deque[list[ev.Fate]]] = defaultdict(deque)
        for call, fates in _calls(events):
            self._fates[_key(call)].append(fates)

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        """What became of these calls, an arrival each. Raises the reason of a cancel."""
        for pending in calls:
            token.check()
            yield Arrival(list(self._fate(pending)))

    def close(self) -> None:
        """Nothing is held."""

    def _fate(self, pending: Pending) -> Iterator[ev.Event]:
        call = pending.call
        if pending.refused is not None:
            yield ev.ToolError(call.id, call.name, pending.refused, 0.0, code="limit")
            return
        recorded = self._fates[_key(call)]
        fates = recorded.popleft() if recorded else []
        if not any(isinstance(it, ev.CallEnd) for it in fates):
            error = f"run {self._run} has no result of this call"
            yield ev.ToolError(call.id, call.name, error, 0.0, code="not_recorded")
            return
        for fate in fates:
            yield replace(fate, id=call.id, seq=-1, t=-1.0, stream=None, replayed=True)


def _key(call: ev.ToolCall) -> tuple[str, str]:
    return call.name, canonical(call.arguments)


def _calls(events: Iterable[ev.Event]) -> list[tuple[ev.ToolCall, list[ev.Fate]]]:
    """The calls that were seen to, in order. A call that is void has no fate."""
    called: dict[str, ev.ToolCall] = {}
    found: dict[str, tuple[ev.ToolCall, list[ev.Fate]]] = {}
    for event in events:
        if isinstance(event, ev.ToolCall):
            called[event.id] = event
        elif isinstance(event, ev.Fate) and event.id in called:
            found.setdefault(event.id, (called[event.id], []))[1].append(event)
    return list(found.values())
