"""Text that is still written: how it is drawn before its emphasis, code, links and tags end.

1. What has no end yet is drawn as if it ended with the text, so that nothing shifts when the end
   comes. For this, `closed` adds the end of code, of a link's target and of a tag.
2. Marks and parts of tags and names at the very end are left out: what follows decides about them.
3. Only marks that can begin emphasis begin it (`begin_emphasis`), so each character of well-formed
   emphasis has its final style at once. Emphasis that never ends is text, as CommonMark has it: it
   loses its style when the paragraph ends. That happens where a model forgets the end of emphasis,
   and to what nobody can tell from emphasis: `char *name`, or the `_private` of `_private_x_`.
   What is almost certainly code (`*args`) gets no style before it has an end.
"""

from __future__ import annotations

import re

from markdown_it.rules_inline import StateInline

from chatstream.sinks.tags import NAMES

GOES_ON = "goes on"
"""Tells the rules of the parser, in its environment, that the text goes on."""

_CODE = re.compile(r"\\.|(`+)", re.DOTALL)
_OPEN_LINK = re.compile(
    r"(?<![\\!])\[(?:[^][\\`<\n]|`[^`\n]+`)*\]\([^\s()<>\\`]*\Z|<https?://[^\s<>\\`]+\Z"
)
_OPEN_KEY = re.compile(r"<kbd>[^<>`\n]+\Z", re.IGNORECASE)
_OPEN_SUMMARY = re.compile(r"<summary>(?!.*</summary>)\s*[^\n]+\Z", re.IGNORECASE | re.DOTALL)

_MARKS = "*_~\\"
_HALF_BOX = re.compile(r"\[(?:[ x]?\]?|!\w*)", re.IGNORECASE)  # of a task or an alert
_STARTS = {name[:end] for name in (*NAMES, "strong") for end in range(len(name) + 1)}
_HALF = re.compile(
    rf"<+(?:/?(?:{'|'.join(_STARTS)})(?: ?/)?|(?:kbd|summary)>\s*|(?:sub|sup)>[^<>`\n]*"
    r"|https?:?/{0,2}|h|htt?)\Z"
    r"|&(?:[a-z]{0,6}|#x?[0-9a-f]{0,6})\Z|(?<!\w)__[a-z0-9]*\Z",
    re.IGNORECASE,
)
"""A tag, an address or an entity of which only the beginning is there; what is below or above the
line, whose characters decide together how they are drawn; `__init`, which may be bold or a name."""
_MAX_HALF_CHARACTERS = 24


def closed(text: str) -> tuple[str, str]:
    """The text with the end of what is open in it, and without what is undecided at its end.

    Also the type of the parser's token that must be its last one if something was added.
    """
    text, last = _with_code_closed(text)
    if not last:
        if link := _OPEN_LINK.search(text):
            return text + (">" if link[0][0] == "<" else ")"), "link_close"
        text = _without_undecided(text)
    if not last and _OPEN_KEY.search(text):
        text, last = f"{text}</kbd>", "code_inline"
    if _OPEN_SUMMARY.search(text):
        return f"{text}</summary>", "strong_close"
    return text, last


def _with_code_closed(text: str) -> tuple[str, str]:
    at = 0
    while mark := _CODE.search(text, at):
        start, at = mark.span()
        if run := mark[1]:
            if end := re.compile(f"(?<!`){run}(?!`)").search(text, at):
                at = end.end()
            elif "\n" not in text[at:]:  # models do not break code; else it is a lone backtick
                code = text[at:].rstrip("`")
                return (text[:at] + code + run, "code_inline") if code else (text[:start], "")
    return text, ""


def _without_undecided(text: str) -> str:
    if _HALF_BOX.fullmatch(text):
        return ""
    while True:
        text = text.rstrip(_MARKS)
        half = _HALF.search(text, max(0, len(text) - _MAX_HALF_CHARACTERS))
        if half is None:
            return text
        text = text[: half.start()]


def begin_emphasis(state: StateInline) -> None:
    """A rule of the parser: marks that can begin emphasis, and are not closed, do begin it."""
    if GOES_ON not in state.env:
        return
    ended = before = -1
    for at, mark in enumerate(state.delimiters):
        if at > ended and mark.open and mark.end < 0:
            token = state.tokens[mark.token]
            token.content = ""
            if mark.marker == ord("~"):
                token.type = "s_open"
            elif before == mark.token - 1 and state.tokens[before].type == "em_open":
                state.tokens[before].type = "strong_open"
            else:
                token.type = "em_open"
            before = mark.token
        ended = max(ended, mark.end)
