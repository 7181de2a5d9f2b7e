"""The usual client: requests, iter_lines, json, print.

iter_lines.py ollama|openai URL MODEL
"""

from __future__ import annotations

import json
import sys

import requests


def ask_ollama(url: str, question: dict[str, object]) -> None:
    """Ask and print, a line of JSON for each token."""
    with requests.post(f"{url}/api/chat", json=question, stream=True) as response:
        for line in response.iter_lines():
            if line:
                print(json.loads(line)["message"]["content"], end="", flush=True)


def ask_openai(url: str, question: dict[str, object]) -> None:
    """Ask and print, an event for each token."""
    with requests.post(f"{url}/v1/chat/completions", json=question, stream=True) as response:
        for line in response.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                delta = json.loads(line[6:])["choices"][0]["delta"]
                print(delta.get("content", ""), end="", flush=True)


if __name__ == "__main__":
    dialect, url, model = sys.argv[1:]
    ask = ask_ollama if dialect == "ollama" else ask_openai
    message = {"role": "user", "content": "hi"}
    ask(url, {"model": model, "stream": True, "messages": [message]})
