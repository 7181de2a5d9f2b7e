"""`python -m tests.fuzz`: damaged recordings through the client, judged by the lenient reader.

A table of what became of each kind of damage, then each fault with what reproduces it. Exit
status 1 if there is a fault, or if more than one harmless change in 100 changed the answer.
Number I of seed S is always the same mutant: `--seed S --only I` shows it.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from random import Random

import msgspec

from chatstream import events as ev
from chatstream import grammar
from tests.fuzz import oracle
from tests.fuzz.mutate import MUTATORS, Mutant, mutate
from tests.fuzz.reader import read
from tests.fuzz.stream import Stream
from tests.support.client import Answer
from tests.support.memory import ask_in_memory
from tests.support.recordings import Recording, recordings

LARGEST = 96 * 1024  # bytes of a recording; the few larger ones only cost time
MOST_CHANGED = 0.01  # of the harmless changes
_BLOCK = 500  # mutants that one process takes at a time
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Base:
    """A recording, and what the client makes of it undamaged."""

    case: Recording
    stream: Stream
    usual: Answer
    usual_warnings: list[tuple[str, str]]
    usual_faults: frozenset[str]  # the kinds of faults that those warnings tell of


@dataclass(frozen=True)
class Fault:
    """One mutant whose answer is wrong."""

    number: int
    base: Base
    mutant: Mutant
    wrong: str

    @property
    def group(self) -> str:
        """What this fault has in common with others of its root."""
        what = "two changes"
        if len(self.mutant.kinds) == 1:
            place = re.search(r"^(?:frame \d+|all frames)([.\[][^:]*)", self.mutant.told[0])
            what = re.sub(r"\[\d+\]", "", place[1]) if place else self.mutant.kinds[0]
        return f"{self.base.case.provider} | {self.wrong.split(':')[0]} | {what}"


@dataclass
class Tally:
    """What became of the mutants."""

    ended: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[Fault] = field(default_factory=list)
    harmless: int = 0
    changed: list[Fault] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Another tally, after this one."""
        for kind, counts in other.ended.items():
            self.ended[kind].update(counts)
        self.faults += other.faults
        self.harmless += other.harmless
        self.changed += other.changed

    @property
    def failed(self) -> bool:
        """Whether this is not good enough."""
        return bool(self.faults) or len(self.changed) > MOST_CHANGED * self.harmless


def ask(base: Recording, reads: Iterable[bytes]) -> Answer:
    """What the client makes of these reads where it asked for this recording."""
    cut = str(base.http.get("end", "")).startswith("abrupt")
    return ask_in_memory(base.provider, reads, headers=base.headers, cut=cut)


@cache
def bases() -> list[Base]:
    """The recordings that are damaged."""
    found = []
    for case in recordings("recorded", "constructed", "nonstream"):
        if len(case.body) <= LARGEST and case.status < 400:
            usual = ask(case, [case.body])
            warned = oracle.warnings(usual)
            told = oracle.faults(read(case.provider, case.body), usual, warned)
            kinds = frozenset(fault.split(":")[0] for fault in told)
            found.append(Base(case, Stream.of(case), usual, warned, kinds))
    return found


@cache
def _weights() -> list[float]:
    """Small recordings and streams more often: the same damage, in less time."""
    return [
        (0.3 if base.case.kind == "nonstream" else 1.0) / (400 + len(base.case.body)) ** 0.7
        for base in bases()
    ]


