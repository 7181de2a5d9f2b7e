"""The leanest client with a command line: all that typer adds is off, requests is imported late."""

from __future__ import annotations

import json

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def ask(url: str, model: str, prompt: str) -> None:
    """Ask an Ollama server."""
    import requests

    question = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    with requests.post(f"{url}/api/chat", json=question, stream=True) as response:
        for line in response.iter_lines():
            print(json.loads(line)["message"]["content"], end="", flush=True)


if __name__ == "__main__":
    app()
