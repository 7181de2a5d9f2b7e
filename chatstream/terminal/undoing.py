"""What was undone, for its reader: a line for each write, or JSON."""

from __future__ import annotations

from chatstream.cancel import CancelToken
from chatstream.engine.undo import Undone, undo
from chatstream.errors import Cancelled, ChatstreamError
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
    """Undo what a run has written, and say what became of each write; returns the exit status."""
    token = CancelToken()
    refused = False
    try:
        with interrupts(token):
            for it in undo(run, force=force):
                put(encode(it) + b"\n" if as_json else _line(it).encode("utf-8", "replace"))
                refused = refused or it.action == "refused"
                token.check()  # between two files: what was undone is undone
    except Cancelled as reason:
        return reason.exit_status
    except ChatstreamError as error:
        return exits.report(error, ["--json"] if as_json else [])
    except BrokenPipeError:  # the reader has seen enough
        return 0
    if refused and not force:
        exits.note("some files were left alone; --force restores them all the same")
    return 1 if refused else 0


def _line(undone: Undone) -> str:
    why = f": {undone.why}" if undone.why else ""
    return clean(f"{_WORDS[undone.action]:10}  {undone.path}{why}") + "\n"
