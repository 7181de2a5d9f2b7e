"""A process that runs the functions of a file: its start, its orders and reports, and its end.

1. A keeper starts it: in a session of its own, so that Ctrl+C reaches it when we decide, and with
   no descriptor of ours but its pipes. It has the environment of this program, and imports from
   where that does. `worker` is what runs in it.
2. `ask` sends an order and gives the inbox in which its reports arrive; the last thing that arrives
   in every inbox is `Gone` if the process ends first. Nothing here waits for the process but
   `close` and whoever waits for an inbox.
3. Whatever it has started is killed once it has ended, and so is all of it when we are.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, NamedTuple

import msgspec

from chatstream.errors import UsageError
from chatstream.inbox import Inbox
from chatstream.tools import protocol, spawning
from chatstream.tools.protocol import Order, Output, Report, Taken
from chatstream.tools.spawning import Ended, Keeper, Lost, Minded, NotStarted, pipe, told
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

_START = """
import sys
sys.path = sys.argv[2:]
from chatstream.tools.worker import main
main(sys.argv[1])
"""
_CLOSE_SECONDS = 2.0  # that it may take to end by itself: `worker` sets itself shorter limits
_MOST_ERROR_BYTES = 4096  # of the last words of a process


class Gone(NamedTuple):
    """The process has ended, as `why` says: "killed by SIGKILL"."""

    why: str


Answers = Inbox[Report | Gone | None]
"""What comes for an order. None is no report: somebody wants the reader to look around."""


class Process:
    """One process, from its start to its end. Its methods may be called on any thread."""

    def __init__(self, path: Path) -> None:
        """Raises `UsageError` if it cannot be started."""
        self.loaded: Answers = Inbox()  # one `Ready` or `Unusable`, or `Gone`
        self.gone: Gone | None = None
        self._inboxes: dict[int, Answers] = {0: self.loaded}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        try:
            self._keeper = Keeper()
            self._minded, self._input, self._output = self._begun(path)
        except BaseException as error:
            self._errors.close()
            if isinstance(error, OSError):
                words = f"no process for the tools file can be started: {error}"
                raise UsageError(words) from error
            raise
        self._reader = threading.Thread(target=self._read, name="tools file: reports", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="tools file: orders", daemon=True).start()

    def ask(self, order: Callable[[int], Order]) -> tuple[int, Answers]:
        """Send what `order` makes of a new number. Returns the number, and the inbox for it."""
        number, answers = next(self._numbers), Answers()
        with self._lock:
            if self.gone is not None:
                answers.put(self.gone)
                return number, answers
            self._inboxes[number] = answers
        self.tell(order(number))
        return number, answers

    def tell(self, order: Order) -> None:
        """Send an order that has no answer."""
        self._orders.put(order)

    def forget(self, number: int) -> None:
        """Nobody looks into this inbox any more."""
        with self._lock:
            self._inboxes.pop(number, None)

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it has started."""
        self._minded.signal(number)

    def close(self) -> None:
        """End it, and wait for its end. Idempotent."""
        self._orders.put(None)
        self._reader.join(_CLOSE_SECONDS)
        if self._reader.is_alive():
            self.signal(signal.SIGKILL)
            self._reader.join()

    def _begun(self, path: Path) -> tuple[Minded, IO[bytes], IO[bytes]]:
        """The process, and our ends of its pipes. Raises `OSError`."""
        argv = [sys.executable, "-c", _START, str(path), *sys.path]
        order = spawning.Order(argv=argv, env=dict(os.environ), cwd=str(Path.cwd()))
        their_input, our_output = pipe()
        our_input, their_output = pipe()
        with their_input, their_output:
            try:
                numbers = [it.fileno() for it in (their_input, their_output, self._errors)]
                return self._keeper.start(order, numbers), our_output, our_input
            except BaseException:
                our_input.close()
                our_output.close()
                self._keeper.close()
                raise

    def _write(self) -> None:
        """Write the orders, on a thread of their own: the pipe may be full."""
        with suppress(OSError), self._input as pipe:  # an error: the process has ended
            while (order := self._orders.get()) is not None:
                pipe.write(protocol.encode(order) + b"\n")
                pipe.flush()

    def _read(self) -> None:
        """Hand out the reports, until the process ends."""
        # What is no report was written by a function that has found the pipe: that is the end.
        with self._output as pipe, suppress(msgspec.DecodeError):
            for line in pipe:
                self._take(protocol.decode_report(line))
        self.signal(signal.SIGKILL)
        end = self._minded.ended()
        self._minded.close()
        self._keeper.close()
        with self._lock:
            self.gone = gone = Gone(self._told(end))
            inboxes = list(self._inboxes.values())
        self._orders.put(None)
        for answers in inboxes:
            answers.put(gone)

    def _take(self, report: Report) -> None:
        if isinstance(report, Output) and report.number == 0:
            log.info("printed by no call: %s", excerpt(report.text))
            self.tell(Taken(0, report.size))
            return
        with self._lock:
            answers = self._inboxes.get(report.number)
        if answers is not None:
            answers.put(report)

    def _told(self, end: Ended | NotStarted | Lost) -> str:
        """How it ended, with its last words if it had any."""
        with self._errors as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MOST_ERROR_BYTES))
            words = file.read().decode("utf-8", "replace").strip()
        if words:
            log.debug("the last words of the process of the tools file:\n%s", words)
        return told(end, words)
