"""A program with tools that count, for tests that kill it.

    python -m tests.support.counted '{"url": …, "dialect": …, "folder": …, "die_after": 7}'

It asks, or resumes `run`, and writes each event to standard output. `count` adds a byte to the file
of its `name` before it returns how many there are; `look` does the same, but only reads by its own
account. `options` are more of those of `chatstream.stream`. After `die_after` events the program
kills itself; `die_in` is a place in a tool where it does so: "before" or "after" the byte of the
counter `name` is written.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chatstream
from chatstream.events import Event, encode

GIVEN: dict[str, Any] = {}


def count(name: str) -> str:
    """Add one to the counter of this name."""
    _die("before", name)
    time.sleep(GIVEN.get("work", 0.0))
    result = _more(name)
    time.sleep(GIVEN.get("work", 0.0))
    _die("after", name)
    return result


@chatstream.tool(effect="read")
def look(name: str) -> str:
    """Look at the counter of this name."""
    _die("before", name)
    return _more(name)


def _more(name: str) -> str:
    with (Path(GIVEN["folder"]) / name).open("ab", buffering=0) as file:
        file.write(b"x")
        return f"{name} is {file.tell()}"


def _die(place: str, name: str) -> None:
    if GIVEN.get("die_in") == [place, name]:
        os.kill(os.getpid(), signal.SIGKILL)


def events() -> Iterator[Event]:
    """Those of the run."""
    options: Any = {"tools": [count, look], "retries": 0, **GIVEN.get("options", {})}
    if "run" in GIVEN:
        return chatstream.resume(GIVEN["run"], **options)
    where = {"provider": GIVEN["dialect"], "base_url": GIVEN["url"], "model": "m"}
    return chatstream.stream("count", api_key="test-key", **where, **options)


def main() -> None:
    """Run it."""
    GIVEN.update(json.loads(sys.argv[1]))
    for number, event in enumerate(events(), 1):
        os.write(1, encode(event) + b"\n")
        if number == GIVEN.get("die_after"):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
