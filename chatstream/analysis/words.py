"""Splits prose into words and sentences, one character at a time, much like Unicode's UAX #29.

1. A word is a run of letters, digits and marks. An apostrophe between two letters is part of it,
   and so are a point or comma between two digits, and an underscore; a hyphen is not. Format
   characters (joiners, the soft hyphen) neither end a word nor are part of it.
2. In scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese), each character counts
   as a word, with its marks. Two neighbours form a pair if neither is Hiragana. Pairs say more than
   single characters, so keywords are made from them.
3. Words are in lower case and in the normal form NFC, so `e` with a combining accent is `é`. A word
   longer than `MAX_WORD_CHARACTERS` is cut.
4. A sentence ends with a full stop or a similar mark, any closing quotes or brackets, and a space,
   unless a lower-case letter follows (as after `e.g.`). A Chinese or Japanese mark ends it at once,
   and so does the end of the line. A sentence has at least one word with a letter.
"""

from __future__ import annotations

import re
import unicodedata

MAX_WORD_CHARACTERS = 64

SENTENCE = "."
"""What stands among the words where a sentence has ended."""
PAIR = "+"
"""What a pair begins with; no word does."""
REFERENCE = "["
"""What stands among the words for a number in brackets, as `[1]`: a reference to a source."""

_APOSTROPHE = "'"
_MAX_CLASSES = 4096  # characters whose class is kept; a text has some hundreds

# Hiragana to Katakana, the Han of the base plane and of others, Thai, Lao, Burmese, Khmer.
SINGLES = (
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
)
"""The characters of scripts without spaces, as ranges for a regular expression."""

_SINGLE = re.compile(f"[{SINGLES}]")
_HIRAGANA = re.compile("[\u3041-\u309f]")

# The classes of characters.
_LETTER, _DIGIT, _ONE, _MARK, _FORMAT = "letter", "digit", "one", "mark", "format"
_JOINS_LETTERS, _JOINS_DIGITS, _JOINS_ALL = "between letters", "between digits", "between all"
_SPACE, _LINE, _END, _END_AT_ONCE, _CLOSER, _OTHER = "space", "line", "end", "now", "closer", ""

_NAMED = {
    **dict.fromkeys("'\u2019\u00b7", _JOINS_LETTERS),
    ".": _JOINS_DIGITS,
    ",": _JOINS_DIGITS,
    "_": _JOINS_ALL,
    "\n": _LINE,
    **dict.fromkeys("!?\u2026", _END),
    **dict.fromkeys("\u3002\uff01\uff1f\uff61", _END_AT_ONCE),
    **dict.fromkeys(')]}"\u201d\u00bb\u300d\u300f\uff09*`', _CLOSER),
}


def class_of(character: str) -> str:
    """What a character is to the rules."""
    if (named := _NAMED.get(character)) is not None:
        return named
    category = unicodedata.category(character)
    if category[0] == "M":
        return _MARK
    if _SINGLE.match(character) and category[0] == "L":
        return _ONE
    if category == "Cf":
        return _FORMAT
    kinds = {"L": _LETTER, "N": _DIGIT}
    return _SPACE if character.isspace() else kinds.get(category[0], _OTHER)


def is_single(word: str) -> bool:
    """Whether a word is a character of a script without spaces."""
    return not word.isascii() and _SINGLE.match(word) is not None


