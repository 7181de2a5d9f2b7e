"""The numbers of `calculate`, and what can be done with them in a bounded time.

A number is exact (a `Fraction`) or rounded (a `float`). An operation of exact numbers is exact
where its result is; a float on one side makes a float. Nothing returns a number of more than
`MOST_DIGITS` digits, or nan, or infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Context
from fractions import Fraction

from chatstream.nearest import did_you_mean

Number = Fraction | float

MOST_DIGITS = 4000
"""Python itself writes no more than 4,300, unless it is told to."""

SHOWN_DIGITS = 30
"""Of a number that has no end, such as 1/3; one that ends may have twice as many decimals."""

CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}

_BITS_A_DIGIT = math.log2(10)
_MOST_BITS = int(MOST_DIGITS * _BITS_A_DIGIT)
_MOST_OF_A_FACTORIAL = 1400  # 3,799 digits
_MOST_EXACT_CHARACTERS = 60  # of a fraction that is shown beside its decimals


class Refused(Exception):
    """An operation that makes no sense, or would take too long. The message says which."""


def too_large() -> Refused:
    """A number has too many digits."""
    return Refused(f"a number on the way has more than {MOST_DIGITS:,} digits")


def unknown(name: str) -> Refused:
    """There is no constant and no function of this name."""
    question = did_you_mean(name[:60], [*FUNCTIONS, *CONSTANTS], "see the description of this tool")
    return Refused(f"{name[:60]!r} is not known; {question}")


def bounded(value: Number) -> Number:
    """The same number. Raises `Refused` if it is too large, or none."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise too_large()
    elif _bits(value) > _MOST_BITS:
        raise too_large()
    return value


def floor_divided(left: Number, right: Number) -> Number:
    """Their quotient, rounded down."""
    whole = left // right
    return Fraction(whole) if isinstance(whole, int) else whole


