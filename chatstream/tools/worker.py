"""The process of a tools file: it loads the file, runs its functions and says what comes of them.

    python -m chatstream.tools.worker FILE

1. `protocol` is spoken over its standard input and output, which are moved away first: a function
   that reads finds the end of a file, and what it prints is captured (`capturing`).
2. The functions that are marked with `@tool` are the tools; if no function is, all functions that
   the file defines and whose names do not begin with an underscore. No `__pycache__` is written.
3. Every call is a thread. A stop cancels its token. An interrupt raises `KeyboardInterrupt` in that
   thread and in no other, which ends a loop that looks at nothing.
4. It ends with its standard input, however its parent ended, and takes along whatever is left of
   its group. Calls have `GRACE_SECONDS` to end by themselves.
"""

from __future__ import annotations

import atexit
import faulthandler
import inspect
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import Deadline
from chatstream.errors import Cancelled, ChatstreamError, UsageError
from chatstream.tools import protocol
from chatstream.tools.capturing import Capture, Voices
from chatstream.tools.functions import FunctionTool, mark_of
from chatstream.tools.protocol import (
    Advanced,
    Call,
    Check,
    Checked,
    Defined,
    Ended,
    Interrupt,
    NextStage,
    Planned,
    Ready,
    Stop,
    Taken,
    Unusable,
)
from chatstream.tools.registry import Toolset
from chatstream.tools.speaking import Speaker, Voice
from chatstream.tools.tool import Context, InvalidArguments, Returned, ToolFailure, no_json
from chatstream.wording import encodable

GRACE_SECONDS = 0.5
_EXIT_SECONDS = 1.0  # for what the functions have registered with atexit
_MOST_RESULT_BYTES = 1024 * 1024  # of a value that is sent whole
_MODULE = "chatstream_tools_file"
"""The name of the file as a module: its own may be that of a module that it imports."""


def main(path: str) -> None:
    """Be the process of this file, until the standard input ends."""
    orders, reports, errors = os.dup(0), os.dup(1), os.dup(2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    faulthandler.enable(errors)  # says what killed it, where its parent reads it afterwards
    atexit.register(_end_group)  # the first one is called last
    speaker = Speaker(reports)
    voices = Voices(speaker)
    capture = Capture(voices)

    def in_child() -> None:
        """A fork must not keep the pipes open, nor speak over them."""
        for descriptor in (orders, reports):
            with suppress(OSError):
                os.close(descriptor)
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            file = open(descriptor, "w", closefd=False)  # noqa: SIM115 - for the child's whole life
            setattr(sys, name, file)

    os.register_at_fork(after_in_child=in_child)
    try:
        tools = load(Path(path))
    except BaseException as error:  # the file may raise anything, SystemExit too
        capture.drain()
        speaker.say(_unusable(error, path))
        tools = Toolset([])
    else:
        speaker.say(Ready(0, tuple(Defined(it.definition, it.effect) for it in tools)))
    worker = _Worker(tools, speaker, voices, capture)
    signal.signal(signal.SIGINT, lambda *_: None)  # it is for programs that functions have started
    with os.fdopen(orders, "rb") as lines:
        for line in lines:
            worker.obey(protocol.decode_order(line))
    worker.end()


def load(path: Path) -> Toolset:
    """The tools of a file, which is run. Raises `UsageError`, `OSError`, and whatever it raises."""
    module = ModuleType(_MODULE)
    module.__file__ = str(path)
    sys.modules[_MODULE] = module  # where dataclasses look up their own hints
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    sys.dont_write_bytecode = True
    exec(compile(path.read_bytes(), path, "exec", dont_inherit=True), vars(module))
    found = {id(it): it for name, it in vars(module).items() if mark_of(it) is not None}
    if not found:
        found = {
            id(it): it
            for name, it in vars(module).items()
            if inspect.isfunction(it) and it.__module__ == _MODULE and not name.startswith("_")
        }
    if not found:
        raise UsageError(
            "it has no functions", hint="write a function, with type hints and a docstring"
        )
    return Toolset(FunctionTool(it, "file") for it in found.values())


def _unusable(error: BaseException, path: str) -> Unusable:
    import traceback

    trace = "".join(traceback.format_exception(error))
    if isinstance(error, ChatstreamError):
        return Unusable(0, error.message, error.hint, trace)
    lines = [it.lineno for it in traceback.extract_tb(error.__traceback__) if it.filename == path]
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename == path:
        lines, words = [error.lineno], f"{type(error).__name__}: {error.msg}"
    place = f"line {lines[-1]}: " if lines else ""
    return Unusable(0, encodable(f"{place}{words}"), None, encodable(trace))


class _Running:
    """A call that runs."""

    def __init__(self, voice: Voice, token: CancelToken) -> None:
        self.voice = voice
        self.token = token
        self.thread: threading.Thread
        self.lock = threading.Lock()
        self.beyond = False  # nothing may be raised in the thread any more

    def interrupt(self) -> None:
        """Raise `KeyboardInterrupt` in it, as soon as it runs Python code."""
        import ctypes

        with self.lock:
            if not self.beyond and self.thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self.thread.ident), ctypes.py_object(KeyboardInterrupt)
                )


