"""A server that is a process of ours: JSON-RPC in lines, over its standard input and output.

1. The keeper starts it (`tools.spawning`): in a session of its own, so that Ctrl+C reaches it when
   we decide. Of our environment it has only what every program gets, `INHERITED`, and what the
   configuration names: none of our keys. It is in no sandbox.
2. Output that is not a message is logged and skipped. Its standard error is read to the end, and
   the last part of it is kept as its last words.
3. It is asked to end by closing its input. Whatever is left of it, in any session, then gets
   SIGTERM and SIGKILL (`STEPS`). Once the server itself has ended, or this program has, the keeper
   ends all that it has started.
4. A server that has ended, or closed its output, is `Lost` to everyone who waits for it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from chatstream.clock import POLL_SECONDS
from chatstream.errors import LineTooLong, ProtocolError, UsageError
from chatstream.inbox import Empty, Inbox
from chatstream.tools.environment import environment
from chatstream.tools.mcp.channel import Answer, Hear, Lost
from chatstream.tools.mcp.messages import (
    Message,
    Notification,
    Request,
    Response,
    decode,
    encode,
)
from chatstream.tools.spawning import Keeper, Minded, NotStarted, Order, pipe, told
from chatstream.wire.lines import LineSplitter
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

INHERITED = ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
"""The variables that a server gets besides those of every program (`tools.environment`)."""

STEPS = ((0.5, signal.SIGTERM), (1.0, signal.SIGKILL))
"""Seconds after the end of its input, and the signal that all of a server gets then."""

_END_SECONDS = 1.0  # after the end of its output, to learn how the server has ended
_MOST_UNREAD = 1000  # messages that a server may leave unread
_LAST_WORDS_BYTES = 4096
_READ_BYTES = 64 * 1024


class Stdio:
    """A server's process, from its start to its end. Raises `UsageError` if it cannot be started.

    `answer` is called for each request of the server, on the thread that reads.
    """

    def __init__(
        self,
        keeper: Keeper,
        command: Sequence[str],
        answer: Answer,
        env: Mapping[str, str] | None = None,
        steps: Sequence[tuple[float, int]] = STEPS,
    ) -> None:
        self._answer = answer
        self._steps = steps
        self._waiting: dict[int | str, tuple[Inbox[Response | Lost], Hear]] = {}
        self._lock = threading.Lock()
        self._lost: Lost | None = None
        self._due: SimpleQueue[bytes | None] = SimpleQueue()
        self._last_words = b""
        self._ended = threading.Event()
        variables = environment(also=INHERITED) | dict(env or {})
        self._minded, self._input, self._output, self._errors = _begun(keeper, command, variables)
        threads = (self._read, self._write, self._listen, self._wait)
        self._threads = [threading.Thread(target=it, name="MCP", daemon=True) for it in threads]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> bool:
        """Whether the process has ended, or says nothing more."""
        return self._lost is not None

    def exchange(self, request: Request, hear: Hear) -> Generator[None, None, Response]:
        """Send a request; ticks, then its response. Raises `Lost`."""
        inbox: Inbox[Response | Lost] = Inbox()
        with self._lock:
            if self._lost is not None:
                raise Lost(self._lost.message, sent=False)
            self._waiting[request.id] = inbox, hear
        try:
            self._due.put(encode(request) + b"\n")
            while True:
                try:
                    found = inbox.get(POLL_SECONDS)
                except Empty:
                    yield
                    continue
                if isinstance(found, Lost):
                    raise found
                return found
        finally:
            with self._lock:
                self._waiting.pop(request.id, None)

    def tell(self, notification: Notification) -> None:
        """Send this."""
        self._due.put(encode(notification) + b"\n")

    def hang_up(self) -> None:
        """End its input."""
        self._due.put(None)

    def close(self) -> None:
        """Hang up, and take the steps until nothing of it is left."""
        self.hang_up()
        passed = 0.0
        for seconds, number in self._steps:
            if self._ended.wait(seconds - passed):
                break
            passed = seconds
            self._minded.signal(number)
        self._ended.wait()

    # ---- its threads

    def _write(self) -> None:
        with suppress(OSError), self._input as pipe:  # an error: it reads no more
            while (line := self._due.get()) is not None:
                pipe.write(line)
                if self._due.empty():
                    pipe.flush()

    def _read(self) -> None:
        with self._output as pipe:
            try:
                for message in _messages(pipe.fileno()):
                    self._take(message)
            except (LineTooLong, Lost) as error:
                self._lose(error.message)
        if not self._ended.wait(_END_SECONDS):  # else `_wait` knows better why
            self._lose("it closed its output")
            self._minded.signal(signal.SIGKILL)

    def _listen(self) -> None:
        """Keep the last of its standard error."""
        with self._errors as pipe:
            while data := os.read(pipe.fileno(), _READ_BYTES):
                log.debug("it writes: %s", excerpt(data.decode("utf-8", "replace")))
                self._last_words = (self._last_words + data)[-_LAST_WORDS_BYTES:]

    def _wait(self) -> None:
        """Wait until nothing of it is left."""
        end = self._minded.ended()
        self._minded.close()
        self._threads[2].join(POLL_SECONDS)  # its last words are on the way
        self._lose(told(end, self._last_words.decode("utf-8", "replace")))
        self._due.put(None)
        self._ended.set()

    def _take(self, message: Message) -> None:
        match message:
            case Response(id):
                with self._lock:
                    found = self._waiting.get(id) if id is not None else None
                if found is not None:  # else it was given up
                    found[0].put(message)
            case Request():
                if self._due.qsize() > _MOST_UNREAD:
                    raise Lost("it sends requests, and does not read the answers")
                self._due.put(encode(self._answer(message)) + b"\n")
            case Notification(_, params):
                with self._lock:
                    found = self._waiting.get(_progress_token(params))
                if found is not None:
                    found[1](message)

    def _lose(self, why: str) -> None:
        with self._lock:
            self._lost = self._lost or Lost(why)
            waiting = list(self._waiting.values())
        for inbox, _ in waiting:
            inbox.put(self._lost)


def _begun(
    keeper: Keeper, command: Sequence[str], env: Mapping[str, str]
) -> tuple[Minded, IO[bytes], IO[bytes], IO[bytes]]:
    """The process, and our ends of its standard input, output and error. Raises `UsageError`."""
    with ExitStack() as undo:
        try:
            their_input, our_input = pipe()
            our_output, their_output = pipe()
            our_errors, their_errors = pipe()
            for it in (our_input, our_output, our_errors):
                undo.enter_context(it)
            with their_input, their_output, their_errors:
                files = [it.fileno() for it in (their_input, their_output, their_errors)]
                order = Order(argv=command, env=env, cwd=str(Path.cwd()))
                minded = undo.enter_context(closing(keeper.start(order, files)))
        except OSError as error:
            raise UsageError(f"the MCP server {command[0]} cannot be started: {error}") from error
        if isinstance(said := minded.awaited(), NotStarted):
            raise UsageError(f"the MCP server cannot be started: {said.why}")
        undo.pop_all()
    return minded, our_input, our_output, our_errors


def _messages(descriptor: int) -> Iterator[Message]:
    """What comes, until the end. Raises `LineTooLong`."""
    lines = LineSplitter(cr=False)
    while data := os.read(descriptor, _READ_BYTES):
        for line in lines.feed(data):
            if not line.strip():
                continue
            try:
                yield from decode(line)
            except ProtocolError:
                log.info(
                    "it prints something that is not a message: %s",
                    excerpt(line.decode(errors="replace")),
                )


def _progress_token(params: Mapping[str, object]) -> int | str:
    token = params.get("progressToken")
    return token if isinstance(token, int | str) else ""
