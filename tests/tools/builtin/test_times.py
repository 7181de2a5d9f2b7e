"""`time`: here or there, and no name of a zone leads to a file."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chatstream.tools.builtin.times import Time
from chatstream.tools.tool import ToolFailure
from tests.support.toolcontext import result

NOW = Time(now=lambda: datetime(2026, 3, 1, 23, 30, 5, 999, tzinfo=UTC))


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", "2026-03-01T23:30:05+00:00 Sunday (UTC)"),
        ("Europe/Berlin", "2026-03-02T00:30:05+01:00 Monday (Europe/Berlin)"),
        ("Asia/Kathmandu", "2026-03-02T05:15:05+05:45 Monday (Asia/Kathmandu)"),
        ("America/New_York", "2026-03-01T18:30:05-05:00 Sunday (America/New_York)"),
    ],
)
def test_a_zone_has_its_own_day(zone: str, told: str) -> None:
    assert result(NOW, zone=zone) == told


def test_without_a_zone_it_is_the_time_here() -> None:
    moment = datetime.fromisoformat(result(NOW).split()[0])
    assert moment == datetime(2026, 3, 1, 23, 30, 5, tzinfo=UTC)
    assert moment.utcoffset() is not None


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "/etc/localtime", "America", "Nowhere/City", "x\0y", "", "\ud800"]
)
def test_what_is_no_zone_is_said_to_be_none(zone: str) -> None:
    with pytest.raises(ToolFailure, match="there is no time zone") as failure:
        result(NOW, zone=zone)
    assert failure.value.code == "not_found"


def test_a_mistyped_zone_is_asked_about() -> None:
    with pytest.raises(ToolFailure, match="did you mean 'Europe/Berlin'"):
        result(NOW, zone="Europe/Belin")
