"""Whether the terminal's background is dark or light, asked of the terminal itself.

1. The question is OSC 11, with DA1 behind it, which every terminal answers: one that does not know
   OSC 11 costs one round trip. After `REPLY_SECONDS` nobody waits any more, and a reply
   that comes later is swallowed by the keyboard. One that comes after the end of the process would
   be typed to the shell; only a terminal that stopped answering for the whole run does that.
2. It is asked only where a quick reply is likely and harmless: not through ssh, not in the
   background, not where something is typed ahead, and not of terminals that are known not to know
   it. Then the answer is None.
3. What is typed meanwhile goes back to the shell (`keyboard`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from chatstream.sinks.palette import Background
from chatstream.terminal.keyboard import Keyboard

REPLY_SECONDS = 0.1

QUESTION = "\x1b]11;?\x1b\\\x1b[c"

_REMOTE = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")
_MUTE = ("dumb", "linux", "screen", "eterm")  # the beginnings of TERM; in tmux it may be "screen"

_COLOUR = re.compile(rb"\x1b\]11;([^\x07\x1b]*)(?:\x07|\x1b\\)")
_ATTRIBUTES = re.compile(rb"\x1b\[\?[\d;]*c")
_BEGUN = re.compile(rb"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b]{0,64}\x1b?)?)?)?|\[(?:\?[\d;]{0,64})?)?\Z")
_RGB = re.compile(rb"rgba?:([\da-f]{1,4})/([\da-f]{1,4})/([\da-f]{1,4})(?:/.*)?", re.IGNORECASE)


def ask(
    keyboard: Keyboard, write: Callable[[str], object], environ: Mapping[str, str] = os.environ
) -> Background | None:
    """The terminal's background; None where it is not known. `write` is what reaches the terminal.

    Takes `REPLY_SECONDS` at most.
    """
    if not _is_quick(environ) or not keyboard.is_idle():
        return None
    reply = Answer()
    write(QUESTION)
    keyboard.expect(reply, REPLY_SECONDS)
    return reply.background


class Answer:
    """The reply to `QUESTION`, in any number of pieces, with anything typed in between."""

    def __init__(self) -> None:
        self.whole = False
        self.background: Background | None = None
        self._held = b""  # the beginning of a part

    @property
    def begun(self) -> bool:
        """Whether a piece has come that is not whole."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what was read; returns what is no part of the reply."""
        data = self._held + data
        if colour := _COLOUR.search(data):
            self.background = _background(colour[1])
            data = data[: colour.start()] + data[colour.end() :]
        if attributes := _ATTRIBUTES.search(data):
            self.whole = True
            data = data[: attributes.start()] + data[attributes.end() :]
        begun = None if self.whole else _BEGUN.search(data)
        self._held = begun[0] if begun else b""
        return data[: begun.start()] if begun else data


def _is_quick(environ: Mapping[str, str]) -> bool:
    if any(environ.get(name) for name in _REMOTE):
        return False
    return bool(environ.get("TMUX")) or not (
        environ.get("STY") or environ.get("TERM", "dumb").startswith(_MUTE)
    )


def _background(colour: bytes) -> Background | None:
    """By its luma, with the weights of ITU-R BT.709. `colour` is written as X11 does."""
    found = _RGB.fullmatch(colour)
    if not found:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return "light" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 else "dark"
