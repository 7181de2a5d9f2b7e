"""What `stats` does: read the history, reckon, and print for whoever reads.

A terminal gets a screen, a pipe a plain table, and `--json` an object a line. In both of these the
total comes first and the groups follow. Runs that are still going are mentioned, and not counted.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial

from chatstream.bench.painting import painted
from chatstream.errors import UsageError
from chatstream.messages import encode
from chatstream.stats import report
from chatstream.stats.reckoning import By, grouped, total
from chatstream.stats.since import beginning
from chatstream.store.figures import RUNNING
from chatstream.store.history import MEASURING, History
from chatstream.terminal import exits, stdout
from chatstream.terminal.history import with_history
from chatstream.terminal.table import table
from chatstream.wording import counted


def show(since: str | None, by: By, *, as_json: bool) -> int:
    """Print what the runs since then came to; returns the exit status."""
    try:
        begin = beginning(since, time.time())
    except UsageError as error:
        return exits.report(error, ["--json"] if as_json else [])
    action = partial(_show, since=since, begin=begin, by=by, as_json=as_json)
    return with_history(action, as_json=as_json, stages=((MEASURING, 4.0),))


def _show(history: History, since: str | None, begin: str, by: By, *, as_json: bool) -> None:
    found = history.figures(begin)
    runs = [it for it in found if it.outcome != RUNNING]
    if going := len(found) - len(runs):
        are = "is" if going == 1 else "are"
        exits.note(f"{counted(going, 'run', commas=True)} {are} still going and not counted yet")
    if not found:
        exits.note(
            "there are no runs yet; `chatstream ask` starts one"
            if since is None
            else f"there are no runs since {since}; without --since all of them are counted"
        )
    if not runs:
        return
    whole, groups = total(runs), grouped(runs, by)
    if as_json:
        stdout.write(b"".join(encode(it) + b"\n" for it in (whole, *groups)))
    elif os.isatty(1):
        ttfts = [it.ttft for it in runs if it.ttft is not None]
        drawn = painted(
            lambda width, ascii_only: report.screen(
                whole, groups, ttfts, width, ascii_only=ascii_only
            ),
            1,
            sys.stdout.encoding,
        )
        stdout.write(drawn)
    else:
        stdout.show(table(report.rows([whole, *groups]), None))
