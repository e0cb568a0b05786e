"""Operators and mathematical functions with Go's float semantics: no exceptions, but NaN and infinities."""

import math
import operator
from collections.abc import Callable, Mapping

Arithmetic = Callable[[float, float], float]
Comparison = Callable[[float, float], bool]


def divide(left: float, right: float) -> float:
    """IEEE 754 division: by zero it gives an infinity, or NaN for 0/0."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def modulo(left: float, right: float) -> float:
    """The remainder with the sign of `left`."""
    if math.isinf(left) or right == 0:
        return math.nan
    return math.fmod(left, right)


def power(base: float, exponent: float) -> float:
    """`base` to the power of `exponent`."""
    odd = math.isfinite(exponent) and math.fmod(exponent, 2) in {1.0, -1.0}
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:  # zero to a negative power, or a negative number to a fractional one
        if base != 0:
            return math.nan
        return math.copysign(math.inf, base) if odd else math.inf


def _total(function: Callable[[float], float], *, at_zero: float = math.nan) -> Callable[[float], float]:
    """A real function that answers where Python raises: `at_zero` for 0, +Inf on overflow, NaN otherwise."""

    def call(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return at_zero if value == 0 else math.nan

    return call


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    def call(value: float) -> float:
        return float(function(value)) if math.isfinite(value) else value

    return call


exp = _total(math.exp)
ln = _total(math.log, at_zero=-math.inf)
log2 = _total(math.log2, at_zero=-math.inf)
log10 = _total(math.log10, at_zero=-math.inf)
sqrt = _total(math.sqrt)
floor = _whole(math.floor)
ceil = _whole(math.ceil)


def sign(value: float) -> float:
    """1, -1, or the value itself if it is 0 or NaN."""
    return 1.0 if value > 0 else -1.0 if value < 0 else value


def smaller(left: float, right: float) -> float:
    """The smaller of two numbers; -Inf whatever the other is, else NaN if one of them is."""
    if -math.inf in {left, right}:
        return -math.inf
    return math.nan if math.isnan(left) or math.isnan(right) else min(left, right)


def larger(left: float, right: float) -> float:
    """The larger of two numbers; +Inf whatever the other is, else NaN if one of them is."""
    return -smaller(-left, -right)


ARITHMETIC: Mapping[str, Arithmetic] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": modulo,
    "^": power,
    "atan2": math.atan2,
}

COMPARISONS: Mapping[str, Comparison] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
