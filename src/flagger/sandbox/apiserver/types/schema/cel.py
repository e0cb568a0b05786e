"""A small part of the Common Expression Language, enough for the rules of common CRDs.

Literals, lists, members, indexes, operators, `has`, `size`, the macros `all exists exists_one filter map`,
and the functions of `FUNCTIONS`. Anything else raises `Unsupported` when the rule is compiled, never later.
Semantics follow the language definition of CEL; sizes and types are those of JSON.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from flagger.sandbox.apiserver.types.schema.cel_values import (
    FUNCTIONS,
    OPERATORS,
    EvaluationError,
    Expression,
    Scope,
    applied,
    call,
    constant,
    has_member,
    item_of,
    junction,
    mapped,
    member,
    number_of,
    quantified,
    truth,
    variable,
)

__all__ = ["EvaluationError", "Expression", "Scope", "Unsupported", "compile_rule"]


class Unsupported(ValueError):  # noqa: N818  # names what is wrong
    """The expression uses something that is not implemented here, or is malformed."""


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
        return lambda scope: yes(scope) if truth(condition(scope)) else no(scope)

    def either(self) -> Expression:
        left = self.both()
        while self.take("||"):
            left = junction(left, self.both(), decisive=True)
        return left

    def both(self) -> Expression:
        left = self.binary(0)
        while self.take("&&"):
            left = junction(left, self.binary(0), decisive=False)
        return left

    def binary(self, rank: int) -> Expression:
        if rank == len(BINARY):
            return self.unary()
        left = self.binary(rank + 1)
        while (sign := self.take(*BINARY[rank])) is not None:
            left = applied(OPERATORS[sign], left, self.binary(rank + 1))
        return left

    def unary(self) -> Expression:
        if self.take("!"):
            inner = self.unary()
            return lambda scope: not truth(inner(scope))
        if self.take("-"):
            inner = self.unary()
            return lambda scope: -number_of(inner(scope))
        return self.postfix(self.primary())

    def postfix(self, value: Expression) -> Expression:
        while True:
            if self.take("."):
                value = self.member(value)
            elif self.take("["):
                index = self.expression()
                self.expect("]")
                value = applied(item_of, value, index)
            else:
                return value

    def member(self, value: Expression) -> Expression:
        name = self.name()
        if self.take("(") is None:
            return member(value, unescaped(name))
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
        return lambda scope: call(function, [argument(scope) for argument in arguments])

    def macro(self, name: str, items: Expression) -> Expression:
        variable = self.name()
        self.expect(",")
        bodies = self.arguments(")")
        if name == "map" and len(bodies) == 2:
            return mapped(items, variable, bodies[1], bodies[0])
        if len(bodies) != 1:
            raise Unsupported(f"{name} takes a name and an expression")
        if name == "map":
            return mapped(items, variable, bodies[0], None)
        return quantified(name, items, variable, bodies[0])

    def primary(self) -> Expression:
        kind, text = self.tokens[self.position]
        self.position += 1
        if kind == "text":
            return constant(_string(text))
        if kind == "number":
            return constant(float(text) if "." in text else int(text.rstrip("u")))
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
            return constant(CONSTANTS[name])
        if self.take("("):
            return self.has() if name == "has" else self.call(name, [])
        return variable(name)

    def has(self) -> Expression:
        start = self.position
        self.expression()
        self.expect(")")
        # The argument is read once more without its last member, which is the one that may be missing.
        names = self.tokens[start : self.position - 1]
        if len(names) < 3 or names[-1][0] != "name" or names[-2][1] != ".":
            raise Unsupported("has() takes a member")
        owner, member = _Parser([*names[:-2], ("end", "")]).whole(), unescaped(names[-1][1])
        return lambda scope: has_member(owner(scope), member)


def _string(token: str) -> str:
    raw, body = token[0] in "rR", token.lstrip("rR")
    size = 3 if body[:3] in {'"""', "'''"} else 1
    if raw:
        return body[size:-size]
    try:
        return str(ast.literal_eval(body))
    except (SyntaxError, ValueError):
        raise Unsupported(f"cannot read the text {token}") from None
