"""Google Cloud Monitoring and its query language: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/query.

Needs the extra `gcp` (google-auth), which is imported when the first such template is used.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, UnusableError, decode, required, with_header
from flagger.metrics.base import ProviderError, Reading, Tools
from flagger.metrics.google import GoogleError, GoogleIdentity
from flagger.outbound import Call

ADDRESS = "https://monitoring.googleapis.com"
WITHIN = timedelta(seconds=15)
REFUSED_QUERY = 400  # an empty query is refused with this status by a server that is well


class Stackdriver:
    """The first value of the newest point of the first series counts."""

    def __init__(self, backend: Backend, project: str, identity: GoogleIdentity) -> None:
        self._backend, self._identity = backend, identity
        self._path = f"/v3/projects/{project}/timeSeries:query"

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read project and key from the Secret; without a key, the account of the machine or pod is used."""
        (project,) = required(credentials, spec.type, "project")
        identity = GoogleIdentity(credentials.get("serviceAccountKey", ""), tools.outbound)
        return cls(
            Backend.of("Cloud Monitoring", spec, credentials, tools, default=ADDRESS), project, identity
        )

    async def check(self) -> ProviderError | None:
        """Send an empty query, which must be refused as such."""
        try:
            return await self._backend.check(await self._call(""), well=(REFUSED_QUERY,))
        except GoogleError as error:
            return self._backend.error(str(error), "")

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Run the query, which says itself how far it looks back."""
        try:
            call = await self._call(text)
        except GoogleError as error:
            return self._backend.error(str(error), text)
        return await self._backend.read(call, text, _newest)

    async def _call(self, query: str) -> Call:
        token = await self._identity.token()
        call = self._backend.post(self._path, {"query": query}, within=WITHIN)
        return with_header(call, "Authorization", f"Bearer {token}")


class _Point(msgspec.Struct):
    values: list[dict[str, Any]] = []


class _Series(msgspec.Struct, rename="camel"):
    point_data: list[_Point] = []


class _Body(msgspec.Struct, rename="camel"):
    time_series_data: list[_Series] = []


def _newest(body: bytes) -> float | None:
    """Return the first value of the first point of the first series, a double or an integer."""
    series = decode(body, _Body).time_series_data
    points = series[0].point_data if series else []
    match points[0].values if points else []:
        case []:
            return None
        case [{"doubleValue": int() | float() | str() as value}, *_]:
            return float(value)
        case [{"int64Value": str() | int() as value}, *_]:
            return float(value)
        case [other, *_]:
            kind = next(iter(other), "empty")
            raise UnusableError(f"the first value is no number but {kind}")
    return None
