"""The tokens that a server of either API of OpenAI has counted.

xAI counts the model's thinking only in the total. Thinking is output like any other text, so it is
added to the output tokens wherever the total shows that it is missing there.
"""

from __future__ import annotations

from chatstream.events import Usage
from chatstream.providers.lenient import count_of, figure_of, object_of

_APART = frozenset({"xai"})


def usage_of(wire: dict[str, object], service: str = "") -> Usage:
    """The usage, under the names of either API, as this `service` means it."""
    inputs = object_of(wire.get("prompt_tokens_details") or wire.get("input_tokens_details"))
    outputs = object_of(wire.get("completion_tokens_details") or wire.get("output_tokens_details"))
    read = count_of(wire.get("prompt_tokens", wire.get("input_tokens")))
    written = count_of(wire.get("completion_tokens", wire.get("output_tokens")))
    thought = count_of(outputs.get("reasoning_tokens"))
    if service in _APART and read is not None and written is not None and thought:
        whole = count_of(wire.get("total_tokens"))
        written += thought if whole == read + written + thought else 0
    return Usage(
        input_tokens=read,
        output_tokens=written,
        reasoning_tokens=thought,
        cached_tokens=count_of(inputs.get("cached_tokens")),
        cost=figure_of(wire.get("cost")),
    )
