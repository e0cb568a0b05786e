"""The function table: every PromQL function that the store knows, and how each kind is applied."""

import math
from collections.abc import Callable, Mapping, Sequence

from flagger.sandbox.metrics.labels import BUCKET_BOUND, METRIC_NAME, Labels, unnamed, value_of, without
from flagger.sandbox.metrics.numbers import parse_float
from flagger.sandbox.metrics.promql import arithmetic, counters, over_time
from flagger.sandbox.metrics.promql.dates import PARTS
from flagger.sandbox.metrics.promql.label_functions import label_join, label_replace, labels_of_absent
from flagger.sandbox.metrics.promql.moment import Moment
from flagger.sandbox.metrics.promql.plan import Node, Select, SelectRange
from flagger.sandbox.metrics.promql.quantiles import Bucket, bucket_quantile, quantile
from flagger.sandbox.metrics.promql.values import Range, Sample, Vector, distinct
from flagger.sandbox.metrics.series import Window

Args = Sequence[Node]
Function = Callable[[Args, Moment], Vector] | Callable[[Args, Moment], float]


def _map(node: Node, moment: Moment, compute: Callable[[float], float]) -> Vector:
    return distinct([(unnamed(labels), compute(value)) for labels, value in moment.vector(node)])


def _each(compute: Callable[[float], float]) -> Function:
    """A function of single values, which drops the metric name."""
    return lambda args, moment: _map(args[0], moment, compute)


def _date(compute: Callable[[float], float]) -> Function:
    """A function of single values that is about the present time when it has no argument."""

    def call(args: Args, moment: Moment) -> Vector:
        return _map(args[0], moment, compute) if args else [((), compute(moment.now // 1000))]

    return call


def _rows(selected: Range, compute: Callable[[Window], float | None]) -> Vector:
    return [(labels, value) for labels, window in selected.rows if (value := compute(window)) is not None]


def _over(compute: Callable[[Window, Range], float | None], *, named: bool = False) -> Function:
    """A function of the samples of each series, which drops the metric name unless `named`."""

    def call(args: Args, moment: Moment) -> Vector:
        selected = moment.range(args[0], named=named)
        result = _rows(selected, lambda window: compute(window, selected))
        # The check costs as much as the function; a selector of one metric does not need it.
        alike = isinstance(args[0], SelectRange) and args[0].select.one_metric
        return result if named or alike else distinct(result)

    return call


def _quantile_over_time(args: Args, moment: Moment) -> Vector:
    q = moment.scalar(args[0])
    return distinct(_rows(moment.range(args[1]), lambda window: quantile(q, window.values)))


def _predict_linear(args: Args, moment: Moment) -> Vector:
    seconds = moment.scalar(args[1])
    selected = moment.range(args[0])
    return distinct(_rows(selected, lambda window: over_time.prediction(window, moment.now, seconds)))


def _clamp(args: Args, moment: Moment) -> Vector:
    low, high = moment.scalar(args[1]), moment.scalar(args[2])
    if high < low:
        return []
    return _map(args[0], moment, lambda value: arithmetic.larger(low, arithmetic.smaller(high, value)))


def _clamp_min(args: Args, moment: Moment) -> Vector:
    low = moment.scalar(args[1])
    return _map(args[0], moment, lambda value: arithmetic.larger(low, value))


def _clamp_max(args: Args, moment: Moment) -> Vector:
    high = moment.scalar(args[1])
    return _map(args[0], moment, lambda value: arithmetic.smaller(high, value))


def _round(args: Args, moment: Moment) -> Vector:
    nearest = moment.scalar(args[1]) if len(args) > 1 else 1.0
    inverse = arithmetic.divide(1.0, nearest)  # as upstream: fewer rounding errors than dividing twice
    return _map(
        args[0], moment, lambda value: arithmetic.divide(arithmetic.floor(value * inverse + 0.5), inverse)
    )


def _absent(args: Args, moment: Moment) -> Vector:
    return [] if moment.vector(args[0]) else [(labels_of_absent(args[0]), 1.0)]


def _absent_over_time(args: Args, moment: Moment) -> Vector:
    return [] if moment.range(args[0]).rows else [(labels_of_absent(args[0]), 1.0)]


def _scalar(args: Args, moment: Moment) -> float:
    vector = moment.vector(args[0])
    return vector[0][1] if len(vector) == 1 else math.nan


def _vector(args: Args, moment: Moment) -> Vector:
    return [((), moment.scalar(args[0]))]


def _time(args: Args, moment: Moment) -> float:
    return moment.now / 1000


def _timestamp(args: Args, moment: Moment) -> Vector:
    if isinstance(args[0], Select):
        return distinct([(unnamed(labels), ms / 1000) for labels, ms, _ in moment.timed(args[0])])
    return _map(args[0], moment, lambda value: moment.now / 1000)


def _sorted(*, descending: bool) -> Function:
    def order(sample: Sample) -> tuple[bool, float]:
        value = sample[1]
        return math.isnan(value), -value if descending else value

    return lambda args, moment: sorted(moment.vector(args[0]), key=order)


def _histogram_quantile(args: Args, moment: Moment) -> Vector:
    q = moment.scalar(args[0])
    histograms: dict[Labels, list[Bucket]] = {}
    for labels, count in moment.vector(args[1]):
        bound = parse_float(value_of(labels, BUCKET_BOUND))
        if bound is not None:  # anything else is not a bucket
            histograms.setdefault(without(labels, (BUCKET_BOUND,)), []).append((bound, count))
    return distinct(
        [
            (without(labels, (METRIC_NAME,)), bucket_quantile(q, buckets))
            for labels, buckets in histograms.items()
        ]
    )


FUNCTIONS: Mapping[str, Function] = {
    # of single values
    "abs": _each(abs),
    "ceil": _each(arithmetic.ceil),
    "exp": _each(arithmetic.exp),
    "floor": _each(arithmetic.floor),
    "ln": _each(arithmetic.ln),
    "log10": _each(arithmetic.log10),
    "log2": _each(arithmetic.log2),
    "sgn": _each(arithmetic.sign),
    "sqrt": _each(arithmetic.sqrt),
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": _clamp_min,
    "round": _round,
    # of dates
    **{name: _date(part) for name, part in PARTS.items()},
    "time": _time,
    "timestamp": _timestamp,
    # of ranges
    "changes": _over(counters.changes),
    "delta": _over(counters.delta),
    "deriv": _over(over_time.derivative),
    "idelta": _over(counters.idelta),
    "increase": _over(counters.increase),
    "irate": _over(counters.irate),
    "predict_linear": _predict_linear,
    "rate": _over(counters.rate),
    "resets": _over(counters.resets),
    "absent_over_time": _absent_over_time,
    "avg_over_time": _over(over_time.average),
    "count_over_time": _over(over_time.count),
    "last_over_time": _over(over_time.last, named=True),
    "max_over_time": _over(over_time.maximum),
    "min_over_time": _over(over_time.minimum),
    "present_over_time": _over(over_time.present),
    "quantile_over_time": _quantile_over_time,
    "stddev_over_time": _over(over_time.deviation),
    "stdvar_over_time": _over(over_time.variance),
    "sum_over_time": _over(over_time.total),
    # of vectors and labels
    "absent": _absent,
    "histogram_quantile": _histogram_quantile,
    "label_join": label_join,
    "label_replace": label_replace,
    "scalar": _scalar,
    "sort": _sorted(descending=False),
    "sort_desc": _sorted(descending=True),
    "vector": _vector,
}
