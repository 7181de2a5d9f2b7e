"""Claimed: a rule fits what it says, however that is written, and nothing that looks like it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.errors import UsageError
from chatstream.events import Decision
from chatstream.tools.rules import Fit, Rule, parse, words_of
from chatstream.tools.tool import Subject, Tool
from tests.support.sampling import examples


def tool(kind: Literal["command", "path", "address"] | None) -> Tool:
    made = Tool("tool", "does it", {"type": "object"})
    made.subject = Subject("it", kind) if kind else None
    return made


# ---- what a rule is


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("shell", Rule("shell")),
        (" git_* ", Rule("git_*")),
        ("shell(git status)", Rule("shell", "git status")),
        ("shell( a b )", Rule("shell", "a b")),
        ("shell(echo (a) b)", Rule("shell", "echo (a) b")),
        ("*(rm *)", Rule("*", "rm *")),
    ],
)
def test_a_rule_is_a_name_and_perhaps_arguments(text: str, rule: Rule) -> None:
    assert parse(text, "allow") == rule


@pytest.mark.parametrize("text", ["", "()", "(a)", "shell(", "shell()", "shell( )", "a)b", "x(y)z"])
def test_anything_else_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageError, match=r"allow: .* is not a rule"):
        parse(text, "allow")


def test_a_quote_that_is_not_closed_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="a quote is not closed"):
        parse("shell(echo 'a)", "allow")


def test_what_says_more_ranks_higher() -> None:
    ranks = [parse(it, "allow").rank for it in ("s_*", "shell", "shell(git *)", "shell(git log)")]
    assert ranks == [0, 1, 2, 3]


# ---- commands


def fit(rule: str, kind: Any, value: object, decision: Decision = "allow") -> Fit:
    return parse(f"tool({rule})", "allow").fit(tool(kind), {"it": value}, decision, [Path("/r")])


@pytest.mark.parametrize(
    ("rule", "command", "wanted"),
    [
        ("git status", "git status", "yes"),
        ("git status", "  git   'status' ", "yes"),
        ("git status", "\ngit status\n", "yes"),
        ("git status", "git status -s", "no"),
        ("git status", "git", "no"),
        ("git status", "/tmp/git status", "no"),
        ("git log *", "git log", "yes"),
        ("git log *", "git log --format=%h -3", "yes"),
        ("git log *", "git logs", "no"),
        ("git l*", "git ls-files", "yes"),
        ("git * main", "git push main", "yes"),
        ("git * main", "git push origin main", "no"),
        ("echo 'a b'", 'echo "a b"', "yes"),
        ("echo 'a b'", "echo a b", "no"),
        ("*", "rm -rf x", "yes"),
        ("git status", "GIT status", "no"),
        ("git status", "git st\u0430tus", "unclear"),  # a Cyrillic letter
    ],
)
def test_a_command_fits_word_by_word(rule: str, command: str, wanted: Fit) -> None:
    assert fit(rule, "command", command) == wanted


MORE = [
    *("git status; rm x", "git status && rm x", "git status | sh", "git status & rm x"),
    *("git status\nrm x", "git status\rrm x", "git status `rm x`", "git status $(rm x)"),
    *("git status > x", "git status < x", "git status $X", 'git status "$X"', 'git status "`x`"'),
    *("git status *", "git status ~", "git status {a,b}", "git status # x", "git status \\\nx"),
    *("git status 'a", 'git status "a', "! git status", "(git status)", "X=1 git status"),
    *("git status\x00", "git\u00a0status", "git\u2003status", "git status 'a\nb'", ""),
    *("PATH+=x git status", "git status \u202e", "git status [a]", "git status ?", "  "),
]


@pytest.mark.parametrize("command", MORE, ids=ascii)
@pytest.mark.parametrize("decision", ["allow", "ask", "deny"])
def test_what_a_shell_makes_more_of_is_unclear(command: str, decision: Decision) -> None:
    assert fit("git status", "command", command, decision) == "unclear"
    assert fit("*", "command", command, decision) == "unclear"


PRINTED = ["sh", "-c", """command="$1"; shift; eval "printf '%s\\0' $command" """, "sh"]


@given(
    st.text(
        st.one_of(
            st.characters(max_codepoint=0x2FF), st.sampled_from("';&|$`\"\\ \n*?[]{}~#!=<>()")
        ),
        max_size=12,
    )
)
@settings(max_examples=examples(150), deadline=None)
def test_the_words_of_a_simple_command_are_those_of_the_shell(text: str) -> None:
    words = words_of(f"x {text}")
    if words is None:
        return
    try:
        done = subprocess.run([*PRINTED, f"x {text}"], capture_output=True, check=True, timeout=60)
    except ValueError:
        return
    assert done.stdout.decode().split("\0")[:-1] == words


def test_most_of_what_people_call_is_simple() -> None:
    for command in ("git log -3 --format=%h", "ls -la src/a.py", "python3 -m pytest tests/a.py::b"):
        assert words_of(command) == shlex.split(command)


# ---- paths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "src").mkdir(parents=True)
    (folder / "secret").mkdir()
    (folder / "src" / "link").symlink_to("../secret")
    (folder / "other").symlink_to("src")
    return folder


PATHS = [
    ("src/a.py", "yes", "yes"),
    ("src/b/c.py", "yes", "yes"),
    ("./src//a.py", "yes", "yes"),
    ("ROOT/src/a.py", "yes", "yes"),
    ("a.py", "no", "no"),
    ("src", "no", "no"),
    ("/etc/passwd", "no", "no"),
    ("../src/a.py", "no", "no"),
    ("src/../a.py", "no", "no"),
    ("src/../src/a.py", "no", "yes"),  # it leads there, but who allows may not expect it
    ("src/link/a.py", "no", "yes"),  # it leads elsewhere
    ("other/a.py", "no", "yes"),
    ("src/\udce9", "unclear", "unclear"),
    ("src/\0", "unclear", "unclear"),
]


@pytest.mark.parametrize(("path", "allowed", "denied"), PATHS, ids=ascii)
def test_a_path_fits_as_written_and_as_its_links_lead(
    path: str, allowed: Fit, denied: Fit, root: Path
) -> None:
    given = {"it": path.replace("ROOT", str(root))}
    rule = parse("tool(src/*)", "allow")
    assert rule.fit(tool("path"), given, "allow", [root]) == allowed
    assert rule.fit(tool("path"), given, "ask", [root]) == denied
    assert rule.fit(tool("path"), given, "deny", [root]) == denied
    absolute = Rule("tool", f"{root.resolve()}/src/*")
    assert absolute.fit(tool("path"), given, "deny", [root.resolve()]) == denied


def test_a_pattern_fits_what_it_says_to_the_letter_too(root: Path) -> None:
    rule = parse("tool(app/[id]/*)", "deny")
    exact = parse("tool(app/[id]/page)", "deny")
    for path, wanted in (("app/i/page", "yes"), ("app/x/page", "no")):
        assert rule.fit(tool("path"), {"it": path}, "deny", [root]) == wanted
    assert exact.fit(tool("path"), {"it": "app/[id]/page"}, "deny", [root]) == "yes"


def test_with_several_roots_a_path_is_allowed_only_if_it_fits_in_each(
    root: Path, tmp_path: Path
) -> None:
    """The file is that of the first root which has it."""
    rule, second = parse("tool(src/*)", "allow"), tmp_path / "second"
    for path, wanted in (("src/a.py", "yes"), ("src/link/a.py", "no")):
        assert rule.fit(tool("path"), {"it": path}, "allow", [root, second]) == wanted


def test_a_path_that_is_not_given_is_the_root(root: Path) -> None:
    assert parse("tool(.)", "deny").fit(tool("path"), {}, "deny", [root]) == "yes"


# ---- addresses


@pytest.mark.parametrize(
    ("rule", "value", "wanted"),
    [
        ("https://example.com/*", "https://example.com/a/b", "yes"),
        ("https://example.com/*", "https://example.com", "yes"),
        ("https://example.com", "https://example.com/", "yes"),
        ("https://Example.com/*", "https://example.com/a", "yes"),
        ("https://example.com/*", "https://example.community/", "no"),
        ("https://example.com/*", "x https://example.com/a", "unclear"),
        ("https://example.com/*", 7, "unclear"),
        ("https://example.com/*", None, "unclear"),
    ],
)
def test_an_address_fits_as_a_whole(rule: str, value: object, wanted: Fit) -> None:
    assert fit(rule, "address", value) == wanted


@pytest.mark.parametrize(
    ("rule", "value", "allowed", "denied"),
    [
        ("https://*.example.com/*", "https://a.example.com/x", "yes", "yes"),
        ("https://*.example.com/*", "https://evil.test/.example.com/x", "no", "yes"),
        ("https://*.example.com/*", "https://evil.test?.example.com/x", "no", "yes"),
        ("https://*/private/*", "https://box/x/private/y", "no", "yes"),
        ("https://*", "https://box/x", "yes", "yes"),
        ("*://box/*", "http://box/x", "yes", "yes"),
        ("*box*", "http://box/x", "yes", "yes"),
    ],
)
def test_what_is_allowed_for_hosts_is_about_the_host_alone(
    rule: str, value: str, allowed: Fit, denied: Fit
) -> None:
    assert fit(rule, "address", value) == allowed
    assert fit(rule, "address", value, "deny") == denied


@pytest.mark.parametrize(
    "url",
    [
        *(
            "HTTP://box/private",
            "http://BOX/private",
            "http://box:80/private",
            "http://box:/private",
        ),
        *("http://box./private", "http://box//private", "http://box/a/../private"),
        *("http://box/%70rivate", "http://box/x/%2e%2e/private", "http://user@box/private"),
        *("http://box/private#part", "http://\uff42ox/private", "http://box/./private"),
        *("http://127.1/private", "http://2130706433/private", "http://0x7f.0.0.1/private"),
        *("http://[::0:1]/private", "http://127.0.0.01/private", "http://box\\private"),
    ],
)
@pytest.mark.parametrize("decision", ["allow", "ask", "deny"])
def test_another_way_to_write_an_address_passes_no_rule(url: str, decision: Decision) -> None:
    rule = parse("tool(http://*/private*)", decision)
    assert rule.fit(tool("address"), {"it": url}, decision, []) == "unclear"


def test_a_tool_without_a_subject_has_nothing_that_could_fit() -> None:
    assert parse("tool(x)", "deny").fit(tool(None), {"it": "x"}, "deny", []) == "unclear"
    assert parse("*(x)", "deny").fit(tool(None), {"it": "x"}, "deny", []) == "no"
    assert parse("tool", "deny").fit(tool(None), {}, "deny", []) == "yes"
    assert parse("other", "deny").fit(tool(None), {}, "deny", []) == "no"
