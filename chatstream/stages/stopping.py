"""Ends an answer early if the user wants it: `--stop-when 'REGEX | N tokens'`.

1. The answer ends right after the first match (`patterns`), or with the Nth token. Each piece of
   the answer that the server sends counts as one token. Nothing after the end passes, and the
   connection is closed. Nothing is held back.
2. The answer ends like a whole one, with the finish reason `stop_condition`. Usage that came with
   the same read still passes.
3. Only the text of the answer counts, not reasoning or calls. A match lies within one response;
   tokens are counted over all responses.
4. If an answer is continued, its earlier part counts, too. The tokens of that part are estimated
   from its length. If the earlier part already meets the condition, no request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from chatstream.events import Content, Event, Fate, Usage, voids
from chatstream.flow import Arrival, Finish, Stage, close
from chatstream.stages.patterns import Pattern, PatternError

_TOKENS = re.compile(r"\s*([-+.,_0-9]+)\s*tokens?\s*", re.IGNORECASE)


class Condition(Protocol):
    """A condition that ends an answer."""

    def find(self, delta: str) -> int | None:
        """Take the next piece. If the answer ends in it, return how much of it still belongs."""

    def recall(self, text: str) -> bool:
        """Take text of the answer from an earlier run. Return whether the answer ends with it."""

    def settle(self) -> None:
        """The response is whole, and another one may follow."""

    def restart(self) -> None:
        """Forget the text since the last whole response."""


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
    """The text is not a condition; the message says why."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def condition(text: str, token_bytes: float = 4.0) -> Condition:
    """The condition that this text describes, for one answer. Raises `BadCondition`.

    `token_bytes` is the size of a token, used to estimate the tokens of an earlier part.
    """
    if tokens := _TOKENS.fullmatch(text):
        if re.fullmatch("0*[1-9][0-9]{0,8}", tokens[1]) is None:
            raise BadCondition(
                "takes a whole number of tokens, from 1 to 999999999", "for example: '200 tokens'"
            )
        return _Tokens(int(tokens[1]), token_bytes)
    try:
        return _Match(Pattern(text))
    except PatternError as error:
        raise BadCondition(
            f"is not a usable regular expression: {error}",
            "for example: 'Conclusion:' or '200 tokens'",
        ) from error


def stopping(when: Condition, earlier: Sequence[Event] = ()) -> Stage:
    """The stage. `earlier` has the events of the answer that this one continues."""

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
    """Whether the earlier part already meets the condition."""
    for event in earlier:
        if type(event) is Content and when.recall(event.delta):
            return True
        if isinstance(event, Fate):
            when.settle()
    return False


def _taken(events: list[Event], when: Condition) -> list[Event] | None:
    """The events up to the end of the answer; None if it continues."""
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