class _Worker:
    """Obeys, on the main thread; the calls run on theirs."""

    def __init__(self, tools: Toolset, speaker: Speaker, voices: Voices, capture: Capture) -> None:
        self._tools = {it.name: it for it in tools}
        self._speaker = speaker
        self._voices = voices
        self._capture = capture
        self._running: dict[int, _Running] = {}

    def obey(self, order: protocol.Order) -> None:
        """Carry out an order. Never waits for a call."""
        match order:
            case Check():
                self._check(order)
            case Call():
                self._begin(order)
            case Taken(0, characters):
                self._voices.log.taken(characters)
            case Taken() | Stop() | Interrupt():
                if (running := self._running.get(order.number)) is not None:  # else it has ended
                    self._tell(running, order)

    def _tell(self, running: _Running, order: Taken | Stop | Interrupt) -> None:
        match order:
            case Taken(_, characters):
                running.voice.taken(characters)
            case Stop():
                running.token.cancel(Cancelled("the call was stopped"))
            case Interrupt():
                running.interrupt()

    def end(self) -> None:
        """No more orders: stop all calls, and do not wait long for them."""
        deadline = Deadline(GRACE_SECONDS)
        left = list(self._running.values())
        for running in left:
            running.token.cancel()
        for running in left:
            running.thread.join(deadline.left())
        if any(it.thread.is_alive() for it in left):
            _end_group()
            os._exit(1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _EXIT_SECONDS)

    def _check(self, order: Check) -> None:
        try:
            self._tools[order.name].check(order.arguments)
        except InvalidArguments as error:
            self._speaker.say(Checked(order.number, error.message))
        else:
            self._speaker.say(Checked(order.number, None))

    def _begin(self, order: Call) -> None:
        token = CancelToken()
        running = _Running(Voice(order.number, self._speaker, token), token)
        running.thread = threading.Thread(
            target=self._run, args=(order, running), name=order.name, daemon=True
        )
        self._running[order.number] = running
        running.thread.start()

    def _run(self, order: Call, running: _Running) -> None:
        """The thread of a call.

        Claim: its end is always said. `KeyboardInterrupt` is sent under the lock and not after
        `beyond`, which is set under the same lock. What was sent before that is raised at the
        latest when the next Python function is entered, which is `_nothing`, in the same statement.
        """
        ended = Ended(order.number, error="KeyboardInterrupt")
        with suppress(KeyboardInterrupt):
            ended = self._made(order, running)
            with running.lock:
                running.beyond = True
            _nothing()
        self._capture.drain()
        self._voices.end(running.voice)
        running.voice.end(ended)
        del self._running[order.number]

    def _made(self, order: Call, running: _Running) -> Ended:
        """What comes of a call."""
        voice = running.voice
        try:
            self._voices.begin(voice)
            value = self._tools[order.name].run(order.arguments, self._context(order, running))
            return self._ended(value, voice)
        except ToolFailure as error:
            return Ended(order.number, error=error.message, code=error.code)
        except BaseException as error:  # whatever it is, it ends this call and nothing else
            words = encodable(f"{type(error).__name__}: {error}".removesuffix(": "))
            return Ended(order.number, error=words)

    def _context(self, order: Call, running: _Running) -> Context:
        voice = running.voice
        return Context(
            order.call_id,
            running.token,
            lambda text: self._capture.say(text, voice),
            lambda done, total, message: voice.say(Advanced(voice.number, done, total, message)),
            lambda weighted: voice.say(Planned(voice.number, tuple(weighted))),
            lambda: voice.say(NextStage(voice.number)),
        )

    def _ended(self, value: object, voice: Voice) -> Ended:
        """The end of a call that returned this. What is long goes the way of output, in pieces."""
        exit_status = value.exit_status if isinstance(value, Returned) else None
        if isinstance(value, Returned):
            value = value.text
        if isinstance(value, bytes | bytearray):
            value = value.decode("utf-8", "replace")  # as for a function of this process
        if isinstance(value, str):
            value = encodable(value)
        try:
            data = msgspec.json.encode(value)  # here, so that a failure is the call's own
        except (TypeError, ValueError, RecursionError) as error:
            raise no_json(value, error) from error
        if data == b"null" and value is not None:  # NaN and infinity, which JSON does not have
            data = msgspec.json.encode(str(value))
        if len(data) > _MOST_RESULT_BYTES:
            self._capture.say(value if isinstance(value, str) else data.decode(), voice)
            data = b"null"
        raw: Any = msgspec.Raw(data)
        return Ended(voice.number, raw, exit_status)


def _nothing() -> None:
    """Where a pending exception is raised."""


def _end_group() -> None:
    """End this process and what it has left running, if the group is its own."""
    if os.getsid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
