"""Only the requests of a batch: asyncio and httpx, some at a time.

batch_httpx.py URL MODEL PROMPTS OUT JOBS
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import httpx  # type: ignore[import-not-found,unused-ignore]


async def ask(client: httpx.AsyncClient, model: str, prompt: str) -> str:
    """One answer."""
    messages = [{"role": "user", "content": prompt}]
    body = {"model": model, "messages": messages, "stream": True}
    pieces = []
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                for choice in json.loads(line[6:])["choices"]:
                    pieces.append(choice["delta"].get("content") or "")
    return "".join(pieces)


async def run(url: str, model: str, prompts: list[str], jobs: int) -> list[str]:
    """All answers, in the order of the prompts."""
    free = asyncio.Semaphore(jobs)
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:

        async def one(prompt: str) -> str:
            async with free:
                return await ask(client, model, prompt)

        return await asyncio.gather(*map(one, prompts))


def main(url: str, model: str, prompts: str, out: str, jobs: str) -> None:
    """Ask every line of a file, and write the answers."""
    lines = Path(prompts).read_text("utf-8").splitlines()
    answers = asyncio.run(run(url, model, lines, int(jobs)))
    with Path(out).open("w", encoding="utf-8") as file:
        for answer in answers:
            print(json.dumps({"content": answer}), file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
