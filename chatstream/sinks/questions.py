r"""A question to a person: may this call run?

1. The call is shown with all of its arguments, whatever their length, so that whoever answers has
   seen everything that will be done. Where there is a diff, it replaces the arguments that have
   several lines, until all of the call is asked for.
2. What cannot be seen, or could make the text look like another one, is spelled out: `\u200b`,
   `\x1b`. A text of several lines is shown line by line, each behind a bar, so that none of them
   looks like a line of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.wording import counted

TAINTED = "Text from outside is in the conversation. It may have asked for this:"

Kind = Literal["call", "argument", "added", "removed", "place"]
"""The line that names the call, one of an argument or unchanged, and those of a diff."""


class Said(NamedTuple):
    """A line of a question, without its end."""

    text: str
    kind: Kind = "argument"


# Printable according to Unicode, but invisible: blanks, fillers and joiners of several
# scripts, the place of an object, and selectors, which can carry a hidden text.
_UNSEEN = re.compile(
    "[\u2800\u2d7f\ufffc\ufe00-\ufe0f\U00013441\U00013442\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)


def choice(question: ev.Approval) -> str:
    """The answers that it takes. `always` is for the rest of the run; `all` shows all of the call.

    Where the answer is about this call alone, there is no `always`.
    """
    return f"Run it? y yes{' · a always' * (not question.once)} · n no · d all"


def comes_first(line: str) -> bool:
    """Whether the user has to finish a line before answering the question.

    A single key that came too early to be an answer is not a line.
    """
    return len({*line}) > 1


def question_lines(question: ev.Approval, *, whole: bool = False) -> list[Said]:
    """The call that the question is about; with `whole` all arguments, even with a diff."""
    diff = question.preview
    return [
        *([Said(TAINTED, "call")] if question.by == "taint" else []),
        Said(f"The model wants to run {spelled_out(question.name)}:", "call"),
        *map(Said, _arguments(question.parameters, whole=whole or diff is None)),
        *_diff(diff or ""),
    ]


def spelled_out(text: str) -> str:
    """The text with everything spelled out that a reader would not see as it is."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(it if _is_seen(it) else _escaped(it) for it in text)


def _diff(diff: str) -> Iterator[Said]:
    """The lines of a unified diff, each behind a bar."""
    is_head = True  # the names of the file, in which + and - mean nothing
    for line in diff.removesuffix("\n").split("\n") if diff else ():
        kind: Kind = "argument"
        is_head = is_head and not line.startswith("@@")
        if is_head or line.startswith("@@"):
            kind = "place"
        elif line.startswith(("+", "-")):
            kind = "added" if line[0] == "+" else "removed"
        yield Said(f"  │ {spelled_out(line)}", kind)


def _arguments(parameters: Mapping[str, Any], *, whole: bool) -> Iterator[str]:
    for name, value in parameters.items():
        if isinstance(value, str) and "\n" in value and not whole:
            lines = counted(value.count("\n") + (not value.endswith("\n")), "line", commas=True)
            yield f"  {spelled_out(name)}: {lines}"
        elif isinstance(value, str) and "\n" in value:
            yield f"  {spelled_out(name)}:"
            for line in value.split("\n"):
                yield f"  │ {spelled_out(line)}"
        else:
            yield f"  {spelled_out(name)}: {spelled_out(_json(value))}"
    if not parameters:
        yield "  without arguments"


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)


def _is_seen(character: str) -> bool:
    return (
        character.isprintable() and not _UNSEEN.match(character) and clean(character) == character
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
