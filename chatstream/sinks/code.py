"""Code in colours, a line at a time: how it was cut never shows, and each line is read once.

1. A line is read when it is whole, with the state that the lines before it left. So the cost is
   linear. For ordinary code the result is that of Pygments over the whole text.
2. The texts of a line's segments joined are the line. Styles have no background: what is copied is
   clean and the terminal's own background holds.
3. What runs over several lines in one regular expression (`/* */`, a docstring, a heredoc) is
   recognised by trial: the line is read with the closing mark after it. If a match reaches into
   that mark, it is open, and the next line is read with the opening mark before it. It is taken
   for granted that the mark comes; Pygments looks ahead, and without one it sees something else.
4. Code is remote input. Lines past `LONGEST_LINE` are left plain and change nothing; a lexer that
   fails, or does not come to an end, turns colours off for the rest of the block.

Known to differ from Pygments over the whole text: what only another line decides (in C, a
function's name below its type; in Markdown, a heading by the line under it); several heredocs
begun in one line, and the rest of a line after one; code in a Markdown fence, each line by itself;
what templates, sessions and makefiles carry over a line, for their lexers hand out no state.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from functools import cache, cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.codetheme import code_theme
from chatstream.sinks.lines import Line, line_of

if TYPE_CHECKING:
    from rich.syntax import SyntaxTheme

LONGEST_LINE = 2_000
"""Characters; the regular expressions of many lexers are quadratic in them."""
DEEPEST = 500  # states on the stack; it is copied with every line
STEPS = 20_000  # matches in a line; ten for a character is more than any lexer needs
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

Token = tuple[Any, str]
"""A type of token of Pygments, and the text."""
_Found = tuple[int, Any, str]
"""The same as lexers tell it, with the position; some get that wrong, so nobody looks at it."""


class Highlighter:
    """One block of code.

    `language` is the info string of its fence; one that names no known language gives plain lines.
    `theme` is "ansi_dark", "ansi_light" or the name of a style of Pygments (see `is_code_theme`).
    """

    def __init__(self, language: str, theme: str) -> None:
        self._reader = _reader_for(language)
        self._state: _State | None = None
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

    def _painted(self, line: str) -> tuple[Line, _State | None]:
        if self._reader is None or len(line) > LONGEST_LINE:
            return line_of(line), self._state
        tokens, state = self._reader.read(line, self._state)
        painted: Line = []
        start = end = 0
        style: Style | None = None
        for kind, text in tokens:
            if self._styles[kind] is not style:
                if end > start:
                    painted.append(Segment(line[start:end], style))
                start, style = end, self._styles[kind]
            end += len(text)
        if end > start:
            painted.append(Segment(line[start:end], style))
        return painted + line_of(line[end:]), state


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


class _Span(NamedTuple):
    """Something that Pygments matches in one go over several lines.

    `again` and `closer` are templates for the match of `opener`.
    """

    opener: re.Pattern[str]
    again: str  # what opens it before a later line
    closer: str
    languages: frozenset[str]  # by the first alias of the lexer; none means all


def _span(opener: str, closer: str, languages: str = "", again: str = r"\g<0>") -> _Span:
    return _Span(re.compile(opener), again, closer, frozenset(languages.split()))


# A mark does no harm where it means nothing: only what the lexer itself takes past the end of the
# line counts, and if that is plain text, the mark before the next line is plain text as well.
# Quotes are listed where a string may have many lines.
_SPANS = (
    _span(r"(?m)^[ \t]*```[^`\n]*\n", "```\n", "markdown"),
    _span(r"/\*(?:\*(?!/))?", "*/", again=r"\g<0> "),
    _span(r"<!--", "-->"),
    _span(r"<!\[CDATA\[", "]]>"),
    _span(r"<!(?=[A-Za-z])", ">", "html vue xml"),
    _span(r'"""|\'\'\'', r"\g<0>"),
    _span(r"""["'](?=.*\\\n)""", r"\g<0>"),
    _span(r"['\"]", r"\g<0>", "bash html mysql perl php postgresql powershell sql splus vue xml"),
    _span(r'"', '"', "clojure cmake common-lisp csharp emacs-lisp racket scheme"),
    _span(r"`", "`", "go"),
    _span(
        r"""<<[<~-]?[ \t]*(["'`]?)\\?([a-zA-Z_]\w*)\1""",
        "\n\\2\n",
        "bash perl php ruby",
        again="\\g<0>\n\n",
    ),
    _span(r"(?m)^=[a-z]\w*", "\n=cut\n=end\n", "perl ruby", again="\\g<0> -\n\n"),
    _span(r"\bq[qrwx]?([^\w\s])", r"\1", "perl"),
    _span(r"(?:--|#)?\[(=*)\[", r"]\1]", "cmake lua"),
    _span(r'R"(\w*)\(', r')\1"', "c cpp cuda"),
    _span(r'r(#*)"', r'"\1', "rust"),
    _span(r"\n", '"@', "powershell"),  # its here-strings are ended by a mark with the LF before it
    _span(r"(?m)^.*\)[\w \t]*\n", "{", "c cpp cuda"),  # a function, with its brace on a line
)

