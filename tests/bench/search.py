"""Searching a long history: the slowest of many words, common and rare, against 100 ms."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from chatstream.messages import Message
from chatstream.store import entries
from chatstream.store.database import Database
from chatstream.store.history import FOREVER, History
from chatstream.store.journal import Asked
from chatstream.store.reading import Record
from tests.bench.rig import Rig
from tests.bench.rows import Row, compare
from tests.support.mockscript import WORDS
from tests.support.runs import done, run_id, started_at

MESSAGES = 100_000
LIMIT = 0.1  # seconds


def rows(rig: Rig) -> Iterator[Row]:
    """A question and an answer a run, 40 words each."""
    messages = MESSAGES // 100 if rig.quick else MESSAGES
    with tempfile.TemporaryDirectory() as home:
        _fill(Path(home), messages // 2)
        with History(Path(home)) as history:
            yield compare(
                f"search: the slowest word of {messages:,} messages / 100 ms",
                1.00,
                lambda: max(_seconds(history, word) for word in [*WORDS, "rare17", "rare*", "nil"]),
                lambda: LIMIT,
                pairs=rig.pairs(),
            )


def _seconds(history: History, word: str) -> float:
    began = time.perf_counter()
    history.search(word, 20)
    return time.perf_counter() - began


def _fill(home: Path, runs: int) -> None:
    seeded = random.Random(7)
    database = Database(home, FOREVER)
    with database.transaction() as db:
        for number in range(runs):
            run = run_id(number)
            asked = Asked((Message("user", " ".join(seeded.choices(WORDS, k=40))),))
            text = " ".join([*seeded.choices(WORDS, k=39), f"rare{number}"])
            entries.enter(db, run, 1, _record(run, asked, text))
    database.close()


def _record(run: str, asked: Asked, text: str) -> Record:
    return Record(
        run=run,
        started_at=started_at(run),
        asked=asked,
        continues=None,
        provider="demo",
        model="m",
        base_url=None,
        message=Message("assistant", text),
        tools=False,
        terminal=done(),
        outcome="complete",
        damage=None,
        duration=1.0,
    )
