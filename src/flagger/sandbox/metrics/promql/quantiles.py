"""Quantiles of plain values and of histogram buckets, after Prometheus' promql/quantile.go."""

import math
from collections.abc import Sequence

from flagger.sandbox.metrics.promql.arithmetic import divide

Bucket = tuple[float, float]
"""Upper bound and cumulative count."""


def quantile(q: float, values: Sequence[float]) -> float:
    """The `q`-quantile of `values`, interpolated between neighbours; outside 0..1 an infinity."""
    if not values or math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = q * (len(ordered) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def bucket_quantile(q: float, buckets: Sequence[Bucket]) -> float:
    """The `q`-quantile of a classic histogram, linear within the bucket it falls into.

    NaN without a `+Inf` bucket, with fewer than two buckets or without observations; above the highest
    finite bound that bound.
    """
    if math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    if not any(bound == math.inf for bound, _ in buckets):
        return math.nan
    bounds, counts = _coalesced(buckets)
    if len(bounds) < 2 or counts[-1] == 0:
        return math.nan
    return _interpolated(q * counts[-1], bounds, counts)


def _interpolated(rank: float, bounds: Sequence[float], counts: Sequence[float]) -> float:
    index = _first_reaching(rank, counts[:-1])
    if index == len(bounds) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[index - 1], counts[index - 1]) if index else (0.0, 0.0)
    return start + (bounds[index] - start) * divide(rank - below, counts[index] - below)


def _first_reaching(rank: float, counts: Sequence[float]) -> int:
    """Go's sort.Search: unlike bisect it has a defined answer for NaN counts."""
    low, high = 0, len(counts)
    while low < high:
        middle = (low + high) // 2
        if counts[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def _coalesced(buckets: Sequence[Bucket]) -> tuple[list[float], list[float]]:
    """Bounds and counts in ascending order, equal bounds added up, counts made monotonic.

    Counts may fall when the buckets of a histogram were scraped or extrapolated apart.
    """
    bounds: list[float] = []
    counts: list[float] = []
    for bound, count in sorted(buckets, key=lambda bucket: bucket[0]):
        if bounds and bounds[-1] == bound:
            counts[-1] += count
        else:
            bounds.append(bound)
            counts.append(count)
    highest = counts[0]
    for index, count in enumerate(counts):
        if count > highest:
            highest = count
        elif count < highest:
            counts[index] = highest
    return bounds, counts
