"""Whether a whole answer fits the schema that it was asked for.

1. The text passes as it comes, and is checked at its end. If it does not fit, the run ends with
   `InvalidAnswer`, and its text is kept.
2. An answer that reached the token limit is `Truncated`: its JSON is not whole, and the run may be
   continued.
3. An answer that the model refused to give is `ContentPolicy`, with the model's words.
4. With tools, the text after the last round of calls is the answer. A run that ends with calls for
   its reader has no answer yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from chatstream import schemas
from chatstream.errors import ChatstreamError, ContentPolicy, InvalidAnswer, Truncated
from chatstream.events import Content, Fate, Warn, voids
from chatstream.flow import Arrival, Finish, Stage, close
from chatstream.wording import excerpt


def fitting(schema: schemas.Schema, begun: str = "") -> Stage:
    """The stage. `begun` is the text that these arrivals continue."""

    def stage(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        text, said = [begun], ""
        try:
            for arrival in arrivals:
                finish = None
                for event in arrival.events:
                    if isinstance(event, Content):
                        text.append(event.delta)
                    elif isinstance(event, Finish):
                        finish = event
                    elif isinstance(event, Fate) or voids(event):
                        text, said = [], ""
                    elif isinstance(event, Warn) and event.code == "refusal":
                        said = event.message
                failure = _failure(schema, "".join(text), finish, said) if finish else None
                if failure is not None:
                    yield Arrival(
                        [it for it in arrival.events if it is not finish],
                        arrival.t,
                        arrival.connected,
                        arrival.alive,
                    )
                    raise failure
                yield arrival
        finally:
            close(arrivals)

    return stage


def _failure(
    schema: schemas.Schema, text: str, finish: Finish, said: str
) -> ChatstreamError | None:
    """The failure of an answer that has ended; None if it fits."""
    if finish.reason == "tool_calls":
        return None
    if finish.reason == "content_filter":
        words = f": {excerpt(said)}" if said else ""
        return ContentPolicy(f"the model refused to follow the schema{words}")
    if finish.reason == "length":
        cut = Truncated("the answer reached the token limit before its JSON was whole")
        cut.hint = "the answer is incomplete; a larger --max-tokens leaves room for it"
        return cut
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return InvalidAnswer(f"the answer is not JSON, which the schema requires: {error}")
    wrong = schemas.mistake(schema, value)
    return InvalidAnswer(f"the answer does not fit the schema: {wrong}") if wrong else None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
