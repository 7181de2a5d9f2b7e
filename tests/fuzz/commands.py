"""`python -m tests.fuzz.commands`: command lines of odd values, run in this process and judged.

    python -m tests.fuzz.commands -n 10000 --seed 0
    python -m tests.fuzz.commands --seed 0 --only 4711

What is claimed of every line, whatever is on it: it ends soon and with an exit status that the
help names, nothing is called a bug of ours, and a mistake is told in a few clear lines. The network
is a server on loopback; no other name leads anywhere. Exit status 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.events import Error, decode
from chatstream.providers import PROVIDERS
from tests.fuzz.odd import Line, Maker
from tests.support.client import Finished, run_here
from tests.support.mockserver import MockServer
from tests.support.names import Names

STATUSES = {0, 1, 2, 3, 4, 5, 6, 7, 129, 130, 143}
SLOW = 5.0  # seconds; no line has a reason to take so long
HUNG = 60.0
MOST_LINES = 5  # three ways to start, after the message, are the longest hint
LONGEST = 1100  # characters of a line on standard error

_ASIDE = re.compile(r"warning: | *\d+ ms chatstream")  # also what `--debug` logs


@dataclass(frozen=True)
class Fault:
    """A line, and what is wrong with how it ended."""

    number: int
    line: Line
    wrong: str

    @property
    def group(self) -> str:
        """Faults of one kind have one group."""
        return re.sub(r"\d+|'[^']*'|\"[^\"]*\"|/\S+", "…", self.wrong)[:110]


@dataclass
class Tally:
    """What became of the lines."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)


def faults(line: Line, done: Finished) -> Iterator[str]:
    """What is wrong with how this line ended."""
    out = done.stdout.decode(line.encoding, "replace")
    if done.status not in STATUSES:
        yield f"exit status {done.status}"
    for text in (done.stderr, out):
        if "bug in chatstream" in text:
            yield "a bug: " + next(it for it in text.splitlines() if "rror" in it)[:300]
        if "Traceback" in text and "--debug" not in line.arguments:
            yield "a traceback: " + text.splitlines()[-1][:300]
    if done.seconds > SLOW:
        yield f"slow: {done.seconds:.1f} s"
    said = [it for it in done.stderr.splitlines() if not _ASIDE.match(it)]
    if done.status == 2 and "--json" in line.arguments and not line.is_full and done.stdout:
        if not isinstance(decode(done.stdout.splitlines()[-1]), Error):
            yield "a mistake without an error event"
    elif done.status == 2 and not out.strip():
        if not said or not said[0].lower().startswith("error: "):
            yield f"a mistake that is not told: {done.stderr[:200]!r}"
        if len(said) > MOST_LINES and "--debug" not in line.arguments:
            yield f"a mistake in {len(said)} lines: {said[0][:200]!r}"
    for text in said if done.status == 2 else ():
        if len(text) > LONGEST:
            yield f"a line of {len(text)} characters: {text[:100]!r}"
    if "\x1b" in done.stderr or any("\udc80" <= it <= "\udcff" for it in done.stderr):
        yield f"control characters: {done.stderr[:200]!r}"


class Bench:
    """Where the lines are run: a home of their own, a server, no other network, no sleep."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._stack = ExitStack()
        self._now: tuple[str, float] | None = None

    def __enter__(self) -> Bench:
        stack = self._stack.__enter__()
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(MockServer()).url
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(_inside(self._folder))
        for name in list(os.environ):
            if name.startswith("CHATSTREAM_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        for row in PROVIDERS.values():
            for variable in filter(None, (row.key_variable, row.url_variable)):
                patch.delenv(variable, raising=False)
        for name, value in {"HOME": "", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "c"}.items():
            patch.setenv(name, str(self._folder / value))
        for name, value in {"TERM": "dumb", "EDITOR": "true", "VISUAL": "true"}.items():
            patch.setenv(name, value)
        Names(patch)
        patch.setattr(CancelToken, "sleep", lambda token, seconds: token.cancelled)
        (self._folder / "odd").mkdir()
        self._maker = Maker(self._seed, url, self._folder / "odd")
        threading.Thread(target=self._watch, args=(os.dup(2),), daemon=True).start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._now = None
        self._stack.close()

    def run(self, number: int) -> tuple[Line, Finished | None, list[str]]:
        """The line of this number, how it ended, and what is wrong with that."""
        line = self._maker.make(number)
        config = self._folder / "c" / "chatstream" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.unlink(missing_ok=True)
        if line.config is not None:
            config.write_text(line.config, encoding="utf-8")
        self._now = (f"{number}: {line}", time.monotonic())
        environ: Any = {"CHATSTREAM_RETRIES": "1", "OPENAI_API_KEY": "k", **line.environ}
        gc.disable()  # what is collected in the middle of a deep recursion complains about that
        try:
            done = run_here(
                line.arguments,
                stdin=line.stdin,
                stdout=Path("/dev/full") if line.is_full else None,
                encoding=line.encoding,
                **environ,
            )
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return line, None, [f"raised {type(error).__name__}: {error} at {last.filename}"]
        finally:
            gc.enable()
            self._now = None
            logging.getLogger().handlers.clear()  # of `--debug`, for the standard error of then
            logging.getLogger("chatstream").setLevel(logging.NOTSET)
        return line, done, list(faults(line, done))

    def _watch(self, descriptor: int) -> None:
        """End the process when a line does not end, and tell which."""
        while True:
            time.sleep(1)
            now = self._now
            if now is not None and time.monotonic() - now[1] > HUNG:
                stacks = [
                    "".join(traceback.format_stack(it)) for it in sys._current_frames().values()
                ]
                os.write(descriptor, f"hung: {now[0]}\n{stacks[-1]}".encode("utf-8", "replace"))
                os._exit(1)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def fuzz(seed: int, numbers: Sequence[int]) -> Tally:
    """Run and judge the lines with these numbers."""
    tally = Tally()
    with Bench(seed) as bench:
        for number in numbers:
            line, done, wrong = bench.run(number)
            tally.statuses[done.status if done else -1] += 1
            tally.faults += [Fault(number, line, it) for it in wrong]
    return tally


def report(tally: Tally, seed: int) -> Iterator[str]:
    """How often each exit status came, and the first fault of each group."""
    yield "  ".join(f"status {it}: {tally.statuses[it]}" for it in sorted(tally.statuses))
    groups: dict[str, list[Fault]] = defaultdict(list)
    for fault in tally.faults:
        groups[fault.group].append(fault)
    yield f"faults: {len(tally.faults)} in {len(groups)} groups"
    for group in sorted(groups, key=lambda it: -len(groups[it])):
        first = min(groups[group], key=lambda it: len(str(it.line)))
        yield f"{len(groups[group]):6} {first.wrong}"
        yield f"       --seed {seed} --only {first.number}  {first.line}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.commands",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-n", type=int, default=10_000, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(%(default)s)")
    parser.add_argument("--only", type=int, metavar="I", help="show this line")
    given = parser.parse_args(arguments)
    if given.only is not None:
        with Bench(given.seed) as bench:
            line, done, wrong = bench.run(given.only)
        print(line, done, *wrong, sep="\n")
        return 1 if wrong else 0
    tally = fuzz(given.seed, range(given.n))
    print(*report(tally, given.seed), sep="\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
