"""The program under test, as a process and as a library.

done = run(["ask", "-p", "demo", "hello"])
done = run_here(["ask", "--nonsense"])  # without a process
with Running(["ask", "--json", "hello"]) as client:
    client.read_line(); client.process.send_signal(signal.SIGINT); client.finish()
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from chatstream import events as ev
from chatstream.api import stream
from chatstream.transcript import Transcript
from tests.support.sampling import SIZE

LIMIT = 30.0  # seconds that any client of a test takes at most
COMMAND = [sys.executable, "-m", "chatstream"]


@dataclass(frozen=True)
class Finished:
    """A client that has ended."""

    status: int
    stdout: bytes
    stderr: str
    seconds: float

    @property
    def events(self) -> list[ev.AnyEvent]:
        """Standard output as events, one a line."""
        return [ev.decode(line) for line in self.stdout.splitlines()]

    @property
    def terminal(self) -> ev.AnyEvent:
        """The last event."""
        return self.events[-1]


class Running:
    """A client that runs; closing it makes sure that it has ended."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        command: Sequence[str] = COMMAND,
        stdin: bytes | None = None,
        **environ: str,
    ) -> None:
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            [*command, *arguments],
            bufsize=0,  # `communicate` would not see what a buffer holds
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environ},
        )
        self._stdin = stdin
        self._read = b""

    def read_line(self) -> bytes:
        """The next line of standard output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self._read += line
        return line

    def read_until(self, mark: bytes) -> bytes:
        """Lines up to the first that holds `mark`."""
        while line := self.read_line():
            if mark in line:
                return line
        raise AssertionError(f"{mark!r} never came: {self._read!r}")

    def finish(self, timeout: float = LIMIT) -> Finished:
        """Wait for its end."""
        out, err = self.process.communicate(self._stdin, timeout)
        seconds = time.monotonic() - self._began
        return Finished(self.process.returncode, self._read + out, err.decode(), seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def run(arguments: Sequence[str], *, stdin: bytes | None = None, **environ: str) -> Finished:
    """Run a client to its end."""
    with Running(arguments, stdin=stdin, **environ) as client:
        return client.finish()


def run_here(
    arguments: Sequence[str],
    *,
    stdin: bytes | None = None,
    stdout: Path | None = None,
    encoding: str = "utf-8",
    **environ: str,
) -> Finished:
    """Run a command line to its end in this process: a hundredth of the time that a process takes.

    For mistakes, and for what reads and prints and is done. Signals, terminals, closed
    descriptors and the start of the process itself need `run`. `stdout` is a file to write to, of
    which nothing is read, `encoding` that of standard output.
    """
    from chatstream.cli.app import main
    from chatstream.sinks.output import take_over

    began = time.monotonic()
    with ExitStack() as stack:
        streams = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        streams[0].write(stdin or b"")
        streams[0].seek(0)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            saved = os.dup(number)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, number)
            os.dup2(streams[number].fileno(), number)
            # With the errors that a process has: what cannot be encoded must not fail here only.
            errors = "backslashreplace" if name == "stderr" else "strict"
            mode = "r" if name == "stdin" else "w"
            named = encoding if name == "stdout" else "utf-8"
            file = stack.enter_context(
                open(number, mode, encoding=named, errors=errors, closefd=False)
            )
            patch.setattr(sys, name, file)
        if stdout is not None:
            with stdout.open("wb") as target:
                os.dup2(target.fileno(), 1)
        take_over()
        patch.setattr(sys, "argv", ["chatstream", *arguments])
        for variable, value in environ.items():
            patch.setenv(variable, value)
        status = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = (os.pread(file.fileno(), 1 << 30, 0) for file in streams[1:])
    return Finished(status, out, err.decode(), time.monotonic() - began)


def run_each(arguments: Sequence[str]) -> Finished:
    """Run one of many command lines: in a process only where all of its matrix is run."""
    return run(arguments) if SIZE == "all" else run_here(arguments)


@dataclass(frozen=True)
class Answer:
    """What a run in this process came to."""

    events: list[ev.Event]
    text: str
    reasoning: str
    tool_calls: list[tuple[str, str, str]]
    usage: ev.Usage | None
    terminal: ev.Terminal

    @property
    def outcome(self) -> str:
        """complete, truncated or error: the words of the recordings."""
        if isinstance(self.terminal, ev.Done):
            return "complete"
        return "truncated" if self.terminal.code == "truncated" else "error"


def ask(dialect: str, url: str, **settings: Any) -> Answer:
    """Ask a server in this process, without retries unless told."""
    defaults = {"model": "m", "api_key": "test-key", "retries": 0}
    given: Any = {**defaults, **settings}
    return answer_of(stream("hi", provider=dialect, base_url=url, **given))


def answer_of(events: Iterable[ev.Event]) -> Answer:
    """The answer that these events make."""
    kept, whole = [], Transcript()
    for event in events:
        kept.append(event)
        whole.add(event)
    assert whole.terminal is not None
    message = whole.message
    return Answer(
        kept,
        message.content,
        message.reasoning,
        [(call.id, call.name, call.arguments) for call in message.tool_calls],
        whole.usage,
        whole.terminal,
    )


def server_flags(dialect: str, url: str, model: str = "m") -> list[str]:
    """The flags that point a client at a server."""
    return ["--provider", dialect, "--base-url", url, "--model", model]
