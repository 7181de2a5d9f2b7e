"""How full the model's window is, and what to do about it: `/context`, `/trim`, and a note.

1. `/context` says what is known, and whether the server has counted it; where nothing is known it
   says so, and why. It asks nobody: what is known comes with the answers.
2. `/trim` lets the oldest turns of a conversation that does not fit be left out of what is sent.
   What is left out is on the screen and in the journal of each answer, and it stays in the history.
   A question that was refused is in the prompt again, and is asked when it is sent.
3. The note comes after the answer with which the use has passed `NOTED_SHARE` of the window, and
   again only when it has been below that, or unknown, in between.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.chat.extent import Extent
from chatstream.chat.session import Session
from chatstream.engine.context import HOSTED_TOKENS
from chatstream.errors import ContextLength, UsageError
from chatstream.events import Context
from chatstream.sinks.words import fullness
from chatstream.terminal.exits import tell
from chatstream.wording import counted

WAYS = (
    "/trim leaves out the oldest turns, /compact begins a new conversation with a summary of this "
    "one, /clear begins an empty one"
)
"""What can be done about a conversation that does not fit."""

_COUNTED, _ESTIMATED = "counted by the server", "an estimate, the server has not counted them"
_SWITCHES = {"": True, "on": True, "off": False}


def way_out(hint: str | None, *, follows: bool) -> str | None:
    """What to do about a question that does not fit; `hint` is what `ask` would say.

    `follows`: it follows others, so that something can be left out.
    """
    could_be_shorter = "--trim" in (hint or "") or (follows and hint == ContextLength.hint)
    return WAYS if could_be_shorter else hint


class Note:
    """The note that a window is nearly full."""

    def __init__(self) -> None:
        self._is_given = False

    def after(self, extent: Extent | None, *, trims: bool) -> str | None:
        """What is to be said after an answer. `trims`: the oldest turns are left out by then."""
        said = None
        if extent is not None and not extent.left_out:
            said = fullness(Context(window=extent.window, used=extent.used))
        was_given, self._is_given = self._is_given, said is not None
        if said is None or was_given:
            return None
        return (
            f"{said}; when it is full its oldest turns are left out" if trims else f"{said}; {WAYS}"
        )


def context(session: Session, _argument: str) -> None:
    """Say how full the window is, as far as that is known."""
    extent = session.extent
    for line in _unknown(session) if extent is None else _known(extent):
        tell(line)
    tell(
        "a question that does not fit is asked without the oldest turns; /trim off refuses it"
        if session.settings().trim
        else "a question that does not fit is not sent; /trim leaves out the oldest turns instead"
    )


def trim(session: Session, argument: str) -> None:
    """Say whether the oldest turns are left out from now on. Raises `UsageError`."""
    if argument not in _SWITCHES:
        raise UsageError(f"/trim takes on or off, but got {argument!r}")
    session.flags["trim"] = _SWITCHES[argument]
    if not session.flags["trim"]:
        tell("a question that does not fit the model's window is not sent")
        return
    tell("the oldest turns are left out where the conversation does not fit the model's window")
    if (refused := session.unanswered) is not None and refused.typed:
        session.draft, session.editing = refused.typed, refused.after


def _known(extent: Extent) -> Iterator[str]:
    how = _COUNTED if extent.counted else _ESTIMATED
    yield f"the model's window has {extent.window:,} tokens"
    yield f"{extent.used:,} of them are used ({extent.percent} %): {how}"
    if extent.left_out:
        yield f"the oldest {counted(extent.left_out, 'message')} were left out of the last question"
    else:
        yield "nothing is left out of the conversation"


def _unknown(session: Session) -> Iterator[str]:
    yield f"how full the model's window is, is not known: {_reason(session)}"
    usage = session.heard.transcript.last_usage if session.heard and session.is_heard else None
    if usage is not None and usage.input_tokens is not None:
        tokens = usage.input_tokens + (usage.output_tokens or 0) - (usage.reasoning_tokens or 0)
        yield f"the conversation has {tokens:,} tokens: {_COUNTED}"


def _reason(session: Session) -> str:
    if not session.turns:
        return "nothing was said yet"
    if session.heard is None:
        return "no question was answered in this chat yet"
    if not session.is_heard:
        return "the model, or the place in the conversation, is not that of the last answer"
    if len(session.turns) == 1:
        return "it is asked for with the second question of a conversation"
    if session.head is None:
        return "it is looked at only for a question that follows an answer with a journal"
    return (
        "the server has not told its size, or was not asked for it: a hosted one is asked from "
        f"{HOSTED_TOKENS:,} tokens on"
    )
