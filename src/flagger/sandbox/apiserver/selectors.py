"""Label and field selectors: parsing of their query syntax, and matching.

The grammar is that of the Kubernetes API reference ("Labels and selectors", "Field selectors"). Both raise
`ApiError` 400 with the wording of a real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flagger.sandbox.apiserver.status_errors import ApiError, bad_request

TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
SYMBOLS = frozenset({"=", "==", "!=", "(", ")", ",", "<", ">", "!"})
Labels = Mapping[str, str]


def _number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _compare(value: str | None, bound: str, larger: bool) -> bool:
    have, limit = _number(value), _number(bound)
    if have is None or limit is None:
        return False
    return have > limit if larger else have < limit


OPERATORS: Mapping[str, Callable[[str | None, frozenset[str]], bool]] = {
    "exists": lambda value, _: value is not None,
    "absent": lambda value, _: value is None,
    "in": lambda value, wanted: value is not None and value in wanted,
    "notin": lambda value, wanted: value is None or value not in wanted,
    ">": lambda value, wanted: _compare(value, next(iter(wanted)), larger=True),
    "<": lambda value, wanted: _compare(value, next(iter(wanted)), larger=False),
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label: `operator` is a key of `OPERATORS`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Tell whether the label fulfils the condition; a missing label is None."""
        return OPERATORS[self.operator](labels.get(self.key), self.values)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements; the empty one matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def matches(self, labels: Labels) -> bool:
        """Tell whether all requirements hold."""
        return all(requirement.matches(labels) for requirement in self.requirements)


class _Parser:
    """A recursive-descent reader of the label selector grammar."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = [*TOKEN.findall(text.strip()), ""]
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position]

    def take(self) -> str:
        token = self.tokens[self.position]
        self.position += bool(token)
        return token

    def fail(self, found: str, expected: str) -> ApiError:
        return bad_request(f"unable to parse requirement: found '{found}' expected: {expected}")

    def requirements(self) -> Iterator[Requirement]:
        while self.peek():
            yield self.requirement()
            separator = self.take()
            if separator == "," and not self.peek():
                raise self.fail("", "identifier after ','")
            if separator not in {",", ""}:
                raise self.fail(separator, "',' or 'end of string'")

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.key(), "absent")
        key = self.key()
        operator = self.peek()
        if operator in {"", ","}:
            return Requirement(key, "exists")
        self.take()
        return self.operation(key, operator)

    def operation(self, key: str, operator: str) -> Requirement:
        if operator in {"in", "notin"}:
            return Requirement(key, operator, self.listed())
        if operator in {"=", "=="}:
            return Requirement(key, "in", frozenset({self.value()}))
        if operator == "!=":
            return Requirement(key, "notin", frozenset({self.value()}))
        if operator in {"<", ">"}:
            return Requirement(key, operator, frozenset({self.bound()}))
        raise self.fail(operator, "in, notin, =, ==, !=, gt, lt")

    def key(self) -> str:
        token = self.take()
        if not token or token in SYMBOLS:
            raise self.fail(token, "!, identifier, or 'end of string'")
        if not LABEL_KEY.fullmatch(token):
            raise bad_request(
                f'unable to parse requirement: <nil>: Invalid value: "{token}": invalid label key'
            )
        return token

    def value(self) -> str:
        token = self.peek()
        if token in {"", ",", ")"}:
            return ""
        self.take()
        if token in SYMBOLS:
            raise self.fail(token, "identifier")
        if not LABEL_VALUE.fullmatch(token):
            raise bad_request(
                f'unable to parse requirement: values[0]: Invalid value: "{token}": invalid label value'
            )
        return token

    def bound(self) -> str:
        token = self.value()
        if _number(token) is None:
            raise bad_request(
                "unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return token

    def listed(self) -> frozenset[str]:
        if (found := self.take()) != "(":
            raise self.fail(found, "'('")
        if self.peek() == ")":
            raise self.fail(")", "',', or identifier")
        values = {self.value()}
        while (found := self.take()) == ",":
            values.add(self.value())
        if found != ")":
            raise self.fail(found, "',' or ')'")
        return frozenset(values)


def parse_labels(text: str) -> LabelSelector:
    """Read a `labelSelector` parameter.

    Raises:
        ApiError: 400, the text is not a selector.
    """
    return LabelSelector(tuple(_Parser(text).requirements())) if text.strip() else LabelSelector()


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """`field=value`, or `field!=value` when not `equal`."""

    field: str
    value: str
    equal: bool


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of terms; the empty one matches everything."""

    terms: tuple[FieldTerm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Tell whether all terms hold; a missing field is an empty string."""
        return all((fields.get(term.field, "") == term.value) == term.equal for term in self.terms)

    def required(self, field: str) -> str | None:
        """Return the value that `field` must have, or None when any will do."""
        return next((term.value for term in self.terms if term.equal and term.field == field), None)


FIELD_TERM = re.compile(r"(?P<field>[^=!]+)(?P<operator>==|=|!=)(?P<value>.*)", re.DOTALL)
UNESCAPED_COMMA = re.compile(r"(?<!\\),")
ESCAPED = re.compile(r"\\([\\,=])")


def _field_term(text: str) -> FieldTerm:
    match = FIELD_TERM.fullmatch(text)
    if match is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    value = ESCAPED.sub(r"\1", match["value"])
    return FieldTerm(match["field"].strip(), value, match["operator"] != "!=")


def parse_fields(text: str, known: frozenset[str]) -> FieldSelector:
    """Read a `fieldSelector` parameter; `known` are the fields that the resource can be selected by.

    Raises:
        ApiError: 400, the text is not a selector or names another field.
    """
    terms = tuple(_field_term(part) for part in UNESCAPED_COMMA.split(text) if part)
    for term in terms:
        if term.field not in known:
            raise bad_request(_unknown_field(term.field, known))
    return FieldSelector(terms)


def _unknown_field(field: str, known: frozenset[str]) -> str:
    if len(known) > 2:
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