class Words:
    """Feed it prose in any pieces; it returns the words, pairs, references and ends of sentences.

    A word is out with the character after it.
    """

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}
        self._word = ""  # the open one
        self._has_letter = False  # that word
        self._last = _OTHER  # the class of its last letter or digit
        self._joint = ""  # what may join it with what follows
        self._single = ""  # the character before this one, if it was a word of its own
        self._bracket = ""  # an open bracket, and then the digits in it
        self._spoke = False  # this sentence has a word with a letter
        self._ended = 0  # 1: the mark of its end has come; 2: and a space

    def feed(self, text: str) -> list[str]:
        """What is whole with this piece."""
        out: list[str] = []
        classes = self._classes
        for character in text:
            kind = classes.get(character)
            if kind is None:
                kind = self._learn(character)
            if kind is _LETTER and self._last is _LETTER and not self._joint:
                self._extend(character)  # as for most characters
            else:
                self._take(character, kind, out)
        return out

    def finish(self) -> list[str]:
        """What is held; the text is over, and another one may begin."""
        out: list[str] = []
        self._end_word(out)
        self._end_sentence(out)
        self._single = self._bracket = ""
        return out

    def _learn(self, character: str) -> str:
        if len(self._classes) >= _MAX_CLASSES:
            self._classes.clear()
        kind = self._classes[character] = class_of(character)
        return kind

    def _extend(self, text: str) -> None:
        if len(self._word) < MAX_WORD_CHARACTERS:
            self._word += text

    def _take(self, character: str, kind: str, out: list[str]) -> None:
        if kind is _FORMAT:
            return
        if kind is _LETTER or kind is _DIGIT:
            self._take_letter(character, kind, out)
        elif kind is _MARK:
            if self._joint:  # the mark belongs to nothing
                self._end_word(out)
            elif self._last is not _OTHER:
                self._extend(character)
        elif self._may_join(kind):
            self._joint = _APOSTROPHE if character == "\u2019" else character
        else:
            self._end_word(out)
            if kind is _ONE:
                self._begin_word(character, kind, out)
            else:
                self._take_mark(character, kind, out)

    def _take_letter(self, character: str, kind: str, out: list[str]) -> None:
        if self._joint:
            joins = self._joint == "_" or self._last is kind
            if joins:
                self._extend(self._joint)
                self._joint = ""
            else:
                self._end_word(out)
        if self._last is _OTHER or self._last is _ONE:
            self._end_word(out)
            self._begin_word(character, kind, out)
        else:
            self._extend(character)
            self._last = kind
            self._has_letter = self._has_letter or kind is _LETTER
        if kind is _DIGIT and self._bracket:
            self._bracket += character if len(self._bracket) < MAX_WORD_CHARACTERS else ""
        else:
            self._bracket = ""

    def _may_join(self, kind: str) -> bool:
        """Whether this may stand within the open word."""
        if self._joint or self._last is _OTHER or self._last is _ONE:
            return False
        return (
            kind is _JOINS_ALL
            or (kind is _JOINS_LETTERS and self._last is _LETTER)
            or (kind is _JOINS_DIGITS and self._last is _DIGIT)
        )

    def _begin_word(self, character: str, kind: str, out: list[str]) -> None:
        if self._ended == 2 and not character.islower():
            self._end_sentence(out)
        self._ended = 0
        is_pair = kind is _ONE and self._single != ""
        if is_pair and not (_HIRAGANA.match(character) or _HIRAGANA.match(self._single)):
            out.append(f"{PAIR}{self._single}{character}")
        self._single = character if kind is _ONE else ""
        self._word, self._last, self._has_letter = character, kind, kind is not _DIGIT

    def _end_word(self, out: list[str]) -> None:
        joint, self._joint = self._joint, ""
        if self._last is not _OTHER:
            word = self._word.lower()
            out.append(word if word.isascii() else unicodedata.normalize("NFC", word))
            self._spoke = self._spoke or self._has_letter
        self._word, self._last = "", _OTHER
        if joint:  # it joins nothing: it is a mark like others
            self._take_mark(joint, self._classes.get(joint) or self._learn(joint), out)

    def _take_mark(self, character: str, kind: str, out: list[str]) -> None:
        """A character that belongs to no word."""
        self._single = ""
        if character == "]" and len(self._bracket) > 1:
            out.append(REFERENCE)
        self._bracket = "[" if character == "[" else ""
        if kind is _LINE or kind is _END_AT_ONCE:
            self._end_sentence(out)
        elif kind is _END or character == ".":
            self._ended = 1
        elif kind is _SPACE:
            self._ended = 2 if self._ended else 0
        elif kind is not _CLOSER and kind is not _JOINS_ALL and kind is not _JOINS_LETTERS:
            self._ended = 2 if self._ended == 2 else 0

    def _end_sentence(self, out: list[str]) -> None:
        if self._spoke:
            out.append(SENTENCE)
        self._spoke, self._ended = False, 0
