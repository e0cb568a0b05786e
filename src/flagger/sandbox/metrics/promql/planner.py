"""From query text to a plan; the only module that knows the parser library."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from flagger.sandbox.metrics.labels import METRIC_NAME
from flagger.sandbox.metrics.matchers import Match, Matcher, Matchers
from flagger.sandbox.metrics.promql.aggregations import AGGREGATIONS
from flagger.sandbox.metrics.promql.errors import BadQueryError, UnsupportedError
from flagger.sandbox.metrics.promql.functions import FUNCTIONS
from flagger.sandbox.metrics.promql.plan import (
    Aggregate,
    At,
    Binary,
    Call,
    Cardinality,
    Edge,
    Matching,
    Negate,
    Node,
    Number,
    Select,
    SelectRange,
    Subquery,
    Text,
)
from flagger.sandbox.metrics.promql.values import ValueKind

try:
    import promql_parser as parser
except ImportError as missing:
    raise ImportError(
        "the embedded metrics store needs promql-parser: pip install 'flagger[sandbox]'"
    ) from missing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The parser's enumerations cannot be hashed, their texts can.
_KINDS = {
    "ValueType.Scalar": ValueKind.SCALAR,
    "ValueType.Vector": ValueKind.VECTOR,
    "ValueType.Matrix": ValueKind.MATRIX,
    "ValueType.String": ValueKind.STRING,
}
_MATCHES = {
    "MatchOp.Equal": Match.EQUAL,
    "MatchOp.NotEqual": Match.NOT_EQUAL,
    "MatchOp.Re": Match.REGEX,
    "MatchOp.NotRe": Match.NOT_REGEX,
}
_CARDINALITIES = {
    "VectorMatchCardinality.OneToOne": Cardinality.ONE_TO_ONE,
    "VectorMatchCardinality.ManyToOne": Cardinality.MANY_TO_ONE,
    "VectorMatchCardinality.OneToMany": Cardinality.ONE_TO_MANY,
    "VectorMatchCardinality.ManyToMany": Cardinality.MANY_TO_MANY,
}
_QUOTED = re.compile(r""" "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \#[^\n]* | `(?P<raw>[^`]*)` """, re.VERBOSE)
_SELECTOR = re.compile(r"\{[^}]*\}")
_NESTING = re.compile(r"[(+\-*/%^<>=!]|\b(?:and|or|unless|atan2)\b")
_MOST_NESTING = 200
"""Operators and brackets per query. The parser library overflows its stack, and with it ends the process, at
some thousands; the evaluation here recurses too."""


@lru_cache(maxsize=1024)
def plan(query: str) -> Node:
    """Parse, check and translate `query`; plans are kept, because the same is asked again and again.

    Raises:
        BadQueryError: the text is not PromQL.
        UnsupportedError: it is, but uses something that this store does not implement.
    """
    if len(_NESTING.findall(_SELECTOR.sub("", _QUOTED.sub("", query)))) > _MOST_NESTING:
        raise BadQueryError(f"the query has more than {_MOST_NESTING} operators and brackets")
    try:
        tree = parser.parse(_QUOTED.sub(_without_backquotes, query))
    except ValueError as error:
        raise BadQueryError(f'invalid parameter "query": parse error: {error}') from error
    return _node(tree)


def _without_backquotes(match: re.Match[str]) -> str:
    """The parser takes escapes in raw strings for its own when they stand in a matcher."""
    raw: str | None = match["raw"]
    return match[0] if raw is None else msgspec.json.encode(raw).decode()


def _node(tree: Any) -> Node:
    return _TRANSLATIONS[type(tree)](tree)


def _select(tree: Any) -> Select:
    matchers = _matchers(tree.matchers)
    if tree.name:
        matchers = (Matcher(METRIC_NAME, Match.EQUAL, tree.name), *matchers)
    return Select(matchers, _ms(tree.offset) or 0, _at(tree.at))


def _matchers(matchers: Any) -> Matchers:
    if matchers.or_matchers:
        raise UnsupportedError('"or" between label matchers is not supported')
    try:
        return tuple(
            Matcher(matcher.name, _MATCHES[str(matcher.op)], matcher.value) for matcher in matchers.matchers
        )
    except re.error as error:
        raise UnsupportedError(f"regular expression not supported: {error}") from error


def _select_range(tree: Any) -> SelectRange:
    return SelectRange(_select(tree.vector_selector), _ms(tree.range) or 0)


def _subquery(tree: Any) -> Subquery:
    return Subquery(
        _node(tree.expr), _ms(tree.range) or 0, _ms(tree.step), _ms(tree.offset) or 0, _at(tree.at)
    )


def _call(tree: Any) -> Call:
    name = tree.func.name
    if name not in FUNCTIONS:
        raise UnsupportedError(f"function {name}() is not supported")
    return Call(name, tuple(map(_node, tree.args)), _KINDS[str(tree.func.return_type)])


def _aggregate(tree: Any) -> Aggregate:
    operator = str(tree.op)
    if operator not in AGGREGATIONS:
        raise UnsupportedError(f"aggregation {operator}() is not supported")
    modifier = tree.modifier
    return Aggregate(
        operator,
        _node(tree.expr),
        None if tree.param is None else _node(tree.param),
        frozenset(modifier.labels if modifier else ()),
        without=modifier is not None and str(modifier.type).endswith("Without"),
    )


def _binary(tree: Any) -> Binary:
    modifier = tree.modifier
    return Binary(
        str(tree.op),
        _node(tree.lhs),
        _node(tree.rhs),
        _matching(modifier) if modifier else Matching(),
        as_bool=modifier is not None and modifier.return_bool,
    )


def _matching(modifier: Any) -> Matching:
    fill = modifier.fill_values
    if fill is not None and (fill.lhs, fill.rhs) != (None, None):
        raise UnsupportedError("fill modifiers are not supported")
    matching = modifier.matching
    return Matching(
        _CARDINALITIES[str(modifier.card)],
        on=matching is not None and str(matching.type).endswith("Include"),
        labels=frozenset(matching.labels if matching else ()),
        include=tuple(modifier.group_labels or ()),
    )


def _at(modifier: Any) -> At:
    if modifier is None:
        return None
    if modifier.at is None:
        return Edge.START if str(modifier.type).endswith("Start") else Edge.END
    return _ms(modifier.at - _EPOCH)


def _ms(duration: timedelta | None) -> int | None:
    return None if duration is None else round(duration / timedelta(milliseconds=1))


_TRANSLATIONS: Mapping[type, Callable[[Any], Node]] = {
    parser.NumberLiteral: lambda tree: Number(tree.val),
    parser.StringLiteral: lambda tree: Text(tree.val),
    parser.ParenExpr: lambda tree: _node(tree.expr),
    parser.UnaryExpr: lambda tree: Negate(_node(tree.expr)),
    parser.VectorSelector: _select,
    parser.MatrixSelector: _select_range,
    parser.SubqueryExpr: _subquery,
    parser.Call: _call,
    parser.AggregateExpr: _aggregate,
    parser.BinaryExpr: _binary,
}
