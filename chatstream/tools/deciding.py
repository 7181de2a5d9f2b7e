"""Whether a call may run: a rule says so, or somebody who is asked.

1. A rule or the default decides. If that is "ask", the caller's `approve` is asked, or a person
   through `Control`. A person who allows a tool for good is not asked about it again in this run,
   nor in those that share `always` with it, unless the verdict is about one call alone or the tool
   is suspect.
2. Where there is nobody to ask, the call is denied; or, with `on_ask` "stop", its decision stays
   "ask", and the run ends once all calls of the round are decided about.
3. A run that continues such a run decides about its calls again, and `answers` may say "yes" to
   them. A "yes" is to what was shown: where the preview has become a different one, somebody is
   asked again.
4. Nobody is asked about a call whose preview says that it cannot work.
5. A dry run asks nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from inspect import iscoroutine
from typing import Any, Literal

import msgspec

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.control import Answer, Control
from chatstream.errors import ChatstreamError
from chatstream.flow import Arrival
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Ready, refused
from chatstream.tools.tool import Tool, ToolFailure

log = logging.getLogger(__name__)

Arguments = Mapping[str, Any]

Decide = Callable[[Tool, Arguments], Verdict]
"""What becomes of a call of a tool with these arguments."""

OnAsk = Literal["deny", "stop"]
"""What to do where somebody has to be asked and nobody is there: deny the call, or end the run."""

_CHANGED = "the file has changed since the diff was shown"


class ApprovalFailed(ChatstreamError):
    """The caller's `approve` raised an exception, or did not return True or False."""

    code = "approval"


class _Settled(msgspec.Struct, frozen=True):
    """What was decided, and by whom. `why` and `code` are for a call that does not run."""

    decision: ev.Decision
    by: str
    why: str = ""
    code: str = "denied"


class Deciding:
    """Decides about the calls of one run. The parameters are those of `Runner`."""

    def __init__(
        self,
        decide: Decide,
        *,
        approve: Callable[[ev.ToolCall], bool] | None,
        control: Control,
        dry_run: bool,
        on_ask: OnAsk,
        answers: Callable[[Tool, Arguments], bool],
        always: set[str],
    ) -> None:
        self._decide = decide
        self._approve = approve
        self._control = control
        self._dry_run = dry_run
        self._on_ask = on_ask
        self._answers = answers
        self._always = always

    def decided(
        self, ready: Ready, earlier: Sequence[Ready], token: CancelToken
    ) -> Generator[Arrival, None, ev.Decision]:
        """Decide about a call; "ask" if nobody could be asked and the run is to end for it.

        `earlier` are the calls that run before it, if those that nobody was asked about do. Raises
        the reason of the token, and `ApprovalFailed`.
        """
        token.check()
        verdict = self._decide(ready.tool, ready.arguments)
        if self._dry_run:
            yield Arrival([_approval(ready, verdict.decision, "dry_run")])
            return verdict.decision
        try:
            preview = self._preview(ready, earlier, verdict)
        except ToolFailure as error:
            yield Arrival([refused(ready.call, error.message, error.code, error.outcome)])
            return "deny"
        settled = self._settled(ready, verdict)
        is_stale = (
            ready.shown is not None
            and settled is not None
            and settled.decision == "allow"
            and ready.shown.preview != preview
        )
        if settled is None or is_stale:
            settled = yield from self._ask(ready, verdict, preview, token, is_stale=is_stale)
        if settled is None:
            return "ask"
        yield Arrival(list(_told(ready, settled)))
        return settled.decision

    def _settled(self, ready: Ready, verdict: Verdict) -> _Settled | None:
        """What is decided about a call without a question; None: somebody has to be asked."""
        name = ready.call.name
        match verdict.decision:
            case "allow":
                return _Settled("allow", verdict.by)
            case "deny":
                why = "a rule denies it" if verdict.by == "rule" else "it is not allowed"
                return _Settled("deny", verdict.by, why)
        if name in self._always and not verdict.narrow and ready.tool.caution is None:
            return _Settled("allow", "user")
        if ready.shown is not None and self._answers(ready.tool, ready.arguments):
            return _Settled("allow", "rule")
        return None

    def _ask(
        self,
        ready: Ready,
        verdict: Verdict,
        preview: str | None,
        token: CancelToken,
        *,
        is_stale: bool,
    ) -> Generator[Arrival, None, _Settled | None]:
        """Ask somebody; None if nobody is there and the run is to end for it."""
        name, caution = ready.call.name, ready.tool.caution
        if is_stale:
            yield Arrival([ev.Warn("diff_changed", f"{name}: {_CHANGED}")])
        if caution is not None:
            yield Arrival([ev.Warn("tool_changed", f"{name}: {caution}")])
        if self._approve is not None:
            allowed = self._asked(self._approve, ready.call)
            return _Settled("allow" if allowed else "deny", "caller", "it was not approved")
        if self._control.can_answer:
            once = verdict.narrow or is_stale
            question = _approval(ready, "ask", verdict.by, preview, once=once)
            answer = yield from self._answered(question, token)
            if answer == "always" and not once:
                self._always.add(name)
            return _Settled("deny" if answer == "no" else "allow", "user", "the user denied it")
        if self._on_ask == "stop":
            yield Arrival([_approval(ready, "ask", "nobody", preview)])
            return None
        if is_stale:
            return _Settled("deny", "default", f"{_CHANGED}, and there is nobody to ask", "changed")
        return _Settled("deny", "default", _nobody(ready, verdict))

    def _preview(self, ready: Ready, earlier: Sequence[Ready], verdict: Verdict) -> str | None:
        """What the call would change, if somebody is going to see that or has seen it.

        Without a preview somebody is asked, too. Raises `ToolFailure` if the call cannot
        work, whatever the calls before it do.
        """
        there = self._approve is not None or self._control.can_answer or self._on_ask == "stop"
        if ready.shown is None and not (verdict.decision == "ask" and there):
            return None
        try:
            return ready.tool.preview(ready.arguments, [(it.tool, it.arguments) for it in earlier])
        except Exception as error:
            if isinstance(error, ToolFailure) and all(it.tool.effect == "read" for it in earlier):
                raise
            log.debug("the tool %s has no preview", ready.tool.name, exc_info=True)
            return None

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


def _nobody(ready: Ready, verdict: Verdict) -> str:
    """Why a call does not run that nobody could be asked about, and what would help."""
    if ready.tool.caution is not None:
        return f"{ready.tool.caution}, and there is nobody to ask"
    if verdict.by == "taint":
        return "text from outside is in the conversation, and there is nobody to ask"
    if verdict.by == "rule":
        return "a rule says to ask about it, and there is nobody to ask"
    name = ready.call.name
    return f"no rule allows it, and there is nobody to ask; --allow {name} allows any call of it"


def _told(ready: Ready, settled: _Settled) -> Generator[ev.Event]:
    yield _approval(ready, settled.decision, settled.by)
    if settled.decision != "allow":
        yield refused(ready.call, f"not run: {settled.why}", settled.code, "denied")
    elif ready.again:
        words = f"{ready.call.name} was interrupted in an earlier run, and runs again"
        yield ev.Warn("tool_repeated", words)


def _approval(
    ready: Ready,
    decision: ev.Decision,
    by: str,
    preview: str | None = None,
    *,
    once: bool = False,
) -> ev.Approval:
    call = ready.call
    return ev.Approval(call.id, call.name, decision, by, ready.arguments, preview, once)
