"""Queries answered: at one instant, or at each step of an interval."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from flagger.sandbox.metrics.labels import Labels
from flagger.sandbox.metrics.matchers import Matchers
from flagger.sandbox.metrics.promql.errors import BadQueryError
from flagger.sandbox.metrics.promql.evaluation import DEFAULTS, Evaluation, Settings
from flagger.sandbox.metrics.promql.plan import Select, kind_of
from flagger.sandbox.metrics.promql.planner import plan
from flagger.sandbox.metrics.promql.values import Value, ValueKind
from flagger.sandbox.metrics.store import SeriesStore

Matrix = dict[Labels, list[tuple[int, float]]]
"""The points (ms, value) of each series of a range query."""

_TYPE_NAMES = {
    ValueKind.SCALAR: "scalar",
    ValueKind.VECTOR: "instant vector",
    ValueKind.MATRIX: "range vector",
    ValueKind.STRING: "string",
}
_MOST_POINTS = 11_000


@dataclass(frozen=True, slots=True)
class Engine:
    """PromQL on a store."""

    store: SeriesStore
    settings: Settings = DEFAULTS

    def instant(self, query: str, ms: int) -> tuple[ValueKind, Value]:
        """The value of `query` at `ms` (since the epoch) and its type.

        Raises:
            QueryError: there is none.
        """
        node = plan(query)
        return kind_of(node), self._evaluation(ms, ms, ms).value(node)

    def range(self, query: str, start: int, end: int, step: int) -> Matrix:
        """The values of `query` at `start` and every `step` after it until `end`, all in ms.

        Raises:
            QueryError: there are none, or there would be more than 11,000 steps.
        """
        matrix: Matrix = {}
        for matrix in self.walk(query, start, end, step):  # noqa: B007 -- the last one is whole
            pass
        return matrix

    def walk(self, query: str, start: int, end: int, step: int) -> Iterator[Matrix]:
        """The same step by step, so that others may run between the steps; the growing matrix each time."""
        if (end - start) // step > _MOST_POINTS:
            raise BadQueryError(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        node = plan(query)
        if kind_of(node) not in {ValueKind.SCALAR, ValueKind.VECTOR}:
            raise BadQueryError(
                f'invalid expression type "{_TYPE_NAMES[kind_of(node)]}" for range query, '
                "must be Scalar or instant Vector"
            )
        matrix: Matrix = {}
        for now in range(start, end + 1, step):
            value = self._evaluation(now, start, end).value(node)
            for labels, number in value if isinstance(value, list) else [((), value)]:
                assert isinstance(number, float)
                matrix.setdefault(labels, []).append((now, number))
            yield matrix

    def _evaluation(self, now: int, start: int, end: int) -> Evaluation:
        deadline = monotonic() + self.settings.timeout.total_seconds()
        return Evaluation(self.store, self.settings, now, start, end, deadline)


def selector(text: str) -> Matchers:
    """The matchers of a bare selector such as `up{job="envoy"}`.

    Raises:
        BadQueryError: `text` is another expression.
    """
    node = plan(text)
    if not isinstance(node, Select) or node.offset or node.at is not None:
        raise BadQueryError(f'invalid parameter "match[]": {text} is not a selector')
    return node.matchers
