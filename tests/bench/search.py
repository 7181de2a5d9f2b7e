"""Searching a long history: the slowest of many words, common and rare.

In English and in Chinese against 100 ms; in Chinese, where single characters are indexed, also
against a scan of all messages, which needs no index.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path

from chatstream.messages import Message
from chatstream.store import entries
from chatstream.store.database import NAME, Database
from chatstream.store.history import FOREVER, History
from chatstream.store.journal import RequestRecord
from chatstream.store.reading import Record
from tests.bench.rig import Rig
from tests.bench.rows import Row, compare
from tests.support.mockscript import WORDS
from tests.support.runs import done, run_id, started_at

MESSAGES = 100_000
LIMIT = 0.1  # seconds
CHINESE = 20_000  # messages, of 10,000 runs
LONG, SHORT = 16, 4  # sentences of an answer in Chinese
CHARACTERS = [chr(0x4E00 + number) for number in range(3000)]
SCAN = "SELECT id FROM messages WHERE content LIKE ? ORDER BY id DESC LIMIT 20"

Texts = Iterator[tuple[str, str]]
"""A question and its answer."""


def rows(rig: Rig) -> Iterator[Row]:
    """A question and an answer a run: of 40 words each, and of 30 and 100 or 400 characters."""
    shorter = 100 if rig.quick else 1
    with tempfile.TemporaryDirectory() as home:
        _fill(Path(home), _english(MESSAGES // 2 // shorter))
        with History(Path(home)) as history:
            words = [*WORDS, "rare17", "rare*", "nil"]
            yield compare(
                f"search: the slowest word of {MESSAGES // shorter:,} messages / 100 ms",
                1.00,
                lambda: _slowest(history, words),
                lambda: LIMIT,
                pairs=rig.pairs(),
            )
    # The worst of all: both are common, and nowhere side by side.
    characters = [*_common_pairs(), CHARACTERS[0], CHARACTERS[-1], "".join(CHARACTERS[40:44])]
    with tempfile.TemporaryDirectory() as home:
        _fill(Path(home), _chinese(MESSAGES // 2 // shorter, SHORT))
        with History(Path(home)) as history:
            yield compare(
                f"search: the slowest of {MESSAGES // shorter:,} in Chinese / 100 ms",
                1.00,
                lambda: _slowest(history, characters),
                lambda: LIMIT,
                pairs=rig.pairs(),
            )
    with tempfile.TemporaryDirectory() as home:
        _fill(Path(home), _chinese(CHINESE // 2 // shorter, LONG))
        with (
            History(Path(home)) as history,
            closing(sqlite3.connect(Path(home) / NAME)) as db,
        ):
            yield compare(
                f"search: the slowest of {CHINESE // shorter:,} in Chinese / a scan",
                0.75 if not rig.quick else 10.00,  # so few are as quickly scanned
                lambda: _slowest(history, characters),
                lambda: _slowest_scan(db, characters),
                pairs=rig.pairs(),
            )


def _common_pairs() -> list[str]:
    common = CHARACTERS[:12]
    return [one + other for one in common for other in common]


def _slowest(history: History, words: Sequence[str]) -> float:
    return max(_seconds(history, word) for word in words)


def _slowest_scan(db: sqlite3.Connection, words: Sequence[str]) -> float:
    slowest = 0.0
    for word in words:
        began = time.perf_counter()
        db.execute(SCAN, (f"%{word}%",)).fetchall()
        slowest = max(slowest, time.perf_counter() - began)
    return slowest


def _seconds(history: History, word: str) -> float:
    began = time.perf_counter()
    history.search(word, 20)
    return time.perf_counter() - began


def _english(runs: int) -> Texts:
    seeded = random.Random(7)
    for number in range(runs):
        question = " ".join(seeded.choices(WORDS, k=40))
        yield question, " ".join([*seeded.choices(WORDS, k=39), f"rare{number}"])


def _chinese(runs: int, sentences: int) -> Texts:
    """Words of one to four characters. Both are as frequent as in a language: by Zipf's law."""
    seeded = random.Random(7)

    def choosing(items: Sequence[str]) -> Callable[[int], str]:
        weights = list(accumulate(1 / rank for rank in range(1, len(items) + 1)))
        return lambda count: "".join(seeded.choices(items, cum_weights=weights, k=count))

    characters = choosing(CHARACTERS)
    words = choosing([characters(seeded.choice([1, 2, 2, 2, 3, 4])) for _ in range(6000)])
    for _ in range(runs):
        yield words(14), "\u3002".join(words(12) for _ in range(sentences))


def _fill(home: Path, texts: Texts) -> None:
    database = Database(home, FOREVER)
    with database.transaction() as db:
        for number, (question, answer) in enumerate(texts):
            run = run_id(number)
            asked = RequestRecord((Message("user", question),))
            entries.enter(db, run, 1, _record(run, asked, answer))
    database.close()


def _record(run: str, asked: RequestRecord, text: str) -> Record:
    return Record(
        run=run,
        started_at=started_at(run),
        asked=asked,
        continues=None,
        parent=None,
        labels=None,
        provider="demo",
        model="m",
        base_url=None,
        messages=[Message("assistant", text)],
        tools=False,
        terminal=done(),
        outcome="complete",
        damage=None,
        duration=1.0,
    )
