"""What changes between two texts, as a unified diff. Pure.

1. Lines end with LF alone, so that any other line end is visible. A last line without an end is
   marked in the usual words.
2. The work is bounded: what the two texts have in common at their beginnings and ends is set
   aside first, and if the rest is large, all of it becomes one change.
3. A diff is cut after `MOST_CHARACTERS`, and says so, with a hash of the rest: diffs that are the
   same text are diffs of the same change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256

from chatstream.wording import counted

MOST_CHARACTERS = 200_000

_AROUND = 3  # lines around a change
_MOST_COMPARED = 1_000_000  # lines of one side times lines of the other
_NO_END = "\\ No newline at end of file"

Change = tuple[int, int, int, int]
"""The lines from `a` to before `b` of the old text become those from `c` to before `d` of the new
one."""


def unified(name: str, old: str | None, new: str) -> str:
    """The diff of a file of this name; "" if nothing changes. `old` None: the file is new."""
    if old == new:
        return ""
    before, after = _lines(old or ""), _lines(new)
    name = name if name.isprintable() else json.dumps(name)  # it must not look like other lines
    lines = [f"--- {'/dev/null' if old is None else f'a/{name}'}", f"+++ b/{name}"]
    for group in _hunks(_changes(before, after)):
        lines += _hunk(group, before, after)
    return _cut(lines)


def _lines(text: str) -> list[str]:
    """The lines with their ends."""
    lines = text.split("\n")
    last = lines.pop()
    return [*(f"{it}\n" for it in lines), *([last] if last else [])]


def _changes(before: Sequence[str], after: Sequence[str]) -> list[Change]:
    first, most = 0, min(len(before), len(after))
    while first < most and before[first] == after[first]:
        first += 1
    last = 0
    while last < most - first and before[-1 - last] == after[-1 - last]:
        last += 1
    old, new = before[first : len(before) - last], after[first : len(after) - last]
    if len(old) * len(new) > _MOST_COMPARED:
        return [(first, first + len(old), first, first + len(new))]
    from difflib import SequenceMatcher  # only where something is written

    found = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [
        (first + a, first + b, first + c, first + d) for tag, a, b, c, d in found if tag != "equal"
    ]


def _hunks(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """The changes that are shown together, because few lines are between them."""
    group: list[Change] = []
    for change in changes:
        if group and change[0] - group[-1][1] > 2 * _AROUND:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _hunk(group: Sequence[Change], before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    start, end = max(0, group[0][0] - _AROUND), min(len(before), group[-1][1] + _AROUND)
    new_start = group[0][2] - (group[0][0] - start)
    new_end = group[-1][3] + (end - group[-1][1])
    yield f"@@ -{_range(start, end)} +{_range(new_start, new_end)} @@"
    at = start
    for a, b, c, d in group:
        yield from _marked(" ", before[at:a])
        yield from _marked("-", before[a:b])
        yield from _marked("+", after[c:d])
        at = b
    yield from _marked(" ", before[at:end])


def _range(start: int, end: int) -> str:
    """Its first line and its number of lines, as `diff -u` writes them."""
    if end - start == 1:
        return str(start + 1)
    return f"{start + 1 if end > start else start},{end - start}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line.removesuffix("\n")
        if not line.endswith("\n"):
            yield _NO_END


def _cut(lines: Sequence[str]) -> str:
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            rest = counted(len(lines) - number, "more line", commas=True)
            mark = sha256("\n".join(lines[number:]).encode("utf-8", "surrogatepass")).hexdigest()
            note = f"[… {rest} of this diff not shown; SHA-256 {mark}]"
            return "\n".join([*lines[:number], note, ""])
    return "\n".join([*lines, ""])
