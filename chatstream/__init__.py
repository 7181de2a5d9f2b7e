"""chatstream: streaming chat with language models, every token the moment it arrives.

    import chatstream

    for event in chatstream.stream("Why is the sky blue?", provider="ollama"):
        if isinstance(event, chatstream.events.Content):
            print(event.delta, end="", flush=True)

    for piece in chatstream.pieces("Why is the sky blue?"):    # the text alone
        print(piece, end="", flush=True)

    print(chatstream.ask("Why is the sky blue?", provider="demo").content)

    for result in chatstream.batch(["Why is the sky blue?", "And at night?"], jobs=8):
        print(result.content)

    with chatstream.Client(provider="ollama") as client:   # one connection for all of them
        client.ask("Why is the sky blue?")
        client.ask("And at night?")

    for event in chatstream.resume():          # continue the last answer that broke off
        ...
    for event in chatstream.replay("run.jsonl"):
        ...
    with chatstream.history() as history:
        history.search("sky")

    for event in chatstream.progress(work, [("fetch", 1), ("index", 3)]):   # how far `work` is
        print(event.stage, event.percentage, event.eta)

    @chatstream.tool(effect="read")        # a function that a model may call
    def lines(path: str) -> int: ...

Nothing is imported until it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatstream import errors, events, messages
    from chatstream.api import ask, batch, pieces, resume, stream
    from chatstream.cancel import CancelToken
    from chatstream.engine.client import Client
    from chatstream.engine.replay import replay
    from chatstream.engine.working import progress
    from chatstream.errors import ChatstreamError
    from chatstream.messages import Message
    from chatstream.store.history import history
    from chatstream.tools.functions import tool
    from chatstream.tools.tool import Context, Tool

__version__ = "0.1.0"
__all__ = [
    "CancelToken",
    "ChatstreamError",
    "Client",
    "Context",
    "Message",
    "Tool",
    "__version__",
    "ask",
    "batch",
    "errors",
    "events",
    "history",
    "messages",
    "pieces",
    "progress",
    "replay",
    "resume",
    "stream",
    "tool",
]

_HOMES = {
    "CancelToken": "chatstream.cancel",
    "ChatstreamError": "chatstream.errors",
    "Context": "chatstream.tools.tool",
    "Message": "chatstream.messages",
    "Client": "chatstream.engine.client",
    "ask": "chatstream.api",
    "batch": "chatstream.api",
    "history": "chatstream.store.history",
    "pieces": "chatstream.api",
    "progress": "chatstream.engine.working",
    "replay": "chatstream.engine.replay",
    "resume": "chatstream.api",
    "stream": "chatstream.api",
    "Tool": "chatstream.tools.tool",
    "tool": "chatstream.tools.functions",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"chatstream.{name}")
    raise AttributeError(f"module 'chatstream' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
