"""Dynatrace's metrics API, version 2: https://docs.dynatrace.com/docs/dynatrace-api/environment-api/metric-v2."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Self

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, decode, required, time_range
from flagger.metrics.base import ProviderError, Reading, Tools


class Dynatrace:
    """One value per series over ten windows; that of the last series counts."""

    def __init__(self, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend, self._clock = backend, clock

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider and the token of its Secret."""
        (token,) = required(credentials, spec.type, "dynatrace_token")
        headers = [("Authorization", f"Api-Token {token}")]
        return cls(Backend.of("Dynatrace", spec, credentials, tools, headers=headers), tools.clock)

    async def check(self) -> ProviderError | None:
        """List one metric."""
        return await self._backend.check(self._backend.get("/api/v2/metrics", [("pageSize", "1")]))

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Ask for a single aggregate of the last ten windows; times are whole seconds in milliseconds."""
        query = text.strip()
        start, end = time_range(lambda: float(int(self._clock())), window)
        params = [
            ("from", str(int(start * 1000))),
            ("metricSelector", query),
            ("resolution", "Inf"),
            ("to", str(int(end * 1000))),
        ]
        return await self._backend.read(self._backend.get("/api/v2/metrics/query", params), query, _last)


class _Data(msgspec.Struct):
    values: list[float | None] = []


class _Result(msgspec.Struct):
    data: list[_Data] = []


class _Body(msgspec.Struct):
    result: list[_Result] = []


def _last(body: bytes) -> float | None:
    """Return the first value of the last series of the first result."""
    results = decode(body, _Body).result
    series = results[0].data if results else []
    return series[-1].values[0] if series and series[-1].values else None
