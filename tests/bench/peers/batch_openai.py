"""A batch with the official SDK, in threads.

batch_openai.py URL MODEL PROMPTS OUT JOBS
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openai import OpenAI  # type: ignore[import-not-found,unused-ignore]


def main(url: str, model: str, prompts: str, out: str, jobs: str) -> None:
    """Ask every line of a file, and write the answers."""
    client = OpenAI(base_url=f"{url}/v1", api_key="none")

    def ask(prompt: str) -> str:
        chunks = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}], stream=True
        )
        pieces = (it.delta.content or "" for chunk in chunks for it in chunk.choices)
        return "".join(pieces)

    lines = Path(prompts).read_text("utf-8").splitlines()
    with ThreadPoolExecutor(int(jobs)) as threads, Path(out).open("w", encoding="utf-8") as file:
        for answer in threads.map(ask, lines):
            print(json.dumps({"content": answer}), file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
