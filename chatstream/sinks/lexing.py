"""The tokens of a line of code, as Pygments would find them in the whole text.

A reader turns a line, and the state that the lines before it left, into tokens and the state after
it. It uses only what Pygments makes public.

What runs over several lines in one regular expression (`/* */`, a docstring, a heredoc) is
recognised by trial: the line is read with the closing mark after it. If a match reaches into that
mark, it is open, and the next line is read with the opening mark before it. It is taken for granted
that the mark comes; Pygments looks ahead, and without one it sees something else.

Known to differ from Pygments over the whole text: what only another line decides (in C, a
function's name below its type; in Markdown, a heading by the line under it); several heredocs
begun in one line, and the rest of a line after one; code in a Markdown fence, each line by itself;
what templates, sessions and makefiles carry over a line, for their lexers hand out no state.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

MAX_STATES = 500  # states on the stack; it is copied with every line
MAX_STEPS = 20_000  # matches in a line; ten for a character is more than any lexer needs

Token = tuple[Any, str]
"""A type of token of Pygments, and the text."""
_Found = tuple[int, Any, str]
"""The same as lexers tell it, with the position; some get that wrong, so nobody looks at it."""


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
    _span(r"<!(?:--|\[CDATA\[|(?=[A-Za-z]))", "-->]]>"),
    _span(r'''"""|\'{3}|["\'](?=.*\\\n)''', r"\g<0>"),
    _span(
        r"""["'`]""",
        r"\g<0>",
        "bash clojure cmake common-lisp csharp emacs-lisp go html mysql perl php postgresql"
        " powershell racket scheme splus sql vue xml",
    ),
    _span(
        r"""<<[<~-]?[ \t]*(["'`]?)\\?([a-zA-Z_]\w*)\1""",
        "\n\\2\n",
        "bash perl php ruby",
        again="\\g<0>\n\n",
    ),
    _span(r"(?m)^=[a-z]\w*", "\n=cut\n=end\n", "perl ruby", again="\\g<0> -\n\n"),
    _span(r"(?m)^.*\)[\w \t]*\n", "{", "c cpp cuda"),  # a function, with its brace on a line
    _span(  # four whose mark is chosen when it opens; what of the closer is left over is not read
        r"""(?:--|#)?\[(=*)\[|R"(\w*)\(|r(#*)"|\bq[qrwx]?([^\w\s])""",
        r']\1])\2""\3\4',
        "c cmake cpp cuda lua perl rust",
    ),
    _span(r"\n", '"@', "powershell"),  # its here-strings are ended by a mark with the LF before it
)

_EMBEDDED = {"script-content": ("script", "javascript"), "style-content": ("style", "css")}
"""The states of HTML lexers that hand the text over, until a tag ends, to another language."""


def _inside(tag: str) -> Any:
    """Matches up to the end of the line or to the closing tag."""
    return re.compile(rf"(?i)[^\n]+?(?=<\s*/\s*{tag}\s*>)|[^\n]*\n").match


class _GivesUp(Exception):
    """The lexer does not come to an end, or its stack grows without one."""


class State(NamedTuple):
    """What a line leaves to the next one; reading a line never changes the state it begins with."""

    context: Any  # Pygments' own: the stack of states, and what callbacks remember
    opened: str  # the mark to write before the next line, because a span is open; "" for none


@dataclass(slots=True)
class _Job:
    """What a run of the lexer is to read, and what it found out."""

    text: str
    start: int
    end: int
    context: Any  # of Pygments; None if this is the first line
    past: int | None = None  # where the match began that went past `end`


class Reader:
    """Reads with a lexer that hands out no state: each line as if it were the first."""

    def __init__(self, lexer: Any) -> None:
        self._lexer = lexer

    def read(self, line: str, state: State | None) -> tuple[list[Token], State | None]:
        """The tokens of a line, and the state after it."""
        return _cut(_pairs(self._lexer, line + "\n"), 0, len(line)), None


