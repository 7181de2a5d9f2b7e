"""Which calls run, which are refused, and which somebody has to be asked about.

1. Rules (`tools.rules`) are for `deny`, `ask` or `allow`. The most specific rule that fits a call
   decides. Of equally specific ones `deny` is stronger than `ask`, and `ask` than `allow`, in
   whatever order they are given.
2. Where it is unclear whether a rule with arguments fits, an `allow` does not count, and a `deny`
   or an `ask` leads to a question: such a call is never allowed without one.
3. Where no rule fits, a tool that only reads, and only inside the roots, is allowed. So is the
   caller's own function, unless the caller wants to be asked. Every other tool has to be asked
   about.
4. A suspect tool (one with a `caution`) has to be asked about even where a rule allows the call.
5. A policy is made for each run. What was allowed in one run is not allowed in the next, but for
   what a person allows for good in a chat (`deciding`).
6. Once a tool has brought text that others have written (`note`, `Tool.foreign`), that text may
   have asked for what the model calls next. For the rest of the run, and in what continues the
   conversation (`taint`), nothing that does more than read is allowed by itself: every such call is
   asked about, whatever was answered before. Only functions of the caller's program that nobody is
   asked about go on: what they may do is up to the program.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chatstream.errors import UsageError
from chatstream.events import Decision
from chatstream.nearest import did_you_mean
from chatstream.tools.rules import parse
from chatstream.tools.tool import Tool

_WORDS: dict[Decision, str] = {"allow": "allowed", "ask": "asked", "deny": "denied"}
_STRENGTH: dict[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a run, as they were written."""

    allow: Sequence[str] = ()
    ask: Sequence[str] = ()
    deny: Sequence[str] = ()

    def __iter__(self) -> Iterator[tuple[Decision, Sequence[str]]]:
        """The decisions, each with its rules."""
        yield "deny", self.deny
        yield "ask", self.ask
        yield "allow", self.allow


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a call, and who decided it: "rule", "default" or "taint".

    `narrow`: somebody has to be asked about this very call; an answer to an earlier question does
    not count.
    """

    decision: Decision
    by: str
    narrow: bool = False


class Policy:
    """Decides by these rules, whose paths are relative to the roots. Raises `UsageError`.

    `asks_caller`: the caller is asked about functions of its own. `answers` are the rules to allow
    that were given for this very run.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        roots: Sequence[Path] = (),
        asks_caller: bool = False,
        answers: Sequence[str] = (),
    ) -> None:
        self._answers = [parse(it, "allow") for it in answers]
        self._rules = [
            (decision, parse(text, decision)) for decision, texts in rules for text in texts
        ]
        self._rules.sort(key=lambda it: (it[1].rank, _STRENGTH[it[0]]), reverse=True)
        self._roots = roots
        self._asks_caller = asks_caller
        self._is_tainted = False

    def note(self, tool: Tool) -> None:
        """A call of this tool has run, and the model will see its output."""
        if tool.foreign:
            self.taint()

    def taint(self) -> None:
        """Text that others have written is in the conversation."""
        self._is_tainted = True

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
        """What becomes of this call."""
        verdict = self._by_rules(tool, arguments)
        if tool.caution is not None and verdict.decision == "allow":
            verdict = Verdict("ask", "default", verdict.narrow)
        if not self._is_tainted or tool.effect == "read" or verdict.decision == "deny":
            return verdict
        if tool.origin == "caller" and verdict == Verdict("allow", "default"):
            return verdict
        return Verdict("ask", "taint", narrow=True)

    def _by_rules(self, tool: Tool, arguments: Mapping[str, Any]) -> Verdict:
        is_unclear = False
        for decision, rule in self._rules:
            fit = rule.fit(tool, arguments, decision, self._roots)
            if fit == "unclear":
                is_unclear = is_unclear or decision != "allow"
            elif fit == "yes":
                narrow = rule.argument is not None
                return _asking_first(Verdict(decision, "rule", narrow), is_unclear)
        return _asking_first(Verdict(self.by_default(tool), "default"), is_unclear)

    def answers(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Whether a call for which an earlier run has stopped may run now.

        Whoever then says `--allow shell` has seen the call and means it, whatever rule asks for it.
        """
        return any(it.fit(tool, arguments, "allow", self._roots) == "yes" for it in self._answers)

    def by_default(self, tool: Tool) -> Decision:
        """What becomes of calls of this tool where no rule fits."""
        if tool.origin == "caller":
            return "ask" if self._asks_caller else "allow"
        return "allow" if tool.effect == "read" and tool.confined else "ask"

    def summary(self, tool: Tool) -> str:
        """How calls of this tool are decided, in words: `asked; allowed: git status, ls *`."""
        decision, narrow = self.by_default(tool), dict[Decision, list[str]]()
        for its, rule in reversed(self._rules):  # the one that decides comes last
            if rule.names(tool) and rule.argument is None:
                decision = its
        for its, rule in self._rules:
            if rule.names(tool) and rule.argument is not None and tool.subject is not None:
                narrow.setdefault(its, []).append(rule.argument)
        words = [f"{_WORDS[its]}: {', '.join(arguments)}" for its, arguments in narrow.items()]
        return "; ".join([_WORDS[decision], *words])


def _asking_first(verdict: Verdict, is_unclear: bool) -> Verdict:
    """The verdict, which is "ask" if a stronger rule may forbid what this one allows."""
    if is_unclear and verdict.decision != "deny":
        return Verdict("ask", "rule", narrow=True)
    return verdict


def check_names(rules: Iterable[str], names: Collection[str], subject: str) -> None:
    """Raises `UsageError` for a rule about a tool that the run does not have.

    `subject` is what the rules were given with, such as "--allow". A pattern may fit no tool.
    """
    for text in rules:
        rule = parse(text, subject)
        if rule.name not in names and not rule.is_pattern:
            there = f"the tools of this run are: {', '.join(names)}"
            raise UsageError(
                f"{subject} names {rule.name!r}, which is not one of the tools of this run",
                hint=did_you_mean(rule.name, names, there),
            )


def check_arguments(rules: Rules, tools: Iterable[Tool]) -> None:
    """Raises `UsageError` for a rule with arguments about a tool that has none to look at.

    A pattern for names is only about those of its tools that have some.
    """
    without = {it.name for it in tools if it.subject is None}
    for decision, texts in rules:
        for text in texts:
            rule = parse(text, f"--{decision}")
            if rule.argument is not None and rule.name in without:
                raise UsageError(
                    f"--{decision} {text!r}: a rule about {rule.name} cannot look at its arguments",
                    hint=f"give its name alone: {rule.name}",
                )
