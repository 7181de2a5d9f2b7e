"""Claimed: each service gets the effort in its own words, and the user's options win."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from chatstream.errors import UsageError
from chatstream.messages import ChatRequest, Effort, Message
from chatstream.providers.anthropic_body import body_of as anthropic_body
from chatstream.providers.effort import (
    ANTHROPIC,
    ANTHROPIC_BUDGETS,
    OF_A_SERVICE,
    OLLAMA,
    OLLAMA_LEVELS,
    OPENAI,
    REASONING,
    TEMPLATE,
    of_anthropic,
    of_ollama,
    of_openai,
    of_responses,
)
from chatstream.providers.openai_body import body_of as openai_body
from chatstream.schemas import table

USUAL = 8192
EFFORTS: tuple[Effort, ...] = get_args(Effort)


def request(effort: Effort | None, model: str = "m", **fields: Any) -> ChatRequest:
    return ChatRequest(model, (Message("user", "hi"),), effort=effort, **fields)


@pytest.mark.parametrize(
    "words", [OPENAI, REASONING, TEMPLATE, OLLAMA, OLLAMA_LEVELS, ANTHROPIC, ANTHROPIC_BUDGETS]
)
def test_a_table_has_every_effort(words: dict[Effort, Any]) -> None:
    assert tuple(words) == EFFORTS


@pytest.mark.parametrize(
    ("service", "effort", "fields"),
    [
        ("openai", "low", {"reasoning_effort": "low"}),
        ("groq", "none", {"reasoning_effort": "none"}),
        ("openrouter", "high", {"reasoning": {"effort": "high"}}),
        ("llamacpp", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        (
            "vllm",
            "medium",
            {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "medium"}},
        ),
    ],
)
def test_the_openai_dialect_has_words_for_each_service(
    service: str, effort: Effort, fields: dict[str, Any]
) -> None:
    assert of_openai(request(effort), service) == fields
    assert openai_body(request(effort), lambda _: {}, service).items() >= fields.items()


def test_services_with_words_of_their_own_are_in_the_table_of_providers() -> None:
    from chatstream.providers import PROVIDERS

    assert PROVIDERS.keys() >= OF_A_SERVICE.keys()


@pytest.mark.parametrize(
    ("model", "effort", "think"),
    [
        ("qwen3:4b", "none", False),
        ("qwen3:4b", "low", True),
        ("gpt-oss:20b", "low", "low"),
        ("gpt-oss:20b", "none", False),
    ],
)
def test_ollama_gets_levels_only_where_the_model_has_them(
    model: str, effort: Effort, think: object
) -> None:
    assert of_ollama(request(effort, model)) == {"think": think}


@pytest.mark.parametrize(
    ("model", "effort", "fields"),
    [
        ("claude-opus-4-6", "low", ANTHROPIC["low"]),
        ("claude-sonnet-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-haiku-4-5", "none", {}),
        (
            "claude-haiku-4-5",
            "medium",
            {
                "max_tokens": USUAL + 4096,
                "thinking": {"type": "enabled", "budget_tokens": 4096},
            },
        ),
    ],
)
def test_claude_gets_an_effort_or_a_budget_by_its_version(
    model: str, effort: Effort, fields: dict[str, Any]
) -> None:
    assert of_anthropic(request(effort, model), USUAL) == fields


def test_a_budget_fits_into_the_limit_of_the_user() -> None:
    fields = of_anthropic(request("high", "claude-haiku-4-5", max_tokens=2000), USUAL)
    assert fields == {"thinking": {"type": "enabled", "budget_tokens": 1999}}
    with pytest.raises(UsageError, match="leaves claude-haiku-4-5 no room to think"):
        of_anthropic(request("low", "claude-haiku-4-5", max_tokens=1024), USUAL)


def test_older_claudes_think_in_no_answer_that_they_continue_or_that_is_forced() -> None:
    continued = request("high", "claude-haiku-4-5", method="stripped_prefill", partial="a")
    assert of_anthropic(continued, USUAL) == {}
    forced = request("high", "claude-sonnet-4-20250514", schema=table({}))
    with pytest.raises(UsageError, match="cannot think and follow a schema in the same request"):
        of_anthropic(forced, USUAL)


def test_without_an_effort_nothing_is_sent() -> None:
    assert of_responses(request("low")) == {"reasoning": {"effort": "low"}}
    for asked in (request(None), request("high", without=frozenset({"effort"}))):
        assert (
            of_openai(asked, "openai")
            == of_ollama(asked)
            == of_responses(asked)
            == of_anthropic(asked, USUAL)
            == {}
        )


def test_the_effort_and_the_schema_share_what_the_user_says_of_the_output() -> None:
    asked = request("low", "claude-sonnet-5", schema=table({}))
    body = anthropic_body(asked, lambda _: {})
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": table({})},
    }
    options = {"output_config": {"effort": "max"}, "thinking": {"type": "disabled"}}
    own = anthropic_body(request("low", "claude-sonnet-5", options=options), lambda _: {})
    assert (own["output_config"], own["thinking"]) == ({"effort": "max"}, {"type": "disabled"})
