"""A batch of many prompts: the time that it takes, the CPU time, and the memory.

The peers do less: they keep no journal, retry nothing, and cannot be run again for what is missing.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.rig import Failed, Rig, Spent
from tests.bench.rows import Row, compare

PROMPTS, FEW = 2_000, 200
JOBS = 32
MEMORY = 80.0  # MB
SHORT, LONG = 20, 200  # tokens of an answer


def rows(rig: Rig) -> Iterator[Row]:
    """Throughput against asyncio and httpx, CPU time against the SDK in threads, memory."""
    count = FEW if rig.quick else PROMPTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prompts = folder / "prompts.txt"
        prompts.write_text("".join(f"prompt {number}\n" for number in range(count)), "utf-8")

        def ours(tokens: int) -> list[str]:
            command = rig.chatstream("batch", str(prompts), "-j", str(JOBS))
            command += ["-p", "openai", "--base-url", f"{rig.url}/v1", "-m", f"t={tokens}"]
            return [*command, "--out", str(folder / "ours.jsonl")]

        def theirs(peer: str, tokens: int) -> list[str]:
            out = str(folder / f"{peer}.jsonl")
            return rig.peer(peer, rig.url, f"t={tokens}", str(prompts), out, str(JOBS))

        def spend(command: list[str]) -> Spent:
            """Of a batch that begins from nothing, and must end whole."""
            for out in folder.glob("*.jsonl"):
                out.unlink()
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            spent = rig.start(command, **quiet).finish()
            (out,) = folder.glob("*.jsonl")
            if (found := len(out.read_bytes().splitlines())) != count:
                raise Failed(f"{found} of {count} answers")
            return spent

        def wall(command: list[str]) -> float:
            return spend(command).wall

        for tokens, limit in ((LONG, 1 / 1.2), (SHORT, 1 / 0.6)):
            yield compare(
                f"batch: {count:,} × {tokens} tokens / asyncio and httpx",
                limit,
                partial(wall, ours(tokens)),
                partial(wall, theirs("batch_httpx", tokens)),
                pairs=rig.pairs(3),
            )
        yield compare(
            f"batch: CPU time, {LONG} tokens / openai SDK in threads",
            0.25,
            lambda: spend(ours(LONG)).cpu,
            lambda: spend(theirs("batch_openai", LONG)).cpu,
            pairs=rig.pairs(3),
        )
        yield compare(
            f"batch: memory / {MEMORY:.0f} MB",
            1.00,
            lambda: _peak(rig, ours(LONG), folder),
            lambda: MEMORY,
            pairs=rig.pairs(3),
            unit="MB",
        )


def _peak(rig: Rig, command: list[str], folder: Path) -> float:
    for out in folder.glob("*.jsonl"):
        out.unlink()
    return rig.peak(command)