_EMBEDDED = {"script-content": ("script", "javascript"), "style-content": ("style", "css")}
"""The states of HTML lexers that hand the text over, until a tag ends, to another language."""

_EVERYTHING = re.compile(r"(?s).+").match


def _inside(tag: str) -> Any:
    """Matches up to the end of the line or to the closing tag."""
    return re.compile(rf"(?i)[^\n]+?(?=<\s*/\s*{tag}\s*>)|[^\n]*\n").match


class _GivesUp(Exception):
    """The lexer does not come to an end, or its stack grows without one."""


class _State(NamedTuple):
    """What a line leaves to the next one; reading a line never changes the state it begins with."""

    context: Any  # Pygments' own: the stack of states, and what callbacks remember
    opened: str  # the mark to write before the next line, because a span is open; "" for none


class _Reader:
    """Reads with a lexer that hands out no state: each line as if it were the first."""

    def __init__(self, lexer: Any) -> None:
        self._lexer = lexer

    def read(self, line: str, state: _State | None) -> tuple[list[Token], _State | None]:
        """The tokens of a line, and the state after it."""
        return _cut(_pairs(self._lexer, line + "\n"), 0, len(line)), None


class _StatefulReader(_Reader):
    """Reads with a `RegexLexer`, each line with the state that the last one left.

    The library does not hand its stack out, and many lexers wrap its matching loop to rename what
    it finds. So a copy of the lexer gets one rule for every state, which matches everything and
    runs our loop instead.
    """

    def __init__(self, lexer: Any) -> None:
        from pygments.lexer import ExtendedRegexLexer, LexerContext
        from pygments.token import Error, Whitespace

        super().__init__(lexer)
        language = lexer.aliases[0]
        self._wrapper = copy.copy(lexer)
        self._new_context = LexerContext
        self._blank, self._error = Whitespace, Error
        self._with_context = isinstance(lexer, ExtendedRegexLexer)
        self._rules = lexer._tokens | {
            name: [lexer._tokens[name][0], (_inside(tag), _Embedded(language), None)]
            for name, (tag, language) in _EMBEDDED.items()
            if name in lexer._tokens
        }
        self._spans = [span for span in _SPANS if not span.languages or language in span.languages]

    def read(self, line: str, state: _State | None) -> tuple[list[Token], _State | None]:
        opened = state.opened if state else ""
        before = opened or ("\n" if state else "")  # so that only the first line is at \A
        text = f"{before}{line}\n"
        start, end = (0 if opened else len(before)), len(text)
        closers = self._closers(text)
        tokens, context, past = self._run(text + closers, start, end, state)
        again = ""
        if past is not None:
            again = opened if opened and past == 0 else self._again(text, past)
            if not again:  # only blanks or plain text went on
                tokens, context, _ = self._run(text, start, end, state)
        if len(context.stack) > DEEPEST:
            raise _GivesUp
        if context.stack[-1] not in _EMBEDDED:
            context.embedded = None
        first = len(before) - start
        return _cut(tokens, first, first + len(line)), _State(context, again)

    def _closers(self, text: str) -> str:
        """What would end all that may be open at the end of this text."""
        found = [
            match.expand(span.closer)
            for span in self._spans
            for match in span.opener.finditer(text)
        ]
        return "".join(dict.fromkeys(found))

    def _again(self, text: str, past: int) -> str:
        """What opens again what was opened first at or after `past`; "" if nothing was.

        Of two that begin in one place, the one that `_SPANS` names first.
        """
        found = [
            (match.start(), match.expand(span.again))
            for span in self._spans
            for match in span.opener.finditer(text)
            if match.end() > past
        ]
        return min(found, key=itemgetter(0))[1] if found else ""

    def _run(
        self, text: str, start: int, end: int, state: _State | None
    ) -> tuple[list[Token], Any, int | None]:
        """The tokens from `start` until `end` is reached, the lexer's context then, and where the
        match began that went past `end`.
        """
        context = _copied(state.context) if state else None
        past: int | None = None

        def whole(wrapper: Any, _match: Any, fresh: Any = None) -> Iterator[_Found]:
            nonlocal context, past
            # Some wrappers leave for their callbacks what these need.
            vars(self._lexer).update(vars(wrapper), _tokens=self._lexer._tokens)
            context = context or fresh or self._new_context(text, 0)
            context.text, context.pos, context.end = text, start, len(text)
            past = yield from self._matches(context, end)
            if fresh is not None:
                fresh.pos = len(text)  # the library's loop has nothing left to do

        self._wrapper._tokens = defaultdict(lambda: [(_EVERYTHING, whole, None)])
        return _pairs(self._wrapper, text), context, past

    def _matches(self, context: Any, end: int) -> Generator[_Found, None, int | None]:
        """The loop of `RegexLexer.get_tokens_unprocessed`, and of `ExtendedRegexLexer`'s.

        It ends where `end` is reached, so that rules that match nothing wait for the next line.
        After a match past `end` the stack is the one before it.
        """
        text = context.text
        for _ in range(STEPS):
            start: int = context.pos
            if start >= end:
                return None
            for matches, action, new_state in self._rules[context.stack[-1]]:
                match = matches(text, start)
                if match is None:
                    continue
                if isinstance(action, tuple):  # a type of token
                    yield start, action, match.group()
                    context.pos = match.end()
                elif action is None:
                    context.pos = match.end()
                elif self._with_context or isinstance(action, _Embedded):
                    yield from action(self._lexer, match, context)  # sets the position itself
                else:
                    yield from action(self._lexer, match)
                    context.pos = match.end()
                if context.pos > end:
                    return start
                _enter(context.stack, new_state)
                break
            else:
                if text[start] == "\n":
                    context.stack = ["root"]
                    yield start, self._blank, "\n"
                else:
                    yield start, self._error, text[start]
                context.pos = start + 1
        raise _GivesUp


