"""One call while it runs: its thread, what it says, and how it is made to end.

1. The thread runs the tool and nothing else. Every event about the call is made by the
   thread that runs the tools (`take`), from what the first one has left for it.
2. A call ends when its tool has returned or raised. `take` gives its last output before its end.
3. `stop` asks it to end: its token is cancelled, then `Tool.stop` is called. A Python function that
   still runs after `INTERRUPT_SECONDS` gets an exception raised in its thread, if it may
   (`Tool.interruptible`). After `STOP_SECONDS` it is left to itself, and that is said.
"""

from __future__ import annotations

import ctypes
import json
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock
from chatstream.errors import Cancelled
from chatstream.escape import clean
from chatstream.progressing import Meter
from chatstream.tools.output import Output
from chatstream.tools.pipe import Bells, Pipe
from chatstream.tools.tool import NOT_STOPPED, Context, Returned, Tool, ToolFailure, no_json
from chatstream.wording import bounded

log = logging.getLogger(__name__)

INTERRUPT_SECONDS = 1.0
STOP_SECONDS = 2.0
"""After a call was asked to end: when an exception is raised in it, and when it is left behind."""


class Stop(msgspec.Struct, frozen=True):
    """Why a call is to end: a `code` of `tool_error`, and in words."""

    code: str
    words: str


class Execution:
    """One running call. It is used by the thread that runs the tools."""

    def __init__(
        self,
        call: ev.ToolCall,
        tool: Tool,
        arguments: dict[str, Any],
        *,
        token: CancelToken,
        bells: Bells,
        folder: Path | None,
        clock: Clock,
    ) -> None:
        self.call = call
        self.tool = tool
        self.stopping: Stop | None = None
        self.ended = False  # the event of its end is out
        self._arguments = arguments
        self._clock = clock
        self._bells = bells
        self._token, self._untie = token.child()
        self._printed = Pipe(self._token, bells)
        self._returned = Pipe(self._token, bells)  # what is given to the model and not shown
        self._output = Output(folder, tool.name)
        self._told = _Told(call, bells, clock)
        self._context = Context(
            call.id,
            self._token,
            self._printed.put,
            self._told.report,
            self._told.plan,
            self._told.next_stage,
        )
        self._thread = threading.Thread(target=self._main, name=f"tool {call.id}", daemon=True)
        self._began = clock()
        self._stopped_at = 0.0
        self._interrupted = False
        # Written by the thread, before it sets `_over`; read after that.
        self._failure: BaseException | None = None
        self._exit_status: int | None = None
        self._over = False
        self._last = threading.Lock()
        self._beyond = False  # no exception may be raised in the thread any more

    def start(self) -> None:
        """Start the thread. One that cannot be started is the end of the call."""
        self._began = self._clock()
        try:
            self._thread.start()
        except RuntimeError as error:  # the system has no more of them
            self._failure, self._over = error, True

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return round(self._clock() - self._began, 6)

    def take(self) -> list[ev.Event]:
        """What is new: output, progress, and the end if it has come. Then `ended` is set."""
        over = self._over  # first: what comes after it is not lost
        now = self._clock()
        events = self._new_output(now, over)
        if not self.stopping and (told := self._told.take(now, last=over)):
            events.append(told)
        if over:
            if self._thread.ident is not None:
                self._thread.join()  # it has nothing left to do
            events.append(self._end())
        elif self.stopping and now - self._stopped_at >= STOP_SECONDS:
            events.append(self._left_behind())
        elif self.stopping and now - self._stopped_at >= INTERRUPT_SECONDS:
            self._interrupt()
        return events

    def stop(self, why: Stop) -> list[ev.Event]:
        """Ask it to end, if that was not done yet; what is to be told about that."""
        if self.stopping or self._over:
            return []
        self.stopping, self._stopped_at = why, self._clock()
        self._token.cancel(Cancelled(why.words))
        try:
            self.tool.stop(self._context)
        except Exception:
            log.warning("the tool %s failed to stop a call", self.tool.name, exc_info=True)
        return [ev.ToolProgress(self.call.id, self.call.name, message="stopping")]

    def _new_output(self, now: float, over: bool) -> list[ev.Event]:
        has_printed = self._printed.closed  # first: what was printed comes before what is returned
        shown = self._output.printed(self._printed.take(), now)
        if has_printed and (text := self._returned.take()):
            self._output.returned(text)
        shown += self._output.sample(now, last=over)
        return [ev.ToolOutput(self.call.id, self.call.name, shown)] if shown else []

    def _end(self) -> ev.CallEnd:
        if (why := self.stopping) is not None:
            words = why.words
            if isinstance(its := self._failure, ToolFailure) and its.outcome == "unknown":
                words = f"{words}; {words_of(its)}"
                return self._error(words, its.code, "unknown", f"[{words}]")
            return self._error(words, why.code, "stopped", f"[{words}; what it did stays done]")
        if (error := self._failure) is not None:
            words = words_of(error)
            log.debug("the tool %s raised", self.tool.name, exc_info=error)
            outcome = error.outcome if isinstance(error, ToolFailure) else "failed"
            return self._error(words, code_of(error), outcome, words)
        self._finish()
        return ev.ToolComplete(
            self.call.id,
            self.call.name,
            self._output.result(),
            self.seconds,
            exit_status=self._exit_status,
        )

    def _left_behind(self) -> ev.ToolError:
        assert self.stopping is not None
        words = f"{self.stopping.words}, but it could not be stopped"
        return self._error(
            words, NOT_STOPPED, "unknown", f"[{words}: it may go on, and take effect]"
        )

    def _error(self, words: str, code: str, outcome: ev.Outcome, mark: str) -> ev.ToolError:
        self._finish()
        result = self._output.result(mark)
        return ev.ToolError(
            self.call.id,
            self.call.name,
            words,
            self.seconds,
            outcome=outcome,
            code=code,
            result=None if result == words else result,
        )

    def _finish(self) -> None:
        self.ended = True
        self._untie()

    def _interrupt(self) -> None:
        """Raise `SystemExit` in the thread, once.

        Claim: it is raised inside of `_main`'s first statement, or never. It is sent under the lock
        and not after `_beyond`, which the thread sets under the same lock. What was sent before
        that is pending then at the latest, and CPython raises what is pending when a function
        written in Python is entered: that is `_nothing`, called in the same statement. A `with`
        lets go of its lock also then, so that no lock of ours is left taken.
        """
        if self._interrupted or not self.tool.interruptible:
            return
        self._interrupted = True
        with self._last:
            if not self._beyond and self._thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread.ident), ctypes.py_object(SystemExit)
                )

    # The thread of the tool.

    def _main(self) -> None:
        with suppress(SystemExit):
            self._run()
            with self._last:
                self._beyond = True
            _nothing()
        self._over = True
        self._bells.ring()

    def _run(self) -> None:
        try:
            value = self.tool.run(self._arguments, self._context)
            self._printed.close()
            text = self._text(value)
            if text:
                self._returned.put(text)
        except BaseException as error:  # whatever it is, it ends this call and nothing else
            self._failure = error

    def _text(self, value: object) -> str:
        """What the tool has returned, as the model is given it."""
        if isinstance(value, Returned):
            self._exit_status = value.exit_status
            value = value.text
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, bytes | bytearray):
            return value.decode("utf-8", "replace")
        try:
            return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise no_json(value, error) from error


