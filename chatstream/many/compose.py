"""A document that is written section by section, several sections at once.

1. The outline is given, or a model makes it. Then each section is a run with a journal of its own,
   and knows the whole outline. A section that fails ends no other one.
2. `Job` remembers which run wrote what. A section whose run is whole, or was made so by `resume`,
   is not asked for again; so is the outline. Its text is shown again, as `replayed` events. One
   that broke off is continued as `resume` would continue it, after its text as a `replayed` event.
   Where that is impossible, it is asked for again, and a warning has the reason. Without a journal
   nothing is remembered.
3. Arrivals are labelled: "outline", and "1 Heading" for the first section. Between them come
   `progress` events without a label: at each end of a section, and otherwise four a second at most.
   The progress of a section is the share of its words that are there; it is whole at its end.
4. The last event has no label, and is the end of the document: `done` with what all runs of now
   used, or `error`. If all that was asked failed alike, the error is of that kind.
5. `max_cost` is the limit of the whole document. So that it holds, one run begins when the last one
   has ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.counts import summed, summed_cost
from chatstream.engine.pipeline import run
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question, Run
from chatstream.engine.working import UPDATE_SECONDS
from chatstream.errors import ChatstreamError
from chatstream.events import (
    Content,
    Done,
    Error,
    Event,
    Metadata,
    Progress,
    Stats,
    Terminal,
    voids,
)
from chatstream.flow import Arrival, close
from chatstream.many import outline
from chatstream.many.document import NO_TEXT, has_text
from chatstream.many.job import Job, Written, continuation
from chatstream.many.outline import Outline, Section
from chatstream.many.run import Task, running
from chatstream.messages import Message
from chatstream.progressing import Meter
from chatstream.store.composed import OUTLINE
from chatstream.wording import asked_again, counted

OUTLINE_LABEL = "outline"

_SETTINGS = ("provider", "model", "base_url", "system", "temperature", "max_tokens", "effort")
_CHARACTERS_PER_WORD = 5  # of English, without the blank
_UNFINISHED = 0.95  # the most that a section is at before its end


class Plan(msgspec.Struct, frozen=True):
    """What is to be written. Without an `outline` a model makes one, with so many `sections`.

    `flags` are the settings that were named; they hold for an answer that is continued, too.
    """

    topic: str
    resolved: Resolved
    outline: Outline | None = None
    sections: int | None = None
    flags: Mapping[str, Any] = {}

    @property
    def key(self) -> str:
        """What tells this document from any other: the topic, the outline and the settings."""
        settings = self.resolved.settings
        its = {name: getattr(settings, name) for name in (*_SETTINGS, "options", "strategy")}
        told = [self.topic, msgspec.to_builtins(self.outline), self.sections, its]
        return sha256(msgspec.json.encode(told)).hexdigest()[:32]


class Composition:
    """One document being written. `arrivals` is read once; `failures` are known at its end."""

    def __init__(
        self,
        plan: Plan,
        job: Job,
        pool: Pool,
        token: CancelToken,
        *,
        most: int,
        clock: Clock = monotonic,
    ) -> None:
        self.outline = plan.outline
        self.failures: dict[str, Error] = {}  # by label
        self.asked = 0  # sections, in this run
        self.is_whole = False  # the document
        self._plan = plan
        self._job = job
        self._pool = pool
        self._token = token
        limit = plan.resolved.settings.max_cost
        self._most = most if limit is None else 1
        self._spent = 0.0 if limit is None else job.spent()  # before now
        self._runs: list[Run] = []
        self._clock = clock
        self._began = clock()
        self._first: float | None = None  # when the first token of a section came
        self._chunks = 0
        self._done: list[Done] = []
        stages = [("writing", 9.0)]
        self._meter = Meter([("outline", 1.0), *stages] if plan.outline is None else stages, clock)
        self._told_at = -UPDATE_SECONDS

    def number_of(self, label: str) -> int:
        """The number of the section with this label, from 1."""
        return int(label.partition(" ")[0])

    @property
    def progress(self) -> Progress:
        """How far the document is."""
        return self._meter.event()

    def arrivals(self) -> Iterator[Arrival]:
        """What all runs bring, the progress, and the end. See the rules above."""
        if self.outline is None:
            yield from self._make_outline()
        if self.outline is not None:
            yield from self._write(self.outline)
        end = self._end()
        self.is_whole = isinstance(end, Done)
        yield Arrival([end])

    def _make_outline(self) -> Iterator[Arrival]:
        known = self._job.written(OUTLINE)
        if known.text is None or not self._use(known.text):
            pieces: list[str] = []
            yield Arrival([self.progress], connected=False)
            for arrival in self._running(
                [Task(OUTLINE_LABEL, partial(self._begin_outline, known))]
            ):
                for event in arrival.events:
                    if isinstance(event, Content):
                        pieces.append(event.delta)
                    elif voids(event):
                        pieces.clear()
                yield arrival
            if self.failures or self._token.cancelled:
                return
            if not self._use("".join(pieces)):
                self.failures[OUTLINE_LABEL] = _UNUSABLE
        self._meter.next_stage()

    def _use(self, answer: str) -> bool:
        """Whether this is an outline to go by."""
        with contextlib.suppress(ValueError):
            self.outline = outline.of_answer(answer, self._plan.topic)
        return self.outline is not None

    def _write(self, plan: Outline) -> Iterator[Arrival]:
        tasks: list[Task] = []
        missing: dict[str, _Missing] = {}
        for number, (label, section) in enumerate(zip(plan.labels, plan.sections, strict=True), 1):
            known = self._job.written(number)
            if known.text is not None and has_text(known.text, section):
                yield Arrival(_replayed(known.text, label), stream=label)
            else:
                missing[label] = _Missing(section)
                tasks.append(Task(label, partial(self._begin_section, plan, number, known)))
        self.asked = len(tasks)
        for arrival in self._running(tasks):
            yield arrival
            if not (arrival.stream and arrival.events):
                continue
            label = arrival.stream
            missing[label].note(arrival.events)
            ended = isinstance(arrival.events[-1], Terminal)
            if ended and not missing[label].has_text:
                self.failures.setdefault(label, _EMPTY)
            if ended and label not in self.failures:
                missing[label].share = 1.0
            if ended or self._clock() - self._told_at >= UPDATE_SECONDS:
                self._told_at = self._clock()
                self._report([*missing.values()], len(plan.sections))
                yield Arrival([self.progress])

    def _report(self, missing: Sequence[_Missing], sections: int) -> None:
        """How far what was missing is now."""
        written = sections - sum(it.share < 1 for it in missing)
        self._meter.report(
            sum(it.section.words * it.share for it in missing),
            sum(it.section.words for it in missing),
            f"{written} of {counted(sections, 'section')}",
        )

    def _running(self, tasks: Sequence[Task]) -> Iterator[Arrival]:
        """These runs; what they use and how they end is noted, and what they continue is marked."""
        arrivals = running(tasks, self._most, self._token)
        recalling: set[str | None] = set()  # whose next text is what they continue
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    if isinstance(event, Metadata) and event.continues is not None:
                        recalling.add(event.stream)
                    elif isinstance(event, Content) and event.stream in recalling:
                        recalling.remove(event.stream)
                        event.replayed = True
                    else:
                        self._note(event)
                yield arrival
        finally:
            close(arrivals)

    def _note(self, event: Event) -> None:
        if isinstance(event, Content):
            self._chunks += 1
            if self._first is None and event.stream != OUTLINE_LABEL:
                self._first = round(self._clock() - self._began, 6)
        elif isinstance(event, Error):
            self.failures[str(event.stream)] = event
        elif isinstance(event, Done):
            self._done.append(event)

    def _begin_outline(self, known: Written, token: CancelToken) -> Run:
        form = msgspec.json.encode(outline.schema(self._plan.sections)).decode()
        text = outline.question(self._plan.topic, self._plan.sections)
        its = {"schema": form, "max_tokens": None, "stop_when": None}
        return self._ask(OUTLINE, text, known, token, **its)

    def _begin_section(self, plan: Outline, number: int, known: Written, token: CancelToken) -> Run:
        text = outline.request(self._plan.topic, plan, number)
        return self._ask(number, text, known, token)

    def _ask(
        self, section: int, text: str, known: Written, token: CancelToken, **changed: object
    ) -> Run:
        resolved, reason = self._plan.resolved, known.reason
        system = resolved.settings.system
        asked = [Message("system", system)] if system else []
        question = Question(messages=(*asked, Message("user", text)))
        if known.record is not None:
            try:
                resolved, question = continuation(known.record, question.messages, self._plan.flags)
            except ChatstreamError as error:
                reason = error.message
        settings = replace(resolved.settings, **{"schema": None, "schema_multi": None, **changed})
        warnings = () if reason is None else (asked_again(reason),)
        spent = self._spent_by_now()
        begun = run(
            replace(resolved, settings=settings, warnings=warnings),
            replace(question, spent=spent, resettable=False, starts_over=True),
            self._pool,
            token,
            follow=partial(self._job.begin, section),
        )
        self._runs.append(begun)
        return begun

    def _spent_by_now(self) -> float:
        """The known cost of the document, in dollars, if that is limited."""
        ends = [it.terminal for it in self._runs]
        costs = [it.cost.run for it in ends if isinstance(it, Done) and it.cost is not None]
        return self._spent + sum(costs)

    def _end(self) -> Terminal:
        reason, failures = self._token.reason, list(self.failures.values())
        again = "run the same command again to write what is missing"
        hint = again if self._job.remembers else None
        if reason is not None:
            return Error(reason.code, reason.message, False, True, hint=hint)
        if not failures:
            duration = self._clock() - self._began
            return Done(
                finish_reason="stop",
                usage=summed(it.usage for it in self._done if it.usage is not None),
                stats=Stats(duration=round(duration, 6), chunks=self._chunks, ttft=self._first),
                attempts=1,
                cost=summed_cost(it.cost for it in self._done),
            )
        if OUTLINE_LABEL in self.failures:
            failed = failures[0]
            words = f"no outline: {failed.message}"
            ways = "try again, or give one with --outline FILE"
            return Error(failed.code, words, False, True, failed.status, failed.hint or ways)
        kinds = {it.code for it in failures} if len(failures) == self.asked else set()
        code = kinds.pop() if len(kinds) == 1 else ChatstreamError.code
        words = f"{counted(len(failures), 'section')} could not be written"
        return Error(code, words, False, True, hint=hint)


class _Missing:
    """A section that is being written. `share` says how much of it is there, from 0 to 1."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.share = 0.0
        self._pieces: list[str] = []
        self._characters = 0

    def note(self, events: Sequence[Event]) -> None:
        """What its run has brought."""
        for event in events:
            if isinstance(event, Content):
                self._pieces.append(event.delta)
                self._characters += len(event.delta.strip())
            elif voids(event):
                self._pieces.clear()
                self._characters = 0
        expected = self.section.words * _CHARACTERS_PER_WORD
        self.share = min(_UNFINISHED, self._characters / expected)

    @property
    def has_text(self) -> bool:
        """Whether the answer, which has ended, leaves anything in the document."""
        return has_text("".join(self._pieces), self.section)


_UNUSABLE = Error("invalid_answer", "the model wrote one without sections", False, True)
_EMPTY = Error("empty", NO_TEXT, False, False)


def _replayed(text: str, label: str) -> list[Event]:
    done = Done(finish_reason="stop", stats=Stats(duration=0.0, chunks=0), attempts=0)
    events: list[Event] = [Content(text), done]
    return [replace(it, stream=label, seq=at, t=0.0, replayed=True) for at, it in enumerate(events)]
