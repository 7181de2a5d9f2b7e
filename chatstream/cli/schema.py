"""`chatstream schema`: the JSON Schema of the events."""

from __future__ import annotations

import json

import typer

from chatstream.bench.result import Result
from chatstream.events import json_schema


def schema() -> None:
    """Print the JSON Schema of the events that `--json` prints."""
    typer.echo(json.dumps(json_schema(Result), indent=2, ensure_ascii=False))
