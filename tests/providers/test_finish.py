"""Claimed: a finish reason counts by its meaning, in every vendor's words and in any case."""

from __future__ import annotations

import pytest

from chatstream.providers.finish import Meaning, gave_up, meaning_of, reason_of, unknown

MEANINGS: dict[Meaning | None, list[str]] = {
    "stop": ["stop", "STOP", "end_turn", "stop_sequence", "eos", "COMPLETE", "end-turn"],
    "length": ["length", "MAX_TOKENS", "max_tokens", "model_length", "max tokens"],
    "tool_calls": ["tool_calls", "tool_use", "function_call", "TOOL_CALL"],
    "content_filter": [
        *("content_filter", "SAFETY", "sensitive", "refusal", "RECITATION", "BLOCKLIST", "SPII"),
        *("content_filter: PROHIBITED_CONTENT", "finish: SAFETY"),
    ],
    "paused": ["pause_turn", "compaction"],
    "failed": [
        *("abort", "aborted", "error", "ERROR", "network_error", "timeout", "TIMEOUT"),
        *("cancelled", "insufficient_system_resource", "MALFORMED_FUNCTION_CALL"),
    ],
    "unloaded": ["load", "unload"],
    "unknown": ["something_new", "stopped by the wind", "42", "x:y"],
    None: ["", " ", "null", "None", "NULL"],
}
CASES = [(word, meaning) for meaning, words in MEANINGS.items() for word in words]


@pytest.mark.parametrize(("word", "meaning"), CASES)
def test_a_word_has_its_meaning(word: str, meaning: Meaning | None) -> None:
    assert meaning_of(word) == meaning


def test_what_is_no_reason_of_ours_ends_an_answer_as_stop() -> None:
    meanings: list[Meaning] = ["unknown", "unloaded", "failed", "paused", "length"]
    assert [reason_of(it) for it in meanings] == ["stop", "stop", "stop", "paused", "length"]


def test_the_servers_word_is_quoted_and_bounded() -> None:
    assert "'network_error'" in gave_up("network_error").message
    assert gave_up("network_error").retryable
    assert len(gave_up("x" * 10_000).message) < 200
    assert len(unknown("x" * 10_000, 1.0).message) < 200
