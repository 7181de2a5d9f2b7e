"""Claimed: the most specific rule decides, then the strongest, and only reading is the default."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from chatstream.errors import UsageError
from chatstream.events import Effect
from chatstream.tools.approval import Policy, Rules, Verdict, check_arguments, check_names
from chatstream.tools.tool import Origin, Subject, Tool


def tool(
    name: str = "grep",
    effect: Effect = "write",
    origin: Origin = "built in",
    *,
    confined: bool = False,
) -> Tool:
    made = Tool(name, "does it", {"type": "object"})
    made.effect, made.origin, made.confined = effect, origin, confined
    return made


def decided(policy: Policy, its: Tool, **arguments: object) -> tuple[str, str]:
    verdict = policy.decide(its, arguments)
    return verdict.decision, verdict.by


@pytest.mark.parametrize("given", [*itertools.product((False, True), repeat=3)], ids=str)
def test_deny_is_stronger_than_ask_and_ask_than_allow(given: tuple[bool, bool, bool]) -> None:
    deny, ask, allow = given
    rules = Rules(
        deny=["grep"] if deny else [], ask=["grep"] if ask else [], allow=["grep"] if allow else []
    )
    wanted = "deny" if deny else "ask" if ask else "allow" if allow else None
    decision = decided(Policy(rules), tool())
    assert decision == ((wanted, "rule") if wanted else ("ask", "default"))


def test_no_rule_allows_a_suspect_tool_and_one_may_deny_it() -> None:
    suspect = tool()
    suspect.caution = "it has changed"
    assert Policy(Rules(allow=["*"])).decide(suspect, {}) == Verdict("ask", "default")
    assert Policy(Rules(deny=["*"])).decide(suspect, {}) == Verdict("deny", "rule")


@pytest.mark.parametrize("effect", get_args(Effect))
@pytest.mark.parametrize("origin", get_args(Origin))
@pytest.mark.parametrize("confined", [False, True])
def test_only_confined_reading_and_the_callers_functions_run_by_default(
    effect: Effect, origin: Origin, confined: bool
) -> None:
    given = tool("a", effect, origin, confined=confined)
    runs = origin == "caller" or (effect == "read" and confined)
    assert decided(Policy(Rules()), given) == ("allow" if runs else "ask", "default")


def test_the_caller_is_asked_about_its_functions_where_it_wants_to_be() -> None:
    policy = Policy(Rules(allow=["known"]), asks_caller=True)
    assert decided(policy, tool("f", "read", "caller")) == ("ask", "default")
    assert decided(policy, tool("known", "run", "caller")) == ("allow", "rule")
    assert decided(policy, tool("list", "read", confined=True)) == ("allow", "default")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ("git_*", {"git_log", "git_push"}),
        ("*", {"git_log", "git_push", "Grep", "grep"}),
        ("[gG]rep", {"Grep", "grep"}),
        ("gre?", {"grep"}),
        ("grep", {"grep"}),  # the case counts
        ("git", set()),  # and a name is a whole one
    ],
)
def test_a_rule_is_a_name_or_a_pattern(rule: str, fits: set[str]) -> None:
    policy = Policy(Rules(deny=[rule]))
    names = ("git_log", "git_push", "Grep", "grep")
    assert {it for it in names if decided(policy, tool(it))[0] == "deny"} == fits


@pytest.mark.parametrize(
    ("rule", "hint"),
    [("gerp", "did you mean 'grep'?"), ("zzz", "the tools of this run are: grep, list")],
)
def test_a_rule_for_a_tool_that_there_is_not_is_an_error(rule: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"--allow names '{rule}'") as caught:
        check_names(["list", rule], ["grep", "list"], "--allow")
    assert caught.value.hint == hint


@pytest.mark.parametrize("rules", [[], ["grep"], ["git_*"], ["?"], ["list", "*"]], ids=str)
def test_a_pattern_may_fit_no_tool(rules: Any) -> None:
    check_names(rules, ["grep", "list"], "--allow")


# ---- rules with arguments


def shell() -> Tool:
    made = tool("shell", "run")
    made.subject = Subject("command", "command")
    return made


SPECIFIC: list[tuple[dict[str, list[str]], str, str]] = [
    ({"allow": ["shell(git status)"]}, "git status", "allow"),
    ({"allow": ["shell(git status)"]}, "git push", "ask"),
    ({"allow": ["shell(git *)"], "deny": ["shell(git push *)"]}, "git push -f", "deny"),
    ({"allow": ["shell(git *)"], "deny": ["shell(git push *)"]}, "git log", "allow"),
    ({"deny": ["shell(git *)"], "allow": ["shell(git status)"]}, "git status", "allow"),
    ({"deny": ["shell"], "allow": ["shell(git status)"]}, "git status", "allow"),
    ({"deny": ["shell"], "allow": ["shell(git status)"]}, "git push", "deny"),
    ({"deny": ["*"], "allow": ["shell"]}, "git push", "allow"),
    ({"allow": ["*"], "deny": ["shell"]}, "git push", "deny"),
    ({"allow": ["shell"], "ask": ["shell(git push *)"]}, "git push", "ask"),
    ({"allow": ["shell"], "ask": ["shell(git push *)"]}, "git pull", "allow"),
    ({"deny": ["*(rm *)"], "allow": ["shell"]}, "rm -r x", "deny"),
]


@pytest.mark.parametrize(("rules", "command", "wanted"), SPECIFIC, ids=str)
def test_the_most_specific_rule_decides(
    rules: dict[str, list[str]], command: str, wanted: str
) -> None:
    verdict = Policy(Rules(**rules)).decide(shell(), {"command": command})
    assert verdict.decision == wanted


UNCLEAR: list[tuple[dict[str, list[str]], str]] = [
    ({"allow": ["shell(echo *)"]}, "ask"),  # which would ask anyway
    ({"allow": ["shell"]}, "allow"),  # there is no rule about arguments
    ({"allow": ["shell"], "deny": ["shell(rm *)"]}, "ask"),
    ({"allow": ["shell"], "ask": ["shell(rm *)"]}, "ask"),
    ({"allow": ["shell(*)"], "deny": ["shell(rm *)"]}, "ask"),
    ({"deny": ["shell", "shell(rm *)"]}, "deny"),
]


@pytest.mark.parametrize(("rules", "wanted"), UNCLEAR, ids=str)
def test_a_command_that_is_not_simple_is_never_let_past_a_rule(
    rules: dict[str, list[str]], wanted: str
) -> None:
    verdict = Policy(Rules(**rules)).decide(shell(), {"command": "echo hi; rm -r x"})
    assert verdict.decision == wanted


def test_what_a_rule_with_arguments_wants_asked_is_told_apart() -> None:
    policy = Policy(Rules(allow=["shell(git status)"], ask=["shell(git push *)"]))
    narrow = {
        command: policy.decide(shell(), {"command": command}).narrow
        for command in ("git push", "git push; ls", "ls")
    }
    assert narrow == {"git push": True, "git push; ls": True, "ls": False}


def test_a_rule_must_not_look_at_arguments_that_its_tool_does_not_show() -> None:
    with pytest.raises(UsageError, match=r"deny 'grep\(x\)': a rule about grep cannot") as caught:
        check_arguments(Rules(deny=["grep(x)"]), [tool("grep"), shell()])
    assert caught.value.hint == "give its name alone: grep"
    check_arguments(Rules(deny=["*(x)", "other(x)", "shell(x)"]), [tool("grep"), shell()])
    check_names(["shell(git status)"], ["shell"], "--allow")
    with pytest.raises(UsageError, match="--allow names 'shel'"):
        check_names(["shel(git status)"], ["shell"], "--allow")


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ({}, "asked"),
        ({"deny": ["*"], "allow": ["shell"]}, "allowed"),
        ({"deny": ["shell"], "allow": ["shell"]}, "denied"),
        ({"allow": ["shell(git status)", "shell(ls *)"]}, "asked; allowed: git status, ls *"),
        (
            {"allow": ["shell(ls *)"], "deny": ["shell(rm *)"]},
            "asked; denied: rm *; allowed: ls *",
        ),
    ],
    ids=str,
)
def test_a_summary_says_what_becomes_of_a_tool(rules: dict[str, list[str]], wanted: str) -> None:
    assert Policy(Rules(**rules)).summary(shell()) == wanted


NET = tool("fetch", effect="net")


@pytest.mark.parametrize("effect", ["run", "net", "write"])
def test_after_text_from_outside_nothing_that_does_more_than_read_is_allowed(
    effect: Effect,
) -> None:
    policy = Policy(Rules(allow=["*"]))
    doing = tool("does", effect=effect)
    assert policy.decide(doing, {}).decision == "allow"
    policy.note(NET)
    assert policy.decide(doing, {}) == Verdict("ask", "taint", narrow=True)


def test_after_text_from_outside_reading_and_denying_stay_what_they_are() -> None:
    policy = Policy(Rules(allow=["read"], deny=["does"]))
    policy.note(NET)
    assert policy.decide(tool("read", effect="read"), {}).decision == "allow"
    assert policy.decide(tool("does", effect="run"), {}) == Verdict("deny", "rule")


class Odd(Tool):
    """One that says itself whether others write what it puts out."""

    def __init__(self, effect: Effect, *, foreign: bool) -> None:
        super().__init__("odd", "does it", {"type": "object"})
        self.effect = effect
        self._foreign = foreign

    @property
    def foreign(self) -> bool:
        return self._foreign


@pytest.mark.parametrize(
    ("brought", "asks"),
    [
        (tool("r", effect="read"), False),
        (tool("r", effect="run"), False),
        (NET, True),
        (Odd("read", foreign=True), True),
        (Odd("net", foreign=False), False),
    ],
)
def test_text_from_outside_is_what_the_tool_says_that_others_write(
    brought: Tool, asks: bool
) -> None:
    policy = Policy(Rules(allow=["*"]))
    policy.note(brought)
    assert (policy.decide(shell(), {"command": "ls"}).decision == "ask") is asks


def test_functions_that_nobody_is_asked_about_are_up_to_their_program() -> None:
    own = tool("own", effect="write")
    own.origin = "caller"
    policy, asking = Policy(Rules()), Policy(Rules(), asks_caller=True)
    policy.note(NET)
    asking.note(NET)
    assert policy.decide(own, {}) == Verdict("allow", "default")
    assert asking.decide(own, {}).by == "taint"
