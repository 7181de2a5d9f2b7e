"""Remote text made fit for a terminal: no character that could drive it gets through.

1. Each control character is replaced by a visible one, and one by one: an escape sequence whose
   first character is gone is only text. So there is nothing to parse, and no cut between two
   chunks can hide a sequence.
2. C0 and DEL become their control pictures (ESC is U+241B). C1 (which 8-bit terminals take for
   CSI, OSC…), bidi controls (which show text in another order than it has) and lone surrogates
   (which no encoding takes) become U+FFFD.
3. Tab and LF pass. CR LF and a CR alone are line ends, as Markdown has it, and become LF; also
   when CR and LF come in different chunks.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def clean(text: str) -> str:
    """A whole text, made safe."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSAFE.sub(_visible, text)


class Escaper:
    """The same for a text that comes in chunks; what they become joins to `clean` of the whole."""

    def __init__(self) -> None:
        self._after_cr = False  # an LF at the start of the next chunk belongs to that CR

    def feed(self, text: str) -> str:
        """The next chunk, made safe."""
        if not text:
            return ""
        if self._after_cr and text[0] == "\n":
            text = text[1:]
        self._after_cr = text.endswith("\r")
        return clean(text)
