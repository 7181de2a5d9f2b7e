"""A server that is a process of ours: JSON-RPC in lines, over its standard input and output.

1. It has a session of its own, so that Ctrl+C reaches it when we decide, and of our environment
   only what every program gets, `INHERITED`, and what the configuration names: none of our keys.
2. What it prints that is no message is logged and skipped. Its standard error is read to the end,
   and the last of it is kept as its last words.
3. Its end is that of its input. Whatever is left of its group then gets SIGTERM and SIGKILL
   (`STEPS`). If this program is killed, a guard does that: a shell that waits for the end of a
   pipe which only this program holds.
4. A server that has ended, or closed its output, is `Lost` to everyone who waits for it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue

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
from chatstream.wire.lines import LineSplitter
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

INHERITED = ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
"""The variables that a server gets besides those of every program (`tools.environment`)."""

STEPS = ((0.5, signal.SIGTERM), (1.0, signal.SIGKILL))
"""Seconds after the end of its input, and the signal that the group of a server gets then."""

_GUARD = "read -r _; kill -s TERM -- -$1; sleep 1; kill -s KILL -- -$1"
_MOST_UNREAD = 1000  # messages that a server may leave unread
_LAST_WORDS_BYTES = 4096
_READ_BYTES = 64 * 1024


class Stdio:
    """A server's process, from its start to its end. Raises `UsageError` if it cannot be started.

    `answer` is called for each request of the server, on the thread that reads.
    """

    def __init__(
        self,
        command: Sequence[str],
        answer: Answer,
        env: Mapping[str, str] | None = None,
        steps: Sequence[tuple[float, int]] = STEPS,
    ) -> None:
        if os.name != "posix":
            raise UsageError("an MCP server needs the process groups of a POSIX system")
        self._answer = answer
        self._steps = steps
        self._waiting: dict[int | str, tuple[Inbox[Response | Lost], Hear]] = {}
        self._lock = threading.Lock()
        self._lost: Lost | None = None
        self._due: SimpleQueue[bytes | None] = SimpleQueue()
        self._last_words = b""
        self._is_reaped = False
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(also=INHERITED) | dict(env or {}),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{command[0]} cannot be started: {why}") from error
        try:
            self._guard = _guard(self._process.pid)
        except OSError as error:  # without it the server could outlive us
            self._process.kill()
            self._process.communicate()
            raise UsageError(f"{command[0]} cannot be guarded: {error}") from error
        self._ended = threading.Event()
        threads = (self._read, self._write, self._listen, self._wait)
        self._threads = [threading.Thread(target=it, name="MCP", daemon=True) for it in threads]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> bool:
        """Whether the process has ended, or says nothing more."""
        return self._lost is not None

    @property
    def last_words(self) -> str:
        """The last of what it has written to its standard error, for a message; may be empty."""
        lines = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return excerpt(lines[-1]) if lines else ""

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
        """Hang up, and take the steps until the process and its group have ended."""
        self.hang_up()
        passed = 0.0
        for seconds, number in self._steps:
            if self._ended.wait(seconds - passed):
                break
            passed = seconds
            self._signal(number)
        self._ended.wait()

    # ---- its threads

    def _write(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as pipe:  # an error: it reads no more
            while (line := self._due.get()) is not None:
                pipe.write(line)
                if self._due.empty():
                    pipe.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            try:
                for message in _messages(pipe.fileno()):
                    self._take(message)
            except (LineTooLong, Lost) as error:
                self._lose(error.message)
        if not self._ended.wait(POLL_SECONDS):  # else `_wait` knows better why
            self._lose("it closed its output")
            self._signal(signal.SIGKILL)

    def _listen(self) -> None:
        """Keep the last of its standard error."""
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            while data := os.read(pipe.fileno(), _READ_BYTES):
                log.debug("it writes: %s", excerpt(data.decode("utf-8", "replace")))
                self._last_words = (self._last_words + data)[-_LAST_WORDS_BYTES:]

    def _wait(self) -> None:
        """Wait for its end; then end its group, before the number could be that of another."""
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:  # macOS before Python 3.13: its number is free a moment too early
            self._process.wait()
        self._signal(signal.SIGKILL)
        with self._lock:
            self._guard.kill()  # before the number of the group is free for others
            self._guard.communicate()
            status = self._process.wait()
            self._is_reaped = True
        self._threads[2].join(POLL_SECONDS)  # its last words are on the way
        words = f" ({self.last_words})" if self.last_words else ""
        how = f"ended with status {status}" if status >= 0 else f"was killed by {_name(-status)}"
        self._lose(f"it {how}{words}")
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
                    raise Lost("it asks, and reads no answers")
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

    def _signal(self, number: int) -> None:
        with self._lock:
            if not self._is_reaped:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)


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
                log.info("it prints what is no message: %s", excerpt(line.decode(errors="replace")))


def _progress_token(params: Mapping[str, object]) -> int | str:
    token = params.get("progressToken")
    return token if isinstance(token, int | str) else ""


def _guard(group: int) -> subprocess.Popen[bytes]:
    """What ends this group if this program is killed."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "sh", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
