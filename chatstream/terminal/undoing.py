"""What was undone: a line for each write, or JSON.

If the reader goes away, the work goes on: half an undo would be worse than all or nothing.
"""

from __future__ import annotations

from chatstream.cancel import CancelToken
from chatstream.engine.undo import Undone, undo
from chatstream.errors import Cancelled, ChatstreamError, OutputError
from chatstream.escape import clean
from chatstream.messages import encode
from chatstream.sinks.output import put
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts

_WORDS = {
    "restored": "restored",
    "removed": "removed",
    "unchanged": "unchanged",
    "refused": "left alone",
}


def show_undo(run: str | None, *, force: bool, as_json: bool) -> int:
    """Undo what a run has written, and report on each write; returns the exit status."""
    token = CancelToken()
    refused, reads, unwritten = False, True, None
    try:
        with interrupts(token):
            for it in undo(run, force=force):
                refused = refused or it.action == "refused"
                try:
                    if reads:
                        put(encode(it) + b"\n" if as_json else _line(it))
                except BrokenPipeError:  # the reader has seen enough
                    reads = False
                except OutputError as error:
                    reads, unwritten = False, error
                token.check()  # between two writes
    except Cancelled as reason:
        exits.note("stopped before the end; the same command continues with the rest")
        return reason.exit_status
    except ChatstreamError as error:
        return exits.report(error, ["--json"] if as_json else [])
    if refused and not force:
        exits.note("some files were left alone; --force restores those that were changed")
    if unwritten is not None:
        return exits.report(unwritten, [])
    return 1 if refused else 0


def _line(undone: Undone) -> bytes:
    why = f": {undone.why}" if undone.why else ""
    text = clean(f"{_WORDS[undone.action]:10}  {undone.path}{why}") + "\n"
    return text.encode("utf-8", "replace")