class _Told:
    """How far a call is, from any thread of its tool to the one that tells it."""

    def __init__(self, call: ev.ToolCall, bells: Bells, clock: Clock) -> None:
        self._call = call
        self._bells = bells
        self._lock = threading.Lock()  # held for a calculation at most
        self._meter = Meter(clock=clock)
        self._is_new = False
        self._told_at: float | None = None

    def plan(self, weighted: Iterable[tuple[str, float]]) -> None:
        stages = [(str(name), weight) for name, weight in weighted]
        self._change(lambda meter: meter.plan(stages))

    def report(self, done: float, total: float | None, message: str | None) -> None:
        self._change(lambda meter: meter.report(done, total, message))

    def next_stage(self) -> None:
        self._change(Meter.next_stage)

    def _change(self, change: Callable[[Meter], None]) -> None:
        with self._lock:
            change(self._meter)
            self._is_new = True
        self._bells.news.ring()

    def take(self, now: float, *, last: bool) -> ev.ToolProgress | None:
        """What is new, several times a second at most; and the last state."""
        told_lately = self._told_at is not None and now - self._told_at < POLL_SECONDS
        if not self._is_new or (told_lately and not last):
            return None
        self._told_at = now
        with self._lock:
            self._is_new = False
            meter = self._meter
            percentage, eta = meter.percentage, meter.eta()
            message = meter.message or meter.stage or None
        return ev.ToolProgress(
            self._call.id,
            self._call.name,
            progress=None if percentage is None else round(percentage, 2),
            message=None if message is None else bounded(clean(str(message))),
            eta=None if eta is None else round(eta, 1),
        )


def _nothing() -> None:
    """Where a pending exception is raised at the latest."""


def code_of(error: BaseException) -> str:
    """The code of the `tool_error` about what a tool has raised."""
    return error.code if isinstance(error, ToolFailure) else "raised"


def words_of(error: BaseException) -> str:
    """What a tool has raised, in one line."""
    try:
        text = " ".join(clean(str(error)).split())
    except Exception:  # its own `__str__` may fail
        text = ""
    if isinstance(error, ToolFailure):
        return bounded(text)
    name = type(error).__name__
    return bounded(f"{name}: {text}" if text else name)
