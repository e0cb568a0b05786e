"""Prometheus metrics of the sample app, under podinfo's names, in the text format (version 0.0.4)."""

from bisect import bisect_left
from collections.abc import Iterator

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds; the Go client's default
BOUNDS = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Series = tuple[str, str, int]  # method, path, status


class RequestMetrics:
    """Counts requests by method, path and status, with their duration."""

    def __init__(self) -> None:
        # The series that nearly everybody queries exist from the start: a counter that appears at 1 hides its
        # first count from `rate()`.
        self._counts: dict[Series, list[int]] = {}
        self._sums: dict[Series, float] = {}
        for status in (200, 500):
            self._series(("GET", "root", status))

    def _series(self, key: Series) -> list[int]:
        if key not in self._counts:
            self._counts[key] = [0] * (len(BUCKETS) + 1)
            self._sums[key] = 0.0
        return self._counts[key]

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one answered request; `path` is a route's label, which bounds the number of series."""
        key = (method, path, status)
        self._series(key)[bisect_left(BUCKETS, seconds)] += 1
        self._sums[key] += seconds

    def exposition(self) -> str:
        """Everything counted so far, as a scrape gets it."""
        return "\n".join([*self._histogram(), *self._totals(), ""])

    def _histogram(self) -> Iterator[str]:
        name = "http_request_duration_seconds"
        yield f"# HELP {name} Seconds spent serving HTTP requests."
        yield f"# TYPE {name} histogram"
        for key, counts in sorted(self._counts.items()):
            method, path, status = key
            labels = f'method="{method}",path="{path}",status="{status}"'
            total = 0
            for bound, count in zip(BOUNDS, counts, strict=True):
                total += count
                yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
            yield f"{name}_sum{{{labels}}} {self._sums[key]!r}"
            yield f"{name}_count{{{labels}}} {total}"

    def _totals(self) -> Iterator[str]:
        totals: dict[int, int] = {}
        for (_, _, status), counts in self._counts.items():
            totals[status] = totals.get(status, 0) + sum(counts)
        yield "# HELP http_requests_total The total number of HTTP requests."
        yield "# TYPE http_requests_total counter"
        for status, total in sorted(totals.items()):
            yield f'http_requests_total{{status="{status}"}} {total}'
