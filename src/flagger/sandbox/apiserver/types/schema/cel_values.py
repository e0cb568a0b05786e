"""What expressions of validation rules do: operators, functions, members, macros.

Each builder returns an expression, a function from the values of the variables to a value. What has no value
raises `EvaluationError`, and nothing else.
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]

_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class EvaluationError(ValueError):
    """The expression has no value for this input, such as a member that is not there."""


def constant(value: Any) -> Expression:
    """A literal."""
    return lambda _scope: value


def variable(name: str) -> Expression:
    """The value of a variable, such as `self`."""

    def value(scope: Scope) -> Any:
        if name not in scope:
            raise EvaluationError(f"undeclared reference to '{name}'")
        return scope[name]

    return value


def member(owner: Expression, name: str) -> Expression:
    """A member of an object, which must be there."""

    def value(scope: Scope) -> Any:
        held = owner(scope)
        if not isinstance(held, dict):
            raise EvaluationError(f"no such member: {name}")
        if name not in held:
            raise EvaluationError(f"no such key: {name}")
        return held[name]

    return value


def has_member(owner: Any, name: str) -> bool:
    """Tell whether an object has a member."""
    return isinstance(owner, dict) and name in owner


def item_of(held: Any, index: Any) -> Any:
    """Return an element of a list or a value of a map, which must be there."""
    if isinstance(held, dict) and index in held:
        return held[index]
    if isinstance(held, list) and isinstance(index, int) and 0 <= index < len(held):
        return held[index]
    raise EvaluationError(f"no such item: {index}")


def truth(value: Any) -> bool:
    """Return a boolean; nothing else counts as one."""
    if not isinstance(value, bool):
        raise EvaluationError("expected true or false")
    return value


def number_of(value: Any) -> Any:
    """Return a number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvaluationError("expected a number")
    return value


def applied(function: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    """A function of two expressions."""
    return lambda scope: call(function, [left(scope), right(scope)])


def call(function: Callable[..., Any], values: Sequence[Any]) -> Any:
    """Call a function; values of the wrong type are evaluation errors."""
    try:
        return function(*values)
    except EvaluationError:
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError, re.error) as error:
        raise EvaluationError(f"no such overload: {error}") from None


def junction(left: Expression, right: Expression, *, decisive: bool) -> Expression:
    """Return && or ||: a side that decides makes errors of the other one irrelevant."""

    def value(scope: Scope) -> bool:
        try:
            if truth(left(scope)) is decisive:
                return decisive
        except EvaluationError:
            if truth(right(scope)) is decisive:
                return decisive
            raise
        return truth(right(scope))

    return value


def _elements(held: Any) -> Iterator[Any]:
    if not isinstance(held, list | dict):
        raise EvaluationError("expected a list or a map")
    return iter(held)


def quantified(name: str, items: Expression, variable: str, body: Expression) -> Expression:
    """The macros all, exists, exists_one and filter over a list, or over the keys of a map."""

    def matches(scope: Scope) -> Iterator[tuple[Any, bool]]:
        return ((item, truth(body({**scope, variable: item}))) for item in _elements(items(scope)))

    if name == "all":
        return lambda scope: all(found for _, found in matches(scope))
    if name == "exists":
        return lambda scope: any(found for _, found in matches(scope))
    if name == "exists_one":
        return lambda scope: sum(found for _, found in matches(scope)) == 1
    return lambda scope: [item for item, found in matches(scope) if found]


def mapped(items: Expression, variable: str, body: Expression, condition: Expression | None) -> Expression:
    """The macro map, with or without a condition."""

    def value(scope: Scope) -> list[Any]:
        inner = ({**scope, variable: item} for item in _elements(items(scope)))
        return [body(each) for each in inner if condition is None or truth(condition(each))]

    return value


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    return bool(left == right)


def _contained(item: Any, held: Any) -> bool:
    return any(_equal(item, other) for other in _elements(held))


def _divided(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        return int(left / right)
    return left / right


def _duration(text: str) -> timedelta:
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text)
    parts = _DURATION.findall(bare)
    if bare != "0" and (not parts or "".join(map("".join, parts)) != bare):
        raise EvaluationError(f"not a duration: {text}")
    return timedelta(seconds=sign * sum(float(amount) * _UNITS[unit] for amount, unit in parts))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": _contained,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": operator.mod,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "size": len,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "contains": lambda text, part: part in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "lowerAscii": str.lower,
    "upperAscii": str.upper,
    "trim": str.strip,
    "split": str.split,
    "join": lambda items, separator="": separator.join(items),
    "int": int,
    "double": float,
    "string": lambda value: value if isinstance(value, str) else str(value),
    "duration": _duration,
    "isIP": _is_address,
}
"""Functions, called as `size(x)` or `x.size()`."""