def make(seed: int, number: int, kind: str | None = None) -> tuple[Base, Mutant, list[bytes]]:
    """A mutant by its number: its recording, the damage, and the reads in which it comes."""
    random = Random(seed * 1_000_003 + number)
    [base] = random.choices(bases(), _weights())
    mutant = mutate(base.stream, random, kind)
    body = mutant.body
    if random.random() < 0.6:
        return base, mutant, [body]
    cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.choice([1, 2, 3, 8])))
    return base, mutant, [body[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]


def judge(base: Base, mutant: Mutant, reads: Sequence[bytes]) -> tuple[str, list[str], list[str]]:
    """How the answer ended, what is wrong with it, and what a harmless change changed.

    It ends as `oracle.outcome` says; `late` where text came after the true end, and `lost` where
    text that the reader finds is left out with a warning.
    """
    found = read(base.case.provider, mutant.body)
    try:
        answer = ask(base.case, reads)
        grammar.check(answer.events)
        for event in answer.events:
            _encode(event)
    except Exception as error:  # whatever escapes is the worst of all
        return "escaped", [f"escaped: {type(error).__name__}: {error}"], []
    faults = oracle.faults(found, answer, base.usual_warnings)
    wrong = [fault for fault in faults if fault.split(":")[0] not in base.usual_faults]
    changed: list[str] = []
    if mutant.harmless and isinstance(base.usual.terminal, ev.Done):
        changed = list(oracle.changes(answer, base.usual, counts=mutant.counts)) or [""]
    ended = oracle.outcome(answer, base.usual_warnings)
    if ended == "done" and found.late:
        ended = "done, late"
    elif ended == "warned" and oracle.missing(found, answer) is not None:
        ended = "warned, lost"
    return ended, wrong, changed


def fuzz(seed: int, numbers: range, kind: str | None = None) -> Tally:
    """Judge the mutants with these numbers."""
    tally = Tally()
    for number in numbers:
        base, mutant, reads = make(seed, number, kind)
        ended, wrong, changed = judge(base, mutant, reads)
        for name in mutant.kinds:
            tally.ended[name][ended] += 1
        tally.faults += [Fault(number, base, mutant, line) for line in wrong[:1]]
        if changed:
            tally.harmless += 1
            if changed[0]:
                tally.changed.append(Fault(number, base, mutant, "changed " + changed[0]))
    return tally


def smallest(fault: Fault) -> bytes:
    """The body of a fault with every frame left out that it does not need."""
    case = fault.base.case
    split = rb"(?<=\n)" if case.provider == "ollama" else rb"(?<=\n\n)|(?<=\r\n\r\n)"
    frames = re.split(split, fault.mutant.body)
    kind = fault.wrong.split(":")[0]
    at = 0
    while at < len(frames) <= 400:
        fewer = frames[:at] + frames[at + 1 :]
        mutant = Mutant(b"".join(fewer), (), (), harmless=False, counts=True)
        _, wrong, _ = judge(fault.base, mutant, [mutant.body])
        if any(line.split(":")[0] == kind for line in wrong):
            frames = fewer
        else:
            at += 1
    return b"".join(frames)


def report(tally: Tally, seed: int, shown: int) -> Iterator[str]:
    """The table, the groups of faults, and the first faults of each."""
    columns = sorted({ended for counts in tally.ended.values() for ended in counts})
    yield f"{'':10}" + "".join(f"{name[:14]:>15}" for name in columns)
    for kind in MUTATORS:
        if counts := tally.ended.get(kind):
            yield f"{kind:10}" + "".join(f"{counts[name] or '':>15}" for name in columns)
    total = sum((counts for counts in tally.ended.values()), Counter[str]())
    yield f"{'all':10}" + "".join(f"{total[name]:>15}" for name in columns)
    share = 100 * (1 - len(tally.changed) / tally.harmless) if tally.harmless else 100.0
    yield f"harmless changes: {tally.harmless}, of which {share:.2f} in 100 changed nothing"
    yield f"faults: {len(tally.faults)}"
    for title, faults in (("FAULTS", tally.faults), ("CHANGED BY WHAT IS HARMLESS", tally.changed)):
        groups: dict[str, list[Fault]] = defaultdict(list)
        for fault in faults:
            groups[fault.group].append(fault)
        if groups and shown:
            yield f"\n{title}, {len(groups)} groups"
        for group in sorted(groups, key=lambda name: -len(groups[name]))[:shown]:
            first = min(groups[group], key=lambda fault: len(fault.mutant.body))
            yield f"{len(groups[group]):6} {group}"
            yield f"       --seed {seed} --only {first.number}  {first.base.case.name}"
            yield f"       {'; '.join(first.mutant.told)[:200]}"
            yield f"       {first.wrong[:200]}"


def show(seed: int, number: int, kind: str | None) -> int:
    """One mutant, in full: what was done to it, and what was made of it."""
    base, mutant, reads = make(seed, number, kind)
    ended, wrong, changed = judge(base, mutant, reads)
    print(
        f"{base.case.name} ({base.case.provider}), {len(mutant.body)} bytes in {len(reads)} reads"
    )
    print(*mutant.told, sep="\n")
    print(f"harmless: {mutant.harmless}   ended: {ended}")
    print(*wrong, *filter(None, changed), sep="\n")
    for line in wrong[:1]:
        print(smallest(Fault(number, base, mutant, line)).decode("utf-8", "backslashreplace"))
    return 1 if wrong or any(changed) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-n", type=int, default=100_000, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(%(default)s)")
    parser.add_argument("--kind", choices=MUTATORS, metavar="KIND", help=", ".join(MUTATORS))
    parser.add_argument("--only", type=int, metavar="I", help="show this mutant")
    parser.add_argument(
        "--show", type=int, default=20, metavar="G", help="groups of faults to show"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="processes (%(default)s)")
    given = parser.parse_args(arguments)
    if not bases():
        print("the folder `shared` with its recordings is not beside the project")
        return 2
    if given.only is not None:
        return show(given.seed, given.only, given.kind)
    began = time.perf_counter()
    tally, done = Tally(), 0
    for part in _parts(given.seed, given.n, given.kind, given.jobs):
        tally.add(part)
        done = min(done + _BLOCK, given.n)
        rate = done / (time.perf_counter() - began)
        print(
            f"\r{done} mutants, {rate:.0f}/s, {len(tally.faults)} faults", end="", file=sys.stderr
        )
    print(file=sys.stderr)
    print(*report(tally, given.seed, given.show), sep="\n")
    return 1 if tally.failed else 0


def _parts(seed: int, number: int, kind: str | None, jobs: int) -> Iterator[Tally]:
    blocks = [range(start, min(start + _BLOCK, number)) for start in range(0, number, _BLOCK)]
    if jobs == 1:
        yield from map(fuzz, repeat(seed), blocks, repeat(kind))
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(fuzz, repeat(seed), blocks, repeat(kind))
