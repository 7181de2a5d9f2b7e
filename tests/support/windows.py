"""An Ollama with a window of a known size, and answers that say how much of it they take.

with Script(takes(700), beside=windowed(1000)) as server: ...
"""

from __future__ import annotations

from tests.support.answers import frames, headers
from tests.support.loopback import Reply


def windowed(tokens: int = 8192) -> dict[str, Reply]:
    """What Ollama tells of the model that is loaded."""
    return {"/api/ps": Reply.json({"models": [{"name": "m", "context_length": tokens}]})}


def takes(read: int | None, written: int = 5, text: str = "Blue.", why: str = "stop") -> Reply:
    """An answer, and the tokens that the server has counted; None for one that does not count."""
    counts = f',"prompt_eval_count":{read},"eval_count":{written}' if read is not None else ""
    end = f'{{"message":{{"content":""}},"done":true,"done_reason":"{why}"{counts}}}\n'.encode()
    return Reply([*frames("ollama", [text]), end], headers=headers("ollama"))
