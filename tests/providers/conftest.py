"""Nothing is collected in the middle of a test: some feed texts that are nested so deeply that what
earlier tests left behind could not be closed there.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_collected() -> Iterator[None]:
    """The collector waits for the end of the test."""
    gc.disable()
    yield
    gc.enable()
