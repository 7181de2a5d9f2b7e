"""Lone surrogates: halves of a character that a server cut between two deltas.

JSON can carry `\\ud83d` in one delta and `\\ude00` in the next. Neither half can be printed or
encoded, so the first one waits for its partner in the next delta of the same kind; a half that
stays alone becomes U+FFFD.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatstream.events import Content, Event, Reasoning, ToolCallDelta


def whole_characters(text: str) -> str:
    """The text with surrogate pairs joined and single surrogates replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Surrogates:
    """Joins the halves over the deltas of one answer."""

    def __init__(self) -> None:
        self._held: Content | Reasoning | None = None

    def mend(self, events: Iterable[Event]) -> list[Event]:
        """The events with whole characters only; a trailing first half is held back."""
        mended: list[Event] = []
        for event in events:
            if isinstance(event, Content | Reasoning):
                mended += self._join(event)
            else:
                if isinstance(event, ToolCallDelta):
                    event.delta = whole_characters(event.delta)
                mended.append(event)
        return mended

    def flush(self) -> list[Event]:
        """What is still held, when no more comes."""
        held, self._held = self._held, None
        return [] if held is None else [type(held)("\ufffd", t=held.t)]

    def _join(self, event: Content | Reasoning) -> list[Event]:
        held = self._held
        before: list[Event] = [] if held is None or type(held) is type(event) else self.flush()
        text = event.delta if before or held is None else held.delta + event.delta
        self._held = None
        if "\ud800" <= text[-1:] <= "\udbff":
            self._held = type(event)(text[-1], t=event.t)
            text = text[:-1]
        return [*before, type(event)(whole_characters(text), t=event.t)] if text else before