def power(base: Number, exponent: Number) -> Number:
    """A power: exact for a whole exponent, and for a root that is exact."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            if base in (0, 1, -1):
                return _of_one(base, exponent)
            if abs(exponent) * (_bits(base) - 1) > _MOST_BITS:
                raise too_large()
            return Fraction(base**exponent.numerator)
        if exponent == Fraction(1, 2):
            return sqrt(base)
    if base < 0:
        raise Refused("this root of a negative number is no real number")
    return math.pow(base, exponent)


def sqrt(value: Number) -> Number:
    """The square root, exact where it can be."""
    if value < 0:
        raise Refused("the square root of a negative number is no real number")
    if isinstance(value, Fraction):
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above * above == value.numerator and below * below == value.denominator:
            return Fraction(above, below)
    return math.sqrt(value)


def call(name: str, given: Sequence[Number]) -> Number:
    """What the function of this name makes of these arguments. Raises `Refused`."""
    if name not in FUNCTIONS:
        raise unknown(name)
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(given) <= (most or len(given)):
        raise Refused(f"{name} cannot be called with {len(given)} arguments")
    try:
        return function(*given)
    except ValueError:
        raise Refused(f"{name} is not defined for this number") from None


def shown(value: Number) -> str:
    """A number as text. What is rounded says so."""
    if isinstance(value, float):
        return f"{value!r} (rounded)"
    if value.denominator == 1:
        return str(value.numerator)
    digits = _decimals(value.denominator)
    if digits is not None:
        above = value.numerator * 10**digits // value.denominator
        text = f"{abs(above):0{digits + 1}}"
        return f"{'-' if above < 0 else ''}{text[:-digits]}.{text[-digits:]}"
    context = Context(prec=SHOWN_DIGITS)
    rounded = context.divide(
        context.create_decimal(value.numerator), context.create_decimal(value.denominator)
    )
    exact = str(value)
    if len(exact) > _MOST_EXACT_CHARACTERS:
        return f"{rounded} (rounded)"
    return f"{rounded} (rounded; exactly {exact})"


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _of_one(base: Fraction, exponent: Fraction) -> Fraction:
    """A power of 0, 1 or -1, however large the exponent is."""
    if base == 0 and exponent < 0:
        raise ZeroDivisionError
    odd = exponent.numerator % 2
    return Fraction(1) if exponent == 0 else base if odd else abs(base)


def _decimals(denominator: int) -> int | None:
    """How many decimals a fraction has; None if they have no end, or are too many to be shown."""
    most = 2 * SHOWN_DIGITS
    return next((it for it in range(most + 1) if 10**it % denominator == 0), None)


def _whole(value: Number, name: str) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1:
        raise Refused(f"{name} needs whole numbers")
    return value.numerator


def _float(function: Callable[..., float]) -> Callable[..., Number]:
    return lambda *given: function(*map(float, given))


def _rounded(value: Number, digits: Number = Fraction(0)) -> Number:
    places = _whole(digits, "round")
    if abs(places) > MOST_DIGITS:
        raise too_large()
    if isinstance(value, float):
        return round(value, places) if places > 0 else Fraction(round(value, places))
    scale = Fraction(10) ** places
    scaled = value * scale
    half = math.floor(abs(scaled) + Fraction(1, 2))  # as people round: 2.5 is 3
    return Fraction(half if scaled >= 0 else -half) / scale


def _factorial(value: Number) -> Number:
    number = _whole(value, "factorial")
    if number < 0:
        raise Refused("factorial needs a number that is not negative")
    if number > _MOST_OF_A_FACTORIAL:
        raise too_large()
    return Fraction(math.factorial(number))


def _chosen(function: Callable[[int, int], int], name: str) -> Callable[[Number, Number], Number]:
    def chosen(of: Number, number: Number) -> Number:
        n, k = _whole(of, name), _whole(number, name)
        if n < 0 or k < 0:
            raise Refused(f"{name} needs numbers that are not negative")
        if k <= n:
            nats = math.lgamma(n + 1) - math.lgamma(n - k + 1)
            nats -= math.lgamma(k + 1) if name == "comb" else 0.0
            if nats > MOST_DIGITS * math.log(10):
                raise too_large()
        return Fraction(function(n, k))

    return chosen


def _log(value: Number, base: Number = math.e) -> Number:
    if value <= 0 or base <= 0 or base == 1:
        raise Refused("log is not defined for this number")
    if isinstance(value, Fraction):  # larger than any float, perhaps
        above = math.log(value.numerator) - math.log(value.denominator)
    else:
        above = math.log(value)
    return above if base == math.e else above / math.log(base)


def _log10(value: Number) -> Number:
    if isinstance(value, Fraction) and value.denominator == 1 and value > 0:
        return _exact_log(value.numerator, 10)
    return math.log10(value)


def _log2(value: Number) -> Number:
    if isinstance(value, Fraction) and value.denominator == 1 and value > 0:
        return _exact_log(value.numerator, 2)
    return math.log2(value)


def _exact_log(value: int, base: int) -> Number:
    log = math.log10(value) if base == 10 else math.log2(value)
    nearest = round(log)
    return Fraction(nearest) if base**nearest == value else log


def _mean(*given: Number) -> Number:
    return sum(given, Fraction(0)) / len(given)


def _sum(*given: Number) -> Number:
    return sum(given, Fraction(0))


def _whole_numbers(function: Callable[..., int], name: str) -> Callable[..., Number]:
    return lambda *given: Fraction(function(*(_whole(it, name) for it in given)))


def _lcm(*given: Number) -> Number:
    result = 1
    for it in given:
        result = math.lcm(result, _whole(it, "lcm"))
        bounded(Fraction(result))
    return Fraction(result)


# name -> function, the fewest and the most arguments (None: any number)
FUNCTIONS: dict[str, tuple[Callable[..., Number], int, int | None]] = {
    "sqrt": (sqrt, 1, 1),
    "cbrt": (_float(math.cbrt), 1, 1),
    "exp": (_float(math.exp), 1, 1),
    "ln": (_log, 1, 1),
    "log": (_log, 1, 2),
    "log2": (_log2, 1, 1),
    "log10": (_log10, 1, 1),
    **{
        name: (_float(getattr(math, name)), 1, 1)
        for name in (
            *("sin", "cos", "tan", "asin", "acos", "atan"),
            *("sinh", "cosh", "tanh", "degrees", "radians"),
        )
    },
    "atan2": (_float(math.atan2), 2, 2),
    "hypot": (_float(math.hypot), 1, None),
    "abs": (abs, 1, 1),
    "round": (_rounded, 1, 2),
    "floor": (lambda it: Fraction(math.floor(it)), 1, 1),
    "ceil": (lambda it: Fraction(math.ceil(it)), 1, 1),
    "min": (min, 1, None),
    "max": (max, 1, None),
    "sum": (_sum, 1, None),
    "mean": (_mean, 1, None),
    "factorial": (_factorial, 1, 1),
    "comb": (_chosen(math.comb, "comb"), 2, 2),
    "perm": (_chosen(math.perm, "perm"), 2, 2),
    "gcd": (_whole_numbers(math.gcd, "gcd"), 1, None),
    "lcm": (_lcm, 1, None),
}
