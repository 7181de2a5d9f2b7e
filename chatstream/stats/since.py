"""`--since`: how far back statistics go, as an age (`12h`, `7d`, `2w`) or a date in local time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from chatstream.errors import UsageError
from chatstream.store.retention import before

EVER = ""
"""Before every run."""

_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_AGE = re.compile(r"(\d{1,9})([hdw])", re.ASCII)


def beginning(since: str | None, now: float) -> str:
    """The time of `--since`, as journals write it. `now` is in seconds since 1970.

    Raises `UsageError`.
    """
    if since is None:
        return EVER
    if age := _AGE.fullmatch(since.strip().lower()):
        return before(int(age[1]) * _DAYS[age[2]], now)
    try:
        at = datetime.fromisoformat(since.strip()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since takes an age or a date, not {since!r}",
            hint="for example 12h, 7d, 2w, 2026-11-20 or 2026-11-20T08:00",
        ) from error
    if at > now:
        raise UsageError(f"--since {since} is in the future")
    return before(0.0, at)
