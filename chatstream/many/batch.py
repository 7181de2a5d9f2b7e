"""Many requests answered side by side: results in the order of the input, in bounded memory.

1. Each request is sent once, by an ordinary run. `begun` gets the id of the run before anything is
   sent. If that run has finished in an earlier process, the answer is taken from its journal.
2. Results come in the order of the requests, unless any order will do. An answer that waits for its
   turn is kept in memory if all of them are small, and otherwise read from its journal again.
3. A failed request is a result, too. A failure that every other request would share ends the batch
   (`stopped`): a refused key or account, a server that does not answer, a mistake in the settings,
   too long a wait, the cost limit. Such a failure makes no result. No more requests are sent, and
   the running ones are finished and become results.
4. If the token is cancelled, running requests end at once without a result.

The lanes' threads take requests and read runs; everything else happens on the consumer's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.engine.run import Run
from chatstream.errors import Cancelled, ChatstreamError, class_of
from chatstream.events import Content, Done, Error, Event, Terminal, Warn, voids
from chatstream.flow import Arrival, close, only_content
from chatstream.many.files import Begun, Failure, Result
from chatstream.many.gate import Gates
from chatstream.many.requests import Request
from chatstream.many.run import Task, running
from chatstream.messages import Image
from chatstream.readahead import PARTS
from chatstream.store.place import runs_folder
from chatstream.store.reading import find, read

HELD_BYTES = 8 * 1024 * 1024
"""Of answers that wait for their turn; more are in their journals only."""

Ask = Callable[[Request, float, CancelToken], Run]
"""Begins the run of a request; the number is what the batch has cost so far, in dollars."""

MOST_UNREACHED = 3
"""Requests in a row that reached no server or no right one, after which nothing more is asked."""

_OF_ALL = frozenset({"settings", "rate_limited"})
"""Codes of warnings that are not about one answer; standard error tells them."""

_SHARED = frozenset({"auth", "config", "max_cost"})
"""Failures that every other request shares, unless this one names a server of its own."""


class Spoke(Event):
    """Signal: the run has its first token."""


class Ended(Event):
    """Signal: the run has ended. `unsaved` is the warning that its journal cannot be written."""

    result: Result
    unsaved: str | None = None


class Tally(msgspec.Struct):
    """What has become of the requests so far. `tokens` were written, `cost` is in dollars.

    `cost_unknown` counts answers, also broken ones, whose cost nobody has told. `found`: whole
    answers of an earlier process that had not been written.
    """

    answered: int = 0
    failed: int = 0
    found: int = 0
    tokens: int = 0
    cost: float = 0.0
    cost_unknown: int = 0


class Batch:
    """One batch. `ask` begins a run, `most` of which are under way at once."""

    def __init__(
        self,
        ask: Ask,
        gates: Gates,
        token: CancelToken,
        *,
        most: int,
        in_order: bool = True,
        fail_fast: bool = False,
        keeps: bool = True,
        begun: Begun | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self.tally = Tally()
        self.stopped: Failure | None = None
        self.unsaved: str | None = None  # the first warning that a journal cannot be written
        self.is_ending = False  # nothing more is taken, though there may be more
        self.first_found: tuple[Request, str] | None = None  # with the run of its answer
        self._ask = ask
        self._gates = gates
        self._token = token
        self._most = most
        self._in_order = in_order
        self._fail_fast = fail_fast
        self._keeps = keeps  # answers are in their journals
        self._begun = begun
        self._clock = clock
        self._asked: dict[str, Request] = {}  # by their label; those under way
        self._spoke: set[str] = set()  # of these
        self._turns: deque[int] = deque()  # the indices of what was taken, in order
        self._ready: dict[int, Result | None] = {}  # that wait for their turn; None: no result
        self._sizes: dict[int, int] = {}  # of those that are held
        self._held = 0
        self._unreached = 0  # in a row
        self._arrived: deque[Result] = deque()  # without a run, from the lanes

    @property
    def under_way(self) -> tuple[int, int]:
        """How many runs there are at the moment, and how many of them have their first token."""
        return len(self._asked), len(self._spoke)

    def results(self, requests: Iterable[Request | None]) -> Generator[Result | None, None, None]:
        """The results as they come; None several times a second."""
        token, untie = self._token.child()
        arrivals = running(self._tasks(requests, token), self._most, token, self._read, PARTS)
        try:
            for arrival in arrivals:
                self._heed(arrival)
                yield from self._due()
                yield None
            yield from self._due()
        finally:
            token.cancel(Cancelled("closed"))
            untie()
            close(arrivals)

    # ---- the lanes' threads

    def _tasks(
        self, requests: Iterable[Request | None], token: CancelToken
    ) -> Iterator[Task | None]:
        for request in requests:
            if self.is_ending or token.cancelled:
                return
            if request is None:
                yield None
                continue
            self._turns.append(request.index)
            found = _without_asking(request, self._begun)
            if found is not None:
                if found.run is not None:
                    self.first_found = self.first_found or (request, found.run)
                elif self._fail_fast:
                    self.is_ending = True  # before another lane takes the next
                self._arrived.append(found)
                yield None  # so that the consumer looks, also after the last run
                continue
            label = str(request.index)
            self._asked[label] = request
            yield Task(label, partial(self._ask, request, self.tally.cost))

    def _read(self, task: Task, run: Run) -> Iterator[Arrival]:
        """Reads a run; passes on that it speaks, that it has ended, and heartbeats."""
        request = self._asked[task.label]
        has_begun = bool(run.question.messages)
        if self._begun is not None and has_begun:
            try:
                self._begun.note(request.key, run.id)
            except ChatstreamError:  # it ends this lane, and the others are to end too
                self.is_ending = True
                raise
        parts: list[str] = []
        warnings: dict[str, list[str]] = {}  # by their codes
        terminal: Terminal | None = None
        spoke, looked = False, self._clock()
        for arrival in run.arrivals:
            if text := only_content(arrival.events):
                parts.append(text)
            else:
                for event in arrival.events:
                    if type(event) is Content:
                        parts.append(event.delta)
                    elif isinstance(event, Terminal):
                        terminal = event
                    elif type(event) is Warn:
                        warnings.setdefault(event.code, []).append(event.message)
                    elif voids(event):
                        parts.clear()
            now = self._clock()
            if parts and not spoke:
                spoke, looked = True, now
                yield Arrival([Spoke()])
            elif now - looked >= POLL_SECONDS:
                looked = now
                yield Arrival()
        assert terminal is not None, "every run has its terminal event"
        if self._fail_fast and isinstance(terminal, Error):
            self.is_ending = True  # before this lane takes the next
        name = run.id if has_begun else None
        result = result_of(request, name, "".join(parts), terminal)
        unsaved = next(iter(warnings.pop("journal", [])), None)
        result.warnings = [
            it for code, its in warnings.items() if code not in _OF_ALL for it in its
        ]
        yield Arrival([Ended(result=result, unsaved=unsaved)])

    # ---- the consumer's thread

    def _heed(self, arrival: Arrival) -> None:
        assert arrival.stream is not None
        for event in arrival.events:
            if isinstance(event, Spoke):
                self._spoke.add(arrival.stream)
            elif isinstance(event, Ended):
                self._spoke.discard(arrival.stream)
                self.unsaved = self.unsaved or event.unsaved
                kept = self._keeps and event.unsaved is None
                self._end(self._asked.pop(arrival.stream), event.result, kept=kept)
        while self._arrived:
            result = self._arrived.popleft()
            self.tally.found += result.error is None
            self._keep(result, kept=result.run is not None)

    def _end(self, request: Request, result: Result, *, kept: bool) -> None:
        failure = result.error
        lost = failure is not None and failure.code in ("connect", "protocol")
        self._unreached = self._unreached + 1 if lost else 0
        if failure is not None and issubclass(class_of(failure.code), Cancelled):
            self._ready[result.index] = None
        elif failure is not None and self._is_shared(request, failure):
            self.stopped = self.stopped or failure
            self.is_ending = True
            self._ready[result.index] = None
        else:
            self._keep(result, kept=kept)

    def _keep(self, result: Result, *, kept: bool) -> None:
        """Count a result, and hold it until its turn. `kept`: it is in its journal, too."""
        tally = self.tally
        if result.error is not None:
            tally.failed += 1
        else:
            tally.answered += 1
            tally.cost += result.cost or 0.0
            tally.tokens += (result.usage.output_tokens or 0) if result.usage else 0
        tally.cost_unknown += result.cost is None and result.ttft is not None
        self._ready[result.index] = result
        size = len(result.content or "")
        if result.content is None or self._held + size <= HELD_BYTES or not kept:
            self._sizes[result.index] = size
            self._held += size
        else:
            result.content = None

    def _is_shared(self, request: Request, failure: Failure) -> bool:
        """Whether every other request would fail like this."""
        refusal = self._gates.refusal
        if refusal is not None and refusal.code == failure.code:
            return True
        begun = self.tally.answered > 0
        match failure.code:
            case "connect":
                return not begun or self._unreached >= MOST_UNREACHED
            case "protocol":  # the server speaks another one
                return not begun and self._unreached >= MOST_UNREACHED
            case "usage":  # of the batch, not of this line or its images
                return not begun and not request.settings and not _has_images(request)
            case code:
                return code in _SHARED and "@" not in str(request.settings.get("model"))

    def _due(self) -> Iterator[Result]:
        """The results whose turn it is."""
        if not self._in_order:
            self._turns.clear()
            for index in sorted(self._ready):
                yield from self._out(index)
            return
        while self._turns and self._turns[0] in self._ready:
            yield from self._out(self._turns.popleft())

    def _out(self, index: int) -> Iterator[Result]:
        result = self._ready.pop(index)
        if result is None:
            return
        if index in self._sizes:
            self._held -= self._sizes.pop(index)
        else:
            result = _read_again(result)
        yield result


def result_of(request: Request, run: str | None, content: str, terminal: Terminal) -> Result:
    """What the run of a request came to."""
    stats = terminal.stats
    result = Result(
        id=request.id,
        index=request.index,
        run=run,
        ttft=stats.ttft if stats else None,
        duration=stats.duration if stats else None,
        key=request.key,
    )
    if isinstance(terminal, Error):
        result.error = Failure(terminal.code, terminal.message, terminal.status, terminal.hint)
        return result
    result.content = content
    result.finish_reason = terminal.finish_reason
    result.usage = terminal.usage
    result.cost = terminal.cost.run if terminal.cost else None
    result.attempts = terminal.attempts
    return result


def _has_images(request: Request) -> bool:
    return any(isinstance(part, Image) for message in request.messages for part in message.parts)


def _without_asking(request: Request, begun: Begun | None) -> Result | None:
    """The result of a request that need not be asked, or cannot be; else None."""
    if request.wrong is not None:
        error = Failure("usage", request.wrong)
        return Result(id=request.id, index=request.index, error=error, key=request.key)
    run = begun.run_of(request.key) if begun is not None else None
    if run is None:
        return None
    try:
        record = read(find(runs_folder(), run))
    except ChatstreamError:  # it has expired, or is damaged
        return None
    if not isinstance(record.terminal, Done) or not record.finished:
        return None
    return result_of(request, run, record.message.content, record.terminal)


def _read_again(result: Result) -> Result:
    """An answer that is only in the journal of its run."""
    assert result.run is not None
    try:
        result.content = read(find(runs_folder(), result.run)).message.content
    except ChatstreamError as error:
        result.error = Failure(error.code, error.message)
    return result
