"""The runner: what becomes of the calls of one response.

1. First all calls are looked at. One that cannot be run (no such tool, no JSON, the wrong types, a
   limit) is answered with a `tool_error`; nobody is asked about it.
2. Then each of the others is allowed or denied, in their order, before any of them runs
   (`deciding`). If nobody could be asked about one of them and `on_ask` is "stop", the run ends
   once all are decided about (`ApprovalNeeded`).
3. Then they run. `read` tools that stand next to each other run together, `at_once` of them; any
   other runs alone, after those before it and before those behind it. A failure stops no other.
4. `tool_start` is alone in its arrival, and the tool starts when the next arrival is asked for: by
   then the event is written down.
5. Each call ends with exactly one `tool_complete` or `tool_error`. Ends come as they happen.
   While tools run, an arrival comes every `POLL_SECONDS` at least; what a call has printed
   meanwhile is one event.
6. A call is stopped after `timeout` seconds, or when a person stops the tools (`Control`); the
   others go on. When the run is cancelled, all that run are stopped, their ends come, and the
   reason is raised. Calls that were not started by then get no end, so that a run which continues
   this one runs them. The outcome of a call that does not end in time is unknown.
7. A call that an earlier run has ended is left alone. One that it has started is run again if it
   only reads; of any other the outcome is unknown, and `interrupted` says what to do.
8. A dry run stops after the decisions, and asks nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import msgspec

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.control import Control
from chatstream.errors import ApprovalNeeded, Cancelled, ChatstreamError
from chatstream.flow import Arrival
from chatstream.nearest import did_you_mean
from chatstream.tools.calls import Pending, Ready, refused
from chatstream.tools.deciding import Arguments, Decide, Deciding, OnAsk
from chatstream.tools.execution import Execution, code_of, words_of
from chatstream.tools.output import Output
from chatstream.tools.registry import Toolset
from chatstream.tools.running import Running
from chatstream.tools.tool import InvalidArguments, Tool, ToolFailure

Interrupted = Literal["tell", "run", "stop"]
"""What to do about a call whose outcome nobody knows: tell the model, run it again if that is
approved, or end the run."""

UNKNOWN = "outcome unknown, it may have taken effect; check before repeating"


class UnknownOutcome(ChatstreamError):
    """Nobody knows what became of a call, and the user wants to see to that first."""

    code = "interrupted"
    hint = "continue with --interrupted tell (the model is told) or run (it runs again)"


class Runner:
    """Runs the calls of one run. Where `decide` says "ask", `approve` is asked, if it is given.

    `note` is called with each tool that runs, before that.
    `timeout` is in seconds and for one call, None: no limit.
    `always` are the tools that a person has allowed for good; those of the run are added.
    `folder` is for outputs that the model is not given whole; without one the rest is lost.
    """

    def __init__(
        self,
        toolset: Toolset,
        decide: Decide,
        *,
        approve: Callable[[ev.ToolCall], bool] | None = None,
        control: Control | None = None,
        timeout: float | None = 120.0,
        at_once: int = 4,
        dry_run: bool = False,
        interrupted: Interrupted = "tell",
        on_ask: OnAsk = "deny",
        answers: Callable[[Tool, Arguments], bool] = lambda tool, arguments: False,
        note: Callable[[Tool], None] = lambda tool: None,
        folder: Path | None = None,
        always: set[str] | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self.dry_run = dry_run
        self._all_ended = True
        self._toolset = toolset
        self._control = control or Control(can_answer=False)
        self._deciding = Deciding(
            decide,
            approve=approve,
            control=self._control,
            dry_run=dry_run,
            on_ask=on_ask,
            answers=answers,
            always=set() if always is None else always,
        )
        self._timeout = timeout
        self._at_once = at_once
        self._interrupted = interrupted
        self._note = note
        self._folder = folder
        self._clock = clock

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        """What becomes of these calls.

        Raises the reason of the token, `UnknownOutcome` and `ApprovalNeeded`.
        """
        events: list[ev.Event] = []
        ready: list[Ready] = []
        for pending in calls:
            if pending.ended is not None:
                continue
            if isinstance(found := self._look_at(pending), Ready):
                ready.append(found)
            else:
                events.append(found)
        if events:
            yield Arrival(events)
        approved: list[Ready] = []
        unanswered: list[str] = []
        for call in ready:
            decision = yield from self._deciding.decided(call, approved, token)
            if decision != "deny":
                approved.append(call)
            if decision == "ask":
                unanswered.append(call.call.name)
        if self.dry_run:
            return
        if unanswered:
            raise _needed(unanswered)
        for reads, group in groupby(approved, lambda it: it.tool.effect == "read"):
            if reads:
                yield from self._run_together(list(group), token)
            else:
                for call in group:
                    yield from self._run_together([call], token)

    def close(self) -> None:
        """Let go of the tools. Idempotent."""
        self._toolset.close(all_ended=self._all_ended)

    # ---- first: can it be run?

    def _look_at(self, pending: Pending) -> Ready | ev.ToolError:
        """The call if it can be run, or else its end. Raises `UnknownOutcome`."""
        call, tool = pending.call, self._toolset.get(pending.call.name)
        if (started := pending.started) is not None:
            only_reads = started.effect == "read" and tool is not None and tool.effect == "read"
            if self._interrupted == "stop" and not only_reads:
                raise UnknownOutcome(f"{call.name} was interrupted, and its outcome is unknown")
            if self._interrupted == "tell" and not only_reads:
                return _interrupted(pending)
        if pending.refused is not None:
            return refused(call, pending.refused, "limit")
        if tool is None:
            names = self._toolset.names
            known = f"the tools are: {', '.join(names)}" if names else "there are no tools"
            hint = did_you_mean(call.name, names, known)
            words = f"there is no tool {call.name!r}; {hint}"
            return refused(call, words, "unknown_tool")
        try:
            arguments = _arguments(call)
            tool.check(arguments)
        except Cancelled:
            raise
        except Exception as error:
            return refused(call, words_of(error), code_of(error))
        return Ready(call, tool, arguments, started is not None, pending.shown)

    # ---- then: run it

    def _run_together(self, calls: Sequence[Ready], token: CancelToken) -> Iterator[Arrival]:
        running = Running(self._control, token, self._timeout)
        waiting = deque(calls)
        try:
            while waiting or running.executions:
                if waiting and len(running.executions) < self._at_once and not token.cancelled:
                    ready = waiting.popleft()
                    yield Arrival([_start(ready)])
                    if token.cancelled:
                        words = "the run was stopped before it began"
                        yield Arrival([refused(ready.call, words, "stopped", "stopped")])
                    else:
                        self._note(ready.tool)
                        running.start(self._execution(ready, running, token))
                    continue
                if not running.executions:
                    break  # cancelled
                yield Arrival(running.news())
        finally:
            running.end()
            self._all_ended = self._all_ended and running.all_ended
        token.check()

    def _execution(self, ready: Ready, running: Running, token: CancelToken) -> Execution:
        return Execution(
            ready.call,
            ready.tool,
            ready.arguments,
            token=token,
            bells=running.bells,
            folder=self._folder,
            clock=self._clock,
        )


def _needed(names: Sequence[str]) -> ApprovalNeeded:
    tools = list(dict.fromkeys(names))
    verb = "needs" if len(tools) == 1 else "need"
    return ApprovalNeeded(
        f"{', '.join(tools)} {verb} approval, and there is nobody to ask; "
        "no call of this round was run",
        tools,
    )


def _start(ready: Ready) -> ev.ToolStart:
    call, tool = ready.call, ready.tool
    return ev.ToolStart(call.id, call.name, ready.arguments, tool.effect, tool.foreign)


def _interrupted(pending: Pending) -> ev.ToolError:
    """The end of a call that an earlier run has started, with what it had printed there."""
    call, output = pending.call, Output()
    for event in pending.earlier:
        if isinstance(event, ev.ToolOutput):
            output.printed(event.delta, 0.0)
    printed = output.text
    result = f"{UNKNOWN}\n\nIts output until then:\n{printed}" if printed.strip() else None
    return ev.ToolError(
        call.id, call.name, UNKNOWN, 0.0, outcome="unknown", code="interrupted", result=result
    )


def _arguments(call: ev.ToolCall) -> dict[str, Any]:
    """The arguments of a call. Raises `ToolFailure`."""
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise ToolFailure(f"the arguments are not JSON: {error}", code="invalid_json") from error
    if not isinstance(arguments, dict):
        found = "null" if arguments is None else type(arguments).__name__
        raise InvalidArguments(f"the arguments must be an object, not {found}")
    return arguments
