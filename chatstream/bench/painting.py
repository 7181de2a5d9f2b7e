"""Lines with roles, painted for a file: as wide and as colourful as what they are written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from chatstream.bench.layout import Line
from chatstream.escape import clean
from chatstream.sinks.palette import NOTES, background_for
from chatstream.terminal import stdout
from chatstream.terminal.look import has_colours

Screen = Callable[[int, bool], Sequence[Line]]
"""The lines for a width in cells; the second argument asks for ASCII alone."""

_KINDS = {"good": "success", "bad": "failure", "warn": "warning"}  # of notes; "dim" is plain


def painted(screen: Screen, descriptor: int, encoding: str) -> bytes:
    """The screen, encoded for this descriptor."""
    ascii_only = not stdout.can_show("█▁─", encoding)
    colours = has_colours(descriptor)
    lines = screen(stdout.columns(descriptor), ascii_only)
    text = "".join(
        "".join(_painted(clean(it), role, colours) for it, role in line).rstrip() + "\n"
        for line in lines
    )
    return stdout.encode(text, encoding)


def _painted(text: str, role: str, colours: bool) -> str:
    codes = NOTES[background_for("auto", os.environ)]
    code = "1" if role == "bold" else codes.get(_KINDS.get(role, ""))
    return f"\x1b[{code}m{text}\x1b[0m" if colours and code and text else text
