"""One question to several models: their runs, read as one. No screen.

1. Each answer is an ordinary run with an id, a journal and a token of its own. All runs share a
   pool, and `merge` reads them side by side.
2. All of them follow the same answer of a conversation, so they are siblings in its tree. The first
   run moves the head of the conversation when it begins; `picking` moves it to the picked answer.
3. Every run has a label, which its events have in `stream`: the model as the user named it, with a
   number if it is not the first of that name: "a", "a #2".
4. `max_cost` is the limit of the whole comparison: all answers, and a verdict on them, have one
   `budget`.
5. A mistake in the settings is found before any request is sent. A run that fails ends only its own
   answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.pipeline import Follow, not_followed, run
from chatstream.engine.place import Place, follow_of, question_at, resolved_at
from chatstream.engine.places import split
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question, Run
from chatstream.engine.spending import Budget
from chatstream.engine.whom import local_server, with_model
from chatstream.errors import Cancelled, UsageError, class_of
from chatstream.events import Done, Error, Metadata, Terminal
from chatstream.flow import Arrival, Stage, close, pipe
from chatstream.merge import merge
from chatstream.messages import Message
from chatstream.redact import redact, show_url
from chatstream.transcript import Transcript

MOST = 9
"""The most answers that are compared: each has a key of its own."""


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to be asked for. `server` is that of a local one, which may serve one at a time."""

    label: str
    resolved: Resolved
    question: Question
    follow: Follow = not_followed
    server: str | None = None


