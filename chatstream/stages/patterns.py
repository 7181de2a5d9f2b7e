r"""Regular expressions over a text that is still arriving.

1. A match counts as soon as the text so far ends with one: `\d+` matches after its first digit. So
   it makes no difference where the text is cut into pieces, and nothing is held back.
2. The work for each character is bounded by the size of the pattern, whatever the text. All
   possible matches are followed at once (Thompson's construction), so there is no backtracking,
   and no pattern is catastrophic. A match may have any length; no text is kept.
3. The syntax, and what a single character matches, are those of Python's `re`. Patterns are refused
   if they need earlier or later text (back references, lookahead and lookbehind, atomic groups), if
   they match an empty text or only at the end of the text, or if they are too large.
4. `\b`, `\B` and the `$` of `(?m)` depend on the next character. A match that ends with one of them
   ends before that character.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

MAX_CHARACTERS = 1000
"""The longest pattern."""
MAX_NODES = 500
"""The largest compiled pattern; `x{100}` has a hundred nodes."""
_MAX_CACHED = 20_000  # transitions, about 3 MB; the cache is emptied when it is full

_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}  # greedy or not makes no difference: see rule 1
_REFUSED = {
    "GROUPREF": "a back reference",
    "GROUPREF_IGNORE": "a back reference",
    "GROUPREF_EXISTS": "a condition",
    "ASSERT": "lookahead or lookbehind",
    "ASSERT_NOT": "lookahead or lookbehind",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_NOT_WORD": r"\W",
}

_Test = Callable[[str], object]


class PatternError(ValueError):
    """A pattern that cannot be used; the message says why."""


class _Node(NamedTuple):
    """A test of a character, an assertion about a position, or a fork. The end has no `out`."""

    out: tuple[int, ...] = ()
    test: _Test | None = None
    at: str = ""


class _Before(NamedTuple):
    """What an assertion needs to know about the text before a position."""

    is_start: bool = True
    is_word: bool = False
    is_line_end: bool = False


class _State:
    """All positions in the pattern that the text so far can reach, and the next states."""

    def __init__(self, nodes: frozenset[int], before: _Before) -> None:
        self.nodes = nodes
        self.before = before
        self.next: dict[
            str, _State | bool
        ] = {}  # a bool: a match ends, True after this character, False before it


class Pattern:
    """A compiled pattern. Raises `PatternError`."""

    def __init__(self, source: str) -> None:
        if len(source) > MAX_CHARACTERS:
            raise PatternError(f"it is longer than {MAX_CHARACTERS:,} characters")
        self._nodes: list[_Node] = [_Node()]
        self._has_places = False
        try:
            flags = re.compile(source).flags
            parsed = importlib.import_module("re._parser").parse(source)
            self._ascii = bool(flags & re.ASCII)
            self._first = self._sequence(parsed, 0, flags)
        except re.error as error:
            raise PatternError(str(error)) from error
        except (RecursionError, OverflowError) as error:
            raise PatternError("it is nested too deeply") from error
        if self._closure([self._first], None, None)[1]:
            raise PatternError("it matches an empty text")
        self._states: dict[tuple[frozenset[int], _Before], _State] = {}
        self._cached = 0
        self._state = self._begin()

    def reset(self) -> None:
        """Begin another text."""
        self._state = self._begin()

    def find(self, text: str) -> int | None:
        """Take more of the text. Return where in it the match ends; then take no more."""
        state = self._state
        for at, character in enumerate(text):
            following = state.next.get(character)
            if following is None:
                following = self._follow(state, character)
            if following is True:
                return at + 1
            if following is False:
                return at
            state = following
        self._state = state
        return None

    def _begin(self) -> _State:
        return self._state_of(frozenset([self._first]), _Before())

    def _state_of(self, nodes: frozenset[int], before: _Before) -> _State:
        key = (nodes, before)
        if key not in self._states:
            self._states[key] = _State(nodes, before)
        return self._states[key]

    def _follow(self, state: _State, character: str) -> _State | bool:
        if self._cached >= _MAX_CACHED:
            for known in self._states.values():
                known.next.clear()
            self._states.clear()
            self._cached = 0
        self._cached += 1
        following = state.next[character] = self._step(state, character)
        return following

    def _step(self, state: _State, character: str) -> _State | bool:
        """The state after this character."""
        nodes, is_over = self._closure(state.nodes, state.before, character)
        if is_over:
            return False
        passed = {self._nodes[it].out[0] for it in nodes if self._passes(it, character)}
        before = _Before(False)
        if self._has_places:
            before = _Before(False, self._is_word(character), character == "\n")
        _, is_over = self._closure(passed, before, None)
        return is_over or self._state_of(frozenset([*passed, self._first]), before)

    def _passes(self, node: int, character: str) -> bool:
        test = self._nodes[node].test
        return test is not None and test(character) is not None

    def _closure(
        self, nodes: Iterable[int], before: _Before | None, after: str | None
    ) -> tuple[set[int], bool]:
        """The nodes reachable from these without a character, and whether the end is among them.

        If `before` is None, every assertion holds. If `after` is None, the next character is not
        known.
        """
        seen: set[int] = set()
        left = list(nodes)
        while left:
            number = left.pop()
            if number in seen:
                continue
            seen.add(number)
            node = self._nodes[number]
            holds = not node.at or before is None or self._holds(node.at, before, after)
            if node.test is None and holds:
                left += node.out
        return seen, 0 in seen

    def _holds(self, at: str, before: _Before, after: str | None) -> bool:
        if at == "BEGINNING_STRING":
            return before.is_start
        if at == "BEGINNING_LINE":
            return before.is_start or before.is_line_end
        if after is None:
            return False
        if at == "END_LINE":
            return after == "\n"
        return (before.is_word != self._is_word(after)) is (at == "BOUNDARY")

    def _is_word(self, character: str) -> bool:
        is_word = character.isalnum() or character == "_"
        return is_word and (character.isascii() or not self._ascii)

    # ---- from the parse tree of `re` to nodes; each returns the first node, and `then` comes after

    def _node(self, node: _Node) -> int:
        if len(self._nodes) >= MAX_NODES:
            raise PatternError("it is too large")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _sequence(self, items: Any, then: int, flags: int) -> int:
        for kind, value in reversed(list(items)):
            then = self._item(str(kind), value, then, flags)
        return then

    def _item(self, kind: str, value: Any, then: int, flags: int) -> int:
        match kind:
            case "BRANCH":
                ways = [self._sequence(it, then, flags) for it in value[1]]
                return self._node(_Node(tuple(ways)))
            case "SUBPATTERN":
                _, added, dropped, items = value
                return self._sequence(items, then, (flags | added) & ~dropped)
            case "AT":
                return self._place(str(value).removeprefix("AT_"), then, flags)
            case _ if kind in _REPEATS:
                least, most, items = value
                return self._repeat(least, most, items, then, flags)
            case _ if kind in _REFUSED:
                raise PatternError(f"it has {_REFUSED[kind]}, which does not work on a stream")
        test = re.compile(_source(kind, value), flags & (re.I | re.S | re.A)).match
        return self._node(_Node((then,), test))

    def _repeat(self, least: int, most: int, items: Any, then: int, flags: int) -> int:
        if least > MAX_NODES:
            raise PatternError("it is too large")
        if most > MAX_NODES:  # unlimited
            if most < 2**31 - 1:
                raise PatternError("it is too large")
            loop = self._node(_Node())
            self._nodes[loop] = _Node((self._sequence(items, loop, flags), then))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._node(_Node((self._sequence(items, then, flags), end)))
        for _ in range(least):
            then = self._sequence(items, then, flags)
        return then

    def _place(self, at: str, then: int, flags: int) -> int:
        is_multiline = bool(flags & re.MULTILINE)
        if at == "END_STRING" or (at == "END" and not is_multiline):
            raise PatternError(
                r"$ and \Z match at the end of the answer; use (?m)$ for the end of a line"
            )
        if at == "END":
            at = "END_LINE"
        elif at == "BEGINNING":
            at = "BEGINNING_LINE" if is_multiline else "BEGINNING_STRING"
        self._has_places = True
        return self._node(_Node((then,), at=at))


def _source(kind: str, value: Any) -> str:
    """The pattern of one character."""
    match kind:
        case "ANY":
            return "."
        case "LITERAL":
            return re.escape(chr(value))
        case "NOT_LITERAL":
            return f"[^{re.escape(chr(value))}]"
        case "IN":
            return f"[{''.join(_part(str(it), what) for it, what in value)}]"
    raise PatternError(f"it has {kind.lower()}, which is not supported")


def _part(kind: str, value: Any) -> str:
    """A part of a set of characters."""
    match kind:
        case "NEGATE":
            return "^"
        case "RANGE":
            first, last = map(chr, value)
            return f"{re.escape(first)}-{re.escape(last)}"
        case "CATEGORY":
            return _CATEGORIES[str(value)]
    return re.escape(chr(value))
