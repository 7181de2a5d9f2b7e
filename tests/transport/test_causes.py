"""What led to a failure is found, however it is wrapped."""

from __future__ import annotations

import pytest
import urllib3

from chatstream.transport.causes import causes, innermost


def wrapped(inner: Exception) -> Exception:
    try:
        raise RuntimeError("outside") from inner
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    "outer",
    [
        wrapped(ConnectionResetError(104, "reset")),
        RuntimeError("outside", ConnectionResetError(104, "reset")),
        urllib3.exceptions.MaxRetryError(None, "/", ConnectionResetError(104, "reset")),  # type: ignore[arg-type]
    ],
    ids=["cause", "argument", "reason"],
)
def test_the_first_failure_is_the_last_of_the_causes(outer: Exception) -> None:
    found = list(causes(outer))
    assert (found[0], type(found[-1])) == (outer, ConnectionResetError)
    assert innermost(outer) == "reset"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (ValueError("odd"), "odd"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_failure_has_words_even_if_it_has_no_message(error: Exception, words: str) -> None:
    assert innermost(wrapped(error)) == words
