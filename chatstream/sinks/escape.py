"""Remote text made fit for a terminal: nothing that could drive it, or deceive its reader, passes.

1. Each control character is replaced by a visible one, and one by one: an escape sequence whose
   first character is gone is only text. So there is nothing to parse, and no cut between two
   chunks can hide a sequence.
2. C0 and DEL become their control pictures (ESC is U+241B). C1 (which 8-bit terminals take for
   CSI, OSC…), bidi and annotation controls (which show text in another order than it has, or not
   at all) and lone surrogates (which no encoding takes) become U+FFFD.
3. What is never seen but can carry a hidden text is dropped: tag characters, the byte order mark,
   and each variation selector after another one. A flag may have tags (🏴 and up to six, with an
   end), as England's has. Joiners and single selectors pass: scripts and emoji need them.
4. Tab and LF pass. CR LF and a CR alone are line ends, as Markdown has it, and become LF; also
   when CR and LF come in different chunks. So do U+2028 and U+2029, Unicode's own line ends.
"""

from __future__ import annotations

import functools
import re

_SELECTORS = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_TAGS = "[\U000e0030-\U000e0039\U000e0061-\U000e007a]"  # of a region; U+E007F ends them
_FLAG = "\U0001f3f4"
_LONGEST = 6  # tags of a flag, as in "gbeng"

# The set comes first, so that only what is in it is looked at; then come what may stand there.
_UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb"
    "\ufeff\ufe00-\ufe0f\U000e0000-\U000e01ef\ud800-\udfff]"
    f"(?<!(?<!{_SELECTORS}){_SELECTORS})"
    + "".join(f"(?<!{_FLAG}{_TAGS * tags})" for tags in range(1, _LONGEST + 1))
    + "".join(f"(?<!{_FLAG}{_TAGS * tags}\U000e007f)" for tags in range(1, _LONGEST + 1))
)
_CARRIED = f"(?:{_FLAG}{_TAGS}{{0,{_LONGEST}}}|{_SELECTORS})\\Z"
"""What decides, at the end of a chunk, about the first characters of the next one."""


@functools.cache  # compiled at first use: what goes into a pipe never needs it
def _unsafe() -> re.Pattern[str]:
    return re.compile(_UNSAFE)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0xFEFF or 0xFE00 <= code <= 0xFE0F or code >= 0xE0000:
        return ""
    if code in (0x2028, 0x2029):
        return "\n"
    return "\u2421" if code == 0x7F else "\ufffd"


def clean(text: str) -> str:
    """A whole text, made safe."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _unsafe().sub(_visible, text)


class Escaper:
    """The same for a text that comes in chunks; what they become joins to `clean` of the whole."""

    def __init__(self) -> None:
        self._after_cr = False  # an LF at the start of the next chunk belongs to that CR
        self._carried = ""

    def feed(self, text: str) -> str:
        """The next chunk, made safe."""
        if not text:
            return ""
        if self._after_cr and text[0] == "\n":
            text = text[1:]
        self._after_cr = text.endswith("\r")
        if text.isascii() and not self._carried:
            return clean(text)
        before, text = self._carried, self._carried + text
        carried = re.search(_CARRIED, text[-_LONGEST - 1 :])
        self._carried = carried[0] if carried else ""
        return clean(text)[len(before) :]
