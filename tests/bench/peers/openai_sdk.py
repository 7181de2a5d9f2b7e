"""The official SDK.

openai_sdk.py URL MODEL
"""

from __future__ import annotations

import sys

from openai import OpenAI  # type: ignore[import-not-found,unused-ignore]


def ask(url: str, model: str) -> None:
    """Ask and print."""
    client = OpenAI(base_url=f"{url}/v1", api_key="none")
    chunks = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hi"}], stream=True
    )
    for chunk in chunks:
        print(chunk.choices[0].delta.content or "", end="", flush=True)


if __name__ == "__main__":
    ask(*sys.argv[1:])
