"""Whether an answer is honest about a body: the client's events against the lenient reader.

    faults(found, answer, usual)     what is wrong with this answer of a damaged body
    changes(answer, usual)           what differs, where nothing may differ

An answer is honest if it ends in one terminal event, fails with a code other than `internal`, and
is `done` without a warning only if it holds everything that the reader is sure of. A warning that
the undamaged recording brings, too, does not count, nor does one that is about something else.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from chatstream import events as ev
from tests.fuzz.places import Piece, compact
from tests.fuzz.reader import Found
from tests.support.client import Answer

_TAGS = re.compile(
    r"</?(?:think|thinking|thought|seed:think)>|\[/?THINK\]|<\|[a-z]+\|>(?:analysis|final)?"
)
_HALVES = re.compile("[\ud800-\udfff\ufffd]")


ABOUT_SOMETHING_ELSE = frozenset({"no_answer", "finish_reason", "refusal"})
"""Codes of warnings that do not say that something was left out or went wrong."""


def warnings(answer: Answer) -> list[tuple[str, str]]:
    """Code and message of each warning."""
    return [(e.code, e.message) for e in answer.events if isinstance(e, ev.Warn)]


def outcome(answer: Answer, usual: Sequence[tuple[str, str]]) -> str:
    """How it ended, in a word: done, warned, or the code of its error."""
    if isinstance(answer.terminal, ev.Error):
        return answer.terminal.code
    return "warned" if _new(answer, usual) else "done"


def _new(answer: Answer, usual: Sequence[tuple[str, str]]) -> Counter[tuple[str, str]]:
    return Counter(warnings(answer)) - Counter(usual)


def faults(found: Found, answer: Answer, usual: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What is wrong, one line each; a line begins with its kind and a colon."""
    if outcome(answer, usual) == "internal":
        yield f"internal: {answer.terminal}"
    if isinstance(answer.terminal, ev.Error):
        return
    if {code for code, _ in _new(answer, usual)} - ABOUT_SOMETHING_ELSE:
        return
    if (lost := missing(found, answer)) is not None:
        yield f"{lost.kind} lost: {lost.wordings[0][:80]!r}"
    for stretch in found.damaged[:1]:
        yield f"damage not told: {stretch[:80]!r}"
    if found.failure:
        yield f"failure not told: {found.failure[:80]!r}"
    if not found.ended:
        yield "end not seen: nothing says that the answer is whole"


def changes(answer: Answer, usual: Answer, *, counts: bool) -> Iterator[str]:
    """What differs from the answer of the undamaged body. `counts`: the usage, too."""
    if warnings(answer) != warnings(usual):
        yield f"warnings: {warnings(answer)}"
    if type(answer.terminal) is not type(usual.terminal):
        yield f"end: {answer.terminal}"
    elif isinstance(answer.terminal, ev.Done) and isinstance(usual.terminal, ev.Done):
        for name in ("finish_reason", "raw_finish_reason", *(["usage"] if counts else [])):
            is_now, was = getattr(answer.terminal, name), getattr(usual.terminal, name)
            if is_now != was:
                yield f"{name}: {was} -> {is_now}"
    for name in ("text", "reasoning", "tool_calls"):
        if (is_now := getattr(answer, name)) != (was := getattr(usual, name)):
            yield f"{name}: {str(was)[-80:]!r} -> {str(is_now)[-80:]!r}"


def missing(found: Found, answer: Answer) -> Piece | None:
    """The first piece that the reader is sure of and the answer does not hold."""
    told = [p for p in found.pieces if p.kind != "arguments"]
    lost = None
    if not _same(found, answer):
        lost = _first_missing(told, _plain(answer.text), _plain(answer.reasoning))
    if lost is not None and _TAGS.search(found.text() + found.text("reasoning")):
        # The tags are taken out of the text, and white space with them: count what is left.
        shown = Counter(_bones(answer.text + answer.reasoning))
        if not Counter(_bones("".join(p.wordings[0] for p in told))) - shown:
            lost = None
    return lost or _missing_call(found, answer)


def _same(found: Found, answer: Answer) -> bool:
    return found.text() == answer.text and found.text("reasoning") == answer.reasoning


def _first_missing(pieces: Sequence[Piece], text: str, reasoning: str) -> Piece | None:
    """Pieces in order and without overlap: text in the text, else in the reasoning."""
    at = {"text": 0, "reasoning": 0}
    told = {"text": text, "reasoning": reasoning}
    for piece in pieces:
        for where in ("text", "reasoning") if piece.kind == "text" else ("reasoning", "text"):
            for wording in map(_plain, piece.wordings):
                start = told[where].find(wording, at[where])
                if start >= 0:
                    at[where] = start + len(wording)
                    break
            else:
                continue
            break
        else:
            return piece
    return None


def _missing_call(found: Found, answer: Answer) -> Piece | None:
    """Arguments that are in no tool call; as text or, if whole, as the same value."""
    pieces = [p for p in found.pieces if p.kind == "arguments"]
    if not pieces:
        return None
    calls = [arguments for _, _, arguments in answer.tool_calls]
    written = _plain("\n".join([*calls, answer.text]))
    values = {_compacted(arguments) for arguments in calls}
    for piece in pieces:
        wording = piece.wordings[0]
        if _plain(wording) not in written and _compacted(wording) not in values:
            return piece
    return None


def _compacted(text: str) -> str | None:
    try:
        return compact(json.loads(text, strict=False))
    except (ValueError, RecursionError):
        return None


def _plain(text: str) -> str:
    return text if text.isascii() else _HALVES.sub("", text)


def _bones(text: str) -> str:
    return "".join(_TAGS.sub("", _plain(text)).split())
