"""Reasoning that a server leaves in the text, between tags, becomes `reasoning`.

1. A tag opens reasoning only where a response begins: nothing but white space, or reasoning that
   has ended, came before it. Anywhere else it is something that the model writes about.
2. The channels of gpt-oss count there too: "analysis" and "commentary" are reasoning, what the
   others hold is text. Their marks are dropped.
3. Where the prompt opened the reasoning, the text has only the closing tag. What came before it has
   been shown as text by then, so no more than the tag is dropped: the first one that stands alone
   on its line (as every such model writes it), outside of fenced code, or that begins the response.
4. Nothing else is lost: text without a tag passes byte for byte, a tag that is not closed makes
   the rest reasoning, the end releases what is held. Only what may become a tag is held back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from chatstream.events import (
    Content,
    Event,
    Fate,
    Reasoning,
    voids,
)
from chatstream.fences import Fences, may_begin
from chatstream.flow import Arrival, Finish, only_content

_CLOSING = {
    "<think>": "</think>",  # DeepSeek, Qwen and most others
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",  # Gemini's OpenAI layer
    "[THINK]": "[/THINK]",  # Magistral
    "<seed:think>": "</seed:think>",
    "<mm:think>": "</mm:think>",  # MiniMax M3
    "<|channel>thought": "<channel|>",  # Gemma 4
}
_CLOSERS = tuple(_CLOSING.values())

# gpt-oss: <|start|>assistant<|channel|>analysis<|message|>…<|end|>, the first mark often left out.
_HEADS = ("<|start|>", "<|channel|>")
_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_MARK = "|".join(map(re.escape, (*_HEADS, *_ENDS)))
_MESSAGE = "<|message|>"
_ASIDE = r"(?s:.*)<\|channel\|>\s*(?:analysis|commentary)"
_MAX_HEAD_CHARACTERS = 500  # a real one has a role, a channel, a recipient and a format

# These are compiled when they are first used, because most answers have none.
_LONE = rf" {{0,3}}(?P<tag>{'|'.join(map(re.escape, _CLOSERS))})[ \t\r]{{0,20}}\n?"
_MATTERS = re.compile(r"[ \t]*(?:[`~<\[>*+\d-]|$)")  # the beginning of most lines decides
_MAX_LINE_CHARACTERS = 1000  # characters of a line that opens or closes a fence

Parts = list[tuple[bool, str]]
"""Pieces of text in order, each with whether it is reasoning."""


def thinking(arrivals: Iterator[Arrival], begun: str = "") -> Iterator[Arrival]:
    """The stage. `begun` is the text that these arrivals continue."""
    splitter = ThinkingSplitter(begun)
    try:
        for arrival in arrivals:
            text = only_content(arrival.events)
            if arrival.events and not (text and splitter.is_plain(text)):
                events: list[Event] = []
                for event in arrival.events:
                    if type(event) is Content:  # nearly every event
                        if splitter.is_plain(event.delta):
                            events.append(event)
                        else:
                            events += _events(splitter.feed(event.delta))
                        continue
                    if type(event) is Finish:
                        events += _events(splitter.finish())
                    elif voids(event):
                        splitter = ThinkingSplitter()
                    elif isinstance(event, Fate):  # the response is over; another may follow
                        events += _events(splitter.finish())
                        splitter = ThinkingSplitter()
                    events.append(event)
                arrival.events = events
            yield arrival
    except Exception:
        yield from _rest(splitter)
        raise
    yield from _rest(splitter)


def _rest(splitter: ThinkingSplitter) -> Iterator[Arrival]:
    if held := _events(splitter.finish()):
        yield Arrival(held)


def _events(parts: Parts) -> list[Event]:
    return [Reasoning(text) if is_reasoning else Content(text) for is_reasoning, text in parts]


class ThinkingSplitter:
    """The text of one response in pieces, divided by its tags.

    `begun` is text that was passed on before; if there is any, the response has begun.
    """

    def __init__(self, begun: str = "") -> None:
        self._held = ""  # what may become a tag
        self._closing = ""  # the tag that ends the reasoning we are in
        self._aside = False  # the message of gpt-oss that we are in is reasoning
        self._marked = False  # there was an opening tag or mark
        self._line: str | None = ""  # this line so far, while a fence or a tag may come of it
        self._fences = Fences()
        self._state: _State = ThinkingSplitter._begin
        if begun.strip():
            self._state = ThinkingSplitter._text
            self.feed(begun)
            self.finish()

    def is_plain(self, delta: str) -> bool:
        """Whether this delta passes as it is and changes nothing; what most deltas do."""
        return self._line is None and ("\n" not in delta or self._state is ThinkingSplitter._rest)

    def feed(self, delta: str) -> Parts:
        """The pieces that are decided."""
        text, self._held = self._held + delta, ""
        parts: Parts = []
        while text:
            text = self._state(self, text, parts)
        return parts

    def finish(self) -> Parts:
        """What is held when no more comes."""
        held, self._held = self._held, ""
        if self._state is ThinkingSplitter._text and held:
            if lone := re.fullmatch(_LONE, (self._line or "") + held):
                held = held.replace(lone["tag"], "")
            self._line = None
        if self._state is ThinkingSplitter._head and self._marked:
            return []  # half a mark between two messages
        is_reasoning = self._state is ThinkingSplitter._thought or (
            self._state is ThinkingSplitter._message and self._aside
        )
        return _add([], is_reasoning, held)

    # A state takes text, passes on what is decided, and returns what it leaves to the next one.

    def _begin(self, text: str, parts: Parts) -> str:
        """Nothing but white space came, or reasoning that has ended."""
        if spaces := len(text) - len(text.lstrip()):
            return _pass(parts, text, spaces)
        for tag, closing in _CLOSING.items():
            if text.startswith(tag):
                self._closing, self._marked = closing, True
                self._state = ThinkingSplitter._thought
                return text[len(tag) :]
            if text.startswith(closing):
                self._go_on_to_the_rest()
                return text[len(closing) :]
        if text.startswith(_HEADS):
            self._state = ThinkingSplitter._head
        elif any(tag.startswith(text) for tag in (*_CLOSING, *_CLOSERS, *_HEADS)):
            self._held = text
            return ""
        elif self._marked:
            self._go_on_to_the_rest()
        else:
            self._state = ThinkingSplitter._text
        return text

    def _thought(self, text: str, parts: Parts) -> str:
        """Reasoning, up to its closing tag."""
        end = text.find(self._closing)
        if end < 0:
            return self._hold(text, (self._closing,), parts, is_reasoning=True)
        _add(parts, True, text[:end])
        self._state = ThinkingSplitter._begin
        return text[end + len(self._closing) :]

    def _head(self, text: str, parts: Parts) -> str:
        """What stands before a message of gpt-oss, and names its channel."""
        head, mark, message = text.partition(_MESSAGE)
        if mark and len(head) <= _MAX_HEAD_CHARACTERS:
            self._aside, self._marked = re.match(_ASIDE, head) is not None, True
            self._state = ThinkingSplitter._message
            return message
        if mark or len(text) > _MAX_HEAD_CHARACTERS + len(_MESSAGE):  # it is not one
            self._go_on_to_the_rest()
            return text
        self._held = text
        return ""

    def _message(self, text: str, parts: Parts) -> str:
        """A message of gpt-oss, up to its end or the head of the next one."""
        mark = re.search(_MARK, text)
        if mark is None:
            return self._hold(text, (*_HEADS, *_ENDS), parts, is_reasoning=self._aside)
        _add(parts, self._aside, text[: mark.start()])
        self._state = ThinkingSplitter._begin
        return text[mark.start() if mark[0] in _HEADS else mark.end() :]

    def _text(self, text: str, parts: Parts) -> str:
        """Text that did not begin with a tag: a closing tag may stand on a line of its own."""
        end = text.find("\n") + 1
        if self._line is None:
            self._line = "" if end else None
            return _pass(parts, text, end or len(text))
        line = self._line + (text[:end] if end else text)
        if not (_MATTERS.match(line) or self._fences.heeds_text):
            self._line = "" if end else None
            return _pass(parts, text, end or len(text))
        lone = re.fullmatch(_LONE, line) if not self._fences.open else None
        if lone is not None and end:
            before, _, rest = text.partition(lone["tag"])
            self._go_on_to_the_rest()
            _add(parts, False, before)
            return rest
        if lone is not None or (not self._fences.open and not end and _may_become_lone(line)):
            self._held = text
            return ""
        short = len(line) <= _MAX_LINE_CHARACTERS
        if not (end and short) and may_begin(line[:_MAX_LINE_CHARACTERS]):  # else it is decided
            self._line = "" if end else line if short else None
        else:
            self._fences.line(line.removesuffix("\n"))
            self._line = "" if end else None
        return _pass(parts, text, end or len(text))

    def _rest(self, text: str, parts: Parts) -> str:
        """Text in which no tag counts any more."""
        return _pass(parts, text, len(text))

    def _go_on_to_the_rest(self) -> None:
        self._state, self._line = ThinkingSplitter._rest, None

    def _hold(self, text: str, tags: Iterable[str], parts: Parts, *, is_reasoning: bool) -> str:
        """Pass on all but the end of the text that one of these tags begins with."""
        end = len(text) - max(_beginning(text, tag) for tag in tags)
        self._held = text[end:]
        _add(parts, is_reasoning, text[:end])
        return ""


_State = Callable[[ThinkingSplitter, str, Parts], str]


def _may_become_lone(line: str) -> bool:
    begun = line.lstrip(" ")
    deep = len(line) - len(begun) > 3  # that is code
    return bool(begun) and not deep and any(tag.startswith(begun) for tag in _CLOSERS)


def _beginning(text: str, tag: str) -> int:
    """The length of the longest end of `text` that `tag` begins with."""
    return next(
        (n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0
    )


def _pass(parts: Parts, text: str, end: int) -> str:
    """Pass text on up to there; returns what is left."""
    _add(parts, False, text[:end])
    return text[end:]


def _add(parts: Parts, is_reasoning: bool, text: str) -> Parts:
    if text:
        parts.append((is_reasoning, text))
    return parts
