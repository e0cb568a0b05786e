"""A small part of the Common Expression Language, enough for the rules of common CRDs.

Literals, lists, members, indexes, operators, `has`, `size`, the macros `all exists exists_one filter map`,
and the functions of `FUNCTIONS`. Anything else raises `Unsupported` when the rule is compiled, never later.
Semantics follow the language definition of CEL; sizes and types are those of JSON.
"""

from __future__ import annotations

import ast
import ipaddress
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]


class Unsupported(ValueError):  # noqa: N818  # names what is wrong
    """The expression uses something that is not implemented here, or is malformed."""


class EvaluationError(ValueError):
    """The expression has no value for this input, such as a member that is not there."""


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>[rR]?(?:\"\"\"(?:.|\n)*?\"\"\"|'''(?:.|\n)*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')) |
    (?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+u?) |
    (?P<name>[A-Za-z_][A-Za-z0-9_]*) |
    (?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE,
)
BINARY: Sequence[Sequence[str]] = (("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
"""Operators by rank, the weakest first; && and || are weaker still."""
CONSTANTS = {"true": True, "false": False, "null": None}
MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_ESCAPES = {"__dot__": ".", "__dash__": "-", "__slash__": "/", "__underscores__": "__"}
_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position, text = [], 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unsupported(f"cannot read {text[position:]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return [*found, ("end", "")]


def compile_rule(text: str) -> Expression:
    """Return a function from the values of the variables to the value of the expression.

    Raises:
        Unsupported: the expression is malformed, or uses more than this module implements.
    """
    return _Parser(_tokens(text)).whole()


def unescaped(name: str) -> str:
    """Return the member that an identifier stands for: `x__dash__y` is `x-y`, `__in__` is `in`."""
    for escape, plain in _ESCAPES.items():
        name = name.replace(escape, plain)
    return name[2:-2] if name.startswith("__") and name.endswith("__") and len(name) > 4 else name


class _Parser:
    """Recursive descent over tokens; each method returns a compiled expression."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def next(self) -> str:
        kind, text = self.tokens[self.position]
        return text if kind in {"operator", "name"} else ""

    def take(self, *wanted: str) -> str | None:
        if self.next in wanted and self.next:
            self.position += 1
            return self.tokens[self.position - 1][1]
        return None

    def expect(self, wanted: str) -> None:
        if self.take(wanted) is None:
            raise Unsupported(f"expected {wanted!r}, found {self.tokens[self.position][1]!r}")

    def whole(self) -> Expression:
        result = self.expression()
        if self.tokens[self.position][0] != "end":
            raise Unsupported(f"did not expect {self.tokens[self.position][1]!r}")
        return result

    def expression(self) -> Expression:
        condition = self.either()
        if self.take("?") is None:
            return condition
        yes = self.either()
        self.expect(":")
        no = self.expression()
        return lambda scope: yes(scope) if _truth(condition(scope)) else no(scope)

    def either(self) -> Expression:
        left = self.both()
        while self.take("||"):
            left = _junction(left, self.both(), decisive=True)
        return left

    def both(self) -> Expression:
        left = self.binary(0)
        while self.take("&&"):
            left = _junction(left, self.binary(0), decisive=False)
        return left

    def binary(self, rank: int) -> Expression:
        if rank == len(BINARY):
            return self.unary()
        left = self.binary(rank + 1)
        while (sign := self.take(*BINARY[rank])) is not None:
            left = _applied(OPERATORS[sign], left, self.binary(rank + 1))
        return left

    def unary(self) -> Expression:
        if self.take("!"):
            inner = self.unary()
            return lambda scope: not _truth(inner(scope))
        if self.take("-"):
            inner = self.unary()
            return lambda scope: -_number(inner(scope))
        return self.postfix(self.primary())

    def postfix(self, value: Expression) -> Expression:
        while True:
            if self.take("."):
                value = self.member(value)
            elif self.take("["):
                index = self.expression()
                self.expect("]")
                value = _applied(_item, value, index)
            else:
                return value

    def member(self, value: Expression) -> Expression:
        name = self.name()
        if self.take("(") is None:
            return _member(value, unescaped(name))
        if name in MACROS:
            return self.macro(name, value)
        return self.call(name, [value])

    def name(self) -> str:
        kind, text = self.tokens[self.position]
        if kind != "name":
            raise Unsupported(f"expected a name, found {text!r}")
        self.position += 1
        return text

    def arguments(self, closing: str) -> list[Expression]:
        found: list[Expression] = []
        while self.take(closing) is None:
            found.append(self.expression())
            if self.take(",") is None:
                self.expect(closing)
                break
        return found

    def call(self, name: str, values: list[Expression]) -> Expression:
        function = FUNCTIONS.get(name)
        if function is None:
            raise Unsupported(f"function {name} is not supported")
        arguments = [*values, *self.arguments(")")]
        return lambda scope: _called(function, [argument(scope) for argument in arguments])

    def macro(self, name: str, items: Expression) -> Expression:
        variable = self.name()
        self.expect(",")
        bodies = self.arguments(")")
        if name == "map" and len(bodies) == 2:
            return _mapped(items, variable, bodies[1], bodies[0])
        if len(bodies) != 1:
            raise Unsupported(f"{name} takes a name and an expression")
        if name == "map":
            return _mapped(items, variable, bodies[0], None)
        return _quantified(name, items, variable, bodies[0])

    def primary(self) -> Expression:
        kind, text = self.tokens[self.position]
        self.position += 1
        if kind == "text":
            return _constant(_string(text))
        if kind == "number":
            return _constant(float(text) if "." in text else int(text.rstrip("u")))
        if text == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if text == "[":
            items = self.arguments("]")
            return lambda scope: [item(scope) for item in items]
        if kind == "name":
            return self.named(text)
        raise Unsupported(f"did not expect {text!r}")

    def named(self, name: str) -> Expression:
        if name in CONSTANTS:
            return _constant(CONSTANTS[name])
        if self.take("("):
            return self.has() if name == "has" else self.call(name, [])
        return _variable(name)

    def has(self) -> Expression:
        start = self.position
        self.expression()
        self.expect(")")
        # The argument is read once more without its last member, which is the one that may be missing.
        names = self.tokens[start : self.position - 1]
        if len(names) < 3 or names[-1][0] != "name" or names[-2][1] != ".":
            raise Unsupported("has() takes a member")
        owner, member = _Parser([*names[:-2], ("end", "")]).whole(), unescaped(names[-1][1])
        return lambda scope: _has(owner(scope), member)


def _constant(value: Any) -> Expression:
    return lambda _scope: value


def _string(token: str) -> str:
    raw, body = token[0] in "rR", token.lstrip("rR")
    size = 3 if body[:3] in {'"""', "'''"} else 1
    if raw:
        return body[size:-size]
    try:
        return str(ast.literal_eval(body))
    except (SyntaxError, ValueError):
        raise Unsupported(f"cannot read the text {token}") from None


def _variable(name: str) -> Expression:
    def value(scope: Scope) -> Any:
        if name not in scope:
            raise EvaluationError(f"undeclared reference to '{name}'")
        return scope[name]

    return value


def _member(owner: Expression, name: str) -> Expression:
    def value(scope: Scope) -> Any:
        held = owner(scope)
        if not isinstance(held, dict):
            raise EvaluationError(f"no such member: {name}")
        if name not in held:
            raise EvaluationError(f"no such key: {name}")
        return held[name]

    return value


def _has(owner: Any, name: str) -> bool:
    return isinstance(owner, dict) and name in owner


def _item(held: Any, index: Any) -> Any:
    if isinstance(held, dict) and index in held:
        return held[index]
    if isinstance(held, list) and isinstance(index, int) and 0 <= index < len(held):
        return held[index]
    raise EvaluationError(f"no such item: {index}")


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("expected true or false")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvaluationError("expected a number")
    return value


def _applied(function: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    return lambda scope: _called(function, [left(scope), right(scope)])


def _called(function: Callable[..., Any], values: Sequence[Any]) -> Any:
    try:
        return function(*values)
    except EvaluationError:
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError, re.error) as error:
        raise EvaluationError(f"no such overload: {error}") from None


def _junction(left: Expression, right: Expression, *, decisive: bool) -> Expression:
    """Return && or ||: a side that decides makes errors of the other one irrelevant."""

    def value(scope: Scope) -> bool:
        try:
            if _truth(left(scope)) is decisive:
                return decisive
        except EvaluationError:
            if _truth(right(scope)) is decisive:
                return decisive
            raise
        return _truth(right(scope))

    return value


def _elements(held: Any) -> Iterator[Any]:
    if not isinstance(held, list | dict):
        raise EvaluationError("expected a list or a map")
    return iter(held)


def _quantified(name: str, items: Expression, variable: str, body: Expression) -> Expression:
    def matches(scope: Scope) -> Iterator[tuple[Any, bool]]:
        return ((item, _truth(body({**scope, variable: item}))) for item in _elements(items(scope)))

    if name == "all":
        return lambda scope: all(found for _, found in matches(scope))
    if name == "exists":
        return lambda scope: any(found for _, found in matches(scope))
    if name == "exists_one":
        return lambda scope: sum(found for _, found in matches(scope)) == 1
    return lambda scope: [item for item, found in matches(scope) if found]


def _mapped(items: Expression, variable: str, body: Expression, condition: Expression | None) -> Expression:
    def value(scope: Scope) -> list[Any]:
        inner = ({**scope, variable: item} for item in _elements(items(scope)))
        return [body(each) for each in inner if condition is None or _truth(condition(each))]

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
