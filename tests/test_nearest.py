"""One rule says what a mistyped name was meant to be."""

from __future__ import annotations

import pytest

from chatstream.cli.commands import COMMANDS
from chatstream.engine.settings import FIELDS
from chatstream.nearest import did_you_mean, nearest
from chatstream.providers import PROVIDERS

MODELS = ["llama3.2:1b", "llama3.2:3b", "qwen3:4b", "mistral-nemo"]


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("aks", COMMANDS, ["ask"]),
        ("histroy", COMMANDS, ["history"]),
        ("olama", PROVIDERS, ["ollama"]),
        ("antropic", PROVIDERS, ["anthropic"]),
        ("OpenAI", PROVIDERS, ["openai"]),
        ("modle", FIELDS, ["model"]),
        ("idle_timout", FIELDS, ["idle_timeout"]),
        ("llama", MODELS, ["llama3.2:1b", "llama3.2:3b"]),
        ("qwen4:3b", MODELS, ["qwen3:4b"]),
        ("mistral", MODELS, ["mistral-nemo"]),
        ("zzz", MODELS, []),
        ("", MODELS, []),
        ("x", [], []),
    ],
)
def test_the_nearest_names_are_found(typed: str, known: list[str], meant: list[str]) -> None:
    assert nearest(typed, known) == meant


def test_three_are_named_at_most() -> None:
    assert len(nearest("model", [f"model-{number}" for number in range(50)])) == 3


def test_a_name_that_is_known_is_not_suggested_for_itself() -> None:
    assert nearest("ask", ["ask"]) == []


def test_the_question_is_a_sentence() -> None:
    assert did_you_mean("olama", ["ollama"]) == "did you mean 'ollama'?"
    assert did_you_mean("model", ["model-a", "model-b"]) == "did you mean 'model-a' or 'model-b'?"
    three = did_you_mean("model", ["model-a", "model-b", "model-c"])
    assert three == "did you mean 'model-a', 'model-b' or 'model-c'?"


def test_where_nothing_is_near_something_else_is_said() -> None:
    assert did_you_mean("zzz", ["ollama"], "one of: ollama") == "one of: ollama"
    assert did_you_mean("zzz", ["ollama"]) is None
