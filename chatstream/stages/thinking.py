"""`<think>` tags that some servers leave in the text become `reasoning`.

1. `<think>…</think>` and `<thinking>…</thinking>`, also when a tag is split over deltas: only
   what may still become a tag is held back.
2. Never inside a code fence or a code span: there a tag is something the model writes about.
3. Nothing is lost: an unclosed tag makes the rest reasoning, a failure releases what is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatstream.events import Content, Event, Metadata, Reasoning, Retry
from chatstream.flow import Burst, Finish

_CLOSING = {"<think>": "</think>", "<thinking>": "</thinking>"}
_LONGEST = max(map(len, _CLOSING))
_MARK = re.compile(r"[`~<\n]")

Parts = list[tuple[bool, str]]
"""Pieces of text in order, each with whether it is reasoning."""


def thinking(events: Iterator[Event], begun: str = "") -> Iterator[Event]:
    """The stage. `begun` is the text that these events go on after."""
    splitter = ThinkingSplitter()
    splitter.feed(begun)
    splitter.finish()  # it was passed on long ago
    try:
        for event in events:
            if type(event) is Content:
                if splitter.is_plain(event.delta):
                    yield event
                else:
                    yield from _events(splitter.feed(event.delta), event.t)
                continue
            if type(event) is Burst:
                yield from _burst(splitter, event)
                continue
            if type(event) is Finish:
                yield from _events(splitter.finish(), -1.0)
            elif (isinstance(event, Retry) and event.action == "reset") or (
                isinstance(event, Metadata) and event.restart
            ):
                splitter = ThinkingSplitter()
            yield event
    except Exception:
        yield from _events(splitter.finish(), -1.0)
        raise
    yield from _events(splitter.finish(), -1.0)


def _burst(splitter: ThinkingSplitter, burst: Burst) -> Iterator[Event]:
    """The burst; or where something in it may matter, its pieces."""
    if splitter.is_plain("".join([content.delta for content in burst.contents])):
        yield burst
        return
    for content in burst.contents:
        if splitter.is_plain(content.delta):
            yield content
        else:
            yield from _events(splitter.feed(content.delta), content.t)


def _events(parts: Parts, t: float) -> Iterator[Event]:
    for is_reasoning, text in parts:
        yield Reasoning(text, t=t) if is_reasoning else Content(text, t=t)


class ThinkingSplitter:
    """Text in pieces, told apart by the tags around it."""

    def __init__(self) -> None:
        self._held = ""  # what may become a tag
        self._closing = ""  # the tag that ends the reasoning we are in
        self._fence = ""  # the run that opened the code fence we are in
        self._span = 0  # the length of the run that opened the code span we are in
        self._run = ""  # backticks or tildes whose run may go on
        self._run_starts_line = False
        self._closes = ""  # a run in a fence that ends it if nothing but space follows
        self._opens = ""  # a run of backticks that opens a fence unless another one follows
        self._line_start = True  # nothing but a small indent on this line so far
        self._indent = 0
        self._calm = False  # in the middle of a line, and none of the above

    def is_plain(self, delta: str) -> bool:
        """Whether this delta passes as it is and changes nothing; what most deltas do."""
        return self._calm and "<" not in delta and "\n" not in delta and "`" not in delta

    def feed(self, delta: str) -> Parts:
        """The pieces that are decided."""
        parts = self._feed(delta)
        self._calm = not (
            self._line_start or self._held or self._closing or self._run or self._closes
        )
        return parts

    def _feed(self, delta: str) -> Parts:
        text = self._held + delta
        self._held = ""
        parts: Parts = []
        start = at = 0
        while at < len(text):
            if self._closing:
                end = text.find(self._closing, at)
                if end < 0:
                    end = len(text) - _beginning(text[at:], self._closing)
                    self._held = text[end:]
                    return _add(parts, True, text[at:end])
                _add(parts, True, text[at:end])
                start = at = end + len(self._closing)
                self._closing = ""
                continue
            if text[at] == "<" and self._run:
                self._end_run()
            if text[at] == "<" and not self._fence and not self._span:
                tag = next((tag for tag in _CLOSING if text.startswith(tag, at)), None)
                if tag is not None:
                    _add(parts, False, text[start:at])
                    self._closing = _CLOSING[tag]
                    start = at = at + len(tag)
                    continue
                rest = text[at : at + _LONGEST]  # not more: there may be many `<`
                if any(tag.startswith(rest) for tag in _CLOSING):
                    self._held = text[at:]
                    return _add(parts, False, text[start:at])
            at = self._advance(text, at)
        return _add(parts, False, text[start:])

    def finish(self) -> Parts:
        """What is held when no more comes."""
        held, self._held = self._held, ""
        return _add([], bool(self._closing), held)

    def _advance(self, text: str, at: int) -> int:
        """Step over one mark, or over the text before the next one."""
        char = text[at]
        if self._run and char != self._run[0]:
            self._end_run()
        if char in "`~":
            if not self._run:
                self._run_starts_line = self._line_start
            self._run += char
            self._line_start = False
            return at + 1
        if self._closes and not char.isspace():
            self._closes = ""
        if char == "\n":
            if self._closes:
                self._fence = self._closes = ""
            self._opens = ""
            if self._line_start:  # a blank line ends the paragraph, and with it a code span
                self._span = 0
            self._line_start, self._indent = True, 0
            return at + 1
        mark = _MARK.search(text, at + 1)
        end = mark.start() if mark else len(text)
        if self._closes and not text[at:end].isspace():
            self._closes = ""
        if self._line_start:
            self._indent += end - at
            self._line_start = text[at:end].isspace() and self._indent <= 3
        return end

    def _end_run(self) -> None:
        run, self._run = self._run, ""
        if not run:
            return
        if self._fence:
            if self._run_starts_line and run.startswith(self._fence):
                self._closes = run
            elif run[0] == "`" and self._opens:  # no info string has one: that was a span
                self._span = 0 if len(run) == len(self._opens) else len(self._opens)
                self._fence = self._opens = ""
        elif self._run_starts_line and len(run) >= 3:
            self._fence = run
            self._opens = run if run[0] == "`" else ""
        elif run[0] == "`":
            self._span = 0 if self._span == len(run) else self._span or len(run)


def _beginning(text: str, tag: str) -> int:
    """The length of the longest end of `text` that `tag` begins with."""
    return next(
        (n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0
    )


def _add(parts: Parts, is_reasoning: bool, text: str) -> Parts:
    if text:
        parts.append((is_reasoning, text))
    return parts
