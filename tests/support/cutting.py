"""An Ollama that cuts in silence: what does not fit its window is left out, and it answers.

    with CuttingOllama(window=2048) as server:
        ... a client asks server.url ...

A token is `BYTES` bytes. Of a conversation the oldest messages are left out; a last message that is
too long keeps its end. With `cached` it counts as old servers did: only what its cache does not
have, and nothing where all of it was read before.
"""

from __future__ import annotations

import json

from tests.support.loopback import NDJSON, Reply, Request, Script

BYTES = 4


class CuttingOllama(Script):
    """The server. `read` has the tokens that it read of each prompt."""

    def __init__(self, window: int, *, cached: bool = False) -> None:
        super().__init__(Reply())
        self.read: list[int] = []
        self._window = window
        self._cached = cached
        self._before = ""

    def take(self, request: Request) -> Reply:
        """An answer to what is left of the prompt."""
        super().take(request)
        texts = [str(it["content"]) for it in request.json["messages"]]
        while len(texts) > 1 and sum(map(len, texts)) > self._window * BYTES:
            del texts[0]
        prompt = "".join(texts)[-self._window * BYTES :]
        self.read.append(len(prompt) // BYTES)
        counted: dict[str, int] = {"prompt_eval_count": self.read[-1]}
        if self._cached and prompt.startswith(self._before):
            new = len(prompt) - len(self._before)
            counted = {"prompt_eval_count": new // BYTES} if new else {}
        self._before = prompt
        lines: list[dict[str, object]] = [
            {"message": {"content": "Certainly."}, "done": False},
            {"message": {"content": ""}, "done": True, "done_reason": "stop", **counted},
        ]
        return Reply([json.dumps(it).encode() + b"\n" for it in lines], headers=NDJSON)
