"""An answer ends early, where the user has said: `--stop-when 'REGEX | N tokens'`.

1. The answer ends right behind the first match (`patterns`), or with the token of that number, as
   one piece of the answer that the server sends is one. Nothing behind it passes, and what is read
   of the response is over: its connection is closed. Nothing is held back.
2. It ends as a whole answer does, with the finish reason `stop_condition`. The counts that came
   with the same read still pass.
3. Only the text of the answer counts: no reasoning and no call. A match lies within one response;
   tokens are those of all responses together.
4. Of an answer that is continued, the earlier part counts too, its tokens estimated from its
   length. If it is over with that, nothing is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from chatstream.events import Content, Event, Fate, Usage, voids
from chatstream.flow import Arrival, Finish, Stage, close
from chatstream.stages.patterns import Pattern, PatternError

_TOKENS = re.compile(r"\s*([0-9]{1,9})\s+tokens?\s*")


class Condition(Protocol):
    """What ends an answer."""

    def find(self, delta: str) -> int | None:
        """Take the next piece. How much of it belongs to the answer, if it is the last."""

    def recall(self, text: str) -> bool:
        """Take text that an earlier run has of the answer. Whether the answer is over with it."""

    def settle(self) -> None:
        """A response is whole, and another may follow."""

    def restart(self) -> None:
        """What came since the last response that is whole does not count."""


class _Match:
    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern

    def find(self, delta: str) -> int | None:
        return self._pattern.find(delta)

    def recall(self, text: str) -> bool:
        return self.find(text) is not None

    def settle(self) -> None:
        self._pattern.reset()

    def restart(self) -> None:
        self._pattern.reset()


class _Tokens:
    def __init__(self, most: int, token_bytes: float) -> None:
        self._most = most
        self._token_bytes = token_bytes
        self._count = self._settled = 0.0

    def find(self, delta: str) -> int | None:
        self._count += 1
        return len(delta) if self._count >= self._most else None

    def recall(self, text: str) -> bool:
        self._count += len(text.encode("utf-8", "replace")) / self._token_bytes
        return self._count >= self._most

    def settle(self) -> None:
        self._settled = self._count

    def restart(self) -> None:
        self._count = self._settled


class BadCondition(ValueError):
    """A text that describes no condition; the message says what it is."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def condition(text: str, token_bytes: float = 4.0) -> Condition:
    """The condition that this text describes, for one answer. Raises `BadCondition`.

    `token_bytes` is the size of a token in what an earlier run has of the answer.
    """
    if tokens := _TOKENS.fullmatch(text):
        if (most := int(tokens[1])) == 0:
            raise BadCondition("is 0 tokens, which is no answer", "give a number of at least 1")
        return _Tokens(most, token_bytes)
    try:
        return _Match(Pattern(text))
    except PatternError as error:
        raise BadCondition(
            f"is not a regular expression that can be used: {error}",
            "for example: 'Conclusion:' or '200 tokens'",
        ) from error


def stopping(when: Condition, earlier: Sequence[Event] = ()) -> Stage:
    """The stage. `earlier` are the events of the answer that this one continues."""

    def stage(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            if _is_over(earlier, when):
                yield Arrival([Finish("stop_condition")], connected=False)
                return
            for arrival in arrivals:
                passed = _taken(arrival.events, when) if arrival.events else None
                if passed is not None:
                    arrival.events = passed
                    yield arrival
                    return
                yield arrival
        finally:
            close(arrivals)

    return stage


def _is_over(earlier: Sequence[Event], when: Condition) -> bool:
    """Whether the answer is over with its earlier part."""
    for event in earlier:
        if type(event) is Content and when.recall(event.delta):
            return True
        if isinstance(event, Fate):
            when.settle()
    return False


def _taken(events: list[Event], when: Condition) -> list[Event] | None:
    """The events with which the answer ends; None if it goes on."""
    for at, event in enumerate(events):
        if type(event) is Content:
            end = when.find(event.delta)
            if end is not None:
                last = [Content(event.delta[:end])] if end else []
                counts = [it for it in events[at + 1 :] if isinstance(it, Usage)]
                return [*events[:at], *last, *counts, Finish("stop_condition")]
        elif isinstance(event, Fate):
            when.settle()
        elif voids(event):
            when.restart()
    return None
