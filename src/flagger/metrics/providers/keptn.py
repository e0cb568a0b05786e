"""KeptnMetrics and Analyses of Keptn's metrics operator, read from the cluster's own API.

https://keptn.sh/stable/docs/reference/crd-reference/, group metrics.keptn.sh.
"""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import Kind
from flagger.metrics.backend import Backend, Json, UnusableError
from flagger.metrics.base import ProviderError, Reading, Tools

METRIC = Kind("metrics.keptn.sh", "v1beta1", "KeptnMetric", "keptnmetrics")
ANALYSIS = Kind("metrics.keptn.sh", "v1beta1", "Analysis", "analyses")
KINDS = {"keptnmetric": METRIC, "keptnmetrics": METRIC, "analysis": ANALYSIS, "analyses": ANALYSIS}
WITHIN = 10.0  # seconds, for an analysis from its creation to its result
POLL = 1.0  # seconds
LAST = 5.0  # seconds, for taking a finished analysis away
TIMEFRAME = "1m"


@dataclass(frozen=True, slots=True)
class Wish:
    """A query: `kind/namespace/name[/timeframe[/key=value;key=value]]`; the last two are of analyses."""

    kind: Kind
    namespace: str
    name: str
    timeframe: str
    arguments: Mapping[str, str]


class Keptn:
    """Reads a metric's current value, or has an analysis made: 1 when it passes, 0 when it fails."""

    def __init__(self, backend: Backend, client: Client) -> None:
        self._backend, self._client = backend, client

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """There is nothing to set: the operator's own account is used."""
        return cls(Backend(tools.outbound, tools.client.connection.server), tools.client)

    async def check(self) -> ProviderError | None:
        """Say that all is well: what can go wrong depends on the query."""
        return None

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Read or analyse what the query names."""
        query = text.strip()
        try:
            value = await self._value(_wish(query))
        except (UnusableError, KubeError) as error:
            return self._backend.error(str(error), query)
        except TimeoutError:
            return self._backend.error(f"timeout while waiting, no result within {WITHIN:g}s", query)
        return self._backend.picked(b"", query, lambda _: value)

    async def _value(self, wish: Wish) -> float:
        async with asyncio.timeout(WITHIN):
            if wish.kind is ANALYSIS:
                return await self._analyse(wish)
            status = (await self._client.get(METRIC, wish.name, wish.namespace)).get("status") or {}
        try:
            return float(status["value"] if isinstance(status["value"], str) else "")
        except (KeyError, ValueError) as error:
            raise UnusableError("the KeptnMetric has no value yet") from error

    async def _analyse(self, wish: Wish) -> float:
        name = f"{wish.name}-{secrets.token_hex(3)}"
        try:
            await self._client.create(ANALYSIS, _analysis(wish, name))
            while True:
                await asyncio.sleep(POLL)
                status = (await self._client.get(ANALYSIS, name, wish.namespace)).get("status") or {}
                if status.get("state") == "Completed" and isinstance(status.get("pass"), bool):
                    return float(status["pass"])
        finally:
            with suppress(KubeError, TimeoutError):  # there may be none, and what is left does no harm
                async with asyncio.timeout(LAST):
                    await self._client.delete(ANALYSIS, name, wish.namespace)


def _wish(query: str) -> Wish:
    kind, _, rest = query.partition("/")
    parts = rest.split("/")
    if kind.lower() not in KINDS or len(parts) < 2 or not all(parts[:2]):
        raise UnusableError("the query is not keptnmetric/namespace/name or analysis/namespace/name/…")
    pairs = (pair.split("=") for pair in (parts[3] if len(parts) > 3 else "").split(";"))
    timeframe = parts[2].lower() if len(parts) > 2 else ""
    arguments = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return Wish(KINDS[kind.lower()], parts[0].lower(), parts[1].lower(), timeframe or TIMEFRAME, arguments)


def _analysis(wish: Wish, name: str) -> Json:
    spec = {
        "analysisDefinition": {"name": wish.name},
        "timeframe": {"recent": wish.timeframe},
        "args": dict(wish.arguments),
    }
    return {
        "apiVersion": ANALYSIS.api_version,
        "kind": ANALYSIS.kind,
        "metadata": {"name": name, "namespace": wish.namespace},
        "spec": spec,
    }
