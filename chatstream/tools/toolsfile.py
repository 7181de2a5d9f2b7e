"""The functions of a Python file as tools: `--tools-file`. They run in a process of their own.

1. The process is started for the definitions, and stays for the calls, which share the state of the
   file's module. If it has ended, the next call starts it again, with the state that a start has.
2. The tools are frozen: if a new start finds other definitions than the first one, no call runs.
3. A stop reaches the call at once. What does not end is interrupted: an exception in its thread,
   SIGINT for the programs that it has started. Then SIGTERM and SIGKILL end its process and all
   that this has started (`STEPS`). A call that ends with it, and was not meant, fails as
   "worker_ended".
4. It works where there are process groups, so not on Windows.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, assert_never

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, Deadline, monotonic
from chatstream.errors import UsageError
from chatstream.inbox import Empty
from chatstream.tools.process import Answers, Gone, Process
from chatstream.tools.protocol import (
    Advanced,
    Call,
    Check,
    Checked,
    Defined,
    Ended,
    Interrupt,
    NextStage,
    Output,
    Planned,
    Ready,
    Stop,
    Taken,
    Unusable,
)
from chatstream.tools.tool import Context, InvalidArguments, Returned, Tool, ToolFailure

log = logging.getLogger(__name__)

STEPS = ((0.2, signal.SIGINT), (0.5, signal.SIGTERM), (1.5, signal.SIGKILL))
"""Seconds after a stop, and the signal that is sent then to what is still running."""
LOAD_SECONDS = 60.0
"""For the imports of a file: those of large packages take many seconds."""
CHECK_SECONDS = 10.0
"""For looking at arguments."""


def tools_of_file(
    path: Path, token: CancelToken | None = None, meanwhile: Callable[[], None] = lambda: None
) -> list[Tool]:
    """The tools of a Python file, whose process is started; closing one of them ends it.

    `meanwhile` is called while the process loads the file. Raises `UsageError` for a file that
    cannot be read or used, or the reason of the token.
    """
    if os.name != "posix":
        raise UsageError("a tools file needs the process groups of a POSIX system")
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"cannot read the tools file {path}: {error.strerror}") from error
    file = _File(path, token or CancelToken())
    return [FileTool(it, file) for it in file.begin(meanwhile)]


class _File:
    """The file, and the process that runs it now, if there is one. `token` is that of the run."""

    def __init__(self, path: Path, token: CancelToken) -> None:
        self.path = path
        self.token = token
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._tools: tuple[Defined, ...] | None = None

    def begin(self, meanwhile: Callable[[], None]) -> tuple[Defined, ...]:
        """Start the process. Raises `UsageError`, or the reason of the token."""
        with self._lock:
            self._process, self._tools = self._started(self.token, meanwhile)
            return self._tools

    def process(self, token: CancelToken) -> Process:
        """The process, started again if it has ended.

        Raises `ToolFailure`, or the reason of the token.
        """
        with self._lock:
            if self._process is None or self._process.gone is not None:
                try:
                    process, tools = self._started(token)
                except UsageError as error:
                    raise ToolFailure(error.message) from error
                if tools != self._tools:
                    process.close()
                    raise ToolFailure(f"the tools file {self.path} was changed during the run")
                self._process = process
            return self._process

    def close(self) -> None:
        """End the process. Idempotent."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def _started(
        self, token: CancelToken, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[Process, tuple[Defined, ...]]:
        process = Process(self.path)
        try:
            meanwhile()
            loaded = _wait(process.loaded, LOAD_SECONDS, token)
            match loaded:
                case Ready(_, tools):
                    return process, tools
                case Unusable(_, why, hint, trace):
                    log.debug("%s", trace)
                    raise self._unusable(why, hint)
                case Gone(why):
                    raise self._unusable(f"{why} while it was loaded")
                case _:
                    raise self._unusable(f"it is not loaded after {LOAD_SECONDS:g} s")
        except BaseException:
            process.signal(signal.SIGKILL)
            process.close()
            raise

    def _unusable(self, why: str, hint: str | None = None) -> UsageError:
        return UsageError(f"the tools file {self.path} cannot be used: {why}", hint=hint)


