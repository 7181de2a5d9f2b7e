"""Exit statuses, and the last words of a process that never came to a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, OutputError, class_of
from chatstream.events import Done, Terminal


def status_of(terminal: Terminal | None, token: CancelToken) -> int:
    """What the process returns after a run that ended like this."""
    if isinstance(terminal, Done):
        return 0
    if token.reason is not None:
        return token.reason.exit_status
    return class_of(terminal.code).exit_status if terminal is not None else 1


def report(error: ChatstreamError, arguments: Sequence[str]) -> int:
    """Tell of an error that no run has told of; returns its exit status."""
    from chatstream.engine.pipeline import failed
    from chatstream.engine.resolve import learn_secrets
    from chatstream.escape import clean
    from chatstream.flow import drive
    from chatstream.redact import redact
    from chatstream.sinks import sink_class
    from chatstream.sinks.output import Output
    from chatstream.wording import bounded

    learn_secrets()
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in own and not isinstance(error, OutputError):
        try:
            drive(failed(error).arrivals, sink_class("jsonl")(Output(1)))
        except BrokenPipeError:  # nobody reads it; the status tells
            pass
        except OSError as full:
            report(OutputError.of(full), ())
    else:
        hint = [redact(error.hint)] if error.hint else []
        print(
            clean("\n".join([f"error: {bounded(redact(error.message))}", *hint])), file=sys.stderr
        )
    return error.exit_status


def warn(warnings: Iterable[str]) -> None:
    """Say on stderr what the settings have to say, where no run tells it."""
    for warning in warnings:
        note(f"warning: {warning}")


def note(line: str) -> None:
    """A line on stderr that no secret and no escape sequence is in."""
    _print(line, sys.stderr)


def tell(line: str) -> None:
    """A note among answers: on standard output if that is a terminal, which shows all of them."""
    _print(line, sys.stdout if os.isatty(1) else sys.stderr)


def _print(line: str, file: TextIO) -> None:
    from chatstream.escape import clean
    from chatstream.redact import redact

    print(clean(redact(line)), file=file, flush=True)
