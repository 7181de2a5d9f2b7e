"""Claimed: the strongest rule decides in every order, and nothing runs by default but reading."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from chatstream.errors import UsageError
from chatstream.events import Effect
from chatstream.tools.approval import Policy, Rules, check_names
from chatstream.tools.tool import Origin, Tool


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


@pytest.mark.parametrize("given", [*itertools.product((False, True), repeat=3)], ids=str)
def test_deny_is_stronger_than_ask_and_ask_than_allow(given: tuple[bool, bool, bool]) -> None:
    deny, ask, allow = given
    rules = Rules(
        deny=["grep"] if deny else [], ask=["grep"] if ask else [], allow=["grep"] if allow else []
    )
    wanted = "deny" if deny else "ask" if ask else "allow" if allow else None
    decision = Policy(rules).decide(tool())
    assert decision == ((wanted, "rule") if wanted else ("ask", "default"))


def test_no_rule_allows_a_suspect_tool_and_one_may_deny_it() -> None:
    suspect = tool()
    suspect.caution = "it has changed"
    assert Policy(Rules(allow=["*"])).decide(suspect) == ("ask", "default")
    assert Policy(Rules(deny=["*"])).decide(suspect) == ("deny", "rule")


@pytest.mark.parametrize("effect", get_args(Effect))
@pytest.mark.parametrize("origin", get_args(Origin))
@pytest.mark.parametrize("confined", [False, True])
def test_only_confined_reading_and_the_callers_functions_run_by_default(
    effect: Effect, origin: Origin, confined: bool
) -> None:
    given = tool("a", effect, origin, confined=confined)
    runs = origin == "caller" or (effect == "read" and confined)
    assert Policy(Rules()).decide(given) == ("allow" if runs else "ask", "default")


def test_the_caller_is_asked_about_its_functions_where_it_wants_to_be() -> None:
    policy = Policy(Rules(allow=["known"]), asks_caller=True)
    assert policy.decide(tool("f", "read", "caller")) == ("ask", "default")
    assert policy.decide(tool("known", "run", "caller")) == ("allow", "rule")
    assert policy.decide(tool("list", "read", confined=True)) == ("allow", "default")


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
    assert {it for it in names if policy.decide(tool(it))[0] == "deny"} == fits


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
