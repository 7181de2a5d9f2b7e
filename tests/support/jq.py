"""`python -m tests.support.jq`: as much of jq as the README uses, where there is no jq.

One filter is known: `select(.type == "NAME")`, then a path of `.name` and `[]`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

_FILTER = re.compile(r'select\(\.type == "(\w+)"\)((?:\.\w+|\[\])*)')


def selected(lines: Iterable[str], wanted: str) -> Iterator[Any]:
    """What the filter gives for these lines of JSON."""
    known = _FILTER.fullmatch(wanted)
    assert known, f"unknown filter: {wanted}"
    for value in map(json.loads, lines):
        if value["type"] == known[1]:
            yield from _along(value, re.findall(r"\w+|\[\]", known[2]))


def _along(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    for found in value if path[0] == "[]" else [value.get(path[0])]:
        yield from _along(found, path[1:])


def main() -> int:
    """The command: `-r` prints texts bare, `-j` without line ends too."""
    *options, wanted = sys.argv[1:]
    bare, end = {"-r", "-j"} & set(options), "" if "-j" in options else "\n"
    for value in selected(sys.stdin, wanted):
        text = value if bare and isinstance(value, str) else json.dumps(value)
        print(text, end=end, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
