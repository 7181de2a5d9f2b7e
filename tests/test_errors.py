"""Claimed: every failure knows its code, its exit status and whether a retry may help."""

from __future__ import annotations

import pytest

from chatstream import errors
from chatstream.errors import (
    ChatstreamError,
    InternalError,
    OutOfMemory,
    UsageError,
    class_of,
    mistake,
)

# Class, the word in the event, what the process returns, whether the same may succeed later.
TREE = [
    ("ChatstreamError", "internal", 1, False),
    ("InternalError", "internal", 1, False),
    ("OutputError", "output", 1, False),
    ("OutOfMemory", "memory", 1, False),
    ("UsageError", "usage", 2, False),
    ("ConfigError", "config", 2, False),
    ("JournalError", "journal", 1, False),
    ("ConnectError", "connect", 1, True),
    ("Unreachable", "connect", 1, True),
    ("ProxyRefused", "connect", 1, False),
    ("TLSError", "connect", 1, False),
    ("ProtocolError", "protocol", 1, False),
    ("LineTooLong", "protocol", 1, False),
    ("Truncated", "truncated", 5, True),
    ("InvalidAnswer", "invalid_answer", 1, False),
    ("Stalled", "stalled", 4, True),
    ("TimedOut", "timeout", 4, True),
    ("Cancelled", "cancelled", 130, False),
    ("Terminated", "cancelled", 143, False),
    ("HungUp", "cancelled", 129, False),
    ("Unrecorded", "journal", 1, False),
    ("ApprovalNeeded", "approval_needed", 6, False),
    ("CostLimit", "max_cost", 7, False),
    ("ServerError", "server_error", 1, True),
    ("Overloaded", "overloaded", 1, True),
    ("RateLimited", "rate_limited", 1, True),
    ("Refused", "refused", 3, False),
    ("AuthError", "auth", 3, False),
    ("ModelNotFound", "model_not_found", 3, False),
    ("QuotaExceeded", "quota", 3, False),
    ("BadRequest", "bad_request", 3, False),
    ("UnsupportedParameter", "bad_request", 3, False),
    ("ContextLength", "context_length", 3, False),
    ("ContentPolicy", "content_policy", 3, False),
]


def below(kind: type[ChatstreamError]) -> set[type[ChatstreamError]]:
    return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))


@pytest.mark.parametrize(("name", "code", "exit_status", "retryable"), TREE)
def test_each_failure_knows_itself(name: str, code: str, exit_status: int, retryable: bool) -> None:
    kind = getattr(errors, name)
    assert (kind.code, kind.exit_status, kind.retryable) == (code, exit_status, retryable)


def test_the_table_here_has_every_failure() -> None:
    ours = {kind for kind in below(ChatstreamError) if kind.__module__ == errors.__name__}
    assert {kind.__name__ for kind in ours} == {name for name, *_ in TREE}


@pytest.mark.parametrize("code", sorted({code for _, code, *_ in TREE}))
def test_the_class_of_a_code_is_the_most_general_one(code: str) -> None:
    kind = class_of(code)
    assert kind.code == code
    assert not any(base.code == code for base in kind.__mro__[1:] if hasattr(base, "code"))


def test_an_unknown_code_is_some_failure() -> None:
    assert class_of("from_the_future") is ChatstreamError


def test_the_exit_status_of_a_code_is_that_of_its_class() -> None:
    for _, code, exit_status, _ in TREE:
        if code != "cancelled":  # the signal decides between 129, 130 and 143
            assert class_of(code).exit_status == exit_status


def test_a_failure_says_its_message_and_keeps_what_is_known() -> None:
    failure = errors.RateLimited("m", hint="h", status=429, request_id="r", retry_after=1.5)
    assert str(failure) == failure.message == "m"
    assert (failure.hint, failure.status, failure.request_id) == ("h", 429, "r")
    assert (failure.retry_after, failure.partial) == (1.5, None)


def test_a_hint_of_one_failure_is_not_that_of_its_class() -> None:
    usual = errors.AuthError.hint
    errors.AuthError("m", hint="h")
    assert errors.AuthError("m").hint == usual


def test_an_unsupported_parameter_is_named() -> None:
    failure = errors.UnsupportedParameter("m", "stream", status=400)
    assert (failure.parameter, failure.status) == ("stream", 400)


def test_only_a_mistake_of_ours_is_called_a_bug() -> None:
    assert type(mistake(MemoryError())) is OutOfMemory
    assert type(mistake(ValueError("x"))) is InternalError
    assert str(mistake(ValueError("x"))) == "ValueError: x"


def test_whatever_a_message_names_it_can_be_encoded() -> None:
    error = UsageError("caf\udce9 is not there", hint="\ud800")
    assert (error.message, str(error), error.hint) == (*["caf\\xe9 is not there"] * 2, "\\ud800")
