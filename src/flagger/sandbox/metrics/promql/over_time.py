"""Range functions that summarise the samples of each series, and linear regression over them."""

import math
from collections.abc import Sequence

from flagger.sandbox.metrics.promql.aggregations import highest, lowest
from flagger.sandbox.metrics.promql.arithmetic import divide, sqrt
from flagger.sandbox.metrics.promql.values import Range
from flagger.sandbox.metrics.series import Window


class _Sum:
    """Kahan summation in Neumaier's variant, as Prometheus adds up long ranges."""

    __slots__ = ("correction", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.correction = 0.0

    def add(self, value: float) -> None:
        total = self.total + value
        if abs(self.total) >= abs(value):
            self.correction += (self.total - total) + value
        else:
            self.correction += (value - total) + self.total
        self.total = total

    @property
    def exact(self) -> float:
        return self.total + self.correction

    @property
    def finite(self) -> float:
        """Like `exact`, but an infinity is not spoilt by its correction, which is NaN."""
        return self.total if math.isinf(self.total) else self.exact


def average(window: Window, selected: Range) -> float:
    """The mean of the values."""
    mean = _Sum()
    for count, value in enumerate(window.values, 1):
        at = mean.total
        if math.isinf(at) and (value == at or math.isfinite(value)):
            continue
        mean.add(value / count - at / count)
    return mean.finite


def total(window: Window, selected: Range) -> float:
    """The sum of the values."""
    result = _Sum()
    for value in window.values:
        result.add(value)
    return result.finite


def variance(window: Window, selected: Range) -> float:
    """The population variance of the values."""
    mean, squares = _Sum(), _Sum()
    for count, value in enumerate(window.values, 1):
        difference = value - mean.exact
        mean.add(difference / count)
        squares.add(difference * (value - mean.exact))
    return squares.exact / len(window.times)


def deviation(window: Window, selected: Range) -> float:
    """The population standard deviation of the values."""
    return sqrt(variance(window, selected))


def minimum(window: Window, selected: Range) -> float:
    """The smallest value; NaN only if there is nothing else."""
    return lowest(window.folded)


def maximum(window: Window, selected: Range) -> float:
    """The largest value; NaN only if there is nothing else."""
    return highest(window.folded)


def count(window: Window, selected: Range) -> float:
    """The number of samples."""
    return float(len(window.times))


def last(window: Window, selected: Range) -> float:
    """The newest value."""
    return window.folded[-1]


def present(window: Window, selected: Range) -> float:
    """1, because there are samples."""
    return 1.0


def derivative(window: Window, selected: Range) -> float | None:
    """The slope per second of the regression line."""
    if len(window.times) < 2:
        return None
    return _regression(window.times, window.values, window.times[0])[0]


def prediction(window: Window, now: int, seconds: float) -> float | None:
    """The value of the regression line `seconds` after `now` (ms)."""
    if len(window.times) < 2:
        return None
    slope, intercept = _regression(window.times, window.values, now)
    return slope * seconds + intercept


def _regression(times: Sequence[int], values: Sequence[float], origin: int) -> tuple[float, float]:
    """Slope per second and value at `origin` (ms) of the least-squares line."""
    if all(value == values[0] for value in values):
        return (math.nan, math.nan) if math.isinf(values[0]) else (0.0, values[0])
    sum_x, sum_y, sum_xy, sum_xx = _Sum(), _Sum(), _Sum(), _Sum()
    for ms, value in zip(times, values, strict=True):
        seconds = (ms - origin) / 1000
        sum_x.add(seconds)
        sum_y.add(value)
        sum_xy.add(seconds * value)
        sum_xx.add(seconds * seconds)
    n = len(times)
    covariance = sum_xy.exact - sum_x.exact * sum_y.exact / n
    slope = divide(covariance, sum_xx.exact - sum_x.exact * sum_x.exact / n)
    return slope, sum_y.exact / n - slope * sum_x.exact / n
