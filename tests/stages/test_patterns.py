"""Patterns over a text that is still coming: the first end of any match, in bounded work."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.stages import patterns
from chatstream.stages.patterns import MAX_CHARACTERS, MAX_NODES, Pattern, PatternError
from tests.support.sampling import by_size, examples

ATOMS = ["a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\w", r"\S", "[^\\W\\d_]", "[a-c\\n]", "1"]
PATTERNS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda it: f"(?:{'|'.join(it)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{2,}"])).map(
            lambda it: f"(?:{it[0]}){it[1]}"
        ),
        inner.map(lambda it: f"({it})"),
        inner.map(lambda it: f"(?i:{it})"),
        inner.map(lambda it: f"(?s:{it})"),
    ),
    max_leaves=6,
)
TEXTS = st.text(alphabet="abAé1c_ \n", max_size=14)


def end_by_re(pattern: str, text: str) -> int | None:
    """Where the first match ends, found with `re` by looking at every part of the whole text."""
    whole = re.compile(pattern)
    ends = (
        end
        for end in range(1, len(text) + 1)
        if any(whole.fullmatch(text, start, end) for start in range(end))
    )
    return next(ends, None)


def end(pattern: str, *pieces: str) -> int | None:
    """Where it ends in a text that comes in these pieces."""
    compiled, before = Pattern(pattern), 0
    for piece in pieces:
        if (found := compiled.find(piece)) is not None:
            return before + found
        before += len(piece)
    return None


@settings(max_examples=examples(1000), deadline=None)
@given(PATTERNS, TEXTS)
def test_a_match_ends_where_re_says_and_wherever_the_text_is_cut(pattern: str, text: str) -> None:
    if re.fullmatch(pattern, ""):
        with pytest.raises(PatternError, match="an empty text"):
            Pattern(pattern)
        return
    expected = end_by_re(pattern, text)
    assert end(pattern, text) == expected
    assert end(pattern, *text) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"\d+", "a123", 2),  # behind the first digit: nobody knows whether another comes
        ("Conclusion:", "So. Conclusion: yes", 15),
        (r"(?m)^END$", "no END\nEND!\nEND\nx", 15),  # before the line end that shows it
        (r"\bSTOP\b", "NONSTOP STOPS STOP, so", 18),
        (r"\bSTOP\b", "STOP", None),  # the next character is not there
        (r"x\B", "x xy", 3),
        (r"^no", "yes no\nno", None),
        (r"\Ano", "no", 2),
        (r"(?m)^no", "yes\nno", 6),
        ("(?i)straße", "STRASSE STRAßE", 14),
        ("(?a)\\bé", "aé", 2),  # é is no letter of ASCII, so a boundary is before it
        ("[\\]^-]", "a]", 2),
        ("(?x) a b # words", "xab", 3),
        ("日本", "これは日本語", 5),
        ("\n\n", "a\n\nb", 3),
        ("a{400}", "a" * 600, 400),
    ],
)
def test_places_flags_and_scripts(pattern: str, text: str, expected: int | None) -> None:
    assert end(pattern, text) == expected
    assert end(pattern, *text) == expected


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", r"missing \), unterminated subpattern"),
        ("a*", "an empty text"),
        ("x|", "an empty text"),
        (r"\b", "an empty text"),
        (r"(a)\1", "a back reference"),
        (r"(?P<n>a)(?P=n)", "a back reference"),
        (r"(a)?(?(1)b|c)", "a condition"),
        ("a(?=b)", "lookahead"),
        ("(?<!a)b", "lookbehind"),
        ("(?>a)b", "an atomic group"),
        ("a++", "a possessive quantifier"),
        ("end$", r"\$ and \\Z match at the end of the answer"),
        (r"end\Z", "end of the answer"),
        ("(?:a{30}){30}", "too large"),
        ("a{9999}", "too large"),
        ("a{1,9999}", "too large"),
        ("(" * 499 + "a" + ")" * 499, "nested too deeply"),
        ("a{500}", "too large"),
        ("a" * (MAX_CHARACTERS + 1), "longer than 1,000 characters"),
    ],
)
def test_what_cannot_be_looked_for_in_a_stream_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=words):
        Pattern(pattern)


CATASTROPHIC = ["(a+)+b", "(a|aa)+b", "(a|a?)+b", "(.*a){12}b", "(x+x+)+y", r"(\w+\s?)*\d!"]


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_the_work_for_a_character_has_a_bound_whatever_the_text(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `re` each of these takes longer than the test may on a few dozen characters."""
    tried = counting(monkeypatch)
    length = by_size(5_000, 50_000)
    compiled = Pattern(pattern)
    assert compiled.find("a" * length) is None
    assert tried() <= len(compiled._nodes) * min(length, 200)  # most of them were known


def test_without_the_cache_the_work_still_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_MAX_CACHED", 1)
    tried = counting(monkeypatch)
    compiled = Pattern("(.*a){12}b")
    assert compiled.find("ac" * 500 + "a" * 1000) is None
    assert tried() <= 2000 * len(compiled._nodes)
    assert len(compiled._states) <= 3


def test_memory_has_a_bound() -> None:
    compiled = Pattern("[ab].{30}!")  # has more states than could ever be kept
    text = "".join("ab"[number >> (number % 7) & 1] for number in range(50_000))
    assert compiled.find(text) is None
    assert sum(len(it.next) for it in compiled._states.values()) <= patterns._MAX_CACHED
    assert len(compiled._states) <= patterns._MAX_CACHED + 1
    assert len(compiled._nodes) <= MAX_NODES


def test_after_a_reset_another_text_begins() -> None:
    compiled = Pattern("^ab")
    assert compiled.find("a") is None
    compiled.reset()
    assert compiled.find("b") is None
    compiled.reset()
    assert compiled.find("abc") == 2


def counting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a character was compared with a part of a pattern, from now on."""
    count = 0
    passes = Pattern._passes

    def counted(self: Pattern, node: int, character: str) -> bool:
        nonlocal count
        count += 1
        return passes(self, node, character)

    monkeypatch.setattr(Pattern, "_passes", counted)
    return lambda: count
