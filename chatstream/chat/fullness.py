"""How full the model's window is, and what to do about it: `/context`, `/trim`, and a note.

1. `/context` shows how much is used, and whether the server has counted it. If that is unknown, it
   says why. It asks no server: the figures come with the answers.
2. After `/trim` the oldest turns are not sent if the conversation does not fit. Their number is on
   the screen and in the journal of each answer, and they stay in the history. A question that was
   refused returns to the prompt, and is asked when it is sent.
3. A note follows the answer with which the use exceeds `NOTED_SHARE` of the window. It is repeated
   only if the use was below that, or unknown, in between.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.chat.extent import Extent, counted_in
from chatstream.chat.session import Session
from chatstream.errors import ContextLength, UsageError
from chatstream.events import Context
from chatstream.sinks.words import fullness
from chatstream.terminal.exits import tell
from chatstream.wording import counted

_OTHER_WAYS = (
    "/compact begins a new conversation with a summary of this one, /clear begins an empty one"
)
WAYS = f"/trim leaves out the oldest turns, {_OTHER_WAYS}"
"""What can be done about a conversation that does not fit."""

_COUNTED, _ESTIMATED = (
    "counted by the server",
    "an estimate, because the server has not counted all of them",
)
_SWITCHES = {"": True, "on": True, "off": False}


def way_out(hint: str | None, *, follows: bool, trims: bool) -> str | None:
    """What to do about a question that does not fit; `hint` is that of `ask`.

    `follows`: it follows others, so that something can be left out. `trims`: turns should have been
    left out, but the server does not report its window.
    """
    could_be_shorter = "--trim" in (hint or "") or (follows and hint == ContextLength.hint)
    if not could_be_shorter:
        return hint
    return _OTHER_WAYS if trims else WAYS


class Note:
    """The note that a window is nearly full."""

    def __init__(self) -> None:
        self._is_given = False

    def after(self, extent: Extent | None, *, trims: bool) -> str | None:
        """The note after an answer, if any. `trims`: the oldest turns are left out when full."""
        said = None
        if extent is not None and not extent.left_out:
            said = fullness(Context(window=extent.window, used=extent.used))
        was_given, self._is_given = self._is_given, said is not None
        if said is None or was_given:
            return None
        return (
            f"{said}; once it is full, the oldest turns are left out"
            if trims
            else f"{said}; {WAYS}"
        )


def context(session: Session, _argument: str) -> None:
    """Show how full the window is, if known."""
    extent = session.extent
    for line in _unknown(session) if extent is None else _known(extent):
        tell(line)
    tell(
        "a question that does not fit is sent without the oldest turns; /trim off stops that"
        if session.settings().trim
        else "a question that does not fit is not sent; /trim leaves out the oldest turns instead"
    )


def trim(session: Session, argument: str) -> None:
    """Leave out the oldest turns from now on, or stop that. Raises `UsageError`."""
    if argument not in _SWITCHES:
        raise UsageError(f"/trim takes on or off, but got {argument!r}")
    session.flags["trim"] = _SWITCHES[argument]
    if not session.flags["trim"]:
        tell("a question that does not fit the model's window is not sent")
        return
    tell("the oldest turns are left out if the conversation does not fit the model's window")
    if (refused := session.unanswered) is not None and refused.typed:
        session.draft, session.editing = refused.typed, refused.after


def _known(extent: Extent) -> Iterator[str]:
    how = _COUNTED if extent.counted else _ESTIMATED
    yield f"the model's window has {extent.window:,} tokens"
    yield f"{extent.used:,} of them are used ({extent.percent} %): {how}"
    if extent.left_out:
        yield f"the oldest {counted(extent.left_out, 'message')} were left out of the last question"
    else:
        yield "the whole conversation is sent"


def _unknown(session: Session) -> Iterator[str]:
    yield f"the use of the model's window is unknown: {_reason(session)}"
    heard = session.heard if session.is_heard else None
    if heard is not None and (tokens := counted_in(heard.transcript)) is not None:
        yield f"the conversation has {tokens:,} tokens: {_COUNTED}"


def _reason(session: Session) -> str:
    if not session.turns:
        return "there is no question yet"
    if session.heard is None:
        return "this chat has had no answer yet"
    if not session.is_heard:
        return "the model or the place in the conversation has changed since the last answer"
    if session.head is None:
        return "without a journal the server is asked only for large questions"
    if len(session.turns) == 1 or session.turns[-2].run is None:  # a conversation began with it
        return "the server is asked from the second question on, or for a long first one"
    from chatstream.engine.context import HOSTED_TOKENS

    return (
        "the server has not reported its size; a hosted server is asked only from "
        f"{HOSTED_TOKENS:,} tokens on"
    )
