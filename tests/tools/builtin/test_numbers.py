"""The numbers of `calculate`: exact where they can be, bounded, and shown truly."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.tools.builtin import numbers
from chatstream.tools.builtin.numbers import FUNCTIONS, Refused, bounded, call, power, shown, sqrt


@given(st.fractions(max_denominator=10**6))
def test_the_root_of_a_square_is_exact(value: Fraction) -> None:
    assert sqrt(value * value) == abs(value)


@given(st.integers(-(10**9), 10**9), st.integers(0, 20))
def test_what_ends_is_shown_whole(above: int, places: int) -> None:
    value = Fraction(above, 10**places)
    assert Fraction(shown(value)) == value


@given(st.integers(-5, 5), st.integers(-10, 10))
def test_a_power_is_that_of_python(base: int, exponent: int) -> None:
    if base == 0 and exponent < 0:
        with pytest.raises(ZeroDivisionError):
            power(Fraction(base), Fraction(exponent))
    else:
        assert power(Fraction(base), Fraction(exponent)) == Fraction(base) ** exponent


@given(st.integers(0, 60), st.integers(0, 60))
def test_choices_are_those_of_python(n: int, k: int) -> None:
    assert call("comb", [Fraction(n), Fraction(k)]) == math.comb(n, k)
    assert call("perm", [Fraction(n), Fraction(k)]) == math.perm(n, k)


@pytest.mark.parametrize("value", [math.inf, math.nan, Fraction(10) ** 4001])
def test_a_number_is_bounded(value: float | Fraction) -> None:
    with pytest.raises(Refused, match="4,000 digits"):
        bounded(value)


def test_the_largest_number_can_be_written() -> None:
    assert len(shown(bounded(Fraction(10) ** 3999))) == 4000
    assert len(shown(bounded(numbers.call("factorial", [Fraction(1400)])))) == 3799


def test_a_long_fraction_is_shown_rounded() -> None:
    assert shown(Fraction(1, 10**40 + 1)).endswith("E-40 (rounded; exactly 1/1" + "0" * 39 + "1)")
    assert shown(Fraction(1, 10**100 + 1)).endswith("E-100 (rounded)")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_refuses_too_few_arguments(name: str) -> None:
    with pytest.raises(Refused, match="cannot be called with 0 arguments"):
        call(name, [])
