"""`time`: what time it is, here or in any time zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import msgspec

from chatstream.nearest import did_you_mean
from chatstream.tools.builtin.base import Arguments, BuiltIn
from chatstream.tools.tool import Context, ToolFailure
from chatstream.wording import excerpt

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class TimeArguments(Arguments, frozen=True, kw_only=True):
    """Of `time`."""

    zone: Annotated[
        str | msgspec.UnsetType,
        msgspec.Meta(
            description="A time zone, such as Europe/Berlin or UTC; without it, the local one."
        ),
    ] = msgspec.UNSET


class Time(BuiltIn[TimeArguments]):
    """`time`. `now` is the clock."""

    called = "time"
    description = "Tell the current date, time and weekday, in the local time zone or another one."
    arguments = TimeArguments

    def __init__(
        self,
        roots: Sequence[Path] = (),
        closed: Sequence[Path] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(roots, closed)
        self._now = now

    def work(self, given: TimeArguments, context: Context) -> str:
        zone = None if given.zone is msgspec.UNSET else _zone(given.zone)
        there = self._now().astimezone(zone)
        name = given.zone or there.tzname() or "local time"
        return f"{there.isoformat(timespec='seconds')} {_DAYS[there.weekday()]} ({name})"


def _zone(name: str) -> tzinfo:
    """The time zone of this name. Raises `ToolFailure`."""
    import zoneinfo  # it looks for its files

    if name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # no key, a folder of zones, or unknown
        known = zoneinfo.available_timezones()
        words = f"there is no time zone {excerpt(name, 60)!r}"
        if not known:
            raise ToolFailure("this system knows no time zones", code="not_found") from None
        question = did_you_mean(name[:60], known, "names are like Europe/Berlin")
        raise ToolFailure(f"{words}; {question}", code="not_found") from None
