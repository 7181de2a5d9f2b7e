"""The usual client: requests, iter_lines, json or else msgspec, print.

iter_lines.py ollama|openai URL MODEL [msgspec]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import requests

Load = Callable[[bytes], Any]


def ask_ollama(url: str, question: dict[str, object], load: Load) -> None:
    """Ask and print, a line of JSON for each token."""
    with requests.post(f"{url}/api/chat", json=question, stream=True) as response:
        for line in response.iter_lines():
            if line:
                print(load(line)["message"]["content"], end="", flush=True)


def ask_openai(url: str, question: dict[str, object], load: Load) -> None:
    """Ask and print, an event for each token."""
    with requests.post(f"{url}/v1/chat/completions", json=question, stream=True) as response:
        for line in response.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                delta = load(line[6:])["choices"][0]["delta"]
                print(delta.get("content", ""), end="", flush=True)


if __name__ == "__main__":
    dialect, url, model, *typed = sys.argv[1:]
    loads: Load = json.loads
    if typed:
        import msgspec

        loads = msgspec.json.decode
    ask = ask_ollama if dialect == "ollama" else ask_openai
    message = {"role": "user", "content": "hi"}
    ask(url, {"model": model, "stream": True, "messages": [message]}, loads)
