"""What a mistyped name was probably meant to be: one rule for commands, options, settings, models.

A name is near when it begins with what was typed (from three characters on), or when `difflib`
finds the two alike. Case and the dashes of an option do not count: a name that differs in nothing
else is the nearest. Of several names only those that are about as near as the nearest are
suggested.
"""

from __future__ import annotations

from collections.abc import Iterable

_MIN_LIKENESS = 0.6  # difflib's own limit
_LIKENESS_MARGIN = 0.03  # how much less alike than the nearest a name may be
_MAX_SUGGESTIONS = 3  # names that are suggested
_MIN_BEGINNING_CHARACTERS = 3


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are nearest to this one, the nearest first; three at most."""
    from difflib import SequenceMatcher  # only for a mistake

    typed = _core(name)
    matcher = SequenceMatcher(b=typed)  # it remembers its second text

    def likeness(other: str) -> float:
        other = _core(other)
        if other == typed:
            return 2.0
        if len(typed) >= _MIN_BEGINNING_CHARACTERS and other.startswith(typed):
            return 1.0
        matcher.set_seq1(other)
        quick = (
            matcher.real_quick_ratio() >= _MIN_LIKENESS and matcher.quick_ratio() >= _MIN_LIKENESS
        )
        return matcher.ratio() if quick else 0.0

    scores = {it: likeness(it) for it in known if it != name}
    limit = max(_MIN_LIKENESS, max(scores.values(), default=0.0) - _LIKENESS_MARGIN)
    return sorted((it for it in scores if scores[it] >= limit), key=lambda it: -scores[it])[
        :_MAX_SUGGESTIONS
    ]


def _core(name: str) -> str:
    return name.lstrip("-").casefold()


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """The question to ask about a name that is not known, or else `otherwise`."""
    names = [repr(it) for it in nearest(name, known)]
    if not names:
        return otherwise
    return f"did you mean {' or '.join(filter(None, (', '.join(names[:-1]), names[-1])))}?"
