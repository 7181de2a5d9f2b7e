"""`calculate`: arithmetic, exact where it can be, and never for long.

1. An expression is read by Python's own parser, and evaluated by us: numbers, operators and the
   functions of `numbers`. Nothing else of Python is known here.
2. Whole numbers, fractions and decimals are exact, as they are written: 0.1 + 0.2 is 0.3. Roots,
   logarithms, sines and so on are floats, unless they are exact.
3. No number has more than `MOST_DIGITS` digits. What would is refused before it is computed, so
   that no expression takes long.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated

import msgspec

from chatstream.tools.builtin import numbers
from chatstream.tools.builtin.base import Arguments, BuiltIn
from chatstream.tools.builtin.numbers import MOST_DIGITS, Number, Refused
from chatstream.tools.tool import Context, ToolFailure
from chatstream.wording import excerpt

MOST_CHARACTERS = 2000
"""Of an expression."""

_TYPED = str.maketrans("×·÷\u2212\u2013\n\r", "**/--  ")

Value = Number | bool | list[Number]

_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: numbers.floor_divided,
    ast.Mod: operator.mod,
    ast.Pow: numbers.power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_REFUSED_OPERATORS = {
    ast.BitXor: "^ is no operator here: write ** for a power",
    ast.MatMult: "@ is no operator here",
}


class CalculateArguments(Arguments, frozen=True, kw_only=True):
    """Of `calculate`."""

    expression: Annotated[
        str,
        msgspec.Meta(description="For example (17.5 + 3) * 2**10 / sqrt(2)", min_length=1),
    ]


class Calculate(BuiltIn[CalculateArguments]):
    """`calculate`."""

    called = "calculate"
    description = (
        "Calculate an arithmetic expression, exactly where possible. Operators: + - * / // % ** "
        "and comparisons. Constants: pi, e, tau. Functions: " + ", ".join(numbers.FUNCTIONS) + "."
    )
    arguments = CalculateArguments

    def work(self, given: CalculateArguments, context: Context) -> str:
        return calculated(given.expression)


def calculated(expression: str) -> str:
    """The value of an expression. Raises `ToolFailure`."""
    try:
        return _shown(_Evaluation(expression).value)
    except Refused as error:
        raise ToolFailure(str(error)) from None
    except ZeroDivisionError:
        raise ToolFailure("this divides by zero") from None
    except OverflowError:
        raise ToolFailure("a number on the way is too large") from None
    except (RecursionError, MemoryError):  # the latter from the parser
        raise ToolFailure("the expression is nested too deeply") from None


class _Evaluation:
    def __init__(self, expression: str) -> None:
        if len(expression) > MOST_CHARACTERS:
            raise Refused(f"the expression is too long: the limit is {MOST_CHARACTERS} characters")
        self._text = expression.translate(_TYPED).strip()
        if not self._text.isascii():
            raise Refused(f"{excerpt(expression, 60)!r} is no arithmetic expression")
        try:
            tree = ast.parse(self._text, mode="eval")
        except (SyntaxError, ValueError):  # the latter for a NUL character, or too many digits
            raise Refused(f"{excerpt(expression, 60)!r} is no arithmetic expression") from None
        self.value = self._of(tree.body)

    def _of(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant():
                return self._literal(node)
            case ast.UnaryOp(op=ast.USub()):
                return -self._number(node.operand)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._number(node.operand)
            case ast.BinOp():
                return self._combined(node)
            case ast.Compare():
                return self._compared(node)
            case ast.Call():
                return self._called(node)
            case ast.Name():
                if node.id in numbers.CONSTANTS:
                    return numbers.CONSTANTS[node.id]
                raise numbers.unknown(node.id)
            case ast.List():
                return [self._number(it) for it in node.elts]
            case ast.Tuple():
                raise Refused("a comma separates numbers: write them without thousands separators")
        raise Refused(f"{excerpt(self._source(node), 60)!r} is no arithmetic")

    def _number(self, node: ast.expr) -> Number:
        value = self._of(node)
        if isinstance(value, bool | list):
            raise Refused(f"{excerpt(self._source(node), 60)!r} is no number")
        return value

    def _literal(self, node: ast.Constant) -> Number:
        text = self._source(node)
        if type(node.value) is int:
            return numbers.bounded(Fraction(node.value))
        if type(node.value) is not float:
            raise Refused(f"{excerpt(text, 60)!r} is no number")
        try:
            exact = Decimal(text)  # as it is written; the float has been rounded
        except InvalidOperation:
            raise Refused(f"{excerpt(text, 60)!r} is no number") from None
        if abs(exact.adjusted()) > MOST_DIGITS:
            raise numbers.too_large()
        return Fraction(exact)

    def _combined(self, node: ast.BinOp) -> Number:
        kind = type(node.op)
        if kind not in _OPERATORS:
            words = _REFUSED_OPERATORS.get(kind, "operators on single bits are not known")
            raise Refused(words)
        left, right = self._number(node.left), self._number(node.right)
        return numbers.bounded(_OPERATORS[kind](left, right))

    def _compared(self, node: ast.Compare) -> bool:
        sides = [self._number(it) for it in (node.left, *node.comparators)]
        for kind, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if type(kind) not in _COMPARISONS:
                raise Refused(f"{excerpt(self._source(node), 60)!r} is no arithmetic")
            if not _COMPARISONS[type(kind)](left, right):
                return False
        return True

    def _called(self, node: ast.Call) -> Number:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise Refused(f"{excerpt(self._source(node), 60)!r} is no arithmetic")
        given: list[Number] = []
        for argument in node.args:
            value = self._of(argument)
            given += value if isinstance(value, list) else [self._number(argument)]
        return numbers.bounded(numbers.call(node.func.id, given))

    def _source(self, node: ast.expr) -> str:
        return self._text[node.col_offset : node.end_col_offset]


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(numbers.shown, value))}]"
    return numbers.shown(value)
