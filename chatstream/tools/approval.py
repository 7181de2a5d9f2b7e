"""Which calls run, which are refused, and which somebody has to be asked about.

1. A rule is the name of a tool, or a pattern for names with `*`, `?` and `[…]`, such as `git_*`.
2. `deny` is stronger than `ask`, and `ask` is stronger than `allow`, in whatever order they are
   given.
3. Where no rule fits, a tool that only reads, and only inside the roots, is allowed. So is the
   caller's own function, unless the caller wants to be asked. Every other tool has to be asked
   about.
4. What a rule allows has to be asked about all the same where the tool is suspect (its `caution`).
5. A policy is made for each run. What was allowed in one run is not allowed in the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

import msgspec

from chatstream.errors import UsageError
from chatstream.events import Decision
from chatstream.nearest import did_you_mean
from chatstream.tools.tool import Tool

_PATTERN = frozenset("*?[")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a run, each a name or a pattern."""

    allow: Sequence[str] = ()
    ask: Sequence[str] = ()
    deny: Sequence[str] = ()

    def __iter__(self) -> Iterator[tuple[Decision, Sequence[str]]]:
        """The decisions from the strongest to the weakest, each with its rules."""
        yield "deny", self.deny
        yield "ask", self.ask
        yield "allow", self.allow


class Policy:
    """Decides by these rules. `asks_caller`: the caller is asked about functions of its own."""

    def __init__(self, rules: Rules, *, asks_caller: bool = False) -> None:
        self._rules = rules
        self._asks_caller = asks_caller

    def decide(self, tool: Tool) -> tuple[Decision, str]:
        """What becomes of a call of this tool, and who decided it: "rule" or "default"."""
        for decision, rules in self._rules:
            if any(fnmatchcase(tool.name, rule) for rule in rules):
                if decision == "allow" and tool.caution is not None:
                    return "ask", "default"
                return decision, "rule"
        if tool.origin == "caller":
            return ("ask" if self._asks_caller else "allow"), "default"
        return ("allow" if tool.effect == "read" and tool.confined else "ask"), "default"


def check_names(rules: Sequence[str], names: Collection[str], subject: str) -> None:
    """Raises `UsageError` for a rule that names a tool which the run does not have.

    `subject` is what the rules were given with, such as "--allow". A pattern may fit no tool.
    """
    for rule in rules:
        if rule not in names and _PATTERN.isdisjoint(rule):
            there = f"the tools of this run are: {', '.join(names)}"
            raise UsageError(
                f"{subject} names {rule!r}, which is not one of the tools of this run",
                hint=did_you_mean(rule, names, there),
            )