class StatefulReader(Reader):
    """Reads with a `RegexLexer`, each line with the state that the last one left.

    The library does not hand its stack out, and many lexers wrap its matching loop to rename what
    it finds. So a subclass of the lexer gets one rule for every state, which matches everything
    and runs our loop, with the lexer's own rules, instead.
    """

    def __init__(self, lexer: Any) -> None:
        from pygments.lexer import ExtendedRegexLexer, LexerContext
        from pygments.token import Error, Whitespace

        super().__init__(lexer)
        language = lexer.aliases[0]
        self._new_context = LexerContext
        self._blank, self._error = Whitespace, Error
        self._with_context = isinstance(lexer, ExtendedRegexLexer)
        variant, states = _states(type(lexer))
        rules = type(lexer).process_tokendef(variant, states)
        self._rules = rules | {
            name: [rules[name][0], (_inside(tag), _Embedded(embedded), None)]
            for name, (tag, embedded) in _EMBEDDED.items()
            if name in rules
        }
        everything = {name: [(r"(?s).+", self._whole)] for name in states}
        tokens = {variant: everything} if variant else everything
        self._wrapper = type("Wrapper", (type(lexer),), {"tokens": tokens})()
        self._spans = [span for span in _SPANS if not span.languages or language in span.languages]

    def read(self, line: str, state: State | None) -> tuple[list[Token], State | None]:
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
        if len(context.stack) > MAX_STATES:
            raise _GivesUp
        if context.stack[-1] not in _EMBEDDED:
            context.embedded = None
        first = len(before) - start
        return _cut(tokens, first, first + len(line)), State(context, again)

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
        self, text: str, start: int, end: int, state: State | None
    ) -> tuple[list[Token], Any, int | None]:
        """The tokens from `start` until `end` is reached, the lexer's context then, and where the
        match began that went past `end`.
        """
        context = _copied(state.context) if state else None
        self._job = _Job(text, start, end, context)
        tokens = _pairs(self._wrapper, text)
        return tokens, self._job.context, self._job.past

    def _whole(self, wrapper: Any, _match: Any, fresh: Any = None) -> Iterator[_Found]:
        """What the wrapper does with the text: our loop, over what `_run` was asked for."""
        job = self._job
        # Some wrappers leave for their callbacks what these need.
        left = {name: value for name, value in vars(wrapper).items() if name[0] != "_"}
        vars(self._lexer).update(left)
        job.context = context = job.context or fresh or self._new_context(job.text, 0)
        context.text, context.pos, context.end = job.text, job.start, len(job.text)
        job.past = yield from self._matches(context, job.end)
        if fresh is not None:
            fresh.pos = len(job.text)  # the library's loop has nothing left to do

    def _matches(self, context: Any, end: int) -> Generator[_Found, None, int | None]:
        """The loop of `RegexLexer.get_tokens_unprocessed`, and of `ExtendedRegexLexer`'s.

        It ends where `end` is reached, so that rules that match nothing wait for the next line.
        After a match past `end` the stack is the one before it.
        """
        text = context.text
        for _ in range(MAX_STEPS):
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
        self._language = language

    @cached_property
    def _reader(self) -> StatefulReader:
        """Made when it is first needed: most pages have neither a script nor a style."""
        from pygments.lexers import get_lexer_by_name

        return StatefulReader(get_lexer_by_name(self._language))

    def __call__(self, _lexer: Any, match: re.Match[str], context: Any) -> Iterator[_Found]:
        from pygments.token import Whitespace

        line, line_end, _ = match.group().partition("\n")
        tokens, context.embedded = self._reader.read(line, getattr(context, "embedded", None))
        for kind, text in [*tokens, (Whitespace, line_end)]:
            yield match.start(), kind, text
        context.pos = match.end()


def _states(kind: Any) -> tuple[str, dict[str, Any]]:
    """The states that a kind of lexer defines. A few do so in variants: the usual one, by name."""
    if not getattr(kind, "token_variants", False):
        return "", kind.get_tokendefs()
    variant = "basic" if "basic" in kind.tokens else next(iter(kind.tokens))
    return variant, kind.tokens[variant]


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