class Answer:
    """The outcome of one answer. `number` is its place in the order of the models, from 1."""

    def __init__(self, number: int, label: str, run: Run) -> None:
        self.number = number
        self.label = label
        self.run = run
        self.transcript = Transcript()
        self.model: str | None = None

    @property
    def name(self) -> str:
        """The name that people see."""
        return f"{self.number} {self.label}"

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.transcript.message.content

    @property
    def has_text(self) -> bool:
        """Whether there is anything to continue from."""
        return self.transcript.messages[-1].is_answer

    @property
    def terminal(self) -> Terminal | None:
        """How it ended, if it has."""
        return self.transcript.terminal

    @property
    def is_whole(self) -> bool:
        """Whether all of it has come."""
        return isinstance(self.terminal, Done)

    @property
    def status(self) -> int:
        """The exit status of a program that had asked for this one alone."""
        end = self.terminal
        return class_of(end.code).exit_status if isinstance(end, Error) else 1 - self.is_whole

    def noted(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """A stage that takes what passes."""
        try:
            for arrival in arrivals:
                self.note(arrival)
                yield arrival
        finally:
            close(arrivals)

    def note(self, arrival: Arrival) -> None:
        """Take what came."""
        for event in arrival.events:
            self.transcript.add(event)
            if isinstance(event, Metadata):
                self.model = event.model or self.model


class Comparison:
    """Answers that are compared: `begin` makes the run of each, by its label.

    What belongs to the comparison, too, is asked with its `budget`.

    `watching` are stages, one for each run, on its own thread. Nothing is asked before `arrivals`
    is read. Raises what `begin` raises.
    """

    def __init__(
        self, begin: Mapping[str, Callable[[Budget], Run]], watching: Sequence[Stage] = ()
    ) -> None:
        self.answers: list[Answer] = []
        self.budget = Budget()
        self._watching = watching
        try:
            for number, (label, begun) in enumerate(begin.items(), 1):
                self.answers.append(Answer(number, label, begun(self.budget)))
        except BaseException:
            self.close()
            raise

    @classmethod
    def of(
        cls,
        contenders: Sequence[Contender],
        pool: Pool,
        token: CancelToken,
        watching: Sequence[Stage] = (),
    ) -> Self:
        """A comparison of these contenders. Raises `ConfigError`, `UsageError`."""

        def begin(it: Contender, budget: Budget) -> Run:
            question = replace(it.question, budget=budget)
            return run(it.resolved, question, pool, token, follow=it.follow)

        return cls({it.label: partial(begin, it) for it in contenders}, watching)

    @property
    def ended(self) -> bool:
        """Whether every answer has come to its end."""
        return all(it.terminal is not None for it in self.answers)

    @property
    def status(self) -> int:
        """0 if all are whole, the common status if all failed alike, else 1."""
        statuses = {it.status for it in self.answers}
        return statuses.pop() if len(statuses) == 1 else 1

    def arrivals(self, frame: float = 0.0) -> Iterator[Arrival]:
        """What all runs bring, each arrival with its label. `frame` is that of `merge`."""
        sources = {it.label: it.run.arrivals for it in self.answers}
        for label, stage in zip(sources, self._watching, strict=False):
            sources[label] = pipe(sources[label], stage)
        known = {it.label: it for it in self.answers}
        arrivals = merge(sources, frame=frame)
        try:
            for arrival in arrivals:
                if arrival.stream is not None:
                    known[arrival.stream].note(arrival)
                yield arrival
        finally:
            close(arrivals)

    def stop(self, number: int) -> None:
        """Stop the answer with this number, if there is one; the others go on."""
        for answer in self.answers:
            if answer.number == number:
                answer.run.cancel(Cancelled("stopped"))

    def close(self) -> None:
        """Let go of runs that were never read. Idempotent."""
        for answer in self.answers:
            answer.run.close()

    def preferred(self) -> Answer | None:
        """The answer that a conversation continues from unless another one is picked.

        The first one that is whole, else the first that has any text; None if none has.
        """
        answers = [it for it in self.answers if it.has_text]
        return next((it for it in answers if it.is_whole), next(iter(answers), None))


def contenders(
    models: Sequence[str],
    times: int,
    flags: Mapping[str, Any],
    place: Place,
    message: Callable[[Resolved], Message],
) -> list[Contender]:
    """Who is asked: these models, or one of them, or the default one, so many times.

    `message` makes the question with the settings of the first one; it is called once. Raises
    `UsageError`, `ConfigError`.
    """
    if times > 1 and len(models) > 1:
        raise UsageError("-n asks one model several times, but -m names more than one")
    names: list[str | None] = [*models] * times if models else [None] * times
    check_count(len(names))
    given = [dict(flags) if name is None else with_model(flags, name) for name in names]
    resolved = [resolved_at(place, it) for it in given]
    asked = message(resolved[0])
    labels = labelled(
        [
            name or its.settings.model or "the default model"
            for name, its in zip(names, resolved, strict=True)
        ]
    )
    return [
        Contender(
            label=label,
            resolved=replace(its, warnings=()) if number else its,  # each has the same ones
            question=question_at(place, its, [asked]),
            follow=not_followed if number else follow_of(place, its),
            server=local_server(its.settings),
        )
        for number, (label, its) in enumerate(zip(labels, resolved, strict=True))
    ]


def check_count(
    number: int, hint: str = "name two models, -m A -m B, or ask one several times: -m A -n 3"
) -> None:
    """Raises `UsageError` if so many answers cannot be compared; `hint` says what to do."""
    if number < 2:
        raise UsageError("there is nothing to compare: at least two answers are needed", hint=hint)
    if number > MOST:
        raise UsageError(f"{number} answers are too many: at most {MOST} are compared at once")


def labelled(names: Sequence[str]) -> list[str]:
    """A label for each, all different: one that comes again has its number. No secret is in it."""
    seen: Counter[str] = Counter()
    labels = []
    for name in map(_without_secrets, names):
        seen[name] += 1
        label = name if seen[name] == 1 else f"{name} #{seen[name]}"
        while label in labels:  # somebody has named a model so
            label += "'"
        labels.append(label)
    return labels


def _without_secrets(name: str) -> str:
    model, place = split(name)
    return f"{model}@{show_url(place)}" if place and "//" in place else redact(name)


def for_reader(contender: Contender, *, resettable: bool, on_screen: bool) -> Contender:
    """The contender for a reader of this kind."""
    question = replace(contender.question, resettable=resettable, on_screen=on_screen)
    return replace(contender, question=question)
