"""How much of the model's window a conversation takes, if known.

1. The window is that of the run's `context` event. Without one it is unknown.
2. The tokens used are the server's count for the last response, including the answer. If the server
   has not counted, they are the estimate that was made for the question. The estimate is also used
   if a count is far below it: some servers do not count what was in their cache.
"""

from __future__ import annotations

import msgspec

from chatstream.events import Context
from chatstream.transcript import Transcript

FEWEST = 0.5
"""The smallest credible count, as a share of the estimate, which may be wrong by half."""


class Extent(msgspec.Struct, frozen=True):
    """Tokens: `used` of `window`. `counted`: the server has counted them.

    `left_out` is the number of the oldest messages that were not sent.
    """

    window: int
    used: int
    counted: bool
    left_out: int = 0

    @property
    def words(self) -> str:
        """For the prompt: `context 41 % of 8k`."""
        return f"context {self.percent} % of {size_in_words(self.window)}"

    @property
    def percent(self) -> int:
        """The part of the window that is used."""
        return int(self.used * 100 / self.window)


def extent_of(told: Context | None, transcript: Transcript) -> Extent | None:
    """The extent of a conversation, as its last run has shown it; None if the window is unknown."""
    if told is None or not told.window:
        return None
    used = counted_in(transcript)
    if used is None or used < told.used * FEWEST:
        return Extent(told.window, told.used, counted=False, left_out=told.left_out)
    return Extent(told.window, used, counted=True, left_out=told.left_out)


def counted_in(transcript: Transcript) -> int | None:
    """The tokens up to the answer, without its thinking; None if the server has not counted."""
    usage = transcript.last_usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens - (usage.reasoning_tokens or 0)


def size_in_words(tokens: int) -> str:
    """A number of tokens, shortened but not rounded: 8192 and 8000 are both `8k`."""
    for unit in (1000, 1024):
        if tokens >= unit and tokens % unit == 0:
            thousands = tokens // unit
            return f"{thousands // unit}M" if thousands % unit == 0 else f"{thousands}k"
    return f"{tokens:,}"
