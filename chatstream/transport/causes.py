"""Why a request failed: what requests, urllib3 and the system raise is wrapped several times."""

from __future__ import annotations

from collections.abc import Iterator


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, step by step, down to the first failure of all."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        seen = inner


def innermost(error: BaseException) -> str:
    """The plainest words for why."""
    *_, first = causes(error)
    if isinstance(first, ConnectionRefusedError):
        return "connection refused"
    return str(getattr(first, "strerror", None) or first) or type(first).__name__