def _wait(answers: Answers, seconds: float, token: CancelToken) -> object:
    """What comes first, or None after so many seconds. Raises the reason of the token."""
    deadline = Deadline(seconds)
    while not deadline.passed:
        token.check()
        with suppress(Empty):
            return answers.get(POLL_SECONDS)
    return None


class FileTool(Tool):
    """A function of a tools file."""

    origin = "file"

    def __init__(self, defined: Defined, file: _File) -> None:
        told = defined.definition
        super().__init__(told.name, told.description, told.parameters)
        self.effect = defined.effect
        self._file = file

    def begin(self, token: CancelToken) -> None:
        """From now on this token ends what waits for the process."""
        self._file.token = token

    def check(self, arguments: dict[str, Any]) -> None:
        """Ask the process, which has the types.

        Raises `InvalidArguments`, `ToolFailure`, or the reason for which the run was cancelled.
        """
        process = self._file.process(self._file.token)
        number, answers = process.ask(lambda number: Check(number, self.name, arguments))
        try:
            match _wait(answers, CHECK_SECONDS, self._file.token):
                case Checked(_, None):
                    return
                case Checked(_, str(error)):
                    raise InvalidArguments(error)
                case Gone(why):
                    raise self._gone(why)
                case _:
                    raise ToolFailure("the process of the tools file does not answer")
        finally:
            process.forget(number)

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        """What the function returns.

        Raises `ToolFailure` for what it raises, and the reason of a stop that has ended it.
        """
        process = self._file.process(context.token)
        call_id = context.call_id
        number, answers = process.ask(lambda number: Call(number, self.name, arguments, call_id))
        remove = context.token.on_cancel(lambda: answers.put(None))
        try:
            ended = _followed(process, number, answers, context)
        finally:
            remove()
            process.forget(number)
        if isinstance(ended, Gone):
            context.token.check()
            raise self._gone(ended.why)
        if ended.error is not None:
            context.token.check()
            raise ToolFailure(ended.error, code=ended.code)
        if ended.exit_status is not None:
            return Returned(ended.value or "", ended.exit_status)
        return ended.value

    def close(self) -> None:
        """End the process, for all tools of the file."""
        self._file.close()

    def _gone(self, why: str) -> ToolFailure:
        return ToolFailure(
            f"the process of the tools file is gone: {why}; the call may have taken effect",
            code="worker_ended",
            outcome="unknown",
        )


def _followed(process: Process, number: int, answers: Answers, context: Context) -> Ended | Gone:
    """The end of a call, which is followed up to there, and made to come once it is to stop."""
    stop: _Stop | None = None
    while True:
        report = None
        with suppress(Empty):
            report = answers.get(POLL_SECONDS)
        if context.token.cancelled:
            stop = stop or _Stop(process, number)
            stop.go_on()
        match report:
            case Ended() | Gone():
                return report
            case Output() | Advanced() | Planned() | NextStage():
                _say(report, context)
                process.tell(Taken(number, report.size))


def _say(said: Output | Advanced | Planned | NextStage, context: Context) -> None:
    """Say it through the context; not what comes after a stop, whose end is waited for."""
    try:
        context.token.check()
        match said:
            case Output(_, text):
                context.output(text)
            case Advanced(_, done, total, message):
                context.progress(done, total, message)
            case Planned(_, stages):
                context.stages(stages)
            case NextStage():
                context.next_stage()
            case _:
                assert_never(said)
    except BaseException:
        if not context.token.cancelled:
            raise


class _Stop:
    """How one call is made to end, step by step."""

    def __init__(self, process: Process, number: int, clock: Clock = monotonic) -> None:
        self._process = process
        self._number = number
        self._clock = clock
        self._began = clock()
        self._steps = list(STEPS)
        process.tell(Stop(number))

    def go_on(self) -> None:
        """Take the steps that are due."""
        while self._steps and self._clock() - self._began >= self._steps[0][0]:
            _, signal_number = self._steps.pop(0)
            if signal_number == signal.SIGINT:  # it reaches the programs of the call
                self._process.tell(Interrupt(self._number))
            self._process.signal(signal_number)
