"""The runner: what becomes of the calls of one response.

1. First all calls are looked at. One that cannot be run (no such tool, no JSON, the wrong types, a
   limit) is answered with a `tool_error`; nobody is asked about it.
2. Then each of the others is allowed or denied, in their order, before any of them runs. A rule or
   the default decides, or somebody is asked: the caller's `approve`, or a person through `Control`.
   Who allows a tool for the rest of the run is not asked about it again, unless a rule with
   arguments says so. Where there is nobody to ask, the call is denied; or, with `on_ask` "stop",
   the run ends once all calls are decided about (`ApprovalNeeded`). A run that continues it then
   decides about these calls again, and `answers` may say "yes" to them.
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

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from inspect import iscoroutine
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import msgspec

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.control import Answer, Control
from chatstream.errors import ApprovalNeeded, Cancelled, ChatstreamError
from chatstream.flow import Arrival
from chatstream.nearest import did_you_mean
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Pending
from chatstream.tools.execution import Execution, code_of, words_of
from chatstream.tools.output import Output
from chatstream.tools.registry import Toolset
from chatstream.tools.running import Running
from chatstream.tools.tool import InvalidArguments, Tool, ToolFailure
from chatstream.wording import bounded

log = logging.getLogger(__name__)

Arguments = Mapping[str, Any]

Decide = Callable[[Tool, Arguments], Verdict]
"""What becomes of a call of a tool with these arguments."""

OnAsk = Literal["deny", "stop"]
"""What to do where somebody has to be asked and nobody is there: deny the call, or end the run."""

Interrupted = Literal["tell", "run", "stop"]
"""What to do about a call whose outcome nobody knows: tell the model, run it again if that is
approved, or end the run."""

UNKNOWN = "outcome unknown, it may have taken effect; check before repeating"


class UnknownOutcome(ChatstreamError):
    """Nobody knows what became of a call, and the user wants to see to that first."""

    code = "interrupted"
    hint = "continue with --interrupted tell (the model is told) or run (it runs again)"


class ApprovalFailed(ChatstreamError):
    """The caller's `approve` raised an exception, or returned something that is no answer."""

    code = "approval"


class _Ready(msgspec.Struct, frozen=True):
    """A call that can be run."""

    call: ev.ToolCall
    tool: Tool
    arguments: dict[str, Any]
    again: bool = False
    """An earlier run has started it."""
    waits: bool = False
    """An earlier run has ended because nobody could be asked about it."""


