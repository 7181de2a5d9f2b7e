"""`chatstream batch`, from its arguments to its exit status; and `chatstream.batch`.

1. With an output file, the batch can be run again: prompts that have a line there are not sent.
   Standard output gets a line for every prompt, and nothing is remembered.
2. Progress goes to standard error: a bar on a terminal, otherwise a line now and then. Every
   failure has a line in the output; the first few are also shown on standard error. So is the first
   id that two lines have.
3. Exit status: 0 all answered, 1 some failed, 3 stopped by a refusal or a quota, 130 Ctrl+C;
   otherwise the status of the failure that stopped the batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.collector import settle
from chatstream.engine.options import checked, parted
from chatstream.engine.place import START, resolved_at
from chatstream.engine.pool import Pool
from chatstream.engine.prompts import Prompt, messages_of
from chatstream.engine.resolve import Resolved
from chatstream.engine.services import is_local
from chatstream.errors import ChatstreamError, Refused, UsageError, class_of
from chatstream.many import inputs
from chatstream.many.asking import Asker
from chatstream.many.batch import Batch
from chatstream.many.files import Begun, Output, Result, encoded
from chatstream.many.gate import Gates
from chatstream.many.repeated import Ids
from chatstream.many.reporting import Reporter
from chatstream.many.requests import Request, requests_of
from chatstream.sinks.output import put
from chatstream.store.place import runs_folder
from chatstream.store.reading import find, read
from chatstream.terminal import exits
from chatstream.terminal.present import tidy
from chatstream.wording import excerpt

MOST = 3
"""Runs at once, unless the user says otherwise."""


class Wanted(msgspec.Struct, frozen=True):
    """The options of the command, besides the settings."""

    source: str
    out: Path | None
    template: str | None
    jobs: int
    unordered: bool
    retry_failed: bool
    fail_fast: bool
    rpm: int | None
    tpm: int | None


def wanted(arguments: Mapping[str, Any]) -> Wanted:
    """What these arguments ask for."""
    return Wanted(**{name: arguments[name] for name in Wanted.__struct_fields__})


def run(wanted: Wanted, flags: Mapping[str, Any], token: CancelToken) -> int:
    """Answer the file; returns the exit status. Raises a `ChatstreamError` if it cannot begin."""
    if wanted.retry_failed and wanted.out is None:
        raise UsageError("--retry-failed needs the output of an earlier batch", hint="give --out")
    resolved = resolved_at(START, flags)
    exits.warn(resolved.warnings)
    with contextlib.ExitStack() as stack:
        output = begun = None
        total = inputs.count(wanted.source, wanted.template, token)
        lines = inputs.lines_of(wanted.source, wanted.template, token)
        if wanted.out is not None:
            _check_other(wanted.source, wanted.out)
            output = stack.enter_context(contextlib.closing(Output(wanted.out)))
        if output is not None and resolved.settings.journal:
            begun = stack.enter_context(contextlib.closing(Begun(output)))
        gates, pool = _gates(resolved, wanted.rpm, wanted.tpm)
        stack.callback(pool.close)
        asker = Asker(resolved, pool)
        batch = Batch(
            asker,
            gates,
            token,
            most=wanted.jobs,
            in_order=not wanted.unordered,
            fail_fast=wanted.fail_fast,
            keeps=resolved.settings.journal,
            begun=begun,
        )
        plan = _Plan(requests_of(lines), output, asker, retry_failed=wanted.retry_failed)
        waits = "queued" if is_local(resolved.settings) else "waiting"
        quiet = resolved.settings.accessible
        reporter = Reporter(batch, gates, total, waits=waits, quiet=quiet)
        try:
            with reporter.shown(), contextlib.closing(batch.results(plan)) as results:
                for result in results:
                    if result is not None:
                        output.write(result) if output is not None else put(encoded(result))
                    reporter.look(result, plan.before)
                    reporter.warn(plan.repeated)
                    if any(batch.under_way):
                        settle()
        except BrokenPipeError:  # the reader of standard output has seen enough
            return 0
        is_whole = not batch.is_ending and not token.cancelled
        if output is not None and is_whole:
            output.tidy(plan.keys)
            if begun is not None:
                begun.remove()
        reporter.warn(plan.repeated)  # no result may have come after it
        failed = batch.tally.failed + plan.failed_before
        reporter.conclude(wanted.out, plan.before, failed, token)
        if plan.differs is not None:
            option = plan.differs.replace("_", "-")
            was = f"answers in {wanted.out} were asked with another --{option}, and are kept"
            exits.warn([f"{was}; for new ones, name another file with --out"])
    if not token.cancelled:
        tidy(resolved.settings)
    return _status(batch, failed, token)


def results(
    prompts: Iterable[Prompt],
    options: Mapping[str, Any],
    *,
    most: int,
    in_order: bool,
    rpm: int | None,
    tpm: int | None,
    token: CancelToken | None,
) -> Iterator[Result]:
    """The answers to these prompts, as `chatstream.batch` says."""
    given, tools = parted(checked(options))
    if tools.tools or tools.approve or tools.execute or given.get("tools"):
        raise UsageError("a batch cannot call tools", hint="leave out tools, approve and execute")
    token = token or CancelToken()
    resolved = resolved_at(START, given)
    gates, pool = _gates(resolved, rpm, tpm)
    batch = Batch(
        Asker(resolved, pool),
        gates,
        token,
        most=most,
        in_order=in_order,
        keeps=resolved.settings.journal,
    )
    with contextlib.closing(pool), contextlib.closing(batch.results(_requests(prompts))) as found:
        yield from (it for it in found if it is not None)
    token.check()
    if (why := batch.stopped) is not None:
        error = ChatstreamError.__new__(class_of(why.code))
        ChatstreamError.__init__(error, why.message, hint=why.hint, status=why.status)
        raise error


class _Plan:
    """The requests that have to be asked. `keys` are those of all requests, in their order.

    `differs` is an option that is another one than for the first answer that was there. `repeated`
    is a warning of the first two lines that give themselves the same id.
    """

    def __init__(
        self,
        requests: Iterator[Request | None],
        output: Output | None,
        asker: Asker,
        *,
        retry_failed: bool,
    ) -> None:
        self.keys: list[str] = []
        self.before = 0  # had their lines
        self.failed_before = 0  # of these, and are not asked again
        self.differs: str | None = None
        self.repeated: str | None = None
        self._ids = Ids()
        self._requests = requests
        self._output = output
        self._asker = asker
        self._retry_failed = retry_failed

    def __iter__(self) -> Iterator[Request | None]:
        for request in self._requests:
            if request is not None and self.repeated is None and request.id != request.key:
                self._look_for_another(request)
            if request is None or self._output is None:
                yield request
                continue
            self.keys.append(request.key)
            place = self._output.places.get(request.key)
            if place is None or (place.failed and self._retry_failed):
                yield request
            else:
                if not self.before:
                    self._compare(request, self._output)
                self.before += 1
                self.failed_before += place.failed

    def _look_for_another(self, request: Request) -> None:
        """Whether an earlier line has the id that this one gives itself."""
        if (first := self._ids.first(request.id, request.number)) != request.number:
            name = excerpt(request.id, 60)
            lines = f"lines {first} and {request.number} have the same id {name!r}"
            self.repeated = f"{lines}; only index and key tell their answers apart"
            self._ids = Ids()  # one warning is enough

    def _compare(self, request: Request, output: Output) -> None:
        with contextlib.suppress(ChatstreamError):  # its journal has expired
            if request.wrong is None and (run := output.run_of(request.key)) is not None:
                record = read(find(runs_folder(), run))
                if record.asked is not None:
                    self.differs = self._asker.differs(request, record.asked)


def _requests(prompts: Iterable[Prompt]) -> Iterator[Request]:
    for index, prompt in enumerate(prompts):
        name = str(index)
        try:
            yield Request(index, index + 1, name, name, tuple(messages_of(prompt)))
        except UsageError as error:
            why = f"prompt {index + 1}: {error.message}"
            yield Request(index, index + 1, name, name, wrong=why)


def _gates(resolved: Resolved, rpm: int | None, tpm: int | None) -> tuple[Gates, Pool]:
    gates = Gates(pause=resolved.settings.retry_delay or 1.0, rpm=rpm, tpm=tpm)
    return gates, Pool(gates)


def _check_other(source: str, out: Path) -> None:
    with contextlib.suppress(OSError):
        if source != inputs.STDIN and Path(source).samefile(out):
            raise UsageError(
                "the input and the output are the same file", hint="give another --out"
            )


def _status(batch: Batch, failed: int, token: CancelToken) -> int:
    if token.reason is not None:
        return token.reason.exit_status
    if batch.stopped is not None:
        kind = class_of(batch.stopped.code)
        return Refused.exit_status if batch.stopped.code == "rate_limited" else kind.exit_status
    return 1 if failed else 0
