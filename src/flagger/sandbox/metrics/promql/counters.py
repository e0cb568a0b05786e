"""Range functions about change: rate, increase, delta and their relatives.

The arithmetic follows Prometheus 2 (promql/functions.go): both ends of the range belong to it, and a slope is
extrapolated to the ends of the range unless the samples stop well before them.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from operator import lt

from flagger.sandbox.metrics.promql.values import Range
from flagger.sandbox.metrics.series import Window

_CLOSE = 1.1
"""How many average sample distances an end of the range may be away to count as reached."""


def rate(window: Window, selected: Range) -> float | None:
    """The per-second increase of a counter; resets are made up for."""
    increased = increase(window, selected)
    return None if increased is None else increased / selected.seconds


def increase(window: Window, selected: Range) -> float | None:
    """How much a counter grew in the range; resets are made up for."""
    if len(window.times) < 2:
        return None
    values = window.folded
    growth = values[-1] - values[0] + _lost_in_resets(values)
    sampled = (window.times[-1] - window.times[0]) / 1000
    to_zero = math.inf
    if growth > 0 and values[0] >= 0:  # a counter cannot have been below zero before
        to_zero = sampled * (values[0] / growth)
    return growth * _extrapolation(window, selected, sampled, to_zero)


def delta(window: Window, selected: Range) -> float | None:
    """How much a gauge changed in the range."""
    if len(window.times) < 2:
        return None
    sampled = (window.times[-1] - window.times[0]) / 1000
    change = window.folded[-1] - window.folded[0]
    return change * _extrapolation(window, selected, sampled, math.inf)


def _extrapolation(window: Window, selected: Range, sampled: float, to_zero: float) -> float:
    """By what factor the observed change grows when the slope is drawn on to the ends of the range."""
    distance = sampled / (len(window.times) - 1)
    to_start = min((window.times[0] - selected.start) / 1000, to_zero)
    to_end = (selected.end - window.times[-1]) / 1000
    covered = sampled
    covered += to_start if to_start < distance * _CLOSE else distance / 2
    covered += to_end if to_end < distance * _CLOSE else distance / 2
    return covered / sampled


def _lost_in_resets(values: Sequence[float]) -> float:
    if not any(map(lt, values[1:], values)):
        return 0.0
    return sum(before for before, after in pairwise(values) if after < before)


def irate(window: Window, selected: Range) -> float | None:
    """The per-second increase between the last two samples."""
    if len(window.times) < 2:
        return None
    before, last = window.values[-2:]
    change = last if last < before else last - before
    return change / ((window.times[-1] - window.times[-2]) / 1000)


def idelta(window: Window, selected: Range) -> float | None:
    """The difference between the last two samples."""
    if len(window.times) < 2:
        return None
    before, last = window.values[-2:]
    return last - before


def resets(window: Window, selected: Range) -> float:
    """How often the value fell."""
    return float(sum(map(lt, window.folded[1:], window.folded)))


def changes(window: Window, selected: Range) -> float:
    """How often the value changed; NaN after NaN is no change."""
    return float(
        sum(
            before != after and not (math.isnan(before) and math.isnan(after))
            for before, after in pairwise(window.folded)
        )
    )
