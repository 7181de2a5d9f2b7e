"""chatstream: streaming chat with language models, every token the moment it arrives.

    import chatstream

    for event in chatstream.stream("Why is the sky blue?", provider="ollama"):
        if isinstance(event, chatstream.events.Content):
            print(event.delta, end="", flush=True)

    print(chatstream.ask("Why is the sky blue?", provider="demo").content)

Nothing is imported until it is used.
"""

from __future__ import annotations

__version__ = "0.1.0"
