"""What servers tell of a model is read under each of their names; what is odd is left out."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.providers.details import ModelDetails, of_entry, of_shown


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, {}),
        ({"context_length": 32768}, {"context_length": 32768}),
        ({"max_model_len": 4096}, {"context_length": 4096}),
        ({"max_input_tokens": 200000}, {"context_length": 200000}),
        (
            {"meta": {"n_ctx_train": 2048, "n_params": 1100048384, "size": 636920832}},
            {"context_length": 2048, "parameters": "1,100,048,384", "size": 636920832},
        ),
        ({"capabilities": {"chat": True, "vision": False}}, {"capabilities": ("chat",)}),
        ({"capabilities": ["tools", 7]}, {"capabilities": ("tools",)}),
        ({"context_length": "many", "size": [], "meta": 3, "details": "x"}, {}),
    ],
)
def test_an_entry_of_a_list(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    assert of_entry("m", entry) == ModelDetails("m", **expected)


def test_what_ollama_shows() -> None:
    shown = {
        "details": {"family": "qwen3", "parameter_size": "4.0B", "quantization_level": "Q4_K_M"},
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
        "capabilities": ["completion", "tools"],
    }
    assert of_shown("qwen3:4b", shown, 2_600_000_000) == ModelDetails(
        "qwen3:4b", 40960, 2_600_000_000, "4.0B", "Q4_K_M", "qwen3", ("completion", "tools")
    )
    assert of_shown("m", {"model_info": None}, None) == ModelDetails("m")
