"""Text that is typed while an answer runs: messages that wait, and the line that is being typed.

1. `feed` takes the bytes of the keyboard as they come, in pieces of any size; it makes no
   difference where they are cut. `settle` says that nothing has followed for a moment: only then
   does an Esc that came alone count as a key, because longer sequences begin with it too.
2. Enter queues the line, Alt+Enter and Ctrl+J begin a new one in it. Backspace takes the last
   character as people see it, Ctrl+W the last word, Ctrl+U the last line. ↑ takes the newest queued
   message back into the line, and Esc all of them; the text that is already there follows them.
3. A bracketed paste is text, whatever is in it: it contains no keys, and none of its lines is sent.
4. Some keys are for the answer: Esc with nothing in the queue stops it, and so does the Ctrl+C that
   the line editor has read after Enter, when it was not a signal; a space on an empty line pauses
   it, Ctrl+T shows the thinking, Ctrl+K stops the tools (`Meaning`). An unknown escape sequence is
   swallowed whole. If a sequence never ends, its characters are text.
5. No text is ever lost, except by the keys for deleting.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable

from chatstream.terminal.beside import Meaning

_PARTED = "\n\n"  # between two messages that are joined into one

_ESCAPE = "\x1b"
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
_ENTER, _NEW_LINE, _SPACE = "\r", "\n", " "
_BACKSPACES = ("\x7f", "\x08")
_LINE, _WORD = "\x15", "\x17"  # Ctrl+U, Ctrl+W
_OTHERS: dict[str, Meaning] = {"\x03": "stop", "\x14": "thinking", "\x0b": "tools"}
_UP = ("\x1b[A", "\x1bOA")
_NEW_LINES = ("\x1b\r", "\x1b\n")
_DELETE_WORD = ("\x1b\x7f", "\x1b\x08")  # Alt+Backspace

_SEQUENCE = re.compile(
    "\x1b{1,2}(?:"
    "\\[(?:\\[[!-~]|[0-?]*[ -/]*[@-Z\\\\-~])"  # CSI; a console's function keys have a second [
    "|O[0-9;]*[@-~]"  # SS3
    "|[]P_^X][^\x00-\x1f\x7f]*(?:\x07|\x1b\\\\)"  # a reply of the terminal
    ")|\x1b[^\x1b\\[O\\]P_^X]"  # Alt and a key
)
_BEGUN = re.compile("\x1b{1,2}(?:\\[(?:\\[|[0-?]*[ -/]*)|O[0-9;]*|[]P_^X][^\x00-\x1f\x7f]*\x1b?)?")
_INTRODUCER = re.compile("\x1b{1,2}[\\[O\\]P_^X]")

_JOINER = "\u200d"


class TypeAhead:
    """`queued` are the messages that wait, oldest first; `draft` is the line."""

    def __init__(self, queued: Iterable[str] = (), draft: str = "") -> None:
        self.queued = list(queued)
        self.draft = draft
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # the beginning of a sequence
        self._pasted: list[str] | None = None  # the pieces of a paste so far

    @property
    def is_whole(self) -> bool:
        """Whether no sequence, character or paste is unfinished."""
        return not (self._held or self._decoder.getstate()[0]) and self._pasted is None

    def feed(self, data: bytes) -> list[Meaning]:
        """Take what was typed; returns the meanings that the caller has to act on, in order."""
        meanings: list[Meaning] = []
        text, self._held = self._held + self._decoder.decode(data), ""
        while text:
            text = self._paste(text) if self._pasted is not None else self._type(text, meanings)
        return meanings

    def settle(self) -> list[Meaning]:
        """Nothing has followed for a moment, so a sequence that has begun is complete."""
        meanings: list[Meaning] = []
        if self._pasted is None:  # else the rest is on its way
            held, self._held = self._held, ""
            if not held.strip(_ESCAPE):
                for _ in held:
                    self._escape(meanings)
            else:
                self._insert(_INTRODUCER.sub("", held, count=1).replace(_ESCAPE, ""))
        return meanings

    def take(self) -> tuple[list[str], str]:
        """The messages and the line, which now belong to the caller."""
        if self._pasted is not None:
            self._insert_pasted()
            self._pasted = []
        taken = self.queued, self.draft
        self.queued, self.draft = [], ""
        return taken

    def _paste(self, text: str) -> str:
        """Take what belongs to the paste; returns the rest."""
        assert self._pasted is not None
        pasted, ended, rest = text.partition(_PASTED)
        if ended:
            self._pasted.append(pasted)
            self._insert_pasted()
            self._pasted = None
            return rest
        begun = next(n for n in range(len(_PASTED), -1, -1) if text.endswith(_PASTED[:n]))
        self._pasted.append(text[: len(text) - begun])
        self._held = text[len(text) - begun :]
        return ""

    def _insert_pasted(self) -> None:
        text = "".join(self._pasted or ())
        self._insert(text.replace("\r\n", "\n").replace("\r", "\n"))

    def _type(self, text: str, meanings: list[Meaning]) -> str:
        """Take the first key, or all text in front of one; returns the rest."""
        if text[0] == _ESCAPE:
            return self._take_sequence(text, meanings)
        if text[0] == _SPACE and not self.draft:
            meanings.append("pause")
            return text[1:]
        plain = re.match("[^\x00-\x1f\x7f-\x9f]*", text)
        assert plain is not None
        self._insert(plain[0])
        rest = text[plain.end() :]
        if rest and rest[0] != _ESCAPE:
            self._press(rest[0], meanings)
            return rest[1:]
        return rest

    def _take_sequence(self, text: str, meanings: list[Meaning]) -> str:
        if sequence := _SEQUENCE.match(text):
            if sequence[0].endswith(_PASTE):
                if sequence[0] != _PASTE:  # Esc was pressed just before
                    self._escape(meanings)
                self._pasted = []
            else:
                self._press(sequence[0], meanings)
            return text[sequence.end() :]
        begun = _BEGUN.match(text)
        assert begun is not None
        if begun.end() == len(text):
            self._held = text
            return ""
        if begun[0] == 2 * _ESCAPE:
            self._escape(meanings)
            return text[1:]
        # It was no sequence.
        introducer = _INTRODUCER.match(text)
        assert introducer is not None
        return text[introducer.end() :]

    def _press(self, key: str, meanings: list[Meaning]) -> None:
        if key == _ENTER:
            if self.draft.strip():
                self.queued.append(self.draft)
                self.draft = ""
        elif key == _NEW_LINE or key in _NEW_LINES:
            self._insert("\n")
        elif key == "\t":
            self._insert(key)
        elif key in _BACKSPACES:
            self.draft = self.draft[: last_character(self.draft)]
        elif key == _WORD or key in _DELETE_WORD:
            self.draft = re.sub(r"\S*\s*\Z", "", self.draft)
        elif key == _LINE:
            self.draft = re.sub(r"(?:\n|[^\n]+)\Z", "", self.draft)
        elif key in _UP:
            self._take_back(1)
        elif key in _OTHERS:
            meanings.append(_OTHERS[key])

    def _escape(self, meanings: list[Meaning]) -> None:
        if self.queued:
            self._take_back(len(self.queued))
        else:
            meanings.append("stop")

    def _take_back(self, count: int) -> None:
        """Put the newest queued messages in front of the line."""
        if self.queued:
            taken = self.queued[-count:]
            del self.queued[-count:]
            self.draft = joined(*taken, self.draft)

    def _insert(self, text: str) -> None:
        self.draft += text


def joined(*messages: str | None) -> str:
    """Several messages as one."""
    return _PARTED.join(it for it in messages if it)


def last_character(text: str) -> int:
    """The index of the last character as people see it: with its marks and joined characters.

    0 for an empty text.
    """
    start = max(0, len(text) - 1)
    while start and text[start - 1] not in "\n\t" and _continues(text, start):
        start -= 1
    if start and _is_half_flag(text[start]):
        halves = len(text[: start + 1]) - len(text[: start + 1].rstrip(_HALF_FLAGS))
        start -= halves % 2 == 0
    return start


_HALF_FLAGS = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two of them make a flag
_CONTINUING = re.compile(
    "[\u200c\u200d\u1160-\u11ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
"""Joiners, later letters of a Hangul syllable, selectors, skin tones, tags."""


def _continues(text: str, at: int) -> bool:
    """Whether the code point at `at` is part of the character before it."""
    it = text[at]
    return (
        text[at - 1] == _JOINER
        or _CONTINUING.match(it) is not None
        or unicodedata.category(it).startswith("M")
    )


def _is_half_flag(it: str) -> bool:
    return it in _HALF_FLAGS
