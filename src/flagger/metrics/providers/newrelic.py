"""New Relic's Insights queries: https://docs.newrelic.com/docs/apis/insights-apis/query-insights-event-data-api/."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Self

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, decode, required
from flagger.metrics.base import ProviderError, Reading, Tools
from flagger.outbound import Call

ADDRESS = "https://insights-api.newrelic.com"
CHECKED = timedelta(minutes=1)


class NewRelic:
    """Takes the one value that NRQL calls `result`, which only arithmetic yields: `count(*) / 1`."""

    def __init__(self, backend: Backend, account: str) -> None:
        self._backend, self._path = backend, f"/v1/accounts/{account}/query"

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider, and account and key of its Secret."""
        account, key = required(credentials, spec.type, "newrelic_account_id", "newrelic_query_key")
        headers = [("X-Query-Key", key)]
        backend = Backend.of("New Relic", spec, credentials, tools, default=ADDRESS, headers=headers)
        return cls(backend, account)

    async def check(self) -> ProviderError | None:
        """Ask for metrics of any kind."""
        return await self._backend.check(self._call("SELECT * FROM Metric", CHECKED))

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Ask about the window; the text has no SINCE of its own."""
        query = text.strip()
        return await self._backend.read(self._call(query, window), query, _result)

    def _call(self, query: str, window: timedelta) -> Call:
        nrql = f"{query} SINCE {int(window.total_seconds())} seconds ago"
        return self._backend.get(self._path, [("nrql", nrql)])


class _Result(msgspec.Struct):
    result: float | None = None


class _Body(msgspec.Struct):
    results: list[_Result]


def _result(body: bytes) -> float | None:
    results = decode(body, _Body).results
    return results[0].result if len(results) == 1 else None
