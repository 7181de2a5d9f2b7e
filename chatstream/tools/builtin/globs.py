"""Which files a glob means: `*.py`, `src/**/*.ts`, `*.{js,jsx}`.

A glob without a slash is of the file's name, wherever it is; one with a slash is of its whole path
from the folder that is searched. `**` stands for any number of folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

MOST_ALTERNATIVES = 64
"""That braces may stand for."""

_BRACES = re.compile(r"\{([^{}]*)\}")

Wanted = Callable[[Sequence[str]], bool]
"""Whether the file at these names is wanted."""


def wanted(glob: str | None) -> Wanted:
    """What tells of a path whether a glob means it; None means every file.

    Raises `ValueError` for too many alternatives.
    """
    if glob is None:
        return lambda _: True
    patterns = [_compiled(it) for it in _expanded(glob)]
    return lambda parts: any(_fits(pattern, parts) for pattern in patterns)


_Step = re.Pattern[str] | None  # None is `**`


def _compiled(glob: str) -> list[_Step]:
    names = [it for it in glob.split("/") if it not in {"", "."}]
    if "/" not in glob:
        names.insert(0, "**")
    return [None if it == "**" else re.compile(translate(it)) for it in names]


def _expanded(glob: str) -> list[str]:
    """The globs that one with braces stands for."""
    whole, todo = [], [glob]
    while todo:
        one = todo.pop()
        if braces := _BRACES.search(one):
            choices = braces[1].split(",")
            todo += [one[: braces.start()] + it + one[braces.end() :] for it in choices]
        else:
            whole.append(one)
        if len(whole) + len(todo) > MOST_ALTERNATIVES:
            raise ValueError(f"the glob has more than {MOST_ALTERNATIVES} alternatives")
    return whole


def _fits(steps: Sequence[_Step], parts: Sequence[str]) -> bool:
    """All states at once, so that many `**` take no longer than a few."""
    states = _passed({0}, steps)
    for name in parts:
        reached = set()
        for state in states:
            if state == len(steps):
                continue
            step = steps[state]
            if step is None:
                reached.add(state)
            elif step.match(name):
                reached.add(state + 1)
        states = _passed(reached, steps)
    return len(steps) in states


def _passed(states: set[int], steps: Sequence[_Step]) -> set[int]:
    """These states, and those behind a `**` that stands for no folder."""
    for state in sorted(states):
        while state < len(steps) and steps[state] is None:
            state += 1
            states.add(state)
    return states
