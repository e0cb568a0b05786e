"""Bounds, units and sentences."""

import math
from typing import Any

import pytest

from flagger.api.analysis import Metric, ThresholdRange
from flagger.metrics.base import MetricResult
from flagger.metrics.judging import judge_duration, judge_number, judge_rate
from flagger.rollout.facts import Verdict
from tests.metrics.canaries import a_canary

CANARY = a_canary()
HALT = "Halt checkout.shop advancement"


def a_metric(name: str = "m", threshold: float = 0, **bounds: Any) -> Metric:
    """A metric; `bounds` makes a thresholdRange, None an empty one."""
    limits = {key: value for key, value in bounds.items() if value is not None}
    return Metric(
        name=name, threshold=threshold, threshold_range=ThresholdRange(**limits) if bounds else None
    )


def passed(result: MetricResult, value: float) -> bool:
    return (result.verdict, result.value, result.bound, result.message) == (Verdict.PASS, value, "", "")


@pytest.mark.parametrize(
    ("metric", "value", "sentence"),
    [
        (a_metric(min=99), 99.0, ""),
        (a_metric(min=99), 98.691, "success rate 98.69% < 99%"),
        (a_metric(min=99), math.nextafter(99, 0), "success rate 99.00% < 99%"),
        (a_metric(min=99), 97.2, "success rate 97.20% < 99%"),
        (a_metric(max=50.5), 50.5, ""),
        (a_metric(max=50.5), 51, "success rate 51.00% > 50.5%"),
        (a_metric(min=60, max=50), 55, "success rate 55.00% < 60%"),
        (a_metric(min=None), 0.0, ""),
        (a_metric(threshold=99), 99.0, ""),
        (a_metric(threshold=99), 98.99, "success rate 98.99% < 99%"),
        (a_metric(), 0.0, ""),
        (a_metric(threshold=100, min=1), 50.0, ""),
    ],
)
def test_success_rate(metric: Metric, value: float, sentence: str) -> None:
    """Limits are inclusive, the lower one is tested first, and the bare threshold is a minimum."""
    metric = Metric(
        name="request-success-rate", threshold=metric.threshold, threshold_range=metric.threshold_range
    )
    result = judge_rate(CANARY, metric, value)
    assert result.value == value
    assert result.message == (f"{HALT} {sentence}" if sentence else "")
    assert result.verdict is (Verdict.FAIL if sentence else Verdict.PASS)


@pytest.mark.parametrize(
    ("metric", "value", "seconds", "recorded", "sentence"),
    [
        (a_metric(max=500), 500.9, False, 0.5, ""),
        (a_metric(max=500), 501.0, False, 0.501, "501ms > 500ms"),
        (a_metric(max=500), 0.501, True, 0.501, "501ms > 500ms"),
        (a_metric(max=500), 1.515, True, 1.515, "1.515s > 500ms"),
        (a_metric(max=500.9), 500.95, False, 0.5, ""),
        (a_metric(max=1000), 0.57, True, 0.57, ""),
        (a_metric(max=1000), 1.005, True, 1.004, "1.004s > 1s"),
        (a_metric(max=1000), 0.0999, True, 0.099, ""),
        (a_metric(max=1000), 0.4, False, 0.0, ""),
        (a_metric(min=10), 9.9, False, 0.009, "9ms < 10ms"),
        (a_metric(max=60000), 61000, False, 61.0, "1m1s > 1m0s"),
        (a_metric(threshold=500), 500, False, 0.5, ""),
        (a_metric(threshold=500), 501, False, 0.501, "501ms > 500ms"),
        (a_metric(), 1, False, 0.001, "1ms > 0s"),
        (a_metric(min=None), 1e9, False, 1e6, ""),
        (a_metric(max=500), math.inf, True, math.inf, "+Infms > 500ms"),
        (a_metric(max=500), 1e19, False, 1e16, "1e+19ms > 500ms"),
        (a_metric(min=None), math.inf, False, math.inf, ""),
    ],
)
def test_duration(metric: Metric, value: float, seconds: bool, recorded: float, sentence: str) -> None:
    """Durations are cut to whole milliseconds, recorded in seconds, shown as Go shows them."""
    result = judge_duration(CANARY, metric, value, in_seconds=seconds)
    assert result.value == recorded
    assert result.message == (f"{HALT} request duration {sentence}" if sentence else "")


@pytest.mark.parametrize(
    ("metric", "value", "sentence"),
    [
        (a_metric("errors", max=1), 1.0, ""),
        (a_metric("errors", max=1), 3.14159, "errors 3.14 > 1"),
        (a_metric("errors", min=0.5), 0.49, "errors 0.49 < 0.5"),
        (a_metric("errors", max=5e6), 6e6, "errors 6000000.00 > 5e+06"),
        (a_metric("errors", threshold=5), 5.0, ""),
        (a_metric("errors", threshold=5), 5.01, "errors 5.01 > 5"),
        (a_metric("errors"), 0.001, "errors 0.00 > 0"),
        (a_metric("errors", min=None), -1e300, ""),
        (a_metric("errors", max=1), math.inf, "errors +Inf > 1"),
        (a_metric("request-success-rate", threshold=5), 6.0, "request-success-rate 6.00 > 5"),
    ],
)
def test_plain_numbers(metric: Metric, value: float, sentence: str) -> None:
    """Inline and template values have no unit, and the bare threshold is a maximum whatever the name."""
    result = judge_number(CANARY, metric, value)
    assert result.value == value
    assert result.message == (f"{HALT} {sentence}" if sentence else "")


def test_bound_of_a_failure() -> None:
    """The violated bound is there as data, too."""
    assert judge_rate(CANARY, a_metric(min=99), 1.0).bound == "< 99%"
    assert judge_duration(CANARY, a_metric(max=500), 900, in_seconds=False).bound == "> 500ms"
    assert judge_number(CANARY, a_metric(max=1), 2.0).bound == "> 1"
    assert passed(judge_number(CANARY, a_metric(max=1), 1.0), 1.0)
