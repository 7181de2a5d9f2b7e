"""Statistics are in local time: every test is in UTC, unless it moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(autouse=True)
def move() -> Iterator[Callable[[str], None]]:
    """Move to a time zone."""
    with pytest.MonkeyPatch.context() as patch:

        def moved(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        moved("UTC")
        yield moved
    time.tzset()
