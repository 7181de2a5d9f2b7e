"""`calculate`: right, exact where it can be, and never for long."""

from __future__ import annotations

import contextlib
import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.tools.builtin.calculating import Calculate, calculated
from chatstream.tools.tool import ToolFailure
from tests.support.toolcontext import result


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("1e-20 + 1", "1.00000000000000000001"),
        ("17.5 * 4", "70"),
        ("2**100", "1267650600228229401496703205376"),
        ("7 // 2", "3"),
        ("-7 % 3", "2"),
        ("2**-2", "0.25"),
        ("1/8", "0.125"),
        ("-1/8", "-0.125"),
        ("1/3", "0.333333333333333333333333333333 (rounded; exactly 1/3)"),
        ("1/3 + 2/3", "1"),
        ("sqrt(16)", "4"),
        ("sqrt(2.25)", "1.5"),
        ("4 ** 0.5", "2"),
        ("sqrt(2)", "1.4142135623730951 (rounded)"),
        ("sin(0)", "0.0 (rounded)"),
        ("log10(1000)", "3"),
        ("log2(1024)", "10"),
        ("log(8, 2)", "3.0 (rounded)"),
        ("log10(10**3000)", "3000"),
        ("factorial(20)", "2432902008176640000"),
        ("comb(52, 5)", "2598960"),
        ("perm(5, 2)", "20"),
        ("comb(2, 5)", "0"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(1.005, 2)", "1.01"),
        ("round(1234, -2)", "1200"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("mean(1, 2, 3, 4)", "2.5"),
        ("sum([1, 2, 3]) + max(1, 5) - min([2, 3])", "9"),
        ("abs(-3)", "3"),
        ("3 × 4 − 10 ÷ 5", "10"),  # noqa: RUF001
        ("9.11 > 9.9", "false"),
        ("1 < 2 <= 2", "true"),
        ("0x1f + 0b101", "36"),
        ("1_000_000", "1000000"),
        ("0 ** 10**9", "0"),
        ("(-1) ** (10**9 + 1)", "-1"),
        ("1 ** -5", "1"),
        ("  1 +\n 1 ", "2"),
        ("10**3999 > 1", "true"),
        ("[1, 1/2]", "[1, 0.5]"),
    ],
)
def test_a_value(expression: str, value: str) -> None:
    assert calculated(expression) == value


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("2^10", r"write \*\* for a power"),
        ("1,234 + 1", "without thousands separators"),
        ("1/0", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("5 % 0", "divides by zero"),
        ("sqrt(-1)", "no real number"),
        ("(-8) ** (1/3)", "no real number"),
        ("log(0)", "not defined"),
        ("asin(2)", "not defined"),
        ("factorial(-1)", "not negative"),
        ("factorial(1.5)", "whole numbers"),
        ("sqr(3)", "did you mean 'sqrt'"),
        ("sqrt(1, 2)", "cannot be called with 2 arguments"),
        ("sqrt()", "cannot be called with 0 arguments"),
        ("20% of 50", "no arithmetic expression"),
        ("", "no arithmetic expression"),
        ("1 +", "no arithmetic expression"),
        ("1\0", "no arithmetic expression"),
        ("exp(1000)", "too large"),
        ("1 & 2", "bits"),
    ],
)
def test_a_mistake_is_explained(expression: str, words: str) -> None:
    with pytest.raises(ToolFailure, match=words):
        calculated(expression)


LARGE = [
    *("9**9**9", "9**9**9**9", "factorial(10**9)", "factorial(1500)", "comb(10**6, 5*10**5)"),
    *("perm(10**9, 10**8)", "1e999999999", "1e-999999999", "10**4000", "2**13000 * 3**8000"),
    *("lcm(10**3000 + 1, 10**2999 + 7)", "(1/3)**9999", "10**-9999", "round(1, 10**9)"),
    *("1e3999 * 1e3999", "comb(10**400, 10**399)"),
]


@pytest.mark.parametrize("expression", LARGE)
def test_what_would_be_too_large_is_refused_before_it_is_computed(expression: str) -> None:
    with pytest.raises(ToolFailure, match=r"digits|too large"):
        calculated(expression)


HOSTILE = [
    *("__import__('os').system('true')", "().__class__.__bases__", "open('/etc/passwd')"),
    *("lambda: 1", "[x for x in [1]]", "'a' * 9", "f'{1}'", "1j", "None", "True", "...", "x := 1"),
    *("sqrt.__call__(1)", "sqrt(x=1)", "[1] * 10**9", "{1: 2}", "1 if 1 else 2", "1 in [1]"),
    *("pi = 3", "not 1", "~1", "1 and 2", "print(1)", "[1][0]", "sqrt(*[1])", "[[1]]", "b'1'"),
]


@pytest.mark.parametrize("expression", HOSTILE)
def test_nothing_of_python_is_known_but_arithmetic(expression: str) -> None:
    with pytest.raises(ToolFailure):
        calculated(expression)


@pytest.mark.parametrize(
    "expression",
    ["-" * 1999 + "1", "(" * 900 + "1" + ")" * 900, "sqrt(" * 300 + "1" + ")" * 300, "1" * 5000],
)
def test_what_is_nested_too_deeply_or_too_long_is_refused(expression: str) -> None:
    with pytest.raises(ToolFailure):
        calculated(expression)


def test_the_tool_takes_an_expression() -> None:
    assert result(Calculate(), expression="6 * 7") == "42"


def _random(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        numbers,
        lambda inner: st.one_of(
            st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
            st.builds("-{}".format, inner),
        ),
        max_leaves=12,
    )


@given(_random(st.integers(0, 1000).map(str)))
def test_whole_numbers_are_reckoned_as_fractions_are(expression: str) -> None:
    exact = re.sub(r"\d+", lambda number: f"Fraction({number[0]})", expression)
    try:
        expected = eval(exact, {"Fraction": Fraction})
    except ZeroDivisionError:
        with pytest.raises(ToolFailure, match="zero"):
            calculated(expression)
        return
    shown = calculated(expression)
    if "exactly" in shown:
        shown = shown.split("exactly ")[1].rstrip(")")
    if "rounded" in shown:
        assert float(shown.split()[0]) == pytest.approx(float(expected))
    else:
        assert Fraction(shown) == expected


@given(st.text("0123456789+-*/%().,e<>=[] sqrtfacombpi_", max_size=40))
def test_whatever_is_written_ends_with_a_value_or_a_sentence(expression: str) -> None:
    with contextlib.suppress(ToolFailure):
        assert calculated(expression)


def test_floats_agree_with_those_of_python() -> None:
    assert calculated("sin(1) * exp(2) + atan2(1, 3)").split()[0] == repr(
        math.sin(1) * math.exp(2) + math.atan2(1, 3)
    )
