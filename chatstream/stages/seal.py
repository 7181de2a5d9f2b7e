"""The last stage: numbers and times for every event, and exactly one terminal event.

1. It opens the run with a `metadata` event before anything is asked.
2. Whatever ends the events (a finish, a failure, a cancel, a mistake of ours) becomes one `done`
   or one `error`. Nothing comes after it; the source is closed before it is out.
3. `seq` and `t` are given here. `t` is the time the event was received, if its maker noted it,
   and never goes back.
4. A run that continues another begins with the events of that one, so that its own `content` deltas
   are the whole answer. Figures are about what is new.
5. A warning before the end reports an answer that nobody would see: a whole run without text,
   image or tool call, or images that nobody keeps.
6. With tools a run has several responses, each over once the fate of one of its calls comes. What
   starts over later starts over from there. The pace is that of the responses, without the tools.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.errors import ChatstreamError, Truncated, mistake
from chatstream.events import (
    Content,
    Cost,
    Counts,
    Done,
    Error,
    Event,
    Fate,
    Image,
    Metadata,
    Reasoning,
    Retry,
    Stats,
    Terminal,
    ToolCall,
    ToolCallDelta,
    Warn,
    voids,
)
from chatstream.flow import Arrival, Finish, Stage, close
from chatstream.redact import redact_event
from chatstream.transcript import UsageSum
from chatstream.wording import bounded

if TYPE_CHECKING:
    from chatstream.readahead import Pressure

log = logging.getLogger(__name__)

Redact = Callable[[str], str]
Ended = Callable[[Terminal], None]

_MAX_LISTED_IMAGES = 3
"""Images that a warning describes one by one."""


def seal(
    opening: Metadata,
    token: CancelToken,
    *,
    earlier: Sequence[Event] = (),
    resume: Callable[[], str | None] = lambda: None,
    pressure: Pressure | None = None,
    keeps_images: bool = False,
    calls_resume: bool = False,
    cost: Callable[[], Cost | None] = lambda: None,
    redact: Redact = str,
    ended: Ended = lambda _: None,
    clock: Clock = monotonic,
) -> Stage:
    """The stage for one run. `redact` masks secrets in the words of errors and warnings.

    `earlier` are the events of the answer that this run continues, and `resume` the command that
    would continue what this run leaves unfinished, if any; after calls of tools only if
    `calls_resume`. `keeps_images`: somebody saves or shows them. `cost` returns the cost of the
    run at its end. `ended` is called with the terminal event before anyone sees it.
    """
    return lambda events: _Seal(
        opening,
        token,
        earlier,
        resume,
        pressure,
        keeps_images,
        calls_resume,
        cost,
        redact,
        ended,
        clock,
    ).run(events)


class _Seal:
    def __init__(
        self,
        opening: Metadata,
        token: CancelToken,
        earlier: Sequence[Event],
        resume: Callable[[], str | None],
        pressure: Pressure | None,
        keeps_images: bool,
        calls_resume: bool,
        cost: Callable[[], Cost | None],
        redact: Redact,
        ended: Ended,
        clock: Clock,
    ) -> None:
        self._opening = opening
        self._token = token
        self._earlier = earlier
        self._resume = resume
        self._pressure = pressure
        self._keeps_images = keeps_images
        self._calls_resume = calls_resume
        self._cost = cost
        self._redact = redact
        self._ended = ended
        self._clock = clock
        self._began = clock()
        self._seq = 0
        self._t = 0.0  # of the last event, in seconds since the run began
        self._attempts = 1  # of the response under way
        self._chunks = 0
        self._first: float | None = None
        self._last = 0.0
        self._partial = False
        self._tools = False
        self._answered = False  # there is something to see
        self._thought = False
        self._images: list[tuple[str, bool]] = []  # what each is, and whether its data came
        self._rounds = _Rounds()
        self._begun_at: float | None = None  # the first token of the response under way
        self._joined = False  # the answer of several attempts, each with its own usage
        self._usage = UsageSum()

    def run(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        yield Arrival(self._begun(), connected=False)
        terminal: Done | Error
        try:
            finish: Finish | None = None
            for arrival in arrivals:
                events = arrival.events
                if events:
                    if type(last := events[-1]) is Finish:
                        finish = last
                        events.pop()
                    self._stamp(arrival)
                yield arrival
                if finish is not None:
                    break
            if finish is None:
                raise Truncated("the stream ended without a final event")
            terminal = self._done(finish)
        except ChatstreamError as error:
            terminal = self._error(self._token.reason or error)
        except Exception as error:
            log.debug("an internal error", exc_info=True)
            terminal = self._error(self._token.reason or mistake(error))
        finally:
            try:
                close(arrivals)
            except Exception:  # how the run ended is decided; this changes nothing
                log.debug("the source failed while it was closed", exc_info=True)
        self._ended(terminal)
        end = [self._numbered(event) for event in (*self._unseen(terminal), terminal)]
        yield Arrival(end)

    def _begun(self) -> list[Event]:
        """What a run begins with."""
        for event in self._earlier:
            if isinstance(event, Content):
                self._partial = True
                self._answered = self._answered or not event.delta.isspace()
            elif isinstance(event, Reasoning):
                self._thought = True
            elif isinstance(event, ToolCall):
                self._partial = self._tools = True
            elif isinstance(event, Fate):
                self._end_round()
        return [self._numbered(event) for event in (self._opening, *self._earlier)]

    def _stamp(self, arrival: Arrival) -> None:
        """Every token comes along here: the events of one arrival share its time."""
        self._advance(arrival.t)
        t, seq = self._t, self._seq
        early = self._first is None or not self._answered
        for event in arrival.events:
            event.t = t
            event.seq = seq
            seq += 1
            if type(event) is Content or type(event) is Reasoning:
                self._chunks += 1
                self._last = t
                if early:
                    self._begin(event)
            else:
                self._note(event)
        self._seq = seq

    def _numbered(self, event: Event) -> Event:
        self._advance(-1.0)
        event.t = self._t
        event.seq = self._seq
        self._seq += 1
        return event

    def _advance(self, received: float) -> None:
        """The time of the next event; -1 is now."""
        now = received if received >= 0 else self._clock()
        self._t = max(self._t, round(now - self._began, 6))

    def _begin(self, event: Event) -> None:
        """One of the first tokens: of all, of the answer itself, and of what can be seen of it."""
        self._first = self._t if self._first is None else self._first
        self._begun_at = self._t if self._begun_at is None else self._begun_at
        if isinstance(event, Content):
            self._partial = True
            self._answered = self._answered or not event.delta.isspace()
        elif isinstance(event, Reasoning):
            self._thought = True
        else:
            self._partial = self._answered = True

    def _note(self, event: Event) -> None:
        if isinstance(event, ToolCallDelta | ToolCall):
            self._tools = True
            self._begin(event)
            self._last = self._t
            return
        if isinstance(event, Fate):
            self._end_round()
        elif voids(event):
            self._restart()
        self._usage.add(event)
        if isinstance(event, Image):
            self._images.append((" ".join(event.label.split()), bool(event.data)))
            self._begin(event)
            self._last = self._t
        elif isinstance(event, Retry):
            redact_event(event, self._redact)
            self._attempts = event.attempt
            self._joined = event.action == "continue"
        elif isinstance(event, Metadata):
            self._attempts = event.attempt or self._attempts
        else:
            redact_event(event, self._redact)
            if isinstance(event, Warn):
                self._answered = self._answered or event.code == "refusal"  # its words are there

    def _restart(self) -> None:
        """What came before is dropped, as every transcript drops it."""
        settled = self._rounds.any
        self._partial, self._tools, self._joined = settled, settled, False
        self._answered, self._thought = False, False
        self._first = self._first if settled else None
        self._begun_at = None
        del self._images[self._rounds.images :]

    def _end_round(self) -> None:
        """The response before this is whole, and nothing voids it any more."""
        rounds = self._rounds
        rounds.any, rounds.images = True, len(self._images)
        rounds.attempts += self._attempts - 1
        self._attempts = 1
        if self._begun_at is not None:
            rounds.seconds += self._last - self._begun_at
            rounds.responses += 1
        self._begun_at = None
        self._answered = self._thought = False

    def _unseen(self, terminal: Done | Error) -> Iterator[Warn]:
        """What the user should know of an answer that is not to be seen."""
        if self._images and not self._keeps_images:
            yield Warn("image", self._redact(_not_shown(self._images)))
        if not isinstance(terminal, Done) or self._answered:
            return
        if self._rounds.any and terminal.finish_reason == "tool_calls":
            return  # a dry run
        if not self._thought:
            yield Warn("no_answer", "the model wrote no answer")
        elif terminal.finish_reason == "length":
            thought = "the model used up the token limit with thinking and wrote no answer"
            yield Warn("no_answer", f"{thought}; a larger --max-tokens leaves room for one")
        else:
            thought = "the model only thought and wrote no answer"
            yield Warn("no_answer", f"{thought}; --reasoning show prints its thinking")

    def _done(self, finish: Finish) -> Done:
        usage = self._usage.total
        counts = None
        if usage is not None:
            counts = Counts(*(getattr(usage, name) for name in Counts.__struct_fields__))
        return Done(
            finish_reason=finish.reason,
            raw_finish_reason=finish.raw,
            usage=counts,
            stats=self._stats(finish),
            attempts=self._rounds.attempts + self._attempts,
            cost=self._cost(),
        )

    def _stats(self, finish: Finish | None) -> Stats:
        usage = self._usage.total
        tokens = usage.output_tokens if usage and not self._joined else None
        server = finish.server if finish and not self._rounds.any else None
        seconds, responses = self._rounds.seconds, self._rounds.responses
        if self._begun_at is not None:
            seconds += self._last - self._begun_at
            responses += 1
        rate = None
        if server is not None and server.generation and tokens:
            rate = tokens / server.generation
        elif seconds > 0 and (number := tokens or self._chunks) > responses:
            rate = (number - responses) / seconds  # the first token opens the interval
        pressure = self._pressure
        return Stats(
            duration=round(self._clock() - self._began, 6),
            chunks=self._chunks,
            ttft=self._first,
            tokens_per_second=round(rate, 2) if rate else None,
            server=server,
            pauses=pressure.pauses if pressure else 0,
            dropped=pressure.dropped if pressure else 0,
            peak_bytes=pressure.peak_bytes if pressure else 0,
        )

    @property
    def _may_resume(self) -> bool:
        return self._calls_resume or not self._tools

    def _resume_of(self, error: ChatstreamError) -> str | None:
        """The command that would continue this run, if there is one."""
        if error.over or not (self._partial and self._may_resume):
            return None
        if (command := self._resume()) is None:
            return None
        return f"{command} {error.resume_options}".rstrip()

    def _error(self, error: ChatstreamError) -> Error:
        return Error(
            error.code,
            bounded(self._redact(error.message)),
            recoverable=error.retryable,
            partial=self._partial,
            status=error.status,
            hint=self._redact(error.hint) if error.hint else None,
            resume=self._resume_of(error),
            request_id=error.request_id,
            stats=self._stats(None),
        )


class _Rounds(msgspec.Struct):
    """The responses whose calls were seen to."""

    any: bool = False
    attempts: int = 0  # beyond the first of each
    responses: int = 0
    seconds: float = 0.0  # in which they were written
    images: int = 0  # that came with them


def _not_shown(images: Sequence[tuple[str, bool]]) -> str:
    """What to say of images that are neither shown nor saved."""
    labels = [label for label, _ in images[:_MAX_LISTED_IMAGES]]
    listed = "; ".join([*labels, *(["…"] if len(images) > _MAX_LISTED_IMAGES else [])])
    one = len(images) == 1
    what = "an image that is not shown" if one else f"{len(images)} images that are not shown"
    text = f"the answer contains {what} ({listed})"
    if not any(has_data for _, has_data in images):
        return text
    return f"{text}; --save-images DIR saves {'it' if one else 'them'}"
