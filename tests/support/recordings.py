"""The recorded answers of real servers and the event-stream cases, from the folder `shared`.

The folder lies beside the project and is never copied into it. Without it `SHARED` is None,
`recordings()` and `sse_cases()` yield nothing, and tests marked `requires_shared` are skipped:

    @requires_shared
    @pytest.mark.parametrize("case", recordings("recorded"), ids=str)
    def test_text(case: Recording) -> None:
        with Script(Reply(case.body, headers=case.headers, split=7)) as server:
            ... case.expected["text"] ...
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

BESIDE = Path(__file__).resolve().parents[2].parent / "shared"
SHARED = BESIDE if BESIDE.is_dir() else None

requires_shared = pytest.mark.skipif(
    SHARED is None, reason="needs the folder `shared` with its recordings beside the project"
)

Kind = Literal["recorded", "constructed", "errors", "nonstream", "models"]
"""Streams of real servers, constructed ones, HTTP errors, whole answers, lists of models."""

SUFFIXES = (".sse", ".ndjson", ".body")

Dialect = Literal["ollama", "openai", "anthropic"]


@dataclass(frozen=True)
class Recording:
    """One answer of a server, and what a client must make of it."""

    kind: Kind
    name: str  # KIND/PROVIDER/STEM, as in the folder
    provider: Dialect
    body: bytes
    status: int
    headers: Mapping[str, str]
    expected: Mapping[str, Any]  # as the folder's README says; empty for models
    http: Mapping[str, Any]  # as recorded; `end` says how a constructed one's connection ends
    recorded_reads: tuple[int, ...]  # the sizes of the recording's own reads, if it has them
    about: Mapping[str, Any]  # the whole description: source, licence, notes, tags, ...

    def __str__(self) -> str:
        return self.name

    @property
    def outcomes(self) -> frozenset[str]:
        """What the stream may be: complete, error or truncated; mostly just one."""
        return frozenset(self.expected.get("acceptable_outcomes", [self.expected["outcome"]]))

    def frame_ends(self) -> list[int]:
        """The offset after each frame: an event with its blank line, or a line of NDJSON."""
        end = rb"\n" if self.provider == "ollama" else rb"\r\n\r\n|\n\n|\r\r"
        return [found.end() for found in re.finditer(end, self.body)]


@dataclass(frozen=True)
class SSECase:
    """An event stream in reads, and the events it consists of."""

    name: str
    why: str
    chunks: tuple[bytes, ...]
    expected: tuple[Mapping[str, Any], ...]  # event, data, id, retry of each dispatched event
    events_after_chunk: tuple[int, ...]  # how many are out after each read
    final: Mapping[str, Any]  # last_event_id and retry at the end
    comments: int

    def __str__(self) -> str:
        return self.name


def recordings(*kinds: Kind) -> Iterator[Recording]:
    """The recordings of these kinds, of all without any."""
    if SHARED:
        folder = SHARED / "recordings"
        for kind in kinds or get_args(Kind):
            for path in sorted((folder / kind).rglob("*.json")):
                yield _load(kind, path, str(path.relative_to(folder).with_suffix("")))


def sse_cases() -> Iterator[SSECase]:
    """The event-stream cases."""
    if SHARED:
        for case in json.loads((SHARED / "sse_cases.json").read_text("utf-8")):
            yield SSECase(
                name=case["name"],
                why=case["why"],
                chunks=tuple(base64.b64decode(chunk) for chunk in case["chunks"]),
                expected=tuple(case["expected"]),
                events_after_chunk=tuple(case["events_after_chunk"]),
                final=case["final"],
                comments=case["comments"],
            )


def _load(kind: Kind, path: Path, name: str) -> Recording:
    about = json.loads(path.read_text("utf-8"))
    http = about.get("http", {})
    if kind == "models":
        provider: Dialect = "ollama" if path.stem.startswith("ollama") else "openai"
        body = json.dumps(about["body"]).encode()
    else:
        provider = about["provider"]
        [body] = (it.read_bytes() for it in map(path.with_suffix, SUFFIXES) if it.exists())
    streamed = "application/x-ndjson" if provider == "ollama" else "text/event-stream"
    usual = streamed if kind in ("recorded", "constructed") else "application/json"
    headers = {"content-type": http.get("content_type") or usual, **about.get("headers", {})}
    return Recording(
        kind=kind,
        name=name,
        provider=provider,
        body=body,
        status=http.get("status") or about["status"],
        headers=headers,
        expected=about.get("expected", {}),
        http=http,
        recorded_reads=tuple(about.get("recorded_reads", ())),
        about=about,
    )
