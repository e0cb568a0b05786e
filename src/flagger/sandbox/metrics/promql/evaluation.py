"""A plan evaluated on the store at one instant."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic

from flagger.sandbox.metrics.labels import Labels, unnamed
from flagger.sandbox.metrics.promql import binary
from flagger.sandbox.metrics.promql.aggregations import aggregate
from flagger.sandbox.metrics.promql.errors import QueryTimeoutError
from flagger.sandbox.metrics.promql.functions import FUNCTIONS
from flagger.sandbox.metrics.promql.plan import (
    Aggregate,
    At,
    Binary,
    Call,
    Edge,
    Negate,
    Node,
    Number,
    Select,
    SelectRange,
    Subquery,
    Text,
    kind_of,
)
from flagger.sandbox.metrics.promql.values import Range, RangeRow, Value, ValueKind, Vector, distinct
from flagger.sandbox.metrics.series import Window
from flagger.sandbox.metrics.store import SeriesStore


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator of Prometheus would configure; the defaults are Prometheus' own."""

    lookback: timedelta = timedelta(minutes=5)
    """How old the newest sample of a series may be."""
    subquery_step: timedelta = timedelta(minutes=1)
    """The resolution of subqueries that do not name one."""
    timeout: timedelta = timedelta(seconds=5)
    """How long one instant of a query may be evaluated."""


DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation of a query at the instant `now`; see `Moment`."""

    store: SeriesStore
    settings: Settings
    now: int
    """The instant, ms since the epoch."""
    start: int
    """The first instant of a range query; `now` for others."""
    end: int
    deadline: float
    """When to give up, by the monotonic clock."""

    def value(self, node: Node) -> Value:
        """The value of any expression."""
        match kind_of(node):
            case ValueKind.SCALAR:
                return self.scalar(node)
            case ValueKind.STRING:
                return self.text(node)
            case ValueKind.MATRIX:
                return self.range(node, named=True)
            case ValueKind.VECTOR:
                return self.vector(node)

    def scalar(self, node: Node) -> float:
        """The value of a scalar expression."""
        match node:
            case Number(value):
                return value
            case Negate(inner):
                return -self.scalar(inner)
            case Binary(operator, left, right):
                return binary.scalars(operator, self.scalar(left), self.scalar(right))
            case Call(function, args):
                result = FUNCTIONS[function](args, self)
                if isinstance(result, float):
                    return result
        raise TypeError(f"not a scalar: {node}")

    def text(self, node: Node) -> str:
        """The value of a string expression."""
        if isinstance(node, Text):
            return node.value
        raise TypeError(f"not a string: {node}")

    def vector(self, node: Node) -> Vector:
        """The value of an instant vector expression."""
        match node:
            case Select():
                return [(labels, value) for labels, _, value in self.timed(node)]
            case Call(function, args):
                result = FUNCTIONS[function](args, self)
                if isinstance(result, list):
                    return result
            case Aggregate():
                return self._aggregate(node)
            case Binary():
                return self._binary(node)
            case Negate(inner):
                return distinct([(unnamed(labels), -value) for labels, value in self.vector(inner)])
        raise TypeError(f"not an instant vector: {node}")

    def range(self, node: Node, *, named: bool = False) -> Range:
        """The value of a range vector expression; rows keep their metric name if `named`."""
        match node:
            case SelectRange(select, length):
                end = self._time(select.at, select.offset)
                rows: Sequence[RangeRow] = [
                    (series.labels if named else series.unnamed, window)
                    for series in self.store.select(select.matchers)
                    if (window := series.window(end - length, end)) is not None
                ]
                return Range(rows, end - length, end)
            case Subquery(inner, length, step, offset, at):
                end = self._time(at, offset)
                step = step or self.settings.subquery_step // timedelta(milliseconds=1)
                rows = self._steps(inner, end - length, end, step)
                return Range(
                    rows if named else [(unnamed(labels), window) for labels, window in rows],
                    end - length,
                    end,
                )
        raise TypeError(f"not a range vector: {node}")

    def timed(self, select: Select) -> Sequence[tuple[Labels, int, float]]:
        """The selected samples with the time (ms) at which each was taken."""
        ms = self._time(select.at, select.offset)
        lookback = self.settings.lookback // timedelta(milliseconds=1)
        return [
            (series.labels, *sample)
            for series in self.store.select(select.matchers)
            if (sample := series.at(ms, lookback)) is not None
        ]

    def _time(self, at: At, offset: int) -> int:
        match at:
            case None:
                return self.now - offset
            case Edge.START:
                return self.start - offset
            case Edge.END:
                return self.end - offset
            case int():
                return at - offset

    def _steps(self, inner: Node, start: int, end: int, step: int) -> Sequence[RangeRow]:
        points: dict[Labels, tuple[list[int], list[float]]] = {}
        first = -(-start // step) * step  # the first multiple of the step that is not before the start
        for now in range(first, end + 1, step):
            if monotonic() > self.deadline:
                raise QueryTimeoutError("query timed out in expression evaluation")
            for labels, value in replace(self, now=now).vector(inner):
                times, values = points.setdefault(labels, ([], []))
                times.append(now)
                values.append(value)
        return [(labels, Window(times, values)) for labels, (times, values) in points.items()]

    def _aggregate(self, node: Aggregate) -> Vector:
        parameter = node.parameter
        if parameter is None:
            return aggregate(node, self.vector(node.inner), None)
        value = self.text(parameter) if isinstance(parameter, Text) else self.scalar(parameter)
        return aggregate(node, self.vector(node.inner), value)

    def _binary(self, node: Binary) -> Vector:
        left_scalar = kind_of(node.left) is ValueKind.SCALAR
        right_scalar = kind_of(node.right) is ValueKind.SCALAR
        if left_scalar:
            scalar = self.scalar(node.left)
            return binary.vector_and_scalar(node, self.vector(node.right), scalar, swapped=True)
        if right_scalar:
            scalar = self.scalar(node.right)
            return binary.vector_and_scalar(node, self.vector(node.left), scalar, swapped=False)
        return binary.vectors(node, self.vector(node.left), self.vector(node.right))