class Runner:
    """Runs the calls of one run. Where `decide` says "ask", `approve` is asked, if it is given.

    `note` is called with each tool that runs, before that.
    `timeout` is in seconds and for one call, None: no limit.
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
        clock: Clock = monotonic,
    ) -> None:
        self.dry_run = dry_run
        self._toolset = toolset
        self._decide = decide
        self._approve = approve
        self._control = control or Control(can_answer=False)
        self._timeout = timeout
        self._at_once = at_once
        self._interrupted = interrupted
        self._on_ask = on_ask
        self._answers = answers
        self._note = note
        self._always: set[str] = set()  # tools that a person allowed for the rest of the run
        self._folder = folder
        self._clock = clock

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        """What becomes of these calls.

        Raises the reason of the token, `UnknownOutcome` and `ApprovalNeeded`.
        """
        events: list[ev.Event] = []
        ready: list[_Ready] = []
        for pending in calls:
            if pending.ended is not None:
                continue
            if isinstance(found := self._look_at(pending), _Ready):
                ready.append(found)
            else:
                events.append(found)
        if events:
            yield Arrival(events)
        approved: list[_Ready] = []
        unanswered: list[str] = []
        for call in ready:
            decision = yield from self._decided(call, approved, token)
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
        self._toolset.close()

    # ---- first: can it be run?

    def _look_at(self, pending: Pending) -> _Ready | ev.ToolError:
        """The call if it can be run, or else its end. Raises `UnknownOutcome`."""
        call, tool = pending.call, self._toolset.get(pending.call.name)
        if (started := pending.started) is not None:
            only_reads = started.effect == "read" and tool is not None and tool.effect == "read"
            if self._interrupted == "stop" and not only_reads:
                raise UnknownOutcome(f"{call.name} was interrupted, and its outcome is unknown")
            if self._interrupted == "tell" and not only_reads:
                return _interrupted(pending)
        if pending.refused is not None:
            return _refused(call, pending.refused, "limit")
        if tool is None:
            names = self._toolset.names
            known = f"the tools are: {', '.join(names)}" if names else "there are no tools"
            hint = did_you_mean(call.name, names, known)
            words = f"there is no tool {call.name!r}; {hint}"
            return _refused(call, words, "unknown_tool")
        try:
            arguments = _arguments(call)
            tool.check(arguments)
        except Cancelled:
            raise
        except Exception as error:
            return _refused(call, words_of(error), code_of(error))
        return _Ready(call, tool, arguments, started is not None, pending.waits)

    # ---- then: may it?

    def _decided(
        self, ready: _Ready, earlier: Sequence[_Ready], token: CancelToken
    ) -> Generator[Arrival, None, ev.Decision]:
        """Decide about a call; "ask" if nobody could be asked and the run is to end for it.

        `earlier` are the calls that run before it, if those that nobody was asked about do.
        """
        token.check()
        verdict = self._decide(ready.tool, ready.arguments)
        decision, by, name = verdict.decision, verdict.by, ready.call.name
        if self.dry_run:
            yield Arrival([_approval(ready, decision, "dry_run")])
            return decision
        caution = ready.tool.caution
        if caution is not None and decision == "ask":
            yield Arrival([ev.Warn("tool_changed", f"{name}: {caution}")])
        why = "a rule denies it" if by == "rule" else "it is not allowed"
        if decision == "ask" and not verdict.narrow and name in self._always:
            decision, by = "allow", "user"
        elif decision == "ask" and ready.waits and self._answers(ready.tool, ready.arguments):
            decision, by = "allow", "rule"
        elif decision == "ask" and self._approve is not None:
            allowed = self._asked(self._approve, ready.call)
            decision, by, why = _decision(allowed), "caller", "it was not approved"
        elif decision == "ask" and self._control.can_answer:
            question = _approval(ready, "ask", by, _preview(ready, earlier))
            answer = yield from self._answered(question, token)
            decision, by, why = _decision(answer != "no"), "user", "the user denied it"
            if answer == "always":
                self._always.add(name)
        elif decision == "ask" and self._on_ask == "stop":
            yield Arrival([_approval(ready, "ask", "nobody", _preview(ready, earlier))])
            return "ask"
        elif decision == "ask":
            why = f"there is nobody to ask; --allow {name} lets it run"
            if by == "taint":
                why = "text from outside is in the conversation, and there is nobody to ask"
            if caution is not None:
                why = f"{caution}, and there is nobody to ask"
            decision, by = "deny", "default"
        events: list[ev.Event] = [_approval(ready, decision, by)]
        if decision != "allow":
            events.append(_refused(ready.call, f"not run: {why}", "denied", "denied"))
        elif ready.again:
            words = f"{name} was interrupted in an earlier run, and runs again"
            events.append(ev.Warn("tool_repeated", words))
        yield Arrival(events)
        return decision

    def _asked(self, approve: Callable[[ev.ToolCall], bool], call: ev.ToolCall) -> bool:
        """What `approve` says. Only a bool is an answer: a coroutine would count as true."""
        try:
            answer: object = approve(call)
        except ChatstreamError:
            raise
        except Exception as error:
            raise ApprovalFailed(f"approve failed: {type(error).__name__}: {error}") from error
        if isinstance(answer, bool):
            return answer
        if iscoroutine(answer):
            answer.close()  # it is never awaited, which would be warned about
        raise ApprovalFailed(
            f"approve must return True or False, not {type(answer).__name__}",
            hint="give a function that decides by itself; it cannot be an async function",
        )

    def _answered(
        self, question: ev.Approval, token: CancelToken
    ) -> Generator[Arrival, None, Answer]:
        """The answer of a person. The question is open before anyone sees it."""
        control = self._control
        control.ask(question)
        try:
            yield Arrival([question])
            while (answer := control.take_answer()) is None:
                token.sleep(POLL_SECONDS)
                token.check()
                yield Arrival()
        finally:
            if control.question is not None:
                control.answer("no")
                control.take_answer()
        return answer

    # ---- now: run it

    def _run_together(self, calls: Sequence[_Ready], token: CancelToken) -> Iterator[Arrival]:
        running = Running(self._control, token, self._timeout)
        waiting = deque(calls)
        try:
            while waiting or running.executions:
                if waiting and len(running.executions) < self._at_once and not token.cancelled:
                    ready = waiting.popleft()
                    yield Arrival([_start(ready)])
                    if token.cancelled:
                        words = "the run was stopped before it began"
                        yield Arrival([_refused(ready.call, words, "stopped", "stopped")])
                    else:
                        self._note(ready.tool)
                        running.start(self._execution(ready, running, token))
                    continue
                if not running.executions:
                    break  # cancelled
                yield Arrival(running.news())
        finally:
            running.end()
        token.check()

    def _execution(self, ready: _Ready, running: Running, token: CancelToken) -> Execution:
        return Execution(
            ready.call,
            ready.tool,
            ready.arguments,
            token=token,
            bells=running.bells,
            folder=self._folder,
            clock=self._clock,
        )


def _decision(allowed: bool) -> ev.Decision:
    return "allow" if allowed else "deny"


def _approval(
    ready: _Ready, decision: ev.Decision, by: str, preview: str | None = None
) -> ev.Approval:
    return ev.Approval(ready.call.id, ready.call.name, decision, by, ready.arguments, preview)


def _preview(ready: _Ready, earlier: Sequence[_Ready]) -> str | None:
    """What the call would change. One that cannot tell is asked about all the same."""
    try:
        return ready.tool.preview(ready.arguments, [(it.tool, it.arguments) for it in earlier])
    except Exception:
        log.debug("the tool %s has no preview", ready.tool.name, exc_info=True)
        return None


def _needed(names: Sequence[str]) -> ApprovalNeeded:
    tools = list(dict.fromkeys(names))
    have = "has" if len(tools) == 1 else "have"
    return ApprovalNeeded(
        f"{', '.join(tools)} {have} to be approved, and there is nobody to ask; nothing was run",
        tools,
    )


def _start(ready: _Ready) -> ev.ToolStart:
    call, tool = ready.call, ready.tool
    return ev.ToolStart(call.id, call.name, ready.arguments, tool.effect, tool.foreign)


def _refused(
    call: ev.ToolCall, words: str, code: str, outcome: ev.Outcome = "failed"
) -> ev.ToolError:
    """The end of a call that was not started."""
    return ev.ToolError(call.id, call.name, bounded(words), 0.0, outcome=outcome, code=code)


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
