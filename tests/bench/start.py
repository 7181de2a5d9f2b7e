"""From the start of the process to the first byte of an answer that the server has at once, and to
the first prompt of a chat.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.rig import Rig
from tests.bench.rows import Row, compare

SPEC = "t=5"
PROMPT = "›"


def rows(rig: Rig) -> Iterator[Row]:
    """First byte against four peers; `--version` and `--help` against typer alone; a chat's prompt
    against prompt_toolkit with what every client needs.
    """
    alone = rig.peer("typer_alone")
    for flag in ("--version", "--help"):
        yield compare(
            f"start: {flag} / typer alone",
            1.30,
            partial(rig.wall, rig.chatstream(flag)),
            partial(rig.wall, [*alone, flag]),
            pairs=rig.pairs(15),
        )
    for dialect, name, peer, limit, pairs in (
        ("ollama", "typer + requests", rig.peer("typer_requests", rig.url, SPEC, "hi"), 1.15, 21),
        ("ollama", "lean typer + requests", rig.peer("typer_lean", rig.url, SPEC, "hi"), 1.20, 21),
        ("openai", "openai SDK", rig.peer("openai_sdk", rig.url, SPEC), 0.35, 7),
        ("openai", "llm", rig.llm(SPEC), 0.30, 7),
    ):
        ours = rig.ask(dialect, SPEC, "--plain")
        yield compare(
            f"start: first byte / {name}",
            limit,
            partial(rig.first_byte, ours),
            partial(rig.first_byte, peer),
            pairs=rig.pairs(pairs),
        )
    chat = ("chat", "-p", "ollama", "--base-url", rig.url, "-m", SPEC)
    yield compare(
        "start: first prompt / prompt_toolkit, requests, rich",
        1.30,
        partial(rig.first_shown, rig.chatstream(*chat), PROMPT),
        partial(rig.first_shown, rig.peer("prompt_alone"), PROMPT),
        pairs=rig.pairs(15),
    )
