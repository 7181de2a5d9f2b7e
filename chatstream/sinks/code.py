"""Code in colours, a line at a time: how it was cut never shows, and each line is read once.

1. A line is read when it is whole, with the state that the lines before it left (`lexing`). So the
   cost is linear. For ordinary code the result is that of Pygments over the whole text.
2. The texts of a line's segments joined are the line. Styles have no background: what is copied is
   clean and the terminal's own background holds. Neighbours of one style are one segment, and
   blanks belong to what stands before them.
3. Code is remote input. Lines past `MAX_LINE_CHARACTERS` are left plain and change nothing; a lexer
   that fails, or does not come to an end, turns colours off for the rest of the block.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.codetheme import code_theme
from chatstream.sinks.lexing import Reader, State, StatefulReader
from chatstream.sinks.lines import Line, line_of

if TYPE_CHECKING:
    from rich.syntax import SyntaxTheme

MAX_LINE_CHARACTERS = 2_000
"""The regular expressions of many lexers are quadratic in them."""
_SLOW = {"autoit", "devicetree", "easytrieve", "fan", "gnuplot"}
"""Lexers, by their first alias, that take seconds for such a line of blanks or of one letter."""

_ALIASES = {
    "conf": "ini",
    "dotenv": "bash",
    "env": "bash",
    "gql": "graphql",
    "gradle": "groovy",
    "h": "c",
    "hpp": "cpp",
    "javascriptreact": "jsx",
    "jinja2": "jinja",
    "json5": "js",
    "jsonc": "json",
    "jsonl": "json",
    "kt": "kotlin",
    "mjs": "js",
    "ml": "ocaml",
    "patch": "diff",
    "shellsession": "console",
    "sqlite": "sql",
    "svelte": "html",
    "svg": "xml",
    "typescriptreact": "tsx",
    "vb": "vb.net",
}
"""Names that people write and Pygments does not know."""


class Highlighter:
    """One block of code.

    `language` is a name (`fences.info_of`); one that is not known gives plain lines.
    `theme` is "ansi_dark", "ansi_light" or the name of a style of Pygments (see `is_code_theme`).
    """

    def __init__(self, language: str, theme: str) -> None:
        self._reader = _reader_for(language)
        self._state: State | None = None
        self._styles = _Styles(theme)

    def feed(self, line: str) -> Line:
        """The next whole line, without its LF."""
        try:
            painted, self._state = self._painted(line)
        except Exception:  # whatever may go wrong in some hundred lexers; the text counts
            self._reader = None
            return line_of(line)
        return painted

    def peek(self, line: str) -> Line:
        """The same for a line that is not whole yet; changes nothing."""
        try:
            return self._painted(line)[0]
        except Exception:
            return line_of(line)

    def _painted(self, line: str) -> tuple[Line, State | None]:
        if self._reader is None or len(line) > MAX_LINE_CHARACTERS:
            return line_of(line), self._state
        tokens, state = self._reader.read(line, self._state)
        painted: Line = []
        start = end = 0
        style: Style | None = None
        for kind, text in tokens:
            new = self._styles[kind]
            if new is not style and not (text.isspace() and _is_unseen_in_blanks(style)):
                if end > start:
                    painted.append(Segment(line[start:end], style))
                start, style = end, new
            end += len(text)
        if end > start:
            painted.append(Segment(line[start:end], style))
        return painted + line_of(line[end:]), state


def _is_unseen_in_blanks(style: Style | None) -> bool:
    """Whether blanks look the same in this style, so that they may join what stands before them."""
    return style is None or not style.underline


def is_code_theme(name: str) -> bool:
    """Whether there is such a theme."""
    from pygments.styles import get_all_styles
    from rich.syntax import RICH_SYNTAX_THEMES

    return name in RICH_SYNTAX_THEMES or name in get_all_styles()


class _Styles(dict[Any, Style | None]):
    """The style of each type of token, the same object for the same style; None for plain text."""

    def __init__(self, theme: str) -> None:
        self._name = theme
        self._known: dict[Style, Style | None] = {Style(): None}

    @cached_property
    def _theme(self) -> SyntaxTheme:
        return code_theme(self._name)

    def __missing__(self, kind: Any) -> Style | None:
        given = self._theme.get_style_for_token(kind)
        color = given.color
        if color is not None and color.triplet == (0, 0, 0):
            color = None  # Rich says black where a theme says nothing: a dark terminal hides it
        style = Style(
            color=color,
            bold=given.bold or None,
            dim=given.dim or None,
            italic=given.italic or None,
            underline=given.underline or None,
        )
        self[kind] = self._known.setdefault(style, style)
        return self[kind]


def _reader_for(language: str) -> Reader | None:
    name = language.lower()
    name = _ALIASES.get(name, name)
    return _reader(name) if name in _known_languages() else None


@cache
def _reader(name: str) -> Reader | None:
    """All blocks of a language share a reader, for it takes some milliseconds to make one."""
    from pygments.lexer import RegexLexer
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(name)
    if lexer.aliases[0] in _SLOW:
        return None
    return StatefulReader(lexer) if isinstance(lexer, RegexLexer) else Reader(lexer)


@cache
def _known_languages() -> frozenset[str]:
    """Only the library's own: remote text must not choose among what else is installed."""
    from pygments.lexers import get_all_lexers

    return frozenset(alias for entry in get_all_lexers(plugins=False) for alias in entry[1])
