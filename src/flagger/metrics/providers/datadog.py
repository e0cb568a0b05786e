"""Datadog's metric queries: https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Self

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, UnusableError, decode, required, time_range
from flagger.metrics.base import ProviderError, Reading, Tools

ADDRESS = "https://api.datadoghq.com"


class Datadog:
    """The oldest point of the first series counts, as the newest one is usually incomplete."""

    def __init__(self, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend, self._clock = backend, clock

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider and the two keys of its Secret."""
        keys = required(credentials, spec.type, "datadog_api_key", "datadog_application_key")
        headers = list(zip(("DD-API-KEY", "DD-APPLICATION-KEY"), keys, strict=True))
        backend = Backend.of("Datadog", spec, credentials, tools, default=ADDRESS, headers=headers)
        return cls(backend, tools.clock)

    async def check(self) -> ProviderError | None:
        """Have the keys validated."""
        return await self._backend.check(self._backend.get("/api/v1/validate"))

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Ask for the points of the last ten windows."""
        query = text.strip()
        start, end = (int(moment) for moment in time_range(self._clock, window))
        params = [("from", str(start)), ("query", query), ("to", str(end))]
        return await self._backend.read(self._backend.get("/api/v1/query", params), query, _oldest)


class _Series(msgspec.Struct):
    pointlist: list[list[float | None]] = []


class _Body(msgspec.Struct):
    series: list[_Series] = []
    status: str = ""


def _oldest(body: bytes) -> float | None:
    """Return the first point of the first series that has a value."""
    answer = decode(body, _Body)
    if answer.status == "error":
        raise UnusableError("the query failed")
    for point in answer.series[0].pointlist if answer.series else ():
        if len(point) < 2:
            raise UnusableError("a point has no value")
        if point[1] is not None:
            return point[1]
    return None
