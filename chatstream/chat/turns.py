"""Plain records of a chat's requests and answers, and the turns of a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from chatstream.engine.pipeline import Follow
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question
from chatstream.events import Context, Metadata, Warn
from chatstream.flow import Arrival, close
from chatstream.messages import Message
from chatstream.store.place import runs_folder
from chatstream.transcript import Answerer, Transcript


class Turn(msgspec.Struct, frozen=True):
    """A question and its answer. `run` made the answer; None if it has no journal."""

    run: str | None
    messages: tuple[Message, ...]

    @property
    def question(self) -> Message:
        """The user's message."""
        return next((it for it in self.messages if it.role == "user"), Message("user"))

    @property
    def answer(self) -> Message:
        """The answer, whole or cut off."""
        return self.messages[-1]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send after the first `after` turns, or at the end.

    `model` is asked only this question. `typed` is the line that it comes from, `attached` are its
    files and images.
    """

    message: Message
    after: int | None = None
    model: str | None = None
    typed: str = ""
    attached: frozenset[str] = frozenset()


class Continuation(msgspec.Struct, frozen=True):
    """An answer to continue: that of this run, by `model` if only its question went to that one."""

    run: str
    model: str | None = None


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """What several models are asked: a request, or a new question, typed as this line."""

    models: tuple[str, ...]
    request: Request | None = None
    question: str = ""
    typed: str = ""


class Summary(msgspec.Struct, frozen=True):
    """The conversation is to be summarised."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is being made: its answer follows the first `after` turns.

    `model` is asked only this question.
    """

    message: Message
    resolved: Resolved
    question: Question
    follow: Follow
    after: int
    model: str | None = None


Following = Request | Continuation | Summary
"""What is asked next."""


class Heard:
    """Notes the output of a run, for use after it. `stage` passes everything on.

    `is_whole`: all of the run was shown. `is_saved`: its journal was not given up.
    """

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.who = Answerer()
        self.context: Context | None = None
        self.is_whole = False
        self.is_saved = True

    def stage(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """A stage that listens."""
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    self.transcript.add(event)
                    if isinstance(event, Metadata):
                        self.who = self.who.then(event)
                    elif isinstance(event, Context):
                        self.context = event
                    elif isinstance(event, Warn) and event.code == "journal":
                        self.is_saved = False
                yield arrival
            self.is_whole = True
        finally:
            close(arrivals)


def turns_of(run: str, messages: Sequence[Message]) -> Iterator[Turn]:
    """The turns in these messages; `run` made the last answer."""
    said = [it for it in messages if it.role != "system"]
    begins = [at for at, it in enumerate(said) if it.role == "user"] or [0]
    for begin, end in zip(begins, [*begins[1:], len(said)], strict=True):
        yield Turn(run if end == len(said) else None, tuple(said[begin:end]))


def cost_of(run: str | None) -> str:
    """The cost of the conversation up to this run, in words; "" if unknown."""
    from chatstream.engine.spending import conversation_cost
    from chatstream.sinks.words import dollars

    cost = conversation_cost(run) if run is not None else None
    return dollars(cost[0], estimated=cost[1]) if cost is not None else ""


def model_of(run: str) -> str | None:
    """The model that a run has asked; None if its journal is gone."""
    from chatstream.store.journal import SUFFIX
    from chatstream.store.reading import opening

    opened = opening(runs_folder() / (run + SUFFIX))
    return opened.model if opened else None
