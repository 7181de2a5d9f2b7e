"""Things a test needs from the machine: absent is a skip here, and a failure in CI.

What cannot be had raises `Unavailable(reason)`. A test opens it with `require`:

    with require(llama_server()) as server:
        ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

T = TypeVar("T")


class Unavailable(Exception):
    """This machine cannot provide it; the message says why."""


@contextmanager
def require(resource: AbstractContextManager[T]) -> Iterator[T]:
    """Open `resource`, or skip the test (see `skip_unavailable`)."""
    with ExitStack() as stack:
        with skip_unavailable():
            opened = stack.enter_context(resource)
        yield opened


@contextmanager
def skip_unavailable() -> Iterator[None]:
    """Turn `Unavailable` into a skip with its reason, or into a failure when CI=true."""
    try:
        yield
    except Unavailable as why:
        import pytest  # here, because the installation runs with nothing but Python

        if os.environ.get("CI") == "true":
            pytest.fail(f"unavailable in CI: {why}", pytrace=False)
        pytest.skip(str(why))
