"""Claimed: `--since` takes an age or a date, and anything else is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from chatstream.errors import UsageError
from chatstream.stats.since import EVER, beginning

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("since", "begin"),
    [
        ("12h", "2026-11-29T00:00:00.000Z"),
        ("7d", "2026-11-22T12:00:00.000Z"),
        ("2W", "2026-11-15T12:00:00.000Z"),
        (" 1d ", "2026-11-28T12:00:00.000Z"),
        ("0d", "2026-11-29T12:00:00.000Z"),
        ("999999999w", "1970-01-01T00:00:00.000Z"),
        ("2026-11-20", "2026-11-20T00:00:00.000Z"),
        ("20261120", "2026-11-20T00:00:00.000Z"),
        ("2026-11-20 08:30", "2026-11-20T08:30:00.000Z"),
        ("2026-11-20T08:30:00+02:00", "2026-11-20T06:30:00.000Z"),
        ("1969-01-01", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_an_age_or_a_date_is_a_time_as_journals_write_it(since: str, begin: str) -> None:
    assert beginning(since, NOW) == begin


def test_a_date_begins_at_midnight_here(move: Callable[[str], None]) -> None:
    move("Asia/Tokyo")
    assert beginning("2026-11-20", NOW) == "2026-11-19T15:00:00.000Z"


def test_without_it_all_runs_count() -> None:
    assert beginning(None, NOW) == EVER
    assert EVER < "1970"


@pytest.mark.parametrize(
    "since",
    ["", "7", "d", "7 days", "-7d", "7m", "1.5d", "\u0667d", "2026-13-01", "yesterday", "\x1b"],
)
def test_anything_else_is_refused_with_examples(since: str) -> None:
    with pytest.raises(UsageError, match="--since takes an age or a date") as caught:
        beginning(since, NOW)
    assert "7d" in str(caught.value.hint)


@pytest.mark.parametrize("since", ["2026-11-30", "9999-12-31", "2026-11-29T12:00:01"])
def test_the_future_is_refused(since: str) -> None:
    with pytest.raises(UsageError, match="in the future"):
        beginning(since, NOW)
