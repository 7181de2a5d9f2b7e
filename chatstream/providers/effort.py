"""How much a model should think, in the terms of each service.

1. One table per dialect has the fields for each effort. If a service refuses them, the request is
   sent again without them, and a warning says so (`degrade`).
2. The user's own options of the same name win.
3. Claude before 4.6 has a budget of tokens instead of an effort. The budget and the answer have to
   fit into `max_tokens` together.
4. Claude before 4.6 does not think when it continues an answer, or when a call is forced.
"""

from __future__ import annotations

from typing import Any

from chatstream.errors import UsageError
from chatstream.messages import ChatRequest, Effort
from chatstream.providers.answertool import answers_by_tool, version_of

Fields = dict[str, Any]

OPENAI: dict[Effort, Fields] = {
    "none": {"reasoning_effort": "none"},
    "low": {"reasoning_effort": "low"},
    "medium": {"reasoning_effort": "medium"},
    "high": {"reasoning_effort": "high"},
}

REASONING: dict[Effort, Fields] = {  # OpenRouter, and the Responses API
    "none": {"reasoning": {"effort": "none"}},
    "low": {"reasoning": {"effort": "low"}},
    "medium": {"reasoning": {"effort": "medium"}},
    "high": {"reasoning": {"effort": "high"}},
}

TEMPLATE: dict[Effort, Fields] = {  # a template knows at most one of the names
    "none": {"chat_template_kwargs": {"enable_thinking": False}},
    "low": {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"}},
    "medium": {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "medium"}},
    "high": {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "high"}},
}

OF_A_SERVICE = {"openrouter": REASONING, "llamacpp": TEMPLATE, "vllm": TEMPLATE}
"""The services of the OpenAI dialect that have fields of their own."""

OLLAMA: dict[Effort, Fields] = {
    "none": {"think": False},
    "low": {"think": True},
    "medium": {"think": True},
    "high": {"think": True},
}

OLLAMA_LEVELS: dict[Effort, Fields] = {  # of gpt-oss; other models refuse a level
    "none": {"think": False},
    "low": {"think": "low"},
    "medium": {"think": "medium"},
    "high": {"think": "high"},
}

ANTHROPIC: dict[Effort, Fields] = {
    "none": {"thinking": {"type": "disabled"}},
    "low": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    "medium": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
    "high": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
}

ANTHROPIC_BUDGETS: dict[Effort, int] = {"none": 0, "low": 1024, "medium": 4096, "high": 16384}
"""Tokens to think with, for Claude before 4.6; 0 means no thinking."""

_LEAST_BUDGET = 1024
_FIRST_WITH_EFFORT = (4, 6)


def of_openai(request: ChatRequest, service: str) -> Fields:
    """The fields for a service of the OpenAI dialect."""
    effort = _effort(request)
    return OF_A_SERVICE.get(service, OPENAI)[effort] if effort else {}


def of_responses(request: ChatRequest) -> Fields:
    """The fields for the Responses API."""
    effort = _effort(request)
    return REASONING[effort] if effort else {}


def of_ollama(request: ChatRequest) -> Fields:
    """The fields for Ollama."""
    effort = _effort(request)
    if effort is None:
        return {}
    return (OLLAMA_LEVELS if "gpt-oss" in request.model else OLLAMA)[effort]


def of_anthropic(request: ChatRequest, usual: int) -> Fields:
    """The fields for Anthropic. `usual` are the tokens of an answer without a limit.

    Raises `UsageError` if there is no room to think.
    """
    effort = _effort(request)
    if effort is None:
        return {}
    if (version_of(request.model) or (0, 0)) >= _FIRST_WITH_EFFORT:
        return ANTHROPIC[effort]
    budget = ANTHROPIC_BUDGETS[effort]
    if not budget or request.method == "stripped_prefill":
        return {}
    if answers_by_tool(request):
        raise UsageError(
            f"{request.model} cannot think and follow a schema in the same request",
            hint="use a newer model, or leave out --effort or the schema",
        )
    if request.max_tokens is None:
        return {"max_tokens": usual + budget, "thinking": _thinking(budget)}
    if request.max_tokens <= _LEAST_BUDGET:
        raise UsageError(
            f"--max-tokens {request.max_tokens} leaves {request.model} no room to think",
            hint=f"allow more than {_LEAST_BUDGET} tokens, or leave out --effort",
        )
    return {"thinking": _thinking(min(budget, request.max_tokens - 1))}


def _thinking(budget: int) -> Fields:
    return {"type": "enabled", "budget_tokens": budget}


def _effort(request: ChatRequest) -> Effort | None:
    return None if "effort" in request.without else request.effort
