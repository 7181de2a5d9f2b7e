"""The details of a model, whatever names a server has for them.

A detail that is missing, or has another shape, is left out; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from chatstream.providers.lenient import count_of, object_of
from chatstream.providers.text import whole_characters

_CONTEXT = (
    *("context_length", "max_model_len", "context_window", "max_context_length"),
    *("max_input_tokens", "inputTokenLimit"),
)
"""The names that servers give to a model's largest context, in their lists of models."""


class ModelDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model: `context_length` in tokens, `size` in bytes, `parameters` in the server's words."""

    model: str
    context_length: int | None = None
    size: int | None = None
    parameters: str | None = None
    quantization: str | None = None
    family: str | None = None
    capabilities: tuple[str, ...] = ()


def of_entry(model: str, entry: dict[str, Any]) -> ModelDetails:
    """The details in an entry of a list of models."""
    meta, details = object_of(entry.get("meta")), object_of(entry.get("details"))
    contexts = [*(entry.get(it) for it in _CONTEXT), meta.get("n_ctx"), meta.get("n_ctx_train")]
    return ModelDetails(
        model,
        context_length=next(filter(None, map(count_of, contexts)), None),
        size=count_of(entry.get("size")) or count_of(meta.get("size")),
        parameters=_word(details.get("parameter_size")) or _number(meta.get("n_params")),
        quantization=_word(details.get("quantization_level")),
        family=_word(details.get("family")),
        capabilities=_names(entry.get("capabilities")),
    )


def of_shown(model: str, shown: dict[str, Any], size: int | None) -> ModelDetails:
    """The details from Ollama's `/api/show`; only its list of models has the size."""
    its = object_of(shown.get("model_info"))
    context = its.get(f"{its.get('general.architecture')}.context_length")
    entry = {**shown, "context_length": context, "size": size}
    return of_entry(model, entry)


def _word(value: object) -> str | None:
    return whole_characters(value) or None if isinstance(value, str) else None


def _number(value: object) -> str | None:
    number = count_of(value)
    return f"{number:,}" if number else None


def _names(value: object) -> tuple[str, ...]:
    """The names in a list, or those with a true value in an object."""
    given: Iterable[object] = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        given = [name for name, has in value.items() if has is True]
    return tuple(whole_characters(name) for name in given if isinstance(name, str))
