"""Prometheus and everything that speaks its HTTP API: Thanos, Mimir, Cortex, VictoriaMetrics.

Wire format: https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, Lines, UnusableError, authorization, decode
from flagger.metrics.base import ProviderError, Reading, Sample, Tools

NAME = "a Prometheus"


class Prometheus:
    """Asks one server; of several series that come back the last one counts, as upstream has it."""

    def __init__(self, backend: Backend) -> None:
        """A path in the backend's address is a prefix; user info becomes Basic authentication."""
        self._backend = backend

    @classmethod
    def at(cls, address: str, tools: Tools) -> Self:
        """Return the server at an address, without credentials."""
        return cls(Backend(tools.outbound, address, name=NAME, proxies=tools.proxies))

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider; `token` wins over `username` and `password`."""
        return cls(Backend.of(NAME, spec, credentials, tools, headers=_authorization(spec, credentials)))

    async def check(self) -> ProviderError | None:
        """Ask for `vector(1)`, which every server can answer."""
        match await self.query("vector(1)", window=timedelta()):
            case Sample(value=1.0):
                return None
            case ProviderError() as error:
                return error
            case _:
                return self._backend.error("the result is not 1", "vector(1)")

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Run an instant query at the server's own time; the window is in the query."""
        return await self._backend.read(
            self._backend.get("/api/v1/query", [("query", text)]), text, _last_sample
        )


def _authorization(spec: ProviderSpec, credentials: Mapping[str, str]) -> Lines:
    """Return the Authorization header for the Secret's keys; none for an empty token."""
    if spec.secret_ref is None:
        return ()
    if "token" in credentials:
        return [("Authorization", f"Bearer {credentials['token']}")] if credentials["token"] else ()
    return authorization(spec.type, credentials)


class _Data(msgspec.Struct):
    result: list[Any]


class _Body(msgspec.Struct):
    data: _Data


def _last_sample(body: bytes) -> Sample | None:
    """Return the last sample of an instant vector, in the server's order."""
    values = [value for one in decode(body, _Body).data.result if (value := _value(one)) is not None]
    if not values:
        return None
    return Sample(values[-1], f"{len(values)} series, the last one counts" if len(values) > 1 else "")


def _value(series: object) -> float | None:
    """Return the sample of one series; None when it is no text."""
    match series:
        case {"values": list()}:
            raise UnusableError("query returned multiple values, it yields a range vector")
        case {"value": [_, str(sample), *_]}:
            return float(sample)
        case {"value": [_, _, *_]}:
            return None
        case {"histogram": _}:
            raise UnusableError("the query yields a native histogram, not a number")
        case {}:
            raise UnusableError("a series has no value")
        case _:
            raise UnusableError("the query yields a scalar or a string, not a vector")
