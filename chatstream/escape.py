"""Remote text made fit for a terminal: nothing that could drive it, or deceive its reader, passes.

1. Each control character is replaced by a visible one, and one by one: an escape sequence whose
   first character is gone is only text. So there is nothing to parse, and no cut between two
   chunks can hide a sequence.
2. C0 and DEL become their control pictures (ESC is U+241B). C1 (which 8-bit terminals take for
   CSI, OSC…), bidi embeddings and annotation controls (which show text in another order than it
   has, or not at all) and lone surrogates (which no encoding takes) become U+FFFD.
3. What is never seen but can carry a hidden text is dropped: tag characters, the byte order mark,
   marks of direction, spaces and joiners without a width (U+200B, U+2060-2064), fillers of Hangul
   (U+115F, U+1160, U+3164, U+FFA0: no modern text needs them), U+034F, and whatever else Unicode
   calls default-ignorable.
4. Of these, the ones that scripts and emoji need pass where they can have an effect, and once:
   - a variation selector, but not after another one;
   - U+200C and U+200D (joiners), but not after another one, a blank, or a letter or digit of the
     scripts that have none of them (Latin, Greek, Cyrillic, Chinese, Japanese and Korean);
   - Mongolian selectors and vowel separators after a Mongolian letter;
   - the tags of a flag (🏴 and up to six, with an end), as England's has.
   The soft hyphen passes: it is a part of words, and a terminal may show it.
5. Tab and LF pass. CR LF and a CR alone are line ends, as Markdown has it, and become LF; also
   when CR and LF come in different chunks. So do U+2028 and U+2029, Unicode's own line ends.
"""

from __future__ import annotations

import functools
import re

_SELECTORS = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_TAGS = "[\U000e0030-\U000e0039\U000e0061-\U000e007a]"  # of a region; U+E007F ends them
_FLAG = "\U0001f3f4"
_MAX_TAGS = 6  # tags of a flag, as in "gbeng"

_JOINERS = "[\u200c\u200d]"
_UNJOINED = (
    "[ \t\n0-9A-Za-z\xa0-\u024f\u0370-\u052f\u1e00-\u1fff\u200c\u200d"
    "\u2e80-\u3163\u3165-\ua4cf\uac00-\ud7a3]"
)
"""What no joiner is needed after."""
_MONGOLIAN = "[\u1820-\u18aa]"
_OF_MONGOLIAN = "[\u180b-\u180f]"

# The set comes first, so that only what is in it is looked at; then come what may stand there.
_UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
    f"(?<!(?<!{_SELECTORS}){_SELECTORS})"
    f"(?<!(?<!{_UNJOINED}){_JOINERS})"
    f"(?<!{_MONGOLIAN}{_OF_MONGOLIAN})"
    + "".join(f"(?<!{_FLAG}{_TAGS * tags})" for tags in range(1, _MAX_TAGS + 1))
    + "".join(f"(?<!{_FLAG}{_TAGS * tags}\U000e007f)" for tags in range(1, _MAX_TAGS + 1))
)
_CARRIED = f"(?:{_FLAG}{_TAGS}{{0,{_MAX_TAGS}}}|{_SELECTORS}|{_UNJOINED}|{_MONGOLIAN})\\Z"
"""What decides, at the end of a chunk, about the first characters of the next one."""
_SHOWN = {
    *range(0x202A, 0x202F),
    *range(0x2066, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *range(0xD800, 0xE000),
}
"""What becomes U+FFFD, besides C1: the reader should see that something is wrong."""


@functools.cache  # compiled at first use: what goes into a pipe never needs it
def _unsafe() -> re.Pattern[str]:
    return re.compile(_UNSAFE)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code in (0x2028, 0x2029):
        return "\n"
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if code < 0xA0 or code in _SHOWN else ""


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
        before, whole = self._carried, self._carried + text
        if self._after_cr:
            self._carried = "\n"
        elif text.isascii():
            self._carried = text[-1:] or before
        else:
            carried = re.search(_CARRIED, whole[-_MAX_TAGS - 1 :])
            self._carried = carried[0] if carried else ""
        # Nothing in ASCII depends on what was before it.
        return clean(text) if text.isascii() else clean(whole)[len(before) :]
