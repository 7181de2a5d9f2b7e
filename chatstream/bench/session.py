"""A benchmark from end to end: the runs, and what is shown and kept after each of them.

1. After each run the files are rewritten, so that whatever ends the benchmark leaves what was
   measured. While other streams are open this happens only once in a while: it takes milliseconds.
2. Standard output is for the result: one screen; or with `--json` events as everywhere, the last of
   which is the `result`; or the export that was requested with `-`, and then the screen goes to
   standard error. Progress goes to standard error, and only to a terminal.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream import __version__
from chatstream.bench import export, saved
from chatstream.bench.definitions import DEFINITIONS
from chatstream.bench.gates import Condition, check
from chatstream.bench.metrics import summed, throughput
from chatstream.bench.painting import painted
from chatstream.bench.plan import Plan, share_done
from chatstream.bench.report import screen
from chatstream.bench.result import OK, RESULT_VERSION, Arm, Result, Sample
from chatstream.bench.run import Run
from chatstream.bench.steal import Steal
from chatstream.bench.verdict import (
    client_of,
    compare_arms,
    compare_results,
    exit_status,
)
from chatstream.cancel import CancelToken
from chatstream.clock import monotonic
from chatstream.engine.measuring import Measuring
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError
from chatstream.events import Event, Metadata, Progress, new_run
from chatstream.progressing import Meter
from chatstream.redact import redact
from chatstream.sinks.notes import standard_error
from chatstream.store.place import state_folder
from chatstream.terminal import exits, stdout
from chatstream.terminal.progress import bar

UPDATE_SECONDS = 1.0
"""The least time between two updates of the files and of the progress while streams are open."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with the figures.

    `files` are the exports: a format of `export.FORMATS` and its file. `printed` is the format of
    an export to standard output; the screen then goes to standard error. `baseline` is the name by
    which it was given, and its result.
    """

    files: Sequence[tuple[str, Path]] = ()
    printed: str | None = None
    save: str | None = None
    baseline: tuple[str, Result] | None = None
    gates: Sequence[Condition] = ()
    strict: bool = False
    as_json: bool = False


def results_folder() -> Path:
    """Where results are saved."""
    return state_folder() / "bench"


def bench(
    arms: Sequence[Arm],
    settings: Mapping[str, Settings],
    target: str,
    plan: Plan,
    wanted: Wanted,
    token: CancelToken,
) -> int:
    """Run, show and keep a benchmark; returns the exit status. `settings` has those of each arm.

    Raises a `ChatstreamError` if it cannot begin. A file that cannot be written ends nothing: the
    result is shown first.
    """
    opening = new_run()
    opening.provider, opening.model = arms[0].provider, arms[0].model
    finding = _Finding(arms, target, plan, wanted, str(opening.started_at))
    printing = _Printing(wanted, opening)
    its = settings[arms[0].name]
    with Measuring(settings) as wires, bar(quiet=wanted.as_json) as draw:
        draw(Progress("cold run", 0.0, percentage=0.0))
        meter = Meter([("runs", 1)])
        run = Run(wires, arms, plan, token, temperature=its.temperature, options=its.options)
        kept_at = drawn_at = -UPDATE_SECONDS
        for sample in run.samples():
            sample.message = redact(sample.message) if sample.message else None
            finding.samples.append(sample)
            now = monotonic()
            ended = len(finding.samples)
            meter.report(share_done(plan, len(arms), ended, run.elapsed), 1.0)
            how_far = meter.event()
            printing.progress(how_far, sample, ended, run.elapsed)
            if not run.is_busy or now - drawn_at >= UPDATE_SECONDS:
                drawn_at = now
                draw(_for_a_person(how_far, sample, ended))
            if finding.is_kept and (not run.is_busy or now - kept_at >= UPDATE_SECONDS):
                kept_at = now
                with contextlib.suppress(ChatstreamError):  # reported at the end, if it still fails
                    finding.keep(finding.result(run, stopped=token.cancelled))
    result = finding.result(run, stopped=token.cancelled)
    try:
        try:
            printing.result(result)
        finally:
            finding.keep(result)
    except ChatstreamError as error:
        return exits.report(error, ())
    return token.reason.exit_status if token.reason is not None else result.exit_status


class _Finding:
    """The samples so far, and what follows from them."""

    def __init__(
        self, arms: Sequence[Arm], target: str, plan: Plan, wanted: Wanted, started_at: str
    ) -> None:
        self.samples: list[Sample] = []
        self._arms = arms
        self._target = target
        self._plan = plan
        self._wanted = wanted
        self._started_at = started_at
        self._steal = Steal()

    @property
    def is_kept(self) -> bool:
        """Whether any file is written while it runs."""
        return bool(self._wanted.files or self._wanted.save)

    def result(self, run: Run, *, stopped: bool) -> Result:
        """The result of these samples."""
        wanted = self._wanted
        result = Result(
            version=RESULT_VERSION,
            chatstream=__version__,
            started_at=self._started_at,
            target=self._target,
            settings=_exported(self._plan),
            definitions=DEFINITIONS,
            samples=self.samples,
            arms=[summed(arm, self.samples) for arm in self._arms],
            client=client_of(self.samples, run.cpu),
            throughput=throughput(self.samples) if self._plan.is_load else None,
            elapsed=run.elapsed,
            warnings=_warnings(self.samples, self._plan, run, self._steal),
        )
        result.comparisons = compare_arms(result)
        baseline = None
        if wanted.baseline is not None:
            result.baseline, baseline = wanted.baseline
            result.comparisons = [*result.comparisons, *compare_results(result, baseline)]
        result.gates = [gate for it in wanted.gates for gate in check(it, result, baseline)]
        result.exit_status = exit_status(result, strict=wanted.strict, stopped=stopped)
        return result

    def keep(self, result: Result) -> None:
        """Write every file. Raises a `ChatstreamError`."""
        for name, path in self._wanted.files:
            export.write(path, export.FORMATS[name](result))
        if self._wanted.save is not None:
            saved.save(self._wanted.save, result, results_folder())


class _Printing:
    """What is printed: the events of the benchmark, or the screen and an export at its end."""

    def __init__(self, wanted: Wanted, opening: Metadata) -> None:
        self._as_json = wanted.as_json
        self._printed = wanted.printed
        self._seq = 0
        self._began = monotonic()
        self._event(opening)

    def progress(self, how_far: Progress, sample: Sample, number: int, elapsed: float) -> None:
        """A run has ended."""
        ttft = f"ttft {sample.ttft:.6f} s" if sample.ttft is not None else "no token"
        message = f"{sample.arm}: {sample.status}, {ttft}"
        self._event(
            Progress(
                "runs",
                current=number,
                percentage=how_far.percentage,
                message=message,
                elapsed=round(elapsed, 6),
                eta=how_far.eta,
            ),
        )

    def result(self, result: Result) -> None:
        """The benchmark has ended. Raises `JournalError`."""
        if self._as_json:
            self._event(result)
        elif self._printed is None:
            stdout.write(_drawn(result, 1, sys.stdout.encoding))
        else:
            standard_error().write(_drawn(result, 2, sys.stderr.encoding))
            stdout.write(export.FORMATS[self._printed](result))

    def _event(self, event: Event) -> None:
        if not self._as_json:
            return
        event.seq, event.t = self._seq, round(monotonic() - self._began, 6)
        self._seq += 1
        stdout.write(msgspec.json.encode(event) + b"\n")


def _drawn(result: Result, descriptor: int, encoding: str) -> bytes:
    return painted(
        lambda width, ascii_only: screen(result, width, ascii_only=ascii_only), descriptor, encoding
    )


def _exported(plan: Plan) -> dict[str, Any]:
    """The plan as it is exported."""
    return {name: getattr(plan, name) for name in plan.__struct_fields__}


def _warnings(samples: Sequence[Sample], plan: Plan, run: Run, steal: Steal) -> list[str]:
    """What a reader of the figures should know."""
    warm = [it for it in samples if not it.cold and it.status == OK]
    opened = sum(not it.reused for it in warm)
    warnings = [steal.warning] if steal.warning else []
    if plan.reuse and plan.concurrency == 1 and plan.rate is None and opened:
        warnings.append(
            f"{opened} of {len(warm)} runs had to open a new connection, because the server "
            "closes them"
        )
    if run.stopped_because == "failures":
        warnings.append("the first runs all failed, so no more were started")
    if run.stopped_because == "time" and plan.rate is None and not plan.timed:
        warnings.append(
            f"time ran out before the median was known to within {100 * plan.precision:g} %: "
            "allow more with --time"
        )
    return warnings


def _for_a_person(how_far: Progress, sample: Sample, number: int) -> Progress:
    outcome = f"{sample.ttft * 1e3:.0f} ms" if sample.ttft is not None else sample.status
    return replace(how_far, stage=f"run {number}", message=f"first token {outcome}")