class _Embedded:
    """What stands for a rule's action where the text is another language's, as in `<script>`."""

    def __init__(self, language: str) -> None:
        from pygments.lexers import get_lexer_by_name

        self._reader = _StatefulReader(get_lexer_by_name(language))

    def __call__(self, _lexer: Any, match: re.Match[str], context: Any) -> Iterator[_Found]:
        from pygments.token import Whitespace

        line, line_end, _ = match.group().partition("\n")
        tokens, context.embedded = self._reader.read(line, getattr(context, "embedded", None))
        for kind, text in [*tokens, (Whitespace, line_end)]:
            yield match.start(), kind, text
        context.pos = match.end()


def _reader_for(language: str) -> _Reader | None:
    from pygments.lexer import RegexLexer
    from pygments.lexers import get_lexer_by_name

    word = re.match(r"[\s{.]*([\w+#/.-]*)", language)
    name = word[1].lower() if word else ""
    name = _ALIASES.get(name, name)
    if name not in _known_languages():
        return None
    lexer = get_lexer_by_name(name)
    if lexer.aliases[0] in _SLOW:
        return None
    return _StatefulReader(lexer) if isinstance(lexer, RegexLexer) else _Reader(lexer)


@cache
def _known_languages() -> frozenset[str]:
    """Only the library's own: remote text must not choose among what else is installed."""
    from pygments.lexers import get_all_lexers

    return frozenset(alias for entry in get_all_lexers(plugins=False) for alias in entry[1])


def _pairs(lexer: Any, text: str) -> list[Token]:
    return [(kind, piece) for _, kind, piece in lexer.get_tokens_unprocessed(text)]


def _cut(tokens: Iterable[Token], start: int, end: int) -> list[Token]:
    """What lies between two positions, counted from the first token."""
    cut: list[Token] = []
    at = 0
    for kind, text in tokens:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            cut.append((kind, piece))
        at += len(text)
    return cut


def _copied(context: Any) -> Any:
    twin = object.__new__(type(context))
    for name, value in vars(context).items():
        setattr(twin, name, value.copy() if type(value) is list else value)
    return twin


def _enter(stack: list[str], new_state: Any) -> None:
    """A transition; the first state stays, however much is popped."""
    if new_state is None:
        return
    if isinstance(new_state, int):
        del stack[max(1, len(stack) + new_state) :]
        return
    for state in (new_state,) if isinstance(new_state, str) else new_state:
        if state == "#pop":
            del stack[max(1, len(stack) - 1) :]
        else:
            stack.append(stack[-1] if state == "#push" else state)
