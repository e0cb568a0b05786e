"""Aggregation operators: many elements of a vector become one per group."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flagger.sandbox.metrics.labels import METRIC_NAME, Labels, changed, only, without
from flagger.sandbox.metrics.numbers import format_plain
from flagger.sandbox.metrics.promql.arithmetic import sqrt
from flagger.sandbox.metrics.promql.errors import ExecutionError
from flagger.sandbox.metrics.promql.plan import Aggregate
from flagger.sandbox.metrics.promql.quantiles import quantile
from flagger.sandbox.metrics.promql.values import Vector

Parameter = float | str | None
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def aggregate(node: Aggregate, vector: Vector, parameter: Parameter) -> Vector:
    """The aggregation that `node` names over `vector`."""
    return AGGREGATIONS[node.operator](node, vector, parameter)


def running_mean(values: Iterable[float]) -> float:
    """The mean without overflow; an infinity stays what it is until the opposite one or NaN comes."""
    mean = 0.0
    for count, value in enumerate(values, 1):
        if count == 1:
            mean = value
        elif not (math.isinf(mean) and (value == mean or math.isfinite(value))):
            mean += value / count - mean / count
    return mean


def variance(values: Sequence[float]) -> float:
    """The population variance (Welford), 0 for a single value."""
    mean, total = values[0], 0.0
    for count, value in enumerate(values[1:], 2):
        delta = value - mean
        mean += delta / count
        total += delta * (value - mean)
    return total / len(values)


def lowest(values: Sequence[float]) -> float:
    """The smallest value; NaN only if there is nothing else."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def highest(values: Sequence[float]) -> float:
    """The largest value; NaN only if there is nothing else."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


@dataclass(frozen=True, slots=True)
class _Groups:
    """How a vector falls into groups."""

    grouping: frozenset[str]
    without: bool

    def key(self, labels: Labels) -> Labels:
        """The labels of the group that an element with `labels` belongs to."""
        if self.without:
            return without(labels, self.grouping | {METRIC_NAME})
        return only(labels, self.grouping) if self.grouping else ()

    def of(self, vector: Vector) -> dict[Labels, Vector]:
        """The elements of each group, in their order."""
        groups: dict[Labels, Vector] = {}
        for sample in vector:
            groups.setdefault(self.key(sample[0]), []).append(sample)
        return groups


def _groups(node: Aggregate, vector: Vector) -> dict[Labels, Vector]:
    return _Groups(node.grouping, node.without).of(vector)


def _folding(fold: Callable[[Sequence[float]], float]) -> "Operator":
    def call(node: Aggregate, vector: Vector, parameter: Parameter) -> Vector:
        groups = _groups(node, vector)
        return [(key, fold([value for _, value in members])) for key, members in groups.items()]

    return call


def _quantile(node: Aggregate, vector: Vector, parameter: Parameter) -> Vector:
    assert isinstance(parameter, float)
    groups = _groups(node, vector)
    return [(key, quantile(parameter, [value for _, value in members])) for key, members in groups.items()]


def _ranking(*, largest: bool) -> "Operator":
    def order(sample: tuple[Labels, float]) -> tuple[bool, float]:
        value = sample[1]
        return math.isnan(value), -value if largest else value

    def call(node: Aggregate, vector: Vector, parameter: Parameter) -> Vector:
        assert isinstance(parameter, float)
        if not abs(parameter) < 2**63:
            raise ExecutionError(f"Scalar value {format_plain(parameter)} overflows int64")
        count = max(int(parameter), 0)
        groups = _groups(node, vector)
        return [sample for members in groups.values() for sample in sorted(members, key=order)[:count]]

    return call


def _count_values(node: Aggregate, vector: Vector, parameter: Parameter) -> Vector:
    label = str(parameter)
    if not _LABEL_NAME.fullmatch(label):
        raise ExecutionError(f'invalid label name "{label}"')
    marked: Vector = [(changed(labels, label, format_plain(value)), value) for labels, value in vector]
    grouping = node.grouping if node.without else node.grouping | {label}
    groups = _Groups(grouping, node.without).of(marked)
    return [(key, float(len(members))) for key, members in groups.items()]


Operator = Callable[[Aggregate, Vector, Parameter], Vector]

AGGREGATIONS: Mapping[str, Operator] = {
    "avg": _folding(running_mean),
    "bottomk": _ranking(largest=False),
    "count": _folding(lambda values: float(len(values))),
    "count_values": _count_values,
    "group": _folding(lambda values: 1.0),
    "max": _folding(highest),
    "min": _folding(lowest),
    "quantile": _quantile,
    "stddev": _folding(lambda values: sqrt(variance(values))),
    "stdvar": _folding(variance),
    "sum": _folding(sum),
    "topk": _ranking(largest=True),
}
