"""Finish reasons by meaning: one table for every dialect.

Servers write the same reason in many words (OpenAI's, Anthropic's, Gemini's, Cohere's, Bedrock's,
Z.ai's, Mistral's, Hugging Face's), in any case, and some put more words around it
(`content_filter: PROHIBITED_CONTENT`). A word that says that the server gave up is a failure and
never an end; a word that nobody knows is reported.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from chatstream.errors import ServerError
from chatstream.events import FinishReason, Warn
from chatstream.wording import excerpt

Meaning = FinishReason | Literal["failed", "unloaded", "unknown"]
"""Why a response ended. `unloaded`: the model was only loaded, or unloaded; nothing was asked."""

_WORDS: dict[Meaning, str] = {
    "stop": "stop end_turn stop_sequence stop_token eos eos_token eos_token_found end complete "
    "completed finish finished done",
    "length": "length max_tokens max_output_tokens max_length max_token model_length token_limit "
    "error_limit model_context_window_exceeded context_length context_length_exceeded",
    "tool_calls": "tool_calls tool_call tool_use function_call function_calls",
    "content_filter": "content_filter content_filtered safety sensitive refusal recitation "
    "blocklist prohibited_content spii image_safety model_armor guardrail_intervened "
    "error_toxic content_policy_violation",
    "paused": "pause_turn pause paused compaction",
    "failed": "abort aborted error network_error timeout time_limit cancelled canceled "
    "user_cancel insufficient_system_resource malformed_function_call malformed_response "
    "malformed_model_output malformed_tool_use unexpected_tool_call too_many_tool_calls failed "
    "failure internal_error server_error model_error",
    "unloaded": "load unload",
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_STILL_RUNNING = frozenset({"", "null", "none", "not_finished"})


def meaning_of(word: str) -> Meaning | None:
    """What a server's word for the end means; None: the response goes on."""
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in _STILL_RUNNING:
        return None
    head, _, tail = plain.partition(":")
    for part in (plain, tail.strip("_"), head.strip("_")):
        if part in _MEANINGS:
            return _MEANINGS[part]
    return "unknown"


def reason_of(meaning: Meaning) -> FinishReason:
    """The finish reason of an answer that is whole."""
    return cast("FinishReason", meaning) if meaning in get_args(FinishReason) else "stop"


def gave_up(raw: str) -> ServerError:
    """The failure that a reason of the meaning `failed` stands for."""
    return ServerError(f"the server gave up in the middle of the answer: {excerpt(raw, 60)!r}")


def unknown(raw: str, t: float) -> Warn:
    """The warning that a reason of an unknown meaning deserves."""
    words = f"the server ended the answer for an unknown reason: {excerpt(raw, 60)!r}"
    return Warn("finish_reason", words, t=t)
