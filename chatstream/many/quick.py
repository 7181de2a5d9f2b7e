"""`ask --quick`: a quick answer to read while the detailed one is on its way.

1. Both are requested at once, and each is a run with a journal. The detailed answer is the main
   one: the conversation continues from it, only it has tools and fallbacks, only it is copied or
   saved, and it sets the exit status.
2. On a terminal, the quick answer comes first. The detailed one is held back meanwhile, and shown
   as soon as the quick one has ended.
3. The detailed answer never waits long. Once it has something to show, the quick answer is stopped
   if it pauses for `PATIENCE_SECONDS`; and in any case that long after the detailed answer is
   whole. A line says so.
4. In a pipe the detailed answer goes to standard output and the quick one to standard error, both
   as they arrive. With `--json` the events of both interleave, `stream` tells them apart, and the
   end of the detailed answer comes last.
5. A quick answer that fails costs one line and nothing else: it is not asked for again.
6. If no quick model is named, it is the first one of the strategy `speed-priority`. If no model is
   named at all, the detailed answer comes from the strategy `quality-first`, if that is defined.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.engine.pipeline import Follow, not_followed, run
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question, Run
from chatstream.engine.services import at_model, candidates, labels
from chatstream.errors import Cancelled, UsageError
from chatstream.events import Approval, Content, Done, Error, Event, Metadata, Terminal, Warn
from chatstream.flow import Arrival, close
from chatstream.merge import merge
from chatstream.sinks import sink_class
from chatstream.sinks.notes import standard_error
from chatstream.sinks.words import one_line
from chatstream.terminal import exits
from chatstream.terminal.answering import Answering
from chatstream.terminal.present import present

QUICK, DETAILED = "quick", "detailed"
"""The labels of the two runs in `stream`."""

SPEED, QUALITY = "speed-priority", "quality-first"
"""The strategies of the two where no model is named."""

PATIENCE_SECONDS = 1.0
"""How long the detailed answer waits for more of the quick one."""

_NAMING = frozenset({"model", "provider", "base_url", "strategy"})


class QuickAnswering(Answering):
    """An `Answering` that asks the model called `name` for a quick answer; "" is as in rule 6."""

    def __init__(self, arguments: Mapping[str, Any], flags: Mapping[str, Any], name: str) -> None:
        super().__init__(arguments, flags)
        self._name = name
        self._labels: list[str] = []
        self._quick: Run | None = None

    def begin(
        self, resolved: Resolved, question: Question, *, follow: Follow = not_followed
    ) -> Run:
        """The run of the detailed answer; that of the quick one begins with it."""
        detailed, quick = self._detailed(resolved, question), self._quicker(resolved)
        self._labels = labels([quick.settings, candidates(detailed.settings)[0]])
        # The quick one first: `-c` continues from the newest run.
        aside = run(quick, replace(question, resettable=False), self._pool, self.token)
        try:
            begun = super().begin(detailed, question, follow=follow)
        except BaseException:
            aside.close()
            raise
        self._quick = aside
        return begun

    def _detailed(self, resolved: Resolved, question: Question) -> Resolved:
        named = {name for name, value in self._flags.items() if value is not None}
        if resolved.role is not None:
            named |= resolved.role.settings.keys()
        settings = resolved.settings
        if self._name or question.parent or named & _NAMING or QUALITY not in settings.strategies:
            return resolved
        return replace(resolved, settings=replace(settings, strategy=QUALITY))

    def _quicker(self, resolved: Resolved) -> Resolved:
        settings = resolved.settings
        name = self._name or next(iter(settings.strategies.get(SPEED, [])), "")
        if not name:
            raise UsageError(
                "--quick does not say which model to ask",
                hint=f"use --quick MODEL[@PLACE], or define the strategy {SPEED}",
            )
        its = at_model(settings, name)
        its = replace(its, strategy=None, fallback=[], retries=0, on_drop="continue")
        origins = resolved.origins
        if its.base_url != settings.base_url:  # it stands in the name
            origins = {**origins, "base_url": "--model"}
        return replace(resolved, settings=its, origins=origins, warnings=())

    def present(self, arrivals: Iterator[Arrival]) -> int:
        """Show both; returns the exit status of the detailed one."""
        if self._quick is None:  # neither could begin
            return super().present(arrivals)
        both = Both(self._quick, arrivals, self.token)
        with contextlib.closing(both):
            if self._arguments["as_json"]:
                return super().present(both.interleaved())
            quick, detailed = self._labels
            exits.tell(f"quick · {quick}")
            if not os.isatty(1):
                return super().present(both.beside())
            self._present_quick(both.first())
            if both.is_stopped:
                exits.warn([_STOPPED.message])
            exits.tell(f"\ndetailed · {detailed}")
            return super().present(both.second())

    def _present_quick(self, arrivals: Iterator[Arrival]) -> None:
        """Its end notifies nobody, and nothing of it is copied."""
        settings = replace(self.settings, notify="none")
        present(arrivals, settings, self.token, as_json=False, plain=self._plain, copying=None)


class Both:
    """The arrivals of both runs. `token` is that of the command.

    They are read by `interleaved`, by `beside`, or by `first` and then `second`.
    """

    def __init__(
        self,
        quick: Run,
        detailed: Iterator[Arrival],
        token: CancelToken,
        clock: Clock = monotonic,
    ) -> None:
        self._quick = quick
        self._merged = merge({QUICK: quick.arrivals, DETAILED: detailed})
        self._token = token
        self._clock = clock
        self._kept: list[Arrival] = []  # of the detailed answer, not shown yet
        self._has_text = False  # the quick one
        self._has_ended = False
        self.is_stopped = False  # the quick one, by us
        self._is_whole = False  # the detailed one
        self._patience: Deadline | None = None  # once the detailed one has something to show

    def close(self) -> None:
        """Stop what has not ended, and wait for that. Idempotent."""
        close(self._merged)

    def interleaved(self) -> Iterator[Arrival]:
        """Everything as it arrives; the end of the detailed answer comes last."""
        end: list[Event] = []
        for arrival in self._noted():
            if arrival.stream == DETAILED and _end_of(arrival) is not None:
                end.append(arrival.events.pop())
            yield arrival
        yield Arrival(end, stream=DETAILED)

    def beside(self) -> Iterator[Arrival]:
        """The detailed answer; the quick one goes to standard error meanwhile."""
        line = _Line()
        sink = sink_class("plain")(line, line, terminal=True, reasoning=False, stats=False)
        with contextlib.closing(line), contextlib.closing(sink):
            for arrival in self._noted():
                if arrival.stream == QUICK:
                    sink.write(self._told(arrival))
                    continue
                if any(not isinstance(it, Content | Metadata) for it in arrival.events):
                    line.close()  # a note may follow
                yield arrival

    def first(self) -> Iterator[Arrival]:
        """The quick answer, until it has ended or is stopped."""
        for arrival in self._noted():
            if arrival.stream == QUICK:
                yield self._told(arrival)
            elif arrival.events:
                self._kept.append(arrival)
            if self._has_ended or self.is_stopped:  # its end is not waited for
                return

    def second(self) -> Iterator[Arrival]:
        """The detailed answer."""
        yield from self._kept
        yield from (arrival for arrival in self._merged if arrival.stream == DETAILED)

    def _noted(self) -> Iterator[Arrival]:
        for arrival in self._merged:
            self._note(arrival)
            patience = self._patience
            if patience and patience.passed and not (self._has_ended or self._token.cancelled):
                self.is_stopped = True
                self._quick.cancel(Cancelled("the detailed answer is here"))
            yield arrival

    def _note(self, arrival: Arrival) -> None:
        end = _end_of(arrival)
        if arrival.stream == QUICK:
            self._has_ended = self._has_ended or end is not None
            if any(isinstance(event, Content) for event in arrival.events):
                self._has_text = True
                if self._patience and not self._is_whole:
                    self._patience = Deadline(PATIENCE_SECONDS, self._clock)
        elif isinstance(end, Done) or (
            self._patience is None and any(isinstance(it, _SHOWN) for it in arrival.events)
        ):
            self._is_whole = isinstance(end, Done)
            self._patience = Deadline(PATIENCE_SECONDS, self._clock)

    def _told(self, arrival: Arrival) -> Arrival:
        """What a person is shown of the quick answer: of a failure no more than one line."""
        end = _end_of(arrival)
        if isinstance(end, Error) and not self._token.cancelled:
            words = "the quick answer broke off" if self._has_text else "there is no quick answer"
            failure = replace(end, message=f"{words}: {one_line(end.message)}", status=None)
            arrival.events[-1] = (
                _STOPPED if self.is_stopped else replace(failure, hint=None, resume=None)
            )
        return arrival


class _Line:
    """Standard error, for a text whose line a note may end."""

    def __init__(self) -> None:
        self._is_open = self._was_ended = False

    def write(self, data: bytes) -> None:
        """Write some of the text."""
        if not (self._was_ended and data == b"\n"):  # that end is there
            standard_error().write(data)
        self._is_open, self._was_ended = not data.endswith(b"\n"), False

    def close(self) -> None:
        """End the line."""
        if self._is_open:
            self.write(b"\n")
            self._was_ended = True


_SHOWN = Content | Approval
_STOPPED = Warn("stopped", "the quick answer was stopped because the detailed one is here")


def _end_of(arrival: Arrival) -> Terminal | None:
    last = arrival.events[-1] if arrival.events else None
    return last if isinstance(last, Terminal) else None
