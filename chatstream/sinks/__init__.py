"""Where the events of a run end up. `SINKS` names them; a new sink is one more line."""

from __future__ import annotations

import importlib
from typing import Any

SINKS: dict[str, str] = {
    "plain": "chatstream.sinks.plain:PlainSink",
    "rendered": "chatstream.sinks.rendered:RenderedSink",
    "accessible": "chatstream.sinks.accessible:AccessibleSink",
    "jsonl": "chatstream.sinks.jsonl:JsonlSink",
    "live": "chatstream.sinks.live:LiveSink",
}


def sink_class(name: str) -> Any:
    """The class of a sink; imported here and not before."""
    module, _, attribute = SINKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
