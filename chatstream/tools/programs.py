"""Runs a program as the work of a call: its output goes to the `Context`.

1. Its standard input is what it is given, or else empty. None of its standard files is our
   terminal. Standard output and error are one, in the order in which they were written.
2. It is read only as fast as the output is taken: until then the pipe is full, and the program
   waits. Bytes that are not UTF-8 are replaced.
3. A program that ends has done its work, whatever its status is (`Returned`). A program that
   cannot be started is a `ToolFailure`.
4. A stop ends everything that the program has started, within two seconds (`minder`). What it
   writes in the meantime is read, so that it can end, and thrown away. `run_program` returns only
   when nothing is left of it: its caller knows that it has ended.
5. With `terminal` its output is a terminal of 100 columns, which is not a controlling one.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from chatstream.clock import POLL_SECONDS
from chatstream.errors import Cancelled
from chatstream.tools.spawning import Ended, Keeper, Lost, Minded, NotStarted, Order, Said
from chatstream.tools.tool import Context, Returned, ToolFailure
from chatstream.wording import counted

_READ_BYTES = 64 * 1024
_ROWS, _COLUMNS = 40, 100


def run_program(
    keeper: Keeper, order: Order, context: Context, *, given: bytes = b"", terminal: bool = False
) -> Returned:
    """Run it to its end. `given` is its standard input. Raises `ToolFailure`."""
    with ExitStack() as cleanup:
        opened = _terminal() if terminal else os.pipe()
        output = cleanup.enter_context(os.fdopen(opened[0], "rb", buffering=0))
        with os.fdopen(opened[1], "wb", buffering=0) as theirs, _input(given) as standard:
            files = [standard.fileno(), theirs.fileno(), theirs.fileno()]
            try:
                minded = keeper.start(order, files)
            except OSError as error:
                raise ToolFailure(f"the program cannot be started: {error}") from error
        cleanup.callback(minded.close)
        cleanup.callback(context.token.on_cancel(minded.stop))
        match _followed(minded, output, context):
            case Ended(status, left):
                status = status if status >= 0 else 128 - status  # as shells report a signal
                return Returned("".join(_marks(status, left)), status)
            case NotStarted(why):
                raise ToolFailure(f"the program cannot be started: {why}")
            case _:
                raise ToolFailure(
                    "the process that minds the program was killed; it may have taken effect",
                    code="worker_ended",
                    outcome="unknown",
                )


def _marks(status: int, left: int) -> Iterator[str]:
    """What the model is told about the end, each in a line."""
    if left:
        yield f"[{counted(left, 'program')} left running: killed]\n"
    if status:
        yield f"[exit status {status}]\n"


def _followed(minded: Minded, output: IO[bytes], context: Context) -> Said:
    """How it ended, after all its output."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    os.set_blocking(output.fileno(), False)
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(minded, select.POLLIN)
    is_open, end = True, None
    while end is None:
        poll.poll(POLL_SECONDS * 1000)
        said = minded.said()  # first: what was written before its end is there now
        if isinstance(said, Ended | NotStarted | Lost):
            end = said
        for data in _pieces(output, all_of_it=end is not None):
            _say(decoder.decode(data, final=not data), context)
            if not data and is_open:
                is_open = False
                poll.unregister(output)
    return end


def _pieces(output: IO[bytes], *, all_of_it: bool) -> Iterator[bytes]:
    """What has been written: one piece, or all that is there. An empty one is the end."""
    while True:
        try:
            data = output.read(_READ_BYTES)
        except OSError:  # what a terminal says at its end
            data = b""
        if data is None:
            return
        yield data
        if not all_of_it or not data:
            return


def _say(text: str, context: Context) -> None:
    """Print it, unless the program was stopped: then only its end matters."""
    with contextlib.suppress(Cancelled):
        if text:
            context.output(text)


def _input(given: bytes) -> IO[bytes]:
    if not given:
        return Path(os.devnull).open("rb", buffering=0)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe would have to be written meanwhile
    file.write(given)
    file.seek(0)
    return file


def _terminal() -> tuple[int, int]:
    """The two ends of a terminal. It leaves the line ends as they are."""
    import termios

    ours, theirs = os.openpty()
    mode = termios.tcgetattr(theirs)
    mode[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, mode)
    termios.tcsetwinsize(theirs, (_ROWS, _COLUMNS))
    return ours, theirs
