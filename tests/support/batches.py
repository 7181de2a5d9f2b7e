"""A server that answers each prompt of a batch in its own words, and counts who asked what."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.answers import ending, frames
from tests.support.client import server_flags
from tests.support.loopback import SSE, Reply, Request, Script


class Answering(Script):
    """Answers "answer to PROMPT", a word at a time. `asked` counts the requests of each prompt.

    `others` has other replies for prompts, each given once. `pace` is between two words.
    """

    def __init__(
        self, pace: float = 0.0, others: Mapping[str, Sequence[Reply]] | None = None
    ) -> None:
        super().__init__(Reply())
        self.asked: Counter[str] = Counter()
        self._pace = pace
        self._others = {prompt: list(replies) for prompt, replies in (others or {}).items()}
        self._counting = threading.Lock()

    def take(self, request: Request) -> Reply:
        super().take(request)
        prompt = prompt_of(request)
        with self._counting:
            self.asked[prompt] += 1
            if others := self._others.get(prompt):
                return others.pop(0)
        words = [f"{word} " for word in answer_to(prompt).split()]
        words[-1] = words[-1].rstrip()
        return Reply([*frames("openai", words), *ending("openai")], headers=SSE, pace=self._pace)

    def forget_others(self) -> None:
        """From now on every prompt is answered."""
        with self._counting:
            self._others.clear()

    @property
    def flags(self) -> list[str]:
        """The flags that point a client here."""
        return server_flags("openai", f"{self.url}/v1")


def prompt_of(request: Request) -> str:
    """The last question of a request."""
    return str(request.json["messages"][-1]["content"])


def answer_to(prompt: str) -> str:
    """What the server answers."""
    return f"the answer to {prompt}"


def prompts_in(path: Path, count: int) -> list[str]:
    """So many prompts, written into a file, one a line."""
    prompts = [f"prompt {number}" for number in range(count)]
    path.write_text("\n".join(prompts), "utf-8")
    return prompts


def lines_in(path: Path) -> list[dict[str, Any]]:
    """The lines of an output."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
