"""Rules about calls, and whether one fits: `git_*`, `shell(git log *)`, `write_file(src/*)`.

1. A rule is the name of a tool, or a pattern for names with `*`, `?` and `[…]`. A pattern in
   parentheses behind it is about the argument that the tool names as its `subject`.
2. A command fits word by word, and a last word `*` stands for any further words. Only a simple
   command can fit: words, with or without quotes. Shell syntax is not parsed. Anything that could
   make one command into something else (`;`, `|`, `&`, `$`, `>`, a backtick, a line end, a glob, …)
   makes it unclear whether the rule fits.
3. A path fits as it is written and as the links on its way lead, beneath each root, relative to it
   or absolute. For `allow` all of these have to fit, and for the others one is enough. `*` matches
   slashes, too.
4. An address fits as a whole. For `allow` its host has to fit by itself: `*.example.com` must not
   be found in a path. If an address is not written in its normal form, another text may lead to the
   same place, and it is unclear whether the rule fits.
5. The more a rule says, the more specific it is: arguments without a pattern, with one, a name, a
   pattern for names.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any, Literal

import msgspec

from chatstream.addresses import in_normal_form
from chatstream.errors import UsageError
from chatstream.events import Decision
from chatstream.files import named
from chatstream.tools.tool import Subject, Tool
from chatstream.wording import encodable

Fit = Literal["yes", "no", "unclear"]

_SPECIAL = re.compile(r"[*?\[]")
_RULE = re.compile(r"([^()]+?)(?:\((.*)\))?", re.DOTALL)

_SIMPLE = re.compile(
    r"""
      (?: [A-Za-z0-9_./:,@%+=-]+          # words that no shell changes
        | '[^'\x00-\x1f\x7f]*'            # what single quotes hold
        | "[^"$`\\!\x00-\x1f\x7f]*"       # in double ones these would still mean something
        | [ \t]+
      )+
    """,
    re.VERBOSE,
)
_PLACE = re.compile(r"[^/]*//[^/]*")  # the scheme and the host of an address
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


class Rule(msgspec.Struct, frozen=True):
    """One rule: the name of a tool or a pattern for names, and perhaps one for its argument."""

    name: str
    argument: str | None = None

    @property
    def rank(self) -> int:
        """How specific it is; more is more."""
        if self.argument is not None:
            return 2 + (not _SPECIAL.search(self.argument))
        return int(not self.is_pattern)

    @property
    def is_pattern(self) -> bool:
        """Whether the name may stand for several tools."""
        return bool(_SPECIAL.search(self.name))

    def names(self, tool: Tool) -> bool:
        """Whether it is about this tool."""
        return fnmatchcase(tool.name, self.name)

    def fit(
        self, tool: Tool, arguments: Mapping[str, Any], decision: Decision, roots: Sequence[Path]
    ) -> Fit:
        """Whether the rule, which is for `decision`, covers this call of the tool."""
        if not self.names(tool):
            return "no"
        if self.argument is None:
            return "yes"
        if tool.subject is None:
            return "no" if self.is_pattern else "unclear"
        value = arguments.get(tool.subject.argument)
        return _fit(self.argument, tool.subject, value, decision, roots)


def parse(text: str, subject: str) -> Rule:
    """The rule of this text. Raises `UsageError`; `subject` is where it was given."""
    found = _RULE.fullmatch(text.strip())
    if found is None or (found[2] is not None and not found[2].strip()):
        raise UsageError(
            f"{subject}: {text!r} is not a rule",
            hint="a rule is a name, such as shell, or a name with an argument: 'shell(git status)'",
        )
    rule = Rule(found[1].strip(), None if found[2] is None else found[2].strip())
    if rule.argument is not None:
        try:
            shlex.split(rule.argument)
        except ValueError as error:
            raise UsageError(f"{subject}: in {text!r} a quote is not closed") from error
    return rule


def words_of(command: str) -> list[str] | None:
    """The words of a simple command; None for anything that a shell treats specially."""
    command = command.strip("\n")  # a line end around it changes nothing
    if not _SIMPLE.fullmatch(command):
        return None
    try:
        words = shlex.split(command, comments=False)
    except ValueError:
        return None
    if not words or _ASSIGNMENT.match(words[0]):
        return None
    return words


def _fit(
    pattern: str, subject: Subject, value: object, decision: Decision, roots: Sequence[Path]
) -> Fit:
    if subject.kind == "path" and value is None:
        value = "."  # the root, if a path need not be given
    if not isinstance(value, str) or "\0" in value or encodable(value) != value:
        return "unclear"
    match subject.kind:
        case "command":
            words = words_of(value)
            fits = words is not None and _words_fit(shlex.split(pattern), words)
            return "unclear" if words is None else "yes" if fits else "no"
        case "path":
            fitting = [_path_fits(pattern, it, roots) for it in _paths(value, roots)]
            fits = all(fitting) if decision == "allow" else any(fitting)
            return "yes" if fits and fitting else "no"
        case "address":
            if (address := in_normal_form(value)) is None:
                return "unclear"
            its_fit = _parts_fit if decision == "allow" else _fits
            return "yes" if its_fit(address, _address_pattern(pattern)) else "no"


def _fits(text: str, pattern: str) -> bool:
    """Whether a text is what the pattern says, or the pattern itself: folders are called `[id]`."""
    return text == pattern or fnmatchcase(text, pattern)


def _words_fit(patterns: Sequence[str], words: Sequence[str]) -> bool:
    if patterns[-1] == "*":
        patterns = patterns[:-1]
        words = words[: len(patterns)]
    return len(patterns) == len(words) and all(map(_fits, words, patterns))


def _parts_fit(address: str, pattern: str) -> bool:
    """Whether scheme and host fit by themselves, and so does what comes behind them."""
    there, wanted = _PLACE.match(address), _PLACE.match(pattern)
    if there is None or wanted is None:
        return _fits(address, pattern)
    behind = pattern[wanted.end() :] or "*" * wanted[0].endswith("*")
    return _fits(there[0], wanted[0]) and _fits(address[there.end() :], behind)


def _address_pattern(pattern: str) -> str:
    """A pattern for addresses in the form that these have: `https://Example.com` as well."""
    return in_normal_form(pattern) or _PLACE.sub(lambda found: found[0].lower(), pattern)


def _paths(value: str, roots: Sequence[Path]) -> list[PurePath | None]:
    """What a path may stand for: as written (None if it goes up), and where its links lead."""
    goes_up = ".." in PurePath(value).parts
    written = [None if goes_up else PurePath(os.path.normpath(root / value)) for root in roots]
    return [*written, *(PurePath(os.path.realpath(root / value)) for root in roots)]


def _path_fits(pattern: str, path: PurePath | None, roots: Sequence[Path]) -> bool:
    if path is None:
        return False
    pattern = str(named(pattern))
    if pattern.startswith("/"):
        return _fits(str(path), pattern)
    pattern = os.path.normpath(pattern)
    return any(_fits(it, pattern) for it in _relative(path, roots))


def _relative(path: PurePath, roots: Sequence[Path]) -> Iterator[str]:
    """The path from the roots that it is beneath."""
    for root in roots:
        for it in (PurePath(root), PurePath(os.path.realpath(root))):
            if path.is_relative_to(it):
                yield str(path.relative_to(it))
