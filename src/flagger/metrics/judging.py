"""Is a value good enough, and which sentence says that it is not? Pure; the sentences are upstream's."""

import math
from collections.abc import Callable
from datetime import timedelta

from flagger.api.analysis import Metric, ThresholdRange
from flagger.api.canary import Canary
from flagger.api.quantities import format_duration, format_fixed, format_number
from flagger.metrics.base import MetricResult
from flagger.rollout.facts import Verdict

_PRINTABLE = 10**15  # milliseconds; more than any duration type holds is shown as a plain number


def judge_rate(canary: Canary, metric: Metric, percent: float) -> MetricResult:
    """Compare a success rate; the bare threshold is a minimum."""
    shown = f"success rate {format_fixed(percent)}%"
    return _judge(
        canary, metric, (percent, percent, shown), metric.bounds, lambda limit: f"{format_number(limit)}%"
    )


def judge_duration(canary: Canary, metric: Metric, value: float, *, in_seconds: bool) -> MetricResult:
    """Compare a latency in whole milliseconds, cut off as upstream does; the result is in seconds."""
    exact = value * 1000 if in_seconds else value
    millis = float(math.trunc(exact)) if math.isfinite(exact) else exact
    bounds = ThresholdRange(min=_whole(metric.bounds.min), max=_whole(metric.bounds.max))
    shown = f"request duration {_span(millis)}"
    return _judge(canary, metric, (millis, millis / 1000, shown), bounds, _span)


def judge_number(canary: Canary, metric: Metric, value: float) -> MetricResult:
    """Compare the value of an inline query or a template; the bare threshold is a maximum."""
    limits = metric.threshold_range or ThresholdRange(max=metric.threshold)
    shown = f"{metric.name} {format_fixed(value)}"
    return _judge(canary, metric, (value, value, shown), limits, format_number)


def _judge(
    canary: Canary,
    metric: Metric,
    measured: tuple[float, float, str],
    limits: ThresholdRange,
    show: Callable[[float], str],
) -> MetricResult:
    """Compare with inclusive limits, the lower one first; `measured` is value, recorded value and text."""
    value, recorded, shown = measured
    if limits.min is not None and value < limits.min:
        bound = f"< {show(limits.min)}"
    elif limits.max is not None and value > limits.max:
        bound = f"> {show(limits.max)}"
    else:
        return MetricResult(metric.name, Verdict.PASS, recorded)
    message = f"Halt {canary.name}.{canary.namespace} advancement {shown} {bound}"
    return MetricResult(metric.name, Verdict.FAIL, recorded, bound, message)


def _whole(limit: float | None) -> float | None:
    return limit if limit is None or not math.isfinite(limit) else float(math.trunc(limit))


def _span(millis: float) -> str:
    """Show milliseconds as Go shows a duration."""
    if abs(millis) > _PRINTABLE:
        return f"{format_number(millis)}ms"
    return format_duration(timedelta(milliseconds=millis))
