"""`chatstream stats`: a summary of past runs."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.cli.options import JsonLines
from chatstream.stats import request
from chatstream.stats.reckoning import By


def stats(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            show_default="all runs",
            help="Only count runs since then: 12h, 7d, 2w or a date.",
        ),
    ] = None,
    by: Annotated[By, typer.Option(help="Group the runs.")] = By.MODEL,
    as_json: JsonLines = False,
) -> int:
    """Summarize past runs: failures, latency, pace, tokens, cost and recoveries."""
    return request.show(since, by, as_json=as_json)
