"""Constraints: short expressions over parameters, such as ``hidden % heads == 0``.

They can compare, calculate and combine, and nothing else: no call, no subscript, no text arithmetic, no huge power.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

_MAX_LENGTH = 1000
_MAX_POWER = 64

_ALLOWED: tuple[type[ast.AST], ...] = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub,
    ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.Name, ast.Load, ast.Constant, ast.Tuple, ast.List,
)  # fmt: skip


class ExpressionError(ValueError):
    """An expression that is not a constraint: bad syntax, or something that constraints cannot do."""


class Constraint:
    """One constraint. `names` are the parameters that it mentions, dotted where they are nested.

    Raises:
        ExpressionError: Bad syntax, or more than comparing, calculating and combining.
    """

    def __init__(self, text: str) -> None:
        if len(text) > _MAX_LENGTH:
            raise ExpressionError(f"longer than {_MAX_LENGTH} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval")
            tree = ast.fix_missing_locations(_Dotted().visit(tree))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            detail = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
            raise ExpressionError(f"not an expression: {detail}") from None
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED) or (
                isinstance(node, ast.Constant) and not isinstance(node.value, _CONSTANTS)
            ):
                raise ExpressionError(f"a constraint can compare, calculate and combine; this is a {_word(node)}")
        self.text = text
        self._tree = tree
        self._evaluator: Any = None
        self.names: tuple[str, ...] = tuple(
            dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_evaluator": None}  # its operators cannot be pickled

    def evaluate(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds.

        Raises:
            KeyError: A name without a value.
            TypeError: A comparison or calculation that these values do not allow.
            ArithmeticError: Division by zero, a power too large.
        """
        from simpleeval import EvalWithCompoundTypes, InvalidExpression

        missing = [name for name in self.names if name not in values]
        if missing:
            raise KeyError(missing[0])
        if self._evaluator is None:  # costs more to make than to use
            self._evaluator = EvalWithCompoundTypes(operators=_operators(), functions={})
        self._evaluator.names = {name: values[name] for name in self.names}
        try:
            return bool(self._evaluator.eval(self.text, previously_parsed=self._tree.body))
        except InvalidExpression as error:
            raise TypeError(str(error)) from None

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether a configuration may run: yes if it mentions an inactive parameter, no if it cannot be calculated."""
        if any(name not in values for name in self.names):
            return True
        try:
            return self.evaluate(values)
        except (TypeError, ArithmeticError):
            return False


_CONSTANTS = (bool, int, float, str, type(None))


class _Dotted(ast.NodeTransformer):
    """``optimizer.lr`` is one name, not an attribute of something."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        inner = self.visit(node.value)
        if isinstance(inner, ast.Name):
            return ast.copy_location(ast.Name(f"{inner.id}.{node.attr}", ast.Load()), node)
        return node


def _numbers(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Calculating is for numbers: ``'%9999999999d' % 1`` is text, and a gigabyte."""

    def calculate(left: Any, right: Any) -> Any:
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            raise TypeError(f"cannot calculate with {left!r} and {right!r}")
        return function(left, right)

    return calculate


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > _MAX_POWER or abs(base) > 1e9:
        raise OverflowError(f"{base!r} ** {exponent!r} is too large")
    value = base**exponent
    if isinstance(value, complex):
        raise ArithmeticError(f"{base!r} ** {exponent!r} is not a real number")
    return value


def _operators() -> dict[type[ast.AST], Callable[..., Any]]:
    return {
        ast.Add: _numbers(operator.add), ast.Sub: _numbers(operator.sub), ast.Mult: _numbers(operator.mul),
        ast.Div: _numbers(operator.truediv), ast.FloorDiv: _numbers(operator.floordiv), ast.Mod: _numbers(operator.mod),
        ast.Pow: _numbers(_power),
        ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
        ast.Gt: operator.gt, ast.GtE: operator.ge, ast.In: lambda x, y: x in y, ast.NotIn: lambda x, y: x not in y,
        ast.Is: lambda x, y: x is y, ast.IsNot: lambda x, y: x is not y, ast.Not: operator.not_, ast.USub: operator.neg,
        ast.UAdd: operator.pos,
    }  # fmt: skip


def _word(node: ast.AST) -> str:
    return {"Call": "call", "Subscript": "subscript", "Attribute": "look inside something"}.get(
        type(node).__name__, type(node).__name__.lower()
    )
