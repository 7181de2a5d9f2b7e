"""Where a run is shown: the choice of a sink, and the run driven into it.

Standard output is for the answer, or for JSON. Everything else goes to standard error.
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Iterator

from chatstream.cancel import CancelToken
from chatstream.cli import exits
from chatstream.cli.config import Settings
from chatstream.events import Done, Error, Event, Terminal
from chatstream.flow import Pulse, Sink, close, drive
from chatstream.sinks import sink_class
from chatstream.sinks.output import Output
from chatstream.store.place import state_folder


def is_screen(*, as_json: bool, plain: bool) -> bool:
    """Whether the answer is drawn on a terminal."""
    return os.isatty(1) and not as_json and not plain and os.environ.get("TERM") != "dumb"


def is_resettable(*, as_json: bool) -> bool:
    """Whether an answer can begin anew: a reader of events is told, one of bytes is not."""
    return as_json or os.isatty(1)


def show(events: Iterator[Event], sink: Sink, token: CancelToken) -> int:
    """Drive a run into a sink; returns the exit status."""
    terminal: Terminal | None = None

    def watched() -> Iterator[Event]:
        nonlocal terminal
        try:
            for event in events:
                if type(event) is Pulse:
                    if not gc.isenabled():  # the start is over, see __main__
                        gc.freeze()
                        gc.enable()
                elif type(event) is Done or type(event) is Error:
                    terminal = event
                yield event
        finally:
            close(events)  # a sink that failed ends the run, and its journal says so

    try:
        drive(watched(), sink)
    except BrokenPipeError:  # the reader has seen enough
        return 0
    except OSError as error:
        if token.reason is not None:  # the terminal was closed, for one
            return token.reason.exit_status
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return exits.status_of(terminal, token)


def tidy(settings: Settings) -> None:
    """Let go of journals that were kept long enough. After the answer, so that nobody waits."""
    from chatstream.store.retention import sweep

    if settings.journal:
        sweep(state_folder(), settings.keep_complete, settings.keep_incomplete, time.time())


def show_debug() -> None:
    """Log what goes over the wire to stderr; the transport masks secrets itself."""
    logging.basicConfig(format="%(relativeCreated)6.0f ms %(name)s: %(message)s")
    logging.getLogger("chatstream").setLevel(logging.DEBUG)


def choose_sink(settings: Settings, *, as_json: bool, plain: bool) -> Sink:
    """Events for `--json`, the live view on a terminal, else the answer's own bytes."""
    if as_json:
        sink: Sink = sink_class("jsonl")(Output(1))
        return sink
    if is_screen(as_json=as_json, plain=plain):
        from chatstream.sinks.deferred import DeferredSink

        return DeferredSink(lambda: _live(settings))
    plain_sink: Sink = sink_class("plain")(
        Output(1),
        Output(2),
        terminal=os.isatty(1),
        reasoning=settings.reasoning == "show",
        stats=bool(settings.stats),
    )
    return plain_sink


def _live(settings: Settings) -> Sink:
    from rich.console import Console

    sink: Sink = sink_class("live")(
        Console(file=sys.stdout), reasoning=settings.reasoning, stats=settings.stats is not False
    )
    return sink
