"""Amazon CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html.

Needs the extra `aws` (aiobotocore), which is imported when the first such template is used.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.aws import Aws, AwsError
from flagger.metrics.backend import Backend, Json, UnusableError, decode, time_range
from flagger.metrics.base import ProviderError, Reading, Sample, Tools

POINTS = 20
WITHIN = 15.0  # seconds, credentials and retries included
REJECTED = ("ValidationError", "ValidationException", "InvalidParameter", "MissingParameter")
"""Beginnings of the error codes of a service that is well and of credentials that it takes."""

_DIMENSION = {"Name": str, "Value": str}
_METRIC = {"Namespace": str, "MetricName": str, "Dimensions": [_DIMENSION]}
_STAT = {"Metric": _METRIC, "Period": int, "Stat": str, "Unit": str}
QUERY: Mapping[str, Any] = {
    "Id": str,
    "Expression": str,
    "Label": str,
    "AccountId": str,
    "Period": int,
    "ReturnData": bool,
    "MetricStat": _STAT,
}
"""The members of a MetricDataQuery."""


class CloudWatch:
    """The newest point of the first result counts; it may be incomplete."""

    def __init__(self, spec: ProviderSpec, tools: Tools) -> None:
        self._aws, self._clock = Aws(spec.region, spec.address, tools.sessions), tools.clock
        self._backend = Backend(tools.outbound, spec.address or f"cloudwatch in {spec.region}")

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read the region. Credentials come from the SDK's own chain: environment, IRSA, pod identity."""
        if not spec.region:
            raise FieldError("spec.provider.region", "region not specified", "name the AWS region")
        return cls(spec, tools)

    async def check(self) -> ProviderError | None:
        """Ask for nothing at all, which a service that is well rejects."""
        try:
            await self._send(queries=[], start=0, end=0)
        except AwsError as error:
            return None if error.code.startswith(REJECTED) else self._backend.error(str(error), "")
        return None

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Ask for the last ten windows; the query is a JSON array of MetricDataQueries."""
        start, end = time_range(self._clock, window)
        try:
            answer = await self._send(queries=queries(text), start=start, end=end)
        except (UnusableError, AwsError) as error:
            return self._backend.error(str(error), text)
        return self._backend.picked(b"", text, lambda _: _newest(answer))

    async def _send(self, *, queries: list[Json], start: float, end: float) -> Json:
        """Return the answer; the newest point of each result is the first."""
        try:
            async with asyncio.timeout(WITHIN), self._aws.client("cloudwatch") as client:
                answer = await client.get_metric_data(
                    StartTime=datetime.fromtimestamp(start, UTC),
                    EndTime=datetime.fromtimestamp(end, UTC),
                    MaxDatapoints=POINTS,
                    MetricDataQueries=queries,
                )
        except TimeoutError as error:
            raise AwsError(f"no answer within {WITHIN:g}s") from error
        if "MetricDataResults" not in answer:
            raise AwsError("error requesting cloudwatch: this is no answer of the service")
        return dict(answer)


def _newest(answer: Json) -> Sample | None:
    """Return the newest value of the first result, with what the service says about it."""
    results = answer["MetricDataResults"]
    if not results or not results[0].get("Values"):
        return None
    said = [*answer.get("Messages", ()), *results[0].get("Messages", ())]
    note = "; ".join(f"{message.get('Code', '')}: {message.get('Value', '')}" for message in said)
    return Sample(results[0]["Values"][0], note)


def queries(text: str) -> list[Json]:
    """Return the queries in the SDK's spelling; members that it does not know are dropped."""
    try:
        found = decode(text.encode(), list[Json])
    except ValueError as error:
        raise UnusableError(f"error unmarshaling query: {error}") from error
    return [_shaped(query, QUERY) for query in found]


def _shaped(value: Any, shape: Any) -> Any:
    match value, shape:
        case dict(), dict() | Mapping():
            names = {name.lower(): name for name in shape}
            known = ((names[key.lower()], one) for key, one in value.items() if key.lower() in names)
            return {name: _shaped(one, shape[name]) for name, one in known if one is not None}
        case list(), [inner]:
            return [_shaped(one, inner) for one in value]
        case float(), type() if shape is int and value.is_integer():
            return int(value)
        case _:
            return value
